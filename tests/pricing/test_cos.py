"""COSPricer: prices to its tolerance, errors known beforehand, the options of the literature."""

import tracemalloc

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_param_validation

from levylearn import base
from levylearn.market import OptionGrid, black_price
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer, COSPricer
from levylearn.testing import check_pricer
from tests.models._meixner import Meixner
from tests.pricing.test_contour import TextbookVarianceGamma, sets
from tests.pricing.test_error_estimate import GRID, parameter_sets
from tests.pricing.test_reference_prices import NAMES, ROWS, error

TOLERANCE = COSPricer("heston", GRID).tolerance
SMALL = OptionGrid([80, 97, 100, 110, 125], [1 / 52, 0.1, 1.0, 3.0], rate=0.03, dividend=0.01)
# Those with terms that decay slowly, and the sums of all others.
SUMS = ("bates", "double_heston", "double_heston_jump")
each_model = pytest.mark.parametrize("name", list_models())


def normalised(pricer, name, params, grid=GRID, **settings):
    """Prices as fractions of the larger of forward and strike, and their estimated errors."""
    fitted = pricer(name, grid, "forward_price", **settings).fit(params)
    unit = np.maximum(1, grid.strike / grid.forward)
    return fitted.transform(params) / unit, fitted.error_estimate(params) / unit


def true_and_estimated(name, params, **settings):
    exact, uncertain = normalised(ContourPricer, name, params)
    found, estimate = normalised(COSPricer, name, params, **settings)
    true = np.abs(found - exact)
    visible = true > 1e-12 + 10 * uncertain
    return true[visible], estimate[visible]


# -- prices --------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_reference_price(row):
    """Hard corners included: no row is beyond the tolerance."""
    true, estimate = error(row, COSPricer)
    assert true <= TOLERANCE
    assert true <= 1e-13 or estimate >= 0.1 * true


@pytest.mark.parametrize("model", NAMES)
def test_estimate_is_not_pessimistic(model):
    estimates = [error(row, COSPricer)[1] for row in ROWS[::3] if row["model"] == model]
    assert np.median(estimates) < 0.3 * TOLERANCE


@pytest.mark.parametrize("name", ["variance_gamma", "cgmy"])
@pytest.mark.parametrize("maturity", [1 / 365, 0.1])
def test_strike_at_the_singularity(name, maturity):
    """Of these laws, at a maturity so short: no series of feasible length gets there."""
    params = {"variance_gamma": [0.2, 0.5, -0.2], "cgmy": [0.3, 4.0, 6.0, 0.1]}[name]
    log_phi = get_model(name).log_cf(np.array([2.0**26 + 0j]), maturity, np.array([params]))
    centre = log_phi[0, 0].imag / 2.0**26
    grid = OptionGrid.from_quotes(
        100 * np.exp(centre + np.array([-1e-2, -1e-5, 0.0, 1e-8, 1e-4])), np.full(5, maturity)
    )
    exact, _ = normalised(ContourPricer, name, [params], grid)
    found, estimate = normalised(COSPricer, name, [params], grid)
    np.testing.assert_allclose(found, exact, rtol=0, atol=TOLERANCE)
    assert np.all(estimate <= 2 * TOLERANCE)


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8, 1e-13])
def test_tolerance(tolerance):
    for name in ("black_scholes", "variance_gamma", "nig", "kou", "double_heston"):
        params = sets(name, 5)
        exact, _ = normalised(ContourPricer, name, params)
        found, _ = normalised(COSPricer, name, params, tolerance=tolerance)
        assert np.abs(found - exact).max() <= tolerance


def test_black_scholes():
    params = np.array([[0.05], [0.2], [0.8]])
    expected = black_price(GRID.forward, GRID.strike, GRID.maturity, params, GRID.discount)
    prices = COSPricer("black_scholes", GRID).fit(params).transform(params)
    unit = np.maximum(GRID.spot, GRID.strike)
    assert np.all(np.abs(prices - expected) <= TOLERANCE * unit)


@pytest.mark.parametrize("kind", ["call", "put"])
def test_options_without_time_value(kind):
    """Strikes far beyond what the law reaches cost their intrinsic value."""
    grid = OptionGrid([1.0, 30.0, 300.0, 5000.0], [1 / 365], option_type=kind)
    prices = COSPricer("heston", grid).fit(sets("heston", 3)).transform(sets("heston", 3))
    sign = 1 if kind == "call" else -1
    intrinsic = np.maximum(sign * (100 - grid.strike), 0.0)
    unit = np.maximum(100, grid.strike)
    assert np.all(np.abs(prices - intrinsic) <= TOLERANCE * unit)


def test_plug_ins():
    """A formula of the literature, without a word about where moments end."""
    params = sets("variance_gamma", 5)
    expected = COSPricer("variance_gamma", SMALL).fit(params).transform(params)
    found = COSPricer(TextbookVarianceGamma(), SMALL).fit(params).transform(params)
    np.testing.assert_allclose(found, expected, rtol=0, atol=100 * TOLERANCE)
    check_pricer(COSPricer(Meixner(), OptionGrid([80, 100, 120], [0.2, 1.0])), tolerance=TOLERANCE)


# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tolerance": 1e-5},
        {"n_terms": 64},
        {"truncation": 5.0},
        {"truncation": 8.0, "n_terms": 128},
    ],
    ids=str,
)
def test_errors_are_known(settings):
    """From one day to ten years, in corners of the calibration boxes too."""
    for name in list_models():
        true, estimate = true_and_estimated(name, parameter_sets(name, 6), **settings)
        assert np.all(estimate >= 0.1 * true)


def test_cumulants_mislead():
    """Ten standard deviations are too few for a law with heavy tails at a short maturity."""
    params, grid = [[0.2, 1.0, -0.3]], OptionGrid([80.0, 100.0, 120.0], [1 / 52])
    exact, _ = normalised(ContourPricer, "variance_gamma", params, grid)
    usual, warned = normalised(COSPricer, "variance_gamma", params, grid, truncation=3.0)
    default, _ = normalised(COSPricer, "variance_gamma", params, grid)
    assert np.abs(usual - exact).max() > 1e-7
    assert np.all(warned >= 0.1 * np.abs(usual - exact))
    np.testing.assert_allclose(default, exact, rtol=0, atol=TOLERANCE)


def test_more_terms_are_better():
    params = sets("heston", 4)
    exact, _ = normalised(ContourPricer, "heston", params, SMALL)
    errors = [
        np.abs(normalised(COSPricer, "heston", params, SMALL, n_terms=n)[0] - exact).max()
        for n in (16, 64, 256, 1024)
    ]
    assert np.all(np.diff(np.log(errors)) < 0)
    assert errors[-1] < 1e-6


# -- derivatives ---------------------------------------------------------------------


@each_model
def test_jacobian(name):
    params = sets(name, 4)
    expected = ContourPricer(name, SMALL).fit(params).price_and_jacobian(params)[1]
    found = COSPricer(name, SMALL).fit(params).price_and_jacobian(params)[1]
    size = np.abs(expected).max(axis=2, keepdims=True)
    assert np.all(np.abs(found - expected) <= 1e-7 * size)


# -- contract ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SUMS else []) for n in list_models()],
)
def test_contract(name):
    grid = OptionGrid([80, 100, 125], [1 / 52, 2.0], rate=0.03, dividend=[0.0, 0.02])
    check_pricer(COSPricer(name, grid), tolerance=TOLERANCE)


def test_contract_of_implied_volatilities():
    kinds = ["call", "put", "put", "call"]
    grid = OptionGrid.from_quotes([90, 90, 110, 100], [0.5, 0.5, 0.5, 1.0], option_type=kinds)
    check_pricer(COSPricer("heston", grid, "implied_vol", tolerance=1e-13), tolerance=1e-13)


def test_chunks_and_threads_do_not_show(monkeypatch):
    params = sets("variance_gamma", 30)
    whole = COSPricer("variance_gamma", SMALL).fit(params).price_and_jacobian(params)
    monkeypatch.setattr(base, "_MAX_CHUNK", 7)
    parts = COSPricer("variance_gamma", SMALL, n_jobs=2).fit(params).price_and_jacobian(params)
    np.testing.assert_allclose(parts[0], whole[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-9, atol=1e-9)


def test_memory_is_bounded():
    """Neither the batch nor the number of terms shows."""
    params = np.resize(sets("variance_gamma", 50), (400, 3))
    grid = OptionGrid([90, 100, 110], [1.0])
    pricer = COSPricer("variance_gamma", grid, n_terms=20_000).fit(params)
    tracemalloc.start()
    pricer.transform(params)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20


# -- refusals ------------------------------------------------------------------------


def test_parameters_are_validated():
    check_param_validation("COSPricer", COSPricer("heston", SMALL))


@pytest.mark.parametrize(
    "settings",
    [{"n_terms": 1}, {"n_terms": 2.5}, {"truncation": 0.0}, {"tolerance": 0.0}, {"tolerance": 1}],
    ids=str,
)
def test_settings(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"The '{name}' parameter of COSPricer must be"):
        COSPricer("heston", SMALL, **settings).fit(sets("heston", 1))


def test_parameters_out_of_the_domain():
    pricer = COSPricer("heston", SMALL).fit(sets("heston", 1))
    for method in (pricer.transform, pricer.price_and_jacobian, pricer.error_estimate):
        with pytest.raises(ValueError, match=r"rho=-1.2 in row 0 is outside"):
            method([[0.04, 1.0, 0.04, 0.5, -1.2]])
