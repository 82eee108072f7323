"""Coverage, width and score of intervals."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy import stats
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from levylearn.metrics import interval_coverage, interval_score, interval_width

RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=(500, 3))
ENDS = np.sort(RNG.normal(scale=1.5, size=(500, 3, 2)), axis=2)
UNIT = [(0, 1)] * 3
METRICS = [
    lambda y, ends, **options: interval_coverage(y, ends, **options),
    lambda y, ends, **options: interval_width(y, ends, ranges=UNIT[: ends.shape[1]], **options),
    lambda y, ends, **options: interval_score(y, ends, ranges=UNIT[: ends.shape[1]], **options),
]
every = pytest.mark.parametrize("metric", METRICS)


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.99])
def test_score_is_the_sum_of_two_pinball_losses(coverage):
    """Scikit-learn has these; with weights 2 / (1 - coverage) they are the interval score."""
    low, high = (1 - coverage) / 2, (1 + coverage) / 2
    expected = [
        mean_pinball_loss(TRUE[:, j], ENDS[:, j, 0], alpha=low)
        + mean_pinball_loss(TRUE[:, j], ENDS[:, j, 1], alpha=high)
        for j in range(3)
    ]
    options = {"coverage": coverage, "multioutput": "raw_values"}
    found = interval_score(TRUE, ENDS, ranges=[(0, 1), (0, 2), (1, 5)], **options)
    assert_allclose(found, np.array(expected) * 2 / (1 - coverage) / [1, 2, 4], rtol=1e-12)


def test_the_right_interval_of_a_normal_has_the_least_score():
    """And that score is 4 phi(z) / (1 - coverage), by integration."""
    coverage, y = 0.9, norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    z = norm.ppf(0.95)

    def score(reach):
        ends = np.broadcast_to([-reach, reach], (len(y), 1, 2))
        return interval_score(y, ends, coverage=coverage, ranges=[(0, 1)])

    assert score(z) == pytest.approx(4 * norm.pdf(z) / 0.1, rel=1e-3)
    assert score(z) < min(score(0.95 * z), score(1.05 * z))
    ends = np.broadcast_to([-z, z], (len(y), 1, 2))
    assert interval_coverage(y, ends) == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_intervals_of_a_regression_cover_what_they_promise(coverage):
    """Those of statsmodels are exact under normal errors, and scipy says what chance allows."""
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(12), np.linspace(-1, 1, 12)])
    truth, n = np.array([1.0, -2.0]), 1000
    fits = [sm.OLS(X @ truth + rng.normal(size=12), X).fit() for _ in range(n)]
    ends = np.array([fit.conf_int(1 - coverage) for fit in fits])
    y = np.tile(truth, (n, 1))
    share = interval_coverage(y, ends, multioutput="raw_values")
    for each in share:
        assert stats.binomtest(round(each * n), n, coverage).pvalue > 0.01
    # Student's quantile, twice, times the standard errors.
    errors = np.array([fit.bse for fit in fits])
    widths = 2 * stats.t.ppf((1 + coverage) / 2, 10) * errors.mean(axis=0)
    found = interval_width(y, ends, ranges=[(0, 1)] * 2, multioutput="raw_values")
    assert_allclose(found, widths, rtol=1e-10)


def test_width_and_coverage_by_hand():
    assert_allclose(
        interval_width(TRUE, ENDS, ranges=[(0, 1), (0, 2), (1, 5)], multioutput="raw_values"),
        [np.mean(ENDS[:, j, 1] - ENDS[:, j, 0]) / unit for j, unit in enumerate([1, 2, 4])],
    )
    inside = [
        np.mean([low <= y <= high for y, (low, high) in zip(TRUE[:, j], ENDS[:, j], strict=True)])
        for j in range(3)
    ]
    assert_allclose(interval_coverage(TRUE, ENDS, multioutput="raw_values"), inside)
    assert interval_coverage(TRUE, ENDS) == pytest.approx(np.mean(inside))


def test_ends_are_inside():
    assert interval_coverage([1.0, 2.0], [[(1.0, 3.0)], [(0.0, 2.0)]]) == 1


@every
def test_missing_intervals_are_not_hidden(metric):
    """A parameter at a bound has no interval, although the others of its surface have."""
    ends = ENDS.copy()
    ends[3, 1] = np.nan
    each = metric(TRUE, ends, multioutput="raw_values")
    assert np.isnan(each).tolist() == [False, True, False]
    assert np.isnan(metric(TRUE, ends))
    kept = np.delete(np.arange(500), 3)
    omitted = metric(TRUE, ends, multioutput="raw_values", nan_policy="omit")
    assert_allclose(omitted[[0, 2]], each[[0, 2]])
    alone = metric(TRUE[kept, 1:2], ends[kept, 1:2])
    assert omitted[1] == pytest.approx(alone, rel=1e-12)
    assert np.isnan(metric(TRUE, np.full_like(ENDS, np.nan), nan_policy="omit"))


def test_infinite_intervals():
    """Where examples are too few to tell, an interval is the whole line."""
    ends = np.broadcast_to([-np.inf, np.inf], (500, 3, 2))
    assert interval_coverage(TRUE, ends) == 1
    assert interval_width(TRUE, ends, ranges=UNIT) == np.inf
    assert interval_score(TRUE, ends, ranges=UNIT) == np.inf


@every
def test_refuses(metric):
    with pytest.raises(ValueError, match=r"here \(500, 3, 2\); got \(500, 3\)"):
        metric(TRUE, ENDS[..., 0])
    with pytest.raises(ValueError, match="must not be below its lower end; row 0, parameter 0"):
        metric(TRUE, ENDS[..., ::-1])
