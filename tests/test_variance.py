"""`var` and `std`: over many blocks against the definition, and where digits are easily lost."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewma import smooth, std, var

BETAS = [0.0, 0.1, 0.5, 0.9, 0.99, 1.0]


def by_definition(x, beta, *, bias, ignore_na=False, fill=False):
    """Return the variances as floats, from sums in exact arithmetic."""
    # In whole numbers, of which fractions would look for common divisors at every step: samples are
    # multiples of 1 / unit, and a sum of weights is one of 1 / scale.
    decay, base = float(beta).as_integer_ratio()
    unit = max(float(sample).as_integer_ratio()[1] for sample in x if math.isfinite(sample))
    scale, total, squared, weighted, weighted_squares = 1, 0, 0, 0, 0
    variances, found = [], math.nan
    for sample in map(float, x):
        good = math.isfinite(sample)
        if good or not ignore_na:
            scale *= base
            total, squared = decay * total, decay**2 * squared
            weighted, weighted_squares = decay * weighted, decay * weighted_squares
        if good:
            exact = int(Fraction(sample) * unit)
            total, squared = total + scale, squared + scale**2
            weighted, weighted_squares = (
                weighted + scale * exact,
                weighted_squares + scale * exact**2,
            )
            spread = weighted_squares * total - weighted**2
            weights = total**2 if bias else total**2 - squared
            found = spread / (weights * unit**2) if weights else math.nan
        variances.append(found if good or fill else math.nan)
    return np.array(variances)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    ("offset", "digits"), [(0.0, 1e-13), (1e6, 1e-12), (1e9, 1e-9)], ids=["0", "1e6", "1e9"]
)
def test_many_blocks(offset, digits, beta, bias):
    # A mean of 1e9 that is right to its last bit is off by 1e-7: the distances know more.
    x = offset + np.random.default_rng(1).standard_normal(200)
    exact = by_definition(x, beta, bias=bias)
    np.testing.assert_allclose(var(x, beta, bias=bias), exact, rtol=digits, atol=1e-14)
    np.testing.assert_allclose(std(x, beta, bias=bias), np.sqrt(exact), rtol=digits, atol=1e-14)


def step_by_step(x, beta, bias=False):
    """Return the variances that the recurrence makes in more digits, over gaps those before."""
    mean, weight, spread, pairs, variances = (np.longdouble(0),) * 4 + ([],)
    for sample in x:
        before = beta * weight
        spread, pairs, weight = beta * spread, beta**2 * pairs, before
        if sample == sample:
            weight = before + 1
            spread += before / weight * (sample - mean) ** 2
            pairs += 2 * before
            mean += (sample - mean) / weight
        variances.append(spread / weight if bias else spread * weight / pairs if pairs else np.nan)
    return np.array(variances, float)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("beta", [0.5, 0.66, 0.9, 0.97, 0.9700001, 0.999])
@pytest.mark.parametrize("share", [0.0, 0.1])
def test_blocks_go_on_from_those_before(share, beta, bias):
    x = np.random.default_rng(3).standard_normal(3000)
    x[np.random.default_rng(4).random(3000) < share] = np.nan
    found = var(x, beta, bias=bias, ignore_na=False, fill=True)
    np.testing.assert_allclose(found, step_by_step(x, beta, bias), rtol=1e-12)


@pytest.mark.parametrize("beta", [0.5, 0.8, 0.97])
@pytest.mark.parametrize("lasts", [1, 60, 400], ids="of {} samples".format)
def test_a_rise_far_into_a_series(lasts, beta):
    # Far from the mean before a long block digits are lost: it is done again in shorter ones.
    noise = np.round(np.random.default_rng(5).standard_normal(2600) * 2**14) / 2**14
    for at in (829, 1310, 1777):
        for height in 2.0 ** np.arange(0, 25, 3):  # the reference has 64 bits
            x = noise + height * np.clip((np.arange(2600) - at) / lasts, 0, 1)
            np.testing.assert_allclose(var(x, beta), step_by_step(x, beta), rtol=1e-11)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("jump", [1e3, 1e9, -1e12])
def test_a_jump_is_forgotten(beta, jump):
    x = np.random.default_rng(2).standard_normal(2000)
    x[40:60] += jump
    w = beta ** np.arange(2000)[::-1]
    mean = np.average(x, weights=w)
    expected = np.average((x - mean) ** 2, weights=w)
    assert var(x, beta, bias=True)[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("ignore_na", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("beta", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_gaps_in_blocks(share, beta, bias, ignore_na):
    rng = np.random.default_rng(7)
    x = 10 + rng.standard_normal(400)
    x[rng.random(len(x)) < share] = np.nan
    x[130:150] = np.inf  # a long one, over the end of a block
    options = {"bias": bias, "ignore_na": ignore_na}
    for fill in (False, True):
        exact = by_definition(x, beta, fill=fill, **options)
        found = var(x, beta, fill=fill, **options)
        np.testing.assert_allclose(found, exact, rtol=1e-12)
        if fill:  # to the bit what it was
            held = np.flatnonzero(~np.isfinite(x[1:])) + 1
            np.testing.assert_array_equal(found[held], found[held - 1])
        even = np.arange(len(x))
        np.testing.assert_allclose(var(x, beta, fill=fill, times=even, **options), exact, 1e-12)
        in_place = x.copy()
        var(in_place, beta, fill=fill, **options, out=in_place)
        np.testing.assert_array_equal(in_place, found)


@pytest.mark.parametrize("level", [1e9, 1e16])
def test_a_level_is_forgotten_over_a_gap(level):
    # One sample after it makes the variance nearly alone.
    x = np.full(300, np.nan)
    x[:128] = level + np.arange(128) % 2 * level / 4
    x[252] = 0.3
    x[256:259] = 0.7, 0.1, 0.4
    for bias in (False, True):
        exact = by_definition(x, 0.5, bias=bias)
        np.testing.assert_allclose(
            var(x, 0.5, bias=bias, ignore_na=False)[252:], exact[252:], 1e-12
        )


def test_samples_that_do_not_count_after_gaps():
    # What is left of the past is all there is, however often a gap decays it.
    x, times, now = list(np.arange(200.0) % 7), list(range(200)), 199
    for _ in range(3):
        now += 400
        x += [math.nan, *(50.0 + np.arange(140) % 3)]
        times += 141 * [now]
    options = {"times": times, "weighting": "time", "ignore_na": False}
    for bias in (False, True):
        found = var(np.array(x), 0.5, bias=bias, **options)
        np.testing.assert_allclose(found[[345, 500, -1]], found[199], rtol=1e-12)


def test_a_sample_that_counts_ends_what_did_not():
    x, times, now = list(np.arange(140.0) % 7), list(range(140)), 739
    x, times = [*x, math.nan, 3.0, *(114 * [1.0])], [*times, *(116 * [now])]
    x, times = [*x, *(np.arange(256.0) % 5)], [*times, *range(now + 1, now + 257)]
    now += 786
    x, times = [*x, math.nan, *(10 * [1e6]), 7.0], [*times, *(11 * [now]), now + 1]
    assert smooth(x, 0.5, times=times, weighting="time", ignore_na=False)[-1] == pytest.approx(7)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("beta", [0.01, 0.2, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("level", [1e6, -1e12, 1e16])
def test_a_level_is_forgotten_with_its_roundings(level, beta, bias):
    # Within one block: nothing later may be known only as well as the level was.
    x = 1 + 1e-3 * np.random.default_rng(3).standard_normal(300)
    x[:3] = level
    exact = by_definition(x, beta, bias=bias)
    tolerance = 1e-11 if level == 1e6 else 1e-10
    np.testing.assert_allclose(var(x, beta, bias=bias), exact, rtol=tolerance)
    even = np.arange(300)
    np.testing.assert_allclose(var(x, beta, bias=bias, times=even), exact, rtol=tolerance)
    plain = smooth(x, beta)
    np.testing.assert_allclose(smooth(x, beta, times=even)[3:], plain[3:], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300, -1e12])
@pytest.mark.parametrize("beta", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("function", [var, std])
def test_in_place(function, beta, bad):
    # As elsewhere, wherever a block is worked on in another way.
    x = np.sin(np.arange(600.0))
    x[300] = bad
    for options in ({}, {"times": np.arange(600)}):
        expected = function(x.copy(), beta, **options)
        out = x.copy()
        function(out, beta, **options, out=out)
        np.testing.assert_array_equal(out, expected)


def test_a_level_before_a_gap_is_forgotten():
    x, times = [1e16, 1e16, 1.0, 1.5, 2.0, 1.25], [0, 1, 100_000, 100_001, 100_002, 100_003]
    after, since = x[2:], times[2:]
    options = {"halflife": 2.0}
    np.testing.assert_allclose(
        smooth(x, times=times, **options)[2:], smooth(after, times=since, **options), rtol=1e-15
    )
    np.testing.assert_allclose(
        std(x, times=times, **options)[3:], std(after, times=since, **options)[1:], rtol=1e-14
    )


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("value", [0.0, 0.1, -7e300, 5e-324])
def test_a_constant_has_none(beta, value):
    x = np.full(500, value)
    assert not var(x, beta, bias=True).any()
    assert not np.nan_to_num(std(x, beta)).any()


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-150, 1e150, 1e300, 1.7e308])
def test_no_overflow_nor_underflow_of_a_deviation(scale):
    x = np.random.default_rng(3).uniform(-1, 1, 700)
    deviation = std(x * scale, 0.9)
    digits = 1e-12 if scale > 1e-310 else 1e-3  # denormal samples have few bits
    np.testing.assert_allclose(deviation[1:], std(x, 0.9)[1:] * scale, rtol=digits)


def test_a_long_run_of_zeros_ends_in_zero():
    x = np.r_[np.random.default_rng(4).standard_normal(100), np.zeros(20_000)]
    assert std(x, 0.9)[-1] == 0
    assert np.all(np.isfinite(std(x, 0.9)[1:]))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=300), st.floats(0.01, 1))
def test_is_never_negative_and_is_what_it_says(values, beta):
    x = np.array(values)
    variance = var(x, beta, bias=True)
    assert (variance >= 0).all()
    np.testing.assert_allclose(std(x, beta, bias=True), np.sqrt(variance), rtol=1e-15, atol=1e-150)
    np.testing.assert_allclose(
        variance, smooth((x - x.mean()) ** 2, beta) - smooth(x - x.mean(), beta) ** 2,
        rtol=1e-6, atol=1e-9 * (1 + np.ptp(x) ** 2),
    )  # fmt: skip
    shifted = var(x[: len(x) // 2], beta, bias=True)
    np.testing.assert_allclose(shifted, variance[: len(x) // 2], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("ignore_na", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_pandas(share, ignore_na):
    rng = np.random.default_rng(5)
    x = rng.standard_normal(5000).cumsum()
    x[rng.random(len(x)) < share] = np.nan
    frame = pd.DataFrame({"a": x, "b": x[::-1]})
    for beta in (0.3, 0.9, 0.999):
        ewm = frame.ewm(alpha=1 - beta, ignore_na=ignore_na)
        for ours, theirs in ((var, ewm.var), (std, ewm.std)):
            for bias in (False, True):
                options = {"bias": bias, "ignore_na": ignore_na, "fill": True}
                pd.testing.assert_frame_equal(
                    ours(frame, beta, **options), theirs(bias=bias), rtol=1e-8, atol=1e-10
                )


def test_complex_samples():
    with pytest.raises(TypeError, match=r"real samples; received complex128: take \.real"):
        var(np.array([1j, 2.0]))


def test_types():
    assert var(np.ones(3, np.float32)).dtype == np.float32
    assert std(np.arange(3), bias=True).dtype == np.float64
    assert np.isnan(var([1.0, None, math.inf], bias=True)[2])
