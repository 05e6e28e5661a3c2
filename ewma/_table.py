"""Tables as CSV, JSON, JSON lines, Parquet and Arrow: one function a format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ewma.containers._numpy import is_masked_array

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_CHUNK = 10_000  # rows turned into text at a time

# A spreadsheet would take such a text for a formula and run it; an apostrophe says it is text.
# Where cells are separated by semicolons or tabs, as in half of Europe, a text has several.
_FORMULA = r'^(?=[\t\r\n\0])|(?:^|(?<=[;\t\r\n]))(?=[\s\0"]*[=+\-@＝＋－＠])'


@dataclass(frozen=True, slots=True)
class Names:
    """A column of names: for each row an index into the names there are."""

    names: list[str]
    codes: npt.NDArray[np.signedinteger[Any]]

    def __len__(self) -> int:
        return len(self.codes)


Column: TypeAlias = Names | npt.NDArray[Any]
"""Names or numbers; a masked array where rows may have none."""

Table: TypeAlias = dict[str, Column]
"""Columns of one length by their headings."""


def check_frame(name: str, frame: object, source: str) -> None:
    """Raise where a frame that was given is none of pandas', but of polars, say."""
    if not hasattr(frame, "iloc"):
        raise TypeError(
            f"{name} must be a pandas DataFrame, as {source} returns it; received "
            f"{type(frame).__module__}.{type(frame).__name__}: convert it ({name}.to_pandas())"
        )


def to_pandas(table: Table) -> pd.DataFrame:
    """Return a DataFrame of the same arrays, names as categories."""
    import pandas as pd

    def array(column: Column) -> Any:
        if isinstance(column, Names):
            names = pd.Index(column.names, dtype=str)
            return pd.Categorical.from_codes(column.codes, names, validate=False)
        return column

    return pd.DataFrame({heading: array(column) for heading, column in table.items()}, copy=False)


def write_csv(table: Table, file: IO[bytes], header: bool = True) -> None:
    """Write a line a row, in UTF-8; floats have the digits that give them back exactly."""
    if header:
        file.write((",".join(map(csv_cell, table)) + "\n").encode())
    for rows in _rows(table, csv_cell, _csv_numbers):
        file.write("".join(",".join(row) + "\n" for row in rows).encode())


def csv_cell(name: str) -> str:
    """Return a text as one cell, which no spreadsheet takes for a formula."""
    name = re.sub(_FORMULA, "'", name)
    # csv.writer quotes a newline or not, depending on Python's version.
    if name and not any(c in name for c in ',"\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'


def _csv_numbers(numbers: npt.NDArray[Any]) -> Iterator[str]:
    if is_masked_array(numbers):
        return ("" if number is None else repr(number) for number in numbers.tolist())
    return map(repr, numbers.tolist())


def write_json(table: Table, file: IO[bytes]) -> None:
    """Write a list of objects, one a row; NaN and infinities as protobuf's JSON writes them."""
    before = "[\n"
    for objects in _objects(table):
        file.write((before + ",\n".join(objects)).encode())
        before = ",\n"
    file.write(b"\n]\n")


def write_json_lines(table: Table, file: IO[bytes]) -> None:
    """Write an object a line; NaN and infinities as protobuf's JSON writes them."""
    for objects in _objects(table):
        file.write(("\n".join(objects) + "\n").encode())


def _objects(table: Table) -> Iterator[Iterator[str]]:
    keys = (json.dumps(heading).replace("%", "%%") for heading in table)
    pattern = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"
    for rows in _rows(table, json.dumps, _json_numbers):
        yield map(pattern.__mod__, rows)


def _json_numbers(numbers: npt.NDArray[Any]) -> Iterator[str]:
    if is_masked_array(numbers) or not np.isfinite(numbers).all():
        return map(_json_number, numbers.tolist())
    return map(repr, numbers.tolist())


def _json_number(number: float | None) -> str:
    text = repr(number)
    return {"None": "null", "nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}.get(
        text, text
    )


def _rows(
    table: Table,
    name: Callable[[str], str],
    numbers: Callable[[npt.NDArray[Any]], Iterator[str]],
) -> Iterator[zip[tuple[str, ...]]]:
    """Yield chunks of rows as texts."""
    texts = {
        heading: list(map(name, column.names))
        for heading, column in table.items()
        if isinstance(column, Names)
    }
    for start in range(0, len(next(iter(table.values()))), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield zip(
            *(
                map(texts[heading].__getitem__, column.codes[part].tolist())
                if isinstance(column, Names)
                else numbers(column[part])
                for heading, column in table.items()
            ),
            strict=True,
        )


def write_parquet(table: Table, file: IO[bytes]) -> None:
    """Write Parquet, names as categories; needs pyarrow."""
    from pyarrow import parquet

    parquet.write_table(_to_arrow(table), file)


def write_arrow(table: Table, file: IO[bytes]) -> None:
    """Write Arrow's IPC file format, also known as Feather, names as categories; needs pyarrow."""
    from pyarrow import ipc

    content = _to_arrow(table)
    with ipc.new_file(file, content.schema) as writer:
        writer.write_table(content)


def _to_arrow(table: Table) -> pa.Table:
    import pyarrow as pa

    def array(column: Column) -> pa.Array:
        if isinstance(column, Names):
            return pa.DictionaryArray.from_arrays(column.codes, pa.array(column.names, pa.string()))
        mask = np.ma.getmaskarray(column) if is_masked_array(column) else None
        return pa.array(np.asarray(column), mask=mask)

    return pa.table([array(column) for column in table.values()], names=list(table))


WRITERS: dict[str, Callable[[Table, IO[bytes]], None]] = {
    ".csv": write_csv,
    ".json": write_json,
    ".jsonl": write_json_lines,
    ".parquet": write_parquet,
    ".arrow": write_arrow,
}

NEED_PYARROW = (".parquet", ".arrow")
