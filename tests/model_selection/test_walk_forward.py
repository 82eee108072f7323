"""Train on the past, test on what comes next."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from levylearn.datasets import make_surface_series
from levylearn.market import OptionGrid
from levylearn.model_selection import WalkForwardSplit

DAYS = pd.bdate_range("2020-01-01", "2021-12-31")


def folds(cv, *data):
    return [(train.tolist(), test.tolist()) for train, test in cv.split(*data)]


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("longest", [None, 8])
def test_agrees_with_scikit_learn(gap, longest):
    """Where its TimeSeriesSplit starts at the same row, the folds are the same."""
    X = np.zeros((30, 2))
    expected = TimeSeriesSplit(n_splits=4, test_size=5, gap=gap, max_train_size=longest)
    ours = WalkForwardSplit(
        longest or 10 - gap, 5, gap=gap, window="rolling" if longest else "expanding"
    )
    theirs = folds(expected, X)
    found = folds(ours, X)[-4:]
    if longest is None:
        assert found == theirs
    else:  # ours starts as soon as a window of eight is full
        shift = theirs[-1][1][0] - found[-1][1][0]
        assert all(len(train) == 8 for train, _ in found)
        assert [[i - shift for i in test] for _, test in theirs[:3]] == [
            test for _, test in found[:3]
        ]


@given(
    n=st.integers(2, 60),
    train_size=st.integers(1, 20),
    test_size=st.integers(1, 10),
    step=st.none() | st.integers(1, 12),
    gap=st.integers(0, 5),
    window=st.sampled_from(["expanding", "rolling"]),
)
def test_windows(n, train_size, test_size, step, gap, window):
    cv = WalkForwardSplit(train_size, test_size, step=step, gap=gap, window=window)
    X = np.zeros((n, 1))
    if train_size + gap >= n:
        with pytest.raises(ValueError, match="Nothing is left to test on"):
            folds(cv, X)
        return
    found = folds(cv, X)
    starts = [test[0] for _, test in found]
    assert starts[0] == train_size + gap
    assert (np.diff(starts) == (step or test_size)).all()
    for train, test in found:
        assert train[-1] + gap + 1 == test[0]
        assert train[0] == (0 if window == "expanding" else test[0] - gap - train_size)
        assert train == list(range(train[0], train[-1] + 1))
        assert test == list(range(test[0], min(test[0] + test_size, n)))
    # Only the last may be cut short, and no row after the first test is skipped for nothing.
    assert all(len(test) == test_size for _, test in found[:-1])
    if step is None or step <= test_size:
        assert sorted({row for _, test in found for row in test}) == list(range(starts[0], n))


def test_durations_select_by_the_calendar():
    cv = WalkForwardSplit("180D", "30D", gap="7D", window="rolling")
    found = list(cv.split(DAYS, groups=DAYS))
    start = DAYS[0] + pd.Timedelta("187D")
    for k, (train, test) in enumerate(found):
        begin = start + k * pd.Timedelta("30D")
        in_test = (DAYS >= begin) & (DAYS < begin + pd.Timedelta("30D"))
        before = begin - pd.Timedelta("7D")
        in_train = (DAYS < before) & (DAYS >= before - pd.Timedelta("180D"))
        assert train.tolist() == np.flatnonzero(in_train).tolist()
        assert test.tolist() == np.flatnonzero(in_test).tolist()
    assert found[-1][1][-1] == len(DAYS) - 1


def test_months():
    """By whole months, each test is a month of the calendar."""
    months = pd.DateOffset(months=1)
    cv = WalkForwardSplit(pd.DateOffset(months=12), months, window="rolling")
    found = list(cv.split(DAYS, groups=DAYS))
    assert len(found) == 12
    for month, (train, test) in enumerate(found, start=1):
        in_month = (DAYS.year == 2021) & (DAYS.month == month)
        assert test.tolist() == np.flatnonzero(in_month).tolist()
        assert DAYS[train[0]] >= pd.Timestamp(2020, month, 1)
        assert train[-1] + 1 == test[0]


def test_days_by_any_name():
    expected = folds(WalkForwardSplit("100D", "50D"), DAYS, None, DAYS)
    for one, other in [
        (datetime.timedelta(100), datetime.timedelta(50)),
        (np.timedelta64(100, "D"), np.timedelta64(50, "D")),
        (pd.Timedelta(days=100), "50 days"),
    ]:
        assert folds(WalkForwardSplit(one, other), DAYS, None, DAYS) == expected
    cv = WalkForwardSplit("100D", "50D")
    for days in (DAYS.to_numpy(), list(DAYS.date), DAYS.strftime("%Y-%m-%d"), DAYS.tz_localize(0)):
        assert folds(cv, DAYS, None, days) == expected


@pytest.mark.parametrize("sizes", [("60D", "20D"), (40, 15)])
def test_series_brings_its_dates(sizes):
    """The index of a frame does what groups do."""
    grid = OptionGrid([100], [0.5])
    data = make_surface_series("black_scholes", grid, 120, random_state=0, as_frame=True)
    cv = WalkForwardSplit(*sizes)
    assert folds(cv, data.X) == folds(cv, np.asarray(data.X), None, data.dates)


@pytest.mark.parametrize("sizes", [("60D", "20D"), (40, 15)])
def test_order_of_the_rows_does_not_matter(sizes):
    cv = WalkForwardSplit(*sizes, gap=sizes[1])
    shuffled = np.random.default_rng(0).permutation(len(DAYS))
    for (train, test), (there, then) in zip(
        cv.split(DAYS, groups=DAYS), cv.split(DAYS, groups=DAYS[shuffled]), strict=True
    ):
        assert sorted(shuffled[there]) == train.tolist()
        assert sorted(shuffled[then]) == test.tolist()


def test_rows_of_one_day_stay_together():
    days = np.repeat(np.arange(10), 3)
    for train, test in WalkForwardSplit(4, 2).split(days, groups=days):
        assert set(days[train]).isdisjoint(days[test])
        assert len(test) == 6


def test_no_fold_in_a_hole_of_the_data():
    days = DAYS[(DAYS.month != 6) & (DAYS.month != 7)]
    cv = WalkForwardSplit(pd.DateOffset(months=1), pd.DateOffset(months=1), window="rolling")
    found = list(cv.split(days, groups=days))
    tested = {(days[row].year, days[row].month) for _, test in found for row in test}
    # Nothing to test in June and July, nothing to train on for August.
    assert tested == {(d.year, d.month) for d in DAYS} - {
        *((2020, month) for month in (1, 6, 7, 8)),
        *((2021, month) for month in (6, 7, 8)),
    }
    assert cv.get_n_splits(groups=days) == len(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_size": 0}, "train_size must be an int of at least 1, or a duration; got 0"),
        ({"test_size": True}, "test_size must be an int of at least 1"),
        ({"test_size": 2.0}, "all numbers of periods or all durations"),
        ({"train_size": 2.0, "test_size": 1.0}, "train_size must be an int of at least 1, or a"),
        ({"gap": -1}, "gap must be an int of at least 1"),
        ({"step": "5D"}, "all numbers of periods or all durations; got train_size=5, .*'5D'"),
        ({"window": "sliding"}, "window must be one of expanding, rolling; got 'sliding'"),
        ({"train_size": "5D", "test_size": "0D"}, "test_size must be a positive duration"),
        ({"train_size": "5D", "test_size": "2D"}, "Durations need times"),
    ],
)
def test_refuses_arguments(arguments, message):
    cv = WalkForwardSplit(**{"train_size": 5, "test_size": 2, **arguments})
    with pytest.raises(ValueError, match=message):
        next(cv.split(np.zeros((20, 1))))
    with pytest.raises(ValueError, match=message):
        cv.get_n_splits(np.zeros((20, 1)))


def test_refuses_times():
    cv = WalkForwardSplit("5D", "2D")
    with pytest.raises(ValueError, match="they are numbers"):
        next(cv.split(DAYS, groups=np.arange(len(DAYS))))
    with pytest.raises(ValueError, match="that of row 3 is missing"):
        next(cv.split(DAYS, groups=DAYS.where(DAYS != DAYS[3])))
    with pytest.raises(ValueError, match="The 'X' parameter should not be None"):
        cv.get_n_splits()
