"""What `ewma-smooth` writes to a pipe or a terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

import click

from ewma._standard_error import refuse
from ewma.report import NAME_WIDTH

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ewma._output import Report


def to_stdout(write: Callable[[IO[bytes]], object]) -> None:
    """Write, and take it in peace if the reader goes away: `| head` has seen enough."""
    stdout: IO[bytes] = sys.stdout.buffer
    # With PYTHONUNBUFFERED it is raw: it may write a part of what it is given, and no more.
    file = io.BufferedWriter(stdout) if isinstance(stdout, io.RawIOBase) else stdout
    try:
        write(file)
        file.flush()
        sys.stdout.flush()
    except OSError as error:
        # Python would try to flush once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            refuse(f"standard output: {error.strerror or error}; not everything was written.")
    finally:
        if file is not stdout:
            file.detach()  # type: ignore[attr-defined]  # it would close stdout


def print_summary(report: Report) -> None:
    """Print a report's table, or where the terminal is too narrow less of it, or lines."""
    from rich.console import Console

    keep_to_encoding()
    console = Console()
    for is_narrow in (False, True):
        table = report.summary_table(is_narrow=is_narrow)
        if _least_width(table, console) <= console.width:
            console.print(table)
            return
    click.echo(report.summary_lines(), nl=False)


def _least_width(table: Table, console: Console) -> int:
    from rich.measure import Measurement

    unbounded = console.options.update(max_width=sys.maxsize)
    # Long names may take several lines, the numbers may not.
    foldable = sum(
        max(Measurement.get(console, unbounded, cell).maximum for cell in column.cells) - NAME_WIDTH
        for column in table.columns
        if not column.no_wrap
    )
    return Measurement.get(console, unbounded, table).maximum - max(foldable, 0)


def keep_to_encoding() -> None:
    """Let no character stop a terminal that is not in UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
