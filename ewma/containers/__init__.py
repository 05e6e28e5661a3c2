"""How each library's object becomes an array and back: one file a library."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ewma.containers import _numpy
from ewma.containers._opened import Opened as Opened


def open_container(data: Any) -> Opened:
    """Return the array in `data`, and how a result becomes what `data` is."""
    if isinstance(data, np.ndarray):
        return _numpy.open_array(data)
    if isinstance(data, list | tuple):
        return _numpy.open_sequence(data)
    # A library's objects can only be here if somebody has imported it.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, (pandas.Series, pandas.DataFrame)):
        from ewma.containers import _pandas

        if isinstance(data, pandas.Series):
            return _pandas.open_series(data)
        return _pandas.open_frame(data)
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(data, (polars.Series, polars.DataFrame)):
        from ewma.containers import _polars

        if isinstance(data, polars.Series):
            return _polars.open_series(data)
        return _polars.open_frame(data)
    received = type(data).__qualname__
    if type(data).__module__ != "builtins":
        received = f"{type(data).__module__}.{received}"
    raise TypeError(
        "series must be a list, a tuple, a NumPy array, or a Series or DataFrame of pandas or "
        f"polars; received {received}: convert it to one of these"
    )
