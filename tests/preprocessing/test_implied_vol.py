"""ImpliedVolTransformer: there and back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.datasets import load_dax_2002, load_sp500_2002
from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.preprocessing import ImpliedVolTransformer
from levylearn.pricing import ContourPricer
from levylearn.testing._common import sample_parameters

KINDS = ["put", "call", "call", "put", "call", "put"]
GRID = OptionGrid([85, 100, 120], [0.1, 1.0], rate=0.03, dividend=0.01, option_type=KINDS)


@pytest.mark.parametrize("unit", ["price", "forward_price"])
def test_agrees_with_the_pricer(unit):
    model = get_model("heston")
    params = sample_parameters(model.parameters, model.admissible, 50, random_state=0)
    prices, expected = (
        ContourPricer("heston", GRID, output).fit(params).transform(params)
        for output in (unit, "implied_vol")
    )
    transformer = ImpliedVolTransformer(GRID, unit).fit(prices)
    volatilities = transformer.transform(prices)
    known = np.isfinite(expected) & (GRID.discount * GRID.forward * prices > 1e-6)
    assert known.mean() > 0.9
    assert_allclose(volatilities[known], expected[known], atol=1e-8)
    assert_allclose(transformer.inverse_transform(volatilities), prices, rtol=1e-13, atol=1e-15)
    assert_array_equal(transformer.get_feature_names_out(), GRID.get_feature_names_out())


@pytest.mark.parametrize("load", [load_sp500_2002, load_dax_2002])
def test_market_quotes(load):
    data = load()
    X = data.prices[None]
    transformer = ImpliedVolTransformer(data.grid).fit(X)
    volatilities = transformer.transform(X)
    assert_allclose(volatilities[0], data.implied_vol, rtol=1e-10)
    assert_allclose(transformer.inverse_transform(volatilities), X, rtol=1e-14)


def test_where_there_is_no_volatility():
    grid = OptionGrid([80, 100, 120], [1.0])
    # Missing, and below its intrinsic value; at it; at the upper bound.
    X = np.array([[19.9, np.nan, 1.0], [20.0, 5.0, 100.0]])
    transformer = ImpliedVolTransformer(grid).fit(X)
    volatilities = transformer.transform(X)
    assert_array_equal(np.isnan(volatilities), [[True, True, False], [False, False, True]])
    assert volatilities[1, 0] == 0.0
    back = transformer.inverse_transform(volatilities)
    assert_allclose(back, np.where(np.isnan(volatilities), np.nan, X), rtol=1e-14)


def test_refusals():
    transformer = ImpliedVolTransformer(GRID).fit(np.ones((1, 6)))
    with pytest.raises(ValueError, match="volatility must be non-negative"):
        transformer.inverse_transform(np.full((1, 6), -0.1))
    with pytest.raises(ValueError, match=r"n_features=5.*expects n_features=6"):
        transformer.inverse_transform(np.ones((1, 5)))
    with pytest.raises(
        ValueError, match=r"n_features=5.*ImpliedVolTransformer expects n_features=6"
    ):
        ImpliedVolTransformer(GRID).fit(np.ones((1, 5)))
    with pytest.raises(ValueError, match="unit"):
        ImpliedVolTransformer(GRID, "implied_vol").fit(np.ones((1, 6)))
