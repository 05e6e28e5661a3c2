"""`ewma-smooth --follow`: how soon a point comes out, and what waiting for it costs (Linux)."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from table import Row, Target, seconds

RUNS, POINTS = 300, 20
ROUNDS, LATEST_OF = 3, 10
IDLE = 20.0  # seconds


def measure(folder: Path) -> Iterator[Row]:
    """Yield the rows on following; the runs are written into `folder`."""
    for run in range(RUNS):
        writer = EventFileWriter(str(folder / f"sweep_{run // 100}" / f"run_{run}"))
        for step in range(POINTS):
            _add(writer, step)
        writer.close()
    time.sleep(4)  # until the folders' own times say that they are as they were
    command = shutil.which("ewma-smooth", path=sysconfig.get_path("scripts"))
    if command is None:
        raise RuntimeError("ewma-smooth is not beside this Python; install ewma with pip first")
    with subprocess.Popen(
        [command, "--follow", folder], stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        try:
            yield from _measure(folder, process)
        finally:
            process.terminate()


def _measure(folder: Path, process: subprocess.Popen[str]) -> Iterator[Row]:
    lines: SimpleQueue[tuple[float, str]] = SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put((time.monotonic(), line))

    threading.Thread(target=read, daemon=True).start()
    for _ in range(1 + RUNS * POINTS):  # the header, and what is there
        lines.get(timeout=60)

    def latest_of(writers: Iterator[EventFileWriter]) -> float:
        """Return the longest of some times between a flush and the line."""
        longest = 0.0
        for _ in range(LATEST_OF):
            time.sleep(random.uniform(0, 1))
            writer = next(writers)
            _add(writer, next(steps))
            writer.flush()
            flushed = time.monotonic()
            seen, _ = lines.get(timeout=10)
            longest = max(longest, seen - flushed)
        return longest

    def same() -> Iterator[EventFileWriter]:
        writer = EventFileWriter(str(folder / "sweep_0" / "run_0"), filename_suffix=".more")
        _add(writer, next(steps))
        writer.flush()
        lines.get(timeout=10)
        while True:
            yield writer

    def new(name: str) -> Iterator[EventFileWriter]:
        for run in range(RUNS):
            yield EventFileWriter(str(folder / name.format(run)), filename_suffix=".more")

    steps = itertools.count(POINTS)
    for work, writers in (
        ("a point in a log that grows", same()),
        ("the first point of a new log of an old run", new("sweep_0/run_{}")),
        ("the first point of a new run", new("sweep_0/new_{}")),
    ):
        latest = [latest_of(writers) for _ in range(ROUNDS)]
        what = f"`--follow`, {RUNS} runs: {work}, latest of {LATEST_OF}"
        yield Row(what, latest, "half a second", [0.5] * ROUNDS, Target("<=", 1), seconds)

    time.sleep(4)  # the new folders' times, too
    idle = []
    for _ in range(ROUNDS):
        before = _processor_time(process.pid)
        time.sleep(IDLE)
        idle.append((_processor_time(process.pid) - before) / IDLE)
    what = f"`--follow`, {RUNS} quiet runs: time of one core, a second"
    yield Row(what, idle, "a second", [1.0] * ROUNDS, Target("<=", 0.01), seconds)


def _add(writer: EventFileWriter, step: int) -> None:
    value = Summary.Value(tag="loss", simple_value=1 / (step + 1))
    writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))


def _processor_time(process: int) -> float:
    """Return what Linux counts for all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
