"""`ewma-smooth`: what comes out, where it goes, and how it ends."""

import csv
import importlib.metadata
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from command import (
    MAIN,
    Stream,
    call,
    python,
    run,
    run_on_terminal,
    surroundings,
    without_styles,
)
from event_writer import curve, event, event_file, header, integer, message, record, simple
from rich.cells import cell_len

import ewma
from ewma import _progress_bar, _table, cli

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")

VALUES = [4, 1, 3]
GOOD = event_file(*curve("loss", VALUES))
HEADER = "run,tag,step,wall_time,value,smoothed"
SUFFIXES = [".csv", ".json", ".jsonl", ".parquet", ".arrow", ".png", ".svg", ".pdf"]
ODD_TAGS = [
    "a\nb", 'q"uo,te', "=cmd|'x'", "+1", "-1", "@x", b"\xff\xfe", "", "\x1b[31mred\x07",
    "\u202eevil", "[bold]x[/bold]", "损" * 60, "x" * 150,
]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a test."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def runs(folder):
    """Two runs with two tags each, of which one is common to both."""
    write("runs/a/1.tfevents", event_file(*curve("loss", VALUES), *curve("acc/train", [0, 1])))
    write("runs/b/1.tfevents", event_file(*curve("loss", [5, 6]), *curve("acc/val", [1, 2])))
    return folder / "runs"


@pytest.fixture
def one(folder):
    """One run with one curve."""
    write("one.tfevents", GOOD)
    return "one.tfevents"


def write(name, data):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(data)


def read(name):
    return Path(name).read_bytes()


def here():
    return sorted(path.name for path in Path().iterdir())


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def series(text):
    """Return {(run, tag): [smoothed]} of a CSV."""
    found = {}
    for row in rows(text):
        found.setdefault((row["run"], row["tag"]), []).append(float(row["smoothed"]))
    return found


def refused(*arguments, code=2, **options):
    """Return the one line that says what is wrong."""
    result = call(*arguments, **options)
    assert result.code == code
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("ewma-smooth: error: ")
    assert line.isprintable()
    return line.removeprefix("ewma-smooth: error: ")


class TestPipe:
    def test_csv(self, runs):
        code, out, err = call("runs")
        assert (code, err) == (0, "")
        assert out.splitlines()[0] == HEADER
        frame = ewma.smooth_scalars("runs", 0.9)
        found = rows(out)
        assert [row["run"] for row in found] == frame["run"].tolist()
        assert [row["tag"] for row in found] == frame["tag"].tolist()
        for column in ("step", "wall_time", "value", "smoothed"):
            assert [float(row[column]) for row in found] == frame[column].tolist()

    def test_installed_command(self):
        (command,) = importlib.metadata.entry_points(group="console_scripts", name="ewma-smooth")
        assert command.load() is cli.main

    def test_process_of_its_own(self, runs):
        assert run("runs") == call("runs")

    def test_odd_tags_keep_their_columns(self, folder):
        write("tfevents", event_file(*(e for tag in ODD_TAGS for e in curve(tag, [1]))))
        result = run("tfevents")  # a real pipe: nothing may translate the newlines
        assert (result.code, result.err) == (0, "")
        expected = [r"\xff\xfe" if isinstance(tag, bytes) else tag for tag in ODD_TAGS]
        tags = [row["tag"] for row in rows(result.out)]
        assert [tag.removeprefix("'") for tag in tags] == expected
        assert not any(tag.startswith(tuple("=+-@")) for tag in tags)
        frame = pd.read_csv(io.StringIO(result.out, newline=""), keep_default_na=False)
        assert frame["tag"].tolist() == tags

    def test_utf8_whatever_the_locale(self, folder):
        write("tfevents", event_file(*curve("größe", [1])))
        result = run("tfevents", env=surroundings(PYTHONIOENCODING="ascii"))
        assert result.out.splitlines()[1].startswith(".,größe,0,")

    @posix
    def test_reader_that_goes_away(self, folder):
        write("tfevents", record(event(1, simple("loss", 1))) * 50_000)
        process = subprocess.Popen(
            python(MAIN, "tfevents"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(),
        )
        assert process.stdout.readline().decode() == HEADER + "\n"  # `| head -1`
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
        process.stderr.close()

    @posix
    @pytest.mark.parametrize("option", [[], ["--list"]])
    def test_reader_that_never_came(self, one, option):
        reading, writing = os.pipe()
        os.close(reading)
        result = run(one, *option, stdout=writing)
        os.close(writing)
        assert result == (0, "", "")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("option", [[], ["--list"]])
    def test_full_disk(self, one, option):
        with Path("/dev/full").open("wb") as full:
            result = run(one, *option, stdout=full)
        assert result == (
            2,
            "",
            "ewma-smooth: error: standard output: No space left on device; not everything was "
            "written.\n",
        )

    @posix
    @pytest.mark.parametrize("environment", [{}, {"PYTHONUNBUFFERED": "1"}])
    def test_disk_full_in_the_middle(self, one, environment):
        limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50)); {MAIN}"
        with Path("out").open("wb") as out:
            result = run(one, program=limited, stdout=out, env=surroundings(**environment))
        assert (result.code, len(result.err.splitlines())) == (2, 1)
        assert "File too large" in result.err
        assert len(read("out")) == 50

    @posix
    @pytest.mark.parametrize("option", [[], ["--list"]])
    def test_unbuffered(self, one, option):
        assert run(one, *option, env=surroundings(PYTHONUNBUFFERED="1")) == call(one, *option)

    @posix
    def test_no_stdout(self, one):
        program = f"import os, sys; os.close(1); sys.stdout = None; {MAIN}"
        result = run(one, program=program)
        assert (result.code, len(result.err.splitlines())) == (2, 1)
        assert "there is no standard output" in result.err
        assert run(one, "-o", "out.csv", program=program).code == 0
        assert series(read("out.csv").decode())

    @posix
    def test_no_stderr(self, one):
        result = run(one, "nowhere", program=f"import sys; sys.stderr = None; {MAIN}")
        assert (result.code, result.err) == (2, "")
        assert len(rows(result.out)) == len(VALUES)


class TestOutput:
    @pytest.mark.parametrize("suffix", [".csv", ".CSV"])
    def test_csv(self, runs, suffix):
        name = "out" + suffix
        assert call("runs", "-o", name) == (0, "", f"ewma-smooth: wrote {name}\n")
        assert read(name).decode() == call("runs").out

    def test_json(self, runs):
        assert call("runs", "--output", "out.json").code == 0
        frame = ewma.smooth_scalars("runs")
        assert json.loads(read("out.json")) == frame.to_dict("records")

    def test_parquet(self, runs):
        pytest.importorskip("pyarrow")
        assert call("runs", "-o", "out.parquet", "--alpha", "0.5").code == 0
        pd.testing.assert_frame_equal(
            pd.read_parquet("out.parquet"), ewma.smooth_scalars("runs", alpha=0.5)
        )

    @pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
    def test_without_pyarrow(self, runs, monkeypatch, suffix):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert refused("runs", "-o", "out" + suffix) == (
            f"-o FILE{suffix} needs pyarrow: pip install 'ewma[parquet]', or write .csv."
        )

    @pytest.mark.parametrize(
        ("suffix", "magic"), [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
    )
    def test_picture(self, runs, suffix, magic):
        assert call("runs", "-o", "out" + suffix) == (0, "", f"ewma-smooth: wrote out{suffix}\n")
        assert read("out" + suffix).startswith(magic)

    @pytest.mark.parametrize(
        ("x", "label"), [(None, "step"), ("step", "step"), ("relative", "time"), ("wall", "time")]
    )
    def test_x(self, runs, x, label, monkeypatch):
        labels = []
        from ewma import _draw

        draw = _draw.draw

        def spy(curves, *, x_label, **options):
            labels.append(x_label)
            return draw(curves, x_label=x_label, **options)

        monkeypatch.setattr(_draw, "draw", spy)
        option = [] if x is None else ["--x", x]
        assert call("runs", "-o", "out.png", *option).code == 0
        (given,) = labels
        assert label in given

    @pytest.mark.parametrize("name", ["out", "out.xls", "out.csv.gz", "out.PNGG"])
    def test_unknown_suffix(self, runs, name):
        assert refused("runs", "-o", name) == (
            f"-o {name}: the suffix must be one of {' '.join(SUFFIXES)}; or for event files end it "
            "with a slash."
        )
        assert here() == ["runs"]

    def test_no_folder(self, runs):
        assert refused("runs", "-o", "no/out.csv") == (
            "-o no/out.csv: there is no folder no; make it."
        )

    def test_name_too_long(self, runs):
        assert "File name too long" in refused("runs", "-o", "x" * 300 + ".csv")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_existing_file(self, runs, suffix):
        name = "out" + suffix
        write(name, b"old")
        assert refused("runs", "-o", name) == (
            f"{name} exists already; add --force to replace it, or name another."
        )
        assert read(name) == b"old"

    def test_existing_file_is_told_before_the_work(self, folder):
        write("out.csv", b"old")
        assert "exists already" in refused("nowhere", "-o", "out.csv")

    def test_force(self, runs):
        write("out.csv", b"old")
        assert call("runs", "-o", "out.csv", "--force").code == 0
        assert read("out.csv").decode() == call("runs").out
        assert here() == ["out.csv", "runs"]

    def test_made_by_somebody_else_meanwhile(self, runs, monkeypatch):
        def meanwhile(scalars, file):
            write("out.csv", b"theirs")

        monkeypatch.setitem(_table.WRITERS, ".csv", meanwhile)
        assert "exists already" in refused("runs", "-o", "out.csv")
        assert read("out.csv") == b"theirs"

    def test_nothing_to_write_leaves_the_old_file(self, runs):
        write("out.csv", b"old")
        assert "no tag matches" in refused("runs", "--tag", "x", "-o", "out.csv", "--force")
        assert read("out.csv") == b"old"

    def test_damaged_input_is_written_and_told(self, folder):
        write("tfevents", GOOD + b"rest of a record")
        result = call("tfevents", "-o", "out.csv")
        assert result.code == 1
        assert result.err.splitlines()[-1] == "ewma-smooth: wrote out.csv"
        assert len(rows(read("out.csv").decode())) == len(VALUES)

    @posix
    def test_link_stays_a_link(self, runs):
        write("elsewhere/target.csv", b"old")
        Path("out.csv").symlink_to("elsewhere/target.csv")
        assert call("runs", "-o", "out.csv", "--force").code == 0
        assert Path("out.csv").is_symlink()
        assert read("elsewhere/target.csv").decode() == call("runs").out
        assert list(Path("elsewhere").iterdir()) == [Path("elsewhere/target.csv")]


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "beta"),
        [
            ([], 0.9),
            (["--beta", "0.5"], 0.5),
            (["--smoothing", "0.5"], 0.5),
            (["--smoothing=0.25"], 0.25),
            (["--beta", "0"], 0.0),
            (["--beta", "1"], 1.0),
            (["--alpha", "0.25"], 0.75),
            (["--com", "3"], 0.75),
            (["--span", "7"], 0.75),
            (["--halflife", "1"], 0.5),
        ],
    )
    def test_decay(self, one, option, beta):
        result = call(one, *option)
        assert (result.code, result.err) == (0, "")
        assert series(result.out) == {(".", "loss"): ewma.smooth([4.0, 1.0, 3.0], beta)}

    @pytest.mark.parametrize(
        ("options", "received"),
        [
            ("--beta 0.9 --alpha 0.1", "beta=0.9, alpha=0.1"),
            ("--smoothing 0.9 --com 1", "beta=0.9, com=1.0"),
            ("--halflife 2 --span 3", "span=3.0, halflife=2.0"),
            ("--beta 0 --alpha 1", "beta=0.0, alpha=1.0"),
        ],
    )
    def test_two_decays(self, one, options, received):
        assert refused(one, *options.split()) == (
            f"give only one of beta, alpha, com, span and halflife; received {received}."
        )

    def test_one_decay_twice(self, one):
        message = refused(one, "--beta", "0.9", "--smoothing", "0.8")
        assert message == "--beta and --smoothing are one option: give it once, not 2 times."

    def test_force_without_a_file(self, one):
        assert refused(one, "--force") == "--force replaces a file: add -o FILE, or leave it out."

    @pytest.mark.parametrize(
        ("option", "value", "rule"),
        [
            ("--beta", "1.5", "must lie in [0, 1]; received 1.5."),
            ("--beta", "-0.1", "must lie in [0, 1]; received -0.1."),
            ("--beta", "nan", "must lie in [0, 1]; received nan."),
            ("--smoothing", "inf", "must lie in [0, 1]; received inf."),
            ("--alpha", "2", "must lie in [0, 1]; received 2.0."),
            ("--com", "-1", "must be at least 0; received -1.0."),
            ("--span", "0.5", "must be at least 1; received 0.5."),
            ("--halflife", "0", "must be above 0; received 0.0."),
            ("--beta", "a\nb", r"'a\nb' is neither a number nor 'auto'. See ewma-smooth --help."),
        ],
    )
    def test_bad_decay(self, one, option, value, rule):
        assert refused(one, option, value).endswith(rule)

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            ("--tag loss", {("a", "loss"), ("b", "loss")}),
            ("--tag acc*", {("a", "acc/train"), ("b", "acc/val")}),
            ("--tag acc/t* --tag loss --run a", {("a", "acc/train"), ("a", "loss")}),
            ("--run a --run b --tag *val", {("b", "acc/val")}),
            ("--run [!a]", {("b", "acc/val"), ("b", "loss")}),
        ],
    )
    def test_filters(self, runs, options, left):
        result = call("runs", *options.split())
        assert (result.code, result.err) == (0, "")
        assert series(result.out).keys() == left

    def test_no_tag_matches(self, runs):
        assert refused("runs", "--tag", "Loss", "--tag", "x\n") == (
            r"runs: no tag matches 'Loss', 'x\n' (a shell pattern for the whole name); there are "
            "'acc/train', 'acc/val', 'loss'."
        )

    def test_no_run_matches(self, runs):
        assert refused("runs", "--run", "c") == (
            "runs: no run matches 'c' (a shell pattern for the whole name); there are 'a', 'b'."
        )

    @pytest.mark.parametrize("option", [[], ["-o", "out.csv"], ["-o", "out.json"]])
    def test_x_is_for_pictures(self, one, option):
        assert refused(one, "--x", "wall", *option) == (
            "--x is for pictures: add -o FILE.png, .svg or .pdf, or leave it out."
        )
        assert here() == [one]

    def test_list(self, runs):
        assert call("runs", "--list") == (
            0,
            "run\ttag\tpoints\na\tacc/train\t2\na\tloss\t3\nb\tacc/val\t2\nb\tloss\t2\n",
            "",
        )

    def test_list_with_filters(self, runs):
        assert call("runs", "--list", "--tag", "l*", "--run", "b").out.splitlines()[1:] == [
            "b\tloss\t2"
        ]

    def test_list_escapes(self, folder):
        write("tfevents", event_file(*curve("a\tb\n\x1b[0m", [1])))
        assert call("tfevents", "--list").out.splitlines()[1:] == [".\ta\\tb\\n\\x1b[0m\t1"]

    def test_list_writes_no_file(self, one):
        assert refused(one, "--list", "-o", "out.csv") == (
            "--list writes no file: leave out -o, or --list."
        )

    def test_version(self):
        version = importlib.metadata.version("ewma")
        assert call("--version") == (0, f"ewma-smooth {version}\n", "")
        assert ewma.__version__ == version

    @pytest.mark.parametrize("option", ["-h", "--help"])
    def test_help(self, option):
        code, out, err = call(option)
        assert (code, err) == (0, "")
        for option in cli.main.params:
            assert all(name in out for name in option.opts if name.startswith("-"))
        assert " ".join(SUFFIXES) in " ".join(out.split())
        assert max(map(len, out.splitlines())) <= 80

    @pytest.mark.parametrize(
        ("arguments", "rule"),
        [
            ([], "Missing argument 'PATH...'."),
            (["--tag", "loss"], "Missing argument 'PATH...'."),
            (["x", "--beta"], "Option '--beta' requires an argument."),
            (["x", "--x", "time"], "'time' is not one of 'step', 'relative', 'wall'."),
            (["x", "--no\nsuch"], r"No such option"),
        ],
    )
    def test_wrong_command(self, arguments, rule):
        line = refused(*arguments)
        assert rule in line
        assert line.endswith("See ewma-smooth --help.")


class TestBadInput:
    """The table of bad input: how it ends, what is kept, and what is said."""

    def check(self, data, code, offset, words, points=3):
        """Run on a file and a good one: all that is good comes out, one line names the rest."""
        write("bad/tfevents", data)
        write("good/tfevents", GOOD)
        result = call("bad", "good")
        assert result.code == code
        found = series(result.out)
        assert found[("good", "loss")] == ewma.smooth([4.0, 1.0, 3.0], 0.9)
        assert len(found.get(("bad", "loss"), [])) == points
        (line,) = result.err.splitlines()
        kind = "error" if code else "warning"
        where = str(Path("bad/tfevents")) + ("" if offset is None else f", byte {offset}")
        assert line.startswith(f"ewma-smooth: {kind}: {where}: ")
        for word in words:
            assert word in line

    def test_cut_off(self, folder):
        data = GOOD + record(event(3, simple("loss", 9)))[:-7]
        words = ["the last record is cut off", f"{len(data) - len(GOOD)} bytes are left over"]
        self.check(data, 0, len(GOOD), words)

    def test_wrong_data_checksum(self, folder):
        bad = bytearray(record(event(3, simple("loss", 9))))
        bad[14] ^= 1
        data = GOOD + bad + record(event(4, simple("loss", 9)))
        self.check(
            data, 1, len(GOOD), ["1 record was left out, as the checksum of its data is wrong"], 4
        )

    def test_wrong_length_checksum(self, folder):
        bad = bytearray(record(event(3, simple("loss", 9))))
        bad[8] ^= 1
        data = GOOD + bad + record(event(4, simple("loss", 9)))
        self.check(data, 1, len(GOOD), ["the length of a record has a checksum that is wrong"])

    def test_malformed_protobuf(self, folder):
        data = GOOD + record(b"\x07nonsense") + record(event(4, simple("loss", 9)))
        self.check(data, 1, len(GOOD), ["it holds no Event message"], 4)

    def test_enormous_length(self, folder):
        said = ["more than any event can have", "everything before it was read"]
        self.check(GOOD + header(1 << 63), 1, len(GOOD), said)
        self.check(GOOD + header(1 << 30), 0, len(GOOD), ["the last record is cut off"])

    @pytest.mark.parametrize(
        "data", [b"step,loss\n0,1\n" * 9, bytes(100), b"\x89PNG\r\n\x1a\n" * 9]
    )
    def test_not_an_event_file(self, folder, data):
        self.check(data, 2, None, ["not an event file"], 0)

    def test_empty_file(self, folder):
        self.check(b"", 2, None, ["the file is empty"], 0)

    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("nowhere", "there is no such file or folder"),
            ("no*where", "nor one that matches it as a pattern"),
            ("empty", "no event files in this folder"),
            ("new\nline\x1b[0m", "there is no such file or folder"),
            ("", "there is no such file or folder"),
        ],
    )
    @pytest.mark.parametrize("first", [True, False])
    def test_path(self, one, path, words, first):
        Path("empty").mkdir()
        result = call(*((path, one) if first else (one, path)))
        assert result.code == 2
        assert len(rows(result.out)) == len(VALUES)
        (line,) = result.err.splitlines()
        assert line.isprintable()
        shown = path.replace("\n", r"\n").replace("\x1b", r"\x1b")
        assert line.startswith(f"ewma-smooth: error: {shown}: {words}"[: len(shown) + 22])
        assert words in line

    def test_no_permission(self, runs, monkeypatch):
        # Mode 000 would not stop root, as whom tests may run.
        def guarded(path, *arguments, **options):
            if "a" in Path(path).parts:
                raise PermissionError(13, "Permission denied", path)
            return io.open(path, *arguments, **options)  # noqa: UP020

        monkeypatch.setattr("ewma.tensorboard._event_file.open", guarded, raising=False)
        result = call("runs")
        assert result.code == 2
        assert {run for run, _ in series(result.out)} == {"b"}
        (line,) = result.err.splitlines()
        path = Path("runs/a/1.tfevents")
        assert line.startswith(f"ewma-smooth: error: {path}: no permission to read it; ")

    def test_no_permission_for_the_output(self, runs, monkeypatch):
        def forbidden(self, *_, **__):
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr("pathlib.Path.open", forbidden)
        assert refused("runs", "-o", "out.csv") == (
            "-o out.csv: Permission denied; nothing was written."
        )

    @pytest.mark.parametrize("paths", [["empty.tfevents"], ["empty.tfevents", "text.tfevents"]])
    def test_no_scalars(self, folder, paths):
        write("empty.tfevents", event_file())
        write("text.tfevents", event_file(integer(2, 1) + message(5, b""), begun=2.0))
        assert refused(*paths) == f"{', '.join(paths)}: there are no scalars in it."

    def test_only_bad(self, folder):
        write("tfevents", b"nonsense" * 9)
        assert refused("tfevents").startswith("tfevents: not an event file: ")

    def test_worst_of_all_decides(self, folder):
        damaged = GOOD + record(b"\x07nonsense") + GOOD[:5]
        write("tfevents", damaged)
        result = call("tfevents", "nowhere")
        assert result.code == 2
        assert [line.split()[1] for line in result.err.splitlines()] == [
            "error:", "error:", "warning:",
        ]  # fmt: skip
        assert call("tfevents").code == 1
        assert len(rows(result.out)) == len(VALUES)

    @posix
    def test_name_that_is_not_utf8(self, folder):
        name = os.fsdecode(b"caf\xe9")
        assert refused(name).startswith(r"caf\xe9: there is no such")
        try:
            write(name + "/tfevents", GOOD)
        except OSError:
            pytest.skip("the file system takes UTF-8 only")
        write("b/tfevents", GOOD)
        assert series(call(name, "b").out).keys() == {("b", "loss"), (r"caf\xe9", "loss")}
        assert run(name).code == 0


@posix
class TestTerminal:
    @pytest.fixture
    def odd(self, folder):
        curves = (e for tag in ODD_TAGS for e in curve(tag, [1, 1e-45, 0.25, float("nan")]))
        write("run [b]/tfevents", event_file(*curves))
        write("other/tfevents", event_file(*curve("loss", VALUES)))
        return folder

    def test_no_more_lines_than_anybody_reads(self, folder):
        tags = [simple(f"tag_{i:04}", 1.0) for i in range(1003)]
        write("1.tfevents", event_file(event(0, *tags)))
        code, out, err = run_on_terminal(".", columns=100)
        assert (code, err) == (0, "")
        assert "tag_0999" in out
        assert "tag_1000" not in out
        assert "3 more: --tag and --run choose, a pipe and -o have all" in without_styles(out)

    @pytest.mark.parametrize(
        ("columns", "table"), [(120, True), (98, True), (80, True), (60, False), (40, False)]
    )
    def test_width(self, odd, columns, table):
        code, out, err = run_on_terminal(".", columns=columns)
        assert (code, err) == (0, "")
        text = without_styles(out)
        assert text.replace("\n", "").isprintable()  # nothing from a tag reaches the terminal
        assert ("points" in text.split("\n")[1].split()) == table  # a heading, or "4 points,"
        if table:
            assert max(map(cell_len, text.split("\n"))) <= columns
        else:
            assert len(text.splitlines()) == len(ODD_TAGS) + 1
        for shown in (r"a\nb", r"\x1b[31mred\x07", r"\xff\xfe", r"\u202eevil", "[bold]x[/bold]"):
            assert shown in text

    @pytest.mark.parametrize("columns", [30, 60, *range(70, 100, 3), 200])
    def test_numbers_are_whole_at_any_width(self, odd, columns, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        text = without_styles(call("other", terminal=True).out)
        if "─" in text:
            assert max(map(cell_len, text.splitlines())) <= columns
            (row,) = [line for line in text.splitlines() if "loss" in line]
            lowest = ["2.4211", "1"] if "lowest" in text else []
            assert row.split() == [".", "loss", "3", "0..2", "3", "2.6347", *lowest]
        else:
            assert text == (
                ". loss: 3 points, steps 0 to 2, last 3, smoothed 2.6347, lowest smoothed 2.4211 "
                "at step 1\n"
            )

    def test_terminal_that_is_not_utf8(self, folder):
        write("tfevents", event_file(*curve("größe", [1])))
        for columns in (120, 40):
            result = run_on_terminal("tfevents", columns=columns, PYTHONIOENCODING="ascii")
            assert (result.code, result.err) == (0, "")
            assert "gr" in result.out

    def test_file_is_written_and_nothing_shown(self, runs):
        result = run_on_terminal("runs", "-o", "out.csv", columns=80)
        assert result == (0, "", "ewma-smooth: wrote out.csv\n")

    def test_list(self, runs):
        result = run_on_terminal("runs", "--list", columns=80)
        assert result.out == call("runs", "--list").out


class TestProgressBar:
    def program(self, seconds):
        return f"from ewma import _progress_bar; _progress_bar._AFTER = {seconds}; {MAIN}"

    @posix
    def test_on_a_terminal_after_a_while(self, one):
        result = run_on_terminal(one, columns=80, program=self.program(0), streams=("stderr",))
        assert result.code == 0
        assert "reading" in result.out
        assert "bytes" in result.out
        assert result.out.endswith("\x1b[2K")  # and it is gone in the end
        assert result.err == call(one).out  # the other stream

    @posix
    def test_on_both_streams(self, one):
        streams = ("stdout", "stderr")
        result = run_on_terminal(one, columns=120, program=self.program(0), streams=streams)
        _, table = result.out.rsplit("\x1b[2K", 1)
        assert "reading" not in table
        assert "loss" in table

    @posix
    def test_not_before(self, one):
        late = self.program(1e9)
        result = run_on_terminal(one, columns=80, program=late, streams=("stderr",))
        assert result.out == ""

    def test_never_in_a_pipe(self, one):
        assert run(one, program=self.program(0)).err == ""

    def test_waits_half_a_second(self, one, monkeypatch):
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stderr", Stream(terminal=True))
        clock = 100.0
        monkeypatch.setattr(_progress_bar.time, "monotonic", lambda: clock)
        with _progress_bar.ProgressBar() as advance:
            clock += 0.49
            advance(1, 2)
            assert sys.stderr.text() == ""
            clock += 0.02
            advance(2, 2)
            assert "reading" in sys.stderr.text()


class TestCost:
    """Nobody waits for what they did not ask for."""

    HEAVY = ("pandas", "matplotlib", "rich", "pyarrow", "importlib.metadata", "numpy.ma")

    def imported(self, *arguments):
        program = f"""
import sys
try:
    {MAIN}
finally:
    print(*(name for name in {self.HEAVY} if name in sys.modules), file=sys.stderr)
"""
        return set(run(*arguments, program=program).err.splitlines()[-1].split())

    @pytest.mark.parametrize(
        "options", [[], ["--wide"], ["-o", "x.csv"], ["-o", "x.jsonl"], ["-o", "x/"], ["--list"]]
    )
    def test_of_text(self, one, options):
        assert self.imported(one, *options) == set()

    def test_of_a_picture(self, one):
        assert self.imported(one, "-o", "x.png").isdisjoint({"pandas", "rich", "pyarrow"})

    @posix
    def test_of_a_table(self, one):
        program = f"""
import atexit, sys
atexit.register(lambda: print("HEAVY", "pandas" in sys.modules, "matplotlib" in sys.modules))
{MAIN}"""
        result = run_on_terminal(one, columns=100, program=program)
        assert result.out.splitlines()[-1] == "HEAVY False False"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
@pytest.mark.parametrize("suffix", [".csv", ".png"])
def test_interrupted_while_it_reads(tmp_path, suffix):
    log, output = tmp_path / "events.out.tfevents.1.fifo", tmp_path / f"out{suffix}"
    os.mkfifo(log)
    with subprocess.Popen(
        python(MAIN, log, "-o", output), stderr=subprocess.PIPE, text=True
    ) as process:
        with log.open("wb"):  # waits until it reads
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == ""
    assert list(tmp_path.iterdir()) == [log]


def test_threads_that_cannot_be(monkeypatch, capsys):
    monkeypatch.setenv("EWMA_NUM_THREADS", "many")
    result = call(os.fspath(Path("examples/runs").resolve()), "--list")
    assert result.code == 2
    assert "EWMA_NUM_THREADS must be a whole number of at least 1" in result.err


class TestNobodyReadsStderr:
    """`2>&1 | head -1` has seen enough of the notes; the file is written all the same."""

    PROGRAM = f"""
import os, sys
read, write = os.pipe()
os.dup2(write, 2)
os.close(read)
{MAIN}
"""

    @pytest.mark.parametrize("options", [[], ["--beta", "auto"]])
    def test_file_is_written(self, folder, options):
        write("tfevents", event_file(*curve("loss", VALUES), *curve("acc", VALUES)))
        result = run("tfevents", *options, "-o", "x.csv", program=self.PROGRAM)
        assert result == (0, "", "")
        assert (folder / "x.csv").read_text().count("\n") == 2 * len(VALUES) + 1

    def test_refusal(self, folder):
        assert run("nothing", program=self.PROGRAM) == (2, "", "")
