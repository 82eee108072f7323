"""Scores of a calibrator by name, for cross-validation and searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.metrics._answers import NAN_POLICY, average, parameter_sets
from levylearn.metrics._intervals import interval_coverage, interval_score, interval_width
from levylearn.metrics._parameters import (
    PARAMETER_OPTIONS,
    parameter_mae,
    parameter_r2,
    parameter_rmse,
)
from levylearn.metrics._repricing import (
    PRICER,
    errors_in_price,
    errors_in_volatility,
    ready,
    relative_errors,
    repriced,
    share_lost,
    true_surfaces,
    violations,
)
from levylearn.metrics._time import timed_predict
from levylearn.models import CharacteristicModel
from levylearn.utils._sklearn import Interval, StrOptions, validate_params

__all__ = ["CalibrationScorer", "get_calibration_scorer"]

Floats = NDArray[np.float64]

STATISTICS = {"": None, "_median": 0.5, "_p95": 0.95}


class _Trial:
    """One calibration of test surfaces, and what scores need of it, each found once."""

    def __init__(self, options: dict[str, Any], estimator: Any, X: Any, y: Any) -> None:
        self.options = options
        self._estimator, self._X, self._y = estimator, X, y

    @cached_property
    def _timed(self) -> tuple[Any, float]:
        return timed_predict(self._estimator, self._X)

    @property
    def seconds(self) -> float:
        return self._timed[1]

    @cached_property
    def found(self) -> Floats:
        return parameter_sets(self._timed[0], "The answer of the calibrator", lost=True)

    @cached_property
    def truth(self) -> Floats:
        if self._y is None:
            raise ValueError(
                "Without true parameters (y) there are only the scores of repricing, with "
                "against='quotes', the time and the rate of failures."
            )
        return parameter_sets(self._y, "y")

    @cached_property
    def pricer(self) -> Any:
        return self.options["pricer"] and ready(self.options["pricer"])

    @cached_property
    def market(self) -> Floats:
        if self.options["against"] == "quotes":
            return np.asarray(self._X, dtype=np.float64)
        return true_surfaces(self.truth, self.pricer)

    @cached_property
    def model(self) -> Floats:
        return repriced(self.found, self.pricer)

    @cached_property
    def intervals(self) -> Floats:
        intervals: Floats = self._estimator.predict_interval(self._X, self.options["coverage"])
        return intervals

    def some(self, *names: str) -> dict[str, Any]:
        """Options as keywords."""
        return {name: self.options[name] for name in names}


class _Score(NamedTuple):
    """What computes a score, and which option it needs."""

    function: Callable[[_Trial], float]
    needs: str = ""


def _of_parameters(metric: Callable[..., Any], trial: _Trial) -> float:
    options = trial.some("model", "ranges", "order_by", "nan_policy")
    return -metric(trial.truth, trial.found, **options)


def _r2(trial: _Trial) -> float:
    return parameter_r2(trial.truth, trial.found, **trial.some("model", "order_by", "nan_policy"))


def _of_prices(quantile: float | None, trial: _Trial) -> float:
    errors = errors_in_price(trial.market, trial.model)
    return -average(errors, trial.options["nan_policy"], quantile)


def _of_relative_prices(quantile: float | None, trial: _Trial) -> float:
    errors = relative_errors(trial.market, trial.model, trial.pricer)
    return -average(errors, trial.options["nan_policy"], quantile)


def _of_volatilities(quantile: float | None, trial: _Trial) -> float:
    errors = errors_in_volatility(trial.market, trial.model, trial.pricer)
    return -average(errors, trial.options["nan_policy"], quantile)


def _arbitrage(trial: _Trial) -> float:
    return -average(violations(trial.model, trial.pricer), trial.options["nan_policy"])


def _coverage(trial: _Trial) -> float:
    return interval_coverage(trial.truth, trial.intervals, **trial.some("nan_policy"))


def _width(trial: _Trial) -> float:
    options = trial.some("model", "ranges", "nan_policy")
    return -interval_width(trial.truth, trial.intervals, **options)


def _interval_score(trial: _Trial) -> float:
    options = trial.some("coverage", "model", "ranges", "nan_policy")
    return -interval_score(trial.truth, trial.intervals, **options)


_REPRICING = {
    "rmse": _of_prices,
    "mape": _of_relative_prices,
    "implied_vol_rmse": _of_volatilities,
}
OF_PARAMETERS = {
    "parameter_r2": _Score(_r2),
    "neg_parameter_mae": _Score(partial(_of_parameters, parameter_mae), "model"),
    "neg_parameter_rmse": _Score(partial(_of_parameters, parameter_rmse), "model"),
}
OF_REPRICING = {
    **{
        f"neg_repricing_{name}{suffix}": _Score(partial(function, quantile), "pricer")
        for name, function in _REPRICING.items()
        for suffix, quantile in STATISTICS.items()
    },
    "neg_arbitrage_violations": _Score(_arbitrage, "pricer"),
}
OF_INTERVALS = {
    "interval_coverage": _Score(_coverage),
    "neg_interval_width": _Score(_width, "model"),
    "neg_interval_score": _Score(_interval_score, "model"),
}
OF_ANY_KIND = {
    "neg_failure_rate": _Score(lambda trial: -share_lost(trial.found, trial.pricer)),
    "neg_calibration_time": _Score(lambda trial: -trial.seconds),
}
SCORES = OF_PARAMETERS | OF_REPRICING | OF_INTERVALS | OF_ANY_KIND


def _score(name: str, trial: _Trial) -> float:
    return float(SCORES[name].function(trial)) + 0.0  # not -0.0, where there is no error


@validate_params(
    {
        "scores": [str, "array-like", None],
        "pricer": [*PRICER, None],
        **PARAMETER_OPTIONS,
        "against": [StrOptions({"parameters", "quotes"})],
        "coverage": [Interval(Real, 0, 1, closed="neither")],
        "nan_policy": NAN_POLICY,
    },
    prefer_skip_nested_validation=True,
)
def get_calibration_scorer(
    scores: str | Sequence[str] | None = None,
    *,
    pricer: Any = None,
    model: str | CharacteristicModel | None = None,
    ranges: ArrayLike | None = None,
    order_by: str | None = None,
    against: str = "parameters",
    coverage: float = 0.95,
    nan_policy: str = "propagate",
) -> CalibrationScorer:
    """Scorer of calibrators by name, or of several names at once.

    As everywhere in scikit-learn, a greater score is better: what is better when it is less,
    such as an error, is negative and says so in its name. The names are those of the metrics of
    this package:

    - of the parameters: ``"parameter_r2"``, ``"neg_parameter_mae"``, ``"neg_parameter_rmse"``;
    - of their surfaces, priced again: ``"neg_repricing_rmse"``, ``"neg_repricing_mape"``,
      ``"neg_repricing_implied_vol_rmse"``, averages over the surfaces, and each with
      ``"_median"`` or ``"_p95"`` after it, and ``"neg_arbitrage_violations"``;
    - of calibrators with a `predict_interval`: ``"interval_coverage"``,
      ``"neg_interval_width"``, ``"neg_interval_score"``;
    - of any: ``"neg_failure_rate"`` and ``"neg_calibration_time"``, in seconds for a surface.

    Parameters
    ----------
    scores : str, list of str or None, default=None
        One name, or several. None: all there can be with the other arguments, but for those of
        intervals.
    pricer : pricer, default=None
        What prices parameters, for scores of repricing; fitted, if it has something to learn.
    model : str or CharacteristicModel, default=None
        The model, whose market ranges are the unit of errors of parameters. None: that of the
        pricer.
    ranges : array-like of shape (n_params, 2), default=None
        Ranges ``(low, high)`` to take instead of those of the model.
    order_by : str, default=None
        The parameter by which equal parts of the model, such as the factors of Double Heston,
        are put into order before parameters are compared.
    against : {"parameters", "quotes"}, default="parameters"
        Whether surfaces are compared with those of the true parameters `y`, or with those that
        were calibrated, `X`, in the unit of the pricer's output. The latter needs no `y`, and
        is for quotes of a market.
    coverage : float, default=0.95
        Of the intervals.
    nan_policy : {"propagate", "omit"}, default="propagate"
        Whether a score is NaN if it is so for one of the surfaces, for example because that was
        not calibrated, or of the others.

    Returns
    -------
    scorer : CalibrationScorer
        To be called with an estimator, `X` and `y`. For one name it returns a float; for several
        a dictionary, which :func:`~sklearn.model_selection.cross_validate` and searches take.
        All scores come from a single call of `predict`.

    Raises
    ------
    ValueError
        If there is no score of that name, or what it needs is not given.

    See Also
    --------
    sklearn.metrics.make_scorer : Makes a scorer of any single metric of this package.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.metrics import get_calibration_scorer
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid([90, 100, 110], [0.5])
    >>> X, y = make_surfaces("black_scholes", grid, n_samples=64, random_state=0)
    >>> scorer = get_calibration_scorer(
    ...     ["neg_parameter_mae", "neg_repricing_rmse"], pricer=ContourPricer("black_scholes", grid)
    ... )
    >>> search = GridSearchCV(
    ...     Ridge(), {"alpha": [0.1, 10.0]}, scoring=scorer, refit="neg_repricing_rmse"
    ... )
    >>> search.fit(X, y).best_params_
    {'alpha': 0.1}
    """
    if model is None:
        model = getattr(pricer, "model", None)
    given = {
        "pricer": pricer is not None,
        "model": model is not None or ranges is not None,
        "": True,
    }
    if scores is None:
        names = list(OF_REPRICING | OF_ANY_KIND)
        if against == "parameters":
            names = list(OF_PARAMETERS) + names
        scores = [name for name in names if given[SCORES[name].needs]]
    for name in [scores] if isinstance(scores, str) else scores:
        if name not in SCORES:
            raise ValueError(f"scores: there is no {name!r}; there are {', '.join(SCORES)}.")
        if not given[SCORES[name].needs]:
            raise ValueError(f"{name} needs a {SCORES[name].needs}: give it.")
    return CalibrationScorer(
        scores if isinstance(scores, str) else tuple(scores),
        {
            "pricer": pricer,
            "model": model,
            "ranges": ranges,
            "order_by": order_by,
            "against": against,
            "coverage": coverage,
            "nan_policy": nan_policy,
        },
    )


class CalibrationScorer:
    """Scores of a calibrator, from :func:`get_calibration_scorer`.

    Attributes
    ----------
    scores : str or tuple of str
        Their names.
    """

    def __init__(self, scores: str | tuple[str, ...], options: dict[str, Any]) -> None:
        self.scores = scores
        self._options = options

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float | dict[str, float]:
        """Score a fitted calibrator.

        Parameters
        ----------
        estimator : estimator
            The calibrator.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.
        y : array-like of shape (n_samples, n_params), default=None
            Their parameters, where the scores compare with these.

        Returns
        -------
        scores : float or dict of str to float
            One score, or each by its name.
        """
        trial = _Trial(self._options, estimator, X, y)
        if isinstance(self.scores, str):
            return _score(self.scores, trial)
        return {name: _score(name, trial) for name in self.scores}

    def __repr__(self) -> str:
        given = {
            name: value
            for name, value in self._options.items()
            if value is not None and name in ("pricer", "order_by", "against")
        }
        each = "".join(f", {name}={value!r}" for name, value in given.items())
        return f"get_calibration_scorer({self.scores!r}{each})"
