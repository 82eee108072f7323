"""Implied volatility: reference values, round trips everywhere, bounds, and what it refuses."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.market import _implied_volatility as module
from levylearn.market import black_price, black_vega, implied_volatility

EPS = np.finfo(np.float64).eps


@pytest.fixture(scope="module")
def reference():
    path = Path(__file__).parent / "data" / "implied_vol.csv"
    with path.open() as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(rows) == 120
    numbers = ("forward", "strike", "T", "df", "price", "vol", "vol_tol")
    table = {name: np.array([float(row[name]) for row in rows]) for name in numbers}
    return table | {"option_type": np.array([row["option_type"] for row in rows])}


def implied(table, **options):
    names = ("price", "forward", "strike", "T", "df", "option_type")
    return implied_volatility(*(table[name] for name in names), **options)


def test_reference(reference):
    volatility = implied(reference, on_error="raise")
    error = np.abs(volatility - reference["vol"]) / reference["vol_tol"]
    assert_array_equal(error <= 1.0, True)
    # What is left of the tolerance is for other processors' exp, log and erfcx.
    assert error.max() < 0.5


def test_reference_prices(reference):
    table = reference
    names = ("forward", "strike", "T", "vol", "df", "option_type")
    price = black_price(*(table[name] for name in names))
    h = np.log(table["forward"] / table["strike"]) / (table["vol"] * np.sqrt(table["T"]))
    assert_array_equal(np.abs(price / table["price"] - 1.0) <= 10.0 * EPS * (1.0 + h * h), True)


# Out-of-the-money prices, drawn over the whole of what a double can say.
log_ratios = st.one_of(st.just(0.0), st.floats(-17, 2.7).map(lambda x: 10.0**x))
shares = st.one_of(
    st.floats(-294, 0).map(lambda x: 10.0**x),
    st.floats(1e-3, 1.0),
    st.floats(-15, 0).map(lambda x: 1.0 - 10.0**x),
)


@given(
    a=log_ratios, share=shares, low=st.floats(-6, 6).map(lambda x: 10.0**x), is_call=st.booleans()
)
def test_every_out_of_the_money_price_comes_back(a, share, low, is_call):
    high = low * np.exp(a)
    price = low * share
    if not 0.0 < price < low:
        return
    forward, strike = (low, high) if is_call else (high, low)
    option_type = "call" if is_call else "put"
    volatility = implied_volatility(price, forward, strike, 1.0, option_type=option_type)
    back = black_price(forward, strike, 1.0, volatility, option_type=option_type)
    a = np.log1p((high - low) / low)
    # The price follows a rounding of a and of the volatility.
    condition = 1.0 + (a / volatility) ** 2
    condition += volatility * black_vega(forward, strike, 1.0, volatility) / price
    assert abs(back / price - 1.0) <= 12.0 * EPS * condition


@given(
    h=st.floats(0.0, 35.0),
    s=st.floats(-8.0, 0.7).map(lambda x: 10.0**x),
    maturity=st.floats(1e-4, 30.0),
    discount=st.floats(0.3, 1.05),
    side=st.sampled_from([-1.0, 1.0]),
)
def test_every_volatility_comes_back_from_out_of_the_money(h, s, maturity, discount, side):
    strike = 100.0 * np.exp(side * h * s)
    option_type = "call" if strike >= 100.0 else "put"
    volatility = s / np.sqrt(maturity)
    price = black_price(100.0, strike, maturity, volatility, discount, option_type)
    found = implied_volatility(price, 100.0, strike, maturity, discount, option_type)
    vega = black_vega(100.0, strike, maturity, volatility, discount)
    assert abs(found - volatility) <= 16.0 * EPS * (volatility + price / vega)


@given(x=st.floats(-1.0, 1.0), s=st.floats(0.02, 3.0), option_type=st.sampled_from(["call", "put"]))
def test_in_the_money_loses_the_digits_of_the_intrinsic_value_only(x, s, option_type):
    strike = 100.0 * np.exp(x)
    price = black_price(100.0, strike, 1.0, s, 0.9, option_type)
    vega = black_vega(100.0, strike, 1.0, s, 0.9)
    found = implied_volatility(price, 100.0, strike, 1.0, 0.9, option_type)
    tolerance = 8.0 * EPS * (s + max(price, 90.0) / max(vega, 1e-300))
    if tolerance < 0.1 * s:
        assert abs(found - s) <= 2.0 * tolerance


def test_a_row_does_not_depend_on_the_others():
    rng = np.random.default_rng(0)
    n = 3 * module._CHUNK + 17
    s = 10.0 ** rng.uniform(-3, 1, n)
    strike = np.exp(s * rng.uniform(0, 8, n))
    price = black_price(1.0, strike, 1.0, s)
    price[::97] = np.nan
    together = implied_volatility(price, 1.0, strike, 1.0)
    order = rng.permutation(n)
    assert_array_equal(implied_volatility(price[order], 1.0, strike[order], 1.0), together[order])
    for i in range(0, 200):
        assert_array_equal(implied_volatility(price[i], 1.0, strike[i], 1.0), together[i])


def test_takes_three_steps_at_most(monkeypatch):
    monkeypatch.setattr(module, "_MAX_STEPS", 3)
    a = np.concatenate([[0.0], np.geomspace(1e-16, 600.0, 400)])[:, np.newaxis]
    share = np.concatenate([np.geomspace(1e-290, 0.5, 600), 1.0 - np.geomspace(1e-15, 0.5, 200)])
    assert np.isfinite(implied_volatility(share, 1.0, np.exp(a), 1.0)).all()


def test_gives_up_with_nan_rather_than_a_wrong_number(monkeypatch):
    monkeypatch.setattr(module, "_MAX_STEPS", 1)
    prices = black_price(1.0, [1.0, 20.0], 1.0, [0.1, 4.0])
    found = implied_volatility(prices, 1.0, [1.0, 20.0], 1.0)
    assert_allclose(found, [0.1, np.nan], rtol=1e-14)


def test_intrinsic_value_means_no_volatility():
    strikes = np.array([80.0, 100.0, 120.0])
    for discount in (1.0, 0.97, 1.0 / 3.0):
        for option_type in ("call", "put"):
            for maturity in (0.0, 0.5):
                price = black_price(100.0, strikes, maturity, 0.0, discount, option_type)
                found = implied_volatility(
                    price, 100.0, strikes, maturity, discount, option_type, on_error="raise"
                )
                assert_array_equal(found, 0.0)
    # rounded otherwise
    spot, carry = 101.3, 0.013
    price = spot * np.exp(-carry) - 77.7 * np.exp(-0.03)
    forward, discount = spot * np.exp(0.03 - carry), np.exp(-0.03)
    assert implied_volatility(price * (1 - 2 * EPS), forward, 77.7, 1.0, discount) == 0.0


@pytest.mark.parametrize(
    ("price", "strike", "option_type"),
    [
        (19.999999, 80.0, "call"),
        (19.999999, 120.0, "put"),
        (-1e-300, 120.0, "call"),
        (-1e-300, 80.0, "put"),
        (100.0, 80.0, "call"),
        (100.1, 120.0, "call"),
        (80.0, 80.0, "put"),
        (np.inf, 80.0, "call"),
        (-np.inf, 80.0, "call"),
    ],
)
def test_no_volatility_outside_the_bounds(price, strike, option_type):
    found = implied_volatility(
        [1.0 + 20.0, price], 100.0, [80.0, strike], 1.0, 1.0, ["call", option_type]
    )
    assert np.isfinite(found[0])
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match=rf"entry 1 is {price} \({option_type}, forward 100"):
        implied_volatility(
            [21.0, price], 100.0, [80.0, strike], 1.0, 1.0, ["call", option_type], on_error="raise"
        )


def test_no_volatility_without_time():
    assert np.isnan(implied_volatility(21.0, 100.0, 80.0, 0.0))
    with pytest.raises(ValueError, match="intrinsic value 20 when no time is left; it is 21"):
        implied_volatility(21.0, 100.0, 80.0, 0.0, on_error="raise")
    with pytest.raises(ValueError, match=r"entry \(1, 0\) is 200"):
        implied_volatility([[21.0], [200.0]], 100.0, 80.0, 1.0, on_error="raise")


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("on_error", ["nan", "raise"])
def test_nan_in_nan_out(position, on_error):
    for price in (21.0, 20.0):
        arguments = [np.full(2, value) for value in (price, 100.0, 80.0, 1.0, 1.0)]
        arguments[position][1] = np.nan
        found = implied_volatility(*arguments, on_error=on_error)
        assert_array_equal(np.isnan(found), [False, True])


def test_smallest_prices():
    tiny = np.array([5e-324, 1e-310, 1e-300, 1e-290])
    found = implied_volatility(tiny, 1.0, 1.2, 0.5)
    assert_array_equal(np.diff(found) > 0.0, True)
    assert_allclose(black_price(1.0, 1.2, 0.5, found[1:]), tiny[1:], rtol=1e-11)
    far_apart = black_price(1e-200, 1e200, 1.0, 42.0)
    assert_allclose(implied_volatility(far_apart, 1e-200, 1e200, 1.0), 42.0, rtol=1e-14)
    assert_allclose(implied_volatility(tiny[1:], 1.0, 1.0, 1.0) / tiny[1:], np.sqrt(2 * np.pi))


def test_broadcasts_and_returns_scalars_for_scalars():
    volatility = np.array([[0.1], [0.2], [0.3]])
    maturity = np.array([0.5, 1.0])
    price = black_price(100.0, 105.0, maturity, volatility, 0.97)
    found = implied_volatility(price, 100.0, 105.0, maturity, 0.97)
    assert_allclose(found, np.broadcast_to(volatility, (3, 2)), rtol=1e-14)
    assert isinstance(implied_volatility(5.0, 100.0, 105.0, 1.0), float)
    assert implied_volatility(5.0, 100.0, [105.0], 1.0).shape == (1,)
    assert implied_volatility([], 100.0, 105.0, 1.0).shape == (0,)
    assert implied_volatility([], 100.0, 105.0, 1.0, on_error="raise").shape == (0,)
    assert implied_volatility(np.ones((2, 0)), 100.0, 105.0, 1.0).shape == (2, 0)
    price = np.float32([5.0, 6.0])
    assert implied_volatility(price, 100.0, 105.0, 1.0).dtype == np.float64


def test_does_not_write_on_its_arguments():
    arguments = [np.array([value, value]) for value in (5.0, 100.0, 105.0, 1.0, 0.9)]
    copies = [argument.copy() for argument in arguments]
    implied_volatility(*arguments)
    for argument, copy in zip(arguments, copies, strict=True):
        assert_array_equal(argument, copy)


@pytest.mark.parametrize("name", ["forward", "strike", "maturity", "discount"])
def test_refuses_what_is_out_of_range(name):
    arguments = {"price": 5.0, "forward": 100.0, "strike": 105.0, "maturity": 1.0, "discount": 1.0}
    with pytest.raises(ValueError, match=f"{name} must be .*; entry 1 is -1"):
        implied_volatility(**arguments | {name: [1.0, -1.0]})
    if name != "maturity":
        with pytest.raises(ValueError, match=f"{name} must be positive and finite; it is 0"):
            implied_volatility(**arguments | {name: 0.0})


def test_refuses_other_nonsense():
    with pytest.raises(ValueError, match="price must be numbers"):
        implied_volatility("dear", 100.0, 105.0, 1.0)
    with pytest.raises(ValueError, match="option_type must be 'call' or 'put'; it is 'c'"):
        implied_volatility(5.0, 100.0, 105.0, 1.0, option_type="c")
    with pytest.raises(ValueError, match="on_error must be 'nan' or 'raise'; got 'warn'"):
        implied_volatility(5.0, 100.0, 105.0, 1.0, on_error="warn")
    with pytest.raises(ValueError, match=r"broadcast.*price \(2,\)"):
        implied_volatility([5.0, 6.0], 100.0, [1.0, 2.0, 3.0], 1.0)
