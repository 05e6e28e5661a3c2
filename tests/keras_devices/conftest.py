"""Tests on two devices or in two processes, which are set up before the backend starts.

`tests/test_keras_devices.py` does that, and runs each file here in a process of its own.
"""

import os

collect_ignore_glob = [] if "EWMA_KERAS_DEVICES" in os.environ else ["test_*.py"]


def pytest_configure(config):
    # Keras' variables as arrays, under NumPy 2.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't:DeprecationWarning:keras"
    )
