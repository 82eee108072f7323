"""Surfaces in the units that pricers give them in, from one to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid, black_price, black_vega, implied_volatility

__all__ = ["UNITS", "prices_from", "vegas", "volatilities", "with_volatilities", "worth"]

Floats = NDArray[np.float64]

# The values of a pricer's `output`.
UNITS = {"price", "forward_price", "implied_vol"}


def worth(grid: OptionGrid, unit: str) -> Floats | float:
    """Currency for one unit of a surface of prices."""
    return grid.discount * grid.forward if unit == "forward_price" else 1.0


def prices_from(surfaces: Floats, grid: OptionGrid, unit: str) -> Floats:
    """Prices in currency."""
    if unit == "implied_vol":
        return with_volatilities(surfaces, grid, "price")
    return surfaces * worth(grid, unit)


def volatilities(surfaces: Floats, grid: OptionGrid, unit: str) -> Floats:
    """Black volatilities; NaN where none gives the price."""
    if unit == "implied_vol":
        return surfaces
    return implied_volatility(
        surfaces * worth(grid, unit),
        grid.forward,
        grid.strike,
        grid.maturity,
        grid.discount,
        grid.option_type,
    )


def with_volatilities(volatility: Floats, grid: OptionGrid, unit: str) -> Floats:
    """Surfaces that have these volatilities."""
    if unit == "implied_vol":
        return volatility
    price = black_price(
        grid.forward, grid.strike, grid.maturity, volatility, grid.discount, grid.option_type
    )
    return price / worth(grid, unit)


def vegas(surfaces: Floats, grid: OptionGrid, unit: str) -> Floats:
    """Derivatives of surfaces by volatility; NaN where no volatility gives the price."""
    if unit == "implied_vol":
        return np.ones_like(surfaces)
    volatility = volatilities(surfaces, grid, unit)
    vega = black_vega(grid.forward, grid.strike, grid.maturity, volatility, grid.discount)
    return vega / worth(grid, unit)
