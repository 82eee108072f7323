"""Quotes that make an arbitrage, left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from levylearn.market import ArbitrageReport, OptionGrid, check_arbitrage
from levylearn.preprocessing._base import SurfaceTransformer, by_rows, surfaces_of
from levylearn.preprocessing._units import prices_from

__all__ = ["ArbitrageFilter"]

Floats = NDArray[np.float64]

# So many quotes of a surface are tried at each step.
_MAX_SUSPECTS = 16


class ArbitrageFilter(SurfaceTransformer):
    """Surfaces without the quotes that make a static arbitrage.

    As few quotes are left out (NaN) as it takes, one after the other: see Notes. The other quotes
    are not touched.

    Parameters
    ----------
    grid : OptionGrid
        The contracts: one for each column.
    tolerance : float or array-like of shape (n_quotes,), default=None
        By how much each price may be off, in currency; the half spreads of a chain leave alone
        what cannot be traded at bids and asks. None: 1e-9 of spot, which allows for rounding.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`.

    Attributes
    ----------
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    levylearn.market.check_arbitrage : What is an arbitrage, and a report of all.

    Notes
    -----
    An arbitrage is a portfolio of a few quotes, and does not say which of them is wrong. But a
    wrong quote takes part in several. So, as long as there is an arbitrage, one quote more is left
    out: of the sixteen that take part in most, that without which the fewest arbitrages
    remain; among equals that without which the largest of each kind add up to least, then the
    first of the grid. That is greedy, and not always the smallest of all sets of quotes that
    could be left out; but what remains is free of arbitrage.

    Quotes with an error each, as mid prices are, allow many arbitrages that bids and asks do not.
    Without a tolerance they lose many quotes.

    Examples
    --------
    The call of strike 100 has a slip: 9.6 for 6.9.

    >>> from levylearn.market import OptionGrid
    >>> from levylearn.preprocessing import ArbitrageFilter
    >>> grid = OptionGrid(strikes=[90, 95, 100, 105, 110], maturities=[0.5])
    >>> prices = [[12.9, 9.7, 9.6, 4.8, 3.2]]
    >>> arbitrage_filter = ArbitrageFilter(grid).fit(prices)
    >>> arbitrage_filter.transform(prices)
    array([[12.9,  9.7,  nan,  4.8,  3.2]])
    >>> arbitrage_filter.dropped(prices).sum(axis=1)
    array([1])
    """

    _parameter_constraints = {
        **SurfaceTransformer._parameter_constraints,
        "tolerance": ["array-like", float, int, None],
    }

    def __init__(
        self, grid: OptionGrid, tolerance: ArrayLike | None = None, unit: str = "price"
    ) -> None:
        self.grid = grid
        self.tolerance = tolerance
        self.unit = unit

    def dropped(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Tell which quotes `transform` leaves out.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN = not quoted.

        Returns
        -------
        dropped : ndarray of bool of shape (n_samples, n_quotes)
            True for quotes that are left out, not for those that are not there.

        Raises
        ------
        ValueError
            If `X` has another number of columns, or holds what is no number.
        """
        check_is_fitted(self)
        surfaces = surfaces_of(self, X)
        return by_rows(self._dropped, surfaces, self._layers * surfaces.shape[1])

    def _prepare(self) -> None:
        # What is wrong with the tolerance is said there.
        self._check(np.full((1, self.grid.n_quotes), np.nan))

    def _transform(self, surfaces: Floats) -> Floats:
        return np.where(self._dropped(surfaces), np.nan, surfaces)

    def _names_out(self) -> NDArray[np.object_]:
        return self.grid.get_feature_names_out()

    def _check(self, prices: Floats) -> ArbitrageReport:
        return check_arbitrage(prices, self.grid, tolerance=self.tolerance)

    def _dropped(self, surfaces: Floats) -> NDArray[np.bool_]:
        prices = prices_from(surfaces, self.grid, self.unit)
        left = prices.copy()
        rows = np.arange(len(left))
        while len(rows):
            report = self._check(left[rows])
            worst = self._worst(left[rows], report)
            rows = rows[~report.is_free]
            left[rows, worst] = np.nan
        return np.isnan(left) & ~np.isnan(prices)

    def _worst(self, prices: Floats, report: ArbitrageReport) -> NDArray[np.intp]:
        """Quote of each surface with arbitrage, without which the least is left."""
        sample, quote = np.nonzero(self._suspects(prices, report))
        if not len(sample):
            return sample

        def left(which: NDArray[np.intp]) -> Floats:
            without = prices[sample[which]]
            without[np.arange(len(which)), quote[which]] = np.nan
            report = self._check(without)
            number, size = (sum(found.values()) for found in (report.counts, report.largest))
            return np.column_stack([number, size])

        number, size = by_rows(left, np.arange(len(sample)), self._layers * prices.shape[1]).T
        order = np.lexsort([quote, size, number, sample])
        _, first = np.unique(sample[order], return_index=True)
        return quote[order][first]

    def _suspects(self, prices: Floats, report: ArbitrageReport) -> NDArray[np.bool_]:
        """Quotes (n, n_quotes) that take part in the most arbitrages of their surface."""
        frame = report.to_frame()
        later = np.where(frame.kind == "calendar", frame.later_maturity, frame.maturity)
        legs: list[tuple[Any, Any]] = [
            (frame.maturity, frame.strike),
            (later, frame.strike_low),
            (later, frame.strike_high),
        ]
        parts = np.zeros(prices.size, dtype=np.intp)
        for maturity, strike in legs:
            at = (np.asarray(maturity)[:, None] == self.grid.maturity) & (
                np.asarray(strike)[:, None] == self.grid.strike
            )
            breach, quote = np.nonzero(at)
            place = frame["sample"].to_numpy()[breach] * self.grid.n_quotes + quote
            parts += np.bincount(place, minlength=len(parts))
        parts = np.where(np.isnan(prices), 0, parts.reshape(prices.shape))
        most = np.argsort(-parts, axis=1, kind="stable")[:, :_MAX_SUSPECTS]
        suspects = np.zeros(prices.shape, dtype=bool)
        np.put_along_axis(suspects, most, True, axis=1)
        return suspects & (parts > 0)
