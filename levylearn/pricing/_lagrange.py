"""Interpolation of a grid function that has a kink at zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["interpolate"]

Floats = NDArray[np.float64]

_N_POINTS = 6
_POINTS = np.arange(_N_POINTS)
_SCALES = 1 / np.array([np.prod(i - np.delete(_POINTS, i)) for i in _POINTS])


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
    nodes = first[..., None] + _POINTS
    gaps = positions[..., None] - nodes
    # Products of all the gaps but one: those before it, and those after it.
    one = np.ones_like(gaps[..., :1])
    before = np.cumprod(np.concatenate([one, gaps[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, gaps[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    taken = np.take_along_axis(values[..., None, :], nodes, axis=-1)
    return (taken * before * after * _SCALES).sum(axis=-1)
