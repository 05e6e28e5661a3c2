"""`times`: every type of them, against pandas and polars where these are defined; bad ones."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewma import EMA, smooth, std, var

SECONDS = np.array([0, 2, 3, 3, 10, 60, 61, 7200], np.int64)
X = np.random.default_rng(1).standard_normal(8)
EXPECTED = smooth(X, halflife=5, times=SECONDS)


def dates(unit):
    return np.datetime64("2024-02-28T23:59:50", unit) + SECONDS.astype("m8[s]").astype(
        f"m8[{unit}]"
    )


@pytest.mark.parametrize(
    "times",
    [
        dates("s"),
        dates("ns"),
        dates("us"),
        SECONDS.astype("m8[ms]") * 1000,
        pd.DatetimeIndex(dates("ns")),
        pd.DatetimeIndex(dates("ms"), tz="Europe/Zurich"),
        pd.to_timedelta(SECONDS, unit="s"),
        pd.Series(dates("ns")),
        pd.Series(dates("us")).dt.tz_localize("UTC"),
        pd.Series(dates("us"), dtype="timestamp[us][pyarrow]"),
        [datetime.datetime(2024, 2, 28) + datetime.timedelta(seconds=int(s)) for s in SECONDS],
        [pd.Timestamp("2024-02-28", tz="UTC") + pd.Timedelta(int(s), "s") for s in SECONDS],
    ],
    ids=lambda times: f"{type(times).__name__} {getattr(times, 'dtype', '')}",
)
@pytest.mark.parametrize(
    "halflife",
    ["5s", datetime.timedelta(seconds=5), pd.Timedelta(5, "s"), np.timedelta64(5000, "ms")],
    ids=repr,
)
def test_dates_and_durations(times, halflife):
    np.testing.assert_allclose(smooth(X, halflife=halflife, times=times), EXPECTED, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "u8", "f2", "f4", "f8", ">f8", ">i8"])
def test_numbers(dtype):
    times = np.array([0, 2, 3, 3, 10, 60, 61, 100], dtype)
    expected = smooth(X, 0.9, times=times.astype(float))
    np.testing.assert_array_equal(smooth(X, 0.9, times=times), expected)
    np.testing.assert_array_equal(smooth(X, 0.9, times=times.tolist()), expected)
    series = pd.Series(X, index=times.astype(times.dtype.newbyteorder("=")).astype(float))
    np.testing.assert_array_equal(smooth(series, 0.9, times="index"), expected)


@pytest.mark.parametrize(
    ("dtype", "halflife"),
    [
        *((dtype, "1s") for dtype in (">m8[s]", ">M8[s]", "<M8[s]")),
        *((">M8[10s]", "10s"), ("M8[D]", "1D"), (">i4", 1), (">f8", 1)),
        *((f"m8[{unit}]", np.timedelta64(1, unit)) for unit in ("ps", "fs", "as")),
    ],
)
def test_byte_orders_and_steps(dtype, halflife):
    x, steps = [4.0, 1.0, 3.0], np.array([0, 1, 3])
    expected = smooth(x, halflife=1, times=steps)
    times = steps.astype(dtype)
    assert smooth(x, halflife=halflife, times=times) == pytest.approx(expected, rel=1e-15)
    if dtype[-3:-2] not in "pfa":  # nanoseconds are the shortest that a stream counts in
        assert EMA(halflife=halflife).update(x, times) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("function", [smooth, var, std])
@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_out_may_be_where_times_lie(function, dtype):
    x, times = np.sin(np.arange(3000.0)), np.arange(3000).astype(dtype)
    expected = function(x, 0.5, times=times, by=times // 2000)
    out = times.view("f8")
    function(x, 0.5, times=times, by=times // 2000, out=out)
    np.testing.assert_array_equal(out, expected)


def test_out_may_be_where_groups_lie():
    x, groups = np.sin(np.arange(3000.0)), np.arange(3000) % 7
    expected = smooth(x, 0.5, by=groups)
    out = groups.view("f8")
    np.testing.assert_array_equal(smooth(x, 0.5, by=groups, out=out), expected)


def test_large_numbers():
    since_1970 = SECONDS * 10**9 + 1_700_000_000_123_456_789
    smoothed = smooth(X, halflife=5e9, times=since_1970)
    np.testing.assert_allclose(smoothed, EXPECTED, rtol=1e-15)
    unsigned = since_1970.astype(np.uint64) + np.uint64(2**63 - 1_700_000_000_123_456_789 + 2**11)
    np.testing.assert_allclose(smooth(X, halflife=5e9, times=unsigned), EXPECTED, rtol=1e-5)
    ends = [-(2**63), 2**63 - 1]
    assert smooth([1.0, 2.0], halflife=2.0**64, times=ends)[1] == pytest.approx(5 / 3)


def test_the_index():
    series = pd.Series(X, index=dates("ns"))
    frame = series.to_frame("loss").assign(twice=2 * X)
    np.testing.assert_allclose(smooth(series, halflife="5s", times="index"), EXPECTED, rtol=1e-15)
    smoothed = smooth(frame, halflife="5s", times="index")
    np.testing.assert_allclose(smoothed["twice"], 2 * EXPECTED, rtol=1e-15)
    for index in (frame.index.tz_localize("Asia/Tokyo"), pd.to_timedelta(SECONDS, unit="s")):
        other = smooth(frame.set_index(index), halflife="5s", times="index")
        np.testing.assert_array_equal(other, smoothed)


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("ignore_na", [False, True])
def test_pandas(share, ignore_na):
    rng = np.random.default_rng(3)
    x = rng.standard_normal(3000).cumsum() + 100
    x[rng.random(len(x)) < share] = np.nan
    times = pd.to_datetime(rng.integers(0, 10**13, len(x)).cumsum() // 10**4)
    ewm = pd.Series(x).ewm(halflife="300ms", times=times, ignore_na=ignore_na)
    smoothed = smooth(x, halflife="300ms", times=times, ignore_na=ignore_na, fill=True)
    np.testing.assert_allclose(smoothed, ewm.mean(), rtol=1e-13)


def test_polars():
    # Its ewm_mean_by is the undebiased rule from the first sample on.
    times = (
        np.random.default_rng(4).exponential(1e9, 1000).cumsum().astype("m8[ns]").astype("M8[ns]")
    )
    x = np.random.default_rng(5).standard_normal(1000)
    frame = pl.DataFrame({"time": times, "x": x})
    peer = frame.select(pl.col("x").ewm_mean_by("time", half_life="5s")).to_series().to_numpy()
    before = np.concatenate([[times[0] - np.timedelta64(1, "s")], times])
    ours = smooth(np.concatenate([[0], x - x[0]]), halflife="5s", times=before, debias=False)
    np.testing.assert_allclose(ours[1:] + x[0], peer, rtol=1e-11, atol=1e-12)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.floats(0.05, 0.99))
def test_even_times_are_plain_smoothing(values, beta):
    x = np.array(values, float)
    for times in (np.arange(len(x)), np.arange(len(x)) * 0.25 + 7):
        power = beta ** (1 / (times[1] - times[0])) if len(x) > 1 else beta
        for weighting in ("sample", "time"):
            smoothed = smooth(x, power, times=times, weighting=weighting)
            np.testing.assert_allclose(smoothed, smooth(x, beta), rtol=1e-12, atol=1e-13)
    for function in (var, std):
        spread = function(x, beta, times=np.arange(len(x)))
        np.testing.assert_allclose(spread, function(x, beta), rtol=1e-12, atol=1e-13)


def test_a_burst_does_not_drown_a_quiet_stretch():
    # An hour at 1, a sample a minute; then a thousand samples at 5 in a second.
    times = np.concatenate([np.arange(0, 3600, 60), 3600 + np.arange(1000) / 1000])
    x = np.concatenate([np.ones(60), np.full(1000, 5.0)])
    by_sample = smooth(x, halflife=600, times=times)[-1]
    by_time = smooth(x, halflife=600, times=times, weighting="time")[-1]
    assert by_sample > 4.9
    assert by_time == pytest.approx(1 + 4 * (1 - 0.5 ** (61 / 600)), abs=0.01)


@pytest.mark.parametrize(
    ("times", "rule"),
    [
        ([0, 1, 2, 1.5], "must not go backwards; received 1.5 at position 3"),
        (np.array([3, 2, 1, 0], "M8[s]"), "backwards; received 1970-01-01T00:00:02 at position 1"),
        ([0, 1, np.nan, 2], "must all be there and finite; received nan at position 2"),
        ([0, 1, 2, np.inf], "received inf at position 3"),
        ([3, 2, 1, np.nan], "must not go backwards; received 2.0 at position 1"),
        ([0, np.inf, 1, 2], "must all be there and finite; received inf at position 1"),
        ([0, np.nan, -1, np.nan], "must all be there and finite; received nan at position 1"),
        (np.array([3, 2, "NaT", "NaT"], "M8[s]"), "backwards; received 1970-01-01T00:00:02 at"),
        (np.array([0, "NaT", 2, 3], "M8[s]"), "received NaT at position 1"),
        (np.array(["NaT", 1, 2, 3], "M8[s]"), "received NaT at position 0"),
        ([0, 1, 2], r"each of the 4 samples along the axis; received shape \(3,\)"),
        (np.zeros((4, 1)), r"received shape \(4, 1\)"),
        ("index", "'index' for a pandas object's own; received 'index' for samples without"),
        ("when", "received 'when'"),
        (np.arange(4).astype("m8"), "numpy.timedelta64 without one"),
        (np.ma.array(range(4), mask=[0, 1, 0, 0]), "received a masked one at position 1"),
    ],
)
def test_bad_times(times, rule):
    beta = {"halflife": "1s"} if getattr(times, "dtype", np.dtype(int)).kind in "mM" else {}
    with pytest.raises(ValueError, match=rule):
        smooth(np.ones(4), times=times, **beta)


@pytest.mark.parametrize("times", [{0: 1, 1: 2}, {1, 2}, {1: 0, 2: 0}.keys()])
def test_times_without_an_order(times):
    with pytest.raises(TypeError, match="times must be an array, a Series or a list, in order; re"):
        smooth(np.ones(2), times=times)


@pytest.mark.parametrize("halflife", ["300000D", "7.2e+06 h", "25920000000s", "00:00:10"])
def test_a_halflife_of_any_length(halflife):
    seconds = {"7": 25_920_000_000, "0": 10}.get(halflife[0], 25_920_000_000)
    times = (np.arange(8) * seconds).astype("M8[s]")
    found = smooth(X[:8], halflife=halflife, times=times)
    np.testing.assert_allclose(found, smooth(X[:8], 0.5), rtol=1e-12)


def test_backwards_within_a_group():
    assert smooth([1.0, 2.0, 3.0], times=[5, 0, 6], by=["a", "b", "a"])[2] > 1
    with pytest.raises(ValueError, match="within a group; received 4 at position 2"):
        smooth([1.0, 2.0, 3.0], times=[5, 0, 4], by=["a", "b", "a"])


def test_bad_halflife_and_weighting():
    with pytest.raises(ValueError, match=r"beta=0\.9, which is also what it is where nothing is g"):
        smooth(X, times=dates("s"))
    with pytest.raises(ValueError, match="received halflife=5"):
        smooth(X, halflife=5, times=dates("s"))
    for bad in ("0s", "-1s", "soon", "10", " 1e3", "", pd.NaT):
        with pytest.raises((ValueError, TypeError), match="halflife must be a"):
            smooth(X, halflife=bad, times=dates("s"))
    with pytest.raises(ValueError, match=r"a Timedelta; received beta=0\.5$"):
        smooth(X, 0.5, times=dates("s"))
    with pytest.raises(TypeError, match="received '5s' and times that are numbers: give a number"):
        smooth(X, halflife="5s", times=SECONDS)
    with pytest.raises(TypeError, match="received '5s' and times that are numbers"):
        smooth(pd.Series(X), halflife="5s", times="index")
    with pytest.raises(TypeError, match="received '5s' without times"):
        smooth(pd.Series(X), halflife="5s")
    with pytest.raises(ValueError, match="weighting must be 'sample' or 'time'; received 'dt'"):
        smooth(X, weighting="dt")
    with pytest.raises(ValueError, match="weighting='time' needs times"):
        smooth(X, weighting="time")
    for times in (np.ones(8, bool), np.array(list("abcdefgh"))):
        with pytest.raises(TypeError, match="times must be numbers, dates or durations; received"):
            smooth(X, times=times)
    with pytest.raises(ValueError, match="times is a Series whose index is not that of the sam"):
        smooth(pd.Series(X), times=pd.Series(SECONDS, index=SECONDS))


def test_a_gap_that_forgets_all_before_samples_of_one_time():
    # 100 halflives in which a sample is missing, then one that stood for no time: the mean stays.
    x, times = [1.0, 2.0, np.nan, 4.0, 3.0, 4.0, 5.0], [0, 1, 100, 100, 101, 102, 103]
    for beta in (0.5, 0.0):
        smoothed = smooth(x, beta, times=times, weighting="time", ignore_na=False)
        assert smoothed[3] == pytest.approx(smoothed[1])
        assert smoothed[4] == pytest.approx(3)
        assert np.isfinite(std(np.r_[x, x[3:]], beta, bias=True, times=[*times, *range(104, 108)],
                               weighting="time", ignore_na=False)[-1])  # fmt: skip


def test_dates_as_objects():
    days = [datetime.date(2020, 1, day) for day in (1, 2, 5)]
    expected = smooth([1.0, 2.0, 3.0], halflife=1, times=[0, 1, 4])
    assert smooth([1.0, 2.0, 3.0], halflife="1D", times=days) == pytest.approx(expected)
    assert smooth([1.0, 2.0, 3.0], halflife=1, times=np.array([0, 1, 4], object)) == expected


def test_labels_along_the_axis():
    frame = pd.DataFrame(np.arange(4.0).reshape(2, 2), index=[0, 9], columns=[0, 1])
    expected = smooth(frame.to_numpy(), 0.5, axis=1, times=[0, 1])
    np.testing.assert_array_equal(smooth(frame, 0.5, axis=1, times="index"), expected)
    times = pd.Series([0, 1], index=frame.columns)
    np.testing.assert_array_equal(smooth(frame, 0.5, axis=1, times=times), expected)
    with pytest.raises(ValueError, match="index is not that of the samples"):
        smooth(frame, 0.5, times=times)
    assert smooth([1.0, 2.0], 0.5, times=pd.Series([0, 1])) == smooth([1.0, 2.0], 0.5)
    with pytest.raises(ValueError, match="received 'index' for samples without an index"):
        smooth([1.0, 2.0], 0.5, times="index")


@pytest.mark.parametrize("beta", [0.5, 0.0])
def test_forgotten_twice_before_anything_counts(beta):
    """Samples at the time of a missing one count for nothing, each after 2,000 halflives."""
    x = np.array([2, 4, np.nan, 7, np.nan, 7, np.nan, 7, 5])
    times = [0, 1, 2001, 2001, 4001, 4001, 6001, 6001, 6002]
    options = {"times": times, "weighting": "time", "ignore_na": False}
    first = [2, 10 / 3 if beta else 4]
    expected = [*first, np.nan, first[1], np.nan, first[1], np.nan, first[1], 5]
    np.testing.assert_allclose(smooth(x, beta, **options), expected, rtol=1e-15)
    deviation = std(x, beta, bias=True, **options)
    assert deviation[-1] < 1e-70
    assert np.isfinite(deviation[[0, 1, 3, 5, 7, 8]]).all()


@pytest.mark.parametrize("gap", [20, 54, 60, 400])
def test_what_is_left_after_many_halflives(gap):
    # Of 1 - 2**-60 nothing but 1 is left.
    options = {"halflife": 1, "times": [0, gap], "weighting": "time"}
    left, stood = 0.5**gap * (1 - 0.5**gap), 1 - 0.5**gap
    weight = left + stood
    variance = left * stood / weight**2
    assert var([0, 1], bias=True, **options)[1] == pytest.approx(variance, rel=1e-14)
    assert std([0, 1], bias=True, **options)[1] == pytest.approx(variance**0.5, rel=1e-14)
    assert var([0, 1], **options)[1] == pytest.approx(0.5, rel=1e-14)
    ema = EMA(halflife=1, debias=False)
    expected = smooth([1.0, 0.0], halflife=1, times=[0, gap], debias=False)
    assert ema.update([1.0, 0.0], [0, gap]) == pytest.approx(expected, rel=1e-14)
    assert expected[1] == pytest.approx(0.5 ** (gap + 1), rel=1e-14)


def test_times_and_groups_that_are_not_aligned():
    x, times, groups = np.arange(10.0), np.arange(10.0) ** 2, np.arange(10) % 3

    def unaligned(array):
        shifted = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype)
        shifted[:] = array
        assert not shifted.flags.aligned
        return shifted

    np.testing.assert_array_equal(
        smooth(x, times=unaligned(times), by=unaligned(groups)),
        smooth(x, times=times, by=groups),
    )
    np.testing.assert_array_equal(
        smooth(x, halflife="3s", times=unaligned(times.astype("m8[s]"))),
        smooth(x, halflife="3s", times=times.astype("m8[s]")),
    )
