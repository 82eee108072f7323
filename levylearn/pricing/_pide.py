"""Finite differences as a pricer, of American options too."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from levylearn.base import BasePricer
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel, get_model, list_models
from levylearn.pricing._generator import Generator
from levylearn.pricing._jump_cells import JumpCells, JumpModel
from levylearn.pricing._puts import american_puts, european_puts
from levylearn.utils._sklearn import Interval, StrOptions

__all__ = ["PIDEPricer"]

Floats = NDArray[np.float64]

# Standard deviations of the log-return on either side of the farthest strike.
_REACH = 10.0
# The largest standard deviation that the grid is made for: exp(x) must not overflow on it.
_WIDEST = 15.0
# Numbers in the arrays of a march, few enough to stay in a processor's cache.
_CACHE_NUMBERS = 2**16


class PIDEPricer(BasePricer):
    r"""European and American options under Lévy models, by finite differences.

    The partial integro-differential equation for a put of strike one, as a function of the
    log-moneyness `x` and the time to expiry :math:`\tau`, is

    .. math::
        \frac{\partial v}{\partial\tau} = \frac{\sigma^2}{2}\left(v'' - v'\right)
        + (r - q)\,v' - r v
        + \int \left[v(x + y) - v(x) - (e^y - 1)\,v'(x)\right]\nu(y)\,dy .

    It is solved on a uniform grid, in second order of both steps: jumps larger than
    a step by linear interpolation between nodes, smaller ones by as much diffusion as
    preserves the variance, everything implicitly, because the Fourier transform solves with
    all of the operator at once. One march gives all strikes of a maturity. American options
    add an obstacle, by operator splitting. Two grids, one of twice the steps of the other,
    are extrapolated; :meth:`error_estimate` asks a third one. It is large where jumps are all
    of nearly one size, which has no density and falls between the nodes.

    It prices Lévy models that have a density of jumps
    (:meth:`levylearn.models.LevyModel.levy_density`): of the built-in ones, all that are not
    of stochastic volatility.

    Parameters
    ----------
    model : str or LevyModel or SumModel
        Name of a registered model, or a model.
    grid : OptionGrid
        The options and their market. Rates may differ from maturity to maturity; an
        American option sees those of its own maturity throughout its life.
    output : {"price", "forward_price", "implied_vol"}, default="price"
        Prices in currency, undiscounted prices over the forward, or Black volatilities
        (NaN where a price has no time value in double precision), which American options
        do not have.
    exercise : {"european", "american"}, default="european"
        When the options may be exercised.
    n_space : int, default=1024
        Nodes of the finer grid, a multiple of 8.
    n_time : int, default=128
        Time steps to each maturity on the finer grid, a multiple of 4.
    n_jobs : int or None, default=None
        Threads that share the parameter sets; -1 means all processors.

    Attributes
    ----------
    model_ : CharacteristicModel
        The model.
    parameters_ : tuple of Parameter
        Its parameters.
    n_features_in_ : int
        Number of parameters.
    feature_names_in_ : ndarray of str
        Names of the parameters, if `fit` saw any.

    See Also
    --------
    convergence_study : Prices on finer and finer grids.
    ContourPricer : European options to nearly all digits.

    References
    ----------
    Cont, R. and Voltchkova, E. (2005). A finite difference scheme for option pricing in
    jump diffusion and exponential Lévy models. SIAM Journal on Numerical Analysis 43,
    1596-1626.

    Ikonen, S. and Toivanen, J. (2004). Operator splitting methods for American option
    pricing. Applied Mathematics Letters 17, 809-814.

    Wang, I., Wan, J. and Forsyth, P. (2007). Robust numerical valuation of European and
    American options under the CGMY process. Journal of Computational Finance 10(4), 31-69.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import PIDEPricer
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[1.0], rate=0.1, option_type="put")
    >>> params = np.array([[0.12, 0.2, -0.14]])
    >>> PIDEPricer("variance_gamma", grid).fit(params).transform(params).round(3)
    array([[0.535, 1.854, 4.962]])
    >>> american = PIDEPricer("variance_gamma", grid, exercise="american").fit(params)
    >>> american.transform(params).round(3)
    array([[ 0.801,  3.028, 10.   ]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BasePricer._parameter_constraints,
        "exercise": [StrOptions({"european", "american"})],
        "n_space": [Interval(Integral, 64, None, closed="left")],
        "n_time": [Interval(Integral, 8, None, closed="left")],
    }

    # Prices are extrapolated from so many grids, and one more for the error halves the steps
    # twice; cells go in pairs besides.
    _n_grids = 2
    _multiples: ClassVar[dict[str, int]] = {"n_space": 8, "n_time": 4}

    def __init__(
        self,
        model: str | CharacteristicModel,
        grid: OptionGrid,
        output: str = "price",
        *,
        exercise: str = "european",
        n_space: int = 1024,
        n_time: int = 128,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.grid = grid
        self.output = output
        self.exercise = exercise
        self.n_space = n_space
        self.n_time = n_time
        self.n_jobs = n_jobs

    def _prepare(self) -> None:
        self._check_settings()
        grid, american = self.grid, self.exercise == "american"
        self._puts = american_puts(grid) if american else european_puts(grid)
        # A put of strike one, in units of the discounted forward.
        unit = np.where(grid.is_call, grid.spot, grid.strike) / grid.discount
        self._put_unit = (unit if american else grid.strike) / grid.forward
        pays = np.where(grid.is_call, grid.spot - grid.strike, grid.strike - grid.spot)
        self._least = np.maximum(pays, 0) / (grid.discount * grid.forward) if american else -np.inf

    def _check_settings(self) -> None:
        if not self.model_.has_levy_density:
            able = [name for name in list_models() if get_model(name).has_levy_density]
            raise ValueError(
                f"model={self.model_.name!r} has no Lévy density, which PIDEPricer needs; "
                f"these have: {', '.join(able)}."
            )
        if self.exercise == "american" and self.output == "implied_vol":
            raise ValueError(
                "output='implied_vol' needs exercise='european': Black's formula does not price "
                "American options; choose 'price' or 'forward_price'."
            )
        for name, factor in self._multiples.items():
            value = getattr(self, name)
            if value % factor:
                raise ValueError(f"{name} must be a multiple of {factor}; got {value}.")

    def _more_than_normalised(self) -> Floats:
        # American calls and puts are priced apart from each other.
        none = np.zeros(self.grid.n_quotes)
        return none if self.exercise == "american" else super()._more_than_normalised()

    def _chunks(self, n_samples: int, layers: int = 1) -> list[slice]:
        size = max(_CACHE_NUMBERS // self.n_space, 1)
        return [slice(start, start + size) for start in range(0, n_samples, size)]

    def _normalised(
        self, params: Floats, gradient: bool, *plan: NDArray[Any]
    ) -> tuple[Floats, None]:
        prices = extrapolated(self._on_grids(params, self._n_grids)[0])[-1]
        # Every grid knows what exercise pays, extrapolation does not.
        return np.maximum(prices, self._least), None

    def _normalised_errors(self, params: Floats) -> Floats:
        """Estimate from two extrapolations, and from what the grid does not hold."""
        prices, lost = self._on_grids(params, 3)
        coarser, finer = extrapolated(prices)
        return np.abs(finer - coarser) + lost

    def _on_grids(self, params: Floats, n_grids: int) -> tuple[Floats, Floats]:
        """Price on grids, the coarsest first.

        Returns
        -------
        prices : ndarray of shape (n_grids, n_samples, n_quotes)
            Calls, or American options, over discounted forward.
        lost : ndarray of shape (n_samples, n_quotes)
            What is lost of them, about, between the nodes and beyond the edges.
        """
        model = cast(JumpModel, self.model_)
        variance = model.cumulants(1.0, params)[:, 1]
        values = np.empty((n_grids, len(params), self.grid.n_quotes))
        lost = np.empty(values.shape[1:])
        for puts in self._puts:
            spread = np.minimum(np.sqrt(variance * puts.maturity), _WIDEST)
            step = 2 * (puts.reach(spread) + _REACH * spread) / self.n_space
            cells = JumpCells.measured(model, params, step, self.n_space // 2)
            # At most, a price loses the time value of the jumps that fall between nodes, the
            # effect of the skewness of small ones, and the growth of those that are too large.
            missed = 0.2 * spread * np.minimum(cells.unseen, 1.0)
            bent = 0.04 * cells.skew / variance
            grown = puts.maturity * cells.ungrown
            for k in range(n_grids):
                generator = Generator.of(cells, variance)
                n_steps = self.n_time // 2**k
                found, astray = puts.values(generator, spread, n_steps)
                values[n_grids - 1 - k][:, puts.quotes] = found
                cells = cells.coarsened()
            unit = self._put_unit[puts.quotes]
            lost[:, puts.quotes] = unit * (astray + (missed + bent)[:, None]) + grown[:, None]
        prices = values * self._put_unit
        if self.exercise == "european":
            prices += 1 - self._put_unit
        return prices, lost


def extrapolated(prices: Floats) -> Floats:
    """Remove the error of second order from prices on grids that halve their steps.

    Parameters
    ----------
    prices : ndarray of shape (n_grids, ...)
        The coarsest grid first.

    Returns
    -------
    extrapolated : ndarray of shape (n_grids - 1, ...)
        Richardson's extrapolation of each with the one before; the prices themselves if
        there is but one grid.
    """
    return prices[1:] + np.diff(prices, axis=0) / 3 if len(prices) > 1 else prices
