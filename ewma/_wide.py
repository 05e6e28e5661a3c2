"""Wide tables: a row a run and step, and columns of its own for each tag."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ewma._table import Column, Names, Table
from ewma.tensorboard._problems import shown

Indices: TypeAlias = npt.NDArray[np.intp]

_MOST_BYTES = 1 << 28  # tags that share no steps shall not fill the memory
_CELL = 9  # bytes: a number, and whether it is missing


def wide(table: Table, suffixes: dict[str, str]) -> Table:
    """Return what pandas' `pivot` makes of a table with a tag in each row, a row for each step.

    Parameters
    ----------
    table
        The columns tag, step, those that `suffixes` names and, before the step, what else tells
        rows apart.
    suffixes
        The columns that each tag gets for itself, and what stands after its name in their headings.

    Raises
    ------
    ValueError
        If a tag has a step twice, or two columns the same heading, or nearly all would be empty.
    """
    tag = _names(table["tag"])
    index = {
        heading: column
        for heading, column in table.items()
        if heading != "tag" and heading not in suffixes
    }
    _check_headings(
        [*index, *(name + suffix for name in tag.names for suffix in suffixes.values())]
    )
    keys = [column.codes if isinstance(column, Names) else column for column in index.values()]
    order = np.lexsort(keys[::-1])
    begins = np.zeros(len(order), bool)
    begins[:1] = True
    for key in keys:
        begins[1:] |= key[order[1:]] != key[order[:-1]]
    first = order[begins]
    most = max(_MOST_BYTES // (_CELL * len(suffixes)), 16 * len(order))
    if len(first) * len(tag.names) > most:
        raise ValueError(
            f"--wide makes {len(first):,} rows for {len(tag.names):,} tags, and nearly all is "
            "empty, as they do not share steps: choose tags with --tag, or leave --wide out"
        )
    row = np.empty(len(order), np.intp)
    row[order] = np.cumsum(begins) - 1
    result: Table = {
        heading: Names(column.names, column.codes[first])
        if isinstance(column, Names)
        else column[first]
        for heading, column in index.items()
    }
    by_tag = np.argsort(tag.codes, kind="stable")
    ends = np.bincount(tag.codes, minlength=len(tag.names)).cumsum()
    for name, points in zip(tag.names, np.split(by_tag, ends[:-1]), strict=True):
        times = np.bincount(row[points], minlength=len(first))
        if times.max(initial=0) > 1:
            at = points[row[points] == times.argmax()][0]
            raise _duplicate(table, at, times.max())
        for heading, suffix in suffixes.items():
            result[name + suffix] = _placed(table[heading], points, row[points], times == 0)
    return result


def _names(column: Column) -> Names:
    assert isinstance(column, Names)
    return column


def _placed(
    column: Column, points: Indices, rows: Indices, missing: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    assert isinstance(column, np.ndarray)
    placed = np.zeros(len(missing), column.dtype)
    placed[rows] = column[points]
    return np.ma.masked_array(placed, missing) if missing.any() else placed


def _check_headings(headings: list[str]) -> None:
    heading, times = Counter(headings).most_common(1)[0]
    if times > 1:
        raise ValueError(
            f"--wide makes {times} columns with the heading '{shown(heading)}' of these tags: "
            "choose others with --tag, or leave it out"
        )


def _duplicate(table: Table, at: int, times: int) -> ValueError:
    names = [_names(table[heading]) for heading in ("run", "tag")]
    run, tag = (shown(column.names[column.codes[at]]) for column in names)
    step = table["step"]
    assert isinstance(step, np.ndarray)
    return ValueError(
        f"--wide has one row a run and step: run '{run}', tag '{tag}' has step {step[at]} {times} "
        "times; choose one with --duplicates first, last or mean, or leave --wide out"
    )
