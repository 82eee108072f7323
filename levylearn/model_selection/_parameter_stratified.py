"""Folds that all cover the parameter space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.stats import rankdata
from sklearn.model_selection import KFold
from sklearn.utils import check_array, check_random_state

__all__ = ["ParameterStratifiedKFold"]

Indices = NDArray[np.intp]
Floats = NDArray[np.float64]

# Equally filled ranges of each parameter, of which every fold is to have its share.
_RANGES = 10


class ParameterStratifiedKFold(KFold):
    """K folds, each with its share of every range of every parameter.

    Every parameter is divided into ten ranges with as many samples in each. Of a few samples with
    similar parameters each fold gets one, the one whose ranges it lacks most. So a fold has as
    many small, medium and large values of every parameter as any other, to within a few samples,
    where those of :class:`~sklearn.model_selection.KFold` differ by chance.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, two at least.
    shuffle : bool, default=False
        Whether chance decides which of some neighbours goes to which fold.
    random_state : int, RandomState instance or None, default=None
        Of that chance; only with ``shuffle=True``.

    See Also
    --------
    sklearn.model_selection.StratifiedKFold : The same for classes.
    WalkForwardSplit : Train on the past, test on what comes next.

    Notes
    -----
    Samples are dealt in the order of a k-d tree of the ranks of the parameters, so that units and
    scales do not matter; each deal is the one that leaves the least sum of squares of what the
    folds have too much of each range.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.model_selection import ParameterStratifiedKFold
    >>> sigma = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    >>> folds = ParameterStratifiedKFold(n_splits=2)
    >>> for train, test in folds.split(sigma, sigma):
    ...     print(sigma[test])
    [0.1 0.4 0.5]
    [0.2 0.3 0.6]
    """

    def split(self, X: Any, y: ArrayLike, groups: Any = None) -> Iterator[tuple[Indices, Indices]]:
        """Yield the rows to train on and those to test on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; only their number matters.
        y : array-like of shape (n_samples,) or (n_samples, n_params)
            Their parameters.
        groups : None
            Ignored.

        Returns
        -------
        folds : iterator of (ndarray, ndarray)
            Numbers of the rows to train on, and of those to test on.
        """
        return super().split(X, y, groups)

    def _iter_test_indices(self, X: Any, y: ArrayLike, groups: Any = None) -> Iterator[Indices]:
        params = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        ranks = rankdata(params.reshape(len(params), -1), axis=0) / len(params)
        fold = self._dealt(KDTree(ranks, leafsize=1).indices, ranks)
        for k in range(self.n_splits):
            yield np.flatnonzero(fold == k)

    def _dealt(self, order: Indices, ranks: Floats) -> Indices:
        """Fold of each row, when neighbours are dealt to the folds that lack their like most."""
        fold = np.empty(len(order), dtype=np.intp)
        held = np.zeros((self.n_splits, ranks.shape[1] * (_RANGES + 1)))
        if self.shuffle:
            held += check_random_state(self.random_state).standard_normal(held.shape)
        for start in range(0, len(order), self.n_splits):
            rows = order[start : start + self.n_splits]
            features = _features(ranks[rows])
            # Of all ways to deal, the one with the least sum of squares afterwards.
            dealt, folds = linear_sum_assignment(features @ held.T)
            fold[rows[dealt]] = folds
            held[folds] += features[dealt]
        return fold


def _features(ranks: Floats) -> Floats:
    """In which range each parameter is, as indicators, and its rank."""
    which = np.ceil(ranks * _RANGES) - 1
    indicators = which[:, :, None] == np.arange(_RANGES)
    return np.hstack([indicators.reshape(len(ranks), -1), ranks])
