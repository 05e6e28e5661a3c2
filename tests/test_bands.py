"""Bands around the mean of several runs, and around one curve: what is drawn where."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from command import call
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb

import ewma
from ewma._draw import COLOURS, DPI, Band, Curve, draw, y_limits
from ewma._plot import plot


def scalars(groups=2, seeds=3, tags=("loss",), n=40):
    rng = np.random.default_rng(3)
    k = np.arange(n)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "run": f"{'abcdefgh'[group]}/seed_{seed}",
                    "tag": tag,
                    "step": 10 * k,
                    "value": group + np.exp(-k / n) + 0.1 * rng.standard_normal(n),
                }
            )
            for group in range(groups)
            for seed in range(seeds)
            for tag in tags
        ]
    )


def edges(panel):
    """Return {x: (low, high)} of each band in a panel."""
    bands = []
    for collection in panel.collections:
        points = {}
        paths = (
            collection.get_segments()
            if isinstance(collection, LineCollection)
            else [path.vertices for path in collection.get_paths()]
        )
        for path in paths:
            for x, y in path:
                points.setdefault(float(x), []).append(float(y))
        bands.append({x: (min(ys), max(ys)) for x, ys in sorted(points.items())})
    return bands


@pytest.mark.parametrize("kind", ["std", "range"])
def test_mean_and_band(kind):
    groups = ewma.aggregate(scalars(), r"seed_\d+")
    figure = plot(groups, band=kind)
    (panel,) = figure.axes
    assert [line.get_label() for line in panel.lines] == ["a/*", "b/*"]
    parts = [part for _, part in groups.groupby("run", observed=True)]
    for line, band, part, colour in zip(panel.lines, edges(panel), parts, COLOURS, strict=False):
        assert to_rgb(line.get_color()) == to_rgb(colour)
        np.testing.assert_array_equal(line.get_xdata(), part["step"])
        np.testing.assert_array_equal(line.get_ydata(), part["mean"])
        low, high = (
            (part["mean"] - part["std"], part["mean"] + part["std"])
            if kind == "std"
            else (part["min"], part["max"])
        )
        assert list(band) == part["step"].tolist()
        np.testing.assert_allclose(list(band.values()), np.column_stack([low, high]))


def test_colours_and_order_behind_the_lines():
    (panel,) = plot(ewma.aggregate(scalars(5), r"seed_\d+")).axes
    colours = [to_rgb(colour) for colour in COLOURS[:5]]
    assert [tuple(band.get_facecolor()[0][:3]) for band in panel.collections] == colours
    assert all(0 < band.get_facecolor()[0][3] < 0.5 for band in panel.collections)
    assert max(band.zorder for band in panel.collections) < min(line.zorder for line in panel.lines)


def test_no_band_where_one_run_is_alone():
    frame = scalars(1, 2)
    frame = frame[(frame["run"] == "a/seed_0") | (frame["step"] < 200)]
    (panel,) = plot(ewma.aggregate(frame)).axes
    (band,) = edges(panel)
    assert max(band) == 190
    assert panel.lines[0].get_xdata().max() == 390


def test_a_band_at_a_single_step_is_a_stroke():
    frame = scalars(1, 2)
    frame = frame[(frame["run"] == "a/seed_0") | (frame["step"] == 200)]
    groups = ewma.aggregate(frame)
    (panel,) = plot(groups).axes
    row = groups[groups["step"] == 200].iloc[0]
    stroke = next(c for c in panel.collections if isinstance(c, LineCollection))
    np.testing.assert_allclose(
        stroke.get_segments()[0],
        [[200, row["mean"] - row["std"]], [200, row["mean"] + row["std"]]],
    )


def test_limits_hold_a_curves_band():
    n = np.arange(100.0)
    low, high = y_limits([Curve("a", "loss", n, n, n, np.full(100, 30.0))])
    assert -40 < low < -30
    assert 129 < high < 140


def test_limits_hold_the_mean_and_most_of_the_band():
    n = np.arange(100.0)
    band = Band("a", "loss", n, n - 1, n, np.where(n == 50, 1e6, n + 1))
    low, high = y_limits([band])
    assert low < -1
    assert 100 < high < 200
    (panel,) = draw([band]).axes
    assert panel.get_ylim() == (low, high)


def test_as_they_are_unless_told():
    groups = ewma.aggregate(scalars(1))
    (panel,) = plot(groups, beta=0.8, band="range").axes
    smoothed = {name: ewma.smooth(groups[name].to_numpy(), 0.8) for name in ("mean", "min", "max")}
    np.testing.assert_array_equal(panel.lines[0].get_ydata(), smoothed["mean"])
    (band,) = edges(panel)
    np.testing.assert_allclose(
        list(band.values()), np.column_stack([smoothed["min"], smoothed["max"]])
    )


def note(figure):
    return figure.get_supxlabel()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "mean ± standard deviation of up to 3 runs"),
        ({"band": "range"}, "mean, lowest and highest of up to 3 runs"),
        ({"span": 5}, "mean ± standard deviation of up to 3 runs; smoothed with span = 5"),
    ],
)
def test_note(options, text):
    assert note(plot(ewma.aggregate(scalars(1)), **options)) == text


def test_note_of_a_run_alone():
    assert note(plot(ewma.aggregate(scalars(1, 1)))) == "mean ± standard deviation of 1 run"


def test_millions_of_steps_are_thinned():
    n = 200_000
    x, y = np.arange(n), np.zeros(n)
    high = y + 1
    high[123_456] = 5
    (panel,) = draw([Band("a", "loss", x, y - 1, y, high)]).axes
    (band,) = edges(panel)
    assert len(band) < 20 * panel.get_position().width * panel.figure.get_figwidth() * DPI
    assert band[123_456] == (-1, 5)


def test_values_that_are_not_finite_or_huge():
    x = np.arange(4)
    y = np.array([0.0, np.nan, np.inf, 1.7e308])
    figure = draw([Band("a", "loss", x, -y, y, y), Curve("b", "loss", x, y, y)])
    figure.canvas.draw()


def test_bands_and_dates():
    x = np.array(["2026-01-01", "2026-01-02"], "datetime64[us]")
    y = np.array([1.0, 2.0])
    (panel,) = draw([Band("a", "loss", x, y - 1, y, y + 1)]).axes
    (band,) = edges(panel)
    assert list(band) == matplotlib.dates.date2num(x).tolist()


@pytest.mark.parametrize("band", ["min-max", 0, -1.0, True, float("nan"), float("inf")])
def test_band_is_a_kind_or_a_width(band):
    rule = (
        "band must be one of 'std', 'range', or a number of standard deviations above 0, received"
    )
    for data in (ewma.aggregate(scalars()), [1.0, 2.0]):
        with pytest.raises(ValueError, match=rule):
            plot(data, band=band)


def test_so_many_deviations_of_the_runs():
    groups = ewma.aggregate(scalars(groups=1))
    (panel,) = plot(groups, band=2.5).axes
    (band,) = edges(panel)
    low, high = np.transpose(list(band.values()))
    np.testing.assert_allclose(high - low, 5 * groups["std"])
    assert "mean ± 2.5 standard deviations of up to 3 runs" in str(texts(panel.figure))


# Of one curve, the deviation of its own samples


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


@pytest.mark.parametrize("band", ["std", 1, 2.5])
def test_around_a_curve(band):
    x = np.random.default_rng(1).standard_normal(60)
    width = 1 if band == "std" else band
    mean, deviation = ewma.smooth(x, 0.8), width * ewma.std(x, 0.8)
    for data in (x, pd.Series(x), scalars(1, 1).assign(value=x[:40])):
        figure = plot(data, beta=0.8, band=band)
        ((band_drawn,),) = [edges(panel) for panel in figure.axes]
        n = len(band_drawn)
        expected = np.column_stack([mean - deviation, mean + deviation])[1 : n + 1]
        np.testing.assert_allclose(list(band_drawn.values()), expected)
        unit = "standard deviation" if width == 1 else "2.5 standard deviations"
        note = f"smoothed with beta = 0.8; ± {unit}"
        assert any(text.endswith(note) for text in texts(figure))
    assert not plot(x, beta=0.8).axes[0].collections


def test_curves_that_choose_have_bands_of_their_own():
    random = np.random.default_rng(2)
    noise, walk = random.standard_normal((2, 300))
    curves = {"still": noise, "walk": noise + walk.cumsum()}
    wide = pd.DataFrame(curves)
    long = wide.melt(var_name="tag").assign(run="a", step=np.tile(np.arange(300), 2))
    betas = [ewma.choose_beta(x) for x in curves.values()]
    assert max(betas) > 0.9 > 0.7 > min(betas) > 0.1
    for data in (wide, long):
        figure = plot(data, beta="auto", band=2)
        bands = [band for panel in figure.axes for band in edges(panel)]
        for x, beta, band in zip(curves.values(), betas, bands, strict=True):
            mean, width = ewma.smooth(x, beta), 2 * ewma.std(x, beta)
            expected = np.column_stack([mean - width, mean + width])[1:]
            np.testing.assert_allclose(list(band.values()), expected)
        note = f"beta = {min(betas):.3g} to {max(betas):.3g} (chosen for each curve); ± 2 standard"
        assert any(note in text for text in texts(figure))


def test_on_the_command_line_too(tmp_path, monkeypatch):
    from ewma import _draw
    from ewma.tensorboard._write import write_scalars

    noise, walk = np.random.default_rng(2).standard_normal((2, 300)).astype(np.float32)
    curves = {"b": noise, "a": noise + walk.cumsum(dtype=np.float32)}  # drawn in another order
    logs = pd.DataFrame(curves).melt(var_name="tag").assign(run="r", wall_time=0.0)
    logs["step"] = np.tile(range(300), 2)
    write_scalars(logs, tmp_path)
    figures = []
    monkeypatch.setattr(_draw, "save", lambda figure, *_: figures.append(figure))
    result = call(str(tmp_path), "--beta", "auto", "--band", "2", "-o", str(tmp_path / "x.png"))
    assert result.code == 0
    bands = [band for panel in figures[0].axes for band in edges(panel)]
    for name, band in zip("ab", bands, strict=True):
        width = 2 * ewma.std(curves[name], ewma.choose_beta(curves[name]))
        np.testing.assert_allclose(np.ptp(list(band.values()), axis=1) / 2, width[1:], rtol=1e-5)


def test_the_mean_of_several_runs_chooses_for_their_band():
    groups = ewma.aggregate(scalars())
    figure = plot(groups, beta="auto", band="range")
    beta = ewma.choose_beta(groups["mean"])
    smoothed = {name: ewma.smooth(groups[name], beta) for name in ("min", "max")}
    ((band,),) = [edges(panel) for panel in figure.axes]
    np.testing.assert_allclose(list(band.values()), np.column_stack(list(smoothed.values())))
    assert any(f"smoothed with beta = {beta:.3g} (chosen)" in text for text in texts(figure))


def test_a_band_needs_a_decay():
    smoothed = scalars().assign(smoothed=1.0)
    with pytest.raises(ValueError, match="band needs how much to forget"):
        plot(smoothed, band=1)
    with pytest.raises(ValueError, match="band='range' is from the lowest to the highest of sev"):
        plot(smoothed, beta=0.9, band="range")


def test_no_rows():
    with pytest.raises(ValueError, match="data must have at least one group to draw"):
        plot(ewma.aggregate(scalars().iloc[:0]))


def test_x_is_the_step():
    with pytest.raises(ValueError, match="x='relative' needs a DataFrame of scalars"):
        plot(ewma.aggregate(scalars()), x="relative")
