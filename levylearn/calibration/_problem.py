"""The least-squares problem that a surface poses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.base import NEGLIGIBLE, ROUGH, ROUGH_ERROR, ROUNDING, BasePricer
from levylearn.calibration._space import ParameterSpace
from levylearn.market import black_vega, implied_volatility

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# A fit to within this fraction of the surface's size is a fit to within rounding error.
_NOISE = 1e-13

LOSSES = ("price", "relative_price", "relative_to_model", "vega_price", "implied_vol")


# How far a point may be from where its prices were planned, in widths of the coordinates: on the
# way not more than so far, and near the end not more than some of the steps that are left; where
# no step tells, at the begin and when a fit is priced, it is to be close.
_REACH, _STEPS, _CLOSE = 0.3, 10.0, 0.02
# Where no derivatives are wanted, only a step is judged; and where prices may be rough.
_FAR_REACH = 0.5
# On the way, where that is farther than this, so much of a price may be lost.
_ON_THE_WAY, _LOST_ON_THE_WAY = 0.05, 1e-9
# Rough prices are harmless where their error costs less than this part of a cost that others are
# compared with.
_HARMLESS = 1e-8


class CalibrationProblem:
    """Distances of surfaces from a pricer's.

    Parameters
    ----------
    pricer : fitted pricer
        The forward map.
    space : ParameterSpace
        Where to search.
    surfaces : ndarray of shape (n, m)
        Quotes in the unit of the pricer's output; NaN where there is none.
    loss : {"price", "relative_price", "vega_price", "implied_vol"}
        What the residuals are differences of.
    weights : ndarray of shape (m,) or None
        Weights of the squared residuals.
    half_spread : ndarray of shape (m,) or None
        Half of the bid-ask spread of each quote, in the unit of the surfaces: residuals are
        measured in it, and are zero inside it.
    size : ndarray of shape (n, m) or None
        What relative prices are relative to, if not to the quotes.
    plans : Plans or None
        Of points close to which the surfaces may be searched for; those of this problem's
        searches are put there.
    """

    def __init__(
        self,
        pricer: BasePricer,
        space: ParameterSpace,
        surfaces: Floats,
        loss: str,
        weights: Floats | None = None,
        half_spread: Floats | None = None,
        size: Floats | None = None,
        plans: Plans | None = None,
    ) -> None:
        self.pricer = pricer
        self.space = space
        self._posed = surfaces, weights, half_spread
        self.plans = plans or Plans(np.full((len(surfaces), space.size), np.nan))
        self.in_volatility = differs_in_volatility(pricer, loss)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope, target = _loss_units(pricer, surfaces, loss, size)
            root = np.ones(surfaces.shape[1]) if weights is None else np.sqrt(weights)
            scale = root * (np.ones_like(surfaces) if self.in_volatility else slope)
            if half_spread is not None:
                scale = scale / (half_spread * slope)
        # Weights are those of what is left of an error outside of the spread.
        self._dead_band = None if half_spread is None else root
        self.quoted = np.isfinite(target) & np.isfinite(scale) & (scale > 0)
        self.scale = np.where(self.quoted, scale, 0.0)
        noise = np.where(self.quoted, scale * slope if self.in_volatility else scale, 0.0)
        size = np.where(self.quoted, surfaces, 0.0)
        level = (size**2).sum(axis=1) / np.maximum(self.quoted.sum(axis=1), 1)
        self.exact = _NOISE**2 * level * (noise**2).sum(axis=1)
        with np.errstate(invalid="ignore"):
            self.rough = ((ROUGH_ERROR * _price_unit(pricer) * noise) ** 2).sum(axis=1)
        self.target = np.where(self.quoted, target, 0.0)

    def residuals(self, problems: Ints, compared_with: Floats | None = None) -> Residuals:
        """Residuals along searches, for the surfaces named.

        If costs are only to be compared with others, prices are rough where that cannot matter.
        """
        if compared_with is None:
            return Residuals(self, problems, np.zeros(len(problems), dtype=bool))
        return Residuals(self, problems, self.rough[problems] < _HARMLESS * compared_with)

    def with_loss(self, loss: str, size: Floats | None = None) -> CalibrationProblem:
        """Another loss of the same surfaces, whose searches go on where this one's ended."""
        surfaces, weights, spread = self._posed
        return CalibrationProblem(
            self.pricer, self.space, surfaces, loss, weights, spread, size, self.plans
        )

    def surfaces(self, z: Floats, problems: Ints) -> Floats:
        """Surfaces of the pricer at the ends of searches, for the surfaces named."""
        return self.residuals(problems).surfaces(z, np.arange(len(z)))

    def screen(self, surfaces: Floats) -> Floats:
        """Sums of squared residuals (n, k) of all surfaces against k candidates.

        Only for losses that are linear in the surfaces.
        """
        square = self.scale**2
        cross = (square * self.target) @ surfaces.T
        own = (square * self.target**2).sum(axis=1)
        return square @ (surfaces**2).T - 2 * cross + own[:, None]

    def distance(self, values: Floats, rows: Ints) -> tuple[Floats, Floats]:
        """Residuals of priced surfaces, and their derivatives by the surfaces."""
        scale, quoted = self.scale[rows], self.quoted[rows]
        slope = scale
        if self.in_volatility:
            values = volatilities(self.pricer, values)
            with np.errstate(divide="ignore", invalid="ignore"):
                slope = scale / vegas(self.pricer, values)
        r = np.where(quoted, scale * (values - self.target[rows]), 0.0)
        if self._dead_band is not None:
            quoted = quoted & ~(np.abs(r) < self._dead_band)
            r = np.where(quoted, r - self._dead_band * np.sign(r), 0.0)
        return r, np.where(quoted, slope, 0.0)


@dataclass
class Plans:
    """What a pricer had to find out about points, to be used again close by.

    Parameters
    ----------
    z : ndarray of shape (n, q)
        Where they were made; NaN where there is none yet.
    plans : structured ndarray of shape (n,) or None
        The pricer's.
    """

    z: Floats
    plans: NDArray[Any] | None = None

    def take(self, which: Ints) -> Plans:
        """A copy for some of the points, one of them perhaps several times."""
        return Plans(self.z[which], None if self.plans is None else self.plans[which])

    def put(self, which: Ints, z: Floats, plans: NDArray[Any]) -> None:
        """Remember the plans of the points that are at z now."""
        if self.plans is None:
            self.plans = np.zeros(len(self.z), dtype=plans.dtype)
        self.plans[which], self.z[which] = plans, z


class Residuals:
    """Residuals at points that move little from one call to the next.

    What the pricer had to find out about a point is used again until it has moved far.

    Parameters
    ----------
    problem : CalibrationProblem
        What is minimised.
    problems : ndarray of int of shape (n,)
        Which surface each point is searched for.
    rough : ndarray of bool of shape (n,)
        At which points lines for prices to 1e-8 of the forward will do.
    """

    def __init__(
        self, problem: CalibrationProblem, problems: Ints, rough: NDArray[np.bool_]
    ) -> None:
        self.problem, self.problems = problem, problems
        self._rough = rough
        self._last = np.full((len(problems), problem.space.size), np.nan)
        self._plans = problem.plans.take(problems)

    def __call__(
        self, z: Floats, points: Ints, gradient: bool = True
    ) -> tuple[Floats, Floats | None]:
        """Residuals (n, m) and Jacobian (n, m, q) at coordinates z, of the points named.

        They are not finite where the model does not exist, or where its price has no
        implied volatility although the market's has one.
        """
        params = self.problem.space.parameters(z)
        inside = self.problem.pricer.admissible(params)
        if inside.all() and len(z):
            return self._inside(params, z, points, gradient)
        r = np.full((len(z), self.problem.target.shape[1]), np.nan)
        jacobian = np.full((*r.shape, z.shape[1]), np.nan) if gradient else None
        if inside.any():
            found = self._inside(params[inside], z[inside], points[inside], gradient)
            r[inside] = found[0]
            if jacobian is not None:
                jacobian[inside] = found[1]
        return r, jacobian

    def surfaces(self, z: Floats, points: Ints) -> Floats:
        """Surfaces (n, m) at coordinates z where searches of the points named have ended."""
        params = self.problem.space.parameters(z)
        return self._evaluate(params, z, points, False, np.full(len(z), _CLOSE))[0]

    def _inside(
        self, params: Floats, z: Floats, points: Ints, gradient: bool
    ) -> tuple[Floats, Floats | None]:
        """Residuals and Jacobian where the model exists."""
        reach = self._reach(z, points) if gradient else np.full(len(z), _FAR_REACH)
        values, slopes = self._evaluate(params, z, points, gradient, reach)
        r, derivative = self.problem.distance(values, self.problems[points])
        if slopes is None:
            return r, None
        space = self.problem.space
        slopes = slopes[:, space.free] * space.slopes(params)[..., None]
        return r, np.swapaxes(slopes * derivative[:, None, :], 1, 2)

    def _evaluate(
        self, params: Floats, z: Floats, points: Ints, gradient: bool, reach: Floats
    ) -> tuple[Floats, Floats | None]:
        """Surfaces and their slopes, by plans made no farther away than is allowed."""
        pricer = self.problem.pricer
        if not hasattr(pricer, "plan"):
            return pricer.evaluate(params, gradient=gradient)
        far = ~(self._distance(z, self._plans.z[points]) <= reach)
        if far.any():
            self._plan(params[far], z[far], points[far])
        if self._plans.plans is None:
            return pricer.evaluate(params, gradient=gradient)
        negligible = np.where(reach > _ON_THE_WAY, _LOST_ON_THE_WAY, NEGLIGIBLE)
        negligible[self._rough[points]] = ROUGH
        plan = self._plans.plans[points]
        return pricer.evaluate(params, gradient, plan=plan, negligible=negligible)

    def _plan(self, params: Floats, z: Floats, points: Ints) -> None:
        """Plan points anew; other searches may use those plans that are not rough."""
        rough = self._rough[points]
        for rows, roughly in ((~rough, False), (rough, True)):
            if not rows.any():
                continue
            plan = self.problem.pricer.plan(params[rows], roughly)
            if plan is None:
                return
            self._plans.put(points[rows], z[rows], plan)
            if not roughly:
                self.problem.plans.put(self.problems[points[rows]], z[rows], plan)

    def _reach(self, z: Floats, points: Ints) -> Floats:
        """How far from where they were planned prices at z may be."""
        step = self._distance(z, self._last[points])
        self._last[points] = z
        farthest = np.where(self._rough[points], _FAR_REACH, _REACH)
        # The first point of a search has no step: it may be one where another ended.
        return np.minimum(np.fmax(_STEPS * step, _CLOSE), farthest)

    def _distance(self, z: Floats, other: Floats) -> Floats:
        distance: Floats = (np.abs(z - other) / self.problem.space.width).max(axis=1)
        return distance


def differs_in_volatility(pricer: BasePricer, loss: str) -> bool:
    """Whether residuals are differences of volatilities of a pricer that gives prices."""
    return loss == "implied_vol" and pricer.output != "implied_vol"


def volatilities(pricer: BasePricer, surfaces: Floats) -> Floats:
    """Implied volatilities of surfaces in the pricer's output; NaN where rounding hides them."""
    if pricer.output == "implied_vol":
        return surfaces
    grid = pricer.grid
    ratio = grid.strike / grid.forward
    prices = surfaces / _price_unit(pricer)
    intrinsic = np.maximum(np.where(grid.is_call, 1 - ratio, ratio - 1), 0.0)
    with np.errstate(invalid="ignore"):
        prices = np.where(prices - intrinsic > ROUNDING, prices, np.nan)
    return implied_volatility(prices, 1.0, ratio, grid.maturity, 1.0, grid.option_type)


def _price_unit(pricer: BasePricer) -> Floats | float:
    """What a forward price of one is in the pricer's output; without end where that is no price."""
    output = getattr(pricer, "output", None)
    if output == "forward_price":
        return 1.0
    if output != "price" or not hasattr(pricer, "grid"):
        return np.inf
    return np.asarray(pricer.grid.discount * pricer.grid.forward)


def vegas(pricer: BasePricer, volatility: Floats) -> Floats:
    """Derivative of the pricer's output with respect to implied volatility."""
    grid = pricer.grid
    vega = black_vega(1.0, grid.strike / grid.forward, grid.maturity, volatility)
    return vega * _price_unit(pricer)


def _loss_units(
    pricer: BasePricer, surfaces: Floats, loss: str, size: Floats | None
) -> tuple[Floats, Floats]:
    """Units of the loss for one of the surface, and the surfaces that are to be met."""
    if loss == "relative_price":
        return 1 / (surfaces if size is None else size), surfaces
    if loss == "price" or pricer.output == "implied_vol":
        return np.ones_like(surfaces), surfaces
    volatility = volatilities(pricer, surfaces)
    return 1 / vegas(pricer, volatility), volatility if loss == "implied_vol" else surfaces
