"""Trainings that were resumed: which points a restart has replaced.

A run is a row of sessions. One begins with each file, with each SessionLog START record, and where
a file goes on with another one's version record, as after ``cat``. A session that goes back
replaces what it overtakes: under each of its tags, all points of earlier sessions from its own
lowest step on. A START record says so by itself: it replaces all points before it, under any tag,
from its step on.

Steps of one session may come in any order, as several threads write them; nothing is replaced. And
tag by tag, because a later file need not be a restart: another writer that adds its own tags, or
goes on where the first stopped, takes nothing away.

TensorBoard has three readers, and each differs. Its data server lets each point, in any file,
replace all before it that have its tag and its step or a later one; START records say nothing to
it. Its ``EventAccumulator`` knows START records only, so that it shows both versions of most
resumed trainings, and it never replaces what TensorFlow 2 writes, tensors. Its
``PluginEventAccumulator`` does, but passes over a run's first START. These two take any step that
goes back for a restart where the file has no version record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from ewma.tensorboard._columns import ColumnsBuilder, ScalarColumns, Session, present

Restarts: TypeAlias = Literal["latest", "keep", "segment"]
RESTARTS: tuple[Restarts, ...] = get_args(Restarts)

_LOWEST, _HIGHEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(slots=True)
class Overtaken:
    """How many points were replaced, and in how many runs."""

    points: int = 0
    runs: int = 0

    def __str__(self) -> str:
        """Say so, and how to see them."""
        runs = "1 run was" if self.runs == 1 else f"{self.runs:,} runs were"
        points = "1 point that was" if self.points == 1 else f"{self.points:,} points that were"
        return (
            f"{runs} resumed from an earlier step; {points} written anew from there on "
            f"{'is' if self.points == 1 else 'are'} left out. restarts='keep' (--restarts keep) "
            "has them too, and 'segment' tells the versions apart."
        )


class _Part(NamedTuple):
    """A session: its rows, the step of its START record, the highest step that came before it."""

    rows: slice
    start: int | None
    reached: int | None

    def goes_back(self, step: npt.NDArray[np.int64]) -> bool:
        """Return whether it begins at or below what was reached, whatever the tags."""
        if self.reached is None:
            return False
        lowest = int(step[self.rows].min(initial=_HIGHEST))
        return lowest <= self.reached or (self.start is not None and self.start <= self.reached)


def drop_overtaken(builder: ColumnsBuilder, sessions: Sequence[Session]) -> int:
    """Keep the latest version of the run that was added last, and return how many points go.

    `sessions` are the builder's of that run.
    """
    first = sessions[0].row
    tag, step = builder.since(first)
    parts = _parts(sessions, step, first, len(step))
    if not any(part.goes_back(step) for part in parts):
        return 0
    kept = np.ones(len(step), bool)
    # From the last session to the first: from which step on those after it replace a tag.
    lowest = np.full(builder.tag_count, _HIGHEST)
    from_step = _HIGHEST  # the lowest of these
    # A step as high as that of a tag that is not replaced at all: only then it matters which are.
    extreme = int(step.max()) == _HIGHEST
    replaces = np.zeros(builder.tag_count, bool)
    lowest_start: int | None = None
    for rows, start, reached in reversed(parts):
        places = _where(step[rows] >= from_step)
        names, later = tag[rows][places], step[rows][places]
        replaced = later >= lowest[names]
        if extreme:
            replaced &= replaces[names]
        if lowest_start is not None:
            replaced |= later >= lowest_start
        kept[rows][places] = ~replaced
        if reached is None:
            continue
        places = _where(step[rows] <= reached)
        names, earlier = tag[rows][places], step[rows][places]
        np.minimum.at(lowest, names.astype(np.intp), earlier)  # other indices are slow
        if extreme:
            replaces[names] = True
        if start is not None:
            lowest_start = start if lowest_start is None else min(start, lowest_start)
            from_step = min(from_step, start)
        from_step = int(earlier.min(initial=from_step))
    gone = len(kept) - int(np.count_nonzero(kept))
    if gone > 0:
        builder.drop(first, kept)
    return gone


def _where(mask: npt.NDArray[np.bool_]) -> slice | npt.NDArray[np.intp]:
    """Return where it is true, as one stretch if it is: nearly always steps come in order."""
    places = np.flatnonzero(mask)
    if len(places) == 0 or places[-1] - places[0] >= len(places):
        return places
    return slice(int(places[0]), int(places[-1]) + 1)


def segments(columns: ScalarColumns, sessions: Sequence[Session]) -> npt.NDArray[np.int32]:
    """Return each point's version: how often its run and tag had gone back by then."""
    segment = np.zeros(len(columns), np.int32)
    for parts in _runs_that_go_back(columns, sessions):
        names = len(columns.tag_names)
        version, highest = np.zeros(names, np.int32), np.full(names, _LOWEST)
        seen, went_back = np.zeros(names, bool), np.zeros(names, bool)
        for rows, start, reached in parts:
            tag, step = columns.tag[rows], columns.step[rows]
            here, below = present(tag, names), np.zeros(names, bool)
            if reached is not None:
                places = np.flatnonzero(step <= reached)
                some = tag[places]
                below[some[step[places] <= highest[some]]] = True
                if start is not None:
                    below |= highest >= start
            went_back |= below & seen
            version += went_back & here
            went_back &= ~here
            if version.any():
                segment[rows] = version[tag]
            if rows.stop < parts[-1].rows.stop:
                np.maximum.at(highest, tag.astype(np.intp), step)  # other indices are slow
            seen |= here
    return segment


def _runs_that_go_back(
    columns: ScalarColumns, sessions: Sequence[Session]
) -> Iterator[list[_Part]]:
    """Yield the sessions of a run of which one goes back; others cost a glance at their steps."""
    ends = [session.row for session in sessions[1:]] + [len(columns)]
    for _, members in groupby(zip(sessions, ends, strict=False), key=lambda pair: pair[0].run):
        pairs = list(members)
        parts = _parts([session for session, _ in pairs], columns.step, 0, pairs[-1][1])
        if any(part.goes_back(columns.step) for part in parts):
            yield parts


def _parts(
    sessions: Sequence[Session], step: npt.NDArray[np.int64], first: int, end: int
) -> list[_Part]:
    """Return a run's sessions; `step` begins at row `first`, and the last session ends at `end`."""
    parts: list[_Part] = []
    begins = [session.row - first for session in sessions]
    for session, begin, stop in zip(sessions, begins, [*begins[1:], end], strict=True):
        reached = parts[-1].reached if parts else None
        if parts and parts[-1].rows.start < parts[-1].rows.stop:
            before = int(step[parts[-1].rows].max())
            reached = before if reached is None else max(before, reached)
        parts.append(_Part(slice(begin, stop), session.start, reached))
    return parts
