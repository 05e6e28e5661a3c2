"""`follow`: each new point once, whatever happens to the files meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from event_writer import (
    curve,
    event,
    event_file,
    header,
    record,
    simple,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from looker import Looker, append, points
from tensorboardX import SummaryWriter

import ewma
from ewma import _follow

NAN, INF = float("nan"), float("inf")


def assert_as_finished(found, path, beta=0.9):
    """The points are those of the finished files, the means equal to 2 units in the last place."""
    frame = ewma.smooth_scalars(path, beta)
    assert len(found) == len(frame)
    columns = {}
    for point in found:
        columns.setdefault((point.run, point.tag), []).append(point[2:])
    for key, group in frame.groupby(["run", "tag"], observed=True):
        mine = np.array(columns.pop(key))
        rest = group[["step", "wall_time", "value"]].to_numpy()
        np.testing.assert_array_equal(mine[:, :3], rest)
        finite = np.abs(rest[np.isfinite(rest[:, 2]), 2])
        unit = np.spacing(finite.max()) if len(finite) else 0
        np.testing.assert_allclose(mine[:, 3], group["smoothed"], rtol=0, atol=2 * unit)
    assert not columns


class TestGrowing:
    def test_every_point_once(self, log):
        log.write_bytes(event_file(*curve("loss", [4, 1])))
        looker = Looker(log.parent)
        assert looker.look() == [
            (".", "loss", 0, 1.5e9, 4.0, 4.0),
            (".", "loss", 1, 1.5e9, 1.0, pytest.approx(4 - 3 / 1.9)),
        ]
        assert looker.look() == []
        append(log, points([7], 2))
        assert looker.values() == [7.0]
        assert looker.look() == looker.said == []

    def test_cut_at_every_byte(self, tmp_path):
        events = [event(1, simple("a", 4), simple("b", 5)), event(2, simple("a", 6))]
        data, first = event_file(*events), len(event_file(events[0]))
        for cut in range(len(data) + 1):
            path = tmp_path / f"{cut}.tfevents"
            path.write_bytes(data[:cut])
            looker = Looker(path)
            found = looker.values()
            assert found == [4, 5, 6][: 3 * (cut == len(data)) or 2 * (cut >= first)]
            append(path, data[cut:])
            assert found + looker.values() == [4, 5, 6]
            assert not [line for line in looker.said if "no scalars here yet" not in line]
            path.unlink()

    @given(data=st.data())
    @settings(max_examples=30, deadline=None)
    def test_any_flushes(self, data, tmp_path_factory):
        values = data.draw(
            st.lists(st.floats(width=32) | st.sampled_from([NAN, INF]), min_size=1, max_size=30)
        )
        beta = data.draw(st.sampled_from([0.0, 0.5, 0.9, 0.999, 1.0]))
        events = [event(k, simple("ab"[k % 2], value)) for k, value in enumerate(values)]
        log = event_file(*events)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=8)))
        path = tmp_path_factory.mktemp("any") / "1.tfevents"
        looker, found = Looker(path, beta), []
        for a, b in zip([0, *cuts], [*cuts, len(log)], strict=True):
            append(path, log[a:b])
            found += looker.look()
        assert_as_finished(found, path, beta)

    def test_real_writer(self, tmp_path):
        looker, found = Looker(tmp_path), []
        with SummaryWriter(str(tmp_path / "a"), flush_secs=1000) as one:
            for step in range(40):
                one.add_scalar("loss", 1 / (step + 1), step)
                one.add_scalars("both", {"x": step, "y": -step}, step)
                if step % 7 == 0:
                    one.flush()
                    found += looker.look()
        found += looker.look()
        assert len(found) == 120
        assert {point.run for point in found} == {"a", "a/both/x", "a/both/y"}
        assert_as_finished(found, tmp_path)
        assert all("no scalars here yet" in line for line in looker.said)

    def test_a_long_log_in_blocks(self, log, monkeypatch):
        monkeypatch.setattr("ewma.tensorboard._tail._BLOCK", 1)
        monkeypatch.setattr("ewma.tensorboard._follow.CHUNK", 100)
        log.write_bytes(event_file(*curve("loss", range(100))))
        assert_as_finished(Looker(log.parent).look(), log.parent)


class TestAppearing:
    def test_nothing_is_there_yet(self, tmp_path):
        looker = Looker(tmp_path / "logs")
        assert looker.look() == looker.look() == []
        (line,) = looker.said
        assert "no scalars here yet" in line
        (tmp_path / "logs/b/c").mkdir(parents=True)
        assert looker.look() == []
        (tmp_path / "logs/b/c/1.tfevents").write_bytes(event_file(*curve("x", [1])))
        assert [point.run for point in looker.look()] == ["b/c"]
        assert looker.said == [line]

    def test_file_that_is_not_there_yet(self, log):
        looker = Looker(log)
        looker.look()
        log.write_bytes(event_file(*curve("x", [1])))
        assert [point.run for point in looker.look()] == ["."]

    def test_new_runs_files_and_tags(self, log):
        root = log.parents[1]
        log.write_bytes(event_file(*curve("loss", [1])))
        looker = Looker(root)
        assert len(looker.look()) == 1
        append(log, record(event(1, simple("new", 5))))
        (root / "run/2.tfevents").write_bytes(event_file(event(9, simple("loss", 3))))
        (root / "a").mkdir()
        (root / "a/1.tfevents").write_bytes(event_file(*curve("loss", [8])))
        found = looker.look() + looker.look()
        assert sorted(point[:2] for point in found) == [
            ("a", "loss"),
            ("run", "loss"),
            ("run", "new"),
        ]

    def test_a_folder_whose_time_is_long_past(self, log):
        log.write_bytes(event_file(*curve("loss", [1])))
        root = log.parents[1]
        for folder in (root, log.parent):
            os.utime(folder, (1, 1))
        looker = Looker(root)
        assert looker.values() == [1]
        (root / "b").mkdir()
        (root / "b/1.tfevents").write_bytes(event_file(*curve("loss", [2])))
        (log.parent / "2.tfevents").write_bytes(event_file(event(5, simple("loss", 3))))
        assert looker.values() == [2, 3]

    def test_each_look_sees_what_is_new_in_an_old_folder(self, tmp_path):
        runs = [tmp_path / "sweep" / f"run_{k}" for k in range(6)]
        for run in runs:
            run.mkdir(parents=True)
            (run / "1.tfevents").write_bytes(event_file(*curve("loss", [1])))
            os.utime(run, (1e9, 1e9))
        looker = Looker(tmp_path)
        looker.look()
        for k, run in enumerate(runs):
            (run / "2.tfevents").write_bytes(event_file(event(1, simple("loss", k))))
            assert looker.values() == [k]
            assert looker.look() == []

    def test_a_file_in_the_same_tick_of_the_folders_clock(self, log):
        log.write_bytes(event_file(*curve("loss", [1])))
        looker = Looker(log.parent)
        looker.look()
        before = log.parent.stat().st_mtime_ns
        (log.parent / "2.tfevents").write_bytes(event_file(event(5, simple("loss", 3))))
        os.utime(log.parent, ns=(before, before))
        assert looker.values() == [3]

    def test_a_folder_without_a_time(self, log):
        log.write_bytes(event_file(*curve("loss", [1])))
        os.utime(log.parent, (1, 1))
        looker = Looker(log.parent)
        looker.look()
        (log.parent / "2.tfevents").write_bytes(event_file(event(5, simple("loss", 3))))
        os.utime(log.parent, (1, 1))
        assert [value for _ in range(70) for value in looker.values()] == [3]

    def test_pattern(self, tmp_path):
        looker = Looker(tmp_path / "r*")
        looker.look()
        for name in ("r1", "s1"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "1.tfevents").write_bytes(event_file(*curve("x", [1])))
        assert [p.run for _ in range(70) for p in looker.look()] == ["r1"]

    def test_several_paths_are_named_as_by_read_scalars(self, tmp_path):
        paths = [tmp_path / "a", tmp_path / "b/c"]
        looker = Looker(paths)
        looker.look()
        for path in paths:
            path.mkdir(parents=True)
            (path / "1.tfevents").write_bytes(event_file(*curve("x", [1])))
        assert [point.run for point in looker.look()] == list(
            ewma.read_scalars(paths)["run"].unique()
        )

    def test_symlinks_lead_in_a_circle(self, log):
        log.write_bytes(event_file(*curve("loss", [1])))
        (log.parent / "again").symlink_to(log.parents[1], target_is_directory=True)
        (log.parent / "2.tfevents").symlink_to(log)
        looker = Looker(log.parents[1])
        assert [point.run for _ in range(70) for point in looker.look()] == ["run"]

    def test_links_from_another_folder_take_no_name_away(self, tmp_path):
        for name in "ab":
            (tmp_path / "runs" / name).mkdir(parents=True)
            (tmp_path / "runs" / name / f"{name}.tfevents").write_bytes(event_file() + points([1]))
        for folder in ("best", "starred"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "model").symlink_to(tmp_path / "runs/a")
            (tmp_path / folder / "b.tfevents").symlink_to(tmp_path / "runs/b/b.tfevents")
        assert [point.run for point in Looker(tmp_path).look()] == ["runs/a", "runs/b"]

    @pytest.mark.parametrize("link", [os.link, os.symlink])
    def test_a_run_that_begins_with_anothers_log(self, tmp_path, link):
        for name in ("base", "fork"):
            (tmp_path / name).mkdir()
        (tmp_path / "base/1.tfevents").write_bytes(event_file() + points([1, 2]))
        (tmp_path / "fork/2.tfevents").write_bytes(event_file() + points([3], first=2))
        link(tmp_path / "base/1.tfevents", tmp_path / "fork/1.tfevents")
        looker = Looker(tmp_path)
        seen = sorted((point.run, point.step) for point in looker.look())
        assert seen == [("base", 0), ("base", 1), ("fork", 0), ("fork", 1), ("fork", 2)]
        expected = ewma.read_scalars(tmp_path)
        assert seen == sorted(zip(expected["run"], expected["step"], strict=True))
        assert looker.look() == []

    def test_filters(self, log):
        log.write_bytes(event_file(*curve("loss", [1, 2]), *curve("acc", [3])))
        other = log.parents[1] / "other"
        other.mkdir()
        (other / "1.tfevents").write_bytes(log.read_bytes())
        assert Looker(log.parents[1], runs="r*", tags="a*").values() == [3]

    @pytest.mark.parametrize(
        ("filters", "there"), [({"tags": "x"}, "'loss'"), ({"runs": "x"}, "'run'")]
    )
    def test_what_is_there_when_nothing_matches(self, log, filters, there):
        log.write_bytes(event_file(*curve("loss", [1])))
        looker = Looker(log.parents[1], **filters)
        assert looker.look() == looker.look() == []
        (line,) = looker.said
        assert there in line


class TestAccidents:
    @pytest.fixture
    def looker(self, log):
        """What follows a log of three points, and has read them."""
        log.write_bytes(event_file() + points([1, 2, 3]))
        looker = Looker(log.parent)
        assert looker.values() == [1, 2, 3]
        return looker

    def test_deleted(self, log, looker):
        log.unlink()
        assert looker.look() + looker.look() + looker.look() == []
        (line,) = looker.said
        assert "is gone" in line
        log.write_bytes(event_file() + points([9], 7))
        assert looker.values() + looker.values() == [9]

    def test_folder_vanishes(self, log, looker):
        log.unlink()
        log.parent.rmdir()
        assert looker.look() + looker.look() + looker.look() == []
        (line,) = looker.said
        assert "is gone" in line
        log.parent.mkdir()
        log.write_bytes(event_file() + points([9], 7))
        assert looker.values() == [9]

    def test_many_gone_are_one_line(self, log, looker):
        (log.parent / "2.tfevents").write_bytes(event_file() + points([4], 8))
        assert looker.values() + looker.values() == [4]
        for path in log.parent.iterdir():
            path.unlink()
        looker.look(), looker.look()
        (line,) = looker.said
        assert "and 1 more are gone" in line

    @pytest.mark.parametrize("in_place", [False, True])
    def test_replaced_by_another_log(self, log, looker, in_place):
        other = event_file() + points([7, 8, 9, 10], 3)
        if in_place:
            log.write_bytes(other)
        else:
            (log.parent / "new").write_bytes(other)
            (log.parent / "new").replace(log)
        assert looker.values() == [7, 8, 9, 10]
        (line,) = looker.said
        assert "replaced or cut short" in line
        append(log, points([11], 7))
        assert looker.values() == [11]

    def test_written_over_by_one_of_the_same_size(self, log, looker):
        size = log.stat().st_size
        log.write_bytes(event_file() + points([7, 8, 9], 3))
        assert log.stat().st_size == size
        os.utime(log, ns=(0, log.stat().st_mtime_ns + 10**9))  # whatever the clock's ticks
        assert looker.values() == [7, 8, 9]
        (line,) = looker.said
        assert "replaced or cut short" in line

    def test_written_to_without_a_change(self, log, looker):
        os.utime(log, ns=(0, log.stat().st_mtime_ns + 10**9))
        assert looker.look() + looker.look() == []
        assert looker.said == []

    def test_truncated(self, log, looker):
        log.write_bytes(event_file() + points([1]))
        assert looker.values() == [1]
        assert ["replaced or cut short" in line for line in looker.said] == [True, False]
        assert "resumed" in looker.said[1]

    def test_emptied(self, log, looker):
        log.write_bytes(b"")
        assert looker.look() == []
        log.write_bytes(event_file() + points([5], 3))
        assert looker.values() == [5]

    def test_replaced_by_a_longer_copy_of_itself(self, log, looker):
        (log.parent / "new").write_bytes(log.read_bytes() + points([4], 3))
        (log.parent / "new").replace(log)
        assert looker.values() == [4]
        assert looker.said == []

    def test_gone_for_a_moment(self, log, looker):
        data = log.read_bytes()
        log.unlink()
        assert looker.look() == []
        log.write_bytes(data + points([4], 3))
        assert looker.values() + looker.values() == [4]
        assert looker.said == []

    def test_renamed(self, log, looker):
        log = log.rename(log.parent / "renamed.tfevents")
        assert looker.look() + looker.look() == []
        append(log, points([4], 3))
        assert looker.values() == [4]
        assert looker.said == []

    def test_renamed_and_another_one_begun_in_its_place(self, log, looker):
        for number in (4, 5):
            log.rename(log.parent / f"{log.name}.{number}")
            log.write_bytes(event_file() + points([number], number))
            assert looker.values() == [number]
            assert [looker.values() for _ in range(70)] == [[]] * 70
        append(log.parent / f"{log.name}.5", points([6], 6))
        assert looker.values() == [6]
        assert looker.said == []

    def test_renamed_and_a_pipe_in_its_place(self, log, looker):
        renamed = log.rename(log.parent / "renamed.tfevents")
        os.mkfifo(log)
        append(renamed, points([4], 4))
        assert looker.values() == [4]
        (line,) = looker.said
        assert "only regular files can be followed" in line

    def test_no_permission(self, log, looker, monkeypatch):
        append(log, points([4], 3))

        def refuse(path, *_, **__):
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr("ewma.tensorboard._tail._open", refuse)
        assert looker.look() + looker.look() == []
        (line,) = looker.said
        assert "permission" in line
        monkeypatch.undo()
        assert looker.values() == [4]

    def test_a_folder_in_its_place(self, log, looker):
        log.unlink()
        log.mkdir()
        looker.look(), looker.look()
        assert looker.said

    def test_damaged_record_is_said_once(self, log, looker):
        bad = bytearray(points([4], 3))
        bad[-1] ^= 1
        append(log, bytes(bad) + points([5], 4))
        assert looker.values() == [5]
        append(log, bytes(bad) + points([6], 5))
        assert looker.values() == [6]
        (line,) = looker.said
        assert "checksum" in line

    def test_no_event_file(self, log):
        log.write_bytes(b"something else, and long enough")
        looker = Looker(log.parent)
        assert looker.look() == []
        assert any("not an event file" in line for line in looker.said)

    def test_a_length_that_is_a_lie(self, log, looker):
        append(log, header(1 << 62) + b"x" * 1000)
        assert looker.look() == looker.said == []


class TestIterator:
    def test_yields_points_and_ends_when_idle(self, log, monkeypatch):
        log.write_bytes(event_file() + points([1]))
        more = [points([2], 1), b"", points([3], 2)]
        waits = []

        def wait(seconds):
            waits.append(seconds)
            append(log, more.pop(0) if more else b"")

        monkeypatch.setattr(_follow, "sleep", wait)
        found = list(ewma.follow(log.parent, 0.5, stop_when_idle=1))
        assert [point.value for point in found] == [1, 2, 3]
        assert sum(waits[3:]) >= 1
        assert found[-1]._fields == ("run", "tag", "step", "wall_time", "value", "smoothed")
        assert_as_finished(found, log.parent, 0.5)

    def test_can_be_left_and_closed(self, log):
        log.write_bytes(event_file() + points([1, 2, 3]))
        following = ewma.follow(log.parent)
        assert next(following).value == 1
        following.close()
        assert list(following) == []

    def test_warns(self, log, monkeypatch):
        log.write_bytes(event_file() + points([1, 2]))
        monkeypatch.setattr(_follow, "sleep", lambda _: log.unlink(missing_ok=True))
        with pytest.warns(ewma.EwmaWarning, match="is gone") as caught:
            assert len(list(ewma.follow(log, stop_when_idle=1))) == 2
        assert [warning.filename for warning in caught] == [__file__]

    @pytest.mark.parametrize(
        ("path", "options", "message"),
        [
            ("x", {"beta": 2}, "beta"),
            ("x", {"beta": 0.5, "span": 3}, "only one"),
            ("x", {"stop_when_idle": -1}, "stop_when_idle must be at least 0"),
            ("x", {"stop_when_idle": NAN}, "stop_when_idle must be at least 0"),
            ([], {}, "at least one path"),
        ],
    )
    def test_refused_at_once(self, path, options, message):
        with pytest.raises(ValueError, match=message):
            ewma.follow(path, **options)


WRITER = """
import random, sys
from event_writer import event, file_version, record, simple
path, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
records = [record(event(k, simple("loss", k))) for k in range(1000)]
data = record(file_version()) + b"".join(records)
with open(path, "ab", buffering=0) as file:
    for part in range(count // 1000):
        while data:
            size = chance.choice([1, 13, 700, 65536])
            file.write(data[:size])
            data = data[size:]
        data = b"".join(records)
        if part == 0:
            input()  # the beginning has been read
"""


def test_while_another_process_writes(log):
    count = 200_000
    helpers = Path(sys.modules["event_writer"].__file__).parent
    writer = subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, os.fspath(log), str(count), "1"],
        env=os.environ | {"PYTHONPATH": os.fspath(helpers)},
        stdin=subprocess.PIPE,
    )
    looker, parts = Looker(log.parent), []
    while sum(map(len, (part.points for part in parts))) < 1000:
        parts += looker.follower.poll()
    writer.stdin.write(b"\n")
    writer.stdin.close()
    while writer.poll() is None:
        parts += looker.follower.poll()
    parts += looker.follower.poll()
    assert writer.returncode == 0
    value = np.concatenate([part.points.value for part in parts])
    np.testing.assert_array_equal(value, np.tile(np.arange(1000.0), count // 1000))
    smoothed = np.concatenate([part.smoothed for part in parts])
    np.testing.assert_allclose(smoothed, ewma.smooth(value, 0.9), rtol=0, atol=2 * np.spacing(999))
    assert all("no scalars here yet" in line for line in looker.said)
    assert len(parts) > 1


class TestSmoothedCurves:
    """What `-o LOGDIR/` wrote beside the runs."""

    FILE = "events.out.tfevents.ewma.000001"

    def write(self, path, value):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(event_file() + points([value]))

    def test_are_not_smoothed_again(self, tmp_path):
        for run in ("a", "b/c"):
            self.write(tmp_path / run / "1.tfevents", 1.0)
            self.write(tmp_path / f"{run}.smoothed" / self.FILE, 2.0)
        self.write(tmp_path / "a.segment1.smoothed" / self.FILE, 2.0)
        looker = Looker(tmp_path)
        assert [(point.run, point.value) for point in looker.look()] == [("a", 1), ("b/c", 1)]
        self.write(tmp_path / "a.smoothed" / self.FILE.replace("1", "2"), 3.0)
        assert looker.look() == looker.look() == []
        assert looker.said == [
            "a.segment1.smoothed, a.smoothed, b/c.smoothed: left out, as smoothed curves of the "
            "others."
        ]

    def test_of_the_folder_itself(self, tmp_path):
        self.write(tmp_path / "1.tfevents", 1.0)
        looker = Looker(tmp_path)
        assert looker.values() == [1]
        self.write(tmp_path / "smoothed" / self.FILE, 2.0)
        self.write(tmp_path / f"{tmp_path.name}.smoothed" / self.FILE, 2.0)
        assert looker.look() == looker.look() == []

    def test_are_followed_where_they_are_asked_for(self, tmp_path):
        self.write(tmp_path / "a" / "1.tfevents", 1.0)
        self.write(tmp_path / "a.smoothed" / self.FILE, 2.0)
        assert Looker(tmp_path, runs="*.smoothed").values() == [2]
        assert Looker(tmp_path / "a.smoothed").values() == [2]

    def test_runs_that_are_only_called_so_are_followed(self, tmp_path):
        self.write(tmp_path / "a" / "1.tfevents", 1.0)
        self.write(tmp_path / "a.smoothed" / "1.tfevents", 2.0)
        assert Looker(tmp_path).values() == [1, 2]
