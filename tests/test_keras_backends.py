"""`ewma_keras` on each of Keras' backends, in a process a backend: Keras chooses at import."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from keras_process import pytest_itself, run

BACKENDS = ["tensorflow", "jax", "torch"]

# What one backend saves after some steps, and all of them continue. On the way: nothing of another
# backend is imported beside what `import keras` imports.
SAVE = """
import sys
import keras
before = set(sys.modules)
import ewma_keras
others = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}
assert not {name.partition(".")[0] for name in set(sys.modules) - before} & others

import numpy as np
from keras_steps import fit, half_trained, weights
model = half_trained()
fit(model)
model.save_weights(sys.argv[1] + ".weights.h5")
model.save(sys.argv[1] + ".keras")
fit(model)
np.save(sys.argv[1] + ".npy", weights(model))
"""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder with a checkpoint of each backend."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with ThreadPoolExecutor(len(BACKENDS)) as pool:
        list(pool.map(lambda backend: run(backend, "-c", SAVE, str(folder / backend)), BACKENDS))
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_on(backend, checkpoints):
    """Everything in tests/keras; its output is shown if something fails."""
    run(backend, *pytest_itself("tests/keras"), CHECKPOINTS=str(checkpoints))
