"""Measures of how well surfaces, and the parameters behind them, are recovered."""

from levylearn.metrics._fit import (
    average_absolute_error,
    average_percentage_error,
    average_relative_percentage_error,
    implied_vol_rmse,
)
from levylearn.metrics._intervals import interval_coverage, interval_score, interval_width
from levylearn.metrics._p_values import adjust_p_values
from levylearn.metrics._parameters import parameter_mae, parameter_r2, parameter_rmse
from levylearn.metrics._repricing import (
    arbitrage_violations,
    failure_rate,
    repricing_implied_vol_rmse,
    repricing_mape,
    repricing_rmse,
)
from levylearn.metrics._scorers import CalibrationScorer, get_calibration_scorer
from levylearn.metrics._significance import (
    autocorrelation_test,
    bias_tests,
    diebold_mariano_test,
    normality_tests,
    significance_tests,
)
from levylearn.metrics._time import calibration_time

__all__ = [
    "CalibrationScorer",
    "adjust_p_values",
    "arbitrage_violations",
    "autocorrelation_test",
    "average_absolute_error",
    "average_percentage_error",
    "average_relative_percentage_error",
    "bias_tests",
    "calibration_time",
    "diebold_mariano_test",
    "failure_rate",
    "get_calibration_scorer",
    "implied_vol_rmse",
    "interval_coverage",
    "interval_score",
    "interval_width",
    "normality_tests",
    "parameter_mae",
    "parameter_r2",
    "parameter_rmse",
    "repricing_implied_vol_rmse",
    "repricing_mape",
    "repricing_rmse",
    "significance_tests",
]
