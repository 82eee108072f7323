r"""Steps of the square-root process and of its integral, of any length.

Given :math:`v_0`, the variance :math:`v` a time :math:`\Delta` later is
:math:`c\,\Gamma(s + N)` with N Poisson, which is exact. Given both and N, the integral has the
Laplace transform

.. math::
    \log E[e^{-aI}] = -\frac{v_0 + v}{\sigma^2}[C(\gamma) - C(\kappa)]
    + (s + 2N)\log\frac{D(\gamma)}{D(\kappa)}, \qquad
    C(\gamma) = \gamma\coth\tfrac{\gamma\Delta}2, \quad
    D(\gamma) = \gamma/\sinh\tfrac{\gamma\Delta}2,

with :math:`\gamma^2 = \kappa^2 + 2\sigma^2a` and :math:`s = 2\kappa\theta/\sigma^2`: the index
N of the mixture is the Bessel variable of Glasserman and Kim, and drawing it first saves the
Bessel functions. Their expansion of I in gamma variables,

.. math::
    I = \sum_{n\ge1} \Gamma(s + 2N + M_n) / \gamma_n, \qquad
    M_n \sim \mathrm{Poisson}((v_0 + v)\lambda_n),

falls off as :math:`n^{-2}`. Two terms are drawn, the rest is replaced by a shifted gamma
variable with the same first three cumulants.

References: Broadie and Kaya (2006), Operations Research 54, 217-231; Glasserman and Kim (2011),
Finance and Stochastics 15, 267-296.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import exprel

from levylearn.models._quantiles import gamma_quantile, poisson_quantile

Array = Any

_N_DRAWN = 2
N_UNIFORMS = 3 + 2 * _N_DRAWN
# Terms that the cumulants of the rest are summed from.
_N_SUMMED = 1000


class SquareRootStep:
    """One step, for a batch of parameter sets.

    Parameters
    ----------
    length : float
        In years.
    kappa, theta, sigma : ndarray of shape (n_samples, 1)
        Parameters of the process.
    """

    def __init__(self, length: float, kappa: Array, theta: Array, sigma: Array) -> None:
        variance = sigma * sigma
        self.decay = np.exp(-kappa * length)
        self.scale = 0.5 * variance * length * exprel(-kappa * length)
        self.shape = 2 * kappa * theta / variance
        # gamma_n = (n^2 + c^2) / unit and lambda_n = intensity n^2 / (n^2 + c^2)
        c = kappa * length / (2 * np.pi)
        unit = variance * length**2 / (2 * np.pi**2)
        intensity = 4 / (variance * length)
        n = range(1, _N_DRAWN + 1)
        self.terms = [(unit / (k * k + c * c), intensity * k * k / (k * k + c * c)) for k in n]
        sums = _power_sums(c)
        self.per_shape = [unit * sums[0], unit**2 * sums[1], 2 * unit**3 * sums[2]]
        self.per_level = [
            factor * intensity * unit**j * (sums[j - 1] - c * c * sums[j])
            for j, factor in ((1, 1), (2, 2), (3, 6))
        ]

    def __call__(self, start: Array, uniforms: Array) -> tuple[Array, Array]:
        """Draw the value at the end of the step, and the integral.

        Parameters
        ----------
        start : ndarray of shape (n_samples, n_paths)
            Values at the beginning.
        uniforms : ndarray of shape (n_samples, n_paths, 7)
            Uniform numbers.

        Returns
        -------
        end, integral : ndarray of shape (n_samples, n_paths)
            Value at the end, and integral over the step.
        """
        u = [uniforms[..., i] for i in range(N_UNIFORMS)]
        index = poisson_quantile(start * (self.decay / self.scale), u[0])
        end = self.scale * gamma_quantile(self.shape + index, u[1])
        level, shape = start + end, self.shape + 2 * index
        mean, variance, third = (
            level * a + shape * b for a, b in zip(self.per_level, self.per_shape, strict=True)
        )
        integral = _shifted_gamma(mean, variance, third, u[2])
        for i, (scale, intensity) in enumerate(self.terms):
            jumps = poisson_quantile(level * intensity, u[3 + 2 * i])
            integral += scale * gamma_quantile(shape + jumps, u[4 + 2 * i])
        return end, integral


def _power_sums(c: Array) -> list[Array]:
    """Sums of (n^2 + c^2)^-j over the terms that are not drawn, for j from 1 to 4."""
    n = np.arange(_N_DRAWN + 1, _N_SUMMED + 1)
    terms = 1 / (n * n + c * c)
    # What is left of the first sum is an integral from midway to the next term.
    ratio = np.maximum(c / (_N_SUMMED + 0.5), 1e-8)
    rest = np.arctan(ratio) / (ratio * (_N_SUMMED + 0.5))
    sums = [np.sum(terms**j, axis=1, keepdims=True) for j in (1, 2, 3, 4)]
    return [sums[0] + rest, *sums[1:]]


def _shifted_gamma(mean: Array, variance: Array, third: Array, uniforms: Array) -> Array:
    """Draw what has these cumulants, all positive, or zero where they are zero."""
    safe = np.where(third > 0, third, 1.0)
    scale = third / (2 * np.where(variance > 0, variance, 1.0))
    shape = 4 * variance**3 / safe**2
    # The shift is positive: the rest is nearly a sum of gamma variables, for which it is.
    return np.maximum(mean - shape * scale, 0.0) + scale * gamma_quantile(shape, uniforms)
