"""polars in, polars out: the numbers of NumPy's, with names, dtypes and nulls as they were."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

import ewma

INTEGERS = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128]
INTEGERS += [pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]
VALUES = [4, 1, 3, 2, 9]


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_floats_keep_their_type(dtype):
    series = pl.Series("loss", VALUES, dtype)
    smoothed = ewma.smooth(series, 0.5)
    assert (smoothed.name, smoothed.dtype) == ("loss", dtype)
    np.testing.assert_array_equal(smoothed.to_numpy(), ewma.smooth(series.to_numpy(), 0.5))
    assert series.to_list() == VALUES


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("values", [VALUES, [4, None, 3]])
def test_integers_become_float64(dtype, values):
    smoothed = ewma.smooth(pl.Series("n", values, dtype), 0.5)
    assert_series_equal(smoothed, pl.Series("n", ewma.smooth(values, 0.5), pl.Float64))


@pytest.mark.parametrize("values", [[True, False, True], [True, None, False]])
def test_booleans(values):
    smoothed = ewma.smooth(pl.Series(values), 0.5)
    assert smoothed.dtype == pl.Float64
    assert smoothed.to_list() == ewma.smooth(values, 0.5)


def test_what_is_missing_stays_as_it_was():
    series = pl.Series([None, 4.0, None, math.nan, 1.0, math.inf], strict=False)
    smoothed = ewma.smooth(series, 0.5)
    assert smoothed.to_list()[:3] == [None, 4.0, None]
    assert math.isnan(smoothed[3])
    assert smoothed[5] == math.inf
    filled = ewma.smooth(series, 0.5, fill=True)
    assert filled.to_list() == [None, 4.0, 4.0, 4.0, 2.0, 2.0]


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=40), st.booleans(), st.booleans())
def test_nulls_are_as_nan_to_numpy(values, ignore_na, fill):
    options = {"ignore_na": ignore_na, "fill": fill}
    array = np.array([math.nan if value is None else value for value in values], float)
    smoothed = ewma.smooth(pl.Series(values, dtype=pl.Float64), 0.7, **options)
    expected = ewma.smooth(array, 0.7, **options)
    assert smoothed.null_count() == np.isnan(expected).sum()
    np.testing.assert_array_equal(smoothed.to_numpy(), expected)


def test_frames():
    frame = pl.DataFrame(
        {
            "a": pl.Series(VALUES, dtype=pl.Float32),
            "b": pl.Series([None, *VALUES[1:]], dtype=pl.Int64),
        }
    )
    smoothed = ewma.smooth(frame, 0.5)
    assert_frame_equal(smoothed, frame.select(pl.all().map_batches(lambda s: ewma.smooth(s, 0.5))))
    assert smoothed.schema == {"a": pl.Float32, "b": pl.Float64}
    one_type = frame.select("a", pl.col("a").alias("c"))
    assert ewma.smooth(one_type, 0.5).schema == one_type.schema
    across = ewma.smooth(one_type, 0.5, axis="columns")
    np.testing.assert_array_equal(across.to_numpy(), ewma.smooth(one_type.to_numpy(), 0.5, axis=1))
    assert ewma.smooth(pl.DataFrame(), 0.5).shape == (0, 0)


def test_several_betas():
    series = pl.Series("loss", VALUES, pl.Float64)
    several = ewma.smooth(series, beta=[0.5, 0.9])
    assert several.columns == ["beta=0.5", "beta=0.9"]
    np.testing.assert_array_equal(several["beta=0.9"], ewma.smooth(series, 0.9))
    several = ewma.smooth(series.to_frame(), halflife=[1, 2])
    assert several.columns == ["loss halflife=1", "loss halflife=2"]
    np.testing.assert_array_equal(several["loss halflife=2"], ewma.smooth(series, halflife=2))


def test_all_of_it_in_polars():
    frame = pl.DataFrame(
        {"x": [1.0, 5.0, 2.0, 7.0], "key": ["a", "b", "a", "b"], "at": [0, 1, 4, 5]}
    )
    frame = frame.with_columns(pl.from_epoch("at", time_unit="s").alias("date"))
    x, numbers = frame["x"], frame["x"].to_numpy()
    grouped = ewma.smooth(x, 0.5, by=frame["key"])
    assert grouped.to_list() == ewma.smooth(numbers, 0.5, by=list("abab")).tolist()
    timed = ewma.smooth(x, halflife="2s", times=frame["date"])
    assert timed.to_list() == ewma.smooth(numbers, halflife=2, times=[0, 1, 4, 5]).tolist()
    assert ewma.std(x, 0.5).to_list()[1:] == ewma.std(numbers, 0.5).tolist()[1:]
    assert ewma.choose_beta(x) == ewma.choose_beta(numbers)


@pytest.mark.parametrize(
    "data",
    [pl.Series("when", ["2026-01-01"]), pl.DataFrame({"x": [1.0], "when": ["2026-01-01"]})],
)
def test_text_is_no_number(data):
    with pytest.raises(TypeError, match=r"received a column of String, named 'when': cast it"):
        ewma.smooth(data)


def test_what_has_no_values_yet():
    with pytest.raises(
        TypeError, match=r"Series or DataFrame of pandas or polars; received .*Lazy"
    ):
        ewma.smooth(pl.DataFrame({"x": [1.0]}).lazy())


def test_a_beta_twice():
    for data in (pl.Series([1.0, 2.0]), pl.DataFrame({"x": [1.0, 2.0]})):
        with pytest.raises(ValueError, match=r"beta must not have a value twice .* \[0.9, 0.9\]"):
            ewma.smooth(data, beta=[0.9, 0.9])


def test_a_column_in_which_nothing_is_there():
    smoothed = ewma.smooth(pl.DataFrame({"x": [1.0, 2.0], "none": [None, None]}), 0.5)
    assert smoothed["none"].to_list() == [None, None]
    assert smoothed["none"].dtype == pl.Float64
