"""A forward map that is learned from examples."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from levylearn.models import Parameter
from levylearn.utils._sklearn import HasMethods, check_feature_names_in, fit_context

__all__ = ["SurrogatePricer"]

Floats = NDArray[np.float64]

# Polynomials may be of degrees up to this, as long as there are so many samples for each term.
_MOST_DEGREE, _SAMPLES_PER_TERM = 5, 3
_RIDGE = 1e-6
# Of differences, in ranges of the parameters: prices that are learned are smooth.
_STEP = 1e-4
# So many points are priced at a time.
_POINTS = 4096
# Beyond the ends of a range by so much of it is rounding.
_SLACK = 1e-12


class SurrogatePricer(TransformerMixin, BaseEstimator):
    """A pricer that learns from parameters and their surfaces.

    It stands in for a pricer that is slow, as :class:`PIDEPricer` and
    :class:`MonteCarloPricer` are, or for one that cannot be had, and lets a calibrator of
    :mod:`levylearn.calibration` turn it round. It knows nothing beyond the ranges of the
    parameters that it has learned from, and refuses to price there.

    Parameters
    ----------
    regressor : regressor or None, default=None
        What learns surfaces from parameters; it must be smooth, for calibrators follow its
        slopes. None means ridge regression on polynomials of all parameters, of the degree,
        up to five, that does best in cross-validation.

    Attributes
    ----------
    regressor_ : regressor
        The fitted regressor.
    parameters_ : tuple of Parameter
        The parameters, in column order, with the ranges learned from; named as the columns
        of a data frame, or else ``p0``, ``p1``, ...
    n_quotes_ : int
        Number of quotes.
    n_features_in_ : int
        Number of parameters.
    feature_names_in_ : ndarray of str
        Names of the parameters, if `fit` saw any.

    See Also
    --------
    ContourPricer : Exact, wherever there is a characteristic function.

    Notes
    -----
    Derivatives are central differences. Surfaces with a missing quote are not learned from.
    Calibrators can use ``loss="price"`` and ``"relative_price"``; other losses need the
    contracts, which the surrogate does not know.

    Examples
    --------
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import SurrogatePricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=1000, random_state=0)
    >>> pricer = SurrogatePricer().fit(y, X)
    >>> abs(pricer.transform(y) - X).mean() < 0.01
    np.True_
    >>> calibrator = LeastSquaresCalibrator(SurrogatePricer()).fit(X, y)
    >>> abs(calibrator.predict(X[:20]) - y[:20]).mean() < 0.01
    np.True_
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "regressor": [HasMethods(["fit", "predict"]), None],
    }

    def __init__(self, regressor: Any = None) -> None:
        self.regressor = regressor

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike) -> SurrogatePricer:
        """Learn surfaces from parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameters.
        y : array-like of shape (n_samples, n_quotes)
            Their surfaces; those with a quote that is NaN are left out.

        Returns
        -------
        self : SurrogatePricer
            Ready to price.

        Raises
        ------
        ValueError
            If no surface is complete, or a parameter is the same for all.
        """
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None: the surfaces.")
        params = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        surfaces = check_array(y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan")
        check_consistent_length(params, surfaces)
        surfaces = surfaces.reshape(len(params), -1)
        complete = np.isfinite(surfaces).all(axis=1)
        if not complete.any():
            raise ValueError("y must have a surface without missing quotes; every one has some.")
        params, surfaces = params[complete], surfaces[complete]
        self.parameters_ = self._described(params)
        self.n_quotes_ = surfaces.shape[1]
        regressor = _polynomials(*params.shape) if self.regressor is None else self.regressor
        self.regressor_ = clone(regressor).fit(params, surfaces)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Price each parameter set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameters.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            As learned.

        Raises
        ------
        ValueError
            If a parameter is outside of the range learned from.
        """
        check_is_fitted(self)
        params = validate_data(self, X, dtype=np.float64, reset=False)
        low, high = self._ranges()
        beyond = np.argwhere((params < low) | (params > high))
        if beyond.size:
            row, column = beyond[0]
            learned = self.parameters_[column]
            raise ValueError(
                f"{learned.name}={params[row, column]:g} in row {row} is outside "
                f"{learned.domain_text}, the range that was learned from."
            )
        return self.evaluate(params)[0]

    def evaluate(self, params: Floats, gradient: bool = False) -> tuple[Floats, Floats | None]:
        """Price, and differentiate if asked for, without checking anything.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameters.
        gradient : bool, default=False
            Whether derivatives are wanted.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            As learned.
        jacobian : ndarray of shape (n_samples, n_params, n_quotes) or None
            Derivatives of the surfaces, by central differences.
        """
        surfaces = self._priced(params)
        if not gradient:
            return surfaces, None
        low, high = self._ranges()
        step = _STEP * (high - low)
        ends = params[:, None, None] + np.multiply.outer([-1.0, 1.0], np.diag(step))
        prices = self._priced(ends.reshape(-1, params.shape[1]))
        below, above = np.moveaxis(prices.reshape(len(params), 2, len(step), -1), 1, 0)
        return surfaces, (above - below) / (2 * step[:, None])

    def admissible(self, params: Floats) -> NDArray[np.bool_]:
        """Tell whether parameters are within the ranges learned from.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameters.

        Returns
        -------
        inside : ndarray of bool of shape (n_samples,)
            One for each row.
        """
        low, high = self._ranges()
        inside: NDArray[np.bool_] = np.all((low <= params) & (params <= high), axis=1)
        return inside

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the quotes.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the parameters; only checked.

        Returns
        -------
        names : ndarray of str of shape (n_quotes,)
            ``quote0``, ``quote1``, ...
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features)
        return np.array([f"quote{j}" for j in range(self.n_quotes_)], dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _described(self, params: Floats) -> tuple[Parameter, ...]:
        """Parameters with the ranges that they have here."""
        names = getattr(self, "feature_names_in_", [f"p{j}" for j in range(params.shape[1])])
        low, high = params.min(axis=0), params.max(axis=0)
        same = np.flatnonzero(low == high)
        if same.size:
            raise ValueError(
                f"every row has {names[same[0]]}={low[same[0]]:g}: "
                "there is nothing to learn of a parameter that is always the same."
            )
        ranges = zip(low.tolist(), high.tolist(), strict=True)
        return tuple(
            Parameter(name, name, domain=ends, market_range=ends, closed="both")
            for name, ends in zip(names, ranges, strict=True)
        )

    def _ranges(self) -> tuple[Floats, Floats]:
        """Ends of the ranges, with slack for rounding."""
        low, high = np.array([parameter.domain for parameter in self.parameters_]).T
        slack = _SLACK * (high - low)
        return low - slack, high + slack

    def _priced(self, params: Floats) -> Floats:
        """What the regressor predicts, for some points at a time."""
        parts = [
            np.reshape(self.regressor_.predict(params[i : i + _POINTS]), (-1, self.n_quotes_))
            for i in range(0, len(params), _POINTS)
        ]
        return np.concatenate(parts or [np.empty((0, self.n_quotes_))]).astype(np.float64)


def _polynomials(n_samples: int, n_params: int) -> Any:
    """Ridge regression on polynomials, of the degree that predicts best what it has not seen."""
    n_terms = n_samples // _SAMPLES_PER_TERM
    degrees = [d for d in range(1, _MOST_DEGREE + 1) if comb(n_params + d, d) <= n_terms]
    ridge = make_pipeline(MinMaxScaler((-1, 1)), PolynomialFeatures(1), Ridge(_RIDGE))
    if len(degrees) < 2:
        return ridge
    by_degree = {"polynomialfeatures__degree": degrees}
    return GridSearchCV(ridge, by_degree, scoring="neg_mean_squared_error")
