"""Evenly spread points of the standard normal distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from levylearn.utils._sobol import sobol_points

__all__ = ["neighbours", "normal_points"]


def normal_points(n: int, dimension: int, seed: int) -> NDArray[np.float64]:
    """Points (n, dimension) whose mean is 0 and whose covariance is the identity, exactly.

    Parameters
    ----------
    n : int
        Number of points, best a power of two, more than twice the dimension.
    dimension : int
        Number of coordinates.
    seed : int
        Of the Sobol sequence they are made of.
    """
    # Sobol points are balanced in powers of two only.
    points = ndtri(sobol_points(dimension, seed)(1 << (n - 1).bit_length())[:n])
    points -= points.mean(axis=0)
    spread = np.linalg.cholesky(points.T @ points / n)
    return np.linalg.solve(spread, points.T).T


def neighbours(dimension: int, seed: int) -> NDArray[np.float64]:
    """Few points that stand for the normal, its mean first: where prices are planned."""
    n = 1 << int(2 * dimension).bit_length()
    return np.concatenate([np.zeros((1, dimension)), normal_points(n, dimension, seed)])
