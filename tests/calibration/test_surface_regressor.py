"""SurfaceRegressor: a scikit-learn regressor whose samples are quotes."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.calibration import (
    CalibrationStatus,
    LeastSquaresCalibrator,
    SurfaceRegressor,
    quote_features,
)
from levylearn.datasets import load_sp500_2002
from levylearn.market import OptionGrid, QuoteChain
from levylearn.models import VarianceGamma
from levylearn.pricing import ContourPricer

VG = np.array([[0.2, 0.4, -0.2]])
# Enough for surfaces that are easy.
SMALL = {"n_candidates": 32, "n_starts": 2}
COLUMNS = ["strike", "maturity", "forward", "discount", "option_type"]


class AnyQuotes(RegressorMixin, BaseEstimator):
    """Makes quotes of any matrix, row by row, so that scikit-learn can check what fits them."""

    def __init__(self, regressor):
        self.regressor = regressor

    def fit(self, X, y, sample_weight=None):
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self.regressor_ = clone(self.regressor).fit(self._quotes(X), y, sample_weight)
        return self

    def predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.regressor_.predict(self._quotes(X))

    def _quotes(self, X):
        unit = expit(np.column_stack([X[:, j % X.shape[1]] / (1 + j) for j in range(5)]))
        low = np.array([60.0, 0.1, 90.0, 0.8])
        high = np.array([140.0, 2.0, 110.0, 1.0])
        option_type = np.where(unit[:, 4] > 0.5, 1.0, -1.0)
        return np.column_stack([low + unit[:, :4] * (high - low), option_type])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # the targets of the checks are no prices
        return tags


# Small and fast: the targets that the checks make up are not worth a good fit.
BARE = SurfaceRegressor(
    "variance_gamma", loss="price", n_starts=1, n_candidates=16, max_evaluations=20
)
NEEDS_QUOTES = "columns are strike, maturity, forward, discount and option type, and no others"
EXPECTED_FAILURES = {
    f"check_{name}": NEEDS_QUOTES
    for name in (
        "all_zero_sample_weights_error array_api_input dict_unchanged dont_overwrite_parameters "
        "dtype_object estimators_dtypes estimators_fit_returns_self estimators_nan_inf "
        "estimators_overwrite_params estimators_pickle f_contiguous_array_estimator "
        "fit2d_1sample fit2d_predict1d fit_check_is_fitted fit_idempotent fit_score_takes_y "
        "methods_sample_order_invariance methods_subset_invariance n_features_in "
        "n_features_in_after_fitting pipeline_consistency positive_only_tag_during_fit "
        "readonly_memmap_input regressor_data_not_an_array regressors_int "
        "regressors_no_decision_function regressors_train "
        "sample_weight_equivalence_on_dense_data sample_weights_list "
        "sample_weights_not_an_array sample_weights_not_overwritten "
        "sample_weights_pandas_series sample_weights_shape supervised_y_2d"
    ).split()
}


@parametrize_with_checks([AnyQuotes(BARE)])
def test_scikit_learn_checks_on_quotes(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [BARE], expected_failed_checks=lambda _: EXPECTED_FAILURES, xfail_strict=True
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_parameter_validation():
    check_param_validation("SurfaceRegressor", BARE)


# -- quotes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def quotes():
    """Calls and puts at three maturities; no two rows share a forward."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "strike": rng.uniform(85, 115, 24),
            "maturity": np.repeat([0.25, 0.5, 1.0], 8),
            "forward": rng.uniform(97, 103, 24),
            "discount": np.repeat([0.99, 0.98, 0.95], 8),
            "option_type": np.tile([1.0, -1.0], 12),
        }
    )


def prices_of(model, params, quotes):
    """Price every quote on its own: no market is shared."""
    prices = []
    for strike, maturity, forward, discount, sign in quotes.to_numpy():
        rate = -np.log(discount) / maturity
        kind = "call" if sign > 0 else "put"
        grid = OptionGrid([strike], [maturity], forward * discount, rate, 0.0, kind)
        prices.append(ContourPricer(model, grid).fit(params).transform(params)[0, 0])
    return np.array(prices)


@pytest.fixture(scope="module")
def prices(quotes):
    return prices_of("variance_gamma", VG, quotes)


def test_features_of_grids_chains_and_frames():
    chain = QuoteChain(
        [95, 105], [0.5, 0.5], ["put", "call"], [2.0, 3.0], forward=101.0, discount=0.99
    )
    X = quote_features(chain)
    assert list(X.columns) == COLUMNS
    assert_array_equal(X, [[95, 0.5, 101, 0.99, -1], [105, 0.5, 101, 0.99, 1]])
    assert_array_equal(quote_features(chain.grid).option_type, X.option_type)
    assert_allclose(quote_features(chain.grid), X, rtol=1e-14)
    frame = chain.to_frame()[::-1]
    assert_array_equal(quote_features(frame), X[::-1])
    assert_array_equal(quote_features(frame).index, [1, 0])
    assert_array_equal(quote_features(X[COLUMNS[::-1]]), X)


def test_features_refused():
    X = quote_features(OptionGrid([90, 100], [1.0]))
    with pytest.raises(ValueError, match=r"columns strike, .*; forward, discount is missing"):
        quote_features(X.drop(columns=["forward", "discount"]))
    with pytest.raises(ValueError, match=r"option_type must be .* row 1 has 'future'"):
        quote_features(X.assign(option_type=["call", "future"]))


# -- fitting and pricing ---------------------------------------------------------


@pytest.mark.parametrize("loss", ["implied_vol", "vega_price", "price", "relative_price"])
def test_recovers_parameters(quotes, prices, loss):
    regressor = SurfaceRegressor(VarianceGamma(), loss=loss).fit(quotes, prices)
    assert_allclose(regressor.params_, VG[0], rtol=1e-6)
    assert list(regressor.parameters_) == ["sigma", "nu", "theta"]
    assert_array_equal(list(regressor.parameters_.values()), regressor.params_)
    assert regressor.converged_
    assert regressor.status_ in (CalibrationStatus.EXACT, CalibrationStatus.CONVERGED)
    assert regressor.message_ == regressor.status_.message
    assert regressor.rmse_ < 1e-7
    assert regressor.n_evaluations_ > 1
    assert regressor.n_features_in_ == 5
    assert_array_equal(regressor.feature_names_in_, COLUMNS)
    assert regressor.score(quotes, prices) > 1 - 1e-9


def test_predicts_contracts_it_has_not_seen(quotes, prices):
    regressor = SurfaceRegressor("variance_gamma").fit(quotes[:16], prices[:16])
    assert_allclose(regressor.predict(quotes), prices, atol=1e-6)
    assert_allclose(regressor.predict(quotes[3:4]), regressor.predict(quotes)[3:4], rtol=1e-10)


def test_predicts_implied_volatility(quotes):
    prices = prices_of("black_scholes", [[0.25]], quotes)
    regressor = SurfaceRegressor("black_scholes", **SMALL).fit(quotes, prices)
    assert_allclose(regressor.predict_implied_vol(quotes), 0.25, rtol=1e-9)


def test_quote_at_which_the_model_may_have_no_volatility():
    # At the volatility of the first quote, 0.2, the price of the second rounds to nothing.
    X = [[100, 0.01, 100, 1, 1], [200, 0.01, 100, 1, 1]]
    regressor = SurfaceRegressor("black_scholes").fit(X, [0.8, 1.0])
    assert regressor.converged_
    assert regressor.status_ is CalibrationStatus.CONVERGED
    assert 0.2 < regressor.parameters_["sigma"] < 4.05


@pytest.mark.parametrize("loss", ["implied_vol", "price"])
def test_agrees_with_the_calibrator_of_surfaces(loss):
    data = load_sp500_2002()
    grid, prices = data.grid, data.prices
    regressor = SurfaceRegressor("variance_gamma", loss=loss, **SMALL)
    regressor.fit(quote_features(grid), prices)
    calibrator = LeastSquaresCalibrator(ContourPricer("variance_gamma", grid), loss, **SMALL)
    calibrator.fit(prices[None])
    result = calibrator.calibrate(prices[None])
    assert_allclose(regressor.params_, result.parameters[0], rtol=1e-4)
    assert_allclose(regressor.rmse_, result.rmse[0], rtol=1e-6)
    assert_allclose(regressor.standard_errors_, result.standard_error[0], rtol=1e-3)
    assert_allclose(regressor.covariance_, result.covariance[0], rtol=1e-2)
    expected = calibrator.predict_interval(prices[None], coverage=0.8, method="wald")[0]
    assert_allclose(regressor.parameter_interval(coverage=0.8), expected, rtol=1e-3)


def test_weight_counts_as_repetition(quotes, prices):
    noisy = prices + np.random.default_rng(1).normal(0, 0.02, 24)
    weight = np.tile([0, 1, 2, 3], 6)
    weighted = SurfaceRegressor("variance_gamma", **SMALL).fit(quotes, noisy, sample_weight=weight)
    repeated = SurfaceRegressor("variance_gamma", **SMALL).fit(
        quotes.loc[quotes.index.repeat(weight)], noisy.repeat(weight)
    )
    assert_allclose(weighted.params_, repeated.params_, rtol=1e-4)
    assert_allclose(weighted.predict(quotes), repeated.predict(quotes), rtol=1e-6)
    assert_allclose(weighted.rmse_, repeated.rmse_, rtol=1e-6)


def test_size_of_weights_says_nothing(quotes, prices):
    noisy = prices + np.random.default_rng(1).normal(0, 0.02, 24)
    ones = SurfaceRegressor("variance_gamma", **SMALL).fit(quotes, noisy)
    tens = SurfaceRegressor("variance_gamma", **SMALL).fit(
        quotes, noisy, sample_weight=np.full(24, 10.0)
    )
    assert_allclose(tens.params_, ones.params_, rtol=1e-4)
    assert_allclose(tens.standard_errors_, ones.standard_errors_, rtol=1e-3)


def test_fixed_and_bounded_parameters(quotes, prices):
    regressor = SurfaceRegressor(
        "variance_gamma", fixed={"nu": 0.5}, bounds={"theta": (-0.1, 0.5)}, **SMALL
    ).fit(quotes, prices)
    assert regressor.parameters_["nu"] == 0.5
    assert regressor.parameters_["theta"] == pytest.approx(-0.1)
    assert_array_equal(regressor.at_bound_, [False, False, True])
    assert_array_equal(np.isnan(regressor.standard_errors_), [False, False, True])
    assert regressor.standard_errors_[1] == 0
    interval = regressor.parameter_interval()
    assert interval[0, 0] < regressor.params_[0] < interval[0, 1]
    assert_array_equal(interval[1], [0.5, 0.5])
    assert np.isnan(interval[2]).all()


def test_pickle(quotes, prices):
    regressor = SurfaceRegressor("variance_gamma", **SMALL).fit(quotes, prices)
    copy = pickle.loads(pickle.dumps(regressor))
    assert_array_equal(copy.predict(quotes), regressor.predict(quotes))
    assert_array_equal(copy.parameter_interval(), regressor.parameter_interval())


# -- choosing between models -----------------------------------------------------


def test_cross_validation_over_quotes():
    chain = load_sp500_2002().chain
    folds = KFold(5, shuffle=True, random_state=0)
    heston = SurfaceRegressor("heston", **SMALL)
    scores = cross_val_score(heston, quote_features(chain), chain.prices, cv=folds)
    assert scores.min() > 0.999


def test_grid_search_over_models():
    chain = load_sp500_2002().chain
    X, y = quote_features(chain), chain.prices
    models = ["black_scholes", "heston", "variance_gamma"]
    search = GridSearchCV(
        SurfaceRegressor("heston", **SMALL),
        {"model": models},
        cv=KFold(3, shuffle=True, random_state=0),
        scoring="neg_root_mean_squared_error",
    ).fit(X, y)
    assert search.best_params_ == {"model": "heston"}
    order = np.argsort(search.cv_results_["mean_test_score"])
    assert [models[i] for i in order] == ["black_scholes", "variance_gamma", "heston"]
    assert search.best_estimator_.rmse_ < 1


# -- what it refuses -------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("strike", 0, "strike must be positive; row 2 has 0"),
        ("maturity", -0.5, "maturity must be positive; row 2 has -0.5"),
        ("forward", -1, "forward must be positive; row 2 has -1"),
        ("discount", 0, "discount must be positive; row 2 has 0"),
        ("option_type", 0, "option_type must be 1 for a call or -1 for a put; row 2 has 0"),
    ],
)
def test_row_that_is_no_contract(quotes, prices, column, value, message):
    regressor = SurfaceRegressor("black_scholes", **SMALL).fit(quotes, prices)
    X = quotes.copy()
    X.loc[2, column] = value
    with pytest.raises(ValueError, match=message):
        regressor.predict(X)
    with pytest.raises(ValueError, match=message):
        clone(regressor).fit(X, prices)


def test_columns_refused(quotes, prices):
    regressor = SurfaceRegressor("black_scholes")
    with pytest.raises(ValueError, match=r"n_features=4, but .* expects n_features=5: strike"):
        regressor.fit(quotes.to_numpy()[:, :4], prices)
    shuffled = quotes[COLUMNS[::-1]]
    with pytest.raises(ValueError, match=r"in this order: strike, maturity, .*quote_features"):
        regressor.fit(shuffled, prices)
    regressor.fit(quotes, prices)
    with pytest.raises(ValueError, match="feature names"):
        regressor.predict(shuffled)


@pytest.mark.parametrize("loss", ["implied_vol", "vega_price", "relative_price"])
def test_price_that_the_loss_cannot_use(quotes, prices, loss):
    wrong = prices.copy()
    wrong[5] = -1.0
    with pytest.raises(ValueError, match=r"in row 5: -1 for the put .* loss='price'"):
        SurfaceRegressor("black_scholes", loss=loss, **SMALL).fit(quotes, wrong)
    weight = np.where(wrong < 0, 0.0, 1.0)
    SurfaceRegressor("black_scholes", loss=loss, **SMALL).fit(quotes, wrong, sample_weight=weight)
    SurfaceRegressor("black_scholes", loss="price", **SMALL).fit(quotes, wrong)


def test_price_beyond_its_bounds(quotes, prices):
    wrong = prices.copy()
    wrong[4] = 200.0
    with pytest.raises(ValueError, match="no implied volatility in row 4: 200 for the call"):
        SurfaceRegressor("black_scholes").fit(quotes, wrong)


def test_too_few_quotes(quotes, prices):
    regressor = SurfaceRegressor("heston", **SMALL)
    with pytest.raises(ValueError, match=r"5 free parameters, .* n_samples=4"):
        regressor.fit(quotes[:4], prices[:4])
    with pytest.raises(ValueError, match="n_samples=3"):
        regressor.fit(quotes, prices, sample_weight=np.arange(24) < 3)
    regressor.set_params(fixed={"rho": -0.7, "kappa": 2.0}).fit(quotes[:4], prices[:4])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(24), "weight.*zero"),
        (-np.ones(24), "[Nn]egative"),
        (np.ones(5), "shape"),
        (np.full(24, np.nan), "NaN"),
    ],
)
def test_weights_refused(quotes, prices, weight, message):
    with pytest.raises(ValueError, match=message):
        SurfaceRegressor("black_scholes", **SMALL).fit(quotes, prices, sample_weight=weight)


def test_missing_price(quotes, prices):
    with pytest.raises(ValueError, match="y contains NaN"):
        SurfaceRegressor("black_scholes").fit(quotes, np.where(prices > 10, np.nan, prices))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "hestn"}, "unknown model 'hestn'"),
        ({"fixed": {"vol": 0.2}}, "fixed names 'vol'"),
        ({"bounds": {"sigma": (0.5, 0.2)}}, "bounds of sigma"),
        ({"loss": "vol"}, "loss"),
    ],
)
def test_arguments_refused(quotes, prices, options, message):
    with pytest.raises(ValueError, match=message):
        SurfaceRegressor(**{"model": "black_scholes", **options}).fit(quotes, prices)


def test_coverage_refused(quotes, prices):
    with pytest.raises(ValueError, match="coverage must be between 0 and 1; got 95"):
        SurfaceRegressor("black_scholes", **SMALL).fit(quotes, prices).parameter_interval(95)
