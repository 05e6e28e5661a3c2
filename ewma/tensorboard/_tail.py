"""One event file read on as it grows, and what happens to it meanwhile."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ewma._core import EventReader
from ewma.tensorboard._copies import FIRST_RECORD, first_record
from ewma.tensorboard._event_file import damage
from ewma.tensorboard._name_filter import NameFilter
from ewma.tensorboard._problems import WARNING, Problem, unreadable
from ewma.tensorboard._watch import Found

# More than a record's checksum and an event's time: no other log has them in the same place.
_MARK = 256

# Points are handed on after so many bytes, so that a long log is not held whole.
_BLOCK = 1 << 24


def signature(status: os.stat_result) -> tuple[float, ...]:
    """Return what changes when a file is appended to, replaced or written over.

    That is its mode, inode, device, links, owner, group and size, of which a slice costs less than
    to ask for three of them, and when it was written.
    """
    return (*status[:7], status.st_mtime_ns)


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
    starts
        The steps that START records of the run say so far, by their sessions; some of these may
        have no points.
    """

    run: str
    tag_names: list[str]
    tag: npt.NDArray[np.int32]
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    session: int
    starts: Mapping[int, int]

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
            self.starts,
        )


class Sessions:
    """The sessions of all runs, numbered as they are found, and the steps their STARTs say."""

    def __init__(self) -> None:
        self._count = 0
        self._starts: dict[str, dict[int, int]] = {}

    def begin(self) -> int:
        """Return the number of a new one."""
        self._count += 1
        return self._count

    def starts(self, run: str) -> dict[int, int]:
        """Return the steps that a run's STARTs say, by session: always the same dict."""
        return self._starts.setdefault(run, {})


class Tail:
    """An event file, how far it has been read, and how to tell that it is still the same.

    Between two reads it is closed. It is the same file, whatever its name and its inode, if the
    bytes before the place reached are: so a log that is fetched again and again as a whole (rsync)
    goes on like one that is appended to.

    Damage at its end may still go away: network file systems show a hole of zeros first.
    """

    __slots__ = (
        "_begun",
        "_done",
        "_first",
        "_is_given_up",
        "_mark",
        "_names",
        "_reader",
        "_rows",
        "_said",
        "_sessions",
        "identity",
        "path",
        "run",
        "seen",
    )

    def __init__(self, found: Found, sessions: Sessions) -> None:
        self.run = found.run
        self.path = found.path
        self.identity = found.identity
        self._sessions = sessions
        self.seen: tuple[float, ...] | None = None
        self._said: set[int | None] = set()
        self._begin()

    def _begin(self) -> None:
        self._reader = EventReader()
        self._done = 0
        self._first: bytes | None = None
        self._is_given_up = False
        self._mark = b""
        self._names: list[str] = []
        self._rows = 0
        self._begun: list[tuple[int, int]] = []

    @property
    def is_new(self) -> bool:
        """Whether no more has been read of it than its first record, so that it may be a copy."""
        return self._done < FIRST_RECORD

    @property
    def first_record(self) -> bytes | None:
        """As `first_record` has it."""
        if self._first is None:
            self._first = first_record(self.path)
        return self._first

    def pass_over(self) -> None:
        """Leave it as it is until it changes."""
        with contextlib.suppress(OSError):
            status = os.stat(self.path)  # noqa: PTH116
            self.seen = signature(status)
            self.identity = Found(self.run, self.path, status).identity

    def goes_on_in(self, found: Found) -> bool:
        """Return whether this file has been given another name, and follow it there if so."""
        return bool(self._mark) and found.identity == self.identity and self.goes_on_at(found.path)

    def goes_on_at(self, path: str) -> bool:
        """Return whether what was read of this file is in another one, and follow that if so."""
        try:
            with _open(path) as file:
                if not self._is_same(file):
                    return False
        except OSError:
            return False
        self.path, self.seen = path, None
        return True

    def read(
        self, buffer: memoryview, wanted_tag: NameFilter, report: Callable[[Problem], None]
    ) -> Iterator[NewPoints]:
        """Yield what has been written since; `buffer` is where the bytes go through.

        Yields an empty `NewPoints` where tags were left out and nothing else was there.
        """
        problems: list[Problem] = []
        try:
            with _open(self.path) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.ESPIPE, "only regular files can be followed")
                self.seen = signature(status)
                self.identity = Found(self.run, self.path, status).identity
                if not self._is_same(file):
                    report(_replaced(self.path, self._done))
                    self._said.clear()
                    self._begin()
                if self._is_given_up:
                    return
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
                problems = damage(self.path, self._reader)
                if self._reader.settled < self._reader.offset or self._reader.stopped:
                    self._go_back(file)
        except FileNotFoundError:
            self.seen = None  # it has gone since: the next look says so
        except OSError as error:
            self.seen = None
            report(unreadable(self.path, error, self._done or None))
        except MemoryError as error:
            # A record that is too large is so at each look; the other files need the memory.
            problems = [
                *damage(self.path, self._reader),
                unreadable(self.path, error, self._reader.offset or None),
            ]
            self._reader.retry()
            self._is_given_up = True
        yield from self._take(wanted_tag)
        for problem in problems:
            if problem.offset not in self._said:
                self._said.add(problem.offset)
                report(problem)

    def _feed(self, chunk: memoryview) -> None:
        self._reader.feed(chunk)
        self._done += len(chunk)
        self._mark = (self._mark + bytes(chunk[-_MARK:]))[-_MARK:]

    def _go_back(self, file: io.FileIO) -> None:
        """Read the damage at the end anew next time: what changes need not be the size."""
        self.seen = None
        self._reader.retry()
        self._done = self._reader.offset
        file.seek(max(0, self._done - _MARK))
        self._mark = file.read(min(self._done, _MARK))

    def _is_same(self, file: io.FileIO) -> bool:
        if os.fstat(file.fileno()).st_size < self._done:
            return False
        file.seek(self._done - len(self._mark))
        return file.read(len(self._mark)) == self._mark

    def _take(self, wanted_tag: NameFilter) -> Iterator[NewPoints]:
        tag, step, wall_time, value = self._reader.take()
        first, last = self._rows, self._rows + len(tag)
        self._rows = last
        self._begin_sessions()
        if len(tag) == 0:
            return
        for name in self._reader.tags[len(self._names) :]:
            self._names.append(name.decode("utf-8", "backslashreplace"))
        keep = np.array([wanted_tag(name) for name in self._names], bool)
        starts = self._sessions.starts(self.run)
        ends = [*(row for row, _ in self._begun[1:]), last]
        for (row, session), end in zip(self._begun, ends, strict=True):
            rows = slice(max(row, first) - first, end - first)
            if rows.start >= rows.stop:
                continue
            points = NewPoints(
                self.run, self._names, tag[rows], step[rows], wall_time[rows], value[rows],
                session, starts,
            )  # fmt: skip
            yield points if keep.all() else points[keep[points.tag]]

    def _begin_sessions(self) -> None:
        """Take down which sessions have begun, and the steps that STARTs say."""
        said = self._reader.sessions
        if self._rows > 0 and (not said or said[0][0] > 0):
            said.insert(0, (0, None))  # the file's own, which has points
        known = len(self._begun)
        self._begun += [(row, self._sessions.begin()) for row, _ in said[known:]]
        # As long as it has no points, a session's step may change.
        since = max(0, known - 1)
        for (_, session), (_, start) in zip(self._begun[since:], said[since:], strict=True):
            if start is not None:
                self._sessions.starts(self.run)[session] = start


def _open(path: str) -> io.FileIO:
    """Open a file; a pipe that has come into its place does not make this wait for a writer."""
    return io.FileIO(path, opener=lambda name, flags: os.open(name, flags | _AT_ONCE))


_AT_ONCE: int = getattr(os, "O_NONBLOCK", 0)


def _replaced(path: str, done: int) -> Problem:
    message = (
        f"the file was replaced or cut short: it no longer has what was read of it, up to byte "
        f"{done}; it is read from its beginning, as a new one."
    )
    return Problem(path, None, message, WARNING)
