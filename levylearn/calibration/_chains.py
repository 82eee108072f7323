"""Sampling by Markov chains until they have converged."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._bayes import PosteriorCalibrator
from levylearn.calibration._draws import Draws
from levylearn.calibration._mode import Modes
from levylearn.calibration._normal_points import neighbours
from levylearn.calibration._posterior import PosteriorDensity, Slopes
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import Interval

__all__ = ["Block", "MarkovChainCalibrator", "Target"]

Floats = NDArray[np.float64]

# Convergence is looked at again when chains have grown by this.
_GROWTH = 1.3
# Where more trajectories than this diverge, corners of the posterior may have been left out.
_MOST_DIVERGENCES = 0.01
# Draws of a chain that can be split.
_FEWEST = 4


class Block(NamedTuple):
    """Some steps of all chains."""

    x: Floats  # (n_chains, n_steps, d)
    stats: dict[str, Floats]  # (n_chains, n_steps) each


class Target(NamedTuple):
    """The posterior of one surface, and where to begin."""

    density: PosteriorDensity
    row: int
    mode: Floats  # (d,)
    factor: Floats  # (d, d): A with A A^T the covariance of the normal at the mode

    def __call__(self, x: Floats) -> Floats:
        """Log-densities (k,) at coordinates (k, d)."""
        return self.density(x, np.full(len(x), self.row))[0]

    def slopes(self, x: Floats) -> tuple[Floats, Slopes]:
        """Log-densities (k,) at coordinates (k, d), and their slopes."""
        value, slopes = self.density(x, np.full(len(x), self.row), slopes=True)
        assert slopes is not None
        return value, slopes

    def start(self, n: int, random: np.random.Generator) -> Floats:
        """Draw points (n, d) from the normal at the mode."""
        return self.mode + random.standard_normal((n, len(self.mode))) @ self.factor.T


class MarkovChainCalibrator(PosteriorCalibrator):
    """Base of the calibrators that sample by Markov chains.

    A subclass implements `_blocks`, an endless stream of steps, and may say in `_are_enough`
    when there is no need to look at them yet.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **PosteriorCalibrator._parameter_constraints,
        "min_ess": [Interval(Real, 0, None, closed="neither")],
        "max_rhat": [Interval(Real, 1, None, closed="neither")],
        "max_draws": [Interval(Integral, 4, None, closed="left")],
        "warm_up": [Interval(Integral, 0, None, closed="left")],
    }

    min_ess: float
    max_rhat: float
    max_draws: int
    warm_up: int

    _block_length = 10

    @abstractmethod
    def _blocks(self, target: Target, random: np.random.Generator, length: int) -> Iterator[Block]:
        """Steps of the chains, in blocks of a length, after those of the warm-up."""

    def _are_enough(self, x: Floats) -> bool:
        return True

    def _sample(
        self, density: PosteriorDensity, modes: Modes, rows: NDArray[np.intp]
    ) -> Iterator[Draws]:
        import_optional("arviz", type(self).__name__)  # before the long work, not after
        density.plan_around(modes.at(neighbours(self._space.size, self._seed)))
        for row in rows:
            target = Target(density, row, modes.x[row], modes.factor[row])
            random = np.random.default_rng(self._seed)
            length = min(self._block_length, self.max_draws)
            yield self._run(self._blocks(target, random, length))

    def _run(self, blocks: Iterator[Block]) -> Draws:
        """Take blocks until they are enough, too many, or the user has had enough."""
        caller = type(self).__name__
        x: Floats = np.empty((0, 0, 0))
        stats: dict[str, Floats] = {}
        found, check, how = (np.nan, np.nan), 0.0, "ended"
        try:
            for block in blocks:
                x = np.concatenate([x, block.x], axis=1) if x.size else block.x
                stats = {
                    name: np.concatenate([stats[name], part], axis=1) if stats else part
                    for name, part in block.stats.items()
                }
                n = x.shape[1]
                full = n >= self.max_draws
                if full or (n >= check and self._are_enough(x)):
                    found, check = convergence(x, caller), _GROWTH * n
                    if found[0] < self.max_rhat and found[1] > self.min_ess:
                        how = "converged"
                        break
                if full:
                    break
        except KeyboardInterrupt:
            if not x.size:
                raise
            found, how = convergence(x, caller), "was interrupted"
        rhat, ess = found
        n_chains, n, _ = x.shape
        summary = {"max_rhat": rhat, "min_ess": ess, "n_draws": n * n_chains}
        message = (
            f"Sampling {how} after {n} draws in each of {n_chains} chains: R-hat up to "
            f"{rhat:.3f}, effective sample size from {ess:.0f}."
        )
        converged = how == "converged"
        if "diverging" in stats:
            summary["n_divergences"] = stats["diverging"].sum()
            if stats["diverging"].mean() > _MOST_DIVERGENCES:
                converged = False
                message += (
                    f" {stats['diverging'].mean():.1%} of the trajectories diverged: raise "
                    "target_acceptance."
                )
        return Draws(x, stats, summary, converged, message, how == "was interrupted")


def convergence(x: Floats, caller: str) -> tuple[float, float]:
    """Greatest split R-hat and least bulk effective sample size of chains (c, n, d)."""
    arviz = import_optional("arviz", caller)
    if x.shape[1] < _FEWEST:
        return np.nan, np.nan
    columns = np.moveaxis(x, 2, 0)
    with np.errstate(all="ignore"):  # a chain that has not moved has no variance
        rhat = max(float(arviz.rhat(column, method="rank")) for column in columns)
        ess = min(float(arviz.ess(column, method="bulk")) for column in columns)
    return rhat, ess
