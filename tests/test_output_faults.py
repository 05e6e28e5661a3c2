"""Whatever stops the writing: the old is there, or the new, and one line says why."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import MAIN, call, python, run
from event_writer import curve, event_file

FILES = [
    f"out{s}" for s in (".csv", ".json", ".jsonl", ".parquet", ".arrow", ".png", ".svg", ".pdf")
]
FOLDER = "out/"
OUTPUTS = [*FILES, FOLDER]

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with two runs, the second one long."""
    monkeypatch.chdir(tmp_path)
    for name, points in {"a": 3, "b": 2000}.items():
        Path("logs", name).mkdir(parents=True)
        data = event_file(*curve("loss", np.sin(range(points))))
        Path("logs", name, "tfevents").write_bytes(data)
    return tmp_path


def old(output):
    """Put something in the place of what is to be written; return what is there."""
    if output == FOLDER:
        assert call("logs", "-o", "out/", "--beta", "0.1").code == 0
    else:
        Path(output).write_bytes(b"old")
    return content()


def content():
    """Return each file that is no log of a training, and what is in it."""
    files = [path for path in Path().rglob("*") if path.is_file() and path.parts[0] != "logs"]
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize("output", OUTPUTS)
def test_killed(folder, output):
    before = old(output)
    blocked = f"""
import os, sys
def block(_):
    print("written, and not in its place", flush=True)
    sys.stdin.read()
os.fsync = block
{MAIN}"""
    with subprocess.Popen(
        python(blocked, "logs", "-o", output, "--force"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert b"written" in process.stdout.readline()
        process.kill()
    after = content()
    (part,) = after.keys() - before.keys()
    assert part.name.startswith(".ewma-")
    assert part.suffix == ".part"
    assert len(after.pop(part)) > 0
    assert after == before


@posix
def test_killed_between_two_event_files(folder):
    """TensorBoard shows nothing new before all of it is there."""
    before = old(FOLDER)
    program = f"""
import os
fsync, seen = os.fsync, []
def second(file):
    seen.append(file)
    if len(seen) == 2:
        os.kill(os.getpid(), 9)
    fsync(file)
os.fsync = second
{MAIN}"""
    assert run("logs", "-o", "out/", "--force", program=program).code == -signal.SIGKILL
    after = content()
    parts = after.keys() - before.keys()
    assert len(parts) == 2
    assert not any("tfevents" in part.name for part in parts)
    assert {path: after[path] for path in before} == before
    assert call("logs", "-o", "out/", "--force").code == 0
    assert len(content().keys() - after.keys()) == 2
    assert not content().keys() & before.keys()


@posix
@pytest.mark.parametrize(
    ("output", "there"),
    [*((output, True) for output in OUTPUTS), ("out.csv", False), (FOLDER, False)],
)
def test_full_disk(folder, output, there):
    before = old(output) if there else content()
    limited = f"""
import resource
import matplotlib.font_manager # writes a cache of its own
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
{MAIN}"""
    result = run("logs", "-o", output, "--force", program=limited)
    assert result == (
        2,
        "",
        f"ewma-smooth: error: -o {output}: File too large; nothing was written.\n",
    )
    assert content() == before
    assert there or list(folder.iterdir()) == [folder / "logs"]


@pytest.mark.parametrize("output", ["out.csv", "out.arrow", "out.png", FOLDER])
def test_interrupted(folder, output, monkeypatch):
    before = old(output)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    assert call("logs", "-o", output, "--force") == (130, "", "")
    assert content() == before


@posix
@pytest.mark.parametrize("output", OUTPUTS)
def test_terminated(folder, output, monkeypatch):
    before = old(output)
    monkeypatch.setattr(os, "fsync", lambda _: signal.raise_signal(signal.SIGTERM))
    handler = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert call("logs", "-o", output, "--force") == (143, "", "")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert content() == before


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_permission(folder, output, monkeypatch):
    def forbidden(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.mkdir", forbidden)
    monkeypatch.setattr("pathlib.Path.open", forbidden)
    reason = "Permission denied" + (" (out)" if output == FOLDER else "")
    assert call("logs", "-o", output) == (
        2,
        "",
        f"ewma-smooth: error: -o {output}: {reason}; nothing was written.\n",
    )
    assert list(folder.iterdir()) == [folder / "logs"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_there_already(folder, output):
    before = old(output)
    result = call("logs", "-o", output)
    assert (result.code, result.out) == (2, "")
    assert "--force" in result.err
    assert len(result.err.splitlines()) == 1
    assert content() == before


def test_one_of_several_runs_is_there_already(folder):
    Path("out/b.smoothed").mkdir(parents=True)
    Path("out/b.smoothed/events.out.tfevents.1.host").write_bytes(event_file(*curve("x", [1])))
    before = content()
    result = call("logs", "-o", "out/")
    assert result.code == 2
    assert "out/b.smoothed has event files already" in result.err
    assert result.err.endswith("ewma-smooth: wrote 1 run into out/\n")
    written = content()
    assert written.pop(Path("out/a.smoothed/events.out.tfevents.ewma.000001"))
    assert written == before


def test_no_permission_for_one_of_several_runs(folder, monkeypatch):
    opened = Path.open

    def forbidden(self, *arguments, **options):
        if "a.smoothed" in str(self):
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *arguments, **options)

    Path("out/a.smoothed").mkdir(parents=True)
    monkeypatch.setattr("pathlib.Path.open", forbidden)
    result = call("logs", "-o", "out/")
    assert result.code == 2
    first, last = result.err.splitlines()
    assert first.endswith("Permission denied (out/a.smoothed); this run was left out.")
    assert last == "ewma-smooth: wrote 1 run into out/"
    assert list(content()) == [Path("out/b.smoothed/events.out.tfevents.ewma.000001")]


def test_made_by_somebody_else_meanwhile(folder, monkeypatch):
    """The second of two runs; the first is taken back."""
    theirs, fsync = Path("out/b.smoothed/events.out.tfevents.ewma.000001"), os.fsync

    def meanwhile(file):
        if theirs.parent.exists():
            theirs.write_bytes(b"theirs")
        fsync(file)

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert call("logs", "-o", "out/").code == 2
    assert content() == {theirs: b"theirs"}
