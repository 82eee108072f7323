"""Calibration with quotes as samples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.calibration._least_squares import LeastSquaresCalibrator
from levylearn.calibration._problem import LOSSES
from levylearn.calibration._quotes import QUOTE_FEATURES, Quotes
from levylearn.calibration._space import ParameterSpace, student_quantile
from levylearn.calibration._status import CalibrationStatus
from levylearn.exceptions import CalibrationWarning
from levylearn.market import implied_volatility
from levylearn.models import CharacteristicModel, get_model
from levylearn.pricing import ContourPricer
from levylearn.utils._sklearn import Interval, StrOptions, check_sample_weight, fit_context

__all__ = ["SurfaceRegressor"]

Floats = NDArray[np.float64]


class SurfaceRegressor(RegressorMixin, BaseEstimator):
    r"""A model fitted to quotes: each quote is a sample.

    Fitting is calibrating, predicting is repricing. Quotes need not lie on a grid, so that
    scikit-learn's tools for choosing between models work on raw chains: cross-validation
    leaves out quotes, a grid search goes over `model`.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    loss : str, default="implied_vol"
        One of "implied_vol", "vega_price", "price", "relative_price", "relative_to_model".
        What is squared and summed: differences of implied volatilities, of prices over the
        vega of the quote, of prices, or of prices over the quote.
    bounds : dict of str to (float, float), default=None
        Bounds that replace those of the model, by the name of the parameter.
    fixed : dict of str to float, default=None
        Parameters that are held fixed, by name.
    n_starts : int or None, default=None
        How many starting points are searched from, unless the first fits exactly; None
        means 16 for up to eight free parameters, and 56 for more.
    n_candidates : int or None, default=None
        Number of points in the market range, and again in the box, from which starting
        points are taken; None means 32 for each free parameter.
    max_evaluations : int, default=200
        How often the quotes are priced, with derivatives, from one start.
    random_state : int, RandomState instance or None, default=0
        Draws the candidates.

    Attributes
    ----------
    params_ : ndarray of shape (n_params,)
        The calibrated parameters.
    parameters_ : dict of str to float
        The same by name.
    standard_errors_ : ndarray of shape (n_params,)
        Their standard errors: NaN for a parameter at a bound, zero for a fixed one.
    covariance_ : ndarray of shape (n_params, n_params)
        Their covariance, from the Gauss-Newton matrix and the residuals' own variance.
    at_bound_ : ndarray of bool of shape (n_params,)
        Whether a parameter ended at a bound of the search.
    rmse_ : float
        Root of the weighted mean squared error of the prices, in currency.
    status_ : CalibrationStatus
        Why the search ended.
    converged_ : bool
        Whether it ended at an optimum.
    message_ : str
        The status in words.
    n_evaluations_ : int
        How often the quotes were priced with derivatives, over all starts.
    model_ : CharacteristicModel
        The model.
    n_features_in_ : int
        Number of columns: five.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    quote_features : Makes X from a chain or a grid.
    LeastSquaresCalibrator : Calibrates many surfaces on one grid.

    Notes
    -----
    Every quote has a forward and a discount factor of its own. Those of one maturity may
    differ, as they do in quotes of several moments; the parameters are the same for all.

    A price outside its no-arbitrage bounds has no implied volatility, and is refused by the
    losses that need one. Such quotes are mostly deep in the money, where
    :meth:`~levylearn.market.QuoteChain.out_of_the_money` leaves them out.

    Weights multiply squared residuals: one over the square of the half spread measures
    residuals in half spreads. An integer weight gives the same parameters as repeating the
    quote. It says nothing about how many quotes there are, though, so that doubling all
    weights leaves standard errors as they are.

    Examples
    --------
    >>> from sklearn.model_selection import KFold, cross_val_score
    >>> from levylearn.calibration import SurfaceRegressor, quote_features
    >>> from levylearn.datasets import load_sp500_2002
    >>> chain = load_sp500_2002().chain
    >>> X, y = quote_features(chain), chain.prices
    >>> regressor = SurfaceRegressor("heston").fit(X, y)
    >>> regressor.parameters_["rho"]
    -0.75
    >>> regressor.predict(X[:2]).round(1)
    array([43.5, 36.2])

    How well quotes are priced that were left out, in index points:

    >>> folds = KFold(5, shuffle=True, random_state=0)
    >>> errors = -cross_val_score(
    ...     SurfaceRegressor("black_scholes"), X, y, cv=folds,
    ...     scoring="neg_root_mean_squared_error",
    ... )
    >>> errors.round(1)
    array([9.2, 9.1, 6.2, 4.2, 6. ])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "model": [str, CharacteristicModel],
        "loss": [StrOptions(set(LOSSES))],
        "bounds": [Mapping, None],
        "fixed": [Mapping, None],
        "n_starts": [Interval(Integral, 1, None, closed="left"), None],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "max_evaluations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        model: str | CharacteristicModel,
        *,
        loss: str = "implied_vol",
        bounds: Mapping[str, tuple[float, float]] | None = None,
        fixed: Mapping[str, float] | None = None,
        n_starts: int | None = None,
        n_candidates: int | None = None,
        max_evaluations: int = 200,
        random_state: Any = 0,
    ) -> None:
        self.model = model
        self.loss = loss
        self.bounds = bounds
        self.fixed = fixed
        self.n_starts = n_starts
        self.n_candidates = n_candidates
        self.max_evaluations = max_evaluations
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> SurfaceRegressor:
        """Calibrate the model to quotes.

        Parameters
        ----------
        X : array-like of shape (n_quotes, 5)
            The contracts, as from :func:`quote_features`: strike, maturity, forward,
            discount, and option type (1 for a call, -1 for a put).
        y : array-like of shape (n_quotes,)
            Their prices, in currency.
        sample_weight : array-like of shape (n_quotes,), default=None
            Weights of the squared residuals. Quotes of weight zero are left out.

        Returns
        -------
        self : SurfaceRegressor
            Calibrated.

        Raises
        ------
        ValueError
            If a row is no contract, a price has no implied volatility although the loss
            needs one, there are fewer quotes than free parameters, or an argument is out
            of range.
        """
        matrix, target = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        prices = np.asarray(target, dtype=np.float64)
        self._check_columns()
        quotes = Quotes.from_matrix(matrix)
        weight = check_sample_weight(
            sample_weight, matrix, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("sample_weight must not all be zero: no quote is left to fit.")
        self.model_ = get_model(self.model)
        self._space = ParameterSpace(self.model_.parameters, self.bounds, self.fixed)
        used = np.flatnonzero(weight)
        self._check_number(len(used))
        self._check_prices(quotes, prices, used)
        self._store(self._calibrate(quotes.take(used), prices[used], weight[used]))
        error = self._price(quotes) - prices
        self.rmse_ = float(np.sqrt(np.average(error**2, weights=weight)))
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Price contracts, which need not be among those of `fit`.

        Parameters
        ----------
        X : array-like of shape (n_quotes, 5)
            The contracts, in the columns of `fit`.

        Returns
        -------
        prices : ndarray of shape (n_quotes,)
            In currency.

        Raises
        ------
        ValueError
            If a row is no contract.
        """
        return self._price(self._quotes(X))

    def predict_implied_vol(self, X: ArrayLike) -> Floats:
        """Black volatilities of the model's prices.

        Parameters
        ----------
        X : array-like of shape (n_quotes, 5)
            The contracts, in the columns of `fit`.

        Returns
        -------
        volatilities : ndarray of shape (n_quotes,)
            NaN where a price has no time value in double precision.

        Raises
        ------
        ValueError
            If a row is no contract.
        """
        return self._evaluate(self._quotes(X), "implied_vol")

    def parameter_interval(self, coverage: float = 0.95) -> Floats:
        """Confidence intervals of the parameters.

        They are Wald's of :meth:`LeastSquaresCalibrator.predict_interval`: Student's, and
        symmetric on the scale on which a parameter is searched for.

        Parameters
        ----------
        coverage : float, default=0.95
            Probability with which an interval is to contain the parameter, if the model is
            right and the quotes' errors are independent and of equal size in units of the
            weighted loss.

        Returns
        -------
        intervals : ndarray of shape (n_params, 2)
            Lower and upper ends; NaN for a parameter at a bound.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.
        """
        check_is_fitted(self)
        space, params = self._space, self.params_[None]
        deviation = self.standard_errors_[None, space.free] / space.slopes(params)
        z, reach = space.coordinates(params), student_quantile(self._freedom, coverage) * deviation
        return space.intervals(np.stack([z - reach, z + reach], axis=2))[0]

    # -- one step each ---------------------------------------------------------

    def _check_columns(self) -> None:
        name = type(self).__name__
        if self.n_features_in_ != len(QUOTE_FEATURES):
            raise ValueError(
                f"X has n_features={self.n_features_in_}, but {name} expects "
                f"n_features={len(QUOTE_FEATURES)}: {', '.join(QUOTE_FEATURES)}."
            )
        given = getattr(self, "feature_names_in_", QUOTE_FEATURES)
        if tuple(given) != QUOTE_FEATURES:
            raise ValueError(
                f"X has columns {', '.join(given)}, but {name} expects, in this order: "
                f"{', '.join(QUOTE_FEATURES)}. quote_features(X) selects and orders them."
            )

    def _check_number(self, n_quotes: int) -> None:
        if n_quotes < self._space.size:
            raise ValueError(
                f"{self.model_.name!r} has {self._space.size} free parameters, and needs at "
                f"least as many quotes of positive weight; got n_samples={n_quotes}. Hold "
                f"parameters fixed, or choose a smaller model."
            )

    def _check_prices(self, quotes: Quotes, prices: Floats, used: NDArray[np.intp]) -> None:
        """Refuse the first price that the loss cannot use."""
        if self.loss == "price":
            return
        usable, lack = prices > 0, "must be positive"
        if self.loss not in ("relative_price", "relative_to_model"):
            usable, lack = quote_volatilities(quotes, prices) > 0, "has no implied volatility"
        bad = used[~usable[used]]
        if bad.size:
            row = bad[0]
            raise ValueError(
                f"y {lack} in row {row}: {prices[row]:g} for the {quotes.option_type[row]} "
                f"of strike {quotes.strike[row]:g}, forward {quotes.forward[row]:g} and "
                f"maturity {quotes.maturity[row]:g}. Leave such quotes out, give them weight "
                f"zero, or choose loss='price'."
            )

    def _calibrate(self, quotes: Quotes, prices: Floats, weight: Floats) -> Bunch:
        """Calibrate to one surface, in units of each quote's discounted forward."""
        if self.loss == "price":
            weight = weight * quotes.unit**2
        calibrator = LeastSquaresCalibrator(
            ContourPricer(self.model_, quotes.grid, output="forward_price"),
            self.loss,
            weights=weight,
            bounds=self.bounds,
            fixed=self.fixed,
            n_starts=self.n_starts,
            n_candidates=self.n_candidates,
            max_evaluations=self.max_evaluations,
            random_state=self.random_state,
        )
        surface = (prices / quotes.unit)[None]
        with warnings.catch_warnings():
            # What would be a warning among many surfaces is an error of the only one.
            warnings.simplefilter("error", CalibrationWarning)
            try:
                return calibrator.fit(surface).calibrate(surface)
            except CalibrationWarning as failure:
                raise ValueError(f"the quotes could not be fitted: {failure}") from None

    def _store(self, result: Bunch) -> None:
        names = self.model_.parameter_names
        self.params_ = result.parameters[0]
        self.parameters_ = dict(zip(names, self.params_.tolist(), strict=True))
        self.standard_errors_ = result.standard_error[0]
        self.covariance_ = result.covariance[0]
        self.at_bound_ = result.at_bound[0]
        self.status_ = CalibrationStatus(result.status[0])
        self.converged_ = bool(result.converged[0])
        self.message_ = result.message[0]
        self.n_evaluations_ = int(result.n_evaluations[0])
        self._freedom = result.surfaces.shape[1] - self._space.size + int(self.at_bound_.sum())

    def _quotes(self, X: ArrayLike) -> Quotes:
        check_is_fitted(self)
        return Quotes.from_matrix(validate_data(self, X, dtype=np.float64, reset=False))

    def _price(self, quotes: Quotes) -> Floats:
        return self._evaluate(quotes, "forward_price") * quotes.unit

    def _evaluate(self, quotes: Quotes, output: str) -> Floats:
        params = self.params_[None]
        pricer = ContourPricer(self.model_, quotes.grid, output=output).fit(params)
        return pricer.evaluate(params)[0][0]


def quote_volatilities(quotes: Quotes, prices: Floats) -> Floats:
    return implied_volatility(
        prices,
        quotes.forward,
        quotes.strike,
        quotes.maturity,
        discount=quotes.discount,
        option_type=quotes.option_type,
    )
