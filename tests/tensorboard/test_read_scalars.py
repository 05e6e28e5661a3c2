"""The public function: options, filters and how problems are told."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from event_writer import curve, event, event_file, float_tensor, simple

from ewma import EwmaWarning
from ewma.tensorboard import read_scalars
from ewma.tensorboard._problems import UNREADABLE
from ewma.tensorboard._read import load_scalars


@pytest.fixture
def runs(tmp_path):
    """Two runs, a and b/c; a has two files."""
    for file, data in {
        "a/2.tfevents": event_file(event(2, simple("loss", 4)), event(3, simple("loss", 5))),
        "a/1.tfevents": event_file(*curve("loss", [1, 2]), event(9, float_tensor("acc/x", 3))),
        "b/c/1.tfevents": event_file(*curve("loss", [6])),
    }.items():
        path = tmp_path / "runs" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "runs"


def table(frame):
    return [(row.run, row.tag, row.step, row.value) for row in frame.itertuples()]


class TestRows:
    def test_tree(self, runs):
        assert table(read_scalars(runs)) == [
            ("a", "loss", 0, 1),
            ("a", "loss", 1, 2),
            ("a", "acc/x", 9, 3),
            ("a", "loss", 2, 4),
            ("a", "loss", 3, 5),
            ("b/c", "loss", 0, 6),
        ]

    def test_columns(self, runs):
        frame = read_scalars(str(runs))
        assert frame.dtypes.astype(str).to_dict() == {
            "run": "category",
            "tag": "category",
            "step": "int64",
            "wall_time": "float64",
            "value": "float64",
        }
        assert frame["run"].cat.categories.tolist() == ["a", "b/c"]
        assert frame["tag"].cat.categories.tolist() == ["acc/x", "loss"]
        assert frame["wall_time"].unique().tolist() == [1.5e9]

    @pytest.mark.parametrize("kind", [str, Path, lambda path: str(path).encode()])
    def test_kinds_of_path(self, runs, kind):
        assert len(read_scalars(kind(runs / "a"))) == 5
        assert len(read_scalars([kind(runs / "a"), kind(runs / "b")])) == 6

    def test_log_without_scalars(self, tmp_path):
        (tmp_path / "tfevents").write_bytes(event_file())
        frame = read_scalars(tmp_path, errors="raise")
        assert len(frame) == 0
        assert frame["run"].dtype == "category"


class TestFilters:
    @pytest.mark.parametrize(
        ("tags", "values"),
        [
            ("loss", [1, 2, 4, 5, 6]),
            ("acc*", [3]),
            (["acc*", "l?ss"], [1, 2, 3, 4, 5, 6]),
            (("nothing", "*x"), [3]),
            ([], [1, 2, 3, 4, 5, 6]),
        ],
    )
    def test_tags(self, runs, tags, values):
        frame = read_scalars(runs, tags=tags)
        assert frame["value"].tolist() == values

    def test_tags_left_out_among_others(self, tmp_path):
        events = [event(i, simple("bacd"[i % 4], i)) for i in range(12)]
        (tmp_path / "tfevents").write_bytes(event_file(*events))
        frame = read_scalars(tmp_path, tags=["[abd]"])
        assert frame["tag"].tolist() == ["bacd"[i % 4] for i in frame["value"].astype(int)]
        assert frame["value"].tolist() == [0, 1, 3, 4, 5, 7, 8, 9, 11]

    def test_tags_left_out_leave_no_category(self, runs):
        assert read_scalars(runs, tags="acc*")["tag"].cat.categories.tolist() == ["acc/x"]

    def test_runs(self, runs):
        assert read_scalars(runs, runs="b*")["value"].tolist() == [6]
        assert len(read_scalars(runs, runs=["a", "b*"])) == 6

    def test_another_run_is_not_opened(self, runs):
        (runs / "a/1.tfevents").write_bytes(b"no event file")
        assert len(read_scalars(runs, runs="b*", errors="raise")) == 1

    def test_no_tag_matches(self, runs):
        with pytest.raises(ValueError, match=r"no tag matches 'Loss'.* 'acc/x', 'loss'\."):
            read_scalars(runs, tags="Loss")

    def test_no_run_matches(self, runs):
        with pytest.raises(ValueError, match=r"no run matches 'x', 'y'.* 'a', 'b/c'\."):
            read_scalars(runs, runs=["x", "y"])

    def test_long_lists_are_cut(self, tmp_path):
        values = [simple(f"{i:02}\n", 1) for i in range(30)]
        (tmp_path / "tfevents").write_bytes(event_file(event(1, *values)))
        columns, (problem,) = load_scalars(tmp_path, tags="x")
        assert len(columns) == 0
        assert problem.exit_code == UNREADABLE
        assert problem.message.endswith(r"'18\n', '19\n' and 10 more.")

    @pytest.mark.parametrize("option", ["tags", "runs"])
    def test_not_a_pattern(self, runs, option):
        with pytest.raises(TypeError, match="must be a str, not 3"):
            read_scalars(runs, **{option: [3]})


class TestErrors:
    def test_a_warning_for_each_problem(self, runs):
        bad = runs / "a/1.tfevents"
        bad.write_bytes(bad.read_bytes()[:-1])
        with pytest.warns(EwmaWarning) as caught:
            frame = read_scalars([runs, runs / "missing"])
        assert frame["value"].tolist() == [1, 2, 4, 5, 6]
        assert [warning.filename for warning in caught] == [__file__, __file__]
        missing, cut_off = (str(warning.message) for warning in caught)
        assert missing.startswith(f"{runs / 'missing'}: there is no such file")
        assert cut_off.startswith(f"{bad}, byte ")

    def test_raise(self, runs):
        bad = runs / "a/1.tfevents"
        bad.write_bytes(bad.read_bytes()[:-1])
        with pytest.raises(ValueError, match="the last record is cut off"):
            read_scalars(runs, errors="raise")
        with pytest.raises(FileNotFoundError):
            read_scalars([runs, runs / "missing"], errors="raise")

    def test_only_a_cut_off_record(self, tmp_path):
        (tmp_path / "tfevents").write_bytes(event_file()[:5])
        with pytest.warns(EwmaWarning, match="5 bytes are left over"):
            assert len(read_scalars(tmp_path)) == 0

    @pytest.mark.parametrize("errors", ["warn", "raise"])
    def test_nothing_could_be_read(self, tmp_path, errors):
        (tmp_path / "empty").touch()
        (tmp_path / "folder").mkdir()
        for name, error, match in [
            ("missing", FileNotFoundError, "no such file"),
            ("empty", ValueError, "empty"),
            ("folder", FileNotFoundError, "no event files"),
            ("zero\0byte", ValueError, "null byte"),
        ]:
            with pytest.raises(error, match=match):
                read_scalars(tmp_path / name, errors=errors)

    def test_no_permission(self, runs, monkeypatch):
        def locked(path, *args, _open=open, **options):
            if str(path).endswith("1.tfevents"):
                raise PermissionError(13, "Permission denied", path)
            return _open(path, *args, **options)

        monkeypatch.setattr("builtins.open", locked)
        with pytest.warns(EwmaWarning, match="no permission") as caught:
            assert read_scalars(runs)["value"].tolist() == [4, 5]
        assert len(caught) == 2
        with pytest.raises(PermissionError, match="no permission"):
            read_scalars(runs / "b")

    @pytest.mark.parametrize("errors", ["ignore", None, 1])
    def test_errors_is_one_of_two(self, runs, errors):
        with pytest.raises(ValueError, match=f"must be 'warn' or 'raise', not {errors!r}"):
            read_scalars(runs, errors=errors)

    def test_no_path(self):
        with pytest.raises(ValueError, match="at least one path"):
            read_scalars([])

    def test_message_is_one_line(self, tmp_path):
        _, (problem,) = load_scalars(tmp_path / "new\nline\x1b[31m\u202e")
        assert str(problem).isprintable()
        assert r"new\nline\x1b[31m\u202e: " in str(problem)


def test_progress(runs):
    (runs / "a/2.tfevents").write_bytes(event_file(*curve("loss", range(9000))))
    (runs / "b/c/1.tfevents").write_bytes(bytes(400_000))  # given up at once
    calls = []
    load_scalars(runs, progress=lambda done, total: calls.append((done, total)))
    size = sum(file.stat().st_size for file in runs.rglob("*.tfevents"))
    assert {total for _, total in calls} == {size}
    done = [done for done, _ in calls]
    assert len(done) > 4
    assert done == sorted(done)
    assert done[-1] == size


def run_python(program, *arguments):
    # -P: the source folder in the working directory has no compiled part.
    command = [sys.executable, "-P", "-c", program, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan keeps freed memory")
def test_memory_stays_below_three_times_the_columns(tmp_path):
    """Measured by the system in a fresh process, so that the parser's own memory counts."""
    pytest.importorskip("resource")
    record = event_file(event(1, simple("a/longer/tag", 1)))[len(event_file()) :]
    (tmp_path / "tfevents").write_bytes(record * 600_000)
    program = """
import resource, sys
from ewma.tensorboard._read import load_scalars
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
columns, _ = load_scalars(sys.argv[1])
unit = 1 if sys.platform == "darwin" else 1024
size = sum(getattr(columns, name).nbytes for name in ("run", "tag", "step", "wall_time", "value"))
print(len(columns), (peak() - before) * unit / size)
"""
    rows, ratio = run_python(program, tmp_path).split()
    assert int(rows) == 600_000
    assert float(ratio) < 3


def test_import_costs_no_pandas():
    run_python("import sys, ewma.tensorboard._read; assert 'pandas' not in sys.modules")


def test_no_warning_for_good_input(runs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_scalars(runs)


def test_a_number_is_no_path():
    with pytest.raises(TypeError, match="path must be a path, or a list of them; received 3"):
        read_scalars(3)
