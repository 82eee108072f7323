"""ContourPricer: derivatives, grids of every shape, outputs, chunks, memory, refusals."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from levylearn import base
from levylearn.calibration._space import ParameterSpace
from levylearn.market import OptionGrid, black_price
from levylearn.models import CharacteristicModel, VarianceGamma, get_model, list_models
from levylearn.pricing import ContourPricer
from levylearn.testing import check_pricer
from levylearn.testing._common import sample_parameters
from tests.models._meixner import Meixner
from tests.pricing._truth import price_and_slopes

STRIKES = [60, 80, 90, 95, 100, 105, 110, 125, 160]
MATURITIES = [1 / 365, 0.1, 0.5, 1.0, 3.0]
GRID = OptionGrid(STRIKES, MATURITIES, rate=0.03, dividend=[0.0, 0.01, 0.02, 0.0, 0.01])
HESTON = np.array([[0.04, 1.5, 0.05, 0.6, -0.7], [0.09, 0.5, 0.02, 1.0, -0.3]])


def sets(name, n=4, random_state=0):
    model = get_model(name)
    return sample_parameters(model.parameters, model.admissible, n, random_state)


def fitted(name, grid=GRID, output="price", **settings):
    model = get_model(name)
    return ContourPricer(name, grid, output, **settings).fit(sets(model, 1))


class TextbookVarianceGamma(CharacteristicModel):
    """Variance Gamma as a plug-in: the formula of the literature, and nothing else."""

    name = "textbook_variance_gamma"
    parameters = VarianceGamma.parameters

    def log_cf(self, u, maturity, params):
        sigma, nu, theta = params.T[:, :, None]
        drift = np.log(1 - theta * nu - sigma**2 * nu / 2) / nu
        log = np.log(1 - 1j * theta * nu * u + sigma**2 * nu * u**2 / 2)
        return maturity * (1j * u * drift - log / nu)


# -- plans ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_models())
def test_plan_of_the_same_sets(name):
    pricer, params = fitted(name), sets(name, 40)
    found, _ = pricer.evaluate(params, plan=pricer.plan(params))
    np.testing.assert_array_equal(found, pricer.transform(params))


@pytest.mark.parametrize(("reach", "tolerance"), [(0.003, 1e-12), (0.03, 1e-10), (0.1, 1e-7)])
@pytest.mark.parametrize("name", list_models())
def test_plan_of_sets_close_by(name, reach, tolerance):
    # Of Variance Gamma's strikes, some change sides of the standstill, and the lines that
    # were made for the other side lead to infinity.
    pricer, params = fitted(name), sets(name, 100)
    space = ParameterSpace(pricer.parameters_)
    z = space.coordinates(params)
    z += reach * space.width * np.random.default_rng(0).uniform(-1, 1, params.shape)
    moved = space.parameters(np.clip(z, space.low, space.high))
    inside = pricer.admissible(moved)
    assert inside.sum() > 50
    found = pricer.evaluate(moved[inside], gradient=True, plan=pricer.plan(params)[inside])
    expected = pricer.evaluate(moved[inside], gradient=True)
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=tolerance * GRID.spot)
    size = np.abs(expected[1]).max(axis=2, keepdims=True) + GRID.spot
    # Lines that are enough for a price end a little early for its derivatives.
    assert (np.abs(found[1] - expected[1]) <= 1e4 * tolerance * size).all()


@pytest.mark.parametrize("name", list_models())
def test_what_may_be_lost_by_a_plan_of_other_sets(name):
    """Where nothing may be, all is planned anew; and each set has what it is allowed."""
    pricer, params = fitted(name), sets(name, 40)
    plan = pricer.plan(params)[::-1]
    exact = pricer.evaluate(params)[0]
    np.testing.assert_array_equal(pricer.evaluate(params, plan=plan, negligible=0.0)[0], exact)
    every_other = np.where(np.arange(len(params)) % 2, 0.0, 1e-9)
    found, _ = pricer.evaluate(params, plan=plan, negligible=every_other)
    np.testing.assert_allclose(found[1::2], exact[1::2], rtol=0, atol=1e-13 * GRID.spot)
    rough, _ = pricer.evaluate(params[::2], plan=plan[::2], negligible=1e-9)
    np.testing.assert_allclose(found[::2], rough, rtol=0, atol=1e-13 * GRID.spot)


# -- contract ------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_models())
def test_contract(name):
    grid = OptionGrid(STRIKES[1::2], MATURITIES[::2], rate=0.03, dividend=[0.0, 0.02, 0.01])
    check_pricer(ContourPricer(name, grid), tolerance=2e-14)


@pytest.mark.parametrize("output", ["forward_price", "implied_vol"])
def test_contract_of_outputs(output):
    kinds = ["call", "put", "put", "call"]
    grid = OptionGrid.from_quotes([90, 90, 110, 100], [0.5, 0.5, 0.5, 1.0], option_type=kinds)
    check_pricer(ContourPricer("heston", grid, output), tolerance=2e-14)


def test_contract_of_plug_in():
    check_pricer(ContourPricer(Meixner(), OptionGrid([80, 100, 120], [0.2, 1.0])))


# -- derivatives ---------------------------------------------------------------------


@pytest.mark.parametrize("name", list_models())
def test_jacobian_against_forty_digits(name):
    params = sets(name, 1, random_state=3)
    strike = 80 if len(params[0]) % 2 else 115
    price, jacobian = fitted(name, OptionGrid([strike], [0.5])).price_and_jacobian(params)
    expected, slopes = price_and_slopes(name, params[0], strike, 0.5)
    assert abs(price[0, 0] - float(expected)) < 1e-11
    np.testing.assert_allclose(jacobian[0, :, 0], [float(v) for v in slopes], rtol=1e-8)


def test_jacobian_of_implied_volatility():
    """Volatility by its own parameter is one; by the others, price slopes over vega."""
    params = np.array([[0.15], [0.3]])
    grid = OptionGrid([80, 100, 120], [0.5, 2.0], option_type=["call", "put"] * 3)
    volatility, jacobian = fitted("black_scholes", grid, "implied_vol").price_and_jacobian(params)
    np.testing.assert_allclose(volatility, np.repeat(params, 6, axis=1), rtol=1e-11)
    np.testing.assert_allclose(jacobian, 1.0, rtol=1e-9)


def test_jacobian_without_time_value_is_quiet():
    grid = OptionGrid([20.0, 100.0], [1 / 365])
    volatility, jacobian = fitted("black_scholes", grid, "implied_vol").price_and_jacobian([[0.1]])
    assert volatility[0, 1] == pytest.approx(0.1)
    assert jacobian[0, 0, 1] == pytest.approx(1.0)


# -- Black-Scholes -------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.05, 0.2, 0.8])
def test_black_scholes(sigma):
    params = [[sigma]]
    expected = black_price(GRID.forward, GRID.strike, GRID.maturity, sigma, GRID.discount)
    np.testing.assert_allclose(
        fitted("black_scholes").transform(params)[0], expected, rtol=0, atol=1e-12
    )
    # Further out a price has no digits left to find the volatility from.
    near = GRID.take(np.abs(GRID.log_moneyness) < 3 * sigma * np.sqrt(GRID.maturity))
    volatility = fitted("black_scholes", near, "implied_vol").transform(params)
    np.testing.assert_allclose(volatility, sigma, rtol=1e-9)


# -- plug-ins ------------------------------------------------------------------------


def test_plug_in_equals_built_in():
    params = sets("variance_gamma", 20)
    grid = OptionGrid(STRIKES, MATURITIES[1:])
    built_in = fitted("variance_gamma", grid)
    plug_in = ContourPricer(TextbookVarianceGamma(), grid).fit(params)
    prices, jacobian = plug_in.price_and_jacobian(params)
    expected, slopes = built_in.price_and_jacobian(params)
    np.testing.assert_allclose(prices, expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(jacobian, slopes, rtol=1e-7, atol=1e-7)


# -- grids ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["variance_gamma", "heston"])
def test_ragged_equals_product(name):
    params = sets(name)
    order = np.random.RandomState(0).permutation(GRID.n_quotes)
    ragged = GRID.take(order)
    assert not ragged.is_product
    product, taken = fitted(name), fitted(name, ragged)
    for method in ("transform", "error_estimate"):
        whole, part = getattr(product, method)(params), getattr(taken, method)(params)
        np.testing.assert_allclose(part, whole[:, order], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", list_models())
def test_quote_alone_equals_quote_in_a_grid(name):
    params = sets(name, 3)
    whole = fitted(name).transform(params)
    for quote in (0, 4, 13, 22, 31, 44):
        alone = fitted(name, GRID.take([quote])).transform(params)
        np.testing.assert_allclose(alone[:, 0], whole[:, quote], rtol=0, atol=2e-11)


def test_uneven_slices():
    """One strike at one maturity, five at another, a quote given twice."""
    grid = OptionGrid.from_quotes(
        [100, 80, 90, 100, 110, 120, 100, 100], [0.1, 1, 1, 1, 1, 1, 2, 2]
    )
    prices = fitted("heston", grid).transform(HESTON)
    for quote in range(grid.n_quotes):
        alone = fitted("heston", grid.take([quote])).transform(HESTON)
        np.testing.assert_allclose(alone[:, 0], prices[:, quote], rtol=0, atol=1e-12)
    np.testing.assert_allclose(prices[:, 6], prices[:, 7], rtol=1e-13)


@pytest.mark.parametrize("name", list_models())
def test_strike_at_the_forward(name):
    """Where the integrand does not oscillate at all; a call costs what a put does."""
    maturities = np.array([1 / 365, 1.0, 10.0])
    rate, dividend = 0.05, 0.01
    forward = 100 * np.exp((rate - dividend) * maturities)
    params = sets(name)
    prices = {
        kind: fitted(
            name,
            OptionGrid.from_quotes(
                forward, maturities, rate=rate, dividend=dividend, option_type=kind
            ),
        )
        for kind in ("call", "put")
    }
    calls, puts = (pricer.transform(params) for pricer in prices.values())
    np.testing.assert_allclose(calls, puts, rtol=0, atol=2e-12)
    # A hair beside it nothing jumps.
    beside = OptionGrid.from_quotes(forward * (1 + 1e-9), maturities, rate=rate, dividend=dividend)
    np.testing.assert_allclose(fitted(name, beside).transform(params), calls, rtol=0, atol=2e-7)


@pytest.mark.parametrize("name", list_models())
def test_one_day_to_ten_years(name):
    maturities = [1 / 365, 2 / 365, 1 / 52, 1 / 12, 0.25, 0.5, 1, 2, 5, 10]
    params = sets(name, 10)
    pricer = fitted(name, OptionGrid([70, 90, 100, 110, 140], maturities))
    prices, errors = pricer.transform(params), pricer.error_estimate(params)
    assert np.all(np.isfinite(prices))
    assert np.median(errors) < 1e-11
    by_maturity = prices.reshape(len(params), len(maturities), 5)
    assert np.all(np.diff(by_maturity, axis=1) > -1e-11)  # no rates: calls gain with time


# -- chunks, threads, memory ---------------------------------------------------------


@pytest.mark.parametrize("name", ["cgmy", "heston"])
def test_chunks_do_not_show(name, monkeypatch):
    params = sets(name, 30)
    pricer = fitted(name)
    prices, jacobian = pricer.price_and_jacobian(params)
    monkeypatch.setattr(base, "_MAX_CHUNK", 7)
    for way in (1, -1):
        again, slopes = pricer.price_and_jacobian(params[::way])
        np.testing.assert_allclose(again[::way], prices, rtol=0, atol=1e-12)
        np.testing.assert_allclose(slopes[::way], jacobian, rtol=1e-9, atol=1e-10)


def test_threads_do_not_show(monkeypatch):
    monkeypatch.setattr(base, "_MAX_CHUNK", 8)
    params = sets("heston", 40)
    alone, together = fitted("heston"), fitted("heston", n_jobs=2)
    for one, two in zip(
        alone.price_and_jacobian(params), together.price_and_jacobian(params), strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("gradient", "n_samples"), [(False, 20_000), (True, 5_000)])
def test_memory_does_not_grow_with_the_batch(gradient, n_samples):
    params = np.resize(sets("variance_gamma", 100), (n_samples, 3))
    pricer = fitted("variance_gamma", OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0]))
    pricer.evaluate(params[:1], gradient)
    tracemalloc.start()
    values, slopes = pricer.evaluate(params, gradient)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    results = values.nbytes + (slopes.nbytes if gradient else 0)
    # The parts, and the whole they are joined into.
    assert peak < 2 * results + 64 * 2**20


# -- refusals ------------------------------------------------------------------------


def test_not_fitted():
    pricer = ContourPricer("heston", GRID)
    for method in (pricer.transform, pricer.price_and_jacobian, pricer.error_estimate):
        with pytest.raises(NotFittedError):
            method(HESTON)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "hestn"}, "unknown model 'hestn'; choose from"),
        ({"model": 3}, "The 'model' parameter of ContourPricer must be"),
        ({"grid": [90, 100]}, "The 'grid' parameter of ContourPricer must be"),
        ({"output": "vol"}, "The 'output' parameter of ContourPricer must be"),
        ({"n_jobs": 1.5}, "The 'n_jobs' parameter of ContourPricer must be"),
    ],
)
def test_settings(settings, message):
    pricer = ContourPricer("heston", GRID).set_params(**settings)
    with pytest.raises(ValueError, match=message):
        pricer.fit(HESTON)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (HESTON[:, :4], "n_features=4.* expects n_features=5: v0, kappa, theta, sigma, rho"),
        (HESTON[0], "Expected 2D array, got 1D array"),
        (HESTON[:0], "minimum of 1 is required"),
        (np.where(HESTON == 1.5, np.nan, HESTON), "contains NaN"),
        (np.where(HESTON == 1.5, np.inf, HESTON), "contains infinity"),
        ([["a"] * 5], "could not convert|dtype"),
        (pd.DataFrame(HESTON, columns=["v0", "theta", "kappa", "sigma", "rho"]), "in this order"),
    ],
)
def test_fit_refuses(params, message):
    with pytest.raises(ValueError, match=message):
        ContourPricer("heston", GRID).fit(params)


def test_transform_refuses_what_is_out_of_the_domain():
    pricer = ContourPricer("heston", GRID).fit(HESTON)
    bad = np.where(HESTON == -0.3, -1.2, HESTON)
    message = r"rho=-1.2 in row 1 is outside \[-1, 1\], the domain of 'heston'"
    for method in (pricer.transform, pricer.price_and_jacobian, pricer.error_estimate):
        with pytest.raises(ValueError, match=message):
            method(bad)


def test_transform_refuses_other_columns():
    names = ["v0", "kappa", "theta", "sigma", "rho"]
    pricer = ContourPricer("heston", GRID).fit(pd.DataFrame(HESTON, columns=names))
    with pytest.raises(ValueError, match="feature names should match"):
        pricer.transform(pd.DataFrame(HESTON, columns=names)[names[::-1]])
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        pricer.get_feature_names_out(names[::-1])


def test_frame_in_frame_out():
    names = ["v0", "kappa", "theta", "sigma", "rho"]
    frame = pd.DataFrame(HESTON, columns=names, index=["calm", "wild"])
    pricer = ContourPricer("heston", GRID).set_output(transform="pandas").fit(frame)
    surfaces = pricer.transform(frame)
    assert list(surfaces.index) == ["calm", "wild"]
    assert surfaces.columns[0] == "call_T0.002739726027_K60"
