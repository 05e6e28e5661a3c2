"""`ewma_keras` on each of Keras' backends, in a process a backend: Keras chooses at import."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BACKENDS = ["tensorflow", "jax", "torch"]

# What one backend saves after some steps, and any of them continues.
CHECKPOINT = """
import sys
from pathlib import Path
import numpy as np
from keras_steps import fit, network, weights
from ewma_keras import MomentumSGD

task, path = sys.argv[1:]
model = network()
model.compile(MomentumSGD(0.05, nesterov=True, debias=True, decay=0.1), "mse", jit_compile=False)
if task == "save":
    fit(model)
    model.save_weights(path)
    fit(model)
    np.save(path + ".npy", weights(model))
else:
    for saved in sorted(Path(path).glob("*.weights.h5")):
        model.optimizer.build(model.trainable_variables)
        model.load_weights(saved)
        fit(model)
        np.testing.assert_allclose(weights(model), np.load(f"{saved}.npy"), rtol=1e-5, atol=1e-6)
        print("continued", saved.name)
"""

# What is imported beside what `import keras` imports.
IMPORTS = """
import sys, keras
before = set(sys.modules)
import ewma_keras
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new & {"tensorflow", "jax", "torch"} - {keras.backend.backend()}))
"""


def run(backend, *arguments):
    """Run Python with a backend and return its output."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT / "tests/helpers"),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_on(backend):
    """Everything in tests/keras; its output is shown if something fails."""
    run(backend, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/keras")


def test_checkpoints_cross_backends(tmp_path):
    for backend in BACKENDS:
        run(backend, "-c", CHECKPOINT, "save", str(tmp_path / f"{backend}.weights.h5"))
    for backend in BACKENDS:
        assert run(backend, "-c", CHECKPOINT, "load", str(tmp_path)).count("continued") == 3
    ends = [np.load(tmp_path / f"{backend}.weights.h5.npy") for backend in BACKENDS]
    np.testing.assert_allclose(ends[1:], ends[:1] * 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_other_backend_is_imported(backend):
    assert run(backend, "-c", IMPORTS).strip() == ""
