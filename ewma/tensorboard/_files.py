"""From paths to runs and their event files."""
# Paths stay the strings that were given: pathlib would read "" as the working folder.
# ruff: noqa: PTH100, PTH112, PTH114, PTH116, PTH118, PTH119, PTH120, PTH207

from __future__ import annotations

import glob
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import filterfalse
from typing import TYPE_CHECKING, Any, NamedTuple

from ewma.tensorboard._problems import UNREADABLE, Problem, as_text, unreadable
from ewma.tensorboard._url import is_url

if TYPE_CHECKING:
    from ewma.tensorboard._remote_file import RemotePath


_SEPARATORS = os.sep + (os.altsep or "")
_RECURSIVE = r"(?<![^{0}])\*\*(?![^{0}])".format(re.escape(_SEPARATORS))  # "**" between them


class EventFile(NamedTuple):
    """An event file and its size in bytes when it was found, and where it is if not on a disk."""

    path: str
    size: int
    remote: RemotePath | None = None


@dataclass(slots=True)
class Run:
    """A folder that holds event files, to be read in name order as one stream."""

    name: str
    files: list[EventFile] = field(default_factory=list)


def find_runs(
    paths: Iterable[str],
    report: Callable[[Problem], None],
    storage_options: Mapping[str, Any] | None = None,
) -> list[Run]:
    """Find the event files in files, folders, trees of folders and globs, sorted by run.

    A run is named after its folder, relative to the deepest folder that all the paths share.
    """
    local: list[str] = []
    urls: list[str] = []
    for path in paths:
        (urls if is_url(path) else local).append(path)
    runs = _local_runs(local, report, shares=not urls)
    if urls:
        from ewma.tensorboard._remote_runs import remote_runs

        runs += remote_runs(urls, storage_options or {}, report, shares=not local)
    return sorted(runs, key=lambda run: run.name)


def _local_runs(
    paths: Iterable[str], report: Callable[[Problem], None], *, shares: bool
) -> list[Run]:
    """Find those on this machine's disks; `shares`: there are no other paths beside them."""
    expanded = [name for path in paths for name in _expand(path)]
    shared = _shared_folder(expanded) if shares else None
    runs: dict[tuple[int, int] | str, Run] = {}
    seen: dict[tuple[int, int] | str, set[tuple[int, int] | str]] = {}
    identity_of = cache(_folder_identity)  # a stat a folder, not one a file
    for path in expanded:
        for file, status in _event_files(path, report):
            folder = os.path.dirname(os.path.abspath(file))
            of_run = identity_of(folder)
            if of_run not in runs:
                runs[of_run] = Run(_run_name(folder, shared))
                seen[of_run] = set()
            identity = _identity(file, status)
            if identity not in seen[of_run]:
                seen[of_run].add(identity)
                runs[of_run].files.append(EventFile(file, status.st_size))
    for run in runs.values():
        run.files.sort(key=lambda file: os.path.basename(file.path))
    # A folder of nothing but links to files in others is another name for them. A run that was
    # copied by `ln -s`, and goes on, has files of its own beside them.
    links = {of_run for of_run in runs if all(os.path.islink(f.path) for f in runs[of_run].files)}
    found = {identity for of_run in runs if of_run not in links for identity in seen[of_run]}
    named = []
    for of_run, run in runs.items():
        if of_run not in links or not seen[of_run] <= found:
            named.append(run)
            found |= seen[of_run]
    return named


def _folder_identity(folder: str) -> tuple[int, int] | str:
    try:
        return _identity(folder, os.stat(folder))
    except OSError:  # gone meanwhile
        return folder


def shared_name(paths: Iterable[str]) -> str:
    """Return what the folder is called whose run is named "."; "" if it is called nothing."""
    shared = _shared_folder([name for path in paths for name in _expand(path)])
    return "" if shared is None else as_text(os.path.basename(shared))


def _expand(path: str) -> list[str]:
    """Return the path itself, or the files and folders it matches as a pattern if it is not there.

    A pipe that is meant can be given by its name: to open it is to wait for somebody who writes.
    """
    if os.path.lexists(path):
        return [path]
    return sorted(set(filterfalse(_is_special, _matches(path)))) or [path]


def _matches(pattern: str) -> Iterator[str]:
    """Yield what `glob.glob` does, but enter no folder twice for "**": links may form circles."""
    recursive = re.search(_RECURSIVE, pattern)
    if recursive is None:
        yield from glob.iglob(pattern)
        return
    above, below = pattern[: recursive.start()], pattern[recursive.end() :]
    for top in glob.iglob(above) if above else [""]:
        for folder, names in _folders(top):
            if below:
                yield from _matches(os.path.join(glob.escape(folder), below.lstrip(_SEPARATORS)))
                continue
            if folder == top != "":
                yield top
            yield from (os.path.join(folder, name) for name in names)


def _folders(top: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders of a tree and the names in them, without what is hidden, as "**" has it."""
    visited: set[tuple[int, int] | str] = set()
    folders, linked = [top], deque[str]()
    while folders or linked:
        folder = folders.pop() if folders else linked.popleft()
        path = folder or os.curdir
        try:
            identity = _identity(path, os.stat(path))
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(path) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError:  # a pattern matches what there is to see
            continue
        yield folder, [entry.name for entry in entries]
        for entry in filter(_is_folder, entries):
            (linked if entry.is_symlink() else folders).append(os.path.join(folder, entry.name))


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:  # it is said where it is to be read
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _shared_folder(paths: Iterable[str]) -> str | None:
    """Return the deepest folder above all the paths, if they have one: Windows has drives."""
    absolute = [os.path.abspath(path) for path in paths]
    folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in absolute]
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return None


def _run_name(folder: str, shared: str | None) -> str:
    relative = folder if shared is None else os.path.relpath(folder, shared)
    return as_text(relative.replace(os.sep, "/"))


def _identity(path: str, status: os.stat_result) -> tuple[int, int] | str:
    """Return what two paths to the same file or folder have in common."""
    if status.st_ino == 0:  # some network file systems number nothing
        return os.path.realpath(path)
    return (status.st_dev, status.st_ino)


def _event_files(
    path: str, report: Callable[[Problem], None]
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the path if it is a file, else the event files in the tree of folders below it."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in it
        report(unreadable(path, error))
        return
    if not stat.S_ISDIR(status.st_mode):
        yield path, status
        return
    explained = False

    def explain(problem: Problem) -> None:
        nonlocal explained
        explained = True
        report(problem)

    for file in _walk(path, explain):
        explained = True
        yield file
    if not explained:
        report(_no_event_files(path))


def _no_event_files(folder: str) -> Problem:
    message = (
        "no event files in this folder (their names contain 'tfevents'); give the folder "
        "that the training wrote its log into."
    )
    return Problem(folder, None, message, UNREADABLE, FileNotFoundError)


def _walk(top: str, report: Callable[[Problem], None]) -> Iterator[tuple[str, os.stat_result]]:
    # What links lead to comes last, so that runs keep their own names and not a link's.
    visited: set[tuple[int, int] | str] = set()
    folders, linked_folders, linked_files = [top], deque[str](), list[tuple[str, os.stat_result]]()
    while folders or linked_folders:
        folder = folders.pop() if folders else linked_folders.popleft()
        try:
            identity = _identity(folder, os.stat(folder))
            if identity in visited:  # a symlink leads back here
                continue
            visited.add(identity)
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            report(unreadable(folder, error))
            continue
        own_folders: list[str] = []
        for entry in entries:
            if _is_folder(entry):
                (linked_folders if entry.is_symlink() else own_folders).append(entry.path)
                continue
            if not _is_event_file(entry.name):
                continue
            try:
                status = entry.stat()
            except OSError as error:
                report(unreadable(entry.path, error))
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            if entry.is_symlink():
                linked_files.append((entry.path, status))
            else:
                yield entry.path, status
        folders.extend(reversed(own_folders))
    yield from linked_files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_event_file(name: str) -> bool:
    return "tfevents" in name and not name.endswith(".profile-empty")
