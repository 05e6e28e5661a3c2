"""The same steps as Keras' SGD, PyTorch's SGD and optax, each run for real."""

import keras
import numpy as np
import pytest
from keras_steps import ATOL, FLOAT, array, directions, gradients, walk

from ewma_keras import MomentumSGD

# Exact in float32, through which Keras' SGD takes its momentum on TensorFlow.
MU, LR, STEPS = float(np.float32(0.9)), 0.125, 20
START = [1.0, -2.0, 3.0]
G = gradients(STEPS)


def rate(t):
    """Return a rate that falls, exact in float32."""
    return 0.5 if t < 5 else 0.25 if t < 12 else 0.0625


def schedule():
    return keras.optimizers.schedules.PiecewiseConstantDecay([4, 11], [0.5, 0.25, 0.0625])


def close(found, expected, atol=4 * ATOL):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def torch_walk(dampening=0.0, nesterov=False, rate=lambda t: LR):
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor(START, dtype=getattr(torch, FLOAT)))
    sgd = torch.optim.SGD([w], lr=rate(0), momentum=MU, dampening=dampening, nesterov=nesterov)
    path = [w.detach().numpy().copy()]
    for t, g in enumerate(G):
        sgd.param_groups[0]["lr"] = rate(t)
        w.grad = torch.from_numpy(g.copy())
        sgd.step()
        path.append(w.detach().numpy().copy())
    return np.stack(path)


def optax_walk(transformation):
    """Return the path in the precision of JAX, float32."""
    import jax.numpy as jnp
    import optax

    w = jnp.asarray(START, "float32")
    state, path = transformation.init(w), [np.asarray(w)]
    for g in G:
        updates, state = transformation.update(jnp.asarray(g, "float32"), state)
        w = optax.apply_updates(w, updates)
        path.append(np.asarray(w))
    return np.stack(path)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("mu", [0.0, 0.5, MU, 0.9921875])
def test_keras_sgd_at_a_constant_rate(mu, nesterov):
    theirs = keras.optimizers.SGD(LR, momentum=mu, nesterov=nesterov)
    close(walk(MomentumSGD(LR, mu, nesterov), G, START), walk(theirs, G, START))


@pytest.mark.parametrize("nesterov", [False, True])
def test_keras_sgd_under_a_schedule(nesterov):
    # Keras is our rule with mu lr_{t-1} / lr_t before v_{t-1}, as the docstring says.
    u, v, w, ours, theirs = 0, 0, np.array(START), [], []
    for t, g in enumerate(G.astype(float)):
        u = MU * u - rate(t) * g
        theirs.append(MU * u - rate(t) * g if nesterov else u)
        v = MU * (rate(t - 1) / rate(t) if t else 1) * v + (1 - MU) * g
        ours.append(-rate(t) / (1 - MU) * (MU * v + (1 - MU) * g if nesterov else v))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    sgd = keras.optimizers.SGD(schedule(), momentum=MU, nesterov=nesterov)
    close(walk(sgd, G, START)[1:], w + np.cumsum(theirs, axis=0))
    assert np.abs(walk(MomentumSGD(schedule(), MU, nesterov), G, START)[-1] - w).max() > 0.1


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("scheduled", [False, True])
def test_torch_sgd(nesterov, scheduled):
    ours = MomentumSGD(schedule() if scheduled else LR, MU, nesterov)
    theirs = torch_walk(nesterov=nesterov, rate=rate if scheduled else lambda t: LR)
    close(walk(ours, G, START), theirs)


@pytest.mark.parametrize("tau", [0.5, MU])
def test_torch_sgd_with_dampening(tau):
    # Its first step is not dampened: lr tau mu^(t-1) g_1 more in step t.
    more = LR * tau * MU ** np.arange(STEPS)[:, None] * G[0]
    steps = np.diff(walk(MomentumSGD(LR, MU, dampening=tau), G, START), axis=0) - more
    close(steps, np.diff(torch_walk(dampening=tau), axis=0))


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("scheduled", [False, True])
def test_optax_sgd(nesterov, scheduled):
    import jax.numpy as jnp
    import optax

    def optax_rate(t):
        return jnp.where(t < 5, 0.5, jnp.where(t < 12, 0.25, 0.0625))

    theirs = optax.sgd(optax_rate if scheduled else LR, MU, nesterov)
    ours = MomentumSGD(schedule() if scheduled else LR, MU, nesterov)
    close(walk(ours, G, START), optax_walk(theirs), 4e-5)


@pytest.mark.parametrize("debias", [False, True])
def test_optax_ema(debias):
    import optax

    theirs = optax.chain(optax.ema(MU, debias=debias), optax.scale(-LR))
    ours = MomentumSGD(LR, MU, dampening=MU, debias=debias)
    close(walk(ours, G, START), optax_walk(theirs), 4e-6)


def test_adams_first_moment():
    # With g^2 averaged over nothing (beta_2 = 0) Adam's direction is the debiased v over |g|.
    adam = keras.optimizers.Adam(1.0, beta_1=MU, beta_2=0.0, epsilon=0.0)
    ours = directions(MomentumSGD(1, MU, dampening=MU, debias=True), G)
    close(directions(adam, G) * np.abs(G), ours, 2e-3 if FLOAT == "float32" else 1e-6)


def test_from_sgd_continues_on_the_same_path():
    for nesterov in (False, True):
        whole = walk(keras.optimizers.SGD(LR, momentum=MU, nesterov=nesterov), G, START)
        sgd = keras.optimizers.SGD(LR, momentum=MU, nesterov=nesterov)
        half = walk(sgd, G[:8], START)
        ours = MomentumSGD.from_sgd(sgd)
        assert int(array(ours.iterations)) == 8
        (w,) = sgd._trainable_variables
        path = []
        for g in G[8:]:
            ours.apply([keras.ops.convert_to_tensor(g)], [w])
            path.append(array(w).copy())
        close(np.concatenate([half, path]), whole)
