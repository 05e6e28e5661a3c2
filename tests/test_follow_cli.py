"""`ewma-smooth --follow`: the live chart, the lines in a pipe, and how it ends."""

import io
import os
import signal
import subprocess

import numpy as np
import pytest
from command import MAIN, Terminal, call, python, surroundings
from event_writer import curve, event, event_file, record, simple
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ewma import _follow_cli
from ewma._braille import Canvas
from ewma._follow import SmoothedPoints
from ewma._live_chart import LiveChart
from ewma._ticks import tick_labels, ticks
from ewma.tensorboard._tail import NewPoints

HEADER = "run,tag,step,wall_time,value,smoothed\n"
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log of one run with one curve."""
    path = tmp_path / "run" / "1.tfevents"
    path.parent.mkdir()
    monkeypatch.chdir(tmp_path)
    path.write_bytes(event_file(*curve("loss", [4, 1, 3])))
    return path


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C while it waits for the second time; what to do before is the value's to say."""
    todo = [lambda: None]

    def wait(_):
        if not todo:
            raise KeyboardInterrupt
        todo.pop(0)()

    monkeypatch.setattr(_follow_cli.time, "sleep", wait)
    return todo


def append(path, *events):
    with path.open("ab") as file:
        file.write(b"".join(map(record, events)))


class TestPipe:
    def test_lines_as_they_come(self, log):
        command = python(MAIN, "--follow", log, "--beta", "0")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, env=surroundings(), text=True) as process:
            found = [process.stdout.readline() for _ in range(4)]
            append(log, event(3, simple("loss", 8)))
            found.append(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            rest = process.communicate()
        assert rest == ("", "")
        assert process.returncode == 130
        assert "".join(found) == call(log, "--beta", "0").out

    def test_the_reader_goes_away(self, log):
        command = python(MAIN, "--follow", log)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, env=surroundings(), text=True) as process:
            assert process.stdout.readline() == HEADER
            process.stdout.close()
            assert process.stderr.read() == ""
        assert process.returncode == 0

    def test_several_runs_and_odd_names(self, log, interrupted):
        odd = ["=cmd|'x'", 'a"b,c', "a\nb", "\x1b[31mred"]
        append(log, event(3, *(simple(tag, 1) for tag in odd)))
        found = call("--follow", log.parents[1], "--beta", "0")
        finished = call(log.parents[1], "--beta", "0")
        assert found.code == 130
        assert sorted(found.out.splitlines()) == sorted(finished.out.splitlines())

    def test_waits_for_what_is_not_there(self, tmp_path, interrupted):
        log = tmp_path / "1.tfevents"
        interrupted.insert(0, lambda: log.write_bytes(event_file(*curve("x", [1]))))
        code, out, err = call("--follow", log)
        assert (code, out) == (130, HEADER + ".,x,0,1500000000.0,1.0,1.0\n")
        (line,) = err.splitlines()
        assert line.startswith("ewma-smooth: warning: ")
        assert "no scalars here yet" in line

    def test_accidents_are_said(self, log, interrupted):
        interrupted[:] = [log.unlink, lambda: None]
        code, _, err = call("--follow", log)
        assert code == 130
        assert err.startswith(f"ewma-smooth: warning: {log}: this file is gone")
        assert err.count("\n") == 1

    def test_decay_and_filters(self, log, interrupted):
        append(log, event(0, simple("acc", 1)))
        found = call("--follow", log.parent, "--tag", "l*", "--span", "1", "--run", ".")
        assert found.out == call(log.parent, "--tag", "l*", "--span", "1").out

    def test_terminal_that_can_do_nothing(self, log, interrupted, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        assert call("--follow", log, terminal=True).out.startswith(HEADER)


@pytest.mark.parametrize(
    "option",
    [["-o", "x.csv"], ["-o", "x.png", "--x", "wall"], ["--x", "wall"], ["--list"], ["--force"]],
)
def test_refused(log, option):
    code, out, err = call("--follow", log, *option)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert f"error: {option[0].replace('-o', '--output')} does not go with --follow" in line


def test_bad_decay_is_refused(log):
    assert call("--follow", log, "--beta", "2").code == 2


class TestTerminal:
    def test_follows_resizes_and_leaves_the_last_chart(self, log):
        with Terminal("--follow", "run", "--beta", "0.5") as terminal:
            assert "step 2 · beta 0.5" in terminal.until("2.571")
            append(log, event(3, simple("loss", 100)))
            assert "step 3 " in terminal.until("54.53")
            terminal.resize(40, 12)
            shown = terminal.until("└0                             3")
            assert max(map(len, shown.split("\x1b[H")[-1].split("\n"))) == 40
            ended = terminal.end(signal.SIGINT)
        assert ended.code == 130
        assert ended.err == ""
        left = ended.out.split("\x1b[?1049l")[-1]
        assert "54.53" in left
        assert "\x1b[?25h" in ended.out

    def test_messages_are_shown_and_left(self, log):
        with Terminal("--follow", log, streams=("stdout", "stderr")) as terminal:
            terminal.until("loss")
            log.unlink()
            terminal.until("this file is gone")
            ended = terminal.end(signal.SIGTERM)
        assert ended.code == 143
        assert "ewma-smooth: warning: " in ended.out.split("\x1b[?1049l")[-1]

    def test_messages_go_to_a_stderr_elsewhere(self, tmp_path):
        with Terminal("--follow", tmp_path) as terminal:
            terminal.until("no scalars here yet")
            ended = terminal.end(signal.SIGINT)
        assert ended.err.startswith("ewma-smooth: warning: ")
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "near"),
    [
        (".", "."),
        ("", ""),
        ("/logs/a/events.out.tfevents.1", "a/events.out.tfevents.1"),
        ("tfevents", "tfevents"),
        ("/logs/a", "a"),
    ],
)
def test_what_the_chart_says_of_a_path(path, near):
    assert _follow_cli._near(path) == near


def new_points(values, run=".", tag="loss", first=0, replaced=None, steps=None, session=0):
    value = np.asarray(values, float)
    steps = np.arange(first, first + len(value)) if steps is None else np.asarray(steps)
    points = NewPoints(
        run,
        [tag],
        np.zeros(len(value), np.int32),
        steps,
        np.full(len(value), 1.5e9),
        value,
        session,
        {},
    )
    return SmoothedPoints(points, value, {} if replaced is None else {0: replaced})


def drawn(*batches, width=80, height=24, said=(), **options):
    """Return the lines of the chart of these points."""
    chart = LiveChart("logs", "beta 0.9")
    for batch in batches:
        chart.add(batch)
    for line in said:
        chart.say(line)
    file = io.TextIOWrapper(io.BytesIO(), options.pop("encoding", "utf-8"))
    console = Console(file=file, width=width, height=height + 1, legacy_windows=False, **options)
    console.print(chart)
    file.seek(0)
    return file.read().splitlines()


class TestChart:
    def test_a_falling_curve(self):
        lines = drawn(new_points(range(20, 0, -1)), width=40, height=12)
        assert lines[0].rstrip() == "logs · step 19 · beta 0.9"
        assert lines[1].split() == ["loss", "1"]
        assert lines[11].split() == ["└0", "19"]
        plot = [line[9:] for line in lines[2:11]]
        filled = [[k for k, c in enumerate(line) if c != " "] for line in plot]
        assert all(filled)
        assert [row[0] for row in filled] == sorted(row[0] for row in filled)
        assert filled[0][0] == 0
        assert filled[-1][-1] == 30
        assert [line[:8].strip() for line in lines[2:11] if line[8] == "┤"] == [
            "20",
            "15",
            "10",
            "5",
        ]

    def test_runs_have_letters_and_their_last_value(self):
        lines = drawn(new_points([1, 2], run="b"), new_points([1, 5], run="a"), width=60, height=12)
        assert lines[0].rstrip() == "logs · 2 runs · beta 0.9"
        assert lines[1].rstrip() == "a a  b b"
        assert lines[3].rstrip().endswith("a 5")
        assert any(line.rstrip().endswith("b 2") for line in lines)

    def test_legend(self):
        batches = [new_points([k, k], run=f"run {k}") for k in range(3)]
        assert drawn(*batches)[1].rstrip() == "a run 0  b run 1  c run 2"
        assert drawn(*batches, width=40, height=12)[1].rstrip() == "a run 0  b run 1  c run 2"

    def test_what_does_not_fit_is_said(self):
        batches = [
            new_points([k], run=f"r{k:02}", tag=f"t{t}") for t in range(30) for k in range(12)
        ]
        lines = drawn(*batches, width=80, height=24)
        assert (
            lines[-1].rstrip()
            == "4 of 30 tags (--tag chooses), 10 of 12 runs, the last to begin (--run)"
        )
        titles = [word for line in lines[2:-1] for word in line.split() if word.startswith("t")]
        assert titles == ["t0", "t1", "t2", "t3"]

    def test_nothing_yet(self):
        lines = drawn(said=["warning: where?"])
        assert [line.rstrip() for line in lines] == [
            "logs · beta 0.9", "waiting for scalars", "warning: where?",
        ]  # fmt: skip

    def test_waiting_is_over(self):
        chart = LiveChart("logs", "")
        chart.say("waiting")
        chart.add(new_points([1, 2]))
        chart.say("a warning")
        file = io.StringIO()
        Console(file=file, width=80, height=25).print(chart)
        assert "waiting" not in file.getvalue()
        assert "a warning" in file.getvalue()

    def test_last_messages(self):
        lines = drawn(new_points([1, 2]), said=["first", "second", "third " * 50])
        assert lines[-3].rstrip() == "second"
        assert lines[-2].startswith("third")
        assert len(lines) == 24

    def test_replaced_points_vanish(self):
        resumed = new_points([2], first=50, replaced=50, session=1)
        lines = drawn(new_points([1] * 50 + [1000] * 50), resumed)
        assert lines[-1].split() == ["└0", "50"]
        assert max(float(line[:8]) for line in lines if "┤" in line) <= 2

    def test_a_late_low_step_of_a_session_replaces_none_of_its_own(self):
        resumed = new_points([2] * 40, first=60, replaced=60, session=1)
        late = new_points([2], first=59, replaced=59, session=1)
        lines = drawn(new_points([1] * 100), resumed, late)
        assert lines[-1].split() == ["└0", "99"]

    def test_colours(self):
        shown = "\n".join(drawn(new_points([1, 5, 2]), force_terminal=True, color_system="256"))
        assert "\x1b[38;5;33m" in shown
        plain = drawn(new_points([1, 5, 2]), force_terminal=True, no_color=True)
        assert "38;5" not in "\n".join(plain)

    def test_raw_values_stand_behind_the_only_curve(self):
        batch = new_points([1, 2, 3] * 20)
        batch = SmoothedPoints(batch.points, np.linspace(1, 3, 60), {})
        shown = "\n".join(drawn(batch, force_terminal=True, color_system="256"))
        assert "\x1b[38;5;244m" in shown

    def test_terminal_without_unicode(self):
        lines = drawn(new_points([1, 5, 2]), encoding="ascii")
        assert "".join(lines).isascii()
        assert any("*" in line for line in lines)

    def test_odd_names(self):
        names = ["a\nb", "\x1b[31mred\x07", "[bold]x[/bold]", "损" * 60, "x" * 150, ""]
        lines = drawn(*(new_points([1, 2], run=name, tag=name) for name in names), height=60)
        assert all(line.isprintable() for line in lines)
        assert any("[bold]x" in line for line in lines)

    def test_a_long_curve_keeps_its_extremes_and_little_else(self):
        chart = LiveChart("logs", "")
        values = np.sin(np.arange(100_000.0))
        values[77_777] = 50
        for start in range(0, len(values), 5_000):
            chart.add(new_points(values[start : start + 5_000], first=start))
        curve = chart._curves["loss"]["."]
        assert len(curve.smoothed[0]) <= 20_000
        assert curve.smoothed[1].max() == 50

    numbers = st.floats() | st.sampled_from([NAN, INF, 1.7e308, -1.7e308, 5e-324, 0.0, 1e9])

    @given(
        curves=st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"),
                      st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), numbers), min_size=1)),
            max_size=5,
        ),
        width=st.integers(1, 200),
        height=st.integers(1, 60),
    )  # fmt: skip
    @settings(deadline=None, max_examples=50)
    def test_fits_any_terminal(self, curves, width, height):
        batches = [
            new_points([v for _, v in points], run=run, tag=tag, steps=[s for s, _ in points])
            for run, tag, points in curves
        ]
        lines = drawn(*batches, width=width, height=height, said=["a warning, not too short"])
        assert len(lines) <= height
        assert max(map(cell_len, lines)) <= width


class TestCanvas:
    def test_dots(self):
        canvas = Canvas(2, 1, (0, 3), (0, 3))
        canvas.dots(0, np.array([0.0, 3.0, 9.0, NAN]), np.array([3.0, 0.0, 1.0, 1.0]))
        assert canvas.cells() == [[("\u2801\u2880", 0)]]

    def test_line_and_gap(self):
        canvas = Canvas(3, 1, (0, 5), (0, 3))
        canvas.line(1, np.arange(6.0), np.array([0, 0, NAN, NAN, 3, 0.0]))
        assert canvas.cells() == [[("\u28c0", 1), (" ", -1), ("\u28a7", 1)]] or canvas.cells() == [
            [("\u28c0", 1), (" ", -1), ("\u28b9", 1)]
        ]

    def test_single_points_keep_off_the_curve(self):
        canvas = Canvas(1, 1, (0, 1), (0, 3))
        canvas.line(0, np.array([0.0, 1.0]), np.array([3.0, 3.0]))
        canvas.dots(5, np.array([0.0]), np.array([0.0]))
        assert canvas.cells() == [[("\u2809", 0)]]


class TestTicks:
    @given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(1, 20))
    def test_between_and_not_too_many(self, a, b, most):
        low, high = sorted((a, b))
        found = ticks(low, high, most)
        slack = (high - low) * 1e-9 + abs(low) * 1e-15
        assert len(found) <= most
        assert all(low - slack <= tick <= high + slack for tick in found)

    def test_nothing_lies_between(self):
        assert ticks(0.0, 5e-324, 2) == ticks(1.0, 1.0, 5) == ticks(-1e308, 1e308, 0) == []

    @pytest.mark.parametrize(
        ("numbers", "labels"),
        [
            ([0.0, 0.05, 0.1], ["0.00", "0.05", "0.10"]),
            ([1.0, 2.0], ["1", "2"]),
            ([100000.0, 200000.0], ["1.0e+05", "2.0e+05"]),
            ([1e-7, 2e-7], ["1.0e-07", "2.0e-07"]),
            ([], []),
        ],
    )
    def test_labels(self, numbers, labels):
        assert tick_labels(numbers) == labels


def test_import_costs_nothing_more():
    program = "import sys, ewma.cli; sys.exit('ewma._follow' in sys.modules)"
    assert subprocess.run(python(program), env=dict(os.environ)).returncode == 0
