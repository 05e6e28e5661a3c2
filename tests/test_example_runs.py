"""`examples/runs`: every point is TensorBoard's own, every smoothed value its slider's."""

import csv
import io
import math
from pathlib import Path

import pytest
from command import call
from event_accumulator import theirs

import ewma

RUNS = Path(__file__).parents[1] / "examples" / "runs"
FILES = sorted(RUNS.rglob("*tfevents*"))
FOLDERS = sorted({file.parent for file in FILES})
DIGITS = {"loss/train": 800, "loss/test": 40, "accuracy/test": 40, "lr": 40}
TRAIN = {
    "batch_loss": 1000, "batch_accuracy": 1000,
    "epoch_loss": 8, "epoch_accuracy": 8, "epoch_learning_rate": 8,
}  # fmt: skip
VALIDATION = {
    "epoch_loss": 8, "epoch_accuracy": 8,
    "evaluation_loss_vs_iterations": 8, "evaluation_accuracy_vs_iterations": 8,
}  # fmt: skip
POINTS = {
    "digits/lr_0.03": DIGITS,
    "digits/lr_0.1": DIGITS,
    "digits/lr_0.1_resumed": DIGITS,
    "digits/lr_0.3": DIGITS,
    "mnist/momentum/train": TRAIN,
    "mnist/momentum/validation": VALIDATION,
    "mnist/plain/train": TRAIN,
    "mnist/plain/validation": VALIDATION,
}


def relative(path):
    return path.relative_to(RUNS).as_posix()


def tensorboard_slider(values, weight):
    """Return what TensorBoard draws, line by line its `_recomputeDataset` without the constants."""
    last, count, smoothed = 0.0, 0, []
    for value in values:
        if math.isfinite(value):
            last = last * weight + (1 - weight) * value
            count += 1
            value = last / (1 - weight**count if weight != 1 else 1)
        smoothed.append(value)
    return smoothed


def points(frame):
    """Return {tag: [(wall_time, step, value)]} of a DataFrame or of the rows of a CSV."""
    found = {}
    for row in frame:
        point = (float(row["wall_time"]), int(row["step"]), float(row["value"]))
        found.setdefault(row["tag"], []).append(point)
    return found


def csv_rows(*arguments):
    result = call(*arguments)
    assert (result.code, result.err) == (0, "")
    return list(csv.DictReader(io.StringIO(result.out, newline="")))


@pytest.mark.parametrize("path", [*FILES, *FOLDERS], ids=relative)
def test_every_point(path):
    expected = theirs(path)
    frame = ewma.read_scalars(path, errors="raise")
    assert points(frame.to_dict("records")) == expected
    assert points(csv_rows(path)) == expected


def test_tree():
    frame = ewma.read_scalars(RUNS, errors="raise")
    counts = frame.groupby(["run", "tag"], observed=True).size()
    found = {run: counts[run].to_dict() for run in frame["run"].cat.categories}
    assert found == POINTS
    for run, part in frame.groupby("run", observed=True):
        assert points(part.to_dict("records")) == theirs(RUNS / run)


def test_resumed_run_is_the_one_that_ran_through():
    parts = {}
    for row in csv_rows(RUNS / "digits", "--run", "lr_0.1*"):
        parts.setdefault(row["run"], []).append(
            (row["tag"], row["step"], row["value"], row["smoothed"])
        )
    assert len(list((RUNS / "digits/lr_0.1_resumed").iterdir())) == 2
    assert len(parts["lr_0.1"]) == sum(DIGITS.values())
    assert parts["lr_0.1_resumed"] == parts["lr_0.1"]


@pytest.mark.parametrize("beta", [0.0, 0.6, 0.9, 0.99, 0.999])
def test_smoothed_is_what_tensorboard_draws(beta):
    series = {}
    for row in csv_rows(RUNS, "--beta", str(beta)):
        series.setdefault((row["run"], row["tag"]), []).append(row)
    assert len(series) == sum(map(len, POINTS.values()))
    for rows in series.values():
        values = [float(row["value"]) for row in rows]
        # Theirs cancels in 1 - weight**count: 1e-16 / (1 - weight) of the value.
        close = 4e-16 / (1 - beta) * max(map(abs, values))
        expected = tensorboard_slider(values, beta)
        assert [float(row["smoothed"]) for row in rows] == pytest.approx(expected, rel=0, abs=close)
