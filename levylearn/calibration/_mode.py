"""The posterior's mode and its width there, of all surfaces at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._posterior import PosteriorDensity

__all__ = ["Modes", "find_modes"]

Floats = NDArray[np.float64]

_MAX_STEPS = 200
# Searches end when a step promises less than this, in units of the log-density, or when one that
# promises less than its rounding error does not keep the promise.
_TOLERANCE, _ROUNDING = 1e-16, 1e-9
_LEAST_DAMPING, _DAMPING, _MOST_DAMPING = 1e-12, 1e-3, 1e12


class Modes(NamedTuple):
    """Where the density of each surface is greatest, and the normal that touches it there."""

    x: Floats  # (n, d)
    log_density: Floats  # (n,)
    factor: Floats  # (n, d, d): A with A A^T the covariance
    converged: NDArray[np.bool_]

    def at(self, points: Floats) -> Floats:
        """Coordinates (n, k, d) of points (k, d) of the standard normal, for each surface."""
        return self.x[:, None] + points @ np.swapaxes(self.factor, 1, 2)

    @property
    def log_evidence(self) -> Floats:
        """Laplace's approximation to the logarithm of the quotes' marginal density."""
        _, log_volume = np.linalg.slogdet(self.factor)
        return self.log_density + 0.5 * self.x.shape[1] * np.log(2 * np.pi) + log_volume


def find_modes(density: PosteriorDensity, start: Floats) -> Modes:
    """Climb from coordinates (n, d) by damped scoring steps, each surface with its own damping.

    Fisher's information takes the place of the Hessian (of a normal likelihood with known
    errors it is the Gauss-Newton matrix): it is positive, whatever the point.
    """
    x = start.copy()
    everyone = np.arange(len(x))
    value, slopes = density(x, everyone, slopes=True)
    assert slopes is not None
    gradient, metric = slopes
    damping = np.full(len(x), _DAMPING)
    converged = np.zeros(len(x), dtype=bool)
    going = np.isfinite(value)
    for _ in range(_MAX_STEPS):
        rows = everyone[going]
        if not rows.size:
            break
        matrix = metric[rows] + damping[rows, None, None] * _diagonal(metric[rows])
        step = np.linalg.solve(matrix, gradient[rows][..., None])[..., 0]
        promise = 0.5 * (gradient[rows] * step).sum(axis=1)
        tried, slopes = density(x[rows] + step, rows, slopes=True)
        assert slopes is not None
        better = tried >= value[rows]
        done = (promise <= _TOLERANCE) | (~better & (promise <= _ROUNDING))
        done |= damping[rows] > _MOST_DAMPING
        taken, gained = rows[better], tried - value[rows]
        x[taken] += step[better]
        value[taken] = tried[better]
        gradient[taken], metric[taken] = slopes.gradient[better], slopes.metric[better]
        # Nielsen's rule: damping falls as far as the step has kept its promise.
        with np.errstate(invalid="ignore"):
            kept = np.where(better, gained / np.maximum(promise, _ROUNDING), 0.0)
        factor = np.where(better, np.clip(1 - (2 * kept - 1) ** 3, 0.1, 2.0), 10.0)
        damping[rows] = np.maximum(damping[rows] * factor, _LEAST_DAMPING)
        converged[rows[done]] = True
        going[rows[done]] = False
    return Modes(x, value, factor_of(metric), converged)


def factor_of(precision: Floats) -> Floats:
    """Matrices A (n, d, d), upper triangular, with A A^T the inverse of each precision."""
    lower = np.linalg.cholesky(precision)
    return np.swapaxes(np.linalg.inv(lower), 1, 2)


def _diagonal(matrices: Floats) -> Floats:
    return np.einsum("nii->ni", matrices)[:, :, None] * np.eye(matrices.shape[1])
