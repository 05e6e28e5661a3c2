"""`ewma_keras` past one device, which is set up before a backend starts: in processes."""

import json
import socket
from contextlib import ExitStack

from keras_process import pytest_itself, run, run_together


def test_mirrored_on_two_devices():
    tests = pytest_itself("tests/keras_devices/test_mirrored.py")
    run("tensorflow", *tests, EWMA_KERAS_DEVICES="2")


def test_laid_out_on_two_devices():
    tests = pytest_itself("tests/keras_devices/test_layouts.py")
    flags = "--xla_force_host_platform_device_count=2"
    run("jax", *tests, EWMA_KERAS_DEVICES="2", XLA_FLAGS=flags, JAX_ENABLE_X64="1")


def test_in_two_processes():
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]}
    tests = pytest_itself("tests/keras_devices/test_workers.py")
    environments = [
        {
            "EWMA_KERAS_DEVICES": "1",
            "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}),
            "no_proxy": "127.0.0.1",
        }
        for i in range(2)
    ]
    run_together("tensorflow", tests, environments)
