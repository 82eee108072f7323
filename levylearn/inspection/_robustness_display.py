"""How calibrators stand disturbed surfaces, as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from levylearn.inspection._canvas import COLOURS, DASHES, UNITS, maximum_ticks, panels
from levylearn.inspection._robustness import pricer_of, robustness_curve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RobustnessDisplay"]

_PANEL = (3.0, 2.6)  # inches
_LEVELS = {
    "noise": "noise (% of each quote)",
    "missing": "quotes that are missing (%)",
    "shift": "strikes off by (%)",
}
# Errors whose unit does not depend on the pricer.
_SHARES = {
    "parameter_mae": "of range",
    "parameter_rmse": "of range",
    "repricing_mape": "of the quotes",
    "repricing_implied_vol_rmse": "volatility",
    "failure_rate": "of surfaces",
}


class RobustnessDisplay:
    """Errors of calibrators as surfaces get worse, one panel for each way in which they do.

    Use :meth:`from_estimator` to create one, or give tables.

    Parameters
    ----------
    table : DataFrame
        As from :func:`robustness_curve`, those of several kinds one below the other. Of several
        calibrators, a column ``calibrator`` tells whose row it is.
    error : str, default="repricing_rmse"
        The column that is drawn.
    unit : str, default=""
        What it is measured in.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_kinds,)
        The panels, in the order of the table.

    See Also
    --------
    robustness_curve : The numbers.
    SpeedAccuracyDisplay : Clean surfaces, or one level of noise, and what it costs.

    Notes
    -----
    Where a level was drawn several times, a line is the mean, and the band around it goes from
    the smallest error to the largest.

    Examples
    --------
    >>> import pandas as pd
    >>> from levylearn.inspection import RobustnessDisplay
    >>> table = pd.DataFrame(
    ...     {"kind": "noise", "level": [0.0, 0.01, 0.02], "repricing_rmse": [0.0, 0.1, 0.21]}
    ... )
    >>> RobustnessDisplay(table).plot().axes_[0].get_xlabel()
    'noise (% of each quote)'
    """

    def __init__(self, table: pd.DataFrame, error: str = "repricing_rmse", unit: str = "") -> None:
        self.table = table
        self.error = error
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimators: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        kinds: Sequence[str] | Mapping[str, ArrayLike | None] = tuple(_LEVELS),
        error: str = "repricing_rmse",
        **options: Any,
    ) -> RobustnessDisplay:
        """Disturb surfaces, and create a display of what calibrators make of them.

        Parameters
        ----------
        estimators : fitted calibrator or dict of str to fitted calibrator
            The calibrator, or several by name.
        X : array-like of shape (n_samples, n_quotes)
            Clean surfaces.
        y : array-like of shape (n_samples, n_params)
            Their parameters.
        kinds : sequence of str or dict, default=("noise", "missing", "shift")
            What is done to the surfaces; with levels of its own for each, if it is a dictionary.
        error : str, default="repricing_rmse"
            The column of the tables that is drawn.
        **options : dict
            For :func:`robustness_curve`; with the same `random_state`, all calibrators meet the
            same surfaces.

        Returns
        -------
        display : RobustnessDisplay
            Ready for :meth:`plot`.
        """
        import pandas as pd

        if not isinstance(estimators, Mapping):
            estimators = {type(estimators).__name__: estimators}
        tables = []
        for kind in kinds:
            chosen = {**options, "levels": kinds[kind]} if isinstance(kinds, Mapping) else options
            for name, estimator in estimators.items():
                table = robustness_curve(estimator, X, y, kind, **chosen)
                tables.append(table.assign(calibrator=name))
        unit = _SHARES.get(error, "")
        if error == "repricing_rmse":
            pricer = pricer_of(next(iter(estimators.values())), options.get("pricer"))
            unit = UNITS[pricer.output]
        return cls(pd.concat(tables, ignore_index=True), error, unit)

    def plot(self, ax: Any = None, *, figure: Any = None) -> RobustnessDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each kind.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : RobustnessDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than kinds.
        ImportError
            If matplotlib is not installed.
        """
        kinds = list(self.table.groupby("kind", sort=False))
        options: dict[str, Any] = {"n_columns": 3, "sharey": True}
        self.axes_ = panels(
            len(kinds), ax, figure, "RobustnessDisplay.plot", size=_PANEL, **options
        )
        self.figure_ = self.axes_[0].figure
        for panel, (kind, rows) in zip(self.axes_, kinds, strict=True):
            self._draw(panel, rows)
            panel.set_xlabel(_LEVELS.get(kind, kind))
            panel.tick_params(labelleft=True)
            panel.grid(alpha=0.3)
            maximum_ticks(panel.xaxis, 5)
        self.axes_[0].set_ylim(0, None)
        unit = f" ({self.unit})" if self.unit else ""
        self.axes_[0].set_ylabel(self.error.replace("_", " ") + unit)
        if "calibrator" in self.table and ax is None:
            drawn = {line.get_label(): line for panel in self.axes_ for line in panel.lines}
            self.figure_.legend(
                drawn.values(), drawn, loc="outside upper center", ncols=len(drawn), frameon=False
            )
        return self

    def _draw(self, panel: Any, rows: pd.DataFrame) -> None:
        if "calibrator" not in rows:
            _draw_curve(panel, rows, self.error, 0)
            return
        # A calibrator looks the same in all panels, if it is not in each.
        for i, name in enumerate(self.table["calibrator"].unique()):
            own = rows[rows["calibrator"] == name]
            if len(own):
                _draw_curve(panel, own, self.error, i, label=name)


def _draw_curve(panel: Any, rows: pd.DataFrame, error: str, look: int, **options: Any) -> None:
    curve = rows.groupby("level")[error].agg(["mean", "min", "max"])
    level = 100 * np.asarray(curve.index)
    colour, dash = COLOURS[look % len(COLOURS)], DASHES[look % len(DASHES)]
    style: dict[str, Any] = {"color": colour, "linestyle": dash, "marker": "o", "markersize": 3}
    panel.plot(level, curve["mean"], **style, **options)
    panel.fill_between(level, curve["min"], curve["max"], color=colour, alpha=0.2, linewidth=0)
