"""Mean, spread and count of groups of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """What `group_statistics` says of each group; NaN where it has no finite sample."""

    mean: Floats
    std: Floats
    min: Floats
    max: Floats
    count: npt.NDArray[np.int64]


def group_statistics(values: Floats, starts: npt.NDArray[np.integer[Any]]) -> Statistics:
    """Describe groups of adjacent samples by those that are finite.

    Parameters
    ----------
    values
        Shape (n,).
    starts
        Where each group begins, ascending, the first at 0; none is empty.

    Returns
    -------
    Statistics
        The standard deviation is that of a sample, with count - 1 below the sum (pandas' ddof=1):
        NaN where count is 1.

    Examples
    --------
    >>> s = group_statistics(np.array([1.0, 3.0, np.nan, 5.0]), np.array([0, 3]))
    >>> s.mean.tolist(), s.std.round(3).tolist(), s.count.tolist()
    ([2.0, 5.0], [1.414, nan], [2, 1])
    """
    if len(starts) == 0:
        none = np.empty(0)
        return Statistics(none, none, none, none, np.empty(0, np.int64))
    finite = np.isfinite(values)
    count = np.add.reduceat(finite, starts, dtype=np.int64)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
    sizes = np.diff(np.r_[starts, len(values)])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        # Distances from the lowest: a large offset costs no digits, equal samples have their mean.
        above = np.where(finite, values - np.repeat(low, sizes), 0.0)
        mean = np.minimum(low + np.add.reduceat(above, starts) / count, high)
        apart = np.where(finite, values - np.repeat(mean, sizes), 0.0)
        std = np.sqrt(np.add.reduceat(apart * apart, starts) / (count - 1))
    none = count == 0
    for statistic in (mean, std, low, high):
        statistic[none] = np.nan
    std[count == 1] = np.nan
    return Statistics(mean, std, low, high, count)
