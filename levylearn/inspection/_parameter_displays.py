"""What parameters do to smiles, and which of them there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.inspection._canvas import COLOURS, maximum_ticks, panels, title_of
from levylearn.market import OptionGrid
from levylearn.metrics._answers import parameter_sets
from levylearn.metrics._fit import implied_volatilities
from levylearn.metrics._repricing import ready
from levylearn.models import Parameter, get_model

__all__ = ["ParameterCoverageDisplay", "PerturbationDisplay"]

Floats = NDArray[np.float64]

_SMILE, _PAIR = (2.5, 2.1), (1.5, 1.4)  # inches
_MARKERS = ("o", "D", "^", "s")


class PerturbationDisplay:
    """Smiles of one maturity as each parameter moves down and up, one panel per parameter.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The contracts of one maturity.
    base : ndarray of shape (n_quotes,)
        Implied volatilities where no parameter has moved.
    moved : ndarray of shape (n_params, 2, n_quotes)
        Those where one has moved down, and up; NaN where the model does not exist.
    parameters : sequence of Parameter
        The parameters.
    step : float
        By what part of its market range each has moved.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_params,)
        The panels.

    See Also
    --------
    SobolDisplay : Over whole ranges, all parameters together.

    Examples
    --------
    >>> from levylearn.inspection import PerturbationDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("variance_gamma", OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0]))
    >>> display = PerturbationDisplay.from_estimator(pricer, [0.2, 0.4, -0.2], maturity=1.0)
    >>> display.moved.shape, len(display.plot().axes_)
    ((3, 2, 5), 3)
    """

    def __init__(
        self,
        grid: OptionGrid,
        base: Floats,
        moved: Floats,
        parameters: Sequence[Parameter],
        step: float,
    ) -> None:
        self.grid = grid
        self.base = base
        self.moved = moved
        self.parameters = parameters
        self.step = step

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        params: ArrayLike,
        *,
        step: float = 0.1,
        maturity: float | None = None,
    ) -> PerturbationDisplay:
        """Price around one parameter set, and create a display.

        Parameters
        ----------
        estimator : pricer
            Fitted or not.
        params : array-like of shape (n_params,) or (1, n_params)
            The parameter set.
        step : float, default=0.1
            By what part of its market range each parameter moves.
        maturity : float, default=None
            Which maturity of the grid, in years. None: the first.

        Returns
        -------
        display : PerturbationDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is not one admissible parameter set, or no such maturity.
        """
        pricer = ready(estimator)
        centre = pricer.model_.validate(np.atleast_2d(np.asarray(params, dtype=np.float64)))
        if len(centre) != 1:
            raise ValueError(f"params must be one parameter set; got {len(centre)}.")
        quotes = _quotes_of(pricer.grid, maturity)
        width = np.diff([p.market_range for p in pricer.parameters_], axis=1)
        moves = step * np.concatenate([-np.diagflat(width), np.diagflat(width)])
        sets = np.concatenate([centre, centre + moves])
        surfaces = np.full((len(sets), pricer.grid.n_quotes), np.nan)
        exists = pricer.admissible(sets)
        surfaces[exists] = pricer.evaluate(sets[exists])[0]
        smiles = implied_volatilities(surfaces, pricer.grid, pricer.output)[:, quotes]
        moved = np.stack(np.split(smiles[1:], 2), axis=1)
        return cls(pricer.grid.take(quotes), smiles[0], moved, pricer.parameters_, step)

    def plot(self, ax: Any = None, *, figure: Any = None) -> PerturbationDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each parameter.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : PerturbationDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than parameters.
        ImportError
            If matplotlib is not installed.
        """
        options: dict[str, Any] = {"n_columns": 3, "sharex": True, "sharey": True}
        caller = "PerturbationDisplay.plot"
        self.axes_ = panels(len(self.parameters), ax, figure, caller, size=_SMILE, **options)
        self.figure_ = self.axes_[0].figure
        lines = [("lower", COLOURS[1], "--"), ("higher", COLOURS[0], "-.")]
        order = np.argsort(self.grid.strike, kind="stable")
        strike = self.grid.strike[order]
        for panel, parameter, pair in zip(self.axes_, self.parameters, self.moved, strict=True):
            panel.plot(strike, 100 * self.base[order], color="0.2", linewidth=1.2, label="as is")
            for smile, (label, colour, dash) in zip(pair, lines, strict=True):
                panel.plot(strike, 100 * smile[order], color=colour, linestyle=dash, label=label)
            panel.set_title(title_of(parameter), fontsize="medium")
            panel.tick_params(labelbottom=True)
            maximum_ticks(panel.xaxis, 4)
            panel.grid(alpha=0.3)
        if ax is None:
            self.figure_.supxlabel("strike", fontsize="medium")
            self.figure_.supylabel("implied volatility (%)", fontsize="medium")
            handles, labels = self.axes_[0].get_legend_handles_labels()
            self.figure_.legend(
                handles,
                labels,
                title=f"one parameter, by {self.step:.0%} of its market range",
                loc="outside upper center",
                ncols=3,
                frameon=False,
            )
        return self


class ParameterCoverageDisplay:
    """Sets of parameters two by two, within market ranges, and how often each value occurs.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    parameters : sequence of Parameter
        The parameters.
    sets : dict of str to ndarray of shape (n_samples, n_params)
        Sets of parameters, by the name in the legend; the first lies below the others.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_params, n_params)
        The panels; those above the diagonal are empty.

    See Also
    --------
    SurfaceNoveltyDetector : Tells surfaces that were not covered.

    Examples
    --------
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.inspection import ParameterCoverageDisplay
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid([90, 100, 110], [0.5])
    >>> _, y = make_surfaces("variance_gamma", grid, n_samples=100, random_state=0)
    >>> display = ParameterCoverageDisplay.from_predictions("variance_gamma", {"learned": y})
    >>> display.plot().axes_.shape
    (3, 3)
    """

    def __init__(self, parameters: Sequence[Parameter], sets: Mapping[str, Floats]) -> None:
        self.parameters = parameters
        self.sets = sets

    @classmethod
    def from_predictions(
        cls, model: Any, params: ArrayLike | Mapping[str, ArrayLike]
    ) -> ParameterCoverageDisplay:
        """Create a display from parameter sets.

        Parameters
        ----------
        model : str or CharacteristicModel
            The model.
        params : array-like of shape (n_samples, n_params) or dict of str to array-like
            Parameters, or several sets of them by name; NaN where there are none.

        Returns
        -------
        display : ParameterCoverageDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If the columns are not the parameters of the model.
        """
        parameters = get_model(model).parameters
        named = params if isinstance(params, Mapping) else {"parameters": params}
        sets = {name: parameter_sets(each, name, lost=True) for name, each in named.items()}
        for name, each in sets.items():
            if each.shape[1] != len(parameters):
                raise ValueError(
                    f"{name} must have {len(parameters)} columns, one per parameter of the model; "
                    f"got {each.shape[1]}."
                )
        return cls(parameters, sets)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, model: Any = None
    ) -> ParameterCoverageDisplay:
        """Calibrate surfaces, and create a display of parameters found among those learned from.

        Parameters
        ----------
        estimator : fitted calibrator
            Any regressor from surfaces to parameters.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces to calibrate.
        y : array-like of shape (m_samples, n_params)
            The parameters that it has learned from.
        model : str or CharacteristicModel, default=None
            The model. None: that of the calibrator's pricer.

        Returns
        -------
        display : ParameterCoverageDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is no model.
        """
        if model is None:
            if not hasattr(estimator, "pricer_"):
                raise ValueError(f"{type(estimator).__name__} has no pricer: give a model.")
            model = estimator.pricer_.model_
        return cls.from_predictions(model, {"learned from": y, "found": estimator.predict(X)})

    def plot(self, ax: Any = None, *, figure: Any = None) -> ParameterCoverageDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : array-like of Axes, default=None
            Where to draw, as many as the square of the number of parameters.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : ParameterCoverageDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than panels.
        ImportError
            If matplotlib is not installed.
        """
        n = len(self.parameters)
        caller = "ParameterCoverageDisplay.plot"
        self.axes_ = panels(n * n, ax, figure, caller, size=_PAIR, n_columns=n).reshape(n, n)
        self.figure_ = self.axes_[0, 0].figure
        for (i, j), panel in np.ndenumerate(self.axes_):
            if i < j:
                panel.set_axis_off()
                continue
            if i == j:
                self._draw_one(panel, i)
            else:
                self._draw_two(panel, i, j)
            self._label(panel, i, j)
        if ax is None and len(self.sets) > 1:
            handles, labels = self.axes_[-1, 0].get_legend_handles_labels()
            self.figure_.legend(
                handles[: len(self.sets)],
                labels[: len(self.sets)],
                loc="upper right",
                frameon=False,
                markerscale=2,
            )
        return self

    def _draw_one(self, panel: Any, j: int) -> None:
        parameter = self.parameters[j]
        values = [each[~np.isnan(each[:, j]), j] for each in self.sets.values()]
        low, high = _extent(parameter, np.concatenate(values))
        space = np.geomspace if parameter.scale == "log" else np.linspace
        for i, each in enumerate(values):
            share = np.full(len(each), 1 / max(len(each), 1))
            panel.hist(
                each,
                space(low, high, 17),
                weights=share,
                histtype="stepfilled" if i == 0 else "step",
                color=_colour(i),
                linewidth=1.3,
            )
        panel.set_yticks([])

    def _draw_two(self, panel: Any, i: int, j: int) -> None:
        (left, right), (bottom, top) = (self.parameters[k].market_range for k in (j, i))
        panel.plot(
            [left, right, right, left, left],
            [bottom, bottom, top, top, bottom],
            color="0.3",
            linewidth=0.8,
            linestyle=":",
        )
        for k, (name, each) in enumerate(self.sets.items()):
            panel.scatter(
                each[:, j],
                each[:, i],
                s=3 if k == 0 else 5,
                color=_colour(k),
                marker=_MARKERS[k % len(_MARKERS)],
                linewidths=0,
                label=name,
            )

    def _label(self, panel: Any, i: int, j: int) -> None:
        if i > j and self.parameters[i].scale == "log":
            panel.set_yscale("log")
        if self.parameters[j].scale == "log":
            panel.set_xscale("log")
        panel.minorticks_off()
        for axis, k, shown in (
            (panel.xaxis, j, i == len(self.parameters) - 1),
            (panel.yaxis, i, j == 0),
        ):
            if i == j and axis is panel.yaxis:
                continue
            ends = self.parameters[k].market_range
            axis.set_ticks(ends, [f"{end:.2g}" for end in ends] if shown else ["", ""])
            if shown:
                axis.set_label_text(title_of(self.parameters[k]))
        panel.tick_params(labelsize="small")


def _quotes_of(grid: OptionGrid, maturity: float | None) -> NDArray[np.intp]:
    slices = grid.slices
    if maturity is None:
        return slices[0][1]
    for known, quotes in slices:
        if np.isclose(known, maturity, rtol=1e-6):
            return quotes
    raise ValueError(
        f"maturity must be one of {', '.join(f'{known:.6g}' for known, _ in slices)}; "
        f"got {maturity:g}."
    )


def _extent(parameter: Parameter, values: Floats) -> tuple[float, float]:
    low, high = parameter.market_range
    return min(low, np.min(values, initial=low)), max(high, np.max(values, initial=high))


def _colour(i: int) -> str:
    return "0.75" if i == 0 else COLOURS[(i - 1) % len(COLOURS)]
