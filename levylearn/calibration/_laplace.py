"""The posterior as the normal that touches it at its mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.base import BasePricer
from levylearn.calibration._bayes import PosteriorCalibrator
from levylearn.calibration._draws import Draws
from levylearn.calibration._mode import Modes
from levylearn.calibration._normal_points import normal_points
from levylearn.calibration._posterior import PosteriorDensity
from levylearn.utils._sklearn import Interval

__all__ = ["LaplaceCalibrator"]


class LaplaceCalibrator(PosteriorCalibrator):
    """The posterior as the normal that touches it at its mode.

    The coordinates are those in which the prior is standard normal; there the mode is searched
    for, and there the normal has the inverse of Fisher's information, of quotes and prior, for
    its covariance. Nothing is sampled: the draws are fixed quasi-random points. It costs a few
    pricings, and is as good as the posterior is normal in these coordinates.

    Parameters
    ----------
    pricer : pricer
        The forward map, as :class:`levylearn.pricing.ContourPricer`.
    noise : float or array-like of shape (n_quotes,), default=0.01
        Standard deviations of the quotes' errors: one for all or one for each quote. Half of
        a bid-ask spread is one, with ``noise_kind="absolute"``.
    noise_kind : {"relative", "absolute"}, default="relative"
        Whether `noise` is a fraction of the model's price, or in the unit of the surfaces.
        Errors that are fractions leave out quotes that are not positive, and are joined by an
        error of 1e-7 of the largest quote seen in `fit`: no price is exact.
    noise_prior : frozen distribution of scipy.stats or None, default=None
        Prior of a level that multiplies `noise`, if that is unknown; it is then inferred
        along with the parameters, as ``noise_level``.
    priors : mapping of str to frozen distribution of scipy.stats, default=None
        Priors of parameters, instead of those of the model. All are cut off at the bounds.
    bounds : mapping of str to (low, high), default=None
        Bounds of parameters, instead of those of the model.
    fixed : mapping of str to float, default=None
        Parameters that are held fixed.
    estimate : {"mean", "median"}, default="mean"
        What `predict` returns of the posterior.
    n_draws : int, default=2048
        Number of points that stand for the normal, best a power of two.
    random_state : int, RandomState instance or None, default=0
        Seed of the points; every surface begins with the same numbers.
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
    posterior_ : InferenceData or list of InferenceData
        Draws for the surfaces that `fit` was given, if it was given no `y`.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    VariationalCalibrator : The nearest normal instead of the one that touches.
    NUTSCalibrator : The posterior itself.

    Notes
    -----
    :meth:`calibrate` also returns ``log_evidence``, the approximation to the logarithm of the
    marginal density of the quotes, by which models can be compared.

    References
    ----------
    Tierney, L. and Kadane, J. (1986). Accurate approximations for posterior moments and
    marginal densities. Journal of the American Statistical Association 81, 82-86.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import LaplaceCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2]])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit(params).transform(params)
    >>> calibrator = LaplaceCalibrator(pricer, noise=0.01).fit(X)
    >>> low, high = calibrator.predict_interval(X)[0].T
    >>> bool(np.all((low < params) & (params < high)))
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **PosteriorCalibrator._parameter_constraints,
        "n_draws": [Interval(Integral, 64, None, closed="left")],
    }

    _rows_at_once = 64

    def __init__(
        self,
        pricer: BasePricer,
        noise: ArrayLike = 0.01,
        *,
        noise_kind: str = "relative",
        noise_prior: Any = None,
        priors: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        fixed: Mapping[str, float] | None = None,
        estimate: str = "mean",
        n_draws: int = 2048,
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.pricer = pricer
        self.noise = noise
        self.noise_kind = noise_kind
        self.noise_prior = noise_prior
        self.priors = priors
        self.bounds = bounds
        self.fixed = fixed
        self.estimate = estimate
        self.n_draws = n_draws
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _sample(
        self, density: PosteriorDensity, modes: Modes, rows: NDArray[np.intp]
    ) -> Iterator[Draws]:
        points = normal_points(self.n_draws, self._space.size, self._seed)
        for row in rows:
            converged = bool(modes.converged[row])
            yield Draws(
                x=(modes.x[row] + points @ modes.factor[row].T)[None],
                stats={},
                summary={"log_evidence": modes.log_evidence[row]},
                converged=converged,
                message="The mode was found." if converged else "The mode was not found.",
            )
