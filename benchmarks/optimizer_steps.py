"""The steps of one backend, the one that KERAS_BACKEND names: a line of JSON a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ewma_keras import MomentumSGD
from timing import Samples, interleave, stopwatch

BACKEND = keras.backend.backend()
SIZES = {"200 variables of 64×64": (200, 64), "8 of 1024×1024": (8, 1024)}
MODES = {"tensorflow": ("graph", "eager", "XLA"), "jax": ("jit",), "torch": ("eager",)}
# Steps in one call where a graph runs them, so that what it costs to call it does not count.
STEPS = 10
ROUNDS = 31

Step = Callable[[], object]


def _optimizers(nesterov: bool) -> dict[str, Any]:
    arguments = {"learning_rate": 1e-3, "momentum": 0.9, "nesterov": nesterov}
    return {"ours": MomentumSGD(**arguments), "theirs": keras.optimizers.SGD(**arguments)}


def _arrays(count: int, size: int) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    return [random.standard_normal((size, size), "float32") for _ in range(count)]


def _tensorflow(mode: str, optimizer: Any, arrays: Sequence[Any]) -> tuple[Step, list[Any]]:
    import tensorflow as tf

    weights = [keras.Variable(x) for x in arrays]
    gradients = [tf.Variable(x) for x in arrays]  # read anew in each step: nothing to fold
    optimizer.build(weights)
    if mode == "eager":
        tensors = [tf.constant(x) for x in arrays]
        return lambda: optimizer.apply(tensors), weights

    @tf.function(jit_compile=mode == "XLA")
    def steps() -> None:
        for _ in tf.range(STEPS):
            optimizer.apply([g.read_value() for g in gradients])

    return steps, weights


def _jax(mode: str, optimizer: Any, arrays: Sequence[Any]) -> tuple[Step, list[Any]]:
    import jax

    assert mode == "jit"
    weights = [keras.Variable(x) for x in arrays]
    gradients = [ops.convert_to_tensor(x) for x in arrays]
    optimizer.build(weights)

    @jax.jit
    def steps(values: Any, state: Any, gradients: Any) -> Any:
        def step(_: Any, both: Any) -> Any:
            return optimizer.stateless_apply(both[1], gradients, both[0])

        return jax.lax.fori_loop(0, STEPS, step, (values, state))

    def call() -> None:
        values = [v.value for v in weights]
        state = [v.value for v in optimizer.variables]
        new = jax.block_until_ready(steps(values, state, gradients))
        for v, value in zip([*weights, *optimizer.variables], [*new[0], *new[1]], strict=True):
            v.assign(value)

    return call, weights


def _torch(mode: str, optimizer: Any, arrays: Sequence[Any]) -> tuple[Step, list[Any]]:
    assert mode == "eager"
    weights = [keras.Variable(x) for x in arrays]
    gradients = [ops.convert_to_tensor(x) for x in arrays]
    optimizer.build(weights)
    return lambda: optimizer.apply(gradients), weights


PREPARE = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def _compare(steps: dict[str, tuple[Step, list[Any]]], per_call: int) -> dict[str, Samples]:
    for step, _ in steps.values():
        for _ in range(2):
            step()
    for a, b in zip(steps["ours"][1], steps["theirs"][1], strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-4)
    clocks = {name: stopwatch(step, at_least=0.02) for name, (step, _) in steps.items()}
    samples = interleave(clocks, ROUNDS)
    return {name: [s / per_call for s in times] for name, times in samples.items()}


def _steps() -> Iterator[dict[str, Any]]:
    for mode in MODES[BACKEND]:
        for large, (work, size) in enumerate(SIZES.items()):
            arrays = _arrays(*size)
            for nesterov in (False, True):
                optimizers = _optimizers(nesterov)
                steps = {
                    name: PREPARE[BACKEND](mode, optimizer, arrays)
                    for name, optimizer in optimizers.items()
                }
                times = _compare(steps, 1 if mode == "eager" else STEPS)
                yield {"mode": mode, "work": work, "large": large, "peer": _peer(nesterov)} | times
            del steps, optimizers


def _peer(nesterov: bool) -> str:
    return f"keras SGD, {'Nesterov' if nesterov else 'plain'}"


def _article() -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(0)
    x, y = random.random((32 * 200, 28, 28), "float32"), random.integers(0, 10, 32 * 200)
    clocks, bytes_of_state = {}, {}
    for name, optimizer in _optimizers(nesterov=True).items():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((28, 28)),
                keras.layers.Flatten(),
                keras.layers.Dense(128, "relu"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(10, "softmax"),
            ]
        )
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])

        def fit(model: Any = model) -> None:
            model.fit(x, y, batch_size=32, verbose=0)

        fit()
        clocks[name] = stopwatch(fit)
        bytes_of_state[name] = [
            float(sum(np.prod(v.shape) * np.dtype(v.dtype).itemsize for v in optimizer.variables))
        ]
    samples = interleave(clocks, ROUNDS)
    peer = _peer(nesterov=True)
    yield {"mode": "fit", "work": "the article's network, 200 steps", "peer": peer} | samples
    yield {"mode": "state", "work": "the article's network", "peer": peer} | bytes_of_state


if __name__ == "__main__":
    for measure in (_steps, _article):
        for line in measure():
            print(json.dumps(line), flush=True)
