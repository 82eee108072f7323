"""How far surfaces are from those of the parameters that a calibrator found."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from levylearn.base import ROUNDING
from levylearn.market import check_arbitrage
from levylearn.metrics._answers import NAN_POLICY, average, pair_of_sets, parameter_sets
from levylearn.metrics._fit import implied_vol_rmse, mean_over_quotes
from levylearn.models import get_model
from levylearn.preprocessing._units import prices_from, worth
from levylearn.utils._sklearn import HasMethods, Interval, validate_params

__all__ = [
    "arbitrage_violations",
    "errors_in_price",
    "errors_in_volatility",
    "failure_rate",
    "ready",
    "relative_errors",
    "repriced",
    "repricing_implied_vol_rmse",
    "repricing_mape",
    "repricing_rmse",
    "share_lost",
    "true_surfaces",
    "violations",
]

Floats = NDArray[np.float64]
Pricer = Any

PRICER = [HasMethods(["fit", "evaluate", "admissible"])]
_CONSTRAINTS: dict[str, list[Any]] = {
    "y_true": ["array-like"],
    "y_pred": ["array-like"],
    "pricer": PRICER,
    "quantile": [Interval(Real, 0, 1, closed="both"), None],
    "nan_policy": NAN_POLICY,
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def repricing_rmse(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    pricer: Pricer,
    quantile: float | None = None,
    nan_policy: str = "propagate",
) -> float:
    """Root mean squared error of each surface when it is priced again, averaged.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of shape (n_samples, n_params)
        Those that a calibrator found; NaN where it found none.
    pricer : pricer
        What prices both, fitted; one that has nothing to learn need not be.
    quantile : float, default=None
        Quantile over the surfaces, as 0.5 or 0.95; None: the mean.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the error is NaN if a surface has no error, or of those that have one.

    Returns
    -------
    error : float
        In the unit of the pricer's output. A surface has no error if it was not calibrated, or
        the model does not exist for the parameters found.

    Raises
    ------
    ValueError
        If the shapes differ, or the model does not exist for the true parameters.

    See Also
    --------
    repricing_mape : Relative errors.
    failure_rate : How many surfaces have no error.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.metrics import repricing_rmse
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5]))
    >>> round(repricing_rmse([[0.2], [0.3]], [[0.21], [0.3]], pricer=pricer), 3)
    0.12
    """
    market, model, _ = _both(y_true, y_pred, pricer)
    return average(errors_in_price(market, model), nan_policy, quantile)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def repricing_mape(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    pricer: Pricer,
    quantile: float | None = None,
    nan_policy: str = "propagate",
) -> float:
    """Mean relative error of each surface when it is priced again, averaged.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of shape (n_samples, n_params)
        Those that a calibrator found; NaN where it found none.
    pricer : pricer
        What prices both, fitted; one that has nothing to learn need not be.
    quantile : float, default=None
        Quantile over the surfaces, as 0.5 or 0.95; None: the mean.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the error is NaN if a surface has no error, or of those that have one.

    Returns
    -------
    error : float
        As a fraction: 0.01 is 1 %. Options worth less than rounding error, 16 times that of a
        number as large as the forward, do not count. A surface has no error if it was not
        calibrated, or the model does not exist for the parameters found.

    Raises
    ------
    ValueError
        If the shapes differ, or the model does not exist for the true parameters.

    See Also
    --------
    average_relative_percentage_error : The same of a surface and the quotes of a market.
    failure_rate : How many surfaces have no error.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.metrics import repricing_mape
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5]))
    >>> round(repricing_mape([[0.2], [0.3]], [[0.21], [0.3]], pricer=pricer), 4)
    0.0291
    >>> round(repricing_mape([[0.2], [0.3]], [[0.21], [0.3]], pricer=pricer, quantile=0.95), 4)
    0.0554
    """
    market, model, pricer = _both(y_true, y_pred, pricer)
    return average(relative_errors(market, model, pricer), nan_policy, quantile)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def repricing_implied_vol_rmse(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    pricer: Pricer,
    quantile: float | None = None,
    nan_policy: str = "propagate",
) -> float:
    """Root mean squared error of each surface's implied volatilities, averaged.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of shape (n_samples, n_params)
        Those that a calibrator found; NaN where it found none.
    pricer : pricer
        What prices both, fitted; one that has nothing to learn need not be.
    quantile : float, default=None
        Quantile over the surfaces, as 0.5 or 0.95; None: the mean.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the error is NaN if a surface has no error, or of those that have one.

    Returns
    -------
    error : float
        As a volatility: 0.01 is one volatility point. A surface has no error if it was not
        calibrated, the model does not exist for the parameters found, or a price then has
        no volatility where the true one has.

    Raises
    ------
    ValueError
        If the shapes differ, or the model does not exist for the true parameters.

    See Also
    --------
    implied_vol_rmse : The same of two surfaces.
    failure_rate : How many surfaces were not calibrated.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.metrics import repricing_implied_vol_rmse
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5]))
    >>> round(repricing_implied_vol_rmse([[0.2], [0.3]], [[0.21], [0.3]], pricer=pricer), 6)
    0.005
    """
    market, model, pricer = _both(y_true, y_pred, pricer)
    return average(errors_in_volatility(market, model, pricer), nan_policy, quantile)


@validate_params(
    {name: _CONSTRAINTS[name] for name in ("y_pred", "pricer", "nan_policy")},
    prefer_skip_nested_validation=True,
)
def arbitrage_violations(
    y_true: Any, y_pred: ArrayLike, *, pricer: Pricer, nan_policy: str = "propagate"
) -> float:
    """Mean number of static arbitrages in the surface of the parameters found.

    A model has none. A pricer that is an approximation, such as one that has learned prices from
    examples, may have some.

    Parameters
    ----------
    y_true : array-like
        Ignored; here because metrics have it.
    y_pred : array-like of shape (n_samples, n_params)
        Parameters that a calibrator found; NaN where it found none.
    pricer : pricer
        What prices them, fitted; one that has nothing to learn need not be.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the number is NaN if a surface was not calibrated, or of those that were.

    Returns
    -------
    number : float
        Violations per surface.

    See Also
    --------
    levylearn.market.check_arbitrage : What is counted.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.metrics import arbitrage_violations
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5]))
    >>> arbitrage_violations(None, [[0.2], [0.3]], pricer=pricer)
    0.0
    """
    found = parameter_sets(y_pred, "y_pred", lost=True)
    pricer = ready(pricer)
    return average(violations(repriced(found, pricer), pricer), nan_policy)


@validate_params(
    {"y_true": ["array-like"], "y_pred": ["array-like"], "pricer": [*PRICER, None]},
    prefer_skip_nested_validation=True,
)
def failure_rate(y_true: ArrayLike, y_pred: ArrayLike, *, pricer: Pricer | None = None) -> float:
    """Share of the surfaces that have no answer.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of shape (n_samples, n_params)
        Those that a calibrator found; NaN where it found none.
    pricer : pricer, default=None
        If given, parameters for which it has no price are no answer either.

    Returns
    -------
    rate : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If the shapes differ.

    See Also
    --------
    parameter_mae : Errors of the parameters; NaN if there are failures, unless told otherwise.

    Examples
    --------
    >>> from levylearn.metrics import failure_rate
    >>> failure_rate([[0.2], [0.3], [0.25], [0.4]], [[0.21], [0.3], [float("nan")], [0.39]])
    0.25
    """
    _, found = pair_of_sets(y_true, y_pred)
    return share_lost(found, pricer and ready(pricer))


# -- the same of surfaces, one value for each -----------------------------------------


def share_lost(found: Floats, pricer: Pricer | None) -> float:
    """Share of parameter sets that are NaN, or for which a fitted pricer has no price."""
    kept = ~np.isnan(found).any(axis=1) if pricer is None else _priced(found, pricer)
    return float(np.mean(~kept))


def errors_in_price(market: Floats, model: Floats) -> Floats:
    """Root mean squared errors."""
    mean_square: Floats = np.asarray(mean_over_quotes((model - market) ** 2, ~np.isnan(market)))
    return np.sqrt(mean_square)


def relative_errors(market: Floats, model: Floats, pricer: Pricer) -> Floats:
    """Mean relative errors of the options that are worth something."""
    grid, unit = pricer.grid, pricer.output
    least = grid.discount * grid.forward / worth(grid, unit) * ROUNDING
    valued = market > (0.0 if unit == "implied_vol" else least)
    relative = np.abs(model - market) / np.where(valued, market, 1.0)
    return np.asarray(mean_over_quotes(relative, valued))


def errors_in_volatility(market: Floats, model: Floats, pricer: Pricer) -> Floats:
    """Root mean squared errors of implied volatilities."""
    return np.asarray(implied_vol_rmse(market, model, grid=pricer.grid, unit=pricer.output))


def violations(surfaces: Floats, pricer: Pricer) -> Floats:
    """Numbers of static arbitrages; NaN for a surface without prices."""
    prices = prices_from(surfaces, pricer.grid, pricer.output)
    counts = check_arbitrage(prices, pricer.grid).counts.values()
    return np.where(np.isnan(prices).all(axis=1), np.nan, np.sum(list(counts), axis=0))


def ready(pricer: Pricer) -> Pricer:
    """A pricer that is fitted."""
    try:
        check_is_fitted(pricer)
    except NotFittedError:
        if not hasattr(pricer, "model"):
            raise ValueError(
                f"{type(pricer).__name__} learns from examples: it must be fitted before it scores."
            ) from None
        centre = [np.mean(p.market_range) for p in get_model(pricer.model).parameters]
        return clone(pricer).set_output(transform="default").fit([centre])
    return pricer


def repriced(params: Floats, pricer: Pricer) -> Floats:
    """Surfaces of parameter sets; NaN where there is no price."""
    priced = _priced(params, pricer)
    surfaces = np.full((len(params), pricer.grid.n_quotes), np.nan)
    if priced.any():
        surfaces[priced] = pricer.evaluate(params[priced])[0]
    return surfaces


def _priced(params: Floats, pricer: Pricer) -> NDArray[np.bool_]:
    if params.shape[1] != len(pricer.parameters_):
        names = ", ".join(parameter.name for parameter in pricer.parameters_)
        raise ValueError(
            f"There are {params.shape[1]} parameters, but the pricer has "
            f"{len(pricer.parameters_)}: {names}."
        )
    known: NDArray[np.bool_] = np.asarray(np.isfinite(params).all(axis=1))
    known[known] = pricer.admissible(params[known])
    return known


def _both(y_true: ArrayLike, y_pred: ArrayLike, pricer: Pricer) -> tuple[Floats, Floats, Pricer]:
    """True surfaces, those of the parameters found, and the fitted pricer."""
    truth, found = pair_of_sets(y_true, y_pred)
    pricer = ready(pricer)
    return true_surfaces(truth, pricer), repriced(found, pricer), pricer


def true_surfaces(truth: Floats, pricer: Pricer) -> Floats:
    """Surfaces of parameter sets, every one of which has a price."""
    lost = np.flatnonzero(~_priced(truth, pricer))
    if lost.size:
        raise ValueError(
            f"y_true must be parameters that the pricer has a price for; row {lost[0]}, "
            f"{truth[lost[0]]}, is not."
        )
    return repriced(truth, pricer)
