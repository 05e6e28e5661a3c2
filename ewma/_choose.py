"""`choose_beta`: let the data say how much to forget."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ewma import _core
from ewma.containers import open_container

Array = npt.NDArray[Any]

_AT_ONCE = 16  # betas of each of the two passes: as many as the kernel takes side by side
ENOUGH = 3  # samples: with two, all betas forecast alike


def choose_beta(series: Any) -> float:
    r"""Choose the beta whose means forecast the next sample best.

    .. math:: \hat\beta = \arg\min_\beta \sum_{t>1} (x_t - y_{t-1})^2

    where :math:`y` is the mean as of ``ewma.smooth(series, beta)``. Noise around a level gives a
    beta near 1, a random walk one near 0. Missing samples are left out.

    Parameters
    ----------
    series : list, tuple, ndarray or Series
        One series of samples, at least 3 that are not missing.

    Returns
    -------
    float
        Between 0 and 1. Of betas that forecast equally well the largest: 1 for a constant.

    Raises
    ------
    ValueError
        For fewer than 3 samples, or more than one series.
    TypeError
        For samples that are not real numbers.

    See Also
    --------
    smooth : Takes ``beta="auto"``, which is this choice for each series.

    Notes
    -----
    This is how simple exponential smoothing is fitted, but that the first level is the first
    sample and the weights are bias-corrected, so that there is nothing else to fit. The error is
    evaluated for 16 betas in one pass over the samples, from alpha = 1 - beta = 1 down to a small
    part of one over their number, an octave or two apart, then for 16 around the best of them; the
    choice is where the parabola through the best three, over log alpha, is lowest.

    References
    ----------
    R. J. Hyndman and G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition, 2021,
    section 8.1.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal(1000)
    >>> choose_beta(noise) > 0.99
    True
    >>> choose_beta(noise.cumsum()) < 0.1
    True
    """
    values = open_container(series).values
    if values.dtype.kind == "c":
        raise TypeError(f"samples must be real numbers; received {values.dtype}: take .real")
    if values.ndim != 1:
        raise ValueError(
            "series must be one series, with one axis; received shape "
            f"{values.shape}: choose for each column"
        )
    samples = finite(values)
    if len(samples) < ENOUGH:
        raise ValueError(
            f"series must have at least {ENOUGH} samples that are not missing; received "
            f"{len(samples)}: give more, or a beta"
        )
    return best_beta(samples)


def finite(values: Array) -> npt.NDArray[np.float64]:
    """Return the samples that are there."""
    values = np.asarray(values, np.float64)
    there = np.isfinite(values)
    return np.ascontiguousarray(values if there.all() else values[there])


def best_beta(samples: npt.NDArray[np.float64]) -> float:
    """Return the choice for samples that are all there, at least one."""
    # Near 1 in size, and from the first one on: nothing overflows, and no offset costs digits.
    exponent = math.frexp(np.abs(samples).max())[1]
    x = samples * math.ldexp(1.0, min(-exponent, 1023))  # exact, and faster than np.ldexp
    x -= x[0]
    if not x.any():
        return 1.0
    # In powers of two of alpha: from no past at all to more of it than there is.
    low, high = -math.log2(8 * len(x)), 0.0
    exponents = np.linspace(low, high, _AT_ONCE - 1)
    betas = np.concatenate([[1.0], 1 - np.exp2(exponents)])
    errors = _errors(x, betas)
    at = int(np.argmin(errors))  # of equal ones the first, and so the largest beta
    if at == 0:
        return 1.0  # further than to the least alpha that is tried there is no need to look
    width = exponents[1] - exponents[0]
    middle = exponents[at - 1]
    exponents = np.linspace(max(low, middle - width), min(high, middle + width), _AT_ONCE)
    errors = _errors(x, 1 - np.exp2(exponents))
    return 1 - 2 ** _lowest_point(exponents, errors)


def _errors(x: npt.NDArray[np.float64], betas: npt.NDArray[np.float64]) -> Array:
    sums = np.empty(len(betas))
    _core.forecast_errors(x, betas, sums)
    return sums


def _lowest_point(exponents: Array, errors: Array) -> float:
    """Return where the parabola through the least error and its neighbours is lowest."""
    at = min(max(int(np.argmin(errors)), 1), len(errors) - 2)  # at an end, its only neighbours
    left, least, right = errors[at - 1 : at + 2]
    bend = (left - least) + (right - least)
    if bend <= 0:
        return float(exponents[np.argmin(errors)])
    steps = min(max((left - right) / (2 * bend), -1.0), 1.0)
    return float(np.interp(at + steps, np.arange(len(exponents)), exponents))
