"""Smoothed scalars as columns, a picture, a table for the terminal or a list."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ewma._bands import AnyBand
from ewma._natural_order import natural
from ewma._table import Table
from ewma._wide import wide
from ewma.tensorboard._columns import Rows, ScalarColumns
from ewma.tensorboard._problems import shown
from ewma.tensorboard._written import SMOOTHED

if TYPE_CHECKING:
    from rich.table import Table as SummaryTable

HEADER = ("run", "tag", "step", "wall_time", "value", "smoothed")
MOST_LINES = 1000  # of the table: laying out more takes seconds, and nobody reads them
NAME_WIDTH = 16  # columns that a run's or tag's name has at least in the table


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

    def table(self, *, is_wide: bool = False) -> Table:
        """Return a row a point, as `ewma.smooth_scalars` does.

        Wide: a row a run and step; values stand under their tag, smoothed ones beside them.
        """
        table = {**self.columns.table(), "smoothed": self.smoothed}
        if not is_wide:
            return table
        del table["wall_time"]  # each tag may have its own
        segment = {"segment": table.pop("segment")} if "segment" in table else {}
        return wide({"run": table["run"], **segment, **table}, {"value": "", "smoothed": SMOOTHED})

    def draw(self, file: IO[bytes], *, kind: str) -> None:
        """Draw the curves as "png", "svg" or "pdf"."""
        from ewma._draw import Curve, draw, save
        from ewma._plot import curve_band_note, scalar_x, smoothing_note, spread

        c = self.columns
        own = repeat(self.decay) if self.betas is None else ({"beta": b} for b in self.betas)
        series = sorted(
            zip(c.series(), own, strict=False),
            key=lambda one: (natural(one[0][1]), natural(one[0][0])),
        )
        runs = [run for (run, _, _), _ in series]
        steps = [c.step[rows] for (_, _, rows), _ in series]
        wall_times = [c.wall_time[rows] for (_, _, rows), _ in series]
        xs, label = scalar_x(self.x, runs, steps, wall_times)
        curves = []
        for ((run, tag, rows), decay), x in zip(series, xs, strict=True):
            width = spread(c.value[rows], decay, self.band)
            curves.append(Curve(run, tag, x, c.value[rows], self.smoothed[rows], width))
        note = smoothing_note(self.decay, self.betas) + curve_band_note(self.band)
        save(draw(curves, x_label=label, note=note), file, kind)

    def _in_order(self) -> list[tuple[int, tuple[str, str, Rows]]]:
        """Return the series, and each one's number, as a person counts."""
        numbered = enumerate(self.columns.series())
        return sorted(numbered, key=lambda one: (natural(one[1][0]), natural(one[1][1])))

    def summary_table(self, *, is_narrow: bool = False) -> SummaryTable:
        """Return a table for the terminal, a line a run and tag; narrow, without the lowest."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("run", overflow="fold", min_width=NAME_WIDTH)
        table.add_column("tag", overflow="fold", min_width=NAME_WIDTH)
        lowest = () if is_narrow else ("lowest", "at step")
        for heading in ("points", "steps", "last", "smoothed", *lowest):
            table.add_column(heading, justify="right", no_wrap=True)
        if self.betas is not None:
            table.add_column("beta", justify="right", no_wrap=True)
        series = self._in_order()
        for i, (run, tag, rows) in series[:MOST_LINES]:
            s = _summary(self, rows)
            steps = f"{s.first_step}..{s.last_step}"
            cells = [run, tag, s.points, steps, s.last, s.smoothed]
            if not is_narrow:
                cells += [s.lowest, s.lowest_step]
            if self.betas is not None:
                cells.append(f"{self.betas[i]:.5g}")
            # Text: "[b]" in a tag is no markup
            table.add_row(*(Text(shown(cell)) for cell in cells))
        table.caption = "last: value; smoothed: the same, smoothed"
        if not is_narrow:
            table.caption += "; lowest: lowest smoothed value"
        table.caption += more_lines(len(series))
        table.caption_justify = "left"
        return table

    def summary_lines(self) -> str:
        """Return the table's content for a narrow terminal: text that breaks anywhere."""
        lines = []
        for i, (run, tag, rows) in self._in_order():
            s = _summary(self, rows)
            lines.append(
                f"{shown(run)} {shown(tag)}: {s.points} point{'' if s.points == '1' else 's'}, "
                f"steps {s.first_step} to {s.last_step}, last {s.last}, "
                f"smoothed {s.smoothed}, lowest smoothed {s.lowest} at step {s.lowest_step}"
                + ("" if self.betas is None else f", beta {self.betas[i]:.5g}")
            )
        return "\n".join(lines) + "\n"


def more_lines(count: int) -> str:
    """Say how many of so many lines a table leaves out."""
    if count <= MOST_LINES:
        return ""
    return f"\n{count - MOST_LINES:,} more: --tag and --run choose, a pipe and -o have all"


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
    versions = columns.segment
    lines = ["run\ttag\tpoints" if versions is None else "run\ttag\tsegment\tpoints"]
    for run, tag, rows in columns.series():
        cells = [shown(run), shown(tag)]
        if versions is not None:
            cells.append(str(versions[rows][0]))
        lines.append("\t".join([*cells, str(len(columns.step[rows]))]))
    return "\n".join(lines) + "\n"
