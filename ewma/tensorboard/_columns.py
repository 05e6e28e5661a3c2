"""Scalars as columns: what the reader returns and everything else works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

from ewma._table import Names, Table, to_pandas

if TYPE_CHECKING:
    import pandas as pd

Codes = npt.NDArray[np.signedinteger[Any]]
Rows = slice | npt.NDArray[np.intp]
T = TypeVar("T", bound=np.generic)

_PART = 1 << 15  # rows handled at a time, in the processor's cache


@dataclass(slots=True)
class ScalarColumns:
    """Scalar points, one a row: sorted by run, and within a run in the order written.

    Parameters
    ----------
    run_names, tag_names
        Sorted; only those that have points.
    run, tag
        Indices into the names.
    step
        The training step, int64.
    wall_time
        Seconds since 1970, float64.
    value
        float64, whatever type was written.
    segment
        The version of a resumed training that the point belongs to, int32, if they are told apart.
    """

    run_names: list[str]
    tag_names: list[str]
    run: Codes
    tag: Codes
    step: npt.NDArray[np.int64]
    wall_time: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    segment: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.value)

    def series(self) -> Iterator[tuple[str, str, Rows]]:
        """Yield run, tag and rows of each series in (run, tag) order, its rows as written.

        Where versions are told apart, each is a series.
        """
        tags = len(self.tag_names)
        versions = 1 if self.segment is None else int(self.segment.max(initial=0)) + 1
        # NumPy sorts 16 bits in linear time.
        key_type: type[np.integer[Any]]
        key_type = np.uint16 if len(self.run_names) * tags * versions < 1 << 16 else np.int64
        key: npt.NDArray[np.integer[Any]] = self.run.astype(key_type)
        key *= key_type(tags)
        key += self.tag.astype(key_type)
        if self.segment is not None:
            key *= key_type(versions)
            key += self.segment.astype(key_type)
        order = None
        if np.any(key[1:] < key[:-1]):
            order = np.argsort(key, kind="stable")
            key = key[order]
        ends = [*(np.flatnonzero(key[1:] != key[:-1]) + 1).tolist(), len(key)]
        start = 0
        for end in ends if len(key) > 0 else []:
            run, tag = divmod(int(key[start]) // versions, tags)
            rows = slice(start, end)
            yield (
                self.run_names[run],
                self.tag_names[tag],
                rows if order is None else order[rows],
            )
            start = end

    def keep(self, rows: npt.NDArray[np.bool_]) -> None:
        """Keep only the rows that are true, and of the names those that then have points.

        The arrays are closed up in place: fresh ones would take longer to get than to fill.
        """
        pieces = _pieces(rows)
        self.run, self.run_names = _with_points(_close_up(self.run, pieces), self.run_names)
        self.tag, self.tag_names = _with_points(_close_up(self.tag, pieces), self.tag_names)
        self.step = _close_up(self.step, pieces)
        self.wall_time = _close_up(self.wall_time, pieces)
        self.value = _close_up(self.value, pieces)
        if self.segment is not None:
            self.segment = _close_up(self.segment, pieces)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame) -> ScalarColumns:
        """Return the columns of a DataFrame that `to_pandas` made; nothing is copied."""
        run, tag = frame["run"].cat, frame["tag"].cat
        return cls(
            run_names=list(run.categories),
            tag_names=list(tag.categories),
            run=cast("Codes", run.codes.to_numpy()),
            tag=cast("Codes", tag.codes.to_numpy()),
            step=frame["step"].to_numpy(),
            wall_time=frame["wall_time"].to_numpy(),
            value=frame["value"].to_numpy(),
            segment=frame["segment"].to_numpy() if "segment" in frame.columns else None,
        )

    def table(self) -> Table:
        """Return the same arrays by their headings."""
        return {
            "run": Names(self.run_names, self.run),
            "tag": Names(self.tag_names, self.tag),
            "step": self.step,
            "wall_time": self.wall_time,
            "value": self.value,
            **({} if self.segment is None else {"segment": self.segment}),
        }

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame of the same arrays, run and tag as categories."""
        return to_pandas(self.table())


class Session(NamedTuple):
    """Where in the columns a session of a run begins, and the step of its START record."""

    run: str
    row: int
    start: int | None


class ColumnsBuilder:
    """Joins the points of one file after the other, without ever holding them twice.

    Where sessions begin it tells in `sessions`; `drop` takes rows of the run back that was added
    last, while they are still in the processor's cache.
    """

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self._dropped = False
        self._names: dict[str, int] = {}
        self._runs: list[tuple[str, int]] = []
        self._share = 0.0
        self._rows = 0
        self._tag = np.empty(0, np.int32)
        self._step = np.empty(0, np.int64)
        self._wall_time = np.empty(0, np.float64)
        self._value = np.empty(0, np.float64)

    def add(
        self,
        run: str,
        tag_names: list[str],
        tag: npt.NDArray[np.int32],
        step: npt.NDArray[np.int64],
        wall_time: npt.NDArray[np.float64],
        value: npt.NDArray[np.float64],
        sessions: Iterable[tuple[int, int | None]] = (),
        share: float = 0.0,
    ) -> None:
        """Add rows whose `tag` counts in `tag_names`, all of them there; runs come sorted.

        `sessions` begin at rows of this file, as the parser tells them; the file itself is one.
        `share` is the part of all rows to come that this is estimated to be.
        """
        self._share += share
        self.sessions.append(Session(run, self._rows, None))
        self.sessions += (Session(run, self._rows + row, start) for row, start in sessions)
        if len(tag) == 0:
            return
        # Two tags that are not UTF-8 can look the same; they become one.
        codes = [self._names.setdefault(name, len(self._names)) for name in tag_names]
        self._runs.append((run, len(tag)))
        start, end = self._rows, self._rows + len(tag)
        self._rows = end
        if start == 0:
            self._tag = _translated(tag, codes)
            self._step, self._wall_time, self._value = step, wall_time, value
            return
        if end > len(self._step):
            self._grow(start, end)
        self._tag[start:end] = _translated(tag, codes)
        self._step[start:end] = step
        self._wall_time[start:end] = wall_time
        self._value[start:end] = value

    @property
    def tag_count(self) -> int:
        """How many names `since` counts in."""
        return len(self._names)

    def since(self, row: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return tag and step of the rows from one on."""
        # The parser's step is a `long long`, which NumPy's fast loops do not take for an int64.
        return self._tag[row : self._rows], self._step[row : self._rows].view(np.int64)

    def drop(self, row: int, kept: npt.NDArray[np.bool_]) -> None:
        """Keep, of the rows from one on, which is where the last run begins, those that are true.

        What `sessions` tells of that run is no longer so.
        """
        pieces = _pieces(kept)
        for column in (self._tag, self._step, self._wall_time, self._value):
            _close_up(column[row : self._rows], pieces)
        left, undone = int(np.count_nonzero(kept)), 0
        while undone < len(kept):
            name, rows = self._runs.pop()
            undone += rows
        if left > 0:
            self._runs.append((name, left))
        self._rows = row + left
        self._dropped = True

    def finish(self) -> ScalarColumns:
        """Return what was added; nothing can be added afterwards."""
        run_names = sorted({name for name, _ in self._runs})
        run_code = {name: code for code, name in enumerate(run_names)}
        tag_names = sorted(self._names)
        tag_code = [0] * len(tag_names)
        for code, name in enumerate(tag_names):
            tag_code[self._names[name]] = code
        run = np.repeat(
            np.array([run_code[name] for name, _ in self._runs], code_type(len(run_names))),
            [rows for _, rows in self._runs],
        )
        tag: Codes = _looked_up(
            np.array(tag_code, code_type(len(tag_names))), self._tag[: self._rows]
        )
        if self._dropped:
            tag, tag_names = _with_points(tag, tag_names)
        return ScalarColumns(
            run_names=run_names,
            tag_names=tag_names,
            run=run,
            tag=tag,
            step=_cut(self._step, self._rows).view(np.int64),
            wall_time=_cut(self._wall_time, self._rows),
            value=_cut(self._value, self._rows),
        )

    def _grow(self, rows: int, needed: int) -> None:
        """Make room for all rows there will be, or for twice as many: memory is lent as used."""
        share = min(self._share, 1.0)
        estimate = int(1.02 * needed / share) if share > 1 / 16 else 16 * needed
        size = max(estimate, 2 * rows, needed)
        self._tag = _moved(self._tag, rows, size)
        self._step = _moved(self._step, rows, size)
        self._wall_time = _moved(self._wall_time, rows, size)
        self._value = _moved(self._value, rows, size)


def _pieces(kept: npt.NDArray[np.bool_]) -> list[slice | npt.NDArray[np.intp]]:
    """Return the rows that are true as stretches, or as indices where there would be many."""
    ends = np.flatnonzero(kept[1:] != kept[:-1]) + 1
    if 64 * len(ends) > len(kept):
        parts = range(0, len(kept), _PART)
        return [start + np.flatnonzero(kept[start : start + _PART]) for start in parts]
    bounds = [0, *ends.tolist(), len(kept)]
    first = 0 if len(kept) == 0 or kept[0] else 1
    stretches = zip(bounds[first::2], bounds[first + 1 :: 2], strict=False)
    return [
        slice(start, min(start + _PART, end))
        for begin, end in stretches
        for start in range(begin, end, _PART)
    ]


def _close_up(array: npt.NDArray[T], pieces: list[slice | npt.NDArray[np.intp]]) -> npt.NDArray[T]:
    done = 0
    for piece in pieces:
        part = array[piece]
        if not (isinstance(piece, slice) and piece.start == done):
            array[done : done + len(part)] = part
        done += len(part)
    return array[:done]


def _with_points(codes: Codes, names: list[str]) -> tuple[Codes, list[str]]:
    there = present(codes, len(names))
    if there.all():
        return codes, names
    left = [name for name, kept in zip(names, there, strict=True) if kept]
    return (np.cumsum(there) - 1).astype(code_type(len(left)))[codes], left


def present(codes: Codes, count: int) -> npt.NDArray[np.bool_]:
    """Return which of the codes 0 to `count` - 1 are there."""
    there = np.zeros(count, bool)
    for start in range(0, len(codes), _PART):
        part = codes[start : start + _PART]
        there[part[np.flatnonzero(part[1:] != part[:-1])]] = True
        there[part[-1]] = True
        if there.all():
            break
    return there


def _translated(tag: npt.NDArray[np.int32], codes: list[int]) -> npt.NDArray[np.int32]:
    return tag if codes == list(range(len(codes))) else _looked_up(np.array(codes, np.int32), tag)


def _looked_up(codes: npt.NDArray[T], tag: npt.NDArray[np.int32]) -> npt.NDArray[T]:
    """Return `codes[tag]`, for which NumPy would first copy all of `tag` to 64 bits."""
    out = np.empty(len(tag), codes.dtype)
    for start in range(0, len(tag), _PART):
        block = slice(start, start + _PART)
        out[block] = codes[tag[block]]
    return out


def _moved(column: npt.NDArray[T], rows: int, size: int) -> npt.NDArray[T]:
    larger = np.empty(size, column.dtype)
    larger[:rows] = column[:rows]
    return larger


def _cut(column: npt.NDArray[T], rows: int) -> npt.NDArray[T]:
    """Return the first rows, and the memory behind them to the system."""
    if len(column) > rows and column.flags.owndata:
        column.resize(rows, refcheck=False)
    return column[:rows]


def code_type(names: int) -> npt.DTypeLike:
    """Return the type that pandas too gives the codes of so many categories."""
    return np.int8 if names < 127 else np.int16 if names < 32767 else np.int32
