"""Interleaved timing: each round runs every call once, so that all meet the same weather."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

Stopwatch: TypeAlias = Callable[[], float]
"""Does the work and returns the seconds that it took."""

Samples: TypeAlias = list[float]
"""One number a round."""


class Ratio(NamedTuple):
    """Median and quartiles of the ratios within each round."""

    low: float
    median: float
    high: float


def stopwatch(call: Callable[[], object], at_least: float = 0.0, warm_up: int = 0) -> Stopwatch:
    """Time `call`, over as many calls in a row as take `at_least` seconds.

    `warm_up` calls come before the clock starts, each time. The last result is freed after the
    clock has stopped. What is slow the first time (compiling, imports, caches) belongs before this.
    """
    loops = 1
    while at_least and loops * _time(call, loops) < at_least:
        loops *= 2

    def seconds() -> float:
        for _ in range(warm_up):
            call()
        return _time(call, loops)

    return seconds


def _time(call: Callable[[], object], loops: int) -> float:
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(loops - 1):
            call()
        result = call()
        stop = time.perf_counter()
    finally:
        if enabled:
            gc.enable()
    del result
    return (stop - start) / loops


def interleave(stopwatches: Mapping[str, Stopwatch], rounds: int) -> dict[str, Samples]:
    """Run every stopwatch once a round, in an order that changes from round to round."""
    samples: dict[str, Samples] = {name: [] for name in stopwatches}
    order = list(stopwatches)
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            samples[name].append(stopwatches[name]())
    return samples


def ratio(numerator: Samples, denominator: Samples) -> Ratio:
    """Divide round by round."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    return Ratio(*statistics.quantiles(ratios, n=4, method="inclusive"))
