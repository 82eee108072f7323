"""Measures of how well surfaces, and the parameters behind them, are recovered."""

from levylearn.metrics._fit import (
    average_absolute_error,
    average_percentage_error,
    average_relative_percentage_error,
    implied_vol_rmse,
)

__all__ = [
    "average_absolute_error",
    "average_percentage_error",
    "average_relative_percentage_error",
    "implied_vol_rmse",
]
