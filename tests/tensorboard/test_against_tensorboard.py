"""Every point equals what TensorBoard itself reads from files that others wrote."""

import random

import pandas as pd
import pytest
import tensorboardX
from event_accumulator import theirs
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.scalar.summary import scalar_pb
from tensorboard.plugins.text.summary import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from ewma.tensorboard import read_scalars

TAGS = ["train/loss", "train/accuracy", "val/loss", "größe"]
SPECIAL = [0.0, -0.0, 1e-45, 3.4e38, float("inf"), -float("inf")]


def ours(frame):
    return {
        tag: list(zip(part["wall_time"], part["step"], part["value"], strict=True))
        for tag, part in frame.groupby("tag", observed=True)
    }


def numbers(count, seed=0):
    generator = random.Random(seed)
    return SPECIAL + [generator.gauss(0, 1) for _ in range(count)]


def write_simple(folder, count=50, start=0, **options):
    with tensorboardX.SummaryWriter(str(folder), **options) as writer:
        for step, value in enumerate(numbers(count), start):
            for i, tag in enumerate(TAGS):
                writer.add_scalar(tag, value * (i + 1), step, walltime=1.6e9 + step / 7)


def write_tensors(folder, count=50):
    writer = EventFileWriter(str(folder))
    for step, value in enumerate(numbers(count)):
        for i, tag in enumerate(TAGS):
            summary = scalar_pb(tag, value * (i + 1) if abs(value) < 1e38 else value)
            if step > 0:
                summary.value[0].ClearField("metadata")  # TensorFlow's writer sends it once
            event = Event(wall_time=1.6e9 + step / 7, step=step)
            event.summary.CopyFrom(Summary.FromString(summary.SerializeToString()))
            writer.add_event(event)
    writer.close()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # tensorboardX: inf in float32
@pytest.mark.parametrize("write", [write_simple, write_tensors])
def test_every_point(tmp_path, write):
    write(tmp_path)
    expected = theirs(tmp_path)
    assert {tag: len(points) for tag, points in expected.items()} == dict.fromkeys(TAGS, 56)
    got = ours(read_scalars(tmp_path, errors="raise"))
    assert repr(sorted(got.items())) == repr(sorted(expected.items()))  # repr tells -0.0 from 0.0


def test_several_files_in_a_run(tmp_path):
    for i in range(3):
        write_simple(tmp_path, 20, start=100 * i, filename_suffix=f".{i}")
    assert len(list(tmp_path.iterdir())) == 3
    assert ours(read_scalars(tmp_path)) == theirs(tmp_path)


def test_tree_of_runs(tmp_path):
    write_simple(tmp_path, 5)
    write_simple(tmp_path / "a/train", 6)
    write_tensors(tmp_path / "a/val", 7)
    (tmp_path / "b").symlink_to("a/val")
    frame = read_scalars(tmp_path)
    got = {run: ours(part) for run, part in frame.groupby("run", observed=True)}
    assert got == {run: theirs(tmp_path / run) for run in [".", "a/train", "a/val"]}


def test_other_plugins_are_no_scalars(tmp_path):
    writer = EventFileWriter(str(tmp_path))
    foreign = [
        text_pb("text", "1.5"),
        hparams.hparams_pb({"learning_rate": 0.1}),
        scalar_pb("loss", 0.5),
    ]
    for plugin, content in {"histograms": [[0.0, 1.0, 2.0]], "mine": 1.5}.items():
        summary = Summary()
        value = summary.value.add(tag=plugin)
        value.metadata.plugin_data.plugin_name = plugin
        value.tensor.CopyFrom(make_tensor_proto(content))
        foreign.append(summary)
    for step, summary in enumerate(foreign):
        event = Event(step=step)
        event.summary.CopyFrom(Summary.FromString(summary.SerializeToString()))
        writer.add_event(event)
    writer.close()
    frame = read_scalars(tmp_path, errors="raise")
    assert frame[["tag", "step", "value"]].to_numpy().tolist() == [["loss", 2, 0.5]]
    assert list(theirs(tmp_path)) == ["loss"]


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "int64"],
)
def test_tensors_of_every_type(tmp_path, dtype):
    """TensorBoard makes the tensor and reads it back."""
    from tensorboard.compat import tensorflow_stub

    writer = EventFileWriter(str(tmp_path))
    for step, number in enumerate([0, 1, 100]):
        event = Event(wall_time=step, step=step)
        value = event.summary.value.add(tag="a")
        value.metadata.plugin_data.plugin_name = "scalars"
        kind = getattr(tensorflow_stub.dtypes, dtype)
        value.tensor.CopyFrom(make_tensor_proto(number, dtype=kind.as_numpy_dtype))
        writer.add_event(event)
    writer.close()
    got = ours(read_scalars(tmp_path, errors="raise"))
    assert got == theirs(tmp_path)
    assert [value for *_, value in got["a"]] == [0, 1, 100]


def test_categories_are_plain_text(tmp_path):
    write_simple(tmp_path, 0)
    frame = read_scalars(tmp_path)
    assert isinstance(frame, pd.DataFrame)
    assert frame["tag"].cat.categories.tolist() == sorted(TAGS)
