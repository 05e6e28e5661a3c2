"""`ewma-smooth --follow`: how soon a point comes out, and what waiting for it costs (Linux)."""

from __future__ import annotations

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

from tensorboardX import SummaryWriter

from table import Row, Target, seconds

RUNS, POINTS = 500, 20
ROUNDS, LATEST_OF = 3, 10
IDLE = 20.0  # seconds


def measure(folder: Path) -> Iterator[Row]:
    """Yield the rows on following; the runs are written into `folder`."""
    for run in range(RUNS):
        with SummaryWriter(str(folder / f"sweep_{run // 100}" / f"run_{run}")) as writer:
            for step in range(POINTS):
                writer.add_scalar("loss", 1 / (step + 1), step)
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
        lines.get()

    def latest_of(writers: Iterator[SummaryWriter]) -> float:
        """Return the longest of some times between a flush and the line."""
        longest = 0.0
        for writer, step in zip(writers, range(LATEST_OF), strict=False):
            time.sleep(random.uniform(0, 1))
            writer.add_scalar("loss", 1.0, POINTS + step)
            writer.flush()
            flushed = time.monotonic()
            seen, _ = lines.get()
            longest = max(longest, seen - flushed)
        return longest

    def same() -> Iterator[SummaryWriter]:
        with SummaryWriter(str(folder / "sweep_0" / "run_0"), filename_suffix=".more") as writer:
            writer.add_scalar("loss", 1.0, POINTS)
            writer.flush()
            lines.get()
            while True:
                yield writer

    def new(name: str) -> Iterator[SummaryWriter]:
        while True:
            run = folder / name.format(next(numbers))
            with SummaryWriter(str(run), filename_suffix=".resumed") as writer:
                yield writer

    numbers = iter(range(RUNS))
    for work, writers in (
        ("a point in a log that grows", same),
        ("the first point of a new log of an old run", lambda: new("sweep_1/run_{}")),
        ("the first point of a new run", lambda: new("sweep_2/new_{}")),
    ):
        latest = [latest_of(writers()) for _ in range(ROUNDS)]
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


def _processor_time(process: int) -> float:
    """Return what Linux counts for all threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
