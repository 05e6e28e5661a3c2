"""One event file from the disk through the parser, and what was wrong with it."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Literal, TypeAlias

from ewma._core import EventReader
from ewma.tensorboard._files import EventFile
from ewma.tensorboard._problems import DAMAGED, UNREADABLE, WARNING, Problem, unreadable
from ewma.tensorboard._remote_file import RemoteFile

Verify: TypeAlias = Literal["all", "scalars", "none"]
"""Of which records to compare the data's checksum."""

_REST_IS_LOST = (
    "so that nothing after it can be found; everything before it was read. Copy the file again "
    "from where it was written, if the rest matters."
)

# Protobuf's own limit.
_LONGEST = 1 << 31
# A shorter stretch is read sooner than gone over.
_WORTH_A_SEEK = 1 << 15
# After a stretch that was gone over there is often another one soon.
_AFTER_A_SEEK = 1 << 14


def read_event_file(
    file: EventFile,
    reader: EventReader,
    buffer: memoryview,
    report: Callable[[Problem], None],
    advance: Callable[[int], None],
) -> None:
    """Push a file into a new parser through `buffer`, so that the file is never held whole.

    Whatever is wrong is reported; the parser has everything that is good. `advance` is told the
    bytes of each chunk.
    """
    path = file.path
    done = 0
    left = 0
    before = file.size
    shrunk_to: int | None = None
    failure: OSError | MemoryError | None = None
    try:
        with _open(file) as stream:
            before = max(before, _size(stream) or 0)
            size = len(buffer)
            while count := stream.readinto(buffer[:size]):
                size = min(2 * size, len(buffer))
                reader.feed(buffer[:count])
                left = _left(stream, done + count) if reader.needed > 0 else 0
                # Never wait for, nor keep, a record that the file has no room for.
                ends = reader.stopped or reader.needed > left > -1
                if not ends and left > -1 and reader.skippable >= _WORTH_A_SEEK:
                    skipped = reader.skippable
                    stream.seek(skipped, os.SEEK_CUR)
                    reader.skip(skipped)
                    size = _AFTER_A_SEEK
                    count += skipped
                    left -= skipped
                done += count
                advance(count)
                if ends:
                    break
            shrunk_to = _shrunk_to(stream, max(before, done))
    except (OSError, MemoryError) as error:
        failure = error
    for problem in damage(path, reader):
        report(problem)
    if isinstance(failure, MemoryError):
        report(unreadable(path, failure, reader.offset or None))
        reader.retry()  # nothing more comes, and the other files need the memory
    elif failure is not None:
        report(unreadable(path, failure, done or None))
    elif shrunk_to is not None:
        report(_shrunk(path, max(before, done), shrunk_to))
    elif done == 0:
        report(Problem(path, None, "the file is empty; read it again later.", UNREADABLE))
    elif not reader.stopped and (beyond := reader.needed - max(left, 0)) > _LONGEST:
        report(_endless(path, reader.offset, beyond))
    elif not reader.stopped and reader.needed > 0:
        report(_cut_off(path, reader.offset, done + max(left, 0) - reader.offset))


def _open(file: EventFile) -> io.RawIOBase:
    if file.remote is not None:
        return RemoteFile(file.remote, file.size)
    return open(file.path, "rb", buffering=0)  # noqa: PTH123


def _left(file: io.RawIOBase, done: int) -> int:
    """Return the bytes that are still to come, or -1 if there is no telling."""
    size = _size(file)
    return -1 if size is None or size < done else size - done


def _shrunk_to(file: io.RawIOBase, size: int) -> int | None:
    """Return the size of a file that is smaller now than it was."""
    now = _size(file)
    return now if now is not None and now < size else None


def _size(file: io.RawIOBase) -> int | None:
    if isinstance(file, RemoteFile):
        return file.size
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def damage(path: str, reader: EventReader) -> list[Problem]:
    """Return what a parser found wrong, in the order of the file."""
    problems = []
    count, offset = reader.bad_data
    if count > 0:
        why = "the checksum of its data is wrong", "the checksums of their data are wrong"
        problems.append(Problem(path, offset, _left_out(count, *why), DAMAGED))
    count, offset = reader.bad_event
    if count > 0:
        why = (
            "it holds no Event message, though its checksum is right",
            "they hold no Event message, though their checksums are right",
        )
        problems.append(Problem(path, offset, _left_out(count, *why), DAMAGED))
    count, offset = reader.bad_length
    if count > 0 and offset == 0:
        message = (
            "not an event file: it does not begin with a length and the length's checksum; give "
            "a file that TensorFlow, Keras, PyTorch or tensorboardX wrote."
        )
        problems.append(Problem(path, None, message, UNREADABLE))
    elif count > 0:
        message = f"the length of a record has a checksum that is wrong, {_REST_IS_LOST}"
        problems.append(Problem(path, offset, message, DAMAGED))
    return sorted(problems, key=lambda problem: problem.offset or 0)


def _left_out(count: int, why_one: str, why_many: str) -> str:
    what = (
        f"1 record was left out, as {why_one}"
        if count == 1
        else f"{count} records, of which this is the first, were left out, as {why_many}"
    )
    return (
        f"{what}; everything else was read. Copy the file again from where it was written, if "
        f"{'it matters' if count == 1 else 'they matter'}."
    )


def _shrunk(path: str, before: int, after: int) -> Problem:
    message = (
        f"the file shrank from {before} to {after} bytes while it was read; everything that was "
        "found in it was read. Read again when nobody writes to it."
    )
    return Problem(path, None, message, DAMAGED)


def _endless(path: str, offset: int, beyond: int) -> Problem:
    message = (
        f"a record claims {beyond:,} bytes beyond the end of the file, more than any event can "
        f"have, {_REST_IS_LOST}"
    )
    return Problem(path, offset, message, DAMAGED)


def _cut_off(path: str, offset: int, left_over: int) -> Problem:
    message = (
        f"the last record is cut off: {left_over} byte{'s are' if left_over > 1 else ' is'} left "
        "over after the last complete one; everything before was read. If the training is still "
        "running, read again later."
    )
    return Problem(path, offset, message, WARNING)
