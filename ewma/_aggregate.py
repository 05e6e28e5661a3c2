"""`aggregate`: several runs become one curve a tag, with their spread."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ewma._decay import beta_from
from ewma._smooth import smooth
from ewma._statistics import Statistics, group_statistics
from ewma._table import Names, Table, check_frame, to_pandas
from ewma.tensorboard._columns import ScalarColumns, code_type
from ewma.tensorboard._problems import shown

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

Over: TypeAlias = str | re.Pattern[str] | Mapping[str, str] | Callable[[str], str]
Floats = npt.NDArray[np.float64]
Series: TypeAlias = tuple[str, str, npt.NDArray[Any], Floats]
"""Run, tag, steps and values."""

STATISTICS = ("mean", "std", "min", "max", "count")
AGGREGATE_COLUMNS = ("run", "tag", "step", *STATISTICS)

_MOST_STEPS = 1_000_000  # of a grid: a step width that is far too small shall not fill the memory
_TOO_LARGE = 1 << 63  # for int64
_DIGITS = 16  # of a float that are worth rounding to
_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """A group of so many runs under one tag: its statistics, a row a step, ascending."""

    run: str
    tag: str
    step: npt.NDArray[Any]
    statistics: Statistics
    runs: int


def aggregate(
    scalars: pd.DataFrame,
    over: Over = "run",
    beta: float | None = None,
    *,
    alpha: float | None = None,
    com: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
    align: float | ArrayLike | None = None,
) -> pd.DataFrame:
    r"""Describe several runs at each step: mean, standard deviation, lowest, highest and count.

    Smooth before: ``aggregate(smooth_scalars(path, 0.9))``. Each run is smoothed on its own, and
    the spread is that of the smooth curves: how much the runs differ, without the noise within
    each. It is what the command line does unless told otherwise. Smooth after:
    ``aggregate(read_scalars(path), beta=0.9)``. The spread then holds the noise as well, and where
    a run ends before the others the mean turns gradually to theirs. (`read_scalars` reads curves
    that `write_scalars` wrote as runs, too: leave these out by ``runs=``.)

    Parameters
    ----------
    scalars
        A DataFrame with the columns run, tag, step and value or smoothed, as `read_scalars` and
        `smooth_scalars` return it. What is aggregated is ``smoothed`` where it is there and no
        decay is given, else ``value``. What is not finite is left out.
    over
        Which runs make a group. ``"run"``: all. A regular expression: those that differ only in
        what it matches, such as ``r"seed_\d+"``; a run in which it matches nothing is a group of
        its own. Or a mapping or a function from the run's name to its group's.
    beta, alpha, com, span, halflife
        Smooth the statistics afterwards, as `smooth` does.
    align
        Runs need not share steps. None: each step is described by the runs that have it. A number:
        a step width; each run is interpolated linearly at the multiples of it, from its own first
        step to its last and never beyond. An array: the same at these steps.

    Returns
    -------
    pandas.DataFrame
        One row a group, tag and step, sorted:

        - ``run`` (categorical): the group, its runs' name with ``*`` for what differs.
        - ``tag`` (categorical), ``step`` (int64 where all steps are whole)
        - ``mean``, ``std``, ``min``, ``max`` (float64): each run counts once; with the mean of its
          values, if it has a step several times. The standard deviation is a sample's (pandas'
          ddof=1), NaN where only one run is there.
        - ``count`` (int64): the runs.

    Raises
    ------
    ValueError
        If a column is missing or `segment` tells versions of a run apart, if `over` is no regular
        expression, puts no two runs together or does not know a run, if `align` is not a positive
        width or ascending steps, or if a row has no run, tag or step.

    Examples
    --------
    >>> import ewma
    >>> scalars = ewma.smooth_scalars("examples/runs/digits", 0.9, tags="loss/train")
    >>> groups = ewma.aggregate(scalars, over="run")
    >>> groups.columns.to_list()
    ['run', 'tag', 'step', 'mean', 'std', 'min', 'max', 'count']
    >>> groups[["run", "step", "count"]].tail(1).to_numpy().tolist()
    [['*', 799, 4]]
    """
    options = {"beta": beta, "alpha": alpha, "com": com, "span": span, "halflife": halflife}
    decay = {name: value for name, value in options.items() if value is not None}
    after = beta_from(**decay) if decay else None
    if not hasattr(scalars, "columns"):
        raise TypeError(
            "scalars must be a DataFrame, as read_scalars returns it; received "
            f"{type(scalars).__name__}: aggregate(read_scalars(path))"
        )
    column = "smoothed" if "smoothed" in scalars.columns and after is None else "value"
    missing = [name for name in ("run", "tag", "step", column) if name not in scalars.columns]
    if missing:
        raise ValueError(
            f"scalars must have the columns run, tag, step and value; {', '.join(missing)} is "
            f"missing among {', '.join(map(str, scalars.columns))}"
        )
    check_frame("scalars", scalars, "read_scalars")
    if "segment" in scalars.columns and (scalars["segment"] != 0).any():
        raise ValueError(
            "scalars must have one version of each run, of which each counts once; received "
            f"segments up to {scalars['segment'].max()}: read without restarts='segment'"
        )
    step = scalars["step"].to_numpy()
    if step.dtype.kind not in "iuf" or not np.isfinite(step).all():
        raise ValueError("step must be a finite number in every row; leave out the others")
    if scalars[column].dtype.kind in "cmM":
        raise ValueError(f"{column} must be real numbers; received {scalars[column].dtype}")
    values = scalars[column].to_numpy(np.float64, na_value=np.nan)
    run, run_names = _coded(scalars["run"])
    tag, tag_names = _coded(scalars["tag"])
    columns = ScalarColumns(run_names, tag_names, run, tag, step, np.empty(0), values)
    series = ((run, tag, step[rows], values[rows]) for run, tag, rows in columns.series())
    return to_pandas(aggregate_table(aggregate_series(series, over, align, after)))


def _coded(names: pd.Series[Any]) -> tuple[npt.NDArray[Any], list[str]]:
    if names.isna().any():
        raise ValueError(f"{names.name} must be there in every row; leave out the others")
    column = names.astype("category").cat
    return column.codes.to_numpy(), [str(name) for name in column.categories]


def aggregate_series(
    series: Iterable[Series],
    over: Over = "run",
    align: float | ArrayLike | None = None,
    beta: float | None = None,
) -> list[Aggregate]:
    """Aggregate curves as `aggregate` does; a run may come in several pieces."""
    check_width(align)
    pieces: dict[tuple[str, str], list[tuple[npt.NDArray[Any], Floats]]] = {}
    for run, tag, step, values in series:
        pieces.setdefault((run, tag), []).append((step, values))
    group = group_names(over, sorted({run for run, _ in pieces}))
    members: dict[tuple[str, str], list[tuple[npt.NDArray[Any], Floats]]] = {}
    for (run, tag), parts in pieces.items():
        steps, values = map(np.concatenate, zip(*parts, strict=True))
        curve = _one_value_a_step(steps, values)
        if align is not None:
            try:
                curve = _interpolated(*curve, align)
            except ValueError as error:
                raise ValueError(f"run '{shown(run)}', tag '{shown(tag)}': {error}") from None
        members.setdefault((group[run], tag), []).append(curve)
    aggregates = []
    for (name, tag), curves in sorted(members.items(), key=lambda item: item[0]):
        step, values = _sorted_by_step(*map(np.concatenate, zip(*curves, strict=True)))
        if len(step) == 0:  # no step of the grid lies within a run
            continue
        starts = _starts(step)
        statistics = group_statistics(values, starts)
        if beta is not None:
            statistics = _smoothed(statistics, beta)
        aggregates.append(Aggregate(name, tag, step[starts], statistics, len(curves)))
    return aggregates


def aggregate_table(aggregates: list[Aggregate]) -> Table:
    """Return the rows of all groups and tags, one under the other."""
    sizes = [len(one.step) for one in aggregates]

    def names(of_each: list[str]) -> Names:
        names = sorted(set(of_each))
        code = {name: number for number, name in enumerate(names)}
        codes = np.array([code[name] for name in of_each], code_type(len(names)))
        return Names(names, np.repeat(codes, sizes))

    def joined(arrays: list[npt.NDArray[Any]], empty: type) -> npt.NDArray[Any]:
        return np.concatenate(arrays) if arrays else np.empty(0, empty)

    return {
        "run": names([one.run for one in aggregates]),
        "tag": names([one.tag for one in aggregates]),
        "step": joined([one.step for one in aggregates], np.int64),
        **{
            name: joined(
                [getattr(one.statistics, name) for one in aggregates],
                np.int64 if name == "count" else np.float64,
            )
            for name in STATISTICS
        },
    }


def group_names(over: Over, runs: list[str]) -> dict[str, str]:
    """Return the group of each run."""
    if isinstance(over, str) and over == "run":
        return dict.fromkeys(runs, "*")
    if isinstance(over, Mapping):
        unknown = [run for run in runs if run not in over]
        if unknown:
            raise ValueError(
                f"over must have a group for each run; {_listed(unknown)} not in it: add them, or "
                "leave out these runs"
            )
        return _named({run: over[run] for run in runs})
    if callable(over):
        return _named({run: over(run) for run in runs})
    pattern = over_pattern(over)
    groups = {run: pattern.sub("*", run) for run in runs}
    if len(runs) > 1 and len(set(groups.values())) == len(runs):
        raise ValueError(
            "over must be 'run' or a regular expression for what differs between the runs of a "
            rf"group, such as 'seed_\d+'; with {pattern.pattern!r} no two runs are of one group, "
            f"among {_listed(runs)}"
        )
    return groups


def over_pattern(over: Any) -> re.Pattern[str]:
    """Return the regular expression for what differs between the runs of a group."""
    try:
        return re.compile(over)
    except (re.error, TypeError) as error:
        raise ValueError(
            "over must be 'run', a regular expression for what differs between the runs of a "
            f"group, a mapping or a function; received {over!r}: {error}"
        ) from None


def _named(groups: dict[str, Any]) -> dict[str, str]:
    for run, group in groups.items():
        if group is None:
            raise ValueError(
                f"over must give each run a group; received None for {shown(run)!r}: name one, or "
                "leave out this run"
            )
    return {run: str(group) for run, group in groups.items()}


def check_width(align: float | ArrayLike | None) -> None:
    """Refuse what is no width and no grid."""
    if align is None:
        return
    grid = np.asarray(align)
    if grid.dtype.kind not in "iuf" or grid.ndim > 1 or not np.isfinite(grid).all():
        raise ValueError(f"align must be a step width or an array of steps; received {align!r}")
    if grid.ndim == 0 and grid <= 0:
        raise ValueError(f"align must be a step width above 0; received {align!r}")
    if grid.ndim == 1 and np.any(grid[1:] <= grid[:-1]):
        raise ValueError("align must be ascending where it is an array of steps")


def _sorted_by_step(step: npt.NDArray[Any], values: Floats) -> tuple[npt.NDArray[Any], Floats]:
    if np.all(step[1:] >= step[:-1]):
        return step, values
    order = np.argsort(step, kind="stable")
    return step[order], values[order]


def _starts(step: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.r_[True, step[1:] != step[:-1]])[: len(step)]


def _one_value_a_step(step: npt.NDArray[Any], values: Floats) -> tuple[npt.NDArray[Any], Floats]:
    step, values = _sorted_by_step(step, values)
    starts = _starts(step)
    if len(starts) == len(step):
        return step, values
    return step[starts], group_statistics(values, starts).mean


def _interpolated(
    step: npt.NDArray[Any], values: Floats, align: float | ArrayLike
) -> tuple[npt.NDArray[Any], Floats]:
    """Return a run at the steps of the grid that lie within its own."""
    finite = np.isfinite(values)
    step, values = step[finite], values[finite]
    grid = np.asarray(align)
    if len(step) == 0:
        return grid[:0] if grid.ndim else step, values
    low, high = step[0].item(), step[-1].item()
    if grid.ndim == 1:
        inside = grid[(grid >= low) & (grid <= high)]
    else:
        inside = _multiples(grid.item(), low, high)
    return inside, np.interp(inside, step, values)


def _multiples(width: float, low: float, high: float) -> npt.NDArray[Any]:
    """Return the multiples of `width` from `low` to `high`, whole numbers where it is one."""
    is_whole = float(width).is_integer()
    width = int(width) if is_whole and width < _TOO_LARGE else float(width)
    first: float
    last: float
    if isinstance(width, int) and isinstance(low, int) and isinstance(high, int):
        first, last = -(-low // width), high // width
    else:
        first, last = -_floor(-low / width), _floor(high / width)
    if not last - first < _MOST_STEPS:  # of a tiny width infinity, or no number
        raise ValueError(
            f"align={width} would make {last - first + 1:,.0f} steps between {low} and {high}; "
            f"give a width that makes {_MOST_STEPS:,} at most"
        )
    is_whole = is_whole and first * width >= -_TOO_LARGE and last * width < _TOO_LARGE
    start = int(first) if is_whole else float(first)
    multiples = (start + np.arange(int(last - first) + 1)) * width
    if is_whole:
        return multiples.astype(np.int64)
    # As the width is written: 3 times 0.1 is 0.3, and not 0.30000000000000004.
    decimals = -int(Decimal(repr(width)).as_tuple().exponent)
    if 0 < decimals < _DIGITS:
        multiples = np.round(multiples, decimals)
    return multiples


def _floor(quotient: float) -> float:
    """Return the whole number below, or above where no more than rounding lies between."""
    if not math.isfinite(quotient):
        return quotient
    nearest = round(quotient)
    return nearest if abs(nearest - quotient) <= abs(quotient) * 2**-50 else math.floor(quotient)


def _smoothed(statistics: Statistics, beta: float) -> Statistics:
    def line(values: Floats) -> Floats:
        return smooth(values, beta)

    return Statistics(
        line(statistics.mean),
        line(statistics.std),
        line(statistics.min),
        line(statistics.max),
        statistics.count,
    )


def _listed(runs: list[str]) -> str:
    more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return ", ".join(repr(run) for run in runs[:_SHOWN]) + more
