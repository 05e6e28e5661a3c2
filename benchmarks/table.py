"""The rows of the table: two measurements, their ratio, and the target for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from timing import Ratio, Samples, ratio


class Target(NamedTuple):
    """`<=` limits ours / theirs, `>=` limits theirs / ours."""

    sign: Literal["<=", ">="]
    limit: float


@dataclass(frozen=True)
class Row:
    """One comparison.

    Parameters
    ----------
    work, peer
        What was done, and what it is compared with.
    ours, theirs
        A number a round, from the same rounds.
    target
        None if the row is shown for information: theirs / ours.
    show
        Turns a number into text with its unit.
    """

    work: str
    ours: Samples
    peer: str
    theirs: Samples
    target: Target | None
    show: Callable[[float], str]

    @property
    def met(self) -> bool | None:
        """Whether the median ratio reaches the target."""
        if self.target is None:
            return None
        median = self._ratio().median
        limit = self.target.limit
        return median <= limit if self.target.sign == "<=" else median >= limit

    def cells(self) -> list[str]:
        """Return the texts of the row."""
        measured = self._ratio()
        return [
            self.work,
            self.show(statistics.median(self.ours)),
            self.peer,
            self.show(statistics.median(self.theirs)),
            f"{_digits(measured.median)} ({_digits(measured.low)} to {_digits(measured.high)})",
            "" if self.target is None else f"{self.target.sign} {self.target.limit:g}",
            {None: "", True: "yes", False: "**no**"}[self.met],
        ]

    def _ratio(self) -> Ratio:
        if self.target is not None and self.target.sign == "<=":
            return ratio(self.ours, self.theirs)
        return ratio(self.theirs, self.ours)


HEADER = ["work", "ewma", "compared with", "", "ratio (quartiles)", "target", "met"]


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table with aligned columns."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def seconds(value: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{_digits(value / size)} {unit}"
    return f"{_digits(value / 1e-9)} ns"


def mebibytes(value: float) -> str:
    """Return bytes in MiB."""
    return f"{_digits(value / 2**20)} MiB"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
