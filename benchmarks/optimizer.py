"""Steps of MomentumSGD against those of Keras' SGD, in a process a backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from table import Row, Target, mebibytes, seconds

# For each backend and each way to run a step: the least that theirs / ours is to reach with small
# and with large variables; or, as "<=", the most that ours / theirs may be.
TARGETS: dict[tuple[str, str], tuple[Target, Target]] = {
    ("tensorflow", "graph"): (Target(">=", 1.5), Target(">=", 1.8)),
    ("tensorflow", "eager"): (Target(">=", 2), Target(">=", 2)),
    ("tensorflow", "XLA"): (Target("<=", 1.03), Target("<=", 1.03)),
    ("jax", "jit"): (Target("<=", 1.03), Target("<=", 1.03)),
    ("torch", "eager"): (Target(">=", 1.8), Target(">=", 1.3)),
}
FIT = Target("<=", 1.02)
MEMORY = Target("<=", 1)


def measure(_: Path) -> Iterator[Row]:
    """Yield the rows on the optimizer."""
    for backend in ("tensorflow", "jax", "torch"):
        for measured in _run(backend):
            mode, peer = measured["mode"], measured["peer"]
            if mode == "fit":
                target = FIT
            elif mode == "state":
                target = MEMORY
            else:
                target = TARGETS[backend, mode][measured["large"]]
            yield Row(
                f"{backend}, {mode}, {measured['work']}",
                measured["ours"],
                peer,
                measured["theirs"],
                target,
                mebibytes if mode == "state" else seconds,
            )


def _run(backend: str) -> Iterator[dict[str, object]]:
    script = Path(__file__).with_name("optimizer_steps.py")
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "-1"}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with subprocess.Popen(
        [sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"{script.name} failed on {backend}; its error stands above")
