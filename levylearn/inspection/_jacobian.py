"""Which quotes parameters hang on: derivatives, and the errors that do the most harm."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch, check_array

from levylearn.inspection._frames import as_given
from levylearn.inspection._ranges import widths_of
from levylearn.metrics._parameters import PARAMETER_OPTIONS
from levylearn.utils._sklearn import HasMethods, Interval, StrOptions, validate_params

__all__ = ["jacobian_sensitivity", "worst_case_errors"]

Floats = NDArray[np.float64]

# Numbers in the surfaces that are calibrated at a time.
_NUMBERS = 2_000_000


@validate_params(
    {
        "calibrator": [HasMethods(["predict"])],
        "X": ["array-like"],
        "method": [StrOptions({"auto", "differences"})],
        "step": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def jacobian_sensitivity(
    calibrator: Any, X: ArrayLike, *, method: str = "auto", step: float = 1e-4
) -> Floats:
    """Derivatives of calibrated parameters with respect to the quotes.

    A calibrator that knows its derivatives is asked for them: networks differentiate
    themselves, least squares follow from the implicit function theorem, with the curvature of the
    residuals. Any other is differenced.

    Parameters
    ----------
    calibrator : estimator
        The fitted calibrator, or any regressor or pipeline from surfaces to parameters.
    X : array-like of shape (n_samples, n_quotes)
        Surfaces; NaN where there is no quote.
    method : {"auto", "differences"}, default="auto"
        Whether to take the calibrator's own `jacobian`, if it has one, or central differences
        in any case.
    step : float, default=1e-4
        Of the differences, as a fraction of each quote.

    Returns
    -------
    jacobian : ndarray of shape (n_samples, n_params, n_quotes)
        Change of each parameter per unit of each quote. NaN for quotes that are missing, and for
        surfaces without an answer.

    Warns
    -----
    CalibrationWarning
        If a surface could not be calibrated.

    See Also
    --------
    sobol_sensitivity : Over whole ranges, not at a point.
    worst_case_errors : The errors of quotes that these derivatives fear most.
    sklearn.inspection.permutation_importance : What a fitted calibrator makes use of.

    Notes
    -----
    Differences of an optimiser are as good as its optima: with a step so small that these do not
    move by more than the search's tolerance they are noise. The answer of trees is constant but
    for jumps, and its derivative zero: choose a step of the size of the jumps, or
    :func:`~sklearn.inspection.permutation_importance`.

    References
    ----------
    Nocedal, J. and Wright, S. (2006). Numerical Optimization. 2nd edition. Springer. Chapters 8
    and 12.

    Examples
    --------
    What the volatility of Black and Scholes owes to each of three prices that it reproduces, in
    points per currency unit; and the same by differences:

    >>> import numpy as np
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.inspection import jacobian_sensitivity
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([80, 100, 120], [1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> calibrator = LeastSquaresCalibrator(pricer).fit(X)
    >>> 100 * jacobian_sensitivity(calibrator, X).round(4)
    array([[[0.69, 1.44, 1.04]]])
    >>> 100 * jacobian_sensitivity(calibrator, X, method="differences").round(4)
    array([[[0.69, 1.44, 1.04]]])
    """
    surfaces = _surfaces(X)
    if method == "auto" and hasattr(calibrator, "jacobian"):
        jacobian: Floats = calibrator.jacobian(X)
        return jacobian
    return _differences(lambda some: calibrator.predict(as_given(X, some)), surfaces, step)


def _differences(predict: Any, X: Floats, step: float) -> Floats:
    base = _sets(predict(X))
    jacobian = np.full((*base.shape, X.shape[1]), np.nan)
    answered = np.flatnonzero(~np.isnan(base).any(axis=1))
    n_quotes = X.shape[1]
    size = max(1, _NUMBERS // (2 * n_quotes**2))
    for rows in np.split(answered, range(size, len(answered), size)):
        if not len(rows):
            continue
        # A quote without a size of its own is moved in units of its surface.
        sized = np.abs(X[rows]) > 0
        scale = np.where(sized, X[rows], np.nanmax(np.abs(X[rows]), axis=1, keepdims=True))
        move = step * scale[:, :, None] * np.eye(n_quotes)
        moved = np.concatenate([X[rows, None] + move, X[rows, None] - move])
        found = _sets(predict(moved.reshape(-1, n_quotes))).reshape(2, len(rows), n_quotes, -1)
        change = (found[0] - found[1]) / (2 * step * scale[:, :, None])
        jacobian[rows] = np.swapaxes(change, 1, 2)
    return np.where(np.isnan(X)[:, None, :], np.nan, jacobian)


def _surfaces(X: ArrayLike) -> Floats:
    surfaces: Floats = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
    return surfaces


def _sets(params: Any) -> Floats:
    array = np.asarray(params, dtype=np.float64)
    return array.reshape(len(array), -1)


@validate_params(
    {
        "calibrator": [HasMethods(["predict"])],
        "X": ["array-like"],
        "size": [Interval(Real, 0, None, closed="neither")],
        "model": PARAMETER_OPTIONS["model"],
        "ranges": PARAMETER_OPTIONS["ranges"],
    },
    prefer_skip_nested_validation=True,
)
def worst_case_errors(
    calibrator: Any,
    X: ArrayLike,
    size: float = 0.01,
    *,
    model: Any = None,
    ranges: ArrayLike | None = None,
) -> Bunch:
    r"""Errors of quotes that move the parameters of a surface most.

    Among all errors of one size, root mean square and relative to the quotes, they are those
    along the largest singular direction of the Jacobian, with the parameters in units of their
    ranges. What they do is to be compared with what independent errors of the same size do.

    Parameters
    ----------
    calibrator : estimator
        The fitted calibrator.
    X : array-like of shape (n_samples, n_quotes)
        Surfaces; NaN where there is no quote.
    size : float, default=0.01
        Root mean square of the errors, as fractions of the quotes.
    model : str or CharacteristicModel, default=None
        The model, whose market ranges are the unit. None: that of the calibrator's pricer.
    ranges : array-like of shape (n_params, 2), default=None
        Ranges ``(low, high)`` to take instead of those of the model.

    Returns
    -------
    result : Bunch
        With one entry per surface in each of

        - ``errors``, (n_samples, n_quotes), the worst, in the unit of the surfaces: add them;
        - ``change``, (n_samples, n_params), what the parameters do to first order, in units of
          their ranges;
        - ``usual``, (n_samples, n_params), the standard deviations of that change if errors are
          independent;
        - ``gain``, (n_samples,), the length of the former over that of the latter.

        NaN for surfaces without an answer.

    Raises
    ------
    ValueError
        If neither the calibrator has a pricer, nor `model` or `ranges` is given.

    See Also
    --------
    jacobian_sensitivity : The derivatives.
    robustness_curve : What random errors do, not to first order.

    References
    ----------
    Goodfellow, I., Shlens, J. and Szegedy, C. (2015). Explaining and harnessing adversarial
    examples. International Conference on Learning Representations.

    Examples
    --------
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.inspection import worst_case_errors
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("variance_gamma", OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0]))
    >>> X = pricer.fit([[0.2, 0.4, -0.2]]).transform([[0.2, 0.4, -0.2]])
    >>> worst = worst_case_errors(LeastSquaresCalibrator(pricer).fit(X), X)
    >>> worst.errors.shape, worst.change.round(2)
    ((1, 10), array([[0.02, 0.27, 0.1 ]]))
    """
    surfaces = _surfaces(X)
    jacobian = jacobian_sensitivity(calibrator, X)
    width = widths_of(calibrator, jacobian.shape[1], model, ranges)
    relative = np.abs(surfaces)[:, None, :] * jacobian / width[:, None]
    lost = np.isnan(relative).all(axis=2).any(axis=1)
    missing = np.isnan(relative).any(axis=1)
    relative = np.where(lost[:, None, None] | missing[:, None, :], 0.0, relative)
    left, strength, right = np.linalg.svd(relative, full_matrices=False)
    # The direction is known but for its sign: the parameter that moves most goes up.
    top = np.argmax(np.abs(left[:, :, 0]), axis=1)[:, None]
    sign = np.sign(np.take_along_axis(left[:, :, 0], top, axis=1))
    n_quoted = np.maximum((~np.isnan(surfaces)).sum(axis=1), 1)[:, None]
    length = size * np.sqrt(n_quoted)
    errors = sign * length * right[:, 0] * np.abs(surfaces)
    change = sign * length * strength[:, :1] * left[:, :, 0]
    usual = size * np.linalg.norm(relative, axis=2)
    for part in (errors, change, usual):
        part[lost] = np.nan
    with np.errstate(invalid="ignore"):
        gain = np.linalg.norm(change, axis=1) / np.linalg.norm(usual, axis=1)
    return Bunch(errors=errors, change=change, usual=usual, gain=gain)
