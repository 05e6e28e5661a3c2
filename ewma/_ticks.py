"""Round numbers along an axis."""

from __future__ import annotations

import math


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most so many round numbers from `low` to `high`, evenly spaced.

    >>> ticks(0.13, 2.4, 5)
    [0.5, 1.0, 1.5, 2.0]
    """
    if most < 1 or not 0 < (high - low) / most < math.inf:
        return []
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20, 50):
        spacing = power * factor
        if spacing == 0 or not math.isfinite(low / spacing):
            return []
        first, last = math.ceil(low / spacing), math.floor(high / spacing)
        if last - first < most:
            return [
                round(k * spacing, 12 - math.floor(math.log10(spacing)))
                for k in range(first, last + 1)
            ]
    return []


def tick_labels(numbers: list[float]) -> list[str]:
    """Return the numbers with as few digits as tell them apart, all alike.

    >>> tick_labels([0.0, 0.05, 0.1])
    ['0.00', '0.05', '0.10']
    """
    styles = [".0f", ".1f", ".2f", ".3f", ".4f", ".1e", ".2e", ".3e", ".5g", ".8g"]
    largest = max(map(abs, numbers), default=0.0)
    if largest >= 1e5:
        styles = styles[5:]
    for style in styles:
        labels = [format(number, style) for number in numbers]
        # 0.05 as 0.1 differs from 0, and yet is wrong
        if all(
            math.isclose(float(label), n, rel_tol=1e-9, abs_tol=1e-12 * largest)
            for label, n in zip(labels, numbers, strict=True)
        ):
            return labels
    return [format(number, ".4g") for number in numbers]
