r"""How an optimum moves with the quotes: the implicit function theorem.

At an optimum the gradient :math:`J^\top r` is zero, and stays so when a quote :math:`x_i` moves:

.. math:: (J^\top J + S)\,\frac{dz}{dx_i} = -J_i \frac{1}{\sigma_i} \frac{d(\sigma_i r_i)}{dx_i},
   \qquad S = \sum_i r_i \nabla^2 r_i,

where :math:`\sigma_i` is the unit of the residual. The matrix is never formed: with :math:`J = QR`
it is :math:`R^\top (1 + R^{-\top} S R^{-1}) R`, so that where quotes are reproduced, and S is next
to nothing, the answer is that of the pseudo-inverse of J, to its digits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._problem import CalibrationProblem

__all__ = ["slopes_of_optima"]

Floats = NDArray[np.float64]

# Steps of central differences: in a quote, relative, and in a coordinate, in its width.
_QUOTE_STEP, _STEP = 6e-6, 1e-4
# Directions whose strength is less than this, over that of the strongest, are not told apart.
_BLIND = 1e-12


def slopes_of_optima(
    pose: Callable[[Floats], CalibrationProblem],
    X: Floats,
    z: Floats,
    held: NDArray[np.bool_],
    relative: Floats | None = None,
) -> Floats:
    """Derivatives (n, q, m) of optimal coordinates with respect to the quotes.

    Parameters
    ----------
    pose : callable
        Returns the problem that surfaces pose.
    X : ndarray of shape (n, m)
        The surfaces.
    z : ndarray of shape (n, q)
        Their optima.
    held : ndarray of bool of shape (n, q)
        Which coordinates a bound holds: they do not move.
    relative : ndarray of shape (n, m), default=None
        Errors over the model's prices, if these are the unit of residuals and move with the
        optimum.

    Returns
    -------
    slopes : ndarray of shape (n, q, m)
        NaN where the quotes do not tell coordinates apart, and for quotes that are missing.
    """
    problem, rows = pose(X), np.arange(len(X))
    width = problem.space.width
    residuals, jacobian = problem.residuals(rows)(z, rows)
    assert jacobian is not None
    jacobian = np.where(held[:, None, :], 0.0, jacobian * width)
    # A unit row for each that is held makes the matrix regular, and its answer zero.
    unit = held[:, :, None] * np.eye(z.shape[1])
    stacked = np.concatenate([jacobian, unit], axis=1)
    told = np.isfinite(stacked).all(axis=(1, 2))
    Q, R = np.linalg.qr(np.where(told[:, None, None], stacked, 0.0))
    size = np.linalg.svd(R, compute_uv=False)
    told &= size[:, -1] > _BLIND * size[:, 0]
    R[~told] = np.eye(z.shape[1])
    curvature = _curvature(problem, z, residuals, held)
    if relative is not None:
        # Of both factors of the gradient the unit is the model's price.
        twice = 2 * np.nan_to_num(relative)[..., None]
        curvature -= np.swapaxes(jacobian, 1, 2) @ (twice * jacobian)
    told &= np.isfinite(curvature).all(axis=(1, 2))
    inverse = np.linalg.inv(R)
    bent = np.swapaxes(inverse, 1, 2) @ np.where(told[:, None, None], curvature, 0.0) @ inverse
    answer = np.linalg.solve(bent + np.eye(z.shape[1]), np.swapaxes(Q[:, : X.shape[1]], 1, 2))
    slopes = -width[:, None] * (inverse @ answer) * _pull(pose, problem, X, z)[:, None, :]
    slopes[~told] = np.nan
    return slopes


def _curvature(
    problem: CalibrationProblem, z: Floats, residuals: Floats, held: NDArray[np.bool_]
) -> Floats:
    """Sum (n, q, q) of the residuals times their second derivatives, in widths."""
    rows, width = np.arange(len(z)), problem.space.width
    curvature = np.empty((*z.shape, z.shape[1]))
    for k, step in enumerate(_STEP * width):
        move = step * np.eye(z.shape[1])[k]
        ahead, behind = (problem.residuals(rows)(z + s * move, rows)[1] for s in (1, -1))
        assert ahead is not None and behind is not None
        change = (ahead - behind) * width / (2 * _STEP)
        curvature[:, :, k] = (np.swapaxes(change, 1, 2) @ residuals[..., None])[..., 0]
    free = ~(held[:, :, None] | held[:, None, :])
    return np.where(free, (curvature + np.swapaxes(curvature, 1, 2)) / 2, 0.0)


def _pull(
    pose: Callable[[Floats], CalibrationProblem], problem: CalibrationProblem, X: Floats, z: Floats
) -> Floats:
    """How much each residual (n, m) pulls more when its quote moves."""
    rows = np.arange(len(X))
    model = problem.pricer.evaluate(problem.space.parameters(z))[0]
    ends = [X * (1 + sign * _QUOTE_STEP) for sign in (1, -1)]
    problems = [pose(end) for end in ends]
    up, down = (np.multiply(*at.distance(model, rows)) for at in problems)
    slope = problem.distance(model, rows)[1]
    felt = slope != 0
    pull = (up - down) / (ends[0] - ends[1]) / np.where(felt, slope, 1.0)
    # A quote next to a bound of no-arbitrage, beyond which it has no volatility.
    lost = problem.quoted & ~(problems[0].quoted & problems[1].quoted)
    pull = np.where(felt & ~lost, pull, np.where(lost, np.nan, 0.0))
    return np.where(np.isnan(X), np.nan, pull)
