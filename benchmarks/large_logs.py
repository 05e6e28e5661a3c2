"""Large logs: one tag of many, many runs, and scalars among images."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import data_server
import ewma
from ewma._core import crc32c
from table import Row, Target, mebibytes, seconds
from timing import Samples, interleave, stopwatch

ROUNDS = 3
TAGS_IN_ONE_FILE = 100
RUNS = 1_000
TAGS_IN_A_RUN = 10
STEPS_IN_A_RUN = 1_000
IMAGES = 20_000
IMAGE_SIZE = 100_000
SCALARS_AMONG_IMAGES = 50_000


def measure(folder: Path) -> Iterator[Row]:
    """Yield the rows on large logs; what is written into `folder` is deleted after each."""
    yield from _one_tag_of_many(folder / "tags")
    yield from _many_runs(folder / "runs")
    yield from _among_images(folder / "images")


def _one_tag_of_many(folder: Path) -> Iterator[Row]:
    folder.mkdir(parents=True)
    path = folder / "events.out.tfevents.1.host"
    points = 1_000_000
    with path.open("wb") as file:
        for step in range(points // TAGS_IN_ONE_FILE):
            file.write(_scalars(step, TAGS_IN_ONE_FILE))
    every = ewma.read_scalars(path)
    tag = "group/tag_42"
    one = ewma.read_scalars(path, tags=tag)
    expected = every[every["tag"] == tag]
    np.testing.assert_array_equal(one[["step", "value"]], expected[["step", "value"]])
    clocks = {
        "one": stopwatch(lambda: ewma.read_scalars(path, tags=tag)),
        "all": stopwatch(lambda: ewma.read_scalars(path)),
    }
    samples = interleave(clocks, 5 * ROUNDS)
    path.unlink()
    work = f"one tag out of {TAGS_IN_ONE_FILE}, {points:,} scalars"
    yield Row(work, samples["one"], "all of them", samples["all"], Target(">=", 3), seconds)


def _many_runs(folder: Path) -> Iterator[Row]:
    for run in range(RUNS):
        path = folder / f"run_{run:04}" / "events.out.tfevents.1.host"
        path.parent.mkdir(parents=True)
        steps = range(STEPS_IN_A_RUN)
        path.write_bytes(b"".join(_scalars(step, TAGS_IN_A_RUN) for step in steps))
    points = RUNS * TAGS_IN_A_RUN * STEPS_IN_A_RUN
    work = f"{RUNS:,} runs, {points:,} scalars"
    assert len(ewma.read_scalars(folder)) == points
    options = ["--samples-per-plugin=scalars=all"]

    def load_time() -> float:
        data_server.load_time(folder, *options)
        return data_server.load_time(folder, *options)

    # Both for the second time in a row: memory that has lain free for a second or two may have gone
    # back to a virtual machine's host, and comes back slowly.
    clocks = {
        "ewma": stopwatch(lambda: ewma.read_scalars(folder), warm_up=1),
        "server": load_time,
    }
    samples = interleave(clocks, ROUNDS)
    peaks: Samples = []
    columns: Samples = []
    for _ in range(ROUNDS):
        script = Path(__file__).with_name("peak_memory.py")
        command: list[str | Path] = [sys.executable, script, folder]
        measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        peaks.append(measured["peak"])
        columns.append(measured["columns"])
    _remove(folder)
    target = Target(">=", 5)
    yield Row(work, samples["ewma"], "data server, every point", samples["server"], target, seconds)
    peak = f"peak memory, {work}"
    yield Row(peak, peaks, "finished columns", columns, Target("<=", 2), mebibytes)


def _among_images(folder: Path) -> Iterator[Row]:
    folder.mkdir(parents=True)
    path = folder / "events.out.tfevents.1.host"
    image = np.random.default_rng(0).bytes(IMAGE_SIZE)
    with path.open("wb") as file:
        for step in range(IMAGES):
            file.write(_image(step, image))
            file.write(_scalars(step, SCALARS_AMONG_IMAGES // IMAGES))
            if step % 2 == 0:
                file.write(_scalars(step, SCALARS_AMONG_IMAGES % IMAGES * 2 // IMAGES))
    size = path.stat().st_size
    frame = ewma.read_scalars(path)
    assert len(frame) == SCALARS_AMONG_IMAGES
    clocks = {"cat": stopwatch(lambda: _cat(path))}
    for verify in ("scalars", "all"):
        clocks[verify] = stopwatch(lambda verify=verify: ewma.read_scalars(path, verify=verify))  # type: ignore[misc]
    samples = interleave(clocks, ROUNDS)
    path.unlink()
    work = f"{SCALARS_AMONG_IMAGES:,} scalars among images, file of {mebibytes(size)}"
    cat = "`cat FILE > /dev/null`"
    yield Row(work, samples["scalars"], cat, samples["cat"], Target("<=", 1.5), seconds)
    yield Row(f"{work}, verify='all'", samples["all"], cat, samples["cat"], None, seconds)


def _cat(path: Path) -> None:
    with open(os.devnull, "wb") as null:  # noqa: PTH123
        subprocess.run(["cat", path], stdout=null, check=True)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def _scalars(step: int, tags: int) -> bytes:
    """Return one event a tag, as `torch.utils.tensorboard` and tensorboardX write them."""
    records = []
    for tag in range(tags):
        name = b"group/tag_%d" % tag
        value = _message(1, name) + b"\x15" + struct.pack("<f", step + tag / 1024)
        records.append(_record(_event(step, value)))
    return b"".join(records)


def _image(step: int, data: bytes) -> bytes:
    """Return an event with an image, as the same write it."""
    return _record(_event(step, _message(1, b"image") + _message(4, _message(4, data))))


def _event(step: int, value: bytes) -> bytes:
    return (
        b"\x09"
        + struct.pack("<d", 1.7e9 + step)
        + b"\x10"
        + _varint(step)
        + _message(5, _message(1, value))
    )


def _message(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
