"""Train in some regimes of the market, test in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_array, indexable

__all__ = ["RegimeSplit"]

Indices = NDArray[np.intp]
Labels = NDArray[Any]


class RegimeSplit(BaseCrossValidator):
    """Train in some regimes of the market, test in another.

    There is a fold for each regime that is tested. Regimes go in as `groups`, as of
    :func:`~levylearn.datasets.make_surface_series`.

    Parameters
    ----------
    train : label, list of labels or None, default=None
        Regimes to train on. None: all but the one that is tested.
    test : label, list of labels or None, default=None
        Regimes to test on, one after the other. None: each that `train` does not name.

    See Also
    --------
    levylearn.datasets.market_regimes : Calm, normal and stressed markets of any model.
    sklearn.model_selection.LeaveOneGroupOut : What this is without arguments.
    WalkForwardSplit : Train on the past, test on what comes next.

    Examples
    --------
    >>> from levylearn.model_selection import RegimeSplit
    >>> regimes = ["calm", "calm", "normal", "stressed", "normal"]
    >>> for train, test in RegimeSplit(train="calm").split(regimes, groups=regimes):
    ...     print(train, test)
    [0 1] [2 4]
    [0 1] [3]
    """

    # scikit-learn's way to ask for groups without being told to.
    __metadata_request__split = {"groups": True}

    def __init__(self, train: Any = None, test: Any = None) -> None:
        self.train = train
        self.test = test

    def split(
        self, X: Any, y: Any = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[Indices, Indices]]:
        """Yield the rows to train on and those to test on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; only their number matters.
        y : array-like of shape (n_samples, n_params), default=None
            Ignored.
        groups : array-like of shape (n_samples,)
            The regime of each surface.

        Yields
        ------
        train : ndarray
            Numbers of the rows to train on.
        test : ndarray
            Numbers of the rows to test on.

        Raises
        ------
        ValueError
            If no row is in a regime that is named, or one is both trained and tested on.
        """
        X, y, groups = indexable(X, y, groups)
        regime = _regimes(groups)
        for train, test in self._folds(regime):
            yield np.flatnonzero(np.isin(regime, train)), np.flatnonzero(regime == test)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: ArrayLike | None = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : array-like, default=None
            Ignored.
        y : array-like, default=None
            Ignored.
        groups : array-like of shape (n_samples,)
            The regime of each surface.

        Returns
        -------
        n_splits : int
            Number of regimes that are tested.
        """
        return len(self._folds(_regimes(groups)))

    def _folds(self, regime: Labels) -> list[tuple[Labels, Any]]:
        """Regimes to train on, and the one to test on."""
        known = np.unique(regime)
        train, test = _named("train", self.train, known), _named("test", self.test, known)
        if train is not None and test is not None and np.isin(test, train).any():
            label = test[np.isin(test, train)][0]
            raise ValueError(f"{label!s} is among the regimes of train and of test.")
        if test is None:
            test = known if train is None else np.setdiff1d(known, train)
        if not len(test) or (train is None and len(known) < 2):
            raise ValueError(
                f"RegimeSplit needs one regime to train on and another to test on; groups has "
                f"{_listed(known)}."
            )
        return [(known[known != label] if train is None else train, label) for label in test]


def _regimes(groups: ArrayLike | None) -> Labels:
    if groups is None:
        raise ValueError(
            "The 'groups' parameter should not be None: RegimeSplit takes the regime of each "
            "row from it."
        )
    regimes: Labels = check_array(groups, input_name="groups", ensure_2d=False, dtype=None)
    return regimes


def _named(argument: str, labels: Any, known: Labels) -> Labels | None:
    """The regimes that an argument names; None if it leaves the choice to the other."""
    if labels is None:
        return None
    named = np.atleast_1d(np.asarray(labels))
    unknown = named[~np.isin(named, known)]
    if len(unknown) or not len(named):
        wrong = f"{unknown[0]!s}, of which there is no row" if len(unknown) else "no regime"
        raise ValueError(f"{argument} names {wrong}; groups has {_listed(known)}.")
    return named


def _listed(labels: Labels) -> str:
    return ", ".join(map(str, labels))
