"""Files read by several threads: the same rows, problems and errors as by one."""

import random
import subprocess
import sys
import threading

import pandas as pd
import pytest
from event_writer import curve, event, event_file, record, simple

import ewma
from ewma.tensorboard import _event_file, _read_files
from ewma.tensorboard._files import find_runs
from ewma.tensorboard._name_filter import NameFilter
from ewma.tensorboard._read import load_scalars
from ewma.tensorboard._read_files import read_files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make many runs of very different sizes, some damaged, each with tags of its own."""
    tmp_path = tmp_path_factory.mktemp("runs")
    chosen = random.Random(0)
    for run in range(40):
        path = tmp_path / f"run_{run % 20}" / f"{run:02}.tfevents"
        path.parent.mkdir(exist_ok=True)
        tags = chosen.sample(["loss", "accuracy", "rate", f"only/{run}"], 3)
        data = event_file(
            *(e for tag in tags for e in curve(tag, range(chosen.choice([1, 10, 600]))))
        )
        path.write_bytes(data[: -chosen.choice([0, 0, 0, 5])] or data)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/tfevents").touch()
    return tmp_path


@pytest.fixture
def threads(monkeypatch):
    """Say how many threads to take, however little there is to read."""
    monkeypatch.setattr(_read_files, "_BYTES_PER_THREAD", 1)

    def threads(count):
        monkeypatch.setenv("EWMA_NUM_THREADS", str(count))

    return threads


@pytest.mark.parametrize("options", [{}, {"tags": "only/*"}, {"runs": "run_1*", "verify": "all"}])
def test_the_same_as_by_one(folder, threads, options):
    threads(1)
    one, one_problems = load_scalars(folder, **options)
    assert len(one) > 10
    for count in (2, 7):
        threads(count)
        columns, problems = load_scalars(folder, **options)
        pd.testing.assert_frame_equal(columns.to_pandas(), one.to_pandas())
        assert problems == one_problems


def test_progress_is_told_by_one_thread_at_a_time(folder, threads, monkeypatch):
    threads(4)
    monkeypatch.setattr(_read_files, "CHUNK", 1 << 10)
    before = sys.getswitchinterval()
    inside = threading.Lock()
    calls = []
    ids = set()

    def progress(done, total):
        assert inside.acquire(blocking=False)
        calls.append((done, total))
        ids.add(threading.get_ident())
        inside.release()

    sys.setswitchinterval(1e-6)
    try:
        load_scalars(folder, progress=progress)
    finally:
        sys.setswitchinterval(before)
    done = [done for done, _ in calls]
    assert done == sorted(done)
    assert set(calls[-1]) == {sum(file.stat().st_size for file in folder.rglob("*tfevents*"))}
    assert threading.get_ident() not in ids


def test_no_tag_matches(folder, threads):
    for count in (1, 4):
        threads(count)
        with pytest.raises(ValueError, match=r"no tag matches 'x'.* 'accuracy', 'loss', 'only/0'"):
            ewma.read_scalars(folder, tags="x", runs="run*")


def test_the_first_problem_is_raised_and_the_threads_end(folder, threads):
    threads(4)
    before = threading.active_count()
    with pytest.raises(ValueError, match="empty"):
        ewma.read_scalars(folder, errors="raise")
    assert threading.active_count() == before


def test_an_interrupt_ends_it(folder, threads):
    """What Ctrl-C raises in the main thread, and what a callback raises in another."""
    threads(2)
    before = threading.active_count()

    def interrupted(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_scalars(folder, progress=interrupted)
    assert threading.active_count() == before


def test_files_under_way_are_left_where_they_are(tmp_path, threads, monkeypatch):
    """The second file waits after its first chunk until nobody wants it any more."""
    threads(2)
    (tmp_path / "1.tfevents").write_bytes(record(event(1, simple("a", 2))))
    (tmp_path / "2.tfevents").write_bytes(record(event(1, simple("b", 2))) * 30_000)
    unwanted = threading.Event()
    join, left = threading.Thread.join, _event_file._left

    def joining(*args):
        unwanted.set()
        return join(*args)

    def waiting(*args):
        assert unwanted.wait(60)
        return left(*args)

    monkeypatch.setattr(threading.Thread, "join", joining)
    monkeypatch.setattr(_event_file, "_left", waiting)
    (run,) = find_runs([str(tmp_path)], pytest.fail)
    counts = []
    reading = read_files(run.files, NameFilter("tag", None), "all", counts.append)
    assert next(reading).reader.tags == [b"a"]
    reading.close()
    assert sum(counts) < 1000


def test_few_bytes_take_no_threads(folder, monkeypatch):
    monkeypatch.setattr(_read_files, "_side_by_side", None)
    assert len(load_scalars(folder)[0]) > 1000


@pytest.mark.parametrize("bad", ["0", "many"])
def test_bad_environment_variable(folder, threads, bad):
    threads(bad)
    with pytest.raises(ValueError, match=f"EWMA_NUM_THREADS must be .* received '{bad}'"):
        load_scalars(folder)


def test_memory_stays_below_twice_the_columns(tmp_path):
    pytest.importorskip("resource")
    data = record(event(1, simple("a/longer/tag", 1))) * 20_000
    for run in range(50):
        path = tmp_path / f"{run}" / "tfevents"
        path.parent.mkdir()
        path.write_bytes(data)
    program = """
import resource, sys
from ewma.tensorboard._read import load_scalars
import concurrent.futures
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
columns, _ = load_scalars(sys.argv[1])
unit = 1 if sys.platform == "darwin" else 1024
size = sum(getattr(columns, name).nbytes for name in ("run", "tag", "step", "wall_time", "value"))
print(len(columns), (peak() - before) * unit / size)
"""
    command = [sys.executable, "-P", "-c", program, tmp_path]
    rows, ratio = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.split()
    assert int(rows) == 1_000_000
    assert float(ratio) < 2


@pytest.mark.parametrize("few", [0, 1, 3])
def test_the_system_has_no_more_threads(folder, threads, monkeypatch, few):
    threads(1)
    expected, _ = load_scalars(folder)
    threads(7)
    before, started = threading.active_count(), []

    def start(thread, start=threading.Thread.start):
        if len(started) == few:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    columns, _ = load_scalars(folder)
    pd.testing.assert_frame_equal(columns.to_pandas(), expected.to_pandas())
    assert len(started) == few
    assert threading.active_count() == before
