"""Gradient-boosted trees, one series of them for each parameter."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray

from levylearn.calibration._amortised import AmortisedCalibrator
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import Interval

__all__ = ["GradientBoostingCalibrator"]

Floats = NDArray[np.float64]


class GradientBoostingCalibrator(AmortisedCalibrator):
    """Gradient-boosted trees, by xgboost.

    Each parameter has trees of its own, which are added until the held-out examples stop
    getting better. Trees cut the range of one quote after the other, so that scales do not
    matter, and a missing quote goes the way that served best in training.

    Parameters
    ----------
    n_estimators : int, default=1000
        Most trees for a parameter.
    learning_rate : float, default=0.1
        By which the answer of each tree is multiplied: the smaller, the more trees it takes.
    max_depth : int, default=6
        Most cuts from the root of a tree to a leaf.
    min_child_weight : float, default=1.0
        Fewest examples in a leaf.
    reg_lambda : float, default=1.0
        Penalty on the squares of the leaves' values.
    subsample : float, default=1.0
        Part of the examples that a tree learns from.
    n_iter_no_change : int, default=30
        Trees without a smaller error on the held-out examples after which no more are grown.
        The series ends with the best in any case.
    validation_fraction : float, default=0.1
        Part of the examples that is held out.
    random_state : int, RandomState instance or None, default=None
        Decides which examples are held out, and what a tree gets to see.
    n_jobs : int or None, default=None
        Threads, also in `predict`.
    verbose : int, default=0
        After how many trees each to print the error on held-out examples; 0 prints nothing.

    Attributes
    ----------
    n_trees_ : ndarray of shape (n_params,)
        Number of trees of each parameter.
    appraisal_ : dict
        What the held-out examples tell: ``mean_absolute_error``, ``root_mean_squared_error``
        and ``deviation`` (standard deviation) of each parameter, how many examples were learned
        from and held out, and the versions of the packages.
    training_range_ : TrainingRange
        Least and greatest quotes and parameters that were learned from.
    parameter_names_ : tuple of str
        The columns of `y`, if it was a frame; else y0, y1 and so on.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    EnsembleCalibrator : Several calibrators, and the spread of their answers.
    ConformalCalibrator : Intervals for any regressor.

    Notes
    -----
    Of prices without noise, and without holes, whitened principal components are the better
    quotes: ``make_pipeline(StandardScaler(), PCA(20, whiten=True),
    GradientBoostingCalibrator())``. On 80,000 surfaces of variance gamma (200 quotes) that took a
    tenth of the training time, and errors of nu and theta were smaller by two fifths and a fifth,
    those of sigma larger by a half. With 5 % of noise the quotes as they are are far better: on
    20,000 surfaces their R2 of nu was 0.95, that of components 0.80.

    References
    ----------
    Chen, T. and Guestrin, C. (2016). XGBoost: a scalable tree boosting system. Proceedings of
    the 22nd ACM SIGKDD International Conference on Knowledge Discovery and Data Mining, 785-794.

    Examples
    --------
    >>> from levylearn.calibration import GradientBoostingCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=1000, random_state=0)
    >>> calibrator = GradientBoostingCalibrator(random_state=0).fit(X, y)
    >>> calibrator.predict(X[:3]).shape
    (3, 3)
    >>> calibrator.predict_interval(X[:3], coverage=0.9).shape
    (3, 3, 2)
    """

    _libraries = ("xgboost",)
    _parameter_constraints: dict[str, list[Any]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_depth": [Interval(Integral, 1, None, closed="left")],
        "min_child_weight": [Interval(Real, 0, None, closed="left")],
        "reg_lambda": [Interval(Real, 0, None, closed="left")],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        n_estimators: int = 1000,
        learning_rate: float = 0.1,
        max_depth: int = 6,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        subsample: float = 1.0,
        n_iter_no_change: int = 30,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_depth = max_depth
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.subsample = subsample
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn(self, X: Floats, y: Floats, X_held: Floats, y_held: Floats, seed: int) -> Floats:
        xgboost = import_optional("xgboost", type(self).__name__)
        n_threads = effective_n_jobs(self.n_jobs)
        # The quotes are sorted into bins once, for all parameters.
        seen = xgboost.QuantileDMatrix(X, nthread=n_threads)
        watched = xgboost.QuantileDMatrix(X_held, ref=seen, nthread=n_threads)
        settings = {
            "tree_method": "hist",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.reg_lambda,
            "subsample": self.subsample,
            "seed": seed,
            "nthread": n_threads,
        }
        self._series = []
        for target, target_held in zip(y.T, y_held.T, strict=True):
            scale = Scale(target)
            seen.set_label(scale.to_unit(target))
            watched.set_label(scale.to_unit(target_held))
            booster = xgboost.train(
                settings,
                seen,
                self.n_estimators,
                evals=[(watched, "held_out")],
                early_stopping_rounds=self.n_iter_no_change,
                verbose_eval=self.verbose or False,
            )
            self._series.append(Trees(booster[: booster.best_iteration + 1], scale, n_threads))
        self.n_trees_ = np.array([len(trees) for trees in self._series])
        return X

    def _answer(self, X: Floats) -> Floats:
        return np.column_stack([trees(X) for trees in self._series])


class Scale:
    """Mean and standard deviation of a parameter: xgboost works in single precision.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The parameter, of some surfaces.
    """

    def __init__(self, values: Floats) -> None:
        self.centre = float(values.mean())
        self.unit = float(values.std()) or 1.0

    def to_unit(self, values: Floats) -> Floats:
        """Values in standard deviations from the mean."""
        return (values - self.centre) / self.unit

    def from_unit(self, values: Floats) -> Floats:
        """Values from standard deviations from the mean."""
        return self.centre + self.unit * values


class Trees:
    """The trees of one parameter; what is pickled of them is an array of bytes.

    Parameters
    ----------
    booster : xgboost.Booster
        The trees.
    scale : Scale
        That of the parameter.
    n_threads : int
        How many are to work on an answer.
    """

    def __init__(self, booster: Any, scale: Scale, n_threads: int) -> None:
        self._booster = booster
        self._scale = scale
        self._n_threads = n_threads

    def __len__(self) -> int:
        return int(self._booster.num_boosted_rounds())

    def __call__(self, X: Floats) -> Floats:
        """Parameter (n,) of surfaces (n, m)."""
        return self._scale.from_unit(self._booster.inplace_predict(X).astype(np.float64))

    def __getstate__(self) -> dict[str, Any]:
        saved = np.frombuffer(self._booster.save_raw("ubj"), dtype=np.uint8)
        return {**vars(self), "_booster": saved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        xgboost = import_optional("xgboost", "GradientBoostingCalibrator")
        self._booster = xgboost.Booster(
            {"nthread": self._n_threads}, model_file=bytearray(state["_booster"])
        )
