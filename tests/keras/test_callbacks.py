"""`SmoothedMetrics`: what it logs is `ewma.smooth` of what Keras logs, for whoever comes after."""

import csv
import json
import math

import keras
import numpy as np
import pytest

import ewma
from ewma_keras import SmoothedMetrics

# `pytest.warns` says again what else was warned of, and then it is no longer Keras who says it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# What callbacks do among each other is the same on every backend, and quickest on PyTorch, which
# compiles no steps.
on_one_backend = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same on every backend"
)

BATCH, BATCHES = 4, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH * BATCHES, 3)).astype("float32")
Y = (X @ [[1.0], [-2.0], [0.5]] + RNG.normal(size=(len(X), 1))).astype("float32")
NO_ORDER = {"batch_size": BATCH, "shuffle": False, "verbose": 0}


def linear_model(learning_rate=0.05, **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(learning_rate, momentum=0.9), "mse", **compiled)
    return model


def fit(*callbacks, epochs=6, model=None, **options):
    model = model or linear_model()
    options = NO_ORDER | {"validation_data": (Y[::-1] * X, Y)} | options
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options).history


class Logged(keras.callbacks.Callback):
    """Overwrite the loss of epoch t with the t-th value."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, epoch, logs):
        logs["loss"] = self.values[epoch]


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at = epoch, batch
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            raise KeyboardInterrupt


class Batches(keras.callbacks.Callback):
    """Keep the logs of every batch."""

    def __init__(self):
        super().__init__()
        self.logs = []

    def on_train_batch_end(self, batch, logs):
        self.logs.append(dict(logs))

    def of(self, name):
        return [logs[name] for logs in self.logs]


def close(values, expected):
    # The mean is computed step by step here, in one pass there: a few units in the last place.
    np.testing.assert_allclose(values, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "beta", [0.9, *(pytest.param(beta, marks=on_one_backend) for beta in (0, 0.5, 0.999, 1))]
)
def test_history_holds_the_smoothed_metrics(beta):
    history = fit(SmoothedMetrics(beta), model=linear_model(metrics=["mae"]))
    names = ["loss", "mae", "val_loss", "val_mae"]
    assert set(history) == {*names, *(f"smoothed_{name}" for name in names)}
    for name in names:
        close(history[f"smoothed_{name}"], ewma.smooth(history[name], beta=beta))


@on_one_backend
def test_only_the_metrics_named():
    history = fit(SmoothedMetrics(metrics=["val_loss"]))
    assert set(history) == {"loss", "val_loss", "smoothed_val_loss"}


@on_one_backend
def test_the_learning_rate_is_no_metric():
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = fit(schedule, SmoothedMetrics())
    assert "learning_rate" in history
    assert "smoothed_learning_rate" not in history


@on_one_backend
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_leaves_the_state(bad):
    losses = [bad, 3.0, bad, bad, 1.0, 2.0]
    history = fit(Logged(losses), SmoothedMetrics(0.7))
    close(history["smoothed_loss"], ewma.smooth(losses, beta=0.7))


@on_one_backend
def test_epochs_without_validation_do_not_count():
    history = fit(SmoothedMetrics(0.7, ["val_loss"]), validation_freq=2)
    assert len(history["smoothed_val_loss"]) == 3
    close(history["smoothed_val_loss"], ewma.smooth(history["val_loss"], beta=0.7))


def test_early_stopping_sees_it():
    # The raw loss is never better than at first, the smoothed one always.
    losses = [3.0, 5.0, 1.0, 4.0, 0.5, 3.5]
    smoothed = ewma.smooth(losses, beta=0.5)
    best = int(np.argmin(smoothed))
    stop = keras.callbacks.EarlyStopping("smoothed_loss", mode="min", patience=1)
    fit(Logged(losses), SmoothedMetrics(0.5), stop)
    assert (stop.stopped_epoch, stop.best) == (1, pytest.approx(smoothed[0]))
    stop = keras.callbacks.EarlyStopping("smoothed_loss", mode="min", patience=5)
    fit(Logged(losses), SmoothedMetrics(0.5), stop)
    assert (stop.best_epoch, stop.best) == (best, pytest.approx(smoothed[best]))


def test_reduce_lr_on_plateau_sees_it():
    losses = [4.0, 2.0, 3.0, 3.0, 3.0, 3.0]  # smoothed at 0.5: 4, 2.67, 2.86, 2.93, 2.97, 2.98
    model = linear_model(learning_rate=0.5)
    plateau = keras.callbacks.ReduceLROnPlateau(
        "smoothed_loss", mode="min", patience=2, factor=0.1, min_delta=0
    )
    history = fit(Logged(losses), SmoothedMetrics(0.5), plateau, model=model, epochs=5)
    np.testing.assert_allclose(history["learning_rate"], 4 * [0.5] + [0.05], rtol=1e-6)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


def test_model_checkpoint_sees_it(tmp_path):
    losses = [4.0, 2.0, 3.0, 3.0, 3.0, 1.0]
    keep = keras.callbacks.ModelCheckpoint(
        tmp_path / "{epoch}-{smoothed_loss:.3f}.weights.h5",
        monitor="smoothed_loss",
        mode="min",
        save_best_only=True,
        save_weights_only=True,
    )
    fit(Logged(losses), SmoothedMetrics(0.5), keep)
    means = ewma.smooth(losses, beta=0.5)
    expected = {f"{t + 1}-{means[t]:.3f}.weights.h5" for t in (0, 1, 5)}
    assert {file.name for file in tmp_path.iterdir()} == expected


def test_csv_logger_and_tensorboard_record_it(tmp_path):
    history = fit(
        SmoothedMetrics(0.5),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False),
    )
    with (tmp_path / "log.csv").open() as file:
        rows = [float(row["smoothed_val_loss"]) for row in csv.DictReader(file)]
    assert rows == history["smoothed_val_loss"]
    scalars = ewma.read_scalars(tmp_path / "logs", tags="epoch_smoothed_val_loss")
    assert scalars["run"].unique().tolist() == ["train"]
    np.testing.assert_array_equal(scalars["value"], np.float32(history["smoothed_val_loss"]))


@pytest.mark.parametrize("beta", [0.0, 0.8])
def test_batches(beta):
    # With a rate of 0 each batch's own loss is known.
    model = linear_model(learning_rate=0.0, metrics=["mae", keras.metrics.RootMeanSquaredError()])
    errors = (Y - model.predict(X, verbose=0)).reshape(BATCHES, BATCH).astype("float64")
    seen = Batches()
    history = fit(SmoothedMetrics(beta, update_freq="batch"), seen, epochs=3, model=model)
    expected = {
        "loss": ewma.smooth(np.tile((errors**2).mean(axis=1), 3), beta=beta),
        "mae": ewma.smooth(np.tile(abs(errors).mean(axis=1), 3), beta=beta),
    }
    assert set(seen.logs[0]) == {
        "loss", "mae", "root_mean_squared_error", "smoothed_loss", "smoothed_mae"
    }  # fmt: skip
    for name, means in expected.items():
        np.testing.assert_allclose(seen.of(f"smoothed_{name}"), means, rtol=1e-5)
        assert history[f"smoothed_{name}"] == seen.of(f"smoothed_{name}")[BATCHES - 1 :: BATCHES]
    # Root mean squares have no mean to take apart, and a validation is one sample.
    for name in ("root_mean_squared_error", "val_loss"):
        close(history[f"smoothed_{name}"], ewma.smooth(history[name], beta=beta))


def test_batches_of_a_model_with_two_outputs():
    a = keras.Input((3,))
    model = keras.Model(a, {name: keras.layers.Dense(1, name=name)(a) for name in ("p", "q")})
    model.compile(
        "sgd", {"p": "mse", "q": "mse"}, metrics={"p": ["mae"], "q": [keras.metrics.R2Score()]}
    )
    seen = Batches()
    model.fit(
        X, {"p": Y, "q": Y}, callbacks=[SmoothedMetrics(update_freq="batch"), seen], **NO_ORDER
    )
    smoothed = {name.removeprefix("smoothed_") for name in seen.logs[0] if "smoothed" in name}
    assert smoothed == {"loss", "p_loss", "q_loss", "p_mae"}


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras on PyTorch takes one batch a call"
)
def test_several_batches_a_call():
    model = linear_model(learning_rate=0.0, steps_per_execution=2, metrics=["mae"])
    errors = (Y - model.predict(X, verbose=0)).astype("float64")[: 4 * BATCH]
    own = (errors**2).reshape(2, 2 * BATCH).mean(axis=1)
    seen = Batches()
    fit(
        SmoothedMetrics(0.8, update_freq="batch"),
        seen,
        model=model,
        epochs=1,
        steps_per_epoch=4,
        validation_data=None,
    )
    np.testing.assert_allclose(seen.of("smoothed_loss"), ewma.smooth(own, beta=0.8), rtol=1e-5)


def test_only_batches_are_waited_for():
    # Keras' contract for callbacks that may run behind: JAX's steps need not wait for them.
    assert SmoothedMetrics().async_safe
    assert not SmoothedMetrics(update_freq="batch").async_safe


def resumable(folder, update_freq="epoch", **backup):
    return (
        SmoothedMetrics(0.8, update_freq=update_freq),
        keras.callbacks.BackupAndRestore(folder, **backup),
    )


@on_one_backend
@pytest.mark.parametrize("first", ["SmoothedMetrics", "BackupAndRestore"])
@pytest.mark.parametrize("update_freq", ["epoch", "batch"])
@pytest.mark.parametrize("at", [(3, None), (3, 2)], ids=["between epochs", "within an epoch"])
def test_state_survives_backup_and_restore(tmp_path, first, update_freq, at):
    whole = fit(SmoothedMetrics(0.8, update_freq=update_freq))

    def callbacks():
        both = resumable(tmp_path / "backup", update_freq)
        return both if first == "SmoothedMetrics" else both[::-1]

    with pytest.raises(KeyboardInterrupt):  # new objects, as in a new process
        fit(*callbacks(), Interrupt(*at))
    resumed = fit(*callbacks())
    done = 4 if at == (3, None) else 3
    for name in ("loss", "smoothed_loss", "smoothed_val_loss"):
        np.testing.assert_allclose(resumed[name], whole[name][done:], rtol=1e-6)
    assert not (tmp_path / "backup").exists()


@on_one_backend
def test_a_subclass_has_a_state_of_its_own(tmp_path):
    class Mine(SmoothedMetrics):
        pass

    for epochs in (2, 3):
        both = SmoothedMetrics(0.5, ["loss"]), Mine(0.9, ["val_loss"])
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        fit(*both, backup, epochs=epochs)
    assert [t for smoother in both for t, _ in smoother._state.values()] == [3, 3]


@on_one_backend
@pytest.mark.parametrize("first", ["SmoothedMetrics", "BackupAndRestore"])
def test_killed_between_the_two_backups(tmp_path, first):
    whole = fit(SmoothedMetrics(0.8))
    smoother, backup = resumable(tmp_path)
    callbacks = [Interrupt(3), backup if first == "BackupAndRestore" else smoother]
    callbacks = [callbacks[1], callbacks[0], smoother if callbacks[1] is backup else backup]
    with pytest.raises(KeyboardInterrupt):
        fit(*callbacks)
    if first == "BackupAndRestore":  # the weights are those after epoch 3, the last state is older
        with pytest.warns(ewma.EwmaWarning, match="from epoch 4.*no state"):
            resumed = fit(*resumable(tmp_path))
        close(resumed["smoothed_loss"], ewma.smooth(resumed["loss"], beta=0.8))
    else:  # the weights are those after epoch 2, the last state is newer
        resumed = fit(*resumable(tmp_path))
        np.testing.assert_allclose(resumed["smoothed_loss"], whole["smoothed_loss"][3:], rtol=1e-6)


@on_one_backend
def test_a_backup_that_lags_behind(tmp_path):
    whole = fit(SmoothedMetrics(0.8))["smoothed_loss"]
    freq = 2 * BATCHES + 2  # the last one before epoch 4 is made in epoch 2
    with pytest.raises(KeyboardInterrupt):
        fit(*resumable(tmp_path, save_freq=freq), Interrupt(4, 0))
    with (tmp_path / "smoothed_metrics_0.jsonl").open("a") as file:
        file.write('{"epochs": 5, "st')  # killed while it was written
    resumed = fit(*resumable(tmp_path, save_freq=freq, delete_checkpoint=False))
    lines = (tmp_path / "smoothed_metrics_0.jsonl").read_text().splitlines()
    assert [json.loads(line)["epochs"] for line in lines] == [1, 2, 3, 4, 5, 6]
    # The weights are those within the epoch and so the losses others, but the past is the same.
    smoothed = whole[1], *resumed["smoothed_loss"]
    for t, loss in enumerate(resumed["loss"]):
        close(smoothed[t + 1], ewma.step(smoothed[t], loss, ewma.gain(0.8, 3 + t)))


def test_two_with_their_own_metrics_survive(tmp_path):
    def callbacks():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return SmoothedMetrics(0.5, ["loss"]), SmoothedMetrics(0.9, ["val_loss"]), backup

    whole = fit(*callbacks())
    with pytest.raises(KeyboardInterrupt):
        fit(*callbacks(), Interrupt(3, 0))
    resumed = fit(*callbacks())
    for name in ("smoothed_loss", "smoothed_val_loss"):
        np.testing.assert_allclose(resumed[name], whole[name][3:], rtol=1e-6)


def test_a_folder_elsewhere_is_said():
    smoother = SmoothedMetrics()
    backup = keras.callbacks.BackupAndRestore("gs://bucket/backup")
    inner = keras.callbacks.CallbackList([smoother])
    inner.callbacks.append(backup)
    backup.on_train_begin = lambda logs=None: None  # no bucket here
    with pytest.warns(ewma.EwmaWarning, match=r"local folders only; received .*gs://bucket"):
        inner.on_train_begin()


@on_one_backend
def test_each_fit_begins_afresh_and_a_later_one_may_go_on():
    smoother, model = SmoothedMetrics(0.8), linear_model()
    once = fit(smoother, model=model)
    again = fit(smoother, model=model)
    close(again["smoothed_loss"], ewma.smooth(again["loss"], beta=0.8))
    on = fit(smoother, model=model, initial_epoch=6, epochs=9)
    both = ewma.smooth([*again["loss"], *on["loss"]], beta=0.8)
    close(on["smoothed_loss"], both[6:])
    elsewhere = fit(smoother, model=model, initial_epoch=4, epochs=6)
    close(elsewhere["smoothed_loss"], ewma.smooth(elsewhere["loss"], beta=0.8))
    assert len(once["loss"]) == 6


@on_one_backend
@pytest.mark.parametrize(
    "monitoring",
    [
        lambda: keras.callbacks.EarlyStopping("smoothed_val_loss", mode="min"),
        lambda: keras.callbacks.ReduceLROnPlateau("smoothed_val_loss", mode="min"),
        lambda: keras.callbacks.ModelCheckpoint("x.keras", "smoothed_val_loss", mode="min"),
    ],
    ids=["EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"],
)
def test_monitoring_before_is_an_error(monitoring):
    callback = monitoring()
    name = type(callback).__name__
    message = rf"must come before.*received {name}\(monitor='smoothed_val_loss'\) before it: move"
    with pytest.raises(ValueError, match=message):
        fit(callback, SmoothedMetrics())


@on_one_backend
def test_an_order_is_wrong_only_for_what_it_writes():
    stop = keras.callbacks.EarlyStopping("smoothed_loss", mode="min")
    plain = keras.callbacks.EarlyStopping("val_loss", mode="auto")
    history = fit(plain, SmoothedMetrics(0.5, ["loss"]), stop, SmoothedMetrics(0.9, ["val_loss"]))
    assert "smoothed_val_loss" in history


@on_one_backend
@pytest.mark.parametrize("recorder", ["TensorBoard", "CSVLogger", "History"])
def test_recording_before_is_warned_of(recorder, tmp_path):
    arguments = [] if recorder == "History" else [tmp_path / "log"]
    callback = getattr(keras.callbacks, recorder)(*arguments)
    with pytest.warns(ewma.EwmaWarning, match=f"{recorder} comes before SmoothedMetrics.*front"):
        fit(callback, SmoothedMetrics(), epochs=1)


def test_a_direction_left_to_keras_is_an_error_at_once():
    stop = keras.callbacks.EarlyStopping("smoothed_loss")
    with pytest.raises(ValueError, match=r"less is better; received EarlyStopping.*mode='min'"):
        fit(SmoothedMetrics(), stop)


@on_one_backend
def test_two_for_one_metric_are_an_error():
    class Mine(SmoothedMetrics):
        pass

    with pytest.raises(ValueError, match="one SmoothedMetrics only"):
        fit(Mine(metrics=["loss"]), SmoothedMetrics(metrics=["loss"]))
    with pytest.raises(ValueError, match=r"one SmoothedMetrics only; .*metrics=None and .*'loss'"):
        fit(SmoothedMetrics(), SmoothedMetrics(metrics=["loss"]))


def test_a_metric_that_is_not_there_is_said():
    with pytest.warns(ewma.EwmaWarning, match="not there: los; there: loss, val_loss"):
        fit(SmoothedMetrics(metrics=["los"]), epochs=1)


@on_one_backend
def test_a_validation_that_never_comes_is_said_in_the_end():
    with pytest.warns(
        ewma.EwmaWarning, match="not there: val_loss; there: no validation at all"
    ) as said:
        fit(SmoothedMetrics(metrics=["loss", "val_loss"]), epochs=2, validation_data=None)
    assert [w.category for w in said].count(ewma.EwmaWarning) == 1
    fit(SmoothedMetrics(metrics=["val_loss"]), epochs=3, validation_freq=3)


@on_one_backend
def test_an_array_is_said_once_to_be_left_out():
    values = [np.ones((2, 3), "f4"), np.zeros((2, 3), "f4"), np.float32(2.0)]
    with pytest.warns(ewma.EwmaWarning, match=r"'loss' is a ndarray of shape \(2, 3\)") as said:
        history = fit(Logged(values), SmoothedMetrics(0.5), epochs=3)
    assert [w.category for w in said].count(ewma.EwmaWarning) == 1
    assert history["smoothed_loss"] == [2.0]  # as soon as it is a number
    np.testing.assert_allclose(
        history["smoothed_val_loss"], ewma.smooth(history["val_loss"], beta=0.5)
    )


@on_one_backend
def test_an_array_without_axes_is_a_number():
    history = fit(Logged([np.array(4.0), np.array(1.0)]), SmoothedMetrics(0.5), epochs=2)
    assert history["smoothed_loss"] == [4.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"beta": 1.1}, ValueError, r"beta must be in \[0, 1\]; received beta=1.1"),
        ({"beta": "0.9"}, ValueError, "received beta='0.9'"),
        ({"metrics": "loss"}, TypeError, "several names, such as .*; received 'loss'"),
        ({"metrics": [1]}, TypeError, r"received \[1\]"),
        ({"update_freq": 10}, ValueError, "'epoch' or 'batch'; received 10"),
    ],
)
def test_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        SmoothedMetrics(**arguments)
