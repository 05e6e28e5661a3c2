"""The order of callbacks: who writes into the logs must come before those who read them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from ewma import EwmaWarning

if TYPE_CHECKING:
    from ewma_keras.callbacks import SmoothedMetrics

RECORDERS = (
    keras.callbacks.CSVLogger,
    keras.callbacks.History,
    keras.callbacks.ProgbarLogger,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)


def callbacks_around(callback: keras.callbacks.Callback) -> list[Any]:
    """Return the list that is calling the callback, or one of it alone if there is no such list.

    Keras does not tell a callback about the others, so the list is found where it is at work: among
    the callers.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return list(caller.callbacks)
        frame = frame.f_back
    return [callback]


def smoother_type() -> type[SmoothedMetrics]:
    """Return `SmoothedMetrics`, whose module imports this one."""
    from ewma_keras.callbacks import SmoothedMetrics

    return SmoothedMetrics


def check_order(smoother: SmoothedMetrics, callbacks: Sequence[Any], prefix: str) -> None:
    """Raise if a callback could not monitor a smoothed metric, warn if one would not record it."""
    here = callbacks.index(smoother)
    for place, callback in enumerate(callbacks):
        name = type(callback).__name__
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and _writes(smoother, monitor, prefix):
            if place < here:
                raise ValueError(
                    f"SmoothedMetrics must come before the callbacks that monitor what it writes; "
                    f"received {name}(monitor={monitor!r}) before it: move SmoothedMetrics to the "
                    f"front of callbacks"
                )
            if getattr(callback, "mode", None) == "auto":
                raise ValueError(
                    f"a callback that monitors a smoothed metric must say whether less is better; "
                    f"received {name}(monitor={monitor!r}, mode='auto'): give it mode='min' or "
                    f"mode='max'"
                )
        elif isinstance(callback, RECORDERS) and place < here:
            warnings.warn(
                f"{name} comes before SmoothedMetrics in callbacks and will not record what it "
                f"writes: move SmoothedMetrics to the front",
                EwmaWarning,
                stacklevel=2,
            )
        elif isinstance(callback, smoother_type()) and place > here and _share(smoother, callback):
            raise ValueError(
                f"a metric must be smoothed by one SmoothedMetrics only; received two, with "
                f"metrics={_shown(smoother)} and metrics={_shown(callback)}: name different ones"
            )


def _writes(smoother: SmoothedMetrics, name: str, prefix: str) -> bool:
    return name.startswith(prefix) and smoother.smooths(name.removeprefix(prefix))


def _share(one: SmoothedMetrics, other: SmoothedMetrics) -> bool:
    if one.metrics is None or other.metrics is None:
        return True
    return not set(one.metrics).isdisjoint(other.metrics)


def _shown(smoother: SmoothedMetrics) -> str:
    return "None" if smoother.metrics is None else str(list(smoother.metrics))
