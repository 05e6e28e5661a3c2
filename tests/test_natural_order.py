"""Names as a person counts them, in pictures."""

import pytest
from command import call
from event_writer import curve, event_file
from hypothesis import given
from hypothesis import strategies as st

import ewma._draw
from ewma._natural_order import natural


@pytest.mark.parametrize(
    "names",
    [
        ["run_1", "run_2", "run_10", "run_10b", "run_11"],
        ["lr_0.03", "lr_0.1", "lr_0.1_resumed", "lr_0.3", "lr_3", "lr_10"],
        ["", "a", "a01", "a1", "b"],
        ["g/t9", "g/t10", "h/t1"],
    ],
)
def test_numbers_count_by_their_value(names):
    shuffled = names[::-1]
    assert sorted(shuffled, key=natural) == names


@given(st.text(alphabet="a1.9²٣"), st.text(alphabet="a1.9²٣"))
def test_any_two_names_have_one_order(a, b):
    assert (natural(a) < natural(b)) + (natural(b) < natural(a)) == (a != b)


@pytest.mark.parametrize("options", [[], ["--aggregate", "/seed_."]])
def test_pictures(tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    for run in ("run_10", "run_9"):
        for seed in (1, 2):
            folder = tmp_path / run / f"seed_{seed}"
            folder.mkdir(parents=True)
            events = *curve("t10", [1, 2]), *curve("t9", [1, 2])
            (folder / "1.tfevents").write_bytes(event_file(*events))
    drawn = []

    def draw(curves, **options):
        drawn.extend(curves)
        return original(curves, **options)

    original = ewma._draw.draw
    monkeypatch.setattr(ewma._draw, "draw", draw)
    assert call(".", "-o", "x.svg", *options).code == 0
    assert list(dict.fromkeys(one.tag for one in drawn)) == ["t9", "t10"]
    assert list(dict.fromkeys(one.run.split("/")[0].rstrip("*") for one in drawn)) == [
        "run_9",
        "run_10",
    ]
