import random

import event_writer
import pytest

from ewma._core import crc32c

# RFC 3720, B.4, and the check value of every catalogue of checksums.
KNOWN = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize("portable", [False, True])
class TestCrc32c:
    @pytest.mark.parametrize(("data", "expected"), KNOWN)
    def test_known(self, data, expected, portable):
        assert crc32c(data, portable) == expected
        assert event_writer.crc32c(data) == expected

    def test_any_length_at_any_address(self, portable):
        data = random.Random(0).randbytes(80)
        for start in range(8):
            for end in range(start, len(data)):
                part = memoryview(data)[start:end]
                assert crc32c(part, portable) == event_writer.crc32c(part)

    @pytest.mark.parametrize("size", [3071, 3072, 3073, 6143, 6145, 1 << 20])
    def test_long(self, size, portable):
        data = random.Random(1).randbytes(size)
        assert crc32c(data, portable) == crc32c(data, not portable)
        if size < 1 << 20:
            assert crc32c(data, portable) == event_writer.crc32c(data)

    def test_not_bytes(self, portable):
        with pytest.raises(TypeError):
            crc32c("text", portable)
