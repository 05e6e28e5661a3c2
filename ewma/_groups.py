"""`by`: which group each row belongs to, as the kernel takes it."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ewma.containers._numpy import is_masked_array

Codes = npt.NDArray[np.int64]

# polars' integers that NumPy has not.
_LONG_INTEGERS = ("Int128", "UInt128")


class Groups(NamedTuple):
    """The group of each row, a number in [0, number)."""

    codes: Codes
    number: int


def open_groups(by: Any, rows: int, check: Callable[[Any], None]) -> Groups:
    """Return the groups of `rows` rows by one key or by several, each of which is checked."""
    keys = list(by) if _are_several(by) else [by]
    for key in keys:
        check(key)
    groups = _by_one(keys[0], rows)
    for key in keys[1:]:
        other = _by_one(key, rows)
        groups = _by_integers(groups.codes * other.number + other.codes)
    return groups


def _are_several(by: Any) -> bool:
    """Return whether `by` is a list of keys' columns and not one column."""
    return (
        isinstance(by, list | tuple)
        and len(by) > 0
        and all(
            not isinstance(key, str | bytes | tuple)
            and (isinstance(key, Sequence) or hasattr(key, "__array__"))
            and np.ndim(key) > 0
            for key in by
        )
    )


def _by_one(key: Any, rows: int) -> Groups:
    if (
        isinstance(key, str | bytes | Mapping | Set)
        or not hasattr(key, "__len__")
        or len(getattr(key, "shape", (1,))) != 1
    ):
        raise TypeError(
            f"by must have a key for each row: an array, a Series or a list; received {key!r}"
        )
    if len(key) != rows:
        raise ValueError(
            f"by must have a key for each of the {rows} samples along the axis; received {len(key)}"
        )
    categories = _categories(key)
    if categories is not None:
        codes, count = categories
        # What is missing is a group of its own.
        return Groups(np.where(codes < 0, count, codes).astype(np.int64, copy=False), count + 1)
    values = _opened(key)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biu":
        return _by_integers(values)
    return _by_hash(values)


def _opened(key: Any) -> Any:
    """Return the keys as an array, or as they are where pandas numbers them without a copy."""
    if isinstance(key, list | tuple):
        column = np.empty(len(key), object)
        column[:] = key  # a tuple is a key, not a row
        return column
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(
        key, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray
    ):
        return np.asarray(key) if key.dtype.kind in "biu" and not key.isna().any() else key
    polars, arrow = sys.modules.get("polars"), sys.modules.get("pyarrow")
    if polars is not None and isinstance(key, polars.Series):
        return _of_polars(key)
    if arrow is not None and isinstance(key, arrow.Array | arrow.ChunkedArray):
        import pandas as pd

        return pd.arrays.ArrowExtensionArray(key)
    if is_masked_array(key) and np.ma.is_masked(key):  # what is missing is a group of its own
        keys = np.ma.getdata(key).astype(object)
        keys[np.ma.getmaskarray(key)] = None
        return keys
    values = np.asarray(key)
    if values.ndim != 1:  # a column of several fields
        raise TypeError(
            f"by must have one key for each row; received {type(key).__name__} of shape "
            f"{values.shape}: give its fields as a list of columns"
        )
    # pandas tells numbers apart as doubles.
    return values.astype(object) if values.dtype.char in "gG" else values


def _of_polars(key: Any) -> npt.NDArray[Any]:
    """Return the keys as integers where polars has some for them, else as Python's objects.

    NumPy would shorten text that ends in zeros, and has no integers beside nulls.
    """
    physical = key.to_physical()
    name = str(physical.dtype)
    is_short = physical.dtype.is_integer() and name not in _LONG_INTEGERS
    if (is_short or name == "Boolean") and not physical.has_nulls():
        return np.asarray(physical.to_numpy())
    keys = np.empty(len(physical), object)
    keys[:] = physical.to_list()
    return keys


def _categories(key: Any) -> tuple[npt.NDArray[Any], int] | None:
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(getattr(key, "dtype", None), pandas.CategoricalDtype):
        return None
    categorical = pandas.Categorical(key)
    return np.asarray(categorical.codes), len(categorical.categories)


def _by_integers(values: npt.NDArray[Any]) -> Groups:
    """Return groups numbered as the values are, where they lie close enough together."""
    if len(values) == 0:
        return Groups(np.empty(0, np.int64), 1)
    low, high = int(values.min()), int(values.max())
    if high - low > 2 * len(values) or high >= 2**63:
        return _by_hash(values)
    if 0 < low <= high - low:  # numbers that nobody has cost less than a copy
        low = 0
    codes = values.astype(np.int64, copy=low != 0)
    if low != 0:
        codes -= low
    return Groups(np.require(codes, requirements=["C", "A"]), high - low + 1)


def _by_hash(key: Any) -> Groups:
    import pandas as pd

    if isinstance(key, np.ndarray) and not key.dtype.isnative:
        key = key.astype(key.dtype.newbyteorder("="))
    try:
        codes, names = pd.factorize(key, use_na_sentinel=False)
    except TypeError:
        _refuse_unhashable(key)
        raise
    return Groups(codes.astype(np.int64, copy=False), len(names))


def _refuse_unhashable(keys: Any) -> None:
    for row, key in enumerate(keys):
        try:
            hash(key)
        except TypeError as error:
            raise TypeError(
                f"by must have keys that can be hashed; received {reprlib.repr(key)} at position "
                f"{row}: give a tuple in its place, or one of the values in it"
            ) from error
