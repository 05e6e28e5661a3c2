"""One event file read on as it grows, and what happens to it meanwhile."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ewma._core import EventReader
from ewma.tensorboard._event_file import damage
from ewma.tensorboard._name_filter import NameFilter
from ewma.tensorboard._problems import WARNING, Problem, unreadable
from ewma.tensorboard._watch import Found

# More than a record's checksum and an event's time: no other log has them in the same place.
_MARK = 256

# Points are handed on after so many bytes, so that a long log is not held whole.
_BLOCK = 1 << 24


SIGNATURE = 7
"""So much of an `os.stat_result`: mode, inode, device, links, owner, group and size.

It changes when a file is appended to or replaced; a slice costs less than to ask for three of them.
"""


@dataclass(frozen=True, slots=True)
class NewPoints:
    """Points of one run and session, in the order written.

    Parameters
    ----------
    run
        Name of the run.
    tag_names
        What `tag` counts in.
    tag, step, wall_time, value
        The points, row by row.
    session
        A later session of a run has a higher number. One begins with each file, and where a file
        says that the training began again.
    start
        The step that the session's START record says, if there is one.
    """

    run: str
    tag_names: list[str]
    tag: npt.NDArray[np.int32]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    session: int
    start: int | None

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, rows: Any) -> NewPoints:
        """Return some of the rows."""
        return NewPoints(
            self.run,
            self.tag_names,
            self.tag[rows],
            self.step[rows],
            self.wall_time[rows],
            self.value[rows],
            self.session,
            self.start,
        )


class Tail:
    """An event file, how far it has been read, and how to tell that it is still the same.

    Between two reads it is closed. It is the same file, whatever its name and its inode, if the
    bytes before the place reached are: so a log that is fetched again and again as a whole (rsync)
    goes on like one that is appended to.
    """

    __slots__ = (
        "_base",
        "_done",
        "_mark",
        "_names",
        "_reader",
        "_rows",
        "_said",
        "_session",
        "_sessions",
        "identity",
        "path",
        "run",
        "seen",
    )

    def __init__(self, found: Found, sessions: Iterator[int]) -> None:
        self.run = found.run
        self.path = found.path
        self.identity = found.identity
        self._sessions = sessions
        self.seen: tuple[float, ...] | None = None
        self._said: set[int | None] = set()
        self._begin(0)

    def _begin(self, offset: int) -> None:
        """Read from `offset` on with a new parser."""
        self._reader = EventReader()
        self._base = self._done = offset
        self._mark = b""
        self._names: list[str] = []
        self._rows = 0
        self._session: int | None = None

    def goes_on_in(self, found: Found) -> bool:
        """Return whether this file has been given another name, and follow it there if so."""
        if not self._mark or found.identity != self.identity:
            return False
        try:
            with open(found.path, "rb", buffering=0) as file:  # noqa: PTH123
                if not self._is_same(file):
                    return False
        except OSError:
            return False
        self.path = found.path
        return True

    def read(
        self, buffer: memoryview, wanted_tag: NameFilter, report: Callable[[Problem], None]
    ) -> Iterator[NewPoints]:
        """Yield what has been written since; `buffer` is where the bytes go through.

        Yields an empty `NewPoints` where tags were left out and nothing else was there.
        """
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123
                status = os.fstat(file.fileno())
                self.seen = status[:SIGNATURE]
                self.identity = Found(self.run, self.path, status).identity
                if not self._is_same(file):
                    report(_replaced(self.path, self._done))
                    self._said.clear()
                    self._begin(0)
                file.seek(self._done)
                block = 0
                while self._done < status.st_size and not self._reader.stopped:
                    count = file.readinto(buffer)
                    if not count:
                        break  # it has shrunk since
                    self._feed(buffer[:count])
                    block += count
                    if block >= _BLOCK:
                        yield from self._take(wanted_tag)
                        block = 0
        except FileNotFoundError:
            self.seen = None  # it has gone since: the next look says so
        except OSError as error:
            self.seen = None
            report(unreadable(self.path, error, self._done or None))
        yield from self._take(wanted_tag)
        for problem in damage(self.path, self._reader, self._base):
            if problem.offset not in self._said:
                self._said.add(problem.offset)
                report(problem)
        if self._reader.stopped:
            # What stands there may still change: network file systems show a hole of zeros first.
            self._begin(self._base + self._reader.offset)

    def _feed(self, chunk: memoryview) -> None:
        self._reader.feed(chunk)
        self._done += len(chunk)
        self._mark = (self._mark + bytes(chunk[-_MARK:]))[-_MARK:]

    def _is_same(self, file: io.FileIO) -> bool:
        if os.fstat(file.fileno()).st_size < self._done:
            return False
        file.seek(self._done - len(self._mark))
        return file.read(len(self._mark)) == self._mark

    def _take(self, wanted_tag: NameFilter) -> Iterator[NewPoints]:
        tag, step, wall_time, value = self._reader.take()
        if len(tag) == 0:
            return
        for name in self._reader.tags[len(self._names) :]:
            self._names.append(name.decode("utf-8", "backslashreplace"))
        keep = np.array([wanted_tag(name) for name in self._names], bool)
        first, last = self._rows, self._rows + len(tag)
        self._rows = last
        starts: list[tuple[int, int | None]] = [(0, None)]
        starts += (session for session in self._reader.sessions if session[0] < last)
        ends = [*(row for row, _ in starts[1:]), last]
        for (row, start), end in zip(starts, ends, strict=True):
            if end <= first:
                continue
            if self._session is None or row >= first:
                self._session = next(self._sessions)
            rows = slice(max(row, first) - first, end - first)
            points = NewPoints(
                self.run, self._names, tag[rows], step[rows], wall_time[rows], value[rows],
                self._session, start,
            )  # fmt: skip
            yield points if keep.all() else points[keep[points.tag]]


def _replaced(path: str, done: int) -> Problem:
    message = (
        f"the file was replaced or cut short: it no longer has what was read of it, up to byte "
        f"{done}; it is read from its beginning, as a new one."
    )
    return Problem(path, None, message, WARNING)
