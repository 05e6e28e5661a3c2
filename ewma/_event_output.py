"""What `-o LOGDIR/` writes: smoothed curves as runs beside those they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ewma.report import Smoothed
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._files import shared_name
from ewma.tensorboard._write import write_event_files
from ewma.tensorboard._written import SMOOTHED


def name_after_folder(columns: ScalarColumns, paths: tuple[str, ...]) -> None:
    """Give the run "." its folder's own name."""
    name = shared_name(paths)
    if name and name not in columns.run_names:
        columns.run_names = [name if run == "." else run for run in columns.run_names]


def write_runs(
    scalars: Smoothed,
    logdir: Path,
    *,
    force: bool,
    refused: Callable[[OSError | ValueError], None],
) -> int:
    """Write the smoothed curves as event files, and return of how many runs.

    Those that have no place there are left out, and `refused` is told why.
    """
    columns = replace(scalars.columns, value=scalars.smoothed)
    return len(write_event_files(columns, logdir, suffix=SMOOTHED, force=force, refused=refused))
