"""Event files that we write, read by us, by TensorBoard's own reader and by its data server."""

import math
import os
import sys

import numpy as np
import pandas as pd
import pytest
from event_accumulator import theirs
from hypothesis import given, settings
from hypothesis import strategies as st

import ewma
from ewma.tensorboard import _write

NAN = math.nan


def scalars(**columns):
    defaults = {"run": "a", "tag": "loss", "step": [0, 1, 2], "wall_time": 1.7e9}
    return pd.DataFrame(defaults | {"value": [0.1, 1 / 3, -2.0]} | columns)


def test_smoothed_beside_the_originals(tmp_path):
    original = ewma.smooth_scalars("examples/runs/digits", 0.9)
    files = ewma.write_scalars(original, tmp_path / "logs")
    back = ewma.read_scalars(tmp_path / "logs", restarts="keep")
    assert set(back["run"]) == {f"{run}.smoothed" for run in original["run"].unique()}
    for name in ("tag", "step", "wall_time"):
        np.testing.assert_array_equal(back[name], original[name])
    np.testing.assert_array_equal(back["value"], original["smoothed"].astype(np.float32))
    assert all("tfevents" in file.name for file in files)


def test_tensorboards_own_reader(tmp_path):
    frame = scalars(
        run=["a", "a", "b/c"], step=[-1, 2**40, 3], wall_time=[1.5, 1e9 / 7, 2e9 / 3], tag="é\n="
    )
    ewma.write_scalars(frame, tmp_path, dtype="float64")
    assert theirs(tmp_path / "a") == {"é\n=": [(1.5, -1, 0.1), (1e9 / 7, 2**40, 1 / 3)]}
    assert theirs(tmp_path / "b" / "c") == {"é\n=": [(2e9 / 3, 3, -2.0)]}


@pytest.mark.skipif(sys.platform == "win32", reason="the data server has no program there")
def test_the_data_server(tmp_path):
    from data_server import served

    frame = scalars(tag=["loss", "acc", "loss"])
    ewma.write_scalars(frame, tmp_path)
    in_float32 = [float(value) for value in frame["value"].to_numpy(np.float32)]
    loss, acc = [(0, in_float32[0]), (2, in_float32[2])], [(1, in_float32[1])]
    assert served(tmp_path) == {"a": {"loss": loss, "acc": acc}}
    own = theirs(tmp_path / "a")
    assert {tag: [(step, value) for _, step, value in own[tag]] for tag in own} == {
        "loss": loss,
        "acc": acc,
    }


rows = st.tuples(
    st.sampled_from(["a", "b/c", "b/d.e", ".", "é ü", "x" * 60]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.floats(),
)


@settings(deadline=None)
@given(st.lists(rows, min_size=1, max_size=12))
def test_comes_back(tmp_path_factory, rows):
    frame = pd.DataFrame(rows, columns=["run", "tag", "step", "wall_time", "value"])
    frame = frame.sort_values("run", kind="stable", ignore_index=True)
    logdir = tmp_path_factory.mktemp("logs")
    ewma.write_scalars(frame, logdir, dtype="float64")
    # A name that two runs have is their folders'; the only run is its folder itself.
    back = ewma.read_scalars([logdir], restarts="keep")
    for name in ("tag", "step", "wall_time", "value"):
        np.testing.assert_array_equal(back[name].to_numpy(), frame[name].to_numpy())
    ewma.write_scalars(frame, logdir, force=True)
    with np.errstate(over="ignore"):
        rounded = frame["value"].to_numpy(np.float32)
    back = ewma.read_scalars([logdir], restarts="keep")
    np.testing.assert_array_equal(back["value"].to_numpy(), rounded.astype(float))


def test_never_into_event_files_unless_told(tmp_path):
    from event_writer import event, file_version, record, simple

    (tmp_path / "a").mkdir()
    other = tmp_path / "a" / "events.out.tfevents.1700000000.ewma"  # a host of this name
    other.write_bytes(record(file_version()) + record(event(7, simple("loss", 7.0))))
    kept = other.read_bytes()
    with pytest.raises(FileExistsError, match="has event files already; give force=True"):
        ewma.write_scalars(pd.concat([scalars(run="b"), scalars()]), tmp_path)
    assert not (tmp_path / "b").exists()  # found before anything was written
    (first,) = ewma.write_scalars(scalars(), tmp_path, force=True)
    (again,) = ewma.write_scalars(scalars(step=[3, 4, 5]), tmp_path, force=True)
    assert first.parent == again.parent
    assert first != again  # for a TensorBoard that has read the first one
    assert sorted(tmp_path.joinpath("a").iterdir()) == [other, again]
    assert other.read_bytes() == kept
    back = ewma.read_scalars(tmp_path / "a", restarts="keep")
    assert sorted(back["step"]) == [3, 4, 5, 7]


ASTRAY = ["..", "../b", "a/../../b", "/etc", "a//b", "", "a/", "./a", "a/.", "a\0"]
NO_FOLDERS = {  # on Windows
    "\\\\host\\x", "C:\\x", "C:", "a\\b", "a?", "a*", "a\n", "a.", "a ", "nul", "a/COM1.txt"
}  # fmt: skip


@pytest.fixture(params=["posix", "nt"])
def system(request, monkeypatch):
    """Names are checked as on this system."""
    monkeypatch.setattr(_write, "_ASTRAY", {os.name: _write._ASTRAY[request.param]})
    return request.param


@pytest.mark.parametrize("run", [*ASTRAY, *sorted(NO_FOLDERS), "\ud800"])
def test_no_run_leads_out(tmp_path, run, system):
    logdir = tmp_path / "logs"
    if run in NO_FOLDERS and system == "posix":
        if os.name == "posix":
            (file,) = ewma.write_scalars(scalars(run=run), logdir)
            assert file.parent == logdir / run
            assert len(ewma.read_scalars(logdir)) == 3
        return
    if run == "\ud800" and os.name == "nt":
        return
    with pytest.raises(ValueError, match="must be folders inside logdir"):
        ewma.write_scalars(scalars(run=pd.Series(["a", "b", run], dtype=object)), logdir)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("run", ["a", "con fusion", "com", "a.b/.c", "...", "é ü", "a'b", "-"])
def test_runs_that_every_system_can_have(tmp_path, run, system):
    if run == "..." and system == "nt":
        return
    (file,) = ewma.write_scalars(scalars(run=run), tmp_path)
    assert file.parent == tmp_path / run


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        (
            {"tag": pd.Series(["a\ud800"] * 3, dtype=object)},
            "a tag must be text that UTF-8 can hold",
        ),
        (
            {"tag": pd.Series(["b\udcff"] * 3, dtype=object)},
            "a tag must be text that UTF-8 can hold",
        ),
        ({"tag": ["a", None, "b"]}, "tag must be there in every row"),
        ({"run": ["a", None, "b"]}, "run must be there in every row"),
        (
            {"wall_time": pd.to_datetime([1, 2, 3], unit="s")},
            "must be seconds since 1970",
        ),
        ({"wall_time": pd.to_datetime([1, 2, 3], unit="s", utc=True)}, "received datetime64.*UTC"),
        ({"value": pd.to_timedelta([1, 2, 3], unit="s")}, "value must be real numbers; received t"),
        ({"value": [1j, 2, 3]}, "value must be real numbers; received complex128"),
        ({"step": pd.to_timedelta([1, 2, 3], unit="s")}, "step must be a whole number, int64"),
        ({"step": [0, 0.5, 1]}, "step must be a whole number, int64, in every row"),
        ({"step": [0, NAN, 1]}, "step must be a whole number, int64, in every row"),
        ({"step": ["0", "1", "2"]}, "step must be a whole number, int64, in every row"),
        ({"step": [0, 1, 2**63]}, "step must be a whole number, int64, in every row"),
        ({"segment": [0, 1, 2**31]}, "segment must be a whole number, int32, in every row"),
    ],
)
def test_rows_that_cannot_be_written(tmp_path, columns, rule):
    with pytest.raises(ValueError, match=rule):
        ewma.write_scalars(scalars(**columns), tmp_path / "logs")
    assert list(tmp_path.iterdir()) == []


def test_rows_in_any_order(tmp_path):
    frame = scalars(run=["b", "a", "b"], step=[5.0, 6.0, 4.0]).astype({"run": "category"})
    assert len(ewma.write_scalars(frame, tmp_path)) == 2
    back = ewma.read_scalars(tmp_path, restarts="keep")
    assert back["step"].tolist() == [6, 5, 4]
    assert ewma.write_scalars(frame[:0], tmp_path) == []


def test_versions_of_a_resumed_training(tmp_path):
    """Each is a run: in one, TensorBoard would take them for a restart."""
    frame = scalars(segment=[0, 1, 1], step=[5, 3, 4], smoothed=[1.0, 2.0, 3.0])
    (tmp_path / "one").mkdir()
    ewma.write_scalars(frame, tmp_path / "several")
    ewma.write_scalars(frame.assign(run="."), tmp_path / "one")
    for folder, names in {
        "several": ["a.segment1.smoothed", "a.smoothed"],
        "one": ["segment1.smoothed", "smoothed"],
    }.items():
        back = ewma.read_scalars(tmp_path / folder)
        assert back["run"].unique().tolist() == names
        assert back["value"].tolist() == [2, 3, 1]


def test_two_runs_in_one_folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a").symlink_to("b")
    with pytest.raises(ValueError, match="each run must have a folder of its own; 'a' and 'b'"):
        ewma.write_scalars(scalars(run=["a", "b", "b"]), tmp_path)
    with pytest.raises(ValueError, match="each run must have a folder of its own; 'c'"):
        ewma.write_scalars(scalars(run=["c", "c.segment1", "c"], segment=[0, 0, 1]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX")
def test_one_run_without_a_place(tmp_path):
    """Nothing is written then: not even the other runs' folders are left."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/link").symlink_to("../outside")
    long = "x" * 300
    for run, error, rule in [
        ("link", ValueError, "a run's folder must lie inside logdir; .* remove the link"),
        ("link/sub", ValueError, "a run's folder must lie inside logdir"),
        ("z/" + long, OSError, "File name too long"),
    ]:
        with pytest.raises(error, match=rule):
            ewma.write_scalars(scalars(run=["a/b", run, "z/y"]), tmp_path / "logs")
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["link", "logs", "outside"]
    (tmp_path / "logs/a\x1b").mkdir()
    (tmp_path / "logs/a\x1b/1.tfevents").touch()
    with pytest.raises(FileExistsError, match=r"a\\x1b has event files already"):
        ewma.write_scalars(scalars(run="a\x1b"), tmp_path / "logs")


def test_column(tmp_path):
    frame = scalars(smoothed=[7.0, 8.0, NAN])
    ewma.write_scalars(frame, tmp_path)
    ewma.write_scalars(frame, tmp_path, column="value")
    ewma.write_scalars(scalars(run="."), tmp_path / "one")
    ewma.write_scalars(scalars(run=".", smoothed=1.0), tmp_path / "one")
    back = ewma.read_scalars(tmp_path)
    names = ["a", "a.smoothed", "one", "one/smoothed"]
    assert back["run"].drop_duplicates().tolist() == names
    np.testing.assert_array_equal(back["value"][back["run"] == "a.smoothed"], [7.0, 8.0, NAN])
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'; received 'f8'"):
        ewma.write_scalars(frame, tmp_path, dtype="f8")
    with pytest.raises(ValueError, match="received one without tag, best"):
        ewma.write_scalars(scalars().drop(columns="tag"), tmp_path, column="best")


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    records = _write.records

    def broken(columns, rows, *options):
        yield from records(columns, rows, *options)
        if len(rows) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(_write, "records", broken)
    with pytest.raises(OSError, match="No space left"):
        ewma.write_scalars(scalars(run=["a", "b/c", "b/c"]), tmp_path / "new" / "logs")
    assert list(tmp_path.iterdir()) == []
