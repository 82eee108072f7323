"""The density of what a surface says about the unknowns, and of what was known before."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.base import BasePricer
from levylearn.calibration._prior import PriorSpace

__all__ = ["Noise", "PosteriorDensity", "Slopes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_LOG_TWO_PI = np.log(2 * np.pi)


class Noise(NamedTuple):
    """Standard deviations of the quotes' errors, each known or known up to one level.

    They are fractions of the model's prices, if `relative`, and else in the unit of the
    surfaces. A fraction of a price that is nearly nothing is less than what the price is rounded
    to: fractions are joined by a `floor`, in the unit of the surfaces.
    """

    sizes: Floats  # (m,)
    relative: bool
    floor: float = 0.0

    def quoted(self, surfaces: Floats) -> NDArray[np.bool_]:
        """Which quotes say something: a fraction of nothing is no error."""
        return surfaces > 0 if self.relative else np.isfinite(surfaces)

    def deviations(self, values: Floats) -> Floats:
        """Standard deviations of errors around values (n, m), at the level one."""
        if self.relative:
            return np.hypot(self.sizes * values, self.floor)
        return np.broadcast_to(self.sizes, values.shape)

    def log_slopes(self, values: Floats) -> Floats:
        """Derivatives of the logarithms of the deviations by the values they are around."""
        if self.relative:
            return self.sizes**2 * values / self.deviations(values) ** 2
        return np.zeros_like(values)


class Slopes(NamedTuple):
    """Derivatives of log-densities."""

    gradient: Floats  # (k, d)
    metric: Floats  # (k, d, d): Fisher's information and the prior's, minus the mean Hessian


class PosteriorDensity:
    r"""Joint log-density of quotes and unknowns, for a batch of surfaces.

    Quotes are normal around the model's prices, independent, with the standard deviations
    that the noise says; unknowns are standard normal, in their own coordinates.

    Parameters
    ----------
    pricer : fitted pricer
        The forward map.
    space : PriorSpace
        The unknowns.
    surfaces : ndarray of shape (n, m)
        Quotes in the unit of the pricer's output; NaN where there is none.
    noise : Noise
        Of the quotes.
    """

    def __init__(
        self, pricer: BasePricer, space: PriorSpace, surfaces: Floats, noise: Noise
    ) -> None:
        self.pricer, self.space, self.noise = pricer, space, noise
        self.quoted = noise.quoted(surfaces)
        self.surfaces = np.where(self.quoted, surfaces, 0.0)
        self._plan: NDArray[Any] | None = None

    def plan_around(self, x: Floats) -> None:
        """Let prices near coordinates (n, k, d), k for each surface, be planned once."""
        if not hasattr(self.pricer, "common_plan"):
            return
        n, k, d = x.shape
        params = self.space.parameters(self.space.values(x.reshape(-1, d)))
        inside = self.pricer.admissible(params).reshape(n, k)
        sets = zip(params.reshape(n, k, -1), inside, strict=True)
        plans = [self.pricer.common_plan(near[ok]) if ok.any() else None for near, ok in sets]
        made = [plan for plan in plans if plan is not None]
        if len(made) == n:
            self._plan = np.concatenate(made)

    def __call__(self, x: Floats, rows: Ints, slopes: bool = False) -> tuple[Floats, Slopes | None]:
        """Log-densities (k,) at coordinates (k, d), of the surfaces named, and their slopes.

        Where the model does not exist or has no price they are minus infinity, and slopes 0.
        """
        space = self.space
        unknowns = space.values(x)
        params = space.parameters(unknowns)
        inside = np.isfinite(x).all(axis=1) & self.pricer.admissible(params)
        log_density = np.full(len(x), -np.inf)
        found = _nothing(*x.shape) if slopes else None
        if inside.any():
            by_x = space.slopes(x[inside], unknowns[inside]) if slopes else None
            log_density[inside], part = self._inside(
                params[inside], unknowns[inside], by_x, rows[inside]
            )
            if found is not None and part is not None:
                found.gradient[inside], found.metric[inside] = part
        log_density += space.log_density(np.where(np.isfinite(x), x, 0.0))
        if found is not None:
            found.gradient[...] -= x
            found.metric[...] += np.eye(space.size)
        lost = ~np.isfinite(log_density)
        log_density[lost] = -np.inf
        if found is not None:
            found.gradient[lost] = 0.0
            found.metric[lost] = np.eye(space.size)
        return log_density, found

    def _inside(
        self, params: Floats, unknowns: Floats, by_x: Floats | None, rows: Ints
    ) -> tuple[Floats, Slopes | None]:
        """Log-likelihood, and slopes by the coordinates if the unknowns' are given."""
        plan = {} if self._plan is None else {"plan": self._plan[rows]}
        values, jacobian = self.pricer.evaluate(params, gradient=by_x is not None, **plan)
        quoted = self.quoted[rows]
        level = unknowns[:, -1:] if self.space.has_level else 1.0
        with np.errstate(all="ignore"):
            deviation = level * self.noise.deviations(values)
            r = np.where(quoted, (self.surfaces[rows] - values) / deviation, 0.0)
            terms = np.where(quoted, r**2 + 2 * np.log(deviation) + _LOG_TWO_PI, 0.0)
            log_likelihood = -0.5 * terms.sum(axis=1)
            if by_x is None or jacobian is None:
                return log_likelihood, None
            n_free = len(self.space.free)
            by_value = np.zeros((*by_x.shape, values.shape[1]))
            by_value[:, :n_free] = jacobian[:, self.space.free] * by_x[:, :n_free, None]
            # Of the logarithm of the deviation, by the coordinates.
            by_log = by_value * self.noise.log_slopes(values)[:, None]
            if self.space.has_level:
                by_log[:, n_free] = by_x[:, n_free:] / level
            of_value = np.where(quoted[:, None], by_value / deviation[:, None], 0.0)
            of_log = np.where(quoted[:, None], by_log, 0.0)
            gradient = np.matvec(of_value, r) + np.matvec(of_log, np.where(quoted, r**2 - 1, 0.0))
            metric = of_value @ np.swapaxes(of_value, 1, 2)
            metric += 2 * of_log @ np.swapaxes(of_log, 1, 2)
        lost = ~np.isfinite(gradient).all(axis=1) | ~np.isfinite(metric).all(axis=(1, 2))
        log_likelihood[lost] = -np.inf
        return log_likelihood, Slopes(gradient, metric)


def _nothing(k: int, d: int) -> Slopes:
    return Slopes(np.zeros((k, d)), np.zeros((k, d, d)))
