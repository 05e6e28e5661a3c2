"""`ewma_keras` on each of Keras' backends, in a process a backend: Keras chooses at import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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
model.save_weights(sys.argv[1])
fit(model)
np.save(sys.argv[1] + ".npy", weights(model))
"""


def run(backend, *arguments, **environment):
    """Run Python with a backend."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT / "tests/helpers"),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A folder with a checkpoint of each backend."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for backend in BACKENDS:
        run(backend, "-c", SAVE, str(folder / f"{backend}.weights.h5"))
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_on(backend, checkpoints):
    """Everything in tests/keras; its output is shown if something fails."""
    pytest_itself = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/keras")
    run(backend, *pytest_itself, CHECKPOINTS=str(checkpoints))
