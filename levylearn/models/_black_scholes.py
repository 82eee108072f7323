"""Black-Scholes: Brownian motion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.models._base import LevyModel, Slice, columns
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter

__all__ = ["BlackScholes"]

Array = Any


class BlackScholes(LevyModel):
    r"""Brownian motion, :math:`\psi(u) = -\tfrac12\sigma^2(u^2 + iu)`.

    Parameters of the model: ``sigma``, the volatility.

    References
    ----------
    Black, F. and Scholes, M. (1973). The pricing of options and corporate
    liabilities. Journal of Political Economy 81, 637-654.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.models import BlackScholes
    >>> BlackScholes().log_cf(np.array([1.0 + 0j]), 1.0, np.array([[0.2]]))
    array([[-0.02-0.02j]])
    """

    name = "black_scholes"
    parameters = (
        Parameter(
            "sigma",
            r"\sigma",
            domain=(0.0, float("inf")),
            market_range=(0.05, 0.8),
            calibration_range=(1e-3, 5.0),
            scale="log",
            prior=("lognorm", {"s": 0.5, "scale": 0.2}),
            unit="per sqrt(year)",
            description="volatility",
        ),
    )

    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        (sigma,) = columns(params)
        quadratic = u * (u + 1j)
        psi = -0.5 * sigma**2 * quadratic
        return psi, [-sigma * quadratic] if gradient else []

    def cumulant_rates(self, params: Array) -> list[Array]:
        xp = array_namespace(params)
        variance = params[:, 0] ** 2
        none = xp.zeros_like(variance)
        return [-variance / 2, variance, none, none]

    def gaussian_variance(self, params: Array) -> Array:
        return params[:, 0] ** 2

    def levy_density(self, x: Array, params: Array) -> Array:
        return 0.0 * (x + params[:, :1])

    @property
    def uniforms_per_step(self) -> int:
        return 0

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        variance = params[:, :1, None] ** 2 * np.diff(times, prepend=0.0)
        variances = np.repeat(variance, len(uniforms), axis=1)
        return -0.5 * variances, variances
