"""`ewma-smooth` on runs that were resumed or repeat steps, and on several runs together."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from command import call
from event_writer import curve, event, event_file, session_start, simple

import ewma

RESUMED = [event(step, simple("loss", step)) for step in range(8)]
ANEW = [event(step, simple("loss", 10 * step)) for step in range(5, 10)]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A run that was resumed, and two seeds each of two settings."""
    monkeypatch.chdir(tmp_path)
    files = {
        "resumed/a/1.tfevents": event_file(*RESUMED),
        "resumed/a/2.tfevents": event_file(*ANEW),
        "seeds/x/seed_1/1.tfevents": event_file(*curve("loss", [4, 2, 1]), *curve("acc", [0, 1])),
        "seeds/x/seed_2/1.tfevents": event_file(*curve("loss", [6, 4])),
        "seeds/=y/seed_1/1.tfevents": event_file(*curve("loss", [1, 1])),
        "seeds/=y/seed_2/1.tfevents": event_file(*curve("loss", [2, 2])),
    }
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


class TestRestarts:
    def test_latest_is_the_default_and_said(self, runs):
        result = call("resumed")
        assert result.code == 0
        assert [row["step"] for row in rows(result.out)] == [str(step) for step in range(10)]
        assert result.err == (
            "ewma-smooth: note: resumed: 1 run was resumed from an earlier step; 3 points that "
            "were written anew from there on are left out. restarts='keep' (--restarts keep) has "
            "them too, and 'segment' tells the versions apart.\n"
        )

    def test_keep(self, runs):
        result = call("resumed", "--restarts", "keep")
        assert len(rows(result.out)) == 13
        assert result.err == ""

    def test_segment_is_a_column(self, runs):
        header = "run,tag,step,wall_time,value,segment,smoothed"
        result = call("resumed", "--restarts", "segment", "--beta", "0.5")
        assert result.out.splitlines()[0] == header
        expected = ewma.smooth_scalars("resumed", 0.5, restarts="segment")
        assert list(expected.columns) == header.split(",")
        got = pd.read_csv(io.StringIO(result.out))
        assert got["segment"].tolist() == [0] * 8 + [1] * 5
        assert got["smoothed"].tolist() == expected["smoothed"].tolist()
        for suffix in ("json", "parquet", "png"):
            assert call("resumed", "--restarts", "segment", "-o", f"out.{suffix}").code == 0
        assert [row["segment"] for row in json.loads((runs / "out.json").read_text())] == (
            [0] * 8 + [1] * 5
        )
        assert pd.read_parquet("out.parquet").columns.tolist() == header.split(",")

    def test_a_line_a_version_on_a_terminal(self, runs, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        result = call("resumed", "--restarts", "segment", terminal=True)
        assert "0..7" in result.out
        assert "5..9" in result.out

    def test_nothing_left(self, runs):
        (runs / "resumed/a/3.tfevents").write_bytes(event_file(session_start(0)))
        result = call("resumed")
        assert (result.code, result.out) == (2, "")
        assert "note: resumed: 1 run was resumed" in result.err
        assert result.err.endswith("error: resumed: there are no scalars in it.\n")


class TestDuplicates:
    def test_one_a_step(self, runs):
        for duplicates, value in {"first": "5.0", "last": "50.0", "mean": "27.5"}.items():
            result = call("resumed", "--restarts", "keep", "--duplicates", duplicates)
            assert {row["step"]: row["value"] for row in rows(result.out)}["5"] == value

    def test_raise(self, runs):
        result = call("resumed", "--restarts", "keep", "--duplicates", "raise", "-o", "x.csv")
        assert (result.code, result.out) == (2, "")
        assert result.err == (
            "ewma-smooth: error: a step must be there once: run 'a', tag 'loss' has step 5 2 "
            "times, and 2 more such steps; choose one with duplicates='first', 'last' or 'mean' "
            "(--duplicates), or 'keep' all.\n"
        )
        assert not (runs / "x.csv").exists()
        assert call("resumed", "--duplicates", "raise").code == 0


class TestAggregate:
    OVER = ("--aggregate", "seed_[0-9]+")

    def test_csv_as_the_function(self, runs):
        scalars = ewma.smooth_scalars("seeds", 0.5)
        for smoothing, expected in {
            "before": ewma.aggregate(scalars, "seed_[0-9]+"),
            "after": ewma.aggregate(scalars, "seed_[0-9]+", 0.5),
        }.items():
            result = call("seeds", *self.OVER, "--beta", "0.5", "--smooth", smoothing)
            assert (result.code, result.err) == (0, "")
            got = pd.read_csv(io.StringIO(result.out))
            assert got.columns.tolist() == expected.columns.tolist()
            assert got["run"].tolist() == ["'=y/*"] * 2 + ["x/*"] * 5
            for name in ("tag", "step", "mean", "std", "min", "max", "count"):
                np.testing.assert_array_equal(got[name], expected[name])
        assert call("seeds", *self.OVER, "--beta", "0.5", "--smooth", "before").out == (
            call("seeds", *self.OVER, "--beta", "0.5").out
        )

    def test_json_and_parquet(self, runs):
        for suffix in ("json", "parquet"):
            assert call("seeds", *self.OVER, "--beta", "0", "-o", f"out.{suffix}").code == 0
        expected = ewma.aggregate(ewma.read_scalars("seeds"), "seed_[0-9]+")
        pd.testing.assert_frame_equal(
            pd.read_parquet("out.parquet").astype({"run": str, "tag": str}),
            expected.astype({"run": str, "tag": str}),
        )
        rows = json.loads((runs / "out.json").read_text())
        assert rows[-1] == {
            "run": "x/*", "tag": "loss", "step": 2, "mean": 1.0, "std": "NaN", "min": 1.0,
            "max": 1.0, "count": 1,
        }  # fmt: skip
        assert len(rows) == len(expected)

    def test_all_runs_and_a_grid(self, runs):
        result = call(
            "seeds", "--aggregate", "run", "--align", "0.5", "--tag", "loss", "--beta", "0"
        )
        got = pd.read_csv(io.StringIO(result.out))
        assert got["run"].unique().tolist() == ["*"]
        assert got["step"].tolist() == [0, 0.5, 1, 1.5, 2]
        assert got["mean"].tolist() == [3.25, 2.75, 2.25, 1.5, 1]
        assert got["count"].tolist() == [4, 4, 4, 1, 1]

    def test_terminal(self, runs, monkeypatch):
        monkeypatch.setenv("COLUMNS", "120")
        result = call("seeds", *self.OVER, "--tag", "loss", "--beta", "0", terminal=True)
        lines = [line.split() for line in result.out.splitlines()]
        assert ["x/*", "loss", "2", "0..2", "1", "-", "1", "2"] in lines
        assert ["=y/*", "loss", "2", "0..1", "1.5", "0.70711", "1.5", "0"] in lines
        monkeypatch.setenv("COLUMNS", "40")
        result = call("seeds", *self.OVER, "--tag", "loss", "--beta", "0", terminal=True)
        assert (
            "x/* loss: up to 2 runs, steps 0..2, last mean 1, std -, lowest mean 1 at step 2\n"
        ) in result.out

    @pytest.mark.parametrize("options", [(), ("--band", "range"), ("--smooth", "after")])
    def test_picture(self, runs, options, monkeypatch):
        from ewma import _draw

        figures = []
        monkeypatch.setattr(_draw, "save", lambda figure, *_: figures.append(figure))
        assert call("seeds", *self.OVER, *options, "-o", "out.png").code == 0
        (figure,) = figures
        assert [panel.get_title() for panel in figure.axes] == ["acc", "loss"]
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == ["x/*", "=y/*"]
        kind = "mean, lowest and highest" if "range" in options else "mean ± standard deviation"
        which = "mean and spread" if "after" in options else "each run"
        assert legend.get_title().get_text() == (
            f"{kind} of up to 2 runs; {which} smoothed with beta = 0.9"
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--align", "5"), "--align is for several runs together: add --aggregate"),
            (("--smooth", "after"), "--smooth is for several runs together"),
            (("--band", "range", "-o", "x.png"), "--band range is for several runs together: add"),
            (
                ("--band", "wide", "-o", "x.png"),
                "--band must be one of 'std', 'range', or a number",
            ),
            (("--band", "2"), "--band is for pictures: add -o FILE.png"),
            ((*OVER, "--band", "std"), "--band is for pictures: add -o FILE.png"),
            ((*OVER, "--list"), "--list shows the runs there are: leave out --aggregate"),
            ((*OVER, "--restarts", "segment"), "--aggregate counts each run once: leave out"),
            ((*OVER, "--x", "wall", "-o", "x.png"), "--aggregate compares steps: leave out --x"),
            ((*OVER, "--align", "0"), "--align must be a step width above 0; received 0.0"),
            ((*OVER, "--align", "nan"), "--align must be a step width or an array of steps"),
            (
                (*OVER, "--align", "1e-9"),
                "--aggregate: run '=y/seed_1', tag 'loss': align=1e-09 would make 1,000,000,001 ",
            ),
            (("--aggregate", "seed_"), "--aggregate: over must be 'run' or a regular expression"),
            (("--aggregate", "("), "--aggregate: over must be 'run', a regular expression"),
        ],
    )
    def test_refused(self, runs, options, message):
        result = call("seeds", *options)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"ewma-smooth: error: {message}")
        assert result.err.count("\n") == 1

    def test_runs_that_share_few_steps(self, runs):
        for seed in range(3):
            path = runs / f"apart/{seed}/1.tfevents"
            path.parent.mkdir(parents=True)
            steps = range(0, 210, 7 + seed)
            path.write_bytes(event_file(*(event(k, simple("loss", float(k))) for k in steps)))
        result = call("apart", "--aggregate", "run")
        counts = pd.read_csv(io.StringIO(result.out))["count"].to_numpy()
        shared = np.flatnonzero(counts > 1)
        counts = counts[shared[0] : shared[-1] + 1]  # before and after, runs are alone
        assert result.err == (
            f"ewma-smooth: note: *, loss: at {(counts == 1).sum()} of {len(counts)} steps only one "
            "of 3 runs is there; add --align WIDTH to compare them at the same steps.\n"
        )
        assert call("apart", "--aggregate", "run", "--align", "10").err == ""
        assert call("apart", "--run", "1", "--aggregate", "run").err == ""
        path = runs / "apart/short/1.tfevents"  # as the first one, but that it ends soon
        path.parent.mkdir()
        path.write_bytes(event_file(*(event(k, simple("loss", 0.0)) for k in range(0, 21, 7))))
        assert call("apart", "--run", "0", "--run", "short", "--aggregate", "run").err == ""

    def test_no_step_of_the_grid(self, runs):
        path = runs / "late/1.tfevents"
        path.parent.mkdir()
        path.write_bytes(event_file(event(3, simple("loss", 1)), event(4, simple("loss", 1))))
        result = call("late", "--aggregate", "run", "--align", "5")
        assert (result.code, result.out) == (2, "")
        assert "--align 5.0: no run has a multiple of it between its steps" in result.err
