"""SurrogatePricer: what it learns, where it refuses, and that calibrators turn it round."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LinearRegression

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import make_surfaces
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer, SurrogatePricer

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.03)
MODEL = "variance_gamma"


@pytest.fixture(scope="module")
def data():
    """Surfaces and parameters."""
    return make_surfaces(MODEL, GRID, n_samples=1000, random_state=0)


@pytest.fixture(scope="module")
def surrogate(data):
    X, y = data
    return SurrogatePricer().fit(y, X)


@pytest.fixture(scope="module")
def linear():
    """A map that is linear, and three parameter sets with their surfaces."""
    rng = np.random.default_rng(0)
    slopes, params = rng.normal(size=(2, 4)), rng.uniform(-1, 1, (30, 2))
    return slopes, params, params @ slopes + 1


def test_learns_prices_and_slopes(surrogate):
    """Surfaces that it has not seen, within the ranges that it has."""
    X, y = make_surfaces(MODEL, GRID, n_samples=200, random_state=1)
    X, y = X[surrogate.admissible(y)], y[surrogate.admissible(y)]
    assert len(X) > 150
    assert_allclose(surrogate.transform(y), X, atol=0.25)
    assert np.sqrt(np.mean((surrogate.transform(y) - X) ** 2)) < 0.02
    exact = ContourPricer(MODEL, GRID).fit(y).price_and_jacobian(y)[1]
    slopes = surrogate.evaluate(y, gradient=True)[1]
    size = np.abs(exact).max(axis=(0, 2), keepdims=True)
    assert np.sqrt(np.mean(((slopes - exact) / size) ** 2)) < 0.02


@pytest.mark.parametrize("regressor", [None, LinearRegression()])
def test_linear_map_is_learned_to_the_last_digits(linear, regressor):
    slopes, params, surfaces = linear
    values, jacobian = SurrogatePricer(regressor).fit(params, surfaces).evaluate(params, True)
    assert_allclose(values, surfaces, atol=1e-6)
    assert_allclose(jacobian, np.broadcast_to(slopes, (30, 2, 4)), atol=1e-6)


def test_any_smooth_regressor_will_do(data):
    X, y = data
    process = GaussianProcessRegressor(optimizer=None, normalize_y=True)
    pricer = SurrogatePricer(process).fit(y[:200], X[:200])
    assert_allclose(pricer.transform(y[:200]), X[:200], atol=0.1)


def test_calibrators_turn_it_round(data):
    X, y = data
    calibrator = LeastSquaresCalibrator(SurrogatePricer()).fit(X, y)
    result = calibrator.calibrate(X[:20])
    assert result.rmse.max() < 0.05
    exact = ContourPricer(MODEL, GRID).fit_transform(result.parameters)
    assert np.sqrt(np.mean((exact - X[:20]) ** 2, axis=1)).max() < 0.1
    assert np.median(np.abs(result.parameters - y[:20])) < 1e-3


def test_parts_of_a_batch_do_not_matter(surrogate, data, monkeypatch):
    y = data[1][:10]
    values, slopes = surrogate.evaluate(y, gradient=True)
    monkeypatch.setattr("levylearn.pricing._surrogate._POINTS", 7)
    found = surrogate.evaluate(y, gradient=True)
    assert_allclose(found[0], values, rtol=1e-12)
    assert_allclose(found[1], slopes, rtol=1e-7, atol=1e-7)
    assert surrogate.evaluate(y[:0])[0].shape == (0, GRID.n_quotes)


def test_refuses_what_is_beyond_its_ranges(surrogate, data):
    y = data[1]
    low, high = y.min(axis=0), y.max(axis=0)
    corners = np.array([low, high])
    surrogate.transform(corners)
    assert_array_equal(surrogate.admissible(corners), True)
    corners[1, 1] *= 1.01
    assert_array_equal(surrogate.admissible(corners), [True, False])
    with pytest.raises(ValueError, match=rf"p1={corners[1, 1]:g} in row 1 is outside .*range"):
        surrogate.transform(corners)
    assert not surrogate.admissible(np.full((1, 3), np.nan)).any()


def test_parameters_are_named_as_columns(data):
    X, y = data
    frame = pd.DataFrame(y, columns=["sigma", "nu", "theta"])
    described = SurrogatePricer(LinearRegression()).fit(frame, X).parameters_
    assert [parameter.name for parameter in described] == ["sigma", "nu", "theta"]
    assert described[1].market_range == (y[:, 1].min(), y[:, 1].max())


def test_incomplete_surfaces_are_not_learned_from(linear):
    _, params, surfaces = linear
    wrong = surfaces.copy()
    wrong[::2] = 100.0
    wrong[::2, 1] = np.nan
    pricer = SurrogatePricer(LinearRegression()).fit(params, wrong)
    assert_allclose(pricer.regressor_.predict(params), surfaces, rtol=1e-9)
    with pytest.raises(ValueError, match="without missing quotes"):
        SurrogatePricer().fit(params, np.full_like(surfaces, np.nan))


def test_parameter_that_never_changes_is_refused(linear):
    _, params, surfaces = linear
    with pytest.raises(ValueError, match="every row has p1=3"):
        SurrogatePricer().fit(params * [1, 0] + [0, 3], surfaces)


@pytest.mark.parametrize("loss", ["vega_price", "implied_vol"])
def test_losses_that_need_contracts_are_refused(data, loss):
    with pytest.raises(ValueError, match=f"{loss}.*SurrogatePricer"):
        LeastSquaresCalibrator(SurrogatePricer(), loss).fit(*data)
