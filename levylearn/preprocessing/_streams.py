"""Random numbers that belong to rows: the same in any company and in any order.

The numbers of a row are drawn by a counter from a key, and the key is a hash of the seed, of
the row's content, and of how many equal rows come before it. Both the hash and the counter are
SplitMix64's (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators"),
which need a few operations for each number, on whole arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowStreams"]

Floats = NDArray[np.float64]
_Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BITS = 52  # so that a half can be added


class RowStreams:
    """A stream of uniform numbers for each row of a matrix.

    Parameters
    ----------
    keys : ndarray of uint64 of shape (n_samples,)
        One for each row.
    n_columns : int
        How many numbers a row takes at a time.
    """

    def __init__(self, keys: _Words, n_columns: int) -> None:
        self._keys, self._n_columns = keys, n_columns
        self._draws = 0

    @classmethod
    def of(cls, X: Floats, seed: int) -> RowStreams:
        """Streams of the rows of a matrix.

        Numbers that differ beyond the digits of single precision make different rows; what
        differs less is rounding, and must not change what is drawn.
        """
        with np.errstate(over="ignore", under="ignore"):
            # All NaNs look alike, and so do both zeros.
            single = np.where(np.isnan(X), np.nan, X + 0.0).astype(np.float32)
        keys = np.full(len(X), seed, dtype=np.uint64)
        for column in np.ascontiguousarray(single.T).view(np.uint32):
            keys = _mixed((keys ^ column) + _GOLDEN)
        return cls(_mixed(keys + _GOLDEN * _occurrence(keys)), X.shape[1])

    def take(self, rows: NDArray[np.intp]) -> RowStreams:
        """Return the streams of some rows, from their beginning."""
        return RowStreams(self._keys[rows], self._n_columns)

    def branch(self, number: int) -> RowStreams:
        """Return other streams of the same rows, one for each number."""
        return RowStreams(_mixed(self._keys ^ _word(number)), self._n_columns)

    def uniform(self) -> Floats:
        """Draw numbers between 0 and 1, both excluded, of shape (n_samples, n_columns)."""
        self._draws += 1
        start = _mixed(self._keys + _word(self._draws))
        counter = _GOLDEN * np.arange(1, self._n_columns + 1, dtype=np.uint64)
        bits = _mixed(start[:, None] + counter) >> np.uint64(64 - _BITS)
        return (bits.astype(np.float64) + 0.5) * 2.0**-_BITS


def _word(number: int) -> _Words:
    return _mixed(np.array([number], dtype=np.uint64) * _GOLDEN)


def _mixed(words: _Words) -> _Words:
    """Hash each word; a bijection."""
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def _occurrence(keys: _Words) -> _Words:
    """How many equal keys come before each."""
    order = np.argsort(keys, kind="stable")
    ordered, position = keys[order], np.arange(len(keys))
    is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    start = np.maximum.accumulate(np.where(is_first, position, 0))
    count = np.empty(len(keys), dtype=np.uint64)
    count[order] = position - start
    return count
