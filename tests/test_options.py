"""Every option with every other one, against the definition in exact fractions."""

import functools
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from exact_statistics import by_definition, decays_and_weights

import ewma

NAN, INF = math.nan, math.inf

SAMPLES = {
    "all there": [4.0, 1.0, 3.0, 3.0, -2.0, 7.5, 0.0, 1.0, 12.0, -1.0],
    "gaps": [NAN, 4.0, 1.0, NAN, INF, 3.0, -2.0, NAN, 7.5, -INF],
    "one": [NAN, NAN, 5.0, NAN, NAN, NAN, NAN, NAN, NAN, NAN],
}
TIMES = {
    "none": None,
    "even": list(range(10)),
    "uneven": [-3, 0, 1, 1, 4, 5, 5, 9, 30, 31],
    "ties": [2, 2, 2, 2, 3, 3, 3, 3, 8, 8],
}
BY = {"none": None, "two": list("abaabbabab"), "runs": [5, 5, 5, 1, 1, 1, 1, 9, 9, 5]}
STATISTICS = {"mean": ewma.smooth, "var": ewma.var, "std": ewma.std}
FLAGS = (False, True)


def expected(x, beta, *, statistic, **options):
    """Return the definition's numbers as floats; what is missing is NaN."""
    exact = by_definition(x, beta, statistic="mean" if statistic == "mean" else "var", **options)
    numbers = [NAN if value is None else float(value) for value in exact]
    return np.sqrt(numbers) if statistic == "std" else np.array(numbers)


def combinations():
    """Yield every combination that has a meaning."""
    for statistic, times, weighting, by, ignore_na, fill in itertools.product(
        STATISTICS, TIMES, ("sample", "time"), BY, FLAGS, FLAGS
    ):
        if weighting == "time" and times == "none":
            continue
        for flag in FLAGS:
            own = {"debias": flag} if statistic == "mean" else {"bias": flag}
            yield {
                "statistic": statistic,
                "times": times,
                "weighting": weighting,
                "by": by,
                "ignore_na": ignore_na,
                "fill": fill,
                **own,
            }


@pytest.mark.parametrize("samples", SAMPLES)
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
def test_every_combination(samples, beta):
    x = np.array(SAMPLES[samples])
    for named in combinations():
        options = named | {"times": TIMES[named["times"]], "by": BY[named["by"]]}
        definition = {"debias": True, "bias": False} | options
        exact = expected(SAMPLES[samples], beta, **definition)
        function = STATISTICS[options.pop("statistic")]
        y = function(x, beta, **options)
        # What is missing comes out of the mean as it went in.
        as_it_was = np.isinf(x) & (function is ewma.smooth) & (not options["fill"])
        assert np.array_equal(y[as_it_was], x[as_it_was]), named
        y = np.where(as_it_was, NAN, y)
        np.testing.assert_allclose(y, exact, rtol=1e-13, atol=1e-13, err_msg=str(named))


def long_options():
    """Return samples, times and groups of more than a block, and of one with gaps."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(420)
    x[280:][rng.random(140) < 0.2] = np.nan
    uneven = rng.integers(0, 4, 420).cumsum()
    times = {"none": None, "even": range(420), "uneven": uneven, "ties": np.arange(420) // 3}
    runs = np.repeat([5, 1, 5], [290, 40, 90])
    return x, times, {"none": None, "two": rng.integers(0, 2, 420), "runs": runs}


LONG, LONG_TIMES, LONG_BY = long_options()


@functools.cache
def in_long_doubles(beta, times, weighting, by, ignore_na, debias):
    """Return means, biased and unbiased variances after each row by their definition."""
    codes = np.zeros(420) if LONG_BY[by] is None else LONG_BY[by]
    found = np.full((3, 420), np.nan)
    for group in np.unique(codes):
        rows = np.flatnonzero(codes == group)
        x, at = LONG[rows], LONG_TIMES[times]
        at = None if at is None else np.asarray(at)[rows].tolist()
        decays, counts = decays_and_weights(x, at, np.longdouble(beta), weighting, debias)
        weights, now = np.zeros(len(rows), np.longdouble), [np.nan] * 3
        known, there = np.nan_to_num(x).astype(np.longdouble), np.isfinite(x)
        for i, row in enumerate(rows):
            if there[i] or not ignore_na:
                weights *= decays[i]
            if there[i]:
                weights[i] = counts[i]
            if there[i] or not (debias or ignore_na):
                now = statistics_of(known, weights, there[: i + 1], debias)
            found[:, row] = now
    return found


def statistics_of(x, weights, there, debias):
    """Return the mean, the biased and the unbiased variance."""
    if not there.any():
        return [np.nan] * 3
    if not debias:
        return [(weights * x).sum(), np.nan, np.nan]
    if weights.sum() == 0:  # nothing counts yet but that the first one was there
        weights = np.zeros(len(x))
        weights[np.argmax(there)] = 1
    total = weights.sum()
    mean = (weights * x).sum() / total
    variance = (weights * (x - mean) ** 2).sum() / total
    # total**2 less the sum of squares, of which little is left after a long gap
    unlike = 2 * (weights[1:] * weights.cumsum()[:-1]).sum()
    return [mean, variance, variance * total**2 / unlike if unlike > 0 else np.nan]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("beta", [0.5, 0.9])
def test_every_combination_over_blocks(beta, threads, monkeypatch):
    for module in ("_threads", "_smooth"):  # a thread each for few samples too
        monkeypatch.setattr(f"ewma.{module}.SAMPLES_PER_THREAD", 128)
    for named in combinations():
        options = named | {"times": LONG_TIMES[named["times"]], "by": LONG_BY[named["by"]]}
        statistic = options.pop("statistic")
        keys = ("times", "weighting", "by", "ignore_na")
        means, biased, unbiased = in_long_doubles(
            beta, *(named[key] for key in keys), named.get("debias", True)
        )
        exact = means if statistic == "mean" else biased if named["bias"] else unbiased
        exact = np.sqrt(exact) if statistic == "std" else exact
        exact = exact if named["fill"] else np.where(np.isfinite(LONG), exact, NAN)
        y = STATISTICS[statistic](LONG, beta, threads=threads, **options)
        np.testing.assert_allclose(y, exact, rtol=1e-12, atol=1e-13, err_msg=str(named))


@pytest.mark.parametrize("named", list(combinations())[::7], ids=str)
def test_containers_axes_and_several_betas(named):
    options = named | {"times": TIMES[named["times"]], "by": BY[named["by"]]}
    function = STATISTICS[options.pop("statistic")]
    x = np.array(SAMPLES["gaps"])
    y = function(x, 0.9, **options)
    rows = np.column_stack([x, x[::-1], np.ones(10)])
    for block, axis in (
        (rows, 0),
        (np.asfortranarray(rows), 0),
        (rows.T, 1),
        (rows.T.copy(), -1),
        (np.repeat(rows[None], 2, axis=0), 1),
        (rows[:, None, :].astype(np.float32), 0),
    ):
        result = function(block, 0.9, axis=axis, **options)
        assert result.shape == block.shape
        assert result.dtype == block.dtype
        one = np.moveaxis(result, axis, -1).reshape(-1, 10)[0]
        np.testing.assert_allclose(one, y, rtol=1e-14 if block.dtype == np.float64 else 1e-6)
    with pytest.raises(TypeError, match=r"beta must be numbers; received \[None, 0\.5\]"):
        function(rows, [None, 0.5], **options)
    several = function(rows, [0.5, 0.9], **options)
    assert several.shape == (2, 10, 3)
    np.testing.assert_array_equal(several[1], function(rows, 0.9, **options))
    np.testing.assert_array_equal(several[0], function(rows, 0.5, **options))

    series = pd.Series(x, index=pd.RangeIndex(5, 15), name="loss")
    pd.testing.assert_series_equal(
        function(series, 0.9, **options), pd.Series(y, index=series.index, name="loss")
    )
    frame = function(series, [0.5, 0.9], **options)
    assert list(frame.columns) == [0.5, 0.9]
    assert frame.columns.name == "beta"
    np.testing.assert_array_equal(frame[0.9], y)
    wide = function(pd.DataFrame({"a": x, "b": 2 * x}), span=[3, 19], **options)
    assert wide.columns.tolist() == [(3, "a"), (3, "b"), (19, "a"), (19, "b")]
    np.testing.assert_allclose(wide[(19, "a")], y, rtol=1e-13)
    out = np.empty_like(rows)
    assert function(rows, 0.9, out=out, **options) is out
    np.testing.assert_allclose(out[:, 0], y, rtol=1e-14)
    in_place = rows.copy()
    function(in_place, 0.9, out=in_place, **options)
    np.testing.assert_array_equal(in_place, out)
    listed = function([0.0, 1.0, 2.0], [0.5, 0.9])
    assert [type(part) for part in listed] == [list, list]
