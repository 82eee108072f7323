"""The contracts of a grid as the contour engine wants them: in slices, and in bands of slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid

# Maturities within this factor share a line.
_BAND = 8.0


class Layout:
    """Contracts by maturity, and maturities by band.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.

    Attributes
    ----------
    maturities : ndarray of shape (n_maturities,)
        In ascending order.
    quotes : ndarray of int of shape (n_maturities, n_strikes)
        Which contract of the grid stands where. Slices with fewer strikes than others are
        filled up with copies of their first.
    k : ndarray of shape (n_maturities, n_strikes)
        log(F / K) of each.
    k_of_quote : ndarray of shape (n_quotes,)
        The same in the order of the grid.
    bands : list of slice
        Consecutive maturities that share a line.
    starts, counts : ndarray of int of shape (n_bands,)
        First maturity of each band, and how many it has.
    even : list of ndarray of bool
        By band, which maturities are as far from the last as that is from the one before.
    """

    def __init__(self, grid: OptionGrid) -> None:
        slices = grid.slices
        width = max(len(quotes) for _, quotes in slices)
        self.n_quotes = grid.n_quotes
        self.maturities = np.array([maturity for maturity, _ in slices])
        self.quotes = np.array([np.resize(quotes, width) for _, quotes in slices])
        self.k_of_quote = -grid.log_moneyness
        self.k = self.k_of_quote[self.quotes]
        self.bands = _bands(self.maturities)
        self.starts = np.array([band.start for band in self.bands])
        self.counts = np.array([band.stop - band.start for band in self.bands])
        self.even = [_even(self.maturities[band]) for band in self.bands]


def _bands(maturities: NDArray[np.float64]) -> list[slice]:
    """Consecutive maturities of similar size."""
    starts = [0]
    for t, maturity in enumerate(maturities):
        if maturity > _BAND * maturities[starts[-1]]:
            starts.append(t)
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(maturities)], strict=True)]


def _even(maturities: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which maturities continue an arithmetic progression."""
    even = np.zeros(len(maturities), dtype=bool)
    gaps = np.diff(maturities)
    even[2:] = np.abs(gaps[1:] - gaps[:-1]) <= 1e-13 * gaps[1:]
    return even
