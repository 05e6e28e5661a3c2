"""A chart for the terminal that is drawn anew as points come in: a panel a tag, a curve a run."""

from __future__ import annotations

import math
import string
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.text import Text

from ewma._braille import Canvas
from ewma._natural_order import natural
from ewma._thin import thin
from ewma._ticks import tick_labels, ticks
from ewma.tensorboard._problems import shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from ewma._follow import SmoothedPoints

Floats = npt.NDArray[np.float64]

# Of the terminal's 256 colours: legible on black and on white, and apart for most eyes.
_COLOURS = ("color(33)", "color(208)", "color(35)", "color(170)", "color(136)", "color(44)",
            "color(160)", "color(99)", "color(246)", "color(107)")  # fmt: skip
_GREY = "color(244)"
_RAW = -2  # as the owner of a character: the raw values of the only run
_RUNS = len(_COLOURS)
_LETTERS = string.ascii_lowercase

_WIDTH, _HEIGHT = 36, 8  # of a panel, at least, in characters
_AXIS = 8  # characters for the labels of y
_NOTES = 2  # what went wrong: so many messages, of so many lines each

# More dots than a terminal is wide: a longer curve is thinned to the samples that show.
_FINEST = 1024


# For a terminal that is not in Unicode.
_ASCII = dict.fromkeys(range(0x2800, 0x2900), "*") | str.maketrans("│┤└·…", "|++-~")


# Heights are drawn as if they were no larger, and no nearer to each other.
_LARGEST, _LEAST = 1e300, 1e-290


class LiveChart:
    """What has come in so far, drawn as large as the terminal is at that moment.

    Parameters
    ----------
    title
        What is followed.
    note
        How it is smoothed.
    """

    def __init__(self, title: str, note: str) -> None:
        self._title, self._note = shown(title), note
        self._curves: dict[str, dict[str, _Curve]] = {}
        self._begun: dict[str, float] = {}
        self._step = 0
        self._said: deque[str] = deque(maxlen=_NOTES)
        self.version = 0  # grows with each change

    def add(self, new: SmoothedPoints) -> None:
        """Take up points, and drop those that they replace."""
        self.version += 1
        p = new.points
        if not self._begun:
            self._said.clear()  # that there is nothing yet
        self._begun.setdefault(p.run, float(p.wall_time[0]))
        self._step = int(p.step[-1])
        for tag in np.unique(p.tag).tolist():
            curves = self._curves.setdefault(p.tag_names[tag], {})
            curve = curves.setdefault(p.run, _Curve())
            if tag in new.replaced:
                curve.drop(new.replaced[tag], p.session)
            rows = p.tag == tag
            curve.add(p.session, p.step[rows].astype(float), p.value[rows], new.smoothed[rows])

    def say(self, line: str) -> None:
        """Show a line below the chart; it makes room for later ones."""
        self.version += 1
        self._said.append(line)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or max(console.height - 1, 1)
        colours = not (console.no_color or console.color_system is None)
        width = options.max_width
        said = [Text(line, style="yellow").wrap(console, width)[:_NOTES] for line in self._said]
        notes = [line for lines in said for line in lines]
        for line in self._lines(width, height, notes, colours)[:height]:
            line.truncate(width, overflow="ellipsis")
            if options.ascii_only:
                line.plain = line.plain.translate(_ASCII).encode("ascii", "replace").decode()
            yield line

    def _lines(self, width: int, height: int, notes: list[Text], colours: bool) -> list[Text]:
        latest = sorted(self._begun, key=self._begun.__getitem__)[-_RUNS:]
        runs = sorted(latest, key=natural)
        head = [self._head(width)]
        if not runs:
            return [*head, Text("waiting for scalars", style="dim"), *notes]
        legend = _legend(runs, width) if len(runs) > 1 else []
        if height - len(head) - len(legend) - len(notes) >= _HEIGHT:
            head += legend
        drawn = [tag for tag, curves in self._curves.items() if not curves.keys().isdisjoint(runs)]
        tags = sorted(drawn, key=natural)
        columns, rows = _grid(len(tags), width, height - len(head) - len(notes))
        if len(tags) > columns * rows or len(self._begun) > len(runs):
            notes.insert(0, self._left_out(tags, columns * rows, runs))
            columns, rows = _grid(len(tags), width, height - len(head) - len(notes))
        panel_width = (width + 2) // columns - 2
        panel_height = max((height - len(head) - len(notes)) // rows, 1)
        body = []
        for start in range(0, min(len(tags), columns * rows), columns):
            panels = [
                _panel(tag, self._curves[tag], runs, panel_width, panel_height, colours)
                for tag in tags[start : start + columns]
            ]
            body += [Text("  ").join(parts) for parts in zip(*panels, strict=True)]
        return [*head, *body, *notes]

    def _head(self, width: int) -> Text:
        head = Text(self._title, style="bold")
        runs = len(self._begun)
        facts = f"{runs} runs" if runs > 1 else f"step {self._step:,}" if runs == 1 else ""
        for fact in (facts, self._note):
            if fact and head.cell_len + len(fact) + 3 <= width:
                head.append(f" · {fact}", style="not bold dim")
        return head

    def _left_out(self, tags: list[str], room: int, runs: list[str]) -> Text:
        parts = []
        if len(tags) > room:
            parts.append(f"{room} of {len(tags)} tags (--tag chooses)")
        if len(self._begun) > len(runs):
            parts.append(f"{len(runs)} of {len(self._begun)} runs, the last to begin (--run)")
        return Text(", ".join(parts), style="dim")


class _Points(NamedTuple):
    """What is drawn, and the session that each point is of."""

    x: Floats
    y: Floats
    session: npt.NDArray[np.int64]

    def at(self, rows: Any) -> _Points:
        return _Points(self.x[rows], self.y[rows], self.session[rows])


class _Curve:
    """Steps, values and means, as many as can be told apart on a screen."""

    def __init__(self) -> None:
        self.raw = self.smoothed = _Points(np.empty(0), np.empty(0), np.empty(0, np.int64))
        self.last = math.nan

    def add(self, session: int, step: Floats, value: Floats, smoothed: Floats) -> None:
        sessions = np.full(len(step), session)
        self.raw = _longer(self.raw, _Points(step, _drawable(value), sessions))
        self.smoothed = _longer(self.smoothed, _Points(step, _drawable(smoothed), sessions))
        finite = smoothed[np.isfinite(smoothed)]
        if len(finite) > 0:
            self.last = float(finite[-1])

    def drop(self, step: int, session: int) -> None:
        """Forget everything from a step on that sessions before this one have."""
        self.raw, self.smoothed = (
            points.at((points.x < step) | (points.session >= session))
            for points in (self.raw, self.smoothed)
        )


def _drawable(y: Floats) -> Floats:
    """Return gaps for what is not finite, and heights whose differences are."""
    return np.where(np.isfinite(y), np.clip(y, -_LARGEST, _LARGEST), np.nan)


def _longer(curve: _Points, new: _Points) -> _Points:
    whole = _Points(
        np.concatenate([curve.x, new.x]),
        np.concatenate([curve.y, new.y]),
        np.concatenate([curve.session, new.session]),
    )
    return whole.at(thin(whole.x, whole.y, _FINEST)) if len(whole.x) > 16 * _FINEST else whole


def _grid(count: int, width: int, height: int) -> tuple[int, int]:
    """Return columns and rows of panels: as many as are needed and fit, nearest to 4 : 1 each."""
    widest, highest = max((width + 2) // (_WIDTH + 2), 1), max(height // _HEIGHT, 1)
    best = (0, 0.0, 1, 1)
    for columns in range(1, min(widest, count) + 1):
        rows = min(math.ceil(count / columns), highest)
        shape = abs(math.log(max(width / columns, 1) / max(4 * height / rows, 1)))
        best = max(best, (min(columns * rows, count), -shape, columns, rows))
    return best[2], best[3]


def _legend(runs: list[str], width: int) -> list[Text]:
    """Return lines with the letter and the name of each run, at most three."""
    lines = [Text()]
    for number, run in enumerate(runs):
        name = Text(f"{_LETTERS[number]} {shown(run)}", style=_COLOURS[number])
        name.truncate(max(width - 2, 1), overflow="ellipsis")
        if lines[-1].cell_len + name.cell_len + 2 > width and lines[-1].cell_len > 0:
            if len(lines) == 3:
                lines[-1].append(" …")
                break
            lines.append(Text())
        if lines[-1].cell_len > 0:
            lines[-1].append("  ")
        lines[-1].append_text(name)
    return lines


def _panel(
    tag: str,
    curves: dict[str, _Curve],
    runs: list[str],
    width: int,
    height: int,
    colours: bool,
) -> list[Text]:
    """Return the lines of one tag's panel, each `width` wide."""
    numbered = [(n, curves[run]) for n, run in enumerate(runs) if run in curves]
    title = Text(shown(tag), style="bold")
    if len(runs) == 1:
        value = f"{numbered[0][1].last:.4g}"
        title.truncate(max(width - len(value) - 2, 1), overflow="ellipsis", pad=True)
        title.append(f" {value} ", style=f"not bold {_COLOURS[0]}")
    right = (
        0
        if len(runs) == 1 or width < _WIDTH
        else 1 + max(len(_end_label(n, curve)) for n, curve in numbered)
    )
    inside, rows = width - _AXIS - 1 - right, height - 2
    if inside < 4 or rows < 2:
        return _fitted([title], width, height)
    (x_low, x_high), (y_low, y_high) = _limits(numbered)
    canvas = Canvas(inside, rows, (x_low, x_high), (y_low, y_high))
    for n, curve in numbered:
        canvas.line(n, curve.smoothed.x, curve.smoothed.y)
    if len(runs) == 1 and colours:  # without colours they would hide the curve
        canvas.dots(_RAW, numbered[0][1].raw.x, numbered[0][1].raw.y)
    left = _y_labels(canvas, y_low, y_high, rows)
    ends = _end_labels(canvas, numbered, rows) if right else {}
    lines = [title]
    for row, cells in enumerate(canvas.cells()):
        line = Text(f"{left.get(row, ''):>{_AXIS}}", style="dim")
        line.append("┤" if row in left else "│")
        for text, owner in cells:
            style = _GREY if owner == _RAW else "" if owner < 0 else _COLOURS[owner]
            line.append(text, style=f"not dim {style}")
        if row in ends:
            n, label = ends[row]
            line.append(f" {label}", style=f"not dim {_COLOURS[n]}")
        lines.append(line)
    lines.append(_x_labels(x_low, x_high, inside))
    return _fitted(lines, width, height)


def _limits(
    numbered: list[tuple[int, _Curve]],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the stretches of x and y that the curves take up."""
    x = np.concatenate([curve.smoothed.x for _, curve in numbered])
    y = np.concatenate([curve.smoothed.y for _, curve in numbered])
    y = y[np.isfinite(y)]
    least = max(abs(float(y[0])) / 20, _LEAST) if len(y) > 0 else 1.0
    return _stretch(x, max(1.0, abs(float(x[0])) / 1e12)), _stretch(y, least)


def _stretch(values: Floats, least: float) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if len(values) > 0 else (0.0, 0.0)
    return (low, high) if high - low > _LEAST else (low - least, high + least)


def _y_labels(canvas: Canvas, low: float, high: float, rows: int) -> dict[int, str]:
    numbers = ticks(low, high, max(rows // 2, 1)) or [low, high]
    labels = zip(numbers, tick_labels(numbers), strict=True)
    return {canvas.row_of(number): label[:_AXIS] for number, label in labels}


def _x_labels(low: float, high: float, inside: int) -> Text:
    first, last = f"{low:,.0f}", f"{high:,.0f}"
    if len(first) + len(last) + 2 > inside:
        first, last = f"{low:.3g}", f"{high:.3g}"
    line = Text(" " * _AXIS + "└", style="dim")
    gap = inside - len(first) - len(last)
    line.append(first + " " * gap + last if gap >= 2 else last.rjust(inside)[:inside])
    return line


def _end_label(number: int, curve: _Curve) -> str:
    return f"{_LETTERS[number]} {curve.last:.3g}"


def _end_labels(
    canvas: Canvas, numbered: list[tuple[int, _Curve]], rows: int
) -> dict[int, tuple[int, str]]:
    """Return for rows the curve that ends there, or as near as there is room."""
    placed: dict[int, tuple[int, str]] = {}
    ending = [(n, curve) for n, curve in numbered if math.isfinite(curve.last)]
    for n, curve in sorted(ending, key=lambda item: -item[1].last):
        wanted = min(max(canvas.row_of(curve.last), 0), rows - 1)
        free = [row for row in range(rows) if row not in placed]
        if free:
            placed[min(free, key=lambda row: (abs(row - wanted), -row))] = (n, _end_label(n, curve))
    # From top to bottom as the curves end, wherever there was room.
    order = sorted(placed.values(), key=lambda item: -dict(numbered)[item[0]].last)
    return dict(zip(sorted(placed), order, strict=True))


def _fitted(lines: list[Text], width: int, height: int) -> list[Text]:
    """Return `height` lines, each exactly `width` wide."""
    lines = [*lines, *(Text() for _ in range(height - len(lines)))][:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis", pad=True)
    return lines
