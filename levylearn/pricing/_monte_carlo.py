"""Monte Carlo as a pricer, and paths for whatever has no formula."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from levylearn.base import BasePricer
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel
from levylearn.pricing._averages import Averages
from levylearn.pricing._sampling import N_REPLICATES, blocks
from levylearn.utils._sklearn import Interval, StrOptions
from levylearn.utils._sobol import MAX_DIMENSION

__all__ = ["MonteCarloPricer"]

Floats = NDArray[np.float64]

# Parameter sets simulated at a time are as many as fill arrays of about this many numbers.
_BATCH_NUMBERS = 500_000


class MonteCarloPricer(BasePricer):
    r"""European options by simulation, with standard errors; and paths of every model.

    Everything of a path but a Brownian motion is simulated: the clock of a subordinated
    process, the variance and its integral, the jumps. Given these the log-return is normal,
    and the option is worth Black's price, which is averaged. What is left to chance is small,
    and of low dimension, so that scrambled Sobol points do better still. The asset itself,
    whose expectation is known, serves as control variate.

    Prices come from 16 replicates, consecutive parts of a scrambled Sobol sequence or batches
    of pseudo-random numbers, and :meth:`error_estimate` gives their standard error, plus what
    one more path, twice as far out as the farthest, would add. Parts of one sequence complete
    each other, so that with Sobol points the error is mostly a fraction of that. All parameter
    sets, strikes and maturities share the same random numbers, so that derivatives are
    differences of prices, and a surface depends on its parameters alone.

    Lévy processes are simulated exactly at the maturities. The variance of Heston's model is
    exact as well; its integral is approximated over each step.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    grid : OptionGrid
        The options and their market.
    output : {"price", "forward_price", "implied_vol"}, default="price"
        Prices in currency, undiscounted prices over the forward, or Black volatilities
        (NaN where a price has no time value).
    n_paths : int, default=16384
        Number of paths, a multiple of 32; for Sobol points a power of 2.
    n_steps : int or None, default=None
        Steps per year of models that need them. ``None`` means as many as the model asks
        for; there is at least one step up to each maturity.
    sampling : {"sobol", "antithetic", "pseudo"}, default="sobol"
        Scrambled Sobol points, pseudo-random numbers in antithetic pairs, or plain ones.
    control_variate : bool, default=True
        Whether the error of the asset's mean is regressed out.
    random_state : int, RandomState instance or None, default=0
        Seed of the paths, drawn once in `fit`. With ``None`` every fit has paths of its own.
    n_jobs : int or None, default=None
        Threads that share the parameter sets; -1 means all processors.

    Attributes
    ----------
    model_ : CharacteristicModel
        The model.
    parameters_ : tuple of Parameter
        Its parameters.
    n_features_in_ : int
        Number of parameters.
    feature_names_in_ : ndarray of str
        Names of the parameters, if `fit` saw any.
    times_ : ndarray of shape (n_times,)
        Ends of the steps of the simulation.

    See Also
    --------
    ContourPricer : Prices to nearly all digits, and faster.
    levylearn.models.CharacteristicModel.simulate : Paths from uniform numbers of one's own.

    References
    ----------
    Willard, G. (1997). Calculating prices and sensitivities for path-independent derivative
    securities in multifactor models. Journal of Derivatives 5, 45-61.

    L'Ecuyer, P. (2018). Randomized quasi-Monte Carlo: an introduction for practitioners.
    Monte Carlo and Quasi-Monte Carlo Methods 2016, Springer, 29-52.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import MonteCarloPricer
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[1.0], rate=0.1)
    >>> params = np.array([[0.12, 0.2, -0.14]])
    >>> pricer = MonteCarloPricer("variance_gamma", grid).fit(params)
    >>> pricer.transform(params)[0, :2].round(2)
    array([19.1 , 11.37])
    >>> bool(np.all(pricer.error_estimate(params) < 0.01))
    True
    >>> pricer.sample_paths(params, times=[0.25, 0.5, 0.75, 1.0]).shape
    (1, 16384, 4)
    """

    _parameter_constraints = {
        **BasePricer._parameter_constraints,
        "n_paths": [Interval(Integral, 2 * N_REPLICATES, None, closed="left")],
        "n_steps": [Interval(Integral, 1, None, closed="left"), None],
        "sampling": [StrOptions({"sobol", "antithetic", "pseudo"})],
        "control_variate": ["boolean"],
        "random_state": ["random_state"],
    }

    # Wide, so that the errors of two prices do not swamp their difference.
    _relative_step = 0.05

    def __init__(
        self,
        model: str | CharacteristicModel,
        grid: OptionGrid,
        output: str = "price",
        *,
        n_paths: int = 2**14,
        n_steps: int | None = None,
        sampling: str = "sobol",
        control_variate: bool = True,
        random_state: Any = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.grid = grid
        self.output = output
        self.n_paths = n_paths
        self.n_steps = n_steps
        self.sampling = sampling
        self.control_variate = control_variate
        self.random_state = random_state
        self.n_jobs = n_jobs

    def _prepare(self) -> None:
        multiple = 2 * N_REPLICATES
        if self.n_paths % multiple:
            raise ValueError(f"n_paths={self.n_paths} must be a multiple of {multiple}.")
        if self.sampling == "sobol" and self.n_paths & (self.n_paths - 1):
            raise ValueError(
                f"n_paths={self.n_paths} must be a power of 2 for Sobol points; "
                f"other samplings take any multiple of {multiple}."
            )
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        maturities, self._slices = zip(*self.grid.slices, strict=True)
        self.times_, self._stops = self._refined(np.array(maturities))
        self._strike = self.grid.strike / self.grid.forward

    def sample_paths(self, params: ArrayLike, times: ArrayLike) -> Floats:
        """Simulate paths of the asset.

        Parameters
        ----------
        params : array-like of shape (n_samples, n_params)
            Parameter sets.
        times : array-like of shape (n_times,)
            Times at which the paths are wanted, in years, positive and ascending.

        Returns
        -------
        paths : ndarray of shape (n_samples, n_paths, n_times)
            Prices of the asset, in currency, under the pricing measure. The forward is that
            of the grid, its logarithm interpolated between maturities; beyond the last the
            last rate and dividend yield hold on. Consecutive sixteenths of the paths are
            replicates: their spread tells the error of a mean.

        Raises
        ------
        ValueError
            If a parameter is outside its domain, or times are not positive and ascending.
        NotImplementedError
            If the model has no simulation.
        """
        check_is_fitted(self)
        params = self.model_.validate(params)
        times = np.atleast_1d(np.asarray(times, dtype=np.float64))
        if times.ndim != 1 or not (np.diff(times, prepend=0.0) > 0).all() or np.isinf(times[-1]):
            raise ValueError(f"times must be one-dimensional, positive and ascending; got {times}.")
        steps, stops = self._refined(times)
        log_forward = np.log(self.grid.spot) + self._carry(times)
        paths = np.empty((len(params), N_REPLICATES, self.n_paths // N_REPLICATES, len(times)))
        start = 0
        for uniforms in self._uniforms(steps, 1 + self.model_.uniforms_per_step):
            end = start + uniforms.shape[1]
            flat = np.concatenate(uniforms)
            for row in range(len(params)):
                returns = self.model_.simulate(steps, params[row : row + 1], flat)[..., stops]
                paths[row, :, start:end] = returns.reshape(*uniforms.shape[:2], -1)
            start = end
        paths += log_forward
        return np.exp(paths, out=paths).reshape(len(params), self.n_paths, -1)

    def _normalised(
        self, params: Floats, gradient: bool, *plan: NDArray[Any]
    ) -> tuple[Floats, None]:
        return self._simulated(params)[0], None

    def _normalised_errors(self, params: Floats) -> Floats:
        return self._simulated(params)[1]

    def _simulated(self, params: Floats) -> tuple[Floats, Floats]:
        """Calls over discounted forward, and their errors."""
        averages = Averages.none(len(params), self.grid.n_quotes, len(self._slices))
        n_paths = 0
        for uniforms in self._uniforms(self.times_, self.model_.uniforms_per_step):
            n_paths += uniforms.shape[1]
            width = uniforms.shape[0] * uniforms.shape[1] * max(len(self.times_), 20)
            size = max(_BATCH_NUMBERS // width, 1)
            for first in range(0, len(params), size):
                rows = slice(first, first + size)
                self._add(averages.rows(rows), params[rows], uniforms)
        return averages.calls(n_paths, self._slices, self._strike, self.control_variate)

    def _add(self, averages: Averages, params: Floats, uniforms: Floats) -> None:
        """Add the paths that are made of some uniform numbers."""
        means, variances = self.model_.simulate_mixture(
            self.times_, params, np.concatenate(uniforms)
        )
        for t, quotes in enumerate(self._slices):
            stop = self._stops[t] + 1
            shape = (len(params), *uniforms.shape[:2])
            mean, variance = (v[..., :stop].sum(axis=2).reshape(shape) for v in (means, variances))
            forward = np.exp(mean + 0.5 * variance)
            averages.add(t, quotes, self._strike[quotes], forward, variance)

    def _uniforms(self, times: Floats, per_step: int) -> Iterator[Floats]:
        dimension = len(times) * per_step
        if self.sampling == "sobol" and dimension > MAX_DIMENSION:
            raise ValueError(
                f"{len(times)} steps take {dimension} random numbers each path, and Sobol "
                f"points have no more than {MAX_DIMENSION}: set sampling='pseudo'."
            )
        return blocks(self.sampling, self.n_paths, dimension, self._seed)

    def _refined(self, times: Floats) -> tuple[Floats, NDArray[np.intp]]:
        """Ends of steps short enough for the model, and where the given times are among them."""
        gaps = np.diff(times, prepend=0.0)
        per_year = self.model_.steps_per_year
        if per_year and self.n_steps is not None:
            per_year = self.n_steps
        counts = np.maximum(np.ceil(gaps * per_year - 1e-9).astype(np.intp), 1)
        steps = [
            end - gap * np.arange(count - 1, -1, -1) / count
            for end, gap, count in zip(times, gaps, counts, strict=True)
        ]
        return np.concatenate(steps), np.cumsum(counts) - 1

    def _carry(self, times: Floats) -> Floats:
        """Logarithm of forward over spot."""
        firsts = [quotes[0] for quotes in self._slices]
        known = self.grid.maturity[firsts]
        rates = (self.grid.rate - self.grid.dividend)[firsts]
        inside = np.interp(times, np.insert(known, 0, 0.0), np.insert(rates * known, 0, 0.0))
        return np.where(times > known[-1], rates[-1] * times, inside)
