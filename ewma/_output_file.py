"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
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
    target = Path(os.path.realpath(path))  # a link stays a link
    part = target.with_name(f".ewma-{secrets.token_hex(4)}.part")  # short: a name has a limit
    try:
        with part.open("xb") as file:
            if replace:
                # First of all, so that nobody reads here what the old file kept from them.
                with contextlib.suppress(FileNotFoundError):
                    shutil.copymode(target, part)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            part.replace(target)
        else:
            _move_to_new(part, target)
    finally:
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
