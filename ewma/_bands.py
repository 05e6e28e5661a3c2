"""The bands around a line: of several runs, or of the samples that were smoothed."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal, TypeAlias, cast, get_args

import numpy as np
import numpy.typing as npt

BandKind: TypeAlias = Literal["std", "range"]
BANDS: tuple[BandKind, ...] = get_args(BandKind)

AnyBand: TypeAlias = BandKind | float

Floats = npt.NDArray[np.float64]


def check_band(band: Any) -> None:
    """Raise ValueError unless it is a kind of band, or how many deviations wide it is."""
    is_number = isinstance(band, Real) and not isinstance(band, bool)
    is_width = is_number and 0 < float(band) < math.inf
    if not (is_width or (isinstance(band, str) and band in BANDS)):
        raise ValueError(
            f"band must be one of {', '.join(map(repr, BANDS))}, or a number of standard "
            f"deviations above 0, received {band!r}"
        )


def band_from(text: str) -> AnyBand:
    """Return the band that a command's option asks for."""
    try:
        return float(text)
    except ValueError:
        return cast("BandKind", text)  # check_band says what is wrong


def deviations(band: AnyBand) -> float:
    """Return how many standard deviations a band reaches to either side."""
    if band == "range":
        raise ValueError(
            "band='range' is from the lowest to the highest of several runs: aggregate them first, "
            "or give a number of standard deviations"
        )
    return 1.0 if isinstance(band, str) else float(band)


def band_edges(
    band: AnyBand, mean: Floats, std: Floats, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Return the lower and the upper edge."""
    if band == "range":
        return low, high
    width = deviations(band)
    return mean - width * std, mean + width * std


def band_note(runs: int, band: AnyBand) -> str:
    """Say in small print what the lines and bands are; `runs` is the most that a mean is of."""
    what = "mean, lowest and highest" if band == "range" else f"mean ± {width_note(band)}"
    return f"{what} of {'1 run' if runs == 1 else f'up to {runs} runs'}"


def width_note(band: AnyBand) -> str:
    """Say how wide a band of standard deviations is."""
    width = deviations(band)
    return "standard deviation" if width == 1 else f"{width:g} standard deviations"
