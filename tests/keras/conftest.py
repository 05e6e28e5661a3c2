"""Tests of one backend, the one that KERAS_BACKEND names: `KERAS_BACKEND=jax pytest tests/keras`.

Keras chooses at import, so without that name they are left to `tests/test_keras_backends.py`, which
runs them in a process a backend.
"""

import os

collect_ignore_glob = [] if "KERAS_BACKEND" in os.environ else ["test_*.py"]


def pytest_configure(config):
    # Keras' variables as arrays, under NumPy 2.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't:DeprecationWarning:keras"
    )
    # Loading a model, Keras imports PyTorch where it is installed, which warns of itself.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning:torch")
