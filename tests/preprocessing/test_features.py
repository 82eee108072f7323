"""SurfaceFeatures: parabolas are recovered, differences are differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.datasets import load_sp500_2002
from levylearn.market import OptionGrid, black_price
from levylearn.preprocessing import ImpliedVolTransformer, SurfaceFeatures

RAGGED = OptionGrid.from_quotes(
    [90, 95, 100, 105, 112, 100, 80, 100, 90, 120, 105],
    [0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 1, 1, 1, 1, 1],
    rate=0.02,
    option_type=["put"] * 2 + ["call"] * 3 + ["put"] * 2 + ["call"] * 4,
)


def smiles(grid, level, skew, convexity):
    k = grid.log_moneyness
    return level + skew * k + 0.5 * convexity * k**2 + 0.03 * grid.maturity


def prices(grid, volatility):
    market = (grid.forward, grid.strike, grid.maturity)
    return black_price(*market, volatility, grid.discount, grid.option_type)


@pytest.mark.parametrize("unit", ["price", "forward_price", "implied_vol"])
def test_parabolas_are_recovered(unit):
    rng = np.random.default_rng(0)
    shape = rng.uniform([[0.2, -0.3, 0.0]], [[0.4, 0.1, 1.0]], (20, 3))
    volatility = np.stack([smiles(RAGGED, *row) for row in shape])
    X = volatility if unit == "implied_vol" else prices(RAGGED, volatility)
    X = X / (RAGGED.discount * RAGGED.forward) if unit == "forward_price" else X
    found = SurfaceFeatures(RAGGED, unit=unit).fit_transform(X)
    expected = np.column_stack([shape, shape, np.full(20, 0.03)])
    expected[:, 0] += 0.03 * 0.25
    expected[:, 3] += 0.03
    assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    assert_array_equal(
        SurfaceFeatures(RAGGED).fit(X).get_feature_names_out(),
        [f"{kind}_{T}" for T in ("T0.25", "T1") for kind in ("level", "skew", "convexity")]
        + ["term_T0.25_T1"],
    )


def test_missing_quotes():
    X = smiles(RAGGED, 0.2, -0.1, 0.4)[None].repeat(4, axis=0)
    whole = SurfaceFeatures(RAGGED, unit="implied_vol").fit_transform(X[:1])[0]
    X[0, [1, 7]] = np.nan  # enough is left
    X[1, [0, 1, 4]] = np.nan  # two strikes are, of which one has a call and a put
    X[2, [0, 1, 2, 5]] = np.nan  # all are above the forward
    X[3] = np.nan
    found = SurfaceFeatures(RAGGED, unit="implied_vol").fit_transform(X)
    assert_allclose(found[0], whole, rtol=1e-9)
    assert_array_equal(np.isnan(found[1:, :3]), True)
    assert_array_equal(np.isnan(found[:, 6]), [False, True, True, True])
    assert_allclose(found[1:3, 3:6], whole[None, 3:6].repeat(2, axis=0), rtol=1e-9)
    assert np.isnan(found[3]).all()


def test_quotes_far_from_the_forward_say_nothing():
    grid = OptionGrid([50, 60, 170, 180], [0.05])
    features = SurfaceFeatures(grid, unit="implied_vol").fit_transform(np.full((1, 4), 0.2))
    assert np.isnan(features).all()


def test_differences_of_the_literature():
    grid = OptionGrid([90, 95, 100, 105, 110], [0.25, 0.5, 1.0], spot=100, rate=0.03)
    price = prices(grid, smiles(grid, 0.2, -0.2, 0.3))
    surface = price.reshape(3, 5)
    inside, at, outside = surface[:, 0], surface[:, 2], surface[:, 4]
    each = np.column_stack([at, outside - inside, inside + outside - 2 * at]) / 100
    expected = np.append(each.ravel(), (at[2] - at[0]) / 100)
    transformer = SurfaceFeatures(grid, kind="price")
    assert_allclose(transformer.fit_transform(price[None])[0], expected, rtol=1e-13)
    names = transformer.get_feature_names_out()
    assert len(names) == 10
    assert_array_equal(
        names[[0, 4, 8, 9]], ["level_T0.25", "skew_T0.5", "convexity_T1", "term_T0.25_T1"]
    )


def test_puts_have_the_differences_of_calls():
    calls = OptionGrid([90, 100, 110], [0.5], rate=0.03)
    puts = OptionGrid([90, 100, 110], [0.5], rate=0.03, option_type="put")
    found = [
        SurfaceFeatures(grid, kind="price").fit_transform(prices(grid, 0.2)[None])
        for grid in (calls, puts)
    ]
    assert_allclose(*found, rtol=1e-12)
    assert found[0].shape == (1, 3)  # one maturity has no term structure


def test_missing_differences():
    grid = OptionGrid([90, 95, 100, 110], [0.5])
    X = prices(grid, 0.2)[None].repeat(2, axis=0)
    X[0, 1], X[1, 3] = np.nan, np.nan
    found = SurfaceFeatures(grid, kind="price").fit_transform(X)
    assert_array_equal(np.isnan(found), [[False] * 3, [False, True, True]])


def test_market_skew():
    data = load_sp500_2002()
    X = data.prices[None]
    features = SurfaceFeatures(data.grid).set_output(transform="pandas").fit_transform(X)
    assert (features.filter(like="skew").to_numpy() < 0).all()
    volatilities = ImpliedVolTransformer(data.grid).fit_transform(X)
    same = SurfaceFeatures(data.grid, unit="implied_vol").fit_transform(volatilities)
    assert_allclose(features.to_numpy(), same, rtol=1e-12)
