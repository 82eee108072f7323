"""Unknowns of a posterior two by two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.interpolate import RegularGridInterpolator

from levylearn.inspection._canvas import COLOURS, legend_of, maximum_ticks, panels, shade
from levylearn.inspection._posterior_displays import (
    TRUTH,
    PosteriorDisplay,
    draw_densities,
)
from levylearn.inspection._posterior_draws import (
    checked_truth,
    draws_of,
    posterior_of,
    priors_of,
    spread,
)
from levylearn.utils._optional import import_optional

__all__ = ["CornerDisplay", "CredibleRegionDisplay"]

Floats = NDArray[np.float64]

_REGION, _PAIR = (3.6, 3.2), (1.7, 1.6)  # inches
_COVERAGES = (0.5, 0.95)
_N_VALUES, _MOST_KERNELS = 64, 2000
# Correlations nearer to one than this are told from it by rounding only.
_ON_A_LINE = 1e-12


class Region(NamedTuple):
    """Density of two unknowns, and how high it is on the edges of regions."""

    x: Floats  # (n,)
    y: Floats  # (n,)
    density: Floats  # (n, n): rows are values of y
    levels: dict[float, float]  # by the probability of the region


class CredibleRegionDisplay:
    """Where two unknowns lie, together, with some probability.

    A region is where the joint density of the draws is highest. A narrow one that slopes means
    that the quotes determine a combination of the two, not each. Use :meth:`from_estimator`
    or :meth:`from_posterior` to create one.

    Parameters
    ----------
    names : (str, str)
        The unknowns, across and up.
    region : Region
        ``x`` and ``y``, values of both; ``density`` there; and ``levels``, the density on the
        edge of each region by its probability.
    truth : dict of str to float, default=None
        True values of unknowns, where they are known.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the picture.
    ax_ : matplotlib Axes
        The picture.

    See Also
    --------
    CornerDisplay : All pairs.

    Notes
    -----
    Densities are estimated with normal kernels. The edge is drawn where as many of the draws
    as are wanted have a higher density, so that a region contains that share of them.

    Examples
    --------
    >>> from levylearn.calibration import LaplaceCalibrator
    >>> from levylearn.inspection import CredibleRegionDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("variance_gamma", OptionGrid([80, 90, 100, 110, 120], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2, 0.4, -0.2]]).transform([[0.2, 0.4, -0.2]])
    >>> calibrator = LaplaceCalibrator(pricer).fit(X)
    >>> display = CredibleRegionDisplay.from_estimator(calibrator, X, ["nu", "theta"])
    >>> sorted(display.region.levels)
    [0.5, 0.95]
    """

    def __init__(
        self,
        names: tuple[str, str],
        region: Region,
        truth: Mapping[str, float] | None = None,
    ) -> None:
        self.names = names
        self.region = region
        self.truth = {} if truth is None else truth

    @classmethod
    def from_posterior(
        cls,
        posterior: Any,
        names: Sequence[str],
        *,
        coverages: Sequence[float] = _COVERAGES,
        truth: Mapping[str, float] | None = None,
    ) -> CredibleRegionDisplay:
        """Create a display from draws.

        Parameters
        ----------
        posterior : InferenceData
            Of one surface, as from a calibrator's `sample_posterior`.
        names : (str, str)
            The unknowns, across and up.
        coverages : sequence of float, default=(0.5, 0.95)
            Probabilities of the regions.
        truth : dict of str to float, default=None
            True values of unknowns, where they are known.

        Returns
        -------
        display : CredibleRegionDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there are not two such unknowns, draws of one are all the same or those of both
            lie on a line, or a coverage is not between 0 and 1.
        """
        draws = draws_of(posterior, names)
        if len(draws) != 2:
            raise ValueError(f"names must be two unknowns; got {', '.join(names)}.")
        (across, x), (up, y) = draws.items()
        region = _region(x.ravel(), y.ravel(), coverages)
        return cls((across, up), region, checked_truth(truth, posterior))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        names: Sequence[str],
        *,
        coverages: Sequence[float] = _COVERAGES,
        truth: Mapping[str, float] | None = None,
    ) -> CredibleRegionDisplay:
        """Sample the posterior of one surface, and create a display of two unknowns.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`. Draws that
            it has kept are used again.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.
        names : (str, str)
            The unknowns, across and up.
        coverages : sequence of float, default=(0.5, 0.95)
            Probabilities of the regions.
        truth : dict of str to float, default=None
            True values of unknowns, where they are known.

        Returns
        -------
        display : CredibleRegionDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface, or has no posterior, there are not two such unknowns,
            or a coverage is not between 0 and 1.
        """
        posterior = posterior_of(estimator, X)
        return cls.from_posterior(posterior, names, coverages=coverages, truth=truth)

    def plot(self, ax: Any = None, *, figure: Any = None) -> CredibleRegionDisplay:
        """Draw the regions.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : CredibleRegionDisplay
            Itself, with ``figure_`` and ``ax_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = panels(1, ax, figure, "CredibleRegionDisplay.plot", size=_REGION)[0]
        self.figure_ = self.ax_.figure
        _draw_regions(self.ax_, self)
        self.ax_.set(xlabel=self.names[0], ylabel=self.names[1])
        self.ax_.legend(handles=_explained(self), frameon=False)
        return self


class CornerDisplay:
    """All unknowns of a posterior: each by itself on the diagonal, two by two below it.

    Use :meth:`from_estimator` or :meth:`from_posterior` to create one.

    Parameters
    ----------
    marginals : PosteriorDisplay
        What is drawn on the diagonal.
    regions : dict of (str, str) to CredibleRegionDisplay
        What is drawn below it, by the unknowns across and up.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_unknowns, n_unknowns)
        The panels; those above the diagonal are empty.

    See Also
    --------
    CredibleRegionDisplay : One pair, larger.

    Examples
    --------
    >>> from levylearn.calibration import LaplaceCalibrator
    >>> from levylearn.inspection import CornerDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("variance_gamma", OptionGrid([80, 90, 100, 110, 120], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2, 0.4, -0.2]]).transform([[0.2, 0.4, -0.2]])
    >>> calibrator = LaplaceCalibrator(pricer).fit(X)
    >>> CornerDisplay.from_estimator(calibrator, X).plot().axes_.shape
    (3, 3)
    """

    def __init__(
        self,
        marginals: PosteriorDisplay,
        regions: Mapping[tuple[str, str], CredibleRegionDisplay],
    ) -> None:
        self.marginals = marginals
        self.regions = regions

    @classmethod
    def from_posterior(
        cls,
        posterior: Any,
        *,
        priors: Mapping[str, Any] | None = None,
        coverages: Sequence[float] = _COVERAGES,
        names: Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
    ) -> CornerDisplay:
        """Create a display from draws.

        Parameters
        ----------
        posterior : InferenceData
            Of one surface, as from a calibrator's `sample_posterior`.
        priors : dict of str to callable, default=None
            Densities of priors, such as ``scipy.stats.norm(0, 1).pdf``, by unknown.
        coverages : sequence of float, default=(0.5, 0.95)
            Probabilities of the regions; the intervals have the largest.
        names : sequence of str, default=None
            Which unknowns to show. None: all.
        truth : dict of str to float, default=None
            True values of unknowns, where they are known.

        Returns
        -------
        display : CornerDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is no such unknown, draws are all the same or lie on a line, or a coverage
            is not between 0 and 1.
        """
        _check_coverages(coverages)
        options: dict[str, Any] = {"coverage": max(coverages), "names": names, "truth": truth}
        marginals = PosteriorDisplay.from_posterior(posterior, priors=priors, **options)
        options = {"coverages": coverages, "truth": truth}
        regions = {
            pair: CredibleRegionDisplay.from_posterior(posterior, pair, **options)
            for pair in combinations(marginals.densities, 2)
        }
        return cls(marginals, regions)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        coverages: Sequence[float] = _COVERAGES,
        names: Sequence[str] | None = None,
        truth: Mapping[str, float] | None = None,
    ) -> CornerDisplay:
        """Sample the posterior of one surface, and create a display of it and the priors.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`. Draws that
            it has kept are used again.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.
        coverages : sequence of float, default=(0.5, 0.95)
            Probabilities of the regions; the intervals have the largest.
        names : sequence of str, default=None
            Which unknowns to show. None: all.
        truth : dict of str to float, default=None
            True values of unknowns, where they are known.

        Returns
        -------
        display : CornerDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface, or has no posterior, there is no such unknown, or a
            coverage is not between 0 and 1.
        """
        posterior = posterior_of(estimator, X)
        options: dict[str, Any] = {"coverages": coverages, "names": names, "truth": truth}
        return cls.from_posterior(posterior, priors=priors_of(estimator, posterior), **options)

    def plot(self, ax: Any = None, *, figure: Any = None) -> CornerDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : array-like of Axes, default=None
            Where to draw, as many as the square of the number of unknowns.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : CornerDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than panels.
        ImportError
            If matplotlib is not installed.
        """
        names = list(self.marginals.densities)
        n = len(names)
        caller = "CornerDisplay.plot"
        self.axes_ = panels(n * n, ax, figure, caller, size=_PAIR, n_columns=n).reshape(n, n)
        self.figure_ = self.axes_[0, 0].figure
        for (i, j), panel in np.ndenumerate(self.axes_):
            if i < j:
                panel.set_axis_off()
            elif i == j:
                draw_densities(panel, self.marginals, names[i])
            else:
                _draw_regions(panel, self.regions[names[j], names[i]])
            self._label(panel, names, i, j)
        if ax is None:
            known = legend_of(self.axes_.diagonal())
            for display in self.regions.values():
                known.update((handle.get_label(), handle) for handle in _explained(display))
            self.figure_.legend(known.values(), known, loc="upper right", frameon=False)
        return self

    def _label(self, panel: Any, names: list[str], i: int, j: int) -> None:
        """Name the unknowns at the edges; the panels of a column have one range."""
        value = self.marginals.densities[names[j]]["value"]
        panel.set_xlim(value.iloc[0], value.iloc[-1])
        maximum_ticks(panel.xaxis, 3)
        panel.tick_params(labelsize="small", labelbottom=i == len(names) - 1, labelleft=j == 0)
        panel.tick_params(axis="x", rotation=30)
        if i == len(names) - 1:
            panel.set_xlabel(names[j])
        if j == 0 < i:
            panel.set_ylabel(names[i])


def _draw_regions(panel: Any, display: CredibleRegionDisplay) -> None:
    """Draw the regions, widest first."""
    x, y, density, levels = display.region
    edges = sorted(levels.values())
    shades = [shade(i) for i in range(len(edges))]
    panel.contourf(x, y, density, [*edges, np.inf], colors=shades)
    panel.contour(x, y, density, edges, colors=COLOURS[1], linewidths=0.9)
    for name, line in zip(display.names, (panel.axvline, panel.axhline), strict=True):
        if name in display.truth:
            line(display.truth[name], **TRUTH)
    panel.grid(alpha=0.3)
    for axis in (panel.xaxis, panel.yaxis):
        maximum_ticks(axis, 4)


def _explained(display: CredibleRegionDisplay) -> list[Any]:
    """Entries of a legend: filled contours have no labels."""
    caller = "CredibleRegionDisplay.plot"
    patch = import_optional("matplotlib.patches", caller).Patch
    line = import_optional("matplotlib.lines", caller).Line2D
    handles = [
        patch(facecolor=shade(i), edgecolor=COLOURS[1], label=f"{100 * coverage:.4g} % region")
        for i, coverage in enumerate(sorted(display.region.levels, reverse=True))
    ]
    if set(display.names) & set(display.truth):
        handles.append(line([], [], label="truth", **TRUTH))
    return handles


def _region(x: Floats, y: Floats, coverages: Sequence[float]) -> Region:
    """Regions of highest density of draws (n,) of two unknowns."""
    _check_coverages(coverages)
    if 1 - abs(np.corrcoef(x, y)[0, 1]) < _ON_A_LINE:
        raise ValueError("posterior: the draws of both unknowns lie on a line.")
    few = np.linspace(0, len(x) - 1, min(len(x), _MOST_KERNELS)).astype(np.intp)
    kernels = stats.gaussian_kde([x[few], y[few]])
    across, up = spread(x, _N_VALUES), spread(y, _N_VALUES)
    points = np.stack(np.meshgrid(across, up), axis=0)
    density = kernels(points.reshape(2, -1)).reshape(points.shape[1:])
    # Draws beyond the picture are beyond the regions.
    options: dict[str, Any] = {"bounds_error": False, "fill_value": 0.0}
    at_draws = RegularGridInterpolator((up, across), density, **options)(np.stack([y, x], axis=1))
    levels = {float(each): float(np.quantile(at_draws, 1 - each)) for each in coverages}
    return Region(across, up, density, levels)


def _check_coverages(coverages: Sequence[float]) -> None:
    if not len(coverages) or not all(0 < coverage < 1 for coverage in coverages):
        raise ValueError(f"coverages must be between 0 and 1; got {coverages!r}.")
