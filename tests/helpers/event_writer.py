"""Event files by the letter of the format, slow and in Python: the tests' reference."""

import struct
from collections.abc import Iterable

MASK = 0xFFFFFFFF


def _divided(byte: int) -> int:
    """Return the remainder of one byte by the Castagnoli polynomial, bit by bit."""
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


REMAINDERS = [_divided(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    crc = MASK
    for byte in data:
        crc = crc >> 8 ^ REMAINDERS[(crc ^ byte) & 255]
    return crc ^ MASK


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & MASK)


def header(length: int) -> bytes:
    data = struct.pack("<Q", length)
    return data + masked(data)


def record(data: bytes) -> bytes:
    return header(len(data)) + data + masked(data)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def double(number: int, value: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", value)


def message(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def float32(number: int, value: float) -> bytes:
    return varint(number << 3 | 5) + struct.pack("<f", value)


def metadata(plugin: str) -> bytes:
    return message(9, message(1, message(1, plugin.encode())))


def shape(*sizes: int) -> bytes:
    return message(2, b"".join(message(2, integer(1, size)) for size in sizes))


def simple(tag: str | bytes, value: float) -> bytes:
    """Return a Summary.Value as PyTorch and tensorboardX write it."""
    return message(1, _bytes(tag)) + float32(2, value)


def tensor(tag: str | bytes, *fields: bytes, plugin: str | None = "scalars") -> bytes:
    """Return a Summary.Value with a TensorProto of these fields."""
    about = b"" if plugin is None else metadata(plugin)
    return message(1, _bytes(tag)) + message(8, b"".join(fields)) + about


def float_tensor(tag: str, value: float, plugin: str | None = "scalars") -> bytes:
    """Return a Summary.Value as TensorFlow 2 writes a scalar."""
    return tensor(tag, integer(1, 1), message(4, struct.pack("<f", value)), shape(), plugin=plugin)


def event(step: int, *values: bytes, wall_time: float = 1.5e9) -> bytes:
    summary = b"".join(message(1, value) for value in values)
    return double(1, wall_time) + integer(2, step) + message(5, summary)


def file_version(begun: float = 1.5e9) -> bytes:
    return double(1, begun) + message(3, b"brain.Event:2")


def session_start(step: int) -> bytes:
    return double(1, 1.5e9) + integer(2, step) + message(7, integer(1, 1))


def event_file(*events: bytes, begun: float = 1.5e9) -> bytes:
    """Return a log; two of one run do not begin at the same time."""
    return b"".join(map(record, [file_version(begun), *events]))


def curve(tag: str, values: Iterable[float]) -> list[bytes]:
    return [event(step, simple(tag, value)) for step, value in enumerate(values)]


def _bytes(tag: str | bytes) -> bytes:
    return tag.encode() if isinstance(tag, str) else tag
