"""Aggregated runs as CSV, JSON, Parquet, a picture or a table: one function a format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal

import numpy as np

from ewma._aggregate import AGGREGATE_COLUMNS, STATISTICS, Aggregate, to_pandas
from ewma._bands import AnyBand, band_edges, band_note
from ewma.report import NAME_WIDTH, PICTURES, csv_cell, json_number
from ewma.tensorboard._problems import shown

if TYPE_CHECKING:
    from rich.table import Table

Smoothing = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Aggregated:
    """Groups of runs, and how they are to be shown."""

    aggregates: list[Aggregate]
    decay: dict[str, float]
    smoothing: Smoothing
    band: AnyBand

    @property
    def most_runs(self) -> int:
        """The highest count."""
        return max(int(one.statistics.count.max()) for one in self.aggregates)


def write_csv(aggregated: Aggregated, file: IO[bytes]) -> None:
    """Write a line a group, tag and step, in UTF-8, with the digits that give floats back."""
    file.write((",".join(AGGREGATE_COLUMNS) + "\n").encode())
    for one in aggregated.aggregates:
        names = f"{csv_cell(one.run)},{csv_cell(one.tag)}"
        lines = [f"{names},{','.join(map(repr, row))}\n" for row in _rows(one)]
        file.write("".join(lines).encode())


def write_json(aggregated: Aggregated, file: IO[bytes]) -> None:
    """Write a list of objects, one a group, tag and step."""
    before = "[\n"
    for one in aggregated.aggregates:
        names = f'{{"run": {json.dumps(one.run)}, "tag": {json.dumps(one.tag)}, '
        lines = [
            names
            + ", ".join(
                f'"{name}": {json_number(number)}'
                for name, number in zip(("step", *STATISTICS), row, strict=True)
            )
            + "}"
            for row in _rows(one)
        ]
        file.write((before + ",\n".join(lines)).encode())
        before = ",\n"
    file.write(b"\n]\n")


def _rows(one: Aggregate) -> Iterator[tuple[Any, ...]]:
    """Yield step and statistics as Python's own numbers."""
    columns = (getattr(one.statistics, name).tolist() for name in STATISTICS)
    return zip(one.step.tolist(), *columns, strict=True)


def write_parquet(aggregated: Aggregated, file: IO[bytes]) -> None:
    """Write the DataFrame of `ewma.aggregate`; needs pyarrow."""
    to_pandas(aggregated.aggregates).to_parquet(file, engine="pyarrow", index=False)


def picture_writer(kind: str) -> Callable[[Aggregated, IO[bytes]], None]:
    """Return what draws the mean lines and their bands as "png", "svg" or "pdf"."""

    def write_picture(aggregated: Aggregated, file: IO[bytes]) -> None:
        from ewma._draw import Band, draw, save
        from ewma._plot import smoothing_note

        bands = []
        for one in sorted(aggregated.aggregates, key=lambda one: (one.tag, one.run)):
            s = one.statistics
            low, high = band_edges(aggregated.band, s.mean, s.std, s.min, s.max)
            bands.append(Band(one.run, one.tag, one.step, low, s.mean, high))
        which = "each run" if aggregated.smoothing == "before" else "mean and spread"
        note = (
            f"{band_note(aggregated.most_runs, aggregated.band)}; {which} "
            f"{smoothing_note(aggregated.decay)}"
        )
        save(draw(bands, note=note), file, kind)

    return write_picture


WRITERS: dict[str, Callable[[Aggregated, IO[bytes]], None]] = {
    ".csv": write_csv,
    ".json": write_json,
    ".parquet": write_parquet,
    **{f".{kind}": picture_writer(kind) for kind in PICTURES},
}


def summary_table(aggregated: Aggregated) -> Table:
    """Return a table for the terminal, a line a group and tag."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("runs", overflow="fold", min_width=NAME_WIDTH)
    table.add_column("tag", overflow="fold", min_width=NAME_WIDTH)
    for heading in ("count", "steps", "mean", "std", "lowest", "at step"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in aggregated.aggregates:
        table.add_row(*(Text(shown(cell)) for cell in _summary(one)))
    table.caption = (
        "count: the most runs at a step; mean, std: at the last step; lowest: lowest mean"
    )
    table.caption_justify = "left"
    return table


def summary_lines(aggregated: Aggregated) -> str:
    """Return the table's content for a narrow terminal: text that breaks anywhere."""
    lines = []
    for one in aggregated.aggregates:
        run, tag, count, steps, mean, std, lowest, at = map(shown, _summary(one))
        lines.append(
            f"{run} {tag}: up to {count} run{'' if count == '1' else 's'}, steps {steps}, last "
            f"mean {mean}, std {std}, lowest mean {lowest} at step {at}"
        )
    return "\n".join(lines) + "\n"


def _summary(one: Aggregate) -> tuple[str, ...]:
    s = one.statistics
    lowest, at = "-", "-"
    if np.isfinite(s.mean).any():
        place = int(np.nanargmin(s.mean))
        lowest, at = f"{s.mean[place]:.5g}", str(one.step[place])
    steps = f"{one.step[0]}..{one.step[-1]}"
    mean, std = f"{s.mean[-1]:.5g}", f"{s.std[-1]:.5g}"
    return one.run, one.tag, str(s.count.max()), steps, mean, std, lowest, at
