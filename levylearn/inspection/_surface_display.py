"""A volatility surface in three dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import Delaunay

from levylearn.inspection._canvas import maximum_ticks, panels
from levylearn.inspection._smile import one_surface, shown_volatilities
from levylearn.market import OptionGrid

__all__ = ["SurfaceDisplay"]

Floats = NDArray[np.float64]

_PANEL = (5.0, 4.0)  # inches
# Points that a surface through ragged quotes takes.
_LEAST_POINTS = 4


class SurfaceDisplay:
    """Implied volatility over strike and maturity, and quotes around it.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.
    volatility : ndarray of shape (n_quotes,)
        Implied volatilities of the surface; NaN where there is none.
    market : ndarray of shape (n_quotes,), default=None
        Those of quotes, drawn as points.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the picture.
    ax_ : matplotlib Axes3D
        The picture.

    See Also
    --------
    SmileFitDisplay : One smile for each maturity; easier to read.

    Examples
    --------
    >>> from levylearn.inspection import SurfaceDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 0.5, 1.0])
    >>> params = [[0.04, 1.5, 0.05, 0.5, -0.7]]
    >>> surface = ContourPricer("heston", grid).fit(params).transform(params)[0]
    >>> SurfaceDisplay.from_predictions(grid, surface).plot().ax_.get_zlabel()
    'implied volatility (%)'
    """

    def __init__(self, grid: OptionGrid, volatility: Floats, market: Floats | None = None) -> None:
        self.grid = grid
        self.volatility = volatility
        self.market = market

    @classmethod
    def from_predictions(
        cls,
        grid: OptionGrid,
        surface: ArrayLike,
        *,
        market: ArrayLike | None = None,
        unit: str = "price",
    ) -> SurfaceDisplay:
        """Create a display from a surface.

        Parameters
        ----------
        grid : OptionGrid
            The contracts.
        surface : array-like of shape (n_quotes,)
            The surface to draw.
        market : array-like of shape (n_quotes,), default=None
            Quotes to draw as points; NaN where there is none.
        unit : {"price", "forward_price", "implied_vol"}, default="price"
            What the surfaces hold: the `output` of the pricer.

        Returns
        -------
        display : SurfaceDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If a surface does not match the grid, or the unit is unknown.
        """
        quotes = None if market is None else shown_volatilities(market, grid, unit)
        return cls(grid, shown_volatilities(surface, grid, unit), quotes)

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike) -> SurfaceDisplay:
        """Calibrate one surface, and create a display of the fit and the quotes.

        Parameters
        ----------
        estimator : fitted calibrator
            One that has a pricer and a `calibrate` method.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The market's surface; NaN where there is no quote.

        Returns
        -------
        display : SurfaceDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface.
        """
        surface = one_surface(X)
        pricer = estimator.pricer_
        model = estimator.calibrate(surface).surfaces[0]
        return cls.from_predictions(pricer.grid, model, market=surface[0], unit=pricer.output)

    @property
    def triangles(self) -> NDArray[np.intp]:
        """Places (n_triangles, 3) of the corners of a surface through the quotes that are there.

        Strikes and maturities, which have no common unit, count by their extent. There are no
        triangles if the quotes lie on one line.
        """
        known = np.flatnonzero(np.isfinite(self.volatility))
        places = np.column_stack([self.grid.strike, self.grid.maturity])[known]
        extent = np.ptp(places, axis=0) if len(known) >= _LEAST_POINTS else np.zeros(2)
        if not extent.all():
            return np.empty((0, 3), dtype=np.intp)
        return known[Delaunay(places / extent).simplices]

    def plot(self, ax: Any = None, *, figure: Any = None) -> SurfaceDisplay:
        """Draw the surface.

        Parameters
        ----------
        ax : Axes3D, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : SurfaceDisplay
            Itself, with ``figure_`` and ``ax_``.

        Raises
        ------
        ValueError
            If `ax` is not three-dimensional.
        ImportError
            If matplotlib is not installed.
        """
        options: dict[str, Any] = {"subplot_kw": {"projection": "3d"}}
        self.ax_ = panels(1, ax, figure, "SurfaceDisplay.plot", size=_PANEL, **options)[0]
        if not hasattr(self.ax_, "plot_surface"):
            raise ValueError("ax must be three-dimensional: make it with projection='3d'.")
        self.figure_ = self.ax_.figure
        self._draw()
        if self.market is not None:
            place = self.grid.strike, self.grid.maturity, 100 * self.market
            self.ax_.scatter(*place, color="#333333", s=12, depthshade=False, label="market")
            self.ax_.legend(loc="upper right", frameon=False)
        self.ax_.set(xlabel="strike", ylabel="maturity (years)")
        self.ax_.set_zlabel("implied volatility (%)")
        for axis in (self.ax_.xaxis, self.ax_.yaxis, self.ax_.zaxis):
            maximum_ticks(axis, 5)
        self.ax_.view_init(elev=25, azim=-50)
        self.ax_.set_box_aspect(None, zoom=0.85)  # the labels need room
        return self

    def _draw(self) -> None:
        strike, maturity = self.grid.strike, self.grid.maturity
        height = 100 * self.volatility
        look = {"cmap": "viridis", "edgecolor": "0.3", "linewidth": 0.3, "alpha": 0.85}
        known = np.isfinite(height)
        if self.grid.is_product and known.all() and min(self.grid.shape) > 1:
            shaped = (part.reshape(self.grid.shape) for part in (strike, maturity, height))
            self.ax_.plot_surface(*shaped, rstride=1, cstride=1, **look)
        elif len(self.triangles):
            place = strike, maturity, np.where(known, height, 0.0)
            self.ax_.plot_trisurf(*place, triangles=self.triangles, **look)
        else:
            self.ax_.scatter(strike, maturity, height)
