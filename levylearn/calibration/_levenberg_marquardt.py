"""Levenberg-Marquardt for many small problems at once.

All problems step together, each with its own damping. A problem that has ended leaves the
batch, and none knows of the others, so that an answer does not depend on the company it was
computed in. The damped steps are least-squares solutions by QR, not normal equations, which
would lose half of the digits of the badly conditioned problems that calibration is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._status import CalibrationStatus

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
# residuals(z, problems) -> residuals (n, m), Jacobian (n, m, q), in coordinates z (n, q)
Residuals = Callable[[Floats, Ints], tuple[Floats, Floats]]

_RUNNING = -1
_FIRST_DAMPING = 1e-3
_LEAST_DAMPING, _MOST_DAMPING = 1e-15, 1e10
# Relative decrease of the sum of squares below which a fit no longer improves.
_TOLERANCE = 1e-11


class Minimum(NamedTuple):
    """Where the search for one or many problems ended."""

    z: Floats  # (n, q)
    cost: Floats  # (n,), sum of squared residuals
    triangle: Floats  # (n, q, q), R of the QR decomposition of the Jacobian
    status: Ints
    n_evaluations: Ints


class _State(NamedTuple):
    z: Floats
    cost: Floats
    triangle: Floats
    target: Floats  # Q^T r: the residuals that the Jacobian can change
    scale: Floats
    damping: Floats
    growth: Floats


def minimise(
    residuals: Residuals,
    z: Floats,
    problems: Ints,
    low: Floats,
    high: Floats,
    exact: Floats,
    max_evaluations: int,
) -> Minimum:
    """Minimise sums of squared residuals within a box.

    Parameters
    ----------
    residuals : callable
        ``residuals(z, problems)`` for coordinates of shape (n, q); not finite where a point
        must not be used.
    z : ndarray of shape (n, q)
        Starting points, within the box.
    problems : ndarray of int of shape (n,)
        Which problem each point belongs to: handed to `residuals`.
    low, high : ndarray of shape (q,)
        The box.
    exact : ndarray of shape (n,)
        Costs at which a fit counts as exact.
    max_evaluations : int
        Evaluations allowed for each point.

    Returns
    -------
    minimum : Minimum
        Status ``NO_START`` where the residuals at the start are not finite.
    """
    n = len(z)
    state = _start(*residuals(z, problems), z)
    status = np.full(n, _RUNNING)
    status[~np.isfinite(state.cost)] = CalibrationStatus.NO_START
    status[state.cost <= exact] = CalibrationStatus.EXACT
    evaluations = np.ones(n, dtype=np.intp)
    final = [np.array(part) for part in state]
    rows = np.flatnonzero(status == _RUNNING)
    state = _State(*(part[rows] for part in state))
    while len(rows):
        state, ended = _iterate(residuals, state, problems[rows], low, high, exact[rows])
        evaluations[rows] += 1
        ended[(ended == _RUNNING) & (evaluations[rows] >= max_evaluations)] = (
            CalibrationStatus.MAX_EVALUATIONS
        )
        done = ended != _RUNNING
        if done.any():
            status[rows[done]] = ended[done]
            for whole, part in zip(final, state, strict=True):
                whole[rows[done]] = part[done]
            rows = rows[~done]
            state = _State(*(part[~done] for part in state))
    z, cost, triangle = final[:3]
    return Minimum(z, cost, triangle, status, evaluations)


def _start(r: Floats, jacobian: Floats, z: Floats) -> _State:
    cost, triangle, target = _decomposed(r, jacobian)
    n = len(z)
    scale = np.linalg.norm(triangle, axis=1)
    return _State(
        z, cost, triangle, target, scale, np.full(n, _FIRST_DAMPING), np.full(n, 2.0)
    )


def _iterate(
    residuals: Residuals, state: _State, problems: Ints, low: Floats, high: Floats, exact: Floats
) -> tuple[_State, Ints]:
    """Try one step of every problem; return the new state, and why those ended that did."""
    step = _step(state, low, high)
    z = np.clip(state.z + step, low, high)
    step = z - state.z
    linear = (state.triangle @ step[..., None])[..., 0] + state.target
    predicted = (state.target**2).sum(axis=1) - (linear**2).sum(axis=1)

    r, jacobian = residuals(z, problems)
    cost, triangle, target = _decomposed(r, jacobian)
    actual = state.cost - cost
    accepted = actual > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(accepted, actual / predicted, 0.0)

    damping = np.where(
        accepted,
        state.damping * np.clip(1 - (2 * np.minimum(gain, 1.0) - 1) ** 3, 0.1, 2.0),
        state.damping * state.growth,
    )
    growth = np.where(accepted, 2.0, 2 * state.growth)
    keep = accepted[:, None]
    new = _State(
        np.where(keep, z, state.z),
        np.where(accepted, cost, state.cost),
        np.where(keep[..., None], triangle, state.triangle),
        np.where(keep, target, state.target),
        np.maximum(state.scale, np.where(keep, np.linalg.norm(triangle, axis=1), 0.0)),
        np.maximum(damping, _LEAST_DAMPING),
        growth,
    )
    small = predicted <= _TOLERANCE * state.cost
    small &= ~accepted | (actual <= _TOLERANCE * state.cost)
    ended = np.where(small | (damping > _MOST_DAMPING), CalibrationStatus.CONVERGED, _RUNNING)
    ended[new.cost <= exact] = CalibrationStatus.EXACT
    return new, ended


def _step(state: _State, low: Floats, high: Floats) -> Floats:
    """Damped step of the parameters that are not held at a bound."""
    n, q = state.z.shape
    gradient = (np.swapaxes(state.triangle, 1, 2) @ state.target[..., None])[..., 0]
    held = ((state.z <= low) & (gradient > 0)) | ((state.z >= high) & (gradient < 0))
    triangle = np.where(held[:, None, :], 0.0, state.triangle)
    scale = np.where(held | (state.scale == 0), 1.0, state.scale)
    stacked = np.zeros((n, 2 * q, q + 1))
    stacked[:, :q, :q] = triangle
    stacked[:, :q, q] = -state.target
    stacked[:, np.arange(q, 2 * q), np.arange(q)] = np.sqrt(state.damping)[:, None] * scale
    reduced = np.linalg.qr(stacked, mode="r")
    return np.linalg.solve(reduced[:, :q, :q], reduced[:, :q, q:])[..., 0]


def _decomposed(r: Floats, jacobian: Floats) -> tuple[Floats, Floats, Floats]:
    """Cost, and R and Q^T r of the Jacobian's QR; an infinite cost where not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        cost = (r * r).sum(axis=1)
    bad = ~(np.isfinite(cost) & np.isfinite(jacobian).all(axis=(1, 2)))
    system = np.concatenate([jacobian, r[..., None]], axis=2)
    system[bad] = 0.0
    reduced = np.linalg.qr(system, mode="r")
    q = jacobian.shape[2]
    if reduced.shape[1] < q:  # fewer quotes than parameters
        reduced = np.pad(reduced, ((0, 0), (0, q - reduced.shape[1]), (0, 0)))
    return np.where(bad, np.inf, cost), reduced[:, :q, :q], reduced[:, :q, q]
