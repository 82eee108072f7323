"""Derivatives of parameters by quotes: three ways to one answer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from levylearn.calibration import (
    CNNCalibrator,
    HybridCalibrator,
    LBFGSCalibrator,
    LeastSquaresCalibrator,
    MLPCalibrator,
    TransformerCalibrator,
)
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import jacobian_sensitivity, worst_case_errors
from levylearn.market import OptionGrid, black_vega
from levylearn.pricing import ContourPricer

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.02)
PRICER = ContourPricer("variance_gamma", GRID)
PARAMS = np.array([[0.2, 0.4, -0.2], [0.3, 0.2, -0.1]])
CLEAN = PRICER.fit(PARAMS).transform(PARAMS)
NOISY = CLEAN * (1 + 0.01 * np.random.default_rng(0).normal(size=CLEAN.shape))
LOSSES = ["price", "relative_price", "relative_to_model", "vega_price", "implied_vol"]


def off(one, other):
    """Largest difference of two Jacobians, over the largest entry of each surface."""
    size = np.nanmax(np.abs(other), axis=(1, 2))
    return np.nanmax(np.abs(one - other), axis=(1, 2)) / size


def test_closed_form():
    """One volatility from three prices by least squares: the vegas over their sum of squares."""
    grid = OptionGrid([80, 100, 120], [1.0])
    pricer = ContourPricer("black_scholes", grid)
    X = pricer.fit([[0.2]]).transform([[0.2]])
    vega = black_vega(grid.forward, grid.strike, grid.maturity, 0.2)
    jacobian = jacobian_sensitivity(LeastSquaresCalibrator(pricer).fit(X), X)
    assert_allclose(jacobian[0, 0], vega / (vega @ vega), rtol=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
def test_of_exact_fits_is_that_of_the_pseudo_inverse(loss):
    calibrator = LeastSquaresCalibrator(PRICER, loss).fit(CLEAN)
    jacobian = jacobian_sensitivity(calibrator, CLEAN)
    slopes = np.swapaxes(PRICER.price_and_jacobian(PARAMS)[1], 1, 2)
    # Whatever the loss: a left inverse of the prices' Jacobian.
    assert_allclose(jacobian @ slopes, np.tile(np.eye(3), (2, 1, 1)), atol=2e-6)
    if loss == "price":
        assert off(jacobian, np.linalg.pinv(slopes)).max() < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_where_residuals_are_large(loss):
    """Against differences of whole calibrations; Gauss and Newton's matrix alone is off."""
    calibrator = LeastSquaresCalibrator(PRICER, loss, weights=np.arange(1.0, 11)).fit(CLEAN)
    jacobian = jacobian_sensitivity(calibrator, NOISY)
    # Differences carry the tolerance of the search over the step.
    differences = jacobian_sensitivity(calibrator, NOISY, method="differences", step=3e-4)
    assert off(jacobian, differences).max() < 3e-3
    calibrated = calibrator.predict(NOISY)
    if loss == "price":
        slopes = np.swapaxes(PRICER.price_and_jacobian(calibrated)[1], 1, 2)
        weighted = slopes * np.sqrt(np.arange(1.0, 11))[:, None]
        gauss_newton = np.linalg.pinv(weighted) * np.sqrt(np.arange(1.0, 11))
        assert off(jacobian, gauss_newton).max() > 0.02


def test_half_spreads():
    """Quotes within their spreads have no pull; those outside pull as before."""
    X = CLEAN[:1].copy()
    X[0, ::2] *= 1.02
    calibrator = LeastSquaresCalibrator(PRICER, half_spread=0.01 * CLEAN[0]).fit(CLEAN)
    jacobian = jacobian_sensitivity(calibrator, X)
    differences = jacobian_sensitivity(calibrator, X, method="differences", step=1e-5)
    assert off(jacobian, differences).max() < 1e-3
    within = np.abs(calibrator.calibrate(X).surfaces[0] - X[0]) < 0.01 * CLEAN[0]
    assert within.any()
    assert not jacobian[0][:, within].any()


def test_parameters_that_do_not_move():
    fixed = LeastSquaresCalibrator(PRICER, fixed={"nu": 0.4}).fit(CLEAN)
    at_bound = LeastSquaresCalibrator(PRICER, bounds={"nu": (0.05, 0.3)}).fit(CLEAN)
    for calibrator in (fixed, at_bound):
        jacobian = jacobian_sensitivity(calibrator, CLEAN[:1])
        assert not jacobian[:, 1].any()
        differences = jacobian_sensitivity(calibrator, CLEAN[:1], method="differences", step=3e-4)
        assert off(jacobian, differences).max() < 3e-3  # as where residuals are large


def test_other_optimisers_agree():
    least_squares = LeastSquaresCalibrator(PRICER).fit(CLEAN)
    expected = jacobian_sensitivity(least_squares, NOISY)
    by_lbfgs = LBFGSCalibrator(PRICER, max_evaluations=1000).fit(CLEAN)
    assert off(jacobian_sensitivity(by_lbfgs, NOISY), expected).max() < 1e-3
    hybrid = HybridCalibrator(KNeighborsRegressor(1), least_squares).fit(CLEAN, PARAMS)
    assert off(jacobian_sensitivity(hybrid, NOISY), expected).max() < 1e-5


def test_missing_quotes():
    X = NOISY.copy()
    X[0, [1, 7]] = np.nan
    calibrator = LeastSquaresCalibrator(PRICER).fit(CLEAN)
    jacobian = jacobian_sensitivity(calibrator, X)
    assert np.isnan(jacobian[0]).all(axis=0).tolist() == np.isnan(X[0]).tolist()
    differences = jacobian_sensitivity(calibrator, X, method="differences", step=3e-4)
    assert off(jacobian, differences).max() < 3e-3
    assert_allclose(jacobian[1], jacobian_sensitivity(calibrator, NOISY)[1], rtol=1e-9)


@pytest.mark.parametrize("method", ["auto", "differences"])
def test_hopeless_surfaces_spoil_no_other(method):
    X = np.insert(CLEAN, 1, np.nan, axis=0)
    calibrator = LeastSquaresCalibrator(PRICER).fit(CLEAN)
    with pytest.warns(CalibrationWarning):
        jacobian = jacobian_sensitivity(calibrator, X, method=method)
    assert np.isnan(jacobian[1]).all()
    expected = jacobian_sensitivity(calibrator, CLEAN, method=method)
    assert_allclose(jacobian[[0, 2]], expected, rtol=1e-6)
    assert_allclose(
        jacobian_sensitivity(calibrator, CLEAN[1:], method=method), expected[1:], rtol=1e-6
    )


@pytest.fixture(scope="module")
def learned():
    return make_surfaces("variance_gamma", GRID, 300, random_state=0)


NETWORKS = [
    MLPCalibrator(max_epochs=2, random_state=0),
    CNNCalibrator(surface_shape=GRID.shape, max_epochs=1, random_state=0),
    TransformerCalibrator(grid=GRID, max_epochs=1, random_state=0),
]


@pytest.mark.filterwarnings("ignore::levylearn.exceptions.ExtrapolationWarning")
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_networks_differentiate_themselves(network, learned):
    X, y = learned
    network.fit(X, y)
    some = X[:4].copy()
    some[0, 3] = np.nan
    jacobian = jacobian_sensitivity(network, some)
    differences = jacobian_sensitivity(network, some, method="differences", step=1e-6)
    assert np.isnan(jacobian[0, :, 3]).all()
    assert np.isnan(jacobian).sum() == 3
    assert off(jacobian, differences)[1:].max() < 2e-5
    # With missing quotes the inputs are solutions of a system: fewer digits.
    assert off(jacobian, differences)[0] < 1e-3


@pytest.mark.filterwarnings("ignore::levylearn.exceptions.ExtrapolationWarning")
def test_a_network_alone_in_its_batch(learned):
    X, y = learned
    network = MLPCalibrator(max_epochs=1, random_state=0).fit(X, y[:, 0])
    some = np.insert(X[:3], 1, np.nan, axis=0)
    with pytest.warns(CalibrationWarning):
        jacobian = network.jacobian(some)
    assert jacobian.shape == (4, 1, 10)
    assert np.isnan(jacobian[1]).all()
    assert_allclose(network.jacobian(X[2:3]), jacobian[3:], rtol=1e-6)


def test_any_regressor_is_differenced(learned):
    X, y = learned
    line = LinearRegression().fit(X, y)
    jacobian = jacobian_sensitivity(line, X[:2])
    assert_allclose(jacobian, np.stack([line.coef_] * 2), rtol=1e-6, atol=1e-6)


def test_permutation_importance(learned):
    X, y = learned
    line = LinearRegression().fit(X[:200, :4], y[:200, 0])
    moving = LeastSquaresCalibrator(PRICER, n_candidates=16, n_starts=1).fit(CLEAN)
    found = permutation_importance(
        moving, X[200:212], y[200:212], scoring="neg_mean_absolute_error", n_repeats=1
    )
    assert found.importances_mean.shape == (10,)
    assert (found.importances_mean > 0).all()  # every quote is made use of
    assert permutation_importance(line, X[200:, :4], y[200:, 0]).importances_mean.max() > 0


# -- the worst errors ------------------------------------------------------------------


def test_no_errors_are_worse():
    calibrator = LeastSquaresCalibrator(PRICER).fit(CLEAN)
    size = 1e-4
    worst = worst_case_errors(calibrator, CLEAN, size)
    assert_allclose(np.sqrt(np.mean((worst.errors / CLEAN) ** 2, axis=1)), size)
    width = np.ptp([p.market_range for p in calibrator.pricer_.parameters_], axis=1)
    moved = (calibrator.predict(CLEAN + worst.errors) - PARAMS) / width
    assert_allclose(moved, worst.change, rtol=0.02, atol=2e-5)
    random = np.random.default_rng(0).normal(size=(200, 10))
    random *= size / np.sqrt(np.mean(random**2, axis=1, keepdims=True))
    change = (calibrator.predict(CLEAN[0] * (1 + random)) - PARAMS[0]) / width
    length = np.linalg.norm(change, axis=1)
    assert length.max() < np.linalg.norm(worst.change[0])
    assert_allclose(np.sqrt(np.mean(change**2, axis=0)), worst.usual[0], rtol=0.2)
    assert worst.gain[0] == pytest.approx(
        np.linalg.norm(worst.change[0]) / np.linalg.norm(worst.usual[0])
    )


def test_worst_errors_leave_missing_quotes_alone():
    X = CLEAN.copy()
    X[0, 2], X[1] = np.nan, np.nan
    calibrator = LeastSquaresCalibrator(PRICER).fit(CLEAN)
    with pytest.warns(CalibrationWarning):
        worst = worst_case_errors(calibrator, X)
    assert np.isnan(worst.errors[0]).tolist() == np.isnan(X[0]).tolist()
    assert np.isfinite(worst.change[0]).all()
    for name in ("errors", "change", "usual", "gain"):
        assert np.isnan(worst[name][1]).all()


def test_worst_errors_need_ranges(learned):
    X, y = learned
    line = LinearRegression().fit(X, y)
    with pytest.raises(ValueError, match="give a model, or ranges"):
        worst_case_errors(line, X[:1])
    by_model = worst_case_errors(line, X[:1], model="variance_gamma")
    ranges = [p.market_range for p in PRICER.parameters_]
    assert_allclose(by_model.change, worst_case_errors(line, X[:1], ranges=ranges).change)
