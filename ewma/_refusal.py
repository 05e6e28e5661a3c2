"""How `ewma-smooth` says what stops it."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from ewma.tensorboard._problems import UNREADABLE


def refuse(message: str) -> NoReturn:
    """End the program with a line on stderr."""
    click.echo(f"ewma-smooth: error: {message}", err=True)
    sys.exit(UNREADABLE)
