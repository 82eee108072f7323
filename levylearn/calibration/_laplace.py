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
