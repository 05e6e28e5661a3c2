"""Every row of the tables in docs/coming_from.md: the other library's call and ours agree."""

import math
import re
from pathlib import Path
from typing import NamedTuple

import numbagg
import numpy as np
import pandas as pd
import polars as pl
import pytest
from statsmodels.tsa.holtwinters import SimpleExpSmoothing

import ewma

DOCUMENT = Path(__file__).parents[1] / "docs/coming_from.md"


class Row(NamedTuple):
    """A row of a table."""

    theirs: str
    ours: str
    samples: str


def rows():
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            yield Row(*(re.fullmatch("`(.*)`", cell)[1] for cell in cells[:2]), cells[2])


def slider(values, weight):
    """Smooth as TensorBoard's data_transformer.ts does."""
    last, count, smoothed = 0.0, 0, []
    for value in values:
        if math.isfinite(value):
            last = last * weight + (1 - weight) * value
            count += 1
        smoothed.append(last / (1 - weight**count) if math.isfinite(value) else value)
    return smoothed


def time_weighted(values, steps, param):
    """Smooth as W&B's documentation says under "time-weighted exponential moving average"."""
    weight = min(math.sqrt(param), 0.999)
    total, debias, smoothed, last = 0.0, 0.0, [], steps[0]
    for value, step in zip(values, steps, strict=True):
        adapted = weight ** ((step - last) / np.ptp(steps) * 1000)
        total, debias, last = total * adapted + value, debias * adapted + 1, step
        smoothed.append(total / debias)
    return smoothed


def surroundings(complete, i):
    """Return what the calls speak of."""
    rng = np.random.default_rng(1)
    x = 5 + rng.standard_normal(500).cumsum()
    if not complete:
        x[rng.random(500) < 0.2] = np.nan
        x[100:110] = np.nan
    x2 = x + rng.standard_normal(500)
    t = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 100, 500).cumsum(), "s")
    return {
        **{name: getattr(ewma, name) for name in ewma.__all__},
        **{"np": np, "numbagg": numbagg, "SimpleExpSmoothing": SimpleExpSmoothing},
        **{"slider": slider, "time_weighted": time_weighted},
        **{"x": x, "s": pd.Series(x, name="loss"), "p": pl.Series(x).fill_nan(None)},
        **{"t": t, "pt": pl.Series(t.to_numpy()), "key": rng.choice(list("abc"), 500)},
        **{"a": 0.1, "h": 6.5, "d": "90s", "dp": "90s", "i": i, "w": 0.9},
        "steps": rng.integers(1, 20, 500).cumsum(),
        **{"x2": x2, "s2": pd.Series(x2), "n": np.arange(1, 501), "pl": pl},
    }


def test_rows_are_found():
    text = DOCUMENT.read_text()
    assert len(list(rows())) == text.count("\n| `") >= 25
    for call in ("ewm", "ewm_mean", "ewm_mean_by", "move_exp_nanmean", "slider", "time_weighted"):
        assert any(call in row.theirs for row in rows())


@pytest.mark.parametrize("i", [True, False])
@pytest.mark.parametrize("row", [*rows()], ids=lambda row: row.theirs)
def test_both_agree(row, i):
    assert row.samples in ("", "complete")
    names = surroundings(row.samples == "complete", i)
    theirs, ours = eval(row.theirs, names), eval(row.ours, names)
    if isinstance(theirs, pd.Series | pd.DataFrame):
        assert type(ours) is type(theirs)
        assert ours.index.equals(theirs.index)
    if isinstance(theirs, pl.Series):
        assert isinstance(ours, pl.Series)
    theirs, ours = (np.array(result, float) for result in (theirs, ours))
    assert np.isfinite(theirs).sum() > 300
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_pandas_at_a_half():
    # pandas 3 leaps where com is 1; if it no longer does, docs/coming_from.md should not say so.
    s = pd.Series([1, np.nan, 5])
    last = [s.ewm(com=com, adjust=False).mean().iloc[-1] for com in (1 - 1e-9, 1, 1 + 1e-9)]
    assert last == pytest.approx([11 / 3, 4.0 if pd.__version__ >= "3" else 11 / 3, 11 / 3])
