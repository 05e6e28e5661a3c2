"""How much to forget: the recurrence's gain and step, and beta by its other names."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

DEFAULT_BETA = 0.9

# One value, or several at once.
Decay: TypeAlias = float | Sequence[float] | npt.NDArray[Any] | None
Auto: TypeAlias = Literal["auto"]
Duration: TypeAlias = str | datetime.timedelta | np.timedelta64
Halflife: TypeAlias = Decay | Duration | Sequence[Duration]


def gain(beta: Any, t: Any) -> Any:
    r"""Return the gain of the t-th step, one over the weight of all samples so far.

    .. math:: g_t = \frac{1}{w_t} = \frac{1 - \beta}{1 - \beta^t}, \qquad w_t = \beta w_{t-1} + 1

    Parameters
    ----------
    beta : float
        Weight kept from the past, 0 <= beta <= 1. At 1 the gain is 1 / t, the plain running mean.
    t : int, float, array or tensor
        Number of samples seen, this one included, from 1.

    Returns
    -------
    float, array or tensor
        Of the kind of `t`. Numbers and NumPy arrays are right to the last few bits; tensors
        (TensorFlow, JAX, PyTorch) go through Python's operators in their own precision.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", 2015, section 3, where
    dividing by 1 - beta**t is called bias correction.

    Examples
    --------
    >>> gain(0.5, 1), gain(0.5, 2), gain(1, 4)
    (1.0, 0.6666666666666666, 0.25)
    """
    if isinstance(beta, Real) and isinstance(t, Real | np.ndarray):
        b = float(beta)
        if b == 1:
            return 1 / t
        if b > 0.5:  # below, 1 - beta**t loses nothing
            # log(beta) from 1 - beta, which is exact here, and expm1: 1 - beta**t would cancel.
            exponent: Any = t * math.log1p(b - 1)
            return (b - 1) / (np.expm1 if isinstance(t, np.ndarray) else math.expm1)(exponent)
    return (1 - beta) / (1 - beta**t)


def step(y: Any, x: Any, gain: Any) -> Any:
    r"""Return the mean after one more sample.

    .. math:: y_t = y_{t-1} + g_t (x_t - y_{t-1})

    Written with nothing but Python's operators: floats, NumPy arrays and the tensors of TensorFlow,
    JAX and PyTorch pass through it. With a curve's values as `x` it smooths, with gradients it is
    the velocity of momentum.

    Parameters
    ----------
    y : float, array or tensor
        The mean so far, 0 at first.
    x : float, array or tensor
        The sample.
    gain : float, array or tensor
        How far to go towards it: ``gain(beta, t)``, or ``1 - beta`` without bias correction.

    Returns
    -------
    float, array or tensor

    Examples
    --------
    >>> y = 0.0
    >>> for t, x in enumerate([4.0, 1.0], start=1):
    ...     y = step(y, x, gain(0.5, t))
    >>> y
    2.0
    """
    return y + gain * (x - y)


def given_decay(**decays: Any) -> tuple[str, Any]:
    """Return the name and the value of the one decay that is given, beta = 0.9 if none is."""
    given = {name: value for name, value in decays.items() if value is not None}
    if len(given) > 1:
        received = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise ValueError(
            f"give only one of beta, alpha, com, span and halflife; received {received}"
        )
    return next(iter(given.items()), ("beta", DEFAULT_BETA))


def beta_from(
    beta: float | None = None,
    alpha: float | None = None,
    com: float | None = None,
    span: float | None = None,
    halflife: float | None = None,
) -> float:
    """Return beta from the one of its names that is given, 0.9 if none is."""
    return beta_of(*given_decay(beta=beta, alpha=alpha, com=com, span=span, halflife=halflife))


def beta_of(name: str, value: Any) -> float:
    """Return beta from one of its names, and its value."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; received {value!r}")
    return _CONVERSIONS[name](float(value))


def _require(holds: bool, rule: str, value: float) -> None:
    if not holds:
        raise ValueError(f"{rule}; received {value!r}")


def _from_beta(beta: float) -> float:
    _require(0 <= beta <= 1, "beta, the weight kept from the past, must lie in [0, 1]", beta)
    return beta


def _from_alpha(alpha: float) -> float:
    _require(0 <= alpha <= 1, "alpha = 1 - beta must lie in [0, 1]", alpha)
    return 1 - alpha


def _from_com(com: float) -> float:
    _require(com >= 0, "com = beta / (1 - beta) must be at least 0", com)
    return com / (1 + com) if com < math.inf else 1.0


def _from_span(span: float) -> float:
    _require(span >= 1, "span = 2 / (1 - beta) - 1 must be at least 1", span)
    return (span - 1) / (span + 1) if span < math.inf else 1.0


def _from_halflife(halflife: float) -> float:
    _require(halflife > 0, "halflife = log(1/2) / log(beta) must be above 0", halflife)
    return float(0.5 ** (1 / halflife))


_CONVERSIONS = {
    "beta": _from_beta,
    "alpha": _from_alpha,
    "com": _from_com,
    "span": _from_span,
    "halflife": _from_halflife,
}
