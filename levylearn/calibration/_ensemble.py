"""Several regressors as one calibrator."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.utils import Bunch

from levylearn.calibration._amortised import AmortisedCalibrator
from levylearn.calibration._members import Member
from levylearn.utils._sklearn import (
    BaseHeterogeneousEnsemble,
    Interval,
    StrOptions,
    fit_context,
    set_random_states,
)

__all__ = ["EnsembleCalibrator"]

Floats = NDArray[np.float64]


class EnsembleCalibrator(BaseHeterogeneousEnsemble, AmortisedCalibrator):
    r"""Several regressors, whose answers are put together parameter by parameter.

    Members learn from the same examples, and none of them sees those that are held out: these
    tell how much each member is worth, and how far off their common answer is.

    Parameters
    ----------
    estimators : list of (str, estimator)
        The members with their names: calibrators, pipelines, any regressors. One that is set
        to ``"drop"`` is left out.
    method : {"mean", "weighted", "stacking"}, default="mean"
        What weights answers have in their mean: equal ones; in inverse proportion to their
        mean squared errors on the held-out examples; or those, none negative, for which the
        mean has the least squared error on the held-out examples.
    n_copies : int, default=1
        Copies of each member, which differ by their seeds. Five copies of one network are a
        deep ensemble.
    validation_fraction : float, default=0.1
        Part of the examples that is held out.
    random_state : int, RandomState instance or None, default=None
        Decides which examples are held out, and the `random_state` of every member.
    n_jobs : int or None, default=None
        Processes that share the members in `fit`.
    verbose : int, default=0
        How much joblib is to tell about progress.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted members.
    named_estimators_ : Bunch
        The fitted members by name; copies have a number at the end, as ``mlp_0``.
    weights_ : ndarray of shape (n_members, n_params)
        What the members' answers are multiplied by; for each parameter they sum to one.
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
    ConformalCalibrator : Intervals for one regressor.

    Notes
    -----
    Weights other than the mean's and intervals come from the same held-out examples, so that
    intervals are a little too narrow if these are few. :class:`ConformalCalibrator` around the
    ensemble holds out others.

    References
    ----------
    Breiman, L. (1996). Stacked regressions. Machine Learning 24, 49-64.

    Lakshminarayanan, B., Pritzel, A. and Blundell, C. (2017). Simple and scalable predictive
    uncertainty estimation using deep ensembles. Advances in Neural Information Processing
    Systems 30.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesRegressor
    >>> from sklearn.neighbors import KNeighborsRegressor
    >>> from levylearn.calibration import EnsembleCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=1000, random_state=0)
    >>> members = [("trees", ExtraTreesRegressor(10)), ("neighbours", KNeighborsRegressor(5))]
    >>> ensemble = EnsembleCalibrator(members, method="weighted", random_state=0).fit(X, y)
    >>> ensemble.predict(X[:3]).shape
    (3, 3)
    >>> ensemble.weights_.sum(axis=0)
    array([1., 1., 1.])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimators": [list],
        "method": [StrOptions({"mean", "weighted", "stacking"})],
        "n_copies": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        method: str = "mean",
        *,
        n_copies: int = 1,
        validation_fraction: float = 0.1,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimators = estimators
        self.method = method
        self.n_copies = n_copies
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any) -> EnsembleCalibrator:
        """Fit the members, and learn from the examples held out how to put them together.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote, if all members allow it.
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
        self._validate_estimators()
        self._fit(X, y, reset=True)
        return self

    def predict_std(self, X: Any) -> Floats:
        """Standard deviation of the members' answers.

        It tells surfaces on which members disagree; it is no standard error of the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote, if all members allow it.

        Returns
        -------
        spread : ndarray of shape (n_samples,) or (n_samples, n_params)
            One row for each surface.
        """
        spread = self._opinions(self._surfaces(X)).std(axis=0)
        return spread if self._y_ndim == 2 else spread[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    # -- one step each ---------------------------------------------------------

    def _learn(self, X: Floats, y: Floats, X_held: Floats, y_held: Floats, seed: int) -> Floats:
        columns = getattr(self, "feature_names_in_", None)
        members = self._copies(seed)
        self._members = Parallel(n_jobs=self.n_jobs, verbose=self.verbose)(
            delayed(Member(regressor, columns).fit)(X, y, self._y_ndim)
            for regressor in members.values()
        )
        self.estimators_ = [member.regressor for member in self._members]
        self.named_estimators_ = Bunch(**dict(zip(members, self.estimators_, strict=True)))
        opinions = self._opinions(X_held)
        known = np.isfinite(opinions).all(axis=(0, 2))
        errors = opinions[:, known] - y_held[known]
        weights = np.stack([_METHODS[self.method](of_one) for of_one in errors.T])
        self.weights_ = weights.T / weights.T.sum(axis=0)
        return X

    def _copies(self, seed: int) -> dict[str, Any]:
        """Members to fit, by name, each with a seed of its own."""
        members = {}
        random = np.random.RandomState(seed)
        for name, regressor in self.estimators:
            if regressor == "drop":
                continue
            for number in range(self.n_copies):
                member = clone(regressor)
                set_random_states(member, random)
                members[name if self.n_copies == 1 else f"{name}_{number}"] = member
        return members

    def _opinions(self, X: Floats) -> Floats:
        """Answers of all members (n_members, n, p)."""
        return np.stack([member.predict(X, len(self.parameter_names_)) for member in self._members])

    def _answer(self, X: Floats) -> Floats:
        return (self._opinions(X) * self.weights_[:, None]).sum(axis=0)


# -- weights (n_members,) from errors (n, n_members), up to their size ---------------


def _mean(errors: Floats) -> Floats:
    return np.full(errors.shape[1], 1.0 / errors.shape[1])


def _inverse_errors(errors: Floats) -> Floats:
    """Weights in inverse proportion to mean squared errors: best where errors have no relation."""
    mean = (errors**2).mean(axis=0)
    return np.where(mean > 0, mean.min() / np.where(mean > 0, mean, 1.0), 1.0)


def _least_squares(errors: Floats) -> Floats:
    """Weights, none negative, for which the squared error of the weighted mean is least.

    It is homogeneous in the weights. So one more equation, that they sum to one, fixes their
    size and leaves their ratios what they are at the optimum.
    """
    size = np.sqrt((errors**2).sum(axis=0).max()) or 1.0
    system = np.vstack([errors / size, np.ones(errors.shape[1])])
    weights: Floats = nnls(system, np.append(np.zeros(len(errors)), 1.0))[0]
    return weights


_METHODS: dict[str, Callable[[Floats], Floats]] = {
    "mean": _mean,
    "weighted": _inverse_errors,
    "stacking": _least_squares,
}
