"""Principal components of surfaces, complete or not."""

import numpy as np
import pytest

from levylearn.calibration._principal import PrincipalComponents, location_and_scale


def correlated(n, m=8, k=3, noise=0.05, seed=0):
    """Draws of a normal distribution of which k directions are large, and its covariance."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(m, k)) * [3.0, 1.0, 0.5]
    covariance = loadings @ loadings.T + noise**2 * np.eye(m)
    X = 10 + rng.multivariate_normal(np.zeros(m), covariance, size=n)
    return X, covariance


def with_holes(X, share, seed=1):
    X = X.copy()
    X[np.random.default_rng(seed).random(X.shape) < share] = np.nan
    return X


def test_scores_are_uncorrelated():
    X, _ = correlated(500)
    components = PrincipalComponents(X)
    scores = components.scores(X)
    assert components.n_components == 8
    np.testing.assert_allclose(scores.T @ scores / len(X), np.eye(8), atol=1e-9)
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-9)


def test_directions_without_variance_are_left_out():
    X, _ = correlated(500, noise=0.0)
    components = PrincipalComponents(X)
    assert components.n_components == 3
    rebuilt = components.centre + components.unit * (
        (components.scores(X) * components.deviation) @ components.directions.T
    )
    # The draws themselves leave the three directions, by a hundred-millionth of the whole.
    np.testing.assert_allclose(rebuilt, X, rtol=0, atol=1e-6)


def test_missing_quotes_are_expected_given_the_others():
    """The scores are those of the normal distribution's conditional mean."""
    X, _ = correlated(2000)
    components = PrincipalComponents(X)
    Z = (X - components.centre) / components.unit
    covariance = Z.T @ Z / len(Z)
    row = Z[7].copy()
    known = np.array([True, False, True, True, False, True, False, True])
    regression = covariance[np.ix_(~known, known)] @ np.linalg.inv(covariance[known][:, known])
    row[~known] = regression @ row[known]
    expected = row @ components.directions / components.deviation
    holes = np.where(known, X[7], np.nan)[None]
    # What is left over counts as 1e-10 of the variance, the smallest component as 1e-5 of it.
    np.testing.assert_allclose(components.scores(holes)[0], expected, atol=1e-5)


def test_a_surface_is_scored_by_itself():
    X, _ = correlated(300)
    components = PrincipalComponents(X)
    holes = with_holes(X, 0.3)
    holes[::3] = X[::3]
    whole = components.scores(holes)
    alone = np.concatenate([components.scores(row[None]) for row in holes])
    np.testing.assert_allclose(alone, whole, rtol=1e-9, atol=1e-12)


def test_covariance_is_found_in_spite_of_holes():
    """A fifth of the quotes missing: nearly the components of the complete surfaces."""
    X, covariance = correlated(4000)
    components = PrincipalComponents(with_holes(X, 0.2))
    kept = components.directions * components.deviation * components.unit[:, None]
    found = kept @ kept.T
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs(found - covariance).max() < 0.05 * scale.max()
    # Setting missing quotes to their mean would make variances a fifth too small.
    np.testing.assert_allclose(np.diag(found), np.diag(covariance), rtol=0.1)


def test_location_and_scale_of_odd_columns():
    values = np.array([[1.0, 5.0, np.nan, 1.0], [3.0, 5.0, np.nan, np.nan]])
    location, scale = location_and_scale(values)
    np.testing.assert_array_equal(location, [2, 5, 0, 1])
    np.testing.assert_array_equal(scale, [1, 1, 1, 1])


@pytest.mark.parametrize("shape", [(2, 1), (2, 5), (5, 1)])
def test_few_surfaces(shape):
    X = np.random.default_rng(0).normal(size=shape)
    assert np.isfinite(PrincipalComponents(X).scores(X)).all()
    constant = np.ones(shape)
    np.testing.assert_array_equal(PrincipalComponents(constant).scores(constant), 0)
