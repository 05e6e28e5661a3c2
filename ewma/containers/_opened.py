"""What a container is once opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy.typing as npt


class Opened(NamedTuple):
    """A container's samples, and the way back.

    Parameters
    ----------
    values
        Of a type that the kernel takes, in native byte order; time is the first axis. What is
        missing is NaN.
    close
        Turns a result of the same shape, float64 where the values are integers or bools, into a
        container like the one that was opened.
    join
        Turns several results, along a leading axis one for each value of a decay, into one
        container, given the decay's name and its values too.
    """

    values: npt.NDArray[Any]
    close: Callable[[npt.NDArray[Any]], Any]
    join: Callable[[npt.NDArray[Any], str, list[Any]], Any]
