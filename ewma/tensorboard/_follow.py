"""Runs that are still being written: each look gives the points that are new."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from ewma.tensorboard._copies import begins_with
from ewma.tensorboard._files import shared_name
from ewma.tensorboard._name_filter import NameFilter, Patterns
from ewma.tensorboard._problems import WARNING, Problem, shown, unreadable
from ewma.tensorboard._read import Paths, _as_paths
from ewma.tensorboard._read_files import CHUNK
from ewma.tensorboard._tail import NewPoints, Sessions, Tail, signature
from ewma.tensorboard._url import NO_FOLLOWING, is_url
from ewma.tensorboard._watch import Found, Watch
from ewma.tensorboard._written import is_smoothed, is_written, left_out

INTERVAL = 0.45
"""Seconds between two looks: a point is seen within half a second. A look costs a stat of each file
and folder, some 5 microseconds each."""


class Follower:
    """Event files that grow and appear, looked at whenever `poll` is called.

    Parameters
    ----------
    path, tags, runs
        As for `read_scalars`, but nothing needs to be there yet.
    report
        Is told what goes wrong, once.
    """

    def __init__(
        self,
        path: Paths,
        *,
        tags: Patterns = None,
        runs: Patterns = None,
        report: Callable[[Problem], None],
    ) -> None:
        self._paths = _as_paths(path)
        for url in filter(is_url, self._paths):
            raise ValueError(f"{shown(url)}: {NO_FOLLOWING}")
        self._wanted_tag, self._wanted_run = NameFilter("tag", tags), NameFilter("run", runs)
        self._report = report
        self._said: set[str] = set()
        self._watch = Watch(self._paths, self._say_once)
        self._tails: dict[str, Tail] = {}
        self._missing: dict[str, Tail] = {}
        self._runs: set[str] = set()
        self._smoothed: set[str] = set()
        self._other_runs: set[str] = set()
        self._other_tags: set[str] = set()
        self._looked = False
        self._sessions = Sessions()
        self._buffer = memoryview(bytearray(CHUNK))

    def poll(self) -> Iterator[NewPoints]:
        """Yield what is new, run by run and file by file as far as it was there at the same time.

        A record of which a part is missing is left for a later look.
        """
        self._find()
        nothing = True
        changed = self._changed()
        of_run: dict[str, list[Tail]] = {}
        if any(tail.is_new for tail in changed):
            for tail in self._tails.values():
                of_run.setdefault(tail.run, []).append(tail)
        for tail in changed:
            if tail.is_new and (moved := self._gone_from_elsewhere(tail)) is not None:
                tail = moved
            elif tail.is_new and (other := _same_log(tail, of_run[tail.run])) is not None:
                if not self._goes_on_in_longer(other, tail):
                    continue
                tail = other
            for points in tail.read(self._buffer, self._wanted_tag, self._say_once):
                if not self._looked:
                    self._other_tags.update(points.tag_names)
                if len(points) > 0:
                    nothing = False
                    yield points
        if not self._looked:
            self._looked = True
            if nothing:
                self._explain_nothing()

    def _changed(self) -> list[Tail]:
        """Return the files to read; the others cost a stat each, and that is what idling costs."""
        stat = os.stat
        changed: list[Tail] = []
        failed: list[tuple[str, OSError]] = []
        for path, tail in self._tails.items():
            try:
                if signature(stat(path)) != tail.seen:
                    changed.append(tail)
            except OSError as error:
                failed.append((path, error))
        for path, why in failed:
            self._lose(path, why)
        return changed

    def _find(self) -> None:
        """Take up new files; what was missing a look ago and has not come back is gone."""
        files = self._watch.look()
        known = {tail.identity: path for path, tail in self._tails.items()} if files else {}
        for found in self._leave_out_smoothed(files):
            other = known.get(found.identity)
            mine = self._tails.get(found.path)
            if mine is not None and not mine.is_new:
                continue
            if other is not None and self._is_alias(found, other):
                continue
            if not self._wanted_run(found.run):
                self._other_runs.add(found.run)
                continue
            known[found.identity] = found.path
            if other is not None and self._tails[other].goes_on_in(found):
                self._tails[found.path] = self._tails.pop(other)
                self._take_up_successor(found.run, other)
            else:
                self._tails[found.path] = self._known(found) or Tail(found, self._sessions)
        missing, self._missing = self._missing, {}
        gone = []
        for path, tail in missing.items():
            if os.path.lexists(path):
                self._tails[path] = tail
            elif not tail.is_new and not self._goes_on_in_copy(tail):
                gone.append(path)
        if gone:
            self._report(_gone(gone))

    def _is_alias(self, found: Found, other: str) -> bool:
        """Return whether a file is another one's, as `find_runs` has it, by a link perhaps."""
        if not _leads_to(other, found):
            return False
        if found.run == self._tails[other].run:
            return True
        is_link = os.path.islink(found.path)  # noqa: PTH114
        return is_link and all(tail.run != found.run for tail in self._tails.values())

    def _gone_from_elsewhere(self, new: Tail) -> Tail | None:
        """Return the log that a new file is, if that has gone from where it was; follow it here."""
        for path, tail in self._missing.items():
            if tail.run == new.run and not tail.is_new and tail.goes_on_at(new.path):
                self._tails[new.path] = self._missing.pop(path)
                return tail
        return None

    def _goes_on_in_longer(self, tail: Tail, new: Tail) -> bool:
        """Follow a log at a new path where there is more of it; the shorter one is left as it is.

        It may be about to be replaced by the longer one.
        """
        shorter, longer = tail.path, new.path
        moved = _size(longer) > _size(shorter) and not tail.is_new and tail.goes_on_at(longer)
        if moved:
            self._tails[longer], self._tails[shorter] = tail, new
            new.path = shorter
        new.pass_over()
        return moved

    def _goes_on_in_copy(self, tail: Tail) -> bool:
        """Follow a file that is gone in the copy of it that was left out, if there is one."""
        for path, other in self._tails.items():
            if other.is_new and other.run == tail.run and tail.goes_on_at(path):
                self._tails[path] = tail
                return True
        return False

    def _leave_out_smoothed(self, files: Sequence[Found]) -> list[Found]:
        """Leave out what `write_scalars` has made of runs that are followed, and say so once."""
        runs = {found.run for found in files if self._wanted_run(found.run)} - self._runs
        self._runs |= runs
        if "." in runs:  # it also goes by its folder's name
            self._runs.add(shared_name(self._paths))
        left: list[Found] = []
        smoothed: list[Found] = []
        for found in files:
            is_left_out = (
                found.path not in self._tails
                and is_written(os.path.basename(found.path))  # noqa: PTH119
                and self._wanted_run(found.run)
                and is_smoothed(found.run, self._runs)
            )
            (smoothed if is_left_out else left).append(found)
        names = {found.run for found in smoothed} - self._smoothed
        self._smoothed |= names
        if names:
            self._report(left_out(sorted(names)))
        return left

    def _take_up_successor(self, run: str, path: str) -> None:
        """Follow what has taken the place of a file that was given another name, if anything."""
        try:
            successor = Found(run, path, os.stat(path))  # noqa: PTH116
        except OSError:
            return
        self._tails[path] = Tail(successor, self._sessions)

    def _known(self, found: Found) -> Tail | None:
        """Return the file that was missing under this name, or that has been given it."""
        if found.path in self._missing:
            return self._missing.pop(found.path)
        for path, tail in self._missing.items():
            if tail.goes_on_in(found):
                return self._missing.pop(path)
        return None

    def _lose(self, path: str, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            # Perhaps it has only been given another name, or is just being replaced.
            self._missing[path] = self._tails.pop(path)
        else:
            self._say_once(unreadable(path, error))

    def _say_once(self, problem: Problem) -> None:
        line = str(problem)
        if line not in self._said:
            self._said.add(line)
            self._report(problem)

    def _explain_nothing(self) -> None:
        given = ", ".join(self._paths)
        if self._other_runs and not self._tails:
            self._say_once(self._wanted_run.nothing_left(given, self._other_runs))
        elif self._other_tags:
            self._say_once(self._wanted_tag.nothing_left(given, self._other_tags))
        else:
            message = (
                "there are no scalars here yet (in files whose names contain 'tfevents'); waiting "
                "for them."
            )
            self._say_once(Problem(given, None, message, WARNING))


def _leads_to(path: str, found: Found) -> bool:
    """Return whether a path leads to a file that was found under another one, by a link perhaps."""
    try:
        return Found(found.run, path, os.stat(path)).identity == found.identity  # noqa: PTH116
    except OSError:
        return False


def _same_log(new: Tail, of_run: Iterable[Tail]) -> Tail | None:
    """Return the file of the run that holds a new one, or as much of it as there is so far."""
    for other in of_run:
        if other is new or not new.first_record or other.first_record != new.first_record:
            continue
        names = sorted((new.path, other.path), reverse=True)
        short, long = sorted(names, key=_size)
        if begins_with(long, short) and not (other.is_new and short == other.path):
            return other
    return None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _gone(paths: list[str]) -> Problem:
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    message = (
        f"this file{others} {'are' if others else 'is'} gone; what was read of "
        f"{'them' if others else 'it'} stays."
    )
    return Problem(paths[0], None, message, WARNING)
