"""Points of a scrambled Sobol sequence, from any of them on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

__all__ = ["MAX_DIMENSION", "sobol_points"]

MAX_DIMENSION = int(qmc.Sobol.MAXDIM)
# Points are multiples of 2**-_BITS, and the middle of an interval of that length is taken.
_BITS = 30


def sobol_points(dimension: int, seed: int, first: int = 0) -> Callable[[int], NDArray[np.float64]]:
    """Return what draws so many points at a time, none of whose coordinates is 0 or 1.

    Parameters
    ----------
    dimension : int
        Number of coordinates.
    seed : int
        Of the scrambling.
    first : int, default=0
        Number of the point to begin with.

    Returns
    -------
    draw : callable
        ``draw(n)`` returns the next points, of shape ``(n, dimension)``.
    """
    engine = qmc.Sobol(dimension, rng=np.random.default_rng(seed), bits=_BITS)
    if first:  # SciPy cannot go forward by nothing
        engine.fast_forward(first)
    return lambda n: engine.random(n) + 0.5 ** (_BITS + 1)
