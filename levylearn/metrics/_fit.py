"""How far the prices of a model are from those of the market."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.market import OptionGrid
from levylearn.preprocessing._units import volatilities

__all__ = [
    "average_absolute_error",
    "average_percentage_error",
    "average_relative_percentage_error",
    "implied_vol_rmse",
    "implied_volatilities",
    "mean_over_quotes",
]

Floats = NDArray[np.float64]

UNITS = ("price", "forward_price", "implied_vol")


def average_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> float | Floats:
    r"""Average absolute error (AAE), :math:`\frac1n \sum |P_i - \hat P_i|`.

    Parameters
    ----------
    y_true : array-like of shape (n_quotes,) or (n_samples, n_quotes)
        Market prices; NaN where there is no quote.
    y_pred : array-like of the same shape
        Model prices.

    Returns
    -------
    error : float or ndarray of shape (n_samples,)
        One value per surface, in the unit of the prices. NaN for a surface without
        quotes, and where the model has no price for a quote.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] W. Schoutens, "Lévy Processes in Finance: Pricing Financial Derivatives",
       Wiley, 2003.

    Examples
    --------
    >>> from levylearn.metrics import average_absolute_error
    >>> average_absolute_error([10.0, 20.0, float("nan")], [10.5, 18.5, 7.0])
    1.0
    """
    market, model = _pair(y_true, y_pred)
    return mean_over_quotes(np.abs(model - market), ~np.isnan(market))


def average_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> float | Floats:
    r"""Average percentage error (APE): the average absolute error over the mean price.

    .. math:: \mathrm{APE} = \frac{\sum |P_i - \hat P_i|}{\sum P_i}

    Parameters
    ----------
    y_true : array-like of shape (n_quotes,) or (n_samples, n_quotes)
        Market prices; NaN where there is no quote.
    y_pred : array-like of the same shape
        Model prices.

    Returns
    -------
    error : float or ndarray of shape (n_samples,)
        One fraction per surface: 0.05 is 5 %. NaN for a surface without quotes, and
        where the model has no price for a quote.

    Raises
    ------
    ValueError
        If the shapes differ.

    See Also
    --------
    average_relative_percentage_error : Each error over its own price.

    References
    ----------
    .. [1] W. Schoutens, "Lévy Processes in Finance: Pricing Financial Derivatives",
       Wiley, 2003.

    Examples
    --------
    >>> from levylearn.metrics import average_percentage_error
    >>> round(average_percentage_error([10.0, 20.0, float("nan")], [10.5, 18.5, 7.0]), 4)
    0.0667
    """
    market, model = _pair(y_true, y_pred)
    quoted = ~np.isnan(market)
    return mean_over_quotes(np.abs(model - market), quoted) / mean_over_quotes(market, quoted)


def average_relative_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> float | Floats:
    r"""Average relative percentage error (ARPE), :math:`\frac1n \sum |P_i - \hat P_i| / P_i`.

    Cheap options, far out of the money, count as much in it as dear ones.

    Parameters
    ----------
    y_true : array-like of shape (n_quotes,) or (n_samples, n_quotes)
        Market prices, positive; NaN where there is no quote.
    y_pred : array-like of the same shape
        Model prices.

    Returns
    -------
    error : float or ndarray of shape (n_samples,)
        One fraction per surface: 0.05 is 5 %. NaN for a surface without quotes, and
        where the model has no price for a quote.

    Raises
    ------
    ValueError
        If the shapes differ, or a market price is not positive.

    See Also
    --------
    average_percentage_error : The sum of the errors over the sum of the prices.

    References
    ----------
    .. [1] W. Schoutens, "Lévy Processes in Finance: Pricing Financial Derivatives",
       Wiley, 2003.

    Examples
    --------
    >>> from levylearn.metrics import average_relative_percentage_error
    >>> average_relative_percentage_error([10.0, 20.0, float("nan")], [10.5, 18.5, 7.0])
    0.0625
    """
    market, model = _pair(y_true, y_pred)
    bad = np.argwhere(market <= 0)
    if len(bad):
        raise ValueError(
            f"y_true must be positive for relative errors; entry "
            f"{', '.join(map(str, bad[0]))} is {market[tuple(bad[0])]:g}."
        )
    return mean_over_quotes(np.abs(model - market) / market, ~np.isnan(market))


def implied_vol_rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, grid: OptionGrid, unit: str = "price"
) -> float | Floats:
    """Root mean squared error of the implied volatilities.

    Parameters
    ----------
    y_true : array-like of shape (n_quotes,) or (n_samples, n_quotes)
        The market's surfaces; NaN where there is no quote.
    y_pred : array-like of the same shape
        The model's surfaces.
    grid : OptionGrid
        The contracts.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold: the `output` of the pricer.

    Returns
    -------
    error : float or ndarray of shape (n_samples,)
        One value per surface, as volatilities: 0.01 is one volatility point. Quotes that
        no volatility gives, or that have no time value, are left out; NaN if none is left,
        and where a model price has no volatility although the market's has.

    Raises
    ------
    ValueError
        If the shapes do not match, or the unit is unknown.

    See Also
    --------
    levylearn.market.implied_volatility : What is applied to both.

    Examples
    --------
    >>> from levylearn.market import OptionGrid, black_price
    >>> from levylearn.metrics import implied_vol_rmse
    >>> grid = OptionGrid([90, 100, 110], [0.5])
    >>> market = black_price(grid.forward, grid.strike, grid.maturity, 0.20)
    >>> model = black_price(grid.forward, grid.strike, grid.maturity, 0.21)
    >>> round(implied_vol_rmse(market, model, grid=grid), 6)
    0.01
    """
    market, model = (implied_volatilities(surface, grid, unit) for surface in _pair(y_true, y_pred))
    return mean_over_quotes((model - market) ** 2, market > 0) ** 0.5


def implied_volatilities(surfaces: Floats, grid: OptionGrid, unit: str = "price") -> Floats:
    """Implied volatilities of surfaces in any unit; NaN where there is none."""
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}; got {unit!r}.")
    if surfaces.shape[-1:] != (grid.n_quotes,):
        raise ValueError(
            f"surfaces must have one column per quote of the grid ({grid.n_quotes}); "
            f"got shape {surfaces.shape}."
        )
    return volatilities(surfaces, grid, unit)


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    market, model = (np.asarray(y, dtype=np.float64) for y in (y_true, y_pred))
    if market.shape != model.shape or market.ndim not in (1, 2):
        raise ValueError(
            f"y_true and y_pred must have the same shape, (n_quotes,) or (n_samples, n_quotes); "
            f"got {market.shape} and {model.shape}."
        )
    return market, model


def mean_over_quotes(values: Floats, quoted: NDArray[np.bool_]) -> float | Floats:
    """Mean over the quotes of each surface; NaN without any."""
    count = quoted.sum(axis=-1)
    total = np.where(quoted, values, 0.0).sum(axis=-1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return float(mean) if mean.ndim == 0 else mean
