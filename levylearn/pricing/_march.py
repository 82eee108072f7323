"""Marching the time value of puts from expiry to today, on periodic grids."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

__all__ = ["march", "march_above"]

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Both stages of the Runge-Kutta method solve with the same multiple of the operator: that for
# which it is of second order and damps what is rough completely.
_STAGE = 1 - np.sqrt(0.5)


def march(symbol: Complex, source: Floats, maturity: float, n_steps: int) -> Floats:
    r"""Integrate :math:`w' = Aw + f` from zero, by an implicit Runge-Kutta method.

    The operator is diagonal in Fourier space, so that equal steps are powers of one
    number for each frequency, and their sum takes a few squarings.

    Parameters
    ----------
    symbol : complex ndarray of shape (n_samples, n_nodes / 2 + 1)
        Eigenvalues of the operator A.
    source : ndarray of shape (n_samples, n_nodes)
        The source f.
    maturity : float
        How far to go.
    n_steps : int
        In how many steps.

    Returns
    -------
    values : ndarray of shape (n_samples, n_nodes)
        At maturity.
    """
    step = maturity / n_steps
    z = step * symbol
    stages = 1 / (1 - _STAGE * z) ** 2
    factor = (1 + (1 - 2 * _STAGE) * z) * stages
    weight = step * (1 - _STAGE**2 * z) * stages * _geometric_sum(factor, n_steps)[0]
    return fft.irfft(weight * fft.rfft(source, axis=1), axis=1)


def _geometric_sum(factor: Complex, n_terms: int) -> tuple[Complex, Complex]:
    """Return 1 + factor + ... of so many terms, and the power that would come next."""
    if n_terms == 1:
        return np.ones_like(factor), factor
    total, power = _geometric_sum(factor, n_terms // 2)
    total, power = total * (1 + power), power * power
    return (total + power, power * factor) if n_terms % 2 else (total, power)


def march_above(
    symbol: Complex,
    source: Floats,
    maturity: float,
    n_steps: int,
    obstacle: Callable[[float], Floats],
    rise: Floats,
) -> Floats:
    r"""Integrate the same equation where `w` may not fall below an obstacle.

    The complementarity problem :math:`w' = Aw + f + \lambda`, :math:`w \ge o`,
    :math:`\lambda \ge 0`, :math:`\lambda(w - o) = 0` is split: each step of the second-order
    backward difference formula first takes :math:`\lambda` from the step before, then moves
    `w` and :math:`\lambda` together until they are complementary.

    Parameters
    ----------
    symbol, source, maturity, n_steps : as for march
        The equation.
    obstacle : callable
        ``obstacle(time)`` is the least value, of shape ``(n_samples, n_nodes)``; zero at
        time zero.
    rise : ndarray of shape (n_samples, n_nodes)
        How fast the obstacle rises at time zero.

    Returns
    -------
    values : ndarray of shape (n_samples, n_nodes)
        At maturity.
    """
    step = maturity / n_steps
    before = now = np.zeros_like(source)
    push = np.maximum(rise - source, 0.0)
    # The first step is one of the first order, of which one does no harm.
    lead, known = 1.0, now
    for n in range(1, n_steps + 1):
        inverse = 1 / (lead - step * symbol)
        values = fft.rfft(known + step * (source + push), axis=1)
        free = fft.irfft(inverse * values, axis=1) - (step / lead) * push
        before, now = now, np.maximum(free, obstacle(n * step))
        push = (now - free) * (lead / step)
        lead, known = 1.5, 2 * now - 0.5 * before
    return now
