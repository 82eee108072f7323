"""The contract of a calibrator, as tests."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from joblib import hash as content_hash
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone

from levylearn.exceptions import CalibrationWarning, ExtrapolationWarning
from levylearn.models import get_model
from levylearn.testing._common import (
    Contract,
    Floats,
    is_stable_repr,
    recorded_warnings,
    sample_parameters,
)

__all__ = ["check_calibrator"]

_N_SAMPLES = 4


class _CalibratorContract(Contract):
    def __init__(
        self,
        calibrator: BaseEstimator,
        X: ArrayLike | None,
        y: ArrayLike | None,
        tolerance: float,
        random_state: Any,
    ) -> None:
        super().__init__("check_calibrator", calibrator)
        self.calibrator = calibrator
        self.given = X, y
        self.tolerance = tolerance
        self.random_state = random_state
        self.X, self.y = np.empty((0, 0)), np.empty((0, 0))
        self.fitted: Any = calibrator
        self.predicted = np.empty((0, 0))

    @property
    def allows_nan(self) -> bool:
        return bool(self.calibrator.__sklearn_tags__().input_tags.allow_nan)

    def optional(self, method: str) -> Any:
        """Return a method that not every calibrator has, or None."""
        return getattr(self.fitted, method, None)

    def require_fit(self, name: str, params: Floats, X: Floats) -> None:
        """Require parameters to reproduce the surfaces where these are quoted."""
        pricer = getattr(self.fitted, "pricer_", None)
        if pricer is None:
            # Without a forward map at hand the parameters themselves are compared.
            scale = np.std(self.y, axis=0)
            self.require_close(name, params, self.y, self.tolerance * scale)
        else:
            surfaces = np.where(np.isnan(X), np.nan, pricer.evaluate(params)[0])
            size = np.nanmax(np.abs(X), axis=1, keepdims=True)
            self.require_close(f"{name}, repriced,", surfaces, X, self.tolerance * size)


def check_calibrator(
    calibrator: BaseEstimator,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    tolerance: float = 1e-6,
    random_state: Any = 0,
) -> None:
    """Check that a calibrator keeps the contract that users and other parts rely on.

    Checked: shapes and dtypes of `predict` and, where they exist, of `calibrate` and
    `predict_interval`; that clean surfaces are reproduced; that missing quotes are
    left out, and a surface without any is NaN, with a warning, and spoils no other;
    that rows do not depend on each other, and predicting changes nothing; copies,
    pickles and the repr. :func:`sklearn.utils.estimator_checks.check_estimator` checks the rest.

    Parameters
    ----------
    calibrator : estimator
        An instance; it is cloned, not fitted.
    X : array-like of shape (n_samples, n_quotes), default=None
        Clean surfaces to fit it to and to calibrate. By default they are priced by the
        `pricer` of the calibrator, at a few parameter sets over the market ranges.
    y : array-like of shape (n_samples, n_params), default=None
        Parameters of the surfaces.
    tolerance : float, default=1e-6
        How far the repriced surfaces may be off, as a fraction of the dearest quote.
        For a calibrator without a pricer: how far the parameters may be off, in units of
        their standard deviation over `y`.
    random_state : int, RandomState instance or None, default=0
        For the draw of parameter sets.

    Raises
    ------
    AssertionError
        If a rule is broken; the message says which, and by what numbers.

    See Also
    --------
    check_model : The same for models.
    check_pricer : The same for pricers.

    Examples
    --------
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> from levylearn.testing import check_calibrator
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
    >>> check_calibrator(LeastSquaresCalibrator(ContourPricer("variance_gamma", grid)))
    """
    if (X is None) != (y is None):
        raise ValueError("X and y must be given together, or neither.")
    case = _CalibratorContract(calibrator, X, y, tolerance, random_state)
    with warnings.catch_warnings():
        # A quote left out may make a surface look strange to what learned from whole ones.
        for category in (CalibrationWarning, ExtrapolationWarning):
            warnings.simplefilter("ignore", category)
        case.run(_RULES)


# -- rules ---------------------------------------------------------------------------


def _fits(case: _CalibratorContract) -> None:
    """Fitting returns the calibrator, and knows the number of quotes."""
    case.X, case.y = _data(case)
    case.fitted = clone(case.calibrator)
    result = case.fitted.fit(case.X, case.y)
    case.require(result is case.fitted, "fit does not return self.")
    width = case.X.shape[1]
    case.require(case.fitted.n_features_in_ == width, f"n_features_in_ is not {width}.")


def _predicts(case: _CalibratorContract) -> None:
    """A prediction is one row of float64 parameters for each surface."""
    case.predicted = case.fitted.predict(case.X)
    case.require_shape("predict", case.predicted, case.y.shape, "f")
    one = case.fitted.predict(case.X[:1])
    case.require_shape("predict of one surface", one, (1, case.y.shape[1]), "f")


def _reproduces(case: _CalibratorContract) -> None:
    """Clean surfaces are reproduced."""
    case.require_fit("prediction", case.predicted, case.X)


def _predicting_has_no_memory(case: _CalibratorContract) -> None:
    """Predicting changes neither the calibrator nor its argument."""
    X = case.X.copy()
    X.flags.writeable = False
    before = content_hash(vars(case.fitted))
    case.require_close("predict, again,", case.fitted.predict(X), case.predicted, 0.0)
    case.require(content_hash(vars(case.fitted)) == before, "Its attributes have changed.")


def _rows_are_independent(case: _CalibratorContract) -> None:
    """The parameters of a surface do not depend on the others."""
    size = 1e-7 * (1 + np.abs(case.predicted))
    alone = np.concatenate([case.fitted.predict(row[None]) for row in case.X])
    case.require_close("alone, row", alone, case.predicted, size)
    backwards = case.fitted.predict(case.X[::-1])[::-1]
    case.require_close("reversed, row", backwards, case.predicted, size)


def _leaves_missing_quotes_out(case: _CalibratorContract) -> None:
    """Quotes that are NaN are left out, the others are reproduced."""
    if not case.allows_nan:
        return
    X = case.X.copy()
    missing = np.arange(len(X)) % X.shape[1]
    X[np.arange(len(X)), missing] = np.nan
    params = case.fitted.predict(X)
    case.require(np.isfinite(params).all(), "One missing quote makes parameters NaN.")
    if hasattr(case.fitted, "pricer_"):
        case.require_fit("prediction", params, X)


def _warns_of_hopeless_surfaces(case: _CalibratorContract) -> None:
    """A surface without quotes is NaN, with a CalibrationWarning, and spoils no other."""
    if not case.allows_nan:
        return
    X = np.insert(case.X, 1, np.nan, axis=0)
    with recorded_warnings() as caught:
        params = case.fitted.predict(X)
    case.require(np.isnan(params[1]).all(), f"Its parameters are {params[1]}.")
    warned = any(issubclass(warning.category, CalibrationWarning) for warning in caught)
    case.require(warned, "There is no CalibrationWarning.")
    others = np.delete(params, 1, axis=0)
    case.require_close("others", others, case.predicted, 1e-7 * (1 + np.abs(case.predicted)))


def _calibrates(case: _CalibratorContract) -> None:
    """The diagnostics, if there are any, have one entry for each surface."""
    if case.optional("calibrate") is None:
        return
    X = np.insert(case.X, 1, np.nan, axis=0) if case.allows_nan else case.X
    result = case.fitted.calibrate(X)
    (n, _), p = X.shape, case.y.shape[1]
    case.require_shape("parameters", result.parameters, (n, p), "f")
    case.require_close("parameters", result.parameters, case.fitted.predict(X), 0.0)
    for name in ("converged", "status", "message", "rmse", "at_bound", "n_evaluations"):
        if name in result:
            case.require(len(result[name]) == n, f"{name} has {len(result[name])} entries.")
    if "converged" in result and case.allows_nan:
        case.require(not result.converged[1], "A surface without quotes has converged.")
    if "covariance" in result:
        case.require_shape("covariance", result.covariance, (n, p, p), "f")
        twin = np.swapaxes(result.covariance, 1, 2)
        size = np.nan_to_num(np.abs(twin)).max(initial=0.0)
        case.require_close("covariance, transposed,", twin, result.covariance, 1e-9 * size)


def _intervals(case: _CalibratorContract) -> None:
    """Intervals, if there are any, contain the prediction and grow with their coverage."""
    predict_interval = case.optional("predict_interval")
    if predict_interval is None:
        return
    narrow, wide = (predict_interval(case.X, coverage=level) for level in (0.5, 0.95))
    case.require_shape("predict_interval", wide, (*case.y.shape, 2), "f")
    # NaN: nothing can be said, as of a parameter held at a bound.
    known = ~np.isnan(wide).any(axis=2) & ~np.isnan(narrow).any(axis=2)
    slack = 1e-9 * (1 + np.abs(case.predicted))
    for name, inner in (("prediction", case.predicted[..., None]), ("narrow", narrow)):
        inside = (wide[..., 0] <= inner[..., 0] + slack) & (inner[..., -1] <= wide[..., 1] + slack)
        case.require(np.all(inside | ~known), f"The {name} is not within the wide interval.")
    for coverage in (0.0, 1.0, -0.5, 95):
        case.require_value_error(["coverage"], predict_interval, case.X, coverage=coverage)


def _refuses(case: _CalibratorContract) -> None:
    """Surfaces with another number of quotes are refused."""
    narrow = case.X[:, :-1]
    case.require_value_error(["features"], case.fitted.predict, narrow)


def _is_copied(case: _CalibratorContract) -> None:
    """Clones, copies and pickles predict the same, and the repr is stable."""
    size = 1e-9 * (1 + np.abs(case.predicted))
    for how, twin in case.copies(case.fitted):
        case.require_close(how, twin.predict(case.X), case.predicted, size)
    twin = clone(case.fitted)
    random = "random_state" in case.calibrator.get_params(deep=False)
    if not random or isinstance(case.calibrator.random_state, int):
        predicted = twin.fit(case.X, case.y).predict(case.X)
        case.require_close("clone", predicted, case.predicted, size)
    case.require(is_stable_repr(repr(case.calibrator)), f"The repr is {case.calibrator!r}.")


_RULES = (
    _fits,
    _predicts,
    _reproduces,
    _predicting_has_no_memory,
    _rows_are_independent,
    _leaves_missing_quotes_out,
    _warns_of_hopeless_surfaces,
    _calibrates,
    _intervals,
    _refuses,
    _is_copied,
)


# -- helpers -------------------------------------------------------------------------


def _data(case: _CalibratorContract) -> tuple[Floats, Floats]:
    X, y = case.given
    if X is not None:
        return np.array(X, dtype=np.float64), np.array(y, dtype=np.float64)
    pricer: Any = getattr(case.calibrator, "pricer", None)
    case.require(pricer is not None, "It has no pricer to make surfaces with: give X and y.")
    model = get_model(pricer.model)
    params = sample_parameters(model.parameters, model.admissible, _N_SAMPLES, case.random_state)
    pricer = clone(pricer).set_output(transform="default")
    return pricer.fit(params).transform(params), params
