"""Whether a posterior was sampled well, and whether posteriors are what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from levylearn.inspection._canvas import COLOURS, maximum_ticks, panels
from levylearn.inspection._posterior import posterior_diagnostics
from levylearn.inspection._posterior_draws import draws_of, posterior_of
from levylearn.inspection._simulation_based import simulation_based_ranks

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ConvergenceDisplay", "RankDisplay"]

_HEIGHT = 0.38
_RANKS = (2.5, 2.0)  # inches
_THRESHOLD: dict[str, Any] = {"color": "0.2", "linestyle": "--", "linewidth": 1}
_SIZES = {"ess_bulk": "bulk", "ess_tail": "tail"}


class ConvergenceDisplay:
    """R-hat and effective sample sizes of every unknown, with what they have to reach.

    Bars that do not are orange. Use :meth:`from_estimator` or :meth:`from_posterior` to create
    one, or give a table.

    Parameters
    ----------
    table : DataFrame
        As from :func:`posterior_diagnostics`.
    max_rhat : float, default=1.01
        R-hat that no unknown is to exceed.
    min_ess : float, default=400
        Effective sample size that every unknown is to have.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (2,)
        R-hat, and effective sample sizes.

    See Also
    --------
    posterior_diagnostics : The numbers.
    TraceDisplay : The draws themselves.

    Notes
    -----
    The thresholds that are the defaults are those of Vehtari et al. A single chain has no R-hat.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021).
    Rank-normalization, folding, and localization: an improved R-hat for assessing convergence
    of MCMC. Bayesian Analysis 16, 667-718.

    Examples
    --------
    >>> from levylearn.calibration import NUTSCalibrator
    >>> from levylearn.inspection import ConvergenceDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> display = ConvergenceDisplay.from_estimator(NUTSCalibrator(pricer).fit(X), X)
    >>> display.min_ess, bool((display.table.r_hat < display.max_rhat).all())
    (1000, True)
    """

    def __init__(self, table: pd.DataFrame, max_rhat: float = 1.01, min_ess: float = 400) -> None:
        self.table = table
        self.max_rhat = max_rhat
        self.min_ess = min_ess

    @classmethod
    def from_posterior(
        cls, posterior: Any, *, max_rhat: float = 1.01, min_ess: float = 400
    ) -> ConvergenceDisplay:
        """Create a display from draws.

        Parameters
        ----------
        posterior : InferenceData
            Of one surface, as from a calibrator's `sample_posterior`.
        max_rhat : float, default=1.01
            R-hat that no unknown is to exceed.
        min_ess : float, default=400
            Effective sample size that every unknown is to have.

        Returns
        -------
        display : ConvergenceDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If the posterior is not one, or all draws of an unknown are the same.
        """
        draws_of(posterior)
        return cls(posterior_diagnostics(posterior), max_rhat, min_ess)

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike) -> ConvergenceDisplay:
        """Sample the posterior of one surface, and create a display of how that went.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`, whose
            `max_rhat` and `min_ess` are the thresholds, if it has any. Draws that it has kept
            are used again.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.

        Returns
        -------
        display : ConvergenceDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface, or has no posterior.
        """
        own = {
            name: getattr(estimator, name)
            for name in ("max_rhat", "min_ess")
            if hasattr(estimator, name)
        }
        return cls.from_posterior(posterior_of(estimator, X), **own)

    def plot(self, ax: Any = None, *, figure: Any = None) -> ConvergenceDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : array-like of two Axes, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : ConvergenceDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than two.
        ImportError
            If matplotlib is not installed.
        """
        size = (3.2, 0.9 + 0.35 * len(self.table))
        self.axes_ = panels(2, ax, figure, "ConvergenceDisplay.plot", size=size)
        self.figure_ = self.axes_[0].figure
        self._draw_rhat(self.axes_[0])
        self._draw_sizes(self.axes_[1])
        for panel in self.axes_:
            panel.set_yticks(np.arange(len(self.table)), list(self.table.index))
            panel.invert_yaxis()
            panel.grid(alpha=0.3, axis="x")
            maximum_ticks(panel.xaxis, 3)
        return self

    def _draw_rhat(self, panel: Any) -> None:
        rhat = self.table["r_hat"].to_numpy()
        colours = np.where(rhat > self.max_rhat, COLOURS[0], COLOURS[1])
        panel.barh(np.arange(len(rhat)), rhat - 1, 2 * _HEIGHT, left=1, color=colours)
        panel.axvline(self.max_rhat, **_THRESHOLD)
        panel.axvline(1, color="0.3", linewidth=0.8)
        known = np.isfinite(rhat).any()
        allowed = f"at most {self.max_rhat:.4g}" if known else "none of a single chain"
        panel.set_xlabel(f"R-hat: {allowed}")

    def _draw_sizes(self, panel: Any) -> None:
        places = np.arange(len(self.table))
        for i, (column, name) in enumerate(_SIZES.items()):
            values = self.table[column].to_numpy()
            colours = np.where(values < self.min_ess, COLOURS[0], (COLOURS[1], COLOURS[5])[i])
            bars = panel.barh(places + (i - 0.5) * _HEIGHT, values, _HEIGHT, color=colours)
            bars.set_label(name)
        panel.axvline(self.min_ess, **_THRESHOLD)
        panel.set_xlabel(f"effective sample size: at least {self.min_ess:.4g}")
        panel.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0))


class RankDisplay:
    """Histograms of ranks of the truth among draws, with the band that uniform ranks keep to.

    A hump in the middle means that posteriors are too wide, a valley that they are too narrow,
    a slope that they are shifted. Use :meth:`from_estimator` to create one, or give ranks.

    Parameters
    ----------
    ranks : DataFrame
        As from :func:`simulation_based_ranks`.
    n_bins : int, default=10
        Bins of equal width.
    coverage : float, default=0.95
        Probability with which the count of a bin is in the band, if ranks are uniform.

    Attributes
    ----------
    counts : DataFrame of shape (n_bins, n_unknowns)
        How many ranks are in each bin.
    band : (float, float)
        Least and greatest count of the band.
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_unknowns,)
        The panels.

    See Also
    --------
    simulation_based_ranks : What makes the ranks.
    rank_test : Tests, and how often intervals contain the truth.

    References
    ----------
    Talts, S., Betancourt, M., Simpson, D., Vehtari, A. and Gelman, A. (2018). Validating
    Bayesian inference algorithms with simulation-based calibration. arXiv:1804.06788.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from levylearn.inspection import RankDisplay
    >>> even = pd.DataFrame({"sigma": (np.arange(100) + 0.5) / 100})
    >>> display = RankDisplay(even, n_bins=5)
    >>> display.counts["sigma"].tolist(), display.band
    ([20, 20, 20, 20, 20], (12.0, 28.0))
    """

    def __init__(self, ranks: pd.DataFrame, n_bins: int = 10, coverage: float = 0.95) -> None:
        self.ranks = ranks
        self.n_bins = n_bins
        self.coverage = coverage
        self.counts = ranks.apply(lambda column: np.histogram(column, n_bins, range=(0, 1))[0])
        ends = [(1 - coverage) / 2, (1 + coverage) / 2]
        low, high = stats.binom.ppf(ends, len(ranks), 1 / n_bins)
        self.band = float(low), float(high)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        n_surfaces: int = 200,
        *,
        n_bins: int = 10,
        coverage: float = 0.95,
        random_state: Any = None,
    ) -> RankDisplay:
        """Simulate and calibrate surfaces, and create a display of the ranks.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`.
        n_surfaces : int, default=200
            How many surfaces to simulate and to calibrate.
        n_bins : int, default=10
            Bins of equal width.
        coverage : float, default=0.95
            Probability with which the count of a bin is in the band, if ranks are uniform.
        random_state : int, RandomState instance or None, default=None
            Of the simulation.

        Returns
        -------
        display : RankDisplay
            Ready for :meth:`plot`.
        """
        ranks = simulation_based_ranks(estimator, n_surfaces, random_state=random_state)
        return cls(ranks, n_bins, coverage)

    def plot(self, ax: Any = None, *, figure: Any = None) -> RankDisplay:
        """Draw the histograms.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each unknown.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : RankDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than unknowns.
        ImportError
            If matplotlib is not installed.
        """
        n = self.counts.shape[1]
        options: dict[str, Any] = {"n_columns": 3, "sharey": True}
        self.axes_ = panels(n, ax, figure, "RankDisplay.plot", size=_RANKS, **options)
        self.figure_ = self.axes_[0].figure
        middles = (np.arange(self.n_bins) + 0.5) / self.n_bins
        for panel, (name, counts) in zip(self.axes_, self.counts.items(), strict=True):
            outside = (counts < self.band[0]) | (counts > self.band[1])
            colours = np.where(outside, COLOURS[0], COLOURS[1])
            panel.bar(middles, counts, 0.9 / self.n_bins, color=colours)
            panel.axhspan(*self.band, color="0.5", alpha=0.3, linewidth=0, zorder=2)
            panel.axhline(len(self.ranks) / self.n_bins, color="0.2", linewidth=1)
            panel.set_xlabel(f"rank of {name}")
            panel.set_xlim(0, 1)
        self.axes_[0].set_ylabel("surfaces")
        return self
