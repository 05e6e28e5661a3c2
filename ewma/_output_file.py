"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def write_whole(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once everything is on the disk.

    Whoever reads `path`, even after a crash, finds the old content or the new, never a part.

    Raises
    ------
    FileExistsError
        If `path` is there at the end and `replace` is false.
    """
    with write_together(replace=replace) as open_file, open_file(path) as file:
        yield file


@contextlib.contextmanager
def write_together(
    *, replace: bool
) -> Iterator[Callable[[Path], AbstractContextManager[BinaryIO]]]:
    """Return what opens files, one after the other, that take their places together at the end.

    None takes its place before all are on the disk, and if one cannot be written none does. Only
    what ends the program among the renames at the end leaves some new and some old, each whole.

    Raises
    ------
    FileExistsError
        If one of the paths is there at the end and `replace` is false.
    """
    parts: list[tuple[Path, Path]] = []

    @contextlib.contextmanager
    def open_file(path: Path) -> Iterator[BinaryIO]:
        target = Path(os.path.realpath(path))  # a link stays a link
        part = target.with_name(f".ewma-{secrets.token_hex(4)}.part")  # short: a name has a limit
        parts.append((part, target))  # before it is there: an interrupt leaves nothing behind
        try:
            file = part.open("xb")
        except OSError:
            parts.pop()
            raise
        with file:
            if replace:
                # First of all, so that nobody reads here what the old file kept from them.
                with contextlib.suppress(FileNotFoundError):
                    shutil.copymode(target, part)
            yield file
            file.flush()
            os.fsync(file.fileno())

    try:
        yield open_file
        with ExitStack() as undo:
            for part, target in parts:
                if replace:
                    part.replace(target)
                else:
                    _move_to_new(part, target)
                    undo.callback(target.unlink)
            undo.pop_all()
    finally:
        for part, _ in parts:
            part.unlink(missing_ok=True)


def _move_to_new(part: Path, target: Path) -> None:
    try:
        os.link(part, target)  # unlike a rename, fails if somebody has made the target by now
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(f"{target} exists already") from None
        part.rename(target)


@contextlib.contextmanager
def make_folder(folder: Path) -> Iterator[None]:
    """Make a folder and those above it, and after an error take away which were not there."""
    made: list[Path] = []
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.append(path)
        yield
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):  # somebody else has written into it
                path.rmdir()
        raise
