"""`write_scalars`: scalars as event files that TensorBoard shows."""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ewma._core import crc32c
from ewma._output_file import write_whole

if TYPE_CHECKING:
    import pandas as pd

_NEEDED = ("run", "tag", "step", "wall_time")
# A part of a run's name that would lead elsewhere, or that some system has no folder for.
_ASTRAY = re.compile(r"\.{0,2}$|.*[\0\\:*?\"<>|]", re.DOTALL)


def write_scalars(
    frame: pd.DataFrame,
    logdir: str | os.PathLike[str],
    *,
    column: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    force: bool = False,
) -> list[Path]:
    """Write scalars as event files, so that TensorBoard shows them beside the originals.

    One file a run. TensorBoard shows float32, which is what other writers write too: its readers
    and `read_scalars` then have the same numbers to the last bit.

    Parameters
    ----------
    frame
        The columns run, tag, step, wall_time and the one that is written, as `smooth_scalars` and
        `read_scalars` return them; rows of a run in the order to be written.
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
        The files, one a run. The folder is the run's name, and ``.smoothed`` after it where column
        "smoothed" is written; the run ``"."`` goes into `logdir` or its folder ``smoothed``.

    Raises
    ------
    FileExistsError
        If a folder has event files already, and `force` is false. Nothing is written then.
    ValueError
        If a column is missing, a run's name leads out of `logdir`, or `dtype` is neither.
    OSError
        If a file cannot be written. Each is written whole or not at all.

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
    if column is None:
        column = "smoothed" if "smoothed" in frame.columns else "value"
    missing = [name for name in (*_NEEDED, column) if name not in frame.columns]
    if missing:
        raise ValueError(
            f"frame must have the columns {', '.join((*_NEEDED, column))}; received one without "
            f"{', '.join(missing)}"
        )
    runs = dict(tuple(frame.groupby("run", sort=False, observed=True)))
    folders = {name: _folder(str(name), Path(logdir), column) for name in runs}
    if not force:
        for folder in folders.values():
            _refuse_event_files(folder)
    files = []
    for name, rows in runs.items():
        folder = folders[name]
        folder.mkdir(parents=True, exist_ok=True)
        wall_time = rows["wall_time"].to_numpy(np.float64)
        first = wall_time[0] if math.isfinite(wall_time[0]) else 0.0
        file = folder / f"events.out.tfevents.{int(min(max(first, 0), 9_999_999_999)):010d}.ewma"
        with write_whole(file, replace=force) as output:
            output.writelines(_records(rows, wall_time, _values(rows[column], dtype), first))
        files.append(file)
    return files


def _folder(run: str, logdir: Path, column: str) -> Path:
    suffix = ".smoothed" if column == "smoothed" else ""
    if run == ".":
        return logdir / suffix[1:]
    parts = run.split("/")
    if any(_ASTRAY.match(part) for part in parts):
        raise ValueError(
            "a run's name must be folders inside logdir, without '..' and without characters that "
            f"paths cannot have; received {run!r}: rename it, frame['run'] = ..."
        )
    return logdir.joinpath(*parts[:-1], parts[-1] + suffix)


def _refuse_event_files(folder: Path) -> None:
    if folder.is_dir() and any("tfevents" in name for name in os.listdir(folder)):  # noqa: PTH208
        raise FileExistsError(
            f"{folder} has event files already; give force=True to write beside them, or another "
            "logdir"
        )


def _values(column: pd.Series[Any], dtype: str) -> Iterator[bytes]:
    """Yield what a Value message has of each number."""
    numbers = column.to_numpy(np.float64)
    if dtype == "float32":
        with np.errstate(over="ignore"):
            rounded = numbers.astype("<f4")
        for simple_value in rounded:
            yield b"\x15" + simple_value.tobytes()
    else:
        for number in numbers.astype("<f8"):
            # TensorProto: DT_DOUBLE, no dimensions, tensor_content
            yield _field(8, b"\x08\x02\x12\x00" + _field(4, number.tobytes()))


def _records(
    rows: pd.DataFrame, wall_time: Any, values: Iterator[bytes], first: float
) -> Iterator[bytes]:
    """Yield the records of one run, the file's version first."""
    yield _record(_wall_time(first) + _field(3, b"brain.Event:2"))
    tags: dict[Any, tuple[bytes, bytes]] = {}
    columns = (rows["tag"].tolist(), rows["step"].tolist(), wall_time.tolist(), values)
    for tag, step, time, value in zip(*columns, strict=True):
        if tag not in tags:
            name = _field(1, str(tag).encode("utf-8", "surrogateescape"))
            # SummaryMetadata: the plugin's name, and that these are scalars
            metadata = _field(9, _field(1, _field(1, b"scalars")) + b"\x20\x01")
            tags[tag] = name, metadata
        name, metadata = tags[tag]
        tags[tag] = name, b""  # only a tag's first value says what it is
        summary = _field(1, name + metadata + value)
        yield _record(_wall_time(time) + b"\x10" + _varint(step & (2**64 - 1)) + _field(5, summary))


def _wall_time(seconds: float) -> bytes:
    return b"\x09" + struct.pack("<d", seconds)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


@lru_cache(maxsize=4096)  # of lengths, mostly
def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 127:
        low.append(number & 127 | 128)
        number >>= 7
    low.append(number)
    return bytes(low)


def _record(event: bytes) -> bytes:
    return _header(len(event)) + event + _checksum(event)


@lru_cache(maxsize=4096)
def _header(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + _checksum(length)


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
