"""Any list of events, from any writer and cut into any files, is read as that list."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ewma

NAMES = ["run", "tag", "step", "wall_time", "value"]

# What all the writers can write: float32.
events = st.lists(
    st.tuples(
        st.just("."),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(0, 1e10),
        st.floats(width=32),
    ),
    max_size=12,
)


def tensorflow(folder, events):
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for _, tag, step, _, value in events:
            # As NumPy's: of Python's it remembers constants, and takes -0.0 for 0.0.
            tf.summary.scalar(tag, np.float32(value), step=np.int64(step))
    writer.close()


def pytorch(folder, events):
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    for _, tag, step, wall_time, value in events:
        writer.add_scalar(tag, value, step, walltime=wall_time)
    writer.close()


def ours(folder, events):
    ewma.write_scalars(pd.DataFrame(events, columns=NAMES), folder)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # PyTorch: not a number, in its histogram
@pytest.mark.parametrize("write", [tensorflow, pytorch, ours])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_read_as_written(tmp_path_factory, write, data):
    written = data.draw(events)
    cuts = data.draw(st.lists(st.integers(0, len(written)), max_size=4).map(sorted))
    folder = tmp_path_factory.mktemp("run")
    for number, (start, end) in enumerate(pairwise([0, *cuts, len(written)])):
        part = tmp_path_factory.mktemp("part")
        write(part, written[start:end])
        for file in part.iterdir():  # none, if there was nothing to write
            file.rename(folder / f"tfevents.{number}")
    if not any(folder.iterdir()):
        assert written == []
        return
    back = ewma.read_scalars(folder, restarts="keep", errors="raise")
    expected = pd.DataFrame(written, columns=NAMES)
    for name in NAMES:
        if name == "wall_time" and write is tensorflow:
            continue  # its clock's
        # repr tells -0.0 from 0.0, and each NaN is one.
        assert repr(back[name].tolist()) == repr(expected[name].tolist())
