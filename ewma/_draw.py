"""The picture: one panel a tag, one colour a run, the raw curve faint behind the smoothed one.

It knows matplotlib and NumPy and nothing of where the curves come from. Figures are built without
pyplot, so nothing global is touched and no display is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ewma._labels import Labeller

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 150
RAW_ALPHA = 0.25
SMALL = 8.0  # points: legend and note
TITLE = 9.5
LEGEND_WIDTH = 260.0  # points: the longest name in the legend

# Petroff's ten (arXiv:2107.02270), made for colour-blind readers, then ten more, each the colour
# farthest from all before it, both as it is and as seen with deuteranopia.
COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
    *("#313d00", "#003179", "#ce92ff", "#0000ff", "#6d3d55"),
    *("#6161ff", "#3d00b6", "#186100", "#610049", "#b600aa"),
)

# What is larger is drawn here: matplotlib's sums of limits, margins and ticks would overflow.
HUGE = 1e306


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One run's values under one tag.

    Parameters
    ----------
    run, tag
        The curve's colour and its panel.
    x
        Numbers, or datetime64 for an axis of dates, shape (n,).
    raw, smoothed
        Values, shape (n,). What is not finite is a gap.
    """

    run: str
    tag: str
    x: NDArray[Any]
    raw: NDArray[np.float64]
    smoothed: NDArray[np.float64]


def draw(
    curves: Sequence[Curve],
    *,
    x_label: str = "step",
    note: str = "",
    axes: Axes | Iterable[Axes] | None = None,
    tz: tzinfo | None = None,
) -> Figure:
    """Draw curves, one panel a tag in the order in which the tags first appear.

    The limits of y hold every smoothed point. A raw outlier is cut off where showing it would take
    more than half of what the smoothed curves and 98 % of the raw points need.

    Parameters
    ----------
    curves
        At least one.
    x_label
        What x is, with its unit.
    note
        A line in small print, such as how the curves were smoothed.
    axes
        Where to draw: as many axes as there are tags. By default a new figure is made.
    tz
        The time zone in which dates are shown, UTC by default.

    Returns
    -------
    Figure
        The new one, or the one that `axes` belong to. It is not known to pyplot.

    Raises
    ------
    ValueError
        If there are no curves, or not as many axes as tags.

    Examples
    --------
    >>> x, y = np.arange(3), np.array([1.0, 3.0, 2.0])
    >>> figure = draw([Curve("a", "loss", x, y, y), Curve("a", "accuracy", x, y, y)])
    >>> [panel.get_title() for panel in figure.axes]
    ['loss', 'accuracy']
    """
    if not curves:
        raise ValueError("there must be at least one curve to draw, got none")
    panels: dict[str, list[Curve]] = {}
    for curve in curves:
        panels.setdefault(curve.tag, []).append(curve)
    runs = list(dict.fromkeys(curve.run for curve in curves))
    colours = dict(zip(runs, run_colours(len(runs)), strict=True))
    labeller = Labeller([*panels, *runs, x_label, note])

    if axes is None:
        figure, places = _new_figure(len(panels))
    else:
        places = _given_axes(axes, len(panels))
        figure = places[0].figure.figure  # the outermost, should they lie in a subfigure
    for place, (tag, members) in zip(places, panels.items(), strict=True):
        width = place.get_position().width * figure.get_figwidth() * 72
        _draw_panel(place, members, colours, labeller, width, tz)
        place.set_title(labeller.fit(tag, width, TITLE), fontsize=TITLE)
        place.set_xlabel(labeller.fit(x_label, width, SMALL), fontsize=SMALL)
        labeller.style(place.title, place.xaxis.label)
    if axes is None:
        for place, members in zip(places, panels.values(), strict=True):
            _dress(place, {curve.x.dtype.kind for curve in members})
        _finish(figure, places, colours, note, labeller)
    elif len(runs) > 1:
        _legend(places[0], colours, labeller, 150.0, loc="best", framealpha=0.7)
    return figure


def save(figure: Figure, file: str | os.PathLike[str] | IO[bytes], format: str) -> None:
    """Write a figure as "png", "svg" or "pdf": the same bytes for the same figure."""
    import matplotlib

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "ewma"}):
        figure.savefig(file, format=format, dpi=DPI, metadata=undated.get(format))


def run_colours(count: int) -> list[Any]:
    """Return `count` colours: as distinct as may be up to twenty, a colour map's beyond."""
    from matplotlib import colormaps

    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(colormaps["turbo"](np.linspace(0.03, 0.97, count)))


def thin(x: NDArray[np.float64], y: NDArray[np.float64], columns: int) -> NDArray[np.intp]:
    """Return the indices of the samples that are needed to draw a curve `columns` pixels wide.

    A million samples on a few hundred columns of pixels are slow to draw and make a file of many
    megabytes. Of the samples in one column only the first, the last, the lowest and the highest
    show, so the picture and its extremes stay the same (M4 aggregation, Jugel et al. 2014). A mean
    or every k-th sample would lose the spikes.
    """
    n = len(x)
    if n <= 4 * columns:
        return np.arange(n)
    placed = np.isfinite(x)
    low, high = (x[placed].min(), x[placed].max()) if placed.any() else (0.0, 0.0)
    scale = columns / (high - low) if high > low else 0.0
    column = np.where(placed, (x - low) * scale, -1.0).astype(np.intp)
    starts = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
    if len(starts) > 2 * columns:  # x runs to and fro: columns of samples instead of pixels
        starts = np.arange(columns) * n // columns
    ends = np.r_[starts[1:], n]
    group = np.repeat(np.arange(len(starts)), ends - starts)
    finite = np.where(np.isfinite(y), y, np.nan)
    kept = [starts, ends - 1]
    for extreme in (np.fmin, np.fmax):
        hits = np.flatnonzero(finite == extreme.reduceat(finite, starts)[group])
        kept.append(hits[np.r_[True, np.diff(group[hits]) > 0]] if len(hits) else hits)
    return np.unique(np.concatenate(kept))


def y_limits(curves: Iterable[Curve]) -> tuple[float, float] | None:
    """Return the limits of y for one panel, or None if it has no finite value.

    All smoothed values lie within. So do the raw ones from the 1st to the 99th percentile, and the
    others too unless that side would then grow by more than half.
    """
    smoothed, usual, every = [], [], []
    for curve in curves:
        raw = curve.raw[np.isfinite(curve.raw)]
        line = curve.smoothed[np.isfinite(curve.smoothed)]
        if len(line):
            smoothed += [line.min(), line.max()]
        if len(raw):
            every += [raw.min(), raw.max()]
            usual += [*np.quantile(raw, [0.01, 0.99], method="nearest")]
    if not smoothed + every:
        return None
    low, high = _clipped(min(smoothed + usual), max(smoothed + usual))
    lowest, highest = _clipped(min(smoothed + every), max(smoothed + every))
    room = (high - low) / 2 or math.inf
    low = lowest if low - lowest <= room else low
    high = highest if highest - high <= room else high
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def _clipped(*limits: float) -> list[float]:
    return [min(max(float(limit), -HUGE), HUGE) for limit in limits]


def _draw_panel(
    place: Axes,
    curves: Sequence[Curve],
    colours: dict[str, Any],
    labeller: Labeller,
    width: float,
    tz: tzinfo | None,
) -> None:
    """Draw the curves of one tag into axes that are `width` points wide."""
    columns = max(100, round(width / 72 * DPI))
    limits = y_limits(curves)
    occupied = place.has_data()
    if limits and occupied:  # the caller's own curves stay in sight
        shown = place.get_ylim()
        limits = min(*shown, limits[0]), max(*shown, limits[1])
    # Many raw curves on one another would be a grey wall.
    alpha = RAW_ALPHA * min(1.0, math.sqrt(6 / len(curves)))
    for curve in curves:
        x, dates = _numbers(curve.x)
        colour = colours[curve.run]
        # zorder: behind every smoothed curve lies every raw one, its own and the others'.
        raw: dict[str, Any] = {"alpha": alpha, "linewidth": 0.8, "zorder": 2.0, "label": "_raw"}
        label = labeller.fit(curve.run, LEGEND_WIDTH, SMALL)
        smooth: dict[str, Any] = {"linewidth": 1.4, "zorder": 2.5, "label": label}
        for values, style in ((curve.raw, raw), (curve.smoothed, smooth)):
            y = np.clip(np.where(np.isfinite(values), values, np.nan), -HUGE, HUGE)
            kept = thin(x, y, columns)
            (line,) = place.plot(x[kept], y[kept], color=colour, **style)
            alone = _alone(x[kept], y[kept])
            if len(alone):  # a line through one point has no length
                line.set(marker="o", markersize=3.0, markevery=alone.tolist())
        if dates:
            _date_axis(place.xaxis, tz)
    if limits is None and not occupied:
        place.tick_params(axis="y", left=False, labelleft=False)
        place.text(
            0.5, 0.5, "no finite values", transform=place.transAxes, ha="center", va="center",
            color="0.5", fontsize=SMALL,
        )  # fmt: skip
    elif (
        limits and place.get_yscale() == "linear"
    ):  # a caller's logarithmic axis takes no negative limits
        place.set_ylim(*limits)


def _numbers(x: NDArray[Any]) -> tuple[NDArray[np.float64], bool]:
    """Return x as matplotlib counts it, and whether it is dates."""
    if x.dtype.kind == "M":
        from matplotlib.dates import date2num

        return np.asarray(date2num(x), dtype=np.float64), True  # type: ignore[no-untyped-call]
    values = np.asarray(x, dtype=np.float64)
    return np.where(np.abs(values) < HUGE, values, np.nan), False


def _alone(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices of the points with a gap, or nothing, on either side."""
    there = np.r_[False, np.isfinite(x) & np.isfinite(y), False]
    return np.flatnonzero(there[1:-1] & ~there[:-2] & ~there[2:])


def _date_axis(axis: Axis, tz: tzinfo | None) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=tz, minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator, tz=tz))  # type: ignore[no-untyped-call]


def _number_axis(axis: Axis, *, whole: bool) -> None:
    """Give an axis few ticks, at whole numbers perhaps, with short labels: 200k, not 200000."""
    from matplotlib.ticker import EngFormatter, MaxNLocator, ScalarFormatter

    axis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10], integer=whole))
    low, high = axis.get_view_interval()
    largest = max(abs(low), abs(high))
    # SI prefixes end at 10^24, and have too few digits for a short stretch far from zero.
    if 1e4 <= largest < 1e24 and high - low > 1e-2 * largest:
        axis.set_major_formatter(EngFormatter(sep=""))
    else:
        plain = ScalarFormatter()
        plain.set_powerlimits((-3, 4))
        axis.set_major_formatter(plain)


def _new_figure(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and its `count` panels."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns, rows, size = _grid(count)
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=size, layout=layout)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in places[count:]:
        unused.remove()
    return figure, places[:count]


def _grid(count: int) -> tuple[int, int, tuple[float, float]]:
    """Return columns, rows and the figure's size in inches for `count` panels."""
    full = {1: 1, 2: 4, 3: 9, 4: 16, 5: 30, 6: 108}  # a grid of so many columns holds so many
    # Beyond, wider as well as taller: a picture may not be higher than 2^16 pixels.
    columns = next(
        (c for c, most in full.items() if count <= most), math.ceil(math.sqrt(count / 3))
    )
    if count == 3:
        columns = 3
    rows = math.ceil(count / columns)
    width, height = {1: (7.0, 4.0), 2: (5.0, 3.2), 3: (4.2, 2.8)}.get(columns, (3.4, 2.3))
    return columns, rows, (columns * width, rows * height)


def _given_axes(axes: Axes | Iterable[Axes], count: int) -> list[Axes]:
    from matplotlib.axes import Axes

    places = [axes] if isinstance(axes, Axes) else list(np.ravel(np.asarray(axes, dtype=object)))
    for place in places:
        if not isinstance(place, Axes):
            raise TypeError(f"axes must be matplotlib Axes, got {type(place).__name__}")
    if len(places) != count:
        raise ValueError(
            f"axes must be as many as the panels, one a tag: got {len(places)} axes for {count} "
            "panels"
        )
    return places


def _dress(place: Axes, kinds: set[str]) -> None:
    """Give a new panel its look; `kinds` are those of the dtypes of x."""
    place.spines[["top", "right"]].set_visible(False)
    place.grid(visible=True, color="0.9", linewidth=0.6)
    place.set_axisbelow(True)
    place.tick_params(labelsize=SMALL, color="0.6")
    for axis in (place.xaxis, place.yaxis):
        axis.get_offset_text().set_fontsize(SMALL)
    if "M" not in kinds:
        whole = kinds <= set("iu")
        left, right = place.get_xlim()
        if whole and right - left < 1:  # a single step: there is no half of one
            place.set_xlim(left - 1, right + 1)
        _number_axis(place.xaxis, whole=whole)
    _number_axis(place.yaxis, whole=False)


def _finish(
    figure: Figure, places: list[Axes], colours: dict[str, Any], note: str, labeller: Labeller
) -> None:
    """Add what belongs to the figure as a whole: the legend and the note."""
    for place in places[: -_grid(len(places))[0]]:  # another panel stands below
        place.set_xlabel("")
    if len(colours) > 1:
        rows = _legend(
            figure, colours, labeller, figure.get_figwidth() * 72, loc="outside lower center",
            frameon=False, title=note, title_fontsize=SMALL,
        )  # fmt: skip
        figure.set_figheight(figure.get_figheight() + rows * 0.17 + 0.2)
    elif note:
        labeller.style(figure.supxlabel(note, x=0.99, ha="right", fontsize=SMALL, color="0.4"))


def _legend(
    where: Figure | Axes,
    colours: dict[str, Any],
    labeller: Labeller,
    width: float,
    **options: Any,  # noqa: ANN401
) -> int:
    """Add one legend of all runs, `width` points wide at most, and return its number of rows."""
    from matplotlib.lines import Line2D

    handle = 28.0  # a line's length and the space around it
    names = [labeller.fit(run, min(width - handle, LEGEND_WIDTH), SMALL) for run in colours]
    widest = max(labeller.width(name, SMALL) for name in names) + handle
    rows = math.ceil(len(names) / max(1, int(width / widest)))
    columns = math.ceil(len(names) / rows)
    lines = [Line2D([], [], color=colour, linewidth=2.0) for colour in colours.values()]
    # Empty labels first: older matplotlibs leave out a label that starts with an underscore.
    legend = where.legend(
        lines, [" "] * len(lines), ncols=columns, fontsize=SMALL, handlelength=1.4,
        columnspacing=1.2, labelspacing=0.3, **options,
    )  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    labeller.style(*legend.get_texts(), legend.get_title())
    legend.get_title().set_color("0.4")
    return rows
