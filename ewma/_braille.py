"""A grid of dots drawn with braille characters, two dots wide and four high each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
_BLANK = 0x2800


class Canvas:
    """Curves on a plane from `low` to `high` in x and y; each character has one curve's colour.

    Parameters
    ----------
    width, height
        In characters.
    x, y
        The lowest and the highest coordinate, at the middle of the outermost dots.
    """

    def __init__(
        self, width: int, height: int, x: tuple[float, float], y: tuple[float, float]
    ) -> None:
        self._dots = np.zeros((height, width), np.uint8)
        self._owner = np.full((height, width), -1)
        self._x, self._y = x, y

    def line(self, owner: int, x: Floats, y: Floats) -> None:
        """Draw straight lines from point to point; a point that is not finite is a gap."""
        column, row = self._place(x, y)
        drawn = np.isfinite(column) & np.isfinite(row)
        self._set(owner, column[drawn], row[drawn])
        joined = np.flatnonzero(drawn[1:] & drawn[:-1])
        across, down = np.diff(column)[joined], np.diff(row)[joined]
        count = np.maximum(np.abs(across), np.abs(down)).astype(np.intp) + 1
        start = np.repeat(joined, count)
        part = (np.arange(len(start)) - np.repeat(np.cumsum(count) - count, count)) / np.repeat(
            count, count
        )
        self._set(
            owner,
            column[start] + part * np.repeat(across, count),
            row[start] + part * np.repeat(down, count),
        )

    def dots(self, owner: int, x: Floats, y: Floats) -> None:
        """Draw single points where there is no curve yet; what lies outside is left out."""
        column, row = self._place(x, y)
        height, width = self._dots.shape
        inside = (row > -0.5) & (row < 4 * height - 0.5) & (column > -0.5)
        inside &= column < 2 * width - 0.5
        i, j = _nearest(row[inside], 4 * height), _nearest(column[inside], 2 * width)
        free = np.isin(self._owner[i // 4, j // 2], (-1, owner))
        self._mark(owner, i[free], j[free])

    def row_of(self, y: float) -> int:
        """Return the row of characters that a height falls in."""
        return int(np.rint(self._place(np.zeros(1), np.array([y]))[1][0])) // 4

    def cells(self) -> list[list[tuple[str, int]]]:
        """Return each row as stretches of text with the curve that they belong to, or -1."""
        rows = []
        for dots, owner in zip(self._dots, self._owner, strict=True):
            text = "".join(chr(_BLANK + dot) if dot else " " for dot in dots.tolist())
            ends = [*(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]
            starts = [0, *ends[:-1]]
            rows.append([(text[a:b], int(owner[a])) for a, b in zip(starts, ends, strict=True)])
        return rows

    def _place(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        height, width = self._dots.shape
        (left, right), (low, high) = self._x, self._y
        across = (x - left) / (right - left) * (2 * width - 1)
        down = (high - y) / (high - low) * (4 * height - 1)
        return across, down

    def _set(self, owner: int, column: Floats, row: Floats) -> None:
        height, width = self._dots.shape
        self._mark(owner, _nearest(row, 4 * height), _nearest(column, 2 * width))

    def _mark(self, owner: int, i: npt.NDArray[np.intp], j: npt.NDArray[np.intp]) -> None:
        np.bitwise_or.at(self._dots, (i // 4, j // 2), _DOTS[i % 4, j % 2])
        self._owner[i // 4, j // 2] = owner


def _nearest(place: Floats, count: int) -> npt.NDArray[np.intp]:
    return np.clip(np.rint(place).astype(np.intp), 0, count - 1)
