"""`read_scalars`: every scalar point in event files, as columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from ewma._warnings import warn
from ewma.tensorboard._columns import ColumnsBuilder, ScalarColumns, Session
from ewma.tensorboard._copies import leave_out_copies
from ewma.tensorboard._duplicates import DUPLICATES, Duplicates, drop_duplicates
from ewma.tensorboard._event_file import Verify
from ewma.tensorboard._files import Run, find_runs, shared_name
from ewma.tensorboard._name_filter import NameFilter, Patterns
from ewma.tensorboard._problems import NOTE, UNREADABLE, Problem
from ewma.tensorboard._read_files import read_files, tag_name
from ewma.tensorboard._restarts import RESTARTS, Overtaken, Restarts, drop_overtaken, segments
from ewma.tensorboard._url import is_url, local_path
from ewma.tensorboard._written import leave_out_smoothed

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
    restarts: Restarts = "latest",
    duplicates: Duplicates = "keep",
    verify: Verify = "scalars",
    errors: Literal["warn", "raise"] = "warn",
    storage_options: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Read every scalar point in TensorBoard's event files.

    Parameters
    ----------
    path
        A file, a run's folder, a tree of runs or a glob pattern, or several of them. In a folder,
        the files whose name contains ``tfevents`` are read, in name order, as one run. Also as a
        URL: ``s3://``, ``gs://``, ``https://``, ``zip://runs::logs.zip`` and all else that fsspec
        knows (``pip install 'ewma[remote]'``).
    tags, runs
        Shell patterns (``"loss*"``), one or several: only what matches one of them is read, or all
        if there is none. ``*`` also stands for ``/``. The rest is not kept while reading, and takes
        less time.
    restarts
        What to do where a training was resumed from an earlier step, so that a run has two versions
        of some steps. ``"latest"``: a later file of the run that goes back replaces, under each of
        its tags, all earlier points from its lowest step on; a session-start record (SessionLog
        START, as ``SummaryWriter(purge_step=...)`` writes it) replaces them under every tag, from
        its own step on. Steps out of order in one file are no restart. ``"keep"``: every point, in
        the order written. ``"segment"``: every point, with a column that tells the versions apart.
    duplicates
        What to do where a run has a tag and step several times, and that not through a restart.
        ``"keep"`` all; the ``"first"`` or the ``"last"``; the first with the ``"mean"`` of the
        values that are finite; or ``"raise"`` a `ValueError`.
    verify
        Which checksums to compare, and so which damage is seen: ``"all"``, of every record;
        ``"scalars"``, not of points that `tags` leaves out, nor of records of more than 16 KiB
        that hold an image, a histogram, a graph or the like and nothing else: the file is not
        even read where they stand, so that what a writer might have put behind the image in the
        same record is not seen; ``"none"``, of no record. That of a record's length is always
        compared: without it the next record is not found.
    errors
        What to do about input that is damaged or not there. ``"warn"``: one `EwmaWarning` for
        each problem, and everything good is returned. ``"raise"``: the first problem is raised.
    storage_options
        For URLs: what fsspec's file system is to be made with, as pandas takes it. For s3
        ``{"anon": True}`` or ``{"endpoint_url": "https://..."}``, for http ``{"headers": {...}}``.

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
        - ``segment`` (int32), only with ``restarts="segment"``: how often the run had gone back
          under this tag when the point was written; 0 is the first version.

    Raises
    ------
    FileNotFoundError, PermissionError, OSError, ValueError
        If nothing could be read; with ``errors="raise"``, for any problem. Also `ValueError` for
        an option that is none of its values and for no path at all.

    Notes
    -----
    Two programs that log the same tag into one folder at once look like a restart: give each a
    folder of its own, or ``restarts="keep"``. Where a training was resumed and its first version is
    to be seen beside the second, ``restarts="segment"`` keeps both.

    Examples
    --------
    >>> import ewma
    >>> scalars = ewma.read_scalars("examples/runs/digits", tags="loss/train", runs="lr_0.?")
    >>> scalars.groupby(["run", "tag"], observed=True)["value"].size().to_dict()
    {('lr_0.1', 'loss/train'): 800, ('lr_0.3', 'loss/train'): 800}
    """
    return read_frame(
        path,
        tags=tags,
        runs=runs,
        restarts=restarts,
        duplicates=duplicates,
        verify=verify,
        errors=errors,
        storage_options=storage_options,
        smoothed_too=True,
    )


def read_frame(path: Paths, *, errors: Literal["warn", "raise"], **options: Any) -> pd.DataFrame:
    """Read as `read_scalars` does, with the options of `load_scalars`."""
    _check_choice("errors", errors, ("warn", "raise"))
    if errors == "raise":
        return _load(path, report=_raise, **options).to_pandas()
    columns, problems = load_scalars(path, **options)
    fatal = [problem for problem in problems if problem.exit_code == UNREADABLE]
    if len(columns) == 0 and fatal:
        _raise(fatal[0])
    for problem in problems:
        if problem.exit_code != NOTE:
            warn(str(problem))
    return columns.to_pandas()


def load_scalars(path: Paths, **options: Any) -> tuple[ScalarColumns, list[Problem]]:
    """Read as `read_scalars` does, and return what was wrong instead of raising it.

    Without `smoothed_too` runs that `write_scalars` has made of others are left out.
    `progress` is called after each chunk, with the bytes done and the bytes in all: by several
    threads, but by one at a time.
    """
    problems: list[Problem] = []
    return _load(path, report=problems.append, **options), problems


def _raise(problem: Problem) -> None:
    if problem.exit_code != NOTE:
        raise problem.error(str(problem))


def _load(
    path: Paths,
    *,
    tags: Patterns = None,
    runs: Patterns = None,
    restarts: Restarts = "latest",
    duplicates: Duplicates = "keep",
    verify: Verify = "scalars",
    storage_options: Mapping[str, Any] | None = None,
    smoothed_too: bool = False,
    progress: Progress | None = None,
    report: Callable[[Problem], None],
) -> ScalarColumns:
    _check_choice("restarts", restarts, RESTARTS)
    _check_choice("duplicates", duplicates, DUPLICATES)
    _check_choice("verify", verify, get_args(Verify))
    paths = _as_paths(path)
    given = ", ".join(paths)
    wanted_tag, wanted_run = NameFilter("tag", tags), NameFilter("run", runs)
    if storage_options and not any(map(is_url, paths)):
        raise ValueError(
            f"storage_options are for URLs, such as s3://bucket/logs; received {given}: leave them "
            "out"
        )
    found = find_runs(paths, report, storage_options)
    wanted = [run for run in found if wanted_run(run.name)]
    if found and not wanted:
        report(wanted_run.nothing_left(given, (run.name for run in found)))
    if not smoothed_too:
        wanted, notes = leave_out_smoothed(wanted, _names(wanted, paths))
        for note in notes:
            report(note)
    wanted = leave_out_copies(wanted, report)
    overtaken = Overtaken() if restarts == "latest" else None
    columns, sessions, others = _read_runs(wanted, wanted_tag, verify, overtaken, progress, report)
    replaced = 0 if overtaken is None else overtaken.points
    if len(columns) + replaced == 0 and others:
        report(wanted_tag.nothing_left(given, others))
    if overtaken is not None and replaced > 0:
        report(Problem(given, None, str(overtaken), NOTE))
    if restarts == "segment":
        columns.segment = segments(columns, sessions)
    drop_duplicates(columns, duplicates)
    return columns


def _names(runs: list[Run], paths: list[str]) -> set[str]:
    """Return what the runs are called; the run "." also goes by its folder's name."""
    names = {run.name for run in runs}
    if "." in names and not any(map(is_url, paths)):
        names.add(shared_name(paths))
    return names


def _check_choice(option: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{option} must be {', '.join(others)} or {last}, not {value!r}")


def _read_runs(
    runs: list[Run],
    wanted_tag: NameFilter,
    verify: Verify,
    overtaken: Overtaken | None,
    progress: Progress | None,
    report: Callable[[Problem], None],
) -> tuple[ScalarColumns, list[Session], set[str]]:
    """Return the points, where sessions begin, and the tags that the filter left out.

    Points that a restart has replaced are dropped run by run and counted in `overtaken`, if given.
    """
    builder = ColumnsBuilder()
    others: set[str] = set()
    files = [file for run in runs for file in run.files]
    total = sum(file.size for file in files)
    done = 0

    def advance(count: int) -> None:
        nonlocal done, total
        done += count
        total = max(total, done)  # a file may have grown since
        if progress is not None:
            progress(done, total)

    readings = read_files(files, wanted_tag, verify, advance)
    with closing(readings):
        for run in runs:
            before = len(builder.sessions)
            for file, (reader, problems) in zip(run.files, readings, strict=False):
                for problem in problems:
                    report(problem)
                others.update(map(tag_name, reader.left_out))
                names = [tag_name(tag) for tag in reader.tags]
                share = file.size / max(total, 1)
                builder.add(run.name, names, *reader.take(), sessions=reader.sessions, share=share)
            if overtaken is not None:
                gone = drop_overtaken(builder, builder.sessions[before:])
                overtaken.points += gone
                overtaken.runs += gone > 0
    return builder.finish(), builder.sessions, others


def _as_paths(path: Paths) -> list[str]:
    if isinstance(path, str | bytes | os.PathLike):
        return [local_path(os.fsdecode(path))]
    if not isinstance(path, Iterable) or hasattr(path, "columns"):
        received = repr(path) if not hasattr(path, "columns") else f"a {type(path).__name__}"
        raise TypeError(f"path must be a path, or a list of them; received {received}")
    paths = [local_path(os.fsdecode(item)) for item in path]
    if not paths:
        raise ValueError("give at least one path; the list of paths is empty")
    return paths
