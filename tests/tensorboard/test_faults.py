"""Files and folders that change, vanish or refuse while they are read."""

import os
import shutil
import sys

import pytest
from event_writer import curve, event, event_file, message, record, simple

from ewma.tensorboard import _event_file
from ewma.tensorboard._problems import DAMAGED, UNREADABLE, WARNING
from ewma.tensorboard._read import load_scalars

POINT = record(event(1, simple("a", 2)))
IMAGE = record(event(1, message(1, b"i") + message(4, bytes(1 << 20))))


@pytest.fixture
def opened(monkeypatch):
    """Call something with each path that is opened, before or after this."""

    def opened(action, *, after=False):
        def opening(path, *args, _open=open, **options):
            if not after:
                action(path)
            file = _open(path, *args, **options)
            if after:
                action(path)
            return file

        monkeypatch.setattr("builtins.open", opening)

    return opened


class TestShrinks:
    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("keep", [0, 10, len(POINT), 3 * len(POINT) - 1])
    def test_after_its_size_was_seen(self, tmp_path, opened, keep, after):
        path = tmp_path / "tfevents.1"
        path.write_bytes(POINT * 3)
        (tmp_path / "tfevents.2").write_bytes(POINT)
        opened(lambda name: name == str(path) and os.truncate(name, keep), after=after)
        columns, (problem,) = load_scalars(tmp_path, restarts="keep")
        assert len(columns) == keep // len(POINT) + 1
        assert (problem.path, problem.exit_code) == (str(path), DAMAGED)
        assert f"shrank from {3 * len(POINT)} to {keep} bytes while" in problem.message

    @pytest.mark.parametrize("at", ["feed", "skip"])
    def test_between_two_chunks(self, tmp_path, monkeypatch, at):
        """In the middle of an image, where the rest is read or gone over."""
        path = tmp_path / "tfevents"
        path.write_bytes(POINT + IMAGE + POINT)
        if at == "feed":
            monkeypatch.setattr(_event_file, "_WORTH_A_SEEK", 1 << 30)
        left = _event_file._left

        def shrinking(file, done):
            result = left(file, done)
            os.truncate(path, len(POINT) + (1 << 19))
            return result

        monkeypatch.setattr(_event_file, "_left", shrinking)
        columns, (problem,) = load_scalars(path)
        assert len(columns) == 1
        assert problem.exit_code == DAMAGED
        assert f"to {len(POINT) + (1 << 19)} bytes while it was read" in problem.message

    def test_a_file_that_grows_has_not_shrunk(self, tmp_path, opened):
        path = tmp_path / "tfevents"
        path.write_bytes(POINT)

        def grow(name):
            if name == str(path):
                os.truncate(name, 0)
                path.write_bytes(POINT * 3)

        grow_once = iter([grow])
        opened(lambda name: next(grow_once, lambda _: None)(name))
        columns, problems = load_scalars(path)
        assert len(columns) == 3
        assert not problems


class TestVanishes:
    def test_a_folder_during_the_walk(self, tmp_path, monkeypatch):
        for run in "abc":
            (tmp_path / run / "x").mkdir(parents=True)
            (tmp_path / run / "x/tfevents").write_bytes(POINT)

        def scandir(path, scan=os.scandir):
            if path == str(tmp_path / "a"):
                shutil.rmtree(tmp_path / "b", ignore_errors=True)
            return scan(path)

        monkeypatch.setattr("os.scandir", scandir)
        columns, (problem,) = load_scalars(tmp_path)
        assert columns.run_names == ["a/x", "c/x"]
        assert (problem.path, problem.exit_code) == (str(tmp_path / "b"), UNREADABLE)

    def test_a_folder_after_the_walk(self, tmp_path, opened):
        for run in "abc":
            (tmp_path / run).mkdir()
            (tmp_path / run / "tfevents").write_bytes(POINT)
        opened(lambda _: shutil.rmtree(tmp_path / "b", ignore_errors=True))
        columns, (problem,) = load_scalars(tmp_path)
        assert columns.run_names == ["a", "c"]
        assert problem.error is FileNotFoundError

    def test_a_file_that_is_being_read(self, tmp_path, opened):
        """It stays readable, on a file system that keeps what is open."""
        path = tmp_path / "tfevents"
        path.write_bytes(event_file(*curve("a", range(5))))
        try:
            opened(os.unlink, after=True)
            columns, problems = load_scalars(path)
        except PermissionError:  # Windows keeps the name as well
            return
        assert (len(columns), problems) == (5, [])


def test_no_permission_for_one_of_many(tmp_path, monkeypatch):
    """By the system's own refusal where it refuses, and root is refused nothing."""
    for run in "abc":
        (tmp_path / run).mkdir()
        (tmp_path / run / "tfevents").write_bytes(POINT)
    locked = tmp_path / "b/tfevents"
    locked.chmod(0)
    if os.access(locked, os.R_OK):

        def opening(path, *args, _open=open, **options):
            if path == str(locked):
                raise PermissionError(13, "Permission denied", path)
            return _open(path, *args, **options)

        monkeypatch.setattr("builtins.open", opening)
    columns, (problem,) = load_scalars(tmp_path)
    assert columns.run_names == ["a", "c"]
    assert (problem.path, problem.error) == (str(locked), PermissionError)


def test_symlink_loop_is_read_once(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/tfevents").write_bytes(POINT)
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to("self")
    (tmp_path / "a/self.tfevents").symlink_to("self.tfevents")
    columns, (problem,) = load_scalars(tmp_path)
    assert len(columns) == 1
    assert problem.path == str(tmp_path / "a/self.tfevents")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' paths are Unicode")
def test_path_that_is_not_utf8(tmp_path):
    folder = os.fsencode(tmp_path) + b"/run \xff\xfe"
    os.mkdir(folder)  # noqa: PTH102
    with open(folder + b"/\xe4.tfevents", "wb") as file:  # noqa: PTH123
        file.write(POINT + POINT[:-1])
    columns, (problem,) = load_scalars(tmp_path)
    assert columns.run_names == [r"run \xff\xfe"]
    assert problem.exit_code == WARNING
    assert str(problem).isprintable()
    assert r"run \xff\xfe/\xe4.tfevents, byte" in str(problem)
    columns.to_pandas().to_csv(tmp_path / "out.csv")
