"""Gradient descent with momentum, its velocity the exponential moving average of the gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ewma import step
from ewma_keras import _arguments


@keras.saving.register_keras_serializable("ewma_keras")
class MomentumSGD(keras.optimizers.Optimizer):
    r"""Gradient descent with momentum.

    .. math::

        v_t &= v_{t-1} + (1 - \mu)(g_t - v_{t-1}), \qquad v_0 = 0 \\
        w_t &= w_{t-1} - \eta_t \frac{1 - \tau}{1 - \mu} d_t

    with the learning rate :math:`\eta_t`, the momentum :math:`\mu` and the dampening :math:`\tau`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        *,
        dampening: float = 0.0,
        debias: bool = False,
        decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        decay = _arguments.decay(decay)
        super().__init__(_arguments.learning_rate(learning_rate, decay), **kwargs)
        self.momentum = _arguments.momentum(momentum)
        self.nesterov = bool(nesterov)
        self.dampening = _arguments.dampening(dampening)
        self.debias = bool(debias)
        self.decay = decay
        self.velocities: list[keras.Variable | None] = []

    def build(self, variables: Sequence[Any]) -> None:
        """Create a velocity for each variable; none without momentum."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self.velocities = [self._velocity_of(variable) for variable in variables]

    def _velocity_of(self, variable: Any) -> keras.Variable | None:
        if self._overwrite_variable_with_gradient(variable):
            return None
        return self.add_variable_from_reference(variable, name="velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step with one variable."""
        if not self.momentum:
            rate = self._rate(learning_rate, variable.dtype)
            self.assign_sub(variable, rate * ops.cast(gradient, variable.dtype))
            return
        velocity = self.velocities[self._get_variable_index(variable)]
        gain = 1 - self.momentum
        g = ops.cast(gradient, velocity.dtype)
        v = step(ops.convert_to_tensor(velocity), g, gain)
        self.assign(velocity, v)
        direction = step(v, g, gain) if self.nesterov else v
        rate = self._rate(learning_rate, velocity.dtype)
        self.assign_sub(variable, ops.cast(rate * direction, variable.dtype))

    def _rate(self, learning_rate: Any, dtype: Any) -> Any:
        """Return what the direction is multiplied by."""
        rate = ops.cast(learning_rate, dtype) * ((1 - self.dampening) / (1 - self.momentum))
        if self.debias and self.momentum:
            # gain(mu, t) / (1 - mu); through expm1, since in float32 1 - mu**t cancels.
            t = ops.cast(self.iterations, dtype) + (2 if self.nesterov else 1)
            rate = rate / -ops.expm1(t * math.log(self.momentum))
        return rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimizer again, without its state."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "dampening": self.dampening,
            "debias": self.debias,
            "decay": self.decay,
        }
