"""Calibrators: estimators from option surfaces to parameters."""

from levylearn.calibration._hybrid import HybridCalibrator
from levylearn.calibration._lbfgs import LBFGSCalibrator
from levylearn.calibration._least_squares import LeastSquaresCalibrator
from levylearn.calibration._quotes import quote_features
from levylearn.calibration._status import CalibrationStatus
from levylearn.calibration._surface_regressor import SurfaceRegressor

__all__ = [
    "CalibrationStatus",
    "HybridCalibrator",
    "LBFGSCalibrator",
    "LeastSquaresCalibrator",
    "SurfaceRegressor",
    "quote_features",
]
