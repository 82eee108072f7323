r"""Bent lines of integration, and the choice among them.

The line :math:`u(y) = \tfrac12\sinh(y + iw)` turns the price integral into one over y that
the trapezoid rule sums. For an integrand analytic in a strip around the line the error is

.. math::
    |\mathrm{error}| \lesssim \min_\delta S(w \pm \delta)\,e^{-2\pi\delta/h},
    \qquad S(v) = \max_y |f_v(y)|

(Trefethen and Weideman, 2014). So the size of the integrand on a fan of lines tells, before
any price is computed, which line needs the fewest nodes, and how many.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Complex = NDArray[np.complex128]

# With this scale the poles at u = +-i/2 sit on the edge of the strip |Im(y + iw)| < pi/2.
_SCALE = 0.5
# Aimed at: the error of a price, as a fraction of the forward.
LOG_TOLERANCE = float(np.log(2e-15))
# The sum of terms above exp(_LARGEST) would lose the digits aimed at to rounding.
_LARGEST = 4.0

ANGLES = np.linspace(-1.2, 1.2, 13)
STEPS = 0.32 * 2.0 ** (-0.25 * np.arange(13))
SIZES = np.array([8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512])
PROBES = np.concatenate([np.arange(0, 8, 0.5), np.arange(8, 20, 1.0), np.arange(20, 40, 4.0)])

# 2 pi (w - v) for every line w and every other line v of its strip, on either side of it.
_GAPS = 2 * np.pi * (ANGLES[:, None] - ANGLES[None, :])
_GAPS_BELOW, _GAPS_ABOVE = np.maximum(_GAPS, 0), np.maximum(-_GAPS, 0)


class Choice(NamedTuple):
    """Lines chosen: indices into ANGLES, STEPS and SIZES, and the number of nodes."""

    angle: Ints
    step: Ints
    size: Ints
    cost: Floats


def line(y: Floats, angle: float | Floats) -> tuple[Complex, Complex]:
    """Points u(y) of bent lines, and the weight du/dy / (u^2 + 1/4) there."""
    s = y + 1j * np.asarray(angle)
    u = _SCALE * np.sinh(s)
    return u, _SCALE * np.cosh(s) / (u * u + 0.25)


def nodes(angle: int, step: int, size: int) -> tuple[Complex, Complex]:
    """Nodes and trapezoid weights of one line."""
    u, weight = line(STEPS[step] * np.arange(SIZES[size]), ANGLES[angle])
    weight *= STEPS[step] / np.pi
    weight[0] *= 0.5
    return u, weight


def choose(log_size: Floats) -> Choice:
    """Find the line that needs the fewest nodes.

    Parameters
    ----------
    log_size : ndarray of shape (n, n_angles, n_probes)
        Logarithm of the integrand's size on the fan; -inf where there is nothing to
        integrate, inf on a line that must not be used.

    Returns
    -------
    choice : Choice
        Arrays of shape (n,); cost 0 where there is nothing to integrate.
    """
    largest = log_size.max(axis=2)
    finite = np.maximum(largest - LOG_TOLERANCE, 1.0)[:, None, :]
    step = np.minimum((_GAPS_BELOW / finite).max(axis=2), (_GAPS_ABOVE / finite).max(axis=2))
    alive = log_size > LOG_TOLERANCE
    length = PROBES[np.minimum(last_true(alive) + 1, len(PROBES) - 1)]
    cost = length / np.maximum(step, STEPS[-1])
    # Without a line that is fully accurate, the one with the least rounding error.
    cost += 1e3 * np.clip(largest - _LARGEST, 0.0, 1e3) + 1e3 * (step < STEPS[-1])

    angle = np.argmin(cost, axis=1)
    best = np.arange(len(angle)), angle
    index = np.ceil(4 * np.log2(STEPS[0] / np.maximum(step[best], STEPS[-1]))).astype(np.intp)
    index = np.clip(index, 0, len(STEPS) - 1)
    count = np.floor(length[best] / STEPS[index]) + 1
    size = np.minimum(np.searchsorted(SIZES, count), len(SIZES) - 1)
    nothing = ~alive.any(axis=(1, 2))
    return Choice(angle, index, size, np.where(nothing, 0.0, np.minimum(cost[best], 1e7)))


def last_true(alive: NDArray[np.bool_]) -> Ints:
    """Index of the last True along the last axis; -1 without any."""
    position = alive.shape[-1] - 1 - np.argmax(alive[..., ::-1], axis=-1)
    return np.where(alive.any(axis=-1), position, -1)
