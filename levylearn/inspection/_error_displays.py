"""Parameters found against parameters that are, and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from levylearn.inspection._canvas import COLOURS, maximum_ticks, panels
from levylearn.inspection._ranges import names_of
from levylearn.metrics import parameter_r2
from levylearn.metrics._answers import pair_of_sets

__all__ = ["ParityDisplay", "ResidualsDisplay", "normal_quantiles"]

Floats = NDArray[np.float64]

_PARITY, _RESIDUALS = (2.6, 2.5), (3.0, 2.2)  # inches
_POINTS: dict[str, Any] = {"s": 9, "alpha": 0.5, "color": COLOURS[1], "linewidths": 0}
_LINE: dict[str, Any] = {"color": "0.25", "linewidth": 1}


class _ErrorsDisplay:
    """Base of the displays of true parameters and those found."""

    def __init__(self, y_true: Floats, y_pred: Floats, names: Sequence[str]) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.names = names

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, y_pred: ArrayLike, *, names: Sequence[str] | None = None
    ) -> Any:
        """Create a display from parameters.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, n_params)
            Parameters of the surfaces; the columns of a frame give their names.
        y_pred : array-like of the same shape
            Those that a calibrator found; NaN where it found none.
        names : sequence of str, default=None
            Names of the parameters.

        Returns
        -------
        display : display
            Ready for `plot`.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        truth, found = pair_of_sets(y_true, y_pred)
        if names is None:
            names = list(getattr(y_true, "columns", names_of(None, truth.shape[1])))
        if len(names) != truth.shape[1]:
            raise ValueError(f"names must be {truth.shape[1]}, one per parameter; got {names!r}.")
        return cls(truth, found, names)

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike) -> Any:
        """Create a display from what a fitted calibrator predicts.

        Parameters
        ----------
        estimator : fitted calibrator
            Any regressor from surfaces to parameters.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.
        y : array-like of shape (n_samples,) or (n_samples, n_params)
            Their parameters.

        Returns
        -------
        display : display
            Ready for `plot`.
        """
        names = getattr(y, "columns", getattr(estimator, "parameter_names_", None))
        return cls.from_predictions(
            y, estimator.predict(X), names=None if names is None else list(names)
        )


class ParityDisplay(_ErrorsDisplay):
    """Parameters found against true ones, one panel per parameter, with R2.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples, n_params)
        True parameters.
    y_pred : ndarray of shape (n_samples, n_params)
        Those found; NaN where there is none.
    names : sequence of str
        Names of the parameters.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_params,)
        The panels.

    See Also
    --------
    ResidualsDisplay : The errors themselves.
    levylearn.metrics.parameter_r2 : The number in the titles.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.inspection import ParityDisplay
    >>> y_true = np.random.default_rng(0).uniform(size=(50, 2))
    >>> display = ParityDisplay.from_predictions(y_true, y_true + 0.01, names=["sigma", "nu"])
    >>> display.plot().axes_[0].get_title()
    'sigma: R² = 0.998'
    """

    @property
    def titles(self) -> list[str]:
        """Name and R2 of each parameter."""
        score = parameter_r2(self.y_true, self.y_pred, multioutput="raw_values", nan_policy="omit")
        return [
            f"{name}: R² = {_to_three(r2)}"
            for name, r2 in zip(self.names, np.atleast_1d(score), strict=True)
        ]

    def plot(self, ax: Any = None, *, figure: Any = None) -> ParityDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each parameter.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : ParityDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than parameters.
        ImportError
            If matplotlib is not installed.
        """
        self.axes_ = panels(len(self.names), ax, figure, "ParityDisplay.plot", size=_PARITY)
        self.figure_ = self.axes_[0].figure
        for panel, title, truth, found in zip(
            self.axes_, self.titles, self.y_true.T, self.y_pred.T, strict=True
        ):
            panel.axline((truth.mean(), truth.mean()), slope=1, **_LINE)
            panel.scatter(truth, found, **_POINTS)
            panel.set_title(title, fontsize="medium")
            for axis in (panel.xaxis, panel.yaxis):
                maximum_ticks(axis, 4)
            panel.grid(alpha=0.3)
        if ax is None:
            self.figure_.supxlabel("true", fontsize="medium")
            self.figure_.supylabel("found", fontsize="medium")
        return self


class ResidualsDisplay(_ErrorsDisplay):
    """Errors of parameters: against normal quantiles, against what was found, how often.

    One row of three panels for each parameter. Use :meth:`from_estimator` or
    :meth:`from_predictions` to create one.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples, n_params)
        True parameters.
    y_pred : ndarray of shape (n_samples, n_params)
        Those found; NaN where there is none.
    names : sequence of str
        Names of the parameters.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_params, 3)
        The panels.

    See Also
    --------
    ParityDisplay : Parameters found against true ones.
    levylearn.metrics.significance_tests : Bias, normality and autocorrelation as tests.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.inspection import ResidualsDisplay
    >>> rng = np.random.default_rng(0)
    >>> y_true, errors = rng.uniform(size=(50, 2)), 0.1 * rng.normal(size=(50, 2))
    >>> ResidualsDisplay.from_predictions(y_true, y_true + errors).plot().axes_.shape
    (2, 3)
    """

    def plot(self, ax: Any = None, *, figure: Any = None) -> ResidualsDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : array-like of Axes, default=None
            Where to draw, three for each parameter.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : ResidualsDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than panels.
        ImportError
            If matplotlib is not installed.
        """
        n_panels = 3 * len(self.names)
        self.axes_ = panels(
            n_panels, ax, figure, "ResidualsDisplay.plot", size=_RESIDUALS, n_columns=3
        ).reshape(-1, 3)
        self.figure_ = self.axes_[0, 0].figure
        for row, name, truth, found in zip(
            self.axes_, self.names, self.y_true.T, self.y_pred.T, strict=True
        ):
            known = np.isfinite(found)
            self._draw(row, found[known], (found - truth)[known])
            row[0].set_ylabel(f"error of {name}")
            row[1].set_xlabel(f"{name} found")
            row[2].set_xlabel(f"error of {name}")
        titles = ("against normal quantiles", "against what was found", "how often")
        for panel, title in zip(self.axes_[0], titles, strict=True):
            panel.set_title(title, fontsize="medium")
        return self

    def _draw(self, row: NDArray[Any], found: Floats, errors: Floats) -> None:
        quantile = normal_quantiles(len(errors))
        spread, centre = errors.std(), errors.mean()
        row[0].axline((0, centre), slope=spread, **_LINE)
        row[0].scatter(quantile, np.sort(errors), **_POINTS)
        row[0].set_xlabel("normal quantile")
        row[1].axhline(0, **_LINE)
        row[1].scatter(found, errors, **_POINTS)
        row[2].hist(errors, bins="rice", density=True, color=COLOURS[1], alpha=0.5)
        if spread > 0:
            x = np.linspace(errors.min(), errors.max(), 200)
            row[2].plot(x, stats.norm.pdf(x, centre, spread), label="normal", **_LINE)
            row[2].legend(frameon=False, fontsize="small")
        row[2].set_ylabel("density")
        for panel in row:
            maximum_ticks(panel.xaxis, 4)
            maximum_ticks(panel.yaxis, 4)
            panel.grid(alpha=0.3)


def normal_quantiles(n: int) -> Floats:
    """Quantiles of the normal distribution that so many errors in order are held against."""
    quantiles: Floats = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return quantiles


def _to_three(r2: float) -> str:
    """Three digits, rounded down: no 1.000 for what is less."""
    return f"{np.floor(r2 * 1000) / 1000:.3f}"
