"""QuoteChain: what it reads, what it infers, what it leaves out, and what it refuses."""

import copy
import io
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.exceptions import QuoteWarning
from levylearn.market import OptionGrid, QuoteChain
from levylearn.market._black import black_price
from levylearn.market._parity import _robust_line
from levylearn.market._quote_table import COLUMN_NAMES

MATURITIES = np.array([0.25, 1.0])
FORWARD = {0.25: 101.5, 1.0: 104.0}
DISCOUNT = {0.25: 0.9875, 1.0: 0.95}


def market_frame(strikes=(80, 90, 100, 110, 120), half_spread=0.05):
    """Calls and puts on exact parity, at two maturities."""
    rows = []
    for T in MATURITIES:
        for kind in ("call", "put"):
            for K in strikes:
                mid = float(
                    black_price(FORWARD[T], K, T, 0.25, discount=DISCOUNT[T], option_type=kind)
                )
                rows.append((T, K, kind, mid - half_spread, mid + half_spread))
    return pd.DataFrame(rows, columns=["T", "strike", "type", "bid", "ask"])


@pytest.fixture
def frame():
    return market_frame()


@pytest.fixture
def chain(frame):
    return QuoteChain.from_frame(frame, spot=100.0)


# Reading


def test_columns_of_the_chain(chain, frame):
    assert len(chain) == chain.n_quotes == 20
    assert_array_equal(chain.strike, frame.strike)
    assert_array_equal(chain.maturity, frame["T"])
    assert_array_equal(chain.option_type, frame["type"])
    assert_array_equal(chain.bid, frame.bid)
    assert_array_equal(chain.ask, frame.ask)
    assert_allclose(chain.mid, (frame.bid + frame.ask) / 2, rtol=1e-15)
    assert_array_equal(chain.prices, chain.mid)
    assert_allclose(chain.half_spread, 0.05, rtol=1e-12)
    assert_allclose(chain.implied_vol, 0.25, rtol=1e-10)
    assert len(chain.dropped) == 0


@pytest.mark.parametrize("key", ["strike", "maturity", "option_type", "bid", "ask"])
def test_every_synonym_is_read(chain, frame, key):
    present = {"maturity": "T", "option_type": "type"}.get(key, key)
    for name in COLUMN_NAMES[key]:
        for dialect in (name, name.upper(), f" {name.replace('_', ' ').title()} "):
            renamed = frame.rename(columns={present: dialect})
            assert QuoteChain.from_frame(renamed, spot=100.0) == chain


@pytest.mark.parametrize("key", ["rate", "dividend", "spot", "forward", "discount"])
def test_every_market_synonym_is_read(frame, key):
    values = {"rate": 0.02, "dividend": 0.01, "spot": 97.0}
    if key in ("forward", "discount"):
        values |= {"forward": frame["T"].map(FORWARD), "discount": frame["T"].map(DISCOUNT)}
    expected = QuoteChain.from_frame(frame.assign(**values))
    for name in COLUMN_NAMES[key]:
        renamed = frame.assign(**{name if k == key else k: v for k, v in values.items()})
        assert QuoteChain.from_frame(renamed) == expected


def test_option_types_in_any_dialect(chain, frame):
    frame["type"] = ["C", "Call", " calls", "CALL", "c"] * 2 + ["P", "Put", "puts ", "PUT", "p"] * 2
    frame["type"] = np.r_[
        frame["type"][:5], frame["type"][10:15], frame["type"][:5], frame["type"][15:]
    ]
    assert QuoteChain.from_frame(frame, spot=100.0) == chain


def test_columns_can_be_named_and_ignored(chain, frame):
    named = frame.rename(columns={"strike": "Basispreis"}).assign(spot=-5.0)
    columns = {"strike": "Basispreis", "spot": None}
    assert QuoteChain.from_frame(named, spot=100.0, columns=columns) == chain


def test_days_are_365ths(frame):
    frame["days"] = (frame.pop("T") * 365).round(2)
    assert_allclose(np.unique(QuoteChain.from_frame(frame).maturity), MATURITIES, rtol=1e-15)


@pytest.mark.parametrize(
    ("expiry", "today"),
    [
        (["2024-07-12", "2025-04-12"], "2024-04-12"),
        (["20240712", "20250412"], "20240412"),
        ([20240712, 20250412], 20240412),
        (pd.to_datetime(["2024-07-12", "2025-04-12"]), pd.Timestamp("2024-04-12")),
        (pd.to_datetime(["2024-07-12", "2025-04-12"]).date, pd.Timestamp("2024-04-12").date()),
        (pd.to_datetime(["2024-07-12", "2025-04-12"]), np.datetime64("2024-04-12")),
        (pd.to_datetime(["2024-07-12", "2025-04-12"]).tz_localize("UTC"), "2024-04-12"),
    ],
)
def test_dates_are_actual_days_over_365(expiry, today):
    frame = pd.DataFrame({"strike": [90, 90], "expiration": expiry, "mid": [12.0, 15.0]})
    market = {"option_type": "call", "spot": 100.0, "rate": 0.0, "dividend": 0.0}
    chain = QuoteChain.from_frame(frame, valuation_date=today, **market)
    assert_allclose(chain.maturity, [91 / 365, 1.0], rtol=1e-15)
    with_column = frame.assign(quote_date=[today] * 2)
    assert QuoteChain.from_frame(with_column, **market) == chain


def test_years_come_before_days_before_dates(frame):
    more = frame.assign(days=1, expiry="Jun 2024")
    assert QuoteChain.from_frame(more) == QuoteChain.from_frame(frame)
    days = frame.assign(days=frame["T"] * 365, expiry="Jun 2024").drop(columns="T")
    assert_allclose(QuoteChain.from_frame(days).maturity, frame["T"], rtol=1e-15)


def test_a_mapping_will_do(chain, frame):
    assert QuoteChain.from_frame(frame.to_dict("list"), spot=100.0) == chain


def test_the_frame_is_left_alone(frame):
    before = frame.copy()
    QuoteChain.from_frame(frame)
    assert frame.equals(before)


def test_csv_file(tmp_path, chain, frame):
    path = tmp_path / "quotes.csv"
    text = "# some chain\n# and more\n" + frame.to_csv(index=False)
    path.write_text(text, encoding="utf-8-sig")
    assert QuoteChain.read_csv(path, spot=100.0) == chain
    assert QuoteChain.read_csv(str(path), spot=100.0) == chain
    assert QuoteChain.read_csv(io.StringIO(text), spot=100.0) == chain
    german = frame.to_csv(index=False, sep=";", decimal=",")
    assert QuoteChain.read_csv(io.StringIO(german), spot=100.0, sep=";", decimal=",") == chain
    with pytest.raises(FileNotFoundError):
        QuoteChain.read_csv(tmp_path / "none.csv")


def test_calls_with_rates_per_quote():
    """Mid, spot, r and q per row, and derived columns that must not matter."""
    text = """# calls
expiry,T,strike,type,mid,spot,r,q,iv
May 2002,0.088,1090,call,43.1,1124.47,0.019,0.012,9
May 2002,0.088,1100,call,35.6,1124.47,0.019,0.012,9
Jun 2002,0.184,1050,call,84.5,1124.47,0.019,0.012,9
"""
    chain = QuoteChain.read_csv(io.StringIO(text))
    assert_allclose(chain.grid.rate, 0.019, rtol=1e-12)
    assert_allclose(chain.grid.dividend, 0.012, rtol=1e-12)
    assert_array_equal(chain.prices, [43.1, 35.6, 84.5])
    assert np.isnan(chain.bid).all()
    assert np.isnan(chain.half_spread).all()
    assert_array_equal(chain.weights, 1.0)


def test_volatilities_are_priced():
    text = """days,T,strike,type,iv,price_from_iv,spot,r,q
13,0.0356,3400,put,0.6625,2.4,4468.17,0.0357,0.0
13,0.0356,5600,call,0.3976,0.15,4468.17,0.0357,0.0
"""
    chain = QuoteChain.read_csv(io.StringIO(text))
    forward = 4468.17 * np.exp(0.0357 * 0.0356)
    expected = black_price(
        forward,
        np.array([3400.0, 5600.0]),
        0.0356,
        np.array([0.6625, 0.3976]),
        discount=np.exp(-0.0357 * 0.0356),
        option_type=np.array(["put", "call"]),
    )
    assert_allclose(chain.prices, expected, rtol=1e-12)
    assert_allclose(chain.implied_vol, [0.6625, 0.3976], rtol=1e-10)


def test_a_net_rate_is_a_rate_less_a_dividend():
    rows = {"T": [0.5], "strike": [100], "type": ["call"], "mid": [8.0], "spot": [100.0]}
    alone = QuoteChain.from_frame(rows | {"net_rate": [0.02]})
    assert_allclose([alone.grid.rate[0], alone.grid.dividend[0]], [0.02, 0.0], atol=1e-15)
    for more in ({"rate": [0.05]}, {"dividend": [0.03]}):
        chain = QuoteChain.from_frame(rows | {"net_rate": [0.02]} | more)
        assert_allclose([chain.grid.rate[0], chain.grid.dividend[0]], [0.05, 0.03], rtol=1e-12)


def test_mid_before_bid_and_ask_before_price():
    rows = pd.DataFrame(
        {
            "T": 1.0,
            "strike": [90, 100, 110],
            "type": "call",
            "bid": [11.0, 7.0, np.nan],
            "ask": [13.0, 8.0, 5.0],
            "mid": [11.5, np.nan, np.nan],
            "last": [99.0, 99.0, 4.0],
        }
    )
    chain = QuoteChain.from_frame(rows, spot=100.0, rate=0.0, dividend=0.0)
    assert_array_equal(chain.prices, [11.5, 7.5, 4.0])
    assert_array_equal(chain.half_spread, [1.0, 0.5, np.nan])
    assert_allclose(chain.weights, [1.0, 2.0, 1 / 0.75])


# Forwards and discount factors


def test_parity_gives_forward_and_discount_exactly(chain):
    for T in MATURITIES:
        there = chain.maturity == T
        assert_allclose(chain.forward[there], FORWARD[T], rtol=1e-12)
        assert_allclose(chain.discount[there], DISCOUNT[T], rtol=1e-12)
    table = chain.term_structure
    assert list(table.source) == ["put-call parity at 5 strikes"] * 2
    assert_allclose(table.rate_error, 0.0, atol=1e-10)


def test_grid_has_the_market_of_the_chain(chain):
    assert_allclose(chain.grid.forward, chain.forward, rtol=1e-12)
    assert_allclose(chain.grid.discount, chain.discount, rtol=1e-12)
    assert chain.grid.spot == chain.spot == 100.0
    assert_array_equal(chain.grid.option_type, chain.option_type)
    assert chain.grid.shape == (20,)


@given(st.floats(1e-3, 1e6), st.floats(0.3, 3.0), st.floats(0.5, 1.05), st.floats(1 / 8760, 30.0))
@settings(max_examples=100, deadline=None)
def test_forward_round_trip(spot, ratio, discount, maturity):
    chain = QuoteChain(
        [spot], [maturity], "call", [spot / 10], forward=spot * ratio, discount=discount, spot=spot
    )
    assert_allclose(chain.grid.forward, spot * ratio, rtol=1e-12)
    assert_allclose(chain.grid.discount, discount, rtol=1e-12)


def test_without_spot_the_near_forward_is_discounted(frame):
    chain = QuoteChain.from_frame(frame)
    assert_allclose(chain.spot, FORWARD[0.25] * DISCOUNT[0.25], rtol=1e-12)
    assert_allclose(chain.grid.forward, chain.forward, rtol=1e-12)
    assert_allclose(chain.implied_vol, 0.25, rtol=1e-10)


def test_a_rate_leaves_the_forward_to_parity(frame):
    frame["r"] = [-np.log(DISCOUNT[T]) / T for T in frame["T"]]
    one_pair = frame[(frame.strike == 110) | (frame["type"] == "put")]
    for table in (frame, one_pair):
        chain = QuoteChain.from_frame(table)
        assert_allclose(chain.forward, [FORWARD[T] for T in table["T"]], rtol=1e-12)
        assert_allclose(chain.discount, [DISCOUNT[T] for T in table["T"]], rtol=1e-12)
    assert chain.term_structure.source[0] == "rate, and put-call parity at 1 strike"


def test_spot_and_dividend_leave_the_discount_to_parity(frame):
    one = frame[(frame.strike == 90) & (frame["T"] == 1.0)]
    dividend = -np.log(FORWARD[1.0] * DISCOUNT[1.0] / 100)
    chain = QuoteChain.from_frame(one, spot=100.0, dividend=dividend)
    assert_allclose(chain.forward, FORWARD[1.0], rtol=1e-12)
    assert_allclose(chain.discount, DISCOUNT[1.0], rtol=1e-12)


def test_a_forward_leaves_the_discount_to_parity(frame):
    one = frame[(frame.strike == 90) & (frame["T"] == 1.0)].assign(forward=104.0)
    assert_allclose(QuoteChain.from_frame(one).discount, DISCOUNT[1.0], rtol=1e-12)


def test_arguments_take_the_place_of_columns(frame):
    frame = frame.assign(r=0.5, df=0.5, q=0.5, forward=50.0, spot=50.0)
    chain = QuoteChain.from_frame(frame, spot=100.0, rate=0.02, dividend=0.01)
    assert_allclose(chain.forward, 100 * np.exp(0.01 * chain.maturity), rtol=1e-12)
    assert_allclose(chain.discount, np.exp(-0.02 * chain.maturity), rtol=1e-12)
    assert set(chain.term_structure.source) == {"spot, rate and dividend"}


def test_columns_of_one_maturity_may_have_blanks(frame):
    frame["forward"] = frame["T"].map(FORWARD).where(frame.strike == 90)
    frame["df"] = frame["T"].map(DISCOUNT).where(frame.strike == 80)
    chain = QuoteChain.from_frame(frame)
    assert_array_equal(chain.forward, frame["T"].map(FORWARD))
    assert_array_equal(chain.discount, frame["T"].map(DISCOUNT))
    assert set(chain.term_structure.source) == {"given"}


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_stale_quotes_do_not_move_the_parity_line(seed):
    rng = np.random.default_rng(seed)
    frame = market_frame(strikes=np.linspace(70, 140, 15))
    stale = rng.choice(15, 3, replace=False)
    frame.loc[stale, ["bid", "ask"]] += rng.choice([-1, 1], 3)[:, None] * rng.uniform(1, 5, (3, 1))
    frame = frame[frame.bid > 0].reset_index(drop=True)
    chain = QuoteChain.from_frame(frame)
    near = chain.maturity == 0.25
    assert_allclose(chain.forward[near], FORWARD[0.25], rtol=1e-10)
    assert_allclose(chain.discount[near], DISCOUNT[0.25], rtol=1e-10)


def test_noise_within_the_spread():
    rng = np.random.default_rng(0)
    frame = market_frame(strikes=np.linspace(70, 140, 29), half_spread=0.1)
    frame[["bid", "ask"]] += rng.uniform(-0.1, 0.1, (len(frame), 1))
    frame = frame[frame.bid > 0]
    table = QuoteChain.from_frame(frame).term_structure
    true_rate = np.array([-np.log(DISCOUNT[T]) / T for T in MATURITIES])
    assert_allclose(table.forward, [FORWARD[T] for T in MATURITIES], rtol=1e-3)
    assert np.all(np.abs(table.rate - true_rate) < 4 * table.rate_error)
    assert np.all(table.rate_error < 0.02)


def test_narrow_spreads_weigh_more():
    strike, spread = np.array([90.0, 100, 110]), np.array([0.01, 0.01, 10.0])
    design = np.column_stack([100 - strike, np.ones(3)])
    y = design @ [0.95, 2.0] + [0, 0, 5.0]  # off, but within its spread
    coefficients, _ = _robust_line(design, y, spread)
    assert_allclose(coefficients, [0.95, 2.0], rtol=1e-4)


def test_calls_alone_without_dividend_warn():
    rows = {"T": [0.5, 1.0], "K": [100, 100], "type": "call", "mid": [8.0, 11.0]}
    with pytest.warns(
        QuoteWarning, match=r"no dividend is given.*maturities 0\.5, 1: taken as zero"
    ):
        chain = QuoteChain.from_frame(rows, spot=100.0, rate=0.02)
    assert_allclose(chain.grid.dividend, 0.0, atol=1e-14)
    assert set(chain.term_structure.source) == {"spot and rate, no dividend"}
    assert QuoteChain.from_frame(rows, spot=100.0, rate=0.02, dividend=0.0) == chain


@pytest.mark.parametrize(
    ("keep", "market", "message"),
    [
        ("type == 'call'", {}, "no rate is given, and put-call parity needs a call and a put at 2"),
        ("type == 'call'", {"spot": 100.0}, "they are quoted together at 0 strikes. Give rate="),
        ("strike == 90", {}, "at 2 or more strikes; they are quoted together at 1 strike. Give"),
        (
            "type == 'call'",
            {"spot": 100.0, "dividend": 0.0},
            "at 1 or more strikes; they are quoted together at 0 strikes",
        ),
        ("type == 'call'", {"rate": 0.02}, "no spot. Give spot= and dividend="),
        ("type == 'call'", {"rate": 0.02, "dividend": 0.0}, "the forward at maturity 0.25 is unkn"),
    ],
)
def test_what_cannot_be_inferred(frame, keep, market, message):
    with pytest.raises(ValueError, match=message):
        QuoteChain.from_frame(frame.query(keep), **market)


def test_parity_that_makes_no_sense(frame):
    frame["type"] = np.where(frame["type"] == "call", "put", "call")
    with pytest.raises(ValueError, match="calls and puts do not belong to one market"):
        QuoteChain.from_frame(frame)
    one = frame[(frame.strike == 90)].assign(forward=90.0)
    with pytest.raises(ValueError, match="both must be positive"):
        QuoteChain.from_frame(one)


# Quotes that are left out


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"bid": 30.0, "ask": 20.0}, "crossed", "bid 30 > ask 20"),
        ({"bid": 0.0}, "zero bid", ""),
        ({"bid": -1.0}, "negative", ""),
        ({"ask": np.inf}, "infinite", ""),
        ({"bid": -np.inf, "ask": np.inf}, "infinite", ""),
        ({"bid": np.nan}, "no price", ""),
        ({"bid": "-", "ask": ""}, "no price", ""),
        ({"mid": 0.0, "bid": np.nan}, "zero price", ""),
        ({"mid": 90.0}, "mid outside bid and ask", "mid 90 not in [21.33, 21.43]"),
        ({"T": 0.0}, "expired", "maturity 0"),
        ({"T": -0.1}, "expired", "maturity -0.1"),
    ],
)
def test_bad_quotes_are_left_out_and_reported(frame, change, reason, detail):
    frame["mid"] = np.nan
    frame = frame.astype(object)
    expected = QuoteChain.from_frame(frame.drop(index=0))
    for name, value in change.items():
        frame.loc[0, name] = value
    with pytest.warns(QuoteWarning, match=f"1 of 20 rows are no quotes of the chain: 1 {reason}"):
        chain = QuoteChain.from_frame(frame)
    assert chain == expected
    (dropped,) = chain.dropped.to_dict("records")
    assert (dropped["row"], dropped["strike"], dropped["option_type"]) == (0, 80, "call")
    assert dropped["reason"] == reason
    if detail:
        assert dropped["detail"][:8] == detail[:8]


def test_duplicates_are_averaged(frame):
    again = frame.iloc[[3, 3]].copy()
    again[["bid", "ask"]] += np.array([[0.03, 0.03], [0.06, 0.12]])
    again.index = ["x", "y"]
    with pytest.warns(QuoteWarning, match="2 of 22 rows .*: 2 duplicate"):
        chain = QuoteChain.from_frame(pd.concat([frame, again]))
    assert len(chain) == 20
    assert_allclose(chain.bid[3], frame.bid[3] + 0.03, rtol=1e-12)
    assert_allclose(chain.ask[3], frame.ask[3] + 0.05, rtol=1e-12)
    assert_allclose(chain.mid[3], (chain.bid[3] + chain.ask[3]) / 2, rtol=1e-12)
    assert list(chain.dropped.row) == ["x", "y"]
    assert list(chain.dropped.detail) == ["averaged into row 3"] * 2


def test_duplicates_keep_what_is_known():
    rows = {"T": [1.0] * 2, "K": [100] * 2, "type": "call", "mid": [8.0, 9.0]}
    rows |= {"bid": [7.5, np.nan], "ask": [8.5, np.nan]}
    with pytest.warns(QuoteWarning, match="1 duplicate"):
        chain = QuoteChain.from_frame(rows, spot=100.0, rate=0.0, dividend=0.0)
    assert_array_equal([chain.bid[0], chain.mid[0], chain.ask[0]], [7.5, 8.5, 8.5])


def test_rows_are_lines_of_the_file():
    text = """# a comment

K,T,type,bid,ask
# another
90,1,call,12,13

100,1,call,8,7
110,1,call,4,5
110,1,call,4,5
"""
    with pytest.warns(QuoteWarning, match=r"2 of 4 rows .* 1 crossed, 1 duplicate.*'dropped'"):
        chain = QuoteChain.read_csv(io.StringIO(text), spot=100.0, rate=0.0, dividend=0.0)
    assert list(chain.dropped.row) == [7, 9]
    assert list(chain.dropped.columns) == [
        "row",
        "strike",
        "maturity",
        "option_type",
        "reason",
        "detail",
    ]
    assert chain.dropped.detail[1] == "averaged into line 8"


def test_bad_volatilities_are_left_out():
    rows = {"T": 1.0, "K": [80, 90, 100, 110], "type": "call", "iv": [np.nan, -0.1, 0.2, np.inf]}
    with pytest.warns(QuoteWarning, match="1 no price, 1 volatility not positive, 1 infinite"):
        chain = QuoteChain.from_frame(rows, spot=100.0, rate=0.0, dividend=0.0)
    assert_array_equal(chain.strike, [100])


def test_warning_points_at_the_caller(frame, tmp_path):
    frame.loc[0, "bid"] = 0.0
    path = tmp_path / "quotes.csv"
    frame.to_csv(path, index=False)
    for make in (lambda: QuoteChain.from_frame(frame), lambda: QuoteChain.read_csv(path)):
        with pytest.warns(QuoteWarning) as record:
            make()
        assert record[0].filename == __file__


def test_arbitrage_is_kept(frame):
    frame.loc[0, ["bid", "ask"]] -= 5  # below what its forward contract is worth
    chain = QuoteChain.from_frame(frame, spot=100.0, rate=0.02, dividend=0.0)
    assert len(chain) == 20
    assert np.flatnonzero(np.isnan(chain.implied_vol))[0] == 0


# Refusals


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        (
            ["strike"],
            r"no column for the strike\. .*strike: strike, K, strike_price.*present: \['T'",
        ),
        (
            ["T"],
            r"no column for the maturity .*maturity: maturity, T, .*; days: .*; expiry: expiry",
        ),
        (["type"], r"no column for the option type.*pass option_type='call' or 'put'"),
        (
            ["bid", "ask"],
            r"no column for the price .*mid: mid, .*price: .*implied_vol: implied_vol",
        ),
        (["ask"], r"no column for the price"),
    ],
)
def test_missing_columns(frame, drop, message):
    with pytest.raises(ValueError, match=message):
        QuoteChain.from_frame(frame.drop(columns=drop))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("strike", "eighty", "row b, column 'strike': eighty is not a number"),
        ("strike", np.nan, "row b, column 'strike': nan is not a positive strike"),
        ("strike", -80, "row b, column 'strike': -80 is not a positive strike"),
        ("bid", "1,5", "row b, column 'bid': 1,5 is not a number"),
        ("ask", "n.m.", "row b, column 'ask': n.m. is not a number"),
        ("T", "2024-06-21", "row b, column 'T': 2024-06-21 is not a number .*'expiry'"),
        ("T", None, "row b, column 'T': None is not a time to expiry"),
        ("T", np.inf, "row b, column 'T': inf is not a time to expiry"),
        (
            "type",
            "straddle",
            r"row b, column 'type': straddle is neither call nor put \(nor C, P\)",
        ),
        ("type", None, "row b, column 'type': None is neither"),
    ],
)
def test_bad_cells(frame, column, value, message):
    frame = frame.astype(object)
    frame.index = ["a", "b", *range(18)]
    frame.loc["b", column] = value
    with pytest.raises(ValueError, match=message):
        QuoteChain.from_frame(frame)


def test_bad_cell_of_a_file_is_on_a_line():
    text = "# calls\nK,T,type,mid\n90,1,call,12\n100,1,call,eight\n"
    with pytest.raises(ValueError, match="line 4, column 'mid': eight is not a number"):
        QuoteChain.read_csv(io.StringIO(text))


def test_rows_with_too_many_cells():
    with pytest.raises(ValueError, match="more cells than its header: is a comma used for deci"):
        QuoteChain.read_csv(io.StringIO("K,T,type,mid\n90,1,call,12,5\n"))


def test_rows_of_a_hierarchical_index(frame):
    frame = frame.set_index(["T", "strike"], drop=False)
    frame.iloc[1, 3] = 0.0
    with pytest.warns(QuoteWarning):
        assert list(QuoteChain.from_frame(frame).dropped.row) == [(0.25, 90)]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (
            {},
            {"rate": [0.1, 0.2]},
            r"rate must be one finite number.*give the table a column 'rate'",
        ),
        ({}, {"dividend": np.nan}, "dividend must be one finite number; got nan"),
        ({}, {"spot": -1.0}, "spot must be positive and finite; got -1"),
        ({}, {"option_type": "put"}, "'put' was passed, but column 'type' gives a type for each"),
        ({}, {"columns": {"price": "p"}}, "there is no column 'p' for 'price'; columns present"),
        ({}, {"columns": {"Strike": "K"}}, "columns: 'Strike' is not one of"),
        ({"spot": range(20)}, {}, "its spot runs from 0 to 19. Build one chain per moment"),
        ({"spot": -1.0}, {}, "spot must be positive and finite; got -1"),
        (
            {"r": np.linspace(0, 0.1, 20)},
            {},
            "discount must be the same .* at maturity 0.25 it runs",
        ),
        ({"forward": range(20)}, {}, "forward must be the same .* it runs from 0 to 9"),
        ({"df": -0.5}, {}, "discount factor -0.5 at maturity 0.25: both must be positive"),
        (
            {"quote_date": ["2024-04-11"] * 3 + ["2024-04-12"] * 17},
            {},
            "'quote_date' has 2 dates, from 2024-04-11 to 2024-04-12. Build one chain per date",
        ),
    ],
)
def test_refused_arguments_and_columns(frame, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        QuoteChain.from_frame(frame.assign(**change), **arguments)


@pytest.mark.parametrize(
    ("expiry", "today", "message"),
    [
        ("2024-06-21", None, "column 'expiry' holds dates: pass valuation_date="),
        ("2024-06-21", "yesterday", "valuation_date must be a date such as .*; got 'yesterday'"),
        ("21/06/2024", "2024-04-12", "row 0, column 'expiry': 21/06/2024 is not a date such as"),
    ],
)
def test_refused_dates(frame, expiry, today, message):
    frame = frame.drop(columns="T").assign(expiry=expiry)
    with pytest.raises(ValueError, match=message):
        QuoteChain.from_frame(frame, valuation_date=today)


def test_refused_option_type():
    with pytest.raises(ValueError, match="option_type must be 'call' or 'put'; got 'both'"):
        QuoteChain.from_frame({"K": [90], "T": [1], "mid": [12]}, option_type="both")


def test_two_markets_at_one_maturity_are_not_averaged(frame):
    """As of morning- and afternoon-settled options on one index."""
    frame = pd.concat([frame.assign(forward=101.5), frame.assign(forward=101.6)])
    with pytest.raises(ValueError, match="forward must be the same"):
        QuoteChain.from_frame(frame, rate=0.02)


def test_empty_chains(frame):
    with pytest.raises(ValueError, match="the chain is empty: no rows under the columns"):
        QuoteChain.from_frame(frame.iloc[:0])
    with pytest.raises(ValueError, match="the chain is empty: the file has no header"):
        QuoteChain.read_csv(io.StringIO("# nothing\n"))
    with pytest.raises(ValueError, match="the chain is empty: no rows"):
        QuoteChain.read_csv(io.StringIO("K,T,type,mid\n"))
    with pytest.raises(ValueError, match="no usable quote in the chain: 20 zero bid"):
        QuoteChain.from_frame(frame.assign(bid=0.0))


# The value


def test_constructor_takes_mid_from_bid_and_ask():
    chain = QuoteChain(
        [90, 110],
        [1.0, 1.0],
        ["put", "call"],
        bid=[3.0, 5.0],
        ask=[3.4, 5.2],
        forward=100,
        discount=1,
    )
    assert_allclose(chain.mid, [3.2, 5.1])
    assert_allclose(chain.weights, [5.0, 10.0])
    assert chain.spot == 100.0
    assert set(chain.term_structure.source) == {"given"}
    assert len(chain.dropped) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strike": [90, -110]}, "strikes must be positive; entry 1 is -110"),
        ({"option_type": "both"}, "option_type must be 'call' or 'put'"),
        ({"mid": [3.0]}, r"mid must have one entry per quote \(2\); got \(1,\)"),
        ({"mid": [3.0, -1.0]}, "mid must be finite and >= 0; entry 1 is -1"),
        ({"mid": [3.0, np.nan]}, "mid must be positive; entry 1 is nan"),
        ({"mid": None}, r"mid must be positive; entry 0 is nan \(it was taken from bid and ask\)"),
        ({"mid": ["a", "b"]}, "mid must be numbers"),
        (
            {"bid": [4.0, 4.0], "ask": [5.0, 3.0]},
            "bid must not exceed ask; entry 1 has bid 4, ask 3",
        ),
        ({"ask": [5.0, np.inf]}, "ask must be finite and >= 0; entry 1 is inf"),
        ({"forward": [100, 101]}, "forward must be the same .* it runs from 100 to 101"),
        ({"forward": 0.0}, "forward must be positive; entry 0 is 0"),
        ({"forward": [100] * 3}, r"forward must be a number or one per quote \(2\); got \(3,\)"),
        ({"discount": np.nan}, "discount must be positive; entry 0 is nan"),
        ({"spot": 0.0}, "spot must be positive and finite; got 0"),
    ],
)
def test_constructor_refuses(change, message):
    arguments = {
        "strike": [90, 110],
        "maturity": [1.0, 1.0],
        "option_type": ["put", "call"],
        "mid": [3.0, 5.0],
        "forward": 100.0,
        "discount": 0.98,
    }
    QuoteChain(**arguments)
    with pytest.raises(ValueError, match=message):
        QuoteChain(**(arguments | change))


def test_weights_where_spreads_are_zero():
    chain = QuoteChain(
        [90, 100, 110],
        [1.0] * 3,
        "call",
        bid=[11.0, 7.0, 3.0],
        ask=[11.0, 7.4, 4.0],
        forward=100,
        discount=1,
    )
    assert_allclose(chain.weights, [5.0, 5.0, 2.0])


def test_out_of_the_money(chain):
    some = chain.out_of_the_money()
    assert np.all((some.option_type == "call") == (some.strike >= some.forward))
    assert len(some) == 10
    at_the_money = QuoteChain([100], [1.0], "call", [8.0], forward=100.0, discount=1.0)
    assert at_the_money.out_of_the_money() == at_the_money
    with pytest.raises(ValueError, match="mask must choose at least one of the 1 quotes"):
        QuoteChain([90], [1.0], "call", [12.0], forward=100.0, discount=1.0).out_of_the_money()


def test_select(frame):
    frame.loc[0, "bid"] = 0.0
    with pytest.warns(QuoteWarning):
        chain = QuoteChain.from_frame(frame)
    some = chain.select(chain.maturity > 0.5)
    assert_array_equal(some.bid, chain.bid[chain.maturity > 0.5])
    assert some.spot == chain.spot
    assert some.dropped.equals(chain.dropped)
    assert some.term_structure.source[0] == "put-call parity at 5 strikes"
    assert_array_equal(chain.select([3, 1]).strike, chain.strike[[3, 1]])
    for nothing in ([], np.zeros(len(chain), dtype=bool)):
        with pytest.raises(ValueError, match="mask must choose at least one of the 19 quotes"):
            chain.select(nothing)


def test_to_frame_round_trip(chain):
    table = chain.to_frame()
    assert QuoteChain.from_frame(table) == chain
    assert list(table.columns) == [
        "maturity",
        "strike",
        "option_type",
        "bid",
        "ask",
        "mid",
        "implied_vol",
        "forward",
        "discount",
        "spot",
    ]
    text = table.to_csv(index=False)
    again = QuoteChain.read_csv(io.StringIO(text))
    assert_allclose(again.prices, chain.prices, rtol=1e-14)


def test_term_structure_columns(chain):
    table = chain.term_structure
    assert list(table.columns) == [
        "maturity",
        "n_quotes",
        "forward",
        "discount",
        "rate",
        "dividend",
        "source",
        "rate_error",
    ]
    assert_array_equal(table.maturity, MATURITIES)
    assert_array_equal(table.n_quotes, [10, 10])
    assert_allclose(np.exp(-table.rate * table.maturity), table.discount, rtol=1e-12)


def test_value_semantics(chain, frame):
    same = QuoteChain.from_frame(frame, spot=100.0)
    assert same == chain
    assert hash(same) == hash(chain)
    for other in (
        QuoteChain.from_frame(frame, spot=101.0),
        chain.select(slice(1, None)),
        QuoteChain.from_frame(frame.assign(ask=frame.ask + 0.1, mid=chain.mid), spot=100.0),
        "chain",
    ):
        assert other != chain
    assert copy.deepcopy(chain) is copy.copy(chain) is chain
    again = pickle.loads(pickle.dumps(chain))
    assert again == chain
    assert again.term_structure.equals(chain.term_structure)
    for array in (chain.mid, again.mid, again.bid, again.grid.strike):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    with pytest.raises(AttributeError, match="QuoteChain is immutable: cannot set 'mid'"):
        chain.mid = 1.0
    assert repr(chain) == "QuoteChain(n_quotes=20, n_maturities=2, spot=100)"
    assert isinstance(chain.grid, OptionGrid)


def test_documented_names_are_the_ones_read():
    """The table in the docstring and the names in the code are the same."""
    documented = QuoteChain.from_frame.__doc__
    words = documented.replace(",", " ").replace(";", " ").replace(":", " ").split()
    for key, names in COLUMN_NAMES.items():
        for name in names:
            assert name in words, (key, name)


def test_pandas_loads_on_first_use():
    code = (
        "import sys, levylearn.market; assert 'pandas' not in sys.modules; "
        "levylearn.market.QuoteChain([90], [1.0], 'call', [12.0], forward=100.0, discount=1.0)"
        ".implied_vol; assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_warning_without_reason(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        QuoteChain.from_frame(frame)
