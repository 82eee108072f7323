"""Surfaces that keep the names of their columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_given"]


def as_given(X: Any, surfaces: NDArray[np.float64]) -> Any:
    """Surfaces as a frame with the columns of X if that is one: what was fitted so wants it."""
    if not hasattr(X, "iloc"):
        return surfaces
    return type(X)(surfaces, columns=X.columns)
