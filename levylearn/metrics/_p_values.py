"""P-values of several tests at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.utils._sklearn import StrOptions, validate_params

__all__ = ["CORRECTION", "adjust_p_values"]

Floats = NDArray[np.float64]

CORRECTION: list[Any] = [StrOptions({"holm", "bonferroni"}), None]


@validate_params(
    {"p_values": ["array-like"], "correction": CORRECTION}, prefer_skip_nested_validation=True
)
def adjust_p_values(p_values: ArrayLike, correction: str | None = "holm") -> Floats:
    """P-values as they are when several hypotheses are tested at once.

    If those with an adjusted p-value of at most 5 % are rejected, the probability to reject any
    that is true is at most 5 %, however the tests depend on one another.

    Parameters
    ----------
    p_values : array-like of shape (n,)
        P-values of single tests; NaN where there was nothing to test, which does not count.
    correction : {"holm", "bonferroni"} or None, default="holm"
        Holm's procedure [1]_, Bonferroni's, which never rejects more, or none.

    Returns
    -------
    adjusted : ndarray of shape (n,)
        Adjusted p-values, in the order given.

    Raises
    ------
    ValueError
        If a p-value is not between 0 and 1.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
       Journal of Statistics 6 (1979), 65-70.

    Examples
    --------
    >>> from levylearn.metrics import adjust_p_values
    >>> adjust_p_values([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    >>> adjust_p_values([0.01, 0.04, 0.03], correction="bonferroni")
    array([0.03, 0.12, 0.09])
    """
    p = np.array(p_values, dtype=np.float64)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must be in one dimension, from 0 to 1; got {p_values!r}.")
    tested = np.flatnonzero(~np.isnan(p))
    if correction == "bonferroni":
        p[tested] = np.minimum(len(tested) * p[tested], 1.0)
    elif correction == "holm":
        # The least p-value is one of n, the next one of n - 1 that are left, and so on.
        rising = tested[np.argsort(p[tested], kind="stable")]
        left = np.arange(len(rising), 0, -1)
        p[rising] = np.minimum(np.maximum.accumulate(left * p[rising]), 1.0)
    return p
