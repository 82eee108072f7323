"""What a calibrator has seen, and so what it knows nothing of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# How far beyond what was seen is still near it, as a fraction of its range. Inputs have long
# tails, of which more is to be expected than was seen; parameters come from a box.
_INPUTS_SLACK, _PARAMETERS_SLACK = 1.0, 0.25


class TrainingRange:
    """Least and greatest values of all inputs and parameters that were learned from.

    Parameters
    ----------
    inputs : ndarray of shape (n_samples, n_inputs)
        What was learned from; NaN where there is nothing.
    params : ndarray of shape (m_samples, n_params)
        The parameters.
    """

    def __init__(self, inputs: Floats, params: Floats) -> None:
        self.inputs = _range(inputs)
        self.parameters = _range(params)

    def widened(self, other: TrainingRange) -> TrainingRange:
        """Return what either has seen."""
        both = object.__new__(TrainingRange)
        both.inputs = _either(self.inputs, other.inputs)
        both.parameters = _either(self.parameters, other.parameters)
        return both

    def left_by(self, inputs: Floats, params: Floats) -> Bools:
        """Which rows have an input, or a parameter, from far outside."""
        far = _outside(inputs, self.inputs, _INPUTS_SLACK)
        return far | _outside(params, self.parameters, _PARAMETERS_SLACK)


def _range(values: Floats) -> Floats:
    """Least and greatest (2, k) of each column; of one without values, anything."""
    known = ~np.isnan(values)
    low = np.min(values, axis=0, where=known, initial=np.inf)
    high = np.max(values, axis=0, where=known, initial=-np.inf)
    empty = low > high
    return np.array([np.where(empty, -np.inf, low), np.where(empty, np.inf, high)])


def _either(one: Floats, other: Floats) -> Floats:
    return np.array([np.minimum(one[0], other[0]), np.maximum(one[1], other[1])])


def _outside(values: Floats, seen: Floats, slack: float) -> Bools:
    """Rows with a value beyond the range and its slack; NaN is in no place."""
    low, high = seen
    beyond = slack * np.where(np.isfinite(high - low), high - low, 0.0)
    outside = values < low - beyond
    outside |= values > high + beyond
    return outside.any(axis=1)
