"""The two bands around the mean of several runs."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

BandKind: TypeAlias = Literal["std", "range"]
BANDS: tuple[BandKind, ...] = get_args(BandKind)

Floats = npt.NDArray[np.float64]


def band_edges(
    kind: BandKind, mean: Floats, std: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Return the lower and the upper edge."""
    return (mean - std, mean + std) if kind == "std" else (low, high)


def band_note(runs: int, kind: BandKind) -> str:
    """Say in small print what the lines and bands are; `runs` is the most that a mean is of."""
    band = "mean ± standard deviation" if kind == "std" else "mean, lowest and highest"
    return f"{band} of {'1 run' if runs == 1 else f'up to {runs} runs'}"
