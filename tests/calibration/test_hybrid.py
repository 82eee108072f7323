"""HybridCalibrator: recovery, bad starts, noise, and what its parts allow."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import get_tags

from levylearn.calibration import HybridCalibrator, LBFGSCalibrator, LeastSquaresCalibrator
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import SmileFitDisplay
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer
from levylearn.testing import check_calibrator

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.03)
N_TEST = 20
# Merton's model, and a start from which the search ends in a valley of poor fits.
MERTON = np.array([[0.15, 0.5, -0.1, 0.15]])
TRAP = [0.07, 0.84, -0.25, 0.045]


def refiner_of(model, **options):
    return LeastSquaresCalibrator(ContourPricer(model, GRID), **{"n_candidates": 64} | options)


@pytest.fixture(scope="module")
def heston():
    return make_surfaces("heston", GRID, n_samples=320, random_state=0)


@pytest.fixture(scope="module")
def noisy(heston):
    return heston[0] * (1 + np.random.default_rng(0).normal(0, 0.002, heston[0].shape))


@pytest.fixture(scope="module")
def merton():
    return ContourPricer("merton", GRID).fit_transform(MERTON)


def fitted(initial, refiner, X, y):
    return HybridCalibrator(initial, refiner).fit(X[:-N_TEST], y[:-N_TEST])


class Erratic(RegressorMixin, BaseEstimator):
    """The mean of the parameters, or no number where the first quote is below a limit."""

    def __init__(self, limit):
        self.limit = limit

    def fit(self, X, y):
        self.mean_ = y.mean(axis=0)
        return self

    def predict(self, X):
        return np.where((X[:, 0] < self.limit)[:, None], np.nan, self.mean_)


# -- clean surfaces --------------------------------------------------------------


def test_recovers_clean_surfaces(heston):
    X, y = heston
    hybrid = fitted(KNeighborsRegressor(), refiner_of("heston"), X, y)
    result = hybrid.calibrate(X[-N_TEST:])
    assert_allclose(result.parameters, y[-N_TEST:], rtol=1e-4)
    assert_allclose(result.initial_parameters, hybrid.initial_.predict(X[-N_TEST:]), rtol=1e-7)
    assert not result.fallback.any()
    assert_array_equal(result.n_refinements, result.n_evaluations)
    assert_array_equal(hybrid.predict(X[-N_TEST:]), result.parameters)


def test_any_optimiser_refines(heston):
    X, y = heston
    refiner = LBFGSCalibrator(ContourPricer("heston", GRID), n_candidates=64, max_evaluations=1000)
    result = fitted(KNeighborsRegressor(), refiner, X, y).calibrate(X[-5:])
    assert_allclose(result.parameters, y[-5:], rtol=1e-3)


def test_start_at_the_optimum_is_the_end():
    X, y = make_surfaces("variance_gamma", GRID, n_samples=8, random_state=0)
    # Parameters that single precision holds.
    y = y.astype(np.float32).astype(np.float64)
    X = ContourPricer("variance_gamma", GRID).fit_transform(y)
    hybrid = HybridCalibrator(KNeighborsRegressor(1), refiner_of("variance_gamma")).fit(X, y)
    result = hybrid.calibrate(X)
    assert_allclose(result.parameters, y, rtol=1e-14)
    assert_array_equal(result.n_refinements, 1)
    assert_array_equal(result.n_evaluations, 1)


@pytest.mark.slow
def test_double_heston_with_jumps_to_a_thousandth_of_a_per_cent():
    """15 quotes for 13 parameters: the benchmark of the literature on L-BFGS and networks."""
    ranges = {
        "v10": (0.025, 0.08),
        "kappa1": (1.5, 4.5),
        "theta1": (0.025, 0.065),
        "sigma1": (0.2, 0.5),
        "rho1": (-0.85, -0.4),
        "v20": (0.02, 0.07),
        "kappa2": (0.3, 1.2),
        "theta2": (0.025, 0.07),
        "sigma2": (0.1, 0.35),
        "rho2": (-0.7, -0.2),
        "lam": (0.05, 0.25),
        "muj": (-0.08, -0.01),
        "sigmaj": (0.03, 0.12),
    }
    model = "double_heston_jump"
    grid = OptionGrid([90, 95, 100, 105, 110], [0.25, 0.5, 1.0], rate=0.03)
    X, y = make_surfaces(model, grid, n_samples=5000, ranges=ranges, random_state=0)
    net = MLPRegressor(
        hidden_layer_sizes=(64, 64), max_iter=50, tol=0, n_iter_no_change=50, random_state=0
    )
    initial = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), PCA(whiten=True), net), transformer=StandardScaler()
    )
    refiner = LeastSquaresCalibrator(ContourPricer(model, grid), "relative_price", bounds=ranges)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        hybrid = fitted(initial, refiner, X, y)
    mape = 100 * np.abs(hybrid.calibrate(X[-N_TEST:]).surfaces / X[-N_TEST:] - 1).mean(axis=1)
    assert mape.mean() <= 1e-3
    assert mape.max() <= 0.05


# -- bad starts ------------------------------------------------------------------


def test_falls_back_from_the_wrong_valley(merton):
    initial = DummyRegressor(strategy="constant", constant=TRAP)
    trusting = HybridCalibrator(initial, refiner_of("merton", n_starts=1)).fit(merton, MERTON)
    trapped = trusting.calibrate(merton)
    assert trapped.converged.all()
    assert trapped.rmse > 0.01
    assert not trapped.fallback.any()
    hybrid = HybridCalibrator(initial, refiner_of("merton")).fit(merton, MERTON)
    result = hybrid.calibrate(merton)
    assert_allclose(result.parameters, MERTON, rtol=1e-5)
    assert result.fallback.all()
    assert 0 < result.n_refinements < result.n_evaluations
    assert_allclose(result.initial_parameters[0], TRAP, rtol=1e-7)


def test_falls_back_from_the_wrong_valley_under_noise(merton):
    noise = np.random.default_rng(1).normal(0, 1e-3, (10, merton.shape[1]))
    X, y = merton + noise, np.repeat(MERTON, 10, axis=0)
    initial = DummyRegressor(strategy="constant", constant=TRAP)
    result = HybridCalibrator(initial, refiner_of("merton")).fit(X, y).calibrate(X)
    assert result.fallback.all()
    assert_allclose(result.loss, refiner_of("merton").fit(X).calibrate(X).loss, rtol=1e-6)


def test_prediction_that_is_no_number_is_no_start(heston):
    X, y = heston
    limit = np.median(X[-N_TEST:, 0])
    hybrid = fitted(Erratic(limit), refiner_of("heston"), X, y)
    result = hybrid.calibrate(X[-N_TEST:])
    assert_array_equal(result.fallback, X[-N_TEST:, 0] < limit)
    assert (result.rmse < 1e-6).all()


@pytest.mark.parametrize("constant", [[-1.0, 0, 0, -7, 3], [1e300, 1e300, 1e300, 1e300, -1e300]])
def test_prediction_outside_of_the_domain_is_moved_into_the_box(heston, constant):
    X, y = heston
    initial = DummyRegressor(strategy="constant", constant=constant)
    result = fitted(initial, refiner_of("heston"), X, y).calibrate(X[-N_TEST:])
    assert (result.rmse < 1e-6).all()


# -- noise -----------------------------------------------------------------------


def test_noisy_surfaces_do_not_pay_for_a_race(heston, noisy):
    (_, y), X = heston, noisy[-N_TEST:]
    hybrid = fitted(KNeighborsRegressor(), refiner_of("heston"), noisy, y)
    found, expected = hybrid.calibrate(X), hybrid.refiner_.calibrate(X)
    # Costs that differ by less count as one valley.
    assert (found.loss < 1.001 * expected.loss).all()
    assert found.n_evaluations.sum() < 0.9 * expected.n_evaluations.sum()


def test_intervals_are_those_of_the_refiner():
    X, y = make_surfaces("variance_gamma", GRID, n_samples=220, random_state=0)
    X += np.random.default_rng(0).normal(0, 0.01, X.shape)
    hybrid = fitted(LinearRegression(), refiner_of("variance_gamma"), X, y)
    for coverage in (0.5, 0.95):
        found = hybrid.predict_interval(X[-N_TEST:], coverage)
        expected = hybrid.refiner_.predict_interval(X[-N_TEST:], coverage)
        assert_allclose(found, expected, rtol=1e-4)


def test_company_does_not_matter(heston, noisy, monkeypatch):
    """Not even to the last digits of a matrix product: the start has fewer."""
    (_, y), X = heston, noisy[-8:]
    net = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", max_iter=20, random_state=0)
    initial = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), net), transformer=StandardScaler()
    )
    with pytest.warns(UserWarning, match="lbfgs failed to converge"):
        hybrid = fitted(initial, refiner_of("heston"), noisy, y)
    together = hybrid.calibrate(X)
    alone = [hybrid.calibrate(row[None]) for row in X]
    for key, rtol in (("initial_parameters", 0.0), ("parameters", 1e-5)):
        assert_allclose(np.concatenate([one[key] for one in alone]), together[key], rtol=rtol)
        assert_allclose(hybrid.calibrate(X[::-1])[key][::-1], together[key], rtol=rtol)
    monkeypatch.setattr("levylearn.calibration._optimiser._ROWS_AT_ONCE", 3)
    assert_allclose(hybrid.predict(X), together.parameters, rtol=1e-5)


# -- what the parts allow ----------------------------------------------------------


@pytest.mark.parametrize("piped", [False, True])
def test_missing_quotes(heston, piped):
    X, y = heston
    some = X.copy()
    some[np.arange(len(X)), np.arange(len(X)) % X.shape[1]] = np.nan
    tree = DecisionTreeRegressor(random_state=0)
    # What a pipeline allows, its tags do not tell.
    initial = make_pipeline(FunctionTransformer(np.log), tree) if piped else tree
    hybrid = fitted(initial, refiner_of("heston"), some, y)
    assert piped or get_tags(hybrid).input_tags.allow_nan
    assert_allclose(hybrid.predict(some[-N_TEST:]), y[-N_TEST:], rtol=1e-3)
    some[-1] = np.nan
    with pytest.warns(CalibrationWarning, match=f"row {N_TEST - 1}"):
        result = hybrid.calibrate(some[-N_TEST:])
    assert np.isnan(result.parameters[-1]).all()
    assert not result.converged[-1]


def test_missing_quotes_are_refused_where_the_regressor_refuses_them(heston):
    X, y = heston
    hybrid = HybridCalibrator(LinearRegression(), refiner_of("heston"))
    assert not get_tags(hybrid).input_tags.allow_nan
    with pytest.raises(ValueError, match="NaN"):
        hybrid.fit(np.where(np.arange(X.shape[1]) == 0, np.nan, X), y)


def test_keeps_the_contract(heston):
    X, y = heston
    knows = FrozenEstimator(LinearRegression().fit(X, y))
    for initial in (knows, DecisionTreeRegressor(random_state=0)):
        check_calibrator(HybridCalibrator(initial, refiner_of("heston")), X[:4], y[:4])


def test_parts_are_cloned(heston):
    X, y = heston
    hybrid = fitted(KNeighborsRegressor(), refiner_of("heston"), X, y)
    for part in (hybrid.initial, hybrid.refiner):
        assert not [name for name in vars(part) if name.endswith("_")]
    assert hybrid.parameter_names_ == ("v0", "kappa", "theta", "sigma", "rho")
    copy = clone(hybrid).set_params(initial__n_neighbors=1, refiner__pricer__n_jobs=2)
    assert (copy.initial.n_neighbors, hybrid.initial.n_neighbors) == (1, 5)


def test_frames_go_through(heston):
    X = pd.DataFrame(heston[0], columns=GRID.get_feature_names_out())
    columns = make_column_transformer((StandardScaler(), list(X.columns[::2])))
    hybrid = fitted(make_pipeline(columns, LinearRegression()), refiner_of("heston"), X, heston[1])
    assert_array_equal(hybrid.feature_names_in_, X.columns)
    assert_allclose(hybrid.predict(X[-N_TEST:]), heston[1][-N_TEST:], rtol=1e-3)


def test_parameters_of_one_column_come_back_as_they_went_in():
    X, y = make_surfaces("black_scholes", GRID, n_samples=64, random_state=0)
    for target in (y, y[:, 0]):
        hybrid = fitted(LinearRegression(), refiner_of("black_scholes"), X, target)
        assert_allclose(hybrid.predict(X[-N_TEST:]), target[-N_TEST:], rtol=1e-8)
        assert hybrid.calibrate(X[-N_TEST:]).initial_parameters.shape == (N_TEST, 1)


def test_can_be_drawn(heston):
    X, y = heston
    hybrid = fitted(KNeighborsRegressor(), refiner_of("heston"), X, y)
    assert isinstance(SmileFitDisplay.from_estimator(hybrid, X[-1]), SmileFitDisplay)


def test_refiner_must_be_an_optimiser(heston):
    with pytest.raises(ValueError, match=r"'refiner' parameter .* must be an instance of"):
        HybridCalibrator(LinearRegression(), LinearRegression()).fit(*heston)


def test_parameters_of_another_model_are_refused(heston):
    X, y = heston
    with pytest.raises(ValueError, match="5"):
        HybridCalibrator(LinearRegression(), refiner_of("heston")).fit(X, y[:, :3])
