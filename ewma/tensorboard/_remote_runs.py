"""From URLs to runs and their event files, through fsspec."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import unquote

from ewma.tensorboard._files import EventFile, Run, _is_event_file, _no_event_files
from ewma.tensorboard._problems import UNREADABLE, Problem, as_text, unreadable
from ewma.tensorboard._remote_file import WEB_CONNECTIONS, RemotePath, system_errors

_CACHES = ("simplecache", "filecache", "blockcache")
"""Links of a chained URL that have the path of the next one."""


def remote_runs(
    urls: Sequence[str],
    options: Mapping[str, Any],
    report: Callable[[Problem], None],
    *,
    shares: bool,
) -> list[Run]:
    """Find the event files in files, folders, trees of folders and globs that are elsewhere.

    As `find_runs` does it; `shares`: there are no other paths beside them.
    """
    try:
        import fsspec  # noqa: F401
    except ImportError:
        message = "URLs are read through fsspec, which is not there: pip install 'ewma[remote]'."
        report(Problem(", ".join(urls), None, message, UNREADABLE, ImportError))
        return []
    tops: list[_Top] = []
    folders: list[tuple[Any, str]] = []
    for url in urls:
        if re.match(r"(?i)(zip|tar|libarchive)://(?!.*::)", url):
            scheme, _, archive = url.partition("://")
            message = (
                "a URL of what is in an archive names the archive behind ::, as in "
                f"{scheme}://::{archive} or {scheme}://FOLDER::{archive}."
            )
            report(Problem(url, None, message, UNREADABLE))
            continue
        try:
            file_system, path = _file_system(url, options)
        except OSError as error:
            report(_unavailable(url, error))
            continue
        try:
            here = _tops(url, file_system, path)
        except OSError as error:
            report(unreadable(url, error))
            folders.append((file_system, _folder(path)))
        else:
            tops += here
            folders += ((file_system, top.folder) for top in here)
    shared = _shared_folder(folders) if shares else None
    found = [(top, info) for top in tops for info in _event_files(top, report)]
    found.sort(key=lambda pair: _base_name(pair[1]["name"]))
    runs: dict[tuple[Any, str], Run] = {}
    locks: dict[Any, threading.Lock] = {}
    seen: set[tuple[Any, str]] = set()
    for top, info in found:
        file_system, name = top.file_system, info["name"]
        if (file_system, name) in seen:
            continue
        seen.add((file_system, name))
        folder = _folder(name)
        if (file_system, folder) not in runs:
            run_name = top.url(folder) if shared is None else _below(folder, shared)
            runs[file_system, folder] = Run(as_text(run_name))
        # fsspec's async file systems are made for many calls at once, and no others.
        lock = None if file_system.async_impl else locks.setdefault(file_system, threading.Lock())
        remote = RemotePath(file_system, name, lock)
        runs[file_system, folder].files.append(EventFile(top.url(name), info["size"] or 0, remote))
    return list(runs.values())


@dataclass(frozen=True, slots=True)
class _Top:
    """A file or folder that a URL names, and how the URLs of what is in it are written."""

    file_system: Any
    info: dict[str, Any]
    chain: tuple[str, str, str]  # the URL, and what stands before and after it
    path: str  # what the file system calls that URL

    @property
    def name(self) -> str:
        name: str = self.info["name"]
        return name

    @property
    def is_folder(self) -> bool:
        # All that fsspec's http knows is a file. A folder ends with a slash or is a page of links.
        is_page = self.info.get("mimetype") == "text/html" or self.name.endswith("/")
        return self.info["type"] == "directory" or is_page

    @property
    def folder(self) -> str:
        return self.name if self.is_folder else _folder(self.name)

    def url(self, name: str) -> str:
        """Return the URL of something in the file system."""
        before, url, after = self.chain
        inside = name.removeprefix(self.path).strip("/")
        between = "/" if inside and not url.endswith("/") else ""
        return before + url + between + inside + after


def _file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return where to look, and under what name."""
    from fsspec.core import url_to_fs

    with system_errors():
        file_system, path = url_to_fs(url, **options)
        file_system.invalidate_cache()  # it may have been listed long ago
    return file_system, path


def _tops(url: str, file_system: Any, path: str) -> list[_Top]:
    """Return what the URL names, or what it matches as a pattern if it is not there."""
    before, link, after = _links(url)
    try:
        with system_errors():
            info = file_system.info(path)
        return [_Top(file_system, {**info, "name": path}, (before, link, after), path)]
    except FileNotFoundError:
        magic = re.search(r"[*?[]", link)
        if magic is None:
            raise
        root = link[: link.rindex("/", 0, magic.start()) + 1]
        with system_errors():
            found = file_system.glob(path, detail=True)
            root_path = file_system._strip_protocol(root)
        if not found:
            raise
    return [
        _Top(file_system, {**info, "name": name}, (before, root, after), root_path)
        for name, info in sorted(found.items())
    ]


def _links(url: str) -> tuple[str, str, str]:
    """Return the link of a chained URL that has the path, and what stands before and after it."""
    links = url.split("::")
    at = next((i for i, link in enumerate(links) if link not in _CACHES), 0)
    link = links[at] if "://" in links[at] else links[at] + "://"
    return (
        "".join(f"{part}::" for part in links[:at]),
        link,
        "".join(f"::{part}" for part in links[at + 1 :]),
    )


def _event_files(top: _Top, report: Callable[[Problem], None]) -> Iterator[dict[str, Any]]:
    """Yield the file itself, or the event files in the tree of folders."""
    if not top.is_folder:
        yield top.info
        return
    explained = False

    def explain(folder: str, error: OSError) -> None:
        nonlocal explained
        explained = True
        report(unreadable(top.url(folder), error))

    for info in _walk(top.file_system, top.name, explain):
        if info["type"] != "directory" and _is_event_file(_base_name(info["name"])):
            explained = True
            yield info
    if not explained:
        report(_no_event_files(top.url(top.name)))


def _walk(
    file_system: Any, top: str, report: Callable[[str, OSError], None]
) -> Iterator[dict[str, Any]]:
    """Yield all that is below a folder."""
    from fsspec.asyn import AsyncFileSystem

    own = getattr(type(file_system), "_find", None)
    if own not in (None, AsyncFileSystem._find):
        # It is an object store that lists a whole tree at once.
        try:
            with system_errors():
                found = file_system.find(top, detail=True)
        except OSError as error:
            report(top, error)
        else:
            yield from found.values()
        return
    # Each with what those above it list: what a link leads to has no identity elsewhere.
    folders: list[tuple[str, tuple[_Names, ...]]] = [(top, ())]
    while folders:
        batch, folders = folders[:WEB_CONNECTIONS], folders[WEB_CONNECTIONS:]
        listings = _listings(file_system, [folder for folder, _ in batch])
        for (folder, above), entries in zip(batch, listings, strict=True):
            if isinstance(entries, OSError):
                report(folder, entries)
                continue
            names = frozenset((_base_name(entry["name"]), entry["type"]) for entry in entries)
            if _leads_back(names, above):
                continue
            yield from entries
            above = (*above, names)
            folders += ((entry["name"], above) for entry in entries if entry["type"] == "directory")


_CHAIN = 8
"""Folders of one name in each other that nobody makes."""

_Names: TypeAlias = frozenset[tuple[str, str]]


def _leads_back(names: _Names, above: tuple[_Names, ...]) -> bool:
    """Return whether a folder is one of those above it, by a link: it lists the same.

    A folder that holds nothing but one of its own name, as archives have it, is something else.
    """
    is_chain = len(names) == 1 and next(iter(names))[1] == "directory"
    return above.count(names) >= (_CHAIN if is_chain else 1)


def _listings(file_system: Any, folders: list[str]) -> Iterator[list[dict[str, Any]] | OSError]:
    """Yield what is in each folder, or why it cannot be listed."""
    import asyncio

    from fsspec.asyn import sync

    async def together() -> list[Any]:
        listings = (file_system._ls(folder, detail=True) for folder in folders)
        return await asyncio.gather(*listings, return_exceptions=True)

    listings = sync(file_system.loop, together) if file_system.async_impl else None
    for at, folder in enumerate(folders):
        try:
            with system_errors():
                if listings is None:
                    yield file_system.ls(folder, detail=True)
                elif isinstance(listings[at], BaseException):
                    raise listings[at]
                else:
                    yield listings[at]
        except OSError as error:
            yield error


def _shared_folder(folders: Sequence[tuple[Any, str]]) -> list[str] | None:
    """Return the names down to the deepest folder above all, if they are in one file system."""
    if len({file_system for file_system, _ in folders}) != 1:
        return None
    paths = [_parts(folder) for _, folder in folders]
    shared = 0
    for names in zip(*paths, strict=False):
        if len(set(names)) > 1:
            break
        shared += 1
    return paths[0][:shared]


def _below(folder: str, shared: list[str]) -> str:
    return "/".join(_parts(folder)[len(shared) :]) or "."


def _parts(name: str) -> list[str]:
    """Return the names of the folders that lead to a file or folder, and its own."""
    # tar writes "./a" for what is below the folder that it was called in.
    return [part for part in _plain(name).split("/") if part not in ("", ".")]


def _folder(name: str) -> str:
    return _without_query(name).rstrip("/").rpartition("/")[0]


def _base_name(name: str) -> str:
    return _plain(name).rstrip("/").rpartition("/")[2]


def _plain(name: str) -> str:
    """Return a name as people write it: fsspec's http calls things by their URLs."""
    return unquote(_without_query(name)) if name.startswith(("http://", "https://")) else name


def _without_query(name: str) -> str:
    return name.partition("?")[0] if name.startswith(("http://", "https://")) else name


def _unavailable(url: str, error: OSError) -> Problem:
    """Say why a URL cannot be opened, which may be for want of a package."""
    cause = error.__cause__
    if not isinstance(cause, ImportError):
        return unreadable(url, error)
    module = getattr(cause.__cause__, "name", None) or cause.name
    if module is None:
        return Problem(url, None, f"{cause}; install what is missing.", UNREADABLE, ImportError)
    package = module.partition(".")[0]
    message = f"this needs {package}, which is not there: pip install {package}."
    return Problem(url, None, message, UNREADABLE, ImportError)
