"""Where searches start: at points of the box that are priced once, for all surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levylearn.base import NEGLIGIBLE, ROUGH, BasePricer
from levylearn.calibration._problem import CalibrationProblem
from levylearn.calibration._space import ParameterSpace

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# The first start is from one of so many candidates.
_TRIED = 16
# The damping of a step, against the mean square of the Jacobian's columns, and its greatest
# length, in widths of the coordinates: candidates are no nearer to each other than about that.
_DAMPING, _LONGEST = 1e-4, 0.5
# Rows are dealt with in parts, so that no array has more numbers than this.
_NUMBERS = 2_000_000


class Candidates:
    """Points of the box with their surfaces, and those of their Jacobians that were asked for.

    Parameters
    ----------
    pricer : fitted pricer
        The forward map.
    space : ParameterSpace
        The box.
    n : int
        Points in the market range, and again in the box.
    seed : int
        Of the Sobol sequence.
    rough : bool, default=False
        Whether prices to about 1e-8 of the forward will do.

    Raises
    ------
    ValueError
        If no point of the box can be priced.
    """

    def __init__(
        self, pricer: BasePricer, space: ParameterSpace, n: int, seed: int, rough: bool = False
    ) -> None:
        z = space.sample(n, seed)
        params = space.parameters(z)
        inside = pricer.admissible(params)
        z, params = z[inside], params[inside]
        self.space, self._pricer, self._rough = space, pricer, rough
        surfaces, _ = self._evaluate(params)
        # Numbers whose squares overflow are no prices.
        with np.errstate(over="ignore"):
            surfaces = np.where(np.isfinite(surfaces**2), surfaces, np.nan)
        priced = np.isfinite(surfaces).any(axis=1)
        if not priced.any():
            raise ValueError("no point of the box can be priced; widen bounds.")
        self.z, self.surfaces = z[priced], np.nan_to_num(surfaces[priced])
        jacobians = np.zeros((*self.surfaces.shape, space.size), dtype=np.float32)
        self._differentiated = jacobians, np.zeros(len(self.z), dtype=bool)

    def differentiate(self, which: Ints) -> NDArray[np.float32]:
        """Jacobians of all candidates (n, m, q), right for those named; zero if not known yet."""
        jacobians, known = self._differentiated
        new = np.unique(which[~known[which]])
        if not new.size:
            return jacobians
        space = self.space
        params = space.parameters(self.z[new])
        _, slopes = self._evaluate(params, gradient=True)
        assert slopes is not None
        slopes = slopes[:, space.free] * (space.slopes(params) * space.width)[..., None]
        # By width of each coordinate; single precision is plenty for a first step.
        with np.errstate(over="ignore"):
            found = np.nan_to_num(np.swapaxes(slopes, 1, 2).astype(np.float32))
        # Another thread may be reading, or the arrays lie in a file that must not change.
        jacobians, known = jacobians.copy(), known.copy()
        jacobians[new], known[new] = found, True
        self._differentiated = jacobians, known
        return jacobians

    def _evaluate(self, params: Floats, gradient: bool = False) -> tuple[Floats, Floats | None]:
        """Surfaces and slopes; of these, no more digits are needed than a plan for prices gives."""
        pricer, rough = self._pricer, self._rough
        plan = pricer.plan(params, rough) if hasattr(pricer, "plan") else None
        if plan is None:
            return pricer.evaluate(params, gradient)
        negligible = ROUGH if rough else NEGLIGIBLE
        return pricer.evaluate(params, gradient, plan=plan, negligible=negligible)

    def starts(self, problem: CalibrationProblem, rows: Ints, n_starts: int) -> Floats:
        """Starting points (n, n_starts, q) for the surfaces named.

        They are the ends of Gauss-Newton steps from the candidates that come nearest. The
        first is the one that promises most, the others follow in the order of nearness.
        """
        costs = problem.screen(self.surfaces)[rows]
        nearest = np.argsort(costs, axis=1)[:, : max(n_starts, _TRIED)]
        jacobians = self.differentiate(nearest)
        starts = np.empty((*nearest.shape, self.space.size))
        n_parts = 1 + nearest.size * jacobians[0].size // _NUMBERS
        for part in np.array_split(np.arange(len(rows)), n_parts):
            tried = nearest[part]
            starts[part] = self._stepped(problem, rows[part], tried, jacobians[tried])
        return starts[:, :n_starts]

    def _stepped(
        self,
        problem: CalibrationProblem,
        rows: Ints,
        tried: Ints,
        jacobians: NDArray[np.float32],
    ) -> Floats:
        """Ends of the steps from some candidates, the most promising of the first moved up."""
        scale = problem.scale[rows, None, :]
        r = scale * (self.surfaces[tried] - problem.target[rows, None, :])
        jacobian = scale[..., None] * jacobians
        transposed = np.swapaxes(jacobian, 2, 3)
        matrix = transposed @ jacobian
        size = np.trace(matrix, axis1=2, axis2=3)[..., None, None] / self.space.size
        damping = np.where(size > 0, _DAMPING * size, 1.0) * np.eye(self.space.size)
        step = -np.linalg.solve(matrix + damping, transposed @ r[..., None])[..., 0]
        length = np.abs(step).max(axis=2, keepdims=True)
        step *= np.minimum(1.0, _LONGEST / np.maximum(length, _LONGEST))
        z = self.z[tried]
        ends = np.clip(z + step * self.space.width, self.space.low, self.space.high)
        step = (ends - z) / self.space.width
        promised = r + (jacobian @ step[..., None])[..., 0]
        best = np.argmin((promised[:, :_TRIED] ** 2).sum(axis=2), axis=1)
        number = np.arange(tried.shape[1])
        order = np.argsort(np.where(number == best[:, None], -1, number), axis=1)
        return np.take_along_axis(ends, order[..., None], axis=1)
