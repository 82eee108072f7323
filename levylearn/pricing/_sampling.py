"""Uniform numbers for Monte Carlo, in replicates, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from levylearn.utils._sobol import sobol_points

__all__ = ["N_REPLICATES", "blocks"]

Floats = NDArray[np.float64]

# Estimates from whose spread the standard error is taken.
N_REPLICATES = 16
# A block holds about this many numbers.
_BLOCK_NUMBERS = 2_000_000


def blocks(sampling: str, n_paths: int, dimension: int, seed: int) -> Iterator[Floats]:
    """Yield the uniform numbers of all paths, the same for the same arguments.

    Parameters
    ----------
    sampling : {"sobol", "antithetic", "pseudo"}
        One scrambled Sobol sequence, of which the replicates are consecutive parts: together
        they are spread more evenly than independent scrambles are, and their spread is, if
        anything, too large; pseudo-random numbers of which the second half of a block mirrors
        the first; or plain ones.
    n_paths : int
        Number of paths of all replicates together.
    dimension : int
        Numbers for each path.
    seed : int
        Where the generators start.

    Yields
    ------
    uniforms : ndarray of shape (n_replicates, n_paths_of_block, dimension)
        Numbers in (0, 1).
    """
    if not dimension:  # all paths are one
        yield np.empty((N_REPLICATES, 1, 0))
        return
    left = n_paths // N_REPLICATES
    if sampling == "sobol":
        draws = [sobol_points(dimension, seed, first * left) for first in range(N_REPLICATES)]
    else:
        seeds = np.random.SeedSequence(seed).spawn(N_REPLICATES)
        draws = [_stream(sampling, dimension, np.random.default_rng(child)) for child in seeds]
    most = max(_BLOCK_NUMBERS // (N_REPLICATES * dimension), 2)
    size = 2 ** (most.bit_length() - 1)  # blocks of Sobol points are powers of 2
    while left:
        points = np.stack([draw(min(size, left)) for draw in draws])
        yield points
        left -= points.shape[1]


def _stream(sampling: str, dimension: int, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Return what draws so many points, none of whose numbers is 0 or 1."""
    if sampling == "pseudo":
        return lambda size: _pseudo(rng, size, dimension)

    def mirrored(size: int) -> Floats:
        half = _pseudo(rng, size // 2, dimension)
        return np.concatenate([half, 1 - half])

    return mirrored


def _pseudo(rng: np.random.Generator, size: int, dimension: int) -> Floats:
    return np.maximum(rng.random((size, dimension)), 0.5**53)
