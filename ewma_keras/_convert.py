"""From Keras' SGD: the same training, continued."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def from_sgd(cls: type[Any], sgd: Any) -> Any:
    """Return a `cls`, a MomentumSGD, that continues where `sgd` stands."""
    if isinstance(sgd, keras.optimizers.LossScaleOptimizer):
        return _scaled(from_sgd(cls, sgd.inner_optimizer), sgd)
    if not isinstance(sgd, keras.optimizers.SGD):
        raise TypeError(
            "from_sgd converts a keras.optimizers.SGD, also one in a LossScaleOptimizer; received "
            f"{sgd!r}"
        )
    config = sgd.get_config()
    del config["name"]  # variables are named after it
    if not isinstance(sgd._learning_rate, keras.Variable):
        config["learning_rate"] = sgd._learning_rate  # the schedule or callable itself
    ours = cls(**config)
    for exclusion in vars(sgd).keys() & {
        "_exclude_from_weight_decay",
        "_exclude_from_weight_decay_pattern",
    }:
        setattr(ours, exclusion, getattr(sgd, exclusion))
    if not sgd.built:
        return ours

    ours.build(sgd._trainable_variables)
    # Copies, since JAX's steps delete the arrays that they start from.
    ours._iterations.assign(ops.copy(sgd._iterations))
    for kind in ("_model_variables_moving_average", "_accumulated_gradients"):
        for mine, theirs in zip(getattr(ours, kind, []), getattr(sgd, kind, []), strict=True):
            if theirs is not None:
                mine.assign(ops.copy(theirs))
    if sgd.momentum:
        rate = _rate_of_next_update(sgd)
        moves = any(u is not None and np.any(ops.convert_to_numpy(u)) for u in sgd.momentums)
        if rate == 0 and moves:
            raise ValueError(
                "the learning rate must not be 0, for SGD's velocity contains it; received "
                f"learning_rate={rate!r}; convert before it becomes 0"
            )
        for mine, theirs in zip(ours.velocities, sgd.momentums, strict=True):
            if theirs is not None and moves:
                # SGD: w += u, u = mu u - lr g; so u = -lr / (1 - mu) v.
                mine.assign(ops.cast(theirs, mine.dtype) * (-(1 - sgd.momentum) / rate))
    return ours


def _scaled(ours: Any, scaled: Any) -> Any:
    """Return the optimizer in a LossScaleOptimizer that stands where the given one does."""
    outer = keras.optimizers.LossScaleOptimizer(
        ours, scaled.initial_scale, scaled.dynamic_growth_steps
    )
    if scaled.built:
        outer.build(scaled.inner_optimizer._trainable_variables)
        for name in ("dynamic_scale", "step_counter", "_iterations"):
            getattr(outer, name).assign(ops.copy(getattr(scaled, name)))
    return outer


def _rate_of_next_update(sgd: Any) -> float:
    rate, steps = sgd.learning_rate, sgd.gradient_accumulation_steps
    if steps and isinstance(sgd._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        # Keras asks it at every step, and takes the answer at the last before the update.
        step = int(ops.convert_to_numpy(sgd._iterations))
        rate = sgd._learning_rate(step + steps - 1 - step % steps)
    return float(ops.convert_to_numpy(rate))
