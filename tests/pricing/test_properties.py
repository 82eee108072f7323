"""What no price may violate, for any parameters of any model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levylearn.market import OptionGrid
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer
from tests.models.test_properties import parameter_sets

MONEYNESS = np.array([0.5, 0.8, 0.9, 0.97, 1.0, 1.03, 1.1, 1.25, 2.0])
MATURITIES = np.array([1 / 365, 1 / 52, 0.25, 1.0, 10.0])
RATE, DIVIDEND = 0.04, 0.015
SHAPE = (len(MATURITIES), len(MONEYNESS))
# Errors that prices over forward may have, over the market ranges.
SLACK = 2e-13

DRIFT = np.exp((RATE - DIVIDEND) * MATURITIES)


def grid(option_type="call", spot=100.0):
    """The same multiples of the forward at every maturity: calls may be compared over time."""
    return OptionGrid.from_quotes(
        (spot * DRIFT[:, None] * MONEYNESS).ravel(),
        np.repeat(MATURITIES, len(MONEYNESS)),
        spot=spot,
        rate=RATE,
        dividend=DIVIDEND,
        option_type=option_type,
    )


PRICERS = {}


def pricer(name, **market):
    key = (name, *market.items())
    if key not in PRICERS:
        model = get_model(name)
        middle = [[np.mean(parameter.market_range) for parameter in model.parameters]]
        PRICERS[key] = ContourPricer(name, grid(**market)).fit(middle)
    return PRICERS[key]


def normalised(pricer, params):
    """Prices over discounted forward, one row for each maturity."""
    prices = pricer.transform(params)[0] / (pricer.grid.discount * pricer.grid.forward)
    return prices.reshape(SHAPE)


def violations(calls):
    """How far calls are from what absence of arbitrage allows: all must be <= 0."""
    steps = np.diff(MONEYNESS)
    fall = -np.diff(calls, axis=1)
    yield np.maximum(1 - MONEYNESS, 0) - calls
    yield calls - 1
    yield -fall
    yield fall - steps
    # Convexity, as the price of a butterfly in units of its narrower wing.
    wing = np.minimum(steps[1:], steps[:-1])
    yield wing * np.diff(fall / steps, axis=1)
    yield -np.diff(calls, axis=0)


for_every_model = pytest.mark.parametrize("name", list_models())


@for_every_model
@settings(max_examples=10)
@given(data=st.data())
def test_no_arbitrage_in_the_market_ranges(name, data):
    params = data.draw(parameter_sets(get_model(name), box="market"))
    for violation in violations(normalised(pricer(name), params)):
        assert violation.max() <= 4 * SLACK


@for_every_model
@settings(max_examples=10)
@given(data=st.data())
def test_arbitrage_elsewhere_is_within_the_reported_error(name, data):
    """Corners of the calibration boxes are hard; the pricer knows it."""
    params = data.draw(parameter_sets(get_model(name)))
    model = pricer(name)
    calls = normalised(model, params)
    errors = model.error_estimate(params)[0] / (model.grid.discount * model.grid.forward)
    for violation in violations(calls):
        assert violation.max() <= 40 * errors.max() + 4 * SLACK


@for_every_model
@settings(max_examples=5)
@given(data=st.data())
def test_put_call_parity(name, data):
    params = data.draw(parameter_sets(get_model(name)))
    calls = normalised(pricer(name), params)
    puts = normalised(pricer(name, option_type="put"), params)
    np.testing.assert_allclose(calls - puts, np.tile(1 - MONEYNESS, (5, 1)), rtol=0, atol=1e-14)


@for_every_model
@settings(max_examples=5)
@given(data=st.data())
def test_prices_scale_with_the_spot(name, data):
    params = data.draw(parameter_sets(get_model(name), box="market"))
    small, large = (normalised(pricer(name, spot=spot), params) for spot in (0.01, 40_000.0))
    np.testing.assert_allclose(small, large, rtol=0, atol=2 * SLACK)
