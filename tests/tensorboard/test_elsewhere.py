"""Files in memory, in archives, and on web and S3 servers: all as on the disk."""

import re
import tarfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from bucket import bucket
from event_writer import curve, event, event_file, message, record
from google_bucket import google_bucket
from hypothesis import given
from hypothesis import strategies as st
from log_server import LogServer

import ewma
from ewma.tensorboard import _read_files, _remote_file
from ewma.tensorboard._files import find_runs
from ewma.tensorboard._read import load_scalars

EXAMPLES = Path(__file__).parents[2] / "examples/runs"
CORPUS = sorted((Path(__file__).parents[1] / "fuzz/corpus").iterdir())
POINTS = event_file(*curve("loss", range(10)))
IMAGE = record(event(1, message(1, b"i") + message(4, bytes(1 << 16))))


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@contextmanager
def in_memory(files, _):
    store = fsspec.filesystem("memory")
    for name, data in files.items():
        store.pipe(f"/logs/{name}", data)
    yield lambda path: f"memory://logs{path}"
    store.rm("/logs", recursive=True)


@contextmanager
def in_zip(files, tmp_path):
    with zipfile.ZipFile(tmp_path / "logs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    yield lambda path: f"zip://{path.removeprefix('/')}::{tmp_path / 'logs.zip'}"


@contextmanager
def on_a_web_server(files, _):
    with LogServer(files) as server:
        yield lambda path: server.url + path


@contextmanager
def on_a_server_without_ranges(files, _):
    with LogServer(files, ranges=False) as server:
        yield lambda path: server.url + path


@contextmanager
def in_a_bucket(files, _):
    with bucket({f"logs/{name}": data for name, data in files.items()}):
        yield lambda path: f"s3://bucket/logs{path}"


@contextmanager
def in_a_google_bucket(files, _):
    with google_bucket({f"logs/{name}": data for name, data in files.items()}):
        yield lambda path: f"gs://bucket/logs{path}"


PLACES = [
    in_memory,
    in_zip,
    on_a_web_server,
    on_a_server_without_ranges,
    in_a_bucket,
    in_a_google_bucket,
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Make a folder of runs: with a name of two words, several files, a damaged one, and others."""
    folder = tmp_path_factory.mktemp("runs")
    files = {
        "a1/1.tfevents": event_file(*curve("loss", range(300))),
        "a1/2.tfevents": event_file(*curve("loss", range(20)), begun=2.0),
        "a2/tfevents.1": POINTS[:-3],
        "a2/tfevents.profile-empty": b"",
        "a2/notes.txt": b"no event file",
        "two words/train/tfevents": POINTS,
        "two words/é/tfevents": POINTS[:200] + b"x" + POINTS[201:],
        "b/empty/tfevents": b"",
        "c/other.txt": b"",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module", params=PLACES, ids=lambda place: place.__name__)
def elsewhere(request, tree, tmp_path_factory):
    """Put the folder elsewhere and return what makes a URL of a path in it."""
    with request.param(contents(tree), tmp_path_factory.mktemp("zip")) as url:
        yield url


def read(*paths, **options):
    columns, problems = load_scalars(paths, **options)
    return columns.to_pandas(), problems


@pytest.mark.parametrize(
    "paths",
    [
        ("",),
        ("/a1",),
        ("/a1/",),
        ("/a1/2.tfevents", "/a1/1.tfevents"),
        ("/a1", "/two words/train"),
        ("/a1", "/a1/2.tfevents", "/a1"),
        ("/a*",),
        ("/a[2]/*",),
        ("/**/tfevents",),
        ("/two*/*/tf*",),
        ("/a1/nothing", "/a2"),
        ("/nothing*", "/a1"),
        ("/c", "/a1"),
        ("/b/empty", "/a1"),
    ],
    ids=" ".join,
)
def test_the_same_as_on_the_disk(tree, elsewhere, paths):
    """Runs, their names and order, points, and what is said to be wrong, by its full URL."""
    here, problems = read(*(f"{tree}{path}" for path in paths))
    there, others = read(*map(elsewhere, paths))
    pd.testing.assert_frame_equal(there, here)

    def moved(problem):
        parts = [part.removeprefix(str(tree)) for part in problem.path.split(", ")]
        return replace(problem, path=", ".join(map(elsewhere, parts)))

    def unquoted(problem):
        return re.sub("%C3%A9", "é", str(problem).replace("%20", " "))

    assert sorted(map(unquoted, others)) == sorted(unquoted(moved(p)) for p in problems)
    assert {p.exit_code for p in others} == {p.exit_code for p in problems}
    assert {p.error for p in others} == {p.error for p in problems}


@pytest.mark.parametrize(
    "options",
    [
        {"tags": "nothing"},
        {"runs": "a?", "restarts": "segment"},
        {"restarts": "keep", "duplicates": "mean", "verify": "all"},
        {"runs": "two words/*", "verify": "none"},
    ],
    ids=str,
)
def test_options(tree, elsewhere, options):
    here, problems = read(tree, **options)
    there, others = read(elsewhere(""), **options)
    pd.testing.assert_frame_equal(there, here)
    assert len(others) == len(problems)


def test_in_blocks(tree, elsewhere, monkeypatch):
    """Of any size, so that records, images and files end everywhere."""
    monkeypatch.setattr(_read_files, "CHUNK", 700)
    monkeypatch.setattr(_remote_file, "BLOCK", 900)
    here, problems = read(tree)
    there, others = read(elsewhere(""))
    pd.testing.assert_frame_equal(there, here)
    assert len(others) == len(problems)


@pytest.fixture
def memory():
    """Return fsspec's memory, empty."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


def assert_same(memory, data, folder):
    (folder / "tfevents").write_bytes(data)
    memory.pipe("/run/tfevents", data)
    here, problems = read(folder / "tfevents")
    there, others = read("memory://run/tfevents")
    pd.testing.assert_frame_equal(there, here)
    assert others == [replace(p, path="memory://run/tfevents") for p in problems]


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_every_file_of_the_corpus(memory, tmp_path, file):
    """Real, damaged and hostile ones."""
    assert_same(memory, file.read_bytes(), tmp_path)


@given(st.data())
def test_any_damage(tmp_path_factory, data):
    memory, folder = fsspec.filesystem("memory"), tmp_path_factory.getbasetemp()
    content = bytearray(POINTS + IMAGE + POINTS)
    del content[data.draw(st.integers(1, len(content))) :]
    for bit in data.draw(st.lists(st.integers(0, 8 * len(content) - 1), max_size=3)):
        content[bit // 8] ^= 1 << bit % 8
    assert_same(memory, bytes(content), folder)


def test_the_examples(memory):
    for name, data in contents(EXAMPLES).items():
        memory.pipe(f"/runs/{name}", data)
    expected = ewma.smooth_scalars(EXAMPLES, 0.9)
    pd.testing.assert_frame_equal(ewma.smooth_scalars("memory://runs", 0.9), expected)


class TestNames:
    def names(self, *paths):
        return [run.name for run in find_runs(paths, pytest.fail)]

    @pytest.fixture(autouse=True)
    def files(self, memory):
        for name in ("/a/x/tfevents", "/a/y/tfevents", "/b/tfevents"):
            memory.pipe(name, POINTS)

    def test_of_several_urls(self):
        assert self.names("memory://a/x", "memory://b") == ["a/x", "b"]

    def test_the_top_of_a_file_system(self, memory):
        memory.pipe("/tfevents", POINTS)
        assert self.names("memory://") == [".", "a/x", "a/y", "b"]
        assert self.names("memory:///") == [".", "a/x", "a/y", "b"]

    def test_beside_local_paths(self, tmp_path):
        """There is no folder that both are in, as with two drives of Windows."""
        (tmp_path / "tfevents").write_bytes(POINTS)
        names = self.names("memory://a", str(tmp_path))
        assert sorted(names) == sorted([tmp_path.as_posix(), "memory://a/x", "memory://a/y"])

    def test_beside_another_file_system(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
            archive.writestr("r/tfevents", POINTS)
        zipped = f"zip://::{tmp_path / 'z.zip'}"
        expected = ["memory://b", f"zip://r::{tmp_path / 'z.zip'}"]
        assert self.names("memory://b", zipped) == expected

    def test_a_cache_on_the_way(self):
        assert self.names("simplecache::memory://a") == ["x", "y"]
        found = find_runs(["simplecache::memory://a"], pytest.fail)
        assert [file.path for run in found for file in run.files] == [
            "simplecache::memory://a/x/tfevents",
            "simplecache::memory://a/y/tfevents",
        ]
        assert len(ewma.read_scalars("simplecache::memory://a")) == 20

    def test_an_archive_that_is_elsewhere_and_replaced(self, memory, tmp_path):
        for count in (1, 2):
            with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
                for run in range(count):
                    archive.writestr(f"{run}/tfevents", POINTS)
            memory.pipe("/z.zip", (tmp_path / "z.zip").read_bytes())
            assert len(self.names("zip://::memory://z.zip")) == count

    def test_a_tar_of_the_folder_it_was_called_in(self, tmp_path):
        for name in "ab":
            (tmp_path / "logs" / name).mkdir(parents=True)
            (tmp_path / "logs" / name / "tfevents").write_bytes(event_file(*curve("loss", [1])))
        with tarfile.open(tmp_path / "logs.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / "logs", ".")
        url = f"tar://::{tmp_path / 'logs.tar.gz'}"
        assert ewma.read_scalars(url)["run"].tolist() == ["a", "b"]
        assert ewma.read_scalars(url, runs="b")["run"].tolist() == ["b"]

    def test_a_query_is_no_pattern_and_no_name(self):
        with LogServer({"r/tfevents": POINTS, "r/rfevents": POINTS}) as server:
            assert self.names(f"{server.url}/r/tfevents?a=/b*") == ["."]
            assert len(ewma.read_scalars(f"{server.url}/r/tfevents?a=/b")) == 10
