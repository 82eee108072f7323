"""What a calibrator has seen, and so what it knows nothing of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# How far beyond what was seen is still near it, as a fraction of its range.
_SLACK = 0.1


class TrainingRange:
    """The least and the greatest value of each quote and of each parameter that were learned from.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_quotes)
        Surfaces; NaN where there is no quote.
    y : ndarray of shape (n_samples, n_params)
        Their parameters.
    """

    def __init__(self, X: Floats, y: Floats) -> None:
        self.surfaces = _range(X)
        self.parameters = _range(y)

    def widened(self, other: TrainingRange) -> TrainingRange:
        """Return what either has seen."""
        both = object.__new__(TrainingRange)
        both.surfaces = _either(self.surfaces, other.surfaces)
        both.parameters = _either(self.parameters, other.parameters)
        return both

    def strangers(self, X: Floats, params: Floats) -> Bools:
        """Which surfaces have quotes, or seem to have parameters, from outside."""
        return _outside(X, self.surfaces) | _outside(params, self.parameters)


def _range(values: Floats) -> Floats:
    """Least and greatest (2, k) of each column; of one without values, anything."""
    known = ~np.isnan(values)
    low = np.min(values, axis=0, where=known, initial=np.inf)
    high = np.max(values, axis=0, where=known, initial=-np.inf)
    empty = low > high
    return np.array([np.where(empty, -np.inf, low), np.where(empty, np.inf, high)])


def _either(one: Floats, other: Floats) -> Floats:
    return np.array([np.minimum(one[0], other[0]), np.maximum(one[1], other[1])])


def _outside(values: Floats, seen: Floats) -> Bools:
    """Rows with a value beyond the range and its slack; NaN is in no place."""
    low, high = seen
    slack = _SLACK * np.where(np.isfinite(high - low), high - low, 0.0)
    return ((values < low - slack) | (values > high + slack)).any(axis=1)
