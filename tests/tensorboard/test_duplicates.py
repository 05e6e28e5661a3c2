"""Steps that are there more than once, by pandas' definition."""

import numpy as np
import pandas as pd
import pytest
from event_writer import event, event_file, simple
from hypothesis import given, settings
from hypothesis import strategies as st

from ewma.tensorboard import read_scalars
from ewma.tensorboard._columns import ColumnsBuilder
from ewma.tensorboard._duplicates import DuplicateStepError, drop_duplicates

KEY = ["run", "tag", "step"]


@pytest.fixture
def log(tmp_path):
    """A tag with two steps twice, one of them out of order, and one without."""
    values = [("a", 1, 10), ("a", 2, 20), ("b", 1, 1), ("a", 2, 40), ("a", 3, 0), ("a", 1, 30)]
    events = [
        event(step, simple(tag, value), wall_time=100 + row)
        for row, (tag, step, value) in enumerate(values)
    ]
    (tmp_path / "1.tfevents").write_bytes(event_file(*events))
    return tmp_path


def rows(frame):
    names = ("tag", "step", "value", "wall_time")
    return list(zip(*(frame[name].tolist() for name in names), strict=True))


def test_keep_is_the_default(log):
    assert rows(read_scalars(log)) == rows(read_scalars(log, duplicates="keep"))
    assert len(read_scalars(log)) == 6


@pytest.mark.parametrize(
    ("duplicates", "expected"),
    [
        ("first", [("a", 1, 10, 100), ("a", 2, 20, 101), ("b", 1, 1, 102), ("a", 3, 0, 104)]),
        ("last", [("b", 1, 1, 102), ("a", 2, 40, 103), ("a", 3, 0, 104), ("a", 1, 30, 105)]),
        ("mean", [("a", 1, 20, 100), ("a", 2, 30, 101), ("b", 1, 1, 102), ("a", 3, 0, 104)]),
    ],
)
def test_one_point_a_step(log, duplicates, expected):
    assert rows(read_scalars(log, duplicates=duplicates)) == expected


def test_raise(log):
    match = r"run '\.', tag 'a' has step 1 2 times, and 1 more such steps; choose one with dupl"
    with pytest.raises(DuplicateStepError, match=match):
        read_scalars(log, duplicates="raise")
    assert len(read_scalars(log, tags="b", duplicates="raise")) == 1


def test_a_restart_makes_no_duplicates(log):
    (log / "2.tfevents").write_bytes(event_file(event(1, simple("a", 7)), event(2, simple("a", 8))))
    assert len(read_scalars(log, duplicates="raise")) == 3
    told_apart = read_scalars(log, restarts="segment", duplicates="last")
    assert told_apart["value"].tolist() == [1, 40, 0, 30, 7, 8]
    assert told_apart["segment"].tolist() == [0, 0, 0, 0, 1, 1]
    assert read_scalars(log, restarts="keep", duplicates="last")["value"].tolist() == [1, 0, 7, 8]


def test_the_mean_is_of_what_is_finite(tmp_path):
    values = [np.nan, 1, 3, np.inf, -np.inf, np.inf]
    events = [
        event(step, simple("a", x)) for step, x in zip([1, 1, 1, 1, 2, 2], values, strict=True)
    ]
    (tmp_path / "1.tfevents").write_bytes(event_file(*events))
    assert read_scalars(tmp_path, duplicates="mean")["value"].tolist() == [2, -np.inf]


@pytest.mark.parametrize("duplicates", ["all", None])
def test_duplicates_is_one_of_five(tmp_path, duplicates):
    match = "duplicates must be 'keep', 'first', 'last', 'mean' or 'raise', not"
    with pytest.raises(ValueError, match=match):
        read_scalars(tmp_path, duplicates=duplicates)


points = st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 5), st.integers(-9, 9)), max_size=30)


@settings(deadline=None)
@given(points, points)
def test_as_pandas(a, b):
    def columns():
        builder = ColumnsBuilder()
        for run, part in (("a", a), ("b", b)):
            if part:
                tag, step, value = map(np.array, zip(*part, strict=True))
                names = ["x", "y", "z"][: tag.max() + 1]
                builder.add(run, names, tag.astype(np.int32), step, 0.5 * step, value.astype(float))
        return builder.finish()

    frame = columns().to_pandas()
    for duplicates in ("first", "last", "mean"):
        got = columns()
        drop_duplicates(got, duplicates)
        expected = frame.drop_duplicates(KEY, keep="last" if duplicates == "last" else "first")
        if duplicates == "mean":
            means = frame.groupby(KEY, observed=True)["value"].mean()
            expected = expected.assign(
                value=means.loc[list(expected[KEY].itertuples(index=False, name=None))].to_numpy()
            )
        pd.testing.assert_frame_equal(
            got.to_pandas().astype({"run": str, "tag": str}),
            expected.reset_index(drop=True).astype({"run": str, "tag": str}),
        )
    repeated = frame.duplicated(KEY).any()
    try:
        drop_duplicates(columns(), "raise")
    except DuplicateStepError:
        assert repeated
    else:
        assert not repeated
