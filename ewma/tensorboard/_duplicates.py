"""Steps that a run and tag have more than once."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ewma._statistics import group_statistics
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._problems import shown

Duplicates: TypeAlias = Literal["keep", "first", "last", "mean", "raise"]
DUPLICATES: tuple[Duplicates, ...] = get_args(Duplicates)


class DuplicateStepError(ValueError):
    """A step is there more than once, and ``duplicates="raise"`` was asked for."""


def drop_duplicates(columns: ScalarColumns, duplicates: Duplicates) -> None:
    """Keep one point a run, tag, segment and step, or with "keep" all."""
    if duplicates == "keep":
        return
    kept = np.ones(len(columns), bool)
    for run, tag, rows in columns.series():
        step = columns.step[rows]
        if np.all(step[1:] > step[:-1]):
            continue
        order = np.argsort(step, kind="stable")
        step = step[order]
        starts = np.flatnonzero(np.r_[True, step[1:] != step[:-1]])
        if len(starts) == len(step):
            continue
        if duplicates == "raise":
            raise _duplicate_step(run, tag, step, starts)
        places = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        kept[places] = False
        if duplicates == "last":
            chosen = places[order[np.r_[starts[1:], len(step)] - 1]]
        else:
            chosen = places[order[starts]]
        kept[chosen] = True
        if duplicates == "mean":
            means = group_statistics(columns.value[places[order]], starts).mean
            columns.value[chosen] = np.where(np.isnan(means), columns.value[chosen], means)
    if not kept.all():
        columns.keep(kept)


def _duplicate_step(
    run: str, tag: str, step: npt.NDArray[np.int64], starts: npt.NDArray[np.intp]
) -> DuplicateStepError:
    times = np.diff(np.r_[starts, len(step)])
    repeated = np.flatnonzero(times > 1)
    others = f", and {len(repeated) - 1} more such steps" if len(repeated) > 1 else ""
    return DuplicateStepError(
        f"a step must be there once: run '{shown(run)}', tag '{shown(tag)}' has step "
        f"{step[starts[repeated[0]]]} {times[repeated[0]]} times{others}; choose one with "
        "duplicates='first', 'last' or 'mean' (--duplicates), or 'keep' all"
    )
