"""The recurrence one sample after the other, its state kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ewma._decay import gain


class RunningMean:
    """The bias-corrected mean of the samples so far: what `smooth` gives, bit by bit.

    A sample that is not finite leaves it as it is and comes out as it went in.
    """

    def __init__(self, beta: float) -> None:
        self._beta = beta
        self._count = 0
        # The mean is the sum of two numbers: over 1 / (1 - beta) samples, half an ulp a step would
        # add up.
        self._mean = self._rest = 0.0

    def update(self, samples: Sequence[float]) -> list[float]:
        """Return the mean after each of the samples."""
        gains = iter(
            gain(self._beta, np.arange(self._count + 1.0, self._count + len(samples) + 1)).tolist()
        )
        mean, rest = self._mean, self._rest
        means = []
        for x in samples:
            if not math.isfinite(x):
                means.append(x)
                continue
            self._count += 1
            g = next(gains)
            change = (x - mean) - rest
            if not math.isfinite(change):  # both are near the largest double
                mean, rest = (1 - g) * mean + g * x, 0.0
                means.append(mean)
                continue
            part = g * change
            # Knuth's sum: mean + part = total + what was lost.
            total = mean + part
            back = total - mean
            rest += (mean - (total - back)) + (part - back)
            mean = total + rest
            rest -= mean - total
            means.append(mean)
        self._mean, self._rest = mean, rest
        return means
