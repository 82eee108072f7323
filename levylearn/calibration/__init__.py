"""Calibrators: estimators from option surfaces to parameters."""

from levylearn.calibration._amortised_posterior import AmortizedPosteriorCalibrator
from levylearn.calibration._boosting import GradientBoostingCalibrator
from levylearn.calibration._cnn import CNNCalibrator
from levylearn.calibration._conformal import ConformalCalibrator
from levylearn.calibration._emcee import EmceeCalibrator
from levylearn.calibration._ensemble import EnsembleCalibrator
from levylearn.calibration._hybrid import HybridCalibrator
from levylearn.calibration._laplace import LaplaceCalibrator
from levylearn.calibration._lbfgs import LBFGSCalibrator
from levylearn.calibration._least_squares import LeastSquaresCalibrator
from levylearn.calibration._mlp import MLPCalibrator
from levylearn.calibration._nuts import NUTSCalibrator
from levylearn.calibration._quotes import quote_features
from levylearn.calibration._resnet import ResNetCalibrator
from levylearn.calibration._status import CalibrationStatus
from levylearn.calibration._surface_regressor import SurfaceRegressor
from levylearn.calibration._transformer import TransformerCalibrator
from levylearn.calibration._variational import VariationalCalibrator

__all__ = [
    "AmortizedPosteriorCalibrator",
    "CNNCalibrator",
    "CalibrationStatus",
    "ConformalCalibrator",
    "EmceeCalibrator",
    "EnsembleCalibrator",
    "GradientBoostingCalibrator",
    "HybridCalibrator",
    "LBFGSCalibrator",
    "LaplaceCalibrator",
    "LeastSquaresCalibrator",
    "MLPCalibrator",
    "NUTSCalibrator",
    "ResNetCalibrator",
    "SurfaceRegressor",
    "TransformerCalibrator",
    "VariationalCalibrator",
    "quote_features",
]
