"""Aggregated runs as columns, a picture or a table for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

import numpy as np

from ewma._aggregate import STATISTICS, Aggregate, aggregate_table
from ewma._bands import AnyBand, band_edges, band_note
from ewma._natural_order import natural
from ewma._table import Table
from ewma._wide import wide
from ewma.report import MOST_LINES, NAME_WIDTH, more_lines
from ewma.tensorboard._problems import shown

if TYPE_CHECKING:
    from rich.table import Table as SummaryTable

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

    def note(self) -> str | None:
        """Say where the runs share too few steps to be compared without a grid."""
        apart = [(one, *_alone(one)) for one in self.aggregates if one.runs > 1]
        apart = [(one, alone, steps) for one, alone, steps in apart if 2 * alone > steps]
        if not apart:
            return None
        one, alone, steps = apart[0]
        others = f" (and {len(apart) - 1} more)" if len(apart) > 1 else ""
        return (
            f"note: {shown(one.run)}, {shown(one.tag)}{others}: at {alone:,} of {steps:,} steps "
            f"only one of {one.runs} runs is there; add --align WIDTH to compare them at the same "
            "steps."
        )

    def table(self, *, is_wide: bool = False) -> Table:
        """Return a row a group, tag and step, as `ewma.aggregate` does.

        Wide: a row a group and step, and columns of statistics for each tag.
        """
        table = aggregate_table(self.aggregates)
        return wide(table, {name: f".{name}" for name in STATISTICS}) if is_wide else table

    def draw(self, file: IO[bytes], *, kind: str) -> None:
        """Draw the mean lines and their bands as "png", "svg" or "pdf"."""
        from ewma._draw import Band, draw, save
        from ewma._plot import smoothing_note

        bands = []
        for one in sorted(self.aggregates, key=lambda one: (natural(one.tag), natural(one.run))):
            s = one.statistics
            low, high = band_edges(self.band, s.mean, s.std, s.min, s.max)
            bands.append(Band(one.run, one.tag, one.step, low, s.mean, high))
        which = "each run" if self.smoothing == "before" else "mean and spread"
        note = f"{band_note(self.most_runs, self.band)}; {which} {smoothing_note(self.decay)}"
        save(draw(bands, note=note), file, kind)

    def _in_order(self) -> list[Aggregate]:
        """Return the groups as a person counts."""
        return sorted(self.aggregates, key=lambda one: (natural(one.run), natural(one.tag)))

    def summary_table(self, *, is_narrow: bool = False) -> SummaryTable:
        """Return a table for the terminal, a line a group and tag; narrow, without the lowest."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("runs", overflow="fold", min_width=NAME_WIDTH)
        table.add_column("tag", overflow="fold", min_width=NAME_WIDTH)
        headings = ("count", "steps", "mean", "std", "lowest", "at step")
        for heading in headings[:4] if is_narrow else headings:
            table.add_column(heading, justify="right", no_wrap=True)
        groups = self._in_order()
        for one in groups[:MOST_LINES]:
            cells = _summary(one)
            table.add_row(*(Text(shown(cell)) for cell in cells[: len(table.columns)]))
        table.caption = "count: the most runs at a step; mean, std: at the last step"
        if not is_narrow:
            table.caption += "; lowest: lowest mean"
        table.caption += more_lines(len(groups))
        table.caption_justify = "left"
        return table

    def summary_lines(self) -> str:
        """Return the table's content for a narrow terminal: text that breaks anywhere."""
        lines = []
        for one in self._in_order():
            run, tag, count, steps, mean, std, lowest, at = map(shown, _summary(one))
            lines.append(
                f"{run} {tag}: up to {count} run{'' if count == '1' else 's'}, steps {steps}, last "
                f"mean {mean}, std {std}, lowest mean {lowest} at step {at}"
            )
        return "\n".join(lines) + "\n"


def _alone(one: Aggregate) -> tuple[int, int]:
    """Return at how many steps a single run is there, and of how many, before others have ended."""
    shared = np.flatnonzero(one.statistics.count > 1)
    count = (
        one.statistics.count[shared[0] : shared[-1] + 1] if len(shared) else one.statistics.count
    )
    return int(np.sum(count < 2)), len(count)


def _summary(one: Aggregate) -> tuple[str, ...]:
    s = one.statistics
    lowest, at = "-", "-"
    if np.isfinite(s.mean).any():
        place = int(np.nanargmin(s.mean))
        lowest, at = f"{s.mean[place]:.5g}", str(one.step[place])
    steps = f"{one.step[0]}..{one.step[-1]}"
    mean = f"{s.mean[-1]:.5g}"
    std = "-" if s.count[-1] == 1 else f"{s.std[-1]:.5g}"  # of one run there is none
    return one.run, one.tag, str(s.count.max()), steps, mean, std, lowest, at
