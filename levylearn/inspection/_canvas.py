"""What pictures have in common: panels, colours, heat maps over contracts."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.utils._optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLOURS",
    "DASHES",
    "UNITS",
    "draw_on_contracts",
    "legend_of",
    "maximum_ticks",
    "panels",
    "shade",
    "title_of",
]

# Dark enough for paper, and told apart by the colour-blind (Okabe and Ito), as the
# dashes tell them apart in grey.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))

# What the outputs of pricers are measured in.
UNITS = {"price": "currency", "forward_price": "of the forward", "implied_vol": "volatility"}

_MAX_TICKS = 6


def panels(
    n_panels: int,
    ax: Any,
    figure: Any,
    caller: str,
    *,
    size: tuple[float, float],
    n_columns: int = 4,
    **options: Any,
) -> NDArray[Any]:
    """Axes for so many panels: those given, or new ones.

    Parameters
    ----------
    n_panels : int
        How many are needed.
    ax : Axes, array-like of Axes or None
        Where to draw.
    figure : Figure or None
        An empty figure to make them in. None: pyplot makes one.
    caller : str
        Who draws, for messages.
    size : tuple of float
        Width and height of a panel, in inches.
    n_columns : int, default=4
        How many panels fit side by side.
    **options : dict
        For ``Figure.subplots``.

    Returns
    -------
    axes : ndarray of Axes of shape (n_panels,)
        The panels, row by row.
    """
    if ax is not None:
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(axes) < n_panels:
            raise ValueError(f"ax must be {n_panels} axes; got {len(axes)}.")
        return axes[:n_panels]
    n_columns = min(n_panels, n_columns)
    n_rows = ceil(n_panels / n_columns)
    pyplot = import_optional("matplotlib.pyplot", caller)
    figure = pyplot.figure() if figure is None else figure
    figure.set_size_inches(size[0] * n_columns, size[1] * n_rows + 0.6)
    figure.set_layout_engine("constrained")
    made: NDArray[Any] = figure.subplots(n_rows, n_columns, squeeze=False, **options).ravel()
    for unused in made[n_panels:]:
        unused.remove()
    return made[:n_panels]


def legend_of(axes: Any) -> dict[str, Any]:
    """Artists of all panels, each label once."""
    known: dict[str, Any] = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        known.update(zip(labels, handles, strict=True))
    return known


def maximum_ticks(axis: Any, n_ticks: int) -> None:
    """Let an axis of numbers have a few ticks only."""
    ticker = import_optional("matplotlib.ticker", "plot")
    axis.set_major_locator(ticker.MaxNLocator(n_ticks))


def shade(i: int) -> tuple[str, float]:
    """Colour of the widest band or region, 0, and of those within it."""
    return COLOURS[1], min(0.2 + 0.22 * i, 1.0)


def title_of(parameter: Any) -> str:
    """Symbol of a parameter, as matplotlib sets it."""
    return f"${parameter.symbol}$"


def draw_on_contracts(panel: Axes, grid: OptionGrid, values: NDArray[np.float64]) -> None:
    """Draw one number for each quote over strikes and maturities, with its scale of colours.

    Numbers of both signs get colours around white for zero. A product grid is drawn as a table,
    the others quote by quote.
    """
    signed = bool(np.nanmin(values, initial=0.0) < 0 < np.nanmax(values, initial=0.0))
    # A sign that only rounding gives is none.
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colours: dict[str, Any] = {"cmap": "viridis"}
    if signed:
        colours = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    if grid.is_product:
        n_strikes = grid.shape[1]
        drawn: Any = panel.imshow(
            values.reshape(grid.shape), aspect="auto", origin="lower", **colours
        )
        _label(panel.set_xticks, grid.strike[:n_strikes])
        _label(panel.set_yticks, grid.maturity[::n_strikes])
    else:
        drawn = panel.scatter(
            grid.strike, grid.maturity, c=values, marker="s", s=40, edgecolors="0.6", **colours
        )
    bar = panel.figure.colorbar(drawn, ax=panel)
    bar.ax.ticklabel_format(axis="y", scilimits=(-2, 3))
    maximum_ticks(bar.ax.yaxis, 5)


def _label(set_ticks: Any, values: NDArray[np.float64]) -> None:
    """Ticks at the places of some of the values."""
    places = np.arange(0, len(values), ceil(len(values) / _MAX_TICKS))
    set_ticks(places, [f"{values[place]:.3g}" for place in places])
