"""Several regressors as one calibrator."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from levylearn.calibration import EnsembleCalibrator
from levylearn.calibration._ensemble import _least_squares
from levylearn.datasets import make_surfaces
from levylearn.exceptions import ExtrapolationWarning
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise
from levylearn.testing import check_calibrator

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 0.5, 1.0])
LINES = [("small", Ridge(0.1)), ("large", Ridge(10.0)), ("huge", Ridge(1000.0))]


class Echo(RegressorMixin, BaseEstimator):
    """It has nothing to learn: its answer is a column of the surface."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return X[:, self.column]


ECHOES = [(f"echo{j}", Echo(j)) for j in range(3)]


def linear(n=200, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4))
    return X, X @ random.normal(size=(4, 2)) + 0.1 * random.normal(size=(n, 2))


def opinions(n=4000, sizes=(1.0, 2.0, 4.0), seed=0):
    """A parameter, and what three say of it with independent errors of known size."""
    random = np.random.default_rng(seed)
    y = random.normal(size=n)
    return y[:, None] + random.normal(size=(n, 3)) * sizes, y


def test_mean_of_lines_is_the_line_of_means():
    X, y = linear()
    ensemble = EnsembleCalibrator(LINES, random_state=0).fit(X, y)
    learned, _ = ensemble._divide(len(X), ensemble._draw_seed())
    lines = [Ridge(alpha).fit(X[learned], y[learned]) for alpha in (0.1, 10.0, 1000.0)]
    slope = np.mean([line.coef_ for line in lines], axis=0)
    intercept = np.mean([line.intercept_ for line in lines], axis=0)
    assert_allclose(ensemble.predict(X), X @ slope.T + intercept)
    answers = [line.predict(X) for line in lines]
    assert_allclose(ensemble.predict_std(X), np.std(answers, axis=0))
    assert_allclose(ensemble.weights_, np.full((3, 2), 1 / 3))


def test_weights_by_inverse_errors():
    """In closed form, and where errors are independent the optimum: one over the variances."""
    X, y = opinions(40000)
    ensemble = EnsembleCalibrator(ECHOES, "weighted", validation_fraction=0.5, random_state=0)
    ensemble.fit(X, y)
    _, held = ensemble._divide(len(X), ensemble._draw_seed())
    inverse = 1 / ((X[held] - y[held, None]) ** 2).mean(axis=0)
    assert_allclose(ensemble.weights_[:, 0], inverse / inverse.sum())
    assert_allclose(ensemble.weights_[:, 0], np.array([16, 4, 1]) / 21, rtol=0.05)


def test_stacking_of_two_in_closed_form():
    """Errors that go together: the weight is that of the minimum-variance portfolio."""
    random = np.random.default_rng(1)
    common, *own = random.normal(size=(3, 20000))
    errors = np.column_stack([common + 0.5 * own[0], 1.1 * common + own[1]])
    a, b = errors.T
    weight = ((b**2).mean() - (a * b).mean()) / ((a - b) ** 2).mean()
    expected = [1.0, 0.0] if weight > 1 else [weight, 1 - weight]
    weights = _least_squares(errors)
    assert_allclose(weights / weights.sum(), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_stacking_is_the_constrained_optimum(seed):
    """Against a general optimiser on the simplex."""
    random = np.random.default_rng(seed)
    errors = random.normal(size=(50, 4)) @ random.normal(size=(4, 4)) + random.normal(size=4)
    found = _least_squares(errors)
    found /= found.sum()
    best = minimize(
        lambda w: ((errors @ w) ** 2).mean(),
        np.full(4, 0.25),
        method="SLSQP",
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert_allclose(found, best.x, atol=1e-5)
    assert ((errors @ found) ** 2).mean() <= best.fun * (1 + 1e-9)


@pytest.mark.parametrize("method", ["weighted", "stacking"])
def test_useless_member_gets_no_weight(method):
    X, y = linear(400)
    members = [("line", Ridge(1e-3)), ("mean", DummyRegressor())]
    ensemble = EnsembleCalibrator(members, method, random_state=0).fit(X, y)
    assert (ensemble.weights_[1] < 0.02).all()
    assert_allclose(ensemble.weights_.sum(axis=0), 1)


@pytest.mark.parametrize("method", ["mean", "weighted", "stacking"])
def test_perfect_members(method):
    """Nothing to choose by, and no division by zero."""
    X, y = opinions(50, sizes=(0.0, 0.0, 1.0))
    ensemble = EnsembleCalibrator(ECHOES, method, random_state=0).fit(X, y)
    assert_allclose(ensemble.weights_.sum(axis=0), 1)
    if method != "mean":
        assert_allclose(ensemble.weights_[2], 0, atol=1e-12)


def test_copies_differ_by_their_seeds():
    X, y = linear()
    member = make_pipeline(StandardScaler(), ExtraTreesRegressor(3, random_state=0))
    ensemble = EnsembleCalibrator([("trees", member)], n_copies=3, random_state=0).fit(X, y)
    assert list(ensemble.named_estimators_) == ["trees_0", "trees_1", "trees_2"]
    seeds = {copy[-1].random_state for copy in ensemble.estimators_}
    assert len(seeds) == 3
    assert (ensemble.predict_std(X) > 0).any()
    assert member[-1].random_state == 0
    again = EnsembleCalibrator([("trees", member)], n_copies=3, random_state=0, n_jobs=2)
    with parallel_config("threading"):
        again.fit(X, y)
    assert_allclose(again.predict(X), ensemble.predict(X), rtol=1e-12)


@pytest.mark.filterwarnings("ignore::levylearn.exceptions.ExtrapolationWarning")
def test_members_are_set_and_dropped_by_name():
    X, y = linear()
    ensemble = EnsembleCalibrator(LINES, random_state=0)
    assert ensemble.set_params(large__alpha=7.0).get_params()["large__alpha"] == 7.0
    ensemble.set_params(huge="drop").fit(X, y)
    assert list(ensemble.named_estimators_) == ["small", "large"]
    search = GridSearchCV(EnsembleCalibrator(LINES[:2]), {"small__alpha": [0.1, 1e5]}, cv=3)
    assert search.fit(X, y).best_params_ == {"small__alpha": 0.1}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "non-empty list"),
        ([("a", "drop")], "All estimators are dropped"),
        ([("a", Ridge()), ("a", Ridge())], "not unique"),
        ([("method", Ridge())], "conflict"),
        ([("a", StandardScaler())], "should be a regressor"),
    ],
)
def test_members_are_checked(members, message):
    with pytest.raises(ValueError, match=message):
        EnsembleCalibrator(members).fit(*linear())


def test_missing_quotes_only_if_all_members_allow_them():
    trees, neighbours = ("trees", ExtraTreesRegressor(5)), ("near", KNeighborsRegressor())
    X, y = linear()
    X[0, 0] = np.nan
    ensemble = EnsembleCalibrator([trees], random_state=0).fit(X, y)
    assert np.isfinite(ensemble.predict(X)).all()
    with pytest.raises(ValueError, match="NaN"):
        EnsembleCalibrator([trees, neighbours]).fit(X, y)


def test_names_reach_the_members():
    X, y = linear()
    frame = pd.DataFrame(X, columns=list("abcd"))
    ensemble = EnsembleCalibrator(LINES, random_state=0).fit(frame, y)
    for member in ensemble.estimators_:
        assert list(member.feature_names_in_) == list("abcd")
    ensemble.predict(frame)  # a member that missed the names would warn


def test_far_surfaces_are_told_once():
    inner = EnsembleCalibrator([("trees", ExtraTreesRegressor(5))])
    X, y = linear()
    ensemble = EnsembleCalibrator([("one", inner), ("other", inner)], random_state=0).fit(X, y)
    with pytest.warns(ExtrapolationWarning, match="1 of 2 surfaces are far") as caught:
        ensemble.predict([X[0], X[1] + 100])
    assert len(caught) == 1


@pytest.mark.parametrize("noise", [None, GaussianNoise(0.05)], ids=["clean", "noisy"])
@pytest.mark.filterwarnings("ignore::levylearn.exceptions.ExtrapolationWarning")
def test_variance_gamma(noise):
    """Stacked, members are no worse than the best of them, and intervals cover."""
    X, y = make_surfaces(
        "variance_gamma", GRID, 8000, noise=noise, sampling="random", random_state=0
    )
    polynomial = make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(1e-2))
    members = [("polynomial", polynomial), ("trees", ExtraTreesRegressor(10, min_samples_leaf=3))]
    ensemble = EnsembleCalibrator(members, "stacking", validation_fraction=0.3, random_state=0)
    ensemble.fit(X[:5000], y[:5000])
    test, truth = X[5000:], y[5000:]

    def error(model):
        return ((model.predict(test) - truth) ** 2).mean(axis=0)

    best = np.min([error(member) for member in ensemble.estimators_], axis=0)
    assert (error(ensemble) < 1.02 * best).all()
    intervals = ensemble.predict_interval(test)
    inside = (intervals[..., 0] <= truth) & (truth <= intervals[..., 1])
    assert (np.abs(inside.mean(axis=0) - 0.95) < 0.02).all()


def test_spread_has_the_shape_of_predictions():
    X, y = linear()
    ensemble = EnsembleCalibrator(LINES, random_state=0)
    assert ensemble.fit(X, y).predict_std(X[:5]).shape == (5, 2)
    assert ensemble.fit(X, y[:, 0]).predict_std(X[:5]).shape == (5,)
    assert_array_equal(ensemble.predict(X[:5]).shape, (5,))


def test_keeps_the_contract():
    X, y = linear(40)
    check_calibrator(EnsembleCalibrator(LINES[:2], "weighted", random_state=0), X, y, tolerance=1.0)
