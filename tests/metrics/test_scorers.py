"""Scores by name, in cross-validation and searches."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate

import levylearn.metrics
from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import make_surface_series, make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.metrics import (
    arbitrage_violations,
    get_calibration_scorer,
    implied_vol_rmse,
    interval_coverage,
    interval_score,
    interval_width,
    parameter_mae,
    parameter_r2,
    parameter_rmse,
    repricing_implied_vol_rmse,
    repricing_mape,
    repricing_rmse,
)
from levylearn.metrics._scorers import OF_INTERVALS, SCORES
from levylearn.model_selection import RegimeSplit, WalkForwardSplit
from levylearn.pricing import ContourPricer

GRID = OptionGrid([90, 95, 100, 105, 110], [0.25, 0.5, 1.0])
PRICER = ContourPricer("variance_gamma", GRID)
DATA = make_surface_series("variance_gamma", GRID, 150, random_state=0)
FOLDS = KFold(3)


class Rough(RegressorMixin, BaseEstimator):
    """Least squares in a line, with intervals of a constant width; inside the domain."""

    def fit(self, X, y):
        self.ridge_ = Ridge(1e-3).fit(X, y)
        return self

    def predict(self, X):
        return np.clip(self.ridge_.predict(X), [0.05, 0.01, -0.5], [1.0, 1.0, 0.5])

    def predict_interval(self, X, coverage=0.95):
        reach = np.array([0.05, 0.1, 0.1]) * coverage
        return np.stack([self.predict(X) - reach, self.predict(X) + reach], axis=2)


ROUGH = Rough().fit(DATA.X[::2], DATA.y[::2])
FOUND = ROUGH.predict(DATA.X)
METRICS = {
    "parameter_r2": parameter_r2(DATA.y, FOUND),
    "neg_parameter_mae": -parameter_mae(DATA.y, FOUND, model="variance_gamma"),
    "neg_parameter_rmse": -parameter_rmse(DATA.y, FOUND, model="variance_gamma"),
    "neg_arbitrage_violations": -arbitrage_violations(DATA.y, FOUND, pricer=PRICER),
    "neg_failure_rate": 0.0,
    **{
        f"neg_repricing_{name}{suffix}": -metric(DATA.y, FOUND, pricer=PRICER, quantile=quantile)
        for name, metric in {
            "rmse": repricing_rmse,
            "mape": repricing_mape,
            "implied_vol_rmse": repricing_implied_vol_rmse,
        }.items()
        for suffix, quantile in {"": None, "_median": 0.5, "_p95": 0.95}.items()
    },
}
ENDS = ROUGH.predict_interval(DATA.X, 0.8)
ON_INTERVALS = {
    "interval_coverage": interval_coverage(DATA.y, ENDS),
    "neg_interval_width": -interval_width(DATA.y, ENDS, model="variance_gamma"),
    "neg_interval_score": -interval_score(DATA.y, ENDS, coverage=0.8, model="variance_gamma"),
}


@pytest.mark.parametrize("name", {**METRICS, **ON_INTERVALS})
def test_scores_are_the_metrics(name):
    scorer = get_calibration_scorer(name, pricer=PRICER, coverage=0.8)
    assert scorer(ROUGH, DATA.X, DATA.y) == pytest.approx({**METRICS, **ON_INTERVALS}[name])


def test_every_score_is_tested():
    assert set(SCORES) == {*METRICS, *ON_INTERVALS, "neg_calibration_time"}


def test_all_at_once():
    scores = get_calibration_scorer(pricer=PRICER)(ROUGH, DATA.X, DATA.y)
    assert set(scores) == set(SCORES) - set(OF_INTERVALS)
    assert -1 < scores.pop("neg_calibration_time") < 0
    assert scores == pytest.approx(METRICS)


def test_what_there_is_without_a_pricer():
    names = get_calibration_scorer().scores
    assert set(names) == {"parameter_r2", "neg_failure_rate", "neg_calibration_time"}
    names = get_calibration_scorer(model="variance_gamma").scores
    assert set(names) >= {"neg_parameter_mae", "neg_parameter_rmse"}
    assert not any("repricing" in name for name in names)


def test_predicts_once():
    class Counted(Rough):
        n_calls = 0

        def predict(self, X):
            type(self).n_calls += 1
            return super().predict(X)

    estimator = Counted().fit(DATA.X, DATA.y)
    get_calibration_scorer(pricer=PRICER)(estimator, DATA.X, DATA.y)
    assert Counted.n_calls == 1


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        (parameter_r2, {}),
        (parameter_mae, {"model": "variance_gamma"}),
        (parameter_rmse, {"model": "variance_gamma"}),
        (repricing_rmse, {"pricer": PRICER, "quantile": 0.5}),
        (repricing_mape, {"pricer": PRICER}),
        (repricing_implied_vol_rmse, {"pricer": PRICER}),
        (arbitrage_violations, {"pricer": PRICER}),
        (levylearn.metrics.failure_rate, {"pricer": PRICER}),
    ],
)
def test_metrics_in_make_scorer(metric, options):
    better = metric is parameter_r2
    scorer = make_scorer(metric, greater_is_better=better, **options)
    expected = metric(DATA.y, FOUND, **options)
    assert scorer(ROUGH, DATA.X, DATA.y) == pytest.approx(expected if better else -expected)


def test_cross_validate_with_several():
    scorer = get_calibration_scorer(["parameter_r2", "neg_repricing_rmse"], pricer=PRICER)
    scores = cross_validate(Rough(), DATA.X, DATA.y, scoring=scorer, cv=FOLDS)
    train, test = next(FOLDS.split(DATA.X))
    first = Rough().fit(DATA.X[train], DATA.y[train]).predict(DATA.X[test])
    assert scores["test_parameter_r2"][0] == parameter_r2(DATA.y[test], first)
    assert scores["test_neg_repricing_rmse"][0] == pytest.approx(
        -repricing_rmse(DATA.y[test], first, pricer=PRICER)
    )


def test_cross_validate_with_a_dictionary():
    """By itself, a scorer is as any other of scikit-learn's."""
    scoring = {
        "r2": "r2",
        "vol": get_calibration_scorer("neg_repricing_implied_vol_rmse", pricer=PRICER),
    }
    scores = cross_validate(Rough(), DATA.X, DATA.y, scoring=scoring, cv=FOLDS)
    alone = cross_val_score(Rough(), DATA.X, DATA.y, scoring=scoring["vol"], cv=FOLDS)
    assert_allclose(scores["test_vol"], alone, rtol=1e-12)


def test_grid_search():
    scorer = get_calibration_scorer(
        ["neg_parameter_mae", "neg_failure_rate"], model="variance_gamma"
    )
    search = GridSearchCV(
        Ridge(),
        {"alpha": [1e-3, 1e4]},
        scoring=scorer,
        refit="neg_parameter_mae",
        cv=WalkForwardSplit(60, 30),
    )
    search.fit(DATA.X, DATA.y)
    assert search.best_params_ == {"alpha": 1e-3}
    assert search.n_splits_ == 3
    assert (search.cv_results_["mean_test_neg_failure_rate"] == 0).all()
    mae = parameter_mae(DATA.y, search.predict(DATA.X), model="variance_gamma")
    assert search.score(DATA.X, DATA.y) == pytest.approx(-mae)


def test_calibrator_over_regimes():
    """Least squares finds parameters of surfaces without noise, in any regime."""
    scorer = get_calibration_scorer(pricer=PRICER)
    calibrator = LeastSquaresCalibrator(PRICER)
    scores = cross_validate(
        calibrator, DATA.X, DATA.y, scoring=scorer, cv=RegimeSplit(), groups=DATA.regime
    )
    assert (scores["test_parameter_r2"] > 1 - 1e-9).all()
    assert (scores["test_neg_repricing_implied_vol_rmse"] > -1e-8).all()
    assert (scores["test_neg_failure_rate"] == 0).all()


def test_against_quotes_without_parameters():
    """Quotes of a market have no true parameters; some are missing."""
    noisy = DATA.X[:40] * (1 + 0.01 * np.random.default_rng(0).normal(size=DATA.X[:40].shape))
    noisy[::3, 4] = np.nan
    scorer = get_calibration_scorer(pricer=PRICER, against="quotes")
    calibrator = LeastSquaresCalibrator(PRICER).fit(noisy)
    scores = scorer(calibrator, noisy)
    result = calibrator.calibrate(noisy)
    assert scores["neg_repricing_rmse"] == pytest.approx(-result.rmse.mean(), rel=1e-9)
    vols = implied_vol_rmse(noisy, result.surfaces, grid=GRID)
    assert scores["neg_repricing_implied_vol_rmse"] == pytest.approx(-np.mean(vols), rel=1e-9)
    assert not any("parameter" in name for name in scores)
    found = cross_validate(
        LeastSquaresCalibrator(PRICER), noisy, scoring=scorer, cv=WalkForwardSplit(10, 15)
    )
    assert len(found["test_neg_repricing_rmse"]) == 2


def test_a_surface_that_cannot_be_calibrated_is_told():
    X = DATA.X[:20].copy()
    X[3] = np.nan
    calibrator = LeastSquaresCalibrator(PRICER).fit(X)
    whole = get_calibration_scorer(pricer=PRICER)
    rest = get_calibration_scorer(pricer=PRICER, nan_policy="omit")
    with pytest.warns(CalibrationWarning):
        scores = whole(calibrator, X, DATA.y[:20])
    with pytest.warns(CalibrationWarning):
        others = rest(calibrator, X, DATA.y[:20])
    assert scores["neg_failure_rate"] == others["neg_failure_rate"] == -0.05
    told = {name for name, score in scores.items() if np.isnan(score)}
    assert told == set(SCORES) - set(OF_INTERVALS) - {"neg_failure_rate", "neg_calibration_time"}
    assert not any(np.isnan(score) for score in others.values())
    # A search says so, and ranks it last.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        search = GridSearchCV(
            LeastSquaresCalibrator(PRICER), {"n_starts": [1]}, scoring=whole, cv=2, refit=False
        )
        with pytest.warns(UserWarning, match="test scores are non-finite"):
            search.fit(X, DATA.y[:20])


def test_factors_of_double_heston():
    grid = OptionGrid([90, 100, 110], [0.5])
    X, y = make_surfaces("double_heston", grid, 20, random_state=0)

    class Exchanged(BaseEstimator):
        def predict(self, X):
            return y[:, [*range(5, 10), *range(5)]]

    options = {"model": "double_heston", "scores": "neg_parameter_mae"}
    assert get_calibration_scorer(**options)(Exchanged(), X, y) < -0.1
    assert get_calibration_scorer(**options, order_by="kappa")(Exchanged(), X, y) == 0


def test_pickles_and_says_what_it_is():
    scorer = get_calibration_scorer("neg_repricing_rmse", pricer=PRICER)
    twin = pickle.loads(pickle.dumps(scorer))
    assert twin(ROUGH, DATA.X, DATA.y) == scorer(ROUGH, DATA.X, DATA.y)
    assert repr(twin) == repr(scorer)
    assert repr(scorer).startswith("get_calibration_scorer('neg_repricing_rmse', pricer=Contour")


def test_r2_of_one_surface_is_undefined():
    with pytest.warns(UndefinedMetricWarning):
        get_calibration_scorer("parameter_r2")(ROUGH, DATA.X[:1], DATA.y[:1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": "rmse"}, "there is no 'rmse'; there are parameter_r2, neg_"),
        ({"scores": ["parameter_r2", "repricing_rmse"]}, "there is no 'repricing_rmse'"),
        ({"scores": "neg_repricing_rmse"}, "neg_repricing_rmse needs a pricer"),
        ({"scores": ["neg_parameter_mae"]}, "neg_parameter_mae needs a model"),
        ({"against": "prices"}, "against"),
        ({"coverage": 95}, "coverage"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        get_calibration_scorer(**arguments)


def test_refuses_to_do_without_parameters():
    with pytest.raises(ValueError, match=r"Without true parameters \(y\)"):
        get_calibration_scorer("parameter_r2")(ROUGH, DATA.X)


def test_pricer_that_learns_must_be_fitted():
    class Surrogate(BaseEstimator):
        parameters_ = ()

        def fit(self, params, surfaces): ...
        def evaluate(self, params): ...
        def admissible(self, params): ...

    with pytest.raises(ValueError, match="Surrogate learns from examples: it must be fitted"):
        repricing_rmse(DATA.y, FOUND, pricer=Surrogate())
