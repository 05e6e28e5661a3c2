"""`EMA`: cut in any way, the results are those of `smooth`, and of the definition."""

import copy
import json
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from exact_mean import exact_mean
from exact_statistics import by_definition
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import ewma
from ewma import EMA, smooth

LARGEST = np.finfo(float).max
SMALLEST = 5e-324
quickly = settings(max_examples=60, deadline=None)
betas = st.one_of(
    st.sampled_from([0.0, 0.5, 0.9, 0.99999, 1 - 1e-9, 1.0]), st.floats(0, 1, allow_subnormal=False)
)
anything = st.floats(width=64)
FLAGS = [
    {"debias": debias, "ignore_na": ignore_na, "fill": fill}
    for debias in (True, False)
    for ignore_na in (True, False)
    for fill in (True, False)
]
flags = st.sampled_from(FLAGS)


def rng(seed=0):
    return np.random.default_rng(seed)


def ulp_of(x):
    return math.ulp(np.abs(x[np.isfinite(x)]).max(initial=0.0))


def assert_same(found, expected, x, ulps=4):
    """Both are within 2 ulp of the range, so that 4 may lie between them."""
    found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    good = np.isfinite(expected)
    np.testing.assert_array_equal(found[~good], expected[~good])
    off = np.abs(found[good] / 2 - expected[good] / 2).max(initial=0.0)
    assert off <= ulps / 2 * ulp_of(x)


def in_chunks(x, cuts, *arguments, times=None, **options):
    """Smooth chunk by chunk; chunks of one sample as numbers."""
    ema, found = EMA(*arguments, **options), []
    for part in np.split(np.arange(len(x)), sorted(cuts)):
        at = () if times is None else (times[part],)
        if len(part) == 1 and x.ndim == 1:
            at = () if times is None else (times[part][0],)
            found.append(np.array([ema.update(float(x[part][0]), *at)]))
        else:
            found.append(ema.update(x[part], *at))
    return np.concatenate(found), ema


SERIES = {
    "normal": rng(1).standard_normal(1500),
    "1e9 + noise": 1e9 + rng(2).standard_normal(1500),
    "denormals": rng(3).integers(-1000, 1000, 1500) * SMALLEST,
    "largest, both signs": LARGEST * rng(4).uniform(-1, 1, 1500),
    "spikes": np.where(rng(5).random(1500) < 0.02, 1e300, 1.0) * rng(6).standard_normal(1500),
    "gaps": np.where(rng(7).random(1500) < 0.2, np.nan, rng(8).standard_normal(1500)),
}


@pytest.mark.parametrize("beta", [0.0, 1e-300, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9, 1.0])
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("name", SERIES)
def test_one_by_one_is_the_definition(name, beta, debias, ignore_na):
    x = SERIES[name]
    ema = EMA(beta, debias=debias, ignore_na=ignore_na)
    found = np.array([ema.update(sample) for sample in x.tolist()])
    exact = exact_mean(x, beta, debias, ignore_na)
    assert max(exact.errors(found)) <= 2
    np.testing.assert_array_equal(found[exact.missing], x[exact.missing])
    cut, _ = in_chunks(x, [1, 2, 40, 41, 300, 1000], beta, debias=debias, ignore_na=ignore_na)
    assert max(exact.errors(cut)) <= 2


@pytest.mark.parametrize("beta", [0.9, 1 - 1e-4, 1 - 1e-9])
def test_a_million_numbers(beta):
    x = 1e3 + rng(9).standard_normal(10**6)
    ema = EMA(beta)
    for sample in x.tolist():
        last = ema.update(sample)
    assert abs(last - smooth(x, beta)[-1]) <= 2 * ulp_of(x)
    assert ema.count == 10**6


@pytest.mark.parametrize("constant", [0.1, -1 / 3, 1e9 + 0.1, LARGEST, SMALLEST, 0.0])
def test_constants_come_out_to_the_bit(constant):
    for beta in (0.0, 0.3, 0.9, 1 - 1e-9, 1.0):
        x = np.full(300, constant)
        found, ema = in_chunks(x, [1, 2, 3, 100], beta)
        np.testing.assert_array_equal(found, x)
        assert ema.mean == constant
        both = EMA(beta)
        both.update(x[:70])
        rest = EMA(beta)
        rest.update(x[70:])
        assert (both + rest).mean == constant


@quickly
@given(
    arrays(float, st.integers(0, 300), elements=anything),
    st.sets(st.integers(0, 300), max_size=5),
    betas,
    flags,
)
def test_chunks_change_nothing(x, cuts, beta, options):
    found, ema = in_chunks(x, cuts, beta, **options)
    assert_same(found, smooth(x, beta, **options), x)
    assert ema.count == np.isfinite(x).sum()


@pytest.mark.parametrize("options", FLAGS, ids=str)
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 0.9999, 1.0])
def test_columns(beta, options):
    x = rng(10).standard_normal((400, 70))
    x[rng(11).random(x.shape) < 0.1] = np.nan
    expected = smooth(x, beta, **options)
    for order in "CF":
        found, ema = in_chunks(np.asarray(x, order=order), [1, 2, 9, 250], beta, **options)
        assert_same(found, expected, x)
    np.testing.assert_array_equal(ema.count, np.isfinite(x).sum(axis=0))
    three, _ = in_chunks(x.reshape(400, 10, 7), [3, 60], beta, **options)
    assert_same(three.reshape(x.shape), expected, x)


@pytest.mark.parametrize("options", FLAGS, ids=str)
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
def test_times_are_the_definition(beta, options):
    x = rng(12).integers(-9, 9, 24).astype(float)
    x[[2, 3, 10, 23]] = np.nan
    times = rng(13).integers(0, 4, 24).cumsum()
    exact = by_definition(
        x, beta, times=times.tolist(), statistic="mean", weighting="sample", bias=False, **options
    )
    for cuts in ([], [1, 2, 3, 11], range(24)):
        found, _ = in_chunks(x, cuts, beta, times=times, **options)
        for mean, expected, sample in zip(found, exact, x, strict=True):
            wanted = sample if expected is None else float(expected)
            assert mean == pytest.approx(wanted, rel=1e-14, abs=1e-14, nan_ok=True)


@pytest.mark.parametrize("shape", [(700,), (700, 5)], ids=str)
@pytest.mark.parametrize("options", FLAGS, ids=str)
def test_times_in_chunks(options, shape):
    x = rng(14).standard_normal(shape)
    x[rng(15).random(shape) < 0.1] = np.inf
    times = rng(16).exponential(size=700).cumsum()
    found, _ = in_chunks(x, [1, 2, 300], halflife=5, times=times, **options)
    expected = smooth(x, halflife=5, times=times, **options)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_times_that_are_dates():
    days = pd.date_range("2024-01-01", periods=6, freq="36h")
    x = pd.Series(rng(17).standard_normal(6), index=days, name="loss")
    expected = smooth(x, halflife="2D", times="index")
    ema = EMA(halflife="2D")
    parts = [ema.update(x[:2], "index"), ema.update(x[2:5], days[2:5].as_unit("s"))]
    last = ema.update(float(x.iloc[5]), days[5])
    pd.testing.assert_series_equal(pd.concat(parts), expected[:5], rtol=1e-14)
    assert last == pytest.approx(expected.iloc[5])
    with pytest.raises(ValueError, match="received 2024-01-07 00:00:00 at position 0 of this c"):
        ema.update(1.0, days[4])
    with pytest.raises(ValueError, match="received numbers after dates"):
        EMA.from_dict(ema.to_dict())._clock.until(9e99, "")
    with pytest.raises(ValueError, match="between 1678 and 2262"):
        ema.update(1.0, np.datetime64("9999-01-01", "s"))


# Two states of neighbouring stretches


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.99, 1 - 1e-9, 1.0])
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("name", SERIES)
def test_sum_is_the_definition(name, beta, debias, ignore_na):
    x = SERIES[name]
    total = EMA(beta, debias=debias, ignore_na=ignore_na)
    exact = exact_mean(x, beta, debias, ignore_na).filled(0)
    for part in np.split(x, [1, 2, 700, 703]):
        ema = EMA(beta, debias=debias, ignore_na=ignore_na)
        ema.update(part)
        total = total + ema
    assert exact._replace(hi=exact.hi[-1:], lo=exact.lo[-1:], exponent=exact.exponent[-1:],
                          missing=exact.missing[-1:]).errors([total.mean])[0] <= 2  # fmt: skip


@quickly
@given(arrays(float, st.integers(0, 120), elements=st.floats(-1e6, 1e6) | st.just(np.nan)),
       st.lists(st.integers(0, 120), min_size=2, max_size=2), betas, flags)  # fmt: skip
def test_sums_are_associative_and_go_on(x, cuts, beta, options):
    parts = []
    for part in np.split(x, sorted(cuts)):
        parts.append(EMA(beta, **options))
        parts[-1].update(part)
    a, b, c = parts
    left, right, whole = (a + b) + c, a + (b + c), EMA(beta, **options)
    whole.update(x)
    more = [3.0, math.nan, -1.0]
    expected = whole.update(more)
    for total in (left, right):
        assert total.count == np.isfinite(x).sum()
        assert_same(total.update(more), expected, np.append(x, 3.0), ulps=6)


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("shape", [(60,), (60, 3)], ids=str)
def test_sum_with_times(shape, ignore_na):
    x = rng(18).standard_normal(shape)
    x[rng(19).random(shape) < 0.3] = np.nan
    times = rng(20).integers(0, 3, 60).cumsum()
    for cuts in ([10, 30], [1, 2], [0, 59]):
        parts = []
        for rows in np.split(np.arange(60), cuts):
            parts.append(EMA(halflife=4, ignore_na=ignore_na))
            parts[-1].update(x[rows], times[rows])
        whole = EMA(halflife=4, ignore_na=ignore_na)
        whole.update(x, times)
        a, b, c = parts
        for total in ((a + b) + c, a + (b + c)):
            np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-13)
            more = np.ones((1, *shape[1:]))
            np.testing.assert_allclose(
                total.update(more, [200]), copy.copy(whole).update(more, [200]), rtol=1e-13
            )


def test_a_sum_under_two_names():
    earlier, later = EMA(alpha=0.5), EMA(0.5)
    earlier.update([4.0, 1.0]), later.update([3.0])
    assert (earlier + later).update(2.0) == smooth([4.0, 1.0, 3.0, 2.0], 0.5)[-1]


def test_integers_go_the_short_way():
    ema, same = EMA(0.5), EMA(0.5)
    for sample in (4, -1, 2**60, True, 3):
        result = ema.update(sample)
        assert type(result) is float
        assert result == same.update(float(sample))
    with pytest.raises((ValueError, OverflowError), match=r"float"):
        ema.update(10**400)
    assert ema.update(5) == same.update(5.0)


def test_sum_of_what_does_not_fit():
    a, b = EMA(0.5), EMA(0.9)
    with pytest.raises(ValueError, match=r"both must forget alike; received EMA\(beta=0.5"):
        a + b
    b = EMA(0.5)
    a.update(1.0)
    b.update([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"received shapes \(\) and \(2,\)"):
        a + b
    with pytest.raises(TypeError):
        a + 1
    a, b = EMA(0.5, debias=False), EMA(0.5, debias=False)
    a.update(1.0, 0)
    b.update(1.0, 1)
    with pytest.raises(ValueError, match="only with debias=True"):
        a + b
    a, b = EMA(0.5), EMA(0.5)
    a.update(1.0, 5)
    b.update(1.0, 1)
    with pytest.raises(ValueError, match="must not go backwards"):
        a + b


def test_a_sum_leaves_its_parts_alone():
    a, b = EMA(0.5), EMA(0.5)
    a.update([1.0, 2.0])
    b.update([3.0])
    before = a.to_dict(), b.to_dict()
    total = a + b
    total.update(9.0)
    (EMA(0.5) + a).update(9.0)
    (a + EMA(0.5)).update(9.0)
    assert (a.to_dict(), b.to_dict()) == before


# Written down


class Named(EMA):
    """A subclass, as users make them."""


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda ema: pickle.loads(pickle.dumps(ema)),
        lambda ema: type(ema).from_dict(json.loads(json.dumps(ema.to_dict(), allow_nan=False))),
    ],
    ids=["copy", "deepcopy", "pickle", "json"],
)
@pytest.mark.parametrize("options", FLAGS, ids=str)
@pytest.mark.parametrize("beta", [0.0, 0.3, 0.999, 1.0])
def test_a_copy_goes_on_to_the_bit(again, beta, options):
    x = rng(21).standard_normal(200) * 10.0 ** rng(22).integers(-310, 308, 200)
    x[::9] = np.nan
    ema = Named(beta, **options)
    for part in (x[:0], x[:1], x[:150]):
        ema.update(part)
        other = again(ema)
        assert type(other) is Named
        assert repr(other) == repr(ema)
        np.testing.assert_array_equal(other.update(x[150:]), copy.copy(ema).update(x[150:]))
        assert other.count > ema.count
    for chunk, times in ((np.ones((2, 3)), None), ([2.0], [7]), ([2.0], [7.5])):
        ema = EMA(beta, **options)
        ema.update(chunk, times)
        later = None if times is None else [9]
        assert again(ema).to_dict() == ema.to_dict()
        np.testing.assert_array_equal(
            again(ema).update(chunk[:1], later), ema.update(chunk[:1], later)
        )


def test_durations_are_written_down():
    ema = EMA(halflife="10s")
    ema.update([1.0, 2.0], np.array(["2024-01-01", "2024-01-02"], "M8[s]"))
    state = json.loads(json.dumps(ema.to_dict()))
    assert state["decay"] == {"halflife": "10s"}
    assert EMA.from_dict(state).to_dict() == ema.to_dict()


@pytest.mark.parametrize("halflife", ["10s", np.timedelta64(10**6, "D"), "86400000000s"], ids=str)
def test_a_duration_of_any_length(halflife):
    # pandas counts nanoseconds, up to 292 years of them.
    days = np.array(["2024-01-01", "2024-01-02"], "M8[s]")
    ema = EMA(halflife=halflife)
    assert ema.update([1.0, 2.0], days) == smooth([1.0, 2.0], halflife=halflife, times=days)
    assert copy.copy(ema).to_dict() == ema.to_dict()


@pytest.mark.parametrize("name", ["com", "span", "halflife"])
def test_strict_json_takes_what_never_forgets(name):
    ema = EMA(**{name: math.inf})
    ema.update([1.0, np.nan, 2.0])
    again = EMA.from_dict(json.loads(json.dumps(ema.to_dict(), allow_nan=False)))
    assert (ema + again).mean == 1.5
    assert again.update(3.0, None) == 2.0


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_times_further_apart_than_the_largest_float(beta):
    x, times = [1.0, 2.0, 3.0], [-1.7e308, 1.7e308, 1.75e308]
    expected = [1.0, 1.5, 2.0] if beta == 1 else x
    assert smooth(x, beta, times=times) == expected
    ema = EMA(beta)
    assert ema.update(x, times) == expected
    parts = [EMA(beta) for _ in times]
    for part, sample, time in zip(parts, x, times, strict=True):
        part.update(sample, time)
    for state in (ema, parts[0] + parts[1] + parts[2], parts[0] + (parts[1] + parts[2])):
        assert state.mean == expected[-1]
        json.dumps(state.to_dict(), allow_nan=False)


def test_what_is_no_state():
    good = EMA(0.5).to_dict()
    with pytest.raises(ValueError, match="received version 2: update ewma"):
        EMA.from_dict({**good, "version": 2})
    columns = good["columns"]
    for bad in (
        {},
        {"version": 1},
        {**good, "shape": [2]},
        {**good, "columns": {}},
        {**good, "columns": {**columns, "scale": [3]}},
        {**good, "columns": {**columns, "scale": [-1]}},
        {**good, "columns": {**columns, "mean": ["1"]}},
        {**good, "columns": {**columns, "mean": []}},
        {**good, "decay": {"beta": 2.0}},
        {**good, "rows": "many"},
        {**good, "times": [1, 2]},
        {**good, "times": {"first": 0, "last": 1, "kind": "dates"}},
        {**good, "times": {"first": None, "last": None, "kind": ""}},
        {**good, "columns": {**columns, "weight": [math.nan]}},
        {**good, "rows": -5},
        {**good, "debias": "no"},
        {**good, "columns": {**columns, "weight": [-1.0]}},
        {**good, "columns": {**columns, "count": [-1]}},
    ):
        with pytest.raises(ValueError, match=r"must be what EMA\.to_dict returned"):
            EMA.from_dict(bad)


# What comes in goes out


def test_containers():
    x = [4.0, 1.0, 3.0]
    expected = smooth(x, 0.5)
    assert EMA(0.5).update(x) == expected
    assert EMA(0.5).update(tuple(x)) == tuple(expected)
    assert EMA(0.5).update([4, True, None]) == smooth([4, True, None], 0.5)
    series = pd.Series(x, index=list("abc"), name="loss", dtype="Float32")
    pd.testing.assert_series_equal(EMA(0.5).update(series), smooth(series, 0.5))
    frame = pd.DataFrame({"a": x, "b": [1, 2, 3]})
    ema = EMA(0.5)
    found = pd.concat([ema.update(frame[:1]), ema.update(frame[1:])])
    pd.testing.assert_frame_equal(found, smooth(frame, 0.5))
    for dtype in ("f4", "f2", "i4", "?", ">f8"):
        array = np.array(x, dtype)
        found = EMA(0.5).update(array)
        assert found.dtype == smooth(array, 0.5).dtype
        np.testing.assert_array_equal(found, smooth(array, 0.5))
    unaligned = np.zeros(25, np.uint8)[1:].view(float)
    np.testing.assert_array_equal(EMA(0.5).update(unaligned), unaligned)


def test_numbers_of_any_type():
    ema = EMA(0.5)
    for number in (4, np.float64(1.0), np.float32(3.0), np.int8(1), True, np.array(2.0)):
        found = ema.update(number)
        assert type(found) is float
    assert ema.count == 6
    assert ema.update(np.float32(0.1)) == ema.mean
    assert ema.update(None) is None
    assert ema.update(pd.NA) is pd.NA
    assert math.isnan(ema.update(math.nan))
    assert EMA(fill=True).update(math.inf) is not math.inf
    ema = EMA(0.5, fill=True)
    assert math.isnan(ema.update(math.inf))
    ema.update(2.0)
    assert ema.update(None) == ema.update(math.nan) == 2.0


def test_before_the_first_sample():
    ema = EMA()
    assert math.isnan(ema.mean)
    assert ema.count == 0
    assert ema.update([]) == []
    np.testing.assert_array_equal(ema.update(np.empty((0, 3))), np.empty((0, 3)))
    ema.update([[1.0, np.nan]])
    np.testing.assert_array_equal(ema.mean, [1.0, np.nan])
    np.testing.assert_array_equal(ema.count, [1, 0])


def test_shapes_that_do_not_fit():
    ema = EMA()
    ema.update([[1.0, 2.0]])
    before = ema.to_dict()
    with pytest.raises(ValueError, match=r"\(2,\); received a number: give a row as update\(\[r"):
        ema.update(1.0)
    with pytest.raises(ValueError, match=r"shape \(\): give a row as update"):
        ema.update([1.0, 2.0])
    with pytest.raises(ValueError, match=r"samples of shape \(3,\)"):
        ema.update(np.ones((4, 3)))
    assert ema.to_dict() == before
    ema = EMA()
    ema.update(1.0)
    with pytest.raises(ValueError, match=r"one, \(\); received .* make an EMA for each series"):
        ema.update([[1.0]])


def test_bad_samples():
    for bad in ("x", 1j, [1j], object(), ["x"], {"a": 1}):
        ema = EMA()
        ema.update(1.0)
        with pytest.raises(TypeError, match=r"samples must be|series must be"):
            ema.update(bad)
        assert ema.count == 1


def test_times_with_every_call_or_with_none():
    ema = EMA(0.5)
    ema.update(1.0)
    with pytest.raises(ValueError, match="received some after a call without"):
        ema.update(1.0, 3)
    ema = EMA(0.5)
    ema.update(1.0, 3)
    with pytest.raises(ValueError, match="or with none; received none"):
        ema.update(1.0)
    with pytest.raises(ValueError, match=r"received 2\.0 at position 0 of this call after 3: "):
        ema.update(1.0, 2.0)
    for later, earlier, shown in (
        (np.datetime64("2024-01-04", "s"), "2024-01-03", "2024-01-03 00:00:00 .* 2024-01-04 00:00"),
        (np.timedelta64(5, "s"), np.timedelta64(1, "s"), "0 days 00:00:01 .* 0 days 00:00:05"),
    ):
        dated = EMA(halflife="1D")
        dated.update(1.0, later)
        with pytest.raises(ValueError, match=f"received {shown}"):
            dated.update(1.0, type(later)(earlier))
    lasting = EMA(halflife="1s")
    lasting.update(1.0, np.timedelta64(1, "s"))
    with pytest.raises(ValueError, match="received dates after durations"):
        lasting.update(1.0, np.datetime64("2020-01-01", "s"))
    with pytest.raises(ValueError, match=r"halflife='10s' needs times"):
        EMA(halflife="10s").update(1.0)
    with pytest.raises(TypeError):
        EMA(beta="auto")
    assert ema.count == 1


def test_it_says_how_it_forgets():
    assert repr(EMA(span=5)) == "EMA(span=5.0, debias=True, ignore_na=True, fill=False)"
    with pytest.raises(ValueError, match="only one of"):
        ewma.EMA(0.5, alpha=0.5)


@pytest.mark.parametrize("isa_limit", [0, 1])
def test_compiled_copies_agree(isa_limit):
    x = np.where(rng(23).random((300, 2)) < 0.1, np.nan, rng(24).standard_normal((300, 2)))
    gaps = np.r_[np.nan, rng(25).exponential(size=299)]
    for at in (None, gaps):
        results = []
        for limit in (isa_limit, 2):
            stream = ewma._core.Stream(0.9, True, False, False, limit)
            stream._set_columns(2)
            results.append(np.empty_like(x))
            stream._run(x, results[-1], at, math.log(0.9))
        np.testing.assert_allclose(*results, rtol=0, atol=1e-15)


def test_kernel_refuses_what_does_not_fit():
    stream = ewma._core.Stream(0.9, True, True, False)
    stream._set_columns(2)
    x = np.ones((3, 2))
    for bad in (np.ones(5), np.ones(4), np.ones(6, np.float32)):
        with pytest.raises((ValueError, TypeError)):
            stream._run(x, bad)
    with pytest.raises(ValueError, match="a whole number of rows"):
        stream._run(np.ones(5), np.ones(5))
    with pytest.raises(ValueError, match="a float64 a row"):
        stream._run(x, x, np.ones(2))
    with pytest.raises(ValueError, match="as many columns"):
        stream._join(ewma._core.Stream(0.9, True, True, False), [1.0, 1.0])


@pytest.mark.parametrize("times", [False, True])
def test_sum_where_a_gap_has_let_the_later_one_fade(times):
    x = np.array([2.0] + [5.0] * 30 + [math.nan] * 900)
    parts, at = [], np.arange(len(x)) if times else None
    for rows in (slice(0, 1), slice(1, None)):
        parts.append(EMA(beta=0.5, ignore_na=False))
        parts[-1].update(x[rows], None if at is None else at[rows])
    assert sum(parts[1:], parts[0]).mean == pytest.approx(5, rel=1e-8)
