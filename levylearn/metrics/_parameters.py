"""How far parameters are from what they should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from levylearn.metrics._answers import NAN_POLICY, pair_of_sets
from levylearn.models import CharacteristicModel, get_model
from levylearn.preprocessing import order_parts
from levylearn.utils._sklearn import StrOptions, validate_params

__all__ = ["parameter_mae", "parameter_r2", "parameter_rmse", "widths"]

Floats = NDArray[np.float64]
Model = str | CharacteristicModel

PARAMETER_OPTIONS: dict[str, list[Any]] = {
    "model": [str, CharacteristicModel, None],
    "ranges": ["array-like", None],
    "order_by": [str, None],
}
_CONSTRAINTS: dict[str, list[Any]] = {
    "y_true": ["array-like"],
    "y_pred": ["array-like"],
    **PARAMETER_OPTIONS,
    "multioutput": [StrOptions({"raw_values", "uniform_average"})],
    "nan_policy": NAN_POLICY,
}


@validate_params(
    {name: value for name, value in _CONSTRAINTS.items() if name != "ranges"},
    prefer_skip_nested_validation=True,
)
def parameter_r2(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    model: Model | None = None,
    order_by: str | None = None,
    multioutput: str = "uniform_average",
    nan_policy: str = "propagate",
) -> float | Floats:
    """Coefficient of determination of each parameter, or its mean over the parameters.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of the same shape
        Those that a calibrator found; NaN where it found none.
    model : str or CharacteristicModel, default=None
        The model; only `order_by` needs it.
    order_by : str, default=None
        For a model with equal parts, such as the factors of Double Heston: the parameter by
        which they are put into order on both sides (:func:`~levylearn.preprocessing.order_parts`).
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to average over the parameters.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the score is NaN if a surface was not calibrated, or of those that were.

    Returns
    -------
    score : float or ndarray of shape (n_params,)
        At most 1; a constant guess has 0.

    Raises
    ------
    ValueError
        If the shapes differ, or the true parameters are not finite.

    See Also
    --------
    sklearn.metrics.r2_score : The same, for predictions without NaN.
    failure_rate : How many surfaces were not calibrated.

    Examples
    --------
    >>> from levylearn.metrics import parameter_r2
    >>> y_true = [[0.1, 1.0], [0.2, 2.0], [0.3, 3.0]]
    >>> y_pred = [[0.1, 1.5], [0.2, 2.0], [0.3, 2.5]]
    >>> parameter_r2(y_true, y_pred, multioutput="raw_values")
    array([1.  , 0.75])
    """
    truth, found = compared(y_true, y_pred, model, order_by)
    return _scored(r2_score, truth, found, multioutput, nan_policy)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def parameter_mae(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    model: Model | None = None,
    ranges: ArrayLike | None = None,
    order_by: str | None = None,
    multioutput: str = "uniform_average",
    nan_policy: str = "propagate",
) -> float | Floats:
    """Mean absolute error of each parameter over the width of its range, or their mean.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of the same shape
        Those that a calibrator found; NaN where it found none.
    model : str or CharacteristicModel, default=None
        The model, whose market ranges are the unit.
    ranges : array-like of shape (n_params, 2), default=None
        Ranges ``(low, high)`` to take instead of those of the model.
    order_by : str, default=None
        For a model with equal parts, such as the factors of Double Heston: the parameter by
        which they are put into order on both sides (:func:`~levylearn.preprocessing.order_parts`).
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to average over the parameters.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the error is NaN if a surface was not calibrated, or of those that were.

    Returns
    -------
    error : float or ndarray of shape (n_params,)
        As fractions: 0.01 is one per cent of the range.

    Raises
    ------
    ValueError
        If the shapes differ, the true parameters are not finite, or neither `model` nor
        `ranges` is given.

    See Also
    --------
    parameter_rmse : Root mean squared errors.
    failure_rate : How many surfaces were not calibrated.

    Examples
    --------
    >>> from levylearn.metrics import parameter_mae
    >>> y_true = [[0.1, 1.0], [0.2, 2.0], [0.3, 3.0]]
    >>> y_pred = [[0.1, 1.5], [0.2, 2.0], [0.3, 2.5]]
    >>> parameter_mae(y_true, y_pred, ranges=[(0.1, 0.5), (0.0, 10.0)], multioutput="raw_values")
    array([0.        , 0.03333333])
    """
    truth, found = compared(y_true, y_pred, model, order_by)
    unit = widths(truth.shape[1], model, ranges)
    return _scored(mean_absolute_error, truth / unit, found / unit, multioutput, nan_policy)


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def parameter_rmse(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    model: Model | None = None,
    ranges: ArrayLike | None = None,
    order_by: str | None = None,
    multioutput: str = "uniform_average",
    nan_policy: str = "propagate",
) -> float | Floats:
    """Root mean squared error of each parameter over the width of its range, or their mean.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_params)
        Parameters of the surfaces.
    y_pred : array-like of the same shape
        Those that a calibrator found; NaN where it found none.
    model : str or CharacteristicModel, default=None
        The model, whose market ranges are the unit.
    ranges : array-like of shape (n_params, 2), default=None
        Ranges ``(low, high)`` to take instead of those of the model.
    order_by : str, default=None
        For a model with equal parts, such as the factors of Double Heston: the parameter by
        which they are put into order on both sides (:func:`~levylearn.preprocessing.order_parts`).
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Whether to average over the parameters.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether the error is NaN if a surface was not calibrated, or of those that were.

    Returns
    -------
    error : float or ndarray of shape (n_params,)
        As fractions: 0.01 is one per cent of the range.

    Raises
    ------
    ValueError
        If the shapes differ, the true parameters are not finite, or neither `model` nor
        `ranges` is given.

    See Also
    --------
    parameter_mae : Mean absolute errors.
    failure_rate : How many surfaces were not calibrated.

    Examples
    --------
    The factors of Double Heston, found the other way round, are found:

    >>> from levylearn.metrics import parameter_rmse
    >>> y_true = [[0.01, 3.0, 0.02, 0.4, -0.7, 0.04, 0.5, 0.05, 0.3, -0.5]]
    >>> y_pred = [[0.04, 0.5, 0.05, 0.3, -0.5, 0.01, 3.0, 0.02, 0.4, -0.7]]
    >>> round(parameter_rmse(y_true, y_pred, model="double_heston"), 3)
    0.775
    >>> parameter_rmse(y_true, y_pred, model="double_heston", order_by="kappa")
    0.0
    """
    truth, found = compared(y_true, y_pred, model, order_by)
    unit = widths(truth.shape[1], model, ranges)
    return _scored(root_mean_squared_error, truth / unit, found / unit, multioutput, nan_policy)


def compared(
    y_true: ArrayLike, y_pred: ArrayLike, model: Model | None, order_by: str | None
) -> tuple[Floats, Floats]:
    """Both sides, with equal parts in one order."""
    truth, found = pair_of_sets(y_true, y_pred)
    if order_by is None:
        return truth, found
    if model is None:
        raise ValueError(f"order_by={order_by!r} needs the model whose parts it orders.")
    return order_parts(truth, model, order_by), order_parts(found, model, order_by)


def widths(n_params: int, model: Model | None, ranges: ArrayLike | None) -> Floats:
    """Widths of the ranges given, or of the market ranges of the model."""
    if ranges is None:
        if model is None:
            raise ValueError(
                "Errors of parameters are in units of their ranges: give a model, or ranges."
            )
        ranges = [parameter.market_range for parameter in get_model(model).parameters]
    ends = np.asarray(ranges, dtype=np.float64)
    if ends.shape != (n_params, 2):
        raise ValueError(
            f"ranges must have shape ({n_params}, 2), a lower and an upper end for each "
            f"parameter; got {ends.shape}."
        )
    width: Floats = ends[:, 1] - ends[:, 0]
    bad = np.flatnonzero(~(np.isfinite(width) & (width > 0)))
    if bad.size:
        raise ValueError(
            f"ranges: the upper end must be above the lower one; entry {bad[0]} is "
            f"({ends[bad[0], 0]:g}, {ends[bad[0], 1]:g})."
        )
    return width


def _scored(
    metric: Callable[..., Any], truth: Floats, found: Floats, multioutput: str, nan_policy: str
) -> float | Floats:
    """A metric of scikit-learn, of the rows with an answer or of none."""
    lost = np.isnan(found).any(axis=1)
    if lost.all() or (lost.any() and nan_policy == "propagate"):
        each = np.full(truth.shape[1], np.nan)
        return each if multioutput == "raw_values" else np.nan
    score: float | Floats = metric(truth[~lost], found[~lost], multioutput=multioutput)
    return score
