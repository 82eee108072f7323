"""Coordinates along the ridge of a density that is much longer in one direction than in others."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

__all__ = ["OffRidge", "Ridge", "climb"]

Floats = NDArray[np.float64]
# From points (k, d) to log-densities (k,), gradients (k, d) and metrics (k, d, d).
Density = Callable[[Floats], tuple[Floats, Floats, Floats]]

# How far apart the knots are, how many there may be on each side, and how often each is corrected.
_STEP, _MOST_KNOTS, _CORRECTIONS = 0.2, 100, 2
# The ridge ends where it has come down by this, or where one more correction would gain more.
_DEPTH, _LOST = 10.0, 0.5


class OffRidge(NamedTuple):
    """Points so many widths off a ridge, and how the map to them changes there."""

    y: Floats  # (n, d)
    log_volume: Floats  # (n,): logarithm of the volume of y that a unit of w has
    width: Floats  # (n, d - 1, d - 1)
    # By the first coordinate.
    slope: Floats  # (n, d - 1): of the other coordinates
    log_volume_slope: Floats  # (n,)

    def pulled_back(self, gradient: Floats) -> Floats:
        """Return derivatives (n, d) of the log-density of w, given those by y of that of y."""
        others = gradient[:, 1:]
        along = gradient[:, 0] + (others * self.slope).sum(axis=1) + self.log_volume_slope
        return np.column_stack([along, np.vecmat(others, self.width)])


class Ridge:
    """The density's maximum over all coordinates but the first, and its width there.

    A point w is as many widths off the ridge, at the same first coordinate t:
    ``y = (t, crest(t) + A(t) w_rest)``, where A is a lower triangular matrix. Beyond its ends
    the ridge goes straight on, as wide as there.

    Parameters
    ----------
    t : ndarray of shape (k,)
        Knots, in ascending order, at least two.
    crest : ndarray of shape (k, d - 1)
        Where the density is greatest at these.
    width : ndarray of shape (k, d - 1, d - 1)
        Lower triangular factors of the covariances there.
    """

    def __init__(self, t: Floats, crest: Floats, width: Floats) -> None:
        self._ends = t[0], t[-1]
        self._diagonal = np.arange(crest.shape[1])
        # Logarithms, so that widths stay positive between the knots.
        entries = width.copy()
        entries[:, self._diagonal, self._diagonal] = np.log(self._of_diagonal(width))
        self._spline = CubicSpline(t, np.concatenate([crest[..., None], entries], axis=2))

    def __call__(self, w: Floats) -> OffRidge:
        """Return the points (n, d) that are w (n, d) off the ridge."""
        t, rest, i = w[:, 0], w[:, 1:], self._diagonal
        inside = np.clip(t, *self._ends)
        beyond = t - inside
        here, slope = self._spline(inside), self._spline(inside, 1)
        crest, width = here[..., 0] + slope[..., 0] * beyond[:, None], here[..., 1:]
        crest_slope, width_slope = slope[..., 0], slope[..., 1:]
        width_slope[beyond != 0] = 0.0
        log_volume = self._of_diagonal(width).sum(axis=1)
        log_volume_slope = self._of_diagonal(width_slope).sum(axis=1)
        width[:, i, i] = np.exp(width[:, i, i])
        width_slope[:, i, i] *= width[:, i, i]
        y = np.column_stack([t, crest + np.matvec(width, rest)])
        moved = crest_slope + np.matvec(width_slope, rest)
        return OffRidge(y, log_volume, width, moved, log_volume_slope)

    def _of_diagonal(self, matrices: Floats) -> Floats:
        return matrices[:, self._diagonal, self._diagonal]


def climb(density: Density, d: int) -> Ridge:
    """Follow the ridge from the origin, where the density is about standard normal.

    Each knot is where the last three lead to, corrected by steps of scoring.

    Parameters
    ----------
    density : callable
        Log-densities (k,), gradients (k, d) and metrics (k, d, d) of points (k, d).
    d : int
        Number of coordinates.
    """
    start = _knot(density, np.zeros(d), corrections=0)
    floor = start.log_density - _DEPTH
    down, up = (_side(density, start, sign * _STEP, floor) for sign in (-1, 1))
    knots = [*reversed(down), start, *up]
    if len(knots) == 1:  # nowhere to go: straight on, then
        knots += [start._replace(y=start.y + np.eye(d)[0])]
    y = np.stack([knot.y for knot in knots])
    return Ridge(y[:, 0], y[:, 1:], np.stack([knot.width for knot in knots]))


class _Knot(NamedTuple):
    """A point of the ridge."""

    y: Floats  # (d,)
    log_density: float
    width: Floats  # (d - 1, d - 1)
    promise: float  # what another correction would gain


def _side(density: Density, start: _Knot, step: float, floor: float) -> list[_Knot]:
    """Return the knots on one side of the start, as far as there is a ridge."""
    knots = [start]
    while len(knots) <= _MOST_KNOTS and knots[-1].log_density > floor:
        ahead = _ahead([knot.y for knot in knots[-3:]])
        ahead[0] = len(knots) * step
        try:
            knot = _knot(density, ahead, _CORRECTIONS)
        except np.linalg.LinAlgError:  # a metric that has lost its digits
            break
        if not knot.promise <= _LOST:
            break
        knots.append(knot)
    return knots[1:]


def _ahead(y: list[Floats]) -> Floats:
    """Return what comes after up to three points of a curve."""
    if len(y) == 3:
        return y[0] - 3 * y[1] + 3 * y[2]
    return 2 * y[-1] - y[0]


def _knot(density: Density, y: Floats, corrections: int) -> _Knot:
    """Return the knot near a point (d,)."""
    for left in range(corrections, -1, -1):
        value, gradient, metric = (part[0] for part in density(y[None]))
        step = np.linalg.solve(metric[1:, 1:], gradient[1:])
        if left:
            y = np.concatenate([y[:1], y[1:] + step])
    promise = 0.5 * float(gradient[1:] @ step) if np.isfinite(value) else np.inf
    covariance = np.linalg.inv(metric[1:, 1:])
    return _Knot(y, float(value), np.linalg.cholesky(covariance), promise)
