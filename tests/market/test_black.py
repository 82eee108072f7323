"""Black's formula: against 60-digit arithmetic, its limits, parity, Greeks, and what it refuses."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.market import BlackGreeks, black_greeks, black_price, black_vega

EPS = np.finfo(np.float64).eps


def exact_price(forward, strike, maturity, volatility, discount=1.0, option_type="call"):
    """The textbook formula with enough digits for its cancellations."""
    with mpmath.workdps(60 + 320):
        forward, strike, maturity, volatility, discount = (
            mpmath.mpf(float(x)) for x in (forward, strike, maturity, volatility, discount)
        )
        s = volatility * mpmath.sqrt(maturity)
        d1 = mpmath.log(forward / strike) / s + s / 2
        sign = 1 if option_type == "call" else -1
        price = sign * (forward * mpmath.ncdf(sign * d1) - strike * mpmath.ncdf(sign * (d1 - s)))
        return discount * price


# (log(K/F), total volatility): every branch of the formula and both sides of their borders.
CORNERS = [
    (x, s)
    for s in (1e-7, 1e-4, 0.02, 0.3, 0.999, 1.001, 2.5, 8.0, 40.0)
    for x in (0.0, 1e-9 * s, 0.01 * s, 0.5 * s, 2.0 * s, 6.0 * s, 20.0 * s, 33.0 * s, s * s / 2)
    if x < 300.0
] + [(1.999, 0.9), (2.001, 0.9), (1e-12, 1e-3)]


@pytest.mark.parametrize("option_type", ["call", "put"])
def test_out_of_the_money_keeps_its_relative_digits(option_type):
    sign = 1.0 if option_type == "call" else -1.0
    for x, s in CORNERS:
        strike = 100.0 * np.exp(sign * x)
        exact = exact_price(100.0, strike, 1.0, s, 0.9, option_type)
        price = black_price(100.0, strike, 1.0, s, 0.9, option_type)
        # The price reacts to a rounding of d1 by |d1| times as much, and of s by vega s / price.
        condition = 1.0 + (x / s) ** 2
        assert abs(float(price / exact) - 1.0) <= 8.0 * condition * EPS, (x, s)


def test_wing_price_of_1e_minus_250():
    exact = exact_price(1.0, 1.5, 1.0, 0.0120)
    assert 1e-260 < exact < 1e-240
    assert_allclose(black_price(1.0, 1.5, 1.0, 0.0120), float(exact), rtol=3e-13)


@given(
    x=st.floats(-3.0, 3.0),
    s=st.floats(0.001, 5.0),
    discount=st.floats(0.3, 1.1),
    option_type=st.sampled_from(["call", "put"]),
)
def test_agrees_with_the_textbook(x, s, discount, option_type):
    strike = 50.0 * np.exp(x)
    exact = exact_price(50.0, strike, 0.25, 2.0 * s, discount, option_type)
    price = black_price(50.0, strike, 0.25, 2.0 * s, discount, option_type)
    assert abs(price - exact) <= 1e-14 * max(50.0, strike)


@given(x=st.floats(-5.0, 5.0), s=st.floats(0.0, 10.0))
def test_parity(x, s):
    strike = 50.0 * np.exp(x)
    call, put = black_price(50.0, strike, 1.0, s, 0.95, ["call", "put"])
    assert abs(call - put - 0.95 * (50.0 - strike)) <= 4.0 * EPS * max(50.0, strike)


@given(x=st.floats(-5.0, 5.0), s=st.lists(st.floats(0.0, 60.0), min_size=2, max_size=20))
def test_rises_with_volatility_between_its_bounds(x, s):
    strike = np.exp(x)
    price = black_price(1.0, strike, 1.0, np.sort(s))
    assert_array_equal(price >= max(1.0 - strike, 0.0), True)
    assert_array_equal(price <= 1.0, True)
    assert np.all(np.diff(price) >= -2.0 * EPS)


@pytest.mark.parametrize("vanishing", [{"maturity": 0.0}, {"volatility": 0.0}])
@pytest.mark.parametrize(("option_type", "payoff"), [("call", [10, 0, 0]), ("put", [0, 0, 10])])
def test_without_time_or_volatility_it_is_the_payoff(vanishing, option_type, payoff):
    arguments = {"maturity": 1.0, "volatility": 0.2} | vanishing
    price = black_price(
        100.0, [90.0, 100.0, 110.0], **arguments, discount=0.5, option_type=option_type
    )
    assert_array_equal(price, 0.5 * np.array(payoff))
    assert_array_equal(np.signbit(price), False)


def test_limits_of_the_other_arguments():
    assert black_price(100.0, 0.0, 1.0, 0.2) == 100.0
    assert black_price(100.0, 0.0, 1.0, 0.2, option_type="put") == 0.0
    assert black_price(0.0, 100.0, 1.0, 0.2) == 0.0
    assert black_price(0.0, 100.0, 1.0, 0.2, option_type="put") == 100.0
    assert black_price(0.0, 0.0, 1.0, 0.2) == 0.0
    assert black_price(100.0, 90.0, 1.0, 1e300) == 100.0
    assert black_price(100.0, 110.0, 1.0, 1e-300) == 0.0
    assert black_price(1e-200, 1e200, 1.0, 0.2) == 0.0
    assert black_price(1e-200, 1e200, 1.0, 60.0) == 1e-200
    exact = exact_price(1e-200, 1e200, 1.0, 42.0)
    assert_allclose(black_price(1e-200, 1e200, 1.0, 42.0), float(exact), rtol=1e-12)


def test_broadcasts_and_returns_scalars_for_scalars():
    types = np.array(["call", "put"])
    grid = black_price(100.0, [[90.0], [100.0], [110.0]], 1.0, 0.2, 1.0, types)
    assert grid.shape == (3, 2)
    assert grid[2, 1] == black_price(100.0, 110.0, 1.0, 0.2, option_type="put")
    assert isinstance(black_price(100.0, 110.0, 1.0, 0.2), float)
    assert isinstance(black_vega(100.0, 110.0, 1.0, 0.2), float)
    assert black_price(100.0, [], 1.0, 0.2).shape == (0,)
    assert black_price(100.0, 90.0, 1.0, 0.2, option_type=np.array("put", dtype=object)) > 0


@pytest.mark.parametrize("position", range(5))
def test_nan_propagates(position):
    arguments = [np.full(2, value) for value in (100.0, 110.0, 1.0, 0.2, 0.9)]
    arguments[position][1] = np.nan
    for values in (black_price(*arguments), black_vega(*arguments), *black_greeks(*arguments)):
        assert np.isfinite(values[0])
        assert np.isnan(values[1])


def derivative(function, name, value, step, **others):
    """Central difference with respect to one argument."""
    up, down = ({name: value + side * step} for side in (1.0, -1.0))
    return (function(**up, **others) - function(**down, **others)) / (2.0 * step)


def test_greeks_are_derivatives():
    rate = 0.03

    def price(forward=100.0, maturity=0.7, volatility=0.35, rate=rate, function=black_price):
        strikes = np.array([70.0, 95.0, 100.0, 120.0, 180.0])[:, np.newaxis]
        discount = np.exp(-rate * maturity)
        return function(forward, strikes, maturity, volatility, discount, ["call", "put"])

    def delta(forward):
        return price(forward, function=black_greeks).delta

    greeks = price(function=black_greeks)
    assert isinstance(greeks, BlackGreeks)
    assert_allclose(greeks.delta, derivative(price, "forward", 100.0, 1e-3), rtol=1e-7)
    assert_allclose(greeks.gamma, derivative(delta, "forward", 100.0, 1e-3), rtol=1e-7)
    assert_allclose(greeks.vega, derivative(price, "volatility", 0.35, 1e-5), rtol=1e-7)
    assert_allclose(greeks.theta, -derivative(price, "maturity", 0.7, 1e-5), rtol=1e-7, atol=1e-9)
    assert_allclose(greeks.rho, derivative(price, "rate", 0.03, 1e-5), rtol=1e-7)
    one_column = price(function=lambda *arguments: black_vega(*arguments[:-1]))
    assert_allclose(np.broadcast_to(one_column, (5, 2)), greeks.vega, rtol=1e-15)


def test_vega_in_the_wing():
    with mpmath.workdps(50):
        s = mpmath.mpf(0.05)
        d1 = mpmath.log(mpmath.mpf(1) / 4) / s + s / 2
        exact = float(mpmath.npdf(d1))
    assert_allclose(black_vega(1.0, 4.0, 1.0, 0.05), exact, rtol=1e-12)


@pytest.mark.parametrize("vanishing", [{"maturity": 0.0}, {"volatility": 0.0}])
def test_greeks_without_time_or_volatility(vanishing):
    arguments = {"maturity": 1.0, "volatility": 0.2} | vanishing
    greeks = black_greeks(100.0, [90.0, 110.0], **arguments, discount=1.0)
    assert_array_equal(greeks.delta, [1.0, 0.0])
    assert_array_equal(greeks.gamma, [0.0, 0.0])
    assert_array_equal(greeks.vega, [0.0, 0.0])
    assert_array_equal(greeks.theta, [0.0, 0.0])
    at_the_money = black_greeks(100.0, 100.0, **arguments)
    assert at_the_money.delta == 0.5
    assert at_the_money.gamma == np.inf


@pytest.mark.parametrize("name", ["forward", "strike", "maturity", "volatility", "discount"])
@pytest.mark.parametrize("bad", [-1.0, np.inf])
@pytest.mark.parametrize("function", [black_price, black_vega, black_greeks])
def test_refuses_what_is_out_of_range(function, name, bad):
    arguments = dict.fromkeys(["forward", "strike", "maturity", "volatility", "discount"], 1.0)
    with pytest.raises(ValueError, match=rf"{name} must be .*; it is {bad}"):
        function(**arguments | {name: bad})
    with pytest.raises(ValueError, match=rf"{name} must be .*; entry 2 is {bad}"):
        function(**arguments | {name: [1.0, 1.0, bad, 1.0]})
    with pytest.raises(ValueError, match=rf"{name} must be .*; entry \(1, 0\) is {bad}"):
        function(**arguments | {name: [[1.0, 1.0], [bad, 1.0]]})


def test_refuses_other_nonsense():
    with pytest.raises(ValueError, match="option_type must be 'call' or 'put'; it is 'Call'"):
        black_price(100.0, 100.0, 1.0, 0.2, option_type="Call")
    with pytest.raises(ValueError, match="option_type must be 'call' or 'put'; entry 1 is 3"):
        black_price(100.0, 100.0, 1.0, 0.2, option_type=np.array(["call", 3], dtype=object))
    with pytest.raises(ValueError, match="option_type must be 'call' or 'put'; entry 0 is True"):
        black_price(100.0, 100.0, 1.0, 0.2, option_type=[True])
    with pytest.raises(ValueError, match="strike must be numbers"):
        black_price(100.0, "many", 1.0, 0.2)
    with pytest.raises(ValueError, match=r"broadcast.*strike \(3,\), maturity \(2,\)"):
        black_price(100.0, [1.0, 2.0, 3.0], [1.0, 2.0], 0.2)
    with pytest.raises(ValueError, match="forward must be positive and finite; it is 0"):
        black_greeks(0.0, 100.0, 1.0, 0.2)
