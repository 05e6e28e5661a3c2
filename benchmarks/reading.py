"""Reading event files to a DataFrame, against TensorBoard's readers and tbparse."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

import data_server
import event_files
import ewma
from table import Row, Target, mebibytes, seconds
from timing import Samples, interleave, stopwatch

POINTS = 200_000
ROUNDS = 3

Points: TypeAlias = dict[str, npt.NDArray[np.float64]]
"""For each tag an array of step, wall time and value."""

WRITERS = {
    "simple_value": event_files.write_simple_value,
    "tensor": event_files.write_tensor,
}


def measure(folder: Path) -> Iterator[Row]:
    """Yield the rows on reading; the files are written into `folder`."""
    for encoding, write in WRITERS.items():
        path = write(folder / encoding, POINTS)
        yield from _times(path, f"read {POINTS:,} scalars, {encoding}")
        yield _peak_memory(path, encoding)


def _times(path: Path, work: str) -> Iterator[Row]:
    everything = "--samples-per-plugin=scalars=all"
    ours = _points(ewma.read_scalars(path))
    _assert_same(ours, _points_of_accumulator(_accumulator(path)))
    _assert_same(ours, _points(_tbparse(path)))
    with data_server.serving(path.parent, everything) as (address, _):
        _assert_same(ours, _points_of_server(address))

    server = Target(">=", 5)
    peers: dict[str, tuple[Callable[[], float], Target | None]] = {
        "EventAccumulator": (stopwatch(lambda: _accumulator(path)), Target(">=", 150)),
        "data server, every point": (
            lambda: data_server.load_time(path.parent, everything),
            server,
        ),
        "data server, 1,000 points a tag": (lambda: data_server.load_time(path.parent), server),
        "tbparse": (stopwatch(lambda: _tbparse(path)), Target(">=", 150)),
    }
    clocks = {"ewma": stopwatch(lambda: ewma.read_scalars(path), at_least=0.2)}
    samples = interleave(clocks | {name: clock for name, (clock, _) in peers.items()}, ROUNDS)
    for name, (_, target) in peers.items():
        yield Row(work, samples["ewma"], name, samples[name], target, seconds)


def _peak_memory(path: Path, encoding: str) -> Row:
    script = Path(__file__).with_name("peak_memory.py")
    peaks: Samples = []
    columns: Samples = []
    for _ in range(ROUNDS):
        command: list[str | Path] = [sys.executable, script, path]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        measured = json.loads(output)
        peaks.append(measured["peak"])
        columns.append(measured["columns"])
    work = f"peak memory, {encoding}, file of {mebibytes(path.stat().st_size)}"
    return Row(work, peaks, "finished columns", columns, Target("<=", 3), mebibytes)


def _accumulator(path: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def _tbparse(path: Path) -> pd.DataFrame:
    from tbparse import SummaryReader

    reader = SummaryReader(
        str(path), extra_columns={"wall_time"}, event_types={"scalars", "tensors"}
    )
    scalars: pd.DataFrame = reader.scalars
    tensors: pd.DataFrame = reader.tensors
    return scalars if len(scalars) else tensors


def _points(scalars: pd.DataFrame) -> Points:
    return {
        str(tag): group[["step", "wall_time", "value"]].to_numpy(np.float64)
        for tag, group in scalars.groupby("tag", observed=True)
    }


def _points_of_accumulator(accumulator: Any) -> Points:
    from tensorboard.util.tensor_util import make_ndarray

    tags = accumulator.Tags()
    points = {
        tag: [(e.step, e.wall_time, e.value) for e in accumulator.Scalars(tag)]
        for tag in tags["scalars"]
    } | {
        tag: [(e.step, e.wall_time, make_ndarray(e.tensor_proto)) for e in accumulator.Tensors(tag)]
        for tag in tags["tensors"]
    }
    return {tag: np.array(rows, np.float64) for tag, rows in points.items()}


def _points_of_server(address: str) -> Points:
    import grpc
    from tensorboard.context import RequestContext
    from tensorboard.data.grpc_provider import GrpcDataProvider, make_stub

    # One message carries every point of every tag.
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        runs = GrpcDataProvider(address, make_stub(channel)).read_scalars(
            RequestContext(), experiment_id="", plugin_name="scalars", downsample=POINTS
        )
        (tags,) = runs.values()
        return {
            tag: np.array([(datum.step, datum.wall_time, datum.value) for datum in data])
            for tag, data in tags.items()
        }


def _assert_same(ours: Points, theirs: Points) -> None:
    assert ours.keys() == theirs.keys()
    for tag, points in ours.items():
        np.testing.assert_array_equal(points, theirs[tag], err_msg=tag)
