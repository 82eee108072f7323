"""How errors of calibrators grow as surfaces get worse."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from levylearn.exceptions import CalibrationWarning, ExtrapolationWarning
from levylearn.inspection._frames import as_given
from levylearn.market import OptionGrid
from levylearn.metrics import get_calibration_scorer
from levylearn.metrics._repricing import PRICER, ready
from levylearn.preprocessing import GaussianNoise, MissingQuotes
from levylearn.utils._sklearn import HasMethods, Interval, StrOptions, validate_params

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["robustness_curve"]

Floats = NDArray[np.float64]
Disturb = Callable[[float, int], Floats]

_LEVELS = {
    "noise": (0.0, 0.001, 0.002, 0.005, 0.01, 0.02),
    "missing": (0.0, 0.1, 0.2, 0.3, 0.5),
    "shift": (0.0, 0.001, 0.002, 0.005, 0.01, 0.02),
}
_SCORES = ("neg_parameter_mae", "neg_repricing_rmse", "neg_failure_rate")


@validate_params(
    {
        "calibrator": [HasMethods(["predict"])],
        "X": ["array-like"],
        "y": ["array-like"],
        "kind": [StrOptions(set(_LEVELS))],
        "levels": ["array-like", None],
        "pricer": [*PRICER, None],
        "scores": ["array-like", None],
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def robustness_curve(
    calibrator: Any,
    X: ArrayLike,
    y: ArrayLike,
    kind: str = "noise",
    levels: ArrayLike | None = None,
    *,
    pricer: Any = None,
    scores: Sequence[str] | None = None,
    n_repeats: int = 1,
    random_state: Any = None,
) -> pd.DataFrame:
    """Errors of a calibrator on surfaces that are disturbed, by how much they are.

    Parameters
    ----------
    calibrator : estimator
        The fitted calibrator.
    X : array-like of shape (n_samples, n_quotes)
        Clean surfaces, in the unit of the pricer's output.
    y : array-like of shape (n_samples, n_params)
        Their parameters.
    kind : {"noise", "missing", "shift"}, default="noise"
        What is done to the surfaces: each quote gets a normal error, relative to the quote; each
        is missing with some probability; or all are for strikes that are higher than those of
        the grid, by a fraction.
    levels : array-like of shape (n_levels,), default=None
        Deviations, probabilities or fractions. None: up to 0.02, 0.5 and 0.02.
    pricer : pricer, default=None
        What prices parameters. None: that of the calibrator.
    scores : sequence of str, default=None
        Names of scores, as of :func:`~levylearn.metrics.get_calibration_scorer`. They are of the
        surfaces that have an answer, and compare with the true parameters and their clean
        surfaces. None: mean absolute error of the parameters, repricing error, and rate of
        failures.
    n_repeats : int, default=1
        How often noise and missing quotes are drawn at each level.
    random_state : int, RandomState instance or None, default=None
        Of these draws.

    Returns
    -------
    table : DataFrame
        One row for each level and repeat, with the columns ``kind``, ``level``, ``repeat`` and
        one for each score, without ``neg_`` and the sign that goes with it.

    Raises
    ------
    ValueError
        If there is no pricer, or a level is out of range.

    See Also
    --------
    worst_case_errors : Not random errors, but the worst.
    compare_calibrators : Several calibrators, at one level of noise.

    Notes
    -----
    A calibrator's warnings of surfaces without an answer, or far from all that it has learned
    from, are not passed on: disturbed surfaces are that on purpose, and ``failure_rate`` counts.

    Examples
    --------
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.inspection import robustness_curve
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=20, random_state=0)
    >>> calibrator = LeastSquaresCalibrator(ContourPricer("variance_gamma", grid)).fit(X)
    >>> table = robustness_curve(calibrator, X, y, "missing", [0.0, 0.3], random_state=0)
    >>> table.drop(columns="kind").round(3) + 0.0
       level  repeat  parameter_mae  repricing_rmse  failure_rate
    0    0.0     0.0            0.0             0.0           0.0
    1    0.3     0.0            0.0             0.0           0.0
    """
    import pandas as pd

    pricer = pricer_of(calibrator, pricer)
    sizes = np.atleast_1d(np.asarray(_LEVELS[kind] if levels is None else levels, dtype=float))
    surfaces, params = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    disturb = {
        "noise": lambda level, seed: GaussianNoise(level, random_state=seed).fit_transform(
            surfaces
        ),
        "missing": lambda level, seed: _thinned(surfaces, level, seed),
        "shift": lambda level, seed: _shifted(pricer, params, level),
    }[kind]
    scorer = get_calibration_scorer(list(scores or _SCORES), pricer=pricer, nan_policy="omit")
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n_repeats)
    rows = []
    for level in sizes.tolist():
        for repeat, seed in enumerate(seeds if kind != "shift" else seeds[:1]):
            found = errors_of(calibrator, as_given(X, disturb(level, int(seed))), params, scorer)
            rows.append({"kind": kind, "level": level, "repeat": repeat, **found})
    return pd.DataFrame(rows)


def errors_of(calibrator: Any, X: Any, y: Any, scorer: Any) -> dict[str, float]:
    """Scores of a calibrator, without its warnings; negative errors lose their sign."""
    with warnings.catch_warnings():
        for category in (CalibrationWarning, ExtrapolationWarning):
            warnings.simplefilter("ignore", category)
        scores = scorer(calibrator, X, y)
    return {
        name.removeprefix("neg_"): -value + 0.0 if name.startswith("neg_") else value
        for name, value in scores.items()
    }


def pricer_of(calibrator: Any, pricer: Any) -> Any:
    pricer = getattr(calibrator, "pricer_", None) if pricer is None else pricer
    if pricer is None:
        raise ValueError("The calibrators have no pricer: give one as pricer.")
    return ready(pricer)


def _thinned(surfaces: Floats, probability: float, seed: int) -> Floats:
    return MissingQuotes(probability, random_state=seed).fit_transform(surfaces)


def _shifted(pricer: Any, params: Floats, shift: float) -> Floats:
    """Surfaces of quotes whose strikes are not what they are taken for."""
    grid = pricer.grid
    if not shift > -1:
        raise ValueError(f"levels: strikes can only be shifted by more than -1; got {shift}.")
    moved = OptionGrid.from_quotes(
        grid.strike * (1 + shift),
        grid.maturity,
        spot=grid.spot,
        rate=grid.rate,
        dividend=grid.dividend,
        option_type=grid.option_type,
    )
    surfaces: Floats = (
        clone(pricer)
        .set_params(grid=moved)
        .set_output(transform="default")
        .fit(params)
        .transform(params)
    )
    return surfaces
