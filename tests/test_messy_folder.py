"""A folder of logs as a cluster leaves it: every good point comes out, and all else is said."""

import collections
import csv
import io
from typing import NamedTuple

import numpy as np
from command import call
from event_writer import curve, event, event_file, header, session_start, simple
from hypothesis import given, settings
from hypothesis import strategies as st

import ewma

STEPS = 20
VALUES = [round(10 / (step + 1), 3) for step in range(STEPS)]
GOOD = event_file(*curve("loss", VALUES))
AFTER = [event(step, simple("loss", VALUES[step])) for step in range(10, STEPS)]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


RECORD = len(event_file(*curve("loss", VALUES[:2]))) - len(event_file(*curve("loss", VALUES[:1])))


class Kind(NamedTuple):
    """What lies in a run's folder, and what `ewma-smooth` makes of it."""

    files: dict[str, bytes]
    points: int = STEPS
    code: int = 0
    is_said: bool = False


KINDS = {
    "good": Kind({"1.tfevents": GOOD}),
    "two files": Kind(
        {"1.tfevents": event_file(*curve("loss", VALUES[:10])), "2.tfevents": event_file(*AFTER)}
    ),
    "resumed": Kind({"1.tfevents": GOOD, "2.tfevents": event_file(*AFTER)}),
    "resumed within": Kind(
        {"1.tfevents": event_file(*curve("loss", VALUES[:15]), session_start(10), *AFTER)}
    ),
    "still written": Kind({"1.tfevents": GOOD[:-5]}, STEPS - 1, 0, True),
    "a bad record": Kind({"1.tfevents": flipped(GOOD, len(GOOD) - 6)}, STEPS - 1, 1, True),
    "a bad length": Kind({"1.tfevents": flipped(GOOD, len(GOOD) - RECORD)}, STEPS - 1, 1, True),
    "a length that is a lie": Kind({"1.tfevents": GOOD + header(2**62)}, STEPS, 1, True),
    "beside a text": Kind(
        {"1.tfevents": GOOD, "tfevents.txt": b"notes, long enough for a header"}, STEPS, 2, True
    ),
    "empty": Kind({"1.tfevents": b""}, 0, 2, True),
    "nothing yet": Kind({"1.tfevents": event_file()}, 0),
}


def write(folder, kinds):
    for number, kind in enumerate(kinds):
        run = folder / f"sweep_{number % 3}" / f"run_{number}"
        run.mkdir(parents=True)
        for name, data in KINDS[kind].files.items():
            (run / name).write_bytes(data)


@given(kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_nothing_good_is_lost(kinds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    kinds = ["good", *kinds]
    write(folder, kinds)
    result = call(folder)
    found = collections.defaultdict(list)
    for row in csv.DictReader(io.StringIO(result.out, newline="")):
        found[row["run"].rpartition("_")[2]].append(
            (int(row["step"]), float(row["value"]), float(row["smoothed"]))
        )
    smoothed = ewma.smooth(np.float32(VALUES).astype(float), 0.9)
    curve = list(zip(range(STEPS), np.float32(VALUES).tolist(), smoothed.tolist(), strict=True))
    for number, kind in enumerate(kinds):
        assert found[str(number)] == curve[: KINDS[kind].points], kind
        where = f"run_{number}/"
        assert (where in result.err) == KINDS[kind].is_said, kind
    assert result.code == max(KINDS[kind].code for kind in kinds)
    assert "Traceback" not in result.err
