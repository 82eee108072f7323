"""Numbers over strikes and maturities: derivatives of parameters, Greeks, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.inspection._canvas import draw_on_contracts, panels, title_of
from levylearn.inspection._jacobian import jacobian_sensitivity
from levylearn.inspection._ranges import names_of
from levylearn.inspection._robustness import pricer_of
from levylearn.inspection._smile import one_surface
from levylearn.market import OptionGrid
from levylearn.metrics._answers import parameter_sets
from levylearn.metrics._fit import implied_volatilities, mean_over_quotes
from levylearn.metrics._repricing import ready, repriced

__all__ = ["GreeksDisplay", "JacobianDisplay", "RepricingErrorDisplay"]

Floats = NDArray[np.float64]

_PANEL = (3.0, 2.2)  # inches
_GREEKS = ("delta", "gamma", "theta", "rho", "vega")
_TITLES = {
    "price": "price",
    "delta": "delta",
    "gamma": "gamma",
    "theta": "theta, per year",
    "rho": "rho",
}


class _HeatMaps:
    """Base of the displays of one heat map for each name."""

    def __init__(self, grid: OptionGrid, values: Mapping[str, Floats]) -> None:
        self.grid = grid
        self.values = values

    def plot(self, ax: Any = None, *, figure: Any = None) -> Any:
        """Draw the heat maps.

        Parameters
        ----------
        ax : Axes or array-like of Axes, default=None
            Where to draw, one for each map.
        figure : Figure, default=None
            An empty figure to draw into. Without it, and without `ax`, pyplot makes one.

        Returns
        -------
        display : display
            Itself, with ``figure_`` and ``axes_``.

        Raises
        ------
        ValueError
            If there are fewer axes than maps.
        ImportError
            If matplotlib is not installed.
        """
        caller = f"{type(self).__name__}.plot"
        self.axes_ = panels(len(self.values), ax, figure, caller, size=_PANEL, n_columns=3)
        self.figure_ = self.axes_[0].figure
        for panel, (title, values) in zip(self.axes_, self.values.items(), strict=True):
            draw_on_contracts(panel, self.grid, values)
            panel.set_title(title, fontsize="medium")
        if ax is None:
            self.figure_.supxlabel("strike", fontsize="medium")
            self.figure_.supylabel("maturity (years)", fontsize="medium")
        return self


class JacobianDisplay(_HeatMaps):
    """Derivatives of calibrated parameters by the quotes, over strikes and maturities.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.
    values : dict of str to ndarray of shape (n_quotes,)
        Derivatives of each parameter, by the title of its panel.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_params,)
        The panels.

    See Also
    --------
    jacobian_sensitivity : The numbers.

    Examples
    --------
    >>> from levylearn.calibration import LeastSquaresCalibrator
    >>> from levylearn.inspection import JacobianDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid([80, 90, 100, 110, 120], [0.25, 0.5, 1.0])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit([[0.2, 0.4, -0.2]]).transform([[0.2, 0.4, -0.2]])
    >>> calibrator = LeastSquaresCalibrator(pricer).fit(X)
    >>> display = JacobianDisplay.from_estimator(calibrator, X)
    >>> [panel.get_title() for panel in display.plot().axes_]
    ['d sigma / d quote', 'd nu / d quote', 'd theta / d quote']
    """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, grid: OptionGrid | None = None
    ) -> JacobianDisplay:
        """Differentiate a fitted calibrator at one surface, and create a display.

        Parameters
        ----------
        estimator : fitted calibrator
            As for :func:`jacobian_sensitivity`.
        X : array-like of shape (n_quotes,) or (1, n_quotes)
            The surface; NaN where there is no quote.
        grid : OptionGrid, default=None
            The contracts. None: those of the calibrator's pricer.

        Returns
        -------
        display : JacobianDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If `X` is not one surface of the grid, or there is no grid.
        """
        surface = one_surface(X)
        if grid is None:
            if not hasattr(estimator, "pricer_"):
                raise ValueError(f"{type(estimator).__name__} has no pricer: give a grid.")
            grid = estimator.pricer_.grid
        jacobian = jacobian_sensitivity(estimator, surface)[0]
        if jacobian.shape[1] != grid.n_quotes:
            raise ValueError(
                f"X must have one entry per quote of the grid ({grid.n_quotes}); "
                f"got {jacobian.shape[1]}."
            )
        names = names_of(estimator, len(jacobian))
        titles = [f"d {name} / d quote" for name in names]
        return cls(grid, dict(zip(titles, jacobian, strict=True)))


class GreeksDisplay(_HeatMaps):
    r"""Greeks over strikes and maturities.

    Use :meth:`from_estimator` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.
    values : dict of str to ndarray of shape (n_quotes,)
        Greeks, by the title of the panel.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (n_greeks,)
        The panels.

    See Also
    --------
    levylearn.pricing.GreeksTransformer : The numbers.

    Examples
    --------
    >>> from levylearn.inspection import GreeksDisplay
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("variance_gamma", OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0]))
    >>> display = GreeksDisplay.from_estimator(pricer, [0.2, 0.4, -0.2], greeks=["delta", "vega"])
    >>> [panel.get_title() for panel in display.plot().axes_]
    ['delta', 'by $\\sigma$', 'by $\\nu$', 'by $\\theta$']
    """

    @classmethod
    def from_estimator(
        cls, estimator: Any, params: ArrayLike, *, greeks: Sequence[str] = _GREEKS
    ) -> GreeksDisplay:
        """Compute the Greeks of one parameter set, and create a display.

        Parameters
        ----------
        estimator : pricer
            One that has `greeks`, fitted or not.
        params : array-like of shape (n_params,) or (1, n_params)
            The parameter set.
        greeks : sequence of str, default=("delta", "gamma", "theta", "rho", "vega")
            Which of them; "vega" stands for the derivatives by all parameters of the model.

        Returns
        -------
        display : GreeksDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is not one parameter set, or a Greek is unknown.
        """
        known = {*_TITLES, "vega"}
        if not set(greeks) <= known:
            raise ValueError(f"greeks must be some of {', '.join(sorted(known))}; got {greeks!r}.")
        pricer = ready(estimator)
        found = pricer.greeks(np.atleast_2d(np.asarray(params, dtype=np.float64)))
        if len(found.price) != 1:
            raise ValueError(f"params must be one parameter set; got {len(found.price)}.")
        values: dict[str, Floats] = {}
        for name in greeks:
            if name == "vega":
                titles = [f"by {title_of(parameter)}" for parameter in pricer.parameters_]
                values |= dict(zip(titles, found.vega[0], strict=True))
            else:
                values[_TITLES[name]] = found[name][0]
        return cls(pricer.grid, values)


class RepricingErrorDisplay(_HeatMaps):
    """Errors of repriced surfaces over strikes and maturities: their mean, and root mean square.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.
    values : dict of str to ndarray of shape (n_quotes,)
        Mean errors and root mean squared errors in implied volatility points, or the errors if
        there is one surface, by the title of the panel; NaN for a quote that has none.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds the panels.
    axes_ : ndarray of matplotlib Axes of shape (2,) or (1,)
        The panels.

    See Also
    --------
    SmileFitDisplay : Of one surface, quote by quote.
    levylearn.metrics.repricing_implied_vol_rmse : All of it in one number.

    Examples
    --------
    A volatility that is a point too high everywhere:

    >>> import numpy as np
    >>> from levylearn.inspection import RepricingErrorDisplay
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0])
    >>> market = np.full((3, 10), 0.2)
    >>> display = RepricingErrorDisplay.from_predictions(
    ...     grid, market, market + 0.01, unit="implied_vol"
    ... )
    >>> display.values["mean error (vol points)"].round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    @classmethod
    def from_predictions(
        cls, grid: OptionGrid, market: ArrayLike, model: ArrayLike, *, unit: str = "price"
    ) -> RepricingErrorDisplay:
        """Create a display from the surfaces of market and model.

        Parameters
        ----------
        grid : OptionGrid
            The contracts.
        market : array-like of shape (n_samples, n_quotes)
            Surfaces of the market; NaN where there is no quote.
        model : array-like of shape (n_samples, n_quotes)
            Those of the parameters found; NaN where none were.
        unit : {"price", "forward_price", "implied_vol"}, default="price"
            What the surfaces hold: the `output` of the pricer.

        Returns
        -------
        display : RepricingErrorDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If a surface does not match the grid, or the unit is unknown.
        """
        shown = (
            implied_volatilities(np.asarray(each, dtype=np.float64), grid, unit)
            for each in (market, model)
        )
        # A price without time value has a volatility of zero: it says nothing.
        quoted, priced = (np.where(each > 0, each, np.nan) for each in shown)
        error = 100 * (priced - quoted).T
        known = ~np.isnan(error)
        if len(known.T) == 1:
            return cls(grid, {"error (vol points)": error[:, 0]})
        values = {
            "mean error (vol points)": np.asarray(mean_over_quotes(error, known)),
            "RMSE (vol points)": np.sqrt(mean_over_quotes(error**2, known)),
        }
        return cls(grid, values)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, pricer: Any = None
    ) -> RepricingErrorDisplay:
        """Calibrate surfaces, price what is found, and create a display.

        Parameters
        ----------
        estimator : fitted calibrator
            Any regressor from surfaces to parameters.
        X : array-like of shape (n_samples, n_quotes)
            Surfaces, in the unit of the pricer's output; NaN where there is no quote.
        pricer : pricer, default=None
            What prices parameters. None: that of the calibrator.

        Returns
        -------
        display : RepricingErrorDisplay
            Ready for :meth:`plot`.

        Raises
        ------
        ValueError
            If there is no pricer.
        """
        pricer = pricer_of(estimator, pricer)
        found = parameter_sets(estimator.predict(X), "The answer of the calibrator", lost=True)
        model = repriced(found, pricer)
        return cls.from_predictions(pricer.grid, X, model, unit=pricer.output)
