"""What the calibrators that search for each surface's optimum have in common."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.base import BasePricer
from levylearn.calibration._implicit import slopes_of_optima
from levylearn.calibration._levenberg_marquardt import Minimum
from levylearn.calibration._problem import LOSSES, CalibrationProblem, differs_in_volatility
from levylearn.calibration._profile import farthest
from levylearn.calibration._search import Best, Effort, best_of_starts
from levylearn.calibration._space import ParameterSpace, student_quantile
from levylearn.calibration._starts import Candidates
from levylearn.calibration._status import CalibrationStatus
from levylearn.exceptions import CalibrationWarning
from levylearn.models import get_model
from levylearn.utils._coverage import check_coverage
from levylearn.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

Floats = NDArray[np.float64]

_ROWS_AT_ONCE = 512
_INTERVAL_METHODS = ("profile", "wald")
# Candidates in the market range, and again in the box, for each free parameter.
_CANDIDATES = 32
# Errors within this many times those of rounding: no other start is worth trying.
_REPRODUCED = 3e6
# Of the candidates in the market range, how many serve to bring parts of a model back.
_SPARES = 4
_FINAL_TOLERANCE = 1e-11
# From which loss another is come to by new weights, and how often: errors of 5 % of the price leave
# about a thirtieth of the change before every time.
_FIRST = {"relative_to_model": "relative_price"}
_REWEIGHTINGS = 5
# Below what fraction of the strongest direction's slope a direction's is rounding, and the
# squared share in such directions that leaves a coordinate unknown.
_BLIND, _PART = 1e-12, 1e-6


class _Fits(NamedTuple):
    """The minimum found for each surface, how, how many quotes count, and the cost of rounding.

    Also what the model makes of it, if that was asked for; no columns if not.
    """

    minimum: Minimum
    n_first: NDArray[np.intp]
    beaten: NDArray[np.bool_]
    n_quotes: NDArray[np.intp]
    rounding: Floats
    surfaces: Floats


class OptimisingCalibrator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the calibrators that minimise a sum of squares for every surface.

    A subclass implements `_local`, the search from one starting point per surface.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "pricer": [HasMethods(["fit", "evaluate", "admissible"])],
        "loss": [StrOptions(set(LOSSES))],
        "weights": ["array-like", None],
        "half_spread": ["array-like", None],
        "bounds": [Mapping, None],
        "fixed": [Mapping, None],
        "n_starts": [Interval(Integral, 1, None, closed="left"), None],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "max_evaluations": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        pricer: BasePricer,
        loss: str = "price",
        *,
        weights: ArrayLike | None = None,
        half_spread: ArrayLike | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        fixed: Mapping[str, float] | None = None,
        n_starts: int | None = None,
        n_candidates: int | None = None,
        max_evaluations: int = 200,
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.pricer = pricer
        self.loss = loss
        self.weights = weights
        self.half_spread = half_spread
        self.bounds = bounds
        self.fixed = fixed
        self.n_starts = n_starts
        self.n_candidates = n_candidates
        self.max_evaluations = max_evaluations
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @abstractmethod
    def _usual_starts(self, n_free: int) -> int:
        """How many starts, for so many free parameters."""

    @abstractmethod
    def _local(
        self, problem: CalibrationProblem, z: Floats, problems: NDArray[np.intp], effort: Effort
    ) -> Minimum:
        """Search from coordinates z, each for the surface that `problems` names."""

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> OptimisingCalibrator:
        """Set up the problem; nothing is learned from the surfaces.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces, in the unit of the pricer's output; NaN where there is no quote.
        y : array-like of shape (n_samples, n_params), default=None
            Parameters of the surfaces: only a pricer that learns needs them.

        Returns
        -------
        self : calibrator
            Ready to calibrate any surface on the same grid.

        Raises
        ------
        ValueError
            If the surfaces do not match the pricer's grid, or an argument is out of range.
        """
        options = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
        self._y_ndim = 2
        if y is None:
            surfaces = validate_data(self, X, **options)
            params = _market_centre(self.pricer)
        else:
            surfaces, target = validate_data(
                self, X, y, multi_output=True, y_numeric=True, **options
            )
            self._y_ndim = target.ndim
            params = np.asarray(target, dtype=np.float64).reshape(len(surfaces), -1)
        n_quotes = surfaces.shape[1]
        self.pricer_ = clone(self.pricer).set_output(transform="default").fit(params, surfaces)
        self._check_loss()
        self.parameter_names_ = tuple(p.name for p in self.pricer_.parameters_)
        self._space = ParameterSpace(self.pricer_.parameters_, self.bounds, self.fixed)
        self._weights = _per_quote("weights", self.weights, n_quotes, positive=False)
        self._half_spread = _per_quote("half_spread", self.half_spread, n_quotes, positive=True)
        self._draw_candidates(n_quotes)
        return self

    def predict(self, X: ArrayLike, initial: ArrayLike | None = None) -> Floats:
        """Calibrate every surface.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        initial : array-like of shape (n_samples, n_params), default=None
            Where to start first, as in :meth:`calibrate`.

        Returns
        -------
        params : ndarray of shape (n_samples, n_params)
            Parameters of the best fit; NaN, with a warning, where there is none.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        """
        minimum = self._calibrate(self._surfaces(X), initial).minimum
        params = self._parameters(minimum)
        _warn(minimum.status)
        return params if self._y_ndim == 2 else params[:, 0]

    def calibrate(self, X: ArrayLike, initial: ArrayLike | None = None) -> Bunch:
        """Calibrate every surface, and tell how it went.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        initial : array-like of shape (n_samples, n_params), default=None
            Where to start first, because the parameters are known to be about there: those
            of yesterday, or of a network. What is not reproduced from there is searched for
            from the calibrator's own starts, too; with ``n_starts=1`` from there alone.
            A start outside of the bounds is moved to them, one that is NaN is none.

        Returns
        -------
        result : Bunch
            With one entry per surface in each of

            - ``parameters``, (n_samples, n_params);
            - ``covariance``, (n_samples, n_params, n_params), of the parameters, from the
              Gauss-Newton matrix and the residuals' own variance; NaN for parameters held
              at a bound or not told apart by the quotes, zero for fixed ones;
            - ``standard_error``, (n_samples, n_params), its diagonal's square root;
            - ``rmse``, (n_samples,), root mean squared error in the unit of the surfaces;
            - ``loss``, (n_samples,), the sum of squares that was minimised;
            - ``at_bound``, (n_samples, n_params), whether a parameter ended at a bound;
            - ``status``, ``converged``, ``message``: why the search ended;
            - ``n_evaluations``: surfaces priced with their Jacobian, over all starts;
            - ``n_refinements``: those from the first start, until its end was compared;
            - ``fallback``: whether another start than the first led lower;
            - ``surfaces``, (n_samples, n_quotes), the fit: what the pricer makes of the
              parameters, to 1e-11 of the forward.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        """
        X = self._surfaces(X)
        fits = self._calibrate(X, initial, priced=True)
        minimum = fits.minimum
        params = self._parameters(minimum)
        _warn(minimum.status)
        found = np.isfinite(params).all(axis=1)
        at_bound = self._at_bound(minimum)
        variance, _ = self._noise(fits, at_bound)
        covariance, _ = self._spread(minimum, at_bound, variance)
        status = [CalibrationStatus(code) for code in minimum.status]
        return Bunch(
            parameters=params,
            covariance=covariance,
            standard_error=np.sqrt(np.einsum("npp->np", covariance)),
            rmse=_root_mean_square(fits.surfaces - X),
            loss=np.where(found, minimum.cost, np.nan),
            at_bound=at_bound,
            status=np.array(status, dtype=object),
            converged=np.array([code.success for code in status]),
            message=[code.message for code in status],
            n_evaluations=minimum.n_evaluations,
            n_refinements=fits.n_first,
            fallback=fits.beaten,
            surfaces=fits.surfaces,
        )

    def predict_interval(
        self,
        X: ArrayLike,
        coverage: float = 0.95,
        initial: ArrayLike | None = None,
        method: str = "profile",
    ) -> Floats:
        """Confidence intervals of the parameters.

        A value is in a profile-likelihood interval if the other parameters can make up for
        it: the least loss with this value held fixed exceeds the minimum by no more than a
        quantile of F times the variance of the residuals. Where the bound of a parameter is
        met before that, the bound is the end. Wald's intervals are Student's, around the
        best fit, on the scale on which a parameter is searched for: as if prices were linear.
        Where they are, both are the same.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        coverage : float, default=0.95
            Probability with which an interval is to contain the parameter, if the model is
            right and the quotes' errors are independent and of equal size in units of the
            loss.
        initial : array-like of shape (n_samples, n_params), default=None
            Where to start first, as in :meth:`calibrate`.
        method : {"profile", "wald"}, default="profile"
            Which intervals. Those by profile follow bent valleys and stop at bounds, for
            about the cost of another calibration. With ``loss="relative_to_model"``, prices
            of the best fit stay what errors are relative to. Surfaces that are reproduced
            leave no noise to tell the two from each other, and get Wald's.

        Returns
        -------
        intervals : ndarray of shape (n_samples, n_params, 2)
            Lower and upper ends; NaN where there are no more quotes than parameters, and in
            Wald's for parameters held at a bound or not told apart.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `method` is unknown.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated, or the search for an end had no end: the wider
            of Wald's interval and what was found is the answer there.
        """
        if method not in _INTERVAL_METHODS:
            raise ValueError(f"method must be one of {_INTERVAL_METHODS}; got {method!r}.")
        check_coverage(coverage)  # before the work, not after it
        X = self._surfaces(X)
        fits = self._calibrate(X, initial)
        minimum = fits.minimum
        _warn(minimum.status)
        at_bound = self._at_bound(minimum)
        variance, freedom = self._noise(fits, at_bound)
        quantile = student_quantile(freedom, coverage)
        _, deviation = self._spread(minimum, at_bound, variance)
        z, reach = minimum.z, quantile[:, None] * deviation
        ends = np.stack([z - reach, z + reach], axis=2)
        if method == "profile":
            ends, found = self._profiled(X, minimum, quantile**2 * variance, ends)
            _warn_of_lost(~found)
        return self._space.intervals(ends)

    def jacobian(self, X: ArrayLike, initial: ArrayLike | None = None) -> Floats:
        """Derivatives of the parameters with respect to the quotes.

        They are those of the optimum, by the implicit function theorem, the curvature of the
        residuals included: no surface is calibrated again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        initial : array-like of shape (n_samples, n_params), default=None
            Where to start first, as in :meth:`calibrate`.

        Returns
        -------
        jacobian : ndarray of shape (n_samples, n_params, n_quotes)
            Zero for parameters that are fixed or held at a bound; NaN for quotes that are
            missing, and where the quotes do not tell parameters apart.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        """
        X = self._surfaces(X)
        minimum = self._calibrate(X, initial).minimum
        _warn(minimum.status)
        held = self._at_bound(minimum)[:, self._space.free]
        found = np.flatnonzero(minimum.status < CalibrationStatus.NO_QUOTES)
        jacobian = np.full((len(X), len(self.parameter_names_), X.shape[1]), np.nan)
        for start in range(0, len(found), _ROWS_AT_ONCE):
            rows = found[start : start + _ROWS_AT_ONCE]
            jacobian[rows] = self._slopes(X[rows], minimum.z[rows], held[rows])
        return jacobian

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # -- one step each ---------------------------------------------------------

    def _surfaces(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)

    def _check_loss(self) -> None:
        """Refuse losses that need the contracts if the pricer does not know them."""
        if self.loss in ("vega_price", "implied_vol") and not hasattr(self.pricer_, "grid"):
            raise ValueError(
                f"loss={self.loss!r} needs the contracts, which {type(self.pricer_).__name__} "
                "does not know; use 'price' or one of the relative prices."
            )

    def _draw_candidates(self, n_quotes: int) -> None:
        """Price the points of the box from which every surface takes its starts."""
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        n = self.n_candidates or _CANDIDATES * self._space.size
        # Relative to a small price, or as a volatility, a rough one may be far off.
        in_price = getattr(self.pricer_, "output", None) in ("price", "forward_price")
        rough = self.loss == "price" and in_price
        self._candidates = Candidates(self.pricer_, self._space, n, seed, rough)
        priced = self._candidates.surfaces.shape[1]
        if priced != n_quotes:
            raise ValueError(f"X has {n_quotes} quotes, but the grid of the pricer has {priced}.")

    def _calibrate(self, X: Floats, initial: ArrayLike | None, priced: bool = False) -> _Fits:
        first = None if initial is None else self._first_starts(initial, len(X))
        if len(X) > _ROWS_AT_ONCE:  # found once for all processes
            self._candidates.differentiate(np.arange(len(self._candidates.z)))
        parts = self._by_chunks(
            lambda rows: (
                self._calibrate_rows,
                X[rows],
                None if first is None else first[rows],
                priced,
            ),
            len(X),
            _ROWS_AT_ONCE,
            "calibrating",
        )
        minima, *others = zip(*parts, strict=True)
        whole = Minimum(*(np.concatenate(part) for part in zip(*minima, strict=True)))
        return _Fits(whole, *map(np.concatenate, others))

    def _by_chunks(
        self, task: Callable[[slice], tuple[Any, ...]], n: int, size: int, what: str
    ) -> list[Any]:
        """Results of the tasks, a function and its arguments, that n rows are cut into."""
        chunks = [slice(i, i + size) for i in range(0, n, size)]
        tasks = map(task, _progress(chunks, self.verbose, what))
        if len(chunks) == 1:  # joblib's own time would show on a single surface
            return [function(*arguments) for function, *arguments in tasks]
        return Parallel(n_jobs=self.n_jobs)(
            delayed(function)(*arguments) for function, *arguments in tasks
        )

    def _first_starts(self, initial: ArrayLike, n: int) -> Floats:
        """Coordinates of the starts that the caller gives."""
        params = np.asarray(initial, dtype=np.float64)
        shape = n, len(self.parameter_names_)
        if params.shape not in (shape, shape[: self._y_ndim]):
            raise ValueError(f"initial must be of shape {shape}; got {params.shape}.")
        return self._space.coordinates(params.reshape(shape))

    def _calibrate_rows(self, X: Floats, first: Floats | None, priced: bool) -> _Fits:
        # Errors of price over vega are defined wherever the search may wander, those of
        # volatility are not: these are minimised from the optimum of the former. So are errors
        # over the model's prices from the optimum of those over the quotes.
        in_volatility = differs_in_volatility(self.pricer_, self.loss)
        problem = self._problem(
            X, "vega_price" if in_volatility else _FIRST.get(self.loss, self.loss)
        )
        n_quotes = problem.quoted.sum(axis=1)
        rows = np.flatnonzero(n_quotes >= self._space.size)
        starts = self._starts(problem, rows)
        if first is not None:
            starts = np.concatenate([first[rows, None], starts[:, :-1]], axis=1)

        def local(z: Floats, problems: NDArray[np.intp], effort: Effort) -> Minimum:
            return self._local(problem, z, rows[problems], effort)

        best, n_first, beaten = best_of_starts(
            local,
            starts,
            self._candidates.z[:_SPARES],
            self._space.width,
            _REPRODUCED**2 * problem.exact[rows],
            self.max_evaluations,
            trusted=first is not None,
        )
        unfinished = best.status > CalibrationStatus.CLOSE
        if in_volatility:
            best, failed = self._in_volatility(problem, best, rows)
            unfinished &= failed
        if unfinished.any():
            found = self._polished(problem, best.take(unfinished), rows[unfinished])
            best.put(unfinished, found)
        if self.loss in _FIRST:
            best = self._reweighted(problem, best, rows)
        # Without a column if nobody asks for them: processes send back what is here.
        surfaces = np.full((len(X), priced * X.shape[1]), np.nan)
        known = best.status < CalibrationStatus.NO_QUOTES
        if priced and known.any():
            surfaces[rows[known]] = problem.surfaces(best.z[known], rows[known])
        return _scattered(Best(best, n_first, beaten), rows, n_quotes, problem.exact, surfaces)

    def _in_volatility(
        self, problem: CalibrationProblem, best: Minimum, rows: NDArray[np.intp]
    ) -> tuple[Minimum, NDArray[np.bool_]]:
        """Minimise errors of volatility from minima of those of price over vega.

        Where the model has no volatility at some quote the latter stay, and it is told.
        """
        found = self._polished(problem.with_loss(self.loss), best, rows)
        failed = found.status == CalibrationStatus.NO_START
        for part, before in zip(found[:-1], best[:-1], strict=True):
            part[failed] = before[failed]
        return found, failed

    def _reweighted(
        self, problem: CalibrationProblem, best: Minimum, rows: NDArray[np.intp]
    ) -> Minimum:
        """Minimise errors over the prices of the minimum before, as long as that moves."""
        moving = np.arange(len(rows))
        for _ in range(_REWEIGHTINGS):
            if not moving.size:
                break
            before = best.take(moving)
            size = np.full_like(problem.target, np.nan)
            size[rows[moving]] = problem.surfaces(before.z, rows[moving])
            found = self._polished(problem.with_loss(_FIRST[self.loss], size), before, rows[moving])
            best.put(moving, found)
            moving = moving[(found.z != before.z).any(axis=1)]
        return best

    def _polished(
        self, problem: CalibrationProblem, best: Minimum, rows: NDArray[np.intp]
    ) -> Minimum:
        """Search on from minima, to the last digits."""
        found = self._local(problem, best.z, rows, Effort(self.max_evaluations, _FINAL_TOLERANCE))
        return found._replace(n_evaluations=best.n_evaluations + found.n_evaluations)

    def _problem(self, X: Floats, loss: str, size: Floats | None = None) -> CalibrationProblem:
        return CalibrationProblem(
            self.pricer_, self._space, X, loss, self._weights, self._half_spread, size
        )

    def _slopes(self, X: Floats, z: Floats, held: NDArray[np.bool_]) -> Floats:
        """Derivatives (n, p, m) of the parameters at optima z with respect to the quotes."""
        space = self._space
        params = space.parameters(z)
        loss, size, relative = self.loss, None, None
        if loss in _FIRST:
            loss, size = _FIRST[loss], self.pricer_.evaluate(params)[0]
            relative = None if self.half_spread is not None else 1 - X / size
        slopes = np.where(np.isnan(X)[:, None, :], np.nan, np.zeros((params.shape[1], 1)))
        slopes[:, space.free] = space.slopes(params)[:, :, None] * slopes_of_optima(
            lambda X: self._problem(X, loss, size), X, z, held, relative
        )
        return slopes

    def _starts(self, problem: CalibrationProblem, rows: NDArray[np.intp]) -> Floats:
        n_starts = self.n_starts or self._usual_starts(self._space.size)
        return self._candidates.starts(problem, rows, n_starts)

    def _parameters(self, minimum: Minimum) -> Floats:
        params = self._space.parameters(minimum.z)
        params[minimum.status >= CalibrationStatus.NO_QUOTES] = np.nan
        return params

    def _at_bound(self, minimum: Minimum) -> NDArray[np.bool_]:
        at_bound = np.zeros((len(minimum.z), len(self.parameter_names_)), dtype=bool)
        space = self._space
        slack = 1e-6 * (space.high - space.low)
        at_bound[:, space.free] = (minimum.z <= space.low + slack) | (
            minimum.z >= space.high - slack
        )
        return at_bound

    def _noise(self, fits: _Fits, at_bound: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.intp]]:
        """Variance of the residuals, and how many degrees of freedom know it."""
        minimum = fits.minimum
        freedom = fits.n_quotes - (~at_bound[:, self._space.free]).sum(axis=1)
        known = (freedom > 0) & np.isfinite(minimum.cost)
        variance = minimum.cost / np.maximum(freedom, 1)
        # What is left of a surface that is reproduced is no noise of independent errors: it may
        # all lie in one direction, and is not less than rounding.
        reproduced = minimum.status <= CalibrationStatus.CLOSE
        variance = np.where(reproduced, np.maximum(minimum.cost, fits.rounding), variance)
        return np.where(known, variance, np.nan), freedom

    def _spread(
        self, minimum: Minimum, at_bound: NDArray[np.bool_], variance: Floats
    ) -> tuple[Floats, Floats]:
        """Covariance of the parameters, and deviation of the coordinates."""
        space = self._space
        held = at_bound[:, space.free]
        inverse, size = _inverse(np.where(held[:, None, :], 0.0, minimum.triangle))
        within = variance[:, None, None] * inverse / (size[:, :, None] * size[:, None, :])
        deviation = np.sqrt(np.einsum("npp->np", within))
        slopes = space.slopes(space.parameters(minimum.z))
        n_params = len(self.parameter_names_)
        covariance = np.zeros((len(slopes), n_params, n_params))
        covariance[:, space.free[:, None], space.free] = (
            within * slopes[:, :, None] * slopes[:, None, :]
        )
        return covariance, deviation

    def _profiled(
        self, X: Floats, minimum: Minimum, growth: Floats, wald: Floats
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Ends (n, q, 2) by profile, and whether they were found.

        Surfaces that are reproduced have no noise to speak of, and keep Wald's.
        """
        status = minimum.status
        noisy = (status > CalibrationStatus.CLOSE) & (status < CalibrationStatus.NO_QUOTES)
        rows = np.flatnonzero(noisy & (growth > 0))
        each = X, minimum.z, growth, wald
        parts = self._by_chunks(
            lambda some: (self._profile_rows, *(values[rows[some]] for values in each)),
            len(rows),
            max(1, _ROWS_AT_ONCE // (2 * self._space.size)),
            "intervals",
        )
        ends, found = wald.copy(), np.ones(wald.shape, dtype=bool)
        if parts:
            ends[rows], found[rows] = map(np.concatenate, zip(*parts, strict=True))
        return ends, found

    def _profile_rows(
        self, X: Floats, z: Floats, growth: Floats, wald: Floats
    ) -> tuple[Floats, NDArray[np.bool_]]:
        space, loss, size = self._space, self.loss, None
        if loss in _FIRST:
            loss, size = _FIRST[loss], self.pricer_.evaluate(space.parameters(z))[0]
        row, coordinate, side = (index.ravel() for index in np.indices(wald.shape))
        sign = np.array([-1.0, 1.0])[side]
        values, found = farthest(
            self._problem(X, loss, size).residuals(row),
            z[row],
            growth[row],
            coordinate,
            sign,
            space.low,
            space.high,
            space.width,
            self.max_evaluations,
        )
        # What was not found is not within what was, nor within Wald's.
        wider = sign * np.fmax(sign * values, sign * wald.ravel())
        wider = np.clip(wider, space.low[coordinate], space.high[coordinate])
        return np.where(found, values, wider).reshape(wald.shape), found.reshape(wald.shape)


def _inverse(triangle: Floats) -> tuple[Floats, Floats]:
    """Inverses of R^T R for columns of unit length, and the lengths; NaN for what is unknown.

    Unknown is a coordinate that has a part in a direction along which nothing changes.
    """
    size = np.linalg.norm(triangle, axis=1)
    unit = triangle / np.where(size > 0, size, 1.0)[:, None, :]
    _, strength, directions = np.linalg.svd(unit)
    blind = strength <= _BLIND * strength[:, :1]
    share = np.where(blind[:, :, None], directions**2, 0.0).sum(axis=1)
    size = np.where(share > _PART, np.nan, size)
    stretched = directions / np.where(blind, np.inf, strength)[:, :, None]
    return np.swapaxes(stretched, 1, 2) @ stretched, size


def _progress(chunks: list[slice], verbose: int, what: str) -> Any:
    if not verbose:
        return chunks
    from tqdm.auto import tqdm

    return tqdm(chunks, desc=what, unit="chunk")


def _market_centre(pricer: Any) -> Floats:
    if not hasattr(pricer, "model"):
        raise ValueError(
            f"{type(pricer).__name__} learns from parameters: the calibrator requires y to be "
            "passed, but the target y is None."
        )
    ranges = np.array([p.market_range for p in get_model(pricer.model).parameters])
    return ranges.mean(axis=1)[None, :]


def _per_quote(name: str, values: Any, n_quotes: int, positive: bool) -> Floats | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n_quotes,):
        raise ValueError(f"{name} must have one entry per quote ({n_quotes}); got {array.shape}.")
    bad = np.flatnonzero(~((array > 0) | ((array == 0) & (not positive))) | ~np.isfinite(array))
    if bad.size:
        allowed = "positive" if positive else "non-negative"
        raise ValueError(
            f"{name} must be finite and {allowed}; entry {bad[0]} is {array[bad[0]]:g}."
        )
    if not array.any():
        raise ValueError(f"{name} must not all be zero: one weight at least has to be positive.")
    return array


def _scattered(
    best: Best,
    rows: NDArray[np.intp],
    n_quotes: NDArray[np.intp],
    rounding: Floats,
    surfaces: Floats,
) -> _Fits:
    """Fits of all surfaces, from those of the surfaces that could be searched for."""
    n, minimum = len(n_quotes), best.minimum
    full = Minimum(
        np.full((n, minimum.z.shape[1]), np.nan),
        np.full(n, np.nan),
        np.full((n, *minimum.triangle.shape[1:]), 0.0),
        np.full(n, CalibrationStatus.NO_QUOTES, dtype=np.intp),
        np.zeros(n, dtype=np.intp),
    )
    n_first, beaten = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=bool)
    parts = (*minimum, best.n_first, best.beaten)
    for whole, part in zip((*full, n_first, beaten), parts, strict=True):
        whole[rows] = part
    return _Fits(full, n_first, beaten, n_quotes, rounding, surfaces)


def _root_mean_square(errors: Floats) -> Floats:
    quoted = np.isfinite(errors)
    count = quoted.sum(axis=1)
    total = (np.where(quoted, errors, 0.0) ** 2).sum(axis=1)
    return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.nan)


def _warn(status: NDArray[np.intp]) -> None:
    failed = np.flatnonzero(status >= CalibrationStatus.NO_QUOTES)
    if failed.size:
        message = CalibrationStatus(status[failed[0]]).message
        warnings.warn(
            f"{failed.size} of {len(status)} surfaces could not be calibrated; "
            f"the first is row {failed[0]}: {message}",
            CalibrationWarning,
            stacklevel=3,
        )


def _warn_of_lost(lost: NDArray[np.bool_]) -> None:
    if lost.any():
        warnings.warn(
            f"{lost.sum()} of {lost.size} ends of intervals were not found; the first is of row "
            f"{lost.any(axis=(1, 2)).argmax()}: the wider of Wald's and what was found is given.",
            CalibrationWarning,
            stacklevel=3,
        )
