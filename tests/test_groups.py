"""`by`: each group on its own, whatever its keys are."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewma import smooth, std, var

KEYS = {
    "integers": [3, 1, 3, 3, 2, 1, 2, 3],
    "far apart": [3, 10**15, 3, 3, -2, 10**15, -2, 3],
    "bools": [True, False, True, True, False, False, True, True],
    "text": list("baaabbab"),
    "mixed": [1, "1", 1, (1, 2), "1", (1, 2), None, None],
    "floats": [0.5, math.nan, 0.5, 1.5, math.nan, 1.5, 0.5, math.nan],
}
X = np.random.default_rng(2).standard_normal(8)


def one_by_one(function, x, keys, **options):
    result = np.empty(len(x))
    names = {repr(key) for key in keys}
    for name in names:
        rows = [row for row, key in enumerate(keys) if repr(key) == name]
        result[rows] = function(x[rows], 0.8, **options)
    return result


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("function", [smooth, var, std])
def test_keys_of_any_type(function, keys):
    expected = one_by_one(function, X, keys)
    array = np.empty(len(keys), object)
    array[:] = keys
    given = [keys, array, pd.Series(array), pd.Index(array)]
    if len({type(key) for key in keys}) == 1:
        given += [np.array(keys), pd.Categorical(keys), pd.Series(keys, dtype="category")]
    for by in given:
        np.testing.assert_allclose(function(X, 0.8, by=by), expected, rtol=1e-14)


def test_several_keys():
    a, b = np.array(list("xyxyxxyy")), [1, 1, 2, 2, 1, 2, 2, 1]
    expected = one_by_one(smooth, X, list(zip(a.tolist(), b, strict=True)))
    for by in ([a, b], (a, b), [pd.Series(a), pd.Categorical(b)], list(zip(a, b, strict=True))):
        np.testing.assert_allclose(smooth(X, 0.8, by=by), expected, rtol=1e-14)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1e3, 1e3)), max_size=60))
def test_is_each_group_on_its_own(rows):
    keys, x = [key for key, _ in rows], np.array([value for _, value in rows], float)
    expected = one_by_one(smooth, x, keys)
    np.testing.assert_allclose(smooth(x, 0.8, by=keys), expected, rtol=1e-13, atol=1e-10)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_pandas_and_polars(order):
    rng = np.random.default_rng(6)
    keys, x = rng.integers(0, 50, 4000), rng.standard_normal(4000)
    keys = np.sort(keys) if order == "sorted" else keys
    frame = pd.DataFrame({"key": keys, "x": x})
    pandas = frame.groupby("key")["x"].transform(lambda group: group.ewm(alpha=0.1).mean())
    smoothed = smooth(frame["x"], 0.9, by=frame["key"])
    np.testing.assert_allclose(smoothed, pandas, rtol=1e-12, atol=1e-14)
    polars = pl.DataFrame(frame).select(pl.col("x").ewm_mean(alpha=0.1).over("key"))
    np.testing.assert_allclose(smoothed, polars.to_series(), rtol=1e-12, atol=1e-14)


def test_empty():
    assert smooth([], by=[]) == []
    assert smooth(np.empty((0, 2)), by=np.array([], int)).shape == (0, 2)


@pytest.mark.parametrize(
    ("by", "error", "rule"),
    [
        ([1, 2], ValueError, "a key for each of the 3 samples along the axis; received 2"),
        ([], ValueError, "received 0"),
        ("run", TypeError, "a key for each row: an array, a Series or a list; received 'run'"),
        (7, TypeError, "received 7"),
        (np.ones((3, 1)), TypeError, "a key for each row: an array, a Series or a list; received"),
        ({1: 2, 3: 4, 5: 6}, TypeError, "a key for each row"),
    ],
)
def test_bad_groups(by, error, rule):
    with pytest.raises(error, match=rule):
        smooth([1.0, 2.0, 3.0], by=by)


def test_an_index_that_is_another():
    with pytest.raises(ValueError, match="by is a Series whose index is not that of the samples"):
        smooth(pd.Series([1.0, 2.0]), by=pd.Series([1, 2], index=[1, 0]))
    with pytest.raises(ValueError, match="by is a Series whose index"):
        smooth(pd.Series([1.0, 2.0]), by=[[1, 1], pd.Series([1, 2], index=[1, 0])])
    assert smooth([1.0, 2.0], by=pd.Series(["a", "b"])) == [1.0, 2.0]


def test_another_byte_order():
    assert smooth([4.0, 7.0, 1.0], 0.5, by=np.array([0.5, 1.5, 0.5], ">f8")) == [4.0, 7.0, 2.0]
