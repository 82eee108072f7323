"""An ensemble of walkers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.base import BasePricer
from levylearn.calibration._chains import Block, MarkovChainCalibrator, Target
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import Interval

__all__ = ["EmceeCalibrator"]

Floats = NDArray[np.float64]

_BLOCK, _WARM_UP = 25, 50
# Chains shorter than so many autocorrelation times do not tell what these are.
_TIMES = 50


class EmceeCalibrator(MarkovChainCalibrator):
    _parameter_constraints: dict[str, list[Any]] = {
        **MarkovChainCalibrator._parameter_constraints,
        "n_walkers": [Interval(Integral, 2, None, closed="left"), None],
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
        n_walkers: int | None = None,
        min_ess: float = 1000,
        max_rhat: float = 1.01,
        max_draws: int = 10_000,
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
        self.min_ess = min_ess
        self.max_rhat = max_rhat
        self.max_draws = max_draws
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _blocks(self, target: Target, random: np.random.Generator) -> Iterator[Block]:
        emcee = import_optional("emcee", type(self).__name__)
        n_walkers, size = self.n_walkers or 32, len(target.mode)
        moves = [(emcee.moves.KDEMove(), 0.5), (emcee.moves.DEMove(), 0.5)]
        sampler = emcee.EnsembleSampler(n_walkers, size, target, moves=moves, vectorize=True)
        state = emcee.State(
            target.start(n_walkers, random),
            random_state=np.random.RandomState(random.integers(2**31)).get_state(),
        )
        state = sampler.run_mcmc(state, _WARM_UP)
        while True:
            sampler.reset()
            state = sampler.run_mcmc(state, _BLOCK)
            chain, log_density = sampler.get_chain(), sampler.get_log_prob()
            yield Block(np.swapaxes(chain, 0, 1), {"lp": log_density.T})

    def _is_long_enough(self, x: Floats) -> bool:
        emcee = import_optional("emcee", type(self).__name__)
        times = emcee.autocorr.integrated_time(np.swapaxes(x, 0, 1), tol=0)
        return bool((_TIMES * times < x.shape[1]).all())
