"""What every pricer has in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.market import OptionGrid, black_vega, implied_volatility
from levylearn.models import CharacteristicModel, Parameter, get_model
from levylearn.models._differences import RELATIVE_STEP, derivatives
from levylearn.utils._sklearn import StrOptions, check_feature_names_in, fit_context

__all__ = ["BasePricer"]

Floats = NDArray[np.float64]

# Parameter sets priced at a time are as many as fill arrays of about this many numbers.
_CHUNK_NUMBERS = 500_000
_MAX_CHUNK = 512
# Derivatives of a normalised call that Greeks take, besides those by parameters.
N_BY_MARKET = 3
# Time values below this fraction of the forward are rounding error.
ROUNDING = 16 * float(np.finfo(np.float64).eps)
# What a plan of other parameter sets may cost, as a part of the forward.
NEGLIGIBLE = 1e-12
# The same where prices are only to be compared roughly; and the error that is aimed at there.
ROUGH, ROUGH_ERROR = 1e-7, 1e-8


class BasePricer(TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the pricers: parameters in, option surfaces out.

    A subclass implements `_normalised`, the price of calls over discounted forward, and
    may implement `_normalised_errors`. Bounds, puts, currency, implied volatility, chunks
    and threads are dealt with here, and so are derivatives where it has none.

    Attributes
    ----------
    model_ : CharacteristicModel
        The model.
    parameters_ : tuple of Parameter
        Its parameters, in column order: what calibrators need to know of them.
    n_features_in_ : int
        Number of parameters.
    feature_names_in_ : ndarray of str
        Names of the parameters, if `fit` saw any.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "model": [str, CharacteristicModel],
        "grid": [OptionGrid],
        "output": [StrOptions({"price", "forward_price", "implied_vol"})],
        "n_jobs": [Integral, None],
    }

    # Of differences: as coarse as the errors of prices, where these do not vary smoothly, ask for.
    _relative_step: float = RELATIVE_STEP

    @abstractmethod
    def _normalised(
        self, params: Floats, gradient: bool, *planned: NDArray[Any]
    ) -> tuple[Floats, Floats | None]:
        """Calls over discounted forward (n, m), and their derivatives (n, p, m).

        Derivatives that are wanted and not given are taken by differences. Only a subclass that
        makes plans is ever given one, with what is negligible.
        """

    def _normalised_greeks(self, params: Floats) -> tuple[Floats, Floats]:
        """Calls over discounted forward (n, m), and derivatives (n, N_BY_MARKET + p, m).

        These are by k = log(F/K), the sum of the first and the second by k, by maturity, and
        by the parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} has no Greeks.")

    def _normalised_errors(self, params: Floats) -> Floats:
        """Estimated absolute errors of `_normalised`, of shape (n, m)."""
        raise NotImplementedError(f"{type(self).__name__} has no error estimate.")

    def _more_than_normalised(self) -> Floats:
        """What each option is worth more than `_normalised` says: of puts, by parity."""
        grid = self.grid
        return np.where(grid.is_call, 0.0, grid.strike / grid.forward - 1)

    def _prepare(self) -> None:
        """Compute, in `fit`, what depends on the hyper-parameters alone."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> BasePricer:
        """Check the hyper-parameters and the columns; there is nothing to learn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameter sets, columns in the order of the model.
        y : array-like of shape (n_samples, n_quotes), default=None
            Ignored: the surfaces that a learning pricer would be fitted to.

        Returns
        -------
        self : pricer
            Ready to price.

        Raises
        ------
        ValueError
            If the model is unknown, or the columns are not its parameters.
        """
        self.model_ = get_model(self.model)
        self.parameters_: tuple[Parameter, ...] = self.model_.parameters
        X = validate_data(self, X, dtype=np.float64)
        self._check_columns()
        grid = self.grid
        # An option is what is normalised and so much; a price is so much of that.
        self._parity = self._more_than_normalised()
        self._unit = grid.discount * grid.forward if self.output == "price" else 1.0
        self._prepare()
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Price the options for each parameter set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            In the unit that `output` names.

        Raises
        ------
        ValueError
            If a parameter is outside its domain; the message names row, column, value
            and domain.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.evaluate(self.model_.validate(X))[0]

    def price_and_jacobian(self, params: ArrayLike) -> tuple[Floats, Floats]:
        """Price, and differentiate with respect to the parameters.

        Parameters
        ----------
        params : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            As from :meth:`transform`.
        jacobian : ndarray of shape (n_samples, n_params, n_quotes)
            Derivatives of the surfaces.

        Raises
        ------
        ValueError
            If a parameter is outside its domain.
        """
        check_is_fitted(self)
        surfaces, jacobian = self.evaluate(self.model_.validate(params), gradient=True)
        assert jacobian is not None
        return surfaces, jacobian

    def greeks(self, params: ArrayLike) -> Bunch:
        r"""Sensitivities of the prices in currency, whatever `output` is.

        Parameters
        ----------
        params : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        greeks : Bunch
            With arrays of shape (n_samples, n_quotes)

            - ``price``, in currency;
            - ``delta``, ``gamma``, the first and second derivative by the spot;
            - ``theta``, the price's change per year of calendar time (divide by 365 for a
              day), with spot, rates and parameters held;
            - ``rho``, the derivative by a rate that is shifted at all maturities;

            and ``vega``, of shape (n_samples, n_params, n_quotes), the derivatives by the
            parameters of the model.

        Raises
        ------
        ValueError
            If a parameter is outside its domain.
        NotImplementedError
            If the method of pricing has no Greeks.
        """
        check_is_fitted(self)
        params = self.model_.validate(params)
        layers = 1 + N_BY_MARKET + params.shape[1]
        parts = self._in_chunks(
            lambda rows: self._normalised_greeks(params[rows]), len(params), layers
        )
        values, slopes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self._greeks_in_currency(values, slopes)

    def _greeks_in_currency(self, values: Floats, slopes: Floats) -> Bunch:
        grid = self.grid
        by_k, by_curvature, by_time = np.moveaxis(slopes[:, :N_BY_MARKET], 1, 0)
        # A put over forward is the call and exp(-k) - 1.
        values = values + self._parity
        by_k = by_k - np.where(grid.is_call, 0.0, grid.strike / grid.forward)
        unit = grid.discount * grid.forward
        growth = by_k * (grid.rate - grid.dividend) + by_time - grid.dividend * values
        return Bunch(
            price=unit * values,
            delta=unit / grid.spot * (values + by_k),
            gamma=unit / grid.spot**2 * by_curvature,
            theta=-unit * growth,
            rho=unit * grid.maturity * by_k,
            vega=unit * slopes[:, N_BY_MARKET:],
        )

    def error_estimate(self, params: ArrayLike) -> Floats:
        """Estimate the absolute error of each price.

        Parameters
        ----------
        params : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        errors : ndarray of shape (n_samples, n_quotes)
            In the unit that `output` names.

        Raises
        ------
        ValueError
            If a parameter is outside its domain.
        """
        check_is_fitted(self)
        params = self.model_.validate(params)
        errors = np.concatenate(
            [self._normalised_errors(params[rows]) for rows in self._chunks(len(params))]
        )
        if self.output == "implied_vol":
            with np.errstate(divide="ignore"):
                return errors / self._normalised_vega(self.evaluate(params)[0])
        return errors * self._unit

    def admissible(self, params: Floats) -> NDArray[np.bool_]:
        """Tell for which parameter sets there is a price.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        admissible : ndarray of bool of shape (n_samples,)
            Whether each set is in the domain of the model.
        """
        return self.model_.admissible(params)

    def plan(self, params: Floats, rough: bool = False) -> NDArray[Any] | None:
        """Find out what :meth:`evaluate` can use again at parameter sets close by.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets for which :meth:`admissible` holds.
        rough : bool, default=False
            Whether prices may be wrong by some hundred-millionths of the forward.

        Returns
        -------
        plan : ndarray of shape (n_samples,) or None
            One entry for each set; None, whatever the sets, if there is nothing to use again.
        """
        return None

    def common_plan(self, params: Floats) -> NDArray[Any] | None:
        """Find out what :meth:`evaluate` can use again for all of some parameter sets.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets for which :meth:`admissible` holds, close to each other.

        Returns
        -------
        plan : ndarray of shape (1,) or None
            One entry, to be repeated; None if there is nothing to use again.
        """
        return None

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns of the surfaces.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the parameters; only checked.

        Returns
        -------
        names : ndarray of str of shape (n_quotes,)
            Type, maturity and strike of each quote.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features)
        return self.grid.get_feature_names_out()

    def _check_columns(self) -> None:
        names = self.model_.parameter_names
        described = f"{type(self).__name__} of model {self.model_.name!r}"
        if self.n_features_in_ != len(names):
            raise ValueError(
                f"X has n_features={self.n_features_in_}, but {described} expects "
                f"n_features={len(names)}: {', '.join(names)}."
            )
        given = getattr(self, "feature_names_in_", None)
        if given is not None and tuple(given) != names:
            raise ValueError(
                f"X has columns {', '.join(map(str, given))}, but {described} expects, "
                f"in this order: {', '.join(names)}."
            )

    def _chunks(self, n_samples: int, layers: int = 1) -> list[slice]:
        size = min(max(_CHUNK_NUMBERS // (self.grid.n_quotes * layers), 1), _MAX_CHUNK)
        return [slice(start, start + size) for start in range(0, n_samples, size)]

    def evaluate(
        self,
        params: Floats,
        gradient: bool = False,
        plan: NDArray[Any] | None = None,
        negligible: Floats | float = NEGLIGIBLE,
    ) -> tuple[Floats, Floats | None]:
        """Price parameter sets that are known to be admissible: no checks.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets for which :meth:`admissible` holds.
        gradient : bool, default=False
            Whether derivatives are wanted.
        plan : ndarray of shape (n_samples,), default=None
            From :meth:`plan`, of these parameter sets or of sets close by.
        negligible : float or ndarray of shape (n_samples,), default=1e-12
            How small a part of the forward may be lost by a plan of other sets: those it would
            cost more are planned anew.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            As from :meth:`transform`.
        jacobian : ndarray of shape (n_samples, n_params, n_quotes) or None
            Derivatives of the surfaces.
        """
        planned = [] if plan is None else [plan, np.broadcast_to(negligible, len(params))]

        def price(rows: slice) -> tuple[Floats, Floats | None]:
            return self._surfaces(params[rows], gradient, *(part[rows] for part in planned))

        parts = self._in_chunks(price, len(params), 1 + gradient * params.shape[1])
        if len(parts) == 1:
            return parts[0]
        surfaces, slopes = zip(*parts, strict=True)
        return np.concatenate(surfaces), np.concatenate(slopes) if gradient else None

    def _in_chunks(self, price: Callable[[slice], Any], n_samples: int, layers: int) -> list[Any]:
        """Call a function for slices of the parameter sets, in threads if there are to be."""
        chunks = self._chunks(n_samples, layers)
        if self.n_jobs in (None, 1) or len(chunks) == 1:
            return [price(rows) for rows in chunks]
        parts: list[Any] = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(price)(rows) for rows in chunks
        )
        return parts

    def _surfaces(
        self, params: Floats, gradient: bool, *planned: NDArray[Any]
    ) -> tuple[Floats, Floats | None]:
        values, slopes = self._normalised(params, gradient, *planned)
        if gradient and slopes is None:
            slopes = self._differences(params)
        if self.output == "implied_vol":
            values = self._implied_volatility(values)
            if slopes is not None:
                with np.errstate(divide="ignore", invalid="ignore"):
                    slopes = slopes / self._normalised_vega(values)[:, None, :]
            return values, slopes
        # Where the engine is at its wits' end a derivative can be as large as doubles get.
        with np.errstate(over="ignore"):
            return (values + self._parity) * self._unit, (
                slopes * self._unit if slopes is not None else None
            )

    def _differences(self, params: Floats) -> Floats:
        """Derivatives (n, p, m), by wide steps where these stay where the model exists."""
        slopes = np.empty((*params.shape, self.grid.n_quotes))
        wide = self._may_step_wide(params)
        for rows, step in ((wide, self._relative_step), (~wide, RELATIVE_STEP)):
            if rows.any():
                slopes[rows] = derivatives(
                    lambda moved: self._normalised(moved, False)[0],
                    params[rows],
                    self.parameters_,
                    step,
                )
        return slopes

    def _may_step_wide(self, params: Floats) -> NDArray[np.bool_]:
        """Whether the step of differences is wider than usual, and may be."""
        if self._relative_step <= RELATIVE_STEP:
            return np.zeros(len(params), dtype=bool)
        change = derivatives(
            lambda moved: self.model_.admissible(moved)[:, None].astype(float),
            params,
            self.parameters_,
            self._relative_step,
        )
        return np.abs(change).max(axis=(1, 2)) < 1e-6

    def _implied_volatility(self, calls: Floats) -> Floats:
        """Volatilities from the out-of-the-money side; NaN where rounding hides its value."""
        ratio = self.grid.strike / self.grid.forward
        values = np.where(ratio >= 1, calls, calls - 1 + ratio)
        values = np.where(values > ROUNDING, values, np.nan)
        side = np.where(ratio >= 1, "call", "put")
        return implied_volatility(values, 1.0, ratio, self.grid.maturity, option_type=side)

    def _normalised_vega(self, volatility: Floats) -> Floats:
        """Derivative of a call over forward with respect to its volatility."""
        ratio = self.grid.strike / self.grid.forward
        return black_vega(1.0, ratio, self.grid.maturity, volatility)
