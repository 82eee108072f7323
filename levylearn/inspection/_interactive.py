"""The pictures of a report: what displays hold, drawn by plotly."""

from __future__ import annotations

from functools import singledispatch
from html import escape
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from levylearn.inspection._canvas import COLOURS
from levylearn.inspection._error_displays import (
    ParityDisplay,
    ResidualsDisplay,
    normal_quantiles,
)
from levylearn.inspection._heat_maps import RepricingErrorDisplay
from levylearn.inspection._interval_display import IntervalDisplay
from levylearn.inspection._smile import SmileFitDisplay
from levylearn.inspection._surface_display import SurfaceDisplay
from levylearn.inspection._training_display import TrainingDisplay
from levylearn.market import OptionGrid
from levylearn.utils._optional import import_optional

__all__ = ["MOST_POINTS", "interactive"]

Floats = NDArray[np.float64]

# More points than these make a page slow, and no picture clearer.
MOST_POINTS = 2000
_MOST_PANELS = 4  # side by side
_DASHES = ("solid", "dash", "dashdot", "dot")
_GREY = "#404040"
# Not plotly's own: 3p for three trillionths.
_NUMBERS = {"exponentformat": "power"}
# Ends of a scale of colours have another name in heat maps than with points.
_OF_TABLES = {"cmin": "zmin", "cmax": "zmax"}
_POINTS: dict[str, Any] = {"color": COLOURS[1], "size": 5, "opacity": 0.5}
_LINE: dict[str, Any] = {"color": _GREY, "width": 1}


@singledispatch
def interactive(display: Any) -> Any:
    """Draw a display as a plotly figure.

    Parameters
    ----------
    display : display
        One of those that a report has.

    Returns
    -------
    figure : plotly.graph_objects.Figure
        The picture; its axes have titles with units.
    """
    raise NotImplementedError(f"There is no interactive picture of {type(display).__name__}.")


@interactive.register
def _(display: ParityDisplay) -> Any:
    titles = display.titles
    figure, places = _panels(len(titles), titles=titles, width=3)
    rows = _some(len(display.y_true))
    for place, truth, found in zip(places, display.y_true.T, display.y_pred.T, strict=True):
        figure.add_scatter(
            x=truth[rows],
            y=found[rows],
            mode="markers",
            marker=_POINTS,
            customdata=rows,
            hovertemplate="surface %{customdata}<br>true %{x}<br>found %{y}<extra></extra>",
            **place,
        )
        ends = [truth.min(), truth.max()]
        figure.add_scatter(x=ends, y=ends, mode="lines", line=_LINE, hoverinfo="skip", **place)
        figure.update_xaxes(title_text="true", **place)
        figure.update_yaxes(title_text="found", **place)
    return figure.update_layout(showlegend=False)


@interactive.register
def _(display: ResidualsDisplay) -> Any:
    names = [escape(str(name)) for name in display.names]
    kinds = ("against normal quantiles", "against what was found", "how often")
    figure, places = _panels(3 * len(names), titles=kinds, width=3)
    for j, (truth, found) in enumerate(zip(display.y_true.T, display.y_pred.T, strict=True)):
        known = np.flatnonzero(np.isfinite(found))
        errors = (found - truth)[known]
        row = places[3 * j : 3 * j + 3]
        _draw_residuals(figure, row, names[j], known, found[known], errors)
    return figure.update_layout(showlegend=False)


def _draw_residuals(
    figure: Any, places: list[Any], name: str, rows: Any, found: Floats, errors: Floats
) -> None:
    quantile, order = normal_quantiles(len(errors)), np.argsort(errors, kind="stable")
    some = _some(len(errors))
    centre, spread = errors.mean(), errors.std()
    ends = quantile[[0, -1]]
    hover = "surface %{customdata}<br>%{x}<br>%{y}<extra></extra>"
    points: dict[str, Any] = {"mode": "markers", "marker": _POINTS, "hovertemplate": hover}
    line: dict[str, Any] = {"mode": "lines", "line": _LINE, "hoverinfo": "skip"}
    figure.add_scatter(x=ends, y=centre + spread * ends, **line, **places[0])
    ranked = order[some]
    figure.add_scatter(
        x=quantile[some], y=errors[ranked], customdata=rows[ranked], **points, **places[0]
    )
    figure.add_scatter(x=[found.min(), found.max()], y=[0, 0], **line, **places[1])
    figure.add_scatter(x=found[some], y=errors[some], customdata=rows[some], **points, **places[1])
    density, edges = np.histogram(errors, bins="rice", density=True)
    figure.add_bar(
        x=(edges[1:] + edges[:-1]) / 2,
        y=density,
        width=np.diff(edges),
        marker={"color": COLOURS[1], "opacity": 0.5},
        **places[2],
    )
    if spread > 0:
        x = np.linspace(errors.min(), errors.max(), 101)
        figure.add_scatter(x=x, y=stats.norm.pdf(x, centre, spread), **line, **places[2])
    for place, across, up in zip(
        places,
        ("normal quantile", f"{name} found", f"error of {name}"),
        (f"error of {name}", f"error of {name}", "density"),
        strict=True,
    ):
        figure.update_xaxes(title_text=across, **place)
        figure.update_yaxes(title_text=up, **place)


@interactive.register
def _(display: SmileFitDisplay) -> Any:
    slices = display.grid.slices
    titles = [f"{maturity:.3g} years" for maturity, _ in slices]
    figure, places = _panels(len(slices), titles=titles, shared_xaxes="all", shared_yaxes="all")
    for place, (_, quotes) in zip(places, slices, strict=True):
        order = quotes[np.argsort(display.grid.strike[quotes], kind="stable")]
        strike = display.grid.strike[order]
        shown = {"showlegend": place == {"row": 1, "col": 1}, **place}
        for i, (name, volatility) in enumerate(display.models.items()):
            figure.add_scatter(
                x=strike,
                y=100 * volatility[order],
                mode="lines" if len(order) > 1 else "markers",
                connectgaps=True,
                line={"color": COLOURS[i % len(COLOURS)], "dash": _DASHES[i % len(_DASHES)]},
                name=escape(name),
                legendgroup=name,
                **shown,
            )
        figure.add_scatter(
            x=strike,
            y=100 * display.market[order],
            mode="markers",
            marker={"color": _GREY, "size": 6},
            name="market",
            legendgroup="market",
            **shown,
        )
        figure.update_xaxes(title_text="strike", showticklabels=True, **place)
        if place["col"] == 1:
            figure.update_yaxes(title_text="implied volatility (%)", **place)
    return figure


@interactive.register
def _(display: SurfaceDisplay) -> Any:
    graphs = import_optional("plotly.graph_objects", "calibration_report")
    grid, height = display.grid, 100 * display.volatility
    hover = "strike %{x}<br>%{y} years<br>%{z} %<extra></extra>"
    scale = {"colorscale": "Viridis", "showscale": False, "opacity": 0.85, "hovertemplate": hover}
    figure = graphs.Figure()
    known = np.isfinite(height)
    if grid.is_product and known.all() and min(grid.shape) > 1:
        x, y, z = (each.reshape(grid.shape) for each in (grid.strike, grid.maturity, height))
        figure.add_surface(x=x[0], y=y[:, 0], z=z, name="model", **scale)
    else:
        place: dict[str, Any] = {"x": grid.strike, "y": grid.maturity, "z": height}
        place["name"] = "model"
        i, j, k = display.triangles.T
        if len(i):
            figure.add_mesh3d(**place, i=i, j=j, k=k, intensity=height, **scale)
        else:  # no surface goes through quotes on a line
            figure.add_scatter3d(**place, mode="markers", marker={"color": COLOURS[0], "size": 4})
    if display.market is not None:
        figure.add_scatter3d(
            x=grid.strike,
            y=grid.maturity,
            z=100 * display.market,
            mode="markers",
            marker={"color": _GREY, "size": 3},
            name="market",
            hovertemplate=hover,
        )
    titles = ("strike", "maturity (years)", "implied volatility (%)")
    axes = {
        f"{axis}axis": {"title": {"text": text}} for axis, text in zip("xyz", titles, strict=True)
    }
    # As seen in the other pictures: strikes from left to right, short maturities in front.
    view = {"eye": {"x": -1.0, "y": -1.9, "z": 0.8}, "center": {"x": 0, "y": 0, "z": -0.15}}
    return _styled(figure, 600).update_layout(
        showlegend=True,
        scene={**axes, "aspectmode": "cube", "camera": view},
        margin={"t": 40, "b": 10},
    )


@interactive.register
def _(display: RepricingErrorDisplay) -> Any:
    figure, places = _panels(len(display.values), titles=list(display.values), width=2, height=320)
    for place, values in zip(places, display.values.values(), strict=True):
        right = figure.get_subplot(**place).xaxis.domain[1]
        bar = {"x": right, "xanchor": "left", "thickness": 12, "len": 1, **_NUMBERS}
        draw = _draw_table if display.grid.is_product else _draw_quotes
        draw(figure, display.grid, values, {**_colours(values), "colorbar": bar}, place)
        figure.update_xaxes(title_text="strike", **place)
        figure.update_yaxes(title_text="maturity (years)", **place)
    return figure.update_layout(showlegend=False)


def _draw_table(
    figure: Any, grid: OptionGrid, values: Floats, look: dict[str, Any], place: dict[str, int]
) -> None:
    n_strikes = grid.shape[1]
    figure.add_heatmap(
        x=[f"{strike:.6g}" for strike in grid.strike[:n_strikes]],
        y=[f"{maturity:.3g}" for maturity in grid.maturity[::n_strikes]],
        z=values.reshape(grid.shape),
        hovertemplate="strike %{x}<br>%{y} years<br>%{z:.4g}<extra></extra>",
        **{_OF_TABLES.get(key, key): value for key, value in look.items()},
        **place,
    )
    figure.update_xaxes(type="category", **place)
    figure.update_yaxes(type="category", **place)


def _draw_quotes(
    figure: Any, grid: OptionGrid, values: Floats, look: dict[str, Any], place: dict[str, int]
) -> None:
    figure.add_scatter(
        x=grid.strike,
        y=grid.maturity,
        mode="markers",
        marker={"symbol": "square", "size": 9, "color": values, **look},
        hovertemplate="strike %{x}<br>%{y} years<br>%{marker.color:.4g}<extra></extra>",
        **place,
    )


def _colours(values: Floats) -> dict[str, Any]:
    """Colours around white for zero, where there are both signs."""
    if not np.nanmin(values, initial=0.0) < 0 < np.nanmax(values, initial=0.0):
        return {"colorscale": "Viridis"}
    most = float(np.nanmax(np.abs(values)))
    return {"colorscale": "RdBu_r", "cmin": -most, "cmax": most}


@interactive.register
def _(display: IntervalDisplay) -> Any:
    names = [escape(str(name)) for name in display.names]
    known = display.y_true is not None
    figure, places = _panels(1 + known, width=2, height=140 + 60 * len(names))
    *first, last = places
    if first:
        share, low, high = 100 * display.shares.T
        promised = 100 * display.coverage
        error = {"type": "data", "array": high - share, "arrayminus": share - low}
        figure.add_scatter(
            x=share,
            y=names,
            error_x=error,
            mode="markers",
            marker={"color": COLOURS[1], "size": 8},
            **first[0],
        )
        figure.add_vline(promised, line={**_LINE, "dash": "dash"}, **first[0])
        figure.update_xaxes(
            title_text=f"parameters in their intervals (%); promised: {promised:g}",
            range=[min(promised, *low[np.isfinite(low)]) - 2, 101],
            **first[0],
        )
    rows = _some(len(display.widths))
    for name, widths in zip(names, 100 * display.widths.T, strict=True):
        finite = widths[rows][np.isfinite(widths[rows])]
        figure.add_box(x=finite, name=name, marker={"color": COLOURS[1]}, line={"width": 1}, **last)
    figure.update_xaxes(title_text="width (% of range)", rangemode="tozero", **last)
    figure.update_yaxes(title_text="parameter", autorange="reversed")
    return figure.update_layout(showlegend=False)


@interactive.register
def _(display: TrainingDisplay) -> Any:
    figure, [place] = _panels(1, width=1, height=320)
    for (label, loss), colour, dash in zip(
        display.losses.items(), COLOURS[1::-1], _DASHES, strict=False
    ):
        epochs = np.arange(1, len(loss) + 1)
        figure.add_scatter(
            x=epochs,
            y=loss,
            mode="lines",
            name=label,
            line={"color": colour, "dash": dash},
            **place,
        )
    best = display.best_epoch
    figure.add_vline(best, line={**_LINE, "dash": "dot"}, annotation_text=f"best: epoch {best}")
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="loss, standardised parameters", type="log")
    return figure


# -- what they have in common ----------------------------------------------------------


def _panels(
    n_panels: int,
    *,
    titles: Any = (),
    width: int = _MOST_PANELS,
    height: int = 300,
    **options: Any,
) -> tuple[Any, list[dict[str, int]]]:
    """Make a figure of some empty panels; return it with the row and column of each."""
    subplots = import_optional("plotly.subplots", "calibration_report")
    n_columns = min(n_panels, width)
    n_rows = ceil(n_panels / n_columns)
    places = [{"row": i // n_columns + 1, "col": i % n_columns + 1} for i in range(n_panels)]
    unused = [None] * (n_rows * n_columns - n_panels)
    figure = subplots.make_subplots(
        rows=n_rows,
        cols=n_columns,
        specs=np.array([*[{}] * n_panels, *unused]).reshape(n_rows, n_columns).tolist(),
        subplot_titles=[escape(str(title)) for title in titles] or None,
        vertical_spacing=0.35 / n_rows,
        horizontal_spacing=0.3 / n_columns if n_columns < _MOST_PANELS else 0.05,
        **options,
    )
    figure.update_xaxes(**_NUMBERS)
    figure.update_yaxes(**_NUMBERS)
    return _styled(figure, height * n_rows + 60), places


def _styled(figure: Any, height: int) -> Any:
    figure.update_annotations(font_size=14)
    return figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 70, "r": 20, "t": 70, "b": 60},
        legend={"orientation": "h", "y": 1, "yanchor": "top", "yref": "container"},
        hovermode="closest",
    )


def _some(n: int) -> NDArray[np.intp]:
    """Places of all of so many points, or of enough of them, evenly spread."""
    if n <= MOST_POINTS:
        return np.arange(n)
    return np.linspace(0, n - 1, MOST_POINTS).round().astype(np.intp)
