"""Quotes as tokens: rows that bring their own contracts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from levylearn.market import OptionGrid

__all__ = ["quote_tokens"]

Floats = NDArray[np.float64]


def quote_tokens(grid: OptionGrid, surfaces: ArrayLike, n_tokens: int | None = None) -> Floats:
    """Lay surfaces out as rows of tokens, so that every row may have its own contracts.

    Rows from several grids go into one matrix: chains of many days, each with its own strikes
    and maturities, for :class:`levylearn.calibration.TransformerCalibrator`. Option types and
    spots are not told: let surfaces be implied volatilities, or prices over the forward of one
    type.

    Parameters
    ----------
    grid : OptionGrid
        The contracts: one for each column.
    surfaces : array-like of shape (n_samples, n_quotes)
        Values of the quotes; NaN = not quoted.
    n_tokens : int or None, default=None
        Tokens in a row, at least `n_quotes`: what is left over is NaN. None means `n_quotes`.

    Returns
    -------
    tokens : ndarray of shape (n_samples, 3 * n_tokens)
        Log-moneynesses, maturities and values, one after the other.

    Raises
    ------
    ValueError
        If the columns are not the quotes of the grid, or `n_tokens` is less than their number.

    See Also
    --------
    QuoteGridder : Interpolates ragged chains on a product grid instead.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.preprocessing import quote_tokens
    >>> grid = OptionGrid(strikes=[90, 110], maturities=[0.5])
    >>> quote_tokens(grid, [[0.22, 0.18]], n_tokens=3).round(2)
    array([[-0.11,  0.1 ,   nan,  0.5 ,  0.5 ,   nan,  0.22,  0.18,   nan]])
    """
    values = check_array(surfaces, dtype=np.float64, ensure_all_finite="allow-nan")
    n_samples, n_quotes = values.shape
    if n_quotes != grid.n_quotes:
        raise ValueError(f"surfaces must have a column for each quote of {grid!r}; got {n_quotes}.")
    n_tokens = n_quotes if n_tokens is None else n_tokens
    if n_tokens < n_quotes:
        raise ValueError(f"n_tokens must be at least n_quotes ({n_quotes}); got {n_tokens}.")
    tokens = np.full((n_samples, 3, n_tokens), np.nan)
    for part, numbers in enumerate((grid.log_moneyness, grid.maturity, values)):
        tokens[:, part, :n_quotes] = np.where(np.isnan(values), np.nan, numbers)
    return tokens.reshape(n_samples, -1)
