"""Market against model, one smile per maturity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.inspection._canvas import COLOURS, DASHES, maximum_ticks, panels
from levylearn.market import OptionGrid
from levylearn.metrics._fit import implied_volatilities

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SmileFitDisplay", "one_surface", "shown_volatilities"]

Floats = NDArray[np.float64]

_PANEL = (2.5, 2.1)  # inches
_MARKET: dict[str, Any] = {"marker": "o", "markersize": 4, "color": "#333333", "linestyle": "none"}


class SmileFitDisplay:
    """Implied volatilities of market and models against strike, one panel per maturity.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.
    market : ndarray of shape (n_quotes,)
        Implied volatilities of the market; NaN where there is none.
    models : dict of str to ndarray of shape (n_quotes,)
        Implied volatilities of each model, by the name in the legend.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_maturities,)
        The panels, by increasing maturity.

    See Also
    --------
    levylearn.metrics.implied_vol_rmse : The same distance as a number.

    Examples
    --------
    >>> from levylearn.datasets import load_sp500_2002
    >>> from levylearn.inspection import SmileFitDisplay
    >>> from levylearn.pricing import ContourPricer
    >>> data = load_sp500_2002()
    >>> params = [[6.19, -3.89, 0.162]]
    >>> model = ContourPricer("nig", data.grid).fit(params).transform(params)[0]
    >>> display = SmileFitDisplay.from_predictions(data.grid, data.prices, {"nig": model})
    >>> display.plot().axes_.shape
    (7,)
    """

    def __init__(self, grid: OptionGrid, market: Floats, models: Mapping[str, Floats]) -> None:
        self.grid = grid
        self.market = market
        self.models = models

    @classmethod
    def from_predictions(
        cls,
        grid: OptionGrid,
        market: ArrayLike,
        model: ArrayLike | Mapping[str, ArrayLike],
        *,
        unit: str = "price",
    ) -> SmileFitDisplay:
        """Create a display from the surfaces of market and models.

        Parameters
        ----------
        grid : OptionGrid
            The contracts.
        market : array-like of shape (n_quotes,)
            The market's surface; NaN where there is no quote.
        model : array-like of shape (n_quotes,) or dict of str to array-like
            The model's surface, or those of several models by name.
        unit : {"price", "forward_price", "implied_vol"}, default="price"
            What the surfaces hold: the `output` of the pricer.

        Returns
        -------
        display : SmileFitDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If a surface does not match the grid, or the unit is unknown.
        """
        named = model if isinstance(model, Mapping) else {"model": model}
        return cls(
            grid,
            shown_volatilities(market, grid, unit),
            {name: shown_volatilities(surface, grid, unit) for name, surface in named.items()},
        )

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, name: str | None = None
    ) -> SmileFitDisplay:
        """Calibrate one surface, and create a display of it.

        Parameters
        ----------
        estimator : fitted calibrator
            One that has a pricer and a `calibrate` method, as
            :class:`~levylearn.calibration.LeastSquaresCalibrator`.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The market's surface; NaN where there is no quote.
        name : str, default=None
            Name of the model in the legend. None: the one it is registered by.

        Returns
        -------
        display : SmileFitDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface.
        """
        surface = one_surface(X)
        pricer = estimator.pricer_
        model = estimator.calibrate(surface).surfaces[0]
        name = pricer.model_.name if name is None else name
        return cls.from_predictions(pricer.grid, surface[0], {name: model}, unit=pricer.output)

    def plot(self, ax: Any = None, *, figure: Figure | None = None) -> SmileFitDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each maturity.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : SmileFitDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than maturities.
        ImportError
            If matplotlib is not installed.
        """
        slices = self.grid.slices
        shared = {"sharex": True, "sharey": True}
        self.axes_ = panels(len(slices), ax, figure, "SmileFitDisplay.plot", size=_PANEL, **shared)
        self.figure_ = self.axes_[0].figure
        for panel, (maturity, quotes) in zip(self.axes_, slices, strict=True):
            self._draw(panel, quotes)
            panel.set_title(f"{maturity:.3g} years", fontsize="medium")
            maximum_ticks(panel.xaxis, 4)
        if ax is None:
            self._label()
        return self

    def _draw(self, panel: Axes, quotes: NDArray[np.intp]) -> None:
        by_strike = quotes[np.argsort(self.grid.strike[quotes], kind="stable")]
        strike = self.grid.strike[by_strike]
        panel.plot(strike, 100 * self.market[by_strike], label="market", zorder=3, **_MARKET)
        for i, (name, volatility) in enumerate(self.models.items()):
            known = np.isfinite(volatility[by_strike])
            panel.plot(
                strike[known],
                100 * volatility[by_strike][known],
                color=COLOURS[i % len(COLOURS)],
                linestyle=DASHES[i % len(DASHES)],
                linewidth=1.8,
                marker="_" if known.sum() == 1 else None,  # one point makes no line
                label=name,
            )
        panel.grid(alpha=0.3)

    def _label(self) -> None:
        """Label the figure, and place one legend for all panels."""
        for panel in self.axes_:
            panel.tick_params(labelbottom=True)  # also where no panel is below
        self.figure_.supxlabel("strike", fontsize="medium")
        self.figure_.supylabel("implied volatility (%)", fontsize="medium")
        handles, labels = self.axes_[0].get_legend_handles_labels()
        self.figure_.legend(
            handles, labels, loc="outside upper center", ncols=len(labels), frameon=False
        )


def one_surface(X: ArrayLike) -> Floats:
    """A single surface as a matrix of one row."""
    surface = np.atleast_2d(np.asarray(X, dtype=np.float64))
    if len(surface) != 1:
        raise ValueError(f"X must be one surface; got {len(surface)}.")
    return surface


def shown_volatilities(surface: ArrayLike, grid: OptionGrid, unit: str) -> Floats:
    """Implied volatilities of one surface; NaN where there is nothing to draw."""
    array = np.asarray(surface, dtype=np.float64)
    if array.shape != (grid.n_quotes,):
        raise ValueError(
            f"a surface must have one entry per quote of the grid ({grid.n_quotes}); "
            f"got shape {array.shape}."
        )
    volatility = implied_volatilities(array, grid, unit)
    # A price without time value has a volatility of zero: the smile says nothing there.
    return np.where(volatility > 0, volatility, np.nan)
