"""Prices to implied volatilities, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_is_fitted

from levylearn.market import OptionGrid
from levylearn.preprocessing._base import SurfaceTransformer, by_rows, check_width
from levylearn.preprocessing._units import volatilities, with_volatilities
from levylearn.utils._sklearn import StrOptions

__all__ = ["ImpliedVolTransformer"]

Floats = NDArray[np.float64]


class ImpliedVolTransformer(SurfaceTransformer):
    """Prices to Black volatilities; `inverse_transform` takes them back.

    Volatilities of one smile are alike in size, where prices differ by orders of magnitude:
    they make better features, and better targets.

    Parameters
    ----------
    grid : OptionGrid
        The contracts: one for each column.
    unit : {"price", "forward_price"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`: prices in currency,
        or undiscounted prices over the forward.

    Attributes
    ----------
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    levylearn.market.implied_volatility : The same for arrays of any shape.

    Notes
    -----
    A volatility is NaN where there is no quote, and where no volatility gives the price: below
    the intrinsic value, and at or above the discounted forward (a call) or strike (a put).
    It is zero where the price *is* the intrinsic value. Wherever there is a volatility,
    `inverse_transform` returns the price that it came from, to rounding.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.preprocessing import ImpliedVolTransformer
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[1.0])
    >>> prices = [[13.59, 7.97, 4.29], [9.0, 8.0, float("nan")]]
    >>> transformer = ImpliedVolTransformer(grid).fit(prices)
    >>> volatilities = transformer.transform(prices)
    >>> volatilities.round(3)
    array([[0.2  , 0.2  , 0.2  ],
           [  nan, 0.201,   nan]])
    >>> transformer.inverse_transform(volatilities).round(2)
    array([[13.59,  7.97,  4.29],
           [  nan,  8.  ,   nan]])
    """

    _parameter_constraints = {
        "grid": [OptionGrid],
        "unit": [StrOptions({"price", "forward_price"})],
    }

    def __init__(self, grid: OptionGrid, unit: str = "price") -> None:
        self.grid = grid
        self.unit = unit

    def _transform(self, surfaces: Floats) -> Floats:
        return volatilities(surfaces, self.grid, self.unit)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Take volatilities back to prices.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Black volatilities, not negative; NaN = not quoted.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            Prices, in the unit that `unit` names.

        Raises
        ------
        ValueError
            If a volatility is negative, or the number of columns is another.
        """
        check_is_fitted(self)
        smiles: Floats = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
        check_width(self, self.grid, smiles.shape[1])
        return by_rows(
            lambda rows: with_volatilities(rows, self.grid, self.unit),
            smiles,
            self._layers * smiles.shape[1],
        )

    def _names_out(self) -> NDArray[np.object_]:
        return self.grid.get_feature_names_out()
