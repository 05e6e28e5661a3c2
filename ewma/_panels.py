"""Where curves are drawn: the figure, its grid of panels, and how their axes look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

SMALL = 8.0  # points: everything but a title


def new_figure(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure and its `count` panels."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns, rows, size = grid(count)
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=size, layout=layout)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in places[count:]:
        unused.remove()
    return figure, places[:count]


def grid(count: int) -> tuple[int, int, tuple[float, float]]:
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


def given_axes(axes: Axes | Iterable[Axes], count: int) -> list[Axes]:
    from matplotlib.axes import Axes

    places = [axes] if isinstance(axes, Axes) else list(np.ravel(np.asarray(axes, dtype=object)))
    for place in places:
        if not isinstance(place, Axes):
            raise TypeError(f"axes must be matplotlib Axes, received {type(place).__name__}")
    if len(places) != count:
        raise ValueError(
            "axes must be as many as the panels, one a tag: received "
            f"{len(places)} axes for {count} panels"
        )
    return places


def dress(place: Axes, kinds: set[str]) -> None:
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


def date_axis(axis: Axis, tz: tzinfo | None) -> None:
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
