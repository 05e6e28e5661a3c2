"""What `-o LOGDIR/` writes: smoothed curves as runs beside those they come from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ewma.report import Smoothed
from ewma.tensorboard._columns import ScalarColumns
from ewma.tensorboard._files import shared_name
from ewma.tensorboard._url import folder_name, is_url
from ewma.tensorboard._write import write_event_files
from ewma.tensorboard._written import SMOOTHED


def name_as_folders(columns: ScalarColumns, paths: tuple[str, ...]) -> None:
    """Give the runs names of folders: "." that of its own, and those of several places the way."""
    if not any(map(is_url, paths)):
        name = shared_name(paths)
    else:
        name = folder_name(paths[0]) if len(paths) == 1 else ""
    if name and name not in columns.run_names:
        columns.run_names = [name if run == "." else run for run in columns.run_names]
    columns.run_names = [_way_to(run) for run in columns.run_names]


def _way_to(run: str) -> str:
    """Return a path without its root, and a URL's parts as folders."""
    if is_url(run):
        return "/".join(part for part in re.split(r"://|::|[/:?]", run) if part)
    return run.lstrip("/") or run


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
