"""Pictures are tested by their artists: what lies where, in which colour, under which name."""

import io
import subprocess
import sys

import matplotlib
import matplotlib.dates
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ewma import _labels
from ewma._draw import (
    COLOURS,
    DPI,
    RAW_ALPHA,
    Curve,
    draw,
    run_colours,
    save,
    y_limits,
)
from ewma._labels import Labeller
from ewma._panels import grid
from ewma._plot import plot, scalar_x
from ewma._smooth import smooth
from ewma._thin import thin


def scalars(tags=("loss",), runs=("a",), n=20, start=1.7e9, every=60.0):
    """Return a DataFrame of scalars with noisy, falling values."""
    rng = np.random.default_rng(7)
    k = np.arange(n)
    parts = [
        pd.DataFrame(
            {
                "run": run,
                "tag": tag,
                "step": 10 * k,
                "wall_time": start + every * k,
                "value": np.exp(-k / n) + 0.1 * rng.standard_normal(n),
            }
        )
        for tag in tags
        for run in runs
    ]
    return pd.concat(parts, ignore_index=True).astype({"run": "category", "tag": "category"})


def curve(raw, smoothed=None, x=None, run="a", tag="loss"):
    raw = np.asarray(raw, dtype=float)
    return Curve(
        run,
        tag,
        np.arange(len(raw)) if x is None else x,
        raw,
        raw if smoothed is None else np.asarray(smoothed, dtype=float),
    )


def drawn(figure):
    """Render the figure, which lays it out and raises what only rendering raises."""
    file = io.BytesIO()
    save(figure, file, "png")
    return file.getvalue()


def pairs(panel):
    """Return a panel's (raw, smoothed) lines."""
    return list(zip(panel.lines[::2], panel.lines[1::2], strict=True))


def legend_texts(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


# --- what is drawn ---------------------------------------------------------------------------


def test_a_panel_a_tag_and_a_colour_a_run():
    frame = scalars(["loss", "acc", "lr"], ["a", "b"])
    frame = frame[~((frame.tag == "loss") & (frame.run == "a"))]  # "b" comes first in one panel
    figure = plot(frame, beta=0.8)
    assert [panel.get_title() for panel in figure.axes] == ["loss", "acc", "lr"]
    colours = {}
    for panel in figure.axes:
        for raw, smoothed in pairs(panel):
            assert raw.get_color() == smoothed.get_color()
            colours.setdefault(smoothed.get_label(), set()).add(smoothed.get_color())
    assert colours == {"b": {COLOURS[0]}, "a": {COLOURS[1]}}
    for panel in figure.axes[1:]:
        for (raw, smoothed), run in zip(pairs(panel), "ab", strict=True):
            rows = frame[(frame.tag == panel.get_title()) & (frame.run == run)]
            np.testing.assert_array_equal(raw.get_xdata(), rows.step)
            np.testing.assert_array_equal(raw.get_ydata(), rows.value)
            np.testing.assert_array_equal(smoothed.get_ydata(), smooth(rows.value.to_numpy(), 0.8))


def test_raw_is_faint_thin_and_behind_every_smoothed_curve():
    panel = plot(scalars(runs=["a", "b", "c"])).axes[0]
    raws, smootheds = zip(*pairs(panel), strict=True)
    assert {line.get_alpha() for line in raws} == {RAW_ALPHA}
    assert {line.get_alpha() for line in smootheds} == {None}
    assert max(r.get_zorder() for r in raws) < min(s.get_zorder() for s in smootheds)
    assert max(r.get_linewidth() for r in raws) < min(s.get_linewidth() for s in smootheds)


def test_raw_is_fainter_where_there_are_many():
    panel = plot(scalars(runs=[f"r{i}" for i in range(24)])).axes[0]
    assert {line.get_alpha() for line in panel.lines[::2]} == {RAW_ALPHA / 2}


def test_the_column_smoothed_is_drawn_as_it_is_unless_a_decay_is_given():
    frame = scalars().assign(smoothed=5.0)
    as_is = plot(frame)
    assert set(as_is.axes[0].lines[1].get_ydata()) == {5.0}
    assert as_is.get_supxlabel() == "run a"
    anew = plot(frame, alpha=0.5)
    expected = smooth(frame.value.to_numpy(), alpha=0.5)
    np.testing.assert_array_equal(anew.axes[0].lines[1].get_ydata(), expected)
    assert anew.get_supxlabel() == "run a; smoothed with alpha = 0.5"


@pytest.mark.parametrize("decay", [{"span": 7}, {"com": 3.0}, {"halflife": 2}, {"beta": 0.99999}])
def test_the_note_says_how_it_was_smoothed(decay):
    ((name, value),) = decay.items()
    figure = plot([1.0, 2.0, 4.0], **decay)
    assert figure.get_supxlabel() == f"smoothed with {name} = {value}"
    expected = smooth(np.array([1.0, 2.0, 4.0]), **decay)
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), expected)


def test_a_run_that_is_alone_is_named():
    assert plot(scalars(runs=["lr=0.1/b"]), beta=0.5).get_supxlabel().startswith("run lr=0.1/b; ")
    assert plot(scalars(runs=["."]), beta=0.5).get_supxlabel() == "smoothed with beta = 0.5"
    assert "run" not in plot(scalars(runs=["a", "b"]), beta=0.5).legends[0].get_title().get_text()


def test_the_default_is_beta_nine_tenths():
    figure = plot([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), smooth([1.0, 2.0, 4.0], 0.9))
    assert figure.get_supxlabel() == "smoothed with beta = 0.9"


def test_the_input_is_not_changed():
    frame = scalars(["loss", "acc"], ["a", "b"])
    before = frame.copy(deep=True)
    plot(frame, x="relative")
    pd.testing.assert_frame_equal(frame, before)


# --- containers ------------------------------------------------------------------------------


def test_a_series_has_its_name_for_title_and_its_index_for_x():
    series = pd.Series([1.0, 3.0, 2.0], index=pd.Index([2, 4, 9], name="epoch"), name="loss")
    panel = plot(series).axes[0]
    assert panel.get_title() == "loss"
    assert panel.get_xlabel() == "epoch"
    np.testing.assert_array_equal(panel.lines[0].get_xdata(), [2, 4, 9])


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_series_of_dates_is_drawn_against_dates(zone):
    index = pd.date_range("2024-03-01", periods=5, freq="D", tz=zone)
    panel = plot(pd.Series(range(5), index=index)).axes[0]
    shown = matplotlib.dates.num2date(panel.lines[0].get_xdata())
    assert shown == list(pd.DatetimeIndex(index.tz_localize("UTC") if zone is None else index))
    assert panel.get_xlabel() == ("time" if zone is None else "time (Europe/Berlin)")
    drawn(panel.figure)
    assert (
        panel.get_xticklabels()[0].get_text() == "01"
        or "Mar" in panel.get_xticklabels()[0].get_text()
    )


def test_the_clock_on_the_axis_is_the_indexs():
    index = pd.date_range("2024-03-01", periods=5, freq="6h", tz="Asia/Kolkata")  # UTC+5:30
    panel = plot(pd.Series(range(5), index=index)).axes[0]
    drawn(panel.figure)
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert {"06:00", "12:00", "18:00"} <= set(labels)
    ticks = matplotlib.dates.num2date(panel.get_xticks()[labels.index("06:00")])
    assert (ticks.hour, ticks.minute) == (0, 30)


def test_other_indexes_become_positions_or_numbers_with_a_unit():
    names = pd.Series([1.0, 2.0], index=["x", "y"])
    panel = plot(names).axes[0]
    assert (list(panel.lines[0].get_xdata()), panel.get_xlabel()) == ([0, 1], "position")
    spans = pd.Series([1.0, 2.0], index=pd.to_timedelta(["0s", "3h"]))
    panel = plot(spans).axes[0]
    assert (list(panel.lines[0].get_xdata()), panel.get_xlabel()) == ([0, 3], "time (h)")
    months = pd.Series([1.0, 2.0], index=pd.period_range("2024-01", periods=2, freq="M"))
    start = matplotlib.dates.num2date(plot(months).axes[0].lines[0].get_xdata()[1])
    assert (start.year, start.month, start.day) == (2024, 2, 1)


def test_an_ordinary_frame_is_one_panel_with_a_curve_a_column_of_numbers():
    frame = pd.DataFrame(
        {
            "up": [1, 2, 3],
            "word": ["a", "b", "c"],
            "maybe": pd.array([1, None, 3], dtype="Int64"),
            "flag": [True, False, True],
            "when": pd.date_range("2024", periods=3),
        },
        index=[5, 6, 7],
    )
    figure = plot(frame)
    (panel,) = figure.axes
    assert legend_texts(figure) == ["up", "maybe", "flag"]
    np.testing.assert_array_equal(pairs(panel)[1][0].get_ydata(), [1, np.nan, 3])
    np.testing.assert_array_equal(pairs(panel)[2][0].get_ydata(), [1, 0, 1])
    np.testing.assert_array_equal(panel.lines[0].get_xdata(), [5, 6, 7])


def test_a_single_column_is_named_by_the_title():
    figure = plot(pd.DataFrame({"price": [1.0, 2.0]}))
    assert figure.axes[0].get_title() == "price"
    assert figure.legends == []


@pytest.mark.parametrize("dtype", [object, "Float64"])
def test_a_missing_value_is_a_gap(dtype):
    raw, _ = plot(pd.Series([1.0, pd.NA, 3.0], dtype=dtype)).axes[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), [1.0, np.nan, 3.0])


def test_columns_of_one_name_are_all_drawn():
    figure = plot(pd.DataFrame([[1.0, 5.0], [2.0, 6.0]], columns=["x", "x"]))
    raws = [list(raw.get_ydata()) for raw, _ in pairs(figure.axes[0])]
    assert raws == [[1.0, 2.0], [5.0, 6.0]]


def test_polars_has_names_too():
    frame = pl.DataFrame({"loss": [3.0, None, 1.0], "text": ["a", "b", "c"], "n": [1, 2, 3]})
    figure = plot(frame, 0.5)
    assert legend_texts(figure) == ["loss", "n"]
    np.testing.assert_array_equal(pairs(figure.axes[0])[0][0].get_ydata(), [3, np.nan, 1])
    (panel,) = plot(frame["loss"], 0.5).axes
    assert panel.get_title() == "loss"


def test_text_among_objects_is_no_number():
    with pytest.raises(TypeError, match="data must hold real numbers, received ndarray of object"):
        plot(np.array([1.0, "2"], object))


def test_a_list_with_none_is_drawn():
    (panel,) = plot([1.0, None, 2.0], 0.5).axes
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [1, np.nan, 2])


def test_arrays_of_one_and_two_dimensions():
    (panel,) = plot(np.array([3, 1, 2], dtype=np.int8)).axes
    assert panel.get_title() == ""
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), [3, 1, 2])
    values = np.arange(6.0).reshape(3, 2)
    figure = plot(values, 0.5)
    assert legend_texts(figure) == ["0", "1"]
    for j, (raw, smoothed) in enumerate(pairs(figure.axes[0])):
        np.testing.assert_array_equal(raw.get_ydata(), values[:, j])
        np.testing.assert_array_equal(smoothed.get_ydata(), smooth(values[:, j], 0.5))


# --- x ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "unit", "seconds"),
    [(1, "s", 1), (60, "min", 60), (3600, "h", 3600), (1e5, "days", 86400)],
)
def test_relative_counts_from_the_first_point_of_the_run(every, unit, seconds):
    frame = scalars(["loss", "acc"], ["a", "b"], every=every)
    frame.loc[frame.run == "b", "wall_time"] += 5e4
    late = (frame.tag == "acc") & (frame.step < 50)
    figure = plot(frame[~late], x="relative")
    for panel in figure.axes:
        assert panel.get_xlabel() == f"time since start ({unit})"
        for raw, _ in pairs(panel):
            k = np.arange(5 if panel.get_title() == "acc" else 0, 20)
            np.testing.assert_allclose(raw.get_xdata(), k * every / seconds, rtol=1e-9)


def test_wall_is_dates_in_utc():
    panel = plot(scalars(), x="wall").axes[0]
    first = matplotlib.dates.num2date(panel.lines[0].get_xdata()[0])
    assert first.isoformat(timespec="seconds") == "2023-11-14T22:13:20+00:00"
    assert panel.get_xlabel() == "wall time (UTC)"
    drawn(panel.figure)
    assert any(":" in label.get_text() for label in panel.get_xticklabels())


@pytest.mark.parametrize("kind", ["wall", "relative"])
def test_impossible_wall_times_are_drawn_nowhere(kind):
    frame = scalars()
    frame.loc[[3, 5, 7, 9], "wall_time"] = [1e300, -np.inf, np.nan, -1e308]
    panel = plot(frame, x=kind).axes[0]
    there = np.isfinite(panel.lines[0].get_xdata())
    assert list(np.flatnonzero(~there)) == [3, 5, 7, 9]
    drawn(panel.figure)


def test_dates_at_both_ends_of_what_is_believed_can_be_rendered():
    frame = scalars(n=3)
    frame["wall_time"] = [-3.06e10, 0.0, 2.218e11]
    drawn(plot(frame, x="wall"))


def test_scalar_x_leaves_steps_alone():
    steps = [np.array([1, 5])]
    xs, label = scalar_x("step", ["a"], steps, [])
    assert xs[0] is steps[0]
    assert label == "step"


# --- given axes ------------------------------------------------------------------------------


def test_one_given_axes_is_drawn_into():
    figure = Figure()
    place = figure.subplots()
    assert plot([1.0, 2.0], axes=place) is figure
    assert len(place.lines) == 2
    assert place.get_legend() is None
    assert figure.axes == [place]


@pytest.mark.parametrize("shape", [(1, 4), (2, 2), (4, 1)])
def test_many_given_axes_are_filled_in_order(shape):
    figure = Figure()
    places = figure.subplots(*shape, squeeze=False)
    assert plot(scalars("abcd", ["r", "s"]), axes=places) is figure
    assert [place.get_title() for place in places.flat] == list("abcd")
    assert [t.get_text() for t in places.flat[0].get_legend().get_texts()] == ["r", "s"]
    assert [place.get_legend() for place in places.flat[1:]] == [None] * 3
    assert figure.legends == []
    drawn(figure)


def test_axes_in_a_subfigure_return_the_whole_figure():
    figure = Figure()
    left, _ = figure.subfigures(1, 2)
    assert plot([1.0, 2.0], axes=left.subplots()) is figure


def test_what_stood_in_given_axes_stays_in_sight():
    place = Figure().subplots()
    place.plot([0, 1], [-40.0, 70.0])
    plot([1.0, 2.0], axes=place)
    low, high = place.get_ylim()
    assert low <= -40
    assert high >= 70


def test_a_callers_logarithmic_axis_stays_logarithmic():
    place = Figure().subplots()
    place.set_yscale("log")
    drawn(plot([1e-3, 10.0, 1.0, 0.5], axes=place))
    assert place.get_yscale() == "log"
    assert 0 < place.get_ylim()[0] <= 1e-3


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot([1.0], x="time"), ValueError, "'step', 'relative', 'wall', received 'time'"),
        (lambda: plot([1.0], x=["wall"]), ValueError, r"received \['wall'\]"),
        (lambda: plot([1.0], x="wall"), ValueError, "x='wall' needs a DataFrame of scalars"),
        (
            lambda: plot(scalars().drop(columns="wall_time"), x="wall"),
            ValueError,
            "needs the column wall_time .* run, tag, step, value",
        ),
        (lambda: plot(scalars().iloc[:0]), ValueError, "without rows"),
        (lambda: plot(np.zeros((2, 2, 2))), ValueError, r"received shape \(2, 2, 2\)"),
        (lambda: plot(3.0), ValueError, r"received shape \(\)"),
        (lambda: plot(np.zeros((3, 0))), ValueError, r"received shape \(3, 0\)"),
        (lambda: plot(["a", "b"]), TypeError, "received list of <U1"),
        (lambda: plot({"a": 1}), TypeError, "received dict of object"),
        (lambda: plot(np.array([1j])), TypeError, "complex128"),
        (lambda: plot(pd.Series([1j])), TypeError, "complex128"),
        (lambda: plot(pd.Series(["a"], dtype=object)), TypeError, "Series of object"),
        (lambda: plot(pd.Series(pd.date_range("2024", periods=2))), TypeError, "datetime64"),
        (lambda: plot(pd.DataFrame({"w": ["a"]})), TypeError, r"received w \("),
        (lambda: plot(pd.DataFrame()), TypeError, "received none"),
        (lambda: plot([1.0], 0.5, alpha=0.5), ValueError, "^(?!.*unpack)"),
        (lambda: plot(scalars(), 0.5, alpha=0.5), ValueError, "^(?!.*unpack)"),
        (
            lambda: plot([1.0], axes=Figure().subplots(2)),
            ValueError,
            "received 2 axes for 1 panels",
        ),
        (lambda: plot([1.0], axes="here"), TypeError, "received str"),
        (lambda: draw([]), ValueError, "at least one curve"),
    ],
)
def test_errors_say_the_rule_and_what_came(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- limits of y -----------------------------------------------------------------------------


def test_a_raw_outlier_does_not_flatten_the_smoothed_curve():
    raw = np.random.default_rng(0).uniform(0, 1, 1000)
    smoothed = np.full(1000, 0.5)
    raw[500] = 1e6
    low, high = plot_limits(raw, smoothed)
    assert high < 1.2
    assert -0.2 < low < raw.min()


def test_no_smoothed_point_is_hidden():
    raw = np.random.default_rng(0).uniform(0, 1, 1000)
    smoothed = np.full(1000, 0.5)
    smoothed[3], smoothed[700] = -80.0, 90.0
    low, high = plot_limits(raw, smoothed)
    assert low < -80
    assert high > 90


def test_mild_extremes_of_raw_are_shown():
    raw = np.random.default_rng(0).standard_normal(1000)
    low, high = plot_limits(raw, np.zeros(1000))
    assert low < raw.min()
    assert high > raw.max()


def test_each_run_counts_in_the_limits_of_its_panel_only():
    steep = curve([0.0, 50.0], run="b")
    figure = draw([curve([1.0, 2.0]), steep, curve([7.0, 8.0], tag="other")])
    assert figure.axes[0].get_ylim()[1] > 50
    assert figure.axes[1].get_ylim()[0] > 6


def plot_limits(raw, smoothed):
    figure = draw([curve(raw, smoothed)])
    assert figure.axes[0].get_ylim() == pytest.approx(y_limits([curve(raw, smoothed)]))
    return figure.axes[0].get_ylim()


# --- gaps, single points, odd numbers --------------------------------------------------------


def test_gaps_stay_gaps_and_lone_points_get_a_marker():
    values = [1.0, 2.0, np.nan, 3.0, np.inf, 4.0, 5.0, -np.inf]
    for line in plot(values).axes[0].lines:
        missing = np.isnan(line.get_ydata())
        assert list(np.flatnonzero(missing)) == [2, 4, 7]
        assert line.get_marker() == "o"
        assert line.get_markevery() == [3]


def test_a_point_beside_one_without_a_place_is_lone():
    line = draw([curve([1.0, 2.0, 3.0, 4.0], x=np.array([0.0, np.inf, 2.0, 3.0]))]).axes[0].lines[0]
    assert line.get_markevery() == [0]


def test_a_single_point_is_a_marker_and_a_step_is_whole():
    panel = plot(scalars(n=1)).axes[0]
    for line in panel.lines:
        assert (line.get_marker(), line.get_markevery()) == ("o", [0])
    drawn(panel.figure)
    assert all(float(tick).is_integer() for tick in panel.get_xticks())


def test_a_plain_curve_has_no_markers():
    assert {line.get_marker() for line in plot([1.0, 2.0, 3.0]).axes[0].lines} == {"None"}


@pytest.mark.parametrize(
    "values",
    [
        [],
        [np.nan],
        [np.nan] * 5,
        [np.inf, -np.inf],
        [0.0] * 4,
        [1e-320, 2e-320],
        [1e300, -1e300, 1e299],
        [1.7e308, -1.7e308],
        [1.7e308, 1.7e308],
        [1.0, np.nextafter(1.0, 2.0)],
        [1e9 + 0.1, 1e9 + 0.2],
        [-5e7, 3e7],
    ],
)
def test_odd_numbers_are_drawn_without_a_warning(values):
    values = np.array(values, dtype=float)
    figure = draw([curve(values)])
    drawn(figure)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == ([] if np.isfinite(values).any() else ["no finite values"])


def test_an_odd_index_is_drawn_without_a_warning():
    x = [-1.7e308, 0.0, 1.0, np.inf, 1.7e308]
    drawn(draw([curve(np.arange(5.0), x=np.array(x))]))


@pytest.mark.parametrize("x", [[0, 2**63 - 1], [-(2**63), 2**63 - 1], [10**9, 10**9 + 1], [5, 5]])
def test_odd_steps_are_drawn_without_a_warning(x):
    drawn(draw([curve([1.0, 2.0], x=np.array(x, dtype=np.int64))]))


# --- thinning --------------------------------------------------------------------------------


def test_short_curves_are_drawn_whole():
    assert list(thin(np.arange(400.0), np.zeros(400), 100)) == list(range(400))


def test_a_million_points_become_thousands_with_the_same_extremes():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(10**6)
    y[123_456], y[654_321] = 1e3, -1e3
    raw, smoothed = draw([curve(y, np.full(10**6, 0.5))]).axes[0].lines
    assert 1000 < len(raw.get_xdata()) < 5000
    assert (raw.get_ydata().max(), raw.get_ydata().min()) == (1e3, -1e3)
    np.testing.assert_array_equal(raw.get_ydata(), y[raw.get_xdata().astype(int)])
    assert (raw.get_xdata()[0], raw.get_xdata()[-1]) == (0, 10**6 - 1)
    assert len(smoothed.get_xdata()) < 5000


@given(
    arrays(float, st.integers(50, 300), elements=st.sampled_from([0.0, 1.0, -2.0, 9.0, np.nan])),
    st.sampled_from(["even", "uneven", "to and fro", "still", "nowhere"]),
    st.integers(1, 12),
)
@settings(deadline=None)
def test_thinning_keeps_each_columns_extremes_and_ends(y, spacing, columns):
    n = len(y)
    x = {
        "even": np.arange(n, dtype=float),
        "uneven": np.geomspace(1, 1e9, n),
        "to and fro": np.where(np.arange(n) % 2, 1.0, 0.0),
        "still": np.zeros(n),
        "nowhere": np.full(n, np.nan),
    }[spacing]
    kept = thin(x, y, columns)
    assert (np.diff(kept) > 0).all()
    assert (kept[0], kept[-1]) == (0, n - 1)
    assert len(kept) <= max(4 * columns, 4 * (2 * columns + 1))
    both = np.array([y, y])
    np.testing.assert_array_equal(
        [np.fmin.reduce(both[0]), np.fmax.reduce(both[1])],
        [np.fmin.reduce(y[kept]), np.fmax.reduce(y[kept])],
    )
    if spacing == "even" and n > 4 * columns:
        column = (x * (columns / x[-1])).astype(int)
        for c in np.unique(column):
            there, left = y[column == c], y[kept[column[kept] == c]]
            assert np.fmin.reduce(there) == np.fmin.reduce(left) or np.isnan(there).all()
            assert np.fmax.reduce(there) == np.fmax.reduce(left) or np.isnan(there).all()


def test_a_wide_gap_survives_thinning():
    y = np.zeros(10**5)
    y[40_000:60_000] = np.nan
    line = draw([curve(y)]).axes[0].lines[0]
    x = line.get_xdata()[np.isnan(line.get_ydata())]
    assert x.min() == pytest.approx(40_000, abs=200)
    assert x.max() == pytest.approx(60_000, abs=200)
    inside = (line.get_xdata() >= 40_000) & (line.get_xdata() < 60_000)
    assert np.isnan(line.get_ydata()[inside]).all()


# --- names -----------------------------------------------------------------------------------

HOSTILE = {
    "a\nb\tc\r": r"a\nb\tc\r",
    "$x^2$ $\\frac{$": "$x^2$ $\\frac{$",
    "_hidden": "_hidden",
    "\x1b[31mred\x00": r"\x1b[31mred\x00",
    "'\"=cmd|' /C calc'!A0": "'\"=cmd|' /C calc'!A0",
    "损失": r"\u635f\u5931",
    "a\u202eb\u2028": r"a\u202eb\u2028",
    "\udcff": r"\udcff",
    "\U0001f9ff": r"\U0001f9ff",
    "": "",
}


@pytest.fixture
def no_further_fonts(monkeypatch):
    monkeypatch.setattr(_labels, "FALLBACK_FONTS", ())


@pytest.mark.usefixtures("no_further_fonts")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tags_and_runs_are_shown_on_one_line_as_they_are(name):
    curves = [curve([1.0, 2.0], run=run, tag=name) for run in (name, "b")]
    figure = draw(curves, x_label=name, note=name)
    assert figure.axes[0].get_title() == HOSTILE[name]
    assert figure.axes[0].get_xlabel() == HOSTILE[name]
    assert figure.legends[0].get_title().get_text() == HOSTILE[name]
    alone = f"run {HOSTILE[name]}; {HOSTILE[name]}" if name else ""
    assert draw(curves[:1], note=name).get_supxlabel() == alone
    assert legend_texts(figure) == [HOSTILE[name], "b"]
    drawn(figure)
    for format in ("svg", "pdf"):
        save(figure, io.BytesIO(), format)


def test_five_thousand_characters_fit_the_panel_with_their_middle_left_out():
    name = "start" + "W" * 5000 + "end"
    figure = draw([curve([1.0, 2.0], run=run, tag=name) for run in (name, "b")])
    figure.draw_without_rendering()
    for text in (figure.axes[0].title, figure.legends[0].get_texts()[0]):
        shown = text.get_text()
        assert shown.startswith("start")
        assert shown.endswith("end")
        assert shown.count("…") == 1
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_names_are_kept_from_latex():
    with matplotlib.rc_context({"text.usetex": True}):
        figure = plot(scalars(["100%_#"], ["a_b", "c"]))
    texts = [figure.axes[0].title, *figure.legends[0].get_texts()]
    assert not any(text.get_usetex() for text in texts)


def test_an_escape_is_not_cut_in_two():
    labeller = Labeller([])
    shown = labeller.fit("\x01" * 100, 60.0, 9.0)
    assert set(shown.replace("\\x01", "")) == {"…"}
    assert labeller.width(shown, 9.0) <= 60.0


def test_a_font_that_has_the_glyphs_is_used(monkeypatch):
    script_g = "\u210a"  # in STIX, which comes with matplotlib, not in DejaVu Sans
    assert Labeller([]).fit(script_g, 100.0, 9.0).startswith("\\")
    monkeypatch.setattr(_labels, "FALLBACK_FONTS", ("not there", "STIXGeneral"))
    figure = draw([curve([1.0], tag=script_g)])
    assert figure.axes[0].get_title() == script_g
    assert "STIXGeneral" in figure.axes[0].title.get_fontfamily()
    drawn(figure)


# --- the figure as a whole -------------------------------------------------------------------


def test_the_legend_stands_once_and_only_for_more_than_one_run():
    assert plot(scalars(["loss", "acc"], ["."])).legends == []
    figure = plot(scalars(["loss", "acc"], ["a", "b"]))
    assert legend_texts(figure) == ["a", "b"]
    assert figure.legends[0].get_title().get_text() == "smoothed with beta = 0.9"
    assert [panel.get_legend() for panel in figure.axes] == [None, None]
    handles = [line.get_color() for line in figure.legends[0].get_lines()]
    assert handles == [smoothed.get_color() for _, smoothed in pairs(figure.axes[0])]


@pytest.mark.parametrize(("tags", "runs"), [(1, 1), (1, 20), (1, 60), (3, 2), (30, 2), (31, 1)])
def test_nothing_overlaps(tags, runs):
    tags = [f"train/metric_{i}" for i in range(tags)]
    figure = plot(scalars(tags, [f"experiment/lr=0.1/seed{i}" for i in range(runs)], n=4))
    figure.draw_without_rendering()
    boxes = [panel.get_tightbbox() for panel in figure.axes]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    for i, box in enumerate(boxes):
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1
        for other in boxes[:i]:
            overlap = box.intersection(box, other)
            assert overlap is None or min(overlap.width, overlap.height) < 1
    for panel in figure.axes:
        assert panel.bbox.width > 1.8 * figure.dpi
        assert panel.bbox.height > 1.1 * figure.dpi


@pytest.mark.parametrize("tags", [1, 2, 3, 4, 9, 16, 30, 100, 108, 109, 1000, 5000])
def test_the_figure_grows_with_the_panels_but_not_beyond_an_image(tags):
    columns, rows, (width, height) = grid(tags)
    assert columns * rows >= tags > columns * (rows - 1)
    assert width / columns >= 3.4
    assert height / rows >= 2.3
    assert max(width, height) * DPI < 2**16


def test_three_panels_stand_in_a_row():
    assert grid(3)[:2] == (3, 1)


def test_only_the_lowest_panel_of_a_column_names_x():
    figure = plot(scalars("abcde"))
    assert [panel.get_xlabel() for panel in figure.axes] == ["", "", "step", "step", "step"]
    assert len({round(panel.get_position().y0, 3) for panel in figure.axes}) == 2


@pytest.mark.parametrize("count", [1, 10, 20, 21, 60])
def test_runs_have_distinct_colours_that_stand_out_from_white(count):
    colours = np.array([to_rgb(colour) for colour in run_colours(count)])
    apart = np.abs(colours[:, None] - colours).max(axis=2)[~np.eye(count, dtype=bool)]
    assert apart.min(initial=1.0) > (0.07 if count <= 20 else 0.02)
    assert colours.min(axis=1).max() < 0.85


def test_long_steps_are_short_labels():
    panel = draw([curve([1.0, 2.0], x=np.array([0, 400_000]))]).axes[0]
    drawn(panel.figure)
    assert "200k" in [label.get_text() for label in panel.get_xticklabels()]


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_the_same_picture_is_the_same_file(format):
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        save(plot(scalars(["loss"], ["a", "b"])), file, format)
    assert files[0].getvalue() == files[1].getvalue()
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[format]
    assert files[0].getvalue().startswith(start)


def test_nothing_global_is_touched():
    before = dict(matplotlib.rcParams)
    drawn(plot(scalars(["loss", "$"], ["a", "b"])))
    assert dict(matplotlib.rcParams) == before


def test_importing_costs_no_matplotlib_and_drawing_no_pyplot_or_pandas():
    program = """
import sys
import ewma._plot
from ewma._draw import Curve, draw, save
import numpy as np, io
assert not {"matplotlib", "pandas"} & set(sys.modules), "import"
x = np.arange(3.0)
save(draw([Curve("a", "t", x, x, x), Curve("b", "t", x, x, x)]), io.BytesIO(), "png")
assert not {"matplotlib.pyplot", "pandas"} & set(sys.modules), "draw"
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


@pytest.mark.parametrize("decay", [{"beta": [0.5, 0.9]}, {"halflife": "3h"}])
def test_one_decay_that_is_a_number(decay):
    with pytest.raises(TypeError, match="must be a number; received"):
        plot([1.0, 2.0], **decay)
