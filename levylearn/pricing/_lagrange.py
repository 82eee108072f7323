"""Interpolation of a grid function that has a kink at zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["interpolate"]

Floats = NDArray[np.float64]

_N_POINTS = 6


def interpolate(values: Floats, positions: Floats, kink: int) -> Floats:
    """Read off values between nodes by polynomials of fifth degree.

    The nodes that a polynomial goes through all lie on one side of the kink.

    Parameters
    ----------
    values : ndarray of shape (..., n_nodes)
        Values at the nodes.
    positions : ndarray of shape (..., m)
        Where to interpolate, in steps from the first node.
    kink : int
        Node at which the function may have a kink.

    Returns
    -------
    interpolated : ndarray of shape (..., m)
        One value for each position.
    """
    below = np.floor(positions).astype(np.intp)
    first = below - (_N_POINTS // 2 - 1)
    first = np.where(
        below >= kink, np.maximum(first, kink), np.minimum(first, kink - _N_POINTS + 1)
    )
    first = np.clip(first, 0, values.shape[-1] - _N_POINTS)
    place = positions - first
    result = np.zeros_like(positions)
    for i in range(_N_POINTS):
        others = [j for j in range(_N_POINTS) if j != i]
        weight = np.prod([(place - j) / (i - j) for j in others], axis=0)
        result += weight * np.take_along_axis(values, first + i, axis=-1)
    return result
