"""How long calibrations take."""

from __future__ import annotations

import time
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.utils._sklearn import HasMethods, Interval, validate_params

__all__ = ["calibration_time", "timed_predict"]


@validate_params(
    {
        "calibrator": [HasMethods(["predict"])],
        "X": ["array-like"],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def calibration_time(calibrator: Any, X: Any, n_repeats: int = 5) -> float:
    """Time that a fitted calibrator takes for a surface, in seconds.

    Parameters
    ----------
    calibrator : estimator
        The fitted calibrator.
    X : array-like of shape (n_samples, n_quotes)
        Surfaces, given to it at once. The time for one of them alone is longer than its
        share of the time for many.
    n_repeats : int, default=5
        How often to measure; the result is the median.

    Returns
    -------
    seconds : float
        By the clock on the wall, so that whatever else the machine does counts.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from levylearn.metrics import calibration_time
    >>> X, y = [[1.0, 0.5], [2.0, 0.7], [3.0, 0.6]], [0.1, 0.2, 0.3]
    >>> 0 < calibration_time(LinearRegression().fit(X, y), X) < 1
    True
    """
    return float(np.median([timed_predict(calibrator, X)[1] for _ in range(n_repeats)]))


def timed_predict(calibrator: Any, X: Any) -> tuple[NDArray[np.float64], float]:
    """Predictions, and the seconds that each took on average."""
    start = time.perf_counter()
    predicted = calibrator.predict(X)
    return predicted, (time.perf_counter() - start) / len(predicted)
