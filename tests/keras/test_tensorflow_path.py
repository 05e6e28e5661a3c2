"""TensorFlow's fused step and sparse gradients against the plain rule."""

import keras
import numpy as np
import pytest
from keras_steps import BACKEND, array, gradients, long_memory, variable

from ewma_keras import MomentumSGD

if BACKEND != "tensorflow":
    pytest.skip("TensorFlow's own path", allow_module_level=True)
import tensorflow as tf

OPTIONS = [
    {},
    {"nesterov": True},
    {"debias": True, "nesterov": True},
    {"dampening": 0.5, "debias": True, "decay": 0.5},
    {"momentum": 0.999, "weight_decay": 0.1, "clipnorm": 1.0},
]


class Plain(MomentumSGD):
    """The rule as it stands in `update_step`."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for g, w in zip(grads, trainable_variables, strict=True):
            self.update_step(g, w.value, learning_rate)


def operations(optimizer, dtype="float32", **options):
    """Return the types of the operations of a step."""
    w = variable(np.zeros(3), dtype)
    optimizer.build([w])
    step = tf.function(lambda: optimizer.apply([tf.ones(3, dtype)]), **options)
    return [op.type for op in step.get_concrete_function().graph.get_operations()]


def test_when_it_is_used():
    # Keras calls it; with Keras' SGD or the plain rule there is no such kernel.
    assert operations(MomentumSGD()).count("ResourceApplyMomentum") == 1
    assert operations(MomentumSGD(), "float64").count("ResourceApplyMomentum") == 1
    assert "ResourceApplyMomentum" not in operations(Plain())
    assert "ResourceApplyMomentum" not in operations(MomentumSGD(), "bfloat16")
    assert "ResourceApplyMomentum" not in operations(MomentumSGD(momentum=0))
    assert "ResourceApplyMomentum" not in operations(MomentumSGD(), jit_compile=True)


def test_the_rate_is_computed_once_a_step():
    ws = [variable(np.zeros(3), "float32") for _ in range(50)]
    optimizer = MomentumSGD(decay=0.1, debias=True)
    optimizer.build(ws)
    step = tf.function(lambda: optimizer.apply([tf.ones(3)] * 50))
    types = [op.type for op in step.get_concrete_function().graph.get_operations()]
    assert types.count("ResourceApplyMomentum") == 50
    assert types.count("Mul") < 50 + 10
    assert types.count("Expm1") == 1


def test_products_that_fill_the_cache_wait_for_those_before_them_to_be_used():
    # Three of 2 MiB, of which two may be there, from the last variable to the first.
    ws = [variable(np.zeros((512, 1024)), "float32") for _ in range(3)]
    optimizer = MomentumSGD()
    optimizer.build(ws)
    step = tf.function(lambda: optimizer.apply([tf.ones(w.shape) for w in ws]))
    operations = step.get_concrete_function().graph.get_operations()
    kernels = [op for op in operations if op.type == "ResourceApplyMomentum"]
    last, _, first = kernels
    waits_for = {kernel: kernel.inputs[3].op.control_inputs for kernel in kernels}
    assert [op for op in waits_for[first] if op in kernels] == [last]
    assert not any(op in kernels for kernel in kernels[:2] for op in waits_for[kernel])
    step()
    for w in ws:
        np.testing.assert_allclose(array(w), -0.01, rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "XLA"])
@pytest.mark.parametrize("options", OPTIONS)
def test_equal_to_the_plain_rule(options, mode):
    ends = []
    for cls in (MomentumSGD, Plain):
        optimizer = cls(0.125, **options)
        ws = [
            variable(np.arange(n * 3.0).reshape(n, 3), dtype)
            for n, dtype in ((1, "float64"), (4, "float32"), (2, "bfloat16"), (3, "float32"))
        ]
        optimizer.build(ws)

        def step(g, optimizer=optimizer, ws=ws):
            optimizer.apply([tf.cast(g * tf.ones(w.shape, g.dtype), w.dtype) for w in ws])

        if mode != "eager":
            step = tf.function(step, jit_compile=mode == "XLA")
        for g in gradients(10):
            step(tf.constant(g))
        ends.append([array(v).astype("float64") for v in (*ws, *optimizer.velocities)])
    for fused, plain, v in zip(*ends, (*ws, *optimizer.velocities), strict=True):
        rtol = {"float64": 1e-13, "float32": 1e-5, "bfloat16": 1e-2}[v.dtype]
        np.testing.assert_allclose(fused, plain, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("mu", [0.9, 0.99, 0.999, 0.99999])
def test_what_is_rounded_does_not_draw_the_velocity_aside(mu):
    def apply_all(optimizer, w, gradients):
        @tf.function
        def step(gs):
            for g in tf.unstack(gs):
                optimizer.apply([g[None]], [w])

        for gs in gradients.reshape(-1, 100):
            step(tf.constant(gs))

    velocity, expected = long_memory(mu, apply_all)
    np.testing.assert_allclose(velocity, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize(
    "options",
    [
        *OPTIONS,
        {"clipnorm": 0.5},
        {"clipvalue": 0.5},
        {"loss_scale_factor": 4.0},
        {"gradient_accumulation_steps": 2},
        {"momentum": 0},
    ],
)
def test_sparse_is_dense(options, mode):
    ends = []
    for is_sparse in (True, False):
        table = variable(np.ones((5, 2)), "float32")
        optimizer = MomentumSGD(0.125, **options)
        optimizer.build([table])

        def step(values, optimizer=optimizer, is_sparse=is_sparse):
            # Row 3 twice: its two values add up.
            g = tf.IndexedSlices(values, tf.constant([3, 0, 3]), tf.constant([5, 2]))
            optimizer.apply([g if is_sparse else tf.convert_to_tensor(g)])

        step = tf.function(step) if mode == "graph" else step
        for row in gradients(6, size=6).astype("float32"):
            step(tf.constant(row.reshape(3, 2)))
        ends.append(array(table))
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_embedding_layer():
    # Keras' own sparse gradient, from a lookup.
    ends = []
    for cls in (MomentumSGD, keras.optimizers.SGD):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Embedding(6, 2), keras.layers.Dense(1)])
        model.compile(cls(0.125, momentum=0.5), "mse")
        x = np.array([[1, 2, 1], [5, 5, 5]])
        model.fit(x, x[..., None], epochs=5, verbose=0)
        ends.append(model.get_weights())
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_bare_tensorflow_variables():
    ws = [tf.Variable([1.0, 2.0]), keras.Variable([1.0, 2.0])]
    optimizer = MomentumSGD(0.5, weight_decay=0.5)
    optimizer.apply([tf.ones(2), tf.ones(2)], ws)
    np.testing.assert_array_equal(ws[0].numpy(), ws[1].numpy())
    half = tf.Variable(tf.ones(2, tf.bfloat16), name="half:0")
    optimizer = MomentumSGD(0.5)
    optimizer.apply([tf.ones(2, tf.bfloat16)], [half])
    assert optimizer.velocities[0].dtype == "float32"


def test_under_a_strategy():
    # Gradients of the replicas are summed, then each variable is updated by the plain rule.
    strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    with strategy.scope():
        w = keras.Variable(np.zeros(2, "float32"))
        optimizer = MomentumSGD(0.125, nesterov=True)
        optimizer.build([w])
    for g in gradients(5, size=2).astype("float32"):
        strategy.run(lambda g: optimizer.apply([g]), (tf.constant(g),))
    plain = variable(np.zeros(2), "float32")
    optimizer = Plain(0.125, nesterov=True)
    for g in gradients(5, size=2).astype("float32"):
        optimizer.apply([tf.constant(g)], [plain])
    np.testing.assert_allclose(w.numpy(), plain.numpy(), rtol=1e-6)


@pytest.mark.parametrize("gradient", [[1.0, 2.0], np.array([1.0, 2.0]), [3.0]])
def test_gradients_that_are_no_tensors_or_broadcast(gradient):
    ends = []
    for cls in (MomentumSGD, keras.optimizers.SGD):
        w = variable(np.zeros(2), "float32")
        cls(0.125, momentum=0.5).apply([gradient], [w])
        ends.append(array(w))
    np.testing.assert_allclose(*ends, rtol=1e-6)


@pytest.mark.parametrize("options", OPTIONS[:2])
def test_gradients_of_unknown_shape(options):
    ends = []
    for cls in (MomentumSGD, Plain):
        w = variable(np.zeros(2), "float32")
        optimizer = cls(0.125, **options)
        optimizer.build([w])

        @tf.function
        def step(optimizer=optimizer, cls=cls):
            g = tf.numpy_function(lambda: np.ones(2, "float32"), [], tf.float32)
            assert g.shape.rank is None
            optimizer.apply([g if cls is MomentumSGD else tf.ones(2)])

        step()
        step()
        ends.append(array(w))
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_a_variable_twice():
    ends = []
    for cls in (MomentumSGD, keras.optimizers.SGD):
        w = variable(np.zeros(2), "float32")
        optimizer = cls(0.1, momentum=0.9)
        for _ in range(2):
            optimizer.apply([tf.ones(2), 2 * tf.ones(2)], [w, w])
        ends.append(array(w))
    np.testing.assert_allclose(*ends, rtol=1e-5)
