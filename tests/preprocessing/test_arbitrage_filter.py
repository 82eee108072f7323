"""ArbitrageFilter: finds the quotes that were spoilt, and leaves no arbitrage."""

from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from levylearn.datasets import load_dax_2002, load_sp500_2002
from levylearn.market import OptionGrid, black_price, check_arbitrage
from levylearn.models import get_model
from levylearn.preprocessing import ArbitrageFilter, GaussianNoise
from levylearn.pricing import ContourPricer
from levylearn.testing._common import sample_parameters

GRID = OptionGrid([80, 90, 95, 100, 105, 110, 120], [0.25, 0.5, 1.0], rate=0.02)


@pytest.fixture(scope="module")
def prices():
    model = get_model("heston")
    params = sample_parameters(model.parameters, model.admissible, 100, random_state=0)
    return ContourPricer("heston", GRID).fit(params).transform(params)


def test_prices_of_a_model_are_left_alone(prices):
    prices = prices.copy()
    prices[::2, 4] = np.nan
    arbitrage_filter = ArbitrageFilter(GRID).fit(prices)
    assert_array_equal(arbitrage_filter.transform(prices), prices)
    assert not arbitrage_filter.dropped(prices).any()


@pytest.mark.parametrize("size", [3.0, -3.0])
def test_the_spoilt_quote_is_found(prices, size):
    spoilt = prices.copy()
    rows, quote = np.arange(len(prices)), np.arange(len(prices)) % GRID.n_quotes
    spoilt[rows, quote] += size
    found = ArbitrageFilter(GRID).fit(spoilt).dropped(spoilt)
    seen = ~check_arbitrage(spoilt, GRID).is_free
    assert seen.mean() > 0.8
    assert_array_equal(found.sum(axis=1), seen)
    # Two quotes that cannot both be right may each be the one that is wrong: at the ends of a
    # smile there is no third to tell.
    inside = ~np.isin(GRID.strike[quote], [80, 120])
    right = found[rows, quote]
    assert right[seen & inside].mean() > 0.9


def test_nothing_is_left(prices):
    noisy = GaussianNoise(0.02, random_state=0).fit_transform(prices)
    noisy[:, 3] = np.nan
    arbitrage_filter = ArbitrageFilter(GRID).fit(noisy)
    clean, dropped = arbitrage_filter.transform(noisy), arbitrage_filter.dropped(noisy)
    assert check_arbitrage(clean, GRID).is_free.all()
    assert_array_equal(clean, np.where(dropped, np.nan, noisy))
    assert not dropped[:, 3].any()
    assert 0 < dropped.sum(axis=1).mean() < 10


def test_hardly_more_than_the_fewest():
    """Against the smallest set of all, by trying every set."""
    grid = OptionGrid([80, 90, 95, 100, 105, 110, 120], [0.5])
    market = (grid.forward, grid.strike, grid.maturity)
    X = black_price(*market, 0.2) + np.zeros((60, 1))
    X = GaussianNoise(0.3, kind="absolute", random_state=0).fit_transform(X)
    found = ArbitrageFilter(grid).fit(X).dropped(X).sum(axis=1)
    fewest = np.array([smallest(row, grid) for row in X])
    assert (found >= fewest).all()
    assert fewest.max() >= 2
    assert (found == fewest).mean() > 0.95
    assert (found <= fewest + 1).all()


def smallest(prices, grid):
    """Number of quotes that have to go, at least."""
    for number in range(grid.n_quotes):
        sets = np.array(list(combinations(range(grid.n_quotes), number)), dtype=int)
        tried = np.tile(prices, (len(sets), 1))
        np.put_along_axis(tried, sets, np.nan, axis=1)
        if check_arbitrage(tried, grid).is_free.any():
            return number
    raise AssertionError("one quote alone is free of arbitrage unless it breaks a bound")


def test_calendar_and_parity():
    grid = OptionGrid.from_quotes(
        [100, 100, 100, 110], [0.5, 0.5, 1.0, 1.0], option_type=["call", "put", "call", "call"]
    )
    # The put disagrees with all others; then the earlier call is dearer than the later.
    X = np.array([[6.0, 9.0, 8.0, 4.0], [9.0, 9.0, 8.0, np.nan], [6.0, 6.0, 8.0, 4.0]])
    dropped = ArbitrageFilter(grid).fit(X).dropped(X)
    assert_array_equal(dropped.sum(axis=1), [1, 1, 0])
    assert dropped[0, 1]
    assert dropped[1, 2]


def test_tolerance():
    grid = OptionGrid([90, 100, 110], [1.0])
    X = np.array([[13.0, 9.0, 4.0]])  # the middle is 0.5 above the line
    for tolerance, dropped in ((None, 1), (0.2, 1), (0.3, 0), ([0.0, 0.6, 0.0], 0)):
        arbitrage_filter = ArbitrageFilter(grid, tolerance).fit(X)
        assert arbitrage_filter.dropped(X).sum() == dropped


@pytest.mark.parametrize("unit", ["forward_price", "implied_vol"])
def test_units(unit):
    grid = OptionGrid([90, 95, 100, 105, 110], [0.5], rate=0.05)
    volatility = np.array([[0.2, 0.2, 0.3, 0.2, 0.2]])
    prices = black_price(grid.forward, grid.strike, grid.maturity, volatility, grid.discount)
    X = volatility if unit == "implied_vol" else prices / (grid.discount * grid.forward)
    arbitrage_filter = ArbitrageFilter(grid, unit=unit)
    assert_array_equal(np.isnan(arbitrage_filter.fit_transform(X)), [[0, 0, 1, 0, 0]])


def test_market_quotes():
    dax, sp500 = load_dax_2002(), load_sp500_2002()
    clean = ArbitrageFilter(dax.grid).fit_transform(dax.prices[None])
    assert np.isnan(clean).sum() == 5
    assert check_arbitrage(clean, dax.grid).is_free.all()
    assert not np.isnan(ArbitrageFilter(sp500.grid).fit_transform(sp500.prices[None])).any()


def test_refusals():
    with pytest.raises(ValueError, match="tolerance must be finite and >= 0"):
        ArbitrageFilter(GRID, -1.0).fit(np.ones((1, 21)))
    with pytest.raises(ValueError, match="tolerance must be a number or one per quote"):
        ArbitrageFilter(GRID, [1.0, 2.0]).fit(np.ones((1, 21)))
