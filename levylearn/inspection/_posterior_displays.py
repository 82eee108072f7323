"""Each unknown of a posterior by itself: how it was sampled, and how it is distributed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from levylearn.calibration._draws import check_interval, intervals
from levylearn.inspection._canvas import COLOURS, legend_of, maximum_ticks, panels
from levylearn.inspection._posterior_draws import (
    checked_truth,
    density_of,
    draws_of,
    posterior_of,
    priors_of,
    spread,
)
from levylearn.utils._optional import import_optional

__all__ = ["TRUTH", "PosteriorDisplay", "TraceDisplay", "draw_densities"]

Floats = NDArray[np.float64]
Density = Callable[[Floats], Floats]

_TRACE, _MARGINAL = (3.2, 1.3), (2.5, 2.0)  # inches
TRUTH: dict[str, Any] = {"color": COLOURS[0], "linestyle": ":", "linewidth": 1.8}
_N_VALUES = 512


class TraceDisplay:
    """Draws of every unknown in the order they were made, and their density beside.

    Chains that have converged are fuzzy bands that cannot be told apart, and have one density.
    Ticks at the foot are draws whose trajectories diverged: where there are many of them, part of
    the posterior may not have been reached. Use :meth:`from_estimator` or :meth:`from_posterior`
    to create one.

    Parameters
    ----------
    draws : dict of str to ndarray of shape (n_chains, n_draws)
        Draws by the name of the unknown.
    diverging : ndarray of bool of shape (n_chains, n_draws), default=None
        Which of them end trajectories that diverged.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_unknowns, 2)
        Draws and densities, one row for each unknown.

    See Also
    --------
    ConvergenceDisplay : The same question, answered by numbers.

    Examples
    --------
    >>> from levylearn.calibration import NUTSCalibrator
    >>> from levylearn.inspection import TraceDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> display = TraceDisplay.from_estimator(NUTSCalibrator(pricer, n_chains=4).fit(X), X)
    >>> len(display.plot().axes_[0, 0].lines)
    4
    """

    def __init__(
        self, draws: Mapping[str, Floats], diverging: NDArray[np.bool_] | None = None
    ) -> None:
        self.draws = draws
        self.diverging = diverging

    @classmethod
    def from_posterior(cls, posterior: Any, *, names: Sequence[str] | None = None) -> TraceDisplay:
        """Create a display from draws.

        Parameters
        ----------
        posterior : InferenceData
            Of one surface, as from a calibrator's `sample_posterior`.
        names : sequence of str, default=None
            Which unknowns to show. None: all.

        Returns
        -------
        display : TraceDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is no such unknown, or its draws are all the same.
        """
        draws = draws_of(posterior, names)
        statistics = getattr(posterior, "sample_stats", {})
        if "diverging" not in statistics:
            return cls(draws)
        return cls(draws, statistics["diverging"].transpose("chain", "draw").values)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, names: Sequence[str] | None = None
    ) -> TraceDisplay:
        """Sample the posterior of one surface, and create a display of it.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`. Draws that
            it has kept are used again.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.
        names : sequence of str, default=None
            Which unknowns to show. None: all.

        Returns
        -------
        display : TraceDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface, or has no posterior, or there is no such unknown.
        """
        return cls.from_posterior(posterior_of(estimator, X), names=names)

    def plot(self, ax: Any = None, *, figure: Any = None) -> TraceDisplay:
        """Draw two panels for each unknown.

        Parameters
        ----------
        ax : array-like of Axes, default=None
            Where to draw, two for each unknown.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : TraceDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are too few axes.
        ImportError
            If matplotlib is not installed.
        """
        caller, n = "TraceDisplay.plot", len(self.draws)
        options: dict[str, Any] = {"n_columns": 2, "gridspec_kw": {"width_ratios": [3, 1]}}
        self.axes_ = panels(2 * n, ax, figure, caller, size=_TRACE, **options).reshape(n, 2)
        self.figure_ = self.axes_[0, 0].figure
        for (trace, marginal), (name, draws) in zip(self.axes_, self.draws.items(), strict=True):
            for chain, colour in zip(draws, _colours(len(draws), caller), strict=True):
                trace.plot(chain, color=colour, linewidth=0.6, alpha=0.7)
                if np.ptp(chain) > 0:  # a chain that is stuck has no density
                    values, density = density_of(chain, caller)
                    marginal.plot(density, values, color=colour, linewidth=1)
            trace.set_ylabel(name)
            trace.margins(x=0)
            trace.tick_params(labelbottom=trace is self.axes_[-1, 0])
            maximum_ticks(trace.yaxis, 3)
            marginal.set_ylim(trace.get_ylim())
            marginal.set_xlim(left=0)
            marginal.set_xticks([])
            marginal.tick_params(labelleft=False)
        self.axes_[-1, 0].set_xlabel("draw")
        self._mark_divergences()
        self.axes_[-1, 1].set_xlabel("density")
        return self

    def _mark_divergences(self) -> None:
        if self.diverging is None or not self.diverging.any():
            return
        when = np.flatnonzero(self.diverging.any(axis=0))
        for trace in self.axes_[:, 0]:
            foot, transform = np.full(len(when), 0.07), trace.get_xaxis_transform()
            trace.plot(when, foot, "k|", markersize=9, markeredgewidth=1.5, transform=transform)
        self.axes_[-1, 0].set_xlabel(f"draw ({self.diverging.sum()} divergent: ticks)")


class PosteriorDisplay:
    """Density of every unknown after the quotes are seen, and before.

    Where both are alike the quotes say nothing; where they hardly meet the quotes contradict
    what was thought before. Use :meth:`from_estimator` or :meth:`from_posterior` to create one.

    Parameters
    ----------
    densities : dict of str to DataFrame of shape (n_values, 2 or 3)
        With columns ``value``, ``posterior`` and, if it is known, ``prior``, by the name of
        the unknown.
    intervals : dict of str to (low, high)
        Credible interval of each unknown.
    coverage : float, default=0.95
        Probability of the intervals.
    truth : dict of str to float, default=None
        True values of unknowns, where they are known.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_unknowns,)
        The panels.

    See Also
    --------
    CornerDisplay : Also two by two.

    Examples
    --------
    >>> from levylearn.calibration import LaplaceCalibrator
    >>> from levylearn.inspection import PosteriorDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> calibrator = LaplaceCalibrator(pricer).fit(X)
    >>> display = PosteriorDisplay.from_estimator(calibrator, X, truth={"sigma": 0.2})
    >>> low, high = display.intervals["sigma"]
    >>> bool(low < 0.2 < high), len(display.plot().axes_)
    (True, 1)
    """

    def __init__(
        self,
        densities: Mapping[str, pd.DataFrame],
        intervals: Mapping[str, tuple[float, float]],
        coverage: float = 0.95,
        truth: Mapping[str, float] | None = None,
    ) -> None:
        self.densities = densities
        self.intervals = intervals
        self.coverage = coverage
        self.truth = {} if truth is None else truth

    @classmethod
    def from_posterior(
        cls,
        posterior: Any,
        *,
        priors: Mapping[str, Density] | None = None,
        coverage: float = 0.95,
        kind: str = "equal_tailed",
        names: Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
    ) -> PosteriorDisplay:
        """Create a display from draws.

        Parameters
        ----------
        posterior : InferenceData
            Of one surface, as from a calibrator's `sample_posterior`.
        priors : dict of str to callable, default=None
            Densities of priors, such as ``scipy.stats.norm(0, 1).pdf``, by unknown.
        coverage : float, default=0.95
            Probability of the intervals.
        kind : {"equal_tailed", "highest_density"}, default="equal_tailed"
            Whether as much is left out on either side, or the interval is the shortest.
        names : sequence of str, default=None
            Which unknowns to show. None: all.
        truth : dict of str to float, default=None
            True values of unknowns, where they are known.

        Returns
        -------
        display : PosteriorDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is no such unknown, its draws are all the same, or `coverage` or `kind`
            is out of range.
        """
        check_interval(coverage, kind)
        draws = draws_of(posterior, names)
        ends = {name: intervals(each.ravel(), coverage, kind) for name, each in draws.items()}
        return cls(
            {name: _densities(each, (priors or {}).get(name)) for name, each in draws.items()},
            {name: (float(low), float(high)) for name, (low, high) in ends.items()},
            coverage,
            checked_truth(truth, posterior),
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        coverage: float = 0.95,
        kind: str = "equal_tailed",
        names: Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
    ) -> PosteriorDisplay:
        """Sample the posterior of one surface, and create a display of it and the priors.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`. Draws that
            it has kept are used again.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.
        coverage : float, default=0.95
            Probability of the intervals.
        kind : {"equal_tailed", "highest_density"}, default="equal_tailed"
            Whether as much is left out on either side, or the interval is the shortest.
        names : sequence of str, default=None
            Which unknowns to show. None: all.
        truth : dict of str to float, default=None
            True values of unknowns, where they are known.

        Returns
        -------
        display : PosteriorDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface, or has no posterior, there is no such unknown, or
            `coverage` or `kind` is out of range.
        """
        posterior = posterior_of(estimator, X)
        options: dict[str, Any] = {"coverage": coverage, "kind": kind, "names": names}
        options["priors"] = priors_of(estimator, posterior)
        return cls.from_posterior(posterior, truth=truth, **options)

    def plot(self, ax: Any = None, *, figure: Any = None) -> PosteriorDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each unknown.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : PosteriorDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than unknowns.
        ImportError
            If matplotlib is not installed.
        """
        caller = "PosteriorDisplay.plot"
        self.axes_ = panels(len(self.densities), ax, figure, caller, size=_MARGINAL, n_columns=3)
        self.figure_ = self.axes_[0].figure
        for panel, name in zip(self.axes_, self.densities, strict=True):
            draw_densities(panel, self, name)
            panel.set_xlabel(name)
            maximum_ticks(panel.xaxis, 4)
        if ax is None:
            known = legend_of(self.axes_)
            self.figure_.legend(
                known.values(), known, loc="outside upper center", ncols=len(known), frameon=False
            )
        return self


def draw_densities(panel: Any, display: PosteriorDisplay, name: str) -> None:
    """Draw what a display has of one unknown."""
    table = display.densities[name]
    value, density = table["value"], table["posterior"]
    panel.plot(value, density, color=COLOURS[1], linewidth=1.6, label="posterior")
    if "prior" in table:
        panel.plot(value, table["prior"], color="0.35", linestyle="--", label="prior")
    low, high = display.intervals[name]
    panel.fill_between(
        value,
        density,
        where=(value >= low) & (value <= high),
        color=COLOURS[1],
        alpha=0.25,
        linewidth=0,
        label=f"{100 * display.coverage:.4g} % interval",
    )
    if name in display.truth:
        panel.axvline(display.truth[name], label="truth", **TRUTH)
    panel.set_yticks([])
    panel.set_ylim(bottom=0)
    panel.margins(x=0)


def _densities(draws: Floats, prior: Density | None) -> pd.DataFrame:
    """Densities of an unknown; that of the draws is NaN beyond them."""
    known, density = density_of(draws, "PosteriorDisplay")
    value = spread(draws, _N_VALUES)
    within = np.interp(value, known, density, left=np.nan, right=np.nan)
    table = {"value": value, "posterior": within}
    if prior is not None:
        table["prior"] = prior(value)
    return pd.DataFrame(table)


def _colours(n: int, caller: str) -> list[Any]:
    """Colours for so many chains."""
    if n <= len(COLOURS):
        return list(COLOURS[:n])
    colours = import_optional("matplotlib", caller).colormaps["viridis"]
    return [colours(share) for share in np.linspace(0, 0.9, n)]
