"""Smoothing with options: gaps, variances, groups, times, several series, types and sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numbagg
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

import ewma
from table import Row, Target, mebibytes, seconds
from timing import interleave, stopwatch

Call = Callable[[], Any]

BETA = 0.9
ALPHA = 1 - BETA
MILLISECONDS = 1e-3
HERE = Path(__file__).parent


def measure() -> Iterator[Row]:
    """Yield the rows."""
    rng = np.random.default_rng(0)
    yield from _into_out(rng.standard_normal(10**5))
    yield from _float32(rng.standard_normal(10**7).astype(np.float32))
    yield from _columns(rng.standard_normal((10**4, 10**3)))
    yield from _few_columns(rng.standard_normal(10**6))
    yield from _short_series(rng.standard_normal(10**6))
    yield from _gaps(rng.standard_normal(10**6), rng.random(10**6) < 0.1)
    yield from _spread(rng.standard_normal(10**6), rng.random(10**6) < 0.1)
    yield from _groups(rng.standard_normal(10**6), rng.integers(0, 10**4, 10**6))
    yield from _times(rng.standard_normal(10**6), rng.exponential(1e9, 10**6))
    yield from _sizes()
    yield from _memory()


def _rows(
    work: str,
    ours: Call,
    peers: dict[str, tuple[Call, Target | None]],
    equal: Callable[[Any], Any] | None = None,
    rounds: int = 31,
) -> Iterator[Row]:
    """Yield a row a peer; `equal` makes an array of a peer's result, to be compared with ours."""
    if equal is not None:
        for call, _ in peers.values():
            np.testing.assert_allclose(equal(call()), ours(), rtol=1e-7, atol=1e-9)
    calls = {"ewma": ours} | {name: call for name, (call, _) in peers.items()}
    clocks = {
        name: stopwatch(call, at_least=4 * MILLISECONDS, warm_up=3) for name, call in calls.items()
    }
    samples = interleave(clocks, rounds)
    for name, (_, target) in peers.items():
        yield Row(work, samples["ewma"], name, samples[name], target, seconds)


def _into_out(x: npt.NDArray[np.float64]) -> Iterator[Row]:
    out, other = np.empty_like(x), np.empty_like(x)
    yield from _rows(
        "10^5 float64 into out=",
        partial(ewma.smooth, x, BETA, out=out),
        {
            "np.copyto": (partial(np.copyto, other, x), Target("<=", 2.5)),
            "np.cumsum(out=)": (partial(np.cumsum, x, out=other), Target(">=", 4)),
            "numbagg": (partial(numbagg.move_exp_nanmean, x, alpha=ALPHA), Target(">=", 3)),
        },
    )


def _float32(x: npt.NDArray[np.float32]) -> Iterator[Row]:
    yield from _rows(
        "10^7 float32",
        partial(ewma.smooth, x, BETA),
        {"x.copy()": (x.copy, Target("<=", 1.3))},
        rounds=15,
    )


def _columns(x: npt.NDArray[np.float64]) -> Iterator[Row]:
    better = partial(numbagg.move_exp_nanmean, x, alpha=ALPHA, axis=1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:

        def one_more() -> npt.NDArray[np.float64]:
            """Return x + 1, which takes as long as new memory does."""
            y = np.empty_like(x)
            shares = (np.array_split(each, cores or 1) for each in (x, y))
            list(pool.map(lambda share, out: np.add(share, 1, out=out), *shares))
            return y

        for order in "CF":
            ordered = np.asarray(x, order=order)  # type: ignore[call-overload]
            for axis in (0, 1):
                by_column = ordered if axis == 0 else ordered.T
                pandas, polars = pd.DataFrame(by_column), pl.DataFrame(by_column)
                yield from _rows(
                    f"10^4 × 10^3 float64, {order} order, time on axis {axis}",
                    partial(ewma.smooth, ordered, BETA, axis=axis),
                    {
                        "x.copy()": (partial(ordered.copy, order="K"), Target("<=", 1.3)),
                        "x + 1 on all cores": (one_more, None),
                        "numbagg, axis 1 of C": (better, Target(">=", 1.7)),
                        "pandas": (pandas.ewm(alpha=ALPHA).mean, Target(">=", 10)),
                        "polars": (
                            partial(polars.select, pl.all().ewm_mean(alpha=ALPHA)),
                            Target(">=", 4),
                        ),
                    },
                    rounds=15,
                )


def _few_columns(x: npt.NDArray[np.float64]) -> Iterator[Row]:
    for columns in (10, 100):
        rows = x.reshape(-1, columns)
        frame = pd.DataFrame(rows.copy())
        yield from _rows(
            f"10^6 float64 in {columns} columns, C order, time on axis 0",
            partial(ewma.smooth, rows, BETA),
            {
                "x.copy()": (rows.copy, None),
                "numbagg": (partial(numbagg.move_exp_nanmean, rows, alpha=ALPHA, axis=0), None),
                "pandas": (frame.ewm(alpha=ALPHA).mean, None),
            },
        )


def _short_series(x: npt.NDArray[np.float64]) -> Iterator[Row]:
    for samples in (10, 100):
        each = x.reshape(-1, samples)
        yield from _rows(
            f"10^6 float64, series of {samples} in C order",
            partial(ewma.smooth, each, BETA, axis=1),
            {
                "x.copy()": (each.copy, None),
                "numbagg": (partial(numbagg.move_exp_nanmean, each, alpha=ALPHA), None),
            },
        )


def _gaps(x: npt.NDArray[np.float64], gone: npt.NDArray[np.bool_]) -> Iterator[Row]:
    x[gone] = np.nan
    peer = partial(numbagg.move_exp_nanmean, x, alpha=ALPHA)
    # numbagg's weights decay over gaps, and it fills them.
    filled = ewma.smooth(x, BETA, ignore_na=False, fill=True)
    np.testing.assert_allclose(peer(), filled, rtol=1e-9)
    for ignore_na in (True, False):
        yield from _rows(
            f"10^6 float64, 10 % NaN, ignore_na={ignore_na}",
            partial(ewma.smooth, x, BETA, ignore_na=ignore_na, fill=True),
            {"numbagg": (peer, Target(">=", 1.5))},
        )


def _spread(x: npt.NDArray[np.float64], gone: npt.NDArray[np.bool_]) -> Iterator[Row]:
    with_gaps = np.where(gone, np.nan, x)
    for samples, gaps in ((x, ""), (with_gaps, ", 10 % NaN")):
        ewm = pd.Series(samples).ewm(alpha=ALPHA)
        for name in ("var", "std"):
            numbagg_s = partial(getattr(numbagg, f"move_exp_nan{name}"), samples, alpha=ALPHA)
            yield from _rows(
                f"{name} of 10^6 float64{gaps}",
                partial(getattr(ewma, name), samples, BETA, ignore_na=False, fill=True),
                {
                    "numbagg": (numbagg_s, None if gaps else Target(">=", 3)),
                    "pandas": (getattr(ewm, name), None if gaps else Target(">=", 8)),
                },
                equal=np.asarray,
            )


def _groups(x: npt.NDArray[np.float64], keys: npt.NDArray[np.int64]) -> Iterator[Row]:
    for order, by in (("sorted", np.sort(keys)), ("shuffled", keys)):
        polars = pl.DataFrame({"key": by, "x": x})
        pandas = pd.DataFrame({"key": by, "x": x}).groupby("key")["x"].ewm(alpha=ALPHA)
        yield from _rows(
            f"10^6 rows in 10^4 groups, {order}",
            partial(ewma.smooth, x, BETA, by=by),
            {
                "polars over": (
                    partial(polars.select, pl.col("x").ewm_mean(alpha=ALPHA).over("key")),
                    Target(">=", 2),
                ),
                "pandas groupby": (pandas.mean, Target(">=", 10)),
            },
            equal=_in_rows,
            rounds=9,
        )


def _in_rows(result: pl.DataFrame | pd.Series) -> npt.NDArray[np.float64]:
    """Return a result by groups in the order of the rows: pandas has the groups' order."""
    if isinstance(result, pl.DataFrame):
        return result.to_series().to_numpy()
    return result.droplevel(0).sort_index().to_numpy()


def _times(x: npt.NDArray[np.float64], between: npt.NDArray[np.float64]) -> Iterator[Row]:
    times = pd.to_datetime(between.cumsum().astype(np.int64))
    series = pd.Series(x, index=times)
    polars = pl.DataFrame({"time": times.to_numpy(), "x": x})
    yield from _rows(
        "10^6 rows with times",
        partial(ewma.smooth, series, halflife="5s", times="index"),
        {
            # Without bias correction, from the first sample on.
            "polars ewm_mean_by": (
                partial(polars.select, pl.col("x").ewm_mean_by("time", half_life="5s")),
                Target(">=", 2),
            ),
            "pandas": (lambda: series.ewm(halflife="5s", times=times).mean(), Target(">=", 3)),
        },
    )


def _sizes() -> Iterator[Row]:
    """Yield the time a sample, in one thread, into memory that is there."""
    clocks, sizes = {}, [10**4, 10**5, 10**6, 10**7, 10**8]
    for size in sizes:
        x = np.random.default_rng(0).standard_normal(size)
        out = np.empty_like(x)
        call = partial(ewma.smooth, x, BETA, out=out, threads=1)
        clocks[size] = stopwatch(call, at_least=4 * MILLISECONDS, warm_up=1)
    samples = {
        size: [time / size for time in times] for size, times in interleave(clocks, 7).items()
    }
    for small, large in pairwise(sizes):
        # The caches end between 10^5 and 10^7.
        flat = Target("<=", 1.2) if large == 10**5 or small == 10**7 else None
        name = f"10^{len(str(small)) - 1} samples"
        work = f"a sample of 10^{len(str(large)) - 1}, one thread"
        yield Row(work, samples[large], name, samples[small], flat, seconds)


def _memory() -> Iterator[Row]:
    """Yield what a call takes beyond its input and output, at its peak, in a fresh process."""
    for options in (
        "smooth",
        "smooth columns",
        "smooth ignore_na",
        "var",
        "smooth times",
        "smooth int64",
        "smooth by",
    ):
        command = [sys.executable, str(HERE / "smoothing_memory.py"), options]
        measured = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        # A column's mean has two doubles, before the rows that are worked on and after them, and
        # each thread works on all columns for a time. Groups come in any order: the state of each
        # is kept, a line of the cache.
        columns, groups = measured["columns"], measured["groups"]
        yield Row(
            f"peak memory beyond input and output: {options}",
            [measured["beyond"]],
            "64 KiB a thread"
            + ", and 32 bytes a column" * (columns > 0)
            + ", and 64 bytes a group" * (groups > 0),
            [2 * (2**16 + 32 * columns) + 64 * groups],
            Target("<=", 1),
            mebibytes,
        )
