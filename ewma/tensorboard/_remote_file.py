"""A file of one of fsspec's file systems, read like one on the disk."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threading import Lock

    from _typeshed import WriteableBuffer

# Bytes a request: the time they take is well above that of the request itself, and a file for each
# thread is held in memory so far.
BLOCK = 1 << 22

# Small web servers, such as Python's own, let five wait, and a sixth for a second or more.
WEB_CONNECTIONS = 4

_STATUS = {
    401: PermissionError,
    403: PermissionError,
    404: FileNotFoundError,
    410: FileNotFoundError,
}


@dataclass(frozen=True, slots=True)
class RemotePath:
    """Where a file is: its file system, its name there, and who may read from it.

    `lock` is held by whoever reads from a file system that is not for several threads at once.
    """

    file_system: Any
    name: str
    lock: Lock | None

    @property
    def is_on_the_web(self) -> bool:
        """Whether a web server has it: only there names are URLs."""
        return self.name.startswith(("http://", "https://"))


class RemoteFile(io.RawIOBase):
    """A remote file, a block of it at a time. Whatever goes wrong is an `OSError`.

    `size` is None if there is no telling.
    """

    def __init__(self, path: RemotePath, listed_size: int) -> None:
        self._path = path
        self._done = 0
        if path.lock is not None:
            path.lock.acquire()
        try:
            self._file = self._open(BLOCK)
        except BaseException:
            self._unlock()
            super().close()
            raise
        self.size: int | None = getattr(self._file, "size", listed_size)

    def close(self) -> None:
        """Close it, and let the next thread read."""
        if not self.closed:
            try:
                with system_errors():
                    self._file.close()
            finally:
                super().close()
                self._unlock()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what there is, at most as much as the buffer holds; 0 at the end."""
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        if not data and self.size is not None and self._done < self.size:
            self.size = self._size_now()
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go forward, which needs a request only beyond the block that is there."""
        assert whence == os.SEEK_CUR
        try:
            with system_errors():
                self._file.seek(offset, os.SEEK_CUR)
            self._done += offset
        except OSError as error:
            # As io says it, which is both, or as fsspec does.
            if not isinstance(error, ValueError) and not isinstance(error.__cause__, ValueError):
                raise
            self._pass_over(offset)  # it comes as a stream
        return self._done

    def _open(self, block: int) -> Any:
        # Of fsspec's ways to read ahead, the only one that asks for nothing twice.
        cache = {"cache_type": "readahead"} if self._path.lock is None else {}
        with system_errors():
            return self._path.file_system.open(self._path.name, block_size=block, **cache)

    def _read(self, count: int) -> bytes:
        left = (self.size or 0) - self._done
        if self._path.lock is not None and 1 < left <= count:
            # An archive that is damaged gives nothing together with the last byte.
            count = left - 1
        try:
            with system_errors():
                data: bytes = self._file.read(count)
        except OSError as error:
            if isinstance(error.__cause__, ValueError) and "range requests" in str(error):
                # A server that knows no ranges gives the whole file, once.
                self._reopen(0)
            elif error.errno == errno.EBUSY and self._done == 0:
                # It was replaced after it was listed.
                self._path.file_system.invalidate_cache()
                self._reopen(BLOCK)
            else:
                raise
            with system_errors():
                data = self._file.read(count)
        self._done += len(data)
        return data

    def _reopen(self, block: int) -> None:
        self._file.close()
        self._file = self._open(block)
        done, self._done = self._done, 0
        self._pass_over(done)
        if self._file.size is not None:
            self.size = self._file.size

    def _pass_over(self, count: int) -> None:
        while count > 0 and (data := self._read(min(count, BLOCK))):
            count -= len(data)

    def _size_now(self) -> int:
        try:
            with system_errors():
                self._path.file_system.invalidate_cache()
                return int(self._path.file_system.info(self._path.name)["size"])
        except OSError:
            return self._done

    def _unlock(self) -> None:
        if self._path.lock is not None:
            self._path.lock.release()


@contextmanager
def system_errors() -> Iterator[None]:
    """Make an `OSError` of whatever a file system raises: each has exceptions of its own."""
    try:
        yield
    except Exception as error:
        shown = _system_error(error)
        if shown is error:
            raise
        raise shown from error


def _system_error(error: Exception) -> OSError:
    aiohttp = sys.modules.get("aiohttp")
    causes = () if aiohttp is None else (aiohttp.ClientError, TimeoutError)
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, causes):
        # Whatever goes wrong, fsspec's http says that the file is not there, and why in the cause.
        error = error.__cause__
    status = getattr(error, "status", None)
    if isinstance(status, int):
        kind = _STATUS.get(status, OSError)
        return kind(errno.EIO, f"HTTP status {status}")
    if isinstance(error, OSError) and str(error):
        return error
    return OSError(f"{type(error).__name__}: {error}")
