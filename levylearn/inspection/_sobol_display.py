"""Sobol's indices as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from levylearn.inspection._canvas import COLOURS, panels
from levylearn.inspection._sobol import sobol_sensitivity

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SobolDisplay"]

_HEIGHT = 0.38
_KINDS = {"first_order": "alone", "total_order": "with all interactions"}


class SobolDisplay:
    """Shares of variance by input, alone and with interactions, one panel per output.

    Use :meth:`from_estimator` to create one, or give a table.

    Parameters
    ----------
    table : DataFrame
        As from :func:`sobol_sensitivity`.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_outputs,)
        The panels.

    See Also
    --------
    sobol_sensitivity : The numbers.

    Examples
    --------
    >>> from levylearn.inspection import SobolDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("heston", OptionGrid([90, 100, 110], [0.25]), output="implied_vol")
    >>> display = SobolDisplay.from_estimator(pricer, n_samples=64, random_state=0)
    >>> [panel.get_title() for panel in display.plot().axes_]
    ['call_T0.25_K90', 'call_T0.25_K100', 'call_T0.25_K110']
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(cls, estimator: Any, ranges: Any = None, **options: Any) -> SobolDisplay:
        """Compute indices, and create a display of them.

        Parameters
        ----------
        estimator : pricer, calibrator or callable
            As for :func:`sobol_sensitivity`.
        ranges : array-like of shape (n_inputs, 2), default=None
            As for :func:`sobol_sensitivity`.
        **options : dict
            For :func:`sobol_sensitivity`; ``aggregate=True`` makes one panel.

        Returns
        -------
        display : SobolDisplay
            Ready for :meth:`plot`.
        """
        return cls(sobol_sensitivity(estimator, ranges, **options))

    def plot(self, ax: Any = None, *, figure: Any = None) -> SobolDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each output.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : SobolDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than outputs.
        ImportError
            If matplotlib is not installed.
        """
        outputs = list(self.table.groupby("output", sort=False))
        size = (3.0, 0.8 + 0.25 * len(outputs[0][1]))
        shared = {"sharex": True, "sharey": True}
        self.axes_ = panels(len(outputs), ax, figure, "SobolDisplay.plot", size=size, **shared)
        self.figure_ = self.axes_[0].figure
        for panel, (output, rows) in zip(self.axes_, outputs, strict=True):
            self._draw(panel, rows)
            if len(outputs) > 1:
                panel.set_title(str(output), fontsize="medium")
        if ax is None:
            self.figure_.supxlabel("share of the variance", fontsize="medium")
            self.figure_.legend(
                *self.axes_[0].get_legend_handles_labels(),
                loc="outside upper center",
                ncols=2,
                frameon=False,
            )
        return self

    def _draw(self, panel: Any, rows: pd.DataFrame) -> None:
        places = np.arange(len(rows))
        for i, (kind, label) in enumerate(_KINDS.items()):
            panel.barh(
                places + (i - 0.5) * _HEIGHT,
                rows[kind],
                _HEIGHT,
                xerr=rows[f"{kind}_error"],
                color=COLOURS[1] if i == 0 else COLOURS[5],
                error_kw={"elinewidth": 1, "ecolor": "0.2"},
                label=label,
            )
        panel.set_yticks(places, rows["input"])
        if not panel.yaxis_inverted():  # axes may be shared
            panel.invert_yaxis()
        panel.axvline(0, color="0.3", linewidth=0.8)
        panel.tick_params(labelbottom=True)
        panel.grid(alpha=0.3, axis="x")
