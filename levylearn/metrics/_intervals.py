"""Whether intervals contain as many parameters as they say, and how wide they are."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.metrics._answers import NAN_POLICY, parameter_sets
from levylearn.metrics._parameters import widths
from levylearn.models import CharacteristicModel
from levylearn.utils._sklearn import Interval, StrOptions, validate_params

__all__ = ["interval_coverage", "interval_score", "interval_width"]

Floats = NDArray[np.float64]
Model = str | CharacteristicModel

_CONSTRAINTS: dict[str, list[Any]] = {
    "y_true": ["array-like"],
    "intervals": ["array-like"],
    "multioutput": [StrOptions({"raw_values", "uniform_average"})],
    "nan_policy": NAN_POLICY,
}
_UNIT: dict[str, list[Any]] = {
    "model": [str, CharacteristicModel, None],
    "ranges": ["array-like", None],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def interval_coverage(
    y_true: ArrayLike,
    intervals: ArrayLike,
    *,
    multioutput: str = "uniform_average",
    nan_policy: str = "propagate",
) -> float | Floats:
    """Share of the parameters that are in their intervals.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_params)
        Parameters of the surfaces.
    intervals : array-like of shape (n_samples, n_params, 2)
        Lower and upper ends, as from a calibrator's `predict_interval`; NaN where it has none.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to average over the parameters.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the share is NaN if an interval is missing, or of those that are there.

    Returns
    -------
    coverage : float or ndarray of shape (n_params,)
        To be compared with the coverage that was asked for. Out of n intervals with a coverage
        c, chance makes it differ by about ``(c * (1 - c) / n) ** 0.5``.

    Raises
    ------
    ValueError
        If the shapes do not match, or an upper end is below a lower one.

    See Also
    --------
    interval_score : Coverage and width in one number.

    Examples
    --------
    >>> from levylearn.metrics import interval_coverage
    >>> y_true = [[0.1, 1.0], [0.2, 2.0]]
    >>> intervals = [[(0.0, 0.2), (0.8, 1.1)], [(0.1, 0.3), (2.1, 2.5)]]
    >>> interval_coverage(y_true, intervals, multioutput="raw_values")
    array([1. , 0.5])
    """
    truth, low, high = _checked(y_true, intervals)
    inside = np.where(np.isnan(low) | np.isnan(high), np.nan, (low <= truth) & (truth <= high))
    return _averaged(inside, multioutput, nan_policy)


@validate_params({**_CONSTRAINTS, **_UNIT}, prefer_skip_nested_validation=True)
def interval_width(
    y_true: ArrayLike,
    intervals: ArrayLike,
    *,
    model: Model | None = None,
    ranges: ArrayLike | None = None,
    multioutput: str = "uniform_average",
    nan_policy: str = "propagate",
) -> float | Floats:
    """Mean width of intervals over the width of each parameter's range.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_params)
        Parameters of the surfaces; only their number matters.
    intervals : array-like of shape (n_samples, n_params, 2)
        Lower and upper ends, as from a calibrator's `predict_interval`; NaN where it has none.
    model : str or CharacteristicModel, default=None
        The model, whose market ranges are the unit.
    ranges : array-like of shape (n_params, 2), default=None
        Ranges ``(low, high)`` to take instead of those of the model.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to average over the parameters.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the width is NaN if an interval is missing, or of those that are there.

    Returns
    -------
    width : float or ndarray of shape (n_params,)
        As fractions: 0.01 is one per cent of the range. Infinite if an interval is.

    Raises
    ------
    ValueError
        If the shapes do not match, an upper end is below a lower one, or neither `model` nor
        `ranges` is given.

    See Also
    --------
    interval_score : Coverage and width in one number.

    Examples
    --------
    >>> from levylearn.metrics import interval_width
    >>> y_true = [[0.1, 1.0], [0.2, 2.0]]
    >>> intervals = [[(0.0, 0.2), (0.8, 1.1)], [(0.1, 0.3), (2.1, 2.5)]]
    >>> interval_width(y_true, intervals, ranges=[(0, 1), (0, 10)], multioutput="raw_values")
    array([0.2  , 0.035])
    """
    truth, low, high = _checked(y_true, intervals)
    unit = widths(truth.shape[1], model, ranges)
    return _averaged((high - low) / unit, multioutput, nan_policy)


@validate_params(
    {**_CONSTRAINTS, **_UNIT, "coverage": [Interval(Real, 0, 1, closed="neither")]},
    prefer_skip_nested_validation=True,
)
def interval_score(
    y_true: ArrayLike,
    intervals: ArrayLike,
    *,
    coverage: float = 0.95,
    model: Model | None = None,
    ranges: ArrayLike | None = None,
    multioutput: str = "uniform_average",
    nan_policy: str = "propagate",
) -> float | Floats:
    r"""Interval score: the width, and a penalty for what is outside. Less is better.

    With :math:`\alpha` = 1 - coverage, the score of the interval :math:`(l, u)` is

    .. math::

        (u - l) + \frac{2}{\alpha} (l - y)^+ + \frac{2}{\alpha} (y - u)^+ .

    It is least, on average, for the quantiles :math:`\alpha / 2` and :math:`1 - \alpha / 2` of
    the parameter [1]_: neither intervals that are too narrow nor such as are too wide get a
    better one.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_params)
        Parameters of the surfaces.
    intervals : array-like of shape (n_samples, n_params, 2)
        Lower and upper ends, as from a calibrator's `predict_interval`; NaN where it has none.
    coverage : float, default=0.95
        The coverage that was asked for.
    model : str or CharacteristicModel, default=None
        The model, whose market ranges are the unit.
    ranges : array-like of shape (n_params, 2), default=None
        Ranges ``(low, high)`` to take instead of those of the model.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to average over the parameters.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the score is NaN if an interval is missing, or of those that are there.

    Returns
    -------
    score : float or ndarray of shape (n_params,)
        As fractions of the ranges. Infinite if an interval is.

    Raises
    ------
    ValueError
        If the shapes do not match, an upper end is below a lower one, or neither `model` nor
        `ranges` is given.

    See Also
    --------
    interval_coverage : How many parameters are in their intervals.
    interval_width : How wide the intervals are.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
       estimation", Journal of the American Statistical Association 102 (2007), 359-378.

    Examples
    --------
    >>> from levylearn.metrics import interval_score
    >>> y_true = [[0.1, 1.0], [0.2, 2.0]]
    >>> intervals = [[(0.0, 0.2), (0.8, 1.1)], [(0.1, 0.3), (2.1, 2.5)]]
    >>> interval_score(
    ...     y_true, intervals, coverage=0.9, ranges=[(0, 1), (0, 10)], multioutput="raw_values"
    ... )
    array([0.2  , 0.135])
    """
    truth, low, high = _checked(y_true, intervals)
    unit = widths(truth.shape[1], model, ranges)
    outside = np.maximum(low - truth, 0.0) + np.maximum(truth - high, 0.0)
    return _averaged((high - low + 2 / (1 - coverage) * outside) / unit, multioutput, nan_policy)


def _checked(y_true: ArrayLike, intervals: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Parameters, lower ends and upper ends, each of shape (n, p)."""
    truth = parameter_sets(y_true, "y_true")
    ends = np.asarray(intervals, dtype=np.float64)
    if ends.shape != (*truth.shape, 2):
        raise ValueError(
            f"intervals must have shape (n_samples, n_params, 2), here {(*truth.shape, 2)}; got "
            f"{ends.shape}."
        )
    low, high = ends[..., 0], ends[..., 1]
    bad = np.argwhere(high < low)
    if len(bad):
        raise ValueError(
            f"intervals: an upper end must not be below its lower end; row {bad[0, 0]}, "
            f"parameter {bad[0, 1]} is ({low[tuple(bad[0])]:g}, {high[tuple(bad[0])]:g})."
        )
    return truth, low, high


def _averaged(values: Floats, multioutput: str, nan_policy: str) -> float | Floats:
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0 if nan_policy == "omit" else np.nan).sum(axis=0)
    each = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return each if multioutput == "raw_values" else float(each.mean())
