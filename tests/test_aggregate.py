"""`aggregate`: by pandas' definition where runs share steps, else by plain Python."""

import math
import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ewma
from ewma._aggregate import aggregate_series, aggregate_table, group_names
from ewma._statistics import group_statistics

STATISTICS = ["mean", "std", "min", "max", "count"]


def frame(*points, column="value"):
    """Return scalars from (run, tag, step, value)."""
    return pd.DataFrame(points, columns=["run", "tag", "step", column]).astype(
        {"step": np.int64, column: float}
    )


def curve(run, values, steps=None, tag="loss"):
    return [
        (run, tag, step, value)
        for step, value in zip(steps or range(len(values)), values, strict=True)
    ]


def table(aggregated):
    columns = ["run", "tag", "step", *STATISTICS]
    return [tuple(row) for row in aggregated[columns].itertuples(index=False, name=None)]


TWO = frame(*curve("a", [1, 2, 3]), *curve("b", [3, 6]))
NAN = pytest.approx(math.nan, nan_ok=True)


def test_exact_steps():
    assert table(ewma.aggregate(TWO)) == [
        ("*", "loss", 0, 2, pytest.approx(math.sqrt(2)), 1, 3, 2),
        ("*", "loss", 1, 4, pytest.approx(math.sqrt(8)), 2, 6, 2),
        ("*", "loss", 2, 3, NAN, 3, 3, 1),
    ]


def test_columns():
    got = ewma.aggregate(TWO)
    assert got.dtypes.astype(str).to_dict() == {
        "run": "category",
        "tag": "category",
        "step": "int64",
        **dict.fromkeys(STATISTICS[:-1], "float64"),
        "count": "int64",
    }
    nothing = ewma.aggregate(TWO.iloc[:0])
    assert len(nothing) == 0
    assert nothing.dtypes.astype(str).to_dict() == got.dtypes.astype(str).to_dict()


numbers = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
points = st.tuples(
    st.sampled_from("abc"), st.sampled_from(["loss", "acc"]), st.integers(-3, 5), numbers
)


@settings(deadline=None)
@given(st.lists(points, min_size=1, unique_by=lambda point: point[:3]))
def test_as_pandas_describes_what_is_finite(points):
    scalars = frame(*points)
    finite = scalars.assign(value=scalars["value"].where(np.isfinite(scalars["value"])))
    expected = finite.groupby(["tag", "step"])["value"].agg(STATISTICS).reset_index()
    got = ewma.aggregate(scalars)
    assert set(got["run"]) == {"*"}
    got = got.drop(columns="run").astype({"tag": str})
    # pandas sums the squares of what lies around a rounded mean.
    pd.testing.assert_frame_equal(got, expected.astype({"tag": str}), rtol=1e-9, atol=1e-7)


@settings(deadline=None)
@given(
    st.lists(st.lists(numbers, min_size=1, max_size=6), min_size=1, max_size=5),
    st.floats(-1e9, 1e9),
)
def test_statistics(groups, offset):
    groups = [[x + offset for x in group] for group in groups]
    starts = np.cumsum([0, *map(len, groups[:-1])])
    got = group_statistics(np.concatenate(groups), starts)
    for i, group in enumerate(groups):
        good = [x for x in group if math.isfinite(x)]
        assert got.count[i] == len(good)
        if not good:
            assert np.isnan([got.mean[i], got.std[i], got.min[i], got.max[i]]).all()
            continue
        assert (got.min[i], got.max[i]) == (min(good), max(good))
        assert min(good) <= got.mean[i] <= max(good)
        assert got.mean[i] == pytest.approx(math.fsum(good) / len(good), rel=1e-12, abs=1e-6)
        if len(good) == 1:
            assert np.isnan(got.std[i])
        else:
            assert got.std[i] == pytest.approx(np.std(good, ddof=1), rel=1e-6, abs=1e-6)


def test_equal_samples_have_their_mean():
    got = group_statistics(np.full(3, 0.1), np.array([0]))
    assert (got.mean.item(), got.std.item()) == (0.1, 0.0)


class TestDuplicates:
    def test_a_run_counts_once(self):
        scalars = frame(*curve("a", [1, 5, 2], [0, 0, 1]), *curve("b", [7, 4]))
        assert ewma.aggregate(scalars)["mean"].tolist() == [5, 3]
        assert ewma.aggregate(scalars)["count"].tolist() == [2, 2]

    def test_versions_do_not(self):
        scalars = frame(*curve("a", [1, 5, 2], [0, 1, 1]), *curve("b", [7, 4]))
        with pytest.raises(
            ValueError, match=r"one version of each run.* received segments up to 1"
        ):
            ewma.aggregate(scalars.assign(segment=[0, 0, 1, 0, 0]))
        assert ewma.aggregate(scalars.assign(segment=0))["mean"].tolist() == [4, 3.75]


class TestOver:
    RUNS = ("lr_0.1/seed_1", "lr_0.1/seed_23", "lr_0.3/seed_1", "baseline")

    @pytest.mark.parametrize(
        ("over", "groups"),
        [
            ("run", ["*"] * 4),
            (r"seed_\d+", ["lr_0.1/*", "lr_0.1/*", "lr_0.3/*", "baseline"]),
            (re.compile("SEED_[0-9]+", re.I), ["lr_0.1/*", "lr_0.1/*", "lr_0.3/*", "baseline"]),
            (r"lr_[\d.]+/|\d", ["*seed_*", "*seed_**", "*seed_*", "baseline"]),
            (lambda run: run.split("/")[0], ["lr_0.1", "lr_0.1", "lr_0.3", "baseline"]),
            (dict(zip(RUNS, "xxyy", strict=True)), list("xxyy")),
        ],
    )
    def test_groups(self, over, groups):
        assert list(group_names(over, list(self.RUNS)).values()) == groups
        scalars = frame(*(point for run in self.RUNS for point in curve(run, [1, 2])))
        got = ewma.aggregate(scalars, over)
        assert got["run"].tolist() == [name for name in sorted(set(groups)) for _ in range(2)]
        assert got["count"].tolist() == [groups.count(name) for name in got["run"]]

    @pytest.mark.parametrize(
        ("over", "message"),
        [
            ("seed_*", r"no two runs are of one group, among 'baseline', 'lr_0.1/seed_1', 'lr_"),
            ("(", r"over must be 'run', a regular expression .* received '\(': missing"),
            (3, "over must be 'run', a regular expression .* received 3"),
            (pd.Series(["a"]), "over must be 'run', a regular expression"),
            (lambda run: None, "over must give each run a group; received None for"),
            ({"baseline": "x"}, "over must have a group for each run; 'lr_0.1/seed_1', 'lr_0.1/se"),
        ],
    )
    def test_refused(self, over, message):
        scalars = frame(*(point for run in self.RUNS for point in curve(run, [1, 2])))
        with pytest.raises(ValueError, match=message):
            ewma.aggregate(scalars, over)

    def test_one_run_alone(self):
        assert ewma.aggregate(frame(*curve("a", [1, 2])), "seed")["run"].tolist() == ["a", "a"]


def line_to(step):
    return pd.DataFrame({"run": "a", "tag": "x", "step": [0.0, step], "value": [0.0, 1.0]})


class TestAlign:
    def test_step_width(self):
        scalars = frame(*curve("a", [0, 10], [0, 10]), *curve("b", [6, 8], [3, 5]))
        got = ewma.aggregate(scalars, align=2)
        assert got["step"].tolist() == [0, 2, 4, 6, 8, 10]
        assert got["mean"].tolist() == [0, 2, 5.5, 6, 8, 10]
        assert got["count"].tolist() == [1, 1, 2, 1, 1, 1]
        assert got["step"].dtype == np.int64

    def test_steps_between_whole_numbers(self):
        got = ewma.aggregate(frame(*curve("a", [0, 1])), align=0.25)
        assert got["step"].tolist() == [0, 0.25, 0.5, 0.75, 1]
        assert got["mean"].tolist() == [0, 0.25, 0.5, 0.75, 1]

    def test_steps_given(self):
        got = ewma.aggregate(TWO, align=[-1, 0.5, 1, 1.5, 9])
        assert got["step"].tolist() == [0.5, 1, 1.5]
        assert got["mean"].tolist() == [3, 4, 2.5]

    def test_over_what_is_not_finite(self):
        scalars = frame(*curve("a", [math.nan, 1, math.inf, 3, math.nan]))
        got = ewma.aggregate(scalars, align=1)
        assert (got["step"].tolist(), got["mean"].tolist()) == ([1, 2, 3], [1, 2, 3])

    def test_runs_without_a_step_of_the_grid(self):
        scalars = frame(*curve("a", [1, 2], [1, 2]), *curve("b", [math.nan]))
        assert len(ewma.aggregate(scalars, align=5)) == 0
        assert len(ewma.aggregate(scalars, align=np.array([5]))) == 0

    @pytest.mark.parametrize("align", [2**63, 1e19, 1e300, 2**62])
    def test_width_beyond_all_steps(self, align):
        assert table(ewma.aggregate(frame(*curve("a", [1, 3], [-1, 1])), align=align)) == [
            ("*", "loss", 0, 2, NAN, 2, 2, 1)
        ]
        assert len(ewma.aggregate(frame(*curve("a", [1, 3], [1, 2])), align=align)) == 0

    @pytest.mark.parametrize("width", [0.1, 0.2, 0.3, 0.7, 1 / 3, 1e-3])
    def test_width_that_is_no_binary_fraction(self, width):
        for last in range(1, 60):
            points = line_to(last * width)
            steps = ewma.aggregate(points, align=width)["step"].tolist()
            assert len(steps) == last + 1

            assert steps == pytest.approx([k * width for k in range(last + 1)], rel=1e-15)
        if width == 0.1:
            steps = ewma.aggregate(line_to(100.0), align=width)["step"].tolist()
            assert steps == [k / 10 for k in range(1001)]  # and not 0.30000000000000004

    def test_runs_meet_on_the_grid(self):
        sums = np.cumsum([0.1] * 8)  # which ends at 0.7999999999999999
        points = pd.concat(
            [
                pd.DataFrame({"run": "a", "tag": "x", "step": sums, "value": 1.0}),
                pd.DataFrame({"run": "b", "tag": "x", "step": [0.0, 0.5, 1.0], "value": 1.0}),
            ]
        )
        groups = ewma.aggregate(points, align=0.1)
        assert groups["step"].tolist() == [k / 10 for k in range(11)]
        assert groups["count"].tolist() == [1, *[2] * 8, 1, 1]

    def test_steps_beyond_all_integers(self):
        points = pd.DataFrame({"run": "a", "tag": "x", "step": [1e300, 2e300], "value": [1.0, 2.0]})
        for width in (1e300, 10**300):
            assert ewma.aggregate(points, align=float(width))["step"].tolist() == [1e300, 2e300]
        assert ewma.aggregate(points[:1], align=10)["step"].tolist() == pytest.approx([1e300])

    def test_too_many_steps(self):
        scalars = frame(*curve("a\n", [0, 1], [0, 2**40], tag="long"), *curve("b", [0, 1]))
        for align, count in {10: "109,951,162,778", 5e-324: "inf"}.items():
            rule = rf"run 'a\\n', tag 'long': align={align} would make {count} steps between 0"
            with pytest.raises(ValueError, match=rule):
                ewma.aggregate(scalars, align=align)

    @pytest.mark.parametrize(
        "align", [0, -1, math.nan, math.inf, "10", [1, 1], [2, 1], [[1]], True]
    )
    def test_refused(self, align):
        with pytest.raises(ValueError, match="align must be "):
            ewma.aggregate(TWO, align=align)

    def test_a_width_that_makes_too_many_steps(self):
        scalars = frame(*curve("a", [0, 1], [0, 2**62]))
        with pytest.raises(ValueError, match="give a width that makes 1,000,000 at most"):
            ewma.aggregate(scalars, align=1)

    @settings(deadline=None)
    @given(
        st.lists(
            st.dictionaries(st.integers(-20, 20), st.floats(-100, 100), min_size=1, max_size=8),
            min_size=1,
            max_size=4,
        ),
        st.sampled_from([1, 2, 3, 7, 0.5, 2.5]),
    )
    def test_never_outside_a_runs_own_steps(self, runs, width):
        scalars = frame(
            *(
                (str(number), "loss", step, value)
                for number, run in enumerate(runs)
                for step, value in run.items()
            )
        )
        got = ewma.aggregate(scalars, align=width)
        expected = {}
        for run in runs:
            steps = sorted(run)
            for k in range(-60, 61):
                at = k * width
                if steps[0] <= at <= steps[-1]:
                    left = max(step for step in steps if step <= at)
                    right = min(step for step in steps if step >= at)
                    share = (at - left) / (right - left) if right > left else 0.0
                    value = run[left] + share * (run[right] - run[left])
                    expected.setdefault(at, []).append(value)
        assert got["step"].tolist() == sorted(expected)
        for step, mean, count in zip(got["step"], got["mean"], got["count"], strict=True):
            assert count == len(expected[step])
            assert mean == pytest.approx(np.mean(expected[step]), abs=1e-9)


class TestSmoothing:
    def test_before_is_what_is_in_the_frame(self):
        before = TWO.assign(
            smoothed=TWO.groupby("run")["value"].transform(lambda run: ewma.smooth(run, 0.5))
        )
        expected = ewma.aggregate(
            before.drop(columns="value").rename(columns={"smoothed": "value"})
        )
        pd.testing.assert_frame_equal(ewma.aggregate(before), expected)
        pd.testing.assert_frame_equal(
            ewma.aggregate(before, beta=0.5), ewma.aggregate(TWO, beta=0.5)
        )

    @pytest.mark.parametrize("decay", [{"beta": 0.7}, {"alpha": 0.3}, {"halflife": 2}])
    def test_after(self, decay):
        scalars = frame(
            *curve("a", [1, 5, 2, 8]), *curve("b", [2, 2, 9]), *curve("a", [4, 1], tag="acc")
        )
        raw, got = ewma.aggregate(scalars), ewma.aggregate(scalars, **decay)
        for name in STATISTICS[:-1]:
            expected = raw.groupby("tag", observed=True)[name].transform(
                lambda column: ewma.smooth(column, **decay)
            )
            pd.testing.assert_series_equal(got[name], expected)
        assert got["count"].equals(raw["count"])

    def test_are_the_same_mean_where_all_runs_have_all_steps(self):
        """Smoothing is linear; but what the runs differ by at each step is not in the spread."""
        rng = np.random.default_rng(0)
        scalars = frame(*(p for run in "abc" for p in curve(run, rng.standard_normal(50).tolist())))
        smoothed = scalars.groupby("run")["value"].transform(lambda run: ewma.smooth(run, 0.9))
        before = ewma.aggregate(scalars.assign(smoothed=smoothed))
        after = ewma.aggregate(scalars, beta=0.9)
        np.testing.assert_allclose(before["mean"], after["mean"], atol=1e-12)
        assert before["std"].iloc[10:].mean() < after["std"].iloc[10:].mean() / 2


@pytest.mark.parametrize("column", ["run", "tag", "step", "value"])
def test_missing_column(column):
    with pytest.raises(ValueError, match=f"{column} is missing among"):
        ewma.aggregate(TWO.drop(columns=column))


@pytest.mark.parametrize("column", ["run", "tag"])
def test_row_without_a_name(column):
    with pytest.raises(ValueError, match=f"{column} must be there in every row"):
        ewma.aggregate(TWO.assign(**{column: ["a", None, "a", "b", "b"]}))


@pytest.mark.parametrize("value", [np.array([1j, 2]), np.array([1, 2], "M8[s]")])
def test_values_that_are_not_real(value):
    scalars = pd.DataFrame({"run": ["a", "b"], "tag": "x", "step": [0, 0], "value": value})
    with pytest.raises(ValueError, match="value must be real numbers; received"):
        ewma.aggregate(scalars)


def test_rows_in_any_order_and_categories_without_rows():
    scalars = TWO.astype({"run": pd.CategoricalDtype(["z", "b", "a"]), "tag": "category"})
    pd.testing.assert_frame_equal(
        ewma.aggregate(scalars.iloc[[3, 1, 4, 0, 2]]), ewma.aggregate(TWO)
    )


def test_steps_that_are_no_numbers():
    for step in ("x", math.nan):
        with pytest.raises(ValueError, match="step must be a finite number in every row"):
            ewma.aggregate(TWO.assign(step=step))


def test_a_path_is_no_dataframe():
    with pytest.raises(
        TypeError, match="must be a DataFrame, as read_scalars returns it; received"
    ):
        ewma.aggregate("logs/")


def test_many_tags():
    tags = [f"tag{number}" for number in range(20_000)]
    series = [("a", tag, np.zeros(1, np.int64), np.zeros(1)) for tag in tags]
    aggregates = aggregate_series(series)
    begin = time.process_time()
    names = aggregate_table(aggregates)["tag"]
    assert time.process_time() - begin < 1  # in quadratic time it takes 4 s
    assert names.names == sorted(tags)
    assert names.codes.tolist() == list(range(20_000))
