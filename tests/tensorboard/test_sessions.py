"""Where the parser says that a training began again."""

import pytest
from event_writer import (
    double,
    event,
    event_file,
    file_version,
    integer,
    message,
    record,
    session_start,
    simple,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event, SessionLog

from ewma._core import EventReader

POINT = event(1, simple("a", 2))
START, STOP, CHECKPOINT = (message(7, integer(1, status)) for status in (1, 2, 3))


def sessions(*events):
    reader = EventReader()
    for data in events:
        reader.feed(record(data))
    return reader.sessions


def test_the_first_session_is_the_file():
    assert sessions() == []
    assert sessions(file_version(), POINT, POINT) == []
    assert sessions(POINT, POINT) == []


def test_session_start_has_a_row_and_a_step():
    assert sessions(session_start(-3), POINT) == [(0, -3)]
    assert sessions(POINT, POINT, session_start(7), POINT) == [(2, 7)]
    assert sessions(POINT, START, POINT, session_start(5)) == [(1, 0), (2, 5)]


def test_files_joined_to_one():
    joined = event_file(POINT, POINT) + event_file(POINT) + event_file()
    reader = EventReader()
    reader.feed(joined)
    assert reader.sessions == [(2, None), (3, None)]


def test_sessions_without_points_between_are_one():
    starts = [session_start(9), file_version(), session_start(4), session_start(6)]
    assert sessions(POINT, *starts * 1000) == [(1, 4)]
    assert sessions(POINT, file_version(), session_start(8), file_version()) == [(1, 8)]


def test_rows_count_on_after_take():
    reader = EventReader()
    reader.feed(record(POINT) * 3)
    reader.take()
    reader.feed(record(POINT) + record(session_start(2)) + record(POINT))
    assert len(reader.take()[0]) == 2
    assert reader.sessions == [(4, 2)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(STOP, id="stop"),
        pytest.param(CHECKPOINT, id="checkpoint"),
        pytest.param(message(7, b""), id="unspecified"),
        pytest.param(message(7, integer(2, 1)), id="another field"),
        pytest.param(message(7, double(1, 1)), id="another type"),
        pytest.param(START + message(6, b""), id="another member after it"),
        pytest.param(START + message(5, b""), id="a summary after it"),
    ],
)
def test_no_session_start(data):
    assert sessions(POINT, data, POINT) == []
    assert Event.FromString(data).session_log.status != SessionLog.START


def test_malformed_session_log_is_no_event():
    reader = EventReader()
    reader.feed(record(POINT) + record(message(7, b"\x08\x01\x80")))
    assert reader.bad_event[0] == 1
    assert reader.sessions == []


members = st.sampled_from(
    [START, STOP, message(7, b""), message(6, b""), message(5, b""), message(3, b"x"), POINT]
)


@settings(deadline=None)
@given(st.lists(members, max_size=5))
def test_the_member_that_counts_is_protobufs(parts):
    data = b"".join(parts)
    expected = Event.FromString(data)
    if expected.HasField("file_version"):
        assert sessions(POINT, data) == [(1, None)]
    elif expected.HasField("session_log") and expected.session_log.status == SessionLog.START:
        assert sessions(POINT, data) == [(1, expected.step)]
    else:
        assert sessions(POINT, data) == []
