"""Smoothed scalars as CSV, JSON, Parquet, a picture, a table or a list: one function a format."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ewma._bands import AnyBand
from ewma.tensorboard._columns import Rows, ScalarColumns
from ewma.tensorboard._problems import shown

if TYPE_CHECKING:
    from rich.table import Table

HEADER = ("run", "tag", "step", "wall_time", "value", "smoothed")
SEGMENT_HEADER = (*HEADER[:-1], "segment", HEADER[-1])  # where versions are told apart
NAME_WIDTH = 16  # columns that a run's or tag's name has at least in the table
_CHUNK = 10_000  # rows turned into text at a time


@dataclass(frozen=True, slots=True)
class Smoothed:
    """Scalars and their smoothed values, row by row, and how they were smoothed.

    `betas` is what each series chose for itself, in their order, where the decay is beta = "auto".
    `band` is what a picture draws around each curve.
    """

    columns: ScalarColumns
    smoothed: npt.NDArray[np.float64]
    decay: dict[str, Any]
    x: str = "step"
    betas: list[float] | None = None
    band: AnyBand | None = None

    def rows(self, segment: str) -> Iterator[zip[tuple[Any, ...]]]:
        """Yield chunks of rows as Python's own numbers, run and tag as codes.

        The segment comes as text: `segment` with its number in place of {}, or "" without any.
        """
        c = self.columns
        arrays = (c.run, c.tag, c.step, c.wall_time, c.value, self.smoothed)
        for start in range(0, len(c), _CHUNK):
            part = slice(start, start + _CHUNK)
            numbers = (array[part].tolist() for array in arrays)
            if c.segment is None:
                yield zip(*numbers, repeat(""))
            else:
                yield zip(*numbers, map(segment.format, c.segment[part].tolist()), strict=True)


def write_csv(scalars: Smoothed, file: IO[bytes], header: bool = True) -> None:
    """Write a line a point, in UTF-8. Floats have the digits that give them back exactly."""
    runs = [csv_cell(name) for name in scalars.columns.run_names]
    tags = [csv_cell(name) for name in scalars.columns.tag_names]
    if header:
        names = HEADER if scalars.columns.segment is None else SEGMENT_HEADER
        file.write((",".join(names) + "\n").encode())
    for chunk in scalars.rows(",{}"):
        lines = [
            f"{runs[run]},{tags[tag]},{step},{wall!r},{value!r}{segment},{smoothed!r}\n"
            for run, tag, step, wall, value, smoothed, segment in chunk
        ]
        file.write("".join(lines).encode())


def csv_cell(name: str) -> str:
    """Return a text as one cell, which no spreadsheet takes for a formula."""
    # A spreadsheet would take such a text for a formula and run it; an apostrophe says it is text.
    if name.startswith(("=", "+", "-", "@", "\t", "\r")):
        name = "'" + name
    # csv.writer quotes a newline or not, depending on Python's version.
    if name and not any(c in name for c in ',"\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'


def write_json(scalars: Smoothed, file: IO[bytes]) -> None:
    """Write a list of objects, one a point; NaN and infinities as protobuf's JSON writes them."""
    runs = [json.dumps(name) for name in scalars.columns.run_names]
    tags = [json.dumps(name) for name in scalars.columns.tag_names]
    file.write(b"[")
    before = "\n"
    for chunk in scalars.rows(', "segment": {}'):
        lines = [
            f'{{"run": {runs[run]}, "tag": {tags[tag]}, "step": {step}, '
            f'"wall_time": {json_number(wall)}, "value": {json_number(value)}{segment}, '
            f'"smoothed": {json_number(smoothed)}}}'
            for run, tag, step, wall, value, smoothed, segment in chunk
        ]
        file.write((before + ",\n".join(lines)).encode())
        before = ",\n"
    file.write(b"\n]\n")


def json_number(value: float) -> str:
    """Return a number as protobuf's JSON writes it."""
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def write_parquet(scalars: Smoothed, file: IO[bytes]) -> None:
    """Write the DataFrame of `ewma.smooth_scalars`; needs pyarrow."""
    frame = scalars.columns.to_pandas()
    frame["smoothed"] = scalars.smoothed
    frame.to_parquet(file, engine="pyarrow", index=False)


def picture_writer(kind: str) -> Callable[[Smoothed, IO[bytes]], None]:
    """Return what draws the curves as "png", "svg" or "pdf"."""

    def write_picture(scalars: Smoothed, file: IO[bytes]) -> None:
        from ewma._draw import Curve, draw, save
        from ewma._plot import curve_band_note, scalar_x, smoothing_note, spread

        c = scalars.columns
        series = sorted(c.series(), key=lambda series: (series[1], series[0]))
        runs = [run for run, _, _ in series]
        steps = [c.step[rows] for _, _, rows in series]
        wall_times = [c.wall_time[rows] for _, _, rows in series]
        xs, label = scalar_x(scalars.x, runs, steps, wall_times)
        curves = [
            Curve(
                run,
                tag,
                x,
                c.value[rows],
                scalars.smoothed[rows],
                spread(c.value[rows], scalars.decay, scalars.band),
            )
            for (run, tag, rows), x in zip(series, xs, strict=True)
        ]
        note = smoothing_note(scalars.decay, scalars.betas) + curve_band_note(scalars.band)
        save(draw(curves, x_label=label, note=note), file, kind)

    return write_picture


PICTURES = ("png", "svg", "pdf")

WRITERS: dict[str, Callable[[Smoothed, IO[bytes]], None]] = {
    ".csv": write_csv,
    ".json": write_json,
    ".parquet": write_parquet,
    **{f".{kind}": picture_writer(kind) for kind in PICTURES},
}


def summary_table(scalars: Smoothed) -> Table:
    """Return a table for the terminal, a line a run and tag."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("run", overflow="fold", min_width=NAME_WIDTH)
    table.add_column("tag", overflow="fold", min_width=NAME_WIDTH)
    for heading in ("points", "steps", "last", "smoothed", "lowest", "at step"):
        table.add_column(heading, justify="right", no_wrap=True)
    if scalars.betas is not None:
        table.add_column("beta", justify="right", no_wrap=True)
    for i, (run, tag, rows) in enumerate(scalars.columns.series()):
        s = _summary(scalars, rows)
        steps = f"{s.first_step}..{s.last_step}"
        cells = [run, tag, s.points, steps, s.last, s.smoothed, s.lowest, s.lowest_step]
        if scalars.betas is not None:
            cells.append(f"{scalars.betas[i]:.5g}")
        table.add_row(*(Text(shown(cell)) for cell in cells))  # Text: "[b]" in a tag is no markup
    table.caption = "last: value; smoothed: the same, smoothed; lowest: lowest smoothed value"
    table.caption_justify = "left"
    return table


def summary_lines(scalars: Smoothed) -> str:
    """Return the table's content for a narrow terminal: text that breaks anywhere."""
    lines = []
    for i, (run, tag, rows) in enumerate(scalars.columns.series()):
        s = _summary(scalars, rows)
        lines.append(
            f"{shown(run)} {shown(tag)}: {s.points} point{'' if s.points == '1' else 's'}, "
            f"steps {s.first_step} to {s.last_step}, last {s.last}, "
            f"smoothed {s.smoothed}, lowest smoothed {s.lowest} at step {s.lowest_step}"
            + ("" if scalars.betas is None else f", beta {scalars.betas[i]:.5g}")
        )
    return "\n".join(lines) + "\n"


class _Summary(NamedTuple):
    points: str
    first_step: str
    last_step: str
    last: str
    smoothed: str
    lowest: str
    lowest_step: str


def _summary(scalars: Smoothed, rows: Rows) -> _Summary:
    step, smoothed = scalars.columns.step[rows], scalars.smoothed[rows]
    last = scalars.columns.value[rows][-1]
    lowest, lowest_step = "-", "-"
    if np.isfinite(smoothed).any():
        at = int(np.argmin(np.where(np.isfinite(smoothed), smoothed, np.inf)))
        lowest, lowest_step = f"{smoothed[at]:.5g}", str(step[at])
    return _Summary(
        str(len(step)),
        str(step[0]),
        str(step[-1]),
        f"{last:.5g}",
        f"{smoothed[-1]:.5g}",
        lowest,
        lowest_step,
    )


def series_list(columns: ScalarColumns) -> str:
    """Return a line a run and tag, with the number of points, separated by tabs."""
    lines = ["run\ttag\tpoints"]
    for run, tag, rows in columns.series():
        lines.append(f"{shown(run)}\t{shown(tag)}\t{len(columns.step[rows])}")
    return "\n".join(lines) + "\n"
