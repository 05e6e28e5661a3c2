"""Where `-o` leads: to a file, whose suffix says how, or to a folder for event files."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from ewma._output_file import write_whole
from ewma._table import NEED_PYARROW, WRITERS, Table
from ewma.tensorboard._problems import shown

if TYPE_CHECKING:
    from rich.table import Table as SummaryTable

PICTURES = (".png", ".svg", ".pdf")
SUFFIXES = (*WRITERS, *PICTURES)


class Report(Protocol):
    """What can be written into a file and shown on a terminal."""

    def table(self, *, is_wide: bool) -> Table:
        """Return it as columns."""

    def draw(self, file: IO[bytes], *, kind: str) -> None:
        """Draw it as "png", "svg" or "pdf"."""

    def summary_table(self, *, is_narrow: bool = False) -> SummaryTable:
        """Return a table for the terminal, a line a run and tag; narrow, with what matters most."""

    def summary_lines(self) -> str:
        """Return the table's content for a narrow terminal: text that breaks anywhere."""


@dataclass(frozen=True, slots=True)
class Output:
    """What was given, and whether it is a folder."""

    given: str
    is_folder: bool

    @classmethod
    def of(cls, given: str) -> Output:
        """Look whether it is a folder: by a slash at its end, or there is one of its name."""
        is_folder = given.endswith(("/", os.sep)) or os.path.isdir(given)  # noqa: PTH112
        return cls(given, is_folder)

    def __str__(self) -> str:
        return shown(self.given)

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.given)

    @property
    def suffix(self) -> str:
        """What says how a file is to be written."""
        return "" if self.is_folder else self.path.suffix.lower()

    @property
    def is_picture(self) -> bool:
        """Whether curves are to be drawn."""
        return self.suffix in PICTURES

    @property
    def is_table(self) -> bool:
        """Whether points are to be written."""
        return self.suffix in WRITERS

    def check(self, *, replace: bool) -> None:
        """Find before the work what would stop it afterwards.

        Raises
        ------
        ValueError, OSError
            If it cannot be written.
        """
        if self.is_folder:
            if self.path.exists() and not self.path.is_dir():
                raise ValueError(f"-o {self}: this is a file; name a folder")
            return
        if self.suffix not in SUFFIXES:
            raise ValueError(
                f"-o {self}: the suffix must be one of {' '.join(SUFFIXES)}; or for event files "
                "end it with a slash"
            )
        if self.suffix in NEED_PYARROW and importlib.util.find_spec("pyarrow") is None:
            raise ValueError(
                f"-o FILE{self.suffix} needs pyarrow: pip install 'ewma[parquet]', or write .csv"
            )
        parent = self.path.parent
        if not parent.is_dir():
            raise ValueError(f"-o {self}: there is no folder {shown(str(parent))}; make it")
        if self.path.exists() and not self.path.is_file():
            raise ValueError(f"-o {self}: this is a device or a pipe; name a file, or use >{self}")
        if self.path.exists() and not replace:
            raise self._exists()

    def write(self, report: Report, *, is_wide: bool, replace: bool) -> None:
        """Write a file.

        Raises
        ------
        ValueError
            If there can be no such wide table, or the file is there and not to be replaced.
        OSError
            If it cannot be written.
        """
        if self.is_picture:
            write = partial(report.draw, kind=self.suffix[1:])
        else:
            write = partial(WRITERS[self.suffix], report.table(is_wide=is_wide))
        try:
            with write_whole(self.path, replace=replace) as file:
                write(file)
        except FileExistsError:
            raise self._exists() from None

    def _exists(self) -> ValueError:
        return ValueError(f"{self} exists already; add --force to replace it, or name another")


def check_wide(output: Output | None, *, list_only: bool) -> None:
    """Find before the work that there is no table to make wide."""
    is_table = not sys.stdout.isatty() if output is None else output.is_table
    if list_only or not is_table:
        raise ValueError(
            f"--wide shapes a table: add -o FILE with {' '.join(WRITERS)}, or pipe it somewhere, "
            "or leave it out"
        )
