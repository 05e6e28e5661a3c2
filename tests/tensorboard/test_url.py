"""What is a URL, and what only looks like one."""

import subprocess
import sys

import pytest
from command import MAIN, call, python
from event_writer import curve, event_file

import ewma
from ewma.tensorboard._url import is_url, local_path

POINTS = event_file(*curve("loss", range(10)))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/logs", True),
        ("S3://bucket/logs", True),
        ("https://host:8080/logs?a=b", True),
        ("zip://::C:\\logs.zip", True),
        ("zip://::s3://bucket/logs.zip", True),
        ("simplecache::s3://bucket/logs", True),
        ("git+ssh://host/x", True),
        ("C:\\logs", False),
        ("C:/logs", False),
        ("C://logs", False),
        ("file:///logs", False),
        ("s3:/bucket", False),
        ("//host/share", False),
        ("logs/s3://bucket", False),
        ("std::vector", False),
        ("run::1/x", False),
        ("", False),
        ("zero\0://x", False),
    ],
)
def test_is_url(path, expected):
    assert is_url(path) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no colon in a name there")
def test_what_is_on_the_disk_is_no_url(tmp_path, monkeypatch):
    run = tmp_path / "memory:" / "x"
    run.mkdir(parents=True)
    (run / "tfevents").write_bytes(POINTS)
    monkeypatch.chdir(tmp_path)
    assert len(ewma.read_scalars("memory://x")) == 10


def test_file_urls(tmp_path):
    folder = tmp_path / "two words é"
    folder.mkdir()
    (folder / "tfevents").write_bytes(POINTS)
    url = folder.as_uri()
    assert "%20" in url
    assert local_path(url) == str(folder)
    for path in (url, url.replace("file://", "file://localhost"), url.replace("two", "t*")):
        assert len(ewma.read_scalars(path)) == 10
    assert len(list(ewma.follow(url, stop_when_idle=0))) == 10
    assert call(url).out == call(folder).out
    assert call(url, "-o", f"{tmp_path.as_uri()}/x.csv").code == 0
    assert (tmp_path / "x.csv").is_file()
    (written,) = ewma.write_scalars(ewma.read_scalars(url), f"{url}/out")
    assert written.is_relative_to(folder / "out")
    missing = (tmp_path / "missing").as_uri()
    with pytest.raises(FileNotFoundError, match="missing: there is no such file"):
        ewma.read_scalars(missing)


def test_following_is_for_local_files():
    message = r"s3://bucket/logs: only files on this machine's disks can be followed"
    with pytest.raises(ValueError, match=message):
        ewma.follow(["logs", "s3://bucket/logs"])
    result = call("--follow", "logs", "s3://bucket/logs")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("ewma-smooth: error: s3://bucket/logs: only files on")


@pytest.mark.parametrize("output", ["s3://bucket/x.csv", "s3://bucket/logs/", "s3://bucket/logs"])
def test_writing_is_for_local_files(tmp_path, monkeypatch, output):
    (tmp_path / "tfevents").write_bytes(POINTS)
    monkeypatch.chdir(tmp_path)
    result = call("tfevents", "-o", output)
    expected = f"ewma-smooth: error: -o {output}: output goes to this machine's disks; "
    assert result.code == 2
    assert result.err.startswith(expected)
    with pytest.raises(ValueError, match=r"s3://bucket/logs: output goes to this machine's disks"):
        ewma.write_scalars(ewma.read_scalars("tfevents"), "s3://bucket/logs")
    assert [path.name for path in tmp_path.iterdir()] == ["tfevents"]


@pytest.mark.parametrize("read", [ewma.read_scalars, ewma.smooth_scalars])
def test_storage_options_are_for_urls(tmp_path, read):
    (tmp_path / "tfevents").write_bytes(POINTS)
    assert len(read(tmp_path, storage_options={})) == 10
    with pytest.raises(ValueError, match=r"storage_options are for URLs, .* received .*leave them"):
        read(tmp_path, storage_options={"anon": True})


def test_local_paths_import_nothing_for_it(tmp_path):
    (tmp_path / "tfevents").write_bytes(POINTS)
    program = f"""
import atexit, sys
atexit.register(lambda: print(sorted({{"fsspec", "asyncio"}} & set(sys.modules))))
{MAIN}
"""
    ended = subprocess.run(python(program, tmp_path, "--list"), capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "[]"
