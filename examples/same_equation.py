"""One equation, three names: a smoothed curve, a velocity, the weights of gradient descent.

    pip install 'ewma[examples]'
    python examples/same_equation.py [--out FILE]

With the gain 1 - beta, y_t = y_{t-1} + (1 - beta) (x_t - y_{t-1}) from y_0 = 0 is

- `ewma.smooth(x, beta, debias=False)`, the noisy curve smoothed;
- the velocity of `MomentumSGD(momentum=beta)` when the gradients are x_1, x_2, ...;
- the weight of plain SGD with the rate 1 - beta on the loss (x_t - y)^2 / 2, whose gradient in y is
  y - x_t: to smooth is to descend.

Prints the three at some steps and their largest difference, and draws them into FILE
(same_equation.png).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's greeting

import keras
import numpy as np
from matplotlib.figure import Figure

import ewma
from ewma_keras import MomentumSGD

BETA = 0.9
STEPS = 200
NAMES = ["ewma.smooth", "velocity", "SGD's weight"]


def noisy_curve() -> np.ndarray:
    """Return a falling curve with noise, as float32: what an optimizer's gradients are."""
    t = np.arange(STEPS)
    noise = np.random.default_rng(0).normal(scale=0.25, size=STEPS)
    return (2 * np.exp(-t / 60) + 0.3 + noise).astype("float32")


def velocities(x: np.ndarray) -> list[float]:
    """Feed the samples to MomentumSGD as gradients and watch its velocity."""
    weight = keras.Variable(0.0)
    optimizer = MomentumSGD(momentum=BETA)
    seen = []
    for sample in x:
        optimizer.apply([keras.ops.convert_to_tensor(sample)], [weight])
        seen.append(float(keras.ops.convert_to_numpy(optimizer.velocities[0])))
    return seen


def descended(x: np.ndarray) -> list[float]:
    """Descend on (x_t - y)^2 / 2 by plain SGD and watch its weight."""
    y = keras.Variable(0.0)
    optimizer = keras.optimizers.SGD(1 - BETA)
    seen = []
    for sample in x:
        optimizer.apply([y - sample], [y])
        seen.append(float(keras.ops.convert_to_numpy(y)))
    return seen


def draw(x: np.ndarray, curves: dict[str, np.ndarray]) -> Figure:
    """Draw the curves on one another, and below how far they lie from the first."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    t = np.arange(1, STEPS + 1)
    above.plot(t, x, ".", color="0.7", markersize=4, label="x, the samples")
    # Each narrower than the one beneath, so that all are seen.
    widths, colours = (6.0, 3.2, 1.1), ("#92dadd", "#ffa90e", "#bd1f01")
    first = curves[NAMES[0]]
    for (name, curve), width, colour in zip(curves.items(), widths, colours, strict=True):
        above.plot(t, curve, color=colour, linewidth=width, label=name)
        if curve is not first:
            below.plot(t, curve - first, color=colour, linewidth=1.1, label=name)
    above.set_title(f"y = y + (1 - beta) (x - y), beta = {BETA}", fontsize=9.5)
    below.set_title("difference from ewma.smooth", fontsize=9.5)
    below.set_xlabel("step", fontsize=8)
    below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    below.yaxis.get_offset_text().set_fontsize(8)
    for place in (above, below):
        place.tick_params(labelsize=8, color="0.6")
        place.spines[["top", "right"]].set_visible(False)
        place.grid(color="0.9", linewidth=0.6)
    above.legend(fontsize=8, frameon=False)
    return figure


def main() -> None:
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("same_equation.png"), metavar="FILE")
    out = parser.parse_args().out
    if out.exists() or not out.parent.is_dir():
        why = "exists already" if out.exists() else "would be in a folder that does not exist"
        parser.error(f"{out} {why}: name another with --out")
    x = noisy_curve()
    smoothed = ewma.smooth(x.astype("float64"), beta=BETA, debias=False)
    columns = [smoothed, np.array(velocities(x)), np.array(descended(x))]
    curves = dict(zip(NAMES, columns, strict=True))

    print("step  " + "".join(f"{name:>14}" for name in ["x", *NAMES]))
    for t in (1, 2, 3, 10, 50, 100, STEPS):
        row = [x[t - 1], *(curve[t - 1] for curve in columns)]
        print(f"{t:4d}  " + "".join(f"{value:14.7f}" for value in row))
    difference = np.ptp(columns, axis=0).max()
    print(f"largest difference: {difference:.1e}, the rounding of float32, in which Keras computes")
    draw(x, curves).savefig(out, dpi=150)


if __name__ == "__main__":
    main()
