"""`smooth` against the definition in exact arithmetic, with errors in ulp of the largest |x|."""

import math
from fractions import Fraction

import numpy as np
import pytest
from exact_mean import by_definition, exact_mean

from ewma import EMA, _core, gain, smooth, step

LARGEST = np.finfo(np.float64).max
SMALLEST = 5e-324

BETAS = (0.0, 1e-300, 0.1, 0.3, 0.5, 0.6, 0.9, 0.97, 0.99, 0.999, 0.99999, 1 - 1e-9, 1.0)

BOUND = 2.0

COLUMNS = (1, 3, 7)  # one; few, which are brought together; rows, of which a register holds a part


def each_kernel(x, beta, debias=True, ignore_na=True, fill=False):
    """Yield what each compiled copy makes of x, along contiguous samples and across columns."""
    x = np.asarray(x, np.float64)
    for isa_limit in (0, 1, 2):
        for columns in COLUMNS:
            block = x if columns == 1 else np.repeat(x, columns)
            out = np.empty_like(block)
            options = (beta, debias, ignore_na, fill, 1, isa_limit)
            _core.smooth(block, out, 1, len(x), columns, *options)
            for i in {0, columns - 1}:
                yield out[i::columns]


def rng(seed=0):
    return np.random.default_rng(seed)


def with_gaps(x, seed, share=0.1):
    x, random = x.copy(), rng(seed)
    for value in (np.nan, np.inf, -np.inf):
        x[random.random(len(x)) < share / 3] = value
    return x


def assert_close(y, exact, bound=BOUND):
    of_all, so_far = exact.errors(y)
    assert of_all <= bound, f"{of_all:.3g} ulp of the largest |x|"
    # The same in ulp of the largest |x| so far: a later sample must not show in an earlier mean.
    assert so_far <= bound, f"{so_far:.3g} ulp of the largest |x| so far"


# The reference itself


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("beta", BETAS)
def test_linear_reference_is_the_definition(beta, debias, ignore_na):
    x = rng().standard_normal(16)
    x[[0, 3, 4, 9]], x[12] = np.nan, np.inf
    exact = exact_mean(x, beta, debias, ignore_na)
    for t, mean in enumerate(by_definition(x, beta, debias, ignore_na)):
        if mean is not None:
            found = Fraction(exact.hi[t]) + Fraction(exact.lo[t])
            found *= Fraction(2) ** int(exact.exponent[t])
            assert abs(found - mean) <= abs(mean) / 2**90 + Fraction(1, 2**1190)


def test_by_hand():
    assert by_definition([4, 1, 3], 0.5) == [4, 2, Fraction(18, 7)]
    assert by_definition([4, math.nan, 1], 0.5) == [4, 4, 2]
    assert by_definition([4, math.nan, 1], 0.5, ignore_na=False) == [4, 4, Fraction(8, 5)]
    assert by_definition([4, math.nan, 1], 0.5, debias=False) == [2, 2, Fraction(3, 2)]
    assert by_definition([4, math.nan, 1], 0.5, False, ignore_na=False) == [2, 1, 1]


# Random data


SERIES = {
    "normal": rng(1).standard_normal(2500),
    "uniform": rng(2).random(2500),
    "changing sign once": np.sort(rng(3).standard_normal(2500)),
    "over ten decades": np.exp(5 * rng(4).standard_normal(2500)),
    "spikes": np.where(rng(5).random(2500) < 0.02, 1e6, 1.0) * rng(6).standard_normal(2500),
    "signs at random": np.where(rng(3945).random(2500) < 0.5, -1.99, 1.99),
    "1e9 + noise": 1e9 + rng(7).standard_normal(2500),
    "-1e9 + noise": -1e9 + rng(8).standard_normal(2500),
    "denormals": rng(9).integers(-1000, 1000, 2500) * SMALLEST,
    "partly denormal": rng(10).standard_normal(2500) * 1e-308,
    "tiny": rng(11).standard_normal(2500) * 1e-300,
    "up to the largest double": LARGEST * rng(12).random(2500),
    "down to its negative": -LARGEST * rng(13).random(2500),
    "1e308, both signs": 1e308 * rng(14).uniform(-1, 1, 2500),
    "zeros after data": np.r_[rng(15).standard_normal(100), np.zeros(2400)],
    "zeros between data": np.r_[1.0, np.zeros(2300), rng(16).standard_normal(199)],
    "zeros before data": np.r_[np.zeros(100), rng(17).standard_normal(2400)],
    "tiny, then large": np.r_[
        rng(18).standard_normal(500) * 1e-310,
        rng(19).standard_normal(500) * 1e-200,
        rng(20).standard_normal(500),
        1e308 * rng(21).random(500),
        rng(22).standard_normal(500),
    ],
    "large, then tiny": np.r_[1e308 * rng(23).random(100), 1e-310 * rng(24).random(2400)],
    "a constant, then another": np.r_[np.full(1000, 0.1), np.full(1500, 0.7)],
}


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", SERIES)
def test_exact(name, beta):
    exact = exact_mean(SERIES[name], beta)
    for y in each_kernel(SERIES[name], beta):
        assert_close(y, exact)


@pytest.mark.parametrize("beta", BETAS)
def test_every_length(beta):
    # A first sample alone, blocks of 128 or 256, a shorter one at the end or less than makes one
    # worth it, tiles of 128 rows.
    x = 3 + rng(30).standard_normal(400)
    exact = exact_mean(x, beta)
    some = (1, 2, 16, 17, 18, 128, 129, 130, 145, 256, 257, 258, 384, 385, 386, 400)
    for n in range(1, 200) if beta in (0.5, 0.9, 0.999) else some:
        for y in each_kernel(x[:n], beta):
            assert_close(y, exact)


@pytest.mark.parametrize("beta", [0.5, 0.99999, 1 - 1e-9, 1.0])
def test_rounding_does_not_add_up(beta):
    # The weight grows over 1 / (1 - beta) samples: half an ulp a step would show.
    x = 3 + rng(31).standard_normal(40_000)
    assert_close(smooth(x, beta), exact_mean(x, beta))


@pytest.mark.parametrize("beta", [0.99999, 1 - 1e-9, 1.0])
def test_rounding_does_not_add_up_sample_by_sample(beta):
    x = 1e9 + rng(33).standard_normal(40_000)
    x[::20] = np.nan  # no block without one
    assert_close(smooth(x, beta), exact_mean(x, beta), 0.51)


@pytest.mark.parametrize(
    "beta",
    [0.1, 0.3, 0.44, 0.5, 0.59, 0.6, 0.65, 0.7, 0.8, 0.9, 0.97, 0.98, 0.995, 0.999, 0.9995, 1.0],
)
@pytest.mark.parametrize("period", [1, 2, 7, 32, 50, 128, 200])
@pytest.mark.parametrize("low", [-LARGEST, -1.7])
def test_jumps_between_signs(beta, period, low):
    # The sums of a block round several times, in ulp of the range: means not polished nor refined
    # are off by up to 6 ulp here, and polished ones that are not refined by 3. The values are just
    # below a power of two, and so have the smallest ulp for their size.
    x = np.where((np.arange(2000) + 3) // period % 2, low, LARGEST if low == -LARGEST else 1.9)
    exact = exact_mean(x, beta)
    for y in each_kernel(x, beta):
        assert_close(y, exact)


@pytest.mark.parametrize("beta", [0.9, 0.93, 0.95, 0.97])
@pytest.mark.parametrize("length", [4, 8])
def test_swings_at_the_start(length, beta):
    """First means go far and come back within the lanes of one vector, of four or of eight."""
    signs = np.where(np.arange(97) // length % 2, 1.0, -1.0)
    for seed in range(60):
        random = rng(seed)
        x = signs * (2 - random.random(97) * 2.0 ** -random.integers(1, 40))
        exact = exact_mean(x, beta)
        for y in each_kernel(x, beta):
            assert_close(y, exact)


@pytest.mark.parametrize("beta", BETAS)
def test_random_up_to_the_largest_of_both_signs(beta):
    # The largest |x| just below a power of two has a small ulp.
    x = LARGEST * rng(32).uniform(-1, 1, 2500)
    exact = exact_mean(x, beta)
    for y in each_kernel(x, beta):
        assert_close(y, exact)


# Missing samples


GAPS = {
    "at random": with_gaps(rng(40).standard_normal(1500), 41),
    "often": with_gaps(rng(42).standard_normal(400), 43, share=0.8),
    "rarely": with_gaps(rng(44).standard_normal(1500), 45, share=0.01),
    "at the start": np.r_[np.nan, np.inf, [np.nan] * 70, rng(46).standard_normal(200)],
    "for long": np.r_[rng(47).standard_normal(200), [np.nan] * 2500, rng(48).standard_normal(200)],
    "after zeros": np.r_[np.zeros(64), np.nan, 1.0, np.nan],
    "all": np.full(100, -np.inf),
    "and an offset": with_gaps(1e9 + rng(49).standard_normal(1000), 50),
}


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("beta", [0.0, 1e-300, 0.1, 0.5, 0.6, 0.9, 0.99, 0.99999, 1.0])
@pytest.mark.parametrize("name", GAPS)
def test_gaps(name, beta, debias, ignore_na):
    x = GAPS[name]
    exact = exact_mean(x, beta, debias, ignore_na)
    first = np.argmin(np.r_[exact.missing, False])
    for y in each_kernel(x, beta, debias, ignore_na):
        np.testing.assert_array_equal(y[exact.missing], x[exact.missing])
        assert_close(y, exact)
    for y in each_kernel(x, beta, debias, ignore_na, fill=True):
        assert np.isnan(y[:first]).all()
        if first < len(x):
            assert_close(y[first:], exact.filled(first))


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("beta", [0.93, 0.99, 0.999, 0.99975, 0.99999])
@pytest.mark.parametrize("start", [20, 25, 30, 40])
def test_gaps_between_slow_ramps(start, beta, ignore_na):
    # What the sums round by early in a block counts beside the largest so far, not of the block.
    jumps = np.where((np.arange(300) + start) // 84 % 2, -1.5358, 0.5184)
    for slope in (0.0141, 0.0151, 0.01566, 0.0171):
        x = np.clip(slope * np.cumsum(jumps), -1.99, 1.99)
        x[78] = np.nan
        exact = exact_mean(x, beta, ignore_na=ignore_na)
        for y in each_kernel(x, beta, ignore_na=ignore_na):
            assert_close(y, exact)


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("beta", [0.3, 0.59, 0.6, 0.65, 0.7, 0.76, 0.9, 0.97, 0.999, 0.99996])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_gaps_between_jumps(share, beta, ignore_na):
    # The weight is a sum, too: where it is known to a few ulp only, so are the means after a jump.
    for seed, period in enumerate((5, 20, 110, 210)):
        jumps = np.where(np.arange(900) // period % 2, -1.95, 1.9)
        for whole in (jumps, np.clip(0.6 * np.cumsum(jumps), -1.99, 1.99)):
            x = with_gaps(whole, seed, share)
            exact = exact_mean(x, beta, ignore_na=ignore_na)
            for y in each_kernel(x, beta, ignore_na=ignore_na):
                assert_close(y, exact)


# One series cut between threads


@pytest.mark.parametrize("after", [15, 16, 40, 129, 300])
@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize("beta", [1e-7, 0.3, 0.5, 0.7, 0.9])
def test_a_gap_in_which_everything_is_forgotten(beta, fill, after):
    """Behind it the first sample is the mean, wherever the blocks begin."""
    forgotten = math.ceil(-768 / math.log2(beta))
    whole = 128 * math.ceil(forgotten / 128)  # blocks, so that the next begins behind the gap
    for gap in (whole - 1, whole, whole + 1):
        x = np.r_[1.0, np.full(gap, np.nan), np.full(after, 2.0)]
        for y in each_kernel(x, beta, ignore_na=False, fill=fill):
            np.testing.assert_array_equal(y[-after:], 2.0)
    ema = EMA(beta, ignore_na=False)
    ema.update([1.0])
    ema.update(np.full(forgotten + 128, np.nan))
    np.testing.assert_array_equal(ema.update(np.full(after, 2.0)), 2.0)


@pytest.mark.parametrize("size", [1e-80, 1e-100, SMALLEST])
@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
def test_a_tiny_sample_alone_in_its_column(beta, size):
    for at in range(128, 160):  # of a block's samples only some are looked at for the largest
        x = np.zeros((300, 6))
        x[at, 0], x[:, 1] = size, 1.0
        by_columns = smooth(x, beta)
        for j in (0, 1, 2):
            alone = smooth(x[:, j].copy(), beta)
            np.testing.assert_allclose(by_columns[:, j], alone, rtol=1e-12, atol=1e-12 * size)


@pytest.mark.parametrize("size", [1e-100, SMALLEST])
@pytest.mark.parametrize("at", [0, 1, 5, 40])
def test_a_tiny_sample_where_another_column_begins(at, size):
    x = np.zeros((300, 9))
    x[:, 8] = 1.0
    x[at:, 0] = 1.0
    x[at + 1 :, 1] = -1.0
    x[at:, 5] = size * np.arange(1, 301 - at)
    x[at + 2 :, 6] = size
    by_columns = smooth(x, 0.9)
    for j in range(9):
        alone = smooth(x[:, j].copy(), 0.9)
        np.testing.assert_allclose(by_columns[:, j], alone, rtol=1e-12, atol=SMALLEST)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", SERIES)
def test_threads(name, beta):
    x = SERIES[name]
    exact = exact_mean(x, beta)
    for threads in (2, 3, 7):
        for y in in_pieces(x, beta, threads):
            assert_close(y, exact)


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("beta", [0.0, 1e-300, 0.1, 0.5, 0.9, 0.99, 0.99999, 1.0])
@pytest.mark.parametrize("name", GAPS)
def test_threads_and_gaps(name, beta, debias, ignore_na):
    x = GAPS[name]
    exact = exact_mean(x, beta, debias, ignore_na)
    for y in in_pieces(x, beta, 5, debias, ignore_na):
        np.testing.assert_array_equal(y[exact.missing], x[exact.missing])
        assert_close(y, exact)


def in_pieces(x, beta, threads, debias=True, ignore_na=True):
    """Yield what threads make of x, cut along time where it is long enough, and across columns."""
    for columns in COLUMNS:
        block = x if columns == 1 else np.repeat(x, columns)
        y = np.full_like(block, np.nan)
        _core.smooth(block, y, 1, len(x), columns, beta, debias, ignore_na, False, threads)
        for i in {0, columns - 1}:
            yield y[i::columns]


# Without bias correction


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", ["normal", "1e9 + noise", "denormals", "1e308, both signs"])
def test_undebiased(name, beta):
    x = SERIES[name][:1000]
    exact = exact_mean(x, beta, debias=False)
    for y in each_kernel(x, beta, debias=False):
        assert_close(y, exact)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("level", [1e8, 1e15, 1e20])
def test_float32_is_computed_in_float64(level, beta):
    # However large the level was that is forgotten.
    x = 1 + np.random.default_rng(4).standard_normal(600) / 10
    x[:3] = level
    x[300:302] = -level
    x = x.astype(np.float32)
    weight, mean, exact = np.longdouble(0), np.longdouble(0), []
    for sample in x.astype(np.longdouble):
        weight = beta * weight + 1
        mean += (sample - mean) / weight
        exact.append(mean)
    for found in (smooth(x, beta), EMA(beta).update(x)):
        np.testing.assert_allclose(found, np.array(exact, np.float32), rtol=2**-23)


def test_undebiased_starts_at_zero():
    assert smooth([4.0, 1.0, 3.0], 0.5, debias=False) == [2.0, 1.5, 2.25]
    assert smooth([4.0, 1.0], 1, debias=False) == [0.0, 0.0]
    assert smooth([4.0, 1.0], 0, debias=False) == [4.0, 1.0]


# Constants


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    "c", [0.1, -1 / 3, 1e9 + 0.1, 1e308, LARGEST, -LARGEST, SMALLEST, 1e-310, 0.0]
)
def test_constant_comes_out_to_the_bit(beta, c):
    x = np.full(500, c)
    for y in each_kernel(x, beta):
        np.testing.assert_array_equal(y, x)
    x[[0, 1, 40, 41, 100, 340]] = np.nan
    for ignore_na in (True, False):
        for y in each_kernel(x, beta, ignore_na=ignore_na):
            np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("c", [0.1, 1e9 + 0.1, -3e307])
def test_constant_stretch_comes_out_to_the_bit(beta, c):
    # Once the past weighs less than half an ulp of it.
    x = np.r_[c * rng(60).random(77), np.full(4000, c)]
    for y in each_kernel(x, beta):
        np.testing.assert_array_equal(y[3000:], c)


# One sample among many


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.6, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("size", [1e3, 1e6, 1e20, 1e300])
def test_a_towering_sample_leaves_the_past_alone(beta, size):
    # A block is worked on as a whole, but what comes later in it must not show.
    x = rng(61).random(100)
    exact = exact_mean(x, beta)
    for at in range(1, 100):
        spiked = x.copy()
        spiked[at] = size
        for y in each_kernel(spiked, beta):
            assert_close(y[:at], exact)


def test_no_overflow_nor_nan_at_the_largest_double():
    for beta in BETAS:
        for y in each_kernel(np.where(np.arange(300) % 3, LARGEST, -LARGEST), beta):
            assert np.isfinite(y).all()


# The recurrence written once


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("debias", [True, False])
def test_kernel_is_step_and_gain(beta, debias):
    x = 5 + rng(62).standard_normal(1000)
    y, expected = 0.0, []
    for t, sample in enumerate(x.tolist(), start=1):
        y = step(y, sample, gain(beta, t) if debias else 1 - beta)
        expected.append(y)
    np.testing.assert_allclose(smooth(x, beta, debias=debias), expected, rtol=1e-13)
