"""`by`: each group on its own, whatever its keys are."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ewma import smooth, std, var
from ewma._groups import open_groups

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


def others(keys):
    """Keys in the containers of polars and Arrow."""
    array = pa.array(keys)
    return [pl.Series(keys), array, pa.chunked_array([array[:3], array[3:]])]


@pytest.mark.parametrize(
    "keys",
    [
        pl.Series(["a\0", "a", "a\0"]),
        pl.Series([1, 2, 1]).cast(pl.Time),
        pl.Series([2**70, 2**70 + 1, 2**70], dtype=pl.Int128),
        pl.Series(["1.1", "1.2", "1.1"]).cast(pl.Decimal(38, 1)),
        pl.Series([1, 2, 1]).cast(pl.Datetime("ns", "UTC")),
        pa.array(["a\0", "a", "a\0"]),
        pa.array([1, 2, 1]).cast(pa.time64("ns")),
        np.array([1, 1 + np.longdouble(2) ** -60, 1], np.longdouble),
    ],
    ids=lambda keys: str(keys.dtype if hasattr(keys, "dtype") else keys.type),
)
def test_keys_that_numpy_would_make_one(keys):
    np.testing.assert_allclose(smooth([4.0, 7.0, 1.0], 0.5, by=keys), [4, 7, 2])


@pytest.mark.parametrize(
    "keys",
    [
        ["a", "b", "a", "b", "b", "a"],
        ["a", None, "a", "b", None, "b"],
        [7, 5, 7, 7, 5, 5],
        [2**60, None, 2**60 + 1, 2**60, 2**60 + 1, None],
        [0.5, None, 0.5, 1.5, None, 1.5],
        [True, None, True, False, None, False],
    ],
    ids=str,
)
def test_keys_of_other_libraries(keys):
    expected = one_by_one(smooth, X[:6], keys)
    for by in others(keys):
        np.testing.assert_allclose(smooth(X[:6], 0.8, by=by), expected, rtol=1e-14)
        np.testing.assert_allclose(smooth(X[:6], 0.8, by=[by, [1] * 6]), expected, rtol=1e-14)
    if isinstance(keys[0], str):
        for by in (pl.Series(keys, dtype=pl.Categorical), pa.array(keys).dictionary_encode()):
            np.testing.assert_allclose(smooth(X[:6], 0.8, by=by), expected, rtol=1e-14)


def test_integers_are_taken_as_they_are():
    keys = np.array([1, 3, 1, 2], np.int64)
    codes, number = open_groups(keys, 4, lambda key: None)
    assert np.shares_memory(codes, keys)
    assert number == 4
    assert keys.tolist() == [1, 3, 1, 2]
    assert open_groups(keys + 10**9, 4, lambda key: None).number == 3


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
        ([(1,), {}, {}], TypeError, "keys that can be hashed; received {} at position 1: give a"),
        ([[(1,), [1], [2]]], TypeError, r"can be hashed; received \[1\] at position 1"),
        (pd.Series([1, ([],), 2]), TypeError, r"received \(\[\],\) at position 1"),
        (pl.Series([[1], [2], [1]]), TypeError, r"can be hashed; received \[1\] at position 0"),
        (pl.Series([{"a": 1, "b": 2}] * 3), TypeError, "can be hashed; received {'a': 1, 'b': 2}"),
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


def test_what_is_masked_is_a_group_of_its_own():
    keys = np.ma.array(["a", "b", "c"], mask=[True, False, True])
    assert smooth([4.0, 7.0, 1.0], 0.5, by=keys) == [4.0, 7.0, 2.0]
    assert smooth([4.0, 7.0, 1.0], 0.5, by=np.ma.array([1, 1, 2])) == smooth(
        [4.0, 7.0, 1.0], 0.5, by=[1, 1, 2]
    )


def test_another_byte_order():
    assert smooth([4.0, 7.0, 1.0], 0.5, by=np.array([0.5, 1.5, 0.5], ">f8")) == [4.0, 7.0, 2.0]
