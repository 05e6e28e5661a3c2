"""`write_scalars`: scalars as event files that TensorBoard shows."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ewma._output_file import make_folder, write_together
from ewma._table import check_frame
from ewma.tensorboard._columns import Codes, Rows, ScalarColumns
from ewma.tensorboard._problems import shown
from ewma.tensorboard._records import Dtype, records
from ewma.tensorboard._url import NO_WRITING, is_url, local_path
from ewma.tensorboard._written import FILE, OWN, SMOOTHED

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T", bound=np.signedinteger[Any])

_NEEDED = ("run", "tag", "step", "wall_time")
# The parts of a run's name that lead elsewhere, or that the system has no folder for. Compiled
# where they are used: nobody who only reads waits for it.
_ASTRAY = {
    "posix": r"(?s)\.{0,2}\Z|.*\0",
    "nt": r"(?si)\Z|.*[. ]\Z|.*[\0-\x1f\\:*?\"<>|]|(con|prn|aux|nul|(com|lpt)[\d¹²³])(\..*)?\Z",
}


def write_scalars(
    frame: pd.DataFrame,
    logdir: str | os.PathLike[str],
    *,
    column: str | None = None,
    dtype: Dtype = "float32",
    force: bool = False,
) -> list[Path]:
    """Write scalars as event files, so that TensorBoard shows them beside the originals.

    One file a run. TensorBoard shows float32, which is what other writers write too: its readers
    and `read_scalars` then have the same numbers to the last bit.

    Parameters
    ----------
    frame
        The columns run, tag, step, wall_time and the one that is written, as `smooth_scalars` and
        `read_scalars` return them; rows of a run in the order to be written. Where there is a
        column segment, the versions of a resumed training, each is a run of its own.
    logdir
        The folder for the runs' folders; made if it is not there.
    column
        What to write: by default "smoothed" if it is there, else "value".
    dtype
        "float32": each value is rounded, to infinity where it is above 3.4e38. "float64": none is,
        for `read_scalars` to take back; TensorBoard's data server, its reader by default, shows no
        point of it.
    force
        Whether to write into folders that have event files already: beside them, and in the place
        of what an earlier call wrote there.

    Returns
    -------
    list of Path
        The files, one a run. The folder is the run's name, from segment 1 on with ``.segment1``
        after it, and with ``.smoothed`` where column "smoothed" is written; the run ``"."`` goes
        into `logdir` or its folder ``smoothed``.

    Raises
    ------
    FileExistsError
        If a folder has event files already, and `force` is false. Nothing is written then.
    ValueError
        If `logdir` is a URL, a column is missing, a run's name or a link leads out of `logdir`, a
        run's name is none that the system has folders for, two runs have one folder, a tag is no
        text that UTF-8 can hold, a row has no run, tag or whole step, or `dtype` is neither.
        Nothing is written then.
    OSError
        If a file cannot be written. None is then.

    Examples
    --------
    >>> import ewma, tempfile
    >>> scalars = ewma.smooth_scalars("examples/runs/digits", tags="loss/train", runs="lr_0.1")
    >>> with tempfile.TemporaryDirectory() as logdir:
    ...     (file,) = ewma.write_scalars(scalars, logdir)
    ...     back = ewma.read_scalars(logdir)
    >>> file.parent.name, bool((back["value"] == scalars["smoothed"].astype("float32")).all())
    ('lr_0.1.smoothed', True)
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64'; received {dtype!r}")
    check_frame("frame", frame, "smooth_scalars")
    if column is None:
        column = "smoothed" if "smoothed" in frame.columns else "value"
    missing = [name for name in (*_NEEDED, column) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"frame must have the columns {', '.join((*_NEEDED, column))}; received one without "
            f"{', '.join(missing)}"
        )
    folder = local_path(os.fspath(logdir))
    if is_url(folder):
        raise ValueError(f"{folder}: {NO_WRITING}")
    suffix = SMOOTHED if column == "smoothed" else ""
    return write_event_files(
        _columns(frame, column), Path(folder), suffix=suffix, dtype=dtype, force=force
    )


def _columns(frame: pd.DataFrame, column: str) -> ScalarColumns:
    run, run_names = _coded(frame["run"])
    tag, tag_names = _coded(frame["tag"])
    return ScalarColumns(
        run_names=run_names,
        tag_names=tag_names,
        run=run,
        tag=tag,
        step=_whole(frame["step"], np.int64),
        wall_time=_real(frame["wall_time"], "seconds since 1970"),
        value=_real(frame[column], "real numbers"),
        segment=_whole(frame["segment"], np.int32) if "segment" in frame.columns else None,
    )


def _coded(column: pd.Series[Any]) -> tuple[Codes, list[str]]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = cast("Codes", column.cat.codes.to_numpy())
        names = list(column.cat.categories)
    else:
        # As objects: pandas' own text cannot hold a lone surrogate, and would not say so plainly.
        codes, uniques = pd.factorize(column.to_numpy(object))
        names = list(uniques)
    if np.any(codes < 0):
        raise ValueError(f"{column.name} must be there in every row; leave out the others")
    return codes, [str(name) for name in names]


def _real(column: pd.Series[Any], what: str) -> npt.NDArray[np.float64]:
    """Return numbers: of dates and timedeltas NumPy would give a count in whatever unit."""
    if getattr(column.dtype, "kind", "O") in "mMc":
        raise ValueError(
            f"{column.name} must be {what}; received {column.dtype}: convert it "
            f"(frame['{column.name}'] = ...)"
        )
    try:
        return column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{column.name} must be {what} in every row: {error}") from None


def _whole(column: pd.Series[Any], dtype: type[T]) -> npt.NDArray[T]:
    """Return what is a whole number in every row."""
    try:
        if getattr(column.dtype, "kind", "O") in "mM":
            raise TypeError
        with np.errstate(invalid="ignore"):
            whole = column.to_numpy().astype(dtype)
        if np.array_equal(whole, column):
            return whole
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(
        f"{column.name} must be a whole number, {np.dtype(dtype)}, in every row; received "
        f"{column.dtype}: convert it (frame['{column.name}'] = ...)"
    )


class _Curves(NamedTuple):
    """A run, or a version of it, its rows, and the file for them in the place of earlier ones."""

    run: str
    rows: Rows
    file: Path
    earlier: list[Path]


def write_event_files(
    columns: ScalarColumns,
    logdir: Path,
    *,
    suffix: str,
    dtype: Dtype = "float32",
    force: bool,
    refused: Callable[[OSError | ValueError], None] | None = None,
) -> list[Path]:
    """Write the columns' values as `write_scalars` does, `suffix` after the runs' names.

    With `refused`, which is told why, the runs that have no place there are left out.
    """
    tags = [_utf8(name) for name in columns.tag_names]
    runs: dict[str, _Curves] = {}
    with ExitStack() as made:
        for run, segment, rows in _runs(columns):
            try:
                folder = _folder(run, segment, logdir, suffix)
                made.enter_context(make_folder(folder))
                identity = _identity(folder)
                if other := runs.get(identity):  # names that differ in case alone, say, or a link
                    raise ValueError(
                        f"each run must have a folder of its own; {other.run!r} and {run!r} have "
                        f"{shown(str(folder))}: rename one, or leave it out (runs=, --run)"
                    )
                runs[identity] = _Curves(run, rows, *_files(folder, force=force))
            except (OSError, ValueError) as error:
                if refused is None:
                    raise
                refused(error)
        written: list[_Curves] = []
        with write_together(replace=False) as open_file:
            for curves in runs.values():
                with ExitStack() as opened:
                    try:
                        file = opened.enter_context(open_file(curves.file))
                    except PermissionError as error:  # of this folder; a full disk is one for all
                        if refused is None:
                            raise
                        error.filename = str(curves.file.parent)  # not the file's name meanwhile
                        refused(error)
                        continue
                    file.writelines(records(columns, curves.rows, tags, dtype))
                    written.append(curves)
    for curves in written:
        for path in curves.earlier:
            with contextlib.suppress(OSError):  # Windows keeps what is open; the new counts
                path.unlink()
    return [curves.file for curves in written]


def _runs(columns: ScalarColumns) -> Iterator[tuple[str, int, Rows]]:
    """Yield each run, segment and its rows, as they come."""
    run = columns.run
    segment = np.zeros_like(run) if columns.segment is None else columns.segment
    order = np.lexsort((segment, run))
    changes = (np.diff(run[order]) != 0) | (np.diff(segment[order]) != 0)
    for rows in np.split(order, np.flatnonzero(changes) + 1):
        if len(rows) > 0:
            yield columns.run_names[run[rows[0]]], int(segment[rows[0]]), rows


def _folder(run: str, segment: int, logdir: Path, suffix: str) -> Path:
    """Return the folder for a run, which lies in `logdir`."""
    if segment != 0:
        suffix = f".segment{segment}{suffix}"
    if run == ".":
        return logdir / suffix[1:]
    try:
        os.fsencode(run)
        good = not any(re.match(_ASTRAY[os.name], part) for part in run.split("/"))
    except UnicodeEncodeError:
        good = False
    if not good:
        raise ValueError(
            "a run's name must be folders inside logdir, without '..' and without characters that "
            f"paths cannot have; received {run!r}: rename the run, or leave it out (runs=, --run)"
        )
    folder = logdir / (run + suffix)
    inside, found = os.path.realpath(logdir), os.path.realpath(folder)
    if not Path(found).is_relative_to(inside):
        raise ValueError(
            f"a run's folder must lie inside logdir; {shown(str(folder))} is {shown(found)}: "
            "remove the link that leads there, or give another logdir"
        )
    return folder


def _utf8(tag: str) -> bytes:
    try:
        return tag.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"a tag must be text that UTF-8 can hold, without lone surrogates; received {tag!r}: "
            "rename it (frame['tag'] = ...)"
        ) from None


def _files(folder: Path, *, force: bool) -> tuple[Path, list[Path]]:
    """Return the next file for a folder, and those of ours in it."""
    there = [name for name in os.listdir(folder) if "tfevents" in name]  # noqa: PTH208
    own = {name: int(match[1]) for name in there if (match := re.fullmatch(OWN, name))}
    if there and not force:
        purpose = "replace them" if len(own) == len(there) else "write beside them"
        raise FileExistsError(
            f"{shown(str(folder))} has event files already; give force=True (--force) to "
            f"{purpose}, or another logdir"
        )
    return folder / FILE.format(max(own.values(), default=0) + 1), [folder / name for name in own]


def _identity(folder: Path) -> str:
    status = folder.stat()
    # Some network file systems number nothing.
    return f"{status.st_dev} {status.st_ino}" if status.st_ino else os.path.realpath(folder)
