"""PyTorch's fused step against the plain rule."""

import keras
import numpy as np
import pytest
from keras_steps import BACKEND, array, gradients, long_memory, variable

from ewma_keras import MomentumSGD

if BACKEND != "torch":
    pytest.skip("PyTorch's own path", allow_module_level=True)
import torch

from ewma_keras import _torch

OPTIONS = [
    {},
    {"nesterov": True},
    {"debias": True, "nesterov": True},
    {"dampening": 0.5, "debias": True, "decay": 0.5},
    {"momentum": 0.999, "weight_decay": 0.1, "clipnorm": 1.0},
    {"gradient_accumulation_steps": 2},
]


class Plain(MomentumSGD):
    """The rule as it stands in `update_step`."""

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for g, w in zip(grads, trainable_variables, strict=True):
            self.update_step(g, w, learning_rate)


@pytest.fixture
def fused(monkeypatch):
    """How many variables were in each call of the fused step."""
    calls = []
    real = _torch._fused_step
    monkeypatch.setattr(
        _torch, "_fused_step", lambda ws, *rest: (calls.append(len(ws)), real(ws, *rest))
    )
    return calls


@pytest.mark.parametrize("options", OPTIONS)
def test_equal_to_the_plain_rule(options, fused):
    ends = []
    for cls in (MomentumSGD, Plain):
        optimizer = cls(0.125, **options)
        ws = [
            variable(np.arange(n * 3.0).reshape(n, 3), dtype)
            for n, dtype in ((1, "float64"), (4, "float32"), (2, "bfloat16"), (3, "float32"))
        ]
        optimizer.build(ws)
        for g in torch.from_numpy(gradients(10)):
            optimizer.apply([(g * torch.ones(w.shape)).to(w.value.dtype) for w in ws])
        ends.append([array(v).astype("float64") for v in (*ws, *optimizer.velocities)])
        # One call for the float64 variable, one for the two of float32; none for bfloat16.
        updates = 5 if "gradient_accumulation_steps" in options else 10
        assert sorted(fused) == ([1] * updates + [2] * updates if cls is MomentumSGD else [])
        fused.clear()
    for ours, plain, v in zip(*ends, (*ws, *optimizer.velocities), strict=True):
        rtol = {"float64": 1e-13, "float32": 1e-5, "bfloat16": 1e-2}[v.dtype]
        np.testing.assert_allclose(ours, plain, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("mu", [0.9, 0.99, 0.999, 0.99999])
def test_what_is_rounded_does_not_draw_the_velocity_aside(mu, fused):
    def apply_all(optimizer, w, gradients):
        for g in torch.from_numpy(gradients):
            optimizer.apply([g[None]], [w])

    velocity, expected = long_memory(mu, apply_all)
    # float32 has none that remembers for as long as the last one: that is for the plain rule.
    assert len(fused) == (3000 if mu <= 0.999 else 0)
    np.testing.assert_allclose(velocity, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [2, 1], [1]])
def test_each_variable_has_its_own_velocity(order, fused):
    """In whatever order they come, and however many."""
    ws = [variable(np.zeros(2), "float32") for _ in range(3)]
    optimizer = MomentumSGD(1)
    optimizer.build(ws)
    optimizer.apply([torch.full((2,), i + 1.0) for i in order], [ws[i] for i in order])
    optimizer.apply([torch.zeros(2)] * len(order), [ws[i] for i in order])
    for i, (w, v) in enumerate(zip(ws, optimizer.velocities, strict=True)):
        g = (i + 1.0) * (i in order)
        np.testing.assert_allclose(array(v), [0.09 * g] * 2, rtol=1e-6)
        np.testing.assert_allclose(array(w), [-1.9 * g] * 2, rtol=1e-6)
    assert fused == [len(order)] * 2


def test_gradients_that_are_not_contiguous(fused):
    # The kernel walks over bare memory: a transposed or expanded gradient is not for it.
    start = np.zeros((2, 3))
    for g in (torch.arange(6.0).reshape(3, 2).T, torch.arange(3.0).expand(2, 3)):
        w = variable(start, "float32")
        optimizer = MomentumSGD(1)
        optimizer.apply([g], [w])
        np.testing.assert_allclose(array(w), -g.numpy(), rtol=1e-6)
    assert fused == []


def test_variables_that_are_not_contiguous(fused):
    w = variable(np.zeros((2, 3)), "float32")
    w.value.data = torch.zeros(3, 2).T
    g = torch.arange(6.0).reshape(2, 3)
    MomentumSGD(1).apply([g], [w])
    np.testing.assert_allclose(array(w), -g.numpy(), rtol=1e-6)
    assert fused == []


def test_gradients_are_not_changed(fused):
    g = torch.ones(3)
    w = variable(np.zeros(3), "float32")
    MomentumSGD(nesterov=True).apply([g], [w])
    assert fused == [1]
    assert torch.equal(g, torch.ones(3))


def test_stateless_scope_leaves_the_variables(fused):
    w = variable(np.zeros(3), "float32")
    optimizer = MomentumSGD()
    optimizer.build([w])
    with keras.StatelessScope():
        optimizer.apply([torch.ones(3)])
    assert fused == []
    assert not array(w).any()
    assert not array(optimizer.velocities[0]).any()


def test_accumulators_forget_what_is_not_a_number():
    w = variable(np.zeros(1), "float32")
    optimizer = MomentumSGD(1, 0, gradient_accumulation_steps=2)
    optimizer.build([w])
    optimizer.apply([torch.full((1,), torch.nan)])
    optimizer.apply([torch.ones(1)])
    (accumulator,) = optimizer._accumulated_gradients
    assert array(accumulator) == 0


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_gradient_that_is_the_weight_itself(nesterov):
    # Of the loss w**2 / 2: the second pass would read it after it was changed.
    ends = []
    for copy in (False, True):
        w = variable(np.array([1.0, -2.0]), "float32")
        optimizer = MomentumSGD(0.125, 0.5, nesterov=nesterov)
        for _ in range(3):
            optimizer.apply([w.value.detach().clone() if copy else w.value], [w])
        ends.append(array(w))
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_gradients_of_another_shape(fused):
    # The kernel walks over bare memory, beyond what there is.
    ends = []
    for cls in (MomentumSGD, keras.optimizers.SGD):
        w = variable(np.zeros((64, 64)), "float32")
        cls(1.0, momentum=0.5).apply([torch.ones(1)], [w])
        ends.append(array(w))
        with pytest.raises(RuntimeError, match="size"):
            cls(1.0, momentum=0.5).apply([torch.ones(3, 2)], [variable(np.zeros((2, 3)))])
    np.testing.assert_array_equal(*ends)
    assert fused == []


def test_complex_variables(fused):
    ends = []
    for cls in (MomentumSGD, keras.optimizers.SGD):
        w = variable(np.zeros(2), "complex64")
        cls(1.0, momentum=0.5).apply([torch.tensor([1 + 2j, 3])], [w])
        ends.append(array(w))
    np.testing.assert_array_equal(*ends)
    assert fused == []


@pytest.mark.parametrize("options", OPTIONS[:4])
def test_sparse_embedding(options):
    ends = []
    for sparse in (False, True):
        torch.manual_seed(0)
        layer = torch.nn.Embedding(6, 2, sparse=sparse)
        model = keras.Sequential([keras.layers.TorchModuleWrapper(layer)])
        model.compile(MomentumSGD(0.1, **options), "mse")
        x = np.array([[1, 2, 1], [5, 5, 5]])
        model.fit(x, np.ones((2, 3, 2), "float32"), epochs=3, verbose=0)
        ends.append(layer.weight.detach().numpy())
    np.testing.assert_allclose(*ends, rtol=1e-6)


@pytest.mark.parametrize("options", OPTIONS[:3])
def test_under_torch_compile(options, fused):
    # This backend traces as every other does, and needs no C++ compiler.
    g = gradients(4).astype("float32")
    ends = []
    for compiled in (False, True):
        w = variable(np.zeros(3), "float32")
        optimizer = MomentumSGD(0.125, **options)
        optimizer.build([w])
        step = torch.compile(optimizer.apply, backend="aot_eager") if compiled else optimizer.apply
        for x in torch.from_numpy(g):
            step([x])
        ends.append(array(w))
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)
    assert fused == [1] * 4


def test_stateless_accumulators_are_the_callers():
    w = variable(np.zeros(3), "float32")
    optimizer = MomentumSGD(1.0, gradient_accumulation_steps=2)
    optimizer.build([w])
    state = [v.value.clone() for v in optimizer.variables]
    before = [v.clone() for v in state]
    for _ in range(2):
        optimizer.stateless_apply(state, [torch.ones(3)], [w.value])
    assert all(torch.equal(*pair) for pair in zip(state, before, strict=True))


@pytest.mark.parametrize("nesterov", [False, True])
def test_gradients_that_are_each_others_weights(nesterov):
    # Those of x y, written by hand; and the two as copies.
    ends = []
    for is_copied in (False, True):
        x, y = variable([1.0, 2.0], "float32"), variable([3.0, 4.0], "float32")
        optimizer = MomentumSGD(0.1, 0.5, nesterov)
        for _ in range(2):
            gradients = [y.value, x.value]
            if is_copied:
                gradients = [g.clone() for g in gradients]
            optimizer.apply(gradients, [x, y])
        ends.append(np.r_[array(x), array(y)])
    np.testing.assert_array_equal(*ends)
