"""The push parser: records in chunks of any size, and the protobuf in them."""

import math
import struct
import subprocess
import sys

import pytest
from event_writer import (
    double,
    event,
    event_file,
    float32,
    float_tensor,
    header,
    integer,
    message,
    metadata,
    record,
    shape,
    simple,
    tensor,
    varint,
)
from hypothesis import given
from hypothesis import strategies as st

from ewma._core import EventReader


def points(reader):
    names = [name.decode() for name in reader.tags]
    tag, step, wall_time, value = (column.tolist() for column in reader.take())
    return list(zip([names[i] for i in tag], step, wall_time, value, strict=True))


def read(*chunks):
    reader = EventReader()
    for chunk in chunks:
        reader.feed(chunk)
    assert not reader.stopped
    assert reader.needed == 0
    assert reader.offset == sum(map(len, chunks))
    assert reader.bad_data[0] == reader.bad_event[0] == reader.bad_length[0] == 0
    return points(reader)


def read_event(data):
    return read(record(data))


LONG = 1 << 15  # its beginning decides what is done with a record

numbers = st.floats(width=32, allow_nan=False)
events = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.lists(st.tuples(st.text(max_size=5), numbers, st.booleans()), max_size=4),
    ),
    max_size=12,
)


class TestChunks:
    @given(events, st.lists(st.integers(0, 60), max_size=60))
    def test_any_events_in_any_chunks(self, events, sizes):
        data = event_file(
            *(
                event(
                    step,
                    *(
                        (float_tensor if is_tensor else simple)(tag, value)
                        for tag, value, is_tensor in values
                    ),
                    wall_time=wall_time,
                )
                for step, wall_time, values in events
            )
        )
        chunks = []
        for size in sizes:
            chunks.append(data[:size])
            data = data[size:]
        assert read(*chunks, data) == [
            (tag, step, wall_time, value)
            for step, wall_time, values in events
            for tag, value, _ in values
        ]

    def test_byte_by_byte(self):
        data = event_file(event(1, simple("a", 2)), event(2, simple("a", 3)))
        assert read(*(data[i : i + 1] for i in range(len(data)))) == read(data)

    def test_long_record_in_small_chunks(self):
        image = event(1, message(1, b"image") + message(4, bytes(3 << 20)), simple("a", 5))
        data = event_file(image, event(2, simple("a", 6)))
        chunks = [data[i : i + 50_000] for i in range(0, len(data), 50_000)]
        assert [value for *_, value in read(*chunks)] == [5, 6]

    def test_more_points_than_a_block(self):
        data = record(event(3, simple("a", 0.5))) * 40_000
        assert read(data) == [("a", 3, 1.5e9, 0.5)] * 40_000

    def test_take_empties(self):
        reader = EventReader()
        reader.feed(record(event(1, simple("a", 2))))
        assert len(points(reader)) == 1
        assert points(reader) == []
        reader.feed(record(event(2, simple("b", 3))))
        assert points(reader) == [("b", 2, 1.5e9, 3)]

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_bytes_likes(self, kind):
        assert read(kind(event_file(event(1, simple("a", 2)))))

    @pytest.mark.parametrize("chunk", ["text", None, memoryview(bytes(8))[::2]])
    def test_not_bytes(self, chunk):
        with pytest.raises((TypeError, BufferError)):
            EventReader().feed(chunk)


class TestRecordUnderWay:
    def test_needed_and_offset(self):
        data = record(event(1, simple("a", 2)))
        reader = EventReader()
        reader.feed(data + data[:5])
        assert (reader.offset, reader.needed) == (len(data), 12 - 5)
        reader.feed(data[5:12])
        assert (reader.offset, reader.needed) == (len(data), len(data) - 12)
        reader.feed(data[12:])
        assert (reader.offset, reader.needed) == (2 * len(data), 0)

    @pytest.mark.parametrize("length", [2**31, 2**63, 2**64 - 17, 2**64 - 16, 2**64 - 1])
    def test_giant_length_takes_no_memory(self, length):
        reader = EventReader()
        for piece in (header(length)[:7], header(length)[7:], bytes(1 << 20)):
            reader.feed(piece)
        assert reader.needed == min(length + 16, 2**64 - 1) - 12 - (1 << 20)
        assert not reader.stopped

    def test_record_longer_than_protobuf_allows_is_skipped(self):
        resource = pytest.importorskip("resource")

        def peak():
            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

        before = peak()
        good = record(event(1, simple("a", 2)))
        reader = EventReader()
        reader.feed(good + header(2**31))
        chunk = bytes(1 << 24)
        for _ in range(2**31 >> 24):
            reader.feed(chunk)
        reader.feed(b"foot" + good)
        assert reader.bad_event == (1, len(good))
        assert len(points(reader)) == 2
        assert peak() - before < 1 << 28  # it was not kept

    @pytest.mark.parametrize(
        "beginning",
        [
            pytest.param(b"", id="zeros"),
            pytest.param(b"\x09" + bytes(8) + b"\x10\x01", id="zeros behind the step"),
            pytest.param(b"\x10" + b"\xff" * 11, id="a varint that is too long"),
            pytest.param(b"\x2a" + varint(1 << 40), id="a summary longer than the event"),
            pytest.param(b"\x2a" + varint(LONG - 100), id="zeros in the summary"),
            pytest.param(
                b"\x2a" + varint(LONG - 100) + b"\x0a" + varint(LONG - 200) + b"\x0a\x01a",
                id="zeros in its value",
            ),
        ],
    )
    @pytest.mark.parametrize("verify", ["all", "scalars", "none"])
    @pytest.mark.parametrize("chunk", [1, 1000, 1 << 20])
    @pytest.mark.parametrize("is_damaged", [True, False])
    def test_long_record_that_is_no_event(self, beginning, verify, chunk, is_damaged):
        """Its checksum tells what it was, as of a short one."""
        good = record(event(1, simple("a", 2)))
        bad = record(beginning.ljust(LONG, b"\0"))
        if is_damaged:
            bad = bad[:-1] + bytes([bad[-1] ^ 1])
        reader = EventReader(verify)
        data = good + bad + good
        for at in range(0, len(data), chunk):
            reader.feed(data[at : at + chunk])
        assert len(points(reader)) == 2
        here = (1, len(good))
        assert (reader.bad_data, reader.bad_event) == (
            (here, (0, 0)) if is_damaged else ((0, 0), here)
        )

    def test_damaged_length_stops(self):
        good = record(event(1, simple("a", 2)))
        bad = bytearray(good)
        bad[8] ^= 1
        for chunks in ([good + bad + good], [good, bad[:3], bad[3:], good]):
            reader = EventReader()
            for chunk in chunks:
                reader.feed(chunk)
            assert reader.stopped
            assert reader.bad_length == (1, len(good))
            assert len(points(reader)) == 1

    def test_damaged_data_is_skipped(self):
        good = record(event(1, simple("a", 2)))
        bad = bytearray(good)
        bad[20] ^= 1
        reader = EventReader()
        reader.feed(good + bad + bad + good)
        assert reader.bad_data == (2, len(good))
        assert len(points(reader)) == 2


class TestEvent:
    def test_fields_in_any_order(self):
        summary = message(5, message(1, float32(2, 4) + message(1, b"a")))
        assert read_event(summary + integer(2, 3) + double(1, 9)) == [("a", 3, 9, 4)]

    def test_last_of_a_field_wins(self):
        value = message(1, b"a") + float32(2, 4) + message(1, b"b") + float32(2, 5)
        assert read_event(integer(2, 1) + event(2, value) + integer(2, 3)) == [("b", 3, 1.5e9, 5)]

    def test_last_of_the_oneof_wins(self):
        assert read_event(event(1, simple("a", 2)) + message(3, b"brain.Event:2")) == []
        assert read_event(event(1, simple("a", 2) + message(4, b"image"))) == []
        assert read_event(event(1, message(4, b"image") + simple("a", 2)))
        later = tensor("a", integer(1, 1), message(5, struct.pack("<f", 7)))
        assert read_event(event(1, simple("a", 2) + later)) == [("a", 1, 1.5e9, 7)]

    def test_two_summaries_are_merged(self):
        both = event(1, simple("a", 2)) + message(5, message(1, simple("b", 3)))
        assert [tag for tag, *_ in read_event(both)] == ["a", "b"]

    def test_defaults(self):
        assert read_event(message(5, message(1, float32(2, 4)))) == [("", 0, 0, 4)]
        assert read_event(b"") == []
        assert read_event(event(1)) == []
        assert read_event(event(1, message(1, b"no value"))) == []

    def test_unknown_fields_are_skipped(self):
        group = b"\xa3\x06" + integer(1, 5) + b"\xab\x06\xac\x06" + b"\xa4\x06"
        other = (
            integer(100, 2**64 - 1)
            + double(101, 1)
            + message(102, b"xyz")
            + float32(103, 1)
            + integer(1, 5)  # wall_time, were it not a varint
            + group
        )
        value = message(1, b"a") + float32(2, 4)
        data = other + double(1, 8) + message(5, other + message(1, other + value + other)) + other
        assert read_event(data) == [("a", 0, 8, 4)]

    @pytest.mark.parametrize("step", [0, 1, 127, 128, 2**31, 2**63 - 1, -1, -(2**63)])
    def test_steps(self, step):
        assert read_event(event(step, simple("a", 1))) == [("a", step, 1.5e9, 1)]

    @pytest.mark.parametrize("value", [0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45])
    def test_values_keep_their_bits(self, value):
        expected = struct.unpack("<f", struct.pack("<f", value))[0]
        ((_, _, wall_time, number),) = read_event(event(1, simple("a", value), wall_time=value))
        assert struct.pack("<d", number) == struct.pack("<d", expected)
        assert struct.pack("<d", wall_time) == struct.pack("<d", value)

    def test_several_values(self):
        data = event(1, simple("a", 1), float_tensor("b", 2), simple("a", 3))
        assert [(tag, value) for tag, *_, value in read_event(data)] == [
            ("a", 1),
            ("b", 2),
            ("a", 3),
        ]

    def test_tags_out_of_order(self):
        order = "abcabdacbdbabcd"
        data = b"".join(record(event(1, simple(tag, 1))) for tag in order)
        assert "".join(tag for tag, *_ in read(data)) == order

    def test_tags_are_bytes(self):
        reader = EventReader()
        reader.feed(record(event(1, simple(b"\xff\x00\n", 1), simple(b"", 1))))
        assert reader.tags == [b"\xff\x00\n", b""]


VALUE = message(1, b"a") + float32(2, 4)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x80", id="key cut off"),
        pytest.param(varint(2**32) + b"\x01", id="key over 32 bits"),
        pytest.param(b"\x00\x01", id="field number 0"),
        pytest.param(integer(2, 5)[:1], id="varint missing"),
        pytest.param(b"\x10" + b"\xff" * 10 + b"\x01", id="varint of 11 bytes"),
        pytest.param(double(1, 5)[:-1], id="double cut off"),
        pytest.param(float32(90, 5)[:-1], id="float cut off"),
        pytest.param(b"\x2a\x05abcd", id="summary longer than the event"),
        pytest.param(b"\x2a" + varint(2**64 - 1) + b"abcd", id="length of 2^64 - 1"),
        pytest.param(b"\x2e\x01", id="wire type 6"),
        pytest.param(b"\x2f\x01", id="wire type 7"),
        pytest.param(b"\x0c", id="end of a group that never began"),
        pytest.param(b"\xa3\x06", id="group that never ends"),
        pytest.param(b"\xa3\x06\xac\x06", id="end of another group"),
        pytest.param(b"\x0b" * 5000 + b"\x0c" * 5000, id="groups nested 5000 deep"),
        pytest.param(event(1, VALUE, b"\x80"), id="value"),
        pytest.param(event(1, VALUE, message(9, b"\x80")), id="metadata"),
        pytest.param(event(1, VALUE, message(9, message(1, b"\x80"))), id="plugin data"),
        pytest.param(event(1, VALUE, message(8, b"\x80")), id="tensor"),
        pytest.param(event(1, VALUE, message(8, message(2, b"\x80"))), id="shape"),
        pytest.param(event(1, VALUE, message(8, message(2, message(2, b"\x80")))), id="dimension"),
        pytest.param(event(1, VALUE, message(8, message(5, b"abc"))), id="packed floats"),
        pytest.param(event(1, VALUE, message(8, message(10, b"\x80"))), id="packed varints"),
        pytest.param(event(1, VALUE) + b"\x80", id="after a good summary"),
    ],
)
def test_malformed_event_gives_no_point(data):
    good = record(event(7, simple("b", 1)))
    reader = EventReader()
    reader.feed(good + record(data) + good)
    assert reader.bad_event == (1, len(good))
    assert [tag for tag, *_ in points(reader)] == ["b", "b"]


class TestPlugins:
    def test_tensor_of_another_plugin_is_no_scalar(self):
        assert read_event(event(1, float_tensor("a", 2, plugin="hparams"))) == []
        assert read_event(event(1, float_tensor("a", 2, plugin="scalars")))
        assert read_event(event(1, float_tensor("a", 2, plugin="")))
        assert read_event(event(1, float_tensor("a", 2, plugin=None)))

    def test_first_metadata_is_remembered(self):
        data = event_file(
            event(1, float_tensor("a", 1, plugin=None)),
            event(2, float_tensor("a", 2, plugin="hparams")),
            event(3, float_tensor("a", 3, plugin=None)),
            event(4, float_tensor("a", 4, plugin="scalars")),
            event(5, float_tensor("b", 5, plugin="scalars")),
            event(6, float_tensor("b", 6, plugin="hparams")),
        )
        assert [value for *_, value in read(data)] == [1, 5, 6]

    @pytest.mark.parametrize("chunk", [100, 1000, 1 << 20])
    @pytest.mark.parametrize("verify", ["all", "scalars", "none"])
    def test_metadata_behind_a_long_tensor_is_remembered(self, verify, chunk):
        """TF1's writer gives the metadata with a tag's first record alone, at its very end."""
        content = message(5, bytes(4 * 10_000))

        def long(plugin):
            return record(
                event(1, tensor("a", integer(1, 1), shape(10_000), content, plugin=plugin))
            )

        good = long("pr_curves")
        damaged = good[:-5] + bytes([good[-5] ^ 1]) + good[-4:]
        scalar = record(event(2, float_tensor("a", 2, plugin=None)))
        for data, points in [
            (good + scalar, 0),
            (good + good + scalar, 0),
            (damaged + scalar, 1 if verify == "all" else 0),
            (damaged + good + scalar, 0),
            (long("scalars") + good + scalar, 1),
        ]:
            reader = EventReader(verify)
            for i in range(0, len(data), chunk):
                reader.feed(data[i : i + chunk])
            assert len(reader.take()[0]) == points

    def test_simple_value_always_is_one(self):
        assert read_event(event(1, simple("a", 2) + metadata("hparams")))

    def test_malformed_event_teaches_no_plugin(self):
        reader = EventReader()
        reader.feed(record(event(1, float_tensor("a", 1, plugin="hparams")) + b"\x80"))
        reader.feed(record(event(2, float_tensor("a", 2, plugin=None))))
        assert len(points(reader)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's limit of memory")
@pytest.mark.parametrize("verify", ["all", "scalars", "none"])
def test_no_memory_is_kept_of_a_long_record_that_is_no_event(verify):
    script = f"""
import resource
from ewma._core import EventReader
chunk = bytes(1 << 20)
reader = EventReader({verify!r})
reader.feed(bytes.fromhex({header(300 << 20).hex()!r}))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000, resource.RLIM_INFINITY))
for _ in range(300):
    reader.feed(chunk)
reader.feed(bytes(4))
print(reader.bad_data, reader.bad_event, reader.needed)
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "(1, 0) (0, 0) 0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's limit of memory")
def test_no_memory_for_more_points():
    """Those that are there stay; more are taken when there is memory again."""
    script = f"""
import resource
from ewma._core import EventReader
chunk = bytes.fromhex({record(event(5, simple("a", 1.5))).hex()!r}) * 100_000
reader = EventReader("none")
for _ in range(20):
    reader.feed(chunk)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
none = resource.RLIM_INFINITY
resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000, none))
try:
    reader.feed(chunk)
except MemoryError:
    print("MemoryError")
resource.setrlimit(resource.RLIMIT_AS, (none, none))
for _ in range(5):
    reader.feed(chunk)
tag, step, wall_time, value = reader.take()
print(len(tag) > 2_500_000, len(value) == len(step) == len(wall_time) == len(tag))
print(set(value.tolist()), set(step.tolist()))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split("\n")[:3] == ["MemoryError", "True True", "{1.5} {5}"]
