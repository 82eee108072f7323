"""Folds with their share of every range of every parameter."""

import numpy as np
import pytest
from sklearn.model_selection import KFold

from levylearn.datasets import make_surfaces
from levylearn.market import OptionGrid
from levylearn.model_selection import ParameterStratifiedKFold

GRID = OptionGrid([100], [0.5])


def imbalance(cv, params):
    """Largest number of rows by which a fold's count in a tenth of a parameter is off."""
    edges = np.quantile(params, np.arange(1, 10) / 10, axis=0)
    tenth = (params[:, None] > edges).sum(axis=1)
    counts = np.array(
        [
            [np.bincount(column, minlength=10) for column in tenth[test].T]
            for _, test in cv.split(params, params)
        ]
    )
    return np.abs(counts - counts.mean(axis=0)).max()


def spread(cv, params):
    """How far the folds' means are apart, in standard deviations of the parameters."""
    means = [params[test].mean(axis=0) for _, test in cv.split(params, params)]
    return (np.std(means, axis=0) / params.std(axis=0)).max()


@pytest.mark.parametrize("model", ["variance_gamma", "heston", "double_heston_jump"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_folds_have_their_share(model, shuffle):
    """Counts by range, and means, differ less from fold to fold than by chance."""
    params = np.random.default_rng(0).permutation(make_surfaces(model, GRID, 1000)[1])
    options = {"n_splits": 5, "shuffle": shuffle, "random_state": 0 if shuffle else None}
    ours, chance = ParameterStratifiedKFold(**options), KFold(5, shuffle=True, random_state=0)
    assert imbalance(ours, params) < 0.75 * imbalance(chance, params)
    assert spread(ours, params) < 0.5 * spread(chance, params)


def test_one_parameter_is_dealt_out_along_its_range():
    params = np.random.default_rng(0).lognormal(size=300)
    cv = ParameterStratifiedKFold(3)
    assert imbalance(cv, params[:, None]) == 0
    order = np.argsort(params)
    for _, test in cv.split(params, params):
        ranks = np.flatnonzero(np.isin(order, test))
        # Ten ranges of thirty, ten of each, and the middle of the range is never far away.
        assert np.abs(ranks - np.linspace(1, 298, 100)).max() < 10


def test_scales_and_units_do_not_matter():
    params = np.random.default_rng(0).uniform(size=(100, 3))
    cv = ParameterStratifiedKFold(4)
    folds = [test.tolist() for _, test in cv.split(params, params)]
    scaled = np.exp(params * [1, 5, 10]) * [1e-6, 1, 1e6]
    assert [test.tolist() for _, test in cv.split(params, scaled)] == folds


@pytest.mark.parametrize("n", [5, 23, 24, 25])
def test_is_a_partition_into_equal_folds(n):
    params = np.round(np.random.default_rng(n).uniform(size=(n, 2)), 1)  # with ties
    tests = [test for _, test in ParameterStratifiedKFold(5).split(params, params)]
    assert sorted(np.concatenate(tests)) == list(range(n))
    assert {len(test) for test in tests} <= {n // 5, -(-n // 5)}


def test_equal_parameters_are_no_trouble():
    params = np.ones((11, 4))
    assert [len(test) for _, test in ParameterStratifiedKFold(2).split(params, params)] == [6, 5]


def test_shuffling_depends_on_the_random_state():
    params = np.random.default_rng(0).uniform(size=(60, 2))

    def folds(seed):
        cv = ParameterStratifiedKFold(3, shuffle=True, random_state=seed)
        return [test.tolist() for _, test in cv.split(params, params)]

    assert folds(0) == folds(0)
    assert folds(0) != folds(1)


def test_refuses():
    params = np.ones((4, 2))
    with pytest.raises(ValueError, match="greater than the number of samples"):
        next(ParameterStratifiedKFold(5).split(params, params))
    with pytest.raises(ValueError, match="at least one train/test split"):
        ParameterStratifiedKFold(1)
    with pytest.raises(ValueError, match="y contains NaN"):
        next(ParameterStratifiedKFold(2).split(params, np.full(4, np.nan)))
