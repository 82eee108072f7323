"""Intervals for the predictions of any regressor."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from levylearn.calibration._amortised import AmortisedCalibrator
from levylearn.calibration._members import Member
from levylearn.utils._sklearn import HasMethods, Interval, fit_context

__all__ = ["ConformalCalibrator"]

Floats = NDArray[np.float64]


class ConformalCalibrator(MetaEstimatorMixin, AmortisedCalibrator):
    r"""Split-conformal intervals around any regressor: a pipeline, a grid search, a calibrator.

    Part of the examples is held out of the regressor's training. Their errors tell how far
    from predictions parameters are to be expected, and with 200 of them or more also where
    predictions are harder and intervals have to be wider.

    Parameters
    ----------
    estimator : estimator
        The regressor. One that has been trained already comes in a
        :class:`sklearn.frozen.FrozenEstimator`; then all examples are held out, none of which
        it may have been trained on.
    validation_fraction : float, default=0.2
        Part of the examples that is held out.
    random_state : int, RandomState instance or None, default=None
        Decides which examples are held out.

    Attributes
    ----------
    estimator_ : estimator
        The fitted regressor.
    appraisal_ : dict
        What the held-out examples tell: ``mean_absolute_error``, ``root_mean_squared_error``
        and ``deviation`` (standard deviation) of each parameter, how many examples were learned
        from and held out, and the versions of the packages.
    training_range_ : TrainingRange
        Least and greatest quotes and parameters of all examples.
    parameter_names_ : tuple of str
        The columns of `y`, if it was a frame; else y0, y1 and so on.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    EnsembleCalibrator : Several regressors, with intervals of the same kind.

    Notes
    -----
    An interval contains the parameter with the stated probability *on average* over surfaces
    drawn as the examples were, whatever their distribution. It promises nothing for one
    surface in particular, nor for surfaces of another distribution.

    References
    ----------
    Lei, J., G'Sell, M., Rinaldo, A., Tibshirani, R. and Wasserman, L. (2018).
    Distribution-free predictive inference for regression. Journal of the American
    Statistical Association 113, 1094-1111.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from levylearn.calibration import ConformalCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=2000, random_state=0)
    >>> regressor = make_pipeline(PCA(5, whiten=True), KNeighborsRegressor(5))
    >>> calibrator = ConformalCalibrator(regressor, random_state=0).fit(X, y)
    >>> calibrator.predict(X[:3]).shape
    (3, 3)
    >>> intervals = calibrator.predict_interval(X[:3], coverage=0.9)
    >>> intervals.shape
    (3, 3, 2)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any, *, validation_fraction: float = 0.2, random_state: Any = None
    ) -> None:
        self.estimator = estimator
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any) -> ConformalCalibrator:
        """Fit the regressor, and learn from the examples held out how far off it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote, if the regressor allows it.
        y : array-like of shape (n_samples,) or (n_samples, n_params)
            Their parameters.

        Returns
        -------
        self : calibrator
            Ready to predict parameters.

        Raises
        ------
        ValueError
            If the examples are malformed, or a hyper-parameter is out of range.
        """
        self._fit(X, y, reset=True)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        tags.target_tags.multi_output = inner.target_tags.multi_output
        return tags

    # -- one step each ---------------------------------------------------------

    def _finiteness(self) -> bool | str:
        # The regressor judges for itself: what a pipeline allows, its tags do not tell.
        return "allow-nan"

    def _quoted(self, X: Floats) -> NDArray[np.bool_]:
        # What it refuses is not for us to leave out.
        if get_tags(self).input_tags.allow_nan:
            return super()._quoted(X)
        return np.ones(len(X), dtype=bool)

    def _divide(self, n: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        learned, held = super()._divide(n, seed)
        if isinstance(self.estimator, FrozenEstimator):
            return learned[:0], np.concatenate([learned, held])
        return learned, held

    def _learn(self, X: Floats, y: Floats, X_held: Floats, y_held: Floats, seed: int) -> Floats:
        columns = getattr(self, "feature_names_in_", None)
        self._member = Member(clone(self.estimator), columns).fit(X, y, self._y_ndim)
        self.estimator_ = self._member.regressor
        return X

    def _answer(self, X: Floats) -> Floats:
        params = self._member.predict(X, len(self.parameter_names_))
        return np.where(super()._quoted(X)[:, None], params, np.nan)
