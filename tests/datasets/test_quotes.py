"""The bundled market quotes: counts, conventions, consistency, published fits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.datasets import load_dax_2002, load_sp500_2002
from levylearn.market import black_price, check_arbitrage

LOADERS = {"sp500": load_sp500_2002, "dax": load_dax_2002}


@pytest.fixture(params=LOADERS)
def data(request):
    return LOADERS[request.param]()


def test_all_parts_say_the_same(data):
    grid = data.grid
    assert set(data) == {
        "grid",
        "prices",
        "implied_vol",
        "chain",
        "frame",
        "published_fits",
        "DESCR",
    }
    assert data.prices.shape == data.implied_vol.shape == (grid.n_quotes,) == (len(data.frame),)
    assert data.chain.grid is grid
    assert_array_equal(data.chain.prices, data.prices)
    assert_array_equal(data.frame.mid, data.prices)
    assert_array_equal(data.frame.implied_vol, data.implied_vol)
    assert_array_equal(data.frame.strike, grid.strike)
    assert_array_equal(data.frame.maturity, grid.maturity)
    assert_array_equal(data.frame.option_type, grid.option_type)


def test_prices_and_volatilities_belong_together(data):
    grid = data.grid
    prices = black_price(
        grid.forward,
        grid.strike,
        grid.maturity,
        data.implied_vol,
        discount=grid.discount,
        option_type=grid.option_type,
    )
    assert_allclose(prices, data.prices, rtol=1e-12)
    assert_allclose(data.chain.implied_vol, data.implied_vol, rtol=1e-12)


def test_description_names_its_source(data):
    assert "Source" in data.DESCR
    assert str(data.grid.n_quotes) in data.DESCR
    assert f"{data.grid.spot:g}" in data.DESCR


def test_without_a_frame():
    for load in LOADERS.values():
        assert load(as_frame=False).frame is None


def test_sp500():
    data = load_sp500_2002()
    assert data.grid.n_quotes == 75
    assert data.grid.spot == 1124.47
    assert set(data.grid.option_type) == {"call"}
    maturities, counts = np.unique(data.grid.maturity, return_counts=True)
    assert_allclose(maturities * 250, [22, 46, 109, 173, 234, 298, 427], rtol=1e-14)
    assert_array_equal(counts, [5, 12, 12, 14, 11, 11, 10])
    assert_allclose(data.grid.rate, 0.019, rtol=1e-12)
    assert_allclose(data.grid.dividend, 0.012, rtol=1e-12)
    assert_allclose([data.implied_vol.min(), data.implied_vol.max()], [0.148, 0.226], atol=5e-4)
    assert check_arbitrage(data.prices, data.grid).n_violations == 0
    assert list(data.frame.columns[:2]) == ["expiry", "trading_days"]
    # The price that is misprinted in some listings, and what the misprint would do.
    slip = np.flatnonzero((data.frame.expiry == "Dec 2002") & (data.frame.strike == 1025))
    assert_array_equal(data.prices[slip], [133.1])
    misprinted = data.prices.copy()
    misprinted[slip] = 114.8
    assert check_arbitrage(misprinted, data.grid).counts["convexity"][0] > 0


def test_sp500_published_fits():
    data = load_sp500_2002()
    assert set(data.published_fits) == {"black_scholes", "variance_gamma", "nig", "cgmy"}
    gamma = data.published_fits["variance_gamma"]["parameters"]
    assert_allclose(list(gamma.values()), [0.18002, 0.73670, -0.13611], rtol=5e-5)
    grid, fit = data.grid, data.published_fits["black_scholes"]
    prices = black_price(
        grid.forward, grid.strike, grid.maturity, fit["parameters"]["sigma"], grid.discount
    )
    error = np.abs(prices - data.prices)
    found = {
        "ape": error.mean() / data.prices.mean(),
        "aae": error.mean(),
        "rmse": np.sqrt(np.mean(error**2)),
        "arpe": np.mean(error / data.prices),
    }
    for name, value in found.items():
        assert_allclose(value, fit["errors_75"][name], rtol=5e-4)
        assert_allclose(value, fit["errors"][name], rtol=0.02)


def test_dax():
    data = load_dax_2002()
    assert data.grid.n_quotes == 104
    assert data.grid.spot == 4468.17
    maturities, counts = np.unique(data.grid.maturity, return_counts=True)
    assert_allclose(maturities * 365, [13, 41, 75, 165, 256, 345, 524, 703], rtol=1e-14)
    assert_array_equal(counts, 13)
    rates = [data.grid.rate[quotes[0]] for _, quotes in data.grid.slices]
    assert_allclose(
        rates, [0.0357, 0.0349, 0.0341, 0.0355, 0.0359, 0.0368, 0.0386, 0.0401], rtol=1e-12
    )
    assert_allclose(data.grid.dividend, 0.0, atol=1e-14)
    assert_array_equal(data.grid.is_call, data.grid.strike > data.grid.forward)
    assert_array_equal(data.implied_vol[[0, -1]], [0.6625, 0.2320])
    report = check_arbitrage(data.prices, data.grid)
    assert {kind for kind in report.kinds if report.counts[kind][0]} == {"convexity"}
    assert report.n_violations == 6
    assert report.to_frame().maturity.nunique() == 4
    assert report.largest["convexity"][0] < 7.1
    assert data.published_fits["heston"]["sse"] == 177.2
    assert data.published_fits["bates"]["sse"] == 36.6
