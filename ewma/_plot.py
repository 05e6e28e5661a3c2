"""`ewma.plot`: pandas objects and arrays as pictures of raw and smoothed curves."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, cast

import numpy as np

from ewma._aggregate import AGGREGATE_COLUMNS
from ewma._auto import auto_beta
from ewma._bands import AnyBand, band_edges, band_note, check_band, deviations, width_note
from ewma._decay import DEFAULT_BETA, Auto, beta_from
from ewma._draw import Band, Curve, draw
from ewma._smooth import smooth
from ewma._variance import std
from ewma.containers._numpy import open_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

X_KINDS = ("step", "relative", "wall")
# Seconds since 1970 from the year 1000 to 9000. A damaged file may hold any time; what lies outside
# is drawn nowhere, for matplotlib's calendar has the years 1 to 9999 only.
EARLIEST, LATEST = -30_610_224_000.0, 221_845_392_000.0
SCALAR_COLUMNS = {"run", "tag", "step", "value"}


def plot(
    data: pd.DataFrame | pd.Series[Any] | ArrayLike,
    beta: float | Auto | None = None,
    *,
    alpha: float | None = None,
    com: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
    x: Literal["step", "relative", "wall"] = "step",
    band: AnyBand | None = None,
    axes: Axes | Iterable[Axes] | None = None,
) -> Figure:
    """Draw curves smoothed, with the raw ones faint behind them.

    A DataFrame of scalars gets one panel a tag and one colour a run (a curve a segment, where it
    tells these apart), one of `aggregate` the same as mean lines with bands. Anything else gets one
    panel: a Series or an array of one dimension is one curve, a DataFrame or an array of two is a
    curve a column, against the index.

    The limits of y hold every smoothed point. Raw outliers, beyond the 1st and 99th percentiles,
    are cut off where they would take much of the panel. A sample that is not finite is a gap.

    Parameters
    ----------
    data
        A DataFrame of scalars (columns run, tag, step, value, and perhaps wall_time and smoothed,
        as `ewma.read_scalars` and `ewma.smooth_scalars` return it), one of `ewma.aggregate`, any
        other DataFrame (its columns that are numbers are drawn), a Series, or an array.
    beta, alpha, com, span, halflife
        How much to forget, as in `ewma.smooth`; "auto" lets each curve choose, and of
        `ewma.aggregate` each mean. With none of them, the column "smoothed" of a DataFrame of
        scalars and the statistics of `ewma.aggregate` are drawn as they are, and all else is
        smoothed with beta = 0.9.
    x
        "step", "relative" (time since the first point of the run) or "wall" (date and time, UTC).
        The last two need a DataFrame of scalars with the column wall_time.
    band
        How wide a band is around each line: "std", one standard deviation to either side, or a
        number of them; around the mean of `ewma.aggregate`, which has "std" by default, also
        "range", from the lowest to the highest. The deviation is that of the runs, or of one
        curve's samples as `ewma.std` has it, which needs a decay.
    axes
        Where to draw: one matplotlib Axes a panel. By default a new figure is made.

    Returns
    -------
    Figure
        The new figure, or the one that `axes` belong to. pyplot does not know it: write it with
        ``savefig``; a notebook shows it after ``%matplotlib inline``.

    Raises
    ------
    ValueError
        If `x` or `band` is none of its values, if `x` needs times that `data` does not have, if
        `data` is empty of curves or has more than two dimensions, or if there are not as many axes
        as panels.
    TypeError
        If `data` does not hold real numbers.

    Examples
    --------
    >>> figure = plot([3.0, 1.0, 2.0, 1.5], beta=0.5)
    >>> raw, smoothed = figure.axes[0].lines
    >>> raw.get_ydata()
    array([3. , 1. , 2. , 1.5])
    """
    if x not in X_KINDS:
        raise ValueError(f"x must be one of {', '.join(map(repr, X_KINDS))}, received {x!r}")
    if band is not None:
        check_band(band)
    options = {"beta": beta, "alpha": alpha, "com": com, "span": span, "halflife": halflife}
    decay: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if decay != {"beta": "auto"}:
        beta_from(**decay)  # raises for two, for several values and for a duration
    data = _from_polars(data)
    if _is_frame(data) and set(data.columns) >= SCALAR_COLUMNS:
        if "smoothed" not in data.columns:
            decay = decay or {"beta": DEFAULT_BETA}
        curves, x_label, betas = _scalar_curves(data, x, decay, band)
        note = (smoothing_note(decay, betas) if decay else "") + curve_band_note(band)
        return draw(curves, x_label=x_label, note=note, axes=axes)
    if _is_frame(data) and set(data.columns) >= set(AGGREGATE_COLUMNS) and x == "step":
        kind = "std" if band is None else band
        bands, betas = _bands(data, decay, kind)
        note = band_note(int(data["count"].max()), kind)
        note += f"; {smoothing_note(decay, betas)}" if decay else ""
        return draw(bands, note=note, axes=axes)
    if x != "step":
        raise ValueError(
            f"x={x!r} needs a DataFrame of scalars, with the columns run, tag, step, wall_time and "
            f"value, received {type(data).__name__}; leave x out to draw against the index"
        )
    decay = decay or {"beta": DEFAULT_BETA}
    tz = None
    if _is_frame(data):
        columns = _frame_columns(data)
        position, x_label, tz = _index_values(data.index)
    elif _is_series(data):
        columns = [("" if data.name is None else str(data.name), _series_values(data))]
        position, x_label, tz = _index_values(data.index)
    else:
        columns = _array_columns(cast("ArrayLike", data))
        position, x_label = np.arange(len(columns[0][1])), "index"
    # A curve alone needs no legend, so that its name is the title.
    named = [("", name) if len(columns) == 1 else (name, "") for name, _ in columns]
    curves, betas = [], list[float]()
    for (run, tag), (_, values) in zip(named, columns, strict=True):
        own = own_decay(values, decay, betas)
        line, width = smooth(values, **own), spread(values, own, band)
        curves.append(Curve(run, tag, position, values, line, width))
    note = smoothing_note(decay, betas) + curve_band_note(band)
    return draw(curves, x_label=x_label, note=note, axes=axes, tz=tz)


def own_decay(
    values: NDArray[np.float64], decay: dict[str, Any], betas: list[float]
) -> dict[str, Any]:
    """Return the decay of one curve, its own choice added to `betas` where that is "auto"."""
    if decay != {"beta": "auto"}:
        return decay
    betas.append(auto_beta(values))
    return {"beta": betas[-1]}


def spread(
    values: NDArray[np.float64], decay: dict[str, Any], band: AnyBand | None
) -> NDArray[np.float64] | None:
    """Return how far the band around a smoothed curve reaches, if there is to be one."""
    if band is None:
        return None
    width = deviations(band)
    if not decay:
        raise ValueError(
            "band needs how much to forget, which its deviation is of: give one of beta, alpha, "
            "com, span and halflife, received none of them"
        )
    return width * std(values, **decay)


def curve_band_note(band: AnyBand | None) -> str:
    """Say in small print what the bands around curves are."""
    return "" if band is None else f"; ± {width_note(band)}"


def smoothing_note(decay: dict[str, Any], betas: list[float] | None = None) -> str:
    """Say in small print how curves were smoothed: ``{"beta": 0.9}`` is the one decay given.

    `betas` are the curves' own, where it is "auto".
    """
    ((name, value),) = decay.items()
    if betas:
        low, high = (f"{beta:.3g}" for beta in (min(betas), max(betas)))
        value = f"{low} (chosen)" if low == high else f"{low} to {high} (chosen for each curve)"
    return f"smoothed with {name} = {value}"


def scalar_x(
    kind: str,
    runs: Sequence[str],
    steps: Sequence[NDArray[Any]],
    wall_times: Sequence[NDArray[np.float64]],
) -> tuple[list[NDArray[Any]], str]:
    """Choose x for the curves of a picture, which share one unit.

    Parameters
    ----------
    kind
        "step", "relative" or "wall".
    runs, steps, wall_times
        An entry a curve. Wall times are seconds since 1970, and not read where `kind` is "step".

    Returns
    -------
    x
        An array a curve: steps, time since the first point of the curve's run, or datetime64.
    label
        What x is, with its unit.

    Examples
    --------
    >>> scalar_x("relative", ["a"], [np.arange(2)], [np.array([100.0, 220.0])])
    ([array([0., 2.])], 'time since start (min)')
    """
    if kind == "step":
        return list(steps), "step"
    believed = [np.where((t > EARLIEST) & (t < LATEST), t, np.nan) for t in wall_times]
    gone = int(sum(np.isnan(t).sum() for t in believed))
    points = "point" if gone == 1 else "points"
    note = f"; left out: {gone:,} {points} with an impossible time" if gone else ""
    if kind == "wall":
        # as whole microseconds, which a double holds up to the year 2255; NaN becomes NaT
        return [
            (t * 1e6).round().astype("datetime64[us]") for t in believed
        ], f"wall time (UTC){note}"
    starts: dict[str, float] = {}
    for run, times in zip(runs, believed, strict=True):
        starts[run] = np.fmin.reduce(times, initial=starts.get(run, np.inf))
    elapsed = [times - starts[run] for run, times in zip(runs, believed, strict=True)]
    xs, unit = _in_unit(elapsed)
    return xs, f"time since start ({unit}){note}"


def _in_unit(elapsed: Sequence[NDArray[np.float64]]) -> tuple[list[NDArray[Any]], str]:
    """Turn seconds into the largest unit of which the longest curve has at least two."""
    longest = max((np.max(t[np.isfinite(t)], initial=0.0) for t in elapsed), default=0.0)
    units = {"days": 86400.0, "h": 3600.0, "min": 60.0}
    unit = next((name for name, length in units.items() if longest >= 2 * length), "s")
    seconds = units.get(unit, 1.0)
    return [times / seconds for times in elapsed], unit


def _scalar_curves(
    frame: pd.DataFrame, x: str, decay: dict[str, Any], band: AnyBand | None
) -> tuple[list[Curve], str, list[float]]:
    """Cut a DataFrame of scalars into curves; without a decay its column smoothed is taken.

    Comes with the label of x, and the curves' own betas where the decay is "auto".
    """
    if x != "step" and "wall_time" not in frame.columns:
        raise ValueError(
            f"x={x!r} needs the column wall_time (seconds since 1970), received the columns "
            f"{', '.join(map(str, frame.columns))}; use x='step'"
        )
    # The versions of a resumed training, where they are told apart, are a curve each.
    names = ["tag", "run", *(["segment"] if "segment" in frame.columns else [])]
    groups = [
        (str(run), str(tag), rows)
        for (tag, run, *_), rows in frame.groupby(names, sort=False, observed=True, dropna=False)
    ]
    if not groups:
        raise ValueError(
            "data must have at least one scalar to draw, received a DataFrame without rows"
        )
    times = [
        _series_values(rows["wall_time"]) if x != "step" else np.empty(0) for *_, rows in groups
    ]
    steps = [rows["step"].to_numpy() for *_, rows in groups]
    xs, label = scalar_x(x, [run for run, *_ in groups], steps, times)
    curves, betas = [], list[float]()
    for (run, tag, rows), at in zip(groups, xs, strict=True):
        raw = _series_values(rows["value"])
        own = own_decay(raw, decay, betas)
        line = smooth(raw, **own) if own else _series_values(rows["smoothed"])
        curves.append(Curve(run, tag, at, raw, line, spread(raw, own, band)))
    return curves, label, betas


def _bands(
    frame: pd.DataFrame, decay: dict[str, Any], kind: AnyBand
) -> tuple[list[Band], list[float]]:
    """Cut a DataFrame of aggregates into bands, smoothed if a decay is given.

    Where that is "auto", the mean chooses for the band too; the betas come second.
    """
    bands, betas = [], list[float]()
    for (tag, run), rows in frame.groupby(["tag", "run"], sort=False, observed=True):
        own = own_decay(_series_values(rows["mean"]), decay, betas)
        mean, std, low, high = (
            smooth(values, **own) if own else values
            for values in (_series_values(rows[name]) for name in ("mean", "std", "min", "max"))
        )
        edges = band_edges(kind, mean, std, low, high)
        bands.append(Band(str(run), str(tag), rows["step"].to_numpy(), edges[0], mean, edges[1]))
    if not bands:
        raise ValueError(
            "data must have at least one group to draw, received a DataFrame without rows"
        )
    return bands, betas


def _from_polars(data: Any) -> Any:
    polars = sys.modules.get("polars")
    if polars is None or not isinstance(data, polars.Series | polars.DataFrame):
        return data
    import pandas as pd

    if isinstance(data, polars.Series):
        return pd.Series(data.to_numpy(), name=data.name or None)
    return pd.DataFrame({column.name: column.to_numpy() for column in data.get_columns()})


def _is_frame(data: object) -> TypeGuard[pd.DataFrame]:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _is_series(data: object) -> TypeGuard[pd.Series[Any]]:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.Series)


def _frame_columns(frame: pd.DataFrame) -> list[tuple[str, NDArray[np.float64]]]:
    """Return the names and values of the columns that are numbers."""
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    columns = [
        (str(name), _series_values(frame.iloc[:, i]))
        for i, (name, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True))
        if (is_numeric_dtype(dtype) or is_bool_dtype(dtype)) and not is_complex_dtype(dtype)
    ]
    if not columns:
        found = ", ".join(f"{n} ({t})" for n, t in zip(frame.columns, frame.dtypes, strict=True))
        raise TypeError(
            f"data must have a column of real numbers to draw, received {found or 'none'}"
        )
    return columns


def _series_values(series: pd.Series[Any]) -> NDArray[np.float64]:
    if series.dtype.kind in "cmM":  # numpy would drop the imaginary part, or count nanoseconds
        raise TypeError(f"data must hold real numbers, received a Series of {series.dtype}")
    try:
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"data must hold real numbers, received a Series of {series.dtype}"
        ) from error


def _array_columns(data: ArrayLike) -> list[tuple[str, NDArray[np.float64]]]:
    """Return an array's columns, named by their numbers; a single curve has no name."""
    array = np.asarray(data)
    if array.dtype.kind == "O" or array.dtype.name == "bfloat16":
        with contextlib.suppress(TypeError, ValueError):  # None is NaN, and text is no number
            array = open_array(array).values.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"data must hold real numbers, received {type(data).__name__} of {array.dtype}"
        )
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise ValueError(
            "data must have one dimension, or two with a curve a column; received shape "
            f"{array.shape}"
        )
    array = array.astype(np.float64)
    if array.ndim == 1:
        return [("", array)]
    return [(str(j), array[:, j]) for j in range(array.shape[1])]


def _index_values(index: pd.Index[Any]) -> tuple[NDArray[Any], str, tzinfo | None]:
    """Return an index as x, its label, and the time zone if it is one of dates."""
    import pandas as pd

    name = "" if index.name is None else str(index.name)
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        utc = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
        zone = "" if index.tz is None else f" ({index.tz})"
        return utc.to_numpy(), (name or "time") + zone, index.tz
    if isinstance(index, pd.TimedeltaIndex):
        (values,), unit = _in_unit([index.total_seconds().to_numpy(dtype=np.float64)])
        return values, f"{name or 'time'} ({unit})", None
    if index.dtype.kind in "iu" and not index.hasnans:
        return index.to_numpy(dtype=np.int64), name or "index", None
    if index.dtype.kind in "iuf":
        return index.to_numpy(dtype=np.float64, na_value=np.nan), name or "index", None
    # Names of things have no distances: they stand in their order.
    return np.arange(len(index)), "position", None
