"""How far new surfaces, as a whole, are from those of a reference."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ks_2samp
from sklearn.utils import check_array, check_consistent_length

from levylearn.utils._sklearn import Interval, validate_params

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["distribution_drift", "stability_index"]

Floats = NDArray[np.float64]

# As so many values of both samples together are added to each, so that no interval is empty.
_PRIOR = 1.0


@validate_params(
    {
        "reference": ["array-like"],
        "X": ["array-like"],
        "periods": ["array-like", None],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def distribution_drift(
    reference: ArrayLike, X: ArrayLike, periods: ArrayLike | None = None, *, n_bins: int = 10
) -> pd.DataFrame:
    r"""Compare the distribution of each column with that of a reference.

    Columns may be quotes, features of surfaces, parameters or scores. Two numbers tell how far
    apart two distributions are. The population stability index (PSI) is
    :math:`\sum_b (q_b - p_b) \log(q_b / p_b)` over the shares of reference and new values in
    intervals that hold equal parts of the reference; Kolmogorov and Smirnov's statistic (KS) is
    the largest difference between the distribution functions.

    Parameters
    ----------
    reference : array-like of shape (n_reference, n_columns)
        What is usual, such as the surfaces that a calibrator has learned from. NaN is left out.
    X : array-like of shape (n_samples, n_columns)
        What is new.
    periods : array-like of shape (n_samples,), default=None
        A label for each new row, such as its month: each period is compared by itself. None: all
        rows are one period.
    n_bins : int, default=10
        Number of intervals of the PSI.

    Returns
    -------
    table : DataFrame
        One row for each period, in sorted order, and column of `X`: ``period``, ``column``,
        ``n``, the number of new values, ``psi``, ``ks`` and ``p_value``, that of the two-sided KS
        test. NaN where there are no values.

    Raises
    ------
    ValueError
        If the numbers of columns or rows do not match.

    See Also
    --------
    SurfaceNoveltyDetector : One surface at a time.
    levylearn.metrics.adjust_p_values : For many columns at once.

    Notes
    -----
    An empty interval would make the index infinite: one value is added to either sample, spread
    as both samples together are. A common rule takes a PSI below 0.1 for no change and one above
    0.25 for a large one; it was made for samples of thousands. Among some dozens of values or
    more, n of them, from the reference itself the index is about ``(n_bins - 1) / n`` on average:
    a month of days is far above 0.1 by chance alone.

    The p-value takes values for independent. Surfaces of days that follow each other are not, and
    then it is too small.

    References
    ----------
    Siddiqi, N. (2006). Credit Risk Scorecards. Wiley.

    Massey, F. (1951). The Kolmogorov-Smirnov test for goodness of fit. Journal of the American
    Statistical Association 46, 68-78.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.inspection import distribution_drift
    >>> rng = np.random.default_rng(0)
    >>> reference, new = rng.normal(size=(5000, 1)), rng.normal(size=(2000, 1))
    >>> new[1000:] += 1  # in the second year
    >>> distribution_drift(reference, new, periods=np.repeat([2001, 2002], 1000)).round(2)
       period column     n   psi    ks  p_value
    0    2001     x0  1000  0.01  0.03     0.38
    1    2002     x0  1000  0.93  0.40     0.00
    """
    import pandas as pd

    names = getattr(X, "columns", getattr(reference, "columns", None))
    known, new = (_checked(values, name) for values, name in ((reference, "reference"), (X, "X")))
    if known.shape[1] != new.shape[1]:
        raise ValueError(
            f"reference and X must have the same columns; got {known.shape[1]} and {new.shape[1]}."
        )
    columns = [f"x{j}" for j in range(new.shape[1])] if names is None else list(map(str, names))
    labels = np.zeros(len(new), dtype=int) if periods is None else np.asarray(periods)
    check_consistent_length(new, labels)
    rows = [
        {"period": period, "column": name, **_compared(one, other, n_bins)}
        for period in np.unique(labels)
        for name, one, other in zip(columns, known.T, new[labels == period].T, strict=True)
    ]
    return pd.DataFrame(rows)


def _checked(values: ArrayLike, name: str) -> Floats:
    array: Floats = check_array(
        values, dtype=np.float64, ensure_all_finite="allow-nan", input_name=name
    )
    return array


def _compared(reference: Floats, new: Floats, n_bins: int) -> dict[str, Any]:
    reference, new = (values[~np.isnan(values)] for values in (reference, new))
    found = {"n": len(new), "psi": np.nan, "ks": np.nan, "p_value": np.nan}
    if len(reference) and len(new):
        test = ks_2samp(reference, new)
        found["psi"] = stability_index(reference, new, n_bins)
        found["ks"], found["p_value"] = float(test.statistic), float(test.pvalue)
    return found


def stability_index(reference: Floats, new: Floats, n_bins: int) -> float:
    """Population stability index of values, none of which is NaN."""
    edges = np.unique(np.quantile(reference, np.arange(1, n_bins) / n_bins))
    counts = np.array(
        [
            np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
            for values in (reference, new)
        ],
        dtype=np.float64,
    )
    counts = counts[:, counts.any(axis=0)]
    counts += _PRIOR * counts.sum(axis=0) / counts.sum()
    p, q = counts / counts.sum(axis=1, keepdims=True)
    return float((q - p) @ np.log(q / p))
