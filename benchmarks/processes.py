"""Whole processes: importing, and the command."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

import event_files
import ewma
from table import Row, Target, seconds
from timing import interleave, stopwatch

POINTS = 10_000
ROUNDS = 31


def measure(folder: Path) -> Iterator[Row]:
    """Yield the rows on processes; files are written into `folder`."""
    path = event_files.write_simple_value(folder / "run", POINTS)
    csv = folder / "smoothed.csv"
    command = shutil.which("ewma-smooth", path=sysconfig.get_path("scripts"))
    if command is None:
        raise RuntimeError("ewma-smooth is not beside this Python; install ewma with pip first")

    _run([command, path], folder, csv)
    pd.testing.assert_frame_equal(
        pd.read_csv(csv, float_precision="round_trip"),
        ewma.smooth_scalars(path),
        check_dtype=False,
        check_categorical=False,
    )

    commands: dict[str, Sequence[str | Path]] = {
        "import numpy": [sys.executable, "-c", "import numpy"],
        "import ewma": [sys.executable, "-c", "import ewma"],
        "ewma-smooth": [command, path],
    }
    clocks = {
        name: stopwatch(partial(_run, command, folder, csv)) for name, command in commands.items()
    }
    samples = interleave(clocks, ROUNDS)
    for name, work, limit in (
        ("import ewma", "`import ewma`, whole process", 1.2),
        ("ewma-smooth", f"`ewma-smooth`, {POINTS:,} points to CSV, whole process", 3.0),
    ):
        numpy = "`import numpy`, whole process"
        target = Target("<=", limit)
        yield Row(work, samples[name], numpy, samples["import numpy"], target, seconds)


def _run(command: Sequence[str | Path], folder: Path, stdout: Path) -> None:
    with stdout.open("wb") as file:
        # Not where ewma's sources lie: Python would look for packages there first.
        subprocess.run(command, cwd=folder, stdout=file, check=True)
