"""LBFGSCalibrator: the same optima and diagnostics as least squares, by another way."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.calibration import CalibrationStatus, LBFGSCalibrator, LeastSquaresCalibrator
from levylearn.calibration._search import Effort
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer
from tests.calibration._functions import logarithm, rosenbrock

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.03)
TRUTH = np.array([[0.2, 0.4, -0.2], [0.3, 0.2, 0.05]])
PRICER = ContourPricer("variance_gamma", GRID).fit(TRUTH)
SURFACES = PRICER.transform(TRUTH)
NOISY = SURFACES + np.random.default_rng(0).normal(0, 0.02, SURFACES.shape)
OPTIONS = {"n_candidates": 32, "n_starts": 2}


@pytest.mark.parametrize("loss", ["price", "relative_price", "vega_price", "implied_vol"])
def test_recovers_clean_surfaces(loss):
    result = LBFGSCalibrator(PRICER, loss, **OPTIONS).fit(SURFACES).calibrate(SURFACES)
    assert_allclose(result.parameters, TRUTH, rtol=1e-5)
    assert result.converged.all()


def test_heston():
    truth = np.array([[0.04, 2.0, 0.06, 0.5, -0.6]])
    pricer = ContourPricer("heston", GRID).fit(truth)
    X = pricer.transform(truth)
    calibrator = LBFGSCalibrator(pricer, max_evaluations=500, **OPTIONS).fit(X)
    assert_allclose(calibrator.predict(X), truth, rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "implied_vol"},
        {"fixed": {"nu": 0.3}},
        {"bounds": {"theta": (-0.1, 0.5)}},
        {"weights": np.arange(10.0)},
    ],
    ids=str,
)
def test_agrees_with_least_squares(options):
    calibrators = [
        cls(PRICER, **OPTIONS, **options).fit(NOISY)
        for cls in (LBFGSCalibrator, LeastSquaresCalibrator)
    ]
    found, expected = (calibrator.calibrate(NOISY) for calibrator in calibrators)
    assert_allclose(found.loss, expected.loss, rtol=1e-8)
    assert_allclose(found.parameters, expected.parameters, rtol=1e-4)
    assert_allclose(found.covariance, expected.covariance, rtol=1e-3, atol=1e-12)
    assert_array_equal(found.at_bound, expected.at_bound)
    assert_array_equal(found.converged, True)
    intervals = [calibrator.predict_interval(NOISY) for calibrator in calibrators]
    assert_allclose(*intervals, rtol=1e-3)


def test_hopeless_rows_spoil_no_others():
    X = NOISY[[0, 0, 1]]
    X[1] = np.nan
    calibrator = LBFGSCalibrator(PRICER, **OPTIONS).fit(NOISY)
    with pytest.warns(CalibrationWarning, match="the first is row 1"):
        predicted = calibrator.predict(X)
    assert_array_equal(np.isnan(predicted).all(axis=1), [False, True, False])
    assert_allclose(predicted[::2], calibrator.predict(NOISY), rtol=1e-6)


def test_budget():
    calibrator = LBFGSCalibrator(PRICER, max_evaluations=4, n_candidates=32, n_starts=1)
    result = calibrator.fit(NOISY).calibrate(NOISY)
    assert_array_equal(result.status, CalibrationStatus.MAX_EVALUATIONS)
    assert (result.n_evaluations < 4 + 20).all()  # a line search is not broken off
    assert np.isfinite(result.parameters).all()


# -- single searches, for problems whose minima are known ------------------------


def search(residuals, start, low=-10.0, high=10.0, tolerance=1e-11):
    start = np.array([start], dtype=float)
    ends = (np.broadcast_to(np.asarray(end, dtype=float), start.shape[1]) for end in (low, high))
    space = SimpleNamespace(**dict(zip(("low", "high"), ends, strict=True)))
    problem = SimpleNamespace(
        residuals=lambda problems: lambda z, points: residuals(z),
        space=space,
        exact=np.array([1e-20]),
    )
    effort = Effort(max_evaluations=500, tolerance=tolerance)
    return LBFGSCalibrator(PRICER)._local(problem, start, np.array([0]), effort)


def test_rosenbrock():
    found = search(rosenbrock, [-1.2, 1.0])
    assert_allclose(found.z, [[1, 1]], rtol=1e-6)
    assert found.n_evaluations[0] > 10


def test_tolerance():
    rough, fine = (
        search(rosenbrock, [-1.2, 1.0], high=[0.5, 10.0], tolerance=tolerance)
        for tolerance in (0.3, 1e-11)
    )
    assert rough.n_evaluations[0] < fine.n_evaluations[0]
    assert rough.cost[0] > fine.cost[0]


def test_rosenbrock_in_a_box():
    found = search(rosenbrock, [-1.2, 1.0], high=[0.5, 10.0])
    assert found.z[0, 0] == 0.5
    assert_allclose(found.z[0, 1], 0.25, rtol=1e-5)
    assert_array_equal(found.status, [CalibrationStatus.CONVERGED])
    jacobian = rosenbrock(found.z)[1][0]
    assert_allclose(found.triangle[0].T @ found.triangle[0], jacobian.T @ jacobian)


@pytest.mark.parametrize("start", [0.01, 9.0, 50.0, 500.0])
def test_turns_back_from_where_there_is_nothing(start):
    assert_allclose(search(logarithm, [start], low=-1000, high=1000).z, [[np.e]], rtol=1e-6)


def test_start_that_is_no_start():
    found = search(logarithm, [-1.0])
    assert_array_equal(found.status, [CalibrationStatus.NO_START])
    assert_array_equal(found.cost, np.inf)
    assert_array_equal(found.n_evaluations, 1)


def test_start_at_the_minimum():
    found = search(rosenbrock, [1.0, 1.0])
    assert_array_equal(found.status, [CalibrationStatus.EXACT])
    assert_array_equal(found.n_evaluations, 1)
