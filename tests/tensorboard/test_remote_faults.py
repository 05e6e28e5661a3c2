"""What goes wrong on the way to files that are elsewhere."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile

import fsspec
import pytest
from bucket import bucket
from command import MAIN, call, python, surroundings
from command import run as run_command
from event_writer import curve, event, event_file, message, record, simple
from log_server import LogServer, served

import ewma
from ewma.tensorboard import _read_files, _remote_file
from ewma.tensorboard._problems import DAMAGED, UNREADABLE, WARNING
from ewma.tensorboard._read import load_scalars
from ewma.tensorboard._remote_file import RemoteFile, RemotePath

POINT = record(event(1, simple("a", 2)))
IMAGE = record(event(1, message(1, b"i") + message(4, bytes(1 << 17))))
MANY = event_file(*curve("a", range(2000)))


@pytest.fixture
def small_blocks(monkeypatch):
    """Let one megabyte do for many."""
    monkeypatch.setattr(_read_files, "CHUNK", 1 << 10)
    monkeypatch.setattr(_remote_file, "BLOCK", 1 << 12)


@pytest.fixture
def memory():
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


class TestAnswers:
    @pytest.mark.parametrize("ranges", [True, False])
    @pytest.mark.parametrize(
        ("status", "error", "message"),
        [
            (401, PermissionError, "no permission"),
            (403, PermissionError, "no permission"),
            (404, FileNotFoundError, "there is no such file"),
            (410, FileNotFoundError, "there is no such file"),
            (500, OSError, "HTTP status 500"),
            (503, OSError, "HTTP status 503"),
        ],
    )
    def test_to_one_file_of_two(self, status, error, message, ranges):
        with LogServer({"a/tfevents": POINT, "b/tfevents": POINT}, ranges=ranges) as server:
            server.status["a/tfevents"] = status
            columns, (problem,) = load_scalars(server.url)
            assert columns.run_names == ["b"]
            assert (problem.path, problem.exit_code) == (f"{server.url}/a/tfevents", UNREADABLE)
            assert problem.error is error
            assert message in problem.message
            with pytest.raises(error, match=message):
                ewma.read_scalars(f"{server.url}/a")
            result = call(server.url)
            assert (result.code, result.out.count("\n")) == (2, 2)
            assert result.err == f"ewma-smooth: error: {problem}\n"

    def test_to_a_folder_of_several(self):
        with LogServer({f"{run}/x/tfevents": POINT for run in "abc"}) as server:
            server.status["b"] = 403
            columns, (problem,) = load_scalars(server.url)
        assert columns.run_names == ["a/x", "c/x"]
        assert (problem.path, problem.error) == (f"{server.url}/b", PermissionError)

    def test_nobody_is_there(self, memory):
        with LogServer({}) as server:
            url = f"{server.url}/tfevents"
        memory.pipe("/tfevents", POINT)
        columns, (problem,) = load_scalars([url, "memory://"])
        assert len(columns) == 1
        assert (problem.path, problem.error) == (url, OSError)
        assert "check the URL, the network and your credentials" in problem.message

    @pytest.mark.usefixtures("small_blocks")
    def test_in_the_middle(self):
        with LogServer({"a/tfevents": MANY, "b/tfevents": POINT}) as server:
            server.on_get = lambda path, part: (
                server.status.update({path: 500}) if part and part[0] > 40_000 else None
            )
            columns, (problem,) = load_scalars(server.url)
        assert columns.run_names == ["a", "b"]
        assert 900 < len(columns) < 1100
        assert (problem.exit_code, problem.error) == (UNREADABLE, OSError)
        assert 40_000 < problem.offset < 50_000

    def test_storage_options_reach_the_server(self):
        with LogServer({"tfevents": POINT}) as server:
            options = {"headers": {"Authorization": "me"}}
            ewma.read_scalars(server.url, storage_options=options)
            ewma.smooth_scalars(server.url, storage_options=options)
            assert len(server.headers) > 5
            assert {headers["Authorization"] for headers in server.headers} == {"me"}

    def test_a_bucket_that_is_not_for_everybody(self):
        with bucket({"tfevents": POINT}):
            assert len(ewma.read_scalars("s3://bucket", storage_options={"anon": False})) == 1
            with pytest.raises(PermissionError, match="s3://bucket/tfevents: no permission"):
                ewma.read_scalars("s3://bucket", storage_options={"anon": True})
            result = run_command("s3://bucket", env=surroundings(FSSPEC_S3='{"anon": true}'))
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "error: s3://bucket/tfevents: no permission to read it" in result.err

    def test_storage_options_that_nothing_takes(self, memory):
        with pytest.raises(OSError, match=r"s3://b/x: .*TypeError.*unexpected"):
            ewma.read_scalars("s3://b/x", storage_options={"nonsense": 1})


class TestChanges:
    """While the files are read."""

    @pytest.mark.usefixtures("small_blocks")
    @pytest.mark.parametrize(
        ("ranges", "keep"), [(True, 0), (True, 5000), (True, 30_000), (False, 0)]
    )
    def test_a_file_shrinks(self, ranges, keep):
        data = event_file(*curve("a", range(200))) + IMAGE + MANY
        with LogServer({"a/tfevents": data, "b/tfevents": POINT}, ranges=ranges) as server:

            def shrink(path, part):
                if path == "a/tfevents" and part and part[0] > 0:
                    server.files[path] = data[:keep]

            server.on_get = shrink
            columns, (problem,) = load_scalars(server.url)
        assert columns.run_names == ["a", "b"]
        assert (problem.path, problem.exit_code) == (f"{server.url}/a/tfevents", DAMAGED)
        assert f"shrank from {len(data)} to {keep} bytes while" in problem.message

    def test_a_file_vanishes(self):
        with LogServer({f"{run}/tfevents": POINT for run in "abc"}) as server:
            server.on_get = lambda path, part: (
                server.files.pop("b/tfevents") if part and "b/tfevents" in server.files else None
            )
            columns, (problem,) = load_scalars(server.url)
        assert columns.run_names == ["a", "c"]
        assert (problem.path, problem.error) == (f"{server.url}/b/tfevents", FileNotFoundError)

    def test_a_file_is_still_being_written(self):
        with LogServer({"tfevents": POINT * 3 + POINT[:7]}) as server:
            columns, (problem,) = load_scalars(server.url)
        assert len(columns) == 3
        assert (problem.offset, problem.exit_code) == (3 * len(POINT), WARNING)
        assert "7 bytes are left over" in problem.message

    @pytest.mark.usefixtures("small_blocks")
    def test_an_object_is_replaced(self, monkeypatch):
        """Before it is opened: the new one is read; while it is read: that is said."""
        with bucket({f"{run}/tfevents": MANY for run in "abc"}) as store:
            other = type(store)(skip_instance_cache=True)
            opening = store.open

            def open_and_replace(name, *args, **options):
                if name == "bucket/a/tfevents":
                    other.pipe_file(name, MANY + POINT)
                file = opening(name, *args, **options)
                if name == "bucket/c/tfevents":
                    file.read(1)
                    file.seek(0)
                    other.pipe_file(name, MANY + POINT)
                return file

            monkeypatch.setattr(store, "open", open_and_replace)
            columns, (problem,) = load_scalars("s3://bucket", restarts="keep")
        names = [columns.run_names[run] for run in columns.run]
        assert (names.count("a"), names.count("b")) == (2001, 2000)
        assert 50 < names.count("c") < 200
        assert (problem.path, problem.exit_code) == ("s3://bucket/c/tfevents", DAMAGED)
        assert "was replaced while it was read" in problem.message

    def test_a_second_look_is_a_fresh_one(self):
        urls = ("s3://bucket", "s3://bucket/*", "s3://bucket/a/tfevents")
        with bucket({"a/tfevents": POINT}) as store:
            other = type(store)(skip_instance_cache=True)
            assert [len(ewma.read_scalars(url)) for url in urls] == [1, 1, 1]
            other.pipe("bucket/a/tfevents", POINT * 2)
            other.pipe("bucket/b/tfevents", POINT)
            assert [len(ewma.read_scalars(url, restarts="keep")) for url in urls] == [3, 3, 2]


class TestArchives:
    @pytest.fixture
    def archive(self, tmp_path):
        path = tmp_path / "logs.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/tfevents", MANY)
            archive.writestr("b/tfevents", POINT)
        return path

    def test_damaged_inside(self, archive):
        data = bytearray(archive.read_bytes())
        data[50_010] ^= 1
        archive.write_bytes(data)
        columns, problems = load_scalars(f"zip://::{archive}")
        assert columns.run_names == ["a", "b"]
        assert [problem.path for problem in problems] == [f"zip://a/tfevents::{archive}"] * 2
        assert "the checksum of its data" in problems[0].message
        assert "BadZipFile: Bad CRC-32" in problems[1].message

    def test_no_archive(self, archive):
        archive.write_bytes(b"no zip")
        with pytest.raises(OSError, match=f"zip://::{re.escape(str(archive))}: .*BadZipFile"):
            ewma.read_scalars(f"zip://::{archive}")

    def test_missing(self, archive):
        archive.unlink()
        with pytest.raises(
            FileNotFoundError, match=f"zip://::{re.escape(str(archive))}: there is no"
        ):
            ewma.read_scalars(f"zip://::{archive}")


class TestPackages:
    """That are not there."""

    def test_fsspec(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(ImportError, match=r"s3://b/x: .*pip install 'ewma\[remote\]'"):
            ewma.read_scalars("s3://b/x")
        (tmp_path / "tfevents").write_bytes(POINT)
        result = call("s3://b/x", "gs://b/x", tmp_path)
        assert result.code == 2
        assert result.err.count("\n") == 1
        assert "s3://b/x, gs://b/x: URLs are read through fsspec, which is not there" in result.err
        assert result.out.count("\n") == 2

    @pytest.mark.parametrize(
        ("url", "package"),
        [("s3://b/x", "s3fs"), ("gs://b/x", "gcsfs"), ("http://127.0.0.1:9/x", "aiohttp")],
    )
    def test_of_one_scheme(self, url, package):
        program = f"import sys; sys.modules[{package!r}] = None; {MAIN}"
        ended = subprocess.run(python(program, url), capture_output=True, text=True)
        expected = f"{url}: this needs {package}, which is not there: pip install {package}."
        assert (ended.returncode, ended.stderr) == (2, f"ewma-smooth: error: {expected}\n")

    def test_unknown_scheme(self):
        with pytest.raises(OSError, match=r"nix://b: .*Protocol not known: nix"):
            ewma.read_scalars("nix://b")

    @pytest.mark.parametrize("scheme", ["zip", "tar"])
    def test_archive_without_what_is_in_it(self, tmp_path, scheme):
        message = (
            rf"in an archive names the archive behind ::, as in {scheme}://::{tmp_path}/a\.b or"
        )
        with pytest.raises(ValueError, match=message):
            ewma.read_scalars(f"{scheme}://{tmp_path}/a.b")

    def test_local_paths_need_none(self, tmp_path):
        (tmp_path / "tfevents").write_bytes(POINT)
        program = f"import sys; sys.modules['fsspec'] = None; {MAIN}"
        ended = subprocess.run(python(program, tmp_path), capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")


class TestOneLine:
    @pytest.mark.parametrize("error", [RuntimeError("two\nlines"), OSError("two\nlines")])
    def test_whatever_a_file_system_raises(self, memory, monkeypatch, error):
        for run in "ab":
            memory.pipe(f"/{run}/tfevents", POINT)
        listing = memory.ls

        def ls(path, **options):
            if path == "/a":
                raise error
            return listing(path, **options)

        monkeypatch.setattr(memory, "ls", ls)
        columns, (problem,) = load_scalars("memory://")
        assert columns.run_names == ["b"]
        assert problem.path == "memory://a"
        assert r"two\nlines" in str(problem)


class TestSideBySide:
    @pytest.mark.parametrize("threads", [1, 4])
    def test_requests_wait_together(self, monkeypatch, threads):
        monkeypatch.setenv("EWMA_NUM_THREADS", str(threads))
        meeting = threading.Barrier(threads)
        with LogServer({f"{run}/tfevents": POINT for run in range(8)}) as server:
            server.on_get = lambda path, part: part and meeting.wait(30)
            columns, problems = load_scalars(server.url)
        assert len(columns) == 8
        assert not problems

    def test_what_is_not_made_for_threads_is_read_by_one_at_a_time(self, memory, monkeypatch):
        """Also with other files beside it, which are."""
        inside = threading.Lock()
        for run in range(20):
            memory.pipe(f"/{run}/tfevents", MANY)

        class File:
            def __init__(self, file):
                assert inside.acquire(blocking=False)
                self._file = file
                self.size = file.size
                self.read = file.read

            def close(self):
                inside.release()

        opening = memory.open
        monkeypatch.setattr(memory, "open", lambda *a, **k: File(opening(*a, **k)))
        with LogServer({f"{run}/tfevents": MANY for run in range(4)}) as server:
            columns, problems = load_scalars(["memory://", server.url])
        assert len(columns) == 24 * 2000
        assert not problems

    @pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to send there")
    @pytest.mark.parametrize("files", [1, 3])
    def test_an_interrupt_does_not_wait_for_a_silent_server(self, files):
        asked, over = threading.Event(), threading.Event()

        def on_get(path, part):
            if path.endswith("tfevents"):
                asked.set()
                over.wait(60)

        with LogServer({f"{run}/tfevents": POINT for run in range(files)}) as server:
            server.on_get = on_get
            process = subprocess.Popen(
                python(MAIN, server.url),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=surroundings(EWMA_NUM_THREADS="4"),
            )
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=50)
            over.set()
        assert (process.returncode, out, err) == (130, b"", b"")


class TestBlocks:
    @pytest.mark.usefixtures("small_blocks")
    def test_a_request_is_for_a_block_and_nothing_is_asked_for_twice(self):
        with LogServer({"tfevents": MANY}) as server:
            assert len(load_scalars(server.url)[0]) == 2000
        parts = [part for _, _, part in server.asked if part]
        assert max(last - first for first, last in parts) < (1 << 12) + (1 << 10)
        assert [first for first, _ in parts] == [0, *(last + 1 for _, last in parts[:-1])]

    @pytest.mark.usefixtures("small_blocks")
    def test_images_in_a_stream_are_passed_over(self):
        data = MANY + IMAGE * 3 + POINT
        with LogServer({"tfevents": data}, ranges=False) as server:
            columns, problems = load_scalars(server.url, restarts="keep")
        assert len(columns) == 2001
        assert not problems

    def test_a_bucket_is_listed_at_once(self, monkeypatch):
        with bucket({f"{run}/tfevents": POINT for run in range(20)}) as store:
            monkeypatch.setattr(store, "ls", None)
            assert len(ewma.read_scalars("s3://bucket")) == 20

    @pytest.mark.usefixtures("small_blocks")
    def test_images_are_not_asked_for(self):
        data = MANY + IMAGE * 3 + POINT
        with LogServer({"tfevents": data}) as server:
            columns, problems = load_scalars(server.url, restarts="keep")
        assert len(columns) == 2001
        assert not problems
        got = sum(last + 1 - first for _, _, part in server.asked if part for first, last in [part])
        assert got < len(data) - 2.5 * len(IMAGE)


def test_a_file_that_fails_to_close_lets_go_once():
    class File(io.BytesIO):
        size = 3

        def close(self):
            super().close()
            raise OSError(errno.EIO, "connection lost")

    class Files:
        def open(self, name, **_):
            return File(b"abc")

    path = RemotePath(Files(), "a", threading.Lock())
    file = RemoteFile(path, 3)
    with pytest.raises(OSError, match="connection lost"):
        file.close()
    assert file.closed
    assert not path.lock.locked()
    path.lock.acquire()  # the next file
    file.close()
    assert path.lock.locked()


def test_a_stream_that_says_so_as_io_does(small_blocks):
    class Stream(io.RawIOBase):
        def __init__(self, data):
            self._data, self.size = io.BytesIO(data), len(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self._data.readinto(buffer)

    class Files:
        def open(self, name, **_):
            return Stream(b"x" * 10 + b"abc")

    with RemoteFile(RemotePath(Files(), "a", None), 13) as file:
        file.seek(10, os.SEEK_CUR)
        assert file.read(3) == b"abc"


@pytest.mark.parametrize("links", [("run",), ("",), ("", "run", "run/x"), ("a", "a/b", "a/b")])
def test_links_lead_back(tmp_path, links):
    # On the web a link looks like what it leads to.
    for folder in ("run/x", "a/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "tfevents").write_bytes(POINT)
    for number, link in enumerate(links):
        (tmp_path / link / f"back{number}").symlink_to(tmp_path / link)
        (tmp_path / "run/x" / f"top{number}").symlink_to(tmp_path)
    (tmp_path / "only").mkdir()
    (tmp_path / "only/only").symlink_to(tmp_path / "only")
    with served(tmp_path) as url:
        assert ewma.read_scalars(url)["run"].tolist() == ["a/b", "run/x"]


@pytest.mark.parametrize("folder", ["run/run", "a/a/a", "logs/logs/tfevents"])
def test_folders_of_one_name_in_each_other(memory, folder):
    memory.pipe(f"/{folder}/tfevents", POINT)
    memory.pipe(f"/{folder}/x/tfevents", POINT)
    runs = ewma.read_scalars("memory://")["run"]
    assert runs.str.endswith("x").tolist() == [False, True]
