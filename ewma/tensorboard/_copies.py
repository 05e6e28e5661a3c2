"""Files that hold no more than another one beside them: a log that is being fetched once more."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable

from ewma.tensorboard._files import EventFile, Run
from ewma.tensorboard._problems import NOTE, Problem, shown

FIRST_RECORD = 40
"""Bytes. Two logs do not begin alike: these tell when they were written, to the microsecond."""
_TIME = slice(13, 21)  # of them
_EARLIEST = 1e8  # seconds since 1970: what is less is no time that a log tells
# Fewer bytes, a few records, may be alike without being a copy.
_TELLING = 512
# Of what two files have in common so much is compared at both ends.
_COMPARED = 4096


def leave_out_copies(runs: list[Run], report: Callable[[Problem], None]) -> list[Run]:
    """Leave out the files that another one of their run begins with, and say which.

    ``rsync`` and ``aws s3 sync`` write what they fetch beside the file that it replaces. For a
    restart the one with the later name would replace what the other has beyond it.
    """
    return [
        Run(run.name, _without_copies(run.files, report)) if len(run.files) > 1 else run
        for run in runs
    ]


def _without_copies(files: list[EventFile], report: Callable[[Problem], None]) -> list[EventFile]:
    alike: dict[bytes, list[EventFile]] = {}
    for file in files:
        begin = first_record(file.path) if file.remote is None else None
        if begin:
            alike.setdefault(begin, []).append(file)
    copies: set[str] = set()
    for group in alike.values():
        group.sort(key=lambda file: -file.size)
        for place, file in enumerate(group):
            if file.size < _TELLING:
                break  # and so are those that follow
            longer = next((f for f in group[:place] if begins_with(f.path, file.path)), None)
            if longer is not None:
                copies.add(file.path)
                message = (
                    f"left out, as {shown(os.path.basename(longer.path))} begins with all of it: "  # noqa: PTH119
                    "a copy, or one that is being fetched."
                )
                report(Problem(file.path, None, message, NOTE))
    return [file for file in files if file.path not in copies]


def first_record(path: str) -> bytes | None:
    """Return what a log begins with, by which two are told apart.

    Nothing if it tells no time, and None as long as it is shorter.
    """
    first = _bytes_at(path, 0, FIRST_RECORD)
    if len(first) < FIRST_RECORD:
        return None
    (time,) = struct.unpack("<d", first[_TIME])
    return first if time > _EARLIEST else b""


def begins_with(path: str, other: str) -> bool:
    """Return whether a log begins with all of another one, which is not longer."""
    try:
        size = os.stat(other).st_size  # noqa: PTH116
    except OSError:
        return False
    places = {0, max(0, size - _COMPARED)}
    return size > 0 and all(_agree(path, other, at, min(size, _COMPARED)) for at in places)


def _agree(path: str, other: str, place: int, size: int) -> bool:
    mine = _bytes_at(path, place, size)
    return len(mine) > 0 and mine == _bytes_at(other, place, size)


def _bytes_at(path: str, place: int, size: int) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 (a pipe gives its bytes once)
            return b""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(place)
            return file.read(size)
    except OSError:  # it is said where it is to be read
        return b""
