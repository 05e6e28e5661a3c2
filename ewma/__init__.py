"""Bias-corrected exponential smoothing for arrays, pandas and TensorBoard's event files.

One recurrence, a running mean that forgets:

    w_t = beta * w_{t-1} + 1                      weight
    y_t = y_{t-1} + (x_t - y_{t-1}) / w_t         mean
"""

from typing import TYPE_CHECKING, Any

try:
    from ewma import _core as _core
except ImportError as error:
    raise ImportError(
        "the compiled part of ewma is not beside its source folder, which Python found first; "
        "install the clone with `pip install -e .`, or start Python elsewhere"
    ) from error
from ewma._decay import gain, step
from ewma._smooth import smooth
from ewma._warnings import EwmaWarning

if TYPE_CHECKING:
    from ewma._aggregate import aggregate
    from ewma._choose import choose_beta
    from ewma._follow import follow
    from ewma._plot import plot
    from ewma._smooth_scalars import smooth_scalars
    from ewma._stream import EMA
    from ewma._variance import std, var
    from ewma.tensorboard import read_scalars, write_scalars

__all__ = [
    "EMA",
    "EwmaWarning",
    "aggregate",
    "choose_beta",
    "follow",
    "gain",
    "plot",
    "read_scalars",
    "smooth",
    "smooth_scalars",
    "std",
    "step",
    "var",
    "write_scalars",
]

# What not everybody asks for is imported when somebody does: `import ewma` costs `import numpy`.
_LATER = {
    "EMA": "ewma._stream",
    "aggregate": "ewma._aggregate",
    "choose_beta": "ewma._choose",
    "follow": "ewma._follow",
    "plot": "ewma._plot",
    "read_scalars": "ewma.tensorboard",
    "smooth_scalars": "ewma._smooth_scalars",
    "std": "ewma._variance",
    "var": "ewma._variance",
    "write_scalars": "ewma.tensorboard",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ewma")
    if name not in _LATER:
        raise AttributeError(f"module 'ewma' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
