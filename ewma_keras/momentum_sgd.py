"""Gradient descent with momentum, its velocity the exponential moving average of the gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ewma import step
from ewma_keras import _arguments, _saved_state
from ewma_keras._convert import from_sgd

if keras.backend.backend() == "tensorflow":
    from ewma_keras._tensorflow import BackendOptimizer
elif keras.backend.backend() == "torch":
    from ewma_keras._torch import BackendOptimizer
else:
    from ewma_keras._jax import BackendOptimizer


@keras.saving.register_keras_serializable("ewma_keras")
class MomentumSGD(BackendOptimizer):
    r"""Gradient descent with momentum.

    The velocity is the exponential moving average of the gradients, and the weights follow it:

    .. math::

        v_t &= v_{t-1} + (1 - \mu)(g_t - v_{t-1}), \qquad v_0 = 0 \\
        w_t &= w_{t-1} - \eta_t \frac{1 - \tau}{1 - \mu} d_t

    with the learning rate :math:`\eta`, the momentum :math:`\mu` and the dampening :math:`\tau`.
    The direction :math:`d_t` is :math:`v_t`; with `nesterov` the same recurrence once more,
    :math:`n_t = v_t + (1 - \mu)(g_t - v_t)`; with `debias` one of :math:`v_t / (1 - \mu^t)` and
    :math:`n_t / (1 - \mu^{t+1})`.

    Parameters
    ----------
    learning_rate : float, int, keras.optimizers.schedules.LearningRateSchedule or callable
        A callable takes nothing and returns the rate.
    momentum : float or int
        Weight kept from the past gradients, 0 <= momentum < 1: `ewma.smooth`'s beta. At 0 there is
        no velocity and w -= learning_rate * (1 - dampening) * g.
    nesterov : bool
        Whether to look ahead by one more step of the recurrence.
    dampening : float or int
        From 0, where a constant gradient ends at a step of learning_rate / (1 - momentum) times
        it, to 1. At ``dampening=momentum`` the step is the plain ``w -= learning_rate * v``.
    debias : bool
        Whether to correct the bias of the first steps towards 0. The first step is then
        learning_rate * (1 - dampening) / (1 - momentum) times the gradient: ten times as long
        as without, at a momentum of 0.9 (with `nesterov`, 5.3 times).
    decay : float or int
        Not negative. Lets a constant rate fall as in older Keras, in step t + 1 to
        learning_rate / (1 + decay * t), t being the `iterations` (with gradient accumulation, the
        updates). `learning_rate` then reads as the rate of the next step, and to set it is to set
        the rate of the next step.
    **kwargs
        Of every Keras optimizer: `weight_decay`, `clipnorm`, `clipvalue`, `global_clipnorm`,
        `use_ema`, `ema_momentum`, `ema_overwrite_frequency`, `loss_scale_factor`,
        `gradient_accumulation_steps`, `name`.

    Attributes
    ----------
    velocities : list of keras.Variable or None
        One a variable, float32 for float16 and bfloat16 variables, else of the variable's type;
        empty if `momentum` is 0. None for a variable that is overwritten with its gradient. (SGD
        has `momentums`, of another sign and scale.)

    Raises
    ------
    ValueError
        If an argument is not a number or outside its range, if Keras does not know it, or if
        `decay` comes with a schedule or a callable.

    Notes
    -----
    The same optimizer elsewhere, with lr, mu and tau for rate, momentum and dampening:

    ==================================================  ======================================
    there                                               here
    ==================================================  ======================================
    ``keras.optimizers.SGD(lr, mu, nesterov)``          ``(lr, mu, nesterov)``, rate constant
    older Keras' ``SGD(lr, mu, d, nesterov)``           ``(lr, mu, nesterov, decay=d)``, below
    ``torch.optim.SGD(lr, mu, nesterov=nesterov)``      ``(lr, mu, nesterov)``
    ``torch.optim.SGD(lr, mu, dampening=tau)``          ``(lr, mu, dampening=tau)``, see below
    ``optax.sgd(lr, mu, nesterov)``                     ``(lr, mu, nesterov)``
    ``optax.ema(mu, debias)``, then the rate            ``(lr, mu, dampening=mu, debias)``
    ==================================================  ======================================

    A momentum that is changed during a training changes what v is worth: the rows hold for a
    constant one. With `decay`, a rate is set by ``optimizer.learning_rate = rate`` and not by
    ``assign``. A state of Keras' SGD is refused where a file or checkpoint is loaded, but
    `set_weights` and Keras' `MultiOptimizer`, which know variables by their numbers alone, take it.

    Keras keeps the rate inside its velocity u, u = mu u - lr g and w += u. Under a schedule the
    past gradients keep the rate of their own step there, and have the present one here: Keras is
    this rule with mu lr_{t-1} / lr_t in the place of mu before v_{t-1}. When the rate falls to a
    tenth at once, the part of the next step that comes from the past is ten times as long in Keras.

    PyTorch's buffer starts with the first gradient, undampened, so that its weights move by
    lr tau mu^(t-1) g_1 more in step t.

    Examples
    --------
    >>> import keras, ewma
    >>> from ewma_keras import MomentumSGD
    >>> w = keras.Variable(0.0)
    >>> optimizer = MomentumSGD(learning_rate=0.5, momentum=0.5)
    >>> for gradient in [4.0, 1.0, 3.0]:
    ...     optimizer.apply([keras.ops.convert_to_tensor(gradient)], [w])
    >>> float(optimizer.velocities[0].numpy())
    2.25
    >>> ewma.smooth([4.0, 1.0, 3.0], beta=0.5, debias=False)
    [2.0, 1.5, 2.25]
    >>> float(w.numpy())  # -0.5 / (1 - 0.5) * (2 + 1.5 + 2.25)
    -5.75
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
        self.nesterov = _arguments.flag("nesterov", nesterov)
        self.dampening = _arguments.dampening(dampening)
        self.debias = _arguments.flag("debias", debias)
        self.decay = decay
        self.velocities: list[keras.Variable | None] = []

    @classmethod
    def from_sgd(cls, optimizer: keras.optimizers.Optimizer) -> Any:
        r"""Return a MomentumSGD that continues a training of Keras' SGD on the same path.

        .. math:: v = -\frac{1 - \mu}{\eta} u

        Parameters
        ----------
        optimizer : keras.optimizers.SGD
            Before its first step or after any. It is not changed. Its rate is divided by, so it
            must not have reached 0. Or a `LossScaleOptimizer` around one, as a model under the
            policy "mixed_float16" has it.

        Returns
        -------
        MomentumSGD
            With the arguments and the state of the given one, and a name of its own. Under a
            schedule the next step is the same, and later ones differ as the class says. Of a
            `LossScaleOptimizer` one that scales on from where it stands.

        Examples
        --------
        >>> import keras
        >>> from ewma_keras import MomentumSGD
        >>> w, gradient = keras.Variable(0.0), keras.ops.ones(())
        >>> sgd = keras.optimizers.SGD(0.5, momentum=0.5)
        >>> sgd.apply([gradient], [w])
        >>> continued = MomentumSGD.from_sgd(sgd)
        >>> continued.apply([gradient], [w])
        >>> float(w.numpy())  # -0.5 - (0.5 * 0.5 + 0.5)
        -1.25
        """
        return from_sgd(cls, optimizer)

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
        if keras.backend.standardize_dtype(variable.dtype) not in ("float16", "bfloat16"):
            return self.add_variable_from_reference(variable, name="velocity")
        # bfloat16 rounds 0.999 to 1: nothing would be forgotten.
        path = getattr(variable, "path", variable.name)
        with self._colocated(variable):
            return self.add_variable(
                shape=variable.shape,
                dtype="float32",
                layout=getattr(variable, "_layout", None),
                name=f"{path.replace('/', '_').replace(':', '_')}_velocity",
            )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one step with one variable."""
        if not self.momentum:
            g = ops.cast(gradient, variable.dtype)
            self.assign_sub(variable, self._rate(learning_rate, variable.dtype) * g)
            return
        velocity = self.velocities[self._get_variable_index(variable)]
        gain = 1 - self.momentum
        g = ops.cast(gradient, velocity.dtype)
        v = step(ops.convert_to_tensor(velocity), g, gain)
        self.assign(velocity, v)
        direction = step(v, g, gain) if self.nesterov else v
        rate = self._rate(learning_rate, velocity.dtype)
        self.assign_sub(variable, ops.cast(rate * direction, variable.dtype))

    def _has_own_rule(self) -> bool:
        # Not in a subclass that overrides it: nothing but the rule itself may then be taken.
        return type(self).update_step is MomentumSGD.update_step

    def _rate(self, learning_rate: Any, dtype: Any, mu: float | None = None) -> Any:
        """Return what v, or with Nesterov n, is multiplied by before it is subtracted.

        `mu` is what v was decayed by where that is not `momentum` to its last digit.
        """
        mu = self.momentum if mu is None else mu
        tau = mu if self.dampening == self.momentum else self.dampening
        rate = ops.convert_to_tensor(learning_rate, dtype) * ((1 - tau) / (1 - mu))
        if self.debias and self.momentum:
            # gain(mu, t) / (1 - mu); through expm1, since in float32 1 - mu**t cancels.
            t = ops.cast(self.iterations, dtype) + (2 if self.nesterov else 1)
            rate = rate / -ops.expm1(t * math.log(mu))
        return rate

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        # A rate that was computed with may be a tensor.
        if not (ops.is_tensor(learning_rate) or isinstance(learning_rate, keras.Variable)):
            learning_rate = _arguments.learning_rate(learning_rate, self.decay)
        if self.decay:
            learning_rate = ops.multiply(learning_rate, self._decayed_by())
        keras.optimizers.Optimizer.learning_rate.fset(self, learning_rate)

    def _get_current_learning_rate(self) -> Any:
        learning_rate = super()._get_current_learning_rate()
        return ops.divide(learning_rate, self._decayed_by()) if self.decay else learning_rate

    def _decayed_by(self) -> Any:
        # In float16 it would be infinite from the 65520th step on.
        dtype = "float64" if keras.backend.floatx() == "float64" else "float32"
        return 1 + self.decay * ops.cast(self.iterations, dtype)

    def save_own_variables(self, store: Any) -> None:
        """Write the state, marked as one of this class."""
        super().save_own_variables(store)
        _saved_state.mark(store, self)

    def load_own_variables(self, store: Any) -> None:
        """Read a state that `save_own_variables` has written, under any backend."""
        try:
            state = _saved_state.without_mark(store, self)
        except ValueError:
            _saved_state.forget(self)
            raise
        super().load_own_variables(state)

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
