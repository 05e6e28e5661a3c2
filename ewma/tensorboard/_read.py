"""`read_scalars`: every scalar point in event files, as columns."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ewma._warnings import warn
from ewma.tensorboard._columns import ColumnsBuilder, ScalarColumns
from ewma.tensorboard._event_file import read_event_file
from ewma.tensorboard._files import Run, find_runs
from ewma.tensorboard._name_filter import NameFilter, Patterns
from ewma.tensorboard._problems import UNREADABLE, Problem

if TYPE_CHECKING:
    import pandas as pd

AnyPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Paths: TypeAlias = AnyPath | Sequence[AnyPath]
Progress: TypeAlias = Callable[[int, int], None]

# The chunk stays in the processor's cache between the disk and the parser.
_CHUNK = 1 << 18


def read_scalars(
    path: Paths,
    *,
    tags: Patterns = None,
    runs: Patterns = None,
    errors: Literal["warn", "raise"] = "warn",
) -> pd.DataFrame:
    """Read every scalar point in TensorBoard's event files.

    Parameters
    ----------
    path
        A file, a run's folder, a tree of runs or a glob pattern, or several of them. In a folder,
        the files whose name contains ``tfevents`` are read, in name order, as one run.
    tags, runs
        Shell patterns (``"loss*"``), one or several: only what matches one of them is read.
        ``*`` also stands for ``/``.
    errors
        What to do about input that is damaged or not there. ``"warn"``: one `EwmaWarning` for
        each problem, and everything good is returned. ``"raise"``: the first problem is raised.

    Returns
    -------
    pandas.DataFrame
        One row a point, sorted by run, and within a run in the order written:

        - ``run`` (categorical): the run's folder, relative to the deepest folder that all paths
          share; ``"."`` for that folder itself.
        - ``tag`` (categorical)
        - ``step`` (int64)
        - ``wall_time`` (float64): seconds since 1970.
        - ``value`` (float64): a float32 keeps its exact value.

    Raises
    ------
    FileNotFoundError, PermissionError, OSError, ValueError
        If nothing could be read; with ``errors="raise"``, for any problem. Also `ValueError` for
        another value of `errors` and for no path at all.

    Examples
    --------
    >>> import ewma
    >>> scalars = ewma.read_scalars("examples/runs/digits", tags="loss/train", runs="lr_0.?")
    >>> scalars.groupby(["run", "tag"], observed=True)["value"].size().to_dict()
    {('lr_0.1', 'loss/train'): 800, ('lr_0.3', 'loss/train'): 800}
    """
    if errors not in ("warn", "raise"):
        raise ValueError(f"errors must be 'warn' or 'raise', not {errors!r}")
    if errors == "raise":
        return _load(path, tags, runs, None, _raise).to_pandas()
    columns, problems = load_scalars(path, tags=tags, runs=runs)
    fatal = [problem for problem in problems if problem.exit_code == UNREADABLE]
    if len(columns) == 0 and fatal:
        _raise(fatal[0])
    for problem in problems:
        warn(str(problem))
    return columns.to_pandas()


def load_scalars(
    path: Paths,
    *,
    tags: Patterns = None,
    runs: Patterns = None,
    progress: Progress | None = None,
) -> tuple[ScalarColumns, list[Problem]]:
    """Read as `read_scalars` does, and return what was wrong instead of raising it.

    `progress` is called after each chunk, with the bytes done and the bytes in all.
    """
    problems: list[Problem] = []
    return _load(path, tags, runs, progress, problems.append), problems


def _raise(problem: Problem) -> None:
    raise problem.error(str(problem))


def _load(
    path: Paths,
    tags: Patterns,
    runs: Patterns,
    progress: Progress | None,
    report: Callable[[Problem], None],
) -> ScalarColumns:
    paths = _as_paths(path)
    given = ", ".join(paths)
    wanted_tag, wanted_run = NameFilter("tag", tags), NameFilter("run", runs)
    found = find_runs(paths, report)
    wanted = [run for run in found if wanted_run(run.name)]
    if found and not wanted:
        report(wanted_run.nothing_left(given, (run.name for run in found)))
    columns, others = _read_runs(wanted, wanted_tag, progress, report)
    if len(columns) == 0 and others:
        report(wanted_tag.nothing_left(given, others))
    return columns


def _read_runs(
    runs: list[Run],
    wanted_tag: NameFilter,
    progress: Progress | None,
    report: Callable[[Problem], None],
) -> tuple[ScalarColumns, set[str]]:
    """Return the points, and the tags that the filter left out."""
    builder = ColumnsBuilder()
    others: set[str] = set()
    buffer = memoryview(bytearray(_CHUNK))
    total = sum(file.size for run in runs for file in run.files)
    done = 0

    def advance(count: int) -> None:
        nonlocal done, total
        done += count
        total = max(total, done)  # a file may have grown since
        if progress is not None:
            progress(done, total)

    for run in runs:
        for file in run.files:
            before = done
            reader = read_event_file(file.path, buffer, report, advance)
            advance(max(before + file.size - done, 0))  # what damage made it leave out
            names = [name.decode("utf-8", "backslashreplace") for name in reader.tags]
            keep = np.array([wanted_tag(name) for name in names], bool)
            tag, step, wall_time, value = reader.take()
            if not keep.all():
                others.update(itertools.compress(names, ~keep))
                names = list(itertools.compress(names, keep))
                rows = keep[tag]
                tag = (np.cumsum(keep, dtype=np.int32) - np.int32(1))[tag[rows]]
                step, wall_time, value = step[rows], wall_time[rows], value[rows]
            builder.add(run.name, names, tag, step, wall_time, value)
    return builder.finish(), others


def _as_paths(path: Paths) -> list[str]:
    if isinstance(path, str | bytes | os.PathLike):
        return [os.fsdecode(path)]
    paths = [os.fsdecode(item) for item in path]
    if not paths:
        raise ValueError("give at least one path; the list of paths is empty")
    return paths
