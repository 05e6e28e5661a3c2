"""Event files written by TensorBoard's own writer and by tensorboardX."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TAGS = ("train/loss", "train/accuracy", "validation/loss", "validation/accuracy")


def write_simple_value(folder: Path, points: int) -> Path:
    """Write as `torch.utils.tensorboard` and tensorboardX do: the field `simple_value`."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))
    for tag, step, value in _points(points):
        writer.add_scalar(tag, value, step)
    writer.close()
    return _only_file(folder)


def write_tensor(folder: Path, points: int) -> Path:
    """Write as TensorFlow 2 and Keras do: a tensor, and metadata that name the plugin."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for tag, step, value in _points(points):
        summary = scalar_pb(tag, np.float32(value))
        writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
    writer.close()
    return _only_file(folder)


def _points(count: int) -> Iterator[tuple[str, int, float]]:
    noise = np.random.default_rng(0).normal(size=count)
    for i, value in enumerate(noise.tolist()):
        step, tag = divmod(i, len(TAGS))
        yield TAGS[tag], step, value + 100 / (step + 1)


def _only_file(folder: Path) -> Path:
    (path,) = folder.glob("*tfevents*")
    return path
