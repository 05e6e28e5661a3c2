"""TensorFlow: one fused kernel a variable, sparse gradients, and what a TF checkpoint calls it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from ewma_keras import _saved_state
from ewma_keras._arguments import representable


class BackendOptimizer(keras.optimizers.Optimizer):
    """What `MomentumSGD` does by other means on TensorFlow."""

    _has_own_rule: Callable[[], bool]

    def apply(self, grads: Sequence[Any], trainable_variables: Any = None) -> None:
        """Apply the gradients, sparse ones as the dense ones that they stand for.

        The velocity decays everywhere, so nothing is saved by a sparse step; and Keras' clippings
        and loss scaling do not see that indices may repeat (keras #18985).
        """
        dense = [None if g is None else tf.convert_to_tensor(g) for g in grads]
        super().apply(dense, trainable_variables)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        # A strategy sums the gradients of its replicas and then updates variable by variable. XLA
        # makes one loop of the plain rule, and a longer one of the kernel with Nesterov. And below
        # the order is another one, which shows where a variable is there twice.
        if (
            not self.momentum
            or not self._has_own_rule()
            or self._has_strategy()
            or _compiled_by_xla()
            or len(set(map(id, trainable_variables))) < len(trainable_variables)
        ):
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        scalars: dict[Any, Any] = {}  # once a step, not once a variable
        products = _Products()
        # From the last variable to the first, as a backward pass has their gradients.
        pairs = zip(reversed(grads), reversed(trainable_variables), strict=True)
        for g, variable in pairs:
            w = variable.value if isinstance(variable, keras.Variable) else variable
            v = self.velocities[self._get_variable_index(variable)].value
            # A strategy's variable, outside it, has a part on each device: the kernel would update
            # the first alone.
            is_distributed = isinstance(w, tf.distribute.DistributedValues)
            if not g.shape.is_fully_defined():  # as of tf.py_function
                g = tf.ensure_shape(g, w.shape)
            if is_distributed or not g.dtype == w.dtype == v.dtype or g.shape != w.shape:
                self.update_step(g, w, learning_rate)
                continue
            if w.dtype not in scalars:
                scalars[w.dtype] = self._scalars(learning_rate, w.dtype)
            if scalars[w.dtype] is None:
                self.update_step(g, w, learning_rate)
                continue
            mu, gain, rate = scalars[w.dtype]
            with products.room_for(w):
                product = gain * g
            # v = mu v + gain g;  w -= rate v, or with Nesterov w -= rate (mu v + gain g)
            step = tf.raw_ops.ResourceApplyMomentum(
                var=w.handle,
                accum=v.handle,
                lr=rate,
                grad=product,
                momentum=mu,
                use_nesterov=self.nesterov,
            )
            products.used_by(step, w)

    def _scalars(self, learning_rate: Any, dtype: Any) -> tuple[Any, Any, Any] | None:
        mu = representable(self.momentum, dtype.real_dtype.name)
        if mu is None:
            return None
        rate = self._rate(learning_rate, dtype, mu)
        return tf.constant(mu, dtype), tf.constant(1 - mu, dtype), rate

    def _has_strategy(self) -> bool:
        # Also outside its scope, where its variables still have a part on each device: the kernel
        # would update the first alone.
        current = tf.distribute.get_strategy()
        return tf.distribute.has_strategy() or self._distribution_strategy is not current

    def _colocated(self, variable: Any) -> Any:
        value = variable.value if isinstance(variable, keras.Variable) else variable
        return self._distribution_strategy.extended.colocate_vars_with(value)

    # In a checkpoint the state of every Keras optimizer is a list called `_variables`, in which
    # position alone says what is what. Ours has a name of its own, which says what is in it.

    def _trackable_children(self, *args: Any, **kwargs: Any) -> Any:
        children = dict(super()._trackable_children(*args, **kwargs))
        if "_variables" in children:
            children[self._checkpoint_name()] = children.pop("_variables")
        return children

    def _checkpoint_name(self) -> str:
        # What is known before the variables are there: a checkpoint may be restored before.
        kinds = self.use_ema, self.gradient_accumulation_steps, self.momentum
        return _PREFIX + "".join(str(int(bool(kind))) for kind in kinds)

    def _lookup_dependency(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "momentums":
            _saved_state.refuse_sgd(self.name)
        if name.startswith(_PREFIX) and name != self._checkpoint_name():
            names = self._checkpoint_name(), name
            here, saved = (map(int, name.removeprefix(_PREFIX)) for name in names)
            _saved_state.refuse_layout(self, here, saved)
        return super()._lookup_dependency(name, *args, **kwargs)


_PREFIX = "momentum_sgd_"


class _Products:
    """The products gain * g that a graph may hold at a time: few enough to stay in the cache.

    Without a bound TensorFlow makes all of them first, and each goes through the memory twice.
    """

    def __init__(self) -> None:
        self._bytes = 0
        self._users: deque[tuple[Any, int]] = deque()

    def room_for(self, w: Any) -> Any:
        """Return a scope for the next product, in which it waits for earlier ones to be used."""
        self._bytes += _size(w)
        waits_for = []
        while self._bytes > _PRODUCTS and self._users:
            step, size = self._users.popleft()
            waits_for.append(step)
            self._bytes -= size
        return tf.control_dependencies(waits_for)

    def used_by(self, step: Any, w: Any) -> None:
        """Take down what uses the product; eagerly it has done so, and is None."""
        if step is not None:
            self._users.append((step, _size(w)))


_PRODUCTS = 1 << 22  # bytes


def _size(w: Any) -> int:
    return int(w.shape.num_elements() * w.dtype.size)


def _compiled_by_xla() -> bool:
    return not tf.executing_eagerly() and GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    )
