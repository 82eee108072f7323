"""Intervals from the errors on examples that were held out."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from levylearn.calibration._held_out import HeldOutErrors, LocalErrors, Scores


def test_quantile_is_a_score_of_the_right_rank():
    """By hand: of nine scores, the k-th smallest exceeds the next one with probability k / 10."""
    scores = Scores(np.array([[5.0], [1], [9], [3], [7], [2], [8], [4], [6]]))
    for rank in range(1, 10):
        assert_array_equal(scores.quantile(rank / 10), [rank])
    assert_array_equal(scores.quantile(0.51), [6])
    assert_array_equal(scores.quantile(0.91), [np.inf])


def test_rounding_does_not_cost_a_rank():
    scores = Scores(np.arange(1.0, 100)[:, None])
    assert 100 * 0.56 > 56  # in floating point
    assert_array_equal(scores.quantile(0.56), [56])


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 95, np.nan])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("n", [20, 400])
def test_coverage_is_a_probability(coverage, joint, n):
    errors = HeldOutErrors(np.zeros((n, 2)), np.ones((n, 2)))
    with pytest.raises(ValueError, match=r"coverage must be between 0 and 1; got"):
        errors.intervals(np.zeros((1, 2)), coverage, joint)


def heteroscedastic(random, n):
    """Predictions of two parameters, and the truth: errors grow tenfold along the first."""
    predicted = random.uniform(0, 1, size=(n, 2))
    size = 0.1 + 0.9 * predicted[:, :1]
    return predicted, predicted + size * random.standard_t(4, size=(n, 2)) * [1.0, 30.0]


def covered(intervals, truth):
    return (intervals[..., 0] <= truth) & (truth <= intervals[..., 1])


@pytest.mark.parametrize("n", [19, 100, 400])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_coverage_is_exact_in_finite_samples(n, coverage):
    """Over many sets of examples, one new surface each: rank / (n + 1) for n scores."""
    random = np.random.default_rng(n)
    repeats, new = (2000, 1) if n < 200 else (200, 20)
    share = []
    for _ in range(repeats):
        errors = HeldOutErrors(*heteroscedastic(random, n))
        predicted, truth = heteroscedastic(random, new)
        share.append(covered(errors.intervals(predicted, coverage), truth)[:, 0].mean())
    n_scores = n if n < 200 else n // 2
    expected = np.ceil((n_scores + 1) * coverage - 1e-9) / (n_scores + 1)
    # Four standard errors, those of the mean over independent sets of examples.
    assert abs(np.mean(share) - expected) < 4 * np.std(share) / np.sqrt(repeats)


def test_intervals_are_wider_where_errors_are_larger():
    """Narrower than constant ones on average, and right in every part, not only on the whole."""
    random = np.random.default_rng(0)
    predicted, truth = heteroscedastic(random, 8000)
    test, test_truth = heteroscedastic(random, 8000)
    normalised = HeldOutErrors(predicted, truth).intervals(test, 0.9)
    reach = Scores(np.abs(predicted - truth)).quantile(0.9)
    constant = np.stack([test - reach, test + reach], axis=2)
    parts = np.digitize(test[:, 0], [0.2, 0.4, 0.6, 0.8])

    def worst(intervals):
        inside = covered(intervals, test_truth)
        return max(np.abs(inside[parts == part].mean(axis=0) - 0.9).max() for part in range(5))

    assert (np.diff(normalised).mean(axis=0) < 0.97 * np.diff(constant).mean(axis=0)).all()
    assert worst(normalised) < 0.04
    assert worst(constant) > 0.09


def test_joint_intervals_contain_all_parameters_at_once():
    random = np.random.default_rng(1)
    test, test_truth = heteroscedastic(random, 20000)
    several = HeldOutErrors(*heteroscedastic(random, 8000))
    joint = several.intervals(test, 0.9, joint=True)
    # 4000 scores: their quantile's own deviation is that of a beta distribution.
    deviation = stats.beta(3601, 400).std()
    assert abs(covered(joint, test_truth).all(axis=1).mean() - 0.9) < 5 * deviation
    each = several.intervals(test, 0.9)
    assert covered(each, test_truth).all(axis=1).mean() < 0.85
    # Not wider than by Bonferroni's bound.
    bound = several.intervals(test, 0.95)
    assert (np.diff(joint).mean(axis=0) < 1.02 * np.diff(bound).mean(axis=0)).all()


def test_joint_intervals_from_few_examples_are_bonferronis():
    errors = HeldOutErrors(*heteroscedastic(np.random.default_rng(2), 150))
    predicted = np.zeros((1, 2))
    assert_array_equal(
        errors.intervals(predicted, 0.9, joint=True), errors.intervals(predicted, 0.95)
    )


def test_few_examples_cannot_tell_much():
    errors = HeldOutErrors(np.zeros((10, 1)), np.ones((10, 1)))
    assert_array_equal(errors.intervals(np.zeros((1, 1)), 0.9), [[[-1, 1]]])
    assert_array_equal(errors.intervals(np.zeros((1, 1)), 0.95), [[[-np.inf, np.inf]]])


def test_local_errors_are_those_of_the_neighbours():
    predicted = np.repeat([[0.0], [1.0]], 100, axis=0)
    errors = np.repeat([[1.0], [3.0]], 100, axis=0)
    found = LocalErrors(predicted, errors)(np.array([[0.1], [0.9], [np.nan]]))
    # A tenth of the mean error comes on top.
    assert_array_equal(found, [[1.2], [3.2], [np.nan]])
