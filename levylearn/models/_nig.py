"""Normal inverse Gaussian: Brownian motion with drift, run on an inverse-Gaussian clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import kve

from levylearn.models._base import LevyModel, Slice, columns
from levylearn.models._complex import sqrt
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter
from levylearn.models._quantiles import inverse_gaussian_quantile

__all__ = ["NIG"]

Array = Any


class NIG(LevyModel):
    r"""Normal inverse Gaussian process of Barndorff-Nielsen.

    With :math:`s(z) = \sqrt{\alpha^2 - (\beta + z)^2}` and :math:`z = iu`,

    .. math::
        \psi(u) = \delta\,[s(0) - s(z)] - z\,\delta\,[s(0) - s(1)].

    Parameters of the model: ``alpha``, ``beta``, ``delta``. It exists where
    :math:`\alpha > \max(|\beta|, |\beta + 1|)`.

    References
    ----------
    Barndorff-Nielsen, O. (1998). Processes of normal inverse Gaussian type.
    Finance and Stochastics 2, 41-68.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.models import NIG
    >>> NIG().cumulants(1.0, np.array([[5.0, 0.0, 0.2]]))[0, 1].round(6)
    np.float64(0.04)
    """

    name = "nig"
    parameters = (
        Parameter(
            "alpha",
            r"\alpha",
            domain=(0.5, float("inf")),
            market_range=(5.0, 30.0),
            calibration_range=(0.6, 250.0),
            scale="log",
            prior=("gamma", {"a": 3.0, "scale": 4.0}),
            description="steepness of the tails",
        ),
        Parameter(
            "beta",
            r"\beta",
            domain=(-float("inf"), float("inf")),
            market_range=(-4.5, 1.0),
            calibration_range=(-220.0, 220.0),
            prior=("norm", {"loc": -3.0, "scale": 3.0}),
            description="asymmetry",
        ),
        Parameter(
            "delta",
            r"\delta",
            domain=(0.0, float("inf")),
            market_range=(0.1, 1.0),
            calibration_range=(1e-3, 20.0),
            scale="log",
            prior=("lognorm", {"s": 0.6, "scale": 0.3}),
            unit="per year",
            description="scale",
        ),
    )

    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        xp = array_namespace(u, params)
        alpha, beta, delta = columns(params)
        z = 1j * u
        s0 = xp.sqrt((alpha - beta) * (alpha + beta))
        s1 = xp.sqrt((alpha - beta - 1) * (alpha + beta + 1))
        sz = sqrt((alpha - beta - z) * (alpha + beta + z))
        # s(0) - s(z) without the difference of two nearly equal roots
        unit = z * ((2 * beta + z) / (s0 + sz) - (2 * beta + 1) / (s0 + s1))
        psi = delta * unit
        if not gradient:
            return psi, []
        r0, r1, rz = 1 / s0, 1 / s1, 1 / sz
        d_alpha = (delta * alpha) * (r0 - rz - z * (r0 - r1))
        d_beta = delta * ((beta + z) * rz - beta * r0 - z * ((beta + 1) * r1 - beta * r0))
        return psi, [d_alpha, d_beta, unit]

    def cumulant_rates(self, params: Array) -> list[Array]:
        xp = array_namespace(params)
        alpha, beta, delta = params[:, 0], params[:, 1], params[:, 2]
        s0 = xp.sqrt((alpha - beta) * (alpha + beta))
        s1 = xp.sqrt((alpha - beta - 1) * (alpha + beta + 1))
        a2, b2 = alpha**2, beta**2
        return [
            delta * (beta / s0 - (2 * beta + 1) / (s0 + s1)),
            delta * a2 / s0**3,
            3 * delta * beta * a2 / s0**5,
            3 * delta * a2 * (a2 + 4 * b2) / s0**7,
        ]

    def levy_density(self, x: Array, params: Array) -> Array:
        xp = array_namespace(x, params)
        alpha, beta, delta = columns(params)
        reach = alpha * xp.abs(x)
        # kve is the Bessel function with its decay divided out.
        bessel = xp.asarray(kve(1, np.asarray(reach)), dtype=reach.dtype)
        return (delta / np.pi) * alpha * bessel * xp.exp(beta * x - reach) / xp.abs(x)

    def joint_constraint(self, params: Array) -> tuple[Array, str]:
        xp = array_namespace(params)
        alpha, beta = params[:, 0], params[:, 1]
        return (
            alpha - xp.maximum(xp.abs(beta), xp.abs(beta + 1)),
            "alpha > max(|beta|, |beta + 1|)",
        )

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Run Brownian motion on an inverse Gaussian clock, drawn by its quantile.
        alpha, beta, delta = (column[..., None] for column in columns(params))
        steps = np.diff(times, prepend=0.0)
        s0 = np.sqrt((alpha - beta) * (alpha + beta))
        s1 = np.sqrt((alpha - beta - 1) * (alpha + beta + 1))
        # Mean of the clock, and its square over the variance.
        means, shapes = delta / s0 * steps, delta * s0 * steps
        clock = np.empty((len(params), *uniforms.shape))
        for row, column in np.ndindex(len(params), len(steps)):
            clock[row, :, column] = inverse_gaussian_quantile(
                shapes[row, 0, column], uniforms[:, column]
            )
        clock *= means
        return beta * clock - delta * (2 * beta + 1) / (s0 + s1) * steps, clock
