"""What holds for every series: hypothesis, and every way an array can lie in memory."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ewma import _core, smooth, std

EPS = 2.0**-52

betas = st.one_of(
    st.sampled_from([0.0, 0.5, 0.6, 0.9, 0.99999, 1.0]), st.floats(0, 1, allow_subnormal=False)
)
moderate = st.floats(-1e6, 1e6)
anything = st.floats(width=64)
lengths = st.integers(0, 150)
quickly = settings(max_examples=60, deadline=None)


def ulps_of(x):
    finite = np.abs(x[np.isfinite(x)])
    return math.ulp(finite.max(initial=0.0))


def assert_within(found, expected, ulps, x):
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    finite = np.isfinite(expected)
    off = np.abs(found[finite] / 2 - expected[finite] / 2).max(initial=0.0)
    assert off <= ulps / 2 * ulps_of(x)
    np.testing.assert_array_equal(found[~finite], expected[~finite])


@quickly
@given(arrays(float, lengths, elements=moderate), betas, st.floats(0.01, 100), moderate)
def test_affine(x, beta, scale, offset):
    y = smooth(scale * x + offset, beta)
    largest = scale * np.abs(x).max(initial=0.0) + abs(offset)
    slack = 20 * (EPS * largest + 5e-324)
    np.testing.assert_allclose(y, scale * smooth(x, beta) + offset, rtol=0, atol=slack)


@quickly
@given(arrays(float, lengths, elements=anything), betas, st.booleans(), st.booleans())
def test_mean_lies_among_its_samples(x, beta, ignore_na, fill):
    y = smooth(x, beta, ignore_na=ignore_na, fill=fill)
    good = np.isfinite(x)
    low = np.minimum.accumulate(np.where(good, x, np.inf))
    high = np.maximum.accumulate(np.where(good, x, -np.inf))
    seen = np.maximum.accumulate(good) if len(x) else good
    here = seen if fill else good
    slack = 8 * ulps_of(x)  # a sample too near to the largest double cannot have it
    with np.errstate(over="ignore"):
        assert (y[here] >= low[here] - slack).all()
        assert (y[here] <= high[here] + slack).all()
    if fill:
        assert np.isnan(y[~seen]).all()
    else:
        np.testing.assert_array_equal(y[~good], x[~good])


@quickly
@given(arrays(float, lengths, elements=anything), betas, st.integers(0, 150), st.booleans())
def test_the_future_does_not_count(x, beta, n, debias):
    # What was cut off after n may move a result by rounding: ulp of the larger part, not more.
    whole, part = smooth(x, beta, debias=debias)[:n], smooth(x[:n], beta, debias=debias)
    assert_within(whole, part, 16, x[:n])


@pytest.mark.parametrize("before", [[1.1, 2.3], [1e-100, 3e-100], [np.nan, 0.0, 2.0, 1.0] * 20])
def test_a_larger_scale_leaves_what_was_before(before):
    # From 1e116 on samples are worked on at another scale, where these would be 0.
    n = len(before)
    x = np.array([*before, 1e116, 5.0, 1e300, 1.0])
    evenly = {"times": np.arange(n + 4)}
    by_time = {**evenly, "weighting": "time"}
    for function, options in (
        (smooth, evenly),
        (smooth, by_time),
        (std, {}),
        (std, {"bias": True, "fill": True}),
        (std, by_time),
    ):
        cut = {key: value[:n] if key == "times" else value for key, value in options.items()}
        part = function(x[:n], 0.5, **cut)
        assert np.nanmax(part) > 0
        np.testing.assert_array_equal(function(x, 0.5, **options)[:n], part)


@quickly
@given(arrays(np.float32, lengths, elements=st.floats(width=32)), betas, st.booleans())
@example(np.float32([3.0] * 24 + [0.0] * 3), 2.0**-52, False)
def test_float32_is_rounded_float64(x, beta, debias):
    y = smooth(x, beta, debias=debias)
    assert y.dtype == np.float32
    double = smooth(x.astype(np.float64), beta, debias=debias)
    # Both stay under 2 ulp of the largest; beside a mean that has decayed to less, that shows.
    slack = 4 * ulps_of(x.astype(np.float64))
    finite = np.isfinite(double)
    assert (y >= (double - slack).astype(np.float32))[finite].all()
    assert (y <= (double + slack).astype(np.float32))[finite].all()
    np.testing.assert_array_equal(y[~finite], double[~finite])


@quickly
@given(arrays(float, lengths, elements=anything), betas, st.booleans(), st.booleans())
def test_compiled_copies_agree(x, beta, debias, ignore_na):
    found = smooth(x, beta, debias=debias, ignore_na=ignore_na)
    for isa_limit in (0, 1):
        other = np.empty_like(x)
        _core.smooth(x, other, 1, len(x), 1, beta, debias, ignore_na, False, 1, isa_limit)
        assert_within(found, other, 16, x)


@pytest.mark.parametrize("isa_limit", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("care", ["gap", "large"])
def test_columns_mean_beside_others_what_they_mean_alone(dtype, isa_limit, care):
    # Any number of columns fills some registers, and a part of one more: nothing is written behind,
    # and what needs care is seen in each place.
    rng = np.random.default_rng(0)
    for columns in [*range(1, 71)] * 2:
        x = rng.standard_normal((25, columns)).astype(dtype)
        at = columns * int(rng.integers(8)) // 8
        x[[9, 10], at] = np.nan if care == "gap" else np.finfo(dtype).max * np.array([1, -1])
        y = np.full(x.size + 16, 7, dtype)
        _core.smooth(x.ravel(), y[: x.size], 1, *x.shape, 0.9, True, True, False, 1, isa_limit)
        assert (y[x.size :] == 7).all()
        for of_column, found in zip(x.T, y[: x.size].reshape(x.shape).T, strict=True):
            alone = smooth(of_column.astype(float), 0.9)
            slack = 4 * np.finfo(dtype).eps * np.fmax.accumulate(np.abs(of_column))
            assert (np.isnan(found) == np.isnan(alone)).all()
            assert (np.isnan(alone) | (np.abs(found - alone) <= slack)).all()


@pytest.mark.parametrize("isa_limit", [0, 1, 2])
@pytest.mark.parametrize("beta", [0.3, 0.62, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("care", ["gap", "infinite", "2^400", "2^1000", "largest", "too large"])
def test_what_needs_care_is_seen_wherever_it_lies_in_a_long_block(care, beta, isa_limit):
    # Not every sample of a block is looked at; a large one and its opposite nearly cancel.
    def smooth_by(x):
        y = np.empty_like(x)
        _core.smooth(x, y, 1, len(x), 1, beta, True, True, False, 1, isa_limit)
        return y

    x = np.random.default_rng(0).standard_normal(4000)
    most = np.finfo(float).max
    large = {"2^400": 2.0**400, "2^1000": 2.0**1000, "largest": most, "too large": most}.get(care)
    for at in range(3000, 3033):
        with_care, scale = x.copy(), 1.0
        if large is None:
            with_care[at] = np.nan if care == "gap" else np.inf
            without = smooth_by(np.delete(x, at))
            expected = np.insert(without, at, with_care[at])
        else:
            with_care[at : at + 2] = large, -large * (beta if at % 2 else 1)
            if care == "too large":  # the sum of two, but not the third
                with_care[at + 1 : at + 3] = large, -large
            scale = 2.0**-700  # exact, and all of it is of another scale
            expected = smooth_by(with_care * scale)
        slack = 4 * EPS * np.fmax.accumulate(np.abs(np.where(np.isinf(with_care), 0, with_care)))
        with np.errstate(invalid="ignore"):
            off = np.abs(smooth_by(with_care) * scale - expected)
        kept = ~np.isfinite(with_care)
        np.testing.assert_array_equal(smooth_by(with_care)[kept], with_care[kept])
        assert (off[~kept] <= (slack * scale)[~kept]).all()


@pytest.mark.parametrize("isa_limit", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("care", ["none", "gap", "large", "tiny"])
@pytest.mark.parametrize(
    "options", [(True, True, False), (True, False, True), (False, False, False)]
)
def test_short_series_mean_beside_others_what_they_mean_alone(dtype, isa_limit, care, options):
    # They are worked on side by side, so many at once and so many samples of each.
    rng = np.random.default_rng(0)
    shapes = [(4, 9), (5, 1), (12, 33), (128, 4), (131, 40), (135, 19), (33, 20), (3, 900)]
    shapes += [(41, 384), (19, 403), (37, 900), (6, 1024), (5, 1025), (41, 400), (6, 385), (7, 384)]
    for (count, time), beta in zip(shapes, cycle([0.9, 0.3, 0.5, 1.0])):
        x = rng.standard_normal((count, time)).astype(dtype)
        if care == "tiny":  # keeps its bits behind zeros, as those are of no scale yet
            tiny = rng.integers(count, size=3)
            x[tiny] = np.finfo(dtype).smallest_subnormal * rng.integers(1, 99, size=(3, time))
            x[tiny, : time // 3] = 0
        for at in rng.integers(count, size=3) if time > 2 and care in ("gap", "large") else ():
            row = int(rng.integers(time - 1))
            big = np.finfo(dtype).max * np.array([1, -1])
            x[at, row : row + 2] = np.nan if care == "gap" else big
        y = np.full(x.size + 16, 7, dtype)
        y[: x.size] = x.ravel()
        for source in (x.ravel(), y[: x.size]):  # the second time in place
            _core.smooth(source, y[: x.size], count, time, 1, beta, *options, 1, isa_limit)
            assert (y[x.size :] == 7).all()
            for series, found in zip(x, y[: x.size].reshape(x.shape), strict=True):
                debias, ignore_na, fill = options
                alone = smooth(
                    series.astype(float), beta, debias=debias, ignore_na=ignore_na, fill=fill
                )
                slack = 4 * np.finfo(dtype).eps * np.fmax.accumulate(np.abs(series))
                slack += np.finfo(dtype).smallest_subnormal
                assert (np.isnan(found) == np.isnan(alone)).all()
                assert (np.isnan(alone) | (np.abs(found - alone) <= slack)).all()
            y[: x.size] = x.ravel()


@pytest.mark.parametrize("isa_limit", [0, 1, 2])
@pytest.mark.parametrize(("count", "columns"), [(1, 7), (5, 1)], ids=["columns", "short series"])
def test_a_long_run_of_zeros_ends_at_zero(count, columns, isa_limit):
    # And not at the smallest denormal, which is slow.
    x = np.zeros((count, 1000, columns))
    x[:, 0] = 1e-70
    y = np.empty_like(x)
    _core.smooth(x.ravel(), y.ravel(), *x.shape, 0.5, True, True, False, 1, isa_limit)
    assert (y[:, 300] > 0).all()
    assert (y[:, -1] == 0).all()


@quickly
@given(arrays(float, lengths, elements=moderate), betas)
def test_the_samples_come_back_out(x, beta):
    # y_t is a mean of x up to t: x_t = y_t + (w_t - 1) (y_t - y_{t-1}), for any beta.
    y = smooth(x, beta)
    weight = np.cumsum(beta ** np.arange(len(x)))
    again = y + (weight - 1) * np.diff(y, prepend=0.0)
    slack = 20 * (EPS * np.abs(x).max(initial=0.0) + 5e-324)
    np.testing.assert_allclose(again, x, rtol=0, atol=slack * weight.max(initial=1.0))


@quickly
@given(arrays(float, lengths, elements=anything), betas, st.booleans(), st.booleans())
def test_the_input_is_never_changed(x, beta, debias, fill):
    before = x.tobytes()
    x.flags.writeable = False
    y = smooth(x, beta, debias=debias, fill=fill)
    assert x.tobytes() == before
    assert y is not x
    assert not np.may_share_memory(x, y)
    assert y.flags.writeable


# Any axis of any array, however it lies in memory

LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "strided along the first": lambda x: np.repeat(x, 3, axis=0)[::3],
    "negative strides": lambda x: np.flip(np.flip(x).copy()),
    "axes turned": lambda x: np.moveaxis(np.moveaxis(x, 0, -1).copy(), -1, 0),
    "another byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "in a larger one": lambda x: np.pad(x, 1)[(slice(1, -1),) * x.ndim],
    "unaligned": lambda x: _unaligned(x),
}


def _unaligned(x):
    memory = np.empty(x.nbytes + 1, np.uint8)
    y = memory[1:].view(x.dtype).reshape(x.shape)
    y[...] = x
    return y


def along(x, axis, **options):
    """Smooth one series at a time, each lying in one piece."""
    x = x.astype(x.dtype.newbyteorder("="))
    return np.apply_along_axis(lambda series: smooth(series.copy(), **options), axis, x)


def samples(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    x[rng.random(shape) < 0.05] = np.nan
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


SHAPES = [
    (70,),
    (70, 3),
    (3, 70),
    (40, 33),
    (200, 65),
    (4, 50, 3),
    (2, 3, 40, 2),
    (1, 1),
    (1, 5, 1),
]


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "c8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_axis_of_any_array(layout, shape, dtype):
    x = LAYOUTS[layout](samples(shape, dtype))
    tolerance = 1e-14 if x.dtype.itemsize // (1 + (x.dtype.kind == "c")) == 8 else 1e-6
    for axis in range(-x.ndim, x.ndim):
        for beta in (0.5, 0.9):
            before = x.copy()
            y = smooth(x, beta, axis=axis)
            np.testing.assert_array_equal(x, before)
            assert y.dtype == x.dtype
            assert y.shape == x.shape
            np.testing.assert_allclose(y, along(x, axis, beta=beta), rtol=0, atol=tolerance)


@given(arrays(float, array_shapes(max_dims=4, max_side=6), elements=moderate), st.data())
@quickly
def test_any_shape(x, data):
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    x = x.transpose(data.draw(st.permutations(range(x.ndim))))
    y = smooth(x, 0.7, axis=axis, ignore_na=False)
    np.testing.assert_allclose(y, along(x, axis, beta=0.7), rtol=0, atol=1e-14 * 1e6)


@pytest.mark.parametrize("shape", [(5, 1), (1, 5), (1, 1, 4)])
def test_broadcast(shape):
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    x = np.broadcast_to(x, [5 if n == 1 else n for n in shape])
    for axis in range(x.ndim):
        y = smooth(x, 0.5, axis=axis)
        np.testing.assert_allclose(y, along(x, axis, beta=0.5), rtol=1e-14)
        assert y.flags.writeable


def test_layout_is_kept():
    x = np.asfortranarray(samples((50, 4), "f8"))
    assert smooth(x).flags.f_contiguous
    assert smooth(x.T).flags.c_contiguous


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i4", "?", "f2", "O"])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4), (0, 0)], ids=str)
def test_nothing_to_smooth(shape, dtype):
    x = np.zeros(shape, dtype)
    for order in (x, np.asfortranarray(x)):
        for axis in range(x.ndim):
            y = smooth(order, axis=axis)
            assert y.shape == shape
            assert y.dtype == (np.float64 if dtype in "i4?" else x.dtype)


@pytest.mark.parametrize("axis", [1, -2, 100])
def test_no_such_axis(axis):
    with pytest.raises(ValueError, match=rf"axis must lie in \[-1, 1\) .* received {axis}"):
        smooth(np.ones(5), axis=axis)


def test_bad_axis():
    with pytest.raises(ValueError, match="received 3"):
        smooth(np.ones((2, 2, 2)), axis=3)
    for axis in (0.0, 0.5, 1.0, None, (0,), [0]):
        for x in (np.ones((2, 2)), np.ones(2)):
            with pytest.raises(TypeError, match="axis must be an integer; received"):
                smooth(x, axis=axis)
    with pytest.raises(ValueError, match="axis must be a number for a ndarray; received 'index'"):
        smooth(np.ones((2, 2)), axis="index")


# out=


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "c8", "f2", ">f8", ">f4", ">c16", "g"])
def test_out(dtype):
    x = samples((60, 7), dtype)
    expected = smooth(x, 0.8)
    for out in (
        np.empty_like(x),
        np.asfortranarray(np.empty_like(x)),
        np.empty((60, 14), dtype)[:, ::2],
        np.empty((7, 60), dtype)[::-1].T,
        _unaligned(np.empty_like(x)),
    ):
        for series in (x, np.asfortranarray(x)):
            assert smooth(series, 0.8, out=out) is out
            np.testing.assert_allclose(out, expected, rtol=0, atol=1e-15)
    x_before = x.copy()
    assert smooth(x, 0.8, out=x) is x
    np.testing.assert_array_equal(x, smooth(x_before, 0.8))


@pytest.mark.parametrize("dtype", ["i8", "u1", "?"])
def test_out_of_whole_numbers(dtype):
    x = np.arange(50).astype(dtype)
    out = np.empty(50)
    assert smooth(x, out=out) is out
    np.testing.assert_array_equal(out, smooth(x.astype(float)))


@pytest.mark.parametrize("dtype", ["f8", "c16", "f2"])
@pytest.mark.parametrize("shift", [1, 3, 33])
@pytest.mark.parametrize("axis", [0, 1])
def test_out_overlaps_the_input(dtype, shift, axis):
    for forward in (True, False):
        memory = samples((100 + shift, 3), dtype)
        first, second = memory[:100], memory[shift:]
        x, out = (first, second) if forward else (second, first)
        expected = smooth(x.copy(), 0.8, axis=axis)
        assert smooth(x, 0.8, axis=axis, out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_out_is_the_input_turned():
    x = samples((40, 40), "f8")
    expected = smooth(x.copy(), 0.8)
    assert smooth(x, 0.8, out=x.T).base is x
    np.testing.assert_array_equal(x.T, expected)


def test_out_is_the_input_backwards():
    x = samples(200, "f8")
    expected = smooth(x.copy(), 0.8)
    smooth(x, 0.8, out=x[::-1])
    np.testing.assert_array_equal(x[::-1], expected)


def test_bad_out():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"shape of the result, \(4, 3\); received \(3, 4\)"):
        smooth(x, out=np.empty((3, 4)))
    with pytest.raises(ValueError, match=r"received \(12,\)"):
        smooth(x, out=np.empty(12))
    for dtype in ("f4", "i8", "c16", ">f8", "O"):
        with pytest.raises(TypeError, match="dtype, float64; received"):
            smooth(x, out=np.empty((4, 3), dtype))
    with pytest.raises(TypeError, match="dtype, float64; received int64"):
        smooth(np.ones(3, np.int64), out=np.empty(3, np.int64))
    with pytest.raises(TypeError, match="dtype, complex128; received float64"):
        smooth(x + 0j, out=x)
    frozen = np.empty((4, 3))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writeable; received a read-only array"):
        smooth(x, out=frozen)
    with pytest.raises(TypeError, match="series of type list and out of type ndarray"):
        smooth([1.0, 2.0], out=np.empty(2))
    with pytest.raises(TypeError, match="series of type ndarray and out of type list"):
        smooth(np.ones(2), out=[1.0, 2.0])
    with pytest.raises(TypeError, match=r"received a series of objects: give series\.astype"):
        smooth(np.array([1, 2], object), out=np.empty(2, object))
    np.testing.assert_array_equal(x, 1)


# Threads


def test_threads():
    x = samples((20_000, 3), "f8")
    expected = [smooth(x, beta) for beta in (0.1, 0.9, 0.999)]
    start = threading.Barrier(6)

    def work(i):
        start.wait()
        return [smooth(x, (0.1, 0.9, 0.999)[i % 3]) for _ in range(10)]

    with ThreadPoolExecutor(6) as pool:
        for i, results in enumerate(pool.map(work, range(6))):
            for result in results:
                np.testing.assert_array_equal(result, expected[i % 3])


# The native edge


def test_kernel_refuses_what_does_not_fit():
    x = np.ones(6)
    options = (0.9, True, True, False)
    # The last one's product is 6 in 64 bits.
    for shape in ((1, 5, 1), (1, 7, 1), (2, 3, 2), (0, 6, 1), (2**63 + 3, 2, 1)):
        with pytest.raises(ValueError, match="items"):
            _core.smooth(x, np.empty(6), *shape, *options)
    with pytest.raises(ValueError, match="items"):
        _core.smooth(x, np.empty(5), 1, 6, 1, *options)
    for other in (np.empty(6, np.float32), np.empty(6, np.int64), np.empty(6, ">f8")):
        with pytest.raises(TypeError, match="both be float64 or both float32"):
            _core.smooth(x, other, 1, 6, 1, *options)
        with pytest.raises(TypeError, match="both be float64 or both float32"):
            _core.smooth(other, x, 1, 6, 1, *options)
    frozen = np.empty(6)
    frozen.flags.writeable = False
    for bad in (frozen, np.empty(12)[::2]):
        with pytest.raises((BufferError, ValueError)):
            _core.smooth(x, bad, 1, 6, 1, *options)
