"""`follow` at damage that may still go away, as network file systems show a hole of zeros first."""

import pytest
from event_writer import event, event_file, float_tensor, message, record, session_start
from looker import Looker, append, points

import ewma
from ewma._core import EventReader


class Hole:
    """A log that has a hole of zeros at its end, where something else will come to stand."""

    def __init__(self, log, contents):
        self.log, self.size, self.contents = log, log.stat().st_size, contents
        append(log, bytes(len(contents)))

    def fill(self):
        with self.log.open("r+b") as file:
            file.seek(self.size)
            file.write(self.contents)


@pytest.fixture
def looker(log):
    """Has seen a log with three points."""
    log.write_bytes(event_file() + points([1, 2, 3]))
    looker = Looker(log.parent)
    assert looker.values() == [1, 2, 3]
    return looker


@pytest.mark.parametrize("grows", [True, False])
def test_is_filled_later(log, looker, grows):
    hole = Hole(log, points([4, 5], 3))
    assert looker.look() == looker.look() == []
    (line,) = looker.said
    assert f"byte {hole.size}: the length of a record" in line
    hole.fill()
    append(log, points([6], 5) if grows else b"")
    assert looker.values() == [4, 5, 6][: 2 + grows]
    assert looker.said == [line]


@pytest.mark.parametrize("beginning", range(len(points([4], 3))))
def test_begins_within_a_record(log, looker, beginning):
    more = points([4], 3)
    append(log, more[:beginning])
    looker.look()
    hole = Hole(log, more[beginning:] + points([5], 4))
    looker.look()
    hole.fill()
    assert looker.values() == [4, 5]


def test_another_hole(log, looker):
    for number in (4, 5):
        hole = Hole(log, points([number], number))
        looker.look()
        hole.fill()
        assert looker.values() == [number]
    assert len(looker.said) == 2


def test_the_training_goes_on(log, looker):
    # Steps that another thread wrote late: no restart.
    hole = Hole(log, points([10], 1))
    looker.look()
    hole.fill()
    append(log, points([11], 5))
    smoothed = [point.smoothed for point in looker.look()]
    assert smoothed == pytest.approx([*ewma.smooth([1, 2, 3, 10, 11.0])[3:]], rel=1e-15)
    assert len(looker.said) == 1


def test_a_session_start_before_it(log, looker):
    append(log, record(session_start(1)))
    looker.look()
    hole = Hole(log, points([10], 3))
    looker.look()
    hole.fill()
    (point,) = looker.look()
    assert point.smoothed == pytest.approx(ewma.smooth([1, 10.0])[-1], rel=1e-15)


def test_what_a_tag_is(log, looker):
    def scalar(step, plugin=None):
        return record(event(step, float_tensor("other", step, plugin=plugin)))

    append(log, scalar(1, "somebody's") + scalar(2))
    hole = Hole(log, scalar(3))
    looker.look()
    hole.fill()
    append(log, scalar(4))
    assert looker.look() == []


def test_another_log_in_its_place(log, looker):
    append(log, b"\xff" * 40)
    assert looker.look() == []
    looker.said.clear()
    (log.parent / "new").write_bytes(event_file() + points(range(50)))
    (log.parent / "new").replace(log)
    assert looker.values() == [*range(50)]
    assert "replaced" in looker.said[0]


def test_damage_that_stays_is_said_once_and_costs_no_points(log, looker):
    bad = bytearray(points([4], 3))
    bad[20] ^= 1
    append(log, bytes(bad))
    for number in range(5, 8):
        assert looker.look() == looker.look() == []
        append(log, points([number], number))
        assert looker.values() == [number]
        append(log, bytes(bad))
    (line,) = looker.said
    assert "1 record was left out, as the checksum of its data is wrong" in line


def test_damage_without_end_is_not_read_over_and_over(log, looker):
    bad = bytearray(points([4], 3))
    bad[20] ^= 1
    append(log, bytes(bad) * ((3 << 20) // len(bad)))
    looker.look()
    (tail,) = looker.follower._follower._tails.values()
    assert log.stat().st_size - tail._done <= 1 << 20


def test_reader_goes_back_and_begins_anew():
    good, image = points([4], 3), record(event(4, message(1, b"image") + message(4, bytes(99999))))
    bad = bytearray(good)
    bad[20] ^= 1
    reader = EventReader(verify="all")
    reader.feed(event_file() + bytes(bad) + image[: len(image) // 2])
    assert reader.settled == len(event_file()) < reader.offset
    assert reader.bad_data[0] == 1
    reader.retry()
    assert reader.settled == reader.offset == len(event_file())
    assert reader.bad_data[0] == 0
    reader.feed(good + image + good)
    assert reader.settled == reader.offset == len(event_file() + good + image + good)
    assert reader.take()[3].tolist() == [4, 4]
