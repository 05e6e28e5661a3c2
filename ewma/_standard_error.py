"""What `ewma-smooth` says on stderr."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from ewma.tensorboard._problems import NOTE, UNREADABLE, WARNING, Problem, shown


def say(line: str) -> None:
    """Write a line, whatever characters are in it, and go on where nobody reads it any more."""
    try:
        click.echo(f"ewma-smooth: {shown(line)}", err=True)
    except OSError:
        # Python would try to flush once more at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def line_of(problem: Problem) -> str:
    """Return what is said of a problem, with how bad it is."""
    kind = {NOTE: "note", WARNING: "warning"}.get(problem.exit_code, "error")
    return f"{kind}: {problem}"


def refuse(message: str) -> NoReturn:
    """End the program with a line that says why."""
    say(f"error: {message}")
    sys.exit(UNREADABLE)
