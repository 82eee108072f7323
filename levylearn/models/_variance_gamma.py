"""Variance Gamma: Brownian motion with drift, run on a gamma clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.models._base import LevyModel, Slice, columns
from levylearn.models._complex import log1p
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter
from levylearn.models._quantiles import gamma_quantile

__all__ = ["VarianceGamma"]

Array = Any


class VarianceGamma(LevyModel):
    r"""Variance Gamma process of Madan, Carr and Chang.

    .. math::
        \psi(u) = -\tfrac1\nu\log(1 + \nu h(u)) + \tfrac{iu}\nu\log(1 + \nu h(-i)),
        \qquad h(u) = \tfrac12\sigma^2u^2 - i\theta u

    Parameters of the model: ``sigma``, ``nu``, ``theta``. It exists where
    :math:`\nu(\theta + \sigma^2/2) < 1`.

    References
    ----------
    Madan, D., Carr, P. and Chang, E. (1998). The variance gamma process and option
    pricing. European Finance Review 2, 79-105.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.models import VarianceGamma
    >>> VarianceGamma().cumulants(1.0, np.array([[0.12, 0.2, -0.14]]))[0, 1].round(6)
    np.float64(0.01832)
    """

    name = "variance_gamma"
    parameters = (
        Parameter(
            "sigma",
            r"\sigma",
            domain=(0.0, float("inf")),
            market_range=(0.1, 0.6),
            calibration_range=(0.01, 2.0),
            prior=("lognorm", {"s": 0.5, "scale": 0.2}),
            unit="per sqrt(year)",
            description="volatility of the Brownian motion",
        ),
        Parameter(
            "nu",
            r"\nu",
            domain=(0.0, float("inf")),
            market_range=(0.1, 1.0),
            calibration_range=(1e-3, 20.0),
            scale="log",
            prior=("gamma", {"a": 2.0, "scale": 0.5}),
            unit="years",
            description="variance rate of the gamma clock",
        ),
        Parameter(
            "theta",
            r"\theta",
            domain=(-float("inf"), float("inf")),
            market_range=(-0.5, 0.0),
            calibration_range=(-2.0, 1.0),
            prior=("norm", {"loc": -0.2, "scale": 0.2}),
            unit="per year",
            description="drift of the Brownian motion: skewness",
        ),
    )

    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        xp = array_namespace(u, params)
        sigma, nu, theta = columns(params)
        z = 1j * u
        square = 0.5 * u * u
        h = sigma**2 * square - theta * z
        h1 = -0.5 * sigma**2 - theta
        drift = xp.log1p(nu * h1) / nu
        psi = z * drift - log1p(nu * h) / nu
        if not gradient:
            return psi, []
        a, a1 = 1 / (1 + nu * h), 1 / (1 + nu * h1)
        d_sigma = -sigma * (2 * square * a + z * a1)
        d_nu = (z * (h1 * a1) - h * a - psi) / nu
        d_theta = z * (a - a1)
        return psi, [d_sigma, d_nu, d_theta]

    def cumulant_rates(self, params: Array) -> list[Array]:
        xp = array_namespace(params)
        sigma, nu, theta = params[:, 0], params[:, 1], params[:, 2]
        s2, t2 = sigma**2, theta**2
        return [
            theta + xp.log1p(-nu * (theta + s2 / 2)) / nu,
            s2 + nu * t2,
            nu * theta * (3 * s2 + 2 * nu * t2),
            3 * nu * (s2**2 + 4 * nu * s2 * t2 + 2 * nu**2 * t2**2),
        ]

    def levy_density(self, x: Array, params: Array) -> Array:
        xp = array_namespace(x, params)
        sigma, nu, theta = columns(params)
        root = xp.sqrt(theta**2 + 2 * sigma**2 / nu)
        # Decay with and against the drift; the first without the difference of like numbers.
        along, against = (2 / nu) / (root + xp.abs(theta)), (root + xp.abs(theta)) / sigma**2
        size = xp.abs(x)
        return xp.exp(-xp.where(x * theta > 0, along, against) * size) / (nu * size)

    def joint_constraint(self, params: Array) -> tuple[Array, str]:
        sigma, nu, theta = params[:, 0], params[:, 1], params[:, 2]
        return 1 - nu * (theta + sigma**2 / 2), "nu * (theta + sigma**2 / 2) < 1"

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Run Brownian motion on a gamma clock, drawn by its quantile.
        sigma, nu, theta = (column[..., None] for column in columns(params))
        steps = np.diff(times, prepend=0.0)
        clock = nu * gamma_quantile(
            steps / nu, np.broadcast_to(uniforms, (len(params), *uniforms.shape))
        )
        drift = np.log1p(-nu * (theta + sigma**2 / 2)) / nu
        return drift * steps + theta * clock, sigma**2 * clock
