"""LeastSquaresCalibrator: recovery, diagnostics, errors of the estimates, published fits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom
from scipy.stats import t as student

from levylearn.calibration import CalibrationStatus, LeastSquaresCalibrator
from levylearn.calibration._problem import LOSSES, vegas, volatilities
from levylearn.datasets import load_sp500_2002, make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import ContourPricer
from levylearn.testing._common import sample_parameters

GRID = OptionGrid([80, 90, 95, 100, 105, 110, 120], [0.25, 0.5, 1.0], rate=0.03, dividend=0.01)
TRUTH = {
    "black_scholes": np.array([[0.2], [0.35], [0.1]]),
    "variance_gamma": np.array([[0.2, 0.4, -0.2], [0.3, 0.2, 0.05], [0.15, 0.8, -0.1]]),
    "heston": np.array(
        [
            [0.04, 2.0, 0.05, 0.4, -0.7],
            [0.02, 1.0, 0.08, 0.6, -0.4],
            [0.09, 3.0, 0.04, 0.9, -0.8],  # Feller's condition does not hold
        ]
    ),
}


def pricer_of(model, output="price", grid=GRID):
    return ContourPricer(model, grid, output).fit(TRUTH[model])


def calibrator_of(model, loss="price", output="price", **options):
    options = {"n_candidates": 64, "n_starts": 4} | options
    return LeastSquaresCalibrator(pricer_of(model, output), loss, **options)


@pytest.fixture(scope="module")
def surfaces():
    return pricer_of("variance_gamma").transform(TRUTH["variance_gamma"])


# -- recovery --------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["price", "relative_price", "vega_price", "implied_vol"])
@pytest.mark.parametrize("model", TRUTH)
def test_recovers_clean_surfaces(model, loss):
    X = pricer_of(model).transform(TRUTH[model])
    calibrator = calibrator_of(model, loss, n_candidates=128).fit(X)
    result = calibrator.calibrate(X)
    assert_allclose(result.parameters, TRUTH[model], rtol=1e-5)
    assert (result.rmse < 1e-7).all()
    assert result.converged.all()
    assert not result.at_bound.any()
    assert_array_equal(calibrator.predict(X), result.parameters)


@pytest.mark.parametrize("output", ["forward_price", "implied_vol"])
@pytest.mark.parametrize("loss", ["price", "implied_vol"])
def test_recovers_surfaces_in_other_units(output, loss):
    X = pricer_of("heston", output).transform(TRUTH["heston"])
    predicted = calibrator_of("heston", loss, output).fit(X).predict(X)
    assert_allclose(predicted, TRUTH["heston"], rtol=1e-5)


def test_diagnostics_belong_together(surfaces):
    noisy = surfaces + np.random.default_rng(0).normal(0, 0.02, surfaces.shape)
    calibrator = calibrator_of("variance_gamma").fit(noisy)
    assert calibrator.parameter_names_ == ("sigma", "nu", "theta")
    result = calibrator.calibrate(noisy)
    fitted = calibrator.pricer_.transform(result.parameters)
    assert_allclose(result.surfaces, fitted, rtol=0, atol=1e-11 * GRID.forward.max())
    assert_allclose(result.loss, ((fitted - noisy) ** 2).sum(axis=1), rtol=1e-9)
    assert_allclose(result.rmse, np.sqrt(result.loss / GRID.n_quotes), rtol=1e-9)
    variance = np.einsum("npp->np", result.covariance)
    assert_allclose(result.standard_error, np.sqrt(variance))
    assert list(result.status) == [CalibrationStatus.CONVERGED] * 3
    assert all(isinstance(status, CalibrationStatus) for status in result.status)
    assert result.message == [CalibrationStatus.CONVERGED.message] * 3
    assert (result.n_evaluations > 1).all()


class RoundedPricer(ContourPricer):
    """Its price of the last quote is below intrinsic value, as rounding may leave it."""

    def evaluate(self, params, gradient=False, **planned):
        surfaces, slopes = super().evaluate(params, gradient, **planned)
        surfaces[:, -1] = -1e-16
        if gradient:
            slopes[:, :, -1] = 0.0
        return surfaces, slopes


def test_volatilities_that_rough_prices_have():
    """Far out of the money a rough price may have a volatility although the model's has none."""
    grid = OptionGrid([80, 90, 97, 100, 104, 110, 120], [0.08, 0.25, 1.0], rate=0.02, dividend=0.01)
    model = get_model("heston")
    params = sample_parameters(model.parameters, model.admissible, 63, random_state=4)[-1:]
    pricer = ContourPricer(model, grid, "implied_vol")
    X = pricer.fit_transform(params)
    result = LeastSquaresCalibrator(pricer).fit(X).calibrate(X)
    assert result.rmse[0] < 5e-3


def test_volatilities_that_the_model_lacks():
    X = pricer_of("variance_gamma").transform(TRUTH["variance_gamma"])
    pricer = RoundedPricer("variance_gamma", GRID)
    found, expected = (
        LeastSquaresCalibrator(pricer, loss, n_candidates=32, n_starts=2).fit(X).calibrate(X)
        for loss in ("implied_vol", "vega_price")
    )
    for key in ("parameters", "loss", "status", "rmse"):
        assert_array_equal(found[key], expected[key])
    assert found.converged.all()
    assert_array_equal(found.n_evaluations, expected.n_evaluations + 1)


def test_start_given(surfaces):
    calibrator = calibrator_of("variance_gamma").fit(surfaces)
    at_truth = calibrator.calibrate(surfaces, initial=TRUTH["variance_gamma"])
    assert_array_equal(at_truth.n_evaluations, 1)
    assert_array_equal(at_truth.status, CalibrationStatus.EXACT)
    assert_array_equal(at_truth.n_refinements, 1)
    nearby = calibrator.calibrate(surfaces, initial=TRUTH["variance_gamma"] * 1.1)
    assert_allclose(nearby.parameters, TRUTH["variance_gamma"], rtol=1e-6)
    assert not nearby.fallback.any()


def test_start_given_that_is_none(surfaces):
    calibrator = calibrator_of("variance_gamma").fit(surfaces)
    initial = TRUTH["variance_gamma"].copy()
    initial[0], initial[1, 0] = np.nan, -np.inf
    result = calibrator.calibrate(surfaces, initial=initial)
    assert_allclose(result.parameters, TRUTH["variance_gamma"], rtol=1e-6)
    assert_array_equal(result.fallback, [True, False, False])
    alone = calibrator_of("variance_gamma", n_starts=1).fit(surfaces)
    with pytest.warns(CalibrationWarning, match="row 0"):
        result = alone.calibrate(surfaces, initial=initial)
    for values in (result.parameters, result.standard_error):
        assert_array_equal(np.isnan(values).all(axis=1), [True, False, False])


def test_start_given_leads_to_the_same_interval(surfaces):
    noisy = surfaces + np.random.default_rng(0).normal(0, 0.02, surfaces.shape)
    calibrator = calibrator_of("variance_gamma").fit(noisy)
    initial = TRUTH["variance_gamma"]
    expected = calibrator.predict_interval(noisy, 0.9)
    assert_allclose(calibrator.predict_interval(noisy, 0.9, initial), expected, rtol=1e-4)
    expected = calibrator.calibrate(noisy, initial).parameters
    assert_array_equal(calibrator.predict(noisy, initial), expected)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (3,)])
def test_start_of_another_shape_is_refused(surfaces, shape):
    calibrator = calibrator_of("variance_gamma").fit(surfaces)
    with pytest.raises(ValueError, match=r"initial must be of shape \(3, 3\); got \("):
        calibrator.predict(surfaces, initial=np.ones(shape))


def test_parameters_of_one_column_come_back_as_they_went_in():
    X = pricer_of("black_scholes").transform(TRUTH["black_scholes"])
    calibrator = calibrator_of("black_scholes")
    assert calibrator.fit(X, TRUTH["black_scholes"][:, 0]).predict(X).shape == (3,)
    assert calibrator.fit(X, TRUTH["black_scholes"]).predict(X).shape == (3, 1)
    assert calibrator.fit(X).predict(X).shape == (3, 1)


def test_repeats_itself(surfaces):
    first = calibrator_of("variance_gamma", random_state=7).fit(surfaces).predict(surfaces)
    again = calibrator_of("variance_gamma", random_state=7).fit(surfaces).predict(surfaces)
    assert_array_equal(first, again)


# -- rows ------------------------------------------------------------------------


def test_quotes_that_are_missing(surfaces):
    holes = surfaces.copy()
    holes[:, ::3] = np.nan
    holes[1, 5:9] = np.nan
    predicted = calibrator_of("variance_gamma").fit(surfaces).predict(holes)
    assert_allclose(predicted, TRUTH["variance_gamma"], rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_but_hopeless_rows(surfaces, loss):
    calibrator = calibrator_of("variance_gamma", loss).fit(surfaces)
    nothing = np.full((2, GRID.n_quotes), np.nan)
    with pytest.warns(CalibrationWarning, match="2 of 2"):
        result = calibrator.calibrate(nothing)
    assert_array_equal(result.status, CalibrationStatus.NO_QUOTES)
    assert result.surfaces.shape == nothing.shape
    for found in (result.parameters, result.surfaces, result.rmse, result.loss):
        assert np.isnan(found).all()
    with pytest.warns(CalibrationWarning):
        assert np.isnan(calibrator.predict(nothing)).all()
    with pytest.warns(CalibrationWarning):
        assert np.isnan(calibrator.jacobian(nothing)).all()


def test_hopeless_rows_spoil_no_others(surfaces):
    X = np.repeat(surfaces, 2, axis=0)
    X[1] = np.nan
    X[3, 2:] = np.nan  # two quotes, three parameters
    calibrator = calibrator_of("variance_gamma").fit(surfaces)
    with pytest.warns(CalibrationWarning, match="2 of 6 .* first is row 1: There are fewer"):
        result = calibrator.calibrate(X)
    hopeless = np.array([False, True, False, True, False, False])
    assert_array_equal(np.isnan(result.parameters).all(axis=1), hopeless)
    assert_array_equal(result.status == CalibrationStatus.NO_QUOTES, hopeless)
    assert all(isinstance(status, CalibrationStatus) for status in result.status)
    assert_array_equal(result.converged, ~hopeless)
    assert_array_equal(np.isnan(result.surfaces).all(axis=1), hopeless)
    assert_allclose(
        result.parameters[~hopeless], calibrator.predict(surfaces)[[0, 1, 2, 2]], rtol=1e-9
    )
    with pytest.warns(CalibrationWarning):
        assert_array_equal(np.isnan(calibrator.predict(X)).all(axis=1), hopeless)


def test_row_depends_on_itself_alone():
    # Rounding depends on the size of a batch, and is seen through the tolerance of the search.
    rng = np.random.default_rng(0)
    X = pricer_of("heston").transform(np.repeat(TRUTH["heston"], 2, axis=0))
    X += rng.normal(0, 0.01, X.shape)
    calibrator = calibrator_of("heston", n_starts=2).fit(X)
    together = calibrator.predict(X)
    order = rng.permutation(len(X))
    assert_allclose(calibrator.predict(X[order]), together[order], rtol=2e-6)
    alone = np.concatenate([calibrator.predict(row[None]) for row in X])
    assert_allclose(alone, together, rtol=2e-6)


# -- options ---------------------------------------------------------------------


def test_weights(surfaces):
    wrong = surfaces.copy()
    wrong[:, 4] += 1.0
    weights = np.ones(GRID.n_quotes)
    weights[4] = 0
    predicted = calibrator_of("variance_gamma", weights=weights).fit(wrong).predict(wrong)
    assert_allclose(predicted, TRUTH["variance_gamma"], rtol=1e-5)
    # The heavier the wrong quote, the nearer it is priced.
    errors = []
    for weight in (1.0, 100.0):
        weights[4] = weight
        result = calibrator_of("variance_gamma", weights=weights).fit(wrong).calibrate(wrong)
        errors.append(np.abs(result.surfaces - wrong)[:, 4])
    assert (errors[1] < errors[0]).all()


def test_fixed_parameters(surfaces):
    result = calibrator_of("variance_gamma", fixed={"nu": 0.4}).fit(surfaces).calibrate(surfaces)
    assert_array_equal(result.parameters[:, 1], 0.4)
    assert_allclose(result.parameters[0], TRUTH["variance_gamma"][0], rtol=1e-6)
    assert_array_equal(result.standard_error[:, 1], 0.0)
    assert not result.at_bound[:, 1].any()
    assert (result.rmse[1:] > 1e-4).all()


def test_bounds(surfaces):
    calibrator = calibrator_of("variance_gamma", bounds={"theta": (-0.15, 0.1)}).fit(surfaces)
    result = calibrator.calibrate(surfaces)
    assert_array_equal(result.at_bound, [[False, False, True], [False] * 3, [False] * 3])
    assert result.parameters[0, 2] == pytest.approx(-0.15)
    assert_allclose(result.parameters[1:], TRUTH["variance_gamma"][1:], rtol=1e-5)
    assert_array_equal(np.isnan(result.standard_error), result.at_bound)
    interval = calibrator.predict_interval(surfaces, method="wald")
    assert_array_equal(np.isnan(interval), np.repeat(result.at_bound[..., None], 2, axis=2))


def test_errors_within_the_spread_are_none(surfaces):
    half_spread = np.full(GRID.n_quotes, 0.05)
    quotes = surfaces + np.random.default_rng(0).uniform(-0.05, 0.05, surfaces.shape)
    calibrator = calibrator_of("variance_gamma", half_spread=half_spread).fit(quotes)
    result = calibrator.calibrate(quotes)
    assert_allclose(result.loss, 0, atol=1e-12)
    assert (np.abs(result.surfaces - quotes) <= 0.05 * (1 + 1e-9)).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_errors_beyond_the_spread_are_measured_in_it(surfaces, loss, weighted):
    half_spread = np.linspace(0.01, 0.03, GRID.n_quotes)
    weights = np.linspace(1, 2, GRID.n_quotes) if weighted else None
    # None so far off that it has no volatility.
    quotes = surfaces + 0.05 * np.random.default_rng(0).uniform(-1, 1, surfaces.shape)
    calibrator = calibrator_of("variance_gamma", loss, half_spread=half_spread, weights=weights)
    result = calibrator.fit(quotes).calibrate(quotes)
    errors = result.surfaces - quotes
    if loss == "implied_vol":
        found, market = (volatilities(calibrator.pricer_, X) for X in (result.surfaces, quotes))
        errors = (found - market) * vegas(calibrator.pricer_, market)
    excess = np.maximum(np.abs(errors) / half_spread - 1, 0)
    expected = (excess**2 if weights is None else weights * excess**2).sum(axis=1)
    assert (result.loss > 0).all()
    assert_allclose(result.loss, expected, rtol=1e-8)


def test_budget(surfaces):
    noisy = surfaces + np.random.default_rng(0).normal(0, 0.02, surfaces.shape)
    calibrator = calibrator_of("variance_gamma", n_starts=1, max_evaluations=2).fit(noisy)
    result = calibrator.calibrate(noisy)
    assert_array_equal(result.status, CalibrationStatus.MAX_EVALUATIONS)
    assert not result.converged.any()
    assert np.isfinite(result.parameters).all()


# -- errors of the estimates -------------------------------------------------------


@pytest.fixture(scope="module")
def noisy():
    """One surface, 200 times, each with errors of its own."""
    X = pricer_of("variance_gamma").transform(TRUTH["variance_gamma"][:1])
    return X + np.random.default_rng(0).normal(0, 0.02, (200, GRID.n_quotes))


def test_covariance_is_that_of_the_estimates(noisy):
    result = calibrator_of("variance_gamma", n_starts=1).fit(noisy).calibrate(noisy)
    spread = np.cov(result.parameters.T)
    expected = np.median(result.covariance, axis=0)
    # 200 draws know a variance to 10 %.
    assert_allclose(np.diag(expected), np.diag(spread), rtol=0.3)
    size = np.sqrt(np.diag(spread))
    assert_allclose(expected / np.outer(size, size), spread / np.outer(size, size), atol=0.3)


class TwinPricer(ContourPricer):
    """Its third parameter scales the second: only their product is seen."""

    def evaluate(self, params, gradient=False, **planned):
        sigma, nu, scale = params.T
        seen = np.stack([sigma, nu * np.exp(scale), np.full(len(params), -0.2)], axis=1)
        surfaces, slopes = super().evaluate(seen, gradient)
        if gradient:
            slopes[:, 2] = slopes[:, 1] * seen[:, 1, None]
            slopes[:, 1] *= np.exp(scale)[:, None]
        return surfaces, slopes


def test_parameters_of_which_only_the_product_is_seen_have_no_error(noisy):
    pricer = TwinPricer("variance_gamma", GRID)
    calibrator = LeastSquaresCalibrator(pricer, n_starts=1).fit(noisy[:3])
    result = calibrator.calibrate(noisy[:3])
    assert not result.at_bound.any()
    unknown = np.array([[False, True, True]] * 3)
    assert_array_equal(np.isnan(result.standard_error), unknown)
    wald = calibrator.predict_interval(noisy[:3], method="wald")
    assert_array_equal(np.isnan(wald).all(axis=2), unknown)
    # The factor may be anything, and the other is then what the product asks for.
    low, high = np.moveaxis(calibrator.predict_interval(noisy[:3]), 2, 0)
    bounds = np.array([parameter.bounds for parameter in calibrator.pricer_.parameters_])
    assert_array_equal([low[:, 2], high[:, 2]], np.repeat(bounds[2], 3).reshape(2, 3))
    # That of the product has one degree of freedom more, which is undone.
    freedom = GRID.n_quotes - 3
    quantile = student.ppf(0.975, freedom) * np.sqrt((freedom + 1) / freedom)
    coverage = 2 * student.cdf(quantile, freedom + 1) - 1
    product = calibrator_of("variance_gamma", n_starts=1, fixed={"theta": -0.2}).fit(noisy[:3])
    expected = product.predict_interval(noisy[:3], coverage)[:, 1] * np.exp(-bounds[2, ::-1])
    assert_allclose(np.stack([low[:, 1], high[:, 1]], axis=1), expected, rtol=1e-5)


@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_intervals_cover(noisy, coverage):
    calibrator = calibrator_of("variance_gamma", n_starts=1).fit(noisy)
    intervals = calibrator.predict_interval(noisy, coverage=coverage)
    assert intervals.shape == (200, 3, 2)
    truth = TRUTH["variance_gamma"][0]
    hits = ((intervals[..., 0] < truth) & (truth < intervals[..., 1])).sum(axis=0)
    low, high = binom.interval(0.9999, len(noisy), coverage)
    assert (hits >= low).all()
    assert (hits <= high).all()
    inside = calibrator.predict(noisy)
    assert ((intervals[..., 0] < inside) & (inside < intervals[..., 1])).all()


def test_intervals_stay_in_the_domain():
    X = pricer_of("heston").transform(TRUTH["heston"][2:])
    X += np.random.default_rng(0).normal(0, 0.1, X.shape)
    calibrator = calibrator_of("heston", n_starts=1).fit(X)
    (intervals,) = calibrator.predict_interval(X, coverage=0.999999, method="wald")
    domain = np.array([parameter.domain for parameter in calibrator.pricer_.parameters_])
    assert (domain[:, 0] <= intervals[:, 0]).all()
    assert (intervals[:, 1] <= domain[:, 1]).all()
    # That of the correlation would go beyond.
    assert intervals[4, 0] == -1
    assert intervals[4, 1] > -0.8


# -- what it refuses ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, "'loss' parameter"),
        ({"n_starts": 0}, "'n_starts' parameter"),
        ({"max_evaluations": 0}, "'max_evaluations' parameter"),
        ({"weights": np.ones(3)}, r"weights must have one entry per quote \(21\); got \(3,\)"),
        ({"weights": -np.ones(21)}, "weights must be finite and non-negative; entry 0 is -1"),
        ({"weights": np.zeros(21)}, "weights must not all be zero"),
        ({"half_spread": np.zeros(21)}, "half_spread must be finite and positive; entry 0 is 0"),
        ({"bounds": {"kappa": (0, 1)}}, "bounds names 'kappa'"),
        ({"fixed": {"sigma": -0.2}}, "fixed sigma must be in its domain .*; got -0.2"),
        ({"fixed": {"sigma": 0.2, "nu": 0.2, "theta": 0}}, "fixed holds every parameter"),
        ({"pricer": "contour"}, "'pricer' parameter"),
    ],
)
def test_arguments_refused(surfaces, options, message):
    calibrator = calibrator_of("variance_gamma").set_params(**options)
    with pytest.raises(ValueError, match=message):
        calibrator.fit(surfaces)


def test_surfaces_refused(surfaces):
    calibrator = calibrator_of("variance_gamma")
    with pytest.raises(ValueError, match="X has 20 quotes, but the grid of the pricer has 21"):
        calibrator.fit(surfaces[:, :20])
    calibrator.fit(surfaces)
    with pytest.raises(ValueError, match="20 features"):
        calibrator.predict(surfaces[:, :20])
    with pytest.raises(ValueError, match="infinity"):
        calibrator.predict(np.where(surfaces > 20, np.inf, surfaces))
    with pytest.raises(ValueError, match="coverage must be between 0 and 1; got 95"):
        calibrator.predict_interval(surfaces, coverage=95)


# -- published fits ------------------------------------------------------------------

# Schoutens (2003), "Lévy Processes in Finance": parameters printed there, and their errors on
# the 75 quotes: average absolute error and root mean squared error in index points, average
# error over the mean price, mean relative error.
PRINTED = {
    "black_scholes": ([0.1812], 5.4834, 6.7414, 0.08885, 0.1720),
    "variance_gamma": ([0.18005, 0.73670, -0.13611], 2.8753, 3.5610, 0.04659, 0.0768),
    "nig": ([6.1882, -3.8941, 0.1622], 2.4553, 3.1029, 0.03979, 0.0629),
    "cgmy": ([0.0244, 0.0765, 7.5515, 1.2945], 2.0825, 2.7343, 0.03374, 0.0504),
}

HESTON = {
    "v0": (1e-4, 0.5),
    "kappa": (0.05, 20.0),
    "theta": (1e-4, 0.5),
    "sigma": (0.05, 5.0),
    "rho": (-0.98, 0.98),
}
JUMPS = {"lam": (1e-3, 10.0), "muj": (-1.0, 0.5), "sigmaj": (0.005, 1.0)}
# Least root mean squared errors in index points that 50 to 200 searches from random starts
# found within these boxes, by a price of another method.
BEST_KNOWN = {
    "black_scholes": ({}, 6.7382),
    "variance_gamma": ({"sigma": (0.01, 2), "nu": (1e-3, 20), "theta": (-2, 1)}, 3.5575),
    "nig": ({"delta": (1e-3, 20)}, 3.0983),
    "cgmy": ({"G": (0.1, 200), "M": (1.0001, 200), "Y": (-1, 1.95)}, 2.7153),
    "merton": ({"sigma": (1e-3, 2), **JUMPS}, 2.2688),
    "heston": (HESTON, 0.6793),
    "bates": (HESTON | JUMPS, 0.47802),
}


@pytest.mark.parametrize("model", PRINTED)
def test_printed_parameters(model):
    data = load_sp500_2002(as_frame=False)
    params, *errors = PRINTED[model]
    prices = ContourPricer(model, data.grid).fit([params]).transform([params])[0]
    error = np.abs(prices - data.prices)
    found = [
        error.mean(),
        np.sqrt(np.mean(error**2)),
        error.mean() / data.prices.mean(),
        np.mean(error / data.prices),
    ]
    assert_allclose(found, errors, rtol=1e-3)


@pytest.mark.parametrize("model", BEST_KNOWN)
def test_best_known_fit(model):
    bounds, rmse = BEST_KNOWN[model]
    data = load_sp500_2002(as_frame=False)
    calibrator = LeastSquaresCalibrator(ContourPricer(model, data.grid), bounds=bounds)
    result = calibrator.fit(data.prices[None]).calibrate(data.prices[None])
    assert result.rmse[0] < rmse * 1.005
    for name, value in zip(get_model(model).parameter_names, result.parameters[0], strict=True):
        low, high = bounds.get(name, (-np.inf, np.inf))
        assert low * (1 - 1e-9) <= value or low - 1e-9 <= value
        assert value <= high + 1e-9


def test_errors_relative_to_the_model():
    """With errors of 5 % of the price it is unbiased, where those over the quotes are not.

    The fixed point is the quasi-likelihood estimate: residuals over squared prices of the fit
    are orthogonal to its derivatives.
    """
    params = np.tile([0.25, 0.4, -0.2], (1000, 1))
    grid = OptionGrid(np.linspace(80, 120, 9), [0.25, 0.5, 1.0, 2.0])
    pricer = ContourPricer("variance_gamma", grid)
    clean = pricer.fit(params).transform(params)
    X = clean * (1 + 0.05 * np.random.default_rng(0).standard_normal(clean.shape))
    to_model = LeastSquaresCalibrator(pricer, "relative_to_model").fit(X)
    fit = to_model.calibrate(X)
    found = fit.parameters
    surfaces, slopes = pricer.evaluate(found, gradient=True)
    scores = np.einsum("nm,npm->np", (X - surfaces) / surfaces**2, slopes)
    size = np.einsum("nm,npm->np", np.abs(X - surfaces) / surfaces**2, np.abs(slopes))
    # Five times a thirtieth of what the first weights leave, some surfaces more slowly.
    assert np.abs(scores / size).max() < 1e-5
    over_quotes = LeastSquaresCalibrator(pricer, "relative_price").fit(X).predict(X)
    error = found[:, 0].std() / np.sqrt(len(X))
    assert abs(found[:, 0].mean() - 0.25) < 4 * error
    assert abs(over_quotes[:, 0].mean() - 0.25) > 6 * error
    some, params = X[:300], params[:300]
    intervals = to_model.predict_interval(some)
    covered = ((intervals[..., 0] <= params) & (params <= intervals[..., 1])).mean(axis=0)
    assert (covered > 0.9).all()
    assert (covered < 0.99).all()


@pytest.mark.parametrize("loss", ["price", "implied_vol"])
def test_intervals_of_clean_surfaces(loss):
    """Where nothing but rounding is left, intervals are tiny, and contain the truth."""
    grid = OptionGrid(np.linspace(80, 120, 9), [0.25, 0.5, 1.0, 2.0])
    X, params = make_surfaces("heston", grid, n_samples=100, random_state=0)
    pricer = ContourPricer("heston", grid)
    intervals = LeastSquaresCalibrator(pricer, loss).fit(X).predict_interval(X)
    covered = (intervals[..., 0] <= params) & (params <= intervals[..., 1])
    assert covered.mean() > 0.97
    width = (intervals[..., 1] - intervals[..., 0]) / np.abs(params)
    assert np.median(width) < 1e-8
