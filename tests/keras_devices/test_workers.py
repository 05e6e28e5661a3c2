"""TensorFlow, two processes: `tf.distribute.MultiWorkerMirroredStrategy`, this file in each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else runs

from article import ATOL, BATCH, STEPS, compiled, data, state, train  # noqa: E402
from keras_steps import array  # noqa: E402

from ewma_keras import MomentumSGD  # noqa: E402


def batches():
    shard = tf.data.Options()
    shard.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return tf.data.Dataset.from_tensor_slices(data()).batch(BATCH).with_options(shard)


@pytest.mark.parametrize(
    "options", [{}, {"nesterov": True, "debias": True, "decay": 0.1, "weight_decay": 0.01}]
)
def test_the_weights_of_one_process(options):
    assert STRATEGY.num_replicas_in_sync == 2
    with STRATEGY.scope():
        model = compiled(**options)
        model.optimizer.build(model.trainable_variables)
        loss = keras.losses.SparseCategoricalCrossentropy(reduction="sum")

    def step(x, y):
        with tf.GradientTape() as tape:
            mine = loss(y, model(x, training=True)) / BATCH
        weights = model.trainable_variables
        model.optimizer.apply(tape.gradient(mine, weights), weights)

    together = tf.function(lambda x, y: STRATEGY.run(step, (x, y)))
    for x, y in STRATEGY.experimental_distribute_dataset(batches()):
        together(x, y)
    assert array(model.optimizer.iterations) == STEPS
    np.testing.assert_allclose(state(model), state(train(**options)), rtol=0, atol=ATOL)


@pytest.mark.parametrize("cls", [MomentumSGD, keras.optimizers.SGD])
def test_no_fit_with_any_optimizer(cls):
    # Before the first step Keras takes the mean of a batch, and after it that of the losses, over
    # the processes in ways that TensorFlow refuses. When this fails, let the test above use `fit`.
    with STRATEGY.scope():
        model = compiled(cls=cls)
        with pytest.raises(ValueError, match="PerReplica"):
            model.fit(batches(), shuffle=False, verbose=0)
