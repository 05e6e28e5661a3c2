"""Wide tables against pandas' pivot."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ewma._aggregate import STATISTICS, aggregate_series
from ewma._aggregate_report import Aggregated
from ewma._table import Names, to_pandas
from ewma.report import Smoothed
from ewma.tensorboard._columns import ScalarColumns

RUNS, TAGS = ["a", "b"], ["loss", "acc", "x"]

points = st.lists(
    st.tuples(
        st.sampled_from(range(2)),
        st.sampled_from(range(3)),
        st.integers(0, 1),
        st.sampled_from([0, 3, -1, 2**62, -(2**63)]),
        st.sampled_from([1.0, 2.0, math.nan, math.inf]),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda point: point[:4],
)


def scalars(points, *, segmented):
    run, tag, segment, step, value = zip(*points, strict=True)
    columns = ScalarColumns(
        RUNS,
        TAGS,
        np.array(run, np.int8),
        np.array(tag, np.int8),
        np.array(step, np.int64),
        np.arange(len(run), dtype=float),
        np.array(value),
        np.array(segment, np.int32) if segmented else None,
    )
    return Smoothed(columns, columns.value + 10, {"beta": 0.9})


@settings(deadline=None)
@given(points)
def test_as_pandas_pivots(points):
    report = scalars(points, segmented=True)
    keys = ["run", "segment", "step"]
    whole = to_pandas(report.table()).astype({"run": str, "tag": str})
    wide = to_pandas(report.table(is_wide=True)).astype({"run": str})
    expected = whole.pivot(index=keys, columns="tag", values=["value", "smoothed"])
    assert list(wide.columns) == [
        *keys,
        *(name for tag in TAGS for name in (tag, tag + ".smoothed")),
    ]
    assert list(wide[keys].itertuples(index=False, name=None)) == list(expected.index)
    for tag in set(whole["tag"]):
        np.testing.assert_array_equal(wide[tag], expected["value", tag])
        np.testing.assert_array_equal(wide[tag + ".smoothed"], expected["smoothed", tag])


def test_what_is_missing_is_not_what_is_nan():
    table = scalars([(0, 0, 0, 5, math.nan), (0, 1, 0, 6, 1.0)], segmented=False).table(
        is_wide=True
    )
    assert isinstance(table["run"], Names)
    assert [name for name in table if name != "run"] == [
        "step", "loss", "loss.smoothed", "acc", "acc.smoothed", "x", "x.smoothed"
    ]  # fmt: skip
    assert repr(table["loss"].tolist()) == "[nan, None]"
    assert table["acc"].tolist() == [None, 1.0]
    assert table["acc.smoothed"].tolist() == [None, 11.0]
    assert table["x"].tolist() == [None, None]


def test_step_that_is_there_twice():
    report = scalars([(1, 0, 0, 7, 1.0), (1, 1, 0, 7, 1.0), (1, 1, 1, 7, 1.0)], segmented=False)
    with pytest.raises(ValueError, match="run 'b', tag 'acc' has step 7 2 times; choose one with"):
        report.table(is_wide=True)


@pytest.mark.parametrize("tags", [["run", "a"], ["step", "a"], ["a", "a.smoothed"]])
def test_heading_that_is_there_twice(tags):
    report = scalars([(0, 0, 0, 7, 1.0)], segmented=False)
    report.columns.tag_names = tags
    with pytest.raises(ValueError, match="--wide makes 2 columns with the heading"):
        report.table(is_wide=True)


def test_tags_that_share_no_steps(monkeypatch):
    report = scalars(
        [(0, tag, 0, 10 * k + tag, 1.0) for k in range(40) for tag in (0, 1)], segmented=False
    )
    report.columns.tag_names = [str(i) for i in range(40)]
    assert len(report.table(is_wide=True)["step"]) == 80
    monkeypatch.setattr("ewma._wide._MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="--wide makes 80 rows for 40 tags, and nearly all is"):
        report.table(is_wide=True)
    report.columns.tag_names = ["a", "b"]  # half of it
    assert len(report.table(is_wide=True)["step"]) == 80


def test_small_log_does_not_fill_the_memory():
    report = scalars([(0, 0, 0, step, 1.0) for step in range(4000)], segmented=False)
    report.columns.tag_names = [str(i) for i in range(4000)]
    with pytest.raises(ValueError, match="--wide makes 4,000 rows for 4,000 tags"):
        report.table(is_wide=True)


def test_aggregated():
    series = [
        ("a", "loss", np.array([1, 2]), np.array([1.0, 2.0])),
        ("b", "loss", np.array([1, 3]), np.array([3.0, 4.0])),
        ("b", "acc", np.array([3]), np.array([0.5])),
    ]
    report = Aggregated(aggregate_series(series, "run"), {"beta": 0.9}, "before", "std")
    wide = to_pandas(report.table(is_wide=True))
    own = [f"{tag}.{name}" for tag in ("acc", "loss") for name in STATISTICS]
    assert list(wide.columns) == ["run", "step", *own]
    assert wide["step"].tolist() == [1, 2, 3]
    assert wide["loss.mean"].tolist() == [2.0, 2.0, 4.0]
    assert wide["loss.count"].tolist() == [2, 1, 1]
    assert wide["acc.mean"].isna().tolist() == [True, True, False]
    assert pd.isna(wide["acc.count"][0])
