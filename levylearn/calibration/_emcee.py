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

    def _blocks(
        self, target: Target, random: np.random.Generator, length: int
    ) -> Iterator[Block]:
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
            state = sampler.run_mcmc(state, self.warm_up)
        while True:
            sampler.reset()
            state = sampler.run_mcmc(state, length)
            chain, log_density = sampler.get_chain(), sampler.get_log_prob()
            yield Block(np.swapaxes(chain, 0, 1), {"lp": log_density.T})

    def _are_enough(self, x: Floats) -> bool:
        emcee = import_optional("emcee", type(self).__name__)
        times = emcee.autocorr.integrated_time(np.swapaxes(x, 0, 1), tol=0)
        return bool((self.min_times * times <= x.shape[1]).all())
