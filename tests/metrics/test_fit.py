"""Measures of fit: definitions, missing quotes, published figures."""

import numpy as np
import pytest

from levylearn.datasets import load_sp500_2002
from levylearn.market import OptionGrid, black_price
from levylearn.metrics import (
    average_absolute_error,
    average_percentage_error,
    average_relative_percentage_error,
    implied_vol_rmse,
)
from levylearn.models import get_model
from levylearn.pricing import ContourPricer

MEASURES = [
    average_absolute_error,
    average_percentage_error,
    average_relative_percentage_error,
]
GRID = OptionGrid([80, 100, 120], [0.25, 1.0], rate=0.03, dividend=0.01)


def priced(volatility, grid=GRID):
    return black_price(
        grid.forward,
        grid.strike,
        grid.maturity,
        volatility,
        discount=grid.discount,
        option_type=grid.option_type,
    )


@pytest.mark.parametrize("model", ["black_scholes", "variance_gamma", "nig", "cgmy"])
def test_reproduces_the_published_errors(model):
    """The printed parameters have the errors of the literature on the same 75 quotes."""
    data = load_sp500_2002(as_frame=False)
    published = data.published_fits[model]
    params = np.array([[published["parameters"][n] for n in get_model(model).parameter_names]])
    surface = ContourPricer(model, data.grid).fit(params).transform(params)[0]
    errors = published["errors_75"]
    assert average_percentage_error(data.prices, surface) == pytest.approx(errors["ape"], rel=2e-3)
    assert average_absolute_error(data.prices, surface) == pytest.approx(errors["aae"], rel=2e-3)
    arpe = average_relative_percentage_error(data.prices, surface)
    assert arpe == pytest.approx(errors["arpe"], rel=3e-3)


@pytest.mark.parametrize("measure", MEASURES)
def test_one_value_per_surface(measure):
    market = np.array([[10.0, 20.0, 5.0], [1.0, 2.0, 3.0]])
    model = market + np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]])
    both = measure(market, model)
    assert both.shape == (2,)
    assert both[0] == measure(market[0], model[0])
    assert both[1] == 0
    assert isinstance(measure(market[0], model[0]), float)


@pytest.mark.parametrize("measure", MEASURES)
def test_missing_quotes_do_not_count(measure):
    market, model = np.array([10.0, np.nan, 5.0]), np.array([11.0, 7.0, 4.5])
    assert measure(market, model) == measure(market[[0, 2]], model[[0, 2]])
    assert np.isnan(measure(np.full(3, np.nan), model))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_price_that_the_model_lacks_is_not_hidden(measure):
    assert np.isnan(measure([10.0, 5.0], [10.0, np.nan]))


@pytest.mark.parametrize("measure", MEASURES)
def test_refuses_shapes_that_differ(measure):
    with pytest.raises(ValueError, match=r"same shape.*\(2,\) and \(3,\)"):
        measure([1.0, 2.0], [1.0, 2.0, 3.0])


def test_relative_error_refuses_a_price_of_zero():
    with pytest.raises(ValueError, match="entry 1 is 0"):
        average_relative_percentage_error([1.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize("unit", ["price", "forward_price", "implied_vol"])
def test_implied_vol_rmse_in_every_unit(unit):
    surfaces = {"price": priced, "forward_price": lambda vol: priced(vol) / value_of_one}
    value_of_one = GRID.discount * GRID.forward
    surface = surfaces.get(unit, lambda vol: np.full(GRID.n_quotes, vol))
    error = implied_vol_rmse(surface(0.2), surface(0.23), grid=GRID, unit=unit)
    assert error == pytest.approx(0.03, abs=1e-12)


def test_implied_vol_rmse_of_puts_and_calls_agree():
    puts = OptionGrid([80, 100, 120], [0.25, 1.0], rate=0.03, dividend=0.01, option_type="put")
    error = implied_vol_rmse(priced(0.2, puts), priced(0.25, puts), grid=puts)
    assert error == pytest.approx(0.05, abs=1e-12)


def test_implied_vol_rmse_leaves_out_quotes_without_volatility():
    market, model = priced(0.2), priced(0.21)
    market[0] = np.nan  # not quoted
    market[3] = 1.0  # below intrinsic value
    market[1] = 99.9  # above the forward, discounted
    rows = np.stack([market, np.full(6, np.nan)])
    errors = implied_vol_rmse(rows, np.stack([model, model]), grid=GRID)
    assert errors[0] == pytest.approx(0.01, abs=1e-12)
    assert np.isnan(errors[1])


def test_implied_vol_rmse_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="unit must be one of"):
        implied_vol_rmse(priced(0.2), priced(0.2), grid=GRID, unit="vols")
    with pytest.raises(ValueError, match=r"one column per quote of the grid \(6\)"):
        implied_vol_rmse([1.0], [1.0], grid=GRID)
