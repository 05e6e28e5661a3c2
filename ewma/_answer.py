"""What `smooth`, `var` and `std` share: options in, one kernel call, the container out."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from functools import cache
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from ewma import _core
from ewma._decay import beta_of, given_decay
from ewma._elapsed import Times, check_index, is_duration, open_times
from ewma._groups import Groups, open_groups
from ewma._threads import thread_count
from ewma.containers import Opened, open_container

Array: TypeAlias = npt.NDArray[Any]
Weighting: TypeAlias = Literal["sample", "time"]

MEAN, VARIANCE, DEVIATION = range(3)

# What _core.smooth takes; complex numbers are pairs of these.
_PLAIN = tuple(np.dtype(t) for t in (np.float64, np.float32))


class Options(NamedTuple):
    """What is asked of the samples; the fields are the public functions' own."""

    statistic: int
    bias: bool
    debias: bool
    ignore_na: bool
    fill: bool
    weighting: str


class _Decays(NamedTuple):
    """One beta or several, and what they were given as."""

    name: str
    values: list[Any]
    several: bool


def answer(
    series: Any,
    options: Options,
    *,
    opened: Opened | None = None,
    decays: dict[str, Any],
    axis: int | str,
    times: Any,
    by: Any,
    out: Array | None,
    threads: int | None,
) -> Any:
    """Return the statistic of each series along the axis, in a container like the one given."""
    if opened is None:
        opened = open_container(series)
    values = opened.values
    number = axis_number(axis, values.ndim, series)
    rows = values.shape[number]
    labels = labels_along(series, number)
    groups = None
    if by is not None:
        groups = open_groups(by, rows, lambda key: check_index(key, labels, "by"))
    clock = None if times is None else open_times(times, labels, rows, groups)
    if options.weighting not in ("sample", "time"):
        raise ValueError(f"weighting must be 'sample' or 'time'; received {options.weighting!r}")
    if clock is None and options.weighting == "time":
        raise ValueError("weighting='time' needs times; give them, or leave weighting out")
    if values.dtype.kind == "c" and options.statistic != MEAN:
        raise TypeError(
            f"var and std are for real samples; received {values.dtype}: take .real and .imag"
        )
    wanted = _wanted(decays)
    pairs = [_pair(wanted.name, value, clock) for value in wanted.values]
    shape = (len(pairs), *values.shape) if wanted.several else values.shape
    if out is not None:
        check_out(out, series, values, shape)
    count = thread_count(values.size * len(pairs), threads)
    result = _call(values, number, shape, options, pairs, clock, groups, out, count)
    if out is not None:
        return out
    if not wanted.several:
        return opened.close(result)
    return opened.join(result, wanted.name, wanted.values)


def labels_along(series: Any, axis: int) -> Any:
    """Return the pandas Index that names the places along an axis, or None if nothing does."""
    axes = getattr(series, "axes", None)
    return axes[axis] if isinstance(axes, list) else None


def _wanted(decays: dict[str, Any]) -> _Decays:
    name, value = given_decay(**decays)
    if isinstance(value, Iterable) and not is_duration(value) and np.ndim(cast("Any", value)) > 0:
        values = list(value)
        if not values:
            raise ValueError(f"{name} must have at least one value; received an empty list")
        if None in values:
            raise TypeError(f"{name} must be numbers; received {values!r}")
        return _Decays(name, values, True)
    return _Decays(name, [value], False)


def _pair(name: str, value: Any, clock: Times | None) -> tuple[float, float]:
    """Return beta and its logarithm for a step of the times."""
    if is_duration(value) and name == "halflife":
        if clock is None:
            raise TypeError(
                "halflife must be a number; a duration needs times that are dates or durations: "
                f"give times='index' or an array of dates; received {value!r} without times"
            )
        if not clock.kind:
            raise TypeError(
                "halflife must be a number; a duration needs times that are dates or durations; "
                f"received {value!r} and times that are numbers: give a number in their unit, or "
                "times as dates"
            )
        return math.nan, clock.log_beta(name, value, math.nan)
    beta = beta_of(name, value)
    return beta, 0.0 if clock is None else clock.log_beta(name, value, beta)


def axis_number(axis: int | str, dimensions: int, data: Any) -> int:
    """Return the axis along which time runs, counted from 0."""
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


def check_out(out: Any, series: Any, values: Array, shape: tuple[int, ...]) -> None:
    """Raise where the result cannot be written to `out`."""
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
    dtype = result_dtype(series.dtype)
    if out.dtype != dtype:
        raise TypeError(f"out must have the result's dtype, {dtype}; received {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must have the shape of the result, {shape}; received {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable; received a read-only array")


def result_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that samples of a dtype come out as: integers and bools as float64."""
    return np.dtype(np.float64) if dtype.kind in "biu" else dtype


def _call(
    values: Array,
    axis: int,
    shape: tuple[int, ...],
    options: Options,
    decays: list[tuple[float, float]],
    clock: Times | None,
    groups: Groups | None,
    out: Array | None,
    threads: int,
) -> Array:
    """Call the kernel on any array, in whichever order it lies in memory."""
    turned = not values.flags.c_contiguous and values.flags.f_contiguous
    block = values.T if turned else np.ascontiguousarray(values)
    if not block.flags.aligned:
        block = block.copy()
    if turned:
        axis = values.ndim - 1 - axis
    leading = len(shape) - values.ndim
    outer, time, inner = (
        math.prod(block.shape[:axis]),
        block.shape[axis],
        math.prod(block.shape[axis + 1 :]),
    )

    def turn(result: Array) -> Array:
        if not turned:
            return result
        return result.transpose(*range(leading), *reversed(range(leading, result.ndim)))

    target = None if out is None else turn(out)
    dtype = result_dtype(block.dtype)
    others = [rows for rows in (clock and clock.at, groups and groups.codes) if rows is not None]
    if target is None or not _writes_in_place(target, block, dtype, others):
        target = np.empty((*shape[:leading], *block.shape), dtype)
    flags = (options.debias, options.ignore_na, options.fill)
    is_plain = options.statistic == MEAN and clock is None and groups is None
    if is_plain and len(decays) == 1 and block.dtype in _PLAIN:
        _core.smooth(block, target, outer, time, inner, decays[0][0], *flags, threads)
    else:
        pairs = block.dtype.kind == "c"
        source, source_type = _for_kernel(block)
        target_memory, target_type = _for_kernel(target)
        _core.answer(
            source,
            source_type,
            target_memory,
            target_type,
            outer,
            time,
            2 * inner if pairs else inner,
            decays,
            options.statistic,
            options.bias,
            *flags,
            times=None if clock is None else clock.at,
            whole=clock is not None and clock.at.dtype == np.int64,
            unit=1.0 if clock is None else clock.unit,
            weigh=options.weighting == "time",
            groups=None if groups is None else groups.codes,
            group_count=0 if groups is None else groups.number,
            pairs=pairs,
            threads=threads,
        )
    result = turn(target)
    if out is not None and not np.may_share_memory(out, result):
        np.copyto(out, result, casting="same_kind")
    return result


def _for_kernel(block: Array) -> tuple[Array, str]:
    """Return the memory of an array as the kernel takes it, and its type's name."""
    if block.dtype.kind == "c":
        block = block.view(np.float64 if block.dtype == np.complex128 else np.float32)
    if block.dtype.kind == "V":  # ml_dtypes' bfloat16, which has no buffer of its own
        return block.view(np.uint16), _name_of(block.dtype)
    return block, _name_of(block.dtype)


@cache
def _name_of(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, which NumPy puts together anew each time."""
    return dtype.name


def _writes_in_place(
    target: Array, block: Array, dtype: np.dtype[Any], others: Iterable[Array]
) -> bool:
    """Return whether the kernel can write there: it may be the samples, but overlap nothing."""
    fits = target.dtype == dtype and target.dtype.isnative
    if not (fits and target.flags.carray):
        return False
    if any(np.may_share_memory(target, other) for other in others):
        return False
    same = (
        target.__array_interface__["data"] == block.__array_interface__["data"]
        and target.nbytes == block.nbytes
    )
    return same or not np.may_share_memory(target, block)
