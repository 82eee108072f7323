"""Market quotes: prices and spreads of contracts, and the market they were made in."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.exceptions import QuoteWarning
from levylearn.market._black import black_price
from levylearn.market._check import chosen, floats, positive_number
from levylearn.market._grid import OptionGrid
from levylearn.market._implied_volatility import implied_volatility
from levylearn.market._parity import Market, SliceMarket, check_one_market, infer_market
from levylearn.market._quote_rules import (
    DroppedQuote,
    describe,
    merge_duplicates,
    usable_quotes,
)
from levylearn.market._quote_table import QuoteTable, parse_frame, read_csv_frame
from levylearn.market._value import Value, frozen

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QuoteChain"]

_FORWARD_DIGITS = 1e-8


class QuoteChain(Value):
    r"""Quotes of European options on one underlying at one moment.

    Most chains come from a file or a data frame: see :meth:`read_csv` and
    :meth:`from_frame`, which read many dialects, find forwards and discount factors
    by put-call parity where they are not given, and report the quotes they leave
    out. The constructor takes clean arrays and refuses anything else.

    A chain is an immutable value: it compares by content, hashes, pickles and
    copies for free.

    Parameters
    ----------
    strike, maturity : array-like of shape (n_quotes,)
        Strike (currency) and time to expiry (years) of each quote.
    option_type : {"call", "put"} or array-like of shape (n_quotes,)
        One type for all quotes, or one for each.
    mid : array-like of shape (n_quotes,), default=None
        Mid prices, in currency. None: halfway between bid and ask.
    bid, ask : array-like of shape (n_quotes,), default=None
        Bid and ask prices, in currency; NaN where not known.
    forward, discount : float or array-like of shape (n_quotes,)
        Forward price of the underlying and discount factor for the maturity of
        each quote.
    spot : float, default=None
        Price of the underlying today. None: the nearest forward, discounted.
        Prices depend on spot through forwards only, so that this choice moves
        dividend yields and nothing else.

    Attributes
    ----------
    grid : OptionGrid
        The contracts, ragged, in the order of the quotes.
    strike, maturity, forward, discount : ndarray of shape (n_quotes,)
        One value per quote.
    option_type : ndarray of str of shape (n_quotes,)
        ``"call"`` or ``"put"`` per quote.
    bid, ask, mid : ndarray of shape (n_quotes,)
        Prices in currency; bid and ask are NaN where not known.
    spot : float
        Price of the underlying today.

    Raises
    ------
    ValueError
        If an argument is not finite, out of range or of the wrong length, or if
        quotes of one maturity disagree about forward or discount; the message
        names the argument, the entry and its value.

    See Also
    --------
    OptionGrid : The contracts alone.
    check_arbitrage : Whether the prices allow static arbitrage.

    Examples
    --------
    Without rates, forwards and discount factors come from put-call parity:

    >>> from levylearn.market import QuoteChain
    >>> chain = QuoteChain.from_frame({
    ...     "Strike": [95, 100, 105, 95, 100, 105],
    ...     "Days": [73] * 6,
    ...     "Type": ["C", "C", "C", "P", "P", "P"],
    ...     "Bid": [7.65, 4.46, 2.31, 1.73, 3.47, 6.25],
    ...     "Ask": [7.75, 4.54, 2.37, 1.79, 3.55, 6.35],
    ... })
    >>> chain
    QuoteChain(n_quotes=6, n_maturities=1, spot=99.99)
    >>> chain.prices
    array([7.7 , 4.5 , 2.34, 1.76, 3.51, 6.3 ])
    >>> chain.term_structure[["maturity", "forward", "discount"]]
       maturity  forward  discount
    0       0.2    101.0      0.99
    >>> len(chain.out_of_the_money())
    3
    """

    strike: NDArray[np.float64]
    maturity: NDArray[np.float64]
    option_type: NDArray[Any]
    mid: NDArray[np.float64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    forward: NDArray[np.float64]
    discount: NDArray[np.float64]
    spot: float
    grid: OptionGrid
    _dropped: tuple[DroppedQuote, ...]
    _sources: dict[float, SliceMarket]

    def __init__(
        self,
        strike: ArrayLike,
        maturity: ArrayLike,
        option_type: str | Sequence[str] | NDArray[Any],
        mid: ArrayLike | None = None,
        *,
        bid: ArrayLike | None = None,
        ask: ArrayLike | None = None,
        forward: ArrayLike,
        discount: ArrayLike,
        spot: float | None = None,
    ) -> None:
        contracts = OptionGrid.from_quotes(strike, maturity, option_type=option_type)
        n_quotes = contracts.n_quotes
        self.strike = contracts.strike
        self.maturity = contracts.maturity
        self.option_type = contracts.option_type
        self.bid = frozen(_prices("bid", bid, n_quotes))
        self.ask = frozen(_prices("ask", ask, n_quotes))
        self.mid = frozen(_mid(mid, self.bid, self.ask))
        self.forward = frozen(_per_quote("forward", forward, contracts))
        self.discount = frozen(_per_quote("discount", discount, contracts))
        if spot is None:
            near = np.argmin(self.maturity)
            spot = self.forward[near] * self.discount[near]
        self.spot = positive_number("spot", spot)
        rate = -np.log(self.discount) / self.maturity
        self.grid = OptionGrid.from_quotes(
            self.strike,
            self.maturity,
            spot=self.spot,
            rate=rate,
            dividend=rate - np.log(self.forward / self.spot) / self.maturity,
            option_type=self.option_type,
        )
        self._remember((), ())

    def _remember(
        self, dropped: Sequence[DroppedQuote], sources: Sequence[SliceMarket]
    ) -> QuoteChain:
        """Keep what is told about the quotes, though it is no part of their value."""
        # Straight into __dict__: these two are set anew on a chain just made.
        self.__dict__["_dropped"] = tuple(dropped)
        self.__dict__["_sources"] = {slice_.maturity: slice_ for slice_ in sources}
        return self

    @classmethod
    def read_csv(
        cls,
        path: str | PathLike[str] | IO[str],
        *,
        spot: float | None = None,
        rate: float | None = None,
        dividend: float | None = None,
        valuation_date: Any = None,
        option_type: str | None = None,
        columns: Mapping[str, Hashable | None] | None = None,
        **csv_options: Any,
    ) -> QuoteChain:
        """Read a chain from a CSV file.

        Lines that start with ``#`` are comments. The columns and the rules are
        those of :meth:`from_frame`; errors and ``dropped`` speak of lines of the
        file.

        Parameters
        ----------
        path : path or text file
            The file, in UTF-8.
        spot, rate, dividend, valuation_date, option_type, columns
            As for :meth:`from_frame`.
        **csv_options
            Passed to :func:`pandas.read_csv`, as ``sep=";"`` or ``thousands=","``.

        Returns
        -------
        chain : QuoteChain
            The quotes that can be used, in the order of the file.

        Raises
        ------
        ValueError
            As :meth:`from_frame`.

        Warns
        -----
        QuoteWarning
            As :meth:`from_frame`.

        Examples
        --------
        >>> import io
        >>> from levylearn.market import QuoteChain
        >>> file = io.StringIO('''# calls, one month before expiry
        ... K,T,type,mid
        ... 95,0.25,call,8.0
        ... 105,0.25,call,2.5
        ... ''')
        >>> QuoteChain.read_csv(file, spot=100, rate=0.02, dividend=0.0)
        QuoteChain(n_quotes=2, n_maturities=1, spot=100)
        """
        return cls._from_parsed(
            spot,
            *parse_frame(
                read_csv_frame(path, csv_options),
                columns=columns,
                option_type=option_type,
                valuation_date=valuation_date,
                rate=rate,
                dividend=dividend,
            ),
        )

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame | Mapping[str, ArrayLike],
        *,
        spot: float | None = None,
        rate: float | None = None,
        dividend: float | None = None,
        valuation_date: Any = None,
        option_type: str | None = None,
        columns: Mapping[str, Hashable | None] | None = None,
    ) -> QuoteChain:
        """Build a chain from a table with one quote per row.

        Parameters
        ----------
        frame : DataFrame or mapping of columns
            The quotes. Columns are found by name; case, blanks and punctuation do
            not matter, and columns with other names are ignored. See Notes.
        spot : float, default=None
            Price of the underlying. None: the column, or else the nearest forward,
            discounted.
        rate, dividend : float, default=None
            Continuous interest rate and dividend yield per year, for all
            maturities. None: the columns, or else put-call parity. A value takes
            the place of the columns that say the same (``rate`` and ``discount``;
            ``dividend`` and ``forward``).
        valuation_date : date or str, default=None
            Day of the quotes, needed where maturities come as dates of expiry.
        option_type : {"call", "put"}, default=None
            Type of all quotes, for a table without such a column.
        columns : dict, default=None
            Names of columns that would not be found, as
            ``{"strike": "Basispreis"}``; None as a name means to ignore a column
            that would be, as ``{"spot": None}``.

        Returns
        -------
        chain : QuoteChain
            The quotes that can be used, in the order of the table.

        Raises
        ------
        ValueError
            If a column is missing, a cell cannot be read (the message names row,
            column and value), no quote can be used, or the forward of a maturity
            can neither be computed nor inferred.

        Warns
        -----
        QuoteWarning
            If quotes were left out or averaged, or dividends taken as zero.

        Notes
        -----
        *Columns.* The names understood, in the order of preference:

        ============== ======================================================
        strike         strike, K, strike_price, exercise_price
        maturity       years: maturity, T, tau, ttm, time_to_expiry,
                       time_to_expiration, time_to_maturity, years,
                       year_fraction; or
                       days (over 365): days, dte, days_to_expiry,
                       days_to_expiration, days_to_maturity; or
                       dates (actual days over 365): expiry, expiration,
                       expiry_date, expiration_date, exdate, maturity_date,
                       as year, month, day
        valuation_date valuation_date, quote_date, trade_date, date
        option_type    option_type, type, cp, cp_flag, call_put, put_call,
                       right; cells call, put, C, P
        bid            bid, bid_price, best_bid
        ask            ask, ask_price, best_ask, offer, best_offer
        mid            mid, mid_price, mark
        price          price, option_price, premium, settlement, settle,
                       close, last, last_price
        implied_vol    implied_vol, iv, implied_volatility, volatility, vol
        spot           spot, S, S0, spot_price, underlying, underlying_price
        forward        forward, F, forward_price
        discount       discount, df, discount_factor
        rate           rate, r, risk_free_rate, interest_rate
        dividend       dividend, q, dividend_yield
        net_rate       net_rate, carry, cost_of_carry: rate less dividend;
                       alone, it serves as the rate, without a dividend
        ============== ======================================================

        *Prices.* The mid is the ``mid`` column where it has a value, else halfway
        between bid and ask, else the ``price`` column, which may be a stale trade.
        Only a table without any of these is priced from its implied volatilities,
        by Black's formula.

        *Quotes that cannot be used* are left out, and listed with row and reason
        in :attr:`dropped`: expired (maturity not positive), infinite or negative
        prices, crossed (bid above ask), a bid of zero, no price, a price of zero,
        a mid outside its bid and ask. Several quotes of one contract are replaced
        by their average ("duplicate"). Quotes that allow arbitrage are kept:
        :func:`check_arbitrage` finds them.

        *Forward and discount factor* of each maturity, :attr:`term_structure`
        says which case it was:

        1. both known, from the columns, or from spot, rate and dividend;
        2. rate known: the forward that fits :math:`C - P = D (F - K)` over the
           strikes with a call and a put (one is enough);
        3. rate unknown: the line that fits both (two strikes at least; one, if
           spot and dividend, or the forward, are known);
        4. rate and spot known, but no strike with both types: no dividend, with a
           warning that ``dividend=0.0`` silences.

        Fits weigh each strike by one over the square of its bid-ask spread, and
        leave out those that lie further from a first, median, line than four
        robust standard deviations and than their spread.

        Examples
        --------
        >>> from levylearn.market import QuoteChain
        >>> chain = QuoteChain.from_frame(
        ...     {"K": [90, 100], "expiry": ["2024-07-12", "2024-10-11"], "price": [12.3, 8.6]},
        ...     option_type="call", valuation_date="2024-04-12",
        ...     spot=100.0, rate=0.05, dividend=0.01,
        ... )
        >>> chain.maturity.round(4)
        array([0.2493, 0.4986])
        >>> chain.implied_vol.round(3)
        array([0.274, 0.273])
        """
        import pandas as pd

        return cls._from_parsed(
            spot,
            *parse_frame(
                frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame),
                columns=columns,
                option_type=option_type,
                valuation_date=valuation_date,
                rate=rate,
                dividend=dividend,
            ),
        )

    @classmethod
    def _from_parsed(
        cls, spot: float | None, table: QuoteTable, spots: NDArray[np.float64]
    ) -> QuoteChain:
        n_rows = len(table)
        spot = _one_spot(spots) if spot is None else positive_number("spot", spot)
        table, dropped = usable_quotes(table)
        # Before quotes are averaged: those of two markets must not be.
        check_one_market(table)
        table, duplicates = merge_duplicates(table)
        market = infer_market(table, spot)
        dropped += duplicates
        _warn(n_rows, dropped, market)
        return cls._in_market(table, market)._remember(dropped, market.slices)

    @classmethod
    def _in_market(cls, table: QuoteTable, market: Market) -> QuoteChain:
        maturities = np.array([slice_.maturity for slice_ in market.slices])
        which = np.searchsorted(maturities, table.maturity)
        forward = np.array([slice_.forward for slice_ in market.slices])[which]
        discount = np.array([slice_.discount for slice_ in market.slices])[which]
        mid = table.mid
        if not table.has_prices:
            mid = black_price(
                forward,
                table.strike,
                table.maturity,
                table.implied_vol,
                discount=discount,
                option_type=table.option_type,
            )
        return cls(
            table.strike,
            table.maturity,
            table.option_type,
            mid,
            bid=table.bid,
            ask=table.ask,
            forward=forward,
            discount=discount,
            spot=market.spot,
        )

    @property
    def n_quotes(self) -> int:
        """Number of quotes."""
        return len(self.strike)

    @property
    def prices(self) -> NDArray[np.float64]:
        """Mid prices, in currency: one surface, in the order of ``grid``."""
        return self.mid

    @property
    def half_spread(self) -> NDArray[np.float64]:
        """Half of ask less bid, in currency; NaN where not known."""
        return (self.ask - self.bid) / 2

    @property
    def weights(self) -> NDArray[np.float64]:
        """One over the half spread: a residual times it is in half spreads.

        All ones if no spread is known. Where bid equals ask the smallest positive
        half spread stands in, where a spread is not known the median one.
        """
        half_spread = self.half_spread
        positive = half_spread[half_spread > 0]
        if positive.size == 0:
            return np.ones(self.n_quotes)
        half_spread = np.where(half_spread == 0, positive.min(), half_spread)
        half_spread = np.where(np.isnan(half_spread), np.nanmedian(half_spread), half_spread)
        return 1 / half_spread

    @property
    def implied_vol(self) -> NDArray[np.float64]:
        """Black volatility of each mid price; NaN where none gives that price."""
        return implied_volatility(
            self.mid,
            self.forward,
            self.strike,
            self.maturity,
            discount=self.discount,
            option_type=self.option_type,
        )

    @property
    def dropped(self) -> pd.DataFrame:
        """The rows that were left out: row, strike, maturity, option_type, reason, detail."""
        import pandas as pd

        return pd.DataFrame(self._dropped, columns=DroppedQuote._fields)

    @property
    def term_structure(self) -> pd.DataFrame:
        """One row per maturity, with what was found for it and how.

        Columns are maturity, n_quotes, forward, discount, rate, dividend, source
        (in words), and rate_error, the standard error of a rate that came from
        put-call parity.
        """
        import pandas as pd

        rows = []
        for maturity, quotes in self.grid.slices:
            first = quotes[0]
            source = self._sources.get(maturity)
            rows.append(
                {
                    "maturity": maturity,
                    "n_quotes": len(quotes),
                    "forward": self.forward[first],
                    "discount": self.discount[first],
                    "rate": self.grid.rate[first],
                    "dividend": self.grid.dividend[first],
                    "source": source.source if source else "given",
                    "rate_error": source.rate_error if source else np.nan,
                }
            )
        return pd.DataFrame(rows)

    def select(self, mask: ArrayLike | slice) -> QuoteChain:
        """Return the chain of some of the quotes.

        Parameters
        ----------
        mask : array-like of bool or int, or slice
            Which quotes, as NumPy would index them.

        Returns
        -------
        chain : QuoteChain
            The quotes chosen, in the same market; ``dropped`` is kept.

        Raises
        ------
        ValueError
            If no quote is left.

        Examples
        --------
        >>> from levylearn.market import QuoteChain
        >>> chain = QuoteChain([90, 100], [0.5, 0.5], "call", [12.0, 5.0],
        ...                    forward=100.0, discount=1.0)
        >>> chain.select(chain.strike > 95)
        QuoteChain(n_quotes=1, n_maturities=1, spot=100)
        """
        mask = chosen("mask", mask, self.n_quotes)
        chain = type(self)(
            self.strike[mask],
            self.maturity[mask],
            self.option_type[mask],
            self.mid[mask],
            bid=self.bid[mask],
            ask=self.ask[mask],
            forward=self.forward[mask],
            discount=self.discount[mask],
            spot=self.spot,
        )
        return chain._remember(self._dropped, tuple(self._sources.values()))

    def out_of_the_money(self) -> QuoteChain:
        """Return the chain of the puts below the forward and the calls from it up.

        These are the liquid side, and say by put-call parity what the others say
        too: a fit to both counts most strikes twice.

        Returns
        -------
        chain : QuoteChain
            The out-of-the-money quotes.

        Raises
        ------
        ValueError
            If there is none.
        """
        return self.select((self.option_type == "call") == (self.strike >= self.forward))

    def to_frame(self) -> pd.DataFrame:
        """Return the quotes as a frame, which :meth:`from_frame` reads back unchanged.

        Returns
        -------
        frame : DataFrame
            Columns maturity, strike, option_type, bid, ask, mid, implied_vol,
            forward, discount and spot.
        """
        import pandas as pd

        names = ("maturity", "strike", "option_type", "bid", "ask", "mid", "implied_vol")
        columns = {name: getattr(self, name) for name in (*names, "forward", "discount")}
        return pd.DataFrame({**columns, "spot": self.spot})

    def _content(self) -> tuple[Any, ...]:
        prices = (self.bid, self.ask, self.mid, self.forward, self.discount)
        return (self.grid, *(array.tobytes() for array in prices))

    def __len__(self) -> int:
        return self.n_quotes

    def __repr__(self) -> str:
        n_maturities = len(np.unique(self.maturity))
        return (
            f"QuoteChain(n_quotes={self.n_quotes}, n_maturities={n_maturities}, spot={self.spot:g})"
        )


def _prices(name: str, values: ArrayLike | None, n_quotes: int) -> NDArray[np.float64]:
    if values is None:
        return np.full(n_quotes, np.nan)
    array = floats(name, values)
    if array.shape != (n_quotes,):
        raise ValueError(f"{name} must have one entry per quote ({n_quotes}); got {array.shape}.")
    bad = np.flatnonzero(np.isinf(array) | (array < 0))
    if bad.size:
        raise ValueError(f"{name} must be finite and >= 0; entry {bad[0]} is {array[bad[0]]:g}.")
    return array


def _mid(
    mid: ArrayLike | None, bid: NDArray[np.float64], ask: NDArray[np.float64]
) -> NDArray[np.float64]:
    crossed = np.flatnonzero(bid > ask)
    if crossed.size:
        i = crossed[0]
        raise ValueError(f"bid must not exceed ask; entry {i} has bid {bid[i]:g}, ask {ask[i]:g}.")
    array = (bid + ask) / 2 if mid is None else _prices("mid", mid, len(bid))
    bad = np.flatnonzero(~(array > 0))
    if bad.size:
        hint = "" if mid is not None else " (it was taken from bid and ask)"
        raise ValueError(f"mid must be positive; entry {bad[0]} is {array[bad[0]]:g}{hint}.")
    return array


def _per_quote(name: str, values: ArrayLike, contracts: OptionGrid) -> NDArray[np.float64]:
    """Return one positive value per quote, the same throughout a maturity."""
    array = floats(name, values)
    if array.shape not in ((), (1,), (contracts.n_quotes,)):
        raise ValueError(
            f"{name} must be a number or one per quote ({contracts.n_quotes}); got {array.shape}."
        )
    array = np.broadcast_to(array, contracts.n_quotes).copy()
    bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if bad.size:
        raise ValueError(f"{name} must be positive; entry {bad[0]} is {array[bad[0]]:g}.")
    for maturity, quotes in contracts.slices:
        values_there = array[quotes]
        if np.ptp(values_there) > _FORWARD_DIGITS * values_there[0]:
            raise ValueError(
                f"{name} must be the same for all quotes of one maturity; at maturity "
                f"{maturity:g} it runs from {values_there.min():g} to {values_there.max():g}."
            )
        array[quotes] = values_there[0]
    return array


def _one_spot(spots: NDArray[np.float64]) -> float | None:
    known = spots[~np.isnan(spots)]
    if known.size == 0:
        return None
    if np.ptp(known) > 0:
        raise ValueError(
            f"a chain holds the quotes of one moment; its spot runs from {known.min():g} to "
            f"{known.max():g}. Build one chain per moment, or pass spot=."
        )
    return positive_number("spot", known[0])


def _warn(n_rows: int, dropped: Sequence[DroppedQuote], market: Market) -> None:
    # The caller of from_frame or read_csv is four calls up.
    if dropped:
        warnings.warn(
            f"{len(dropped)} of {n_rows} rows are no quotes of the chain: {describe(dropped)}. "
            f"See its attribute 'dropped'.",
            QuoteWarning,
            stacklevel=4,
        )
    if market.without_dividend:
        maturities = ", ".join(f"{maturity:g}" for maturity in market.without_dividend)
        warnings.warn(
            f"no dividend is given, and no strike has both a call and a put, at maturities "
            f"{maturities}: taken as zero. Pass dividend=0.0 if that is right.",
            QuoteWarning,
            stacklevel=4,
        )
