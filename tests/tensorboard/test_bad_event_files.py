"""Damaged files: everything good is kept, and one line says what is wrong and where."""

import os
import subprocess
import sys

import pytest
from event_writer import curve, event, event_file, header, record, simple, varint
from tensorboardX import SummaryWriter

import ewma
from ewma.tensorboard._problems import DAMAGED, UNREADABLE, WARNING
from ewma.tensorboard._read import load_scalars

FIRST = event_file()
POINT = record(event(1, simple("a", 2)))


@pytest.fixture
def read(tmp_path):
    path = tmp_path / "events.out.tfevents.1"

    def read(data):
        path.write_bytes(data)
        columns, problems = load_scalars(path)
        assert all(problem.path == str(path) for problem in problems)
        assert all(str(problem).startswith(str(path)) for problem in problems)
        return rows(columns), problems

    return read


def rows(columns):
    tags = [columns.tag_names[code] for code in columns.tag]
    return list(
        zip(
            tags,
            columns.step.tolist(),
            columns.wall_time.tolist(),
            columns.value.tolist(),
            strict=True,
        )
    )


@pytest.fixture(scope="module")
def real_file(tmp_path_factory):
    """A small file of tensorboardX, as bytes."""
    folder = tmp_path_factory.mktemp("real")
    with SummaryWriter(str(folder)) as writer:
        for step in range(4):
            writer.add_scalar("loss", 1 / (step + 1), step)
            writer.add_scalar("accuracy", step / 4, step)
    (path,) = folder.iterdir()
    return path.read_bytes()


def flip(data, bit):
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_truncation_at_every_byte(read, real_file):
    whole, problems = read(real_file)
    assert len(whole) == 8
    assert not problems
    lengths = []
    rest = real_file
    while rest:
        lengths.append(int.from_bytes(rest[:8], "little") + 16)
        rest = rest[lengths[-1] :]
    ends = [sum(lengths[:i]) for i in range(len(lengths))]
    for size in range(1, len(real_file)):
        got, problems = read(real_file[:size])
        start = max(end for end in ends if end <= size)
        assert got == whole[: max(ends.index(start) - 1, 0)]
        if start == size:
            assert not problems
        else:
            (problem,) = problems
            assert (problem.offset, problem.exit_code) == (start, WARNING)
            left = size - start
            assert f"{left} byte{'s are' if left > 1 else ' is'} left over" in problem.message


def test_flip_of_every_bit(read, real_file):
    whole, _ = read(real_file)
    for bit in range(8 * len(real_file)):
        got, problems = read(flip(real_file, bit))
        assert got == whole or problems
        rest = iter(whole)
        assert all(row in rest for row in got)  # nothing invented, nothing out of order


def test_wrong_data_checksum(read):
    bad = flip(POINT, 8 * 20)
    got, problems = read(FIRST + POINT + bad + POINT + bad + bad + POINT)
    assert len(got) == 3
    (problem,) = problems
    assert (problem.offset, problem.exit_code) == (len(FIRST + POINT), DAMAGED)
    assert problem.message == (
        "3 records, of which this is the first, were left out, as the checksums of their data are "
        "wrong; everything else was read. Copy the file again from where it was written, if they "
        "matter."
    )


def test_malformed_protobuf(read):
    got, problems = read(FIRST + POINT + record(b"\x2a\x7fno") + POINT)
    assert len(got) == 2
    (problem,) = problems
    assert (problem.offset, problem.exit_code) == (len(FIRST + POINT), DAMAGED)
    assert problem.message == (
        "1 record was left out, as it holds no Event message, though its checksum is right; "
        "everything else was read. Copy the file again from where it was written, if it matters."
    )


def test_wrong_length_checksum(read):
    got, problems = read(FIRST + POINT + flip(POINT, 3) + POINT)
    assert len(got) == 1
    (problem,) = problems
    assert (problem.offset, problem.exit_code) == (len(FIRST + POINT), DAMAGED)
    assert "everything before it was read" in problem.message


def test_several_kinds_come_in_the_order_of_the_file(read):
    _, problems = read(FIRST + record(b"\x80") + flip(POINT, 200) + POINT + POINT[:-1])
    assert [problem.exit_code for problem in problems] == [DAMAGED, DAMAGED, WARNING]
    offsets = [problem.offset for problem in problems]
    assert offsets == sorted(offsets)


def test_length_beyond_the_file(read):
    got, problems = read(FIRST + POINT + header(2**30) + bytes(1000))
    assert len(got) == 1
    (problem,) = problems
    assert (problem.offset, problem.exit_code) == (len(FIRST + POINT), WARNING)
    assert "1012 bytes are left over" in problem.message


@pytest.mark.parametrize("length", [2**32, 2**40, 2**63, 2**64 - 1])
def test_length_that_no_event_has(read, length):
    got, (problem,) = read(FIRST + POINT + header(length) + bytes(1000))
    assert len(got) == 1
    assert (problem.offset, problem.exit_code) == (len(FIRST + POINT), DAMAGED)
    assert "beyond the end of the file, more than any event can have" in problem.message


def test_length_beyond_the_file_is_not_read(tmp_path):
    """A file with a hole of a terabyte ends at once: the record would be longer than that."""
    path = tmp_path / "tfevents"
    path.write_bytes(FIRST + POINT + header(2**45))
    size = 2**40
    with path.open("r+b") as file:
        file.truncate(size)
    columns, (problem,) = load_scalars(path)
    assert len(columns) == 1
    beyond = len(FIRST + POINT + header(2**45)) + 2**45 + 4 - size
    assert f"a record claims {beyond:,} bytes beyond the end of the file" in problem.message


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(50), b"step,value\n" * 9, bytes(99)])
def test_not_an_event_file(read, data):
    got, (problem,) = read(data)
    assert got == []
    assert problem.exit_code == UNREADABLE
    assert "not an event file" in problem.message


def test_empty_file(read):
    got, (problem,) = read(b"")
    assert got == []
    assert problem.exit_code == UNREADABLE
    assert "empty" in problem.message


def test_first_record_need_not_be_the_version(read):
    assert read(POINT) == ([("a", 1, 1.5e9, 2)], [])


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        (b"\xff\xfe", r"\xff\xfe"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a lone surrogate
        ("ü 損失".encode(), "ü 損失"),
        (b'a\n"b",=cmd\x00', 'a\n"b",=cmd\x00'),
    ],
)
def test_any_tag(read, tag, expected):
    ((got, *_),), problems = read(FIRST + record(event(1, simple(tag, 2))))
    assert got == expected
    assert not problems


def test_tags_that_look_the_same_become_one(read):
    got, _ = read(FIRST + record(event(1, simple(b"\xff", 2), simple(rb"\xff", 3))))
    assert got == [(r"\xff", 1, 1.5e9, 2), (r"\xff", 1, 1.5e9, 3)]


def test_error_while_reading_keeps_what_was_read(tmp_path, monkeypatch):
    data = event_file(*curve("a", [1.0] * 9000))
    (tmp_path / "tfevents.1").write_bytes(data)
    (tmp_path / "tfevents.2").write_bytes(event_file(*curve("b", [1.0])))

    class Disk:
        """A file whose second chunk cannot be read."""

        def __init__(self, file):
            self._file = file
            self._chunks = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._file.close()

        def __getattr__(self, name):
            return getattr(self._file, name)

        def readinto(self, buffer):
            self._chunks += 1
            if self._chunks == 2:
                raise OSError(5, "Input/output error")
            return self._file.readinto(buffer)

    monkeypatch.setattr(
        "builtins.open",
        lambda path, *args, _open=open, **options: Disk(_open(path, *args, **options)),
    )
    columns, problems = load_scalars(tmp_path)
    assert "Input/output error" in str(problems[0])
    assert problems[0].path.endswith("tfevents.1")
    assert problems[0].exit_code == UNREADABLE
    assert columns.tag_names == ["a", "b"]
    assert 5000 < len(columns) < 9001


@pytest.mark.parametrize("read", [ewma.read_scalars, ewma.smooth_scalars])
def test_a_warning_points_at_the_line_that_called(read, tmp_path):
    path = tmp_path / "events.out.tfevents.1.host"
    path.write_bytes((FIRST + POINT)[:-1])
    with pytest.warns(ewma.EwmaWarning) as caught:
        read(path)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's limit of memory")
def test_no_memory_for_a_record(tmp_path):
    """It is the problem of its file alone, also where the files are followed."""
    size = 1 << 29
    bad, good = (tmp_path / name / "tfevents" for name in ("bad", "good"))
    unknown = varint(100 << 3 | 2) + varint(size - 7)  # of which nothing says that it is none
    for path in (bad, good):
        path.parent.mkdir()
        path.write_bytes(FIRST + POINT)
    with bad.open("ab") as file:
        file.write(header(size) + unknown)
    os.truncate(bad, len(FIRST + POINT) + 16 + size)
    script = f"""
import resource
from ewma._follow import SmoothingFollower
from ewma.tensorboard._read import load_scalars
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, resource.RLIM_INFINITY))
path = {str(tmp_path)!r}
columns, problems = load_scalars(path)
print(len(columns), *problems)
said = []
follower = SmoothingFollower(path, 0.9, report=said.append)
print(sum(len(points.smoothed) for points in follower.poll()), *said)
open({str(bad)!r}, "ab").write(b"more")
open({str(good)!r}, "ab").write({POINT!r})
print(sum(len(points.smoothed) for points in follower.poll()), len(said))
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    problem = (
        f"{bad}, byte {len(FIRST + POINT)}: there was not enough memory for what comes here; "
        "everything before was read. Read it where there is more, or leave the path out."
    )
    assert answer.stdout.splitlines() == [f"2 {problem}", f"2 {problem}", "1 1"]
