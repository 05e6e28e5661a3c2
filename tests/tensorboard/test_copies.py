"""A log beside itself, as rsync, `aws s3 sync` and people leave it: it is read once."""

import numpy as np
import pytest
from event_writer import curve, event_file
from looker import Looker

import ewma
from ewma.tensorboard._read import load_scalars

LOG = event_file(*curve("loss", range(300)))
NAME = "events.out.tfevents.1.host"
# What each of them writes first, which then takes the file's place.
FETCHED = [f".{NAME}.Ab12Cd", f"{NAME}.Ab12Cd12", f"{NAME}_.gstmp"]


def cut(points):
    """Return the log when it had so many points."""
    return event_file(*curve("loss", range(points)))


@pytest.mark.parametrize("fetched", FETCHED)
@pytest.mark.parametrize(("there", "new"), [(300, 200), (200, 300), (300, 20), (300, 300)])
def test_is_left_out(tmp_path, fetched, there, new):
    (tmp_path / NAME).write_bytes(cut(there))
    (tmp_path / fetched).write_bytes(cut(new)[:-5] if new < there else cut(new))
    columns, problems = load_scalars(str(tmp_path))
    assert columns.value.tolist() == list(range(max(there, new)))
    assert [str(problem).count("left out, as") for problem in problems] == [1]
    assert len(ewma.read_scalars(tmp_path, restarts="keep")) == max(there, new)


def test_logs_that_tell_no_time_are_none(tmp_path):
    for number in range(2):
        path = tmp_path / f"{NAME}.{number}"
        path.write_bytes(event_file(*curve("loss", range(9)), begun=0.0))
    assert len(ewma.read_scalars(tmp_path, restarts="keep")) == 18


def test_another_log_is_none(tmp_path):
    (tmp_path / f"{NAME}.1").write_bytes(LOG)
    (tmp_path / f"{NAME}.2").write_bytes(event_file(*curve("loss", range(100)), begun=1.6e9))
    (tmp_path / f"{NAME}.3").write_bytes(LOG[:10])  # too short to tell
    fork = event_file(*curve("loss", [*range(200), *[-1] * 50]))
    (tmp_path / f"{NAME}.4").write_bytes(fork)  # goes on in another way
    columns, problems = load_scalars(str(tmp_path), restarts="keep")
    assert len(columns) == 300 + 100 + 250
    assert "left out" not in " ".join(map(str, problems))


@pytest.mark.parametrize("fetched", [*FETCHED, "fetched"])
@pytest.mark.parametrize("in_pieces", [True, False])
def test_fetched_again_and_again_while_followed(tmp_path, fetched, in_pieces):
    path, beside = tmp_path / NAME, tmp_path / fetched
    looker = Looker(tmp_path)
    points = []
    for count in (100, 101, 250, 300):
        new = cut(count)
        for end in (0, 30, 2000, len(new)) if in_pieces else (len(new),):
            beside.write_bytes(new[:end])
            points += looker.look()
        beside.rename(path)
        points += looker.look()
        points += looker.look()
        assert [point.step for point in points] == list(range(count))
    expected = ewma.smooth_scalars(tmp_path)["smoothed"]
    np.testing.assert_allclose([point.smoothed for point in points], expected, rtol=1e-14)
    assert [line for line in looker.said if "there are no scalars here yet" not in line] == []


def test_kept_under_another_name_by_rsync(tmp_path):
    """`rsync -b` renames the old file, and puts the new one in its place."""
    path, old = tmp_path / NAME, tmp_path / f"{NAME}~"
    looker, points = Looker(tmp_path), []
    for count in (100, 150, 151, 300):
        beside = tmp_path / FETCHED[0]
        beside.write_bytes(cut(count))
        if path.exists():
            path.replace(old)
        beside.rename(path)
        points += looker.look()
        points += looker.look()
        assert [point.step for point in points] == list(range(count))


def test_a_stale_copy_is_followed_first(tmp_path):
    (tmp_path / f"{NAME}.bak").write_bytes(cut(100))
    looker = Looker(tmp_path)
    points = looker.look()
    for count in (50, 100, 101, 300):
        (tmp_path / f"{NAME}.host").write_bytes(cut(count))
        points += looker.look()
        assert [point.step for point in points] == list(range(max(100, count)))


def test_alike_at_both_ends_alone(tmp_path):
    for number in range(2):
        middle = [number] * 9000
        events = curve("loss", [*range(9), *middle, *range(600)])
        (tmp_path / f"{NAME}.{number}").write_bytes(event_file(*events[: 9500 + number]))
    assert len(ewma.read_scalars(tmp_path, restarts="keep")) == 9500 + 9501


def test_both_are_there_when_following_begins(tmp_path):
    (tmp_path / NAME).write_bytes(cut(100))
    (tmp_path / FETCHED[1]).write_bytes(cut(200))
    looker = Looker(tmp_path)
    points = looker.look()
    assert [point.step for point in points] == list(range(200))
    (tmp_path / FETCHED[1]).replace(tmp_path / NAME)
    (tmp_path / NAME).write_bytes(cut(201))
    points += looker.look()
    points += looker.look()
    assert [point.step for point in points] == list(range(201))


@pytest.mark.parametrize("counts", [(100, 150), (150, 300)])
def test_the_copy_stays_and_the_log_goes(tmp_path, counts):
    path, copy = tmp_path / NAME, tmp_path / f"{NAME}.moved"
    path.write_bytes(cut(100))
    looker = Looker(tmp_path)
    points = looker.look()
    copy.write_bytes(cut(100))
    points += looker.look()
    path.unlink()
    for count in counts:
        copy.write_bytes(cut(count))
        points += looker.look()
        points += looker.look()
        assert [point.step for point in points] == list(range(count))
    assert looker.said == []
