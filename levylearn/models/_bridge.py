"""Brownian bridges: the first normal numbers decide where a path ends, the last its details."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def bridged(normals: Floats) -> Floats:
    """Turn independent normal numbers into others, in the order of a Brownian bridge.

    Parameters
    ----------
    normals : ndarray of shape (n_paths, n_steps)
        Standard normal numbers. The first column moves the sum of the result.

    Returns
    -------
    increments : ndarray of shape (n_paths, n_steps)
        Standard normal numbers again, an orthogonal transform of the given.

    References
    ----------
    Moskowitz, B. and Caflisch, R. (1996). Smoothness and dimension reduction in quasi-Monte
    Carlo methods. Mathematical and Computer Modelling 23, 37-54.
    """
    n_steps = normals.shape[1]
    path = np.zeros((n_steps + 1, len(normals)))
    path[n_steps] = np.sqrt(n_steps) * normals[:, 0]
    for column, (left, middle, right) in enumerate(_midpoints(n_steps), start=1):
        share = (middle - left) / (right - left)
        spread = np.sqrt((middle - left) * (right - middle) / (right - left))
        path[middle] = (1 - share) * path[left] + share * path[right] + spread * normals[:, column]
    return np.diff(path, axis=0).T


@cache
def _midpoints(n_steps: int) -> list[tuple[int, int, int]]:
    """Left end, middle and right end of every interval, the longest first."""
    order: list[tuple[int, int, int]] = []
    intervals = [(0, n_steps)]
    while intervals:
        halves: list[tuple[int, int]] = []
        for left, right in intervals:
            if right - left > 1:
                middle = (left + right) // 2
                order.append((left, middle, right))
                halves += [(left, middle), (middle, right)]
        intervals = halves
    return order
