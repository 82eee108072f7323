"""All there is to say about a calibrator on some surfaces, on one page."""

from __future__ import annotations

import importlib
import platform
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, estimator_html_repr

from levylearn import __version__
from levylearn.exceptions import CalibrationWarning, ExtrapolationWarning
from levylearn.inspection._canvas import UNITS
from levylearn.inspection._error_displays import ParityDisplay, ResidualsDisplay
from levylearn.inspection._heat_maps import RepricingErrorDisplay
from levylearn.inspection._interactive import MOST_POINTS, interactive
from levylearn.inspection._interval_display import IntervalDisplay
from levylearn.inspection._page import Section, page, preformatted, table
from levylearn.inspection._ranges import names_of, ranges_of
from levylearn.inspection._smile import SmileFitDisplay
from levylearn.inspection._surface_display import SurfaceDisplay
from levylearn.inspection._training_display import TrainingDisplay
from levylearn.metrics import (
    calibration_time,
    interval_score,
    interval_width,
    parameter_mae,
    parameter_r2,
    parameter_rmse,
)
from levylearn.metrics._answers import average, pair_of_sets, parameter_sets
from levylearn.metrics._repricing import (
    PRICER,
    errors_in_price,
    errors_in_volatility,
    ready,
    relative_errors,
    repriced,
    true_surfaces,
)
from levylearn.metrics._time import timed_predict
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import HasMethods, Interval, validate_params

__all__ = ["calibration_report"]

Floats = NDArray[np.float64]

_PACKAGES = ("numpy", "scipy", "sklearn", "pandas", "plotly")
# Quotes this close to the prices of the true parameters are these prices.
_SAME = 1e-6
# A single surface is timed several times if that takes less than a second.
_N_REPEATS, _QUICK = 5, 0.2
_QUANTILES = {"mean": None, "median": 0.5, "95th percentile": 0.95}


@validate_params(
    {
        "calibrator": [HasMethods(["predict"])],
        "X": ["array-like"],
        "y": ["array-like", None],
        "pricer": [*PRICER, None],
        "path": [str, PathLike, None],
        "coverage": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def calibration_report(
    calibrator: Any,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    pricer: Any = None,
    path: str | PathLike[str] | None = None,
    coverage: float = 0.95,
) -> str:
    """All about a calibrator on some surfaces, on one page with interactive pictures.

    What it is; the parameters it finds and, where the true ones are known, how far off they are;
    how well their surfaces are those that were calibrated, as a table, as smiles, in three
    dimensions and over strikes and maturities; what its intervals are worth; how it learned; and
    how long it takes. What a calibrator does not have, is left out.

    Parameters
    ----------
    calibrator : estimator
        The fitted calibrator, or any regressor from surfaces to parameters.
    X : array-like of shape (n_samples, n_quotes)
        Surfaces, in the unit of the pricer's output; NaN where there is no quote. One is enough.
    y : array-like of shape (n_samples,) or (n_samples, n_params), default=None
        Their parameters, if they are known.
    pricer : pricer, default=None
        What prices parameters. None: that of the calibrator, if it has one; without any,
        parameters are all that the report is about.
    path : str or path-like, default=None
        File to write the page into.
    coverage : float, default=0.95
        Of the intervals, if the calibrator has a `predict_interval`.

    Returns
    -------
    html : str
        The page. It is one file, with plotly.js in it, and opens without a network.

    Raises
    ------
    ValueError
        If there is neither `y` nor a pricer, or `X` does not match the pricer's grid.
    ImportError
        If plotly is not installed.

    See Also
    --------
    compare_calibrators : Several calibrators, in a table.

    Notes
    -----
    `predict` is called for all surfaces and, to time it, for one alone; `predict_interval`
    once. Their warnings are listed on the page instead of being given.

    Smiles are those of the surface whose error is the median, and of the one whose error is the
    largest. Of more than 2000 surfaces, pictures have 2000 points; tables are of all.

    Examples
    --------
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.datasets import load_sp500_2002
    >>> from levylearn.inspection import calibration_report
    >>> from levylearn.pricing import ContourPricer
    >>> data = load_sp500_2002()
    >>> X = data.prices[None, :]
    >>> calibrator = LeastSquaresCalibrator(ContourPricer("nig", data.grid)).fit(X)
    >>> html = calibration_report(calibrator, X)
    >>> html.splitlines()[0], 1e6 < len(html) < 1e7
    ('<!DOCTYPE html>', True)
    """
    import_optional("plotly", "calibration_report")  # before the work
    facts = _Facts(calibrator, X, y, pricer, coverage)
    parts = [section for tell in _SECTIONS for section in tell(facts)]
    title = " on ".join([type(calibrator).__name__, _plural(len(facts.surfaces), "surface")])
    html = page(f"{title}: calibration report", parts)
    if path is not None:
        Path(path).write_text(html, encoding="utf-8")
    return html


class _Facts:
    """One calibration of all surfaces, and what the sections need of it."""

    def __init__(self, calibrator: Any, X: Any, y: Any, pricer: Any, coverage: float) -> None:
        self.calibrator, self.X, self.coverage = calibrator, X, coverage
        self.surfaces: Floats = check_array(
            X, dtype=np.float64, ensure_all_finite="allow-nan", input_name="X"
        )
        if pricer is None:
            pricer = getattr(calibrator, "pricer_", None)
        if pricer is None and y is None:
            raise ValueError("There is nothing to compare with: give y, or a pricer.")
        self.pricer: Any = pricer if pricer is None else ready(pricer)
        if self.pricer is not None and self.surfaces.shape[1] != self.pricer.grid.n_quotes:
            raise ValueError(
                f"X must have one column per quote of the pricer's grid "
                f"({self.pricer.grid.n_quotes}); got {self.surfaces.shape[1]}."
            )
        self.warnings: dict[str, None] = {}
        answer, self.seconds = self.ask(lambda: timed_predict(calibrator, X))
        self.found = parameter_sets(answer, "The answer of the calibrator", lost=True)
        self.truth = None if y is None else pair_of_sets(y, self.found)[0]
        self.names = self._names(y)

    def ask(self, question: Callable[[], Any], *, again: bool = False) -> Any:
        """Answer of the calibrator; its warnings are kept, unless it has given them before."""
        with warnings.catch_warnings(record=True) as caught:
            for category in (CalibrationWarning, ExtrapolationWarning):
                warnings.simplefilter("always", category)
            answer = question()
        if not again:
            self.warnings.update(dict.fromkeys(str(each.message) for each in caught))
        return answer

    def _names(self, y: Any) -> list[str]:
        if hasattr(y, "columns"):
            return [str(name) for name in y.columns]
        if self.pricer is not None:
            return [parameter.name for parameter in self.pricer.parameters_]
        return names_of(self.calibrator, self.found.shape[1])

    @cached_property
    def ranges(self) -> Floats:
        """Ranges of the parameters: the pricer's, or else those of the true parameters."""
        if self.pricer is not None:
            return ranges_of(self.pricer.parameters_)
        assert self.truth is not None
        return np.column_stack([self.truth.min(axis=0), self.truth.max(axis=0)])

    @property
    def whose_ranges(self) -> str:
        return "its market range" if self.pricer is not None else "the range of the true values"

    @cached_property
    def answered(self) -> NDArray[np.bool_]:
        """Which surfaces have parameters."""
        return np.asarray(~np.isnan(self.found).any(axis=1))

    @cached_property
    def model(self) -> Floats:
        """Surfaces of the parameters found."""
        return repriced(self.found, self.pricer)

    @cached_property
    def intervals(self) -> IntervalDisplay:
        intervals = self.ask(lambda: self.calibrator.predict_interval(self.X, self.coverage))
        width = np.diff(self.ranges, axis=1)[:, 0]
        return IntervalDisplay(intervals, self.names, width, self.truth, self.coverage)

    @cached_property
    def has_intervals(self) -> bool:
        return hasattr(self.calibrator, "predict_interval")


# -- sections --------------------------------------------------------------------------


def _description(facts: _Facts) -> Iterator[Section]:
    n, n_quotes = facts.surfaces.shape
    rows = {
        "data": f"{_plural(n, 'surface')} of {_plural(n_quotes, 'quote')}, "
        f"{np.isnan(facts.surfaces).mean():.1%} of these missing; parameters are "
        f"{'not ' if facts.truth is None else ''}known",
    }
    if facts.pricer is not None:
        grid = facts.pricer.grid
        rows["pricer"] = " ".join(repr(facts.pricer).split())
        rows["contracts"] = (
            f"strikes {grid.strike.min():.6g} to {grid.strike.max():.6g}, maturities "
            f"{grid.maturity.min():.3g} to {grid.maturity.max():.3g} years"
        )
    rows["made"] = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    rows["versions"] = _versions()
    parts = [estimator_html_repr(facts.calibrator), _words(rows)]
    yield Section("Calibrator", "", parts)
    if hasattr(facts.calibrator, "model_card"):
        yield Section("Model card", "", [preformatted(facts.calibrator.model_card())])


def _parameters(facts: _Facts) -> Iterator[Section]:
    if len(facts.surfaces) == 1:
        columns = {"found": facts.found[0]}
        if facts.truth is not None:
            columns["true"] = facts.truth[0]
        if facts.has_intervals:
            columns["from"], columns["to"] = facts.intervals.intervals[0].T
        text = (
            f"Intervals (from, to) promise a coverage of {facts.coverage:.4g}. There is none (-) "
            f"of a parameter at a bound."
        )
        frame = pd.DataFrame(columns, index=facts.names)
        yield Section("Parameters", text if facts.has_intervals else "", [table(frame)])
    elif facts.truth is None:
        found = pd.DataFrame(facts.found, columns=facts.names)
        spread = found.describe(percentiles=[0.05, 0.5, 0.95]).T.drop(columns="count")
        yield Section("Parameters", _answers(facts), [table(spread)])
    else:
        yield from _errors(facts, facts.truth)


def _errors(facts: _Facts, truth: Floats) -> Iterator[Section]:
    if facts.answered.sum() < 2:
        yield Section("Parameters", _answers(facts), [])
        return
    each: dict[str, Any] = {"multioutput": "raw_values", "nan_policy": "omit"}
    ranges = {"ranges": facts.ranges, **each}
    columns = {
        "R²": parameter_r2(truth, facts.found, **each),
        "MAE (% of range)": 100 * parameter_mae(truth, facts.found, **ranges),
        "RMSE (% of range)": 100 * parameter_rmse(truth, facts.found, **ranges),
    }
    frame = pd.DataFrame(columns, index=facts.names)
    frame.loc["mean"] = frame.mean()
    text = f"{_answers(facts)} Errors of a parameter are in units of {facts.whose_ranges}."
    pictures = [
        interactive(display.from_predictions(truth, facts.found, names=facts.names))
        for display in (ParityDisplay, ResidualsDisplay)
    ]
    yield Section("Parameters", text, [table(frame), pictures[0]])
    yield Section("Residuals", f"Found less true.{_thinned(facts)}", [pictures[1]])


def _repricing(facts: _Facts) -> Iterator[Section]:
    if facts.pricer is None:
        return
    unit = facts.pricer.output
    parts = {"against the quotes": facts.surfaces}
    if facts.truth is not None:
        clean = true_surfaces(facts.truth, facts.pricer)
        if np.allclose(clean, facts.surfaces, rtol=_SAME):
            parts = {"against the quotes, which are those of the true parameters": clean}
        else:
            parts["against the surfaces of the true parameters"] = clean
    tables = [
        f"<h3>{against}</h3>{table(_distances(facts, market))}" for against, market in parts.items()
    ]
    kept = int(np.count_nonzero(~np.isnan(facts.model).all(axis=1)))
    text = (
        f"Surfaces of the parameters found, in the pricer's unit ({UNITS[unit]}) and in points of "
        f"implied volatility, over {kept} of {_plural(len(facts.found), 'surface')}."
    )
    yield Section("Repricing", text, tables)
    if not kept:
        return
    grid = facts.pricer.grid
    display = RepricingErrorDisplay.from_predictions(grid, facts.surfaces, facts.model, unit=unit)
    yield Section(
        "Errors over strikes and maturities",
        f"Found less quoted, over {_plural(kept, 'surface')}.",
        [interactive(display)],
    )
    yield from _fits(facts)


def _fits(facts: _Facts) -> Iterator[Section]:
    grid, unit = facts.pricer.grid, facts.pricer.output
    errors = errors_in_price(facts.surfaces, facts.model)
    order = np.argsort(errors)[: np.count_nonzero(np.isfinite(errors))]
    if not len(order):
        return
    typical, worst = order[(len(order) - 1) // 2], order[-1]
    smiles, text = _smiles(facts, typical), ""
    if len(errors) > 1:
        text = (
            f"Surface {typical}, whose error is the median: {errors[typical]:.3g} ({UNITS[unit]})."
        )
    parts = [smiles]
    if len(grid.slices) > 1:
        market, model = facts.surfaces[typical], facts.model[typical]
        surface = SurfaceDisplay.from_predictions(grid, model, market=market, unit=unit)
        parts.append(interactive(surface))
    yield Section("Smiles", text, parts)
    if worst != typical:
        text = f"Surface {worst}, whose error is the largest: {errors[worst]:.3g} ({UNITS[unit]})."
        yield Section("The worst smiles", text, [_smiles(facts, worst)])


def _smiles(facts: _Facts, row: int) -> Any:
    grid, unit = facts.pricer.grid, facts.pricer.output
    model = getattr(facts.pricer, "model_", None)
    models = {getattr(model, "name", "model"): facts.model[row]}
    display = SmileFitDisplay.from_predictions(grid, facts.surfaces[row], models, unit=unit)
    return interactive(display)


def _distances(facts: _Facts, market: Floats) -> Any:
    pricer = facts.pricer
    errors = {
        f"RMSE ({UNITS[pricer.output]})": errors_in_price(market, facts.model),
        "MAPE (%)": 100 * relative_errors(market, facts.model, pricer),
        "implied-vol RMSE (points)": 100 * errors_in_volatility(market, facts.model, pricer),
    }
    if len(market) == 1:
        return pd.DataFrame({"error": {name: each[0] for name, each in errors.items()}})
    rows = {
        name: {column: average(each, "omit", q) for column, q in _QUANTILES.items()}
        for name, each in errors.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _intervals(facts: _Facts) -> Iterator[Section]:
    if not (facts.has_intervals and facts.answered.any()) or len(facts.surfaces) == 1:
        return
    display = facts.intervals
    each: dict[str, Any] = {"multioutput": "raw_values", "nan_policy": "omit"}
    each["ranges"] = facts.ranges
    width = interval_width(np.zeros_like(facts.found), display.intervals, **each)
    frame = pd.DataFrame({"mean width (% of range)": 100 * width}, index=facts.names)
    if facts.truth is not None:
        score = interval_score(facts.truth, display.intervals, coverage=facts.coverage, **each)
        frame.insert(0, "coverage (%)", 100 * display.shares[:, 0])
        frame["score (% of range)"] = 100 * score
    text = f"They promise a coverage of {facts.coverage:.4g}."
    if facts.truth is not None:
        text += " The bar at each share is what chance allows (Wilson's interval of 95 %)."
    yield Section("Intervals", text, [table(frame), interactive(display)])


def _training(facts: _Facts) -> Iterator[Section]:
    if getattr(facts.calibrator, "history_", None) is not None:
        figure = interactive(TrainingDisplay.from_estimator(facts.calibrator))
        yield Section("Training", "", [figure])


def _time(facts: _Facts) -> Iterator[Section]:
    n = len(facts.surfaces)
    rows = {f"all {n} at once" if n > 1 else "one surface": facts.seconds}
    if n > 1:
        n_repeats = _N_REPEATS if facts.seconds < _QUICK else 1
        first = int(np.argmax(facts.answered))
        one = facts.X[first : first + 1]
        rows["one alone"] = facts.ask(
            lambda: calibration_time(facts.calibrator, one, n_repeats), again=True
        )
    frame = pd.DataFrame({"ms per surface": rows}) * 1e3
    yield Section("Time", f"By the clock, on {_machine()}.", [table(frame)])


def _caveats(facts: _Facts) -> Iterator[Section]:
    if facts.warnings:
        text = "What the calibrator warned of:"
        yield Section("Warnings", text, [preformatted("\n".join(facts.warnings))])


_SECTIONS = (_description, _parameters, _repricing, _intervals, _training, _time, _caveats)


# -- words -----------------------------------------------------------------------------


def _answers(facts: _Facts) -> str:
    n = len(facts.found)
    return f"{np.count_nonzero(facts.answered)} of {_plural(n, 'surface')} have an answer."


def _thinned(facts: _Facts) -> str:
    if facts.answered.sum() <= MOST_POINTS:
        return ""
    return f" Pictures show {MOST_POINTS} of the surfaces, evenly spread."


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _versions() -> str:
    versions = {name: importlib.import_module(name).__version__ for name in _PACKAGES}
    versions = {"levylearn": __version__, "Python": platform.python_version(), **versions}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}"


def _words(rows: dict[str, str]) -> str:
    return table(pd.DataFrame({"": rows}), header=False)
