"""Event files as they appear, looked for at the cost of a stat a folder."""
# Paths stay the strings that were given, as in `_files`.
# ruff: noqa: PTH100, PTH112, PTH116, PTH119, PTH120

from __future__ import annotations

import glob
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ewma.tensorboard._files import (
    _expand,
    _identity,
    _is_event_file,
    _is_folder,
    _run_name,
)
from ewma.tensorboard._problems import Problem, unreadable

# A folder's time stands still for so long on some file systems, whatever is put into it.
_TIME_STEP = 3 * 10**9  # nanoseconds

# Some file systems give folders no time at all: every so many looks, everything is listed anew.
_THOROUGH = 64

# Patterns are not cheap to match: they are every so many looks.
_PATTERNS = 16


class Found(NamedTuple):
    """An event file, which may have been found before, and the run it belongs to."""

    run: str
    path: str
    status: os.stat_result

    @property
    def identity(self) -> tuple[int, int] | str:
        """What two paths to the same file have in common."""
        return _identity(self.path, self.status)


class Watch:
    """Looks again and again for event files in files, folders, trees of folders and patterns.

    Nothing needs to be there yet. Runs are named as `find_runs` names them; of a pattern, relative
    to the folder before its first wildcard, as what it will match is not known.
    """

    def __init__(self, paths: Sequence[str], report: Callable[[Problem], None]) -> None:
        self._paths = paths
        self._report = report
        self._shared: str | None = None
        self._named = False
        self._tops: list[str] = []
        # Folders, and the time of each at which all that is in it was seen; None: list it again.
        self._folders: dict[str, int | None] = {}
        self._identities: dict[tuple[int, int] | str, str] = {}
        self._looks = 0

    def look(self) -> list[Found]:
        """Return the files in folders that may have changed, in the order to read them in."""
        thorough = self._looks % _THOROUGH == 0
        self._looks += 1
        if self._looks % _PATTERNS == 1:
            self._tops = [top for path in self._paths for top in _expand(path)]
        files = [(*file, False) for top in self._tops for file in self._top(top)]
        # What links lead to comes last, so that runs keep their own names and not a link's.
        changed, linked = [*self._changed_folders(thorough)], deque[str]()
        while changed or linked:
            files += self._list(changed.pop() if changed else linked.popleft(), changed, linked)
        if files and not self._named:
            self._shared, self._named = _shared_folder(self._paths), True
        found = [
            (
                is_link,
                _run_name(os.path.dirname(os.path.abspath(path)), self._shared),
                os.path.basename(path),
                path,
                status,
            )
            for path, status, is_link in files
        ]
        found.sort()
        return [Found(run, path, status) for _, run, _, path, status in found]

    def _top(self, path: str) -> Iterator[tuple[str, os.stat_result]]:
        if path in self._folders:
            return
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return  # not yet
        except (OSError, ValueError) as error:
            self._report(unreadable(path, error))
            return
        if stat.S_ISDIR(status.st_mode):
            self._folders[path] = None
        else:
            yield path, status

    def _changed_folders(self, thorough: bool) -> list[str]:
        """Return the folders to list, and forget those that are gone. Nothing is done oftener."""
        stat = os.stat
        changed, gone = [], []
        for folder, seen in self._folders.items():
            try:
                if stat(folder).st_mtime_ns != seen or thorough:
                    changed.append(folder)
            except OSError:
                gone.append(folder)
        for folder in gone:
            del self._folders[folder]
        return changed

    def _list(
        self, folder: str, more: list[str], linked: deque[str]
    ) -> Iterator[tuple[str, os.stat_result, bool]]:
        """Yield the event files in a folder, and whether each is a link.

        Its folders are watched; new ones go to `more`, or if they are links to `linked`.
        """
        try:
            status = os.stat(folder)
            # Of two ways that lead here, one by a link perhaps, the first that was found counts.
            other = self._identities.setdefault(_identity(folder, status), folder)
            if other != folder:
                if other in self._folders:
                    self._folders[folder] = status.st_mtime_ns
                    return
                self._identities[_identity(folder, status)] = folder
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            del self._folders[folder]
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                self._report(unreadable(folder, error))
            return
        settled = time.time_ns() - status.st_mtime_ns > _TIME_STEP
        self._folders[folder] = status.st_mtime_ns if settled else None
        for entry in entries:
            if _is_folder(entry):
                if entry.path not in self._folders:
                    self._folders[entry.path] = None
                    (linked if entry.is_symlink() else more).append(entry.path)
            elif _is_event_file(entry.name):
                try:
                    file = entry.stat()
                except OSError:  # gone again; if it comes back, the folder's time changes
                    continue
                if stat.S_ISREG(file.st_mode):
                    yield entry.path, file, entry.is_symlink()


def _shared_folder(paths: Sequence[str]) -> str | None:
    """Return the deepest folder above all the paths, if they have one: Windows has drives."""
    try:
        return os.path.commonpath([_folder_of(os.path.abspath(path)) for path in paths])
    except ValueError:
        return None


def _folder_of(path: str) -> str:
    if os.path.isdir(path):
        return path
    if os.path.lexists(path):
        return os.path.dirname(path)
    while glob.has_magic(path):
        path = os.path.dirname(path)
    return os.path.dirname(path) if _is_event_file(os.path.basename(path)) else path
