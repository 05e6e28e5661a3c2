"""The picture: one panel a tag, one colour a run, the raw curve faint behind the smoothed one.

Of several runs together the mean is drawn, and a band around it instead of a raw curve. A curve may
have a band too.

It knows matplotlib and NumPy and nothing of where the curves come from. Figures are built without
pyplot, so nothing global is touched and no display is needed.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ewma._labels import Labeller
from ewma._panels import SMALL, date_axis, dress, given_axes, grid, new_figure
from ewma._thin import thin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 150
RAW_ALPHA = 0.25
BAND_ALPHA = 0.2
TITLE = 9.5  # points
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
    spread
        How far a band reaches to either side of `smoothed`, if there is one, shape (n,).
    """

    run: str
    tag: str
    x: NDArray[Any]
    raw: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    spread: NDArray[np.float64] | None = None

    @property
    def around(self) -> NDArray[np.float64]:
        """What lies around the line, for the limits of y."""
        if self.spread is None:
            return self.raw
        return np.concatenate([self.raw, self.smoothed - self.spread, self.smoothed + self.spread])


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The mean of a group of runs under one tag, and how far they spread.

    Parameters
    ----------
    run, tag
        The group, which has a colour as a run has, and its panel.
    x
        As of a `Curve`.
    low, mean, high
        Values, shape (n,). Where low or high is not finite, there is no band.
    """

    run: str
    tag: str
    x: NDArray[Any]
    low: NDArray[np.float64]
    mean: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def around(self) -> NDArray[np.float64]:
        """What lies around the line, for the limits of y."""
        return np.concatenate([self.low, self.high])

    @property
    def smoothed(self) -> NDArray[np.float64]:
        """The line."""
        return self.mean


def draw(
    curves: Sequence[Curve | Band],
    *,
    x_label: str = "step",
    note: str = "",
    axes: Axes | Iterable[Axes] | None = None,
    tz: tzinfo | None = None,
) -> Figure:
    """Draw curves, one panel a tag in the order in which the tags first appear.

    Of several curves of one run and tag the last stands; those before it, which it has overtaken,
    are dashed, and the small print says so. It names a run that is alone; several have a legend.

    The limits of y hold every smoothed point. A raw outlier is cut off where showing it would take
    more than half of what the smoothed curves and 98 % of the raw points need; and so is a band.

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
        raise ValueError("there must be at least one curve to draw, received none")
    panels: dict[str, list[Curve | Band]] = {}
    for curve in curves:
        panels.setdefault(curve.tag, []).append(curve)
    runs = list(dict.fromkeys(curve.run for curve in curves))
    notes = [note]
    if len(runs) == 1 and runs[0] not in ("", ".", "*"):  # no legend names it
        notes.insert(0, f"run {runs[0]}")
    if len({(curve.tag, curve.run) for curve in curves}) < len(curves):
        notes.append("dashed: before a restart")
    note = "; ".join(filter(None, notes))
    colours = dict(zip(runs, run_colours(len(runs)), strict=True))
    labeller = Labeller([*panels, *runs, x_label, note])

    if axes is None:
        figure, places = new_figure(len(panels))
    else:
        places = given_axes(axes, len(panels))
        figure = places[0].figure.figure  # the outermost, should they lie in a subfigure
    for place, (tag, members) in zip(places, panels.items(), strict=True):
        width = place.get_position().width * figure.get_figwidth() * 72
        _draw_panel(place, members, colours, labeller, width, tz)
        place.set_title(labeller.fit(tag, width, TITLE), fontsize=TITLE)
        place.set_xlabel(labeller.fit(x_label, width, SMALL), fontsize=SMALL)
        labeller.style(place.title, place.xaxis.label)
    if axes is None:
        for place, members in zip(places, panels.values(), strict=True):
            dress(place, {curve.x.dtype.kind for curve in members})
        _finish(figure, places, colours, note, labeller)
    elif len(runs) > 1:
        _legend(places[0], colours, labeller, 150.0, loc="best", framealpha=0.7)
    return figure


def save(figure: Figure, file: IO[bytes], format: str) -> None:
    """Write a figure as "png", "svg" or "pdf": the same bytes for the same figure."""
    import matplotlib

    drawn = io.BytesIO()  # Matplotlib's PDF writer stumbles over itself where a disk is full
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "ewma"}):
        figure.savefig(drawn, format=format, dpi=DPI, metadata=undated.get(format))
    file.write(drawn.getbuffer())


def run_colours(count: int) -> list[Any]:
    """Return `count` colours: as distinct as may be up to twenty, a colour map's beyond."""
    from matplotlib import colormaps

    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return list(colormaps["turbo"](np.linspace(0.03, 0.97, count)))


def y_limits(curves: Iterable[Curve | Band]) -> tuple[float, float] | None:
    """Return the limits of y for one panel, or None if it has no finite value.

    All smoothed values lie within. So do the raw ones, and the edges of bands, from the 1st to the
    99th percentile, and the others too unless that side would then grow by more than half.
    """
    smoothed, usual, every = [], [], []
    for curve in curves:
        around = curve.around
        raw = around[np.isfinite(around)]
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
    curves: Sequence[Curve | Band],
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
    latest = {curve.run: curve for curve in curves}
    for curve in curves:
        x, dates = _numbers(curve.x)
        colour = colours[curve.run]
        # zorder: behind every smoothed curve lies every raw one, its own and the others'.
        raw: dict[str, Any] = {"alpha": alpha, "linewidth": 0.8, "zorder": 2.0, "label": "_raw"}
        label = labeller.fit(curve.run, LEGEND_WIDTH, SMALL)
        smooth: dict[str, Any] = {"linewidth": 1.4, "zorder": 2.5, "label": label}
        if curve is not latest[curve.run]:
            smooth |= {"linestyle": (0, (2.0, 1.5)), "label": "_overtaken"}
        lines = [(curve.smoothed, smooth)]
        if isinstance(curve, Band):
            _draw_band(place, x, curve.low, curve.high, colour, columns)
        else:
            lines.insert(0, (curve.raw, raw))
            if curve.spread is not None:
                edges = curve.smoothed - curve.spread, curve.smoothed + curve.spread
                _draw_band(place, x, *edges, colour, columns)
        for values, style in lines:
            y = np.clip(np.where(np.isfinite(values), values, np.nan), -HUGE, HUGE)
            kept = thin(x, y, columns)
            (line,) = place.plot(x[kept], y[kept], color=colour, **style)
            alone = _alone(x[kept], y[kept])
            if len(alone):  # a line through one point has no length
                line.set(marker="o", markersize=3.0, markevery=alone.tolist())
        if dates:
            date_axis(place.xaxis, tz)
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


def _draw_band(
    place: Axes,
    x: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    colour: Any,
    columns: int,
) -> None:
    there = np.isfinite(low) & np.isfinite(high)
    low, high = (np.clip(np.where(there, edge, np.nan), -HUGE, HUGE) for edge in (low, high))
    kept = np.union1d(thin(x, low, columns), thin(x, high, columns))
    style: dict[str, Any] = {"color": colour, "alpha": BAND_ALPHA, "zorder": 2.0, "label": "_band"}
    place.fill_between(x[kept], low[kept], high[kept], linewidth=0, **style)
    alone = kept[_alone(x[kept], low[kept])]
    if len(alone):  # a band at one point has no width
        place.vlines(x[alone], low[alone], high[alone], linewidth=3.0, **style)


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


def _finish(
    figure: Figure, places: list[Axes], colours: dict[str, Any], note: str, labeller: Labeller
) -> None:
    """Add what belongs to the figure as a whole: the legend and the note."""
    for place in places[: -grid(len(places))[0]]:  # another panel stands below
        place.set_xlabel("")
    width = figure.get_figwidth() * 72
    note = labeller.fit(note, width, SMALL)
    if len(colours) > 1:
        rows = _legend(
            figure, colours, labeller, width, loc="outside lower center",
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
    **options: Any,
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
