import numpy as np
import pytest
from numpy.testing import assert_allclose

from levylearn.calibration._ridge import climb

BEND, GROWTH = 40.0, 0.4


def banana(w):
    """Log-density of a bent valley in three dimensions, its gradient and metric."""
    t, rest = w[:, 0], w[:, 1:]
    size = np.exp(GROWTH * t)
    bend = np.stack([BEND * t**2, -3 * t], axis=1)
    off = (rest - bend) / size[:, None]
    value = -0.5 * t**2 - 0.5 * (off**2).sum(axis=1)
    slope = np.stack([2 * BEND * t, np.full_like(t, -3.0)], axis=1)
    # Of each residual (t, off), by t and by the two others.
    jacobian = np.zeros((len(w), 3, 3))
    jacobian[:, 0, 0] = 1.0
    jacobian[:, 1:, 0] = -slope / size[:, None] - GROWTH * off
    jacobian[:, [1, 2], [1, 2]] = 1 / size[:, None]
    residuals = np.column_stack([t, off])
    gradient = -np.vecmat(residuals, jacobian)
    return value, gradient, np.swapaxes(jacobian, 1, 2) @ jacobian


@pytest.fixture(scope="module")
def ridge():
    return climb(banana, 3)


@pytest.fixture(scope="module")
def w():
    return np.random.default_rng(0).standard_normal((50, 3)) * [1.5, 1.0, 1.0]


def test_a_bent_valley_becomes_a_normal(ridge, w):
    value, _, _ = banana(ridge(w).y)
    normal = -0.5 * (w**2).sum(axis=1)
    assert_allclose(value, normal, rtol=1e-6, atol=1e-6)
    # The normal is flatter in banana's coordinates than in the ridge's, by the valley's width.
    assert_allclose(ridge(w).log_volume, 2 * GROWTH * w[:, 0], rtol=1e-8)


def test_volume_is_that_of_the_map(ridge, w):
    h = 1e-6
    columns = [(ridge(w + h * e).y - ridge(w - h * e).y) / (2 * h) for e in np.eye(3)]
    _, expected = np.linalg.slogdet(np.stack(columns, axis=2))
    assert_allclose(ridge(w).log_volume, expected, atol=1e-7)


@pytest.mark.parametrize("stretch", [1.0, 5.0], ids=["on the ridge", "beyond its ends"])
def test_derivatives(ridge, w, stretch):
    w, h, slope = stretch * w, 1e-5, np.array([0.3, -0.7, 1.1])

    def log_density(w):
        off = ridge(w)
        return off.y @ slope + off.log_volume

    gradient = ridge(w).pulled_back(np.broadcast_to(slope, w.shape))
    for i, e in enumerate(np.eye(3)):
        difference = (log_density(w + h * e) - log_density(w - h * e)) / (2 * h)
        assert_allclose(gradient[:, i], difference, rtol=1e-6, atol=1e-6)


def test_one_coordinate_has_nothing_to_follow():
    ridge = climb(lambda w: (-0.5 * w[:, 0] ** 2, -w, np.ones((len(w), 1, 1))), 1)
    w = np.linspace(-9, 9, 7)[:, None]
    off = ridge(w)
    assert_allclose(off.y, w)
    assert_allclose(off.log_volume, 0.0)
    assert_allclose(off.pulled_back(-w), -w)


@pytest.mark.parametrize("edge", [0.1, 1.0])
def test_where_the_density_ends_the_ridge_goes_straight_on(edge):
    def cut_off(w):
        value, gradient, metric = banana(w)
        return np.where(np.abs(w[:, 0]) < edge, value, -np.inf), gradient, metric

    t = np.array([0.0, 2.0, 3.0, 4.0])
    along = climb(cut_off, 3)(np.column_stack([t, np.zeros((4, 2))]))
    assert np.isfinite(along.y).all()
    assert_allclose(along.y[2] - along.y[1], along.y[3] - along.y[2])
    assert along.log_volume[1] == along.log_volume[3]


def test_where_the_metric_is_none_the_ridge_ends():
    def spoilt(w):
        value, gradient, metric = banana(w)
        return value, gradient, np.where(w[:, :1, None] < 1.0, metric, 0.0)

    along = climb(spoilt, 3)(np.array([[0.5, 0.0, 0.0], [2.0, 0.0, 0.0]]))
    assert np.isfinite(along.y).all()
