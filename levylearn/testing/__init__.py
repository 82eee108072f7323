"""Contract tests for models, pricers and calibrators, the user's own included."""

from levylearn.testing._calibrator import check_calibrator
from levylearn.testing._model import check_model
from levylearn.testing._pricer import check_pricer

__all__ = ["check_calibrator", "check_model", "check_pricer"]
