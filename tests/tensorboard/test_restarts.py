"""Resumed trainings: which version of a step is read, by a definition in plain Python."""

import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
from event_accumulator import theirs
from event_writer import (
    event,
    event_file,
    file_version,
    float_tensor,
    session_start,
    simple,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import ewma
from data_server import served
from ewma.tensorboard import read_scalars
from ewma.tensorboard._problems import NOTE
from ewma.tensorboard._read import load_scalars

START, VERSION = "start", "version"
HIGHEST = 2**63 - 1


def sessions_of(files):
    """Cut a run's files into sessions: [(step of the START record, [(tag, step, value)])]."""
    sessions = []
    for file in files:
        sessions.append((None, []))
        for what, step, value in file:
            if what == START:
                sessions.append((step, []))
            elif what == VERSION:
                sessions.append((None, []))
            else:
                sessions[-1][1].append((what, step, value))
    return sessions


def latest(files):
    """The definition: a point is there unless a later session has, or says, that step or less."""
    sessions = sessions_of(files)
    return [
        (tag, step, value)
        for number, (_, points) in enumerate(sessions)
        for tag, step, value in points
        if not any(
            (start is not None and start <= step)
            or any(other == tag and later <= step for other, later, _ in others)
            for start, others in sessions[number + 1 :]
        )
    ]


def with_segments(files):
    """The definition: after its tag went back behind what it had reached, a point is the next."""
    segment, reached, went_back, rows = {}, {}, set(), []
    for start, points in sessions_of(files):
        for tag in reached:
            steps = [step for other, step, _ in points if other == tag]
            steps += [] if start is None else [start]
            if steps and min(steps) <= reached[tag]:
                went_back.add(tag)
        for tag in {tag for tag, *_ in points}:
            segment[tag] = segment.get(tag, 0) + (tag in went_back)
            went_back.discard(tag)
        rows += [(*point, segment[point[0]]) for point in points]
        for tag, step, _ in points:
            reached[tag] = max(reached.get(tag, step), step)
    return rows


def write(folder, files, encode=simple):
    folder.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        events = [
            session_start(step)
            if what == START
            else file_version()
            if what == VERSION
            else event(step, encode(what, value))
            for what, step, value in file
        ]
        log = event_file(*events, begun=number)
        (folder / f"{number:03}.tfevents").write_bytes(log)
    return folder


def rows(frame, *more):
    return list(
        zip(*(frame[name].tolist() for name in ("tag", "step", "value", *more)), strict=True)
    )


def run(first, last, tag="loss", version=1):
    return [(tag, step, float(version)) for step in range(first, last)]


RESUMED = [run(0, 8), run(5, 10, version=2)]
STARTED_AGAIN = [[*run(0, 8), (START, 5, 0), *run(5, 10, version=2)]]
JOINED = [[*run(0, 8), (VERSION, 0, 0), *run(5, 10, version=2)]]


@pytest.mark.parametrize("encode", [simple, float_tensor])
@pytest.mark.parametrize("files", [RESUMED, STARTED_AGAIN, JOINED])
class TestOneRestart:
    def test_latest_is_the_default(self, tmp_path, files, encode):
        write(tmp_path, files, encode)
        expected = run(0, 5) + run(5, 10, version=2)
        assert rows(read_scalars(tmp_path)) == expected
        assert rows(read_scalars(tmp_path, restarts="latest")) == expected

    def test_keep(self, tmp_path, files, encode):
        write(tmp_path, files, encode)
        got = read_scalars(tmp_path, restarts="keep")
        assert rows(got) == run(0, 8) + run(5, 10, version=2)
        assert "segment" not in got.columns

    def test_segment(self, tmp_path, files, encode):
        write(tmp_path, files, encode)
        got = read_scalars(tmp_path, restarts="segment")
        assert rows(got) == run(0, 8) + run(5, 10, version=2)
        assert got["segment"].tolist() == [0] * 8 + [1] * 5
        assert got["segment"].dtype == np.int32


class TestWhatIsNoRestart:
    def unchanged(self, folder, files):
        everything = [point for file in files for point in file]
        write(folder, files)
        assert rows(read_scalars(folder)) == everything
        assert set(read_scalars(folder, restarts="segment")["segment"]) == {0}

    def test_steps_out_of_order_in_one_file(self, tmp_path):
        steps = [0, 2, 1, 3, 5, 4, 0, 6, 6]
        self.unchanged(tmp_path, [[("loss", step, 1.0) for step in steps]])

    def test_steps_out_of_order_in_a_file_that_goes_on(self, tmp_path):
        self.unchanged(tmp_path, [run(0, 5), [("loss", step, 1.0) for step in (7, 5, 6)]])

    def test_a_later_file_with_other_tags(self, tmp_path):
        self.unchanged(tmp_path, [run(0, 8), run(3, 6, tag="val")])

    def test_tags_that_the_later_file_does_not_go_back_in(self, tmp_path):
        write(tmp_path, [run(0, 8) + run(0, 9, tag="val"), run(5, 7, version=2)])
        expected = run(0, 5) + run(0, 9, tag="val") + run(5, 7, version=2)
        assert rows(read_scalars(tmp_path)) == expected

    def test_another_run(self, tmp_path):
        write(tmp_path / "train", [run(0, 8)])
        write(tmp_path / "validation", [run(0, 8)])
        assert len(read_scalars(tmp_path)) == 16

    def test_a_session_start_ahead_of_everything(self, tmp_path):
        write(tmp_path, [[(START, 0, 0), *run(0, 5), (START, 5, 0), *run(5, 9)]])
        assert rows(read_scalars(tmp_path)) == run(0, 9)


class TestSessionStart:
    def test_replaces_every_tag(self, tmp_path):
        write(tmp_path, [run(0, 8) + run(0, 8, tag="val"), [(START, 4, 0), *run(4, 6, version=2)]])
        expected = run(0, 4) + run(0, 4, tag="val") + run(4, 6, version=2)
        assert rows(read_scalars(tmp_path)) == expected

    def test_alone_in_its_file(self, tmp_path):
        write(tmp_path, [run(0, 8), [(START, 4, 0)]])
        assert rows(read_scalars(tmp_path)) == run(0, 4)

    def test_may_leave_a_run_or_a_tag_without_points(self, tmp_path):
        write(tmp_path / "a", [run(0, 8), [(START, 0, 0)]])
        write(tmp_path / "b", [run(3, 8) + run(0, 9, tag="other"), [(START, 3, 0)]])
        got = read_scalars(tmp_path)
        assert rows(got) == run(0, 3, tag="other")
        assert got["run"].cat.categories.tolist() == ["b"]
        assert got["tag"].cat.categories.tolist() == ["other"]

    def test_one_file_after_another(self, tmp_path):
        files = [run(0, 9), run(5, 7, version=2), run(3, 5, version=3), run(5, 8, version=4)]
        write(tmp_path, files)
        assert rows(read_scalars(tmp_path)) == run(0, 3) + run(3, 5, version=3) + run(
            5, 8, version=4
        )

    def test_a_filter_does_not_hide_it(self, tmp_path):
        files = [run(0, 8) + run(0, 8, tag="val"), [*run(8, 9), (START, 4, 0), *run(4, 6)]]
        write(tmp_path, files)
        assert rows(read_scalars(tmp_path, tags="val")) == run(0, 4, tag="val")
        got = read_scalars(tmp_path, tags="loss", restarts="segment")
        assert got["segment"].tolist() == [0] * 9 + [1] * 2


tags = st.sampled_from(["loss", "val", "x"])
steps = st.integers(0, 12) | st.sampled_from([-(2**63), -1, HIGHEST - 1, HIGHEST])
values = st.integers(-100, 100).map(float)
points = st.tuples(tags, steps, values)
marks = st.tuples(st.sampled_from([START, VERSION]), steps, st.just(0.0))
some_files = st.lists(
    st.lists(points | points | points | marks, max_size=12), min_size=1, max_size=4
)


@settings(deadline=None)
@given(files=some_files, encode=st.sampled_from([simple, float_tensor]))
def test_any_events_in_any_files(files, encode):
    everything = [item for file in files for item in file if item[0] not in (START, VERSION)]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), files, encode)
        assert rows(read_scalars(folder, restarts="keep")) == everything
        assert rows(read_scalars(folder)) == latest(files)
        told_apart = read_scalars(folder, restarts="segment")
        assert rows(told_apart, "segment") == with_segments(files)
        if everything:
            tag = everything[0][0]
            alone = read_scalars(folder, tags=tag, restarts="segment")
            assert rows(alone, "segment") == [row for row in with_segments(files) if row[0] == tag]
            alone = read_scalars(folder, tags=tag)
            assert rows(alone) == [point for point in latest(files) if point[0] == tag]


restarts = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=2, max_size=3)


@settings(deadline=None, max_examples=6)
@given(restarts)
def test_as_tensorboard_shows_what_tensorboardx_wrote(restarts):
    """Each writer says from where it goes on, and starts there: then both mean the same."""
    with tempfile.TemporaryDirectory() as folder:
        for number, (first, count) in enumerate(restarts):
            with tensorboardX.SummaryWriter(
                folder, purge_step=first, filename_suffix=f".{number}"
            ) as writer:
                for step in range(first, first + count):
                    for tag in ("loss", "val")[: 1 + step % 2]:
                        writer.add_scalar(tag, number + step / 16, step, walltime=step)
        files = sorted(Path(folder).iterdir())
        for file in files:  # they all begin in the same second
            file.rename(file.with_name(f"{file.suffix}.tfevents"))
        got = read_scalars(folder, errors="raise")
        ours = {
            tag: list(zip(part["wall_time"], part["step"], part["value"], strict=True))
            for tag, part in got.groupby("tag", observed=True)
        }
        assert ours == {tag: points for tag, points in theirs(folder).items() if points}
        assert kept_by_tensorboard(folder) == len(read_scalars(folder, restarts="keep"))


def kept_by_tensorboard(folder):
    """Count the points of TensorBoard's reader where it replaces nothing."""
    accumulator = EventAccumulator(folder, size_guidance={"scalars": 0}, purge_orphaned_data=False)
    accumulator.Reload()
    return sum(len(accumulator.Scalars(tag)) for tag in accumulator.Tags()["scalars"])


@pytest.mark.skipif(sys.platform == "win32", reason="the data server has no program for it")
def test_as_the_data_server_shows_files_in_order(tmp_path):
    """It lets each point replace what is not below it; we ask whether a file does."""
    generator = random.Random(0)
    for number in range(30):
        files = []
        for version in range(generator.randint(1, 4)):
            first, last = sorted(generator.sample(range(12), 2))
            tags = generator.sample(["loss", "val", "x"], generator.randint(1, 3))
            files.append(
                [(tag, step, float(version)) for step in range(first, last) for tag in tags]
            )
        write(tmp_path / f"{number:02}", files, generator.choice([simple, float_tensor]))
    got = read_scalars(tmp_path)
    ours = {}
    for (name, tag), part in got.groupby(["run", "tag"], observed=True):
        points = list(zip(part["step"], part["value"], strict=True))
        ours.setdefault(name, {})[tag] = points
    assert ours == served(tmp_path)
    assert len(got) < len(read_scalars(tmp_path, restarts="keep"))


def name_in_order(folder, number):
    """Rename the file just written: all names have the same second, and then 10 before 9."""
    (file,) = folder.glob("events.*")
    file.rename(folder / f"{number}.tfevents")


def test_pytorchs_purge_step(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    for number, (first, last) in enumerate([(0, 8), (5, 10)]):
        with SummaryWriter(str(tmp_path), purge_step=first or None) as writer:
            for step in range(first, last):
                writer.add_scalar("loss", number, step, walltime=step)
        name_in_order(tmp_path, number)
    got = read_scalars(tmp_path, errors="raise")
    assert (
        list(zip(got["wall_time"], got["step"], got["value"], strict=True))
        == theirs(tmp_path)["loss"]
    )
    assert got["value"].tolist() == [0] * 5 + [1] * 5


def test_tensorflow_writes_no_session_start(tmp_path):
    """TensorBoard's EventAccumulator shows both versions; so do we where we are to keep them."""
    import tensorflow as tf

    for number, (first, last) in enumerate([(0, 8), (5, 10)]):
        with tf.summary.create_file_writer(str(tmp_path)).as_default():
            for step in range(first, last):
                tf.summary.scalar("loss", float(number), step=step)
        name_in_order(tmp_path, number)
    everything = [(step, value) for _, step, value in theirs(tmp_path)["loss"]]
    kept = read_scalars(tmp_path, restarts="keep")
    assert list(zip(kept["step"], kept["value"], strict=True)) == everything
    assert read_scalars(tmp_path)["value"].tolist() == [0] * 5 + [1] * 5


def test_smoothed_each_version_on_its_own(tmp_path):
    write(tmp_path, [run(0, 3), run(1, 4, version=9)])
    frame = ewma.smooth_scalars(tmp_path, 0.9, restarts="segment")
    assert list(frame.columns)[-2:] == ["segment", "smoothed"]
    assert frame["smoothed"].tolist() == [1.0] * 3 + [9.0] * 3
    latest = ewma.smooth_scalars(tmp_path, 0.5)
    assert latest["smoothed"].tolist() == ewma.smooth([1.0, 9.0, 9.0, 9.0], 0.5)


def test_drawn_each_version_on_its_own(tmp_path):
    write(tmp_path, [run(0, 3), run(1, 4, version=9)])
    for frame in (
        read_scalars(tmp_path, restarts="segment"),
        ewma.smooth_scalars(tmp_path, restarts="segment"),
    ):
        (panel,) = ewma.plot(frame).axes
        assert [line.get_xdata().tolist() for line in panel.lines[1::2]] == [[0, 1, 2], [1, 2, 3]]
        assert [line.get_ydata().tolist() for line in panel.lines[1::2]] == [[1] * 3, [9] * 3]
        assert len({line.get_color() for line in panel.lines}) == 1


def test_what_was_replaced_is_noted_and_no_error(tmp_path):
    write(tmp_path / "a", RESUMED)
    write(tmp_path / "b", [run(0, 3)])
    columns, (note,) = load_scalars(tmp_path)
    assert len(columns) == 13
    assert note.exit_code == NOTE
    assert "1 run was resumed from an earlier step; 3 points that were" in str(note)
    assert len(read_scalars(tmp_path, errors="raise")) == 13
    write(tmp_path / "b", [run(0, 3), run(2, 5)])
    _, (note,) = load_scalars(tmp_path)
    assert "2 runs were resumed from an earlier step; 4 points that were" in str(note)
    assert load_scalars(tmp_path, restarts="keep")[1] == []


@pytest.mark.parametrize("restarts", ["first", None, ["latest"]])
def test_restarts_is_one_of_three(tmp_path, restarts):
    with pytest.raises(ValueError, match="restarts must be 'latest', 'keep' or 'segment', not"):
        read_scalars(tmp_path, restarts=restarts)
