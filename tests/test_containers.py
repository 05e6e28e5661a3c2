"""What comes in goes out: lists, arrays of every dtype, Series and DataFrames."""

import math
import subprocess
import sys
from collections import namedtuple
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ewma import smooth, var

NAN, INF = math.nan, math.inf

# At beta = 1/2 the means of 4, 1, 3 are 4, 2, 18/7.
LAST = 18 / 7


# Lists and tuples


def test_list_and_tuple():
    assert smooth([4, 1, 3], 0.5) == [4.0, 2.0, LAST]
    assert smooth((4, 1, 3), 0.5) == (4.0, 2.0, LAST)
    assert smooth([True, False], 0.5) == [1.0, pytest.approx(1 / 3)]
    assert [type(y) for y in smooth([4, True, 3.0], 0.5)] == [float] * 3
    assert [type(y) for y in smooth([4, None, 3.0], 0.5)] == [float, type(None), float]
    assert smooth([4j, 1j], 0.5) == [4j, 2j]


def test_nested_list():
    rows = [[4.0, 40.0], [1.0, 10.0], [3.0, 30.0]]
    assert smooth(rows, 0.5) == [[4.0, 40.0], [2.0, 20.0], [LAST, 10 * LAST]]
    assert smooth(rows, 0.5, axis=1)[0] == [4.0, 28.0]
    assert smooth([rows, rows], 0.5, axis=-2)[1] == smooth(rows, 0.5)
    assert smooth([[4.0, None], [1.0, 10.0]], 0.5) == [[4.0, None], [2.0, 10.0]]
    assert rows == [[4.0, 40.0], [1.0, 10.0], [3.0, 30.0]]


@pytest.mark.parametrize("empty", [[], (), [[], []]])
def test_empty(empty):
    assert smooth(empty) == empty


def test_none_is_missing():
    assert smooth([None, 4, None, 1, None], 0.5) == [None, 4.0, None, 2.0, None]
    assert smooth([None, 4, None, 1], 0.5, ignore_na=False) == [None, 4.0, None, 1.6]
    filled = smooth([None, 4, None, 1, None], 0.5, fill=True)
    assert filled[0] is None
    assert filled[1:] == [4.0, 4.0, 2.0, 2.0]
    assert smooth([None, None]) == [None, None]


def test_numbers_of_any_kind():
    numbers = [Decimal(4), Fraction(1), 3]
    assert smooth(numbers, 0.5) == [4.0, 2.0, LAST]
    assert smooth([Decimal("NaN"), Fraction(1, 3)], 0.5)[1] == 1 / 3
    assert smooth([10**30, None, Decimal("1e30")]) == [1e30, None, 1e30]
    assert smooth([4, pd.NA, 1], 0.5) == [4.0, pd.NA, 2.0]


# Arrays


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", ">f4", ">f8", ">f2"])
def test_floats_keep_their_type(dtype):
    x = np.array([4, NAN, 1, INF, 3, -INF], dtype)
    y = smooth(x, 0.5)
    assert y.dtype == x.dtype
    expected = np.array([4, NAN, 2, INF, LAST, -INF]).astype(dtype)
    np.testing.assert_array_equal(y, expected)
    filled = smooth(x, 0.5, fill=True)
    np.testing.assert_array_equal(filled, np.array([4, 4, 2, 2, LAST, LAST]).astype(dtype))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u4", "i8", "u8", ">i4"])
def test_integers_become_float64(dtype):
    y = smooth(np.array([4, 1, 3], dtype), 0.5)
    assert y.dtype == np.float64
    assert y.tolist() == [4.0, 2.0, LAST]


def test_bools_become_float64():
    y = smooth(np.array([True, False]), 0.5)
    assert y.dtype == np.float64
    assert y.tolist() == [1.0, 1 / 3]


@pytest.mark.parametrize("dtype", ["c8", "c16", "G", ">c8", ">c16"])
def test_complex(dtype):
    parts = np.array([4 + 40j, complex(NAN, 5), complex(5, NAN), complex(INF, 1), 1 + 10j])
    x = parts.astype(dtype)
    y = smooth(x, 0.5)
    assert y.dtype == x.dtype
    # A sample is missing if either part is, and both parts stay as they are.
    np.testing.assert_array_equal(y[1:4], x[1:4])
    assert y[[0, 4]].tolist() == [4 + 40j, 2 + 20j]
    np.testing.assert_array_equal(smooth(x, 0.5, fill=True), np.array([4 + 40j] * 4 + [2 + 20j]))
    leading = smooth(x[1:], 0.5, fill=True)
    assert np.isnan(leading[:3].real).all()
    assert np.isnan(leading[:3].imag).all()
    decayed = smooth(np.array([4 + 4j, complex(NAN, 1), 1 + 1j]), 0.5, ignore_na=False)
    assert decayed[2] == pytest.approx(1.6 + 1.6j)


def test_object_array():
    x = np.array([[4, None], [pd.NA, 40], [1, Decimal(10)], [NAN, INF]], object)
    y = smooth(x, 0.5)
    assert y.dtype == object
    assert y[:3].tolist() == [[4.0, None], [pd.NA, 40.0], [2.0, 20.0]]
    assert np.isnan(y[3, 0])
    assert y[3, 1] == INF
    assert x[0].tolist() == [4, None]
    np.testing.assert_array_equal(smooth(x[:, ::-1].T, 0.5, axis=1)[0][:2], [None, 40.0])


def test_subclass_of_array_becomes_an_array():
    x = np.array([4.0, 1.0]).view(np.recarray)
    assert type(smooth(x, 0.5)) is np.ndarray


# Series


def series(values, dtype=None):
    index = pd.MultiIndex.from_product([["a"], range(len(values))], names=["run", "step"])
    made = pd.Series(values, index=index, name=("loss", 1), dtype=dtype)
    made.attrs["unit"] = "nats"
    return made


def assert_labels_kept(new, old):
    assert type(new) is type(old)
    pd.testing.assert_index_equal(new.index, old.index)
    assert new.attrs == old.attrs
    if isinstance(old, pd.Series):
        assert new.name == old.name
    else:
        pd.testing.assert_index_equal(new.columns, old.columns)


SERIES_DTYPES = {
    "float64": "float64",
    "float32": "float32",
    "float16": "float16",
    "int64": "float64",
    "uint8": "float64",
    "bool": "float64",
    "complex128": "complex128",
    "Float64": "Float64",
    "Float32": "Float32",
    "Int64": "Float64",
    "UInt8": "Float64",
    "boolean": "Float64",
    "double[pyarrow]": "double[pyarrow]",
    "float[pyarrow]": "float[pyarrow]",
    "int64[pyarrow]": "double[pyarrow]",
    "uint8[pyarrow]": "double[pyarrow]",
    "bool[pyarrow]": "double[pyarrow]",
}
WITH_NA = [
    dtype for dtype in SERIES_DTYPES if dtype[0].isupper() or dtype == "boolean" or "[" in dtype
]


@pytest.mark.parametrize("dtype", SERIES_DTYPES)
def test_series(dtype):
    x = series([1, 0, 1], dtype)
    before = x.copy(deep=True)
    y = smooth(x, 0.5)
    assert y.dtype == SERIES_DTYPES[dtype]
    assert_labels_kept(y, x)
    np.testing.assert_allclose(y.to_numpy(complex).real, [1, 1 / 3, 5 / 7], rtol=1e-3)
    pd.testing.assert_series_equal(x, before)
    assert x.attrs == before.attrs
    empty = smooth(x[:0])
    assert empty.dtype == SERIES_DTYPES[dtype]
    assert_labels_kept(empty, x[:0])


@pytest.mark.parametrize("dtype", WITH_NA)
def test_na_stays_na(dtype):
    x = series([None, 1, None, 0, None], dtype)
    y = smooth(x, 0.5)
    assert y.dtype == SERIES_DTYPES[dtype]
    assert y.isna().tolist() == [True, False, True, False, True]
    assert y.iloc[0] is pd.NA
    np.testing.assert_allclose(y.iloc[[1, 3]].to_numpy(float), [1, 1 / 3], rtol=1e-6)
    decayed = smooth(x, 0.5, ignore_na=False)
    np.testing.assert_allclose(decayed.iloc[[1, 3]].to_numpy(float), [1, 1 / 5], rtol=1e-6)
    filled = smooth(x, 0.5, fill=True)
    assert filled.dtype == SERIES_DTYPES[dtype]
    assert filled.iloc[0] is pd.NA
    np.testing.assert_allclose(filled.iloc[1:].to_numpy(float), [1, 1, 1 / 3, 1 / 3], rtol=1e-6)


def test_nan_in_arrow_is_not_na():
    x = pd.Series(pd.arrays.ArrowExtensionArray(pa.array([4.0, NAN, None, 1.0, INF])))
    cells = pa.array(smooth(x, 0.5)).to_pylist()
    assert [cells[0], cells[2], cells[3], cells[4]] == [4.0, None, 2.0, INF]
    assert math.isnan(cells[1])


def test_series_of_objects():
    x = series([4, None, Decimal(1), pd.NA], object)
    y = smooth(x, 0.5)
    assert y.dtype == object
    assert y.tolist() == [4.0, None, 2.0, pd.NA]
    assert_labels_kept(y, x)
    assert smooth(x[:0]).dtype == object


def test_series_attributes_are_its_own():
    x = series([1.0, 2.0])
    smooth(x).attrs["unit"] = "bits"
    assert x.attrs["unit"] == "nats"


# DataFrames


def frame(**columns):
    made = pd.DataFrame(columns)
    made.index = pd.date_range("2026-01-01", periods=len(made), name="day")
    made.columns.name = "tag"
    made.attrs["unit"] = "nats"
    return made


def test_frame_of_one_dtype():
    for dtype in ("float64", "float32", "complex128"):
        x = frame(a=[4, 1, 3], b=[40, 10, 30]).astype(dtype)
        y = smooth(x, 0.5)
        assert (y.dtypes == dtype).all()
        assert_labels_kept(y, x)
        np.testing.assert_allclose(y, np.outer([4, 2, LAST], [1, 10]), rtol=1e-6)


def test_frame_of_mixed_dtypes():
    dtypes = {f"{i}": dtype for i, dtype in enumerate(SERIES_DTYPES) if dtype[:3] != "com"}
    x = pd.DataFrame({name: pd.Series([1, 0, 1], dtype=dtype) for name, dtype in dtypes.items()})
    x["o"] = pd.Series([1, None, 0], dtype=object)
    y = smooth(x, 0.5)
    assert_labels_kept(y, x)
    for name, dtype in dtypes.items():
        assert y[name].dtype == SERIES_DTYPES[dtype]
        pd.testing.assert_series_equal(y[name], smooth(x[name], 0.5))
    assert y["o"].tolist() == [1.0, None, 1 / 3]


def test_frame_with_missing_cells():
    x = frame(a=[4.0, NAN, 1.0], b=[4, 1, 3])
    x["c"] = pd.array([4, None, 1], "Int64")
    x["d"] = pd.array([None, 4, 1], "double[pyarrow]")
    y = smooth(x, 0.5)
    for name in x:
        pd.testing.assert_series_equal(y[name], smooth(x[name], 0.5))
    filled = smooth(x, 0.5, fill=True)
    assert filled["c"].tolist() == [4.0, 4.0, 2.0]
    assert filled["d"].tolist() == [pd.NA, 4.0, 2.0]


def test_frame_of_real_and_complex_columns():
    x = frame(a=[4.0, NAN, 1.0], c=[4j, 1j, complex(NAN, 1)])
    x["n"] = pd.array([None, 4, 1], "Int64")
    for fill in (True, False):
        y = smooth(x, 0.5, fill=fill)
        assert y.dtypes.astype(str).tolist() == ["float64", "complex128", "Float64"]
        for name in x:
            pd.testing.assert_series_equal(y[name], smooth(x[name], 0.5, fill=fill))
    across = smooth(frame(c=[4j, 4j], a=[1.0, 1.0]), 0.5, axis=1)
    np.testing.assert_allclose(across["a"], [(2 + 4j) / 3] * 2)


def test_duplicate_and_nested_column_names():
    x = frame(a=[4, 1], b=[40.0, 10.0])
    x.columns = ["a", "a"]
    y = smooth(x, 0.5)
    assert_labels_kept(y, x)
    assert y.to_numpy().tolist() == [[4.0, 40.0], [2.0, 20.0]]
    x.columns = pd.MultiIndex.from_tuples([("run", 1), ("run", 2)], names=["run", "tag"])
    assert_labels_kept(smooth(x, 0.5), x)
    x.index = [7, 7]
    assert_labels_kept(smooth(x, 0.5), x)


@pytest.mark.parametrize("mixed", [True, False])
def test_frame_axis(mixed):
    x = frame(a=[4, 40] if mixed else [4.0, 40.0], b=[1.0, 10.0], c=[3.0, 30.0])
    for axis in (0, "index", -2):
        pd.testing.assert_frame_equal(smooth(x, 0.5, axis=axis), smooth(x, 0.5))
    for axis in (1, "columns", -1):
        y = smooth(x, 0.5, axis=axis)
        assert_labels_kept(y, x)
        np.testing.assert_allclose(y, np.outer([1, 10], [4, 2, LAST]), rtol=1e-15)
    with pytest.raises(ValueError, match=r"axis must lie in \[-2, 2\) .* received 2"):
        smooth(x, axis=2)
    with pytest.raises(
        ValueError, match="axis must be a number, 'index' or 'columns'; received 'r"
    ):
        smooth(x, axis="rows")
    with pytest.raises(ValueError, match="axis must be a number for a Series; received 'columns'"):
        smooth(x["a"], axis="columns")


def test_axis_names_of_a_subclass():
    class Runs(pd.DataFrame):
        pass

    x = Runs({"a": [4.0, 1.0], "b": [2.0, 0.0]})
    np.testing.assert_array_equal(smooth(x, 0.5, axis="columns"), smooth(x, 0.5, axis=1))


def test_empty_frames():
    for x in (
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(columns=["a", "b"], dtype=float),
        pd.DataFrame({"a": pd.Series([], dtype="Int64"), "b": pd.Series([], dtype=float)}),
    ):
        for axis in (0, 1):
            y = smooth(x, axis=axis)
            assert_labels_kept(y, x)
            assert y.shape == x.shape
    assert y.dtypes.astype(str).tolist() == ["Float64", "float64"]


def test_frame_is_not_changed():
    for x in (frame(a=[4.0, 1.0], b=[1.0, 2.0]), frame(a=[4, 1], b=[1.0, NAN])):
        before = x.copy(deep=True)
        y = smooth(x)
        y.iloc[:, :] = 7.0
        y.attrs["unit"] = "bits"
        pd.testing.assert_frame_equal(x, before)
        assert x.attrs == {"unit": "nats"}


# What is refused: the message states the rule and what was received


def _generator():
    yield 1.0


UNKNOWN = {
    "a set": ({1.0, 2.0}, "received set"),
    "a generator": (_generator(), "received generator"),
    "a dict": ({"a": 1.0}, "received dict"),
    "a string": ("1.0", "received str"),
    "a number": (1.0, "received float"),
    "a NumPy number": (np.float64(1.0), "numpy.float64"),
    "nothing": (None, "received NoneType"),
    "an Index": (pd.Index([1.0]), "Index"),
    "an Arrow array": (pa.array([1.0]), "pyarrow.lib.DoubleArray"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_container(name):
    value, received = UNKNOWN[name]
    with pytest.raises(TypeError, match=r"^series must be a list, a tuple, a NumPy array") as error:
        smooth(value)
    assert f"{received}: convert it" in str(error.value)


def test_container_of_a_library_not_known():
    class DataFrame:  # such as polars', with all that NumPy needs to swallow it
        __module__ = "polars.dataframe.frame"

        def __array__(self, dtype=None, copy=None):
            return np.ones(3)

        def __len__(self):
            return 3

    with pytest.raises(TypeError, match=r"received polars\.dataframe\.frame\..*DataFrame"):
        smooth(DataFrame())


def test_a_tuple_with_names_is_a_tuple():
    assert smooth(namedtuple("Pair", "a b")(4.0, 1.0), 0.5) == (4.0, 2.0)


@pytest.mark.parametrize("ragged", [[[1, 2], [3]], [1, [2, 3]], [[1, None], None], ([1], [2, 3])])
def test_ragged_list(ragged):
    with pytest.raises(ValueError, match="must have equal lengths; received a ragged one") as error:
        smooth(ragged)
    assert repr(ragged) in str(error.value)


def test_a_single_number_in_an_array():
    for value in (3.0, 3, None):
        with pytest.raises(ValueError, match="at least one axis; received a single number"):
            smooth(np.array(value))


@pytest.mark.parametrize(
    ("array", "received"),
    [
        (np.array(["1.5", "2"]), "received an array of <U3: ['1.5', '2']"),
        (np.array([b"1"]), "received an array of |S1"),
        (np.array(["2026-01-01"], "M8[D]"), "received an array of datetime64[D]"),
        (np.array([1], "m8[s]"), "received an array of timedelta64[s]"),
        (np.zeros(2, [("a", float)]), "received an array of [('a', '<f8')]"),
        (np.array([1.0, "2"], object), "received '2'"),
        (np.array([1.0, 1j], object), "received 1j"),
        (np.array([1.0, pd.NaT], object), "received NaT"),
        (np.array([[1.0], [2.0], 3.0], object), "received [1.0]"),
        (["a", 1], "received an array of <U"),
        ([1.0, None, "x"], "received 'x'"),
        (np.ma.array([1.0, 2.0], mask=[0, 1]), "masked array cannot be smoothed as it is"),
    ],
    ids=str,
)
def test_samples_that_are_no_numbers(array, received):
    with pytest.raises(TypeError) as error:
        smooth(array)
    assert received in str(error.value)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b"]),
        pd.Series(["a", "b"], dtype=object),
        pd.Series(["a", "b"], dtype="string"),
        pd.Series(["a", "b"], dtype="string[pyarrow]"),
        pd.Series([1.0, 2.0], dtype="category"),
        pd.to_datetime(pd.Series(["2026-01-01"] * 2)),
        pd.to_datetime(pd.Series(["2026-01-01"] * 2)).dt.tz_localize("UTC"),
        pd.to_timedelta(pd.Series([1, 2]), "s"),
        pd.Series([1.0, 2.0], dtype="Sparse[float]"),
        pd.Series(pd.period_range("2026", periods=2, freq="D")),
        pd.Series([Decimal(1)] * 2, dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
    ],
    ids=lambda column: str(column.dtype),
)
def test_column_that_is_no_numbers(column):
    # The column is named: a DataFrame may have a hundred.
    with pytest.raises(TypeError, match=r"samples must be .*numbers.*; received .* named 'who'"):
        smooth(column.rename("who"))
    with pytest.raises(TypeError, match=r"samples must be .*numbers.*; received .* named 'who'"):
        smooth(pd.DataFrame({"loss": [1.0, 2.0], "who": column}))


# Numbers that a float64 cannot hold


@pytest.mark.parametrize("item", [10**400, Decimal("sNaN")])
def test_no_float64_holds_it(item):
    with pytest.raises(ValueError, match="numbers that a float64 holds; received"):
        smooth([1.0, item])


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="the same type")
def test_longdouble_beyond_float64():
    x = np.array([1.0, np.finfo(np.float64).max], np.longdouble)
    assert smooth(x, 0).tolist() == x.tolist()
    for series in (4 * x, 4j * x):
        with pytest.raises(ValueError, match=r"up to 1\.8e308; received .* up to 7\.1"):
            smooth(series)
    x[0] = np.inf  # is no number to hold
    assert np.isinf(smooth(x)[0])


def test_numpy_bools_among_objects():
    assert smooth(np.array([np.True_, np.False_], object), 0.5).tolist() == [1.0, 1 / 3]


# Types that the kernel converts by itself


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precision(name):
    every = np.arange(2**16, dtype=np.uint16).view(getattr(ml_dtypes, name, np.float16))
    # At beta = 0 every number comes out as it went in, to the bit; of -0 only the sign is lost.
    same = smooth(every, 0.0)
    assert same.dtype == every.dtype
    with np.errstate(invalid="ignore"):  # signalling NaN
        in_float64, same_in_float64 = every.astype(float), same.astype(float)
    np.testing.assert_array_equal(same_in_float64, in_float64)
    # Else they are rounded once.
    rng = np.random.default_rng(8)
    x = (rng.standard_normal(5000) * 10.0 ** rng.integers(-9, 5, 5000)).astype(every.dtype)
    with np.errstate(over="ignore"):
        expected = smooth(x.astype(float), 0.9).astype(every.dtype)
    np.testing.assert_array_equal(smooth(x, 0.9), expected)
    assert smooth(x.reshape(100, 50), 0.9, axis=1).dtype == every.dtype


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precision_in_pandas(name):
    half = np.array([4, 1, np.nan, 3], getattr(ml_dtypes, name, np.float16))
    expected = smooth(half, 0.5).astype(float)
    series = smooth(pd.Series(half, name="x"), 0.5)
    assert series.dtype == half.dtype
    np.testing.assert_array_equal(series.astype(float), expected)
    for others in ({}, {"y": np.arange(4.0)}, {"y": np.arange(4) * 1j}):
        frame = smooth(pd.DataFrame({"x": half, **others}), 0.5)
        assert frame["x"].dtype == half.dtype
        np.testing.assert_array_equal(frame["x"].astype(float), expected)
        for name, column in others.items():
            np.testing.assert_allclose(frame[name], smooth(column, 0.5))


def test_a_variance_that_float16_has_not():
    half = np.array([60000, -60000], np.float16)
    assert var(pd.Series(half), 0.5)[1] == np.inf
    assert var(pd.DataFrame({"x": half, "y": [1.0, 2.0]}), 0.5)["x"][1] == np.inf


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4"])
def test_integers(dtype):
    x = np.random.default_rng(9).integers(0, 2 if dtype == "?" else 120, (300, 3)).astype(dtype)
    before = x.copy()
    for order in "CF":
        smoothed = smooth(np.asarray(x, order=order), 0.9)
        assert smoothed.dtype == np.float64
        expected = smooth(x.astype(float), 0.9)
        np.testing.assert_allclose(smoothed, expected, rtol=0, atol=2 * np.spacing(120.0))
    np.testing.assert_array_equal(x, before)
    frame = pd.DataFrame(x.astype(x.dtype.newbyteorder("=")))
    np.testing.assert_array_equal(smooth(frame, 0.9), smoothed)


@pytest.mark.parametrize(
    "call",
    [
        "smooth(numpy.arange(9), 0.5)",
        "smooth(numpy.zeros(9), 0.5, by=numpy.arange(9) % 2)",
        "smooth(numpy.zeros(9), 0.5, times=numpy.arange(9))",
        "var([[1.0, 2.0]], 0.5)",
        "choose_beta(numpy.arange(9.0))",
    ],
)
def test_no_library_is_imported_to_ask_what_an_array_is(call):
    heavy = {"numpy.ma", "pandas", "polars", "pyarrow", "xarray", "dask", "torch", "ml_dtypes"}
    program = f"""
import sys, numpy, ewma
ewma.{call}
assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
