"""JAX, where XLA fuses the plain rule by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras


class BackendOptimizer(keras.optimizers.Optimizer):
    """What `MomentumSGD` does by other means on JAX."""

    def _overwrite_model_variables_with_average_value(
        self, trainable_variables: Sequence[Any]
    ) -> None:
        # A copy: a weight and its average in one buffer cannot both be donated to the next step,
        # and with Keras' own optimizers a second `fit` with `use_ema` fails.
        averages = self._model_variables_moving_average
        if len(averages) != len(trainable_variables):
            super()._overwrite_model_variables_with_average_value(trainable_variables)  # refuses
        for variable, average in zip(trainable_variables, averages, strict=True):
            if average is not None:
                variable.assign(keras.ops.copy(average))

    def _colocated(self, variable: Any) -> Any:
        return contextlib.nullcontext()
