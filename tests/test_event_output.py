"""`-o LOGDIR/`: smoothed curves that TensorBoard shows beside the originals; and --wide's files."""

import csv
import json
import math
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from command import call, run_on_terminal
from event_accumulator import theirs
from event_writer import curve, event, event_file, session_start, simple

import ewma

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
FILE = "events.out.tfevents.ewma.000001"
VALUES = [4, 1, 3, math.nan, 1e-3]


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """Two runs, one of them in the other's folder."""
    monkeypatch.chdir(tmp_path)
    write("logs/a/1.tfevents", event_file(*curve("loss", VALUES), *curve("acc/train", [0, 1 / 3])))
    write("logs/a/b/1.tfevents", event_file(*curve("loss", [5, 6])))
    return Path("logs")


def write(name, data):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(data)


def here(folder="."):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


def in_float32(smoothed):
    """Return {(run, tag): [(step, value)]} of what TensorBoard shows; repr tells NaN and -0.0."""
    with np.errstate(over="ignore"):
        values = smoothed["smoothed"].astype(np.float32).astype(float)
    points = {}
    for row, value in zip(smoothed.itertuples(), values, strict=True):
        points.setdefault((f"{row.run}.smoothed", row.tag), []).append((row.step, value))
    return points


class TestEventFiles:
    def test_tensorboards_own_reader(self, logs):
        expected = in_float32(ewma.smooth_scalars("logs", 0.7))
        assert call("logs", "--beta", "0.7", "-o", "logs/") == (
            0,
            "",
            "ewma-smooth: wrote 2 runs into logs/\n",
        )
        assert here("logs") == [
            "a.smoothed/" + FILE, "a/1.tfevents", "a/b.smoothed/" + FILE, "a/b/1.tfevents"
        ]  # fmt: skip
        got = {}
        for run in ("a.smoothed", "a/b.smoothed"):
            for tag, points in theirs(logs / run).items():
                got[run, tag] = [(step, value) for _, step, value in points]
        assert repr(sorted(got.items())) == repr(sorted(expected.items()))

    @pytest.mark.skipif(sys.platform == "win32", reason="the data server has no program there")
    def test_the_data_server(self, logs):
        from data_server import served

        expected = in_float32(ewma.smooth_scalars("logs", 0.7))
        before = self.series(served(logs))
        assert call("logs", "--beta", "0.7", "-o", "logs").code == 0  # a folder, without a slash
        after = self.series(served(logs))
        assert repr(sorted(after.items())) == repr(sorted((before | expected).items()))

    def series(self, runs):
        return {(run, tag): points for run in runs for tag, points in runs[run].items()}

    def test_again(self, logs):
        """What it wrote is not smoothed again, and replaced when told so."""
        assert call("logs", "-o", "logs/").code == 0
        first = theirs("logs/a.smoothed")
        result = call("logs", "-o", "logs/")
        assert result.code == 2
        assert result.err.splitlines() == [
            "ewma-smooth: note: a.smoothed, a/b.smoothed: left out, as smoothed curves of the "
            "others.",
            "ewma-smooth: error: -o logs/: logs/a.smoothed has event files already; give "
            "force=True (--force) to replace them, or another logdir; nothing was written.",
        ]
        files = here()
        assert call("logs", "-o", "logs/", "--force", "--beta", "0.1").code == 0
        assert here() == [file.replace(".000001", ".000002") for file in files]
        assert theirs("logs/a.smoothed").keys() == first.keys()
        assert theirs("logs/a.smoothed")["loss"] != first["loss"]
        code, out, err = call("logs", "-o", "new/", "--run", "*.smoothed")
        assert (code, out) == (0, "")
        assert err == "ewma-smooth: wrote 2 runs into new/\n"
        assert here("new") == ["a.smoothed.smoothed/" + FILE, "a/b.smoothed.smoothed/" + FILE]

    @pytest.mark.parametrize("path", ["logs/a/b", "logs/a/b/", "logs/a/b/1.tfevents", "./logs/*/b"])
    def test_one_run_has_its_folders_name(self, logs, path):
        assert call(path, "-o", "out/").code == 0
        assert here("out") == ["b.smoothed/" + FILE]

    def test_one_run_that_is_written_again(self, logs):
        assert call("logs/a", "--run", ".", "-o", "logs").code == 0
        assert theirs("logs/a.smoothed").keys() == {"loss", "acc/train"}
        assert call("logs/a/b", "-o", "logs/a/b/").code == 0
        assert call("logs/a/b", "-o", "logs/a/b/", "--force").err.splitlines() == [
            "ewma-smooth: note: b.smoothed: left out, as smoothed curves of the others.",
            "ewma-smooth: wrote 1 run into logs/a/b/",
        ]

    def test_a_run_in_its_own_folder_is_known_from_above(self, logs):
        assert call("logs/a", "--run", ".", "-o", "logs/a/").code == 0
        assert here("logs/a/a.smoothed") == [FILE]
        result = call("logs")
        assert "note: a/a.smoothed: left out, as smoothed curves of the others" in result.err
        assert "a.smoothed" not in result.out

    def test_folder_that_has_the_name_of_a_run_in_it(self, logs):
        write("b/1.tfevents", event_file(*curve("x", [1])))
        write("b/b/1.tfevents", event_file(*curve("y", [2])))
        assert call("b", "-o", "out/").code == 0
        assert here("out") == ["b.smoothed/" + FILE, "smoothed/" + FILE]
        assert theirs("out/smoothed").keys() == {"x"}

    def test_versions(self, logs):
        log = event_file(*curve("loss", [1, 2, 3]), session_start(1), event(1, simple("loss", 9)))
        write("resumed/r/1.tfevents", log)
        write("resumed/s/1.tfevents", event_file(*curve("loss", [1])))
        assert call("resumed", "--restarts", "segment", "-o", "resumed/").code == 0
        assert [p for p in here("resumed") if FILE in p] == [
            "r.segment1.smoothed/" + FILE, "r.smoothed/" + FILE, "s.smoothed/" + FILE
        ]  # fmt: skip
        result = call("resumed", "--restarts", "segment", "-o", "resumed/", "--force")
        assert result.err.splitlines()[-1] == "ewma-smooth: wrote 3 runs into resumed/"

    @posix
    def test_no_link_leads_out(self, logs):
        outside = Path("outside")
        write(outside / "y/sub/1.tfevents", event_file(*curve("loss", [1])))
        (outside / "x").mkdir()
        Path("logs/a.smoothed").symlink_to("../outside/x")
        Path("logs/evil").symlink_to("../outside/y")
        for options in ([], ["--force"]):
            result = call("logs", "-o", "logs/", *options)
            assert result.code == 2
            assert "logs/a.smoothed is " in result.err
            assert "logs/evil/sub.smoothed is " in result.err
            assert result.err.endswith("wrote 1 run into logs/\n")  # a/b
            assert here(outside) == ["y/sub/1.tfevents"]
        Path("out").symlink_to("outside/x")  # LOGDIR itself may be a link
        assert call("logs/a/b", "-o", "out/").code == 0
        assert here(outside / "x") == ["b.smoothed/" + FILE]

    @posix
    def test_runs_without_a_place_are_left_out(self, logs):
        import zipfile

        with zipfile.ZipFile("logs.zip", "w") as file:
            for run in ("../up", "x" * 250, *"abcdefg"):
                file.writestr(f"{run}/1.tfevents", event_file(*curve("loss", [1])))
        write("out/a.smoothed/1.tfevents", b"")
        write("out/b.smoothed", b"")
        Path("out/c.smoothed").symlink_to("nowhere")
        code, _, err = call("zip://::logs.zip", "-o", "out/")
        assert code == 2
        *lines, last = err.splitlines()
        assert last == "ewma-smooth: wrote 4 runs into out/"
        assert here("out") == [
            "a.smoothed/1.tfevents", "b.smoothed", *(f"{run}.smoothed/{FILE}" for run in "defg")
        ]  # fmt: skip
        assert len(lines) == 5
        reasons = [
            "received '../up': rename the run, or leave it out (runs=, --run)",
            "out/a.smoothed has event files already; give force=True (--force) to write beside",
            "Not a directory (out/b.smoothed)", "File exists (out/c.smoothed)", "File name too long"
        ]  # fmt: skip
        for line, reason in zip(lines, reasons, strict=True):
            assert line.startswith("ewma-smooth: error: -o out/: ")
            assert reason in line
            assert line.endswith("; this run was left out.")

    def test_not_every_run_that_is_left_out_is_named(self, logs):
        for number in range(8):
            write(f"many/{number}/1.tfevents", event_file(*curve("loss", [1])))
            write(f"out/{number}.smoothed/1.tfevents", b"")
        write("many/8/1.tfevents", event_file(*curve("loss", [1])))
        code, _, err = call("many", "-o", "out/")
        assert code == 2
        assert len(err.splitlines()) == 5 + 2
        assert "error: -o out/: 3 more runs were left out.\n" in err

    @posix
    def test_run_that_is_not_utf8(self, logs):
        import os

        folder = os.fsdecode(b"odd/caf\xe9?:\\")
        try:
            write(f"{folder}/1.tfevents", event_file(*curve("loss", [1])))
        except OSError:
            pytest.skip("the file system takes UTF-8 only")
        write("odd/b/1.tfevents", event_file(*curve("loss", [1])))
        assert call("odd", "-o", "out/").code == 0
        assert here("out") == ["b.smoothed/" + FILE, r"caf\xe9?:\.smoothed/" + FILE]

    def test_damaged_input_is_written_and_told(self, logs):
        write("bad/1.tfevents", event_file(*curve("loss", [1])) + b"rest of a record")
        result = call("bad", "-o", "out/")
        assert result.code == 1
        assert here("out") == ["bad.smoothed/" + FILE]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["-o", "logs/a/1.tfevents/"], "-o logs/a/1.tfevents/: this is a file; name a folder."),
            (["-o", "out/", "--wide"], "--wide shapes a table: add -o FILE with .csv .json .jsonl"),
            (["-o", "out.png", "--wide"], "--wide shapes a table"),
            (["--list", "--wide"], "--wide shapes a table"),
            (["--follow", "--wide"], "--wide does not go with --follow"),
            (["--follow", "-o", "out/"], "--output does not go with --follow"),
            (["-o", "out/", "--aggregate", "run"], "-o LOGDIR/ takes the curves of runs"),
            (["-o", "out/", "--x", "wall"], "--x is for pictures"),
            (["-o", "out/", "--band", "2"], "--band is for pictures"),
            (["-o", ""], "-o : the suffix must be one of"),
        ],
    )
    def test_refused(self, logs, arguments, words):
        result = call("logs", *arguments)
        assert (result.code, result.out) == (2, "")
        (line,) = result.err.splitlines()
        assert line.startswith(f"ewma-smooth: error: {words}")
        assert here() == ["logs/a/1.tfevents", "logs/a/b/1.tfevents"]


class TestWide:
    HEADER = "run,step,acc/train,acc/train.smoothed,loss,loss.smoothed"

    def test_in_a_pipe(self, logs):
        code, out, err = call("logs", "--wide", "--beta", "0")
        assert (code, err) == (0, "")
        assert out.splitlines() == [
            self.HEADER,
            "a,0,0.0,0.0,4.0,4.0",
            "a,1,0.3333333432674408,0.3333333432674408,1.0,1.0",
            "a,2,,,3.0,3.0",
            "a,3,,,nan,nan",
            "a,4,,,0.0010000000474974513,0.0010000000474974513",
            "a/b,0,,,5.0,5.0",
            "a/b,1,,,6.0,6.0",
        ]

    @posix
    def test_on_a_terminal(self, logs):
        result = run_on_terminal("logs", "--wide", columns=80)
        assert (result.code, result.out) == (2, "")
        assert "pipe it somewhere" in result.err

    def test_json(self, logs):
        for suffix in (".json", ".jsonl"):
            assert call("logs", "--wide", "--beta", "0", "-o", "out" + suffix).code == 0
        rows = json.loads(Path("out.json").read_text())
        assert rows[0] == {
            "run": "a", "step": 0, "acc/train": 0, "acc/train.smoothed": 0, "loss": 4,
            "loss.smoothed": 4,
        }  # fmt: skip
        assert rows[3] == {
            "run": "a", "step": 3, "acc/train": None, "acc/train.smoothed": None, "loss": "NaN",
            "loss.smoothed": "NaN",
        }  # fmt: skip
        assert list(map(json.loads, Path("out.jsonl").read_text().splitlines())) == rows

    def test_arrow(self, logs):
        pytest.importorskip("pyarrow")
        for suffix in (".parquet", ".arrow"):
            assert call("logs", "--wide", "-o", "out" + suffix).code == 0
        frame = pl.read_ipc("out.arrow")
        assert frame.columns == self.HEADER.split(",")
        assert frame.dtypes == [pl.Categorical, pl.Int64, *4 * [pl.Float64]]
        assert frame["acc/train"].null_count() == 5
        assert frame["loss"].null_count() == 0
        assert frame["loss"].is_nan().sum() == 1
        expected = pd.read_feather("out.arrow")
        pd.testing.assert_frame_equal(pd.read_parquet("out.parquet"), expected)
        assert expected.dtypes.astype(str).tolist() == ["category", "int64", *4 * ["float64"]]

    def test_headings_that_a_spreadsheet_would_run(self, logs):
        tags = ["=1+1", 'a,"b";-x', "@x\n+y"]
        write("odd/1.tfevents", event_file(*(e for tag in tags for e in curve(tag, [1]))))
        out = call("odd", "--wide").out
        header, row = csv.reader(out.splitlines(keepends=True), strict=True)
        assert header == [
            "run", "step", "'=1+1", "'=1+1.smoothed", "'@x\n'+y", "'@x\n'+y.smoothed",
            'a,"b";\'-x', 'a,"b";\'-x.smoothed',
        ]  # fmt: skip
        assert row == [".", "0", *6 * ["1.0"]]

    def test_step_that_is_there_twice(self, logs):
        write("twice/1.tfevents", event_file(*[event(3, simple("loss", v)) for v in (1, 2)]))
        result = call("twice", "--wide", "-o", "out.csv")
        assert result == (
            2,
            "",
            "ewma-smooth: error: --wide has one row a run and step: run '.', tag 'loss' has step 3 "
            "2 times; choose one with --duplicates first, last or mean, or leave --wide out.\n",
        )
        assert call("twice", "--wide").err == result.err
        assert call("twice", "--wide", "--duplicates", "last").out.endswith("\n.,3,2.0,2.0\n")

    def test_versions_and_aggregates(self, logs):
        out = call("logs", "--wide", "--restarts", "segment").out.splitlines()
        assert out[0] == "run,segment,step,acc/train,acc/train.smoothed,loss,loss.smoothed"
        out = call("logs", "--wide", "--aggregate", "run", "--tag", "loss", "--beta", "0").out
        assert out.splitlines()[:2] == [
            "run,step,loss.mean,loss.std,loss.min,loss.max,loss.count",
            "*,0,4.5,0.7071067811865476,4.0,5.0,2",
        ]


def test_names_of_what_is_behind_urls(logs):
    with zipfile.ZipFile("logs.zip", "w") as archive:
        for path in logs.rglob("*.tfevents"):
            archive.write(path)
    for number, (url, names) in enumerate(
        {
            "zip://logs/a/b::logs.zip": ["b.smoothed"],
            "zip://logs/a::logs.zip": ["a.smoothed", "b.smoothed"],
            "zip://logs/a/b/1.tfevents::logs.zip": ["b.smoothed"],
        }.items()
    ):
        assert call(url, "-o", f"out{number}/").code == 0
        assert here(f"out{number}") == [f"{name}/{FILE}" for name in names]
    Path("one.zip").unlink(missing_ok=True)
    with zipfile.ZipFile("one.zip", "w") as archive:
        archive.write(logs / "a/b/1.tfevents", "1.tfevents")
    assert call("zip://::one.zip", "-o", "whole/").code == 0
    assert here("whole") == [f"one.smoothed/{FILE}"]


def test_paths_that_share_no_folder(logs):
    with zipfile.ZipFile("logs.zip", "w") as archive:
        archive.write(logs / "a/b/1.tfevents")
    assert call("zip://logs/a/b::logs.zip", "logs/a/b", "-o", "out/").code == 0
    inside = logs.absolute().as_posix().strip("/")
    assert here("out") == sorted(
        [f"{inside}/a/b.smoothed/{FILE}", f"zip/logs/a/b/logs.zip.smoothed/{FILE}"]
    )


@posix
@pytest.mark.parametrize("options", [(), ("--force",)])
def test_a_pipe_is_no_file(logs, options):
    os.mkfifo("pipe.csv")
    result = call("logs", "-o", "pipe.csv", *options)
    assert (result.code, result.out) == (2, "")
    assert "this is a device or a pipe; name a file" in result.err
    assert Path("pipe.csv").is_fifo()


def test_frames_that_are_none(tmp_path):
    scalars = pd.DataFrame({"run": ["a"], "tag": ["x"], "step": [1], "wall_time": [0.0]})
    with pytest.raises(TypeError, match=r"must be a pandas DataFrame.* received polars"):
        ewma.write_scalars(pl.from_pandas(scalars.assign(value=1.0)), tmp_path)
    with pytest.raises(ValueError, match="value must be real numbers in every row: could not"):
        ewma.write_scalars(scalars.assign(value="x"), tmp_path)
    with pytest.raises(TypeError, match=r"must be a pandas DataFrame.* received polars"):
        ewma.aggregate(pl.from_pandas(scalars.assign(value=1.0)))
    with pytest.raises(TypeError, match="patterns for a tag must be a str or several, not 3"):
        ewma.read_scalars(tmp_path, tags=3)
