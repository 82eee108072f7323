"""Parameters to coordinates without bounds, and back."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from levylearn.exceptions import CalibrationWarning
from levylearn.models import CharacteristicModel, get_model
from levylearn.preprocessing._parts import EqualParts
from levylearn.utils._sklearn import StrOptions, check_feature_names_in, fit_context

__all__ = ["ParameterTransformer"]

Floats = NDArray[np.float64]

# How close to an end that belongs to the domain a coordinate can tell, in market ranges.
_EDGE = 1e-12


class ParameterTransformer(TransformerMixin, BaseEstimator):
    r"""Parameters of a model to coordinates that may take any value, and back.

    A regressor knows nothing of domains. As the transformer of a
    :class:`~sklearn.compose.TransformedTargetRegressor` this class lets it learn and predict
    coordinates, and every parameter that comes back is in its domain.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    within : {"domain", "bounds"}, default="domain"
        Where parameters live: wherever the model exists, or in the box that a calibration
        stays in (`Parameter.bounds`).
    order_by : str or None, default=None
        For sums of equal parts, such as the two factors of Double Heston, which may be exchanged:
        the parameter of the part, as "kappa", by which they are put into decreasing order. None:
        parts stay where they are.

    Attributes
    ----------
    model_ : CharacteristicModel
        The model.
    n_features_in_ : int
        Number of parameters.
    feature_names_in_ : ndarray of str
        Names of the parameters, if `fit` saw any.

    See Also
    --------
    sklearn.compose.TransformedTargetRegressor : Where it belongs.
    order_parts : Puts equal parts into order, and does nothing else.

    Notes
    -----
    The coordinate of a parameter :math:`x` is

    - :math:`\log(x - a)` for a domain that is bounded below, by :math:`a`;
    - :math:`-\log(b - x)` for one that is bounded above, by :math:`b`;
    - :math:`\log(x - a) - \log(b - x)` for an interval;
    - :math:`x` itself for the real line.

    An end that belongs to the domain, as a correlation of -1 does, would be at infinity. A
    parameter that is closer to such an end than 1e-12 of its market range has the coordinate of
    one that is as close as that.

    A domain is not all: NIG asks for :math:`\alpha > \max(|\beta|, |\beta + 1|)`. `transform`
    refuses parameters for which there is no model. In `inverse_transform` one such row need
    not spoil the others: it comes back as NaN, with a warning.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.preprocessing import ParameterTransformer
    >>> params = np.array([[0.04, 1.0, 0.09, 0.5, 0.0]])
    >>> transformer = ParameterTransformer("heston").fit(params)
    >>> z = transformer.transform(params)
    >>> z.round(3)
    array([[-3.219,  0.   , -2.408, -0.693,  0.   ]])
    >>> transformer.inverse_transform(z + 1.0).round(3)
    array([[0.109, 2.718, 0.245, 1.359, 0.462]])

    Every prediction of a regressor is then a set of parameters:

    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.linear_model import LinearRegression
    >>> regressor = TransformedTargetRegressor(
    ...     LinearRegression(), transformer=ParameterTransformer("heston")
    ... )
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "model": [str, CharacteristicModel],
        "within": [StrOptions({"domain", "bounds"})],
        "order_by": [str, None],
    }

    def __init__(
        self,
        model: str | CharacteristicModel,
        within: str = "domain",
        order_by: str | None = None,
    ) -> None:
        self.model = model
        self.within = within
        self.order_by = order_by

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> ParameterTransformer:
        """Check the hyper-parameters and the columns; there is nothing to learn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameter sets, columns in the order of the model.
        y : None
            Ignored.

        Returns
        -------
        self : transformer
            Ready to use.

        Raises
        ------
        ValueError
            If the model is unknown, the columns are not its parameters, or it has no equal parts
            to be put into order.
        """
        self.model_ = get_model(self.model)
        validate_data(self, X, dtype=np.float64)
        self._check_width(self.n_features_in_)
        self._parts = None if self.order_by is None else EqualParts(self.model_, self.order_by)
        parameters = self.model_.parameters
        box = np.array([p.domain if self.within == "domain" else p.bounds for p in parameters])
        self._low, self._high = box.T
        # The numbers next to the ends, and how far from them coordinates start.
        limits = box if self.within == "bounds" else np.array([p.limits for p in parameters])
        self._least, self._greatest = limits.T
        edge = _EDGE * np.array([np.ptp(p.market_range) for p in parameters])
        self._edge_low = np.where(self._least == self._low, edge, 0.0)
        self._edge_high = np.where(self._greatest == self._high, edge, 0.0)
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Return the coordinates of parameter sets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        coordinates : ndarray of shape (n_samples, n_params)
            All finite.

        Raises
        ------
        ValueError
            If a parameter is outside its domain (or its box), or a condition on several is not
            met; the message names row, column and value.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        params = self._ordered(self.model_.validate(X))
        self._check_box(params)
        return self._coordinates(params)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Return the parameter sets at coordinates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_params)
            Coordinates.

        Returns
        -------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets; NaN where the model asks for a condition on several parameters
            that is not met.

        Raises
        ------
        ValueError
            If the number of columns is another, or a coordinate is not finite.

        Warns
        -----
        CalibrationWarning
            If a row is NaN.
        """
        check_is_fitted(self)
        coordinates: Floats = check_array(X, dtype=np.float64)
        self._check_width(coordinates.shape[1])
        params = self._ordered(self._parameters(coordinates))
        lost = ~self.model_.admissible(params)
        if lost.any():
            with np.errstate(all="ignore"):
                _, condition = self.model_.joint_constraint(params)
            warnings.warn(
                f"{lost.sum()} of {len(params)} rows of coordinates are no parameters of "
                f"{self.model_.name!r}, first row {np.flatnonzero(lost)[0]}: {condition} does "
                f"not hold. They are NaN.",
                CalibrationWarning,
                stacklevel=2,
            )
            params[lost] = np.nan
        return params

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the coordinates.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the parameters; only checked.

        Returns
        -------
        names : ndarray of str of shape (n_params,)
            Those of the parameters.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features)
        return np.array(self.model_.parameter_names, dtype=object)

    def _check_width(self, width: int) -> None:
        names = self.model_.parameter_names
        if width != len(names):
            raise ValueError(
                f"X has n_features={width}, but {type(self).__name__} of model "
                f"{self.model_.name!r} expects n_features={len(names)}: {', '.join(names)}."
            )

    def _check_box(self, params: Floats) -> None:
        outside = np.argwhere((params < self._least) | (params > self._greatest))
        if len(outside):
            row, j = outside[0]
            raise ValueError(
                f"{self.model_.parameter_names[j]}={params[row, j]:g} in row {row} is outside "
                f"[{self._low[j]:g}, {self._high[j]:g}], its bounds in a calibration."
            )

    def _coordinates(self, params: Floats) -> Floats:
        below, above = np.isfinite(self._low), np.isfinite(self._high)
        from_low = np.where(below, np.maximum(params - self._low, self._edge_low), 1.0)
        from_high = np.where(above, np.maximum(self._high - params, self._edge_high), 1.0)
        return np.where(below | above, np.log(from_low) - np.log(from_high), params)

    def _parameters(self, z: Floats) -> Floats:
        below, above = np.isfinite(self._low), np.isfinite(self._high)
        with np.errstate(all="ignore"):
            params = np.select(
                [below & above, below, above],
                [
                    self._low + (self._high - self._low) * expit(z),
                    self._low + np.exp(z),
                    self._high - np.exp(-z),
                ],
                z,
            )
        # What rounding has put on an end, or beyond.
        return np.clip(params, self._least, self._greatest)

    def _ordered(self, params: Floats) -> Floats:
        return params if self._parts is None else self._parts.ordered(params)
