r"""Derivatives of prices by the market, under the same integral as the price.

A normalised call is, along any line, an integral of :math:`e^{(iv-1)k}\varphi(v)` over the
argument :math:`v` of the characteristic function, with :math:`k = \log(F/K)`. So a derivative
by :math:`k` is a factor :math:`iv - 1`, one by maturity a factor
:math:`\partial_T \log\varphi`: they are to the integral what derivatives of
:math:`\log\varphi` by parameters are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.base import N_BY_MARKET, BasePricer
from levylearn.models import CharacteristicModel
from levylearn.utils._sklearn import HasMethods, fit_context

__all__ = ["GreeksTransformer"]

Floats = NDArray[np.float64]

# Derivatives of an integrand are larger than itself where it ends, by powers of u.
LOG_GREEK = float(np.log(1e-5))
_GREEKS = ("delta", "gamma", "theta", "rho", "vega")


class WithMarket:
    """A model to which the market's variables are parameters, ahead of its own.

    To an integrator it is a model. Its first derivatives are by k, the sum of the first
    and the second by k, and by maturity.

    Parameters
    ----------
    model : CharacteristicModel
        The model.
    """

    # Derivatives by k are not proportional to maturity, whatever the model.
    has_stationary_increments = False

    def __init__(self, model: CharacteristicModel) -> None:
        self.model = model
        self.n_params = N_BY_MARKET + model.n_params

    def kernel(self, u: Any, params: Any, gradient: bool = False) -> Any:
        """Prepare the evaluation at several maturities, as a model does."""
        kernel = self.model.kernel(u, params, gradient)
        if not gradient:
            return kernel
        first = 1j * u - 1
        by_k, by_curvature = first, 1j * u * first

        def evaluate(maturities: Any) -> tuple[Any, list[Any]]:
            value, slopes = kernel(maturities)
            times = [T.item() if T.size == 1 else T for T in maturities]
            by_time = np.stack([self.model.log_cf_rate(u, T, params) for T in times])
            return value, [by_k, by_curvature, by_time, *slopes]

        return evaluate


class GreeksTransformer(MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """Parameters in, sensitivities of option prices out.

    Parameters
    ----------
    pricer : BasePricer
        A pricer that has `greeks`, such as :class:`ContourPricer`.
    greeks : sequence of str, default=("delta", "gamma", "theta", "rho", "vega")
        Which of them, in the order of the columns; "vega" stands for one block of columns
        for each parameter of the model.

    Attributes
    ----------
    pricer_ : BasePricer
        The fitted pricer.
    n_features_in_ : int
        Number of parameters.
    feature_names_in_ : ndarray of str
        Names of the parameters, if `fit` saw any.

    See Also
    --------
    levylearn.base.BasePricer.greeks : What the columns mean, and the same as arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer, GreeksTransformer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([100.0], [1.0]))
    >>> params = np.array([[0.2]])
    >>> greeks = GreeksTransformer(pricer, greeks=["delta", "vega"]).fit(params)
    >>> greeks.get_feature_names_out()
    array(['delta_call_T1_K100', 'vega_sigma_call_T1_K100'], dtype=object)
    >>> greeks.transform(params)
    array([[ 0.53982784, 39.69525475]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "pricer": [HasMethods(["fit", "greeks"])],
        "greeks": [list, tuple],
    }

    def __init__(self, pricer: BasePricer, greeks: Sequence[str] = _GREEKS) -> None:
        self.pricer = pricer
        self.greeks = greeks

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None) -> GreeksTransformer:
        """Fit the pricer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameter sets, columns in the order of the model.
        y : array-like of shape (n_samples, n_quotes), default=None
            Handed on to the pricer.

        Returns
        -------
        self : transformer
            Ready to use.

        Raises
        ------
        ValueError
            If a name is not that of a Greek, or the pricer refuses.
        """
        if not self.greeks or not set(self.greeks) <= set(_GREEKS):
            raise ValueError(f"greeks must be some of {', '.join(_GREEKS)}; got {self.greeks!r}.")
        validate_data(self, X, dtype=np.float64)
        self.pricer_ = clone(self.pricer).set_output(transform="default").fit(X, y)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Differentiate the prices for each parameter set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        greeks : ndarray of shape (n_samples, n_columns)
            All quotes of the first Greek, then those of the next.

        Raises
        ------
        ValueError
            If a parameter is outside its domain.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        found = self.pricer_.greeks(X)
        return np.hstack([found[name].reshape(len(found.price), -1) for name in self.greeks])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the parameters; only checked.

        Returns
        -------
        names : ndarray of str of shape (n_columns,)
            The Greek, for "vega" the parameter, and the quote.
        """
        check_is_fitted(self)
        quotes = self.pricer_.get_feature_names_out(input_features)
        vegas = [f"vega_{parameter.name}" for parameter in self.pricer_.parameters_]
        prefixes = [p for name in self.greeks for p in (vegas if name == "vega" else [name])]
        return np.array([f"{p}_{quote}" for p in prefixes for quote in quotes], dtype=object)
