"""`choose_beta` and `beta="auto"`: against the definition, and statsmodels' optimum."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command import call, run_on_terminal, without_styles
from event_writer import curve, event_file
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.holtwinters import SimpleExpSmoothing

import ewma
from ewma import _core, choose_beta, smooth
from ewma._auto import auto_beta

RUNS = Path(__file__).parents[1] / "examples/runs"


def forecast_error(x, beta):
    """Return the mean of (x_t - y_{t-1})^2, with the means of `smooth`."""
    x = x[np.isfinite(x)]
    return np.mean((x[1:] - smooth(x, float(beta))[:-1]) ** 2)


def rng(seed):
    return np.random.default_rng(seed)


def shifting(noise, seed, n=1000):
    """Return a level that walks, seen through noise: the larger the noise, the larger beta."""
    return rng(seed).standard_normal(n).cumsum() + noise * rng(seed + 100).standard_normal(n)


def shipped():
    scalars = ewma.read_scalars(RUNS)
    groups = scalars.groupby(["run", "tag"], observed=True)["value"]
    series = [(f"{run} {tag}", x.to_numpy()) for (run, tag), x in groups if len(x) >= 30]
    return dict(series[:: max(1, len(series) // 8)][:8])


SIMULATED = {
    "white noise": rng(1).standard_normal(1000),
    "random walk": rng(2).standard_normal(1000).cumsum(),
    **{f"walk + noise {noise}": shifting(noise, int(noise)) for noise in (1, 2, 5, 10, 30)},
    "on an offset": 1e9 + shifting(5, 3),
    "trend": np.arange(500) * 0.1 + rng(4).standard_normal(500),
    "falling loss": np.exp(-np.arange(800) / 100) + 0.05 * rng(5).standard_normal(800),
    "two levels": np.repeat([0.0, 5.0], 300) + rng(6).standard_normal(600),
    "seasons": np.sin(np.arange(700) / 20) + rng(7).standard_normal(700) / 3,
}
SERIES = SIMULATED | shipped()


def test_twenty_series():
    assert len(SERIES) == 20


# From its first sample on this one is far from its level, which statsmodels fits and a mean cannot
# know: its error is 2 % smaller.
AGAINST_ITSELF = np.where(np.arange(400) % 2, 1.0, -1.0) + rng(8).standard_normal(400) / 3


@pytest.mark.parametrize("name", [*SERIES, "against itself"])
def test_no_beta_forecasts_better(name):
    x = SERIES.get(name, AGAINST_ITSELF)
    least = min(forecast_error(x, b) for b in 1 - np.geomspace(1 / (8 * len(x)), 1, 300))
    least = min(least, forecast_error(x, 1.0))
    assert forecast_error(x, choose_beta(x)) <= least * (1 + 1e-6)


@pytest.mark.parametrize("name", SERIES)
def test_statsmodels_forecasts_no_better(name):
    # It also fits a level before the first sample; the errors are compared from the second on.
    x = SERIES[name] - SERIES[name][0]
    fit = SimpleExpSmoothing(x, initialization_method="estimated").fit()
    theirs = np.mean((x - fit.fittedvalues)[1:] ** 2)
    assert forecast_error(x, choose_beta(x)) <= 1.01 * theirs


def test_what_forgets_nothing_and_everything():
    assert choose_beta(SERIES["white noise"]) > 0.99
    assert choose_beta(SERIES["random walk"]) < 0.1
    assert choose_beta(np.arange(50.0)) == 0.0  # a trend: the last sample is nearest
    assert choose_beta([5.0, -1.0, 1.0, -1.0, 1.0]) < 1


def test_errors_of_the_kernel_are_the_definition():
    betas = np.r_[0.0, 1.0, np.linspace(0.01, 0.9999, 30)]
    for n in (1, 2, 3, 257, 258, 2000):
        x = shifting(3, 9, n)
        expected = [forecast_error(x, b) * (n - 1) if n > 1 else 0.0 for b in betas]
        for isa_limit in (0, 1, 2):
            sums = np.empty(32)
            _core.forecast_errors(x, betas, sums, isa_limit)
            np.testing.assert_allclose(sums, expected, rtol=1e-12)


def test_kernel_refuses_what_does_not_fit():
    for x, count, sums in ((3, 8, 8), (3, 16, 15), (0, 16, 16)):
        with pytest.raises(ValueError, match="a multiple of 16"):
            _core.forecast_errors(np.ones(x), np.ones(count), np.ones(sums))
    with pytest.raises(TypeError, match="float64"):
        _core.forecast_errors(np.ones(3, "f4"), np.ones(16), np.ones(16))


@pytest.mark.parametrize("constant", [0.0, 1.5, -1e308, 5e-324])
def test_a_constant_is_forecast_by_all(constant):
    assert choose_beta([constant] * 3) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=3, max_size=60), st.integers(-900, 900))
def test_scale_and_missing_samples_change_nothing(x, exponent):
    found = choose_beta(x)
    assert 0 <= found <= 1
    with_gaps = [number for sample in x for number in (None, sample, math.inf)]
    assert choose_beta(with_gaps) == found
    scaled = np.ldexp(x, exponent)
    if np.array_equal(np.ldexp(scaled, -exponent), x):
        assert choose_beta(scaled) == found


def test_the_largest_numbers():
    assert 0.9 < choose_beta(np.where(np.arange(200) % 2, 1.7e308, -1.7e308)) <= 1


def test_any_container():
    x = SERIES["walk + noise 5"].round(1)
    expected = choose_beta(x)
    for same in (x.tolist(), tuple(x), pd.Series(x), pd.Series(x, dtype="Float64"), x[::-1][::-1]):
        assert choose_beta(same) == expected
    assert 0 <= choose_beta(np.array([1, 5, 2], np.int8)) <= 1


def test_too_little():
    for x in ([], [1.0, 2.0], [1.0, None, 2.0, math.inf]):
        with pytest.raises(ValueError, match=r"at least 3 samples .* received [02]"):
            choose_beta(x)
    with pytest.raises(ValueError, match=r"one series.*received shape \(3, 2\)"):
        choose_beta(np.ones((3, 2)))
    with pytest.raises(TypeError, match="real numbers; received complex128"):
        choose_beta([1j, 2, 3])


# beta="auto"


def test_smooth_auto():
    x = SERIES["walk + noise 5"]
    beta = choose_beta(x)
    expected = smooth(x, beta)
    np.testing.assert_array_equal(smooth(x, "auto"), expected)
    assert smooth(x.tolist(), beta="auto") == expected.tolist()
    series = smooth(pd.Series(x), "auto")
    assert series.attrs == {"beta": beta}
    np.testing.assert_array_equal(series, expected)
    out = np.empty_like(x)
    assert smooth(x, "auto", out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert smooth([4.0, 1.0], "auto") == smooth([4.0, 1.0], 0.9)
    assert smooth([], "auto") == []


def test_smooth_auto_chooses_for_each_series():
    x = np.stack([SERIES["white noise"], SERIES["random walk"]], axis=1)
    x[5, 0] = np.nan
    betas = [choose_beta(x[:, 0]), choose_beta(x[:, 1])]
    for ignore_na in (True, False):
        options = {"ignore_na": ignore_na, "fill": True, "debias": False}
        expected = np.stack([smooth(x[:, i], betas[i], **options) for i in (0, 1)], axis=1)
        np.testing.assert_array_equal(smooth(x, "auto", **options), expected)
        np.testing.assert_array_equal(smooth(x.T, "auto", axis=1, **options), expected.T)
        frame = smooth(pd.DataFrame(x, columns=["a", "b"]), "auto", **options)
        np.testing.assert_array_equal(frame, expected)
        assert frame.attrs == {"beta": {"a": betas[0], "b": betas[1]}}
        alike = smooth(pd.DataFrame(x, columns=["a", "a"]), "auto", **options)
        assert alike.attrs == {"beta": betas}


def test_smooth_auto_refuses():
    with pytest.raises(ValueError, match="only one of"):
        smooth([1.0], "auto", alpha=0.1)
    with pytest.raises(ValueError, match="received times or by"):
        smooth([1.0, 2.0], "auto", by=[0, 1])
    with pytest.raises(ValueError, match="received times or by"):
        smooth([1.0, 2.0], "auto", times=[0, 1])
    with pytest.raises(TypeError, match="beta must be a number"):
        smooth([1.0], "automatic")
    with pytest.raises(TypeError, match="real samples; received complex128"):
        smooth([1j, 2.0], "auto")
    with pytest.raises(ValueError, match="shape of the result"):
        smooth(np.ones(3), "auto", out=np.ones(2))


def test_smooth_scalars_chooses_for_each_run_and_tag():
    frame = ewma.smooth_scalars(RUNS, "auto", runs="digits/*")
    groups = frame.groupby(["run", "tag"], observed=True)
    assert len(frame.attrs["beta"]) == len(groups) > 5
    for key, rows in groups:
        beta = frame.attrs["beta"][key]
        assert beta == auto_beta(rows["value"].to_numpy())
        np.testing.assert_array_equal(rows["smoothed"], smooth(rows["value"].to_numpy(), beta))
    with pytest.raises(ValueError, match="only one of"):
        ewma.smooth_scalars(RUNS, "auto", span=3)


# --beta auto


@pytest.fixture
def log(tmp_path, monkeypatch):
    """One file with a curve that is noise, one that is a walk, and one of a single point."""
    monkeypatch.chdir(tmp_path)
    curves = {"noise": SERIES["white noise"], "walk": SERIES["random walk"], "one": np.ones(1)}
    events = [event for tag, x in curves.items() for event in curve(tag, x.tolist())]
    Path("log.tfevents").write_bytes(event_file(*events))
    return "log.tfevents"


def test_command_line(log):
    code, out, err = call(log, "--beta", "auto")
    assert code == 0
    expected = ewma.smooth_scalars(log, "auto")
    betas = {tag: beta for (_, tag), beta in expected.attrs["beta"].items()}
    assert betas["noise"] > 0.99 > 0.1 > betas["walk"]
    assert betas["one"] == 0.9
    assert len(err.splitlines()) == 3
    for tag, beta in betas.items():
        assert f" {tag}: beta {beta:.5g}\n" in err
    smoothed = [float(line.rsplit(",", 1)[1]) for line in out.splitlines()[1:]]
    assert smoothed == expected["smoothed"].tolist()
    assert call(log, "--smoothing", "auto").out == out


def test_table_has_the_betas(log):
    for columns, wanted in ((120, "beta"), (40, "beta 0.9")):
        result = run_on_terminal(log, "--beta", "auto", columns=columns)
        assert result.code == 0
        shown = " ".join(without_styles(result.out).split())
        assert wanted in shown
        assert result.err == ""


def test_picture_has_the_betas(log):
    assert call(log, "--beta", "auto", "-o", "all.svg").code == 0
    assert "(chosen for each curve)" in Path("all.svg").read_text()
    assert call(log, "--beta", "auto", "--tag", "one", "-o", "one.svg").code == 0
    assert "smoothed with beta = 0.9 (chosen)" in Path("one.svg").read_text()


def test_command_line_refuses(log):
    for arguments, words in (
        (("--beta", "auto", "--alpha", "0.1"), "give only one of"),
        (("--beta", "auto", "--beta", "0.5"), "give it once"),
        (("--beta", "auto", "--aggregate", "run"), "leave out --aggregate"),
        (("--beta", "automatic"), "'automatic' is neither a number nor 'auto'"),
    ):
        result = call(log, *arguments)
        assert result.code == 2
        assert words in result.err
        assert len(result.err.splitlines()) == 1
