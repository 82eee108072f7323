"""Heston: square-root stochastic variance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.models._base import Kernel, Slice, _KernelModel, columns
from levylearn.models._complex import expm1, log1p, sqrt
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter
from levylearn.models._square_root import N_UNIFORMS, SquareRootStep

__all__ = ["Heston"]

Array = Any


class Heston(_KernelModel):
    r"""Heston's stochastic variance, :math:`dv = \kappa(\theta - v)dt + \sigma\sqrt v\,dW`.

    With :math:`a = u^2 + iu`, :math:`\xi = \kappa - i\rho\sigma u`,
    :math:`d = \sqrt{\xi^2 + \sigma^2 a}`, :math:`m = 1 - e^{-dT}` and
    :math:`Q = (\xi + d) - (\xi - d)e^{-dT}`,

    .. math::
        \log\varphi_T(u) = -v_0\,\frac{a m}{Q}
        - \kappa\theta\left[\frac{aT}{\xi + d}
        + \frac{2}{\sigma^2}\log\frac{Q}{2d}\right].

    This is the form whose logarithm stays on the principal branch, written so that
    nothing cancels as :math:`\sigma \to 0`. The Feller condition is not required.

    Parameters of the model: ``v0``, ``kappa``, ``theta``, ``sigma``, ``rho``.

    References
    ----------
    Heston, S. (1993). A closed-form solution for options with stochastic volatility.
    Review of Financial Studies 6, 327-343.

    Lord, R. and Kahl, C. (2010). Complex logarithms in Heston-like models.
    Mathematical Finance 20, 671-694.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.models import Heston
    >>> params = np.array([[0.04, 1.5, 0.04, 0.5, -0.7]])
    >>> abs(Heston().log_cf(np.array([-1j]), 1.0, params)[0, 0]) < 1e-15
    np.True_
    """

    name = "heston"
    parameters = (
        Parameter(
            "v0",
            "v_0",
            domain=(0.0, float("inf")),
            closed="left",
            market_range=(0.01, 0.25),
            calibration_range=(1e-4, 1.0),
            scale="log",
            prior=("lognorm", {"s": 0.5, "scale": 0.04}),
            unit="per year",
            description="variance today",
        ),
        Parameter(
            "kappa",
            r"\kappa",
            domain=(0.0, float("inf")),
            closed="left",
            market_range=(0.3, 6.0),
            calibration_range=(0.05, 50.0),
            scale="log",
            prior=("lognorm", {"s": 0.8, "scale": 2.0}),
            unit="per year",
            description="speed of mean reversion of the variance",
        ),
        Parameter(
            "theta",
            r"\theta",
            domain=(0.0, float("inf")),
            closed="left",
            market_range=(0.01, 0.25),
            calibration_range=(1e-4, 1.0),
            scale="log",
            prior=("lognorm", {"s": 0.5, "scale": 0.04}),
            unit="per year",
            description="long-run variance",
        ),
        Parameter(
            "sigma",
            r"\sigma",
            domain=(0.0, float("inf")),
            market_range=(0.1, 1.2),
            calibration_range=(0.05, 10.0),
            scale="log",
            prior=("lognorm", {"s": 0.5, "scale": 0.4}),
            unit="per year",
            description="volatility of the variance",
        ),
        Parameter(
            "rho",
            r"\rho",
            domain=(-1.0, 1.0),
            closed="both",
            market_range=(-0.95, 0.2),
            calibration_range=(-0.999, 0.999),
            prior=("truncnorm", {"a": -2.0, "b": 5.0, "loc": -0.5, "scale": 0.25}),
            description="correlation of the variance with the price",
        ),
    )

    def log_cf_rate(self, u: Array, maturity: Any, params: Array) -> Array:
        v0, kappa, theta, sigma, rho = columns(params)
        xi = kappa - 1j * (rho * sigma) * u
        _, (per_v0, *_) = self.kernel(u, params, gradient=True)(maturity)
        # Riccati's equation is how the share of v0 grows.
        growth = (0.5 * sigma**2 * per_v0 - xi) * per_v0 - 0.5 * u * (u + 1j)
        return kappa * theta * per_v0 + v0 * growth

    def kernel(self, u: Array, params: Array, gradient: bool = False) -> Kernel:
        v0, kappa, theta, sigma, rho = columns(params)
        variance, level = sigma * sigma, kappa * theta
        z = 1j * u
        half_a = 0.5 * u * (u + 1j)
        xi = kappa - (rho * sigma) * z
        d = sqrt(xi * xi + (2 * variance) * half_a)
        inverse_d = 1 / d
        half_steady = _steady(half_a, xi, d, 2 * variance)

        def evaluate(maturity: Array) -> Slice:
            m = -expm1(-maturity * d)
            share = m * inverse_d
            y = half_steady * share
            x = variance * y
            inverse_ratio = 1 / (1 - x)
            log = log1p(-x)
            per_v0 = -half_a * share * inverse_ratio
            drift = (2 * maturity) * half_steady
            per_level = (-2 / variance) * log - drift
            from_v0 = v0 * per_v0
            value = from_v0 + level * per_level
            if not gradient:
                return value, []

            # Along xi, then along sigma^2, with d moving along as it must.
            growth = (maturity * (1 - m) / m - inverse_d) * inverse_d
            growth_xi, growth_s = growth * xi, growth * half_a
            y_ratio, drift_d = y * inverse_ratio, drift * inverse_d
            y_xi = y_ratio * (growth_xi - inverse_d)
            y_s = y_ratio * (growth_s - half_steady * inverse_d)
            along_xi = from_v0 * (growth_xi + variance * y_xi) + level * (drift_d + 2 * y_xi)
            curved = y_s + y * y * _log_curvature(x, log, inverse_ratio)
            along_s = from_v0 * (growth_s + variance * y_s + y_ratio)
            along_s += level * (drift_d * half_steady + 2 * curved)
            along_sigma_xi = z * along_xi
            return value, [
                per_v0,
                along_xi + theta * per_level,
                kappa * per_level,
                (2 * sigma) * along_s - rho * along_sigma_xi,
                -sigma * along_sigma_xi,
            ]

        return evaluate

    @property
    def uniforms_per_step(self) -> int:
        return N_UNIFORMS

    @property
    def steps_per_year(self) -> int:
        return 2

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Draw the variance, exactly, and its integral, nearly so.
        v0, kappa, theta, sigma, rho = columns(params)
        by_step = uniforms.reshape(len(uniforms), len(times), N_UNIFORMS)
        u = np.broadcast_to(by_step, (len(params), *by_step.shape))
        means = np.empty(u.shape[:3])
        variances = np.empty(u.shape[:3])
        level = np.broadcast_to(v0, u.shape[:2])
        steps: dict[float, SquareRootStep] = {}
        for j, length in enumerate(np.round(np.diff(times, prepend=0.0), 12)):
            if length not in steps:
                steps[length] = SquareRootStep(length, kappa, theta, sigma)
            end, integral = steps[length](level, u[:, :, j])
            # rho times the integral of sqrt(v) dW, solved from the equation of the variance
            common = rho / sigma * (end - level - kappa * (theta * length - integral))
            means[..., j] = common - 0.5 * integral
            variances[..., j] = (1 - rho**2) * integral
            level = end
        return means, variances


def _steady(a: Array, xi: Array, d: Array, variance: Array) -> Array:
    """Return a / (xi + d), given that a variance = d^2 - xi^2: 0 / 0 at u = -i where xi < 0."""
    total = xi + d
    xp = array_namespace(total)
    if not xp.any(total == 0):
        return a / total
    return xp.where(total == 0, (d - xi) / variance, a / xp.where(total == 0, 1.0 + 0j, total))


def _log_curvature(x: Array, log: Array, inverse: Array) -> Array:
    """Return [1 / (1 - x) + log(1 - x) / x] / x, given both; by its series near zero."""
    xp = array_namespace(x)
    near = xp.abs(x) < 3e-3
    safe = xp.where(near, 0.5 + 0j, x)
    curvature = (inverse + log / safe) / safe
    x = x[near]
    curvature[near] = 1 / 2 + x * (2 / 3 + x * (3 / 4 + x * (4 / 5 + x * (5 / 6))))
    return curvature
