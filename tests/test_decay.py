"""`gain`, `step`, and the ways to say how much to forget."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ewma import gain, smooth, step
from ewma._decay import beta_from

EPS = 2.0**-52


def exact_gain(beta, t):
    """Return 1 / (1 + beta + ... + beta**(t - 1)) to 60 digits."""
    if t <= 60:
        return 1 / sum(Fraction(beta) ** i for i in range(t))
    beta = Fraction(beta)
    power, square = 1, beta
    for bit in bin(t)[:1:-1]:  # beta**t in fixed point: exactly it has 50 million digits
        if bit == "1":
            power = _round(power * square)
        square = _round(square * square)
    return (1 - beta) / (1 - power)


def _round(x):
    return Fraction(int(x * 2**300), 2**300)


BETAS = [0.1, 0.3, 0.5, 0.5000001, 0.6, 0.9, 0.99, 0.999, 0.99999, 1 - 1e-9, math.nextafter(1, 0)]


@pytest.mark.parametrize("beta", BETAS)
def test_gain_is_right_to_the_last_bits(beta):
    times = [1, 2, 3, 7, 50, 1000, 10**5, 10**6]
    expected = [float(exact_gain(beta, t)) for t in times]
    np.testing.assert_allclose([gain(beta, t) for t in times], expected, rtol=4 * EPS)
    for dtype in (np.int64, np.float64):
        found = gain(beta, np.array(times, dtype))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=4 * EPS)


def test_gain_by_definition():
    # 1 / w_t and w_t = beta * w_{t-1} + 1
    weight = 0.0
    for t in range(1, 200):
        weight = 0.9 * weight + 1
        assert gain(0.9, t) == pytest.approx(1 / weight, rel=1e-14)


def test_gain_at_the_ends():
    assert [gain(1, t) for t in (1, 2, 4)] == [gain(1.0, t) for t in (1, 2, 4)] == [1, 0.5, 0.25]
    assert [gain(0, t) for t in (1, 2, 4)] == [gain(0.0, t) for t in (1, 2, 4)] == [1, 1, 1]
    np.testing.assert_array_equal(gain(1, np.array([1, 2, 4])), [1, 0.5, 0.25])
    np.testing.assert_array_equal(gain(0.0, np.array([[1, 2]])), [[1, 1]])
    assert gain(0.9, 10**9) == pytest.approx(0.1, rel=4 * EPS)
    assert gain(0.9, np.int64(1)) == gain(np.float64(0.9), 1.0) == 1


def test_gain_of_another_library_goes_through_its_operators():
    class Number:
        def __init__(self, value):
            self.value = value

        def __rpow__(self, base):
            return Number(base**self.value)

        def __rsub__(self, other):
            return Number(other - self.value)

        def __rtruediv__(self, other):
            return Number(other / self.value)

    assert gain(0.9, Number(3)).value == (1 - 0.9) / (1 - 0.9**3)


def test_step():
    assert step(1.0, 3.0, 0.25) == 1.5
    assert step(Fraction(1), Fraction(3), Fraction(1, 3)) == Fraction(5, 3)
    y, x = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    mean = step(y, x, 0.5)
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, np.full((2, 3), 0.5))
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(step(y, x, np.array([1.0, 0.5, 0.0])), [[1, 0.5, 0]] * 2)


# Beta by its other names


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 0.999, 1 - 1e-9])
def test_names_of_beta(beta):
    alpha = 1 - beta
    assert beta_from(beta=beta) == beta
    assert beta_from(alpha=alpha) == 1 - alpha == pytest.approx(beta, rel=4 * EPS)
    assert beta_from(com=beta / alpha) == pytest.approx(beta, rel=4 * EPS)
    assert beta_from(span=2 / alpha - 1) == pytest.approx(beta, rel=4 * EPS, abs=EPS)
    if beta > 0:
        assert beta_from(halflife=math.log(0.5) / math.log(beta)) == pytest.approx(beta, rel=1e-14)


def test_beta_at_the_ends():
    assert beta_from() == 0.9
    assert beta_from(alpha=0) == beta_from(com=math.inf) == beta_from(span=math.inf) == 1
    assert beta_from(halflife=math.inf) == 1
    assert beta_from(alpha=1) == beta_from(com=0) == beta_from(span=1) == 0
    assert beta_from(halflife=1e-320) == 0
    assert beta_from(halflife=1) == 0.5


@pytest.mark.parametrize("beta", [0.5, np.float64(0.5), np.float32(0.5), Fraction(1, 2)], ids=repr)
def test_any_real_number_will_do(beta):
    assert smooth([4.0, 1.0, 3.0], beta) == smooth([4.0, 1.0, 3.0], beta=0.5)
    assert smooth([4.0, 1.0], int(2 * beta)) == [4.0, 2.5]
    assert smooth([4.0, 1.0, 3.0], alpha=beta) == smooth([4.0, 1.0, 3.0], com=np.int64(1))


def test_default_is_nine_tenths():
    assert smooth([4.0, 1.0, 3.0]) == smooth([4.0, 1.0, 3.0], 0.9)
    assert smooth([4.0, 1.0, 3.0], None, alpha=0.5) == smooth([4.0, 1.0, 3.0], 0.5)


@pytest.mark.parametrize(
    ("decay", "rule"),
    [
        *(({"beta": b}, "must lie in [0, 1]") for b in (-0.1, 1.1, -math.inf, math.inf, -1, 2)),
        *(({"beta": b}, "must lie in [0, 1]") for b in (math.nextafter(1, 2), -5e-324)),
        *(({"alpha": a}, "alpha = 1 - beta must lie in [0, 1]") for a in (-0.1, 1.1, math.inf)),
        *(({"com": c}, "must be at least 0") for c in (-0.1, -math.inf)),
        *(({"span": s}, "must be at least 1") for s in (0.9, 0, -3.0)),
        *(({"halflife": h}, "must be above 0") for h in (0, 0.0, -1.0, -math.inf)),
        *(({name: math.nan}, name) for name in ("beta", "alpha", "com", "span", "halflife")),
    ],
    ids=str,
)
@pytest.mark.parametrize("series", [[1.0, 2.0], np.ones(3), []], ids=["list", "array", "empty"])
def test_bad_decay(decay, rule, series):
    (name, value), *_ = decay.items()
    with pytest.raises(ValueError, match=name) as error:
        smooth(series, **decay)
    assert rule in str(error.value)
    assert f"received {float(value)!r}" in str(error.value)


@pytest.mark.parametrize("name", ["beta", "alpha", "com", "span", "halflife"])
@pytest.mark.parametrize("value", ["0.9", True, 1j, np.array(0.9), Decimal("0.9")], ids=repr)
def test_bad_type_of_decay(name, value):
    with pytest.raises(TypeError, match=f"{name} must be a number; ") as error:
        smooth([1.0, 2.0], **{name: value})
    assert f"received {value!r}" in str(error.value)
    with pytest.raises(TypeError, match=f"{name} must be a number; "):
        smooth([1.0, 2.0], **{name: [2.0 if name == "span" else 0.5, value]})


def test_two_decays():
    with pytest.raises(ValueError, match="only one of") as error:
        smooth([1.0], 0.9, alpha=0.1)
    assert "received beta=0.9, alpha=0.1" in str(error.value)
    with pytest.raises(ValueError, match="received com=1, span=3, halflife=1"):
        smooth(np.ones(3), com=1, span=3, halflife=1)


def test_options_are_named():
    with pytest.raises(TypeError):
        smooth([1.0], 0.9, 0.1)
