"""`smooth_scalars`: `read_scalars`, and `smooth` for each run and tag."""

import warnings

import numpy as np
import pandas as pd
import pytest
from event_writer import curve, event, event_file, float_tensor, simple

import ewma
from ewma.tensorboard._columns import ScalarColumns

GOOD = event_file(*curve("loss", [4, 1, 3, 8]), *curve("acc", [1, 0]))


@pytest.fixture
def runs(tmp_path):
    """Two runs; in the second the tags take turns, in both encodings."""
    events = [event(k, simple("loss", k % 7), float_tensor("acc", -k)) for k in range(50)]
    for name, data in {"a": GOOD, "b/c": event_file(*events)}.items():
        path = tmp_path / name / "events.tfevents"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    return tmp_path


def expected(frame, **decay):
    """Return the scalars with each group smoothed, the slow way."""
    groups = frame.groupby(["run", "tag"], observed=True)["value"]
    return frame.assign(smoothed=groups.transform(lambda group: ewma.smooth(group, **decay)))


@pytest.mark.parametrize(
    "decay", [{}, {"beta": 0.0}, {"alpha": 0.3}, {"com": 4}, {"span": 5}, {"halflife": 3}]
)
def test_read_and_smooth_each_group(runs, decay):
    frame = ewma.smooth_scalars(runs, **decay)
    assert frame.columns.tolist() == ["run", "tag", "step", "wall_time", "value", "smoothed"]
    assert len(frame) == 106
    pd.testing.assert_frame_equal(
        frame, expected(ewma.read_scalars(runs), **decay), check_exact=True
    )


def test_beta_by_position(runs):
    frame = ewma.smooth_scalars(runs, 0.5, runs="a", tags=["loss"])
    assert frame["smoothed"].tolist() == ewma.smooth([4.0, 1.0, 3.0, 8.0], 0.5)


def test_filters(runs):
    frame = ewma.smooth_scalars(runs, runs="b*", tags="a*")
    whole = ewma.smooth_scalars(runs)
    part = whole[(whole["run"] == "b/c") & (whole["tag"] == "acc")]
    assert frame["smoothed"].tolist() == part["smoothed"].tolist()
    assert len(frame) == 50


def test_damage_is_a_warning_of_our_own(runs):
    path = runs / "a/events.tfevents"
    path.write_bytes(GOOD[:-1])
    with pytest.warns(ewma.EwmaWarning, match=r"events\.tfevents, byte \d+: the last rec") as all_:
        frame = ewma.smooth_scalars(path)
    assert [type(warning.message) for warning in all_] == [ewma.EwmaWarning]
    assert len(frame) == 5


def test_warnings_can_be_filtered(runs):
    (runs / "a/events.tfevents").write_bytes(GOOD[:-1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ewma.EwmaWarning)
        assert len(ewma.smooth_scalars(runs)) == 105


def test_errors_raise(runs):
    (runs / "a/events.tfevents").write_bytes(GOOD[:-1])
    with pytest.raises(ValueError, match="the last record is cut off"):
        ewma.smooth_scalars(runs, errors="raise")


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ewma.smooth_scalars(tmp_path / "nowhere")


@pytest.mark.parametrize("decay", [{"beta": 1.5}, {"beta": 0.9, "alpha": 0.1}, {"halflife": 0}])
def test_bad_decay_is_told_before_reading(decay):
    with pytest.raises(ValueError, match="received"):
        ewma.smooth_scalars("nowhere", **decay)


@pytest.mark.parametrize("taking_turns", [False, True])
def test_the_input_columns_stay_as_they_are(runs, taking_turns):
    frame = ewma.read_scalars(runs / ("b" if taking_turns else "a"))
    before = frame.copy(deep=True)
    for _, _, rows in ScalarColumns.from_pandas(frame).series():
        ewma.smooth(frame["value"].to_numpy()[rows])
    pd.testing.assert_frame_equal(frame, before)


def test_what_was_smoothed_is_not_smoothed_again(tmp_path):
    """As README's own lines would: write beside the originals, then smooth the folder again."""

    def write(run):
        (tmp_path / run).mkdir(parents=True, exist_ok=True)
        (tmp_path / run / "1.tfevents").write_bytes(event_file(*curve("loss", [3, 1, 2])))

    write("a")
    write("a/b")
    first = ewma.smooth_scalars(tmp_path, 0.5)
    ewma.write_scalars(first, tmp_path)
    assert {"a.smoothed", "a/b.smoothed"} < set(ewma.read_scalars(tmp_path)["run"])
    pd.testing.assert_frame_equal(ewma.smooth_scalars(tmp_path, 0.5), first)
    # A run of somebody else's that only is called so stays; and whoever asks for one gets it.
    write("label")
    write("label.smoothed")
    runs = set(ewma.smooth_scalars(tmp_path, 0.5)["run"])
    assert runs == {"a", "a/b", "label", "label.smoothed"}
    alone = ewma.smooth_scalars(tmp_path, 0.5, runs="a.smoothed")
    np.testing.assert_allclose(alone["value"], ewma.smooth([3.0, 1.0, 2.0], 0.5), rtol=1e-6)
    assert set(ewma.smooth_scalars(tmp_path / "a.smoothed")["run"]) == {"."}


def test_the_result_in_the_place_of_a_path():
    with pytest.raises(TypeError, match=r"path must be a path.*; received a DataFrame"):
        ewma.smooth_scalars(pd.DataFrame({"run": [], "value": []}))
