"""polars Series and DataFrames of numbers; what is missing is null there, or NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from ewma.containers._numpy import missing_back
from ewma.containers._opened import Opened

Array = npt.NDArray[Any]


class _Column(NamedTuple):
    """A column's samples, and the way back."""

    values: Array
    close: Callable[[Array], pl.Series]


def open_series(series: pl.Series) -> Opened:
    """Open a Series: its name comes back, its nulls, and its dtype if it is one of floats."""
    values, close = _open_column(series)

    def join(results: Array, name: str, decays: list[Any]) -> pl.DataFrame:
        _check(name, decays)
        columns = zip(results, decays, strict=True)
        return pl.DataFrame([close(result).alias(f"{name}={decay}") for result, decay in columns])

    return Opened(values, close, join)


def open_frame(frame: pl.DataFrame) -> Opened:
    """Open a DataFrame as one array of all columns; each gets its own dtype back."""
    columns = [_open_column(column) for column in frame.get_columns()]
    common = np.result_type(*(column.values for column in columns)) if columns else np.float64
    values = np.empty(frame.shape, common, order="F")  # columns lie whole in memory, as in polars
    for i, column in enumerate(columns):
        values[:, i] = column.values

    def close(result: Array) -> pl.DataFrame:
        return pl.DataFrame([column.close(result[:, i]) for i, column in enumerate(columns)])

    def join(results: Array, name: str, decays: list[Any]) -> pl.DataFrame:
        _check(name, decays)
        parts = zip(results, decays, strict=True)
        return pl.concat(
            [close(part).select(pl.all().name.suffix(f" {name}={decay}")) for part, decay in parts],
            how="horizontal",
        )

    return Opened(values, close, join)


def _check(name: str, decays: list[Any]) -> None:
    if len({str(decay) for decay in decays}) < len(decays):
        raise ValueError(
            f"{name} must not have a value twice for polars, whose columns have a name each; "
            f"received {decays!r}"
        )


def _open_column(series: pl.Series) -> _Column:
    dtype = series.dtype
    # Null is a column in which nothing is there.
    if not (dtype.is_float() or dtype.is_integer() or dtype in (pl.Boolean, pl.Null)):
        raise TypeError(
            f"samples must be numbers; received a column of {dtype}, named {series.name!r}: cast "
            "it to pl.Float64 or leave it out"
        )
    kept = dtype if dtype.is_float() else pl.Float64
    missing = series.is_null().to_numpy()
    # NumPy has no integers of 128 bits, and no null among others.
    values = series.cast(kept).to_numpy()

    def close(result: Array) -> pl.Series:
        closed = pl.Series(series.name, result).cast(kept)
        back = missing_back(result, missing)
        return closed.set(pl.Series(back), None) if back.any() else closed

    return _Column(values, close)
