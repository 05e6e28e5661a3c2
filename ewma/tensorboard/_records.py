"""Scalars as the records of an event file."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np

from ewma._core import crc32c
from ewma.tensorboard._columns import Rows, ScalarColumns

Dtype: TypeAlias = Literal["float32", "float64"]

# What stands before the number in a Value message: simple_value, or a TensorProto with DT_DOUBLE,
# no dimensions and tensor_content.
_NUMBER = {"float32": b"\x15", "float64": b"\x42\x0e\x08\x02\x12\x00\x22\x08"}

# SummaryMetadata: the plugin's name, and that these are scalars
_METADATA = b"\x4a\x0d\x0a\x09\x0a\x07scalars\x20\x01"


def records(columns: ScalarColumns, rows: Rows, tags: list[bytes], dtype: Dtype) -> Iterator[bytes]:
    """Yield the records of one run's rows, the file's version first."""
    wall_times = columns.wall_time[rows].tolist()
    first = wall_times[0] if math.isfinite(wall_times[0]) else 0.0
    yield _record(_wall_time(first) + _field(3, b"brain.Event:2"))
    with np.errstate(over="ignore"):
        numbers = columns.value[rows].astype(np.dtype(dtype).newbyteorder("<"))
    width, data = numbers.itemsize, numbers.tobytes()
    before: dict[int, bytes] = {}  # all that stands between an event's step and its number
    points = zip(columns.tag[rows].tolist(), columns.step[rows].tolist(), wall_times, strict=True)
    for i, (tag, step, wall_time) in enumerate(points):
        value = before.get(tag)
        if value is None:  # only a tag's first value says what it is
            name = _field(1, tags[tag])
            value = _summary(name + _METADATA + _NUMBER[dtype], width)
            before[tag] = _summary(name + _NUMBER[dtype], width)
        number = data[width * i : width * (i + 1)]
        yield _record(
            _wall_time(wall_time) + b"\x10" + _varint(step & (2**64 - 1)) + value + number
        )


def _summary(value: bytes, width: int) -> bytes:
    """Return an event's summary of one value, without the number of so many bytes at its end."""
    inner = b"\x0a" + _varint(len(value) + width) + value
    return b"\x2a" + _varint(len(inner) + width) + inner


def _wall_time(seconds: float) -> bytes:
    return b"\x09" + struct.pack("<d", seconds)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


@lru_cache(maxsize=4096)  # of lengths, and of a step that many tags have
def _varint(number: int) -> bytes:
    low = bytearray()
    while number > 127:
        low.append(number & 127 | 128)
        number >>= 7
    low.append(number)
    return bytes(low)


def _record(event: bytes) -> bytes:
    return _header(len(event)) + event + _checksum(event)


@lru_cache(maxsize=4096)
def _header(size: int) -> bytes:
    length = struct.pack("<Q", size)
    return length + _checksum(length)


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
