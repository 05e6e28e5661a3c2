"""pandas Series and DataFrames, with NumPy's, nullable and Arrow-backed dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ewma.containers._numpy import is_native, missing_back, open_array
from ewma.containers._opened import Opened

Array = npt.NDArray[Any]


def open_series(series: pd.Series[Any]) -> Opened:
    """Open a Series: index and name come back, and the dtype if it is one of floats."""
    values, close_column, _ = _open_column(series)

    def close(result: Array) -> pd.Series[Any]:
        column = close_column(result)
        smoothed = pd.Series(column, index=series.index, name=series.name, copy=False)
        _keep_attributes(series, smoothed)
        return smoothed

    return Opened(values, close, _side_by_side(close))


def open_frame(frame: pd.DataFrame) -> Opened:
    """Open a DataFrame as one array of all columns; each gets its own dtype back."""
    dtypes = set(frame.dtypes)
    if len(dtypes) == 1 and isinstance(dtype := dtypes.pop(), np.dtype) and is_native(dtype):
        values = frame.to_numpy()

        def close_same(result: Array) -> pd.DataFrame:
            same = pd.DataFrame(result, index=frame.index, columns=frame.columns, copy=False)
            _keep_attributes(frame, same)
            return same

        return Opened(values, close_same, _side_by_side(close_same))

    columns = [_open_column(frame.iloc[:, i]) for i in range(frame.shape[1])]
    is_complex = any(column.values.dtype.kind == "c" for column in columns)
    common = np.complex128 if is_complex else np.float64
    # Columns lie whole in memory, as in pandas.
    values = np.empty(frame.shape, common, order="F")
    for i, column in enumerate(columns):
        values[:, i] = column.values

    def close(result: Array) -> pd.DataFrame:
        parts = {i: _close_column(column, result[:, i]) for i, column in enumerate(columns)}
        whole = pd.DataFrame(parts, index=frame.index, copy=False)
        whole.columns = frame.columns
        _keep_attributes(frame, whole)
        return whole

    return Opened(values, close, _side_by_side(close))


def _side_by_side(close: Callable[[Array], Any]) -> Callable[[Array, str, list[Any]], pd.DataFrame]:
    """Return what makes columns (decay) or (decay, column) of the results of several decays."""
    return lambda results, name, decays: pd.concat(
        [close(result) for result in results], axis=1, keys=decays, names=[name]
    )


def _keep_attributes(
    old: pd.Series[Any] | pd.DataFrame, new: pd.Series[Any] | pd.DataFrame
) -> None:
    if old.attrs:
        new.attrs = dict(old.attrs)


def _close_column(column: Opened, result: Array) -> Any:
    if result.dtype.kind == "c" and column.values.dtype.kind != "c":
        imaginary = result.imag
        if np.any(imaginary[np.isfinite(imaginary)]):  # smoothed across columns, axis=1
            return result
        result = result.real
    kept = np.float64 if column.values.dtype.kind in "biu" else column.values.dtype
    with np.errstate(over="ignore"):  # infinite, as a variance is that float16 has not
        return column.close(result.astype(kept, copy=False))


def _open_column(series: pd.Series[Any]) -> Opened:
    """Open one column; what its `close` returns is an array of NumPy's or pandas' own."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and (dtype.kind in "biufcO" or is_native(dtype)):
        try:
            return open_array(series.to_numpy())
        except TypeError as error:
            raise TypeError(f"{error}, in the column named {series.name!r}") from None
    if isinstance(dtype, pd.ArrowDtype) and dtype.kind in "biuf":
        return _open_arrow(series, dtype)
    if isinstance(
        series.array, pd.arrays.FloatingArray | pd.arrays.IntegerArray | pd.arrays.BooleanArray
    ):
        return _open_nullable(series)
    raise TypeError(
        f"samples must be numbers; received a column of {dtype}, named {series.name!r}: convert it "
        "or leave it out"
    )


def _open_nullable(series: pd.Series[Any]) -> Opened:
    missing = series.isna().to_numpy()
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    kept = np.float32 if series.dtype == "Float32" else np.float64

    def close(result: Array) -> Any:
        return pd.arrays.FloatingArray(result.astype(kept), missing_back(result, missing))

    return Opened(values, close, _side_by_side(close))


def _open_arrow(series: pd.Series[Any], dtype: pd.ArrowDtype) -> Opened:
    missing = series.isna().to_numpy()
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)

    def close(result: Array) -> Any:
        import pyarrow as pa

        kept = dtype.pyarrow_dtype if dtype.kind == "f" else pa.float64()
        cells = result.astype(kept.to_pandas_dtype())
        back = missing_back(result, missing)
        return pd.arrays.ArrowExtensionArray(pa.array(cells, mask=back, type=kept))

    return Opened(values, close, _side_by_side(close))
