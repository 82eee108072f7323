"""OptionGrid: contracts, market, order, value semantics, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.market import OptionGrid


@pytest.fixture
def product():
    return OptionGrid(
        [90, 100, 110], [0.5, 1.0], spot=102.0, rate=[0.01, 0.02], dividend=0.005, option_type="put"
    )


@pytest.fixture
def ragged():
    return OptionGrid.from_quotes(
        [100, 90, 95, 100],
        [1.0, 0.5, 1.0, 1.0],
        spot=98.0,
        rate=[0.02, 0.01, 0.02, 0.02],
        option_type=["call", "put", "put", "put"],
    )


def test_product_is_flattened_maturity_major(product):
    assert product.shape == (2, 3)
    assert product.n_quotes == 6
    assert product.is_product
    assert_array_equal(product.strike, [90, 100, 110, 90, 100, 110])
    assert_array_equal(product.maturity, [0.5, 0.5, 0.5, 1, 1, 1])
    assert_array_equal(product.rate, [0.01, 0.01, 0.01, 0.02, 0.02, 0.02])
    assert set(product.option_type) == {"put"}
    assert not product.is_call.any()


def test_market_of_each_quote(product):
    assert_allclose(product.forward[:3], 102 * np.exp(0.005 * 0.5), rtol=1e-15)
    assert_allclose(product.forward[3:], 102 * np.exp(0.015 * 1.0), rtol=1e-15)
    assert_allclose(product.discount[3:], np.exp(-0.02), rtol=1e-15)
    assert_allclose(product.log_moneyness, np.log(product.strike / product.forward), rtol=1e-15)


def test_ragged_keeps_the_order_of_its_quotes(ragged):
    assert ragged.shape == (4,)
    assert not ragged.is_product
    assert_array_equal(ragged.strike, [100, 90, 95, 100])
    assert_array_equal(ragged.is_call, [True, False, False, False])


def test_slices_are_sorted_and_cover_every_quote(ragged):
    (near, first), (far, second) = ragged.slices
    assert (near, far) == (0.5, 1.0)
    assert_array_equal(first, [1])
    assert_array_equal(second, [0, 2, 3])


@given(
    n_maturities=st.integers(1, 5),
    n_strikes=st.integers(1, 5),
    spot=st.floats(1e-3, 1e6),
    rate=st.floats(-0.1, 0.2),
    dividend=st.floats(-0.1, 0.2),
)
def test_product_is_a_ragged_grid_in_order(n_maturities, n_strikes, spot, rate, dividend):
    market = {"spot": spot, "rate": rate, "dividend": dividend}
    product = OptionGrid(np.arange(1.0, n_strikes + 1), np.arange(1.0, n_maturities + 1), **market)
    ragged = OptionGrid.from_quotes(product.strike, product.maturity, **market)
    for name in ("strike", "maturity", "forward", "discount", "log_moneyness", "option_type"):
        assert_array_equal(getattr(product, name), getattr(ragged, name))
    assert product != ragged
    assert product.take(np.arange(product.n_quotes)) == ragged


def test_take(product):
    some = product.take([5, 0])
    assert_array_equal(some.strike, [110, 90])
    assert_array_equal(some.rate, [0.02, 0.01])
    assert some.spot == product.spot
    assert product.take(product.strike > 95).n_quotes == 4
    for none in ([], np.zeros(6, dtype=bool)):
        with pytest.raises(ValueError, match="indices must choose at least one of the 6 quotes"):
            product.take(none)
    with pytest.raises(IndexError):
        product.take([6])


def test_feature_names():
    grid = OptionGrid.from_quotes([100, 92.5], [0.5, 1 / 3], option_type=["call", "put"])
    names = grid.get_feature_names_out()
    assert list(names) == ["call_T0.5_K100", "put_T0.3333333333_K92.5"]
    assert names.dtype == object


def test_equal_grids_are_interchangeable(product):
    same = OptionGrid(
        (90.0, 100.0, 110.0), (0.5, 1.0), 102, np.array([0.01, 0.02]), [0.005, 0.005], ["put"] * 6
    )
    assert same == product
    assert hash(same) == hash(product)
    assert len({same, product}) == 1
    assert OptionGrid([100], [1], rate=-0.0) == OptionGrid([100], [1], rate=0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"strikes": [90, 100, 111]},
        {"maturities": [0.5, 1.1]},
        {"spot": 103.0},
        {"rate": 0.01},
        {"dividend": 0.0},
        {"option_type": "call"},
    ],
)
def test_any_difference_makes_grids_differ(product, change):
    arguments = {
        "strikes": [90, 100, 110],
        "maturities": [0.5, 1.0],
        "spot": 102.0,
        "rate": [0.01, 0.02],
        "dividend": 0.005,
        "option_type": "put",
    }
    assert OptionGrid(**arguments) == product
    assert OptionGrid(**(arguments | change)) != product


def test_a_grid_is_no_other_thing(product):
    assert product != "grid"
    assert product != None  # noqa: E711


@pytest.mark.parametrize("name", ["product", "ragged"])
def test_copies_and_pickles(name, request):
    grid = request.getfixturevalue(name)
    assert copy.copy(grid) is grid
    assert copy.deepcopy(grid) is grid
    again = pickle.loads(pickle.dumps(grid))
    assert again == grid
    assert again.shape == grid.shape
    assert_array_equal(again.forward, grid.forward)
    with pytest.raises(ValueError, match="read-only"):
        again.strike[0] = 1.0


def test_immutable(product):
    with pytest.raises(AttributeError, match="OptionGrid is immutable: cannot set 'spot'"):
        product.spot = 1.0
    with pytest.raises(AttributeError, match="OptionGrid is immutable: cannot delete 'spot'"):
        del product.spot
    with pytest.raises(ValueError, match="read-only"):
        product.strike[0] = 1.0


def test_arguments_are_copied():
    strikes, rates = np.array([90.0, 100.0]), np.array([0.01])
    grid = OptionGrid(strikes, [1.0], rate=rates)
    strikes[0] = 1.0
    rates[0] = 9.0
    assert grid.strike[0] == 90
    assert grid.rate[0] == 0.01


def test_read_only_arguments():
    strikes = np.array([90.0, 100.0])
    strikes.flags.writeable = False
    assert OptionGrid(strikes, [1.0]).n_quotes == 2


def test_repr(product, ragged):
    assert repr(product) == "OptionGrid(n_maturities=2, n_strikes=3, spot=102)"
    assert repr(ragged) == "OptionGrid(n_quotes=4, n_maturities=2, spot=98)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strikes": []}, r"strikes must be a non-empty 1-D array; got shape \(0,\)"),
        ({"strikes": [[90]]}, r"strikes must be a non-empty 1-D array; got shape \(1, 1\)"),
        ({"strikes": 90}, r"strikes must be a non-empty 1-D array; got shape \(\)"),
        ({"strikes": ["ninety"]}, r"strikes must be numbers; got \['ninety'\]"),
        ({"strikes": [90, np.nan]}, "strikes must be finite; entry 1 is nan"),
        ({"strikes": [90, np.inf]}, "strikes must be finite; entry 1 is inf"),
        ({"strikes": [0, 90]}, "strikes must be positive; entry 0 is 0"),
        ({"strikes": [100, 90]}, r"strictly increasing; entry 1 \(90\) follows 100"),
        ({"strikes": [90, 90]}, "Use OptionGrid.from_quotes for a ragged list"),
        ({"maturities": [1.0, 0.5]}, "maturities must be strictly increasing"),
        ({"maturities": [-1.0]}, "maturities must be positive; entry 0 is -1"),
        ({"spot": 0.0}, "spot must be positive and finite; got 0"),
        ({"spot": np.nan}, "spot must be positive and finite; got nan"),
        ({"spot": [100.0]}, r"spot must be one positive number; got shape \(1,\)"),
        ({"spot": "par"}, "spot must be numbers; got 'par'"),
        ({"rate": [0.1, 0.2, 0.3]}, r"rate must be a scalar or one per maturity \(2\); got 3"),
        ({"rate": np.nan}, "rate must be finite; entry 0 is nan"),
        ({"rate": [0.1, np.inf]}, "rate must be finite; entry 1 is inf"),
        ({"rate": "low"}, "rate must be numbers; got 'low'"),
        ({"rate": 5000.0}, "rate 5000 and dividend 0 over 0.5 years make the forward inf"),
        ({"dividend": [[0.1]]}, "dividend must be a non-empty 1-D array"),
        ({"dividend": 5000.0}, "rate 0 and dividend 5000 over 0.5 years make the forward 0"),
        ({"option_type": "straddle"}, "must be 'call' or 'put'; entry 0 is 'straddle'"),
        ({"option_type": ["call", "Put"]}, "entry 1 is 'Put'"),
        ({"option_type": ["call", "put"]}, r"one string or one per quote \(4\); got shape \(2,\)"),
        ({"option_type": None}, "entry 0 is None"),
    ],
)
def test_refusals(change, message):
    arguments = {"strikes": [90, 100], "maturities": [0.5, 1.0]} | change
    with pytest.raises(ValueError, match=message):
        OptionGrid(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maturities": [1.0]}, "got 2 strikes and 1 maturities"),
        ({"rate": [0.1, 0.2]}, "rate must be the same for all quotes of one maturity; at maturity"),
        ({"dividend": [0.1, 0.2]}, "dividend must be the same .* runs from 0.1 to 0.2"),
        ({"rate": [0.1] * 3}, r"rate must be a scalar or one per quote \(2\); got 3"),
        ({"strikes": [90, -1]}, "strikes must be positive; entry 1 is -1"),
    ],
)
def test_ragged_refusals(change, message):
    arguments = {"strikes": [90, 100], "maturities": [0.5, 0.5]} | change
    with pytest.raises(ValueError, match=message):
        OptionGrid.from_quotes(**arguments)
