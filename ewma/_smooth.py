"""`smooth`: options in, one kernel call, the container out."""

from __future__ import annotations

import math
import operator
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ewma import _core
from ewma._decay import beta_from
from ewma._threads import SAMPLES_PER_THREAD, thread_count
from ewma.containers import open_container

T = TypeVar("T")
Array = npt.NDArray[Any]

_FLOAT64 = np.dtype(np.float64)


def smooth(
    series: T,
    beta: float | None = None,
    *,
    alpha: float | None = None,
    com: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
    axis: int | str = 0,
    debias: bool = True,
    ignore_na: bool = True,
    fill: bool = False,
    out: Array | None = None,
    threads: int | None = None,
) -> T:
    r"""Smooth with a bias-corrected exponential moving average.

    .. math::

        w_t = \beta w_{t-1} + 1, \qquad y_t = y_{t-1} + (x_t - y_{t-1}) / w_t

    so that :math:`y_t` is the mean of all samples so far, each weighted by beta to the power of
    its age. At beta = w this is TensorBoard's slider at w.

    Parameters
    ----------
    series : list, tuple, ndarray, Series or DataFrame
        Samples :math:`x_t` along `axis`; numbers of any type.
    beta : float, default 0.9
        Weight kept from the past, 0 <= beta <= 1: 0 returns the samples, 1 is the running mean.
    alpha, com, span, halflife : float, optional
        Instead of `beta`, pandas' names for how much to forget: alpha = 1 - beta,
        com = beta / alpha, span = 2 / alpha - 1, halflife = log(1/2) / log(beta), the last three
        in samples.
    axis : int or str, default 0
        Where time runs; for a DataFrame also "index" or "columns".
    debias : bool, default True
        Whether to correct the bias towards the start at 0. Without, :math:`y_0 = 0` and the gain
        is always 1 - beta.
    ignore_na : bool, default True
        A sample that is missing or not finite (NaN, NA, None, inf) leaves the state as it is. With
        True the clock stops over it (TensorBoard); with False the past decays across it (pandas'
        default).
    fill : bool, default False
        Whether such a sample comes out as the mean at that time (pandas), NaN before the first
        good sample. Otherwise it comes out as it went in.
    out : ndarray, optional
        Where to write the result of smoothing an array; its shape and dtype must be the result's.
        `out` may be `series`.
    threads : int, optional
        The most threads to use. By default as many as there are cores (at most 8) or the
        environment variable ``EWMA_NUM_THREADS`` says; fewer than 2**19 samples take one. Where one
        long series is cut between them, its means may differ in the last digits.

    Returns
    -------
    list, tuple, ndarray, Series or DataFrame
        What `series` is, of the same shape, with the same labels; for a subclass (a named tuple, a
        matrix) the type of these that it derives from. float dtypes are kept (all are computed in
        float64), complex ones too; integers and bools become float64.

    Raises
    ------
    ValueError
        For a decay outside its range or two of them, an axis that is not there, a ragged list, an
        `out` of the wrong shape.
    TypeError
        For samples that are not numbers, an unknown container, an `out` of the wrong dtype.

    See Also
    --------
    gain, step : The recurrence itself, for one step.

    Notes
    -----
    ``smooth(s, alpha=a, ignore_na=i, fill=True)`` equals ``s.ewm(alpha=a, ignore_na=i).mean()``.

    Examples
    --------
    >>> smooth([4.0, 1.0, 3.0], beta=0.5)
    [4.0, 2.0, 2.5714285714285716]
    >>> smooth([4.0, None, 1.0], beta=0.5)
    [4.0, None, 2.0]
    >>> smooth([4.0, None, 1.0], beta=0.5, ignore_na=False, fill=True)
    [4.0, 4.0, 1.6]
    """
    if not (
        type(beta) is float
        and 0.0 <= beta <= 1.0
        and alpha is None
        and com is None
        and span is None
        and halflife is None
    ):
        beta = beta_from(beta, alpha, com, span, halflife)
    flags = (beta, bool(debias), bool(ignore_na), bool(fill))
    data: Any = series
    # The common case without a detour, for short series are smoothed often.
    if (
        type(data) is np.ndarray
        and data.dtype is _FLOAT64
        and data.ndim == 1
        and out is None
        and type(axis) is int
        and axis == 0
        and len(data) < 2 * SAMPLES_PER_THREAD
        and threads is None
        and data.flags.carray  # contiguous, aligned, writeable: one look for the first two
    ):
        result: Array = np.empty(len(data))
        _core.smooth(data, result, 1, len(data), 1, *flags)
        return cast("T", result)
    values, close = open_container(data)
    if out is not None:
        _check_out(out, data, values)
    axis_number = _axis_number(axis, values.ndim, data)
    count = thread_count(values.size, threads)
    return cast("T", close(_smooth_array(values, axis_number, flags, out, count)))


def _axis_number(axis: int | str, dimensions: int, data: Any) -> int:
    if dimensions == 0:
        raise ValueError("series must have at least one axis; received a single number")
    names = {"index": 0, "columns": 1} if hasattr(data, "columns") else {}
    number = axis
    if isinstance(axis, str):
        if axis not in names:
            expected = ", 'index' or 'columns'" if names else f" for a {type(data).__name__}"
            raise ValueError(f"axis must be a number{expected}; received {axis!r}")
        number = names[axis]
    try:
        number = operator.index(cast("int", number))
    except TypeError:
        raise TypeError(f"axis must be an integer; received {axis!r}") from None
    if not -dimensions <= number < dimensions:
        raise ValueError(
            f"axis must lie in [{-dimensions}, {dimensions}) for {dimensions} "
            f"dimension{'s' if dimensions > 1 else ''}; received {axis!r}"
        )
    return number % dimensions


def _check_out(out: Any, series: Any, values: Array) -> None:
    if not isinstance(series, np.ndarray) or not isinstance(out, np.ndarray):
        raise TypeError(
            "out works from a NumPy array to a NumPy array; received series of type "
            f"{type(series).__name__} and out of type {type(out).__name__}"
        )
    if series.dtype.kind == "O":
        raise TypeError(
            "out works for arrays of numbers; received a series of objects: give "
            "series.astype(float), or leave out away"
        )
    dtype = series.dtype if series.dtype.kind in "fc" else values.dtype
    if out.dtype != dtype:
        raise TypeError(f"out must have the result's dtype, {dtype}; received {out.dtype}")
    if out.shape != series.shape:
        raise ValueError(f"out must have the shape of series, {series.shape}; received {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable; received a read-only array")


def _smooth_array(
    values: Array,
    axis: int,
    flags: tuple[float, bool, bool, bool],
    out: Array | None,
    threads: int,
) -> Array:
    """Smooth any float or complex array, in whichever order it lies in memory."""
    turned = not values.flags.c_contiguous and values.flags.f_contiguous
    block = values.T if turned else np.ascontiguousarray(values)
    if not block.flags.aligned:
        block = block.copy()
    if turned:
        axis = values.ndim - 1 - axis
    shape = block.shape
    outer, time, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    target = None if out is None else (out.T if turned else out)
    if target is None or not _writes_in_place(target, block):
        target = np.empty(shape, block.dtype)
    if block.dtype.kind == "c":
        _smooth_complex(block, target, (outer, time, inner), flags, threads)
    else:
        _core.smooth(block, target, outer, time, inner, *flags, threads)
    result = target.T if turned else target
    if out is None:
        return result
    if not np.may_share_memory(out, result):
        np.copyto(out, result, casting="same_kind")
    return out


def _writes_in_place(target: Array, block: Array) -> bool:
    """Return whether the kernel can write there: it may be the input, but not overlap it."""
    fits = target.dtype == block.dtype and target.dtype.isnative
    if not (fits and target.flags.carray):
        return False
    same = target.__array_interface__["data"] == block.__array_interface__["data"]
    return same or not np.may_share_memory(target, block)


def _smooth_complex(
    block: Array,
    target: Array,
    shape: tuple[int, int, int],
    flags: tuple[float, bool, bool, bool],
    threads: int,
) -> None:
    """Smooth real and imaginary parts side by side; a sample is missing if either part is."""
    missing = ~np.isfinite(block)
    original = block[missing]
    np.copyto(target, block)
    target[missing] = complex(math.nan, math.nan)
    parts = target.view(np.float64 if block.dtype == np.complex128 else np.float32)
    outer, time, inner = shape
    _core.smooth(parts, parts, outer, time, 2 * inner, *flags, threads)
    if not flags[3]:
        target[missing] = original
