"""What examples that had no part in learning tell about the errors of predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor

from levylearn.utils._coverage import check_coverage

Floats = NDArray[np.float64]

# Neighbours over which errors are averaged, and the least number of examples to choose from.
_NEIGHBOURS, _LEAST_EXAMPLES = 50, 200
# Part of the mean error that is added to the local one: no interval shrinks to a point.
_FLOOR = 0.1


class HeldOutErrors:
    r"""Split-conformal intervals, wider where predictions are harder.

    The examples are divided in two. The first half tells how large errors are near a
    prediction (:math:`\hat\sigma`, the mean over its neighbours), the second which multiple
    :math:`q` of that reaches far enough: :math:`\hat\theta \pm q\,\hat\sigma(\hat\theta)`
    contains at least the stated share of parameters, on average over examples drawn like
    these, whatever their distribution.

    Parameters
    ----------
    predicted : ndarray of shape (n, p)
        Predictions for the examples, which come in random order: their numbers tell the
        halves apart, and points of a Sobol sequence alternate.
    truth : ndarray of shape (n, p)
        What they should have been.

    References
    ----------
    Lei, J., G'Sell, M., Rinaldo, A., Tibshirani, R. and Wasserman, L. (2018).
    Distribution-free predictive inference for regression. Journal of the American
    Statistical Association 113, 1094-1111.
    """

    def __init__(self, predicted: Floats, truth: Floats) -> None:
        errors = np.abs(predicted - truth)
        if len(errors) < _LEAST_EXAMPLES:
            self._difficulty = None
            self._scores = Scores(errors)
        else:
            self._difficulty = LocalErrors(predicted[::2], errors[::2])
            scores = errors[1::2] / self._difficulty(predicted[1::2])
            self._scores = Scores(scores)
            self._greatest = Scores(scores.max(axis=1, keepdims=True))

    def intervals(self, predicted: Floats, coverage: float, joint: bool = False) -> Floats:
        """Intervals (n, p, 2) around predictions (n, p), for each parameter or for all at once."""
        check_coverage(coverage)
        scores = self._scores
        if joint and self._difficulty is None:
            # Errors have no common unit: Bonferroni's bound needs none.
            coverage = 1 - (1 - coverage) / predicted.shape[1]
        elif joint:
            scores = self._greatest
        reach = scores.quantile(coverage)
        if self._difficulty is not None:
            reach = reach * self._difficulty(predicted)
        return np.stack([predicted - reach, predicted + reach], axis=2)


class LocalErrors:
    """Mean of the errors made near a prediction, all of them positive.

    Parameters
    ----------
    predicted : ndarray of shape (n, p)
        Predictions.
    errors : ndarray of shape (n, p)
        Their absolute errors.
    """

    def __init__(self, predicted: Floats, errors: Floats) -> None:
        spread = predicted.std(axis=0)
        self._unit = np.where(spread > 0, spread, 1.0)
        mean = errors.mean(axis=0)
        self._floor = np.where(mean > 0, _FLOOR * mean, 1.0)
        neighbours = min(_NEIGHBOURS, len(errors))
        self._nearby = KNeighborsRegressor(neighbours).fit(predicted / self._unit, errors)

    def __call__(self, predicted: Floats) -> Floats:
        """Errors (n, p) to be expected of predictions (n, p); NaN for those that are."""
        errors = np.full(predicted.shape, np.nan)
        known = np.isfinite(predicted).all(axis=1)
        if known.any():
            errors[known] = self._nearby.predict(predicted[known] / self._unit) + self._floor
        return errors


class Scores:
    """Quantiles of the scores of examples, such as hold for one example more.

    Parameters
    ----------
    scores : ndarray of shape (n, p)
        How far off each example was, in whatever measure.
    """

    def __init__(self, scores: Floats) -> None:
        self._sorted = np.sort(scores, axis=0)

    def quantile(self, coverage: float) -> Floats:
        """Scores (p,) below which the next one lies with the stated probability.

        They are infinite where the examples are too few to tell.
        """
        check_coverage(coverage)
        n = len(self._sorted)
        # The product is not to cost a rank by its rounding.
        rank = int(np.ceil((n + 1) * coverage - 1e-9))
        return self._sorted[rank - 1] if rank <= n else np.full(self._sorted.shape[1], np.inf)
