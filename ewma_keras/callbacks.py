"""`SmoothedMetrics`: the metrics of a training, smoothed while it runs."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal

import keras
import numpy as np

import ewma
from ewma_keras import _arguments
from ewma_keras._backup import StateFile
from ewma_keras._callback_order import callbacks_around, check_order
from ewma_keras._running_means import RunningMeans

PREFIX = "smoothed_"


class SmoothedMetrics(keras.callbacks.Callback):
    r"""Put the smoothed value of each metric into the logs, for the callbacks that come after.

    .. math:: y_t = y_{t-1} + g_t (x_t - y_{t-1}), \qquad g_t = \frac{1 - \beta}{1 - \beta^t}

    ``logs["smoothed_loss"]`` after each epoch is ``ewma.smooth(losses, beta)[-1]``, and so for
    every metric. Callbacks run in the order of their list: place this one before `EarlyStopping`,
    `ReduceLROnPlateau`, `ModelCheckpoint`, `TensorBoard` or `CSVLogger`. `History` and the
    progress bar, which Keras itself adds, come last.

    Parameters
    ----------
    beta : float
        Weight kept from the past, 0 <= beta <= 1: 0 repeats the metrics, 1 is the mean so far.
    metrics : iterable of str, optional
        Names in the logs, such as ``["loss", "val_loss"]``. By default all but the learning rate.
    update_freq : {"epoch", "batch"}
        With "batch" the samples of a training metric are the batches, and its mean runs on from
        epoch to epoch; the logs of a batch and of an epoch both get it. See Notes.

    Raises
    ------
    ValueError
        For a beta outside its range or another `update_freq`. When training begins, if a callback
        that monitors a smoothed metric comes before this one, or leaves to ``mode="auto"`` whether
        less is better (Keras knows that of its own names only), or if two SmoothedMetrics write
        the same metric.
    TypeError
        If `metrics` is a string, or holds something else than strings.

    Warns
    -----
    ewma.EwmaWarning
        If a callback that records the logs comes before this one, if a metric named in `metrics`
        is not in them, if one to be smoothed is no single number, or if the state of a resumed
        training is not there.

    Notes
    -----
    A metric that is NaN or infinite leaves the mean as it is and comes out as it went in. So does
    an epoch without validation: ``smoothed_val_loss`` is there when ``val_loss`` is.

    Each `fit` begins afresh, unless it takes up an earlier one. With `BackupAndRestore` in the
    list, best after this one, the state is kept in its folder and comes back with the weights, also
    in another process; the folder must be a local one. Without, the same object goes on if
    `initial_epoch` is where it stopped.

    Keras logs after each batch the mean since the epoch began. With ``update_freq="batch"`` this is
    undone: the n-th batch's own value is :math:`x_n = m_{n-1} + n (m_n - m_{n-1})`, right to
    about n times the float32 precision of the mean if every batch weighs the same: where the
    last one is smaller, or samples have weights, it is off by as much. (With `steps_per_execution`
    the samples are the means of so many batches.) A `train_step` of your own must return its
    metrics' results, as Keras' does: a batch's own loss under the name of a metric that is a mean
    would be taken for one. Metrics that are no such mean, as AUC, and the validation's are smoothed
    per epoch. Arrays, such as the F1 score of each class, are not smoothed.

    `TensorBoard` files what does not start with "val_" under the run "train": look for
    ``epoch_smoothed_val_loss`` there.

    Examples
    --------
    >>> import ewma, keras, numpy as np
    >>> from ewma_keras import SmoothedMetrics
    >>> x = np.linspace(-1, 1, 8)[:, None]
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> stop = keras.callbacks.EarlyStopping("smoothed_loss", mode="min", patience=2)
    >>> fit = model.fit(x, 3 * x, epochs=5, callbacks=[SmoothedMetrics(0.5), stop], verbose=0)
    >>> np.allclose(fit.history["smoothed_loss"], ewma.smooth(fit.history["loss"], beta=0.5))
    True
    """

    def __init__(
        self,
        beta: float = 0.9,
        metrics: Iterable[str] | None = None,
        *,
        update_freq: Literal["epoch", "batch"] = "epoch",
    ) -> None:
        super().__init__()
        self.beta = _arguments.number("beta", beta, "in [0, 1]", holds=lambda b: 0 <= b <= 1)
        self.metrics = _names(metrics)
        if update_freq not in ("epoch", "batch"):
            raise ValueError(f"update_freq must be 'epoch' or 'batch'; received {update_freq!r}")
        self.update_freq = update_freq
        # JAX runs ahead of its callbacks as long as none of them wants to see the batches.
        self.async_safe = update_freq == "epoch"
        self._state: dict[str, tuple[int, float]] = {}  # name: samples seen, their mean
        self._epochs = 0  # complete in this state
        self._starting = True
        self._file: StateFile | None = None
        self._batches = RunningMeans()
        self._left_out: set[str] = set()
        self._unseen: set[str] = set()  # the validation's, as long as there was none

    def smooths(self, name: str) -> bool:
        """Return whether the metric of this name is one to smooth.

        Examples
        --------
        >>> SmoothedMetrics(metrics=["loss"]).smooths("val_loss")
        False
        """
        if self.metrics is not None:
            return name in self.metrics
        return not name.startswith((PREFIX, "learning_rate"))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check the order of the callbacks, and look for a backup among them."""
        callbacks = callbacks_around(self)
        check_order(self, callbacks, PREFIX)
        self._file = StateFile.in_backup(self, callbacks)
        self._starting = True
        self._left_out = set()
        self._unseen = {name for name in self.metrics or () if name.startswith("val_")}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Say which of `metrics` were to come from a validation that there never was."""
        if self._unseen:
            _warn_of(sorted(self._unseen), "no validation at all")

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take up the state that belongs to the training's first epoch."""
        self._batches = RunningMeans()
        if not self._starting:
            return
        # Only now: `BackupAndRestore` may come later in the list, and then it restores later.
        self._starting = False
        saved = self._file.take_up(epoch) if self._file else None
        if saved is not None:
            self._state = saved
        elif epoch == 0 or epoch != self._epochs:
            self._state = {}
            if self._file and epoch:
                warnings.warn(
                    f"training goes on from epoch {epoch}, for which {self._file.path} has no "
                    f"state of SmoothedMetrics: it smooths afresh",
                    ewma.EwmaWarning,
                    stacklevel=2,
                )
        self._epochs = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """With ``update_freq="batch"``, take the batch as a sample."""
        if self.update_freq == "epoch" or not logs:
            return
        own = self._batches.own(self.model, batch + 1, logs)
        logs.update({PREFIX + k: self._smoothed(k, x) for k, x in own.items() if self.smooths(k)})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the epoch as a sample, but of what was smoothed by the batch."""
        logs = {} if logs is None else logs
        self._check_named(logs)
        wanted = {name: value for name, value in logs.items() if self.smooths(name)}
        found = {name: _number(value) for name, value in wanted.items()}
        numbers = {name: number for name, number in found.items() if number is not None}
        self._say_left_out({name: wanted[name] for name in wanted.keys() - numbers})
        smoothed = {
            PREFIX + name: self._mean(name)
            if name in self._batches.names
            else self._smoothed(name, number)
            for name, number in numbers.items()
        }
        logs.update(smoothed)
        self._epochs = epoch + 1
        if self._file:
            self._file.append(self._epochs, self._state)

    def _mean(self, name: str) -> float:
        return self._state[name][1] if name in self._state else math.nan

    def _smoothed(self, name: str, x: float) -> float:
        if not math.isfinite(x):
            return x
        t, y = self._state.get(name, (0, 0.0))
        y = float(ewma.step(y, x, ewma.gain(self.beta, t + 1)))
        self._state[name] = t + 1, y
        return y

    def _check_named(self, logs: dict[str, Any]) -> None:
        """Say which of `metrics` are missing; the validation's only where there was one."""
        validated = any(name.startswith("val_") for name in logs)
        if validated:
            self._unseen = set()
        expected = [n for n in self.metrics or () if validated or not n.startswith("val_")]
        missing = [name for name in expected if name not in logs]
        if missing:
            _warn_of(missing, ", ".join(logs))

    def _say_left_out(self, values: dict[str, Any]) -> None:
        """Say once a training what is no number."""
        for name in sorted(values.keys() - self._left_out):
            warnings.warn(
                f"a metric must be one number to be smoothed; {name!r} is "
                f"{_described(values[name])} and gets no {PREFIX}{name}: log a number of it, such "
                "as its mean, or name the others in metrics=[...]",
                ewma.EwmaWarning,
                stacklevel=3,
            )
        self._left_out.update(values)


def _warn_of(missing: list[str], there: str) -> None:
    warnings.warn(
        f"metrics must be names in the logs; not there: {', '.join(missing)}; there: {there}",
        ewma.EwmaWarning,
        stacklevel=3,
    )


def _number(value: Any) -> float | None:
    """Return a number, also one in an array or tensor without axes, as a float."""
    if isinstance(value, Real):
        return float(value)
    if getattr(value, "shape", None) == () and not np.iscomplexobj(value):
        with contextlib.suppress(TypeError, ValueError):
            return float(value)
    return None


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + ("" if shape is None else f" of shape {tuple(shape)}")


def _names(metrics: Iterable[str] | None) -> tuple[str, ...] | None:
    if metrics is None:
        return None
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    if isinstance(metrics, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"metrics must be several names, such as ['loss', 'val_loss']; received {metrics!r}"
        )
    return names
