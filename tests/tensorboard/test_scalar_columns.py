import numpy as np
import pandas as pd
import pytest

from ewma.tensorboard._columns import ColumnsBuilder


def build(*files):
    """Build from (run, tag names, tag codes); the rows are numbered through."""
    builder = ColumnsBuilder()
    start = 0
    for run, names, codes in files:
        number = np.arange(start, start + len(codes))
        start += len(codes)
        builder.add(
            run, names, np.array(codes, np.int32), number, number + 0.25, number.astype(float)
        )
    return builder.finish()


def series(columns):
    return [(run, tag, columns.step[rows].tolist()) for run, tag, rows in columns.series()]


def test_runs_and_tags_are_joined():
    columns = build(("a", ["y", "x"], [0, 1, 0]), ("a", ["x"], [0, 0]), ("b", ["z", "x"], [1, 0]))
    assert columns.run_names == ["a", "b"]
    assert columns.tag_names == ["x", "y", "z"]
    assert [columns.run_names[code] for code in columns.run] == list("aaaaabb")
    assert [columns.tag_names[code] for code in columns.tag] == list("yxyxxxz")
    assert series(columns) == [
        ("a", "x", [1, 3, 4]),
        ("a", "y", [0, 2]),
        ("b", "x", [5]),
        ("b", "z", [6]),
    ]


@pytest.mark.parametrize("tags", [7, 70_000])
def test_rows_keep_the_order_written(tags):
    codes = np.random.default_rng(0).integers(0, 7, 5000)
    names = [f"{i:05}" for i in range(tags)]
    got = series(build(("a", names, codes)))
    assert got == [("a", names[i], np.flatnonzero(codes == i).tolist()) for i in range(7)]


def test_sorted_series_are_slices():
    columns = build(("a", ["x"], [0, 0]), ("b", ["x", "y"], [0, 1]))
    assert [rows for *_, rows in columns.series()] == [slice(0, 2), slice(2, 3), slice(3, 4)]


def test_more_series_than_16_bits():
    tags = [f"{i:05}" for i in range(300)]
    columns = build(*((f"{i:03}", tags, [299, 0, 299]) for i in range(300)))
    got = series(columns)
    assert len(got) == 600
    assert got[-2:] == [("299", "00000", [898]), ("299", "00299", [897, 899])]


@pytest.mark.parametrize(
    ("names", "dtype"),
    [(1, np.int8), (126, np.int8), (127, np.int16), (32766, np.int16), (32767, np.int32)],
)
def test_codes_are_as_small_as_pandas_makes_them(names, dtype):
    columns = build(("a", [f"{i:05}" for i in range(names)], range(names)))
    assert columns.tag.dtype == dtype
    assert columns.tag.tolist() == list(range(names))
    frame = columns.to_pandas()
    assert frame["tag"].cat.codes.dtype == dtype
    assert len(series(columns)) == names


def test_to_pandas():
    columns = build(("b", ["y", "x"], [0, 1]), ("c", ["x"], [0]))
    frame = columns.to_pandas()
    expected = pd.DataFrame(
        {
            "run": pd.Categorical(["b", "b", "c"]),
            "tag": pd.Categorical(["y", "x", "x"]),
            "step": [0, 1, 2],
            "wall_time": [0.25, 1.25, 2.25],
            "value": [0.0, 1.0, 2.0],
        }
    )
    pd.testing.assert_frame_equal(frame, expected, check_categorical=False)
    assert frame["run"].cat.categories.tolist() == ["b", "c"]
    assert np.shares_memory(frame["value"].to_numpy(), columns.value)


def test_nothing():
    columns = build(("a", [], []))
    assert len(columns) == 0
    assert series(columns) == []
    frame = columns.to_pandas()
    assert frame.dtypes.astype(str).tolist() == [
        "category",
        "category",
        "int64",
        "float64",
        "float64",
    ]


def test_one_file_is_not_copied():
    step = np.arange(3)
    builder = ColumnsBuilder()
    builder.add("a", ["x"], np.zeros(3, np.int32), step, step * 0.5, step * 0.5)
    assert np.shares_memory(builder.finish().step, step)
