"""What Keras asks of its optimizers, an item a test."""

import keras
import numpy as np
import pytest
from keras import ops
from keras_steps import ATOL, BACKEND, array, fit, gradients, network, variable, walk, weights

import ewma
from ewma_keras import MomentumSGD

LR = 0.125


def close(found, expected, atol=4 * ATOL):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def same_as_sgd(steps=12, start=(1.0, -2.0, 3.0), **options):
    """Take steps with options of every optimizer, with ours and with Keras' SGD."""
    g = gradients(steps)
    sgd = keras.optimizers.SGD(LR, momentum=0.5, **options)
    ours = walk(MomentumSGD(LR, 0.5, **options), g, start)
    theirs = walk(sgd, g, start)
    close(ours, theirs)
    return ours


# Options


@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_clipping(option):
    clipped = same_as_sgd(**{option: 0.25})
    assert np.abs(clipped - same_as_sgd()).max() > 0.1
    g = np.array([[30.0, -40.0]])
    close(walk(MomentumSGD(1, clipnorm=5), g)[-1], [-3, 4])
    close(walk(MomentumSGD(1, clipvalue=5), g)[-1], [-5, 5])


def test_weight_decay():
    same_as_sgd(weight_decay=0.25)
    # w -= w * weight_decay * lr, whatever momentum, dampening and debias make of the gradient
    for options in ({}, {"dampening": 0.5}, {"debias": True}):
        optimizer = MomentumSGD(0.5, 0.5, weight_decay=0.5, **options)
        close(walk(optimizer, np.zeros((1, 2)), [4, 8])[-1], [3, 6])


def test_weight_decay_with_exclusions():
    w, excluded, bias = variable([4.0]), variable([4.0]), keras.Variable([4.0], name="bias")
    optimizer = MomentumSGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[excluded], var_names=["bias"])
    zero = [ops.zeros(1, v.dtype) for v in (w, excluded, bias)]
    optimizer.apply(zero, [w, excluded, bias])
    assert [float(array(v)[0]) for v in (w, excluded, bias)] == [3, 4, 4]


def test_use_ema():
    same_as_sgd(use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)
    g = gradients(10)
    optimizer = MomentumSGD(LR, use_ema=True, ema_momentum=0.75)
    path = walk(optimizer, g)[1:]
    # The same recurrence once more, started with the first weights.
    average = path[0] + ewma.smooth(path - path[0], beta=0.75, debias=False)[-1]
    (w,) = optimizer._trainable_variables
    optimizer.finalize_variable_values([w])
    close(array(w), average)


def test_fit_twice_with_use_ema():
    model = network()
    model.compile(MomentumSGD(0.05, use_ema=True, ema_overwrite_frequency=3), "mse")
    fit(model, epochs=2)
    fit(model)
    assert np.isfinite(weights(model)).all()


def test_gradient_accumulation():
    g = gradients(12)
    for options in ({}, {"weight_decay": 0.25}, {"clipnorm": 0.5}):
        accumulated = walk(
            MomentumSGD(LR, debias=True, gradient_accumulation_steps=3, **options), g, [1, 2, 3]
        )
        # One step of the mean every third time; the bias correction counts those.
        means = g.reshape(4, 3, 3).mean(axis=1)
        close(accumulated[::3], walk(MomentumSGD(LR, debias=True, **options), means, [1, 2, 3]))
        close(accumulated[1::3], accumulated[:-1:3])
    same_as_sgd(gradient_accumulation_steps=3)


def test_decay_counts_updates():
    g = np.ones((6, 1))
    w = walk(MomentumSGD(0.5, 0, decay=1, gradient_accumulation_steps=2), g)
    close(w[::2, 0], [0, -0.5, -0.75, -0.75 - 0.5 / 3], 1e-7)


def test_loss_scale_factor():
    optimizer = MomentumSGD(LR, loss_scale_factor=8.0)
    assert float(optimizer.scale_loss(2.0)) == 16
    g = gradients(5)
    close(walk(optimizer, 8 * g), walk(MomentumSGD(LR), g))


def test_loss_scale_optimizer():
    scaled = keras.optimizers.LossScaleOptimizer(
        MomentumSGD(LR, 0.5), initial_scale=8.0, dynamic_growth_steps=100
    )
    w = variable(np.zeros(3), "float32")
    scaled.build([w])

    def apply(g):
        g = ops.convert_to_tensor(g, "float32")
        if BACKEND != "jax":
            return scaled.apply([g], [w])
        # There Keras has the stateless one only.
        values = [v.value for v in scaled.variables]
        (new,), state = scaled.stateless_apply(values, [g], [w.value])
        for v, value in zip([w, *scaled.variables], [new, *state], strict=True):
            v.assign(value)

    g = gradients(5)
    for x in g:
        apply(8 * x)
        before = [array(v).copy() for v in (w, *scaled.inner_optimizer.variables)]
        apply([np.inf, 0, np.nan])  # skipped, and the scale is halved
        for v, value in zip((w, *scaled.inner_optimizer.variables), before, strict=True):
            np.testing.assert_array_equal(array(v), value)
        scaled.dynamic_scale.assign(8.0)
    assert int(array(scaled.iterations)) == 5
    close(array(w), walk(MomentumSGD(LR, 0.5), g, dtype="float32")[-1], 1e-6)


def test_mixed_precision():
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            model = network()
            model.compile(MomentumSGD(0.05), "mse")
            losses = fit(model, epochs=5).history["loss"]
        finally:
            keras.config.set_dtype_policy("float32")
        wrapped = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert wrapped == (policy == "mixed_float16")
        assert losses[-1] < losses[0] / 2


def test_overwrite_with_gradient():
    w, scale = variable([1.0]), variable([1.0])
    scale.overwrite_with_gradient = True
    optimizer = MomentumSGD(0.5, weight_decay=0.5)
    optimizer.apply([ops.zeros(1, w.dtype), ops.full((1,), 7.0, w.dtype)], [w, scale])
    assert (float(array(w)[0]), float(array(scale)[0])) == (0.75, 7)
    assert optimizer.velocities[1] is None


def test_constraints():
    w = keras.Variable([1.0, 1.0])
    w.constraint = keras.constraints.NonNeg()
    MomentumSGD(1).apply([ops.convert_to_tensor([2.0, -2.0])], [w])
    np.testing.assert_array_equal(array(w), [0, 3])


def test_missing_gradients():
    w, unused = variable([1.0]), variable([1.0])
    optimizer = MomentumSGD(0.5)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([ops.ones(1, w.dtype), None], [w, unused])
    assert float(array(unused)[0]) == 1
    optimizer.apply([], [])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([ops.ones(1, w.dtype)], [variable([1.0])])


def test_apply_gradients_and_update_step():
    (g,) = gradients(1)
    expected = walk(MomentumSGD(LR), g[None])[-1]
    w = variable(np.zeros(3))
    optimizer = MomentumSGD(LR)
    assert int(array(optimizer.apply_gradients([(ops.convert_to_tensor(g), w)]))) == 1
    close(array(w), expected)
    w = variable(np.zeros(3))
    optimizer = MomentumSGD(0.0)
    optimizer.build([w])
    optimizer.update_step(ops.convert_to_tensor(g), w, ops.convert_to_tensor(LR, w.dtype))
    close(array(w), expected)


def test_variables_of_many_shapes():
    shapes = [(), (1,), (0,), (2, 3), (2, 3, 4)]
    ws = [variable(np.ones(shape)) for shape in shapes]
    optimizer = MomentumSGD(0.5)
    optimizer.apply([ops.ones(shape, w.dtype) for shape, w in zip(shapes, ws, strict=True)], ws)
    for w in ws:
        np.testing.assert_array_equal(array(w), 0.5)


def test_one_velocity_a_variable():
    model = network()
    ours, theirs = MomentumSGD(), keras.optimizers.SGD(momentum=0.9)
    for optimizer in (ours, theirs):
        optimizer.build(model.trainable_variables)
    assert len(ours.variables) == len(theirs.variables) == 2 + 4
    shapes = [(v.shape, v.dtype) for v in ours.variables]
    assert shapes == [(v.shape, v.dtype) for v in theirs.variables]


def test_two_optimizers_on_one_model():
    g = gradients(4)
    first, second = MomentumSGD(LR), MomentumSGD(LR, 0.5)
    ws = [variable(np.zeros(3)), variable(np.zeros(3))]
    for x in g:
        for optimizer, w in zip((first, second), ws, strict=True):
            optimizer.apply([ops.convert_to_tensor(x)], [w])
    close(array(ws[0]), walk(MomentumSGD(LR), g)[-1])
    close(array(ws[1]), walk(MomentumSGD(LR, 0.5), g)[-1])


# Training


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("mode", [{}, {"jit_compile": True}, {"run_eagerly": True}])
def test_fit_is_that_of_sgd(nesterov, mode):
    if BACKEND == "torch" and "jit_compile" in mode:
        pytest.skip("torch.compile needs a C++ compiler at run time, and minutes")
    ends = []
    for cls in (keras.optimizers.SGD, MomentumSGD):
        model = network()
        model.compile(cls(0.05, momentum=0.9, nesterov=nesterov), "mse", **mode)
        fit(model, epochs=3)
        ends.append(weights(model))
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it on PyTorch")
def test_steps_per_execution():
    ends = []
    for steps in (1, 4):
        model = network()
        model.compile(MomentumSGD(0.05, debias=True), "mse", steps_per_execution=steps)
        fit(model, epochs=2)
        ends.append(weights(model))
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)


def test_callbacks_set_the_rate():
    model = network()
    model.compile(MomentumSGD(0.05, decay=0.25), "mse")
    fit(model, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.5)])
    # 0.5 for the first of four steps; then it falls
    assert float(array(model.optimizer.learning_rate)) == pytest.approx(0.5 / (1 + 0.25 * 4))


@pytest.mark.skipif(BACKEND == "tensorflow", reason="Keras refuses it on TensorFlow")
def test_stateless_apply():
    g = gradients(6)
    options = {"nesterov": True, "debias": True, "decay": 0.5, "weight_decay": 0.25}
    expected = walk(MomentumSGD(LR, **options), g, [1, 2, 3])[-1]
    w = variable([1, 2, 3])
    optimizer = MomentumSGD(LR, **options)
    optimizer.build([w])
    values = [array(v.value).copy() for v in (w, *optimizer.variables)]
    if BACKEND == "torch":  # where Keras' weight decay writes into what it was given
        optimizer.weight_decay = None
        expected = walk(MomentumSGD(LR, **{**options, "weight_decay": None}), g, [1, 2, 3])[-1]
    ws, state = [w.value], [v.value for v in optimizer.variables]
    step = optimizer.stateless_apply
    if BACKEND == "jax":
        import jax

        step = jax.jit(step)
    for x in g:
        ws, state = step(state, [ops.convert_to_tensor(x)], ws)
    close(array(ws[0]), expected, 1e-6)
    for v, value in zip((w, *optimizer.variables), values, strict=True):
        np.testing.assert_array_equal(array(v), value)  # not touched
