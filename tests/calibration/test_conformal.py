"""Intervals around any regressor."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from levylearn.calibration import ConformalCalibrator, LeastSquaresCalibrator
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning, ExtrapolationWarning
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise
from levylearn.pricing import ContourPricer
from levylearn.testing import check_calibrator

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 0.5, 1.0])


# Normal errors have no greatest one: some surface always leads beyond what was seen.
ignoring_extrapolation = pytest.mark.filterwarnings(
    "ignore::levylearn.exceptions.ExtrapolationWarning"
)


class Exact(RegressorMixin, BaseEstimator):
    """It has nothing to learn: the parameters are the first two quotes."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.asarray(X)[:, :2]


def examples(n, seed=0):
    """Parameters whose predictions by Exact are off by a standard normal error."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    return X, X[:, :2] + random.normal(size=(n, 2))


def covered(intervals, y):
    return (intervals[..., 0] <= y) & (y <= intervals[..., 1])


def test_few_examples_by_hand():
    """Ninety-nine held out: the reach is the 95th of the absolute errors in their order."""
    X, y = examples(99)
    calibrator = ConformalCalibrator(FrozenEstimator(Exact().fit(X, y))).fit(X, y)
    reach = np.sort(np.abs(y - X[:, :2]), axis=0)[94]
    expected = np.stack([X[:, :2] - reach, X[:, :2] + reach], axis=2)
    assert_allclose(calibrator.predict_interval(X, 0.95), expected)


@ignoring_extrapolation
@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_coverage_is_as_stated(coverage):
    X, y = examples(8000)
    calibrator = ConformalCalibrator(Exact(), validation_fraction=0.5, random_state=0).fit(X, y)
    test, truth = examples(20000, seed=1)
    inside = covered(calibrator.predict_interval(test, coverage), truth).mean(axis=0)
    # 2000 scores: the coverage that their quantile has is a beta variable.
    rank = int(np.ceil(2001 * coverage))
    deviation = np.hypot(stats.beta(rank, 2001 - rank).std(), 0.5 / np.sqrt(20000))
    assert (np.abs(inside - coverage) < 4 * deviation).all()


@ignoring_extrapolation
@pytest.mark.parametrize("noise", [None, GaussianNoise(0.05)], ids=["clean", "noisy"])
def test_variance_gamma(noise):
    X, y = make_surfaces(
        "variance_gamma", GRID, 12000, noise=noise, sampling="random", random_state=0
    )
    regressor = make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(1e-2))
    calibrator = ConformalCalibrator(regressor, random_state=0, validation_fraction=0.5)
    calibrator.fit(X[:8000], y[:8000])
    intervals = calibrator.predict_interval(X[8000:])
    joint = calibrator.predict_interval(X[8000:], joint=True)
    assert (np.abs(covered(intervals, y[8000:]).mean(axis=0) - 0.95) < 0.02).all()
    assert abs(covered(joint, y[8000:]).all(axis=1).mean() - 0.95) < 0.02


def test_regressor_learns_from_what_is_not_held_out():
    X, y = examples(100)
    calibrator = ConformalCalibrator(LinearRegression(), random_state=3).fit(X, y)
    learned, held = calibrator._divide(100, calibrator._draw_seed())
    assert (len(learned), len(held)) == (80, 20)
    expected = LinearRegression().fit(X[learned], y[learned])
    assert_allclose(calibrator.predict(X), expected.predict(X))
    assert_allclose(calibrator.estimator_.coef_, expected.coef_)
    error = expected.predict(X[held]) - y[held]
    assert_allclose(calibrator.appraisal_["mean_absolute_error"], np.abs(error).mean(axis=0))


def test_frozen_regressor_is_left_alone_and_all_examples_are_held_out():
    X, y = examples(50)
    trained = LinearRegression().fit(X[:25], y[:25])
    before = trained.coef_.copy()
    calibrator = ConformalCalibrator(FrozenEstimator(trained)).fit(X[25:], y[25:])
    assert calibrator.appraisal_["n_learned"] == 0
    assert calibrator.appraisal_["n_held_out"] == 25
    assert_array_equal(trained.coef_, before)
    assert_array_equal(calibrator.predict(X[25:]), trained.predict(X[25:]))
    with pytest.warns(ExtrapolationWarning):  # the range is that of the examples held out
        calibrator.predict(100 + X[:1])


def test_order_of_examples_for_a_frozen_regressor():
    """Points of a Sobol sequence alternate: halves of them must not be every other one."""
    n = 4000
    X = np.column_stack([np.tile([0.0, 1.0], n // 2), np.zeros(n)])
    y = X + np.random.default_rng(0).normal(size=(n, 2)) * (1 + 9 * X[:, :1])
    calibrator = ConformalCalibrator(FrozenEstimator(Exact().fit(X, y)), random_state=0).fit(X, y)
    easy, hard = np.diff(calibrator.predict_interval(X[:2]))
    assert (hard > 5 * easy).all()


def test_names_reach_the_regressor():
    """A pipeline that chooses columns by name, in a search over a grid."""
    X, y = examples(60)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    pipeline = make_pipeline(make_column_transformer(("passthrough", ["a", "b"])), Ridge())
    search = GridSearchCV(pipeline, {"ridge__alpha": [0.1, 1e6]}, cv=3)
    calibrator = ConformalCalibrator(search, random_state=0)
    calibrator.fit(frame, pd.DataFrame(y, columns=["sigma", "nu"]))
    assert calibrator.parameter_names_ == ("sigma", "nu")
    assert calibrator.estimator_.best_params_ == {"ridge__alpha": 0.1}
    assert_array_equal(calibrator.predict(frame), calibrator.estimator_.predict(frame))


@ignoring_extrapolation
def test_within_a_search():
    X, y = examples(60)
    grid = {"estimator__alpha": [0.1, 1e6]}
    search = GridSearchCV(ConformalCalibrator(Ridge(), random_state=0), grid, cv=3).fit(X, y)
    assert search.best_estimator_.estimator_.alpha == 0.1
    assert search.best_estimator_.predict_interval(X).shape == (60, 2, 2)


def test_vectors_stay_vectors():
    """For regressors that take nothing else."""
    X, y = examples(60)
    calibrator = ConformalCalibrator(BayesianRidge()).fit(X, y[:, 0])
    assert calibrator.predict(X).shape == (60,)
    assert calibrator.predict_interval(X).shape == (60, 1, 2)


def test_tags_are_those_of_the_regressor():
    trees, neighbours = (
        ConformalCalibrator(inner).__sklearn_tags__()
        for inner in (ExtraTreesRegressor(), KNeighborsRegressor())
    )
    assert trees.input_tags.allow_nan
    assert not neighbours.input_tags.allow_nan
    assert trees.target_tags.multi_output
    assert not ConformalCalibrator(BayesianRidge()).__sklearn_tags__().target_tags.multi_output
    with pytest.raises(ValueError, match="NaN"):
        ConformalCalibrator(KNeighborsRegressor()).fit([[np.nan], [1.0], [2.0]], [1.0, 2.0, 3.0])
    X, y = examples(20)
    X[3, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ConformalCalibrator(KNeighborsRegressor()).fit(X, y)


def test_holes_that_a_pipeline_takes():
    """Its tags do not tell."""
    X, y = examples(300)
    X[::7, 0] = np.nan
    piped = make_pipeline(FunctionTransformer(), ExtraTreesRegressor(20, random_state=0))
    calibrator = ConformalCalibrator(piped, random_state=0).fit(X, y)
    low, high = np.moveaxis(calibrator.predict_interval(X), 2, 0)
    assert (low < high).all()
    X[1] = np.nan
    with pytest.warns(CalibrationWarning, match="1 of 300 surfaces could not be calibrated"):
        assert_array_equal(np.flatnonzero(np.isnan(calibrator.predict(X)).any(axis=1)), [1])


def test_frozen_regressor_of_other_parameters():
    X, y = examples(20)
    frozen = FrozenEstimator(LinearRegression().fit(X, y))
    with pytest.raises(ValueError, match="y has 1 parameters, but FrozenEstimator predicts 2"):
        ConformalCalibrator(frozen).fit(X, y[:, 0])


def test_around_least_squares():
    """A surface that it cannot calibrate has no interval, and spoils none."""
    X, y = make_surfaces("black_scholes", GRID, 300, noise=GaussianNoise(0.02), random_state=0)
    inner = LeastSquaresCalibrator(ContourPricer("black_scholes", GRID), n_candidates=4)
    calibrator = ConformalCalibrator(inner, random_state=0).fit(X, y)
    X[1] = np.nan
    with pytest.warns(CalibrationWarning, match="could not be calibrated"):
        intervals = calibrator.predict_interval(X[:3])
    assert_array_equal(np.isnan(intervals).any(axis=(1, 2)), [False, True, False])


def test_no_surface_can_be_calibrated():
    class Hopeless(Exact):
        def predict(self, X):
            return np.full((len(X), 2), np.nan)

    X, y = examples(20)
    with pytest.raises(ValueError, match="None of the 4 surfaces held out could be calibrated"):
        ConformalCalibrator(Hopeless()).fit(X, y)


def test_keeps_the_contract():
    X, _ = examples(30)
    check_calibrator(
        ConformalCalibrator(Ridge(), random_state=0), X, X @ [[1.0], [2], [3]], tolerance=0.2
    )
    assert clone(ConformalCalibrator(Ridge(2.0))).estimator.alpha == 2.0
