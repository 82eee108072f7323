"""A regressor's answer, refined by an optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    MultiOutputMixin,
    RegressorMixin,
    clone,
)
from sklearn.utils import Bunch, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.calibration._optimiser import OptimisingCalibrator
from levylearn.utils._sklearn import HasMethods, fit_context

__all__ = ["HybridCalibrator"]

Floats = NDArray[np.float64]


class HybridCalibrator(MetaEstimatorMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """The optimum that is found from where a regressor says that it is.

    The regressor learns the way from surfaces to parameters in `fit`; whatever it predicts is
    where the refiner starts. A surface that is not reproduced from there is searched for from
    some of the refiner's own starts, one fewer than it has free parameters. If none leads
    lower, the regressor was right, and that is the end. If one does, all of the refiner's
    starts race, and the lowest optimum wins.

    Parameters
    ----------
    initial : regressor
        From surfaces to parameters, as a network or a pipeline. Wrap one that is fitted already
        in :class:`sklearn.frozen.FrozenEstimator`.
    refiner : LeastSquaresCalibrator or LBFGSCalibrator
        The optimiser, with its pricer. With ``n_starts=1`` it trusts the regressor blindly.

    Attributes
    ----------
    initial_ : regressor
        The fitted regressor.
    refiner_ : LeastSquaresCalibrator or LBFGSCalibrator
        The fitted optimiser.
    pricer_ : pricer
        The fitted pricer of the refiner.
    parameter_names_ : tuple of str
        Names of the parameters, in column order.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    LeastSquaresCalibrator : Finds its starts itself.

    Notes
    -----
    Noisy surfaces are reproduced by no parameters, so that a good start cannot be told from a
    bad one by the fit that it leads to: valleys differ by less than the noise does from one
    surface to the next. Other starts can tell. Those that end higher are no evidence against
    a start that has reasons of its own, which is why fewer surfaces need a race than in
    :class:`LeastSquaresCalibrator`, where the first start is one of many.

    What the regressor predicts is moved into the refiner's box, and rounded to single
    precision, lest the last digits of its arithmetic, which depend on how many surfaces are
    predicted at once, lead a search another way. A prediction that is no number, or for which
    the model has no price, is no start: the refiner's own are used.

    References
    ----------
    Hernandez, A. (2016). Model calibration with neural networks. SSRN preprint.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from levylearn.calibration import HybridCalibrator, LeastSquaresCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=200, random_state=0)
    >>> refiner = LeastSquaresCalibrator(ContourPricer("variance_gamma", grid))
    >>> calibrator = HybridCalibrator(KNeighborsRegressor(), refiner).fit(X[:-2], y[:-2])
    >>> result = calibrator.calibrate(X[-2:])
    >>> abs(result.initial_parameters / y[-2:] - 1).max() > 0.01
    np.True_
    >>> abs(result.parameters / y[-2:] - 1).max() < 1e-6
    np.True_
    >>> result.fallback
    array([False, False])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "initial": [HasMethods(["fit", "predict"])],
        "refiner": [OptimisingCalibrator],
    }

    def __init__(self, initial: Any, refiner: OptimisingCalibrator) -> None:
        self.initial = initial
        self.refiner = refiner

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike) -> HybridCalibrator:
        """Fit the regressor, and set up the refiner.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces, in the unit of the pricer's output; NaN where there is no quote, if the
            regressor takes it.
        y : array-like of shape (n_samples, n_params)
            Parameters of the surfaces.

        Returns
        -------
        self : HybridCalibrator
            Ready to calibrate any surface on the same grid.

        Raises
        ------
        ValueError
            If the surfaces do not match the pricer's grid, or the parameters its model.
        """
        _, target = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            ensure_all_finite=self._finite(),
            multi_output=True,
            y_numeric=True,
        )
        # Both parts get what the caller gave: a pipeline may want the columns' names.
        self.initial_ = clone(self.initial).fit(X, target)
        self.refiner_ = clone(self.refiner).fit(X, target)
        self.pricer_ = self.refiner_.pricer_
        self.parameter_names_ = self.refiner_.parameter_names_
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Calibrate every surface.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.

        Returns
        -------
        params : ndarray of shape (n_samples, n_params)
            Parameters of the best fit; NaN, with a warning, where there is none.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        """
        initial = self._start(X)
        return self.refiner_.predict(X, initial=initial)

    def calibrate(self, X: ArrayLike) -> Bunch:
        """Calibrate every surface, and tell how it went.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.

        Returns
        -------
        result : Bunch
            As from the refiner, with one entry per surface in each, among them

            - ``parameters``, (n_samples, n_params), of the best fit;
            - ``initial_parameters``, (n_samples, n_params), as the regressor predicts them;
            - ``n_refinements``: surfaces priced with their Jacobian in the search from there;
            - ``fallback``: whether one of the refiner's own starts led lower;
            - ``n_evaluations``: surfaces priced with their Jacobian, over all starts.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        """
        initial = self._start(X)
        result = self.refiner_.calibrate(X, initial=initial)
        return Bunch(**result, initial_parameters=initial.reshape(len(initial), -1))

    def predict_interval(
        self, X: ArrayLike, coverage: float = 0.95, method: str = "profile"
    ) -> Floats:
        """Confidence intervals of the parameters: the refiner's, around the best fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.
        coverage : float, default=0.95
            Probability with which an interval is to contain the parameter.
        method : {"profile", "wald"}, default="profile"
            Which intervals, as in :meth:`LeastSquaresCalibrator.predict_interval`.

        Returns
        -------
        intervals : ndarray of shape (n_samples, n_params, 2)
            Lower and upper ends; NaN where there are no more quotes than parameters, and in
            Wald's for parameters held at a bound or not told apart.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `method` is unknown.
        """
        initial = self._start(X)
        return self.refiner_.predict_interval(X, coverage, initial, method)

    def jacobian(self, X: ArrayLike) -> Floats:
        """Derivatives of the parameters with respect to the quotes: the refiner's.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.

        Returns
        -------
        jacobian : ndarray of shape (n_samples, n_params, n_quotes)
            As from :meth:`LeastSquaresCalibrator.jacobian`.
        """
        return self.refiner_.jacobian(X, initial=self._start(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        initial, refiner = get_tags(self.initial), get_tags(self.refiner)
        tags.input_tags.allow_nan = initial.input_tags.allow_nan and refiner.input_tags.allow_nan
        tags.target_tags.multi_output = initial.target_tags.multi_output
        return tags

    def _start(self, X: ArrayLike) -> Floats:
        """What the regressor predicts, to single precision."""
        check_is_fitted(self)
        validate_data(self, X, dtype=np.float64, ensure_all_finite=self._finite(), reset=False)
        with np.errstate(over="ignore"):
            return np.asarray(self.initial_.predict(X), dtype=np.float32).astype(np.float64)

    def _finite(self) -> bool | str:
        # The regressor judges for itself: what a pipeline allows, its tags do not tell.
        return "allow-nan" if get_tags(self.refiner).input_tags.allow_nan else True
