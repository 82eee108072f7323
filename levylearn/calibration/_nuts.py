"""Hamiltonian trajectories on the analytic gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.base import BasePricer
from levylearn.calibration._chains import Block, MarkovChainCalibrator, Target
from levylearn.calibration._hamiltonian import Point, StepSize, Transition, no_u_turn
from levylearn.calibration._ridge import OffRidge, Ridge, climb
from levylearn.utils._sklearn import Interval

__all__ = ["NUTSCalibrator"]

Floats = NDArray[np.float64]

# From how many points of the normal each start is chosen: one in a corner may never leave it.
_CANDIDATES = 8
# How many draws the normal at the mode counts for in the covariance that the warm-up learns.
_PRIOR_DRAWS = 10.0


class NUTSCalibrator(MarkovChainCalibrator):
    """The posterior by Hamiltonian trajectories on the analytic gradient.

    The no-U-turn sampler with multinomial weights, all chains in step, so that a leapfrog step
    of all of them is one batch of prices and Jacobians. Posteriors are often bent: quotes that
    tell some combinations of the parameters to a thousandth leave another one open. So the
    sampler's coordinates follow the crest of the posterior, along the widest direction at its
    mode, and are scaled by its width on the way; the mass matrix and the step size are learned
    in the warm-up.

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
    n_chains : int, default=8
        Number of chains.
    target_acceptance : float, default=0.8
        Mean acceptance that the step size is adapted to.
    min_ess : float, default=1000
        Bulk effective sample size that every unknown is to have.
    max_rhat : float, default=1.01
        Split R-hat that no unknown is to exceed.
    max_draws : int, default=2000
        Draws in each chain at which sampling ends, converged or not.
    warm_up : int, default=40
        Transitions before the first draw.
    random_state : int, RandomState instance or None, default=0
        Seed of the chains; every surface begins with the same numbers.
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
    EmceeCalibrator : Without gradients.
    LaplaceCalibrator : An approximation in a few milliseconds.

    Notes
    -----
    Whether the chains have converged is looked at again each time they have grown by a third;
    if they have not at `max_draws`, there is a warning. :meth:`calibrate` also returns
    ``n_divergences``, trajectories whose energy was lost. More than one in a hundred mean that
    part of the posterior may not have been reached, and there is a warning; shorter steps, by a
    higher `target_acceptance`, reach it. Sampling that is interrupted from the keyboard returns
    the draws made so far, with a warning.

    References
    ----------
    Hoffman, M. and Gelman, A. (2014). The no-U-turn sampler: adaptively setting path lengths
    in Hamiltonian Monte Carlo. Journal of Machine Learning Research 15, 1593-1623.

    Betancourt, M. (2017). A conceptual introduction to Hamiltonian Monte Carlo.
    arXiv:1701.02434.

    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021).
    Rank-normalization, folding, and localization: an improved R-hat for assessing convergence
    of MCMC. Bayesian Analysis 16, 667-718.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import NUTSCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2]])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit(params).transform(params)
    >>> calibrator = NUTSCalibrator(pricer, noise=0.01).fit(X)
    >>> low, high = calibrator.predict_interval(X)[0].T
    >>> bool(np.all((low < params) & (params < high)))
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **MarkovChainCalibrator._parameter_constraints,
        "n_chains": [Interval(Integral, 2, None, closed="left")],
        "target_acceptance": [Interval(Real, 0, 1, closed="neither")],
    }

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
        n_chains: int = 8,
        target_acceptance: float = 0.8,
        min_ess: float = 1000,
        max_rhat: float = 1.01,
        max_draws: int = 2000,
        warm_up: int = 40,
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
        self.n_chains = n_chains
        self.target_acceptance = target_acceptance
        self.min_ess = min_ess
        self.max_rhat = max_rhat
        self.max_draws = max_draws
        self.warm_up = warm_up
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _blocks(self, target: Target, random: np.random.Generator, length: int) -> Iterator[Block]:
        frame = _Frame.at_mode(target)
        point = frame.start(self.n_chains, random)
        step = StepSize(1.0, self.target_acceptance)
        for stage in range(2):
            # The covariance is learned from the first half of the warm-up.
            visited = []
            for _ in range(self.warm_up // 2):
                moved = no_u_turn(frame, point, step.current, random)
                step.update(float(moved.acceptance.mean()))
                point = moved.point
                visited.append(frame.v(point.w))
            if stage == 0 and visited:
                frame = frame.learned(np.concatenate(visited[len(visited) // 4 :]))
                point, step = frame.at(visited[-1]), StepSize(step.average, self.target_acceptance)
        size = step.average
        while True:
            moves: list[Transition] = []
            for _ in range(length):
                moves.append(no_u_turn(frame, point, size, random))
                point = moves[-1].point
            yield _block(frame, moves, size)


class _Frame:
    """Coordinates w in which the posterior is nearly standard normal.

    To the unknowns' x lead three steps: ``v = L w`` is learned, ``y(v)`` leads off a ridge, and in
    ``x = mode + A y`` the normal at the mode is standard, its widest direction first.
    """

    def __init__(self, target: Target, wide: Floats, ridge: Ridge, learned: NDArray[Any]) -> None:
        self._target, self._wide, self._ridge, self._learned = target, wide, ridge, learned
        self.size = len(wide)

    @classmethod
    def at_mode(cls, target: Target) -> _Frame:
        """Return the frame along the ridge that leads over the mode."""
        axes, widths, _ = np.linalg.svd(target.factor)
        wide = axes * widths

        def density(y: Floats) -> tuple[Floats, Floats, Floats]:
            value, slopes = target.slopes(target.mode + y @ wide.T)
            return value, slopes.gradient @ wide, wide.T @ slopes.metric @ wide

        return cls(target, wide, climb(density, len(wide)), np.eye(len(wide)))

    def v(self, w: Floats) -> Floats:
        return w @ self._learned.T

    def x(self, off: OffRidge) -> Floats:
        return self._target.mode + off.y @ self._wide.T

    def __call__(self, w: Floats) -> tuple[Floats, Floats]:
        off = self._ridge(self.v(w))
        value, slopes = self._target.slopes(self.x(off))
        return value + off.log_volume, off.pulled_back(slopes.gradient @ self._wide) @ self._learned

    def start(self, n: int, random: np.random.Generator) -> Point:
        """Draw points from the posterior, nearly: from a normal, with weights."""
        w = random.standard_normal((_CANDIDATES * n, self.size))
        points = Point(w, *self(w))
        log_weight = points.log_density + 0.5 * (w**2).sum(axis=1)
        return points.take(np.argsort(-log_weight - random.gumbel(size=len(w)))[:n])

    def draws(self, point: Point) -> tuple[Floats, Floats]:
        """Return the x (n, d) of points, and their log-densities (n,)."""
        off = self._ridge(self.v(point.w))
        return self.x(off), point.log_density - off.log_volume

    def at(self, v: Floats) -> Point:
        """Return the points with coordinates v."""
        w = v @ np.linalg.inv(self._learned).T
        return Point(w, *self(w))

    def learned(self, v: Floats) -> _Frame:
        """Return the frame in which draws v are standard normal, nearly."""
        scatter = v.T @ v + _PRIOR_DRAWS * np.eye(self.size)
        factor = np.linalg.cholesky(scatter / (len(v) + _PRIOR_DRAWS))
        return _Frame(self._target, self._wide, self._ridge, factor)


def _block(frame: _Frame, moves: list[Transition], step_size: float) -> Block:
    draws = [frame.draws(move.point) for move in moves]
    x, log_density = (np.stack(part, axis=1) for part in zip(*draws, strict=True))
    stats = {
        "lp": log_density,
        "energy": np.stack([move.energy for move in moves], axis=1),
        "acceptance_rate": np.stack([move.acceptance for move in moves], axis=1),
        "diverging": np.stack([move.diverging for move in moves], axis=1),
        "n_steps": np.stack([move.n_steps for move in moves], axis=1),
        "tree_depth": np.stack([move.depth for move in moves], axis=1),
        "step_size": np.full(x.shape[:2], step_size),
    }
    return Block(x, stats)
