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
from levylearn.utils._sklearn import Interval

__all__ = ["NUTSCalibrator"]

Floats = NDArray[np.float64]

# How many draws the normal at the mode counts for in the covariance that the warm-up learns.
_PRIOR_DRAWS = 10.0


class NUTSCalibrator(MarkovChainCalibrator):
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
        n_chains: int = 16,
        target_acceptance: float = 0.8,
        min_ess: float = 1000,
        max_rhat: float = 1.01,
        max_draws: int = 5000,
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

    def _blocks(
        self, target: Target, random: np.random.Generator, length: int
    ) -> Iterator[Block]:
        frame = _Frame(target, target.mode, target.factor)
        point = frame.at(target.start(self.n_chains, random))
        step = StepSize(1.0, self.target_acceptance)
        for stage in range(2):
            # The covariance is learned from the first half of the warm-up.
            visited = []
            for _ in range(self.warm_up // 2):
                moved = no_u_turn(frame, point, step.current, random)
                step.update(float(moved.acceptance.mean()))
                point = moved.point
                visited.append(point.w)
            if stage == 0 and visited:
                x = frame.x(point.w)
                frame = frame.learned(np.concatenate(visited[len(visited) // 4 :]))
                point, step = frame.at(x), StepSize(step.average, self.target_acceptance)
        size = step.average
        while True:
            moves: list[Transition] = []
            for _ in range(length):
                moves.append(no_u_turn(frame, point, size, random))
                point = moves[-1].point
            yield _block(frame, moves, size)


class _Frame:
    """Coordinates w in which the posterior is nearly standard normal: x = centre + A w."""

    def __init__(self, target: Target, centre: Floats, factor: Floats) -> None:
        self.target, self.centre, self.factor = target, centre, factor

    def x(self, w: Floats) -> Floats:
        return self.centre + w @ self.factor.T

    def __call__(self, w: Floats) -> tuple[Floats, Floats]:
        value, gradient = self.target(self.x(w), slopes=True)
        return value, gradient @ self.factor

    def at(self, x: Floats) -> Point:
        """Return the points with coordinates x."""
        w = np.linalg.solve(self.factor, (x - self.centre).T).T
        return Point(w, *self(w))

    def learned(self, w: Floats) -> _Frame:
        """Return the frame in which draws w of this one are standard normal, nearly."""
        scatter = w.T @ w + _PRIOR_DRAWS * np.eye(w.shape[1])
        factor = np.linalg.cholesky(scatter / (len(w) + _PRIOR_DRAWS))
        return _Frame(self.target, self.centre, self.factor @ factor)


def _block(frame: _Frame, moves: list[Transition], step_size: float) -> Block:
    x = np.stack([frame.x(move.point.w) for move in moves], axis=1)
    stats = {
        "lp": np.stack([move.point.log_density for move in moves], axis=1),
        "energy": np.stack([move.energy for move in moves], axis=1),
        "acceptance_rate": np.stack([move.acceptance for move in moves], axis=1),
        "diverging": np.stack([move.diverging for move in moves], axis=1),
        "n_steps": np.stack([move.n_steps for move in moves], axis=1),
        "tree_depth": np.stack([move.depth for move in moves], axis=1),
        "step_size": np.full(x.shape[:2], step_size),
    }
    return Block(x, stats)
