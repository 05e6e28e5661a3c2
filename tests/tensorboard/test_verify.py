"""Which checksums are compared, and what is passed over without being read."""

import os

import pytest
from event_writer import (
    double,
    event,
    event_file,
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

import ewma
from ewma._core import EventReader
from ewma.tensorboard._problems import DAMAGED
from ewma.tensorboard._read import load_scalars

MODES = ["all", "scalars", "none"]
LONG = 1 << 15
POINT = event(1, simple("a", 2))
BLOB = bytes(range(256)) * (LONG // 256)

# What TensorFlow, PyTorch and tensorboardX write, each longer than 16 KiB.
WITHOUT_SCALARS = {
    "image": event(1, message(1, b"i") + message(4, integer(1, 9) + message(4, BLOB))),
    "image tensor": event(
        1, tensor("i", integer(1, 7), shape(3), message(8, b"9"), message(8, BLOB), plugin="images")
    ),
    "histogram": event(1, message(1, b"h") + message(5, double(1, 0) + message(6, BLOB))),
    "histogram tensor": event(
        1, tensor("h", integer(1, 2), shape(30, 3), message(4, BLOB), plugin="histograms")
    ),
    "audio": event(1, message(1, b"s") + message(6, message(4, BLOB))),
    "graph": double(1, 1.5e9) + message(4, BLOB),
    "meta graph": double(1, 1.5e9) + message(9, BLOB),
    "run metadata": double(1, 1.5e9) + message(8, message(1, b"step1") + message(2, BLOB)),
}
# Records as long that have a scalar after all, or may have.
WITH_SCALARS = {
    "image first": event(1, message(1, b"i") + message(4, BLOB), simple("a", 2)),
    "scalar first": event(1, simple("a", 2), message(1, b"i") + message(4, BLOB)),
    "long tag": event(1, simple(BLOB, 2)),
    "long description": event(1, float_tensor("a", 2) + message(9, message(3, BLOB))),
    "summary after a graph": message(4, BLOB) + POINT,
    "two elements that are one": event(
        1, tensor("a", integer(1, 1), shape(1), message(99, BLOB), message(5, bytes(4)))
    ),
}


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def read(data, verify="scalars", wanted=None, chunk=None):
    reader = EventReader(verify, wanted)
    chunk = chunk or len(data)
    for i in range(0, len(data), chunk):
        reader.feed(data[i : i + chunk])
    return len(reader.take()[0]), reader.bad_data[0], reader.bad_event[0]


@pytest.mark.parametrize("verify", MODES)
@pytest.mark.parametrize("chunk", [1000, 1 << 14, None])
@pytest.mark.parametrize("kind", WITHOUT_SCALARS)
def test_long_records_without_scalars(kind, chunk, verify):
    good = record(WITHOUT_SCALARS[kind])
    bad = flipped(good, LONG // 2)
    data = record(POINT) + good + record(POINT) + bad + record(POINT)
    assert read(data, verify, None, chunk) == (3, verify == "all", 0)


@pytest.mark.parametrize("verify", MODES)
@pytest.mark.parametrize("chunk", [1000, None])
@pytest.mark.parametrize("kind", WITH_SCALARS)
def test_long_records_with_scalars(kind, chunk, verify):
    data = record(WITH_SCALARS[kind])
    assert read(data, verify, None, chunk) == (1, 0, 0)
    assert read(flipped(data, len(data) - 1), verify, None, chunk) == (
        (1, 0, 0) if verify == "none" else (0, 1, 0)
    )


@pytest.mark.parametrize("verify", MODES)
def test_points(verify):
    good = record(POINT)
    assert read(good * 3 + flipped(good, len(good) - 6) + good, verify)[:2] == (
        (5, 0) if verify == "none" else (4, 1)
    )


@pytest.mark.parametrize("verify", MODES)
def test_points_left_out(verify):
    """Of a tag that is not wanted, only what is not as before is looked at."""
    other = record(event(1, simple("b", 2)))
    bad_value, bad_tag = flipped(other, len(other) - 6), flipped(other, other.index(b"b"))
    data = (record(POINT) + other) * 3 + record(POINT) + bad_value + record(POINT)
    assert read(data, verify, lambda tag: tag == b"a") == (5, verify == "all", 0)
    assert read(data + bad_tag, "scalars", lambda tag: tag == b"a") == (5, 1, 0)


@pytest.mark.parametrize("verify", MODES)
@pytest.mark.parametrize("value", [simple("bbb", 2), simple("b" * 99, 2), float_tensor("b", 2)])
@pytest.mark.parametrize("step", [0, 5, 300])
def test_any_damage_to_what_is_left_out(value, step, verify):
    """What comes as before is compared and not read; byte by byte it has to be read."""
    other, wanted = record(event(step, value)), record(event(step, simple("a", 2)))

    def all_found(data, chunk):
        reader = EventReader(verify, lambda tag: tag == b"a")
        for i in range(0, len(data), chunk):
            reader.feed(data[i : i + chunk])
        found = [column.tolist() for column in reader.take()]
        bad = reader.bad_length, reader.bad_data, reader.bad_event
        return found, reader.tags, reader.left_out, bad, reader.offset, reader.needed

    lead, tail = (other + wanted) * 4, (wanted + other) * 2
    damaged = [
        other[:i] + bytes([other[i] ^ 1 << bit]) + other[i + 1 :]
        for i in range(len(other))
        for bit in ((0, 7) if i < 12 else range(8))
    ]
    longer = [record(event(step + 1, value)), record(event(step << 7, value))]
    for changed in [*damaged, *longer, wanted, other[:-1], b""]:
        data = lead + changed + tail
        assert all_found(data, len(data)) == all_found(data, 1)


@pytest.mark.parametrize(
    "value",
    [simple("b", 2), simple("bbb/bb", 2), simple("b" * 20, 2), float_tensor("bb", 2, plugin=None)],
)
def test_what_came_before_changes_the_meaning_of_nothing(value):
    """Records are compared with those before them: each means what it means alone."""
    before, other = record(event(5, value)), record(event(5, simple("a", 2)))

    def meaning(records):
        rows, left_out = [], set()
        for data in records:
            reader = EventReader("none", lambda tag: not tag.startswith(b"c"))
            reader.feed(data)
            tag, *columns = reader.take()
            names = [reader.tags[i] for i in tag]
            rows += zip(names, *(column.view("i8").tolist() for column in columns), strict=True)
            left_out |= {*reader.left_out, *[("bad event",)] * reader.bad_event[0]}
        return rows, left_out

    for i in range(12, len(before)):
        for bit in range(8):
            changed = before[:i] + bytes([before[i] ^ 1 << bit]) + before[i + 1 :]
            records = [before, other] * 3 + [changed, other]
            assert meaning([b"".join(records)]) == meaning(records)


@pytest.mark.parametrize("verify", MODES)
def test_what_is_no_event_is_told_in_any_mode(verify):
    assert read(record(POINT) + record(b"\x80"), verify) == (1, 0, 1)
    assert read(record(POINT) + flipped(record(b"\x80"), 14), verify) == (1, 1, 0)


class TestSkipping:
    def test_all_but_the_end_may_be_skipped(self):
        """A tag's plugin stands behind its tensor."""
        for name, data in WITHOUT_SCALARS.items():
            reader = EventReader()
            whole = record(data)
            reader.feed(whole[: 1 << 12])
            kept = 4 + (len(metadata(name.split()[0] + "s")) if "tensor" in name else 0)
            assert reader.skippable == len(whole) - (1 << 12) - kept, name
            reader.skip(1 << 40)  # no more than there is
            assert (reader.needed, reader.skippable) == (kept, 0)
            reader.feed(whole[-kept:] + record(POINT))
            assert reader.needed == 0
            assert len(reader.take()[0]) == 1

    def test_nothing_is_skipped_where_all_is_verified(self):
        reader = EventReader("all")
        reader.feed(record(WITHOUT_SCALARS["image"])[: 1 << 12])
        assert reader.skippable == 0

    def test_the_file_is_not_read_there(self, tmp_path, monkeypatch):
        path = tmp_path / "tfevents"
        image = record(event(1, message(1, b"i") + message(4, bytes(1 << 20))))
        path.write_bytes(event_file(POINT) + (image + record(POINT)) * 8)
        done = []

        class Counting:
            def __init__(self, file):
                self._file = file

            def __getattr__(self, name):
                return getattr(self._file, name)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self._file.close()

            def readinto(self, buffer):
                done.append(self._file.readinto(buffer))
                return done[-1]

        monkeypatch.setattr(
            "builtins.open",
            lambda path, *args, _open=open, **options: Counting(_open(path, *args, **options)),
        )
        assert len(ewma.read_scalars(path, verify="all")) == 9
        assert sum(done) == path.stat().st_size
        done.clear()
        assert len(ewma.read_scalars(path)) == 9
        assert sum(done) < 1 << 19

    def test_memory_does_not_follow_the_images(self):
        resource = pytest.importorskip("resource")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = 1 << 29
        value = message(1, b"i") + b"\x22" + varint(size)
        summary = b"\x0a" + varint(len(value) + size) + value
        data = double(1, 1.0) + b"\x2a" + varint(len(summary) + size) + summary
        reader = EventReader("all")
        reader.feed(header(len(data) + size) + data)
        for _ in range(size >> 24):
            reader.feed(bytes(1 << 24))
        reader.feed(bytes(4))
        assert (reader.needed, reader.bad_data[0]) == (0, 1)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert after - before < 1 << 17  # KiB; macOS counts bytes, and so a stricter limit


TAGS = st.sampled_from(["a", "b", "cc", "d" * 40])
VALUES = st.one_of(
    st.builds(simple, TAGS, st.floats(width=32)),
    st.builds(float_tensor, TAGS, st.floats(width=32), st.sampled_from([None, "scalars", "x"])),
    st.builds(lambda tag: message(1, tag.encode()) + metadata("x"), TAGS),
    st.builds(lambda tag: tensor(tag, integer(1, 2), message(6, bytes(8)), shape(1)), TAGS),
)


@given(
    st.lists(st.tuples(st.integers(-1, 300), st.lists(VALUES, max_size=3)), max_size=20),
    st.sampled_from(MODES),
    st.sets(TAGS),
)
def test_a_filter_leaves_what_it_wants_and_modes_agree(events, verify, wanted):
    data = event_file(*(event(step, *values) for step, values in events))

    def rows(*options):
        reader = EventReader(*options)
        reader.feed(data)
        assert reader.bad_data == reader.bad_event == (0, 0)
        tag, step, wall_time, value = reader.take()
        names = [name.decode() for name in reader.tags]
        return list(
            zip(
                [names[i] for i in tag],
                step.tolist(),
                wall_time.tolist(),
                value.view("i8").tolist(),
                strict=True,
            )
        ), {name.decode() for name in reader.left_out}

    every, left_out = rows("all")
    assert not left_out
    some, left_out = rows(verify, lambda tag: tag.decode() in wanted)
    assert some == [row for row in every if row[0] in wanted]
    assert left_out == {row[0] for row in every} - wanted


class TestPublic:
    @pytest.fixture
    def log(self, tmp_path):
        image = flipped(record(WITHOUT_SCALARS["image"]), LONG // 2)
        path = tmp_path / "tfevents"
        path.write_bytes(event_file(POINT) + image + flipped(record(POINT), len(record(POINT)) - 6))
        return path

    @pytest.mark.parametrize(("verify", "points", "bad"), [("all", 1, 2), ("scalars", 1, 1)])
    def test_modes(self, log, verify, points, bad):
        columns, (problem,) = load_scalars(log, verify=verify)
        assert len(columns) == points
        assert problem.exit_code == DAMAGED
        assert problem.message.startswith(f"{bad} record")

    @pytest.mark.parametrize("read", [ewma.read_scalars, ewma.smooth_scalars])
    def test_none(self, log, read):
        assert len(read(log, verify="none", errors="raise")) == 2
        with pytest.raises(ValueError, match="checksum"):
            read(log, errors="raise")

    @pytest.mark.parametrize("verify", ["some", None, True])
    def test_another_mode(self, log, verify):
        with pytest.raises(
            ValueError, match=f"verify must be 'all', 'scalars' or 'none', not {verify!r}"
        ):
            ewma.read_scalars(log, verify=verify)
        with pytest.raises((ValueError, TypeError)):
            EventReader(os.fspath(log))
