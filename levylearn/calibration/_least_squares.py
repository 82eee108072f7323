"""Least squares by Levenberg-Marquardt, all surfaces at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import Minimum, minimise
from levylearn.calibration._optimiser import OptimisingCalibrator
from levylearn.calibration._problem import CalibrationProblem
from levylearn.calibration._search import Effort

__all__ = ["LeastSquaresCalibrator"]

Floats = NDArray[np.float64]


class LeastSquaresCalibrator(OptimisingCalibrator):
    r"""Least squares by Levenberg-Marquardt on the analytic Jacobian, all surfaces at once.

    Every surface is compared with candidates whose prices and Jacobians are computed once, in
    `fit`; the search starts at the end of a Gauss-Newton step from one of the nearest. If the
    surface is not reproduced, as many starts as there are free parameters are tried; if they
    disagree, all starts race: every one is searched from as long as it promises to end below
    the best.

    Parameters
    ----------
    pricer : pricer
        The forward map, as :class:`levylearn.pricing.ContourPricer`.
    loss : str, default="price"
        One of "price", "relative_price", "relative_to_model", "vega_price", "implied_vol".
        What the residuals are differences of: prices in the unit of the pricer's output,
        prices over the quotes, prices over those of the fit, prices over Black's vega at the
        quotes, or implied volatilities. Errors that are a fraction of the price want
        ``"relative_to_model"``: divided by a quote, they count for more where it is too low.
        With ``"implied_vol"``, quotes without one are left out, and the optimum of
        ``"vega_price"`` is the start.
    weights : array-like of shape (n_quotes,), default=None
        Weights of the squared residuals.
    half_spread : array-like of shape (n_quotes,), default=None
        Half of each quote's bid-ask spread, in the unit of the surfaces. If given,
        residuals are measured in it, and are zero inside it.
    bounds : mapping of str to (low, high), default=None
        Bounds of parameters, instead of those of the model.
    fixed : mapping of str to float, default=None
        Parameters that are held fixed.
    n_starts : int or None, default=None
        Starting points for every surface that its first one does not reproduce; None
        means 16 for up to eight free parameters, and 56 for more.
    n_candidates : int or None, default=None
        Number of points in the market range, and again in the box, from which starting
        points are taken, rounded up to a power of two; None means 32 for each free
        parameter.
    max_evaluations : int, default=200
        Surfaces priced, with their Jacobian, for one search from a start, and again for the
        last digits of the best.
    random_state : int, RandomState instance or None, default=0
        Seed of the candidates, a scrambled Sobol sequence.
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
    LBFGSCalibrator : The same problem by a classical method.
    HybridCalibrator : Starts from where a regressor says that the optimum is.
    SurfaceRegressor : Quotes as samples.

    Notes
    -----
    The method is that of Levenberg and Marquardt, with damping by Nielsen's rule, steps
    projected on the box, and geodesic acceleration along bent valleys. Where residuals stay
    large, their own curvature is estimated from the last step. A surface that is reproduced to
    eight digits is searched on only while that is quick. Standard errors come from the
    Gauss-Newton matrix; they are local, and know nothing of other optima. Intervals follow the
    valley of the optimum, however bent, by the farthest point at which the loss is allowed: all
    ends of all surfaces at once, by the steps of the search, each to the edge of an ellipsoid.

    References
    ----------
    Chen, J.-S. and Jennrich, R. (1996). The signed root deviance profile and confidence
    intervals in maximum likelihood analysis. Journal of the American Statistical Association
    91, 993-998.

    Dennis, J., Gay, D. and Welsch, R. (1981). An adaptive nonlinear least-squares algorithm.
    ACM Transactions on Mathematical Software 7, 348-368.

    Marquardt, D. (1963). An algorithm for least-squares estimation of nonlinear parameters.
    SIAM Journal on Applied Mathematics 11, 431-441.

    Nielsen, H. (1999). Damping parameter in Marquardt's method. Technical University of
    Denmark, IMM-REP-1999-05.

    Transtrum, M. and Sethna, J. (2012). Improvements to the Levenberg-Marquardt algorithm
    for nonlinear least-squares minimization. arXiv:1201.5885.

    Venzon, D. and Moolgavkar, S. (1988). A method for computing profile-likelihood-based
    confidence intervals. Applied Statistics 37, 87-94.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2], [0.3, 0.2, -0.1]])
    >>> pricer = ContourPricer("variance_gamma", grid).fit(params)
    >>> surfaces = pricer.transform(params)
    >>> calibrator = LeastSquaresCalibrator(pricer).fit(surfaces)
    >>> calibrator.predict(surfaces).round(6)
    array([[ 0.2,  0.4, -0.2],
           [ 0.3,  0.2, -0.1]])
    >>> calibrator.calibrate(surfaces).message[0]
    'The quotes are reproduced to rounding error.'
    """

    def _usual_starts(self, n_free: int) -> int:
        # Problems of few parameters rarely have more than one valley; those of two variance
        # factors have many, and one start in twenty may lead to the lowest.
        return 16 if n_free <= 8 else 56

    def _local(
        self, problem: CalibrationProblem, z: Floats, problems: NDArray[np.intp], effort: Effort
    ) -> Minimum:
        space, known = problem.space, effort.known
        compared_with = known.cost if effort.rough and known is not None else None
        return minimise(
            problem.residuals(problems, compared_with),
            z,
            space.low,
            space.high,
            space.width,
            problem.exact[problems],
            effort.max_evaluations,
            effort.tolerance,
            known,
        )
