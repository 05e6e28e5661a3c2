"""What `-o LOGDIR/` writes: smoothed curves as runs beside those they come from."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from ewma.report import Smoothed
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._files import shared_name
from ewma.tensorboard._write import SMOOTHED, write_event_files

_WRITTEN = rf"(?s)(.*?)(?:\.segment\d+)?{re.escape(SMOOTHED)}"


def leave_out_written(columns: ScalarColumns, paths: tuple[str, ...]) -> list[str]:
    """Leave out the runs that are others' smoothed curves already, and return their names.

    The run "." gets its folder's own name.
    """
    name = shared_name(paths)
    if name and name not in columns.run_names:
        columns.run_names = [name if run == "." else run for run in columns.run_names]
    there = set(columns.run_names)
    written = [
        run
        for run in columns.run_names
        if (match := re.fullmatch(_WRITTEN, run)) and match[1] in there
    ]
    if written:
        codes = [columns.run_names.index(run) for run in written]
        columns.keep(~np.isin(columns.run, codes))
    return written


def write_runs(scalars: Smoothed, logdir: Path, *, force: bool) -> int:
    """Write the smoothed curves as event files, and return of how many runs."""
    columns = replace(scalars.columns, value=scalars.smoothed)
    return len(write_event_files(columns, logdir, suffix=SMOOTHED, force=force))
