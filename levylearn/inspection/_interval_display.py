"""Whether intervals contain what they say they do, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from levylearn.inspection._canvas import COLOURS, panels
from levylearn.inspection._ranges import names_of, widths_of
from levylearn.metrics import interval_coverage
from levylearn.metrics._answers import parameter_sets

__all__ = ["IntervalDisplay"]

Floats = NDArray[np.float64]

_PANEL = (3.4, 2.8)  # inches


class IntervalDisplay:
    """Coverage of intervals by parameter, with what chance allows, and their widths.

    Use :meth:`from_estimator` to create one, or give intervals.

    Parameters
    ----------
    intervals : ndarray of shape (n_samples, n_params, 2)
        Lower and upper ends; NaN where there is none.
    names : sequence of str
        Names of the parameters.
    width : ndarray of shape (n_params,)
        The range of each parameter, the unit of the widths.
    y_true : ndarray of shape (n_samples, n_params), default=None
        True parameters. Without them there are only widths.
    coverage : float, default=0.95
        What the intervals promise.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (2,) or (1,)
        Coverage, if true parameters are known, and widths.

    See Also
    --------
    levylearn.metrics.interval_coverage, levylearn.metrics.interval_width : The numbers.

    Notes
    -----
    The bar at each share is Wilson's interval: the coverages that, at a confidence of 95 %, could
    have given this share. The fewer surfaces, the longer.

    References
    ----------
    Wilson, E. (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.inspection import IntervalDisplay
    >>> y = np.random.default_rng(0).normal(size=(200, 1))
    >>> intervals = np.broadcast_to([-1.96, 1.96], (200, 1, 2))
    >>> display = IntervalDisplay(intervals, ["x"], np.array([10.0]), y)
    >>> display.shares.round(3)
    array([[0.965, 0.93 , 0.983]])
    >>> display.plot().axes_[1].get_xlabel()
    'width (% of range)'
    """

    def __init__(
        self,
        intervals: Floats,
        names: Sequence[str],
        width: Floats,
        y_true: Floats | None = None,
        coverage: float = 0.95,
    ) -> None:
        self.intervals = intervals
        self.names = names
        self.width = width
        self.y_true = y_true
        self.coverage = coverage

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        coverage: float = 0.95,
        model: Any = None,
        ranges: ArrayLike | None = None,
    ) -> IntervalDisplay:
        """Ask a fitted calibrator for intervals, and create a display of them.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a `predict_interval`.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces.
        y : array-like of shape (n_samples,) or (n_samples, n_params), default=None
            Their parameters, if they are known.
        coverage : float, default=0.95
            What the intervals are to promise.
        model : str or CharacteristicModel, default=None
            The model, whose market ranges are the unit of the widths.
        ranges : array-like of shape (n_params, 2), default=None
            Ranges ``(low, high)`` to take instead.

        Returns
        -------
        display : IntervalDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If neither the calibrator has a pricer, nor `model` or `ranges` is given.
        """
        intervals: Floats = estimator.predict_interval(X, coverage)
        n_params = intervals.shape[1]
        names = list(getattr(y, "columns", names_of(estimator, n_params)))
        width = widths_of(estimator, n_params, model, ranges)
        truth = None if y is None else parameter_sets(y, "y")
        return cls(intervals, names, width, truth, coverage)

    @property
    def shares(self) -> Floats:
        """Share of each parameter in its intervals, and the ends of Wilson's interval for it."""
        if self.y_true is None:
            raise ValueError("Without true parameters (y) there is no coverage.")
        options = {"multioutput": "raw_values", "nan_policy": "omit"}
        share = interval_coverage(self.y_true, self.intervals, **options)
        known = (~np.isnan(self.intervals).any(axis=2)).sum(axis=0)
        return np.array([_with_chance(*each) for each in zip(share, known, strict=True)])

    @property
    def widths(self) -> Floats:
        """Widths (n_samples, n_params) as fractions of the ranges."""
        widths: Floats = np.diff(self.intervals, axis=2)[..., 0] / self.width
        return widths

    def plot(self, ax: Any = None, *, figure: Any = None) -> IntervalDisplay:
        """Draw coverage and widths.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw: two, or one if true parameters are not known.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : IntervalDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than panels.
        ImportError
            If matplotlib is not installed.
        """
        n_panels = 1 if self.y_true is None else 2
        self.axes_ = panels(n_panels, ax, figure, "IntervalDisplay.plot", size=_PANEL)
        self.figure_ = self.axes_[0].figure
        places = np.arange(len(self.names))
        if self.y_true is not None:
            self._draw_coverage(self.axes_[0], places)
        widths = [100 * each[np.isfinite(each)] for each in self.widths.T]
        self.axes_[-1].boxplot(
            widths,
            positions=places,
            orientation="horizontal",
            widths=0.5,
            medianprops={"color": COLOURS[0], "linewidth": 1.8},
            flierprops={"markersize": 2},
        )
        self.axes_[-1].set_xlabel("width (% of range)")
        for panel in self.axes_:
            panel.set_yticks(places, self.names)
            panel.set_ylim(len(places) - 0.5, -0.5)
            panel.grid(alpha=0.3, axis="x")
        return self

    def _draw_coverage(self, panel: Any, places: NDArray[np.intp]) -> None:
        share, low, high = 100 * self.shares.T
        panel.errorbar(
            share, places, xerr=[share - low, high - share], fmt="o", color=COLOURS[1], capsize=3
        )
        promised = 100 * self.coverage
        label = f"promised: {promised:g} %"
        panel.axvline(promised, color="0.25", linewidth=1, linestyle="--", label=label)
        panel.set_xlabel("parameters in their intervals (%)")
        panel.legend(frameon=False, fontsize="small")


def _with_chance(share: float, n: int) -> tuple[float, float, float]:
    if n == 0:
        return np.nan, np.nan, np.nan
    chance = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(share), chance.low, chance.high
