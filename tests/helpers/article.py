"""The article's network and a few of its steps, the same on one device and on several."""

import keras
import numpy as np
from keras_steps import array

from ewma_keras import MomentumSGD

# The weights differ by the order in which the gradients of a batch are summed, after STEPS steps on
# weights below one. In float64, so that nothing larger hides in it.
keras.config.set_floatx("float64")
ATOL = 1e-13
STEPS, BATCH = 6, 16


def data():
    random = np.random.default_rng(1)
    x = random.uniform(size=(STEPS * BATCH, 28, 28))
    return x, random.integers(10, size=len(x))


def compiled(dropout=0.0, dtype=None, cls=MomentumSGD, **options):
    """Return the network before its first step."""
    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, "relu", dtype=dtype, name="hidden"),
            keras.layers.Dropout(dropout, seed=2),
            keras.layers.Dense(10, "softmax", dtype=dtype, name="digits"),
        ]
    )
    random = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(random.normal(size=w.shape) / w.shape[0] ** 0.5)
    # Without XLA, which Keras takes for one device and not under a strategy, nor its loops.
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    # An eighth: exact in binary, as is the momentum.
    optimizer = cls(0.125, momentum=0.875, **options)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit)
    return model


def train(**options):
    """Return the network after STEPS steps."""
    model = compiled(**options)
    x, y = data()
    model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    return model


def state(model):
    """Return the weights and the velocities, as one vector."""
    variables = (*model.trainable_variables, *model.optimizer.velocities)
    return np.concatenate([array(v).ravel() for v in variables])
