"""What is observed: contracts, quotes, Black's formula, implied volatility, arbitrage."""

from levylearn.market._arbitrage import ArbitrageReport, check_arbitrage
from levylearn.market._black import BlackGreeks, black_greeks, black_price, black_vega
from levylearn.market._chain import QuoteChain
from levylearn.market._grid import OptionGrid
from levylearn.market._implied_volatility import implied_volatility

__all__ = [
    "ArbitrageReport",
    "BlackGreeks",
    "OptionGrid",
    "QuoteChain",
    "black_greeks",
    "black_price",
    "black_vega",
    "check_arbitrage",
    "implied_volatility",
]
