"""Every type of tensor that can be a scalar, in every place where its number can stand."""

import math
import struct

import numpy as np
import pytest
from event_writer import event, integer, message, record, shape, tensor, varint

from ewma._core import EventReader


def values(*fields):
    reader = EventReader()
    reader.feed(record(event(1, tensor("a", *fields))))
    assert reader.needed == 0
    return None if reader.bad_event[0] else reader.take()[3].tolist()


def bfloat16(value):
    return int(np.float32(value).view(np.uint32)) >> 16


def half(value):
    return int(np.float16(value).view(np.uint16))


# TensorFlow's number of the type, its typed field, the packed bytes there, its bytes in
# tensor_content, the value.
TYPES = [
    ("float", 1, 5, struct.pack("<f", 0.1), struct.pack("<f", 0.1), float(np.float32(0.1))),
    ("double", 2, 6, struct.pack("<d", 0.1), struct.pack("<d", 0.1), 0.1),
    ("int32", 3, 7, varint(-5), struct.pack("<i", -5), -5),
    ("int32 min", 3, 7, varint(-(2**31)), struct.pack("<i", -(2**31)), -(2**31)),
    ("uint8", 4, 7, varint(200), struct.pack("<B", 200), 200),
    ("int16", 5, 7, varint(-300), struct.pack("<h", -300), -300),
    ("int8", 6, 7, varint(-100), struct.pack("<b", -100), -100),
    ("int64", 9, 10, varint(-(2**53)), struct.pack("<q", -(2**53)), -(2**53)),
    ("bfloat16", 14, 13, varint(bfloat16(-1.5)), struct.pack("<H", bfloat16(-1.5)), -1.5),
    ("uint16", 17, 7, varint(60000), struct.pack("<H", 60000), 60000),
    ("half", 19, 13, varint(half(0.1)), struct.pack("<H", half(0.1)), float(np.float16(0.1))),
    ("uint32", 22, 16, varint(2**32 - 1), struct.pack("<I", 2**32 - 1), 2**32 - 1),
    ("uint64", 23, 17, varint(2**64 - 1), struct.pack("<Q", 2**64 - 1), 2.0**64),
]
parameters = pytest.mark.parametrize(
    ("dtype", "number", "packed", "content", "expected"),
    [case[1:] for case in TYPES],
    ids=[case[0] for case in TYPES],
)


def unpacked(number, packed):
    wire = {5: 5, 6: 1}.get(number, 0)
    return varint(number << 3 | wire) + packed


@parameters
class TestTypes:
    @pytest.mark.parametrize("sizes", [(), (1,), (1, 1, 1)])
    def test_typed_field_and_content(self, dtype, number, packed, content, expected, sizes):
        kind, size = integer(1, dtype), shape(*sizes)
        assert values(kind, size, message(number, packed)) == [expected]
        assert values(kind, size, unpacked(number, packed)) == [expected]
        assert values(kind, size, message(4, content)) == [expected]

    def test_fields_in_any_order(self, dtype, number, packed, content, expected):
        assert values(message(number, packed), integer(1, dtype)) == [expected]
        assert values(message(4, content), shape(), integer(1, dtype)) == [expected]

    def test_empty_field_means_zero(self, dtype, number, packed, content, expected):
        assert values(integer(1, dtype), shape()) == [0]
        assert values(integer(1, dtype), shape(), message(number, b"")) == [0]

    @pytest.mark.parametrize("sizes", [(0,), (2,), (1, 2), (2**63,), (-1,)])
    def test_more_or_less_than_one_element(self, dtype, number, packed, content, expected, sizes):
        assert values(integer(1, dtype), shape(*sizes), message(number, packed)) == []

    def test_elements_that_the_shape_has_not(self, dtype, number, packed, content, expected):
        kind = integer(1, dtype)
        assert values(kind, shape(), message(number, packed * 2)) is None
        assert values(kind, shape(), message(4, content + b"\0")) is None
        assert values(kind, shape(), message(4, content[:-1] or b"\0\0")) is None

    def test_unknown_rank(self, dtype, number, packed, content, expected):
        kind, field = integer(1, dtype), message(number, packed)
        assert values(kind, message(2, integer(3, 1)), field) == []
        assert values(kind, message(2, integer(3, 0)), field) == [expected]

    def test_other_fields_do_not_count(self, dtype, number, packed, content, expected):
        others = {5: bytes(8), 6: bytes(16), 7: b"\1\2", 10: b"\1", 13: b"\1", 16: b"\1", 17: b"\1"}
        del others[number]
        rest = b"".join(message(other, data) for other, data in others.items())
        assert values(rest, integer(1, dtype), message(number, packed), rest) == [expected]


@pytest.mark.parametrize("dtype", [0, 7, 8, 10, 11, 18, 20, 21, 101, 2**40 + 1, -1])
def test_types_that_are_no_number(dtype):
    assert values(integer(1, dtype), shape(), message(5, struct.pack("<f", 1))) == []


def test_no_type():
    assert values(shape(), message(5, struct.pack("<f", 1))) == []


def test_tensor_in_two_parts_is_merged():
    reader = EventReader()
    parts = message(1, b"a") + message(8, integer(1, 2)) + message(8, message(4, bytes(7) + b"@"))
    reader.feed(record(event(1, parts)))
    assert reader.take()[3].tolist() == [2]


def test_every_half():
    bits = np.arange(1 << 16, dtype=np.uint16)
    reader = EventReader()
    for number in bits.tolist():
        fields = integer(1, 19) + message(4, struct.pack("<H", number))
        data = event(1, message(1, b"a") + message(8, fields))
        reader.feed(record(data))
    got = reader.take()[3]
    expected = bits.view(np.float16).astype(np.float64)
    np.testing.assert_array_equal(got, expected)
    numeric = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[numeric]), np.signbit(expected[numeric]))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, -0.0, 1e-40, 3e38])
def test_bfloat16_specials(value):
    (got,) = values(integer(1, 14), message(4, struct.pack("<H", bfloat16(value))))
    expected = float(np.array(bfloat16(value) << 16, np.uint32).view(np.float32))
    np.testing.assert_equal(got, expected)
