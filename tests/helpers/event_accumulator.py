"""What TensorBoard itself reads: the tests' reference for files that others wrote."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray


def theirs(path):
    """Return {tag: [(wall_time, step, value)]} of a folder or a file, nothing sampled away."""
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    points = {
        tag: [(e.wall_time, e.step, e.value) for e in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }
    for tag in accumulator.Tags()["tensors"]:
        metadata = accumulator.SummaryMetadata(tag)
        if metadata.plugin_data.plugin_name == "scalars":
            points[tag] = [
                (e.wall_time, e.step, make_ndarray(e.tensor_proto).item())
                for e in accumulator.Tensors(tag)
            ]
    return points
