"""What is observed: contracts, quotes, Black's formula, implied volatility, arbitrage."""

from levylearn.market._arbitrage import ArbitrageReport, check_arbitrage
from levylearn.market._grid import OptionGrid

__all__ = ["ArbitrageReport", "OptionGrid", "check_arbitrage"]
