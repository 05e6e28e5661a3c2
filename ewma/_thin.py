"""Fewer samples for the same picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def thin(x: NDArray[np.float64], y: NDArray[np.float64], columns: int) -> NDArray[np.intp]:
    """Return the indices of the samples that are needed to draw a curve `columns` pixels wide.

    A million samples on a few hundred columns of pixels are slow to draw and make a file of many
    megabytes. Of the samples in one column only the first, the last, the lowest and the highest
    show, so the picture and its extremes stay the same (M4 aggregation, Jugel et al. 2014). A mean
    or every k-th sample would lose the spikes.
    """
    n = len(x)
    if n <= 4 * columns:
        return np.arange(n)
    placed = np.isfinite(x)
    low, high = (x[placed].min(), x[placed].max()) if placed.any() else (0.0, 0.0)
    scale = columns / (high - low) if high > low else 0.0
    column = np.where(placed, (x - low) * scale, -1.0).astype(np.intp)
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
    if len(starts) > 2 * columns:  # x runs to and fro: columns of samples instead of pixels
        starts = np.arange(columns) * n // columns
    ends = np.r_[starts[1:], n]
    group = np.repeat(np.arange(len(starts)), ends - starts)
    finite = np.where(np.isfinite(y), y, np.nan)
    kept = [starts, ends - 1]
    for extreme in (np.fmin, np.fmax):
        hits = np.flatnonzero(finite == extreme.reduceat(finite, starts)[group])
        kept.append(hits[np.r_[True, np.diff(group[hits]) > 0]] if len(hits) else hits)
    return np.unique(np.concatenate(kept))
