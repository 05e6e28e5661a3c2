"""What a container is once opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Opened(NamedTuple):
    """A container's samples, and the way back.

    Parameters
    ----------
    values
        float32, float64, complex64 or complex128, in native byte order; time is the first axis.
        What is missing is NaN.
    close
        Turns a result of the same shape and type into a container like the one that was opened.
    """

    values: npt.NDArray[np.inexact[Any]]
    close: Callable[[npt.NDArray[Any]], Any]
