"""`smooth` against TensorBoard's slider."""

import math

import numpy as np
import pytest

from ewma import smooth


def slider(values, weight):
    """Smooth as tensorboard/webapp/widgets/line_chart_v2/data_transformer.ts does."""
    if all(value == values[0] for value in values):
        return list(values)
    last, count, smoothed = 0.0, 0, []
    for value in values:
        if not math.isfinite(value):
            smoothed.append(value)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        smoothed.append(last / (1 - weight**count))
    return smoothed


WEIGHTS = [0.0, 0.1, 0.3, 0.5, 0.6, 0.9, 0.97, 0.99, 0.999]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.9])
def test_slider(weight, missing):
    rng = np.random.default_rng(3)
    values = np.exp(-np.arange(2000) / 500) + 0.1 + 0.05 * rng.random(2000)
    for other in (math.nan, math.inf, -math.inf):
        values[rng.random(2000) < missing / 3] = other
    # 1 - weight**count cancels in TensorBoard: about 1e-16 / (1 - weight) there.
    expected = slider(values.tolist(), weight)
    np.testing.assert_allclose(smooth(values, weight), expected, rtol=1e-15 / (1 - weight) + 1e-14)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9 / 3])
def test_constant(weight, constant):
    values = [constant] * 300
    assert smooth(values, weight) == slider(values, weight) == values


def test_by_hand():
    assert slider([1.0, 2.0], 0.5) == smooth([1.0, 2.0], 0.5) == pytest.approx([1, 5 / 3])


def test_at_one_a_running_mean():
    # TensorBoard draws 0 there (its issues #610 and #639).
    assert smooth([1.0, 2.0, 6.0], 1.0) == [1.0, 1.5, 3.0]
