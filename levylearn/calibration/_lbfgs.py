"""Least squares by SciPy's L-BFGS-B, one surface at a time: the classical reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from levylearn.calibration._levenberg_marquardt import Minimum, decomposed
from levylearn.calibration._optimiser import OptimisingCalibrator
from levylearn.calibration._problem import CalibrationProblem
from levylearn.calibration._search import Effort
from levylearn.calibration._status import CalibrationStatus

__all__ = ["LBFGSCalibrator"]

Floats = NDArray[np.float64]

# Both are relative to the cost at the start, which is one in SciPy's eyes, and the gradient is
# with respect to coordinates in which it is of order one there.
_TOLERANCE = 1e-15
_GRADIENT_TOLERANCE = 1e-10
_BUDGET_SPENT = 1  # SciPy's status


class LBFGSCalibrator(OptimisingCalibrator):
    r"""Least squares by L-BFGS-B, one surface and one start at a time.

    It minimises the same sum of squared residuals :math:`r^\top r` as
    :class:`LeastSquaresCalibrator`, with the same analytic Jacobian :math:`J`, the same
    starts and the same diagnostics, but sees no more of it than its value and gradient
    :math:`2 J^\top r`: what the literature does, and what faster methods are measured
    against. Use :class:`LeastSquaresCalibrator` for work.

    Parameters
    ----------
    pricer : pricer
        The forward map, with its model and its grid.
    loss : {"price", "relative_price", "relative_to_model", "vega_price", "implied_vol"}, \
            default="price"
        What the residuals are differences of.
    weights : array-like of shape (n_quotes,), default=None
        Weights of the squared residuals.
    half_spread : array-like of shape (n_quotes,), default=None
        Half of the bid-ask spread of each quote, in the unit of the surfaces. Residuals
        are measured in it, and are zero inside it.
    bounds : dict of str to (float, float), default=None
        Bounds that replace those of the model, by the name of the parameter.
    fixed : dict of str to float, default=None
        Parameters that are held fixed, by name.
    n_starts : int or None, default=None
        Starting points for every surface that its first one does not reproduce; None
        means 4, because they are searched one after the other.
    n_candidates : int or None, default=None
        Number of points in the market range, and again in the box, from which starting
        points are taken, rounded up to a power of two; None means 32 for each free
        parameter.
    max_evaluations : int, default=200
        About how often a surface is priced, with its gradient, from one start. Models of
        six parameters and more want several hundred.
    random_state : int, RandomState instance or None, default=0
        Draws the candidates, in `fit`.
    n_jobs : int or None, default=None
        Processes that share the surfaces.
    verbose : int, default=0
        Whether to show progress.

    Attributes
    ----------
    pricer_ : pricer
        The fitted pricer.
    parameter_names_ : tuple of str
        Names of the parameters, in column order.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    LeastSquaresCalibrator : The same optimum, much faster.

    Notes
    -----
    The cost is divided by its value at the start, and the coordinates are scaled to make
    the columns of the Jacobian there equally long, so that the tolerances mean the same
    for all units. Where the model has no price, a line search is told twice the cost that
    it began with, and turns back.

    References
    ----------
    Byrd, R., Lu, P., Nocedal, J. and Zhu, C. (1995). A limited memory algorithm for bound
    constrained optimization. SIAM Journal on Scientific Computing 16, 1190-1208.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import LBFGSCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2]])
    >>> pricer = ContourPricer("variance_gamma", grid).fit(params)
    >>> surfaces = pricer.transform(params)
    >>> LBFGSCalibrator(pricer).fit(surfaces).predict(surfaces).round(6)
    array([[ 0.2,  0.4, -0.2]])
    """

    def _usual_starts(self, n_free: int) -> int:
        return 4

    def _local(
        self, problem: CalibrationProblem, z: Floats, problems: NDArray[np.intp], effort: Effort
    ) -> Minimum:
        cost, triangle, _ = _decomposed(problem, z, problems)
        status = np.where(
            np.isfinite(cost), CalibrationStatus.CONVERGED, CalibrationStatus.NO_START
        )
        status[cost <= problem.exact[problems]] = CalibrationStatus.EXACT
        evaluations = np.ones(len(z), dtype=np.intp)
        z = z.copy()
        for i in np.flatnonzero(status == CalibrationStatus.CONVERGED):
            size = np.linalg.norm(triangle[i], axis=0) / np.sqrt(cost[i])
            search = _Search(problem, problems[i], cost[i], z[i], size)
            result = search.run(effort)
            z[i] = search.z
            evaluations[i] += result.nfev
            if result.status == _BUDGET_SPENT:
                status[i] = CalibrationStatus.MAX_EVALUATIONS
        cost, triangle, _ = _decomposed(problem, z, problems)
        status[cost <= problem.exact[problems]] = CalibrationStatus.EXACT
        return Minimum(z, cost, triangle, status, evaluations)


class _Search:
    """One run of L-BFGS-B, and the best point that it has seen."""

    def __init__(
        self, problem: CalibrationProblem, row: np.intp, cost: float, z: Floats, size: Floats
    ) -> None:
        self.problem, self.row, self.unit = problem, row, cost
        self.residuals = problem.residuals(np.array([row]))
        self.cost, self.z = cost, z
        self.previous = 1.0
        # Told where there is no price: above anything that a line search accepts.
        self.ceiling = 2.0
        # A coordinate that changes nothing at the start keeps its unit.
        self.size = np.where(size > 0, size, 1.0)
        space = problem.space
        self.low, self.high = space.low * self.size, space.high * self.size

    def run(self, effort: Effort) -> OptimizeResult:
        return minimize(
            self.evaluate,
            np.clip(self.z * self.size, self.low, self.high),
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([self.low, self.high]),
            callback=lambda intermediate_result: self.after_step(
                intermediate_result.fun, effort.tolerance
            ),
            options={
                "ftol": _TOLERANCE,
                "gtol": _GRADIENT_TOLERANCE,
                "maxfun": effort.max_evaluations,
                "maxiter": effort.max_evaluations,
            },
        )

    def evaluate(self, x: Floats) -> tuple[float, Floats]:
        z = self.coordinates(x)
        r, jacobian = self.residuals(z[None], np.zeros(1, dtype=np.intp))
        assert jacobian is not None
        with np.errstate(over="ignore", invalid="ignore"):
            cost = float(r[0] @ r[0])
            gradient = 2 * (r[0] @ jacobian[0]) / self.size
        if not (np.isfinite(cost) and np.isfinite(gradient).all()):
            return self.ceiling, np.zeros_like(x)
        if cost < self.cost:
            self.cost, self.z = cost, z
        return cost / self.unit, gradient / self.unit

    def coordinates(self, x: Floats) -> Floats:
        """Unscaled coordinates; at a bound exactly, if scaled ones are."""
        space = self.problem.space
        z = np.clip(x / self.size, space.low, space.high)
        return np.where(x <= self.low, space.low, np.where(x >= self.high, space.high, z))

    def after_step(self, cost: float, tolerance: float) -> None:
        """Stop where the fit is exact or a step improves it too little."""
        self.ceiling = 2 * cost
        improved = self.previous - cost > tolerance * cost
        self.previous = cost
        if not improved or self.cost <= self.problem.exact[self.row]:
            raise StopIteration


def _decomposed(
    problem: CalibrationProblem, z: Floats, problems: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    r, jacobian = problem.residuals(problems)(z, np.arange(len(z)))
    assert jacobian is not None
    return decomposed(r, jacobian)
