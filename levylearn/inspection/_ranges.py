"""Parameters of a calibrator, their names, and the ranges that are their unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.metrics._parameters import widths

__all__ = ["names_of", "ranges_of", "widths_of"]

Floats = NDArray[np.float64]


def widths_of(calibrator: Any, n_params: int, model: Any, ranges: ArrayLike | None) -> Floats:
    """Widths of the ranges that are given, or of those of the model, or of the pricer's."""
    if model is None and ranges is None:
        pricer = getattr(calibrator, "pricer_", None)
        ranges = None if pricer is None else ranges_of(pricer.parameters_)
    return widths(n_params, model, ranges)


def ranges_of(parameters: Any) -> Floats:
    """Market ranges (p, 2) of parameters."""
    return np.array([parameter.market_range for parameter in parameters], dtype=np.float64)


def names_of(estimator: Any, n_params: int) -> list[str]:
    """Names of the parameters, if the estimator knows them."""
    return list(getattr(estimator, "parameter_names_", [f"y{j}" for j in range(n_params)]))
