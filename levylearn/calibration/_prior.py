"""Coordinates in which the prior is standard normal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.interpolate import CubicHermiteSpline
from scipy.special import ndtr, ndtri

from levylearn.calibration._space import ParameterSpace
from levylearn.models import Parameter

__all__ = ["NOISE_LEVEL", "PriorSpace", "prior_of"]

Floats = NDArray[np.float64]

NOISE_LEVEL = "noise_level"
# Above this probability it is the one to the right that has all digits.
_RIGHT = 0.9
_LOG_NORMAL = -0.5 * np.log(2 * np.pi)
# Quantiles are tabulated this far out, if the table is as good as this between its knots.
_REACH, _N_KNOTS, _TABLE_ERROR = 6.0, 2001, 1e-10


class _Axis:
    """One unknown x, standard normal, and the value that has the prior's distribution.

    The value is the prior's quantile at the normal probability of x, the prior being cut off
    at the bounds.

    Parameters
    ----------
    name : str
        Of the unknown, for messages.
    prior : frozen distribution of scipy.stats
        What it is drawn from.
    low, high : float
        Bounds.
    """

    def __init__(self, name: str, prior: Any, low: float, high: float) -> None:
        self.prior, self.low, self.high = prior, low, high
        self._below, self._above = float(prior.cdf(low)), float(prior.sf(high))
        self._mass = float(prior.cdf(high)) - self._below
        if not self._mass > 0:
            raise ValueError(
                f"priors: that of {name} has no probability within its bounds ({low:g}, {high:g})."
            )

        self._table = self._tabulated()

    def value(self, x: Floats) -> Floats:
        """Values at coordinates."""
        if self._table is None or (np.abs(x) > _REACH).any():
            return self._quantile(x)
        return np.clip(self._table(x), self.low, self.high)

    def slope(self, x: Floats, value: Floats) -> Floats:
        """Derivatives of the values by the coordinates."""
        if self._table is None or (np.abs(x) > _REACH).any():
            return self._slope(x, value)
        slope: Floats = self._table(x, 1)
        return slope

    def _tabulated(self) -> CubicHermiteSpline | None:
        """Spline of the quantiles, much faster than they are; None where they are not smooth."""
        knots = np.linspace(-_REACH, _REACH, _N_KNOTS)
        values = self._quantile(knots)
        slopes = self._slope(knots, values)
        if not np.isfinite([values, slopes]).all():
            return None
        table = CubicHermiteSpline(knots, values, slopes)
        between = (knots[1:] + knots[:-1]) / 2
        exact = self._quantile(between)
        error, size = np.abs(table(between) - exact), np.abs(exact) + slopes[1:]
        return table if (error <= _TABLE_ERROR * size).all() else None

    def _quantile(self, x: Floats) -> Floats:
        probability = self._below + ndtr(x) * self._mass
        right = probability > _RIGHT
        value = np.empty_like(x)
        if not right.all():
            value[~right] = self.prior.ppf(probability[~right])
        if right.any():
            value[right] = self.prior.isf(self._above + ndtr(-x[right]) * self._mass)
        return np.clip(value, self.low, self.high)

    def _slope(self, x: Floats, value: Floats) -> Floats:
        log_normal = _LOG_NORMAL - 0.5 * x**2 + np.log(self._mass)
        with np.errstate(over="ignore"):
            return np.exp(log_normal - self.prior.logpdf(value))

    def density(self, value: Floats) -> Floats:
        """Density of the prior, which is cut off at the bounds."""
        inside = (value >= self.low) & (value <= self.high)
        return np.where(inside, self.prior.pdf(value) / self._mass, 0.0)

    def coordinate(self, value: Floats) -> Floats:
        """Coordinates of values; infinite at the bounds."""
        left = (self.prior.cdf(value) - self._below) / self._mass
        right = (self.prior.sf(value) - self._above) / self._mass
        return np.where(left < 0.5, ndtri(np.clip(left, 0, 1)), -ndtri(np.clip(right, 0, 1)))


class PriorSpace:
    """The unknowns of a surface, in coordinates that are standard normal before it is seen.

    The unknowns are the free parameters and, last, the level of the noise if that is unknown.
    No bounds are left in these coordinates, and the logarithm of the prior is quadratic.

    Parameters
    ----------
    parameters : sequence of Parameter
        All parameters of the model.
    priors : mapping of str to frozen distribution of scipy.stats, or None
        Priors that replace those of the model.
    bounds : mapping of str to (low, high), or None
        Bounds that replace those of the model.
    fixed : mapping of str to float, or None
        Parameters that are held fixed.
    noise_prior : frozen distribution or None
        Prior of the level of the noise; None if it is known.

    Raises
    ------
    ValueError
        If a name is unknown, a prior is not a distribution, or has no probability in bounds.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        priors: Mapping[str, Any] | None,
        bounds: Mapping[str, tuple[float, float]] | None,
        fixed: Mapping[str, float] | None,
        noise_prior: Any = None,
    ) -> None:
        space = ParameterSpace(parameters, bounds, fixed)
        priors = dict(priors or {})
        for name, prior in priors.items():
            if name not in space.names:
                raise ValueError(
                    f"priors names {name!r}; the parameters are {', '.join(space.names)}."
                )
            _check(f"priors: that of {name}", prior)
        self.template, self.free = space.template, space.free
        limits = bounds or {}
        self._axes = [
            _Axis(p.name, priors.get(p.name) or prior_of(p), *limits.get(p.name, p.bounds))
            for p in (parameters[j] for j in self.free)
        ]
        self.names = [space.names[j] for j in self.free]
        self.has_level = noise_prior is not None
        if self.has_level:
            _check("noise_prior", noise_prior)
            self._axes.append(_Axis(NOISE_LEVEL, noise_prior, 0.0, np.inf))
            self.names.append(NOISE_LEVEL)

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self._axes)

    def values(self, x: Floats) -> Floats:
        """Values (n, d) of the unknowns at coordinates (n, d)."""
        return np.stack([axis.value(x[:, j]) for j, axis in enumerate(self._axes)], axis=1)

    def slopes(self, x: Floats, values: Floats) -> Floats:
        """Derivatives (n, d) of each value by its coordinate."""
        axes = enumerate(self._axes)
        return np.stack([axis.slope(x[:, j], values[:, j]) for j, axis in axes], axis=1)

    def parameters(self, values: Floats) -> Floats:
        """Parameter sets (n, p) that belong to values of the unknowns (n, d)."""
        params = np.tile(self.template, (len(values), 1))
        params[:, self.free] = values[:, : len(self.free)]
        return params

    def coordinates(self, params: Floats) -> Floats:
        """Coordinates (n, d) of parameter sets (n, p); the level of the noise is at its median."""
        x = np.zeros((len(params), self.size))
        for j, column in enumerate(self.free):
            x[:, j] = self._axes[j].coordinate(params[:, column])
        return x

    def marginal(self, name: str, values: Floats) -> Floats:
        """Prior density of one unknown at any values of it."""
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}; got {name!r}.")
        return self._axes[self.names.index(name)].density(values)

    @staticmethod
    def log_density(x: Floats) -> Floats:
        """Logarithm (n,) of the prior's density at coordinates (n, d)."""
        return x.shape[1] * _LOG_NORMAL - 0.5 * (x**2).sum(axis=1)


def prior_of(parameter: Parameter) -> Any:
    """Return the prior that a model has for a parameter, as a frozen distribution."""
    if parameter.prior is None:
        low, high = parameter.market_range
        return stats.uniform(low, high - low)
    name, keywords = parameter.prior
    return getattr(stats, name)(**keywords)


def _check(what: str, prior: Any) -> None:
    if not isinstance(getattr(prior, "dist", None), stats.rv_continuous):
        raise ValueError(
            f"{what} must be a frozen continuous distribution, as scipy.stats.norm(0, 1); got "
            f"{prior!r}."
        )
