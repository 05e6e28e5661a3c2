"""`times` and `halflife` as the kernel takes them: each row's time, and beta's logarithm."""

from __future__ import annotations

import contextlib
import datetime
import math
import re
import sys
from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ewma import _core
from ewma._decay import DEFAULT_BETA
from ewma._groups import Groups
from ewma.containers._numpy import is_masked_array

_SECOND = np.timedelta64(1, "s")
# How many of NumPy's units a second has; months and years have no one length.
_PER_SECOND = {
    **{"W": 1 / 604800, "D": 1 / 86400, "h": 1 / 3600, "m": 1 / 60, "s": 1.0, "ms": 1e3},
    **{"us": 1e6, "ns": 1e9, "ps": 1e12, "fs": 1e15, "as": 1e18},
}
_NUMBER = r"\s*([-+\d.e]+)\s*"


class Times(NamedTuple):
    """When each row was sampled.

    Parameters
    ----------
    at
        int64 or float64, one a row, not going backwards.
    unit
        How many steps of `at` the unit is that beta counts in: a second for dates, else 1.
    kind
        "M" for dates, "m" for durations, as NumPy has it, and "" for plain numbers.
    """

    at: npt.NDArray[np.int64] | npt.NDArray[np.float64]
    unit: float
    kind: str

    def shown(self, time: float) -> str:
        """Return a time as an error shows it: a date as a date."""
        if not self.kind:
            return str(time)
        import pandas as pd

        nanoseconds = round(time * (1e9 / self.unit))
        return str(pd.Timestamp(nanoseconds) if self.kind == "M" else pd.Timedelta(nanoseconds))

    def log_beta(self, name: str, value: Any, beta: float) -> float:
        """Return beta's logarithm for one step of `at`; `name` is what `value` was given as."""
        if self.kind:
            if name != "halflife" or not is_duration(value):
                default = name == "beta" and value == DEFAULT_BETA
                raise ValueError(
                    "with times that are dates or durations, halflife says how much to forget: "
                    f"give halflife='10s' or a Timedelta; received {name}={value!r}"
                    + (", which is also what it is where nothing is given" if default else "")
                )
            return -math.log(2) / (duration(value) * self.unit)
        if name == "halflife":  # the logarithm of beta would have lost digits
            return -math.log(2) / float(value)
        return math.log(beta) if beta > 0 else -math.inf


def is_duration(value: Any) -> bool:
    """Return whether a halflife is a duration, such as "10s" or a Timedelta, and not a number."""
    return isinstance(value, str | datetime.timedelta | np.timedelta64)


def duration(halflife: Any) -> float:
    """Return a halflife in seconds."""
    import pandas as pd

    if isinstance(halflife, np.timedelta64):
        name, count = np.datetime_data(halflife.dtype)
        seconds = int(halflife.astype(np.int64)) * count / _PER_SECOND.get(name, math.nan)
    elif isinstance(halflife, str) and re.fullmatch(_NUMBER, halflife):
        seconds = math.nan  # pandas takes what has no unit for nanoseconds
    else:
        try:
            seconds = pd.Timedelta(halflife) / _SECOND
        except ValueError:
            seconds = _from_text(halflife)
    if not 0 < seconds < math.inf:
        raise ValueError(
            "halflife must be a duration above 0 and of a known length, with its unit, such as "
            f"'10s', '2h' or a Timedelta; received {halflife!r}"
        )
    return float(seconds)


def as_text(seconds: float) -> str:
    """Return a duration as text that `duration` reads."""
    nanoseconds = round(seconds * 1e9)
    # pandas counts in these, up to 292 years.
    if not 0 < nanoseconds < 2**63:
        return f"{seconds!r}s"
    long = nanoseconds % 10**9 == 0
    return f"{nanoseconds // 10**9}s" if long else f"{nanoseconds}ns"


def _from_text(halflife: Any) -> float:
    """Return the seconds of a number and a unit that are too long for pandas, else NaN."""
    match = re.fullmatch(_NUMBER + "([A-Za-z]+)", str(halflife))
    with contextlib.suppress(ValueError):
        if match is not None:
            return float(match[1]) / _PER_SECOND.get(match[2], math.nan)
    return math.nan


def open_times(times: Any, labels: Any, rows: int, groups: Groups | None) -> Times:
    """Return the times of the rows along which time runs; raise for the first that is wrong.

    `labels` is the pandas Index that names these rows, if there is one.
    """
    values = _as_array(times, labels)
    if values.shape != (rows,):
        raise ValueError(
            f"times must have one value for each of the {rows} samples along the axis; received "
            f"shape {values.shape}"
        )
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    dates = values.dtype.kind in "mM"
    unit = 1.0
    if dates:
        if np.datetime_data(values.dtype)[0] in ("Y", "M"):
            values = values.astype(f"{values.dtype.kind}8[s]")
        unit = _steps_per_second(values)
        at: Any = np.require(values, requirements=["C", "A"]).view(np.int64)
    elif values.dtype.kind in "iu" and (values.dtype != np.uint64 or values.max(initial=0) < 2**63):
        at = np.require(values, np.int64, ["C", "A"])
    elif values.dtype.kind in "iuf":
        at = np.require(values, np.float64, ["C", "A"])
    else:
        raise TypeError(
            "times must be numbers, dates or durations; received an array of "
            f"{values.dtype}: {values[:3]!r}"
        )
    _check(values, at, groups)
    return Times(at, unit, values.dtype.kind if dates else "")


def _steps_per_second(values: npt.NDArray[Any]) -> float:
    """Return how many steps of dates or durations make a second."""
    name, count = np.datetime_data(values.dtype)
    if name == "generic":
        raise ValueError(
            "times must be durations in some unit; received numpy.timedelta64 without one: give "
            "times.astype('m8[s]'), or whichever it is"
        )
    return _PER_SECOND[name] / count


def _check(values: npt.NDArray[Any], at: npt.NDArray[Any], groups: Groups | None) -> None:
    if len(at) == 0:
        return
    gone = np.isnat if values.dtype.kind in "mM" else lambda t: ~np.isfinite(t)
    # Of times that do not go backwards, the ends tell; NaT is before and NaN beside all others.
    ends = (values.min(), values.max()) if groups is not None else (values[0], values[-1])
    codes, count = (None, 0) if groups is None else groups
    row = _core.backwards(at, at.dtype == np.int64, codes, count)
    if row < 0 and not any(gone(end) for end in ends):
        return
    is_gone = gone(values)
    first_gone = int(np.argmax(is_gone))
    if is_gone[first_gone] and (row < 0 or first_gone <= row):
        raise ValueError(
            f"times must all be there and finite; received {values[first_gone]!s} at position "
            f"{first_gone}: leave that sample out"
        )
    raise ValueError(
        f"times must not go backwards{'' if groups is None else ' within a group'}; received "
        f"{values[row]!s} at position {row}, after a later one: sort by time first"
    )


def _as_array(times: Any, labels: Any) -> npt.NDArray[Any]:
    pandas = sys.modules.get("pandas")
    if isinstance(times, str):
        if times != "index" or labels is None:
            raise ValueError(
                "times must be an array of times, or 'index' for a pandas object's own; received "
                f"{times!r}{'' if labels is not None else ' for samples without an index'}"
            )
        times = labels
    if isinstance(times, Mapping | Set):
        raise TypeError(
            f"times must be an array, a Series or a list, in order; received a "
            f"{type(times).__name__}"
        )
    check_index(times, labels, "times")
    if is_masked_array(times) and np.ma.is_masked(times):
        first = int(np.argmax(np.ma.getmaskarray(times)))
        raise ValueError(
            f"times must all be there; received a masked one at position {first}: leave that "
            "sample out"
        )
    if pandas is None or not isinstance(times, pandas.Series | pandas.Index):
        values = np.asarray(times)
        if values.dtype.kind != "O":
            return values
    return _from_pandas(times)


def _from_pandas(times: Any) -> npt.NDArray[Any]:
    import pandas as pd

    index = pd.Index(times).infer_objects()
    if index.dtype == object:  # datetime.date
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            index = pd.DatetimeIndex(index)
    if isinstance(index, pd.DatetimeIndex) and index.tz is not None:
        index = index.tz_convert(None)  # the same instants
    values = np.asarray(index)
    if values.dtype.kind == "O":  # Arrow's and nullable types with something missing
        dtype = getattr(index.dtype, "numpy_dtype", None)
        if dtype is not None:
            values = index.to_numpy(dtype=dtype)
    return values


def check_index(rows: Any, labels: Any, name: str) -> None:
    """Raise where a Series is meant to stand beside samples whose labels are others."""
    pandas = sys.modules.get("pandas")
    if pandas is None or labels is None or not isinstance(rows, pandas.Series):
        return
    if not rows.index.equals(labels):
        raise ValueError(
            f"{name} is a Series whose index is not that of the samples, and is taken row by row: "
            f"give {name}.to_numpy(), or reindex it first"
        )
