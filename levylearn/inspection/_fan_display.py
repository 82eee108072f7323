"""What a posterior says of prices and volatilities, quoted or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.inspection._canvas import COLOURS, legend_of, maximum_ticks, panels, shade
from levylearn.inspection._frames import as_given
from levylearn.inspection._smile import one_surface, shown_volatilities
from levylearn.market import OptionGrid
from levylearn.preprocessing._units import prices_from

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PredictiveFanDisplay"]

Floats = NDArray[np.float64]

_PANEL = (2.5, 2.1)  # inches
_COVERAGES = (0.5, 0.8, 0.95)
_N_STRIKES = 25
_QUOTE: dict[str, Any] = {"marker": "o", "markersize": 3, "color": "#333333", "linestyle": "none"}
# By quantity: what a unit of it is drawn as, and the label of the axis.
_SHOWN = {"implied_vol": (100.0, "implied volatility (%)"), "price": (1.0, "price")}


class PredictiveFanDisplay:
    """Credible bands of volatilities or prices by strike, one panel per maturity.

    What is uncertain are the parameters: bands say where the model's values lie, not where the
    next quote, with an error of its own, does. Use :meth:`from_estimator` or
    :meth:`from_predictions` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The options of the bands.
    bands : dict of float to DataFrame of shape (n_options, 3)
        With columns ``estimate``, ``lower`` and ``upper``, by the probability of the band.
    quantity : {"implied_vol", "price"}, default="implied_vol"
        What the bands are of.
    quotes : DataFrame, default=None
        With columns ``maturity``, ``strike`` and ``value``, in the unit of the bands.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_maturities,)
        The panels, by increasing maturity.

    See Also
    --------
    SmileFitDisplay : Fits without bands.

    Examples
    --------
    >>> from levylearn.calibration import LaplaceCalibrator
    >>> from levylearn.inspection import PredictiveFanDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid([80, 90, 100, 110, 120], [0.5, 1.0])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit([[0.2, 0.4, -0.2]]).transform([[0.2, 0.4, -0.2]])
    >>> calibrator = LaplaceCalibrator(pricer).fit(X)
    >>> display = PredictiveFanDisplay.from_estimator(calibrator, X, max_draws=100)
    >>> sorted(display.bands), len(display.plot().axes_)
    ([0.5, 0.8, 0.95], 2)
    """

    def __init__(
        self,
        grid: OptionGrid,
        bands: Mapping[float, pd.DataFrame],
        quantity: str = "implied_vol",
        quotes: pd.DataFrame | None = None,
    ) -> None:
        self.grid = grid
        self.bands = bands
        self.quantity = quantity
        self.quotes = quotes

    @classmethod
    def from_predictions(
        cls,
        grid: OptionGrid,
        bands: Mapping[float, pd.DataFrame],
        *,
        quantity: str = "implied_vol",
        quotes: pd.DataFrame | None = None,
    ) -> PredictiveFanDisplay:
        """Create a display from bands that were computed before.

        Parameters
        ----------
        grid : OptionGrid
            The options of the bands.
        bands : dict of float to DataFrame
            What `posterior_predictive` returns for one surface and `grid`, by the `coverage`.
        quantity : {"implied_vol", "price"}, default="implied_vol"
            Which of the quantities to show.
        quotes : DataFrame, default=None
            With columns ``maturity``, ``strike`` and ``value``, in the unit of the bands.

        Returns
        -------
        display : PredictiveFanDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If the quantity is unknown, or bands do not match the grid.
        """
        _check_quantity(quantity)
        chosen = {}
        for coverage, table in bands.items():
            if len(table) != grid.n_quotes:
                raise ValueError(
                    f"bands must have one row per option of the grid ({grid.n_quotes}); those of "
                    f"{coverage:g} have {len(table)}."
                )
            chosen[coverage] = table[quantity]
        return cls(grid, chosen, quantity, quotes)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        grid: OptionGrid | None = None,
        *,
        quantity: str = "implied_vol",
        coverages: Sequence[float] = _COVERAGES,
        kind: str = "equal_tailed",
        max_draws: int = 1000,
    ) -> PredictiveFanDisplay:
        """Sample the posterior of one surface, price options, and create a display of them.

        Parameters
        ----------
        estimator : fitted calibrator
            One with a posterior, as :class:`~levylearn.calibration.NUTSCalibrator`. Draws that
            it has kept are used again.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.
        grid : OptionGrid, default=None
            What to price. None: at each maturity, strikes from the least to the greatest.
        quantity : {"implied_vol", "price"}, default="implied_vol"
            What to show.
        coverages : sequence of float, default=(0.5, 0.8, 0.95)
            Probabilities of the bands.
        kind : {"equal_tailed", "highest_density"}, default="equal_tailed"
            Whether as much is left out on either side, or the bands are the narrowest.
        max_draws : int, default=1000
            How many draws are priced, at most.

        Returns
        -------
        display : PredictiveFanDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface, the quantity or kind is unknown, or a coverage is not
            between 0 and 1.
        """
        import pandas as pd

        _check_quantity(quantity)
        surface = one_surface(X)
        pricer = estimator.pricer_
        quoted = pricer.grid
        if grid is None:
            grid = _between_quotes(quoted)
        if quantity == "implied_vol":
            value = shown_volatilities(surface[0], quoted, pricer.output)
        else:
            value = prices_from(surface[0], quoted, pricer.output)
        quotes = {"maturity": quoted.maturity, "strike": quoted.strike, "value": value}
        given = as_given(X, surface) if np.ndim(X) == 2 else surface
        options = {"kind": kind, "max_draws": max_draws}
        bands = {
            coverage: estimator.posterior_predictive(given, grid, coverage=coverage, **options)
            for coverage in coverages
        }
        return cls.from_predictions(grid, bands, quantity=quantity, quotes=pd.DataFrame(quotes))

    def plot(self, ax: Any = None, *, figure: Any = None) -> PredictiveFanDisplay:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each maturity of the grid.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : PredictiveFanDisplay
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than maturities.
        ImportError
            If matplotlib is not installed.
        """
        slices = self.grid.slices
        shared = {"sharex": True, "sharey": self.quantity == "implied_vol"}
        caller = "PredictiveFanDisplay.plot"
        self.axes_ = panels(len(slices), ax, figure, caller, size=_PANEL, **shared)
        self.figure_ = self.axes_[0].figure
        for panel, (maturity, options) in zip(self.axes_, slices, strict=True):
            self._draw(panel, maturity, options)
            panel.set_title(f"{maturity:.3g} years", fontsize="medium")
            maximum_ticks(panel.xaxis, 4)
            panel.grid(alpha=0.3)
        if ax is None:
            self._label()
        return self

    def _draw(self, panel: Any, maturity: float, options: NDArray[np.intp]) -> None:
        scale, _ = _SHOWN[self.quantity]
        by_strike = options[np.argsort(self.grid.strike[options], kind="stable")]
        strike = self.grid.strike[by_strike]
        if self.quotes is not None:
            here = self.quotes[np.isclose(self.quotes["maturity"], maturity, rtol=1e-6)]
            if len(here):
                points = here["strike"], scale * here["value"]
                panel.plot(*points, label="quotes", zorder=3, **_QUOTE)
        for i, coverage in enumerate(sorted(self.bands, reverse=True)):
            band = scale * self.bands[coverage].iloc[by_strike]
            panel.fill_between(
                strike,
                band["lower"],
                band["upper"],
                color=shade(i),
                linewidth=0,
                label=f"{100 * coverage:.4g} % band",
            )
        panel.plot(strike, band["estimate"], color=COLOURS[1], linewidth=1, label="estimate")

    def _label(self) -> None:
        """Label the figure, and place one legend for all panels."""
        for panel in self.axes_:
            panel.tick_params(labelbottom=True)  # also where no panel is below
        self.figure_.supxlabel("strike", fontsize="medium")
        self.figure_.supylabel(_SHOWN[self.quantity][1], fontsize="medium")
        known = legend_of(self.axes_)
        self.figure_.legend(
            known.values(), known, loc="outside upper center", ncols=len(known), frameon=False
        )


def _check_quantity(quantity: str) -> None:
    if quantity not in _SHOWN:
        raise ValueError(f"quantity must be one of {', '.join(_SHOWN)}; got {quantity!r}.")


def _between_quotes(grid: OptionGrid) -> OptionGrid:
    """Options at each maturity, from the least to the greatest strike, of the nearest's type."""
    nearest, strikes = [], []
    for _, quotes in grid.slices:
        known = grid.strike[quotes]
        between = np.unique(np.linspace(known.min(), known.max(), _N_STRIKES))
        nearest.append(quotes[np.abs(between[:, None] - known).argmin(axis=1)])
        strikes.append(between)
    alike = grid.take(np.concatenate(nearest))
    return OptionGrid.from_quotes(
        np.concatenate(strikes),
        alike.maturity,
        spot=alike.spot,
        rate=alike.rate,
        dividend=alike.dividend,
        option_type=alike.option_type,
    )
