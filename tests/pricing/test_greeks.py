"""Greeks: against differences in many digits, Black's formulas, and parity; as a transformer."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from levylearn.market import OptionGrid, black_greeks
from levylearn.models import get_model, list_models
from levylearn.pricing import (
    CarrMadanPricer,
    ContourPricer,
    COSPricer,
    GreeksTransformer,
    PIDEPricer,
)
from levylearn.testing._common import sample_parameters
from tests.pricing import _truth

MARKET = {"spot": 100.0, "rate": 0.03, "dividend": 0.01}
SMOOTH = {
    "black_scholes": (0.2,),
    "variance_gamma": (0.2, 0.15, -0.14),
    "cgmy": (0.1, 4.0, 6.0, 1.2),
    "nig": (12.0, -3.0, 0.4),
    "merton": (0.15, 0.5, -0.1, 0.15),
    "kou": (0.15, 0.5, 0.3, 20.0, 10.0),
    "heston": (0.04, 1.5, 0.05, 0.5, -0.7),
    "bates": (0.04, 1.5, 0.05, 0.5, -0.7, 0.3, -0.1, 0.1),
    "double_heston": (0.02, 2.0, 0.03, 0.3, -0.8, 0.02, 0.5, 0.05, 0.5, -0.3),
    "double_heston_jump": (
        *(0.02, 2.0, 0.03, 0.3, -0.8, 0.02, 0.5, 0.05, 0.5, -0.3),
        *(0.3, -0.1, 0.1),
    ),
}


def sets(name, n):
    model = get_model(name)
    return sample_parameters(model.parameters, model.admissible, n, random_state=3)


def greeks(name, grid, params, **settings):
    params = np.atleast_2d(params)
    return ContourPricer(name, grid, **settings).fit(params).greeks(params)


@pytest.mark.parametrize(("strike", "maturity"), [(90.0, 1.0), (120.0, 2.0)])
@pytest.mark.parametrize("name", SMOOTH)
def test_against_differences_in_many_digits(name, strike, maturity):
    found = greeks(name, OptionGrid([strike], [maturity], **MARKET), SMOOTH[name])
    expected = _truth.greeks(name, SMOOTH[name], strike, maturity, **MARKET)
    for greek, value in expected.items():
        assert found[greek][0, 0] == pytest.approx(float(value), rel=1e-11), greek


def test_every_model_is_tested():
    assert set(SMOOTH) == set(list_models())


@pytest.mark.parametrize("kind", ["call", "put"])
def test_against_black(kind):
    grid = OptionGrid([70, 95, 100, 140], [1 / 365, 0.5, 2.0], option_type=kind, **MARKET)
    found = greeks("black_scholes", grid, [0.2])
    black = black_greeks(
        grid.forward, grid.strike, grid.maturity, 0.2, grid.discount, grid.option_type
    )
    growth = grid.forward / grid.spot
    carry = grid.rate - grid.dividend
    # With the forward held there; with the spot held here.
    expected = {
        "delta": black.delta * growth,
        "gamma": black.gamma * growth**2,
        "theta": black.theta - black.delta * grid.forward * carry,
        "rho": black.rho + black.delta * grid.forward * grid.maturity,
    }
    for name, values in expected.items():
        size = 1e-12 * np.abs(values).max()
        np.testing.assert_allclose(found[name][0], values, rtol=1e-11, atol=size)
    np.testing.assert_allclose(found.vega[0, 0], black.vega, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", list_models())
def test_parity(name):
    """A call less a put is a forward contract, whatever the model."""
    quotes = {"strikes": [80, 100, 125], "maturities": [0.05, 1.0], **MARKET}
    params = sets(name, 20)
    call, put = (
        greeks(name, OptionGrid(**quotes, option_type=kind), params) for kind in ("call", "put")
    )
    grid = OptionGrid(**quotes)
    stock, bond = np.exp(-grid.dividend * grid.maturity), grid.strike * grid.discount
    expected = {
        "delta": stock,
        "gamma": 0.0,
        "theta": grid.dividend * grid.spot * stock - grid.rate * bond,
        "rho": grid.maturity * bond,
        "vega": 0.0,
    }
    for greek, value in expected.items():
        size = 1e-13 * max(np.abs(call[greek]).max(), 100.0)
        np.testing.assert_allclose(call[greek] - put[greek], value + 0 * call[greek], atol=size)


@pytest.mark.parametrize("name", list_models())
def test_hard_maturities_against_finer_sums(name, monkeypatch):
    """Over the market ranges, short maturities included, lines twice as fine change nothing."""
    grid = OptionGrid(np.linspace(75, 130, 12), [30 / 365, 0.3, 2.0], **MARKET)
    params = sets(name, 60)
    found = greeks(name, grid, params)
    monkeypatch.setattr("levylearn.pricing._contour.LOG_GREEK", np.log(1e-12))
    finer = greeks(name, grid, params)
    for greek in ("delta", "gamma", "theta", "rho", "vega"):
        size = np.abs(finer[greek]).max(axis=-1, keepdims=True)
        assert (np.abs(found[greek] - finer[greek]) <= 1e-11 * size).all(), greek


@pytest.mark.parametrize("name", list_models())
def test_other_methods(name):
    """Methods that share no line with each other agree, where they have an answer."""
    grid = OptionGrid(np.linspace(75, 130, 7), [30 / 365, 0.5, 2.0], **MARKET)
    params = sets(name, 8)
    expected = greeks(name, grid, params)
    for pricer, share in ((COSPricer, 1.0), (CarrMadanPricer, 0.5)):
        found = pricer(name, grid).fit(params).greeks(params)
        for greek in ("delta", "gamma", "theta", "rho", "vega"):
            values = expected[greek]
            size = np.abs(values).max(axis=-1, keepdims=True)
            known = np.isfinite(found[greek])
            assert known.mean() >= share
            error = np.where(known, np.abs(found[greek] - values), 0.0)
            assert (error <= 1e-8 * size).all(), (pricer, greek)


def test_greeks_beyond_the_reach_of_a_transform():
    """Close to an infinite density no number of frequencies is enough."""
    grid, params = OptionGrid([100.0], [1 / 365], **MARKET), sets("variance_gamma", 4)
    found = CarrMadanPricer("variance_gamma", grid).fit(params).greeks(params)
    assert np.isnan(found.gamma).all()


def test_methods_without_greeks():
    pricer = PIDEPricer("kou", GRID, n_space=64, n_time=8).fit(sets("kou", 1))
    with pytest.raises(NotImplementedError, match="PIDEPricer has no Greeks"):
        pricer.greeks(sets("kou", 1))


def test_output_does_not_matter():
    """Greeks are those of prices in currency."""
    grid, params = OptionGrid([90, 110], [0.5], **MARKET), sets("heston", 3)
    expected = greeks("heston", grid, params)
    for output in ("forward_price", "implied_vol"):
        found = greeks("heston", grid, params, output=output)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_threads_and_chunks_do_not_matter(monkeypatch):
    grid, params = OptionGrid([90, 110], [0.5, 1.0], **MARKET), sets("bates", 12)
    expected = greeks("bates", grid, params)
    monkeypatch.setattr("levylearn.base._MAX_CHUNK", 5)
    found = greeks("bates", grid, params, n_jobs=2)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-11, atol=1e-12)


# -- as a transformer ----------------------------------------------------------------

GRID = OptionGrid([90, 110], [0.5, 1.0], **MARKET)


def test_columns():
    params = sets("variance_gamma", 3)
    pricer = ContourPricer("variance_gamma", GRID)
    transformer = GreeksTransformer(pricer, greeks=("vega", "delta")).fit(params)
    found = transformer.transform(params)
    names = list(transformer.get_feature_names_out())
    expected = greeks("variance_gamma", GRID, params)
    assert found.shape == (3, 16)
    nu = [names.index(f"vega_nu_{quote}") for quote in GRID.get_feature_names_out()]
    np.testing.assert_array_equal(found[:, nu], expected.vega[:, 1])
    np.testing.assert_array_equal(found[:, 12:], expected.delta)
    assert names[12] == "delta_call_T0.5_K90"


def test_in_a_pipeline():
    params = sets("heston", 3)
    transformer = GreeksTransformer(ContourPricer("heston", GRID), greeks=["theta"])
    per_day = make_pipeline(transformer, FunctionTransformer(lambda X: X / 365))
    expected = greeks("heston", GRID, params).theta / 365
    np.testing.assert_allclose(per_day.fit(params).transform(params), expected)


@pytest.mark.parametrize("names", [["delta", "speed"], [], ("Vega",)])
def test_refuses_what_is_no_greek(names):
    transformer = GreeksTransformer(ContourPricer("heston", GRID), greeks=names)
    with pytest.raises(ValueError, match=r"greeks must be some of delta, gamma, .*; got"):
        transformer.fit(sets("heston", 1))


def test_refuses_bad_parameters():
    pricer = ContourPricer("heston", GRID).fit(sets("heston", 1))
    with pytest.raises(ValueError, match="kappa=-1 in row 0 is outside"):
        pricer.greeks([[0.04, -1.0, 0.04, 0.5, -0.7]])
