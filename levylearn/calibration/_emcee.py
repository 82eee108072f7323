"""An ensemble of walkers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.base import BasePricer
from levylearn.calibration._chains import Block, MarkovChainCalibrator, Target
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import Interval

__all__ = ["EmceeCalibrator"]

Floats = NDArray[np.float64]

# Half of so many walkers is a batch that prices well, and a density to propose from.
_WALKERS, _WALKERS_FOR_EACH = 64, 8
# Proposals from the other half's density move far, those along differences of walkers anywhere.
_FAR, _ANYWHERE = 0.8, 0.2


class EmceeCalibrator(MarkovChainCalibrator):
    """The posterior by an ensemble of walkers, without gradients.

    The sampler is emcee's. Walkers begin as draws from the normal that touches the posterior
    at its mode, and propose, half of them at a time, from the density of the other half or
    along differences of its walkers, whatever the scales and correlations of the unknowns.
    Every half is one batch of prices.

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
    n_walkers : int or None, default=None
        Walkers, which are the chains of `posterior_`; None means 64, or eight for each unknown
        if that is more.
    min_times : float, default=50
        Length of the chains in autocorrelation times, at least.
    min_ess : float, default=1000
        Bulk effective sample size that every unknown is to have.
    max_rhat : float, default=1.01
        Split R-hat that no unknown is to exceed.
    max_draws : int, default=10000
        Draws in each chain at which sampling ends, converged or not.
    warm_up : int, default=50
        Steps before the first draw.
    random_state : int, RandomState instance or None, default=0
        Seed of the walkers; every surface begins with the same numbers.
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
    NUTSCalibrator : By gradients, usually faster.
    LaplaceCalibrator : An approximation in a few milliseconds.

    Notes
    -----
    Whether the chains have converged is looked at again each time they have grown by a third;
    if they have not at `max_draws`, there is a warning. Sampling that is interrupted from the
    keyboard returns the draws made so far, with a warning.

    References
    ----------
    Foreman-Mackey, D., Hogg, D., Lang, D. and Goodman, J. (2013). emcee: the MCMC hammer.
    Publications of the Astronomical Society of the Pacific 125, 306-312.

    Goodman, J. and Weare, J. (2010). Ensemble samplers with affine invariance. Communications
    in Applied Mathematics and Computational Science 5, 65-80.

    ter Braak, C. (2006). A Markov chain Monte Carlo version of the genetic algorithm
    differential evolution. Statistics and Computing 16, 239-249.

    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021).
    Rank-normalization, folding, and localization: an improved R-hat for assessing convergence
    of MCMC. Bayesian Analysis 16, 667-718.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import EmceeCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2]])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit(params).transform(params)
    >>> calibrator = EmceeCalibrator(pricer, noise=0.01).fit(X)
    >>> low, high = calibrator.predict_interval(X)[0].T
    >>> bool(np.all((low < params) & (params < high)))
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **MarkovChainCalibrator._parameter_constraints,
        "min_times": [Interval(Real, 0, None, closed="left")],
        "n_walkers": [Interval(Integral, 2, None, closed="left"), None],
    }

    _block_length = 25

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
        n_walkers: int | None = None,
        min_times: float = 50,
        min_ess: float = 1000,
        max_rhat: float = 1.01,
        max_draws: int = 10_000,
        warm_up: int = 50,
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
        self.n_walkers = n_walkers
        self.min_times = min_times
        self.min_ess = min_ess
        self.max_rhat = max_rhat
        self.max_draws = max_draws
        self.warm_up = warm_up
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _blocks(self, target: Target, random: np.random.Generator, length: int) -> Iterator[Block]:
        emcee = import_optional("emcee", type(self).__name__)
        size = len(target.mode)
        n_walkers = self.n_walkers or max(_WALKERS, _WALKERS_FOR_EACH * size)
        moves = [(emcee.moves.KDEMove(), _FAR), (emcee.moves.DEMove(), _ANYWHERE)]
        sampler = emcee.EnsembleSampler(n_walkers, size, target, moves=moves, vectorize=True)
        state = emcee.State(
            target.start(n_walkers, random),
            random_state=np.random.RandomState(random.integers(2**31)).get_state(),
        )
        if self.warm_up:
            state = _moved(sampler, state, self.warm_up)
        while True:
            sampler.reset()
            state = _moved(sampler, state, length)
            chain, log_density = sampler.get_chain(), sampler.get_log_prob()
            yield Block(np.swapaxes(chain, 0, 1), {"lp": log_density.T})

    def _are_enough(self, x: Floats) -> bool:
        emcee = import_optional("emcee", type(self).__name__)
        with np.errstate(invalid="ignore"):  # of a walker that has not moved: not enough
            times = emcee.autocorr.integrated_time(np.swapaxes(x, 0, 1), tol=0)
        return bool((self.min_times * times <= x.shape[1]).all())


def _moved(sampler: Any, state: Any, length: int) -> Any:
    """Where walkers are after so many steps."""
    with np.errstate(invalid="ignore"):  # from a point outside of the domain to another
        return sampler.run_mcmc(state, length)
