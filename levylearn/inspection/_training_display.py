"""How a network learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.inspection._canvas import COLOURS, DASHES, panels

__all__ = ["TrainingDisplay"]

_PANEL = (5.0, 3.0)  # inches
_LOSSES = {"train_loss": "learned from", "valid_loss": "held out"}


class TrainingDisplay:
    """Loss by epoch, of the examples that were learned from and of those held out.

    Use :meth:`from_estimator` to create one, or give a history.

    Parameters
    ----------
    history : dict of str to array-like of shape (n_epochs,)
        With ``train_loss`` and ``valid_loss``, as `history_` of a network.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the picture.
    ax_ : matplotlib Axes
        The picture.

    See Also
    --------
    levylearn.calibration.MLPCalibrator : Has a `history_`.

    Examples
    --------
    >>> from levylearn.inspection import TrainingDisplay
    >>> history = {"train_loss": [1.0, 0.3, 0.2], "valid_loss": [1.1, 0.4, 0.5]}
    >>> TrainingDisplay(history).plot().ax_.get_legend_handles_labels()[1]
    ['learned from', 'held out', 'best: epoch 2']
    """

    def __init__(self, history: Mapping[str, ArrayLike], name: str | None = None) -> None:
        self.history = history
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None) -> TrainingDisplay:
        """Create a display from what a fitted network remembers.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a `history_`.
        name : str, default=None
            Title. None: the name of the class.

        Returns
        -------
        display : TrainingDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If the estimator has no history.
        """
        history = getattr(estimator, "history_", None)
        if history is None:
            raise ValueError(
                f"{type(estimator).__name__} has no history_: it is not fitted, or learns in one "
                "step."
            )
        return cls(history, type(estimator).__name__ if name is None else name)

    @property
    def losses(self) -> dict[str, NDArray[np.float64]]:
        """Losses by what they are of."""
        return {label: np.asarray(self.history[key]) for key, label in _LOSSES.items()}

    @property
    def best_epoch(self) -> int:
        """The epoch, from one, whose held-out loss is the smallest."""
        return int(np.argmin(self.history["valid_loss"])) + 1

    def plot(self, ax: Any = None, *, figure: Any = None) -> TrainingDisplay:
        """Draw the losses.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : TrainingDisplay
            Itself, with ``figure_`` and ``ax_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.ax_ = panels(1, ax, figure, "TrainingDisplay.plot", size=_PANEL)[0]
        self.figure_ = self.ax_.figure
        for (label, loss), colour, dash in zip(
            self.losses.items(), COLOURS[1::-1], DASHES, strict=False
        ):
            epochs = np.arange(1, len(loss) + 1)
            self.ax_.plot(epochs, loss, color=colour, linestyle=dash, label=label)
        best = self.best_epoch
        self.ax_.axvline(best, color="0.4", linewidth=1, linestyle=":", label=f"best: epoch {best}")
        self.ax_.set(yscale="log", xlabel="epoch", ylabel="loss, standardised parameters")
        self.ax_.set_title(self.name or "", fontsize="medium")
        self.ax_.grid(alpha=0.3, which="both")
        self.ax_.legend(frameon=False)
        return self
