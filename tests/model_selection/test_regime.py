"""Train in some regimes, test in another."""

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from levylearn.model_selection import RegimeSplit

REGIMES = np.array(["calm", "normal", "normal", "stressed", "calm", "normal", "stressed"])
X = np.zeros((7, 2))


def folds(cv, groups=REGIMES):
    return [(train.tolist(), test.tolist()) for train, test in cv.split(X, groups=groups)]


def test_without_arguments_leaves_one_out():
    for groups in (REGIMES, [3, 1, 1, 2, 3, 1, 2]):
        assert folds(RegimeSplit(), groups) == folds(LeaveOneGroupOut(), groups)
        assert RegimeSplit().get_n_splits(groups=groups) == 3


def test_from_some_to_others():
    assert folds(RegimeSplit("calm", "stressed")) == [([0, 4], [3, 6])]
    assert folds(RegimeSplit(["calm", "normal"])) == [([0, 1, 2, 4, 5], [3, 6])]
    assert folds(RegimeSplit(test="stressed")) == [([0, 1, 2, 4, 5], [3, 6])]
    assert folds(RegimeSplit("calm")) == [([0, 4], [1, 2, 5]), ([0, 4], [3, 6])]
    # In the order in which they are named, each trained on all but itself.
    assert folds(RegimeSplit(test=["stressed", "calm"])) == [
        ([0, 1, 2, 4, 5], [3, 6]),
        ([1, 2, 3, 5, 6], [0, 4]),
    ]


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (RegimeSplit(), None, "The 'groups' parameter should not be None"),
        (RegimeSplit("calm", ["calm", "normal"]), REGIMES, "calm is among the regimes of train"),
        (RegimeSplit("panic"), REGIMES, "train names panic, .* groups has calm, normal, stressed"),
        (RegimeSplit(test=[]), REGIMES, "test names no regime"),
        (RegimeSplit(), ["calm"] * 7, "one regime to train on and another to test on"),
        (RegimeSplit(train=["calm", "normal", "stressed"]), REGIMES, "and another to test on"),
        (RegimeSplit(test="calm"), ["calm"] * 7, "one regime to train on and another"),
    ],
)
def test_refuses(cv, groups, message):
    with pytest.raises(ValueError, match=message):
        folds(cv, groups)
    with pytest.raises(ValueError, match=message):
        cv.get_n_splits(X, groups=groups)
