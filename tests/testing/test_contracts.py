"""check_pricer and check_calibrator notice what is wrong, and say what it is."""

import warnings

import numpy as np
import pytest

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer
from levylearn.testing import check_calibrator, check_pricer
from tests._estimators import LinearPricer

GRID = OptionGrid([80, 90, 100, 110, 125], [0.25, 1.0], rate=0.02)


class Steep(ContourPricer):
    """A Jacobian with a factor too many."""

    def _normalised(self, params, gradient):
        values, slopes = super()._normalised(params, gradient)
        return values, slopes * 1.001 if gradient else None


class Cheap(ContourPricer):
    """Prices below intrinsic value."""

    def _normalised(self, params, gradient):
        values, slopes = super()._normalised(params, gradient)
        return values - 0.01 * (self.grid.strike < 85), slopes


class Wavy(ContourPricer):
    """Prices that are not convex in the strike."""

    def _normalised(self, params, gradient):
        values, slopes = super()._normalised(params, gradient)
        return values + 2e-2 * (self.grid.strike / self.grid.spot == 1.0), slopes


class Sociable(ContourPricer):
    """Surfaces that know of each other."""

    def _normalised(self, params, gradient):
        values, slopes = super()._normalised(params, gradient)
        return values + 1e-6 * len(params), slopes


class Lazy(ContourPricer):
    """What was priced last is written down."""

    def _normalised(self, params, gradient):
        self.last_ = params
        return super()._normalised(params, gradient)


class Parochial(ContourPricer):
    """Right for one spot only."""

    def _normalised(self, params, gradient):
        values, slopes = super()._normalised(params, gradient)
        return values + 1e-6 * (self.grid.spot > 200), slopes


class Lenient(ContourPricer):
    """No domain."""

    def transform(self, X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.evaluate(np.asarray(X, dtype=float))[0]


class Boastful(ContourPricer):
    """Errors below zero."""

    def _normalised_errors(self, params):
        return -super()._normalised_errors(params)


class Timeless(ContourPricer):
    """Theta by maturity, not by calendar time."""

    def greeks(self, params):
        greeks = super().greeks(params)
        greeks.theta = -greeks.theta
        return greeks


class Forward(ContourPricer):
    """Gamma by the forward."""

    def greeks(self, params):
        greeks = super().greeks(params)
        greeks.gamma = greeks.gamma * (self.grid.spot / self.grid.forward) ** 2
        return greeks


@pytest.mark.parametrize(
    ("pricer", "rule"),
    [
        (Steep, "Jacobian is the derivative"),
        (Cheap, "intrinsic value"),
        (Wavy, "convex"),
        (Sociable, "does not depend on the others"),
        (Lazy, "changes neither"),
        (Parochial, "another currency"),
        (Lenient, "are refused"),
        (Boastful, "non-negative"),
        (Timeless, "Greeks.*theta"),
        (Forward, "Greeks.*gamma"),
    ],
)
def test_broken_pricer_is_noticed(pricer, rule):
    with pytest.raises(AssertionError, match=rf"check_pricer\({pricer.__name__}.*(\n.*)?{rule}"):
        check_pricer(pricer("heston", GRID), tolerance=1e-12)


def test_pricer_that_learns():
    """It knows the grid it was shown, and no other."""
    params = np.random.default_rng(0).normal(size=(20, 2))
    surfaces = 1 + params @ np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    learned = LinearPricer(ridge=1e-14).fit(params, surfaces)
    np.testing.assert_allclose(learned.transform(params), surfaces, rtol=1e-9)
    calibrator = LeastSquaresCalibrator(LinearPricer(ridge=1e-14), n_candidates=8)
    check_calibrator(calibrator, surfaces, params, tolerance=1e-7)


VG = ContourPricer("variance_gamma", GRID)
OPTIONS = {"n_candidates": 32, "n_starts": 2}


class Rough(LeastSquaresCalibrator):
    """Not at the optimum."""

    def predict(self, X):
        return super().predict(X) * 1.01


class Moody(LeastSquaresCalibrator):
    """Diagnostics written on self."""

    def predict(self, X):
        self.seen_ = len(X)
        return super().predict(X)


class Silent(LeastSquaresCalibrator):
    """A hopeless surface passes unmentioned."""

    def predict(self, X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CalibrationWarning)
            return super().predict(X)


class Gregarious(LeastSquaresCalibrator):
    """Rows that know of each other, a little."""

    def predict(self, X):
        params = super().predict(X)
        return params * (1 + 1e-6 * len(params))


class Vague(LeastSquaresCalibrator):
    """Intervals the same at every coverage, and beside the prediction."""

    def predict_interval(self, X, coverage=0.95):
        return super().predict_interval(X, coverage) + 1.0


class Confident(LeastSquaresCalibrator):
    """Any coverage will do."""

    def predict_interval(self, X, coverage=0.95):
        return super().predict_interval(X, min(max(coverage, 0.1), 0.9))


@pytest.mark.parametrize(
    ("calibrator", "rule"),
    [
        (Rough, "are reproduced"),
        (Moody, "changes neither"),
        (Silent, "CalibrationWarning"),
        (Gregarious, "do not depend on the others|are reproduced"),
        (Vague, "contain the prediction"),
        (Confident, "that says .*coverage"),
    ],
)
def test_broken_calibrator_is_noticed(calibrator, rule):
    with pytest.raises(
        AssertionError, match=rf"(?s)check_calibrator\({calibrator.__name__}.*{rule}"
    ):
        check_calibrator(calibrator(VG, **OPTIONS))


def test_calibrator_without_pricer_needs_surfaces():
    with pytest.raises(ValueError, match="X and y must be given together"):
        check_calibrator(LeastSquaresCalibrator(VG), X=np.ones((3, 10)))
