"""Gradient-boosted trees."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from levylearn.calibration import GradientBoostingCalibrator
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise
from levylearn.testing import check_calibrator

xgboost = pytest.importorskip("xgboost")

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 0.5, 1.0])
ignoring_extrapolation = pytest.mark.filterwarnings(
    "ignore::levylearn.exceptions.ExtrapolationWarning"
)
FAST = {"n_estimators": 150, "learning_rate": 0.2, "max_depth": 4, "random_state": 0}


@pytest.fixture(scope="module")
def surfaces():
    return make_surfaces("variance_gamma", GRID, 7000, random_state=0)


@pytest.fixture(scope="module")
def fitted(surfaces):
    X, y = surfaces
    return GradientBoostingCalibrator(**FAST, validation_fraction=0.25).fit(X[:4000], y[:4000])


def test_agrees_with_xgboost_itself(surfaces):
    """The same settings, examples and scale, each parameter by scikit-learn's interface."""
    X, y = (part[:1000] for part in surfaces)
    ours = GradientBoostingCalibrator(**FAST, subsample=0.7, n_iter_no_change=5).fit(X, y)
    seed = ours._draw_seed()
    learned, held = ours._divide(len(X), seed)
    for j, found in enumerate(ours.predict(X[:200]).T):
        centre, unit = y[learned, j].mean(), y[learned, j].std()
        target = (y[:, j] - centre) / unit
        bare = xgboost.XGBRegressor(
            tree_method="hist",
            n_estimators=150,
            learning_rate=0.2,
            max_depth=4,
            subsample=0.7,
            min_child_weight=1.0,
            reg_lambda=1.0,
            early_stopping_rounds=5,
            random_state=seed,
            n_jobs=1,
        )
        bare.fit(X[learned], target[learned], eval_set=[(X[held], target[held])], verbose=False)
        assert ours.n_trees_[j] == bare.best_iteration + 1
        assert_allclose(found, centre + unit * bare.predict(X[:200]), rtol=1e-6, atol=1e-7)


def test_series_end_where_the_held_out_examples_say(surfaces):
    X, y = (part[:500] for part in surfaces)
    noise = np.random.default_rng(0).normal(size=500)
    calibrator = GradientBoostingCalibrator(**FAST).fit(X, np.column_stack([y[:, 0], noise]))
    assert calibrator.n_trees_[0] > 10 * calibrator.n_trees_[1]


def test_learns_variance_gamma(fitted, surfaces):
    X, y = (part[4000:] for part in surfaces)
    error = fitted.predict(X) - y
    assert (1 - (error**2).mean(axis=0) / y.var(axis=0) > 0.97).all()
    # What the held-out examples told is what others show.
    told = fitted.appraisal_["root_mean_squared_error"]
    assert_allclose(np.sqrt((error**2).mean(axis=0)), told, rtol=0.2)


def test_scale_of_parameters_does_not_matter(surfaces):
    """Ten digits in front of what varies: single precision would see nothing of it."""
    X, y = (part[:600] for part in surfaces)
    expected = GradientBoostingCalibrator(**FAST).fit(X, y).predict(X)
    moved = GradientBoostingCalibrator(**FAST).fit(X, 1e6 + 1e-3 * y).predict(X)
    assert_allclose((moved - 1e6) / 1e-3, expected, atol=1e-4)


@ignoring_extrapolation
@pytest.mark.parametrize("noise", [None, GaussianNoise(0.05)], ids=["clean", "noisy"])
def test_intervals_cover(noise, fitted, surfaces):
    X, y = surfaces
    if noise is None:
        calibrator = fitted
    else:
        X = noise.set_params(random_state=0).fit_transform(X)
        calibrator = GradientBoostingCalibrator(**FAST, validation_fraction=0.25)
        calibrator.fit(X[:4000], y[:4000])
    intervals = calibrator.predict_interval(X[4000:])
    inside = (intervals[..., 0] <= y[4000:]) & (y[4000:] <= intervals[..., 1])
    assert (np.abs(inside.mean(axis=0) - 0.95) < 0.02).all()


@ignoring_extrapolation
def test_missing_quotes(surfaces):
    """Trees make more of holes than of mean values in their place."""
    X, y = (part.copy() for part in surfaces)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.2] = np.nan
    X[7] = np.nan
    calibrator = GradientBoostingCalibrator(**FAST).fit(X[:3000], y[:3000])
    filled = make_pipeline(SimpleImputer(), GradientBoostingCalibrator(**FAST))
    filled.fit(X[:3000], y[:3000])
    error, filled_error = (
        ((model.predict(X[4000:]) - y[4000:]) ** 2).mean(axis=0) for model in (calibrator, filled)
    )
    assert (error < filled_error).all()
    assert (1 - error / y.var(axis=0) > 0.8).all()
    assert calibrator.appraisal_["n_learned"] + calibrator.appraisal_["n_held_out"] == 2999
    with pytest.warns(CalibrationWarning, match="1 of 3 surfaces could not be calibrated"):
        params = calibrator.predict(X[6:9])
    assert_array_equal(np.isnan(params).any(axis=1), [False, True, False])


def test_too_few_surfaces_with_quotes():
    X = np.full((5, 3), np.nan)
    X[2] = 1.0
    with pytest.raises(ValueError, match="1 of 5 surfaces in X have quotes; at least 2"):
        GradientBoostingCalibrator(**FAST).fit(X, np.arange(5.0))


def test_threads_do_not_matter(surfaces):
    X, y = (part[:600] for part in surfaces)
    one = GradientBoostingCalibrator(**FAST).fit(X, y)
    two = GradientBoostingCalibrator(**FAST, n_jobs=2).fit(X, y)
    assert_allclose(one.predict(X), two.predict(X), rtol=1e-5, atol=1e-5)


def test_progress_is_printed_if_wanted(surfaces, capsys):
    X, y = (part[:100] for part in surfaces)
    GradientBoostingCalibrator(n_estimators=4, verbose=2).fit(X, y[:, 0])
    assert capsys.readouterr().out.count("held_out-rmse") == 3  # the first, third and last
    GradientBoostingCalibrator(n_estimators=4).fit(X, y[:, 0])
    assert capsys.readouterr().out == ""


def test_keeps_the_contract(surfaces):
    """Four surfaces learned by heart, one of them held out: what it says of errors is nothing."""
    X, y = (part[:40] for part in surfaces)
    check_calibrator(GradientBoostingCalibrator(**FAST), X, y, tolerance=4.0)


def test_skops_round_trip(fitted, surfaces):
    """What is written needs no trust but in scikit-learn's neighbours and our own classes."""
    io = pytest.importorskip("skops.io")
    data = io.dumps(fitted)
    types = io.get_untrusted_types(data=data)
    assert all(name.startswith(("levylearn.", "sklearn.")) for name in types)
    X = surfaces[0][:20]
    assert_array_equal(io.loads(data, trusted=types).predict(X), fitted.predict(X))


def test_without_xgboost(fitted):
    """The error says what to install, also when a pickle is read."""
    code = """if True:
        import pickle, sys
        sys.modules["xgboost"] = None
        from levylearn.calibration import GradientBoostingCalibrator
        for job in (lambda: GradientBoostingCalibrator().fit([[1.0], [2.0]], [1.0, 2.0]),
                    lambda: pickle.load(sys.stdin.buffer)):
            try:
                job()
            except ImportError as error:
                print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(fitted), capture_output=True, check=True
    )
    said = "GradientBoostingCalibrator requires xgboost: pip install 'levylearn[boosting]'."
    assert run.stdout.decode().splitlines() == [said, said]
