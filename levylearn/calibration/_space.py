"""Coordinates in which parameters are searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc
from scipy.stats import t as student

from levylearn.models import Parameter
from levylearn.utils._coverage import check_coverage

Floats = NDArray[np.float64]


class ParameterSpace:
    """The box of the free parameters, on their own scales.

    A parameter whose scale is logarithmic is searched for by its logarithm; bounds stay
    bounds, since both scales are monotone.

    Parameters
    ----------
    parameters : sequence of Parameter
        All parameters of the model.
    bounds : mapping of str to (low, high)
        Bounds that replace those of the model.
    fixed : mapping of str to float
        Parameters that are held fixed.

    Raises
    ------
    ValueError
        If a name is unknown, a bound is not an interval within the parameter's domain, or
        every parameter is held fixed.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        bounds: Mapping[str, tuple[float, float]] | None = None,
        fixed: Mapping[str, float] | None = None,
    ) -> None:
        bounds, fixed = dict(bounds or {}), dict(fixed or {})
        names = [parameter.name for parameter in parameters]
        for argument, given in (("bounds", bounds), ("fixed", fixed)):
            for name in given:
                if name not in names:
                    raise ValueError(
                        f"{argument} names {name!r}; the parameters are {', '.join(names)}."
                    )
        self.names = names
        self.domain = np.array([parameter.domain for parameter in parameters])
        self.free = np.array([j for j, name in enumerate(names) if name not in fixed])
        for parameter in parameters:
            value = fixed.get(parameter.name)
            if value is not None and not parameter.contains(np.array([value], dtype=float))[0]:
                raise ValueError(
                    f"fixed {parameter.name} must be in its domain {parameter.domain_text}; "
                    f"got {value}."
                )
        if not len(self.free):
            raise ValueError("fixed holds every parameter: there is nothing to calibrate.")
        self.template = np.array([fixed.get(name, np.nan) for name in names], dtype=float)
        box = np.array([_bounds(parameter, bounds) for parameter in parameters])[self.free]
        free = [parameters[j] for j in self.free]
        self.logarithmic = np.array([p.scale == "log" for p in free]) & (box[:, 0] > 0)
        self.box = box.T
        self.low, self.high = self._scaled(self.box)
        market = np.array([p.market_range for p in free])
        market = np.clip(market, box[:, :1], box[:, 1:])
        self.market_low, self.market_high = self._scaled(market.T)
        # The market range is the natural size of a change, unless the box cuts it off.
        whole, usual = self.high - self.low, self.market_high - self.market_low
        self.width = np.where(usual > 0, usual, whole)

    @property
    def size(self) -> int:
        """Number of free parameters."""
        return len(self.free)

    def coordinates(self, params: Floats) -> Floats:
        """Coordinates (n, q) of parameter sets (n, p), moved into the box."""
        # Moved there twice: what is not positive has no logarithm, and that of a bound may be off
        # by its last digit.
        return np.clip(self._scaled(np.clip(params[:, self.free], *self.box)), self.low, self.high)

    def parameters(self, z: Floats) -> Floats:
        """Parameter sets (n, p) at coordinates (n, q)."""
        params = np.repeat(self.template[None], len(z), axis=0)
        params[:, self.free] = np.where(self.logarithmic, np.exp(z * self.logarithmic), z)
        return params

    def slopes(self, params: Floats) -> Floats:
        """Derivatives (n, q) of the free parameters with respect to their coordinates."""
        return np.where(self.logarithmic, params[:, self.free], 1.0)

    def intervals(self, ends: Floats) -> Floats:
        """Intervals (n, p, 2) of the parameters from ends (n, q, 2) of the coordinates.

        What is not a value of a parameter cannot be in its interval.
        """
        with np.errstate(over="ignore"):
            found = np.stack([self.parameters(ends[..., k]) for k in (0, 1)], axis=2)
        return np.clip(found, self.domain[:, :1], self.domain[:, 1:])

    def sample(self, n: int, seed: int) -> Floats:
        """Coordinates of points, half spread over the market range, half over the box.

        There are at least `n` of either: as many as the next power of two, at which Sobol
        sequences are balanced. Those in the box have half of their coordinates in the market
        range, on average: where all are extreme there are hardly any option prices.
        """
        unit = qmc.Sobol(self.size, seed=seed).random_base2(int(np.ceil(np.log2(n))))
        usual = self.market_high - self.market_low
        within = self.market_low + 2 * unit * usual
        beyond = self.low + (2 * unit - 1) * (self.high - self.low)
        box = np.where(unit < 0.5, within, beyond)
        return np.concatenate([self.market_low + unit * usual, box])

    def _scaled(self, values: Floats) -> Floats:
        positive = np.where(self.logarithmic, values, 1.0)
        return np.where(self.logarithmic, np.log(positive), values)


def student_quantile(freedom: NDArray[Any], coverage: float) -> Floats:
    """By how many deviations Student's interval reaches to either side."""
    check_coverage(coverage)
    return np.asarray(student.ppf(0.5 + coverage / 2, np.maximum(freedom, 1)))


def _bounds(parameter: Parameter, given: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    if parameter.name not in given:
        return parameter.bounds
    low, high = given[parameter.name]
    ends = np.array([low, high], dtype=float)
    if not (low < high and parameter.contains(ends).all()):
        raise ValueError(
            f"bounds of {parameter.name} must be an interval within its domain "
            f"{parameter.domain_text}; got ({low}, {high})."
        )
    return float(low), float(high)
