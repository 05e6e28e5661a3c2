"""The state in files: what comes back, and what is refused."""

import json
import os
import pickle
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from keras_steps import (
    BACKEND,
    FLOAT,
    array,
    fit,
    gradients,
    half_trained,
    network,
    variable,
    walk,
    weights,
)

from ewma_keras import MomentumSGD


def compiled(optimizer):
    model = network()
    model.compile(optimizer, "mse")
    return model


def built(optimizer):
    model = compiled(optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


OPTIONS = {
    "learning_rate": 0.05,
    "momentum": 0.8,
    "nesterov": True,
    "dampening": 0.25,
    "debias": True,
    "decay": 0.01,
    "weight_decay": 0.01,
    "clipnorm": 1.0,
    "use_ema": True,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 3,
    "loss_scale_factor": 2.0,
    "gradient_accumulation_steps": 2,
    "name": "mine",
}


def test_config_comes_back():
    optimizer = MomentumSGD(**OPTIONS)
    config = optimizer.get_config()
    expected = {"clipvalue": None, "global_clipnorm": None, **OPTIONS}
    assert config.pop("learning_rate") == pytest.approx(expected.pop("learning_rate"), rel=1e-7)
    assert config == expected
    config["learning_rate"] = 0.05
    json.dumps(config)
    again = MomentumSGD.from_config(config)
    assert again.get_config() == optimizer.get_config()
    assert dir(again) == dir(optimizer)


def test_registered_name():
    assert keras.saving.get_registered_name(MomentumSGD) == "ewma_keras>MomentumSGD"
    serialized = keras.optimizers.serialize(MomentumSGD(momentum=0.5))
    assert (serialized["class_name"], serialized["module"]) == (
        "MomentumSGD",
        "ewma_keras.momentum_sgd",
    )
    assert keras.optimizers.deserialize(serialized).momentum == 0.5
    for identifier in ("ewma_keras>MomentumSGD", serialized, MomentumSGD()):
        assert type(keras.optimizers.get(identifier)) is MomentumSGD
    assert MomentumSGD().name.startswith("momentum_sgd")


def test_schedule_comes_back():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    again = MomentumSGD.from_config(MomentumSGD(schedule).get_config())
    assert again._learning_rate.get_config() == schedule.get_config()


@pytest.mark.parametrize("options", [{}, {"use_ema": True, "gradient_accumulation_steps": 2}])
@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_training_continues_from_a_file(tmp_path, suffix, options):
    path = tmp_path / f"model{suffix}"
    model = compiled(MomentumSGD(0.05, nesterov=True, debias=True, decay=0.1, **options))
    fit(model)
    if suffix == ".keras":
        model.save(path)
        again = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        again = built(MomentumSGD.from_config(model.optimizer.get_config()))
        again.load_weights(path)
    for mine, theirs in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(array(mine), array(theirs))
    fit(model)
    fit(again)
    np.testing.assert_array_equal(weights(again), weights(model))


@pytest.mark.skipif(
    "CHECKPOINTS" not in os.environ, reason="tests/test_keras_backends.py makes them"
)
@pytest.mark.parametrize("saved_by", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("saved", [".weights.h5", ".keras"])
def test_training_of_another_backend_continues(saved_by, saved):
    path = Path(os.environ["CHECKPOINTS"]) / saved_by
    if saved == ".keras":
        model = keras.saving.load_model(f"{path}.keras")
    else:
        model = half_trained()
        model.optimizer.build(model.trainable_variables)
        model.load_weights(f"{path}.weights.h5")
    fit(model)
    np.testing.assert_allclose(weights(model), np.load(f"{path}.npy"), rtol=1e-5, atol=1e-6)


def test_pickled_model_continues():
    model = compiled(MomentumSGD(0.05, nesterov=True))
    fit(model)
    again = pickle.loads(pickle.dumps(model))
    fit(model)
    fit(again)
    np.testing.assert_array_equal(weights(again), weights(model))


def test_pickled_optimizer_keeps_its_arguments():
    # As with Keras' own: the state needs a model to belong to.
    again = pickle.loads(pickle.dumps(MomentumSGD(**OPTIONS)))
    assert again.get_config() == MomentumSGD(**OPTIONS).get_config()


def test_set_weights():
    model = built(MomentumSGD())
    values = [np.full(v.shape, 2, v.dtype) for v in model.optimizer.variables]
    model.optimizer.set_weights(values)
    for velocity in model.optimizer.velocities:
        np.testing.assert_array_equal(array(velocity), 2)


# The state of other optimizers


def test_state_of_sgd_is_refused(tmp_path):
    path = tmp_path / "sgd.weights.h5"
    sgd = compiled(keras.optimizers.SGD(0.05, momentum=0.9))
    fit(sgd)
    sgd.save_weights(path)
    model = built(MomentumSGD(0.05))
    with pytest.raises(ValueError, match=r"(?s)must be one of MomentumSGD.*from_sgd"):
        model.load_weights(path)
    # What the message says to do instead.
    with pytest.warns(UserWarning, match="must be one of MomentumSGD"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(weights(model), weights(sgd))
    assert not any(array(v).any() for v in model.optimizer.velocities)


def test_state_of_sgd_is_refused_under_a_loss_scale(tmp_path):
    # Which loads what is in the optimizer inside it by numbers, before that one is asked.
    scaled = keras.optimizers.LossScaleOptimizer
    path = tmp_path / "sgd.weights.h5"
    sgd = compiled(scaled(keras.optimizers.SGD(0.05, momentum=0.9, use_ema=True)))
    fit(sgd)
    sgd.save_weights(path)
    ours = built(scaled(MomentumSGD(0.05, use_ema=True)))
    with pytest.warns(UserWarning, match="must be one of MomentumSGD"):
        ours.load_weights(path, skip_mismatch=True)
    optimizer = ours.optimizer.inner_optimizer
    assert not any(array(v).any() for v in optimizer.velocities)
    assert array(optimizer.iterations) == 0
    with pytest.raises(ValueError, match="must be one of MomentumSGD"):
        ours.load_weights(path)
    assert not any(array(v).any() for v in optimizer.velocities)


def test_velocities_of_sgd_are_no_averages_of_weights(tmp_path):
    path = tmp_path / "sgd.weights.h5"
    sgd = compiled(keras.optimizers.SGD(0.05, momentum=0.9))
    fit(sgd)
    sgd.save_weights(path)
    ours = built(MomentumSGD(0.05, 0, use_ema=True))
    with pytest.raises(ValueError, match="must be one of MomentumSGD"):
        ours.load_weights(path)
    averages = ours.optimizer._model_variables_moving_average
    for average, weight in zip(averages, ours.trainable_variables, strict=True):
        np.testing.assert_array_equal(array(average), array(weight))


def test_plain_gradient_descent_is_taken_over(tmp_path):
    path = tmp_path / "sgd.weights.h5"
    sgd = compiled(keras.optimizers.SGD(0.05))
    fit(sgd)
    sgd.save_weights(path)
    ours = built(MomentumSGD(0.05, 0))
    ours.load_weights(path)
    assert array(ours.optimizer.iterations) == 4


def test_our_state_is_refused_by_sgd(tmp_path):
    path = tmp_path / "ours.weights.h5"
    model = compiled(MomentumSGD(0.05))
    fit(model)
    model.save_weights(path)
    sgd = built(keras.optimizers.SGD(0.05, momentum=0.9))
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        sgd.load_weights(path)
    assert not any(array(v).any() for v in sgd.optimizer.momentums)


def test_state_of_another_size_is_skipped_with_keras_warning(tmp_path):
    path = tmp_path / "adam.weights.h5"
    adam = compiled("adam")
    fit(adam)
    adam.save_weights(path)
    model = built(MomentumSGD())
    with pytest.warns(UserWarning, match="Skipping variable loading for optimizer"):
        model.load_weights(path)
    np.testing.assert_array_equal(weights(model), weights(adam))


KINDS = {
    "averages": {"momentum": 0, "use_ema": True},
    "accumulators": {"momentum": 0, "gradient_accumulation_steps": 2},
    "velocities": {},
}


@pytest.mark.parametrize("saved", KINDS)
@pytest.mark.parametrize("here", KINDS)
def test_state_of_another_layout_is_refused(tmp_path, saved, here):
    # As many variables, but one kind where another belongs.
    path = tmp_path / "saved.weights.h5"
    model = compiled(MomentumSGD(0.05, **KINDS[saved]))
    fit(model)
    model.save_weights(path)
    other = built(MomentumSGD(0.05, **KINDS[here]))
    if saved == here:
        other.load_weights(path)
        return
    with pytest.raises(ValueError, match=f"the saved state must have .*4 [a-z ]*{here}.*received"):
        other.load_weights(path)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's own format")
def test_tensorflow_checkpoint(tmp_path):
    import tensorflow as tf

    def checkpoint(model):
        return tf.train.Checkpoint(model=model, optimizer=model.optimizer)

    model = compiled(MomentumSGD(0.05, nesterov=True, use_ema=True))
    fit(model)
    path = checkpoint(model).save(tmp_path / "ours")
    again = built(MomentumSGD(0.05, nesterov=True, use_ema=True))
    checkpoint(again).restore(path).assert_consumed()
    late = compiled(MomentumSGD(0.05, nesterov=True, use_ema=True))
    checkpoint(late).restore(path)  # restored when it is built
    for other in (model, again, late):
        fit(other)
    np.testing.assert_array_equal(weights(again), weights(model))
    np.testing.assert_array_equal(weights(late), weights(model))

    sgd = compiled(keras.optimizers.SGD(0.05, momentum=0.9))
    fit(sgd)
    path = checkpoint(sgd).save(tmp_path / "sgd")
    with pytest.raises(ValueError, match=r"(?s)must be one of MomentumSGD.*from_sgd"):
        checkpoint(built(MomentumSGD())).restore(path)

    averaged = compiled(MomentumSGD(0.05, 0, use_ema=True))
    fit(averaged)
    path = checkpoint(averaged).save(tmp_path / "averaged")
    model = built(MomentumSGD(0.05))
    with pytest.raises(ValueError, match=r"the saved state must have .*received 1 averages"):
        checkpoint(model).restore(path)
    assert not any(array(v).any() for v in model.optimizer.velocities)

    adam = compiled("adam")
    fit(adam)
    path = checkpoint(adam).save(tmp_path / "adam")
    model = built(MomentumSGD())
    status = checkpoint(model).restore(path)
    with pytest.raises(AssertionError):
        status.assert_existing_objects_matched()
    assert not any(array(v).any() for v in model.optimizer.velocities)
    status.expect_partial()


# from_sgd


def test_from_sgd_takes_everything_along():
    options = {k: v for k, v in OPTIONS.items() if k not in ("dampening", "debias", "decay")}
    if BACKEND == "jax":  # where Keras' SGD fails at the second `fit` with it
        options["use_ema"] = False
    sgd = keras.optimizers.SGD(**options)
    sgd.exclude_from_weight_decay(var_names=["bias"])
    model = compiled(sgd)
    fit(model, epochs=2)
    ours = MomentumSGD.from_sgd(sgd)
    expected = {**sgd.get_config(), "dampening": 0.0, "debias": False, "decay": 0.0}
    assert {**ours.get_config(), "name": "mine"} == expected
    start = model.get_weights()
    fit(model)
    end = weights(model)
    model.set_weights(start)
    model.compile(ours, "mse")
    fit(model)
    np.testing.assert_allclose(weights(model), end, rtol=1e-5, atol=1e-6)


def test_from_sgd_before_the_first_step():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    sgd = keras.optimizers.SGD(schedule, momentum=0.5)
    ours = MomentumSGD.from_sgd(sgd)
    assert (ours.momentum, ours.built) == (0.5, False)
    assert ours._learning_rate is schedule
    assert MomentumSGD.from_sgd(keras.optimizers.SGD()).momentum == 0


def test_from_sgd_next_step_under_a_schedule():
    g = gradients(4)
    schedule = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 0.5)
    whole = walk(keras.optimizers.SGD(schedule, momentum=0.9), g)
    sgd = keras.optimizers.SGD(schedule, momentum=0.9)
    walk(sgd, g[:3])
    (w,) = sgd._trainable_variables
    MomentumSGD.from_sgd(sgd).apply([keras.ops.convert_to_tensor(g[3])], [w])
    np.testing.assert_allclose(array(w), whole[4], rtol=1e-6)


def test_from_sgd_next_update_of_several_gradients():
    schedule = keras.optimizers.schedules.InverseTimeDecay(1.0, 1, 1.0)
    options = {"momentum": 0.5, "gradient_accumulation_steps": 4}
    g = np.ones((8, 3), FLOAT)
    whole = walk(keras.optimizers.SGD(schedule, **options), g)
    for before in (4, 6):
        sgd = keras.optimizers.SGD(schedule, **options)
        walk(sgd, g[:before])
        (w,) = sgd._trainable_variables
        ours = MomentumSGD.from_sgd(sgd)
        for x in g[before:]:
            ours.apply([keras.ops.convert_to_tensor(x)], [w])
        np.testing.assert_allclose(array(w), whole[8], rtol=1e-6)


def test_from_sgd_in_a_warm_up_that_begins_at_0():
    schedule = keras.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=10)
    sgd = keras.optimizers.SGD(schedule, momentum=0.9)
    sgd.build([variable([1.0])])
    (velocity,) = MomentumSGD.from_sgd(sgd).velocities
    assert array(velocity) == 0


def test_from_sgd_goes_on_scaling(tmp_path):
    scaled = keras.optimizers.LossScaleOptimizer
    sgd = scaled(keras.optimizers.SGD(0.05, momentum=0.9), 16.0, dynamic_growth_steps=3)
    model = compiled(sgd)
    fit(model)
    start = model.get_weights()
    ours = MomentumSGD.from_sgd(sgd)
    assert array(ours.dynamic_scale) == array(sgd.dynamic_scale) > 16
    fit(model)
    end, scale, counted = weights(model), array(sgd.dynamic_scale), array(sgd.step_counter)
    model.set_weights(start)
    model.compile(ours, "mse")
    fit(model)
    np.testing.assert_allclose(weights(model), end, rtol=1e-5, atol=1e-6)
    assert (array(ours.dynamic_scale), array(ours.step_counter)) == (scale, counted)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert array(again.optimizer.dynamic_scale) == scale
    inner = MomentumSGD.from_sgd(scaled(keras.optimizers.SGD(0.05, momentum=0.9))).inner_optimizer
    assert isinstance(inner, MomentumSGD)
    assert not inner.built


def test_from_sgd_refuses_others():
    with pytest.raises(TypeError, match=r"converts a keras\.optimizers\.SGD, .* received <keras"):
        MomentumSGD.from_sgd(keras.optimizers.Adam())
    sgd = keras.optimizers.SGD(0.5, momentum=0.9)
    sgd.apply([keras.ops.ones((1,))], [variable([1.0], "float32")])
    sgd.learning_rate = 0.0
    with pytest.raises(ValueError, match=r"must not be 0.* received learning_rate=0\.0"):
        MomentumSGD.from_sgd(sgd)


def test_loading_into_an_unbuilt_optimizer_warns(tmp_path):
    path = tmp_path / "ours.weights.h5"
    model = compiled(MomentumSGD(0.05))
    fit(model)
    model.save_weights(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        compiled(MomentumSGD(0.05)).load_weights(path)
    assert any("has 2 variables whereas" in str(warning.message) for warning in caught)
