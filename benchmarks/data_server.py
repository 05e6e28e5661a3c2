"""TensorBoard's data server, the Rust program that loads event files for its web page."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LISTENING = re.compile(r"listening on (\S+)")
_FINISHED = re.compile(r"Finished load cycle \(([\d.]+)(\S+)\)")
_UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
_PATIENCE = 120.0  # seconds


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[str, float]]:
    """Start the server, wait until it has loaded `folder`; its address and its own load time."""
    from tensorboard_data_server import server_binary

    binary = server_binary()
    if binary is None:
        raise RuntimeError("tensorboard-data-server has no program for this platform")
    command = [binary, "--logdir", folder, "--port", "0", "--reload", "once", "--checksum"]
    environment = os.environ | {"RUST_LOG": "rustboard_core=info"}
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, env=environment, encoding="utf-8"
    ) as process:
        watchdog = threading.Timer(_PATIENCE, process.kill)
        watchdog.start()
        try:
            assert process.stderr is not None
            yield _wait_until_loaded(process.stderr)
        finally:
            watchdog.cancel()
            process.kill()


def load_time(folder: Path, *options: str) -> float:
    """Return the seconds that the server says it took to load `folder`."""
    with serving(folder, *options) as (_, seconds):
        return seconds


def _wait_until_loaded(log: Iterator[str]) -> tuple[str, float]:
    address = ""
    lines = []
    for line in log:
        lines.append(line)
        if listening := _LISTENING.search(line):
            address = listening[1]
        if finished := _FINISHED.search(line):
            return address, float(finished[1]) * _UNITS[finished[2]]
    raise RuntimeError(f"the data server ended before it had loaded: {''.join(lines)}")
