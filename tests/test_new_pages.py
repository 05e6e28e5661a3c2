"""Memory is first written at the ends of its pages, which must show neither in it nor around it."""

from functools import lru_cache

import numpy as np
import pytest

from ewma import smooth, var

PAGE = 2**21  # bytes
GUARD = 1000  # items in front of the output and behind it


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@lru_cache(maxsize=1)  # the tests of one follow each other
def samples_and_means(gaps, dtype, shape, axis):
    x = noise(*shape).astype(dtype)
    if gaps:
        x[np.random.default_rng(1).random(shape) < 1e-4] = np.nan
    expected = x.copy()
    smooth(expected, 0.9, axis=axis, threads=1, out=expected)  # nothing is new there
    return x, expected


def guarded(shape, dtype, offset):
    """Return memory and a piece of it that starts `offset` items after a page does."""
    memory = np.full(np.prod(shape) + PAGE // dtype.itemsize + 3 * GUARD, 7, dtype)
    start = -memory.ctypes.data % PAGE // dtype.itemsize + offset
    start += 0 if start >= GUARD else PAGE // dtype.itemsize
    return memory, start, memory[start : start + np.prod(shape)].reshape(shape)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((1_000_003,), 0),
        ((1000, 1003), 0),
        ((1000, 1003), 1),
        ((20, 50_000), 0),
        ((3, 500, 700), 1),
        ((PAGE // 8,), 0),
        ((2 * PAGE // 8 + 1,), 0),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gaps", [False, True])
def test_output(gaps, dtype, shape, axis, offset, threads):
    x, expected = samples_and_means(gaps, dtype, shape, axis)
    memory, start, out = guarded(shape, x.dtype, offset)
    smooth(x, 0.9, axis=axis, threads=threads, out=out)
    np.testing.assert_allclose(out, expected, rtol=8 * np.finfo(dtype).eps, atol=1e-15)
    assert (memory[:start] == 7).all()
    assert (memory[start + x.size :] == 7).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("shape", "axis", "beta"),
    [
        ((1000, 4000), 0, 0.5),  # 100 rows are worked on together from where one has a gap
        ((2000, 2003), 0, 0.9),
        ((10_000, 1000), 0, 0.999),
        ((5_000_000,), 0, 0.9),
        ((5, 1_000_000), 1, 0.9),
    ],
)
def test_gaps_now_and_then(shape, axis, beta, dtype, threads):
    """What is written ahead of the rest, up to the end of a page and beyond it, stays."""
    x = np.ones(shape, dtype)
    if axis == 0 and x.ndim == 2:
        x[::100, ::1000] = np.nan
    else:
        x[..., :: PAGE // x.itemsize // 8 + 13] = np.nan
    np.testing.assert_array_equal(smooth(x, beta, axis=axis, threads=threads), x)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("shape", "axis"), [((700_001,), 0), ((701, 1003), 0), ((701, 1003), 1)])
def test_other_statistics(shape, axis, threads):
    x = np.round(1000 * noise(*shape)).astype(np.int32)
    betas = [0.5, 0.9, 0.99]
    together = smooth(x, betas, axis=axis, threads=threads)
    for y, beta in zip(together, betas, strict=True):
        expected = x.astype(np.float64)
        smooth(expected, beta, axis=axis, threads=1, out=expected)
        np.testing.assert_allclose(y, expected, rtol=1e-14, atol=1e-12)
    whole = var(x, 0.9, axis=axis, threads=threads)
    pieces = np.split(x, [5], axis=1 - axis) if x.ndim == 2 else [x]
    apart = [var(piece, 0.9, axis=axis, threads=1) for piece in pieces]
    np.testing.assert_allclose(
        whole, np.concatenate(apart, axis=1 - axis if x.ndim == 2 else 0), rtol=1e-12
    )
