"""An optimizer's steps on given gradients, as arrays."""

import keras
import numpy as np
from keras import ops

import ewma
from ewma_keras import MomentumSGD

BACKEND = keras.backend.backend()
# JAX has float64 only where the whole program wants it.
FLOAT = "float32" if BACKEND == "jax" else "float64"
# Roundings of a handful of steps on values around one.
ATOL = 1e-5 if BACKEND == "jax" else 1e-13


def gradients(steps=20, size=3, seed=0):
    """Return gradients, a row a step, exact in float32."""
    rows = np.random.default_rng(seed).normal(size=(steps, size))
    return rows.astype("float32").astype(FLOAT)


def variable(value, dtype=FLOAT):
    return keras.Variable(np.asarray(value), dtype=dtype)


def array(tensor):
    return ops.convert_to_numpy(ops.convert_to_tensor(tensor))


def walk(optimizer, gradients, start=None, dtype=FLOAT):
    """Return the weights before the first and after each step, a row a step."""
    w = variable(np.zeros(gradients.shape[1:]) if start is None else start, dtype)
    path = [array(w)]
    for g in gradients:
        optimizer.apply([ops.convert_to_tensor(g, dtype)], [w])
        path.append(array(w))
    return np.stack(path)


def directions(optimizer, gradients):
    """Return what each step subtracts at a rate of 1 and dampening = momentum."""
    return -np.diff(walk(optimizer, gradients), axis=0)


def network():
    """Return a small model, the same each time and on each backend."""
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    )
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=w.shape) / 2 for w in model.get_weights()])
    return model


def half_trained():
    """Return the model of which `tests/test_keras_backends.py` makes checkpoints, compiled."""
    model = network()
    model.compile(MomentumSGD(0.05, nesterov=True, debias=True, decay=0.1), "mse")
    return model


def data(n=32):
    x = np.random.default_rng(1).normal(size=(n, 3)).astype("float32")
    return x, x.sum(axis=1, keepdims=True)


def fit(model, epochs=1, **options):
    x, y = data()
    return model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **options)


def weights(model):
    """Return all weights of a model as one vector."""
    return np.concatenate([w.ravel() for w in model.get_weights()])


def long_memory(mu, apply_all):
    """Return the velocity in float32 after 3,000 steps around 0.7, and the EMA of the gradients.

    `apply_all(optimizer, w, gradients)` takes the steps.
    """
    g = (0.7 + np.random.default_rng(1).normal(size=3000)).astype("float32")
    w = variable(np.zeros(1), "float32")
    optimizer = MomentumSGD(1e-6, mu)
    optimizer.build([w])
    optimizer.velocities[0].assign(ops.full((1,), 0.7, "float32"))
    apply_all(optimizer, w, g)
    expected = 0.7 + ewma.smooth(g.astype("float64") - 0.7, mu, debias=False)
    return array(optimizer.velocities[0])[0], expected[-1]
