"""Calibrators and models side by side, and calibrators under disturbance."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LinearRegression

from levylearn.calibration import LeastSquaresCalibrator, SurfaceRegressor
from levylearn.datasets import load_sp500_2002, make_surfaces
from levylearn.inspection import compare_calibrators, compare_models, robustness_curve
from levylearn.market import OptionGrid, black_price
from levylearn.metrics import parameter_mae, repricing_rmse
from levylearn.preprocessing import GaussianNoise, MissingQuotes
from levylearn.pricing import ContourPricer

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.02)
PRICER = ContourPricer("variance_gamma", GRID)
X, Y = make_surfaces("variance_gamma", GRID, 40, random_state=0)
LINE = LinearRegression().fit(X[:20], Y[:20])
SEARCH = LeastSquaresCalibrator(PRICER, n_candidates=32, n_starts=2).fit(X)
TEST, TRUTH = X[20:], Y[20:]


# -- robustness ------------------------------------------------------------------------


def test_noise():
    table = robustness_curve(SEARCH, TEST, TRUTH, levels=[0, 0.01], n_repeats=2, random_state=3)
    assert list(table["kind"].unique()) == ["noise"]
    assert table.level.tolist() == [0, 0, 0.01, 0.01]
    assert table.repeat.tolist() == [0, 1, 0, 1]
    assert (table.parameter_mae[:2] < 1e-5).all()
    assert table.repricing_rmse[2] != table.repricing_rmse[3]
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max, size=2)[0]
    noisy = GaussianNoise(0.01, random_state=int(seed)).fit_transform(TEST)
    error = parameter_mae(TRUTH, SEARCH.predict(noisy), model="variance_gamma")
    assert table.parameter_mae[2] == pytest.approx(error)


def test_missing_quotes():
    table = robustness_curve(SEARCH, TEST, TRUTH, "missing", [0.8], random_state=0)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=1)[0]
    some = MissingQuotes(0.8, random_state=int(seed)).fit_transform(TEST)
    lost = np.isfinite(some).sum(axis=1) < 3  # parameters
    assert table.failure_rate[0] == pytest.approx(lost.mean())
    assert lost.any()
    assert np.isfinite(table.repricing_rmse[0])  # of the others


def test_shifted_strikes():
    """Under Black and Scholes a call is worth as much on every strike, in its own volatility."""
    grid = OptionGrid([90, 100, 110], [0.5])
    pricer = ContourPricer("black_scholes", grid)
    truth = np.array([[0.2], [0.3]])
    calibrator = LeastSquaresCalibrator(pricer).fit(pricer.fit(truth).transform(truth))
    table = robustness_curve(
        calibrator,
        pricer.transform(truth),
        truth,
        "shift",
        [0.0, 0.05],
        scores=["neg_parameter_mae"],
        n_repeats=3,
    )
    assert table.repeat.tolist() == [0, 0]  # nothing is drawn
    found = []
    for sigma in truth[:, 0]:
        quotes = black_price(100, 1.05 * grid.strike, 0.5, sigma)

        def distance(volatility, quotes=quotes):
            return np.sum((black_price(100, grid.strike, 0.5, volatility) - quotes) ** 2)

        found.append(minimize_scalar(distance, bounds=(0.1, 0.4), options={"xatol": 1e-11}).x)
    width = np.ptp(calibrator.pricer_.parameters_[0].market_range)
    expected = np.abs(np.array(found) - truth[:, 0]).mean() / width
    assert_allclose(table.parameter_mae, [0, expected], atol=1e-7)


def test_robustness_refuses():
    with pytest.raises(ValueError, match="no pricer: give one"):
        robustness_curve(LINE, TEST, TRUTH)
    with pytest.raises(ValueError, match="more than -1; got -1"):
        robustness_curve(SEARCH, TEST, TRUTH, "shift", [-1.0])
    with pytest.raises(ValueError, match="kind"):
        robustness_curve(SEARCH, TEST, TRUTH, "dust")


# -- calibrators -----------------------------------------------------------------------


def test_compare_calibrators():
    table = compare_calibrators({"line": LINE, "search": SEARCH}, TEST, TRUTH, noise=0.01)
    assert list(table.index) == ["line", "search"]
    error = parameter_mae(TRUTH, LINE.predict(TEST), model="variance_gamma")
    assert table.parameter_mae["line"] == pytest.approx(error)
    noisy = GaussianNoise(0.01, random_state=0).fit_transform(TEST)
    error = repricing_rmse(TRUTH, SEARCH.predict(noisy), pricer=PRICER)
    assert table.repricing_rmse_noisy["search"] == pytest.approx(error)
    assert table["size"]["line"] == len(pickle.dumps(LINE))
    assert (table.calibration_time > 0).all()
    assert (table.calibration_time["line"]) < table.calibration_time["search"]


def test_compare_calibrators_by_other_scores():
    table = compare_calibrators(
        {"line": LINE}, TEST, TRUTH, pricer=PRICER, scores=["parameter_r2"], noise=None
    )
    assert list(table.columns) == ["parameter_r2", "size"]
    with pytest.raises(ValueError, match="no pricer"):
        compare_calibrators({"line": LINE}, TEST, TRUTH)


def test_frames_stay_frames():
    """What was fitted with names of columns is asked with them: no warnings."""
    frame = pd.DataFrame(X, columns=GRID.get_feature_names_out())
    line = LinearRegression().fit(frame, Y)
    compare_calibrators({"line": line}, frame, Y, pricer=PRICER)
    robustness_curve(line, frame, Y, levels=[0.001], pricer=PRICER)


# -- models ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table():
    data = load_sp500_2002()
    return compare_models(["black_scholes", "nig"], data.chain, data.prices, n_splits=3)


def test_errors_and_criteria(table):
    data = load_sp500_2002()
    assert list(table.index) == ["nig", "black_scholes"]  # by criterion
    n = 75
    for name, k in (("nig", 3), ("black_scholes", 1)):
        pricer = ContourPricer(name, data.grid)
        calibrator = LeastSquaresCalibrator(pricer, "implied_vol").fit(data.prices[None])
        sse = calibrator.calibrate(data.prices[None]).loss[0]
        row = table.loc[name]
        assert row.sse == pytest.approx(sse, rel=1e-6)
        assert row.rmse == pytest.approx(np.sqrt(sse / n), rel=1e-6)
        assert row.n_params == k
        assert row.bic - row.aic == pytest.approx((np.log(n) - 2) * (k + 1))
        assert row.aic == pytest.approx(n * np.log(sse / n) + 2 * (k + 1))
        assert row.cv_rmse > row.rmse


def test_significance(table):
    assert np.isnan(table.dm_statistic["nig"])  # the best itself
    assert table.dm_statistic["black_scholes"] > 2
    assert table.dm_p_value["black_scholes"] < 0.05


def test_model_that_the_quotes_come_from_wins():
    grid = OptionGrid(np.linspace(80, 120, 15), [0.25, 0.5, 1.0])
    pricer = ContourPricer("black_scholes", grid)
    prices = pricer.fit([[0.2]]).transform([[0.2]])[0]
    prices = prices + 0.02 * np.random.default_rng(0).normal(size=grid.n_quotes)
    weight = np.where(np.arange(grid.n_quotes) % 7 == 0, 0.0, 1.0)
    prices[weight == 0] = 50.0  # what has no weight has no say
    regressors = {
        "truth": SurfaceRegressor("black_scholes"),
        "more": SurfaceRegressor("variance_gamma", fixed={"theta": 0.0}),
    }
    table = compare_models(regressors, grid, prices, loss="price", sample_weight=weight, n_splits=3)
    assert table.index[0] == "truth"
    assert table.n_params["more"] == 2
    assert table.rmse["truth"] == pytest.approx(0.02, rel=0.3)
    assert table.cv_rmse["truth"] == pytest.approx(0.02, rel=0.3)
    assert regressors["truth"].loss == "implied_vol"  # theirs are not touched
