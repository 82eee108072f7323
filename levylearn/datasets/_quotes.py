"""Market quotes that come with the package."""

from __future__ import annotations

import csv
from importlib.resources import files
from math import sqrt
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from levylearn.market._black import black_price
from levylearn.market._chain import QuoteChain

__all__ = ["load_dax_2002", "load_sp500_2002"]

_SP500_SPOT, _SP500_RATE, _SP500_DIVIDEND = 1124.47, 0.019, 0.012
_TRADING_DAYS = 250.0  # per year
_DAX_SPOT = 4468.17
_DAYS = 365.0

_SP500_DESCR = """\
S&P 500 calls, 18 April 2002
----------------------------

75 mid prices of European calls on the S&P 500 index at the close of 18 April 2002, at seven
maturities from one month to 20 months; spot 1124.47. It is the set on which Lévy models have
been compared since Schoutens (2003).

:Rates: continuous interest rate 1.9 %, dividend yield 1.2 %, for all maturities.
:Maturities: trading days over 250 (22, 46, 109, 173, 234, 298 and 427 days). The book does not
    say how it counts time; of the conventions tried, this one reproduces its errors. With
    calendar days the fitted parameters differ.
:Prices: mid prices. Implied volatilities (14.8 % to 22.6 %) are computed from them.
:Number: the book counts 77 quotes, the table that circulates has 75. Published errors
    therefore differ from those computed here in the third digit.
:Slip: some listings give 114.80 for the December 2002 call of strike 1025. It should be
    133.10; the other price would allow a butterfly arbitrage. These 75 prices allow none.

``published_fits`` holds, for each model, the ``parameters`` of the book, its ``errors``, and
``errors_75``, those of the same parameters on the quotes here. The book's errors are as quoted
elsewhere, which the recomputed ones support. ``ape`` is the mean absolute error over the mean
price, ``aae`` the mean absolute error and ``rmse`` the root mean squared error in index points,
``arpe`` the mean relative error. Variance Gamma is printed as C, G, M (``as_printed``): nu = 1/C,
theta = C (1/M - 1/G), sigma^2 = 2 C / (G M).

Source: W. Schoutens, "Lévy Processes in Finance: Pricing Financial Derivatives", Wiley, 2003.
"""

_DAX_DESCR = """\
DAX implied volatilities, 5 July 2002
-------------------------------------

104 Black volatilities of European options on the DAX index on 5 July 2002: 13 strikes from 3400
to 5600 at each of 8 maturities from 13 to 703 days; spot 4468.17. Volatilities run from 22 % to
66 %: a steep smile, at short maturities above all.

:Rates: one continuous zero rate per maturity; no dividends, since the DAX is a total return
    index.
:Maturities: actual days over 365.
:Prices: computed by Black's formula from the volatilities, each for the out-of-the-money
    option: a put below the forward, a call above it.
:Arbitrage: the volatilities are smoothed quotes, not trades; six prices, at four of the
    maturities, allow butterfly arbitrages of at most 7.1 index points.

``published_fits`` holds sums of squared volatility errors, in squared volatility points
(``sse``), as published for Heston and Bates models. Both are with maturities rounded to weeks,
int((days + 3) / 7), and rates interpolated in between.

Sources: A. Sepp, "Pricing European-style options under jump diffusion processes with stochastic
volatility: applications of Fourier transform", Acta et Commentationes Universitatis Tartuensis
de Mathematica 8 (2003), 123-133; the grid as in the tests of QuantLib (hestonmodel, batesmodel).
"""


def load_sp500_2002(*, as_frame: bool = True) -> Bunch:
    """Load 75 S&P 500 calls of 18 April 2002.

    Maturities are trading days over 250: see ``DESCR``.

    Parameters
    ----------
    as_frame : bool, default=True
        Whether to make the data frame, too. False leaves ``frame`` None.

    Returns
    -------
    data : Bunch
        With the attributes:

        grid : OptionGrid
            The contracts and their market, ragged.
        prices, implied_vol : ndarray of shape (75,)
            Mid prices in index points, and their Black volatilities.
        chain : QuoteChain
            The same as a chain.
        frame : DataFrame or None
            One row per quote: expiry, trading_days and the columns of
            :meth:`QuoteChain.to_frame`.
        published_fits : dict
            For ``"black_scholes"``, ``"variance_gamma"``, ``"nig"`` and ``"cgmy"``,
            the published parameters and errors.
        DESCR : str
            Where the data come from, and their conventions.

    References
    ----------
    .. [1] W. Schoutens, "Lévy Processes in Finance: Pricing Financial Derivatives",
       Wiley, 2003.

    Examples
    --------
    >>> from levylearn.datasets import load_sp500_2002
    >>> data = load_sp500_2002()
    >>> data.chain
    QuoteChain(n_quotes=75, n_maturities=7, spot=1124.47)
    >>> data.published_fits["nig"]["parameters"]
    {'alpha': 6.1882, 'beta': -3.8941, 'delta': 0.1622}
    """
    table = _read("sp500_2002.csv")
    trading_days = np.array(table["trading_days"], dtype=np.int64)
    maturity = trading_days / _TRADING_DAYS
    chain = QuoteChain(
        np.array(table["strike"], dtype=np.float64),
        maturity,
        "call",
        np.array(table["mid"], dtype=np.float64),
        forward=_SP500_SPOT * np.exp((_SP500_RATE - _SP500_DIVIDEND) * maturity),
        discount=np.exp(-_SP500_RATE * maturity),
        spot=_SP500_SPOT,
    )
    labels = {"expiry": table["expiry"], "trading_days": trading_days}
    return _bunch(chain, chain.implied_vol, labels, as_frame, _sp500_fits(), _SP500_DESCR)


def load_dax_2002(*, as_frame: bool = True) -> Bunch:
    """Load 104 DAX volatilities of 5 July 2002.

    Parameters
    ----------
    as_frame : bool, default=True
        Whether to make the data frame, too. False leaves ``frame`` None.

    Returns
    -------
    data : Bunch
        With the attributes:

        grid : OptionGrid
            The contracts and their market, ragged; each is of the out-of-the-money
            type.
        prices, implied_vol : ndarray of shape (104,)
            Black volatilities as quoted, and their prices in index points.
        chain : QuoteChain
            The same as a chain.
        frame : DataFrame or None
            One row per quote: days and the columns of :meth:`QuoteChain.to_frame`.
        published_fits : dict
            For ``"heston"`` and ``"bates"``, the published sums of squared
            volatility errors.
        DESCR : str
            Where the data come from, and their conventions.

    References
    ----------
    .. [1] A. Sepp, "Pricing European-style options under jump diffusion processes with
       stochastic volatility: applications of Fourier transform", Acta et
       Commentationes Universitatis Tartuensis de Mathematica 8 (2003), 123-133.

    Examples
    --------
    >>> from levylearn.datasets import load_dax_2002
    >>> data = load_dax_2002()
    >>> data.grid
    OptionGrid(n_quotes=104, n_maturities=8, spot=4468.17)
    >>> data.implied_vol[:3]
    array([0.6625, 0.6007, 0.5084])
    """
    table = _read("dax_2002.csv")
    days = np.array(table["days"], dtype=np.int64)
    rate, strike, implied_vol = (
        np.array(table[name], dtype=np.float64) for name in ("rate", "strike", "implied_vol")
    )
    maturity = days / _DAYS
    discount = np.exp(-rate * maturity)
    forward = _DAX_SPOT / discount
    option_type = np.where(strike < forward, "put", "call")
    prices = black_price(
        forward, strike, maturity, implied_vol, discount=discount, option_type=option_type
    )
    chain = QuoteChain(
        strike,
        maturity,
        option_type,
        prices,
        forward=forward,
        discount=discount,
        spot=_DAX_SPOT,
    )
    return _bunch(chain, implied_vol, {"days": days}, as_frame, _dax_fits(), _DAX_DESCR)


def _read(name: str) -> dict[str, list[str]]:
    """Return the columns of a bundled file."""
    text = files("levylearn.datasets").joinpath("data", name).read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    return {column: [row[column] for row in rows] for column in rows[0]}


def _bunch(
    chain: QuoteChain,
    implied_vol: np.ndarray[Any, Any],
    labels: dict[str, Any],
    as_frame: bool,
    published_fits: dict[str, Any],
    descr: str,
) -> Bunch:
    frame = None
    if as_frame:
        frame = chain.to_frame().assign(implied_vol=implied_vol)
        for position, (name, values) in enumerate(labels.items()):
            frame.insert(position, name, values)
    return Bunch(
        grid=chain.grid,
        prices=chain.prices,
        implied_vol=implied_vol,
        chain=chain,
        frame=frame,
        published_fits=published_fits,
        DESCR=descr,
    )


def _sp500_fits() -> dict[str, Any]:
    C, G, M = 1.3574, 5.8704, 14.2699
    return {
        "black_scholes": {
            "parameters": {"sigma": 0.1812},
            "errors": _errors(0.0887, 5.4868, 6.7335, 0.1692),
            "errors_75": _errors(0.08885, 5.4834, 6.7414, 0.1720),
        },
        "variance_gamma": {
            "parameters": {
                "sigma": sqrt(2 * C / (G * M)),
                "nu": 1 / C,
                "theta": C * (1 / M - 1 / G),
            },
            "as_printed": {"C": C, "G": G, "M": M},
            "errors": _errors(0.0467, 2.8862, 3.5600, 0.0756),
            "errors_75": _errors(0.04659, 2.8753, 3.5611, 0.0768),
        },
        "nig": {
            "parameters": {"alpha": 6.1882, "beta": -3.8941, "delta": 0.1622},
            "errors": _errors(0.0397, 2.4568, 3.1119, 0.0617),
            "errors_75": _errors(0.03979, 2.4553, 3.1029, 0.0629),
        },
        "cgmy": {
            "parameters": {"C": 0.0244, "G": 0.0765, "M": 7.5515, "Y": 1.2945},
            "errors": _errors(0.0338, 2.0880, 2.7560, 0.0496),
            "errors_75": _errors(0.03374, 2.0825, 2.7343, 0.0504),
        },
    }


def _errors(ape: float, aae: float, rmse: float, arpe: float) -> dict[str, float]:
    return {"ape": ape, "aae": aae, "rmse": rmse, "arpe": arpe}


def _dax_fits() -> dict[str, Any]:
    return {
        "heston": {"sse": 177.2, "source": "Sepp"},
        # QuantLib's test accepts 36.6 within 2.5.
        "bates": {"sse": 36.6, "source": "QuantLib test-suite, batesmodel"},
    }
