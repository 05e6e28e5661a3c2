"""Names in the order in which a person counts: run_2 before run_10."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[list[tuple[str, float]], str]:
    """Return a key to sort names by, the numbers in them by their value.

    Examples
    --------
    >>> sorted(["run_10", "run_2", "lr_0.1", "lr_0.03"], key=natural)
    ['lr_0.03', 'lr_0.1', 'run_2', 'run_10']
    """
    parts = re.split(r"([0-9]+(?:\.[0-9]+)?)", name)
    numbers = [*map(float, parts[1::2]), -1.0]
    return list(zip(parts[::2], numbers, strict=True)), name
