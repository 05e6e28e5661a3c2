"""Damaged messages with right checksums, read by the parser and by protobuf's own."""

import struct

import pytest
from event_writer import event, float_tensor, record, simple
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event

from ewma._core import EventReader

GOOD = [
    event(1, simple("a", 2)),
    event(-1, simple("a", 2), simple("b", 3)),
    event(300, float_tensor("a", 2)),
    event(2, float_tensor("a", 2), simple("c", 1)),
]


def ours(data):
    """Return the points, or None for a malformed message."""
    reader = EventReader()
    reader.feed(record(data))
    assert reader.needed == 0
    if reader.bad_event[0]:
        assert reader.tags == []
        return None
    tag, step, wall_time, value = (column.tolist() for column in reader.take())
    names = [reader.tags[i] for i in tag]
    return list(zip(names, step, wall_time, value, strict=True))


def theirs(data):
    """Return the points that are a simple_value, or None for a malformed message."""
    try:
        event = Event.FromString(data)
    except DecodeError:
        return None
    return [
        (value.tag.encode(), event.step, event.wall_time, value.simple_value)
        for value in event.summary.value
        if value.WhichOneof("value") == "simple_value"
    ]


@st.composite
def damaged(draw):
    data = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 4, len(data))))
        data[start:end] = draw(st.binary(max_size=4))
    return bytes(data)


@pytest.mark.parametrize("data", GOOD)
def test_good(data):
    assert ours(data)
    assert theirs(data) is not None


@settings(max_examples=2000, deadline=None)
@given(damaged() | st.binary(max_size=40))
@example(b"\x2a\x02\x0a\x00")
def test_damaged(data):
    expected, got = theirs(data), ours(data)
    if expected is None or got is None:
        # protobuf is stricter: it reads what the parser skips, and wants tags to be UTF-8.
        # The parser is stricter about a tensor whose elements are more than its shape has.
        assert got is not None or expected is None or b"\x42" in data
        return
    for point in expected:
        assert bits(point) in list(map(bits, got))


def bits(point):
    """NaN equals itself by its bits, but a float32 NaN may lose its signal on the way."""
    tag, step, wall_time, value = point
    number = struct.pack("<d", value) if value == value else "nan"
    return (tag, step, struct.pack("<d", wall_time), number)
