"""`EMA` beside calls that do nothing, and `choose_beta` beside statsmodels' fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from statsmodels.tsa.holtwinters import SimpleExpSmoothing

import ewma
from table import Row, Target, seconds
from timing import interleave, stopwatch


def _empty(_: float) -> None:
    pass


def measure() -> Iterator[Row]:
    """Yield the rows on streams and on the choice of beta."""
    yield from _number()
    yield from _chunk()
    for size in (300, 10_000):
        yield from _choice(size)


def _number() -> Iterator[Row]:
    ema = ewma.EMA(0.9)

    def update() -> None:
        for _ in range(1000):
            ema.update(1.0)

    def call() -> None:
        for _ in range(1000):
            _empty(1.0)

    yield from _rows("EMA.update, 1,000 floats", update, {"empty calls": (call, Target("<=", 3))})


def _chunk() -> Iterator[Row]:
    x = np.random.default_rng(0).normal(size=10**6)
    np.testing.assert_array_equal(ewma.EMA(0.9).update(x), ewma.smooth(x, 0.9, threads=1))
    yield from _rows(
        "EMA.update, a chunk of 10^6",
        lambda: ewma.EMA(0.9).update(x),
        {"smooth": (partial(ewma.smooth, x, 0.9, threads=1), None)},
    )


def _choice(size: int) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=size).cumsum() + 5 * rng.normal(size=size)

    def fit() -> float:
        model = SimpleExpSmoothing(x, initialization_method="estimated")
        return float(model.fit().params["smoothing_level"])

    np.testing.assert_allclose(1 - ewma.choose_beta(x), fit(), rtol=0.1)
    peers = {"statsmodels": (fit, Target(">=", 50))}
    yield from _rows(f"choose_beta, {size:,} samples", partial(ewma.choose_beta, x), peers)


def _rows(
    work: str,
    ours: Callable[[], object],
    peers: dict[str, tuple[Callable[[], object], Target | None]],
) -> Iterator[Row]:
    calls = {"ewma": ours} | {name: call for name, (call, _) in peers.items()}
    clocks = {name: stopwatch(call, at_least=2e-3, warm_up=1) for name, call in calls.items()}
    samples = interleave(clocks, rounds=15)
    for name, (_, target) in peers.items():
        yield Row(work, samples["ewma"], name, samples[name], target, seconds)
