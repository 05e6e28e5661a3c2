"""TensorFlow, two logical CPUs: `tf.distribute.MirroredStrategy`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

CPUS = ["CPU:0", "CPU:1"]
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from article import ATOL, state, train  # noqa: E402  (the devices first)

from ewma_keras import MomentumSGD  # noqa: E402

SGD = keras.optimizers.SGD
# Of each replica, a step a row.
GRADIENTS = np.random.default_rng(0).normal(size=(6, 2, 3))
EXACT = 1e-14  # of the same operations on values around one


@pytest.fixture(scope="module")
def strategy():
    return tf.distribute.MirroredStrategy(CPUS)


@pytest.mark.parametrize(
    "options", [{}, {"nesterov": True, "debias": True, "decay": 0.1, "weight_decay": 0.01}]
)
def test_the_weights_of_one_device(strategy, options):
    expected = state(train(**options))
    with strategy.scope():
        model = train(**options)
    np.testing.assert_allclose(state(model), expected, rtol=0, atol=ATOL)
    for v in (*model.trainable_variables, *model.optimizer.velocities):
        one, other = replicas(v)
        np.testing.assert_array_equal(one, other)


def replicas(variable):
    return [component.numpy() for component in variable.value.values]


def mirrored(strategy, cls, gradients=GRADIENTS, graph=False, **options):
    """Return a weight after steps in which each replica has a gradient of its own."""
    with strategy.scope():
        w = keras.Variable(np.ones(3))
        optimizer = cls(0.125, momentum=0.875, **options)
        optimizer.build([w])

    def step(pair):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([tf.gather(pair, replica)], [w])

    def both(pair):
        strategy.run(step, (pair,))

    if graph:
        both = tf.function(both)
    for pair in gradients:
        both(tf.constant(pair))
    one, other = replicas(w)
    np.testing.assert_array_equal(one, other)
    return one


def on_one_device(gradients, **options):
    w = keras.Variable(np.ones(3))
    optimizer = MomentumSGD(0.125, momentum=0.875, **options)
    for g in gradients:
        optimizer.apply([tf.constant(g)], [w])
    return w.numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"nesterov": True},
        {"weight_decay": 0.1},
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 3},
        {"loss_scale_factor": 8.0},
    ],
)
def test_the_gradients_of_the_replicas_are_summed(strategy, options):
    w = mirrored(strategy, MomentumSGD, **options)
    np.testing.assert_allclose(w, mirrored(strategy, SGD, **options), rtol=0, atol=EXACT)
    expected = on_one_device(GRADIENTS.sum(axis=1), **options)
    np.testing.assert_allclose(w, expected, rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("options", "clip"),
    [
        ({"clipvalue": 0.5}, lambda g: np.clip(g, -0.5, 0.5)),
        ({"clipnorm": 0.5}, lambda g: g * min(1, 0.5 / np.linalg.norm(g))),
        ({"global_clipnorm": 0.5}, lambda g: g * min(1, 0.5 / np.linalg.norm(g))),
    ],
)
def test_clippings_come_before_the_sum(strategy, options, clip):
    # Not what one device does: Keras' optimizers all clip the gradient of each replica by itself.
    w = mirrored(strategy, MomentumSGD, **options)
    np.testing.assert_allclose(w, mirrored(strategy, SGD, **options), rtol=0, atol=EXACT)
    clipped = [clip(one) + clip(other) for one, other in GRADIENTS]
    np.testing.assert_allclose(w, on_one_device(clipped), rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    "options",
    [{"gradient_accumulation_steps": 2}, {"use_ema": True, "ema_overwrite_frequency": 2}],
)
@pytest.mark.parametrize("cls", [MomentumSGD, SGD])
def test_not_in_a_graph(strategy, cls, options):
    # Keras takes these steps inside `ops.cond`, and TensorFlow cannot leave the replica there. No
    # optimizer of Keras can; eagerly, as above, all can.
    with pytest.raises(RuntimeError, match="merge_call"):
        mirrored(strategy, cls, graph=True, **options)


def test_float32_velocities_of_bfloat16_weights(strategy):
    with strategy.scope():
        w = keras.Variable(np.ones(3), dtype="bfloat16")
        optimizer = MomentumSGD(0.125, momentum=0.875, nesterov=True)
        optimizer.build([w])
    (velocity,) = optimizer.velocities
    for component, own in zip(velocity.value.values, w.value.values, strict=True):
        assert component.dtype == "float32"
        assert component.device == own.device
    strategy.run(lambda: optimizer.apply([tf.constant([1, 2, -4], "bfloat16")], [w]))
    for one in replicas(velocity):
        np.testing.assert_array_equal(one, [0.25, 0.5, -1.0])
    for one in replicas(w):  # 1 - 0.875 * 2 g - 0.125 * 2 g
        np.testing.assert_array_equal(
            one.astype("float64"), 1 - 1.875 * 0.25 * np.array([1, 2, -4])
        )


@pytest.mark.parametrize("nesterov", [False, True])
def test_an_optimizer_from_outside_the_scope(strategy, nesterov):
    # Its own state is on one device; the kernel would update the first replica alone.
    with strategy.scope():
        w = keras.Variable(np.ones(3))
    optimizer = MomentumSGD(0.125, momentum=0.875, nesterov=nesterov)
    for g in GRADIENTS[:, 0]:
        optimizer.apply([tf.constant(g)], [w])
    expected = on_one_device(GRADIENTS[:, 0], nesterov=nesterov)
    for one in replicas(w):
        np.testing.assert_allclose(one, expected, rtol=0, atol=EXACT)


def test_sgd_is_continued(strategy):
    def steps(optimizer, w, pairs):
        for pair in pairs:
            strategy.run(lambda pair: optimizer.apply([pair[0]], [w]), (tf.constant(pair),))

    ends = []
    for convert in (False, True):
        with strategy.scope():
            w = keras.Variable(np.ones(3))
            optimizer = keras.optimizers.SGD(0.125, momentum=0.875)
            optimizer.build([w])
        steps(optimizer, w, GRADIENTS[:2])
        with strategy.scope():
            continued = MomentumSGD.from_sgd(optimizer) if convert else optimizer
        steps(continued, w, GRADIENTS[2:])
        ends.append(replicas(w)[0])
    np.testing.assert_allclose(*ends, rtol=1e-6)


@pytest.mark.parametrize("cls", [MomentumSGD, SGD])
@pytest.mark.parametrize("nesterov", [False, True])
def test_a_step_outside_the_scope(strategy, cls, nesterov):
    # No strategy is set then, and still a variable has a part on each device.
    with strategy.scope():
        w = keras.Variable(np.ones(3))
        optimizer = cls(0.125, momentum=0.875, nesterov=nesterov)
        optimizer.build([w])
    for g in GRADIENTS[:, 0]:
        optimizer.apply([tf.constant(g)], [w])
    expected = on_one_device(GRADIENTS[:, 0], nesterov=nesterov)
    for one in replicas(w):
        np.testing.assert_allclose(one, expected, rtol=0, atol=EXACT)
