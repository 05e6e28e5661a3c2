"""The state in a file: what Keras saves, and a mark that says whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, NoReturn

import numpy as np
from keras import ops

# Keras numbers an optimizer's variables and reads them by their numbers alone. This entry beside
# them is the layout. To Keras' SGD it is one entry too many: it refuses too.
MARK = "layout"

_LISTS = ("_model_variables_moving_average", "_accumulated_gradients", "velocities")
_NAMES = ("averages of weights (use_ema)", "gradient accumulators", "velocities (momentum)")


def layout(optimizer: Any) -> list[int]:
    """Return how many variables of each kind there are."""
    return [len(getattr(optimizer, name, [])) for name in _LISTS]


def mark(store: MutableMapping[str, Any], optimizer: Any) -> None:
    """Write the mark."""
    store[MARK] = np.asarray(layout(optimizer))


def without_mark(store: Mapping[str, Any], optimizer: Any) -> Any:
    """Return the numbered variables of a state that has the mark.

    A state of another size is returned as it is: Keras warns of it and leaves it.
    """
    keys = list(store.keys())
    here, size = layout(optimizer), len(optimizer.variables)
    if MARK in keys:
        saved = np.asarray(store[MARK]).tolist()
        if saved != here and len(keys) - 1 == size:
            refuse_layout(optimizer, here, saved)
    elif any(here) and len(keys) == size:
        refuse_sgd(optimizer.name)
    return {key: store[key] for key in keys if key != MARK}


def forget(optimizer: Any) -> None:
    """Set the state to that before the first step.

    A `LossScaleOptimizer` loads what belongs to the optimizer inside it by number alone, before
    that one is asked.
    """
    averages, accumulators, velocities = (getattr(optimizer, name, []) for name in _LISTS)
    for variable in (optimizer._iterations, *accumulators, *velocities):
        if variable is not None:
            variable.assign(ops.zeros(variable.shape, variable.dtype))
    weights = getattr(optimizer, "_trainable_variables", [])
    for average, weight in zip(averages, weights, strict=False):  # they need not be there
        if average is not None:
            average.assign(ops.copy(weight))


def refuse_layout(optimizer: Any, here: Iterable[int], saved: Iterable[int]) -> NoReturn:
    """Raise the error for a state that has other variables, `saved` in place of `here`."""
    raise ValueError(
        f"the saved state must have the variables that the optimizer {optimizer.name!r} has, "
        f"{_shown(here)}; received {_shown(saved)}; construct it with the arguments of the saved "
        "one"
    )


def _shown(counts: Iterable[int]) -> str:
    return ", ".join(f"{count} {name}" for count, name in zip(counts, _NAMES, strict=True))


def refuse_sgd(name: str) -> NoReturn:
    """Raise the error for the state of Keras' SGD."""
    raise ValueError(
        f"the saved state must be one of MomentumSGD to load into {name!r}; received one of "
        "another optimizer. Keras' SGD keeps its momentum with other sign and scale: load it into "
        "keras.optimizers.SGD and continue with MomentumSGD.from_sgd(sgd), or load the model's "
        "weights alone, model.load_weights(path, skip_mismatch=True)"
    )
