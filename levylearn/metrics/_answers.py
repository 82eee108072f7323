"""What a calibrator answers, and what metrics say where it had no answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from levylearn.utils._sklearn import StrOptions

__all__ = ["NAN_POLICY", "average", "pair_of_sets", "parameter_sets"]

Floats = NDArray[np.float64]

NAN_POLICY = [StrOptions({"propagate", "omit"})]


def parameter_sets(y: ArrayLike, name: str, *, lost: bool = False) -> Floats:
    """Parameter sets (n, p), checked; if some may be lost these are NaN."""
    params = check_array(
        np.asarray(y),
        ensure_2d=False,
        dtype=np.float64,
        ensure_all_finite="allow-nan" if lost else True,
        input_name=name,
    )
    return params.reshape(len(params), -1)


def pair_of_sets(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    """What the parameters are, and what a calibrator says they are."""
    truth, found = parameter_sets(y_true, "y_true"), parameter_sets(y_pred, "y_pred", lost=True)
    if truth.shape != found.shape:
        raise ValueError(
            f"y_true and y_pred must have the same shape, (n_samples, n_params); got "
            f"{truth.shape} and {found.shape}."
        )
    return truth, found


def average(errors: Floats, nan_policy: str, quantile: float | None = None) -> float:
    """Mean of the errors of surfaces, or a quantile; those of lost ones are NaN."""
    if nan_policy == "omit":
        errors = errors[~np.isnan(errors)]
    if not len(errors):
        return np.nan
    return float(np.mean(errors) if quantile is None else np.quantile(errors, quantile))
