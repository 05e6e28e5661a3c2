"""`smooth` against pandas' `ewm(...).mean()`."""

import numpy as np
import pandas as pd
import pytest

from ewma import smooth

DECAYS = [
    *({"alpha": alpha} for alpha in (1e-4, 0.01, 0.1, 0.5, 0.9, 1.0)),
    *({"com": com} for com in (0.0, 0.5, 9.0, 1e4)),
    *({"span": span} for span in (1.0, 2.5, 19.0, 1e4)),
    *({"halflife": halflife} for halflife in (0.1, 1.0, 6.6, 1e4)),
]


def noise(n=20_000, missing=0.0, seed=0):
    rng = np.random.default_rng(seed)
    x = 5 + rng.standard_normal(n)
    x[rng.random(n) < missing] = np.nan
    return pd.Series(x, name="x")


@pytest.mark.parametrize("ignore_na", [True, False])
@pytest.mark.parametrize("decay", DECAYS, ids=str)
def test_adjusted(decay, ignore_na):
    x = noise(missing=0.2)
    x[:3] = np.nan
    x[500:700] = np.nan
    expected = x.ewm(**decay, ignore_na=ignore_na, adjust=True).mean()
    found = smooth(x, **decay, ignore_na=ignore_na, fill=True)
    pd.testing.assert_series_equal(found, expected, rtol=1e-12, atol=0)
    gaps_stay = smooth(x, **decay, ignore_na=ignore_na)
    pd.testing.assert_series_equal(gaps_stay, expected.where(x.notna()), rtol=1e-12, atol=0)


@pytest.mark.parametrize("ignore_na", [True, False])
def test_infinity_is_missing(ignore_na):
    x = noise(1000, missing=0.1)
    x[::7] = np.inf
    x[::11] = -np.inf
    expected = x.ewm(alpha=0.1, ignore_na=ignore_na).mean()
    found = smooth(x, alpha=0.1, ignore_na=ignore_na, fill=True)
    pd.testing.assert_series_equal(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("decay", DECAYS, ids=str)
def test_not_adjusted(decay):
    # y_0 = x_0 and a gain of 1 - beta: the undebiased mean of what is left over x_0.
    x = noise()
    first = x.iloc[0]
    found = first + smooth(x - first, **decay, debias=False)
    expected = x.ewm(**decay, adjust=False).mean()
    pd.testing.assert_series_equal(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("ignore_na", [True, False])
def test_frame(ignore_na):
    frame = pd.DataFrame({c: noise(3000, missing=0.3, seed=i) for i, c in enumerate("abcde")})
    expected = frame.ewm(span=20, ignore_na=ignore_na).mean()
    found = smooth(frame, span=20, ignore_na=ignore_na, fill=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12, atol=0)
    across = smooth(frame, span=20, ignore_na=ignore_na, fill=True, axis="columns")
    expected = frame.T.ewm(span=20, ignore_na=ignore_na).mean().T
    pd.testing.assert_frame_equal(across, expected, rtol=1e-12, atol=0)
