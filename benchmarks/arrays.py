"""Smoothing arrays and a Series, against the other libraries that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numbagg
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
from scipy.signal import lfilter

import ewma
from table import Row, Target, seconds
from timing import Samples, interleave, stopwatch

Array = npt.NDArray[np.float64]


class Peer(NamedTuple):
    """Another library's way to do the same.

    `container` makes what it works on, before the clock starts; `debias` says whether its result
    is bias-corrected.
    """

    container: Callable[[Array], Any]
    smooth: Callable[[Any, float], Any]
    debias: bool = True


PEERS = {
    "numbagg": Peer(np.asarray, lambda x, beta: numbagg.move_exp_nanmean(x, alpha=1 - beta)),
    "pandas": Peer(pd.Series, lambda x, beta: x.ewm(alpha=1 - beta).mean()),
    "polars": Peer(pl.Series, lambda x, beta: x.ewm_mean(alpha=1 - beta)),
    # It leaves the correction of the bias to its caller, and so does less.
    "lfilter": Peer(np.asarray, lambda x, beta: lfilter([1 - beta], [1, -beta], x), debias=False),
}

MILLISECONDS = 1e-3


def measure() -> Iterator[Row]:
    """Yield the rows on arrays and on a Series."""
    for beta in (0.5, 0.9, 0.999, 0.99999):
        targets = {
            "x.copy()": Target("<=", 1.2),
            "numbagg": Target(">=", 2),
            "pandas": Target(">=", 6),
        }
        yardsticks: dict[str, Callable[[Array], Array]] = {
            "x.copy()": np.copy,
            "ewma, one thread": partial(ewma.smooth, beta=beta, threads=1),
        }
        yield from _array(10**7, beta, targets, yardsticks, rounds=15)
    targets = {"numbagg": Target(">=", 2.5), "pandas": Target(">=", 15)}
    yield from _array(10**5, 0.9, targets, {}, rounds=31)
    targets = {"np.cumsum(x)": Target("<=", 1.0)} | dict.fromkeys(PEERS, Target(">=", 3))
    yield from _array(10**3, 0.9, targets, {"np.cumsum(x)": np.cumsum}, rounds=31)
    yield from _series(10**3, 0.9, rounds=31)


def _array(
    size: int,
    beta: float,
    targets: dict[str, Target],
    yardsticks: dict[str, Callable[[Array], Array]],
    rounds: int,
) -> Iterator[Row]:
    x = np.random.default_rng(0).normal(size=size)
    calls: dict[str, Callable[[], object]] = {"ewma": partial(ewma.smooth, x, beta=beta)}
    for name, yardstick in yardsticks.items():
        calls[name] = partial(yardstick, x)
    for name, peer in PEERS.items():
        series = peer.container(x)
        expected = ewma.smooth(x, beta=beta, debias=peer.debias)
        np.testing.assert_allclose(peer.smooth(series, beta), expected, rtol=0, atol=1e-9)
        calls[name] = partial(peer.smooth, series, beta)
    del expected
    samples = _samples(calls, rounds)
    ours = samples.pop("ewma")
    for name, theirs in samples.items():
        work = f"10^{len(str(size)) - 1} float64, beta {beta}"
        yield Row(work, ours, name, theirs, targets.get(name), seconds)


def _series(size: int, beta: float, rounds: int) -> Iterator[Row]:
    x = np.random.default_rng(0).normal(size=size)
    series = pd.Series(x, index=np.arange(size) * 10, name="loss")
    pd.testing.assert_series_equal(
        ewma.smooth(series, beta=beta), series.ewm(alpha=1 - beta).mean(), rtol=0, atol=1e-9
    )
    calls: dict[str, Callable[[], object]] = {
        "ewma": partial(ewma.smooth, series, beta=beta),
        "pd.Series(x)": partial(pd.Series, x),
    }
    samples = _samples(calls, rounds)
    yield Row(
        "Series of 10^3",
        samples["ewma"],
        "pd.Series(x)",
        samples["pd.Series(x)"],
        Target("<=", 2),
        seconds,
    )


def _samples(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Samples]:
    # Memory that has lain free for a second or two may have gone back to a virtual machine's host,
    # and comes back slowly: a call before the clock starts makes sure that it is there.
    clocks = {
        name: stopwatch(call, at_least=4 * MILLISECONDS, warm_up=3) for name, call in calls.items()
    }
    return interleave(clocks, rounds)
