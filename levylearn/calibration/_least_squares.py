"""Least squares by Levenberg-Marquardt, all surfaces at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import Minimum, minimise
from levylearn.calibration._optimiser import OptimisingCalibrator
from levylearn.calibration._problem import CalibrationProblem

__all__ = ["LeastSquaresCalibrator"]

Floats = NDArray[np.float64]


class LeastSquaresCalibrator(OptimisingCalibrator):
    def _local(self, problem: CalibrationProblem, z: Floats, problems: NDArray[np.intp]) -> Minimum:
        space = problem.space
        return minimise(
            problem.residuals,
            z,
            problems,
            space.low,
            space.high,
            space.width,
            problem.exact[problems],
            self.max_evaluations,
        )
