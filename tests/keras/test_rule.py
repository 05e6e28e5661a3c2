"""The update rule: written as algebra, as `ewma.smooth`, and at its edges."""

import math
from fractions import Fraction

import keras
import numpy as np
import pytest
from keras import ops
from keras_steps import ATOL, BACKEND, FLOAT, array, directions, gradients, variable, walk

import ewma
from ewma_keras import MomentumSGD

MU, LR = 0.9, 0.125


def close(found, expected, atol=ATOL):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


# Three steps, written out


def test_momentum():
    g1, g2, g3 = gradients(3)
    w = walk(MomentumSGD(LR, MU), gradients(3))
    # lr / (1 - mu) * v, and v_1 = (1 - mu) g_1
    close(w[1], -LR * g1)
    close(w[2] - w[1], -LR * (MU * g1 + g2))
    close(w[3] - w[2], -LR * (MU**2 * g1 + MU * g2 + g3))


def test_nesterov():
    g1, g2, g3 = gradients(3)
    w = walk(MomentumSGD(LR, MU, nesterov=True), gradients(3))
    # mu v + (1 - mu) g in the place of v
    close(w[1], -LR * (MU * g1 + g1))
    close(w[2] - w[1], -LR * (MU * (MU * g1 + g2) + g2))
    close(w[3] - w[2], -LR * (MU * (MU**2 * g1 + MU * g2 + g3) + g3))


def test_dampening():
    g1, g2, _ = gradients(3)
    w = walk(MomentumSGD(LR, MU, dampening=0.75), gradients(3))
    close(w[1], -LR * 0.25 * g1)
    close(w[2] - w[1], -LR * 0.25 * (MU * g1 + g2))


def test_debias():
    g1, g2, _ = gradients(3)
    w = walk(MomentumSGD(LR, MU, debias=True), gradients(3))
    close(w[1], -LR / (1 - MU) * g1)
    close(w[2] - w[1], -LR / (1 - MU) * (MU * g1 + g2) / (MU + 1))


def test_debias_with_nesterov():
    g1, g2, _ = gradients(3)
    w = walk(MomentumSGD(LR, MU, nesterov=True, debias=True), gradients(3))
    # n / (1 - mu^(t + 1)): a constant gradient has the same step from the first
    close(w[1], -LR / (1 - MU) * (MU * g1 + g1) / (MU + 1))
    close(w[2] - w[1], -LR / (1 - MU) * (MU * (MU * g1 + g2) + g2) / (MU**2 + MU + 1))


def test_without_momentum():
    g = gradients(3)
    optimizer = MomentumSGD(LR, 0, nesterov=True, debias=True)
    close(walk(optimizer, g)[1:], -LR * np.cumsum(g, axis=0))
    assert optimizer.velocities == []
    assert len(optimizer.variables) == 2  # iterations and rate: no state to pay for


def test_exact_fractions():
    # Halves and quarters are exact in any type: not one rounding.
    g = [4, 1, 3, 0, 8]
    v, w = Fraction(0), Fraction(0)
    for x in g:
        v += Fraction(1, 2) * (x - v)
        w -= Fraction(1, 4) * (v + Fraction(1, 2) * (x - v))
    optimizer = MomentumSGD(0.25, 0.5, nesterov=True, dampening=0.5)
    assert walk(optimizer, np.array(g)[:, None])[-1] == w
    assert array(optimizer.velocities[0]) == v


# The same numbers as a smoothed curve


@pytest.mark.parametrize("mu", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("dampening", [0, 0.5, 1])
def test_velocity_is_the_ema_of_the_gradients(mu, nesterov, dampening):
    g = gradients(50)
    optimizer = MomentumSGD(LR, mu, nesterov, dampening=dampening)
    walk(optimizer, g)
    close(array(optimizer.velocities[0]), ewma.smooth(g, beta=mu, debias=False)[-1])


@pytest.mark.parametrize("mu", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("debias", [False, True])
def test_direction_is_the_smoothed_gradient(mu, debias):
    g = gradients(50)
    optimizer = MomentumSGD(1, mu, dampening=mu, debias=debias)
    close(directions(optimizer, g), ewma.smooth(g, beta=mu, debias=debias), 20 * ATOL)


def test_debias_of_a_constant_gradient_is_that_gradient():
    g = np.full((30, 1), 3.0)
    for nesterov in (False, True):
        optimizer = MomentumSGD(1, 0.999, nesterov, dampening=0.999, debias=True)
        # In float32 1 - 0.999**t alone would be wrong by 5e-5.
        close(directions(optimizer, g), g, 2e-5 if BACKEND == "jax" else 1e-11)


# Precision


def test_long_memory_in_half_precision():
    # bfloat16 rounds 0.999 to 1, and Keras' SGD stops forgetting; float16 rounds it to 0.99902.
    steps = 1000
    for dtype in ("bfloat16", "float16"):
        w = variable(np.ones(2), dtype)
        optimizer = MomentumSGD(2**-10, 0.999, dampening=0.999)
        for _ in range(steps):
            optimizer.apply([ops.ones(2, dtype)], [w])
        velocity = optimizer.velocities[0]
        assert keras.backend.standardize_dtype(velocity.dtype) == "float32"
        np.testing.assert_allclose(array(velocity), 1 - 0.999**steps, rtol=1e-4)
        assert keras.backend.standardize_dtype(w.dtype) == dtype

    w = variable(np.ones(2), "bfloat16")
    sgd = keras.optimizers.SGD(2.0**-10, momentum=0.999)
    for _ in range(steps):
        sgd.apply([ops.ones(2, "bfloat16")], [w])
    sgd_velocity = -(1 - 0.999) / 2**-10 * array(ops.cast(sgd.momentums[0], "float32"))
    assert np.all(np.abs(sgd_velocity - (1 - 0.999**steps)) > 0.3)


def test_velocity_has_the_type_of_its_variable():
    for dtype in ("float32", FLOAT):
        optimizer = MomentumSGD()
        walk(optimizer, gradients(1), dtype=dtype)
        assert keras.backend.standardize_dtype(optimizer.velocities[0].dtype) == dtype
        assert optimizer.velocities[0].path.endswith("_velocity")


def test_half_precision_steps_are_those_of_float32():
    g = gradients(10).astype("float32")
    half = walk(MomentumSGD(LR), g, dtype="bfloat16").astype("float32")
    np.testing.assert_allclose(half, walk(MomentumSGD(LR), g, dtype="float32"), atol=0.05)


# The rate


@pytest.mark.parametrize(
    "rate", [2, np.float32(2), np.float64(2), np.int64(2), np.array(2.0)[()], Fraction(2)]
)
def test_any_number_is_a_rate(rate):
    g = gradients(2)
    close(walk(MomentumSGD(rate), g), walk(MomentumSGD(2.0), g))


def test_schedule():
    g1, g2, g3 = gradients(3)
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    w = walk(MomentumSGD(rates, MU), gradients(3))
    close(w[1], -0.5 * g1)
    close(w[2] - w[1], -0.25 * (MU * g1 + g2))
    close(w[3] - w[2], -0.125 * (MU**2 * g1 + MU * g2 + g3))


def test_callable():
    g = gradients(5)
    close(walk(MomentumSGD(lambda: LR), g), walk(MomentumSGD(LR), g))


def test_decay_is_that_of_older_keras():
    g = gradients(4)
    w = walk(MomentumSGD(LR, 0, decay=0.5), g)
    rates = LR / (1 + 0.5 * np.arange(4))
    close(np.diff(w, axis=0), -rates[:, None] * g, max(ATOL, 1e-7))
    schedule = keras.optimizers.schedules.InverseTimeDecay(LR, 1, 0.5)
    close(
        walk(MomentumSGD(LR, decay=0.5, weight_decay=0.1), g, [1, 2, 3]),
        walk(MomentumSGD(schedule, weight_decay=0.1), g, [1, 2, 3]),
        1e-6,
    )


def test_decay_and_what_callbacks_do_to_the_rate():
    optimizer = MomentumSGD(LR, decay=0.5)
    walk(optimizer, gradients(2))
    assert float(array(optimizer.learning_rate)) == LR / 2
    optimizer.learning_rate = LR / 4  # ReduceLROnPlateau: half of what it read
    assert float(array(optimizer.learning_rate)) == LR / 4
    assert optimizer.get_config()["learning_rate"] == LR / 2  # of iteration 0
    with pytest.raises(ValueError, match="leave decay out"):
        optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    constant = MomentumSGD(LR)
    constant.learning_rate = 1
    assert float(array(constant.learning_rate)) == 1


# What is refused


@pytest.mark.parametrize("mu", [1, 1.0, -0.1, 2, math.nan, "0.9", None, True, 10**400])
def test_momentum_must_lie_below_one(mu):
    with pytest.raises(
        ValueError, match=r"momentum must be a number in \[0, 1\); received"
    ) as info:
        MomentumSGD(momentum=mu)
    assert repr(mu) in str(info.value)


@pytest.mark.parametrize("rate", ["0.1", None, math.nan, math.inf, True, [0.1]])
def test_rate_must_be_a_number(rate):
    with pytest.raises(ValueError, match="learning_rate must be a number") as info:
        MomentumSGD(rate)
    assert repr(rate) in str(info.value)


@pytest.mark.parametrize("decay", [0, 1e-3])
def test_rate_that_is_set(decay):
    optimizer = MomentumSGD(0.5, decay=decay)
    optimizer.learning_rate = optimizer.learning_rate * 0.5  # a tensor, with some backends
    assert float(array(optimizer.learning_rate)) == pytest.approx(0.25)
    optimizer.learning_rate = ops.convert_to_tensor(2.0)
    assert float(array(optimizer.learning_rate)) == pytest.approx(2)
    for rate in (math.nan, "0.1", None):
        with pytest.raises(ValueError, match="learning_rate must be a number"):
            optimizer.learning_rate = rate
    assert float(array(optimizer.learning_rate)) == pytest.approx(2)


@pytest.mark.parametrize("name", ["nesterov", "debias"])
@pytest.mark.parametrize("value", [1e-6, 0.9, math.nan, "False", None, 2])
def test_flags_are_true_or_false(name, value):
    # Older Keras' third argument is the decay, PyTorch's the dampening.
    with pytest.raises(ValueError, match=f"{name} must be True or False.*by their names") as info:
        MomentumSGD(0.01, 0.9, **{name: value})
    assert repr(value) in str(info.value)
    for flag in (True, np.True_, 1):
        assert getattr(MomentumSGD(**{name: flag}), name) is True


def test_decay_in_a_program_of_float16():
    keras.config.set_floatx("float16")
    try:
        w = variable(np.zeros(1), "float16")
        optimizer = MomentumSGD(0.5, 0, decay=1e-6)
        optimizer.build([w])
        optimizer._iterations.assign(70_000)  # more than there are in float16
        optimizer.apply([ops.ones((1,), "float16")])
        assert float(array(w)[0]) == pytest.approx(-0.5 / 1.07, rel=1e-3)
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("dampening", [-0.1, 1.5, math.nan, "1"])
def test_dampening_must_lie_in_0_1(dampening):
    with pytest.raises(ValueError, match="dampening must be a number in") as info:
        MomentumSGD(dampening=dampening)
    assert repr(dampening) in str(info.value)


@pytest.mark.parametrize("decay", [-1e-6, math.inf, None])
def test_decay_must_not_be_negative(decay):
    with pytest.raises(ValueError, match=f"decay must be a number of at least 0; .*{decay}"):
        MomentumSGD(decay=decay)


def test_decay_is_for_a_constant_rate():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    for rate in (schedule, lambda: 0.1):
        with pytest.raises(ValueError, match="leave decay out; received learning_rate="):
            MomentumSGD(rate, decay=1e-6)


def test_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="not recognized"):
        MomentumSGD(beta=0.9)


def test_a_subclass_has_its_own_rule():
    """Also where the optimizer would take a faster way."""

    class Frozen(MomentumSGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(keras.ops.zeros_like(gradient), variable, learning_rate)

    w = variable(np.ones(2), "float32")
    optimizer = Frozen(0.5)
    optimizer.apply([keras.ops.ones(2)], [w])
    np.testing.assert_array_equal(array(w), 1.0)


def test_rate_that_is_an_array_of_one_number():
    optimizer = MomentumSGD(np.array(0.25))
    optimizer.learning_rate = np.array(0.5)
    assert float(array(optimizer.learning_rate)) == 0.5
