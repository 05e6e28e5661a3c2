"""PyTorch: one fused call for all variables."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import keras
import torch
from keras.src.backend.common.stateless_scope import in_stateless_scope

from ewma_keras._arguments import representable


class BackendOptimizer(keras.optimizers.Optimizer):
    """What `MomentumSGD` does by other means on PyTorch."""

    velocities: list[Any]
    _has_own_rule: Callable[[], bool]

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Apply the gradients, sparse ones as the dense ones that they stand for."""
        if any(isinstance(g, torch.Tensor) and g.layout is not torch.strided for g in grads):
            grads = [g.to_dense() if isinstance(g, torch.Tensor) else g for g in grads]
        super().apply(grads, trainable_variables)

    @torch.no_grad()
    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # In a stateless scope the tensors belong to the caller: nothing is written in place. And
        # torch.compile knows nothing of the fused kernel, but makes one itself.
        if (
            not self.momentum
            or not self._has_own_rule()
            or in_stateless_scope()
            or torch.compiler.is_compiling()
        ):
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        alike: dict[Any, tuple[list[Any], list[Any], list[Any]]] = defaultdict(lambda: ([], [], []))
        momentums: dict[Any, Any] = {
            dtype: representable(self.momentum, name) for dtype, name in _FLOATS.items()
        }
        velocities = self._velocities_of(trainable_variables)
        # One that is itself a weight is to be read as it was before the step.
        weights = {variable._value.data_ptr() for variable in trainable_variables}
        grads = [g.clone() if g.data_ptr() in weights else g for g in grads]
        for g, variable, velocity in zip(grads, trainable_variables, velocities, strict=True):
            # `_value`, since `value` asks for scopes each time, a third of a step of many variables
            w, v = variable._value, velocity._value
            if _fits(w, g, v) and momentums[w.dtype] is not None:
                ws, gs, vs = alike[w.dtype, w.get_device()]
                ws.append(w)
                gs.append(g)
                vs.append(v)
            else:
                self.update_step(g, variable, learning_rate)
        for (dtype, _), (ws, gs, vs) in alike.items():
            mu = momentums[dtype]
            rate = self._rate(learning_rate, _FLOATS[dtype], mu)
            _fused_step(ws, gs, vs, mu, float(rate), self.nesterov)

    def _velocities_of(self, trainable_variables: Sequence[Any]) -> list[Any]:
        # All of them come in the order of the velocities; to look each up takes ten times as long.
        known = self._trainable_variables
        if len(known) == len(trainable_variables) and all(map(is_, known, trainable_variables)):
            return self.velocities
        return [self.velocities[self._get_variable_index(w)] for w in trainable_variables]

    # Keras' own SGD has these two for all variables at once, too.

    @torch.no_grad()
    def _backend_reset_gradient_accumulators(self) -> None:
        if in_stateless_scope():
            super()._backend_reset_gradient_accumulators()
            return
        torch._foreach_zero_([a.value for a in self._accumulated_gradients if a is not None])

    @torch.no_grad()
    def _backend_increment_gradient_accumulators(
        self, grads: Sequence[Any], acc_grads: Sequence[Any]
    ) -> None:
        if in_stateless_scope():
            super()._backend_increment_gradient_accumulators(grads, acc_grads)
            return
        torch._foreach_add_([a.value for a in acc_grads], list(grads))

    def _colocated(self, variable: Any) -> Any:
        return contextlib.nullcontext()


# The velocities of others are of another type than their variables.
_FLOATS = {torch.float32: "float32", torch.float64: "float64"}


def _fits(w: Any, g: Any, v: Any) -> bool:
    """Whether the fused kernel, which walks over bare memory, can take the three."""
    return (
        w.dtype == g.dtype == v.dtype
        and w.dtype in _FLOATS
        and w.shape == g.shape
        and ((w.is_cpu and g.is_cpu) or (w.is_cuda and w.device == g.device))
        and w.is_contiguous()
        and g.is_contiguous()
        and v.is_contiguous()
    )


def _fused_step(
    ws: list[Any], gs: list[Any], vs: list[Any], mu: float, rate: float, nesterov: bool
) -> None:
    # v = mu v + (1 - dampening) g;  w -= lr v
    torch._fused_sgd_(
        ws,
        gs,
        vs,
        weight_decay=0.0,
        momentum=mu,
        lr=rate * mu if nesterov else rate,
        dampening=mu,
        nesterov=False,  # PyTorch's adds g and not (1 - mu) g
        maximize=False,
        is_first_step=False,  # which would start with v = g
    )
    if nesterov:
        torch._foreach_add_(ws, gs, alpha=-rate * (1 - mu))
