"""What Keras logs after a batch, the mean since the epoch began, taken back to the batch's own."""

from __future__ import annotations

from typing import Any

import keras

from ewma import step


class RunningMeans:
    r"""The running means of one epoch.

    A running mean is the recurrence with the gain 1 / n, so that its last sample is one step of n:

    .. math:: m_n = m_{n-1} + \frac{1}{n} (x_n - m_{n-1}), \qquad x_n = m_{n-1} + n (m_n - m_{n-1})

    Attributes
    ----------
    names : set of str
        Those in the logs that are running means, known after the first batch.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._n = 0
        self._means: dict[str, float] = {}

    def own(self, model: keras.Model, n: int, logs: dict[str, Any]) -> dict[str, float]:
        """Return the batches' own values, n batches after the epoch began.

        Where several went by since the last call (`steps_per_execution`), it is their mean.
        """
        if self._n == 0:
            metrics = _metrics(model)
            self.names = {name for name in logs if _is_running_mean(name, metrics)}
        means = {name: float(logs[name]) for name in self.names}
        gain = (n - self._n) / n
        values = {
            name: step(self._means.get(name, 0.0), mean, 1 / gain) for name, mean in means.items()
        }
        self._n, self._means = n, means
        return values


def _metrics(model: keras.Model) -> list[Any]:
    """Return the metrics, those given to `compile` one by one."""
    return [m for metric in model.metrics for m in getattr(metric, "metrics", [metric])]


def _is_running_mean(name: str, metrics: list[Any]) -> bool:
    # Of a model with several outputs, a metric is logged as "<output>_<name>".
    named = [m for m in metrics if name == m.name or name.endswith(f"_{m.name}")]
    # A subclass may return something else of the mean, as RootMeanSquaredError does.
    return bool(named) and all(type(m).result is keras.metrics.Mean.result for m in named)
