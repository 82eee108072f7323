"""What is new: one surface, and many."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import SurfaceNoveltyDetector, distribution_drift
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise
from levylearn.pricing import ContourPricer
from tests._estimators import LinearPricer

RNG = np.random.default_rng(0)
LOADINGS = RNG.normal(size=(12, 3))
# Three factors and errors: the model that the detector takes surfaces for.
SEEN = RNG.normal(size=(20_000, 3)) @ LOADINGS.T + 0.1 * RNG.normal(size=(20_000, 12))
NEW = RNG.normal(size=(4000, 3)) @ LOADINGS.T + 0.1 * RNG.normal(size=(4000, 12))
HOLES = np.where(RNG.random(NEW.shape) < 0.4, np.nan, NEW)
HOLES[np.isnan(HOLES).all(axis=1)] = NEW[np.isnan(HOLES).all(axis=1)]
DETECTOR = SurfaceNoveltyDetector().fit(SEEN)


class LeastSquaresDetector(SurfaceNoveltyDetector):
    """One whose calibrator learns any matrix: it is taught columns as their own parameters."""

    def __init__(self, contamination=0.1):
        super().__init__(contamination=contamination)

    def fit(self, X, y=None):
        self.calibrator = LeastSquaresCalibrator(LinearPricer(), n_candidates=16, n_starts=1)
        X = self._surfaces(X, reset=True, ensure_min_samples=2)
        super().fit(X, np.nan_to_num(X[:, : max(1, X.shape[1] - 1)]))
        self.calibrator = None
        return self


def test_distances_are_those_of_the_covariance():
    covariance, mean = np.cov(SEEN.T, bias=True), SEEN.mean(axis=0)
    for surface in (*NEW[:5], *HOLES[:5]):
        known = ~np.isnan(surface)
        z = (surface - mean)[known]
        expected = z @ np.linalg.solve(covariance[np.ix_(known, known)], z)
        assert_allclose(DETECTOR._components.distances(surface[None]), expected, rtol=1e-3)


@pytest.mark.parametrize("surfaces", [NEW, HOLES], ids=["whole", "holes"])
def test_scores_are_standard_normal(surfaces):
    """With as many missing quotes as there may be; and so the threshold is that of `fit`."""
    scores = DETECTOR.score_samples(surfaces)
    assert abs(scores.mean()) < 0.06
    assert abs(scores.std() - 1) < 0.05
    # 4000 of probability 0.01: four standard deviations.
    assert np.mean(DETECTOR.predict(surfaces) == -1) == pytest.approx(0.01, abs=0.0063)
    assert stats.kstest(scores, "norm").statistic < 0.03


def test_tells_what_was_never_seen():
    far, off = NEW[:50] * 8, NEW[:50].copy()
    off[:, 4] += 1.5  # within the range of the quote, but not with these neighbours
    assert (DETECTOR.predict(far) == -1).mean() > 0.9
    assert (DETECTOR.predict(off) == -1).all()
    holes = off.copy()
    holes[:, :3] = np.nan
    assert (DETECTOR.predict(holes) == -1).all()
    holes[:, 4] = np.nan  # the slip is not there any more
    assert (DETECTOR.predict(holes) == 1).mean() > 0.9


def test_contamination():
    detector = SurfaceNoveltyDetector(contamination=0.1).fit(SEEN)
    assert np.mean(detector.predict(SEEN) == -1) == pytest.approx(0.1, abs=1e-4)
    assert_allclose(detector.decision_function(NEW), detector.score_samples(NEW) - detector.offset_)


def test_surfaces_without_quotes():
    X = np.insert(NEW[:3], 1, np.nan, axis=0)
    with pytest.warns(
        CalibrationWarning, match="1 of 4 surfaces have no quotes; the first is row 1"
    ):
        scores = DETECTOR.score_samples(X)
    assert np.isnan(scores[1])
    assert_allclose(np.delete(scores, 1), DETECTOR.score_samples(NEW[:3]))
    with pytest.warns(CalibrationWarning):
        assert DETECTOR.predict(X)[1] == -1
    with pytest.raises(ValueError, match="no surface that can be scored"):
        SurfaceNoveltyDetector().fit(np.full((3, 2), np.nan))


def test_alone_as_in_company():
    X = np.concatenate([NEW[:40], HOLES[:40]])
    scores = DETECTOR.score_samples(X)
    assert_allclose([DETECTOR.score_samples(row[None])[0] for row in X], scores, rtol=1e-9)
    assert_allclose(pickle.loads(pickle.dumps(DETECTOR)).score_samples(X), scores, rtol=0)


# -- by the fit of a model -----------------------------------------------------------

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0])
HESTON = LeastSquaresCalibrator(
    ContourPricer("heston", GRID, output="implied_vol"), n_candidates=64, n_starts=2
)


def test_what_a_model_does_not_fit():
    noise = GaussianNoise(0.001, kind="absolute", random_state=0)
    options = {"output": "implied_vol", "noise": noise, "random_state": 0}
    X, _ = make_surfaces("heston", GRID, 40, **options)
    detector = SurfaceNoveltyDetector(HESTON, contamination=0.05).fit(X)
    assert_allclose(detector.score_samples(X[:5]), -detector.calibrator_.calibrate(X[:5]).rmse)
    slip = X[:10].copy()
    slip[:, 2] += 0.03
    assert (detector.predict(slip) == -1).all()
    assert not hasattr(HESTON, "pricer_")  # it was cloned
    with pytest.warns(CalibrationWarning, match="could not be calibrated"):
        assert detector.predict(np.full((1, 10), np.nan)) == [-1]
    assert clone(detector).calibrator.pricer.model == "heston"


@parametrize_with_checks([LeastSquaresDetector()])
def test_scikit_learn_with_a_calibrator(estimator, check):
    check(estimator)


# -- many surfaces ---------------------------------------------------------------------


def test_drift_of_normals():
    """Index and statistic, against those of the distributions."""
    shift = 0.5
    reference, new = RNG.normal(size=(200_000, 1)), RNG.normal(size=(200_000, 1)) + shift
    table = distribution_drift(reference, new, n_bins=10)
    edges = stats.norm.ppf(np.arange(11) / 10)
    p, q = np.diff(stats.norm.cdf(edges)), np.diff(stats.norm.cdf(edges, loc=shift))
    assert table.psi[0] == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=0.02)
    assert table.ks[0] == pytest.approx(2 * stats.norm.cdf(shift / 2) - 1, abs=0.005)
    assert table.p_value[0] < 1e-10


def test_no_drift():
    table = distribution_drift(SEEN, NEW)
    # (n_bins - 1) / n of sampling error on average, from each side.
    assert table.psi.mean() == pytest.approx(9 / 4000 + 9 / 20_000, rel=0.5)
    assert (table.p_value > 1e-3).all()


def test_periods_are_compared_one_by_one():
    months = np.repeat(["2024-02", "2024-01"], 50)
    frame = pd.DataFrame(NEW[:100, :2], columns=["a", "b"])
    table = distribution_drift(SEEN[:, :2], frame, months)
    assert list(table.period) == ["2024-01"] * 2 + ["2024-02"] * 2
    assert list(table.column) == ["a", "b"] * 2
    alone = distribution_drift(SEEN[:, :2], frame[50:])
    assert_allclose(table[["psi", "ks"]][:2], alone[["psi", "ks"]])


def test_drift_without_values():
    new = NEW[:20, :2].copy()
    new[:5, 0], new[:, 1] = np.nan, np.nan
    table = distribution_drift(SEEN[:, :2], new)
    assert list(table.n) == [15, 0]
    assert table.psi.isna().tolist() == [False, True]
    assert distribution_drift(np.ones((50, 1)), np.ones((5, 1))).psi[0] == pytest.approx(0)


def test_drift_refuses():
    with pytest.raises(ValueError, match="same columns; got 12 and 2"):
        distribution_drift(SEEN, NEW[:, :2])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        distribution_drift(SEEN, NEW, np.zeros(3))
