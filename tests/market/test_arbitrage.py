"""check_arbitrage: silent on model prices, exact on planted violations of each kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr

from levylearn.market import OptionGrid, check_arbitrage
from levylearn.market import _arbitrage as module

KINDS = ("bounds", "monotonicity", "convexity", "calendar", "parity")


def black(grid, volatility):
    """Black prices: this test's own, so that it leans on nothing else."""
    deviation = volatility * np.sqrt(grid.maturity)
    d1 = -grid.log_moneyness / deviation + deviation / 2
    call = grid.discount * (grid.forward * ndtr(d1) - grid.strike * ndtr(d1 - deviation))
    return np.where(grid.is_call, call, call - grid.discount * (grid.forward - grid.strike))


def merton(grid, jump):
    """A mixture of two Black surfaces whose forwards average to the true one: a skew."""
    parts = []
    for weight, move in ((0.8, 1 + jump), (0.2, 1 - 4 * jump)):
        moved = OptionGrid.from_quotes(
            grid.strike,
            grid.maturity,
            spot=grid.spot * move,
            rate=grid.rate,
            dividend=grid.dividend,
            option_type=grid.option_type,
        )
        parts.append(weight * black(moved, 0.25))
    return sum(parts)


@pytest.fixture
def grid():
    return OptionGrid([80, 90, 100, 110, 120], [0.5, 1.0], rate=0.03, dividend=0.01)


@pytest.fixture
def prices(grid):
    return black(grid, 0.2)


def only(report):
    """Return the single violation of a report."""
    frame = report.to_frame()
    assert len(frame) == report.n_violations == 1
    return frame.iloc[0]


@st.composite
def markets(draw):
    """A ragged market with several quotes at a strike, some of them missing."""
    n_quotes = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    maturity = rng.choice([0.02, 0.1, 0.5, 1.0, 3.0], n_quotes)
    rate = dict(zip([0.02, 0.1, 0.5, 1.0, 3.0], rng.uniform(-0.05, 0.1, 5), strict=True))
    return OptionGrid.from_quotes(
        rng.choice(np.linspace(40, 180, 15), n_quotes),
        maturity,
        rate=[rate[T] for T in maturity],
        dividend=draw(st.floats(-0.05, 0.1)),
        option_type=rng.choice(["call", "put"], n_quotes),
    ), rng


@given(markets(), st.floats(0.05, 1.0), st.floats(0, 0.1))
@settings(max_examples=60, deadline=None)
def test_no_false_alarm_on_model_prices(market, volatility, jump):
    grid, rng = market
    surfaces = np.stack([black(grid, volatility), merton(grid, jump)] * 4)
    surfaces[2:][rng.random(surfaces[2:].shape) < 0.4] = np.nan
    report = check_arbitrage(surfaces, grid)
    assert report.n_violations == 0
    assert report.is_free.all()
    assert len(report.to_frame()) == 0


def test_zero_and_infinite_volatility_are_no_arbitrage(grid):
    forward_value = np.maximum(grid.discount * (grid.forward - grid.strike), 0.0)
    assert check_arbitrage(forward_value, grid).is_free.all()
    assert check_arbitrage(grid.discount * grid.forward, grid).is_free.all()


def test_bounds(grid, prices):
    for quote, price, size in ((2, 200.0, 200 - 100 * np.exp(-0.005)), (9, -1.0, 1.0)):
        broken = np.where(np.arange(10) == quote, price, np.nan)
        row = only(check_arbitrage(broken, grid))
        assert (row.kind, row.quote) == ("bounds", quote)
        assert_allclose(row["size"], size, rtol=1e-12)
    # A call worth less than its forward contract, and a put worth more than its strike.
    low = np.where(np.arange(10) == 0, prices[0] - 15, np.nan)
    assert only(check_arbitrage(low, grid)).kind == "bounds"
    put = OptionGrid([100], [1.0], rate=0.05, option_type="put")
    assert_allclose(
        only(check_arbitrage([99.0], put))["size"], 99 - 100 * np.exp(-0.05), rtol=1e-12
    )


def test_monotonicity(grid, prices):
    alone = np.full(10, np.nan)
    alone[[3, 4]] = prices[3], prices[3] + 0.5  # a call that rises with the strike
    row = only(check_arbitrage(alone, grid))
    assert (row.kind, row.strike_low, row.strike) == ("monotonicity", 110, 120)
    assert_allclose(row["size"], 0.5, rtol=1e-12)
    # A put that falls with the strike, as a call that falls too fast.
    puts = OptionGrid([90, 100], [1.0], rate=0.05, option_type="put")
    frame = check_arbitrage([6.0, 5.75], puts).to_frame()
    assert list(frame.kind) == ["monotonicity", "convexity"]  # the put of strike zero is worth 0
    assert_array_equal(frame.quote, [1, 0])
    assert_allclose(frame["size"], [0.25, 6 - 0.9 * 5.75], rtol=1e-12)


def test_convexity_with_uneven_strikes():
    grid = OptionGrid([90, 100, 130], [1.0])
    row = only(check_arbitrage([16.0, 14.0, 4.0], grid))
    # 3/4 and 1/4 of the wings cost 13
    assert (row.kind, row.strike_low, row.strike, row.strike_high) == ("convexity", 90, 100, 130)
    assert_allclose(row["size"], 1.0, rtol=1e-12)


def test_the_forward_is_a_wing():
    # Between a forward worth 100 and a call worth 2, one at 50 is worth 51 at most.
    grid = OptionGrid([50, 100], [1.0])
    assert check_arbitrage([51.0, 2.0], grid).n_violations == 0
    row = only(check_arbitrage([52.0, 2.0], grid))
    assert (row.kind, row.strike_low, row.strike_high) == ("convexity", 0, 100)
    assert_allclose(row["size"], 1.0, rtol=1e-12)


def test_missing_quotes_are_bridged(grid, prices):
    prices[1] = np.nan
    prices[2] += 6.0
    row = check_arbitrage(prices, grid).to_frame().iloc[0]
    assert (row.kind, row.strike_low, row.strike, row.strike_high) == ("convexity", 80, 100, 110)
    wings = 1 / 3 * prices[0] + 2 / 3 * prices[3]
    assert_allclose(row["size"], prices[2] - wings, rtol=1e-12)


def test_calendar_at_equal_forward_moneyness():
    # Strikes chosen such that K / F is the same: the comparison is exact.
    rate, dividend, moneyness = 0.04, 0.01, np.array([0.8, 1.0, 1.25])
    maturity = np.repeat([0.5, 2.0], 3)
    forward = 100 * np.exp((rate - dividend) * maturity)
    grid = OptionGrid.from_quotes(
        np.tile(moneyness, 2) * forward, maturity, rate=rate, dividend=dividend
    )
    deviation = np.repeat([0.3, 0.29], 3)  # a total variance that falls a little
    prices = black(grid, deviation / np.sqrt(maturity))
    frame = check_arbitrage(prices, grid).to_frame()
    assert set(frame.kind) == {"calendar"}
    assert_array_equal(frame.quote, [0, 1, 2])
    assert_array_equal(frame.later_maturity, 2.0)
    assert_allclose(
        frame["size"], prices[:3] - np.exp(dividend * 1.5) * prices[3:], rtol=1e-9, atol=1e-12
    )
    # The same with the deviations the other way round is sound.
    assert check_arbitrage(black(grid, deviation[::-1] / np.sqrt(maturity)), grid).is_free.all()


def test_calendar_pays_what_it_says():
    """Sell one early call, buy exp(q dT) late ones: never a loss, however the spot moves."""
    grid = OptionGrid([100], [0.5, 2.0], rate=0.02, dividend=0.05)
    early = OptionGrid.from_quotes([grid.strike[0]], [0.5], rate=0.02, dividend=0.05)
    rolled = grid.strike[0] * grid.forward[1] / grid.forward[0]
    late = OptionGrid.from_quotes([rolled], [2.0], rate=0.02, dividend=0.05)
    both = OptionGrid.from_quotes([100, rolled], [0.5, 2.0], rate=0.02, dividend=0.05)
    prices = np.array([black(early, 0.4)[0], black(late, 0.15)[0]])
    row = only(check_arbitrage(prices, both))
    per_call = np.exp(0.05 * 1.5)
    assert_allclose(row["size"], prices[0] - per_call * prices[1], rtol=1e-12)
    spots = np.linspace(20, 300, 50)
    value_late = [
        black(OptionGrid.from_quotes([rolled], [1.5], spot=s, rate=0.02, dividend=0.05), 1e-6)[0]
        for s in spots
    ]
    assert np.all(per_call * np.array(value_late) - np.maximum(spots - 100, 0) >= -1e-9)


def test_calendar_between_strikes_uses_the_upper_bound():
    grid = OptionGrid.from_quotes([100, 90, 110], [0.5, 1.0, 1.0])
    assert check_arbitrage([12.0, 16.0, 8.0], grid).n_violations == 0
    row = only(check_arbitrage([12.5, 16.0, 8.0], grid))
    assert (row.kind, row.strike_low, row.strike_high) == ("calendar", 90, 110)
    assert_allclose(row["size"], 0.5, rtol=1e-12)
    # Beyond the last strike a call is worth no more than there.
    far = OptionGrid.from_quotes([120, 100], [0.5, 1.0])
    row = only(check_arbitrage([9.0, 8.0], far))
    assert row.strike_low == 100
    assert np.isnan(row.strike_high)
    assert_allclose(row["size"], 1.0, rtol=1e-12)


def test_calendar_skips_maturities_without_quotes():
    grid = OptionGrid([100], [0.5, 1.0, 2.0])
    row = only(check_arbitrage([9.0, np.nan, 7.0], grid))
    assert (row.kind, row.later_maturity) == ("calendar", 2.0)
    # The worst of several later maturities is reported, once.
    frame = check_arbitrage([9.0, 6.0, 7.0], grid).to_frame()
    assert_array_equal(frame.maturity, [0.5])
    assert_array_equal(frame.later_maturity, [1.0])


def test_parity():
    grid = OptionGrid.from_quotes(
        [100, 100, 100], [1.0] * 3, rate=0.05, option_type=["call", "put", "put"]
    )
    put = 10 - (100 - 100 * np.exp(-0.05))
    assert check_arbitrage([10, put, put], grid).n_violations == 0
    row = only(check_arbitrage([10, put, put + 0.2], grid))
    assert (row.kind, row.quote) == ("parity", 2)
    assert_allclose(row["size"], 0.2, rtol=1e-12)
    assert check_arbitrage([10, np.nan, put + 0.2], grid).counts["parity"][0] == 1
    assert check_arbitrage([np.nan, put + 9, put + 9], grid).counts["parity"][0] == 0


def test_each_further_quote_of_a_strike_is_compared_once():
    grid = OptionGrid.from_quotes([100, 100, 100, 90, 90], [1.0] * 5)
    frame = check_arbitrage([8.0, 8.0, 8.5, 14.0, 14.3], grid).to_frame()
    assert_array_equal(frame.quote[frame.kind == "parity"], [2, 4])


def test_the_out_of_the_money_quote_stands_for_its_strike():
    grid = OptionGrid.from_quotes(
        [90, 100, 100, 110], [1.0] * 4, option_type=["call", "call", "put", "call"]
    )
    # Strike 100 is at the forward: the call. The broken put is a matter of parity alone.
    frame = check_arbitrage([15.0, 8.0, 20.0, 4.0], grid).to_frame()
    assert list(frame.kind) == ["parity"]
    assert list(frame.quote) == [2]
    # Without the call the put stands in.
    assert check_arbitrage([15.0, np.nan, 20.0, 4.0], grid).counts["convexity"][0] == 1


def test_tolerance_per_quote_is_a_spread():
    grid = OptionGrid([90, 100, 110], [1.0])
    prices = [15.0, 11.0, 5.0]  # the butterfly costs -1
    assert check_arbitrage(prices, grid, tolerance=0.49).n_violations == 1
    assert check_arbitrage(prices, grid, tolerance=0.51).n_violations == 0
    assert check_arbitrage(prices, grid, tolerance=[0.0, 0.99, 0.0]).n_violations == 1
    assert check_arbitrage(prices, grid, tolerance=[0.6, 0.75, 0.0]).n_violations == 0
    assert_allclose(check_arbitrage(prices, grid, tolerance=0.2).largest["convexity"], 1.0)


def test_a_batch_is_its_rows(monkeypatch):
    rng = np.random.default_rng(3)
    grid = OptionGrid(
        np.linspace(80, 120, 7),
        [0.1, 0.5, 1.0],
        rate=[0.01, 0.02, 0.03],
        option_type=rng.choice(["call", "put"], 21),
    )
    surfaces = black(grid, 0.2) * (1 + 0.03 * rng.standard_normal((50, 21)))
    surfaces[rng.random(surfaces.shape) < 0.2] = np.nan
    whole = check_arbitrage(surfaces, grid)
    rows = [check_arbitrage(surface, grid) for surface in surfaces]
    for kind in KINDS:
        assert_array_equal(whole.counts[kind], [row.counts[kind][0] for row in rows])
        assert_array_equal(whole.largest[kind], [row.largest[kind][0] for row in rows])
    assert_array_equal(whole.is_free, [row.n_violations == 0 for row in rows])
    frame = whole.to_frame()
    # The table says the same as the counts.
    assert len(frame) == whole.n_violations == sum(row.n_violations for row in rows)
    for kind, part in frame.groupby("kind"):
        counts = np.bincount(part["sample"], minlength=50)
        assert_array_equal(counts, whole.counts[kind])
        largest = part.groupby("sample")["size"].max()
        assert_allclose(largest, whole.largest[kind][largest.index], rtol=0)
    monkeypatch.setattr(module, "_CHUNK", 7)
    assert check_arbitrage(surfaces, grid).to_frame().equals(frame)


def test_report(grid, prices):
    report = check_arbitrage(prices, grid)
    assert report.kinds == KINDS
    assert repr(report) == "ArbitrageReport(n_samples=1, n_violations=0)"
    assert list(report.to_frame().columns) == [
        "sample",
        "kind",
        "quote",
        "maturity",
        "later_maturity",
        "strike_low",
        "strike",
        "strike_high",
        "size",
    ]
    prices[2] = prices[1] + 1
    prices[7] = 300
    report = check_arbitrage(np.stack([prices] * 2), grid)
    assert repr(report).startswith("ArbitrageReport(n_samples=2, n_violations=")
    assert list(report.to_frame()["sample"].unique()) == [0, 1]
    assert not report.is_free.any()


def test_input_is_left_alone(grid, prices):
    prices.flags.writeable = False
    check_arbitrage(prices, grid)
    assert check_arbitrage(np.full(10, np.nan), grid).is_free.all()
    assert check_arbitrage(np.empty((0, 10)), grid).n_samples == 0


@pytest.mark.parametrize(
    ("prices", "tolerance", "message"),
    [
        (np.ones(4), None, r"prices must have shape \(10,\) or \(n_samples, 10\).*; got \(4,\)"),
        (1.0, None, r"got \(\)"),
        (np.ones((1, 1, 10)), None, r"got \(1, 1, 10\)"),
        (["a"] * 10, None, "prices must be numbers"),
        (np.r_[np.ones(9), np.inf], None, "prices must be finite, .*; row 0, column 9"),
        (np.ones(10), -1.0, "tolerance must be finite and >= 0; entry 0 is -1"),
        (np.ones(10), [0.1] * 9 + [np.nan], "tolerance must be finite and >= 0; entry 9 is nan"),
        (np.ones(10), [0.1, 0.1], r"tolerance must be a number or one per quote \(10\)"),
    ],
)
def test_refusals(grid, prices, tolerance, message):
    with pytest.raises(ValueError, match=message):
        check_arbitrage(prices, grid, tolerance=tolerance)
