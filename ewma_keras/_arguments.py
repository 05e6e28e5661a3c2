"""The checks of what an optimizer is constructed with."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np


def number(name: str, value: object, rule: str, *, holds: Any = lambda number: True) -> float:
    """Return `value` as a float if it is a finite number for which the rule holds."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            converted = float(value)
        except OverflowError:  # a large int
            converted = math.inf
        if math.isfinite(converted) and holds(converted):
            return converted
    raise ValueError(f"{name} must be {rule}; received {name}={value!r}")


def flag(name: str, value: object) -> bool:
    """Return `value` as a bool; 0 and 1 are welcome."""
    # What stands third in older Keras' SGD and in PyTorch's would be true.
    if isinstance(value, bool | int | np.bool) and value in (0, 1):
        return bool(value)
    raise ValueError(
        f"{name} must be True or False; received {name}={value!r}: decay and dampening are given "
        "by their names"
    )


def momentum(value: object) -> float:
    """Return the momentum, mu."""
    return number("momentum", value, "a number in [0, 1)", holds=lambda mu: 0 <= mu < 1)


def dampening(value: object) -> float:
    """Return the dampening, tau."""
    return number("dampening", value, "a number in [0, 1]", holds=lambda tau: 0 <= tau <= 1)


def decay(value: object) -> float:
    """Return the decay of the rate per step."""
    return number("decay", value, "a number of at least 0", holds=lambda decay: decay >= 0)


def learning_rate(value: Any, decay: float) -> Any:
    """Return the rate as a float; schedules and callables as they are."""
    if not callable(value):
        return number("learning_rate", value, "a number, a schedule or a callable")
    if decay:
        raise ValueError(
            "decay is for a constant learning_rate; with a schedule or a callable let that fall by "
            f"itself and leave decay out; received learning_rate={value!r}, decay={decay!r}"
        )
    return value


def representable(momentum: float, dtype: str) -> float | None:
    """Return the momentum that a fused kernel is to be given, which computes in `dtype`.

    It multiplies v by mu and g by 1 - mu. Where these, rounded, make more or less than 1 together,
    v is drawn aside, the farther the longer it remembers; so mu is rounded first. None where it
    would remember for another time than `momentum` then.
    """
    mu = float(np.dtype(dtype).type(momentum))
    return mu if abs(mu - momentum) <= _OTHER_TIME * (1 - momentum) else None


_OTHER_TIME = 2**-12
