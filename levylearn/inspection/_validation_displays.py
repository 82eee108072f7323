"""Scores over folds, and errors through time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import check_cv, cross_validate

from levylearn.inspection._canvas import COLOURS, DASHES, panels
from levylearn.inspection._drift import distribution_drift
from levylearn.inspection._ranges import names_of, widths_of
from levylearn.metrics import parameter_mae
from levylearn.utils._optional import import_optional

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CrossValidationDisplay", "WalkForwardDisplay"]

Floats = NDArray[np.float64]

_BOXES, _TIME = (5.0, 3.0), (7.0, 2.2)  # inches
# What the rule of thumb calls a small and a large change.
_SMALL, _LARGE = 0.1, 0.25


class CrossValidationDisplay:
    """Scores of calibrators over folds, a box for each calibrator and a point for each fold.

    Use :meth:`from_estimator` or :meth:`from_cv_results` to create one.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_folds,)
        Scores by the name of the calibrator.
    score_name : str, default="score"
        What they are.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the picture.
    ax_ : matplotlib Axes
        The picture.

    See Also
    --------
    levylearn.metrics.get_calibration_scorer : Scores by name.

    Examples
    --------
    >>> from levylearn.inspection import CrossValidationDisplay
    >>> results = {"line": {"test_score": [0.8, 0.9, 0.7]}, "network": {"test_score": [1, 1, 0.9]}}
    >>> display = CrossValidationDisplay.from_cv_results(results)
    >>> [label.get_text() for label in display.plot().ax_.get_yticklabels()]
    ['line', 'network']
    """

    def __init__(self, scores: Mapping[str, Floats], score_name: str = "score") -> None:
        self.scores = scores
        self.score_name = score_name

    @classmethod
    def from_cv_results(
        cls, results: Mapping[str, Mapping[str, Any]], score: str = "score"
    ) -> CrossValidationDisplay:
        """Create a display from results of :func:`~sklearn.model_selection.cross_validate`.

        Parameters
        ----------
        results : dict of str to dict
            Results by the name of the calibrator.
        score : str, default="score"
            Which of the scores. One that starts with ``neg_`` is drawn as the error it is.

        Returns
        -------
        display : CrossValidationDisplay
            Ready for :meth:`plot`.
        """
        sign = -1.0 if score.startswith("neg_") else 1.0
        scores = {
            name: sign * np.asarray(result[f"test_{score}"], dtype=np.float64)
            for name, result in results.items()
        }
        return cls(scores, score.removeprefix("neg_").replace("_", " "))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        cv: Any = None,
        scoring: Any = None,
        groups: ArrayLike | None = None,
    ) -> CrossValidationDisplay:
        """Cross-validate calibrators, and create a display of their scores.

        Parameters
        ----------
        estimator : estimator or dict of str to estimator
            The calibrator, or several by name.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.
        y : array-like of shape (n_samples, n_params)
            Their parameters.
        cv : int, splitter or iterable, default=None
            As for :func:`~sklearn.model_selection.cross_validate`.
        scoring : str, callable or None, default=None
            One score. None: that of the estimators.
        groups : array-like of shape (n_samples,), default=None
            For splitters that need them.

        Returns
        -------
        display : CrossValidationDisplay
            Ready for :meth:`plot`.
        """
        named = (
            estimator if isinstance(estimator, Mapping) else {type(estimator).__name__: estimator}
        )
        # All are to meet the same folds.
        folds = list(check_cv(cv).split(X, y, groups))
        results = {
            name: cross_validate(each, X, y, cv=folds, scoring=scoring)
            for name, each in named.items()
        }
        label = getattr(scoring, "scores", scoring)
        if not isinstance(label, str):
            return cls.from_cv_results(results)
        named_so = {
            name: {f"test_{label}": result["test_score"]} for name, result in results.items()
        }
        return cls.from_cv_results(named_so, label)

    def plot(self, ax: Any = None, *, figure: Any = None) -> CrossValidationDisplay:
        """Draw the boxes.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : CrossValidationDisplay
            Itself, with ``figure_`` and ``ax_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = panels(1, ax, figure, "CrossValidationDisplay.plot", size=_BOXES)[0]
        self.figure_ = self.ax_.figure
        places = np.arange(len(self.scores))
        known = [values[np.isfinite(values)] for values in self.scores.values()]
        self.ax_.boxplot(
            known,
            positions=places,
            orientation="horizontal",
            widths=0.5,
            showfliers=False,
            medianprops={"color": COLOURS[0], "linewidth": 1.8},
        )
        for place, values in zip(places, known, strict=True):
            self.ax_.scatter(values, np.full(len(values), place), s=16, color=COLOURS[1], zorder=3)
        self.ax_.set_yticks(places, list(self.scores))
        self.ax_.invert_yaxis()
        self.ax_.set_xlabel(f"{self.score_name}, one point per fold")
        self.ax_.grid(alpha=0.3, axis="x")
        return self


class WalkForwardDisplay:
    """Errors of a calibrator on the days that follow, and how the market has drifted.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    table : DataFrame
        One row for each fold, in the order of time: ``time``, the first of the test window;
        ``psi``, the mean population stability index of its quotes against those that were
        learned from; and a column for each parameter, its mean absolute error in units of its
        range.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (2,)
        Errors, and drift.

    See Also
    --------
    levylearn.model_selection.WalkForwardSplit : The folds.
    distribution_drift : More about the drift.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from levylearn.datasets import make_surface_series
    >>> from levylearn.inspection import WalkForwardDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.model_selection import WalkForwardSplit
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[0.25, 1.0])
    >>> data = make_surface_series("variance_gamma", grid, 300, random_state=0, as_frame=True)
    >>> display = WalkForwardDisplay.from_estimator(
    ...     Ridge(), data.X, data.y, WalkForwardSplit(100, 50), model="variance_gamma"
    ... )
    >>> display.table.shape, display.plot().axes_[1].get_ylabel()
    ((4, 5), 'drift (PSI)')
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        cv: Any,
        *,
        groups: ArrayLike | None = None,
        model: Any = None,
        ranges: ArrayLike | None = None,
    ) -> WalkForwardDisplay:
        """Fit a calibrator anew in each fold, and create a display of its errors.

        Parameters
        ----------
        estimator : estimator
            The calibrator; it is cloned.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces, in the order of time. Their index may be the times.
        y : array-like of shape (n_samples, n_params)
            Their parameters.
        cv : splitter
            The folds, as of :class:`~levylearn.model_selection.WalkForwardSplit`.
        groups : array-like of shape (n_samples,), default=None
            The times; also given to the splitter.
        model : str or CharacteristicModel, default=None
            The model, whose market ranges are the unit of errors.
        ranges : array-like of shape (n_params, 2), default=None
            Ranges ``(low, high)`` to take instead.

        Returns
        -------
        display : WalkForwardDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If neither the calibrator has a pricer, nor `model` or `ranges` is given.
        """
        import pandas as pd

        X, y = (values if hasattr(values, "iloc") else pd.DataFrame(values) for values in (X, y))
        times = X.index if groups is None else np.asarray(groups)
        names = names_of(estimator, y.shape[1]) if y.columns.dtype.kind in "iu" else list(y.columns)
        rows = []
        for train, test in cv.split(X, y, groups):
            fitted = clone(estimator).fit(X.iloc[train], y.iloc[train])
            width = widths_of(fitted, y.shape[1], model, ranges)
            unit = np.column_stack([np.zeros_like(width), width])
            found = fitted.predict(X.iloc[test])
            options = {"multioutput": "raw_values", "nan_policy": "omit"}
            error = parameter_mae(y.iloc[test].to_numpy(), found, ranges=unit, **options)
            drift = distribution_drift(X.iloc[train], X.iloc[test])["psi"].mean()
            each = dict(zip(names, np.atleast_1d(error), strict=True))
            rows.append({"time": times[test].min(), "psi": drift, **each})
        return cls(pd.DataFrame(rows))

    def plot(self, ax: Any = None, *, figure: Any = None) -> WalkForwardDisplay:
        """Draw errors above, drift below.

        Parameters
        ----------
        ax : array-like of two Axes, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : WalkForwardDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than two.
        ImportError
            If matplotlib is not installed.
        """
        options = {"n_columns": 1, "sharex": True}
        self.axes_ = panels(2, ax, figure, "WalkForwardDisplay.plot", size=_TIME, **options)
        self.figure_ = self.axes_[0].figure
        errors, drift = self.axes_
        time = self.table["time"].to_numpy()
        for i, name in enumerate(self.table.columns.drop(["time", "psi"])):
            style = {
                "color": COLOURS[i % len(COLOURS)],
                "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
            }
            errors.plot(time, 100 * self.table[name], marker="o", markersize=3, label=name, **style)
        errors.set(ylabel="MAE (% of range)", ylim=(0, None))
        drift.plot(time, self.table["psi"], marker="o", markersize=3, color="0.2")
        drift.axhline(_SMALL, color="0.5", linewidth=1, linestyle=":", label="small change")
        drift.axhline(_LARGE, color="0.5", linewidth=1, linestyle="--", label="large change")
        drift.set(ylabel="drift (PSI)", xlabel="start of the test window", yscale="log")
        if time.dtype.kind == "M":
            dates = import_optional("matplotlib.dates", "WalkForwardDisplay.plot")
            locator = dates.AutoDateLocator(maxticks=7)
            drift.xaxis.set_major_locator(locator)
            drift.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        for panel in self.axes_:
            panel.grid(alpha=0.3)
            panel.legend(
                frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5)
            )
        return self
