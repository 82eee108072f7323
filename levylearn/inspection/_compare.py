"""Calibrators, and models, side by side."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold, cross_val_predict

from levylearn.calibration import SurfaceRegressor, quote_features
from levylearn.calibration._quotes import Quotes
from levylearn.calibration._surface_regressor import quote_volatilities
from levylearn.inspection._frames import as_given
from levylearn.inspection._robustness import errors_of, pricer_of
from levylearn.metrics import diebold_mariano_test, get_calibration_scorer
from levylearn.metrics._repricing import PRICER
from levylearn.models import get_model
from levylearn.preprocessing import GaussianNoise
from levylearn.utils._sklearn import Interval, StrOptions, validate_params

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare_calibrators", "compare_models"]

Floats = NDArray[np.float64]

_SCORES = (
    "parameter_r2",
    "neg_parameter_mae",
    "neg_repricing_rmse",
    "neg_repricing_rmse_p95",
    "neg_failure_rate",
    "neg_calibration_time",
)
_ROBUSTNESS = ("neg_parameter_mae", "neg_repricing_rmse")


@validate_params(
    {
        "calibrators": [Mapping],
        "X": ["array-like"],
        "y": ["array-like"],
        "pricer": [*PRICER, None],
        "scores": ["array-like", None],
        "noise": [Interval(Real, 0, None, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def compare_calibrators(
    calibrators: Mapping[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    *,
    pricer: Any = None,
    scores: Sequence[str] | None = None,
    noise: float | None = 0.005,
) -> pd.DataFrame:
    """Accuracy, speed, size and robustness of fitted calibrators, on the same surfaces.

    Parameters
    ----------
    calibrators : dict of str to estimator
        Fitted calibrators, by name.
    X : array-like of shape (n_samples, n_quotes)
        Clean surfaces that none of them has learned from, in the unit of the pricer's output.
    y : array-like of shape (n_samples, n_params)
        Their parameters.
    pricer : pricer, default=None
        What prices parameters. None: that of the first calibrator that has one.
    scores : sequence of str, default=None
        Names of scores, as of :func:`~levylearn.metrics.get_calibration_scorer`, of the surfaces
        that have an answer. None: R2 and mean absolute error of the parameters, mean and 95th
        percentile of the repricing errors, rate of failures, and time.
    noise : float or None, default=0.005
        Standard deviation of the normal errors, relative to the quotes, under which errors are
        measured again. None: they are not.

    Returns
    -------
    table : DataFrame
        One row for each calibrator and one column for each score, without ``neg_`` and the sign
        that goes with it; ``calibration_time`` is in seconds for a surface. Then
        ``parameter_mae_noisy`` and ``repricing_rmse_noisy``, and ``size``, that of the pickled
        calibrator in bytes.

    Raises
    ------
    ValueError
        If there is no pricer, or a score is unknown.

    See Also
    --------
    SpeedAccuracyDisplay : A picture of the table.
    robustness_curve : More levels, and other kinds of disturbance.
    compare_models : Models, on quotes.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.inspection import compare_calibrators
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0])
    >>> X, y = make_surfaces("black_scholes", grid, n_samples=60, random_state=0)
    >>> calibrators = {
    ...     "line": LinearRegression(),
    ...     "least squares": LeastSquaresCalibrator(ContourPricer("black_scholes", grid)),
    ... }
    >>> for calibrator in calibrators.values():
    ...     _ = calibrator.fit(X[:40], y[:40])
    >>> table = compare_calibrators(calibrators, X[40:], y[40:])
    >>> table[["repricing_rmse", "repricing_rmse_noisy"]].round(2)
                   repricing_rmse  repricing_rmse_noisy
    line                      0.0                  0.04
    least squares             0.0                  0.02
    """
    import pandas as pd

    with_pricer = (c for c in calibrators.values() if hasattr(c, "pricer_"))
    pricer = pricer_of(next(with_pricer, None), pricer)
    options: dict[str, Any] = {"pricer": pricer, "nan_policy": "omit"}
    clean = get_calibration_scorer(list(scores or _SCORES), **options)
    rough = get_calibration_scorer(list(_ROBUSTNESS), **options)
    noisy = None
    if noise is not None:
        noisy = as_given(X, GaussianNoise(noise, random_state=0).fit_transform(X))
    rows = {}
    for name, calibrator in calibrators.items():
        row = errors_of(calibrator, X, y, clean)
        if noisy is not None:
            found = errors_of(calibrator, noisy, y, rough)
            row.update({f"{score}_noisy": value for score, value in found.items()})
        rows[name] = {**row, "size": len(pickle.dumps(calibrator))}
    return pd.DataFrame.from_dict(rows, orient="index")


@validate_params(
    {
        "models": ["array-like", Mapping],
        "quotes": "no_validation",
        "prices": ["array-like"],
        "loss": [StrOptions({"implied_vol", "price"})],
        "sample_weight": ["array-like", None],
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def compare_models(
    models: Any,
    quotes: Any,
    prices: ArrayLike,
    *,
    loss: str = "implied_vol",
    sample_weight: ArrayLike | None = None,
    n_splits: int = 5,
    random_state: Any = 0,
) -> pd.DataFrame:
    r"""Fit models to the same quotes, and tell which of them the quotes support.

    Parameters
    ----------
    models : list of str or of CharacteristicModel, or dict of str to SurfaceRegressor
        The models, or regressors with bounds and fixed parameters of their own, by name; their
        loss is replaced.
    quotes : OptionGrid, QuoteChain or DataFrame
        The contracts, as :func:`~levylearn.calibration.quote_features` takes them.
    prices : array-like of shape (n_quotes,)
        Prices in currency.
    loss : {"implied_vol", "price"}, default="implied_vol"
        What errors are differences of.
    sample_weight : array-like of shape (n_quotes,), default=None
        Weights of the squared errors.
    n_splits : int, default=5
        Number of parts that the quotes are divided into, at random; each is priced by the model
        that is fitted to the others.
    random_state : int, RandomState instance or None, default=0
        Divides the quotes.

    Returns
    -------
    table : DataFrame
        One row for each model, by increasing ``bic``, with the columns

        - ``n_params``, that were free; ``sse``, the weighted sum of squared errors; ``rmse``;
        - ``aic``, ``bic``: information criteria, the lower the better;
        - ``cv_rmse``, of quotes that the model was not fitted to;
        - ``dm_statistic``, ``dm_p_value``: Diebold and Mariano's test of these errors against
          those of the model with the smallest ``cv_rmse``; positive for larger errors. P-values
          are adjusted by Holm's procedure;
        - ``at_bound``, how many parameters ended at a bound, ``seconds``, to fit.

    Raises
    ------
    ValueError
        If a model has more parameters than there are quotes, or a price has no volatility.

    See Also
    --------
    compare_calibrators : Calibrators of one model.
    levylearn.calibration.SurfaceRegressor : What is fitted.

    Notes
    -----
    The criteria are those of normal errors of one unknown variance:
    :math:`n \log(\mathrm{SSE}/n) + 2 (k + 1)` for Akaike's, and :math:`\log(n)` instead of 2 for
    Schwarz's. They take errors for independent. Those of a model that is wrong are not, along a
    smile, so that differences of a few units mean nothing.

    Quotes have no order in time. For the test they are ordered by maturity and strike, and
    neighbours may be correlated up to the square root of their number.

    References
    ----------
    Akaike, H. (1974). A new look at the statistical model identification. IEEE Transactions on
    Automatic Control 19, 716-723.

    Schwarz, G. (1978). Estimating the dimension of a model. The Annals of Statistics 6,
    461-464.

    Diebold, F. and Mariano, R. (1995). Comparing predictive accuracy. Journal of Business and
    Economic Statistics 13, 253-263.

    Examples
    --------
    In volatility points, on calls on the S&P 500:

    >>> from levylearn.datasets import load_sp500_2002
    >>> from levylearn.inspection import compare_models
    >>> data = load_sp500_2002()
    >>> table = compare_models(["black_scholes", "variance_gamma"], data.grid, data.prices)
    >>> (100 * table[["rmse", "cv_rmse"]]).round(2)
                    rmse  cv_rmse
    variance_gamma  1.14     1.24
    black_scholes   1.99     2.00
    """
    import pandas as pd

    X, y = quote_features(quotes), np.asarray(prices, dtype=np.float64)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    order = np.lexsort([X["strike"], X["maturity"]])
    folds = KFold(n_splits, shuffle=True, random_state=random_state)
    rows, ahead = {}, {}
    for name, regressor in _regressors(models, loss).items():
        start = time.perf_counter()
        fitted = clone(regressor).fit(X, y, sample_weight=weight)
        seconds = time.perf_counter() - start
        options = {"cv": folds, "params": {"sample_weight": weight}}
        priced = cross_val_predict(regressor, X, y, **options)
        ahead[name] = _errors(X, y, priced, loss)[order] * np.sqrt(weight[order])
        error = _errors(X, y, fitted.predict(X), loss)
        rows[name] = {
            **_criteria(error, weight, fitted),
            "cv_rmse": _root_mean_square(ahead[name], weight),
            "at_bound": int(fitted.at_bound_.sum()),
            "seconds": seconds,
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table[["dm_statistic", "dm_p_value"]] = _against_best(ahead, table["cv_rmse"].idxmin())
    columns = ["n_params", "sse", "rmse", "aic", "bic", "cv_rmse", "dm_statistic", "dm_p_value"]
    return table[[*columns, "at_bound", "seconds"]].sort_values("bic", kind="stable")


def _regressors(models: Any, loss: str) -> dict[str, SurfaceRegressor]:
    if isinstance(models, Mapping):
        return {name: clone(model).set_params(loss=loss) for name, model in models.items()}
    return {get_model(model).name: SurfaceRegressor(model, loss=loss) for model in models}


def _errors(X: pd.DataFrame, market: Floats, model: Floats, loss: str) -> Floats:
    """Differences of prices, or of their implied volatilities."""
    if loss == "price":
        return model - market
    quotes = Quotes.from_matrix(X.to_numpy())
    return quote_volatilities(quotes, model) - quote_volatilities(quotes, market)


def _criteria(error: Floats, weight: Floats, fitted: SurfaceRegressor) -> dict[str, float]:
    n = int(np.count_nonzero(weight))
    k = len(fitted.params_) - len(fitted.fixed or {})
    sse = float(weight @ error**2)
    likelihood = n * np.log(sse / n)
    return {
        "n_params": k,
        "sse": sse,
        "rmse": _root_mean_square(error * np.sqrt(weight), weight),
        "aic": likelihood + 2 * (k + 1),
        "bic": likelihood + np.log(n) * (k + 1),
    }


def _root_mean_square(weighted: Floats, weight: Floats) -> float:
    return float(np.sqrt(np.sum(weighted**2) / weight.sum()))


def _against_best(errors: dict[str, Floats], best: str) -> Floats:
    """Statistic and adjusted p-value of each model's errors against those of the best."""
    others = [name for name in errors if name != best]
    found = np.full((len(errors), 2), np.nan)
    if others:
        one = np.column_stack([errors[name] for name in others])
        test = diebold_mariano_test(one, np.broadcast_to(errors[best][:, None], one.shape))
        found[[name != best for name in errors]] = test[["statistic", "p_adjusted"]]
    return found
