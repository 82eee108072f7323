"""The posterior as the normal that is nearest to it."""

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
from levylearn.calibration._normal_points import neighbours, normal_points
from levylearn.calibration._posterior import PosteriorDensity
from levylearn.utils._sklearn import Interval

__all__ = ["VariationalCalibrator"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

# The ascent ends when a step promises less than this, in units of the bound.
_TOLERANCE = 1e-7
_LEAST_STEP = 1e-4


class VariationalCalibrator(PosteriorCalibrator):
    """The posterior as the normal that is nearest to it.

    In the coordinates in which the prior is standard normal, mean and full covariance maximise
    the evidence lower bound, taken over fixed quasi-random points: the same answer every time.
    The ascent starts from Laplace's normal and takes Newton's steps, by the reparameterised
    gradient, as if the posterior were normal.

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
    n_points : int, default=64
        Points over which the bound is taken, best a power of two.
    n_draws : int, default=2048
        Number of points that stand for the normal, best a power of two.
    max_steps : int, default=100
        Steps of the ascent, at most.
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
    LaplaceCalibrator : Cheaper still.
    NUTSCalibrator : The posterior itself.

    Notes
    -----
    :meth:`calibrate` also returns ``elbo``, the bound on the logarithm of the marginal density
    of the quotes. The nearest normal, in this sense, is too narrow rather than too wide where
    the posterior is not normal.

    References
    ----------
    Kucukelbir, A., Tran, D., Ranganath, R., Gelman, A. and Blei, D. (2017). Automatic
    differentiation variational inference. Journal of Machine Learning Research 18, 1-45.

    Giordano, R., Ingram, M. and Broderick, T. (2024). Black box variational inference with a
    deterministic objective. Journal of Machine Learning Research 25, 1-39.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import VariationalCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2]])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit(params).transform(params)
    >>> calibrator = VariationalCalibrator(pricer, noise=0.01).fit(X)
    >>> low, high = calibrator.predict_interval(X)[0].T
    >>> bool(np.all((low < params) & (params < high)))
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **PosteriorCalibrator._parameter_constraints,
        "n_points": [Interval(Integral, 64, None, closed="left")],
        "n_draws": [Interval(Integral, 64, None, closed="left")],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
    }

    _rows_at_once = 16

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
        n_points: int = 64,
        n_draws: int = 2048,
        max_steps: int = 100,
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
        self.n_points = n_points
        self.n_draws = n_draws
        self.max_steps = max_steps
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _sample(self, density: PosteriorDensity, modes: Modes, rows: Rows) -> Iterator[Draws]:
        size = self._space.size
        density.plan_around(modes.at(neighbours(size, self._seed)))
        bound = _Bound(density, modes, normal_points(self.n_points, size, self._seed))
        mean, factor, elbo, converged = _ascend(bound, rows, size, self.max_steps)
        points = normal_points(self.n_draws, size, self._seed)
        for i, row in enumerate(rows):
            yield Draws(
                x=bound.coordinates(mean[i], factor[i], row, points)[None],
                stats={},
                summary={"elbo": elbo[i]},
                converged=bool(converged[i]),
                message=(
                    "No step raises the bound any further."
                    if converged[i]
                    else "The steps are used up."
                ),
            )


class _Bound:
    """Evidence lower bound of normals, by fixed points, and its slopes.

    Normals are given in the coordinates in which Laplace's is standard normal: by their mean
    and a lower triangular factor of their covariance, there.
    """

    def __init__(self, density: PosteriorDensity, modes: Modes, points: Floats) -> None:
        self.density, self.modes, self.points = density, modes, points

    def coordinates(self, mean: Floats, factor: Floats, row: int, points: Floats) -> Floats:
        """Coordinates (n, d) of points of the normal of one surface."""
        return self.modes.x[row] + (mean + points @ factor.T) @ self.modes.factor[row].T

    def __call__(self, mean: Floats, factor: Floats, rows: Rows) -> tuple[Floats, Floats, Floats]:
        """Bounds (n,) of some surfaces, their slopes by mean (n, d) and by factor (n, d, d)."""
        n_points, size = self.points.shape
        normals = zip(mean, factor, rows, strict=True)
        x = np.stack([self.coordinates(*normal, self.points) for normal in normals])
        values, slopes = self.density(x.reshape(-1, size), np.repeat(rows, n_points), slopes=True)
        assert slopes is not None
        gradient = slopes.gradient.reshape(x.shape) @ self.modes.factor[rows]
        diagonal = np.einsum("nii->ni", factor)
        own = np.linalg.slogdet(self.modes.factor[rows])[1] + np.log(diagonal).sum(axis=1)
        entropy = 0.5 * size * (1 + np.log(2 * np.pi)) + own
        by_factor = np.tril(np.swapaxes(gradient, 1, 2) @ self.points / n_points)
        by_factor += (1 / diagonal)[:, None, :] * np.eye(size)
        return values.reshape(x.shape[:2]).mean(axis=1) + entropy, gradient.mean(axis=1), by_factor


def _ascend(
    bound: _Bound, rows: Rows, size: int, max_steps: int
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Raise the bound from Laplace's normal, each surface with its own length of step.

    Were the posterior normal, the bound's Hessian at Laplace's normal would be minus one for
    the mean and off the diagonal of the factor, and minus two on it. Newton's steps with it
    are as good as the posterior is normal.
    """
    mean = np.zeros((len(rows), size))
    factor = np.tile(np.eye(size), (len(rows), 1, 1))
    curvature = 1 + np.eye(size)
    value, by_mean, by_factor = bound(mean, factor, rows)
    length, converged = np.ones(len(rows)), np.zeros(len(rows), dtype=bool)
    for _ in range(max_steps):
        promise = (by_mean**2).sum(axis=1) + (by_factor**2 / curvature).sum(axis=(1, 2))
        converged |= (promise <= _TOLERANCE) | (length < _LEAST_STEP)
        going = np.flatnonzero(~converged)
        if not going.size:
            break
        tried_mean = mean[going] + length[going, None] * by_mean[going]
        tried = factor[going] + length[going, None, None] * by_factor[going] / curvature
        inside = (np.einsum("nii->ni", tried) > 0).all(axis=1)
        tried[~inside] = factor[going[~inside]]
        found = bound(tried_mean, tried, rows[going])
        better = inside & (found[0] >= value[going])
        taken = going[better]
        mean[taken], factor[taken] = tried_mean[better], tried[better]
        for whole, part in zip((value, by_mean, by_factor), found, strict=True):
            whole[taken] = part[better]
        length[going] = np.where(better, np.minimum(1.5 * length[going], 1.0), 0.3 * length[going])
    return mean, factor, value, converged
