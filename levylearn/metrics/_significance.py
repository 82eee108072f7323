"""Whether errors are more than noise, and whether one calibrator's are less than another's."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.utils import check_array

from levylearn.metrics._p_values import CORRECTION, adjust_p_values
from levylearn.utils._sklearn import Interval, StrOptions, validate_params

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "autocorrelation_test",
    "bias_tests",
    "diebold_mariano_test",
    "normality_tests",
    "significance_tests",
]

Floats = NDArray[np.float64]
# A statistic and a p-value of errors that are not all equal.
_Test = Callable[[Floats], tuple[float, float]]

_LEVEL: dict[str, list[Any]] = {
    "correction": CORRECTION,
    "level": [Interval(Real, 0, 1, closed="neither")],
}
_LAGS: list[Any] = [Interval(Integral, 1, None, closed="left"), None]
_DM_LAGS: list[Any] = [Interval(Integral, 0, None, closed="left"), None]
_LOSS: list[Any] = [StrOptions({"squared", "absolute"})]


@validate_params({"errors": ["array-like"], **_LEVEL}, prefer_skip_nested_validation=True)
def bias_tests(
    errors: ArrayLike, *, correction: str | None = "holm", level: float = 0.05
) -> pd.DataFrame:
    """Test whether errors are zero on average: Student's t-test, and Wilcoxon's.

    The t-test is about the mean, and relies on many errors or normal ones. Wilcoxon's signed-rank
    test is about the centre of a symmetric distribution, whatever its tails. Both take the errors
    for independent: see :func:`autocorrelation_test`.

    Parameters
    ----------
    errors : array-like of shape (n_samples,) or (n_samples, n_params)
        What was found less what is true, one column for each parameter; the columns of a frame
        give their names. Rows may be NaN, and then so is the result.
    correction : {"holm", "bonferroni"} or None, default="holm"
        How p-values are adjusted, for each test over the parameters.
    level : float, default=0.05
        Of significance.

    Returns
    -------
    table : DataFrame
        A row for each test and parameter, with the columns ``test``, ``parameter``,
        ``statistic``, ``p_value``, ``p_adjusted`` and ``reject``, whether the adjusted p-value is
        at most `level`. NaN, and not rejected, where errors are NaN or all equal.

    Raises
    ------
    ValueError
        If there are less than three errors.

    See Also
    --------
    significance_tests : All tests in one table.

    References
    ----------
    Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1, 80-83.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.metrics import bias_tests
    >>> errors = np.random.default_rng(0).normal(loc=[0.0, 0.5], size=(50, 2))
    >>> bias_tests(errors)[["test", "parameter", "reject"]]
               test parameter  reject
    0             t        y0   False
    1             t        y1    True
    2      Wilcoxon        y0   False
    3      Wilcoxon        y1    True
    """
    return _table(errors, {"t": _t, "Wilcoxon": _wilcoxon}, correction, level)


@validate_params({"errors": ["array-like"], **_LEVEL}, prefer_skip_nested_validation=True)
def normality_tests(
    errors: ArrayLike, *, correction: str | None = "holm", level: float = 0.05
) -> pd.DataFrame:
    """Test whether errors are normal: Shapiro and Wilk's test, and Jarque and Bera's.

    The p-values of the former are approximate, and SciPy warns that they may be inaccurate for
    more than 5000 errors; those of the latter are for many errors.

    Parameters
    ----------
    errors : array-like of shape (n_samples,) or (n_samples, n_params)
        What was found less what is true, one column for each parameter; the columns of a frame
        give their names. Rows may be NaN, and then so is the result.
    correction : {"holm", "bonferroni"} or None, default="holm"
        How p-values are adjusted, for each test over the parameters.
    level : float, default=0.05
        Of significance.

    Returns
    -------
    table : DataFrame
        As from :func:`bias_tests`.

    Raises
    ------
    ValueError
        If there are less than three errors.

    See Also
    --------
    significance_tests : All tests in one table.

    References
    ----------
    Shapiro, S. S. and Wilk, M. B. (1965). An analysis of variance test for normality (complete
    samples). Biometrika 52, 591-611.

    Jarque, C. M. and Bera, A. K. (1980). Efficient tests for normality, homoscedasticity and
    serial independence of regression residuals. Economics Letters 6, 255-259.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.metrics import normality_tests
    >>> errors = np.random.default_rng(0).standard_t(df=3, size=200)
    >>> normality_tests(errors)[["test", "parameter", "reject"]]
               test parameter  reject
    0  Shapiro-Wilk        y0    True
    1   Jarque-Bera        y0    True
    """
    tests: dict[str, _Test] = {"Shapiro-Wilk": _shapiro, "Jarque-Bera": _jarque_bera}
    return _table(errors, tests, correction, level)


@validate_params(
    {"errors": ["array-like"], "lags": _LAGS, **_LEVEL}, prefer_skip_nested_validation=True
)
def autocorrelation_test(
    errors: ArrayLike,
    *,
    lags: int | None = None,
    correction: str | None = "holm",
    level: float = 0.05,
) -> pd.DataFrame:
    r"""Test whether errors depend on those before: Ljung and Box's test.

    Where they do, a calibrator is off for days in the same direction, and tests that take the
    errors for independent, those of bias among them, reject too often. The statistic is
    :math:`n (n + 2) \sum_{k=1}^{m} \hat\rho_k^2 / (n - k)`, for m lags.

    Parameters
    ----------
    errors : array-like of shape (n_samples,) or (n_samples, n_params)
        What was found less what is true, in the order of time, one column for each parameter; the
        columns of a frame give their names. Rows may be NaN, and then so is the result.
    lags : int, default=None
        Number of autocorrelations; None: the lesser of 10 and a fifth of the errors.
    correction : {"holm", "bonferroni"} or None, default="holm"
        How p-values are adjusted over the parameters.
    level : float, default=0.05
        Of significance.

    Returns
    -------
    table : DataFrame
        As from :func:`bias_tests`.

    Raises
    ------
    ValueError
        If there are less than three errors, or not more than lags.

    See Also
    --------
    significance_tests : All tests in one table.

    References
    ----------
    Ljung, G. M. and Box, G. E. P. (1978). On a measure of lack of fit in time series models.
    Biometrika 65, 297-303.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.metrics import autocorrelation_test
    >>> walk = np.cumsum(np.random.default_rng(0).normal(size=100))
    >>> autocorrelation_test(walk)[["test", "parameter", "reject"]]
            test parameter  reject
    0  Ljung-Box        y0    True
    """
    return _table(errors, {"Ljung-Box": _ljung_box(lags)}, correction, level)


@validate_params(
    {
        "errors": ["array-like"],
        "other_errors": ["array-like"],
        "loss": _LOSS,
        "lags": _DM_LAGS,
        **_LEVEL,
    },
    prefer_skip_nested_validation=True,
)
def diebold_mariano_test(
    errors: ArrayLike,
    other_errors: ArrayLike,
    *,
    loss: str = "squared",
    lags: int | None = None,
    correction: str | None = "holm",
    level: float = 0.05,
) -> pd.DataFrame:
    r"""Test whether one calibrator's errors are larger than another's on the same surfaces.

    The difference of the losses of both, :math:`d_t`, is zero on average if neither is better
    [1]_.
    Its mean is divided by a standard deviation that allows for its autocorrelation up to some lag
    L, with Bartlett's weights [2]_, and the result is multiplied by

    .. math:: \sqrt{\frac{n + 1 - 2 h + h (h - 1) / n}{n}}, \quad h = L + 1,

    and compared with Student's distribution of n - 1 degrees of freedom, as Harvey, Leybourne and
    Newbold [3]_ propose for a few dozen errors.

    Parameters
    ----------
    errors : array-like of shape (n_samples,) or (n_samples, n_params)
        Errors of one calibrator, in the order of time; the columns of a frame give their names.
        Rows may be NaN, and then so is the result.
    other_errors : array-like of the same shape
        Errors of the other, on the same surfaces.
    loss : {"squared", "absolute"}, default="squared"
        What is compared.
    lags : int, default=None
        L; None: the square root of the number of errors, rounded down. 0 is for surfaces that
        have no order in time.
    correction : {"holm", "bonferroni"} or None, default="holm"
        How p-values are adjusted over the parameters.
    level : float, default=0.05
        Of significance.

    Returns
    -------
    table : DataFrame
        As from :func:`bias_tests`. A positive statistic means that `errors` are the larger ones.

    Raises
    ------
    ValueError
        If the shapes differ, there are less than three errors, or not more than lags.

    See Also
    --------
    significance_tests : All tests in one table.

    Notes
    -----
    Errors of calibrations last from one day to the next, and a test that takes them for
    independent is no test. Two calibrators are equally good, their errors on 250 days independent
    of each other and each autoregressive with a coefficient of 0.7: at a level of 5 % the test
    calls one better in 25 % of 10,000 such cases without lags, in 9 % with the usual
    ``4 * (n / 100) ** (2 / 9)`` of them, and in 6 % with the default. With a coefficient of 0.9 it
    does so in 53 %, 22 % and 9 %.

    References
    ----------
    .. [1] F. X. Diebold and R. S. Mariano, "Comparing predictive accuracy", Journal of Business
       and Economic Statistics 13 (1995), 253-263.
    .. [2] W. K. Newey and K. D. West, "A simple, positive semi-definite, heteroskedasticity and
       autocorrelation consistent covariance matrix", Econometrica 55 (1987), 703-708.
    .. [3] D. Harvey, S. Leybourne and P. Newbold, "Testing the equality of prediction mean
       squared errors", International Journal of Forecasting 13 (1997), 281-291.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.metrics import diebold_mariano_test
    >>> errors = np.random.default_rng(0).normal(size=(100, 2))
    >>> half = errors * [0.5, -1.0]
    >>> diebold_mariano_test(errors, half)[["test", "parameter", "reject"]]
                  test parameter  reject
    0  Diebold-Mariano        y0    True
    1  Diebold-Mariano        y1   False
    """
    one, names = _columns(errors, "errors")
    other, _ = _columns(other_errors, "other_errors")
    if one.shape != other.shape:
        raise ValueError(
            f"errors and other_errors must have the same shape; got {one.shape} and {other.shape}."
        )
    power = 2 if loss == "squared" else 1
    differences = np.abs(one) ** power - np.abs(other) ** power
    return _tabulated(differences, names, {"Diebold-Mariano": _mean_zero(lags)}, correction, level)


@validate_params(
    {
        "errors": ["array-like"],
        "other_errors": ["array-like", None],
        "loss": _LOSS,
        **_LEVEL,
    },
    prefer_skip_nested_validation=True,
)
def significance_tests(
    errors: ArrayLike,
    other_errors: ArrayLike | None = None,
    *,
    loss: str = "squared",
    correction: str | None = "holm",
    level: float = 0.05,
) -> pd.DataFrame:
    """Test errors for bias, normality and autocorrelation, and compare them with others.

    For models with parts that may be exchanged, such as the factors of Double Heston, parameters
    have to be put into one order before their errors mean anything:
    :func:`~levylearn.preprocessing.order_parts`.

    Parameters
    ----------
    errors : array-like of shape (n_samples,) or (n_samples, n_params)
        What was found less what is true, in the order of time, one column for each parameter; the
        columns of a frame give their names. Rows may be NaN, and then so is the result.
    other_errors : array-like of the same shape, default=None
        Errors of another calibrator on the same surfaces.
    loss : {"squared", "absolute"}, default="squared"
        What is compared of the two.
    correction : {"holm", "bonferroni"} or None, default="holm"
        How p-values are adjusted, for each test over the parameters.
    level : float, default=0.05
        Of significance.

    Returns
    -------
    table : DataFrame
        A row for each test and parameter, with the columns ``test``, ``parameter``,
        ``statistic``, ``p_value``, ``p_adjusted`` and ``reject``, whether the adjusted p-value is
        at most `level`. NaN, and not rejected, where errors are NaN or all equal.

    Raises
    ------
    ValueError
        If there are less than three errors, or the shapes differ.

    See Also
    --------
    bias_tests : Student's t-test and Wilcoxon's.
    normality_tests : Shapiro and Wilk's test and Jarque and Bera's.
    autocorrelation_test : Ljung and Box's test.
    diebold_mariano_test : Whether one calibrator's errors are larger than another's.
    adjust_p_values : Corrections by Holm and Bonferroni.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from levylearn.metrics import significance_tests
    >>> errors = np.random.default_rng(0).normal(loc=[0.0, 0.5], size=(50, 2))
    >>> table = significance_tests(pd.DataFrame(errors, columns=["sigma", "theta"]))
    >>> table.pivot(index="test", columns="parameter", values="reject")
    parameter     sigma  theta
    test
    Jarque-Bera   False  False
    Ljung-Box     False  False
    Shapiro-Wilk  False  False
    Wilcoxon      False   True
    t             False   True
    """
    import pandas as pd

    options: dict[str, Any] = {"correction": correction, "level": level}
    tables = [
        test(errors, **options) for test in (bias_tests, normality_tests, autocorrelation_test)
    ]
    if other_errors is not None:
        tables.append(diebold_mariano_test(errors, other_errors, loss=loss, **options))
    return pd.concat(tables, ignore_index=True)


# -- the tests, of errors that are not all equal --------------------------------------


def _t(errors: Floats) -> tuple[float, float]:
    return tuple(stats.ttest_1samp(errors, 0.0))


def _wilcoxon(errors: Floats) -> tuple[float, float]:
    return tuple(stats.wilcoxon(errors))


def _shapiro(errors: Floats) -> tuple[float, float]:
    return tuple(stats.shapiro(errors))


def _jarque_bera(errors: Floats) -> tuple[float, float]:
    return tuple(stats.jarque_bera(errors))


def _ljung_box(lags: int | None) -> _Test:
    def test(errors: Floats) -> tuple[float, float]:
        n = len(errors)
        m = max(1, min(10, n // 5)) if lags is None else lags
        products = _autocovariances(errors, m)
        correlations = products[1:] / products[0]
        statistic = n * (n + 2) * np.sum(correlations**2 / (n - np.arange(1, m + 1)))
        return statistic, stats.chi2.sf(statistic, m)

    return test


def _mean_zero(lags: int | None) -> _Test:
    """Whether the mean is zero, with autocorrelation up to a lag, for a few dozen values."""

    def test(differences: Floats) -> tuple[float, float]:
        n = len(differences)
        last = math.isqrt(n) if lags is None else lags
        weights = 2.0 * (1 - np.arange(last + 1) / (last + 1))
        weights[0] = 1.0
        variance = weights @ _autocovariances(differences, last) / n
        h = last + 1
        statistic = np.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n / variance) * differences.mean()
        return statistic, 2 * stats.t.sf(np.abs(statistic), n - 1)

    return test


def _autocovariances(values: Floats, lags: int) -> Floats:
    """Autocovariances at lags 0 to `lags`."""
    n = len(values)
    if lags >= n:
        raise ValueError(f"There must be more errors than lags; got {n} errors and {lags} lags.")
    centred = values - values.mean()
    return np.array([centred[k:] @ centred[: n - k] for k in range(lags + 1)]) / n


# -- tables ------------------------------------------------------------------------


def _columns(errors: ArrayLike, argument: str) -> tuple[Floats, list[str]]:
    """Errors (n, p), and the names of the columns."""
    checked: Floats = check_array(
        np.asarray(errors),
        ensure_2d=False,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        ensure_min_samples=3,
        input_name=argument,
    )
    values = checked.reshape(len(checked), -1)
    names = getattr(errors, "columns", [f"y{j}" for j in range(values.shape[1])])
    return values, list(map(str, names))


def _table(
    errors: ArrayLike, tests: dict[str, _Test], correction: str | None, level: float
) -> pd.DataFrame:
    return _tabulated(*_columns(errors, "errors"), tests, correction, level)


def _tabulated(
    values: Floats,
    names: list[str],
    tests: dict[str, _Test],
    correction: str | None,
    level: float,
) -> pd.DataFrame:
    import pandas as pd

    parts = []
    for name, test in tests.items():
        found = np.array([_or_nan(test, column) for column in values.T])
        adjusted = adjust_p_values(found[:, 1], correction)
        parts.append(
            pd.DataFrame(
                {
                    "test": name,
                    "parameter": names,
                    "statistic": found[:, 0],
                    "p_value": found[:, 1],
                    "p_adjusted": adjusted,
                    "reject": adjusted <= level,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _or_nan(test: _Test, errors: Floats) -> tuple[float, float]:
    """Result of a test; NaN where errors are missing, or all equal as of a fixed parameter."""
    if np.isnan(errors).any() or np.ptp(errors) == 0:
        return np.nan, np.nan
    return test(errors)
