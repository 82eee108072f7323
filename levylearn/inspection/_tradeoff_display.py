"""Speed against accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from levylearn.inspection._canvas import COLOURS, panels
from levylearn.inspection._compare import compare_calibrators

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SpeedAccuracyDisplay"]

_PANEL = (5.5, 3.5)  # inches


class SpeedAccuracyDisplay:
    """Time and error of calibrators, and those that no other beats in both.

    Use :meth:`from_estimator` to create one, or give a table.

    Parameters
    ----------
    table : DataFrame
        As from :func:`compare_calibrators`: a row for each calibrator, with ``calibration_time``
        in seconds and the error.
    error : str, default="repricing_rmse"
        The column that is drawn as error.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the picture.
    ax_ : matplotlib Axes
        The picture.

    See Also
    --------
    compare_calibrators : The numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from levylearn.inspection import SpeedAccuracyDisplay
    >>> table = pd.DataFrame(
    ...     {"calibration_time": [1e-4, 1e-3, 2e-3], "repricing_rmse": [0.1, 1e-9, 0.01]},
    ...     index=["network", "least squares", "other"],
    ... )
    >>> display = SpeedAccuracyDisplay(table)
    >>> display.unbeaten.tolist(), display.plot().ax_.get_xlabel()
    ([True, True, False], 'time for a surface (ms)')
    """

    def __init__(self, table: pd.DataFrame, error: str = "repricing_rmse") -> None:
        self.table = table
        self.error = error

    @classmethod
    def from_estimator(
        cls, estimators: Any, X: Any, y: Any, *, error: str = "repricing_rmse", **options: Any
    ) -> SpeedAccuracyDisplay:
        """Compare fitted calibrators, and create a display of it.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted calibrators, by name.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces that none of them has learned from.
        y : array-like of shape (n_samples, n_params)
            Their parameters.
        error : str, default="repricing_rmse"
            The column of the comparison that is drawn.
        **options : dict
            For :func:`compare_calibrators`.

        Returns
        -------
        display : SpeedAccuracyDisplay
            Ready for :meth:`plot`.
        """
        return cls(compare_calibrators(estimators, X, y, **options), error)

    @property
    def unbeaten(self) -> NDArray[np.bool_]:
        """Which calibrators no other beats in both time and error."""
        both = self.table[["calibration_time", self.error]].to_numpy()
        no_worse = (both[:, None] <= both[None]).all(axis=2)
        beats = no_worse & (both[:, None] < both[None]).any(axis=2)
        return ~beats.any(axis=0)

    def plot(self, ax: Any = None, *, figure: Any = None) -> SpeedAccuracyDisplay:
        """Draw the calibrators.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : SpeedAccuracyDisplay
            Itself, with ``figure_`` and ``ax_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = panels(1, ax, figure, "SpeedAccuracyDisplay.plot", size=_PANEL)[0]
        self.figure_ = self.ax_.figure
        time = 1e3 * self.table["calibration_time"].to_numpy()
        error = self.table[self.error].to_numpy()
        unbeaten = self.unbeaten
        order = np.flatnonzero(unbeaten)[np.argsort(time[unbeaten])]
        self.ax_.step(time[order], error[order], where="post", color="0.6", linewidth=1, zorder=1)
        # Neighbours have their names on different sides.
        below = np.argsort(np.argsort(time)) % 2 == 1
        for name, x, y, is_best, is_below in zip(
            self.table.index, time, error, unbeaten, below, strict=True
        ):
            colour = COLOURS[1] if is_best else "0.5"
            self.ax_.scatter(x, y, color=colour, s=30, zorder=2)
            self.ax_.annotate(
                name,
                (x, y),
                xytext=(6, -11 if is_below else 4),
                textcoords="offset points",
                fontsize="small",
            )
        self.ax_.set(xscale="log", xlabel="time for a surface (ms)")
        self.ax_.set(yscale="log", ylabel=self.error.replace("_", " "))
        self.ax_.margins(x=0.3, y=0.15)  # names need room
        self.ax_.grid(alpha=0.3)
        return self
