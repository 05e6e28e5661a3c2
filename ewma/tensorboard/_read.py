"""`read_scalars`: every scalar point in event files, as columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from ewma._warnings import warn
from ewma.tensorboard._columns import ColumnsBuilder, ScalarColumns
from ewma.tensorboard._event_file import Verify
from ewma.tensorboard._files import Run, find_runs
from ewma.tensorboard._name_filter import NameFilter, Patterns
from ewma.tensorboard._problems import UNREADABLE, Problem
from ewma.tensorboard._read_files import read_files, tag_name

if TYPE_CHECKING:
    import pandas as pd

AnyPath: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Paths: TypeAlias = AnyPath | Sequence[AnyPath]
Progress: TypeAlias = Callable[[int, int], None]


def read_scalars(
    path: Paths,
    *,
    tags: Patterns = None,
    runs: Patterns = None,
    verify: Verify = "scalars",
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
        ``*`` also stands for ``/``. The rest is not kept while reading, and takes less time.
    verify
        Which checksums to compare, and so which damage is seen: ``"all"``, of every record;
        ``"scalars"``, not of points that `tags` leaves out, nor of records of more than 16 KiB
        that hold an image, a histogram, a graph or the like and nothing else: the file is not
        even read where they stand; ``"none"``, of no record. That of a record's length is always
        compared: without it the next record is not found.
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
        another value of `errors` or `verify` and for no path at all.

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
        return _load(path, tags, runs, verify, None, _raise).to_pandas()
    columns, problems = load_scalars(path, tags=tags, runs=runs, verify=verify)
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
    verify: Verify = "scalars",
    progress: Progress | None = None,
) -> tuple[ScalarColumns, list[Problem]]:
    """Read as `read_scalars` does, and return what was wrong instead of raising it.

    `progress` is called after each chunk, with the bytes done and the bytes in all: by several
    threads, but by one at a time.
    """
    problems: list[Problem] = []
    return _load(path, tags, runs, verify, progress, problems.append), problems


def _raise(problem: Problem) -> None:
    raise problem.error(str(problem))


def _load(
    path: Paths,
    tags: Patterns,
    runs: Patterns,
    verify: Verify,
    progress: Progress | None,
    report: Callable[[Problem], None],
) -> ScalarColumns:
    if verify not in get_args(Verify):
        raise ValueError(f"verify must be 'all', 'scalars' or 'none', not {verify!r}")
    paths = _as_paths(path)
    given = ", ".join(paths)
    wanted_tag, wanted_run = NameFilter("tag", tags), NameFilter("run", runs)
    found = find_runs(paths, report)
    wanted = [run for run in found if wanted_run(run.name)]
    if found and not wanted:
        report(wanted_run.nothing_left(given, (run.name for run in found)))
    columns, others = _read_runs(wanted, wanted_tag, verify, progress, report)
    if len(columns) == 0 and others:
        report(wanted_tag.nothing_left(given, others))
    return columns


def _read_runs(
    runs: list[Run],
    wanted_tag: NameFilter,
    verify: Verify,
    progress: Progress | None,
    report: Callable[[Problem], None],
) -> tuple[ScalarColumns, set[str]]:
    """Return the points, and the tags that the filter left out."""
    builder = ColumnsBuilder()
    others: set[str] = set()
    files = [(run, file) for run in runs for file in run.files]
    total = sum(file.size for _, file in files)
    done = 0

    def advance(count: int) -> None:
        nonlocal done, total
        done += count
        total = max(total, done)  # a file may have grown since
        if progress is not None:
            progress(done, total)

    readings = read_files([file for _, file in files], wanted_tag, verify, advance)
    with closing(readings):
        for (run, file), (reader, problems) in zip(files, readings, strict=True):
            for problem in problems:
                report(problem)
            others.update(map(tag_name, reader.left_out))
            names = [tag_name(tag) for tag in reader.tags]
            builder.add(run.name, names, *reader.take(), share=file.size / max(total, 1))
    return builder.finish(), others


def _as_paths(path: Paths) -> list[str]:
    if isinstance(path, str | bytes | os.PathLike):
        return [os.fsdecode(path)]
    paths = [os.fsdecode(item) for item in path]
    if not paths:
        raise ValueError("give at least one path; the list of paths is empty")
    return paths
