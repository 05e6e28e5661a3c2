"""`follow` where a training began again: what stands in the end is what finished files give."""

import numpy as np
import pytest
from event_writer import curve, event, event_file, file_version, record, session_start, simple
from hypothesis import given, settings
from hypothesis import strategies as st
from looker import Looker, append, points

import ewma


def last(*stretches):
    return ewma.smooth([float(x) for x in stretches], 0.9)[-1]


def test_a_later_file_that_goes_back(log):
    log.write_bytes(event_file() + points([1, 2, 3, 4]))
    looker = Looker(log.parent)
    looker.look()
    later = log.parent / "events.out.tfevents.2"
    later.write_bytes(event_file() + points([10, 20], 2))
    found = looker.look() or looker.look()
    assert [point.smoothed for point in found] == pytest.approx(
        [last(1, 2, 10), last(1, 2, 10, 20)], rel=1e-15
    )
    (line,) = looker.said
    assert "resumed" in line
    assert "from step 2 on" in line
    append(later, points([30], 4))
    assert looker.look()[0].smoothed == pytest.approx(last(1, 2, 10, 20, 30), rel=1e-15)
    assert len(looker.said) == 1


def test_a_later_file_that_goes_on(log):
    log.write_bytes(event_file() + points([1, 2]))
    looker = Looker(log.parent)
    looker.look()
    (log.parent / "z.tfevents").write_bytes(event_file() + points([3], 2))
    (point,) = looker.look() or looker.look()
    assert point.smoothed == pytest.approx(last(1, 2, 3), rel=1e-15)
    assert looker.said == []


def test_session_start_in_the_file(log):
    log.write_bytes(event_file() + points([1, 2, 3, 4]))
    append(log, record(session_start(1)) + points([10], 3))
    found = Looker(log.parent).look()
    assert found[-1].smoothed == pytest.approx(last(1, 10), rel=1e-15)


def test_session_start_between_looks(log):
    log.write_bytes(event_file() + points([1, 2, 3, 4]))
    looker = Looker(log.parent)
    looker.look()
    append(log, record(session_start(1)))
    assert looker.look() == []
    append(log, points([10], 3))
    assert looker.look()[0].smoothed == pytest.approx(last(1, 10), rel=1e-15)


def test_files_joined(log):
    log.write_bytes(event_file() + points([1, 2, 3]))
    append(log, record(file_version()) + points([10], 1))
    assert Looker(log.parent).look()[-1].smoothed == pytest.approx(last(1, 10), rel=1e-15)


def test_within_a_session_steps_may_come_in_any_order(log):
    log.write_bytes(event_file() + points([1, 2, 3]))
    looker = Looker(log.parent)
    looker.look()
    append(log, points([5], 0))
    assert looker.look()[0].smoothed == pytest.approx(last(1, 2, 3, 5), rel=1e-15)
    assert looker.said == []


def test_going_back_further_in_the_same_session(log):
    log.write_bytes(event_file() + points([1, 2, 3, 4]))
    looker = Looker(log.parent)
    looker.look()
    later = log.parent / "z.tfevents"
    later.write_bytes(event_file() + points([10], 3))
    assert looker.values() or looker.values()
    append(later, points([20], 1))
    assert looker.look()[0].smoothed == pytest.approx(last(1, 10, 20), rel=1e-15)


def test_what_stands_in_the_end_is_what_the_finished_files_give(log):
    log.write_bytes(event_file() + points([5, 2, 8, 4, 7, 1]))
    looker = Looker(log.parent)
    found = looker.look()
    (log.parent / "events.out.tfevents.2").write_bytes(event_file() + points([3, 9], 4))
    found += looker.look() + looker.look()
    append(log.parent / "events.out.tfevents.2", record(session_start(3)) + points([6, 2], 3))
    found += looker.look()
    frame = ewma.smooth_scalars(log.parent)
    last = {point.step: point.smoothed for point in found}
    assert frame["step"].tolist() == [0, 1, 2, 3, 4]
    assert [last[step] for step in range(5)] == pytest.approx(
        frame["smoothed"].tolist(), rel=0, abs=2 * np.spacing(8.0)
    )


def test_other_tags_are_left_alone(log):
    log.write_bytes(event_file(*curve("a", [1, 2, 3]), *curve("b", [4, 5, 6])))
    looker = Looker(log.parent)
    looker.look()
    later = log.parent / "z.tfevents"
    later.write_bytes(event_file(event(0, simple("a", 7)), event(3, simple("b", 8))))
    found = {p.tag: p.smoothed for p in looker.look() or looker.look()}
    assert found == pytest.approx({"a": 7.0, "b": last(4, 5, 6, 8)}, rel=1e-15)


def test_a_session_start_is_meant_for_all_tags(log):
    # The second training was killed before it validated, the third began later than the second.
    log.write_bytes(event_file(*curve("a", range(6)), *curve("b", range(6))))
    later = (
        [session_start(2), event(2, simple("a", 7))],
        [session_start(5), event(6, simple("b", 70))],
    )
    for name, events in zip("yz", later, strict=True):
        (log.parent / f"{name}.tfevents").write_bytes(event_file(*events))
    assert Looker(log.parent).look()[-1].smoothed == pytest.approx(last(0, 1, 70), rel=1e-15)


def test_a_session_start_without_points_counts(log):
    log.write_bytes(event_file(*curve("loss", range(6)), session_start(4)))
    looker = Looker(log.parent)
    looker.look()
    append(log, record(session_start(2)))  # before there were any
    assert looker.look() == []
    (log.parent / "z.tfevents").write_bytes(event_file() + points([9], 5))
    (point,) = looker.look() or looker.look()
    assert point.smoothed == pytest.approx(last(0, 1, 9), rel=1e-15)


steps = st.integers(0, 6)
writes = st.one_of(
    st.builds(session_start, steps),
    st.builds(lambda tag, step: event(step, simple(tag, 10 + step)), st.sampled_from("ab"), steps),
)


@given(st.lists(st.lists(st.tuples(writes, st.booleans()), max_size=8), min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_any_sessions(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("any")
    looker, found = Looker(folder), {}

    def look():
        for _ in range(2):
            found.update({point.tag: point.smoothed for point in looker.look()})

    for number, events in enumerate(files):
        path = folder / f"{number}.tfevents"
        path.write_bytes(event_file(begun=number))
        for data, and_look in events:
            append(path, record(data))
            if and_look:
                look()
    append(path, b"".join(record(event(9, simple(tag, 1))) for tag in "ab"))
    look()
    frame = ewma.smooth_scalars(folder)
    expected = frame.groupby("tag", observed=True)["smoothed"].last()
    assert found == pytest.approx(expected.to_dict(), rel=1e-14)


def test_thousands_of_sessions(tmp_path):
    log = tmp_path / "tfevents"
    starts = (record(session_start(i)) + points([i % 7], i) for i in range(10_000))
    log.write_bytes(event_file() + b"".join(starts))
    found = Looker(tmp_path).look()
    expected = ewma.smooth_scalars(tmp_path)
    assert [point.step for point in found] == expected["step"].tolist()
    assert [point.smoothed for point in found] == pytest.approx(expected["smoothed"].tolist())
