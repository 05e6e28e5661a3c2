"""Python with a backend of Keras, in a process of its own: Keras chooses when it is imported."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 1200  # an end for a process that hangs, many times what one takes


def run(backend, *arguments, **environment):
    """Run Python with a backend; its output is shown if it fails."""
    run_together(backend, arguments, [environment])


def run_together(backend, arguments, environments):
    """Run a Python in each of the environments at once; if one fails, kill the others."""
    processes = [start(backend, arguments, environment) for environment in environments]
    with ThreadPoolExecutor(len(processes)) as pool:
        try:
            waiting = {pool.submit(p.communicate, timeout=SECONDS): p for p in processes}
            for done in as_completed(waiting):
                output, _ = done.result()
                assert waiting[done].returncode == 0, output
        finally:
            for process in processes:
                process.kill()


def start(backend, arguments, environment):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT / "tests/helpers"),
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **environment,
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def pytest_itself(path):
    """Return the arguments with which Python tests a folder or a file."""
    return "-m", "pytest", "-q", "-p", "no:cacheprovider", path
