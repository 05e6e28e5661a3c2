"""NumPy arrays, lists and tuples."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Sequence
from numbers import Number, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ewma.containers._opened import Opened

Array = npt.NDArray[Any]


def is_native(dtype: np.dtype[Any]) -> bool:
    """Return whether the kernel takes samples of a dtype as they are; bfloat16 is ml_dtypes'."""
    kernel = dtype.kind in "biu" or dtype.char in "efdFD" or dtype.name == "bfloat16"
    return kernel and dtype.isnative


def is_masked_array(array: Any) -> bool:
    """Return whether an array has a mask. numpy.ma takes longer to import than a call to smooth."""
    # (By its attribute, and so not before another thread has imported it.)
    return "numpy.ma" in sys.modules and isinstance(array, np.ma.MaskedArray)


def open_array(array: Array) -> Opened:
    """Open an array: floats keep their type, integers and bools become float64."""
    if is_masked_array(array):
        raise TypeError(
            "a masked array cannot be smoothed as it is; received one of shape "
            f"{array.shape}: give array.filled(numpy.nan), missing samples as NaN"
        )
    array = np.asarray(array)
    dtype = array.dtype
    if is_native(dtype):
        return Opened(array, _same, _same)
    if dtype.kind in "biu":
        return Opened(array.astype(dtype.newbyteorder("=")), _same, _same)
    if dtype.kind in "fc":  # longdouble, another byte order
        with np.errstate(over="ignore"):
            values = array.astype(np.float64 if dtype.kind == "f" else np.complex128)
        if dtype.itemsize > values.itemsize and (np.isinf(values) & np.isfinite(array)).any():
            raise ValueError(
                f"samples must be numbers that a float64 holds, up to 1.8e308; received {dtype} "
                f"samples up to {np.abs(array[np.isfinite(array)]).max()!s}: scale them"
            )
        return Opened(values, _cast_to(dtype), _cast_to(dtype))
    if dtype.kind == "O":
        return _open_objects(array)
    raise TypeError(
        f"samples must be numbers; received an array of {dtype}: {reprlib.repr(array.tolist())}"
    )


def open_sequence(sequence: Sequence[Any]) -> Opened:
    """Open a list or tuple, nested or not; the result is one too."""
    try:
        array = np.asarray(sequence)
    except ValueError as error:
        raise ValueError(
            "the rows of a nested list must have equal lengths; received a ragged one: "
            f"{reprlib.repr(sequence)}"
        ) from error
    values, close_array, _ = open_array(array)
    kind = tuple if isinstance(sequence, tuple) else list

    def close(result: Array) -> Any:
        return kind(close_array(result).tolist())

    return Opened(values, close, lambda results, *_: kind(close(result) for result in results))


def missing_back(result: Array, missing: Array) -> Array:
    """Return where a missing sample is still missing in the result, and so must look as before."""
    return missing & np.isnan(result)


def _same(result: Array, *_: object) -> Array:
    return result


def _cast_to(dtype: np.dtype[Any]) -> Callable[..., Array]:
    # Without a copy where the result is the caller's own `out`.
    return lambda result, *_: result.astype(dtype, copy=False)


def _open_objects(array: Array) -> Opened:
    """Open an array of Python objects: numbers, and None or NA where samples are missing."""
    pandas = sys.modules.get("pandas")
    blanks = (None,) if pandas is None else (None, pandas.NA)
    missing = np.array([item is blanks[0] or item is blanks[-1] for item in array.flat], bool)
    values = np.array(
        [
            np.nan if gone else _as_float(item)
            for item, gone in zip(array.flat, missing, strict=True)
        ],
        np.float64,
    )
    missing = missing.reshape(array.shape)

    def close(result: Array) -> Array:
        objects = result.astype(object)
        back = missing_back(result, missing)
        objects[back] = array[back]
        return objects

    return Opened(
        values.reshape(array.shape),
        close,
        lambda results, *_: np.stack([close(result) for result in results]),
    )


def _as_float(item: Any) -> float:
    # Decimal is a Number and no Real; complex numbers are neither wanted nor converted here.
    if isinstance(item, np.bool_) or (
        isinstance(item, Number) and (isinstance(item, Real) or hasattr(item, "as_tuple"))
    ):
        try:
            return float(item)  # type: ignore[arg-type]
        except (OverflowError, ValueError) as error:  # 10**400, Decimal("sNaN")
            raise ValueError(
                f"samples must be numbers that a float64 holds; received {reprlib.repr(item)}: "
                "scale it or leave it out"
            ) from error
    raise TypeError(f"samples must be real numbers, None or NA; received {item!r}")
