"""What the calibrators have in common that answer with a distribution of parameters."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.base import BasePricer
from levylearn.calibration._draws import Draws, check_interval, inference_data, intervals
from levylearn.calibration._least_squares import LeastSquaresCalibrator
from levylearn.calibration._mode import Modes, find_modes
from levylearn.calibration._posterior import Noise, PosteriorDensity
from levylearn.calibration._predictive import predictive_bands
from levylearn.calibration._prior import NOISE_LEVEL, PriorSpace
from levylearn.calibration._simulation import simulate
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

# A start farther out than this, in standard deviations of the prior, is moved in.
_FARTHEST = 6.0
# Errors that are fractions of a price are joined by this fraction of the largest quote.
_FLOOR = 1e-7
_NO_QUOTES = "There are no quotes."
_NO_DENSITY = "The model has no price where the search began."
_INTERRUPTED = "Sampling was interrupted before it began."


class PosteriorCalibrator(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of the calibrators that draw from the parameters' posterior.

    A subclass implements `_sample`, which draws for a few surfaces whose modes are known; or
    `_outcomes`, if it has no use for modes, and perhaps `_learn`, what it learns beforehand.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "pricer": [HasMethods(["fit", "evaluate", "admissible"])],
        "noise": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "noise_kind": [StrOptions({"relative", "absolute"})],
        "noise_prior": [HasMethods(["rvs"]), None],
        "priors": [Mapping, None],
        "bounds": [Mapping, None],
        "fixed": [Mapping, None],
        "estimate": [StrOptions({"mean", "median"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    # Declared here, assigned by `__init__` of each subclass.
    pricer: BasePricer
    noise: ArrayLike
    noise_kind: str
    noise_prior: Any
    priors: Mapping[str, Any] | None
    bounds: Mapping[str, tuple[float, float]] | None
    fixed: Mapping[str, float] | None
    estimate: str
    random_state: Any
    n_jobs: int | None
    verbose: int

    # Surfaces whose modes are searched for together.
    _rows_at_once = 32

    def _sample(self, density: PosteriorDensity, modes: Modes, rows: Rows) -> Iterator[Draws]:
        """Draw for each of the surfaces named, from streams that restart for each."""
        raise NotImplementedError

    def _outcomes(self, X: Floats) -> Iterator[Draws | str]:
        """Draws for each of a few surfaces that have quotes, or why there are none."""
        density = PosteriorDensity(self.pricer_, self._space, X, self._noise)
        modes = find_modes(density, self._starts(X))
        found = np.isfinite(modes.log_density)
        sampled = self._sample(density, modes, np.flatnonzero(found))
        return (next(sampled) if begun else _NO_DENSITY for begun in found)

    def _learn(self) -> None:
        """Learn, when the problem is known, what holds for all surfaces."""

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> PosteriorCalibrator:
        """Set up the problem and, without `y`, sample the posterior of every surface.

        Without `y`, the surfaces are those to be calibrated: their draws are kept, as
        `posterior_`, and other methods that meet one of them again use its draws. With `y`,
        as in cross-validation, or for a pricer that learns, nothing is sampled before it is
        asked for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces, in the unit of the pricer's output; NaN where there is no quote.
        y : array-like of shape (n_samples, n_params), default=None
            Parameters of the surfaces.

        Returns
        -------
        self : calibrator
            Ready to calibrate any surface on the same grid.

        Raises
        ------
        ValueError
            If the surfaces do not match the pricer's grid, or an argument is out of range.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        ConvergenceWarning
            If sampling ended before it had converged.
        """
        options = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}
        self._y_ndim = 2
        if y is None:
            surfaces, target = validate_data(self, X, **options), None
        else:
            surfaces, target = validate_data(
                self, X, y, multi_output=True, y_numeric=True, **options
            )
            self._y_ndim = target.ndim
        self._noise = self._checked_noise(surfaces)
        weights = (self._noise.sizes.min() / self._noise.sizes) ** 2
        self._start = LeastSquaresCalibrator(
            self.pricer,
            "relative_price" if self._noise.relative else "price",
            weights=weights,
            bounds=self.bounds,
            fixed=self.fixed,
        ).fit(surfaces, target)
        self.pricer_ = self._start.pricer_
        self.parameter_names_ = self._start.parameter_names_
        self._space = PriorSpace(
            self.pricer_.parameters_, self.priors, self.bounds, self.fixed, self.noise_prior
        )
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self._kept: dict[bytes, Draws | str] = {}
        self._fitted_to = surfaces[:0]
        self._learn()
        if y is None:
            kept = list(self._draw(surfaces))
            self._kept = {row.tobytes(): d for row, d in zip(surfaces, kept, strict=True)}
            self._fitted_to = surfaces.copy()
            _warn(kept)
        return self

    @property
    def posterior_(self) -> Any:
        """Draws for the surfaces that `fit` was given without `y`, as ArviZ's InferenceData.

        A list, with None for a surface that could not be calibrated, if there are several.
        """
        check_is_fitted(self)
        if not len(self._fitted_to):
            raise AttributeError(
                f"{type(self).__name__} has no posterior_: it was fitted with y. Call fit(X) with "
                "the surfaces alone, or sample_posterior(X)."
            )
        found = self.sample_posterior(self._fitted_to)
        return found[0] if len(found) == 1 else found

    def predict(self, X: ArrayLike) -> Floats:
        """Estimate the parameters of every surface.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        params : ndarray of shape (n_samples, n_params)
            Mean or median of the posterior, as `estimate` says; NaN, with a warning, where
            there is none.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        ConvergenceWarning
            If sampling ended before it had converged.
        """
        params = self._summarised(self._surfaces(X), self._estimated)
        return params if self._y_ndim == 2 else params[:, 0]

    def predict_interval(
        self, X: ArrayLike, coverage: float = 0.95, kind: str = "equal_tailed"
    ) -> Floats:
        """Credible intervals of the parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        coverage : float, default=0.95
            Probability of the interval under the posterior.
        kind : {"equal_tailed", "highest_density"}, default="equal_tailed"
            Whether as much is left out on either side, or the interval is the shortest.

        Returns
        -------
        intervals : ndarray of shape (n_samples, n_params, 2)
            Lower and upper ends; NaN, with a warning, where there is no posterior.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `kind` is unknown.
        """
        check_interval(coverage, kind)
        return self._summarised(
            self._surfaces(X), lambda params: intervals(params, coverage, kind), 2
        )

    def sample_posterior(self, X: ArrayLike) -> list[Any]:
        """Draw from the posterior of every surface.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        posteriors : list of InferenceData
            ArviZ's, one for each surface, None where there is none. The group ``posterior``
            has one variable for each free parameter, and ``noise_level`` if that is unknown,
            of dimensions chain and draw; ``sample_stats`` has what the method knows of its
            draws, ``observed_data`` the quotes.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        ConvergenceWarning
            If sampling ended before it had converged.
        """
        X = self._surfaces(X)
        outcomes = list(self._draw(X))
        _warn(outcomes)
        return [
            None
            if isinstance(draws, str)
            else inference_data(
                draws, self._values(draws), self._space.names, row, type(self).__name__
            )
            for draws, row in zip(outcomes, X, strict=True)
        ]

    def calibrate(self, X: ArrayLike) -> Bunch:
        """Calibrate every surface, and tell how it went.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        result : Bunch
            With one entry per surface in each of

            - ``parameters``, (n_samples, n_params), as from :meth:`predict`;
            - ``covariance``, (n_samples, n_params, n_params), of the draws, zero for
              parameters held fixed;
            - ``standard_error``, (n_samples, n_params), its diagonal's square root: the
              posterior's standard deviation;
            - ``noise_level``, (n_samples,), the estimate, if the level is unknown;
            - ``rmse``, (n_samples,), root mean squared error in the unit of the surfaces;
            - ``converged``, ``message``: how sampling ended;
            - ``surfaces``, (n_samples, n_quotes), priced at the estimates;

            and what the method has to tell besides: see the class.

        Warns
        -----
        CalibrationWarning
            If a surface could not be calibrated.
        ConvergenceWarning
            If sampling ended before it had converged.
        """
        X = self._surfaces(X)
        n, p = len(X), len(self.parameter_names_)
        params, covariance = np.full((n, p), np.nan), np.full((n, p, p), np.nan)
        result = Bunch(parameters=params, covariance=covariance)
        if self._space.has_level:
            result[NOISE_LEVEL] = np.full(n, np.nan)
        converged, messages, outcomes = np.zeros(n, dtype=bool), [], []
        summaries: dict[str, Floats] = {}
        for row, draws in enumerate(self._draw(X)):
            outcomes.append(_told(draws))
            messages.append(_message(draws))
            if isinstance(draws, str):
                continue
            sets = self._parameter_sets(draws)
            params[row], covariance[row] = self._estimated(sets), np.cov(sets, rowvar=False)
            if self._space.has_level:
                result[NOISE_LEVEL][row] = self._estimated(self._values(draws)[..., -1:].ravel())
            converged[row] = draws.converged
            for name, value in draws.summary.items():
                summaries.setdefault(name, np.full(n, np.nan))[row] = value
        _warn(outcomes)
        found = np.isfinite(params).all(axis=1)
        surfaces = np.full(X.shape, np.nan)
        if found.any():
            surfaces[found] = self.pricer_.evaluate(params[found])[0]
        quoted = np.isfinite(X)
        errors = np.where(quoted, surfaces - X, 0.0)
        count = np.maximum(quoted.sum(axis=1), 1)
        result.update(
            standard_error=np.sqrt(np.einsum("npp->np", covariance)),
            rmse=np.where(found, np.sqrt((errors**2).sum(axis=1) / count), np.nan),
            converged=converged,
            message=messages,
            surfaces=surfaces,
            **summaries,
        )
        return result

    def posterior_predictive(
        self,
        X: ArrayLike,
        grid: OptionGrid | None = None,
        *,
        coverage: float = 0.95,
        kind: str = "equal_tailed",
        greeks: bool = False,
        max_draws: int = 1000,
    ) -> Any:
        """Price options, quoted or not, with credible bands.

        What is uncertain are the parameters; errors of quotes are not added.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        grid : OptionGrid, default=None
            What to price; None means the options of the surfaces.
        coverage : float, default=0.95
            Probability of a band under the posterior.
        kind : {"equal_tailed", "highest_density"}, default="equal_tailed"
            Whether as much is left out on either side, or the band is the narrowest.
        greeks : bool, default=False
            Whether to add the sensitivities that :meth:`levylearn.base.BasePricer.greeks`
            defines.
        max_draws : int, default=1000
            How many draws are priced for each surface, at most, evenly chosen.

        Returns
        -------
        bands : DataFrame of shape (n_samples * n_options, 3 * n_quantities)
            Rows are named by surface and option; columns by quantity ("price",
            "implied_vol" and the Greeks, with one "vega" for each parameter) and
            "estimate", "lower" or "upper". Prices are in currency. The estimate is the mean
            or the median of the draws, as `estimate` says.

        Raises
        ------
        ValueError
            If `coverage` is not between 0 and 1, or `kind` is unknown.
        """
        check_interval(coverage, kind)
        X = self._surfaces(X)
        outcomes, sets = [], []
        for draws in self._draw(X):
            outcomes.append(_told(draws))
            found = None if isinstance(draws, str) else self._parameter_sets(draws)
            sets.append(None if found is None else _thinned(found, max_draws))
        _warn(outcomes)
        return predictive_bands(
            self.pricer_,
            sets,
            grid,
            greeks,
            lambda values: np.concatenate(
                [self._estimated(values)[..., None], intervals(values, coverage, kind)], axis=-1
            ),
        )

    def prior_density(self, name: str, values: ArrayLike) -> Floats:
        """Density of an unknown before quotes are seen.

        Parameters
        ----------
        name : str
            A free parameter, or ``"noise_level"`` if that is unknown.
        values : array-like
            Where.

        Returns
        -------
        density : ndarray of the same shape
            Of the prior cut off at the bounds: zero beyond them.

        Raises
        ------
        ValueError
            If there is no such unknown.
        """
        check_is_fitted(self)
        return self._space.marginal(name, np.asarray(values, dtype=np.float64))

    def prior_predictive(
        self, n_samples: int = 1, *, random_state: Any = None
    ) -> tuple[Floats, Floats]:
        """Draw parameters from the prior, and quotes with errors for them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of surfaces.
        random_state : int, RandomState instance or None, default=None
            Decides everything.

        Returns
        -------
        X : ndarray of shape (n_samples, n_quotes)
            Surfaces, with noise.
        unknowns : ndarray of shape (n_samples, n_unknowns)
            What the posterior has draws of: the free parameters and, if it is unknown, the
            level of the noise.

        Raises
        ------
        ValueError
            If hardly any draw from the prior can be priced.
        """
        check_is_fitted(self)
        random = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
        simulated = simulate(self.pricer_, self._space, self._noise, n_samples, random)
        return simulated.quotes(), self._space.values(simulated.x)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # -- one step each ---------------------------------------------------------

    def _surfaces(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)

    def _checked_noise(self, X: Floats) -> Noise:
        n_quotes = X.shape[1]
        sizes = np.asarray(self.noise, dtype=np.float64)
        if sizes.shape not in ((), (n_quotes,)):
            raise ValueError(
                f"noise must be a number or have one entry per quote ({n_quotes}); got shape "
                f"{sizes.shape}."
            )
        sizes = np.broadcast_to(sizes, n_quotes)
        bad = np.flatnonzero(~((sizes > 0) & np.isfinite(sizes)))
        if bad.size:
            raise ValueError(
                f"noise must be finite and positive; entry {bad[0]} is {sizes[bad[0]]:g}."
            )
        largest = float(np.abs(X).max(initial=0.0, where=np.isfinite(X)))
        return Noise(sizes, self.noise_kind == "relative", _FLOOR * largest)

    def _summarised(self, X: Floats, summary: Any, *more: int) -> Floats:
        """What a function says of each surface's parameter sets (n_draws, p), or NaN."""
        result = np.full((len(X), len(self.parameter_names_), *more), np.nan)
        outcomes = []
        for row, draws in enumerate(self._draw(X)):
            outcomes.append(_told(draws))
            if not isinstance(draws, str):
                result[row] = summary(self._parameter_sets(draws))
        _warn(outcomes)
        return result

    def _estimated(self, values: Floats) -> Floats:
        return np.mean(values, axis=0) if self.estimate == "mean" else np.median(values, axis=0)

    def _draw(self, X: Floats) -> Iterator[Draws | str]:
        """Draws for every surface, or why there are none; those of `fit` are at hand."""
        known = [self._kept.get(row.tobytes()) for row in X]
        new = np.array([draws is None for draws in known], dtype=bool)
        fresh = self._draw_new(X[new])
        return (next(fresh) if draws is None else draws for draws in known)

    def _draw_new(self, X: Floats) -> Iterator[Draws | str]:
        size = min(self._rows_at_once, -(-len(X) // effective_n_jobs(self.n_jobs))) or 1
        chunks = [X[i : i + size] for i in range(0, len(X), size)]
        if self.n_jobs in (None, 1) or len(chunks) == 1:
            parts: Any = map(self._draw_chunk, chunks)
        else:
            jobs = Parallel(n_jobs=self.n_jobs, return_as="generator")
            parts = jobs(delayed(self._draw_chunk)(chunk) for chunk in chunks)
        left = len(X)
        for part in _shown(parts, len(chunks), self.verbose):
            yield from part
            left -= len(part)
            if any(draws is _INTERRUPTED or _is_interrupted(draws) for draws in part):
                yield from [_INTERRUPTED] * left
                return

    def _draw_chunk(self, X: Floats) -> list[Draws | str]:
        """Draws for a few surfaces, which are started together."""
        outcomes: list[Draws | str] = [_NO_QUOTES] * len(X)
        quoted = np.flatnonzero(self._noise.quoted(X).any(axis=1))
        if not quoted.size:
            return outcomes
        found, stopped = self._outcomes(X[quoted]), False
        for index in quoted:
            outcomes[index] = draws = _INTERRUPTED if stopped else next(found)
            stopped |= _is_interrupted(draws)
        return outcomes

    def _starts(self, X: Floats) -> Floats:
        """Coordinates of the least-squares fits, or of the prior's median where there is none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CalibrationWarning)
            params = self._start.predict(X).reshape(len(X), -1)
        fitted = np.isfinite(params).all(axis=1)
        starts = np.zeros((len(X), self._space.size))
        starts[fitted] = self._space.coordinates(params[fitted])
        return np.clip(starts, -_FARTHEST, _FARTHEST)

    def _values(self, draws: Draws) -> Floats:
        """Values of the unknowns, as the draws are arranged."""
        return self._space.values(draws.x.reshape(-1, self._space.size)).reshape(draws.x.shape)

    def _parameter_sets(self, draws: Draws) -> Floats:
        """Parameter sets (n_draws, p) of all chains."""
        return self._space.parameters(self._values(draws).reshape(-1, self._space.size))


def _thinned(draws: Floats, most: int) -> Floats:
    return draws[np.linspace(0, len(draws) - 1, min(most, len(draws))).astype(np.intp)]


def _shown(parts: Any, n_parts: int, verbose: int) -> Any:
    if not verbose:
        return parts
    from tqdm.auto import tqdm

    return tqdm(parts, total=n_parts, desc="sampling", unit="chunk")


def _is_interrupted(draws: Draws | str) -> bool:
    return not isinstance(draws, str) and draws.interrupted


def _told(draws: Draws | str) -> Draws | str:
    """How sampling went, without the draws, which take memory."""
    return draws if isinstance(draws, str) else draws._replace(x=draws.x[:0], stats={})


def _message(draws: Draws | str) -> str:
    return draws if isinstance(draws, str) else draws.message


def _warn(outcomes: list[Draws | str]) -> None:
    failed = [row for row, draws in enumerate(outcomes) if isinstance(draws, str)]
    if failed:
        warnings.warn(
            f"{len(failed)} of {len(outcomes)} surfaces could not be calibrated; the first is "
            f"row {failed[0]}: {_message(outcomes[failed[0]])}",
            CalibrationWarning,
            stacklevel=3,
        )
    unfinished = [
        row
        for row, draws in enumerate(outcomes)
        if not isinstance(draws, str) and not draws.converged
    ]
    if unfinished:
        warnings.warn(
            f"{len(unfinished)} of {len(outcomes)} posteriors are not converged; the first is "
            f"of row {unfinished[0]}: {_message(outcomes[unfinished[0]])}",
            ConvergenceWarning,
            stacklevel=3,
        )
