"""Calibrators: estimators from option surfaces to parameters."""

from levylearn.calibration._lbfgs import LBFGSCalibrator
from levylearn.calibration._least_squares import LeastSquaresCalibrator
from levylearn.calibration._status import CalibrationStatus

__all__ = ["CalibrationStatus", "LBFGSCalibrator", "LeastSquaresCalibrator"]
