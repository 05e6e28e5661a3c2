"""What was wrong with the input, each as one line for a person."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from ewma.tensorboard._url import is_url

NOTE = -1
"""Nothing is wrong: what was done with the data, for a person who looks."""

WARNING = 0
"""Nothing is wrong yet: the last record is cut off, as in a file that is still being written."""

DAMAGED = 1
"""Part of the data is damaged and was left out."""

UNREADABLE = 2
"""Nothing could be read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong.

    Parameters
    ----------
    path
        The file, the folder or the pattern.
    offset
        The byte in the file where it begins, if there is one.
    message
        The rule, what was found, and what to do next.
    exit_code
        `WARNING`, `DAMAGED` or `UNREADABLE`: what a program ends with that met nothing worse. Or
        `NOTE`, which is no problem.
    error
        The exception to raise where a problem is to be an error.
    """

    path: str
    offset: int | None
    message: str
    exit_code: int
    error: type[Exception] = ValueError

    def __str__(self) -> str:
        """One line, whatever characters the path has."""
        where = shown(self.path)
        if self.offset is not None:
            where += f", byte {self.offset}"
        return f"{where}: {self.message}"


def unreadable(
    path: str, error: OSError | ValueError | MemoryError, offset: int | None = None
) -> Problem:
    """Say why the system did not let `path` be read."""
    match error:
        case FileNotFoundError():
            return Problem(
                path,
                offset,
                "there is no such file or folder, nor one that matches it as a pattern; check the "
                "path.",
                UNREADABLE,
                FileNotFoundError,
            )
        case PermissionError():
            return Problem(
                path,
                offset,
                "no permission to read it; ask its owner for it, or leave the path out.",
                UNREADABLE,
                PermissionError,
            )
        case MemoryError():
            message = (
                "there was not enough memory for what comes here; everything before was read. Read "
                "it where there is more, or leave the path out."
            )
            return Problem(path, offset, message, UNREADABLE, MemoryError)
        case OSError(errno=errno.EBUSY) if is_url(path):
            message = (
                "the file was replaced while it was read; everything that was found in it until "
                "then was read. Read again when nobody writes to it."
            )
            return Problem(path, offset, message, DAMAGED)
        case _:
            reason = shown(getattr(error, "strerror", None) or str(error))
            where = "URL, the network and your credentials" if is_url(path) else "path and its disk"
            return Problem(
                path,
                offset,
                f"the system could not read it ({reason}); check the {where}.",
                UNREADABLE,
                OSError if isinstance(error, OSError) else ValueError,
            )


def shown(text: str) -> str:
    """Return `text` as one printable line: control characters and the like come out escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode()
        for c in as_text(text)
    )


def as_text(path: str) -> str:
    r"""Return a path as text that any encoder takes: bytes that are not UTF-8 become ``\xff``."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that no path on this system can hold
        return path.encode("utf-8", "backslashreplace").decode()
