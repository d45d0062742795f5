import numpy as np
import pytest

from hwrt.zoo.builder import same_pads
from hwrt.zoo.network import divisible
from hwrt.zoo.weights import ACTIVATIONS, Weights, moments


@pytest.mark.parametrize("centred", [True, False])
def test_filters_have_unit_length(centred):
    filters = Weights(0).filters(64, 27, centred=centred)

    assert filters.dtype == np.float32
    assert filters.shape == (64, 27)
    np.testing.assert_allclose(np.linalg.norm(filters, axis=1), 1.0, rtol=1e-6)


def test_centred_filters_sum_to_zero():
    sums = Weights(0).filters(64, 27, centred=True).sum(axis=1)

    np.testing.assert_allclose(sums, 0.0, atol=1e-6)


def test_filters_of_one_seed_differ_from_each_other():
    filters = Weights(0).filters(64, 27, centred=False)

    assert np.abs(np.corrcoef(filters) - np.eye(64)).max() < 0.9


def test_uniform_values_fill_their_range():
    values = Weights(3).uniform(10_000, -2.0, 4.0)

    assert values.min() >= -2.0
    assert values.max() <= 4.0
    assert values.min() < -1.99
    assert values.max() > 3.99
    assert values.mean() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_moments_are_those_of_normal_samples(activation):
    x = np.random.default_rng(0).normal(0.3, 1.2, 1_000_000)
    y = ACTIVATIONS[activation](x)

    mean, variance = moments(activation, 0.3, 1.44)
    assert mean == pytest.approx(y.mean(), abs=5e-3)
    assert variance == pytest.approx(y.var(), abs=5e-3)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"),
    [
        (224, 3, 2, (0, 0, 1, 1)),
        (65, 3, 2, (1, 1, 1, 1)),
        (56, 5, 2, (1, 1, 2, 2)),
        (28, 5, 1, (2, 2, 2, 2)),
        (28, 1, 2, (0, 0, 0, 0)),
    ],
)
def test_same_pads_put_the_odd_pixel_last(size, kernel, stride, expected):
    assert expected == same_pads(size, kernel, stride)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(16, 16), (18.0, 24), (19.2, 24), (26.4, 24), (44.0, 48), (2.0, 8), (33.6, 32)],
)
def test_divisible_rounds_to_eighths_and_loses_at_most_a_tenth(channels, expected):
    assert expected == divisible(channels)
