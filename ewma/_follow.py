"""`follow`: each new point of runs that are still being written, smoothed."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from numbers import Real
from time import sleep
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ewma._decay import beta_from
from ewma._stream import EMA
from ewma._warnings import warn
from ewma.tensorboard._follow import INTERVAL, Follower
from ewma.tensorboard._name_filter import Patterns
from ewma.tensorboard._problems import NOTE, Problem
from ewma.tensorboard._read import Paths
from ewma.tensorboard._tail import NewPoints


class Point(NamedTuple):
    """A scalar and the mean after it.

    Parameters
    ----------
    run, tag
        Where it belongs.
    step
        The training step.
    wall_time
        Seconds since 1970.
    value
        What was written.
    smoothed
        The mean of its run and tag after it.
    """

    run: str
    tag: str
    step: int
    wall_time: float
    value: float
    smoothed: float


def follow(
    path: Paths,
    beta: float | None = None,
    *,
    alpha: float | None = None,
    com: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
    tags: Patterns = None,
    runs: Patterns = None,
    stop_when_idle: float | None = None,
) -> Iterator[Point]:
    """Read event files as they are written, and smooth each run and tag on its own.

    First comes what is there already, then each new point once, in the order written, within half
    a second of when it was flushed. A record of which a part is missing is not there yet. Files,
    runs and tags may appear at any time; `path` itself need not exist yet.

    A training that was resumed from an earlier step, in a later file or after a session start in
    the same one, replaces the points of its run and tag from that step on: smoothing goes on from
    the points before it, as `smooth_scalars` has it in the end; but a file counts as later that
    was found later, whatever its name. The points that were replaced have been given out already;
    that the step goes back says so.

    Parameters
    ----------
    path, tags, runs
        As for `read_scalars`, but no URLs. Patterns are matched anew every few seconds, and runs
        are named relative to the folder before the first wildcard.
    beta, alpha, com, span, halflife
        As for `smooth`: one of them, or beta = 0.9.
    stop_when_idle
        End when nothing new has come for so many seconds; 0 ends with what is there. By default
        it never ends: leave the loop, or close the iterator.

    Yields
    ------
    Point
        A named tuple: ``run, tag, step, wall_time, value, smoothed``.

    Raises
    ------
    ValueError, TypeError
        For a decay as `smooth`; for a `stop_when_idle` below 0, for a URL and for no path at all.

    Warns
    -----
    EwmaWarning
        When a file is damaged, or was replaced, cut short or deleted: one that was deleted keeps
        its points; one that was replaced by something else is read from its beginning, as a later
        file of its run. A file that was renamed, or replaced by a longer copy of itself, just goes
        on.

    See Also
    --------
    smooth_scalars : The same, of files that are complete, as a DataFrame.

    Examples
    --------
    >>> import ewma
    >>> run = "examples/runs/digits/lr_0.1"
    >>> for point in ewma.follow(run, tags="loss/*", stop_when_idle=0):
    ...     if point.step == 10:
    ...         print(point.tag, round(point.value, 3), round(point.smoothed, 3))
    loss/train 2.26 2.313
    """
    beta = beta_from(beta, alpha, com, span, halflife)
    if stop_when_idle is not None and not (
        isinstance(stop_when_idle, Real) and stop_when_idle >= 0
    ):
        raise ValueError(
            f"stop_when_idle must be at least 0 seconds, or None; received {stop_when_idle!r}"
        )

    def report(problem: Problem) -> None:
        if problem.exit_code != NOTE:
            warn(str(problem))

    follower = SmoothingFollower(path, beta, tags=tags, runs=runs, report=report)
    return _points(follower, stop_when_idle)


def _points(follower: SmoothingFollower, stop_when_idle: float | None) -> Iterator[Point]:
    idle = 0.0
    while True:
        for points in follower.poll():
            idle = -INTERVAL
            yield from points
        if stop_when_idle is not None and idle >= stop_when_idle:
            return
        sleep(INTERVAL)
        idle += INTERVAL


@dataclass(frozen=True, slots=True)
class SmoothedPoints:
    """New points, the means after them, and what they replace.

    `replaced` has tags, as indices, and for each the step from which on all earlier points under
    it are replaced.
    """

    points: NewPoints
    smoothed: npt.NDArray[np.float64]
    replaced: dict[int, int]

    def __iter__(self) -> Iterator[Point]:
        p = self.points
        names = np.array(p.tag_names, object)[p.tag].tolist()
        columns = (p.step, p.wall_time, p.value, self.smoothed)
        return map(
            Point._make,
            zip(repeat(p.run), names, *(column.tolist() for column in columns), strict=False),
        )


class SmoothingFollower:
    """A `Follower` that smooths what it finds."""

    def __init__(
        self,
        path: Paths,
        beta: float,
        *,
        tags: Patterns = None,
        runs: Patterns = None,
        report: Callable[[Problem], None],
    ) -> None:
        self._follower = Follower(path, tags=tags, runs=runs, report=report)
        self._report = report
        self._beta = beta
        self._series: dict[tuple[str, str], _Series] = {}

    def poll(self) -> Iterator[SmoothedPoints]:
        """Look once, and yield what is new."""
        for points in self._follower.poll():
            smoothed = np.empty(len(points))
            replaced: dict[int, int] = {}
            for tag, rows in _groups(points.tag):
                key = points.run, points.tag_names[tag]
                if key not in self._series:
                    self._series[key] = _Series(self._beta)
                part = points[rows]
                smoothed[rows], step = self._series[key].add(part)
                if step is not None:
                    replaced[tag] = step
            if replaced:
                self._report(_resumed(points.run, min(replaced.values())))
            yield SmoothedPoints(points, smoothed, replaced)


class _Series:
    """The points of one run and tag that have not been replaced, and the mean after them.

    A log may have thousands of sessions: none of them goes through all points or all STARTs.
    """

    def __init__(self, beta: float) -> None:
        self._beta = beta
        self._mean = EMA(beta)
        self._step, self._value = array("q"), array("d")
        self._highest = array("q")  # the highest step as far as each point
        self._session = -1
        self._begin = 0  # where the points of the latest session begin
        self._lowest = 0  # the lowest step that session has reached, if it has points

    def add(self, points: NewPoints) -> tuple[npt.NDArray[np.float64], int | None]:
        """Return the means, and from which step on earlier points are replaced, if any are."""
        cut = None
        if points.session >= self._session:
            lowest = int(points.step.min())
            if points.session > self._session:
                # A START record says it of all tags, also of those that its session has not.
                lowest = min([lowest, *self._started(points)])
                self._session, self._begin = points.session, len(self._step)
                cut = self._cut(lowest)
                self._lowest = lowest
            elif lowest < self._lowest:
                cut = self._cut(lowest)
                self._lowest = lowest
        self._append(points.step, points.value)
        return self._mean.update(points.value), cut

    def _started(self, points: NewPoints) -> list[int]:
        """Return the steps that STARTs say of the sessions up to that of `points`."""
        sessions = range(self._session + 1, points.session + 1)
        starts = points.starts
        if len(sessions) < len(starts):
            return [starts[session] for session in sessions if session in starts]
        return [start for session, start in starts.items() if session in sessions]

    def _append(self, step: npt.NDArray[np.int64], value: npt.NDArray[np.float64]) -> None:
        highest = np.maximum.accumulate(step)
        if self._highest:
            np.maximum(highest, self._highest[-1], out=highest)
        self._step.frombytes(step.tobytes())
        self._highest.frombytes(highest.tobytes())
        self._value.frombytes(value.tobytes())

    def _cut(self, lowest: int) -> int | None:
        """Let go of what earlier sessions have from `lowest` on; smooth anew if that is any."""
        first = bisect_left(self._highest, lowest, 0, self._begin)
        if first == self._begin:
            return None
        step, value = np.array(self._step[first:]), np.array(self._value[first:])
        kept = step < lowest
        kept[self._begin - first :] = True
        self._begin -= int(np.count_nonzero(~kept))
        for column in (self._step, self._highest, self._value):
            del column[first:]
        self._append(step[kept], value[kept])
        self._mean = EMA(self._beta)
        self._mean.update(np.array(self._value))
        return lowest


def _groups(tag: npt.NDArray[np.int32]) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
    """Yield each tag and its rows."""
    order = np.argsort(tag, kind="stable")
    ends = np.flatnonzero(np.diff(tag[order])) + 1
    for rows in np.split(order, ends):
        yield int(tag[rows[0]]), rows


def _resumed(run: str, step: int) -> Problem:
    message = (
        f"this run was resumed from an earlier step; its points from step {step} on are replaced."
    )
    return Problem(run, None, message, NOTE)
