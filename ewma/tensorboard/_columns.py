"""Scalars as columns: what the reader returns and everything else works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt

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
        self.run, self.run_names = _with_points(_close_up(self.run, rows), self.run_names)
        self.tag, self.tag_names = _with_points(_close_up(self.tag, rows), self.tag_names)
        self.step = _close_up(self.step, rows)
        self.wall_time = _close_up(self.wall_time, rows)
        self.value = _close_up(self.value, rows)
        if self.segment is not None:
            self.segment = _close_up(self.segment, rows)

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

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame of the same arrays, run and tag as categories."""
        import pandas as pd

        categorical = pd.Categorical.from_codes
        segment = {} if self.segment is None else {"segment": self.segment}
        return pd.DataFrame(
            {
                "run": categorical(self.run, pd.Index(self.run_names, dtype=str), validate=False),
                "tag": categorical(self.tag, pd.Index(self.tag_names, dtype=str), validate=False),
                "step": self.step,
                "wall_time": self.wall_time,
                "value": self.value,
                **segment,
            },
            copy=False,
        )


class Session(NamedTuple):
    """Where in the columns a session of a run begins, and the step of its START record."""

    run: str
    row: int
    start: int | None


@dataclass(slots=True)
class ColumnsBuilder:
    """Collects the points of one file after the other, and where sessions begin."""

    sessions: list[Session] = field(default_factory=list)
    _rows: int = 0
    _names: dict[str, int] = field(default_factory=dict)
    _runs: list[tuple[str, int]] = field(default_factory=list)
    _tag: list[npt.NDArray[np.int32]] = field(default_factory=list)
    _step: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _wall_time: list[npt.NDArray[np.float64]] = field(default_factory=list)
    _value: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def add(
        self,
        run: str,
        tag_names: list[str],
        tag: npt.NDArray[np.int32],
        step: npt.NDArray[np.int64],
        wall_time: npt.NDArray[np.float64],
        value: npt.NDArray[np.float64],
        sessions: Iterable[tuple[int, int | None]] = (),
    ) -> None:
        """Add rows whose `tag` counts in `tag_names`, all of them there; runs come sorted.

        `sessions` begin at rows of this file, as the parser tells them; the file itself is one.
        """
        self.sessions.append(Session(run, self._rows, None))
        self.sessions += (Session(run, self._rows + row, start) for row, start in sessions)
        self._rows += len(tag)
        if len(tag) == 0:
            return
        # Two tags that are not UTF-8 can look the same; they become one.
        codes = [self._names.setdefault(name, len(self._names)) for name in tag_names]
        self._runs.append((run, len(tag)))
        self._tag.append(_translate(tag, codes))
        self._step.append(step)
        self._wall_time.append(wall_time)
        self._value.append(value)

    def finish(self) -> ScalarColumns:
        """Join what was added. The builder is empty afterwards, which halves the peak memory."""
        run_names = sorted({name for name, _ in self._runs})
        run_code = {name: code for code, name in enumerate(run_names)}
        tag_names = sorted(self._names)
        tag_code = [0] * len(tag_names)
        for code, name in enumerate(tag_names):
            tag_code[self._names[name]] = code
        run = np.repeat(
            np.array([run_code[name] for name, _ in self._runs], _code_type(len(run_names))),
            [rows for _, rows in self._runs],
        )
        tag = np.array(tag_code, _code_type(len(tag_names)))[_join(self._tag, np.int32)]
        return ScalarColumns(
            run_names=run_names,
            tag_names=tag_names,
            run=run,
            tag=tag,
            # The parser's is a `long long`, which NumPy's fast loops do not take for an int64.
            step=_join(self._step, np.int64).view(np.int64),
            wall_time=_join(self._wall_time, np.float64),
            value=_join(self._value, np.float64),
        )


def _close_up(array: npt.NDArray[T], kept: npt.NDArray[np.bool_]) -> npt.NDArray[T]:
    done = first = int(np.argmin(kept))
    for start in range(first, len(array), _PART):
        part = array[start : start + _PART][kept[start : start + _PART]]
        array[done : done + len(part)] = part
        done += len(part)
    return array[:done]


def _with_points(codes: Codes, names: list[str]) -> tuple[Codes, list[str]]:
    there = present(codes, len(names))
    if there.all():
        return codes, names
    left = [name for name, kept in zip(names, there, strict=True) if kept]
    return (np.cumsum(there) - 1).astype(_code_type(len(left)))[codes], left


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


def _translate(tag: npt.NDArray[np.int32], codes: list[int]) -> npt.NDArray[np.int32]:
    if codes == list(range(len(codes))):
        return tag
    return np.array(codes, np.int32)[tag]


def _join(parts: list[npt.NDArray[T]], dtype: type[T]) -> npt.NDArray[T]:
    joined = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])
    parts.clear()
    return joined


def _code_type(names: int) -> npt.DTypeLike:
    """Return the type that pandas too gives the codes of so many categories."""
    return np.int8 if names < 127 else np.int16 if names < 32767 else np.int32
