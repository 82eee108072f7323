"""What scikit-learn's own splitters are tested for, and where splitters go."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    BaseCrossValidator,
    GridSearchCV,
    RandomizedSearchCV,
    check_cv,
    cross_val_score,
    cross_validate,
)

import levylearn.model_selection
from levylearn.model_selection import ParameterStratifiedKFold, RegimeSplit, WalkForwardSplit

N = 40
X, Y = make_regression(N, 6, n_targets=3, random_state=0)
REGIMES = np.repeat(["calm", "normal", "calm", "stressed"], N // 4)
DAYS = pd.bdate_range("2020-01-01", periods=N)
# A splitter, its groups, and how many folds there are.
CASES = [
    (WalkForwardSplit(10, 5), None, 6),
    (WalkForwardSplit(10, 5, step=4, gap=2, window="rolling"), DAYS, 7),
    (WalkForwardSplit("28D", "7D", gap="1D"), DAYS, 4),
    (RegimeSplit(), REGIMES, 3),
    (RegimeSplit("calm", ["normal", "stressed"]), REGIMES, 2),
    (ParameterStratifiedKFold(4), None, 4),
    (ParameterStratifiedKFold(3, shuffle=True, random_state=0), None, 3),
]


def short(value):
    """The class of a splitter, rather than the splitter and its groups in full."""
    return type(value).__name__


every = pytest.mark.parametrize(("cv", "groups", "n_splits"), CASES, ids=short)
with_groups = [cv for cv, _, _ in CASES[:5]]


def folds(cv, X, y, groups):
    return [(train.tolist(), test.tolist()) for train, test in cv.split(X, y, groups)]


def test_every_splitter_is_tested():
    public = {getattr(levylearn.model_selection, n) for n in levylearn.model_selection.__all__}
    assert public == {type(cv) for cv, _, _ in CASES}
    assert all(issubclass(cls, BaseCrossValidator) for cls in public)


@every
def test_folds_are_valid(cv, groups, n_splits):
    """Integers, no row twice, nothing in common, both sides filled."""
    found = list(cv.split(X, Y, groups))
    assert len(found) == n_splits == cv.get_n_splits(X, Y, groups)
    for train, test in found:
        assert train.dtype.kind == test.dtype.kind == "i"
        assert len(train)
        assert len(test)
        assert len(set(train) | set(test)) == len(train) + len(test)
        assert set(train) | set(test) <= set(range(N))


@every
def test_every_container_gives_the_same_folds(cv, groups, n_splits):
    """One and two dimensions, lists, frames; y in one column or several."""
    y = Y[:, 0]
    expected = folds(cv, X, y, groups)
    as_list = None if groups is None else list(groups)
    for other_X, other_y, other_groups in [
        (X[:, 0], y[:, None], groups),
        (X.tolist(), y.tolist(), as_list),
        (pd.DataFrame(X), pd.DataFrame(y), None if groups is None else pd.Series(groups)),
        (pd.DataFrame(X, index=range(N, 0, -1)), pd.Series(y), as_list),
    ]:
        assert folds(cv, other_X, other_y, other_groups) == expected


@every
def test_is_repeatable_and_leaves_data_alone(cv, groups, n_splits):
    read_only = X.copy(), Y.copy(), None if groups is None else np.array(groups)
    for array in read_only:
        if array is not None:
            array.setflags(write=False)
    state = copy.deepcopy(vars(cv))
    expected = folds(cv, *read_only)
    assert folds(cv, *read_only) == expected
    assert vars(cv) == state
    for twin in (pickle.loads(pickle.dumps(cv)), copy.deepcopy(cv), clone(cv, safe=False)):
        assert repr(twin) == repr(cv)
        assert folds(twin, *read_only) == expected


@every
def test_generator_may_change_a_fold_it_gave(cv, groups, n_splits):
    """What a user writes into an answer has no effect on the next."""
    expected = folds(cv, X, Y, groups)
    found = []
    for train, test in cv.split(X, Y, groups):
        found.append((train.tolist(), test.tolist()))
        train[:], test[:] = 0, 0
    assert found == expected


def test_repr():
    assert repr(RegimeSplit("calm")) == "RegimeSplit(test=None, train='calm')"
    assert (
        repr(ParameterStratifiedKFold(3))
        == "ParameterStratifiedKFold(n_splits=3, random_state=None, shuffle=False)"
    )
    assert repr(WalkForwardSplit(10, "5D")).startswith("WalkForwardSplit(gap=0, step=None,")


@every
def test_refuses_what_has_not_the_same_length(cv, groups, n_splits):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(iter(cv.split(X, Y[:-1], groups)))


@every
def test_cross_validation(cv, groups, n_splits):
    scores = cross_validate(Ridge(), X, Y, cv=cv, groups=groups, return_indices=True)
    expected = folds(cv, X, Y, groups)
    assert [i.tolist() for i in scores["indices"]["test"]] == [test for _, test in expected]
    by_hand = [Ridge().fit(X[train], Y[train]).score(X[test], Y[test]) for train, test in expected]
    np.testing.assert_allclose(scores["test_score"], by_hand, rtol=1e-12)


@every
def test_check_cv_takes_it_as_it_is(cv, groups, n_splits):
    assert check_cv(cv, Y) is cv


@pytest.mark.parametrize(
    ("cv", "groups"), [(CASES[2][0], DAYS), (CASES[3][0], REGIMES), (CASES[5][0], None)], ids=short
)
def test_grid_search_in_two_processes(cv, groups):
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1000.0]}, cv=cv, n_jobs=2)
    search.fit(X, Y, groups=groups)
    assert search.best_params_ == {"alpha": 0.1}
    assert search.n_splits_ == cv.get_n_splits(X, Y, groups)


def test_nested_cross_validation():
    """The inner splitter sees rows of the outer fold, and their groups."""
    inner = RandomizedSearchCV(
        Ridge(), {"alpha": [0.1, 1.0, 10.0]}, n_iter=2, cv=CASES[0][0], random_state=0
    )
    scores = cross_val_score(inner, X, Y, cv=ParameterStratifiedKFold(2))
    assert (scores > 0.9).all()


@pytest.mark.parametrize("cv", with_groups, ids=short)
def test_metadata_routing_asks_for_groups(cv):
    requests = cv.get_metadata_routing()
    assert requests.split.requests == {"groups": True}
    assert hasattr(cv, "set_split_request")


def test_metadata_routing_brings_groups():
    cv = RegimeSplit(test="stressed")
    with config_context(enable_metadata_routing=True):
        scores = cross_validate(Ridge(), X, Y, cv=cv, params={"groups": REGIMES})
    assert len(scores["test_score"]) == 1


def test_no_groups_where_they_mean_nothing():
    cv = ParameterStratifiedKFold(2)
    assert not cv.get_metadata_routing().split.requests
    assert not hasattr(cv, "set_split_request")
    with pytest.warns(UserWarning, match="groups parameter is ignored by ParameterStratifiedKF"):
        next(cv.split(X, Y, REGIMES))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        cv.split(X)
