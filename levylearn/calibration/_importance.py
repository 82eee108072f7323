"""Draws that are nearly from a distribution, moved and weighted until they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

__all__ = ["Weighted", "weighted"]

Floats = NDArray[np.float64]

# So many draws are moved to where they are to be, in so many rounds at most; it is enough when
# they are worth this share of their number, and less than that other is no guide where to go.
_PILOT, _ROUNDS, _ENOUGH, _GUIDE = 256, 30, 0.7, 0.2
# Draws are to be more spread than what they stand for, in deviations: weights stay small in the
# tails. Whatever the weights, so much of the spread that draws have is left to them.
_WIDER, _LEAST_SPREAD = 1.1, 1e-5
_BISECTIONS = 30


class Weighted(NamedTuple):
    """Draws, their log-densities up to a constant, and the logarithms of their weights."""

    x: Floats  # (n, d)
    log_density: Floats  # (n,)
    log_weight: Floats  # (n,)

    @property
    def ess(self) -> float:
        """Effective sample size, after Kish."""
        return _ess(self.log_weight)

    @property
    def log_evidence(self) -> float:
        """Logarithm of the integral of the density."""
        return float(logsumexp(self.log_weight) - np.log(len(self.x)))

    def resampled(self, random: np.random.Generator) -> NDArray[np.intp]:
        """Which draws (n,), some of them several times, stand for all with equal weights."""
        n = len(self.x)
        total = np.cumsum(np.exp(self.log_weight - self.log_weight.max()))
        ticks = (np.arange(n) + random.random()) / n
        return np.minimum(np.searchsorted(total / total[-1], ticks), n - 1)


def weighted(density: Callable[[Floats], Floats], x: Floats, log_proposed: Floats) -> Weighted:
    """Weight draws by a density, after moving them to where they are worth most.

    Draws are moved, all by one affine map, to the mean and the covariance that the first of them
    have when they are weighted: the density that they were drawn from moves along, exactly. As
    long as a few hold all the weight, weights are tempered.

    Parameters
    ----------
    density : callable
        Log-densities (k,), up to a constant, at points (k, d).
    x : ndarray of shape (n, d)
        Draws.
    log_proposed : ndarray of shape (n,)
        The log-density of what they are drawn from.

    Returns
    -------
    weighted : Weighted
        Draws, moved, with their weights.

    References
    ----------
    Paananen, T., Piironen, J., Bürkner, P.-C. and Vehtari, A. (2021). Implicitly adaptive
    importance sampling. Statistics and Computing 31, 16.
    """
    best, most = None, -1.0
    for _ in range(_ROUNDS):
        found = density(x[:_PILOT])
        log_weight = found - log_proposed[:_PILOT]
        worth = _ess(log_weight) / len(found)
        if worth > most:
            best, most = (x, log_proposed, found), worth
        if worth >= _ENOUGH or not np.isfinite(log_weight).any():
            break
        x, log_proposed = _moved(x, log_proposed, _tempered(log_weight))
    assert best is not None
    x, log_proposed, found = best
    found = np.concatenate([found, density(x[_PILOT:])])
    return Weighted(x, found, found - log_proposed)


def _ess(log_weight: Floats) -> float:
    if not np.isfinite(log_weight).any():
        return 0.0
    return float(np.exp(2 * logsumexp(log_weight) - logsumexp(2 * log_weight)))


def _tempered(log_weight: Floats) -> Floats:
    """Weights that sum to one, raised to the greatest power at which enough draws count."""
    low, high = 0.0, 1.0
    known = np.where(np.isfinite(log_weight), log_weight, -np.inf) - log_weight.max()
    wanted = _GUIDE * len(log_weight)
    if _ess(known) >= wanted:
        low = 1.0
    else:
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if _ess(middle * known) >= wanted else (low, middle)
    weight = np.exp(low * known) if low > 0 else np.isfinite(known).astype(np.float64)
    return weight / weight.sum()


def _moved(x: Floats, log_proposed: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Move draws as the weights of the first of them say."""
    first = x[: len(weight)]
    before, after = first.mean(axis=0), weight @ first
    spread = np.cov(first, rowvar=False, ddof=0).reshape(x.shape[1], -1)
    aimed = (weight[:, None] * (first - after)).T @ (first - after)
    aimed[np.diag_indices(len(aimed))] += _LEAST_SPREAD**2 * np.diag(spread)
    inverse = np.linalg.inv(np.linalg.cholesky(spread))
    factor = _WIDER * np.linalg.cholesky(aimed) @ inverse
    _, log_volume = np.linalg.slogdet(factor)
    return after + (x - before) @ factor.T, log_proposed - log_volume
