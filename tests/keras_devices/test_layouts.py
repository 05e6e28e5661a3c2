"""JAX, two devices: the data in halves, or the weights in halves, under `keras.distribution`."""

import functools

import jax
import numpy as np
import pytest
from article import ATOL, state, train
from keras.distribution import DataParallel, DeviceMesh, LayoutMap, ModelParallel, list_devices

OPTIONS = {
    "momentum": {},
    "nesterov": {"nesterov": True, "debias": True, "decay": 0.1, "weight_decay": 0.01},
    "clipped": {
        "global_clipnorm": 0.1,
        "gradient_accumulation_steps": 2,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
    },
}


def data_parallel():
    return DataParallel(devices=list_devices())


def model_parallel():
    """Return a layout in which each device has half of the hidden units."""
    layouts = LayoutMap(DeviceMesh((1, 2), ["batch", "units"], list_devices()))
    layouts[".*hidden/kernel"] = (None, "units")
    layouts[".*hidden/bias"] = ("units",)
    layouts[".*digits/kernel"] = ("units", None)
    return ModelParallel(layout_map=layouts, batch_dim_name="batch")


@functools.cache
def one_device(name):
    # With the article's dropout: JAX draws the same mask however the units are laid out.
    model = train(dropout=0.2, **OPTIONS[name])
    assert all(len(w.value.devices()) == 1 for w in model.trainable_variables)
    return state(model)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("distribution", [data_parallel, model_parallel])
def test_the_weights_of_one_device(distribution, name):
    assert jax.device_count() == 2
    expected = one_device(name)
    with distribution().scope():
        model = train(dropout=0.2, **OPTIONS[name])
        np.testing.assert_allclose(state(model), expected, rtol=0, atol=ATOL)
    assert_laid_out(model, distribution)


@pytest.mark.parametrize("distribution", [data_parallel, model_parallel])
def test_the_layout_of_float32_velocities_of_bfloat16_weights(distribution):
    with distribution().scope():
        model = train(dtype="bfloat16")
    assert {v.dtype for v in model.optimizer.velocities} == {"float32"}
    assert_laid_out(model, distribution)


def assert_laid_out(model, distribution):
    optimizer = model.optimizer
    for w, v in zip(model.trainable_variables, optimizer.velocities, strict=True):
        assert v.value.sharding == w.value.sharding
        assert len(v.value.devices()) == 2
        halved = distribution is model_parallel and not w.path.endswith("digits/bias")
        shards = {shard.data.size for shard in v.value.addressable_shards}
        assert shards == {w.value.size // 2 if halved else w.value.size}
