r"""Distribution functions and their inverses, from characteristic functions.

On the line :math:`u(y) = b\sinh(y + iw) - ib`, which crosses the imaginary axis inside the
strip where every model has moments,

.. math::
    P(X > x) = \frac1\pi \int_0^\infty \mathrm{Re}\,
    \frac{e^{-iux}\varphi(u)}{iu}\,u'(y)\,dy,

and the density is the same without :math:`iu`. The line is bent to the side on which
:math:`e^{-iux}` falls. What makes laws of short times hard is a peak, or an atom, at the drift
d that is left when all jumps are taken away. So the points are :math:`d \pm e^s` with s evenly
spaced: a power of the distance to d is then as smooth as anything else. Points and lines do not
depend on the law, so the exponentials are tables, and a law costs a few matrix products.

References: Boyarchenko, S. and Levendorskii, S. (2019), International Journal of Theoretical
and Applied Finance 22, 1950011.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.models._quantiles import monotone_spline

__all__ = ["quantile_function"]

Floats = NDArray[np.float64]
Complex = NDArray[Any]
LogCF = Callable[[Complex], Complex]

# What is promised of the distribution function.
TOLERANCE = 1e-7
# Points nearer to the drift than the first distance are at the drift; the last is far out.
_DISTANCES = np.exp(np.arange(np.log(1e-8), np.log(400.0), 1 / 12))
_ANGLES = (0.0, 0.2, 0.45, 0.75, 1.1)
_SCALE = 0.05
_STEP, _N_NODES = 0.1, 310
# Beyond these probabilities the law is cut off.
_TAIL = 1e-12


class _Line(NamedTuple):
    """One line, for the points on one side of the drift."""

    u: Complex
    weight: Complex  # step u'(y) / pi, half of it at the crossing
    kernel: Complex  # exp(-i u x) for the distances x, (n_distances, n_nodes)
    size: Floats  # of the kernel


@cache
def _lines(side: int) -> list[_Line]:
    y = _STEP * np.arange(_N_NODES)
    lines = []
    for angle in _ANGLES:
        bent = y - 1j * side * angle
        u = _SCALE * (np.sinh(bent) - 1j)
        weight = _SCALE * np.cosh(bent) * (_STEP / np.pi)
        weight[0] *= 0.5
        with np.errstate(under="ignore"):
            kernel = np.exp(-1j * side * np.outer(_DISTANCES, u))
        lines.append(_Line(u, weight, kernel, np.abs(kernel)))
    return lines


def quantile_function(log_cf: LogCF) -> Callable[[Floats], Floats]:
    """Quantile of a law, as a function of the normal score of a probability.

    Parameters
    ----------
    log_cf : callable
        Logarithm of the characteristic function, of arrays of complex numbers.

    Returns
    -------
    quantile : callable
        From normal scores to quantiles.

    Raises
    ------
    ArithmeticError
        If the distribution function cannot be computed to 1e-7.
    """
    drift = _drift(log_cf)
    # P(X > x) right of the drift, and P(X < x) left of it, each with its density
    above, density_above = _tail(log_cf, drift, 1)
    below, density_below = _tail(log_cf, drift, -1)
    below, density_below = below[::-1], density_below[::-1]
    return monotone_spline(
        np.concatenate([below, 1 - above]),
        np.concatenate([1 - below, above]),
        np.concatenate([density_below, density_above]),
        drift + np.concatenate([-_DISTANCES[::-1], _DISTANCES]),
    )


def _drift(log_cf: LogCF) -> float:
    """Slope of the argument of the characteristic function where it has died, or at the end."""
    u = 2.0 ** np.arange(0, 45)
    values = log_cf(u + 0j)
    dead = np.flatnonzero(values.real < -36)
    last = dead[0] if dead.size else len(u) - 1
    return float(values.imag[last] / u[last])


def _tail(log_cf: LogCF, drift: float, side: int) -> tuple[Floats, Floats]:
    """Probabilities beyond the points on one side of the drift, and densities there."""
    candidates = []
    for line in _lines(side):
        with np.errstate(all="ignore"):
            log = log_cf(line.u) - 1j * line.u * drift
            # If the drift is not quite met, what the kernel drowns must not be infinite.
            terms = np.exp(np.minimum(log.real, 500) + 1j * log.imag) * line.weight
            probability = terms / (1j * line.u)
            every_other = np.where(np.arange(_N_NODES) % 2, 0.0, 2 * probability)
            columns = np.stack([probability, every_other, terms], axis=1)
            fine, coarse, density = (line.kernel @ columns).real.T
            size = line.size @ np.abs(probability)
            # The error of the finer rule is that of the coarser squared, and rounding.
            error = (fine - coarse) ** 2 + 1e-15 * size
        candidates.append((fine, density, np.where(np.isfinite(error), error, np.inf)))
    values, densities, errors = (np.array(part) for part in zip(*candidates, strict=True))
    best = (errors.argmin(axis=0), np.arange(len(_DISTANCES)))
    probability, error = values[best] if side > 0 else 1 - values[best], errors[best]
    # Outwards from the first point with a tail too small to be told from zero there is none.
    lost = np.logical_or.accumulate(probability < np.maximum(_TAIL, error))
    if np.any(error[~lost] > TOLERANCE):
        worst = error[~lost].max()
        raise ArithmeticError(f"the distribution function is uncertain by {worst:.1g}")
    return np.where(lost, 0.0, np.minimum(probability, 1.0)), densities[best]
