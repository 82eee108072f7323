"""What the calibrators that learn from examples have in common."""

from __future__ import annotations

import importlib
import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.calibration._card import card_of
from levylearn.calibration._held_out import HeldOutErrors
from levylearn.calibration._training_range import TrainingRange
from levylearn.exceptions import CalibrationWarning, ExtrapolationWarning
from levylearn.utils._sklearn import fit_context

Floats = NDArray[np.float64]


class AmortisedCalibrator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the calibrators that learn the map from surfaces to parameters.

    Part of the examples is held out: it tells when to stop, and how far off predictions are.
    A subclass has the hyper-parameters `validation_fraction` and `random_state`, and
    implements `_learn` and `_answer`; perhaps `_inputs`, if it does not learn from the quotes as
    they are, and `_as_met`, if surfaces are to be met in another state than they come in.
    """

    # Packages besides the base ones whose versions a model card tells.
    _libraries: tuple[str, ...] = ()
    _rows_at_once = 1024

    validation_fraction: float
    random_state: Any
    training_range_: TrainingRange

    @abstractmethod
    def _learn(self, X: Floats, y: Floats, X_held: Floats, y_held: Floats, seed: int) -> Floats:
        """Learn from examples, watch those that are held out; return the inputs learned from."""

    @abstractmethod
    def _answer(self, inputs: Floats) -> Floats:
        """Parameters (n, p) for the inputs that some surfaces make, each with a quote at least."""

    def _inputs(self, X: Floats) -> Floats:
        """Return what is learned from and asked with, for surfaces."""
        return X

    def _traits(self, inputs: Floats) -> Floats:
        """Return what of the inputs is compared with what was learned from."""
        return inputs

    def _quoted(self, X: Floats) -> NDArray[np.bool_]:
        """Which surfaces have any quote."""
        quoted: NDArray[np.bool_] = ~np.isnan(X[:, 0])
        quoted[~quoted] = np.any(~np.isnan(X[~quoted]), axis=1)
        return quoted

    def _as_met(self, X: Floats, seed: int) -> Floats:
        """Surfaces in the state in which they are to be met."""
        return X

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> AmortisedCalibrator:
        """Learn from surfaces whose parameters are known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
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
        return self._fit(X, y, reset=True)

    def predict(self, X: Any) -> Floats:
        """Predict the parameters of surfaces.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        params : ndarray of shape (n_samples,) or (n_samples, n_params)
            One row for each surface; NaN for one without quotes.

        Warns
        -----
        CalibrationWarning
            If a surface has no quotes.
        ExtrapolationWarning
            If a surface, or what is predicted for it, is far from all that was learned from.
        """
        params = self._predicted(self._surfaces(X))
        return params if self._y_ndim == 2 else params[:, 0]

    def predict_interval(self, X: Any, coverage: float = 0.95, joint: bool = False) -> Floats:
        """Intervals for the parameters of surfaces, from the errors on held-out examples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        coverage : float, default=0.95
            Share of the parameters that the intervals are to contain, among surfaces drawn as
            those that were learned from.
        joint : bool, default=False
            Whether all parameters of a surface are to be in their intervals at once with that
            probability, and not each by itself.

        Returns
        -------
        intervals : ndarray of shape (n_samples, n_params, 2)
            Lower and upper ends; infinite where too few examples were held out to tell.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1.

        Warns
        -----
        CalibrationWarning
            If a surface has no quotes.
        ExtrapolationWarning
            If a surface, or what is predicted for it, is far from all that was learned from.
        """
        X = self._surfaces(X)
        return self._intervals(X, self._predicted(X), coverage, joint)

    def model_card(self) -> str:
        """Tell what was learned, from what, and how well.

        Returns
        -------
        card : str
            Markdown: the hyper-parameters, the number of examples, for each parameter the range
            that was learned from and the errors on held-out examples, and the versions of the
            packages.

        Examples
        --------
        >>> import numpy as np
        >>> from levylearn.calibration import MLPCalibrator
        >>> X = np.random.default_rng(0).normal(size=(500, 2))
        >>> calibrator = MLPCalibrator(max_epochs=5, random_state=0).fit(X, X[:, 0])
        >>> print(calibrator.model_card())  # doctest: +ELLIPSIS
        # MLPCalibrator
        ...
        """
        check_is_fitted(self)
        return card_of(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # -- one step each ---------------------------------------------------------

    def _fit(self, X: Any, y: Any, reset: bool) -> AmortisedCalibrator:
        """Learn; unless all is reset, on top of what was learned before."""
        X, y = self._examples(X, y, reset=reset)
        quoted = self._quoted(X)
        if quoted.sum() < 2:
            raise ValueError(
                f"{quoted.sum()} of {len(X)} surfaces in X have quotes; at least 2 are needed."
            )
        X, y = X[quoted], y[quoted]
        seed = self._draw_seed()
        learned, held = self._divide(len(X), seed)
        X_held = self._as_met(X[held], seed)
        inputs = self._learn(X[learned], y[learned], X_held, y[held], seed)
        inputs = np.concatenate([inputs, self._inputs(X_held)])
        seen = TrainingRange(self._traits(inputs), y)
        self.training_range_ = seen if reset else self.training_range_.widened(seen)
        self._appraise(X_held, y[held], len(learned))
        return self

    def _examples(self, X: Any, y: Any, reset: bool) -> tuple[Floats, Floats]:
        names = getattr(y, "columns", None)
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite=self._finiteness(),
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=2,
        )
        y_ndim, y = y.ndim, np.asarray(y, dtype=np.float64).reshape(len(X), -1)
        if reset:
            self._y_ndim = y_ndim
            self.parameter_names_ = tuple(
                map(str, names if names is not None else (f"y{j}" for j in range(y.shape[1])))
            )
        elif y.shape[1] != len(self.parameter_names_):
            raise ValueError(
                f"y has {y.shape[1]} parameters, but {type(self).__name__} has learned "
                f"{len(self.parameter_names_)}: {', '.join(self.parameter_names_)}."
            )
        return X, y

    def _draw_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _divide(self, n: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows to learn from and rows to hold out, at least one of either."""
        n_held = min(max(1, round(self.validation_fraction * n)), n - 1)
        shuffled = np.random.default_rng(seed).permutation(n)
        return shuffled[n_held:], shuffled[:n_held]

    def _appraise(self, X: Floats, y: Floats, n_learned: int) -> None:
        """Keep what the held-out examples tell about errors."""
        predicted = self._answers(X)[0]
        known = np.isfinite(predicted).all(axis=1)
        if not known.any():
            raise ValueError(
                f"None of the {len(X)} surfaces held out could be calibrated: nothing can be said "
                "about errors."
            )
        X, y, predicted = X[known], y[known], predicted[known]
        self._expect_errors(X, y, predicted)
        error = predicted - y
        self.appraisal_ = {
            "n_learned": n_learned,
            "n_held_out": len(X),
            "mean_absolute_error": np.abs(error).mean(axis=0),
            "root_mean_squared_error": np.sqrt((error**2).mean(axis=0)),
            "deviation": y.std(axis=0),
            "versions": _versions(self._libraries),
        }

    def _expect_errors(self, X: Floats, y: Floats, predicted: Floats) -> None:
        """Learn from held-out examples what `_intervals` has to know."""
        self._errors = HeldOutErrors(predicted, y)

    def _intervals(self, X: Floats, params: Floats, coverage: float, joint: bool) -> Floats:
        return self._errors.intervals(params, coverage, joint)

    def _surfaces(self, X: Any) -> Floats:
        check_is_fitted(self)
        finiteness = self._finiteness()
        return validate_data(self, X, dtype=np.float64, ensure_all_finite=finiteness, reset=False)

    def _finiteness(self) -> bool | str:
        """What scikit-learn's validation is to demand of surfaces."""
        return "allow-nan" if get_tags(self).input_tags.allow_nan else True

    def _answers(self, X: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Parameters (n, p) of any surfaces, and whether they are far from all that was seen."""
        params = np.full((len(X), len(self.parameter_names_)), np.nan)
        far = np.zeros(len(X), dtype=bool)
        quoted = self._quoted(X)
        for start in range(0, len(X), self._rows_at_once):
            rows: Any = slice(start, start + self._rows_at_once)
            if not quoted[rows].all():
                rows = start + np.flatnonzero(quoted[rows])
            inputs = self._inputs(X[rows])
            params[rows] = self._answer(inputs)
            far[rows] = self.training_range_.left_by(self._traits(inputs), params[rows])
        return params, far

    def _predicted(self, X: Floats) -> Floats:
        """Parameters (n, p), with the warnings that are due."""
        params, far = self._answers(X)
        _warn_of(
            np.isnan(params).any(axis=1),
            "surfaces could not be calibrated",
            "Their parameters are NaN.",
            CalibrationWarning,
        )
        _warn_of(
            far,
            "surfaces are far from all that was learned from",
            "Their parameters are extrapolated: calibrate them by least squares.",
            ExtrapolationWarning,
        )
        return params


def _warn_of(bad: Any, what: str, consequence: str, category: type[Warning]) -> None:
    if bad.any():
        warnings.warn(
            f"{bad.sum()} of {len(bad)} {what}; the first is row {np.argmax(bad)}. {consequence}",
            category,
            stacklevel=4,
        )


def _versions(libraries: tuple[str, ...]) -> dict[str, str]:
    names = ("levylearn", "sklearn", "numpy", *libraries)
    return {name: str(importlib.import_module(name).__version__) for name in names}
