"""How calibrators stand disturbed surfaces, as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from levylearn.inspection._canvas import COLOURS, DASHES, maximum_ticks, panels
from levylearn.inspection._robustness import robustness_curve

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RobustnessDisplay"]

_PANEL = (3.0, 2.6)  # inches
_LEVELS = {
    "noise": "noise (% of each quote)",
    "missing": "quotes that are missing (%)",
    "shift": "strikes off by (%)",
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

    def __init__(self, table: pd.DataFrame, error: str = "repricing_rmse") -> None:
        self.table = table
        self.error = error

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
        levels = kinds if isinstance(kinds, Mapping) else dict.fromkeys(kinds)
        tables = [
            robustness_curve(estimator, X, y, kind, level, **options).assign(calibrator=name)
            for kind, level in levels.items()
            for name, estimator in estimators.items()
        ]
        return cls(pd.concat(tables, ignore_index=True), error)

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
        self.axes_[0].set_ylabel(self.error.replace("_", " "))
        if "calibrator" in self.table and ax is None:
            handles, labels = self.axes_[0].get_legend_handles_labels()
            self.figure_.legend(
                handles, labels, loc="outside upper center", ncols=len(labels), frameon=False
            )
        return self

    def _draw(self, panel: Any, rows: pd.DataFrame) -> None:
        named = rows.groupby("calibrator", sort=False) if "calibrator" in rows else [(None, rows)]
        for i, (name, own) in enumerate(named):
            curve = own.groupby("level")[self.error].agg(["mean", "min", "max"])
            level = 100 * np.asarray(curve.index)
            colour = COLOURS[i % len(COLOURS)]
            panel.plot(
                level,
                curve["mean"],
                color=colour,
                linestyle=DASHES[i % len(DASHES)],
                marker="o",
                markersize=3,
                label=name,
            )
            panel.fill_between(
                level, curve["min"], curve["max"], color=colour, alpha=0.2, linewidth=0
            )
