"""Compound Poisson jumps, compensated: the parts that Merton, Kou and Bates add."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.models._base import LevyModel, Slice, columns
from levylearn.models._complex import expm1
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter
from levylearn.models._quantiles import gamma_quantile, poisson_quantile

__all__ = ["DoubleExponentialJumps", "GaussianJumps"]

Array = Any

_INTENSITY = Parameter(
    "lam",
    r"\lambda",
    domain=(0.0, float("inf")),
    closed="left",
    market_range=(0.05, 1.0),
    calibration_range=(1e-3, 50.0),
    scale="log",
    prior=("gamma", {"a": 2.0, "scale": 0.25}),
    unit="per year",
    description="expected number of jumps per year",
)


class GaussianJumps(LevyModel):
    r"""Jumps of log-size :math:`N(\mu_J, \sigma_J^2)` at rate :math:`\lambda`."""

    name = "gaussian_jumps"
    parameters = (
        _INTENSITY,
        Parameter(
            "muj",
            r"\mu_J",
            domain=(-float("inf"), float("inf")),
            market_range=(-0.3, 0.05),
            calibration_range=(-2.0, 1.0),
            prior=("norm", {"loc": -0.1, "scale": 0.1}),
            description="mean log-size of a jump",
        ),
        Parameter(
            "sigmaj",
            r"\sigma_J",
            domain=(0.0, float("inf")),
            closed="left",
            market_range=(0.03, 0.3),
            calibration_range=(1e-4, 1.5),
            scale="log",
            prior=("lognorm", {"s": 0.5, "scale": 0.1}),
            description="standard deviation of the log-size of a jump",
        ),
    )

    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        xp = array_namespace(u, params)
        lam, muj, sigmaj = columns(params)
        z = 1j * u
        moment = expm1(z * (muj + (0.5 * sigmaj**2) * z))
        moment1 = xp.expm1(muj + 0.5 * sigmaj**2)
        unit = moment - z * moment1
        if not gradient:
            return lam * unit, []
        first = lam * z * (moment + 1)
        first1 = lam * (moment1 + 1)
        return lam * unit, [unit, first - z * first1, sigmaj * z * (first - first1)]

    def cumulant_rates(self, params: Array) -> list[Array]:
        xp = array_namespace(params)
        lam, muj, sigmaj = params[:, 0], params[:, 1], params[:, 2]
        m2, s2 = muj**2, sigmaj**2
        return [
            lam * (muj - xp.expm1(muj + s2 / 2)),
            lam * (m2 + s2),
            lam * muj * (m2 + 3 * s2),
            lam * (m2**2 + 6 * m2 * s2 + 3 * s2**2),
        ]

    def levy_density(self, x: Array, params: Array) -> Array:
        """Density of the jumps; zero for jumps that are all of one size, which have none."""
        xp = array_namespace(x, params)
        lam, muj, sigmaj = columns(params)
        width = xp.where(sigmaj > 0, sigmaj, 1.0)
        density = xp.exp(-0.5 * ((x - muj) / width) ** 2) / (math.sqrt(2 * math.pi) * width)
        return xp.where(sigmaj > 0, lam * density, 0.0)

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Draw the number of jumps: their sum is then a normal number.
        lam, muj, sigmaj = (column[..., None] for column in columns(params))
        steps = np.diff(times, prepend=0.0)
        count = poisson_quantile(
            lam * steps, np.broadcast_to(uniforms, (len(params), *uniforms.shape))
        )
        drift = -lam * np.expm1(muj + sigmaj**2 / 2)
        return drift * steps + muj * count, sigmaj**2 * count


class DoubleExponentialJumps(LevyModel):
    r"""Jumps up with rate :math:`\eta_1` (probability `p`), down with rate :math:`\eta_2`."""

    name = "double_exponential_jumps"
    parameters = (
        _INTENSITY,
        Parameter(
            "p",
            "p",
            domain=(0.0, 1.0),
            closed="both",
            market_range=(0.05, 0.6),
            calibration_range=(0.0, 1.0),
            prior=("beta", {"a": 2.0, "b": 3.0}),
            description="probability that a jump goes up",
        ),
        Parameter(
            "eta1",
            r"\eta_1",
            domain=(1.0, float("inf")),
            market_range=(5.0, 50.0),
            calibration_range=(1.001, 301.0),
            scale="log",
            prior=("gamma", {"a": 4.0, "scale": 5.0}),
            description="inverse mean size of the jumps up",
        ),
        Parameter(
            "eta2",
            r"\eta_2",
            domain=(0.0, float("inf")),
            market_range=(3.0, 40.0),
            calibration_range=(0.02, 301.0),
            scale="log",
            prior=("gamma", {"a": 4.0, "scale": 3.0}),
            description="inverse mean size of the jumps down",
        ),
    )

    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        lam, p, eta1, eta2 = columns(params)
        z = 1j * u
        up, down = 1 / (eta1 - z), 1 / (eta2 + z)
        up1, down1 = 1 / (eta1 - 1), 1 / (eta2 + 1)
        rise, fall = up - up1, down1 - down
        unit = z * (p * rise + (1 - p) * fall)
        if not gradient:
            return lam * unit, []
        return lam * unit, [
            unit,
            lam * z * (rise - fall),
            lam * p * z * (up1**2 - up**2),
            lam * (1 - p) * z * (down**2 - down1**2),
        ]

    def cumulant_rates(self, params: Array) -> list[Array]:
        lam, p, eta1, eta2 = (params[:, j] for j in range(4))
        q = 1 - p
        return [
            lam * (p * (1 / eta1 - 1 / (eta1 - 1)) - q * (1 / eta2 - 1 / (eta2 + 1))),
            2 * lam * (p / eta1**2 + q / eta2**2),
            6 * lam * (p / eta1**3 - q / eta2**3),
            24 * lam * (p / eta1**4 + q / eta2**4),
        ]

    def levy_density(self, x: Array, params: Array) -> Array:
        xp = array_namespace(x, params)
        lam, p, eta1, eta2 = columns(params)
        up = x > 0
        decay = xp.where(up, eta1, eta2)
        return lam * xp.where(up, p, 1 - p) * decay * xp.exp(-decay * xp.abs(x))

    def moment_limits(self, params: Array) -> tuple[Array, Array]:
        return -params[:, 3], params[:, 2]

    @property
    def uniforms_per_step(self) -> int:
        return 4

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Draw the numbers of jumps up and down, and their sums, which are gamma variables.
        lam, p, eta1, eta2 = (column[..., None] for column in columns(params))
        steps = np.diff(times, prepend=0.0)
        by_step = uniforms.reshape(len(uniforms), len(times), 4)
        u = np.broadcast_to(by_step, (len(params), *by_step.shape))
        up = gamma_quantile(poisson_quantile(lam * p * steps, u[..., 0]), u[..., 1]) / eta1
        down = gamma_quantile(poisson_quantile(lam * (1 - p) * steps, u[..., 2]), u[..., 3]) / eta2
        drift = -lam * (p / (eta1 - 1) - (1 - p) / (eta2 + 1))
        sums = drift * steps + up - down
        return sums, np.zeros_like(sums)
