"""The contract of a pricer, as tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from joblib import hash as content_hash
from numpy.typing import ArrayLike
from sklearn.base import clone

from levylearn.base import BasePricer
from levylearn.market import OptionGrid, black_price
from levylearn.models import get_model
from levylearn.models._differences import derivatives
from levylearn.testing._common import Contract, Floats, is_stable_repr, sample_parameters

__all__ = ["check_pricer"]

_N_SAMPLES = 5
# For differences in shares of spot or of time, or in rate.
_GREEK_STEP = 1e-4


class _PricerContract(Contract):
    def __init__(
        self,
        pricer: BasePricer,
        params: ArrayLike | None,
        surfaces: ArrayLike | None,
        tolerance: float,
        jacobian_tolerance: float,
        random_state: Any,
    ) -> None:
        super().__init__("check_pricer", pricer)
        self.pricer = pricer
        self.given = params, surfaces
        self.tolerance = tolerance
        self.jacobian_tolerance = jacobian_tolerance
        self.random_state = random_state
        self.params = np.empty((0, 0))
        self.fitted = pricer

    @property
    def learns(self) -> bool:
        """Whether it was given surfaces to learn from: then it knows one grid only."""
        return self.given[1] is not None

    @property
    def grid(self) -> OptionGrid:
        return self.pricer.grid

    def with_(self, **settings: Any) -> BasePricer:
        """Return a fitted copy with other settings."""
        return clone(self.pricer).set_params(**settings).fit(self.params)

    def price_tolerance(self, grid: OptionGrid) -> Floats:
        return self.tolerance * np.maximum(grid.forward, grid.strike)


def check_pricer(
    pricer: BasePricer,
    params: ArrayLike | None = None,
    surfaces: ArrayLike | None = None,
    *,
    tolerance: float = 1e-9,
    jacobian_tolerance: float = 1e-5,
    random_state: Any = 0,
) -> None:
    """Check that a pricer keeps the contract that calibrators and users rely on.

    Checked: shapes, names and dtypes; that rows do not depend on each other, and
    pricing changes nothing; the Jacobian and the Greeks against differences; the outputs
    against each other; what every arbitrage-free price obeys, put-call parity, bounds,
    decrease and convexity in the strike, scaling with the spot; refusal of bad
    parameters; copies, pickles and the repr. :func:`sklearn.utils.estimator_checks.check_estimator`
    checks the rest.

    Parameters
    ----------
    pricer : BasePricer
        An instance; it is cloned, not fitted.
    params : array-like of shape (n_samples, n_params), default=None
        Parameter sets to fit it to and to price. By default a few over the market
        ranges of its model.
    surfaces : array-like of shape (n_samples, n_quotes), default=None
        Surfaces of `params`, for a pricer that learns from them. The rules that
        need other grids or outputs are then left out.
    tolerance : float, default=1e-9
        How far prices may be off, as a fraction of the larger of forward and strike.
    jacobian_tolerance : float, default=1e-5
        How far derivatives may be off, as a fraction of the largest one with respect to
        the same parameter.
    random_state : int, RandomState instance or None, default=0
        For the draw of parameter sets.

    Raises
    ------
    AssertionError
        If a rule is broken; the message says which, and by what numbers.

    See Also
    --------
    check_model : The same for models.
    check_calibrator : The same for calibrators.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> from levylearn.testing import check_pricer
    >>> grid = OptionGrid(strikes=[80, 100, 120], maturities=[0.1, 1.0], rate=0.02)
    >>> check_pricer(ContourPricer("heston", grid), tolerance=1e-13)
    """
    case = _PricerContract(pricer, params, surfaces, tolerance, jacobian_tolerance, random_state)
    case.run(_RULES if surfaces is None else _RULES_FOR_ONE_GRID)


# -- rules ---------------------------------------------------------------------------


def _fits(case: _PricerContract) -> None:
    """Fitting returns the pricer, with its parameters and their number."""
    params, surfaces = case.given
    if params is None:
        model = get_model(case.pricer.model)
        params = sample_parameters(
            model.parameters, model.admissible, _N_SAMPLES, case.random_state
        )
    case.params = np.array(params, dtype=np.float64)
    case.fitted = clone(case.pricer)
    result = case.fitted.fit(case.params, surfaces)
    case.require(result is case.fitted, "fit does not return self.")
    width = case.params.shape[1]
    case.require(case.fitted.n_features_in_ == width, f"n_features_in_ is not {width}.")
    names = [parameter.name for parameter in case.fitted.parameters_]
    case.require(len(names) == width, f"parameters_ are {names}.")
    case.require(np.all(case.fitted.admissible(case.params)), "A parameter set is inadmissible.")


def _shapes(case: _PricerContract) -> None:
    """Results have the documented shapes and dtypes, down to one row."""
    p, m = case.params.shape[1], case.grid.n_quotes
    slack = _slack(case)
    for n in (len(case.params), 1):
        surfaces = case.fitted.transform(case.params[:n])
        case.require_shape("transform", surfaces, (n, m), "f")
        values, jacobian = case.fitted.price_and_jacobian(case.params[:n])
        case.require_shape("prices", values, (n, m), "f")
        case.require_shape("jacobian", jacobian, (n, p, m), "f")
        # Prices that come with derivatives may be computed along other lines.
        size = 1e-12 * (1 + np.abs(surfaces)) + slack[:n]
        case.require_close("price_and_jacobian", values, surfaces, size)


def _prices_exist(case: _PricerContract) -> None:
    """Parameter sets of the market range have prices."""
    surfaces = case.fitted.transform(case.params)
    if case.pricer.output == "implied_vol":
        surfaces = surfaces[~np.isnan(surfaces)]  # NaN: no time value in double precision
    case.require(np.all(np.isfinite(surfaces)), "Some are not finite.")


def _pricing_has_no_memory(case: _PricerContract) -> None:
    """Pricing changes neither the pricer nor its argument."""
    params = case.params.copy()
    params.flags.writeable = False
    before = content_hash(vars(case.fitted))
    first = case.fitted.transform(params)
    case.fitted.price_and_jacobian(params[::-1])
    case.fitted.transform(params[:1])
    case.require(content_hash(vars(case.fitted)) == before, "Its attributes have changed.")
    case.require_close("transform, again,", case.fitted.transform(params), first, 0.0)


def _rows_are_independent(case: _PricerContract) -> None:
    """The surface of a parameter set does not depend on the others."""
    surfaces, jacobian = case.fitted.price_and_jacobian(case.params)
    size = 1e-12 * (1 + _greatest(surfaces, axis=1))
    slope = 1e-9 * (1 + _greatest(jacobian, axis=2))
    if case.pricer.output == "implied_vol":
        # A last digit of the price may differ, and is many of a volatility where vega is small.
        vega = _vegas(case)
        certain = vega > 1e-6
        size = np.where(certain, size + 1e-14 / np.maximum(vega, 1e-6), np.inf)
        slope = np.where(certain[:, None, :], slope + 1e-6 * np.abs(jacobian), np.inf)
    for how, order in (("alone", None), ("reversed", np.arange(len(surfaces))[::-1])):
        if order is None:
            parts = [case.fitted.price_and_jacobian(row[None]) for row in case.params]
            values, slopes = (np.concatenate(part) for part in zip(*parts, strict=True))
        else:
            values, slopes = case.fitted.price_and_jacobian(case.params[order])
            values, slopes = values[order], slopes[order]
        case.require_close(f"{how}, surface", values, surfaces, size)
        case.require_close(f"{how}, jacobian", slopes, jacobian, slope)


def _jacobian_agrees(case: _PricerContract) -> None:
    """The Jacobian is the derivative of the surfaces."""
    found = case.fitted.price_and_jacobian(case.params)[1]
    parameters = case.fitted.parameters_
    expected = derivatives(lambda p: case.fitted.evaluate(p)[0], case.params, parameters)
    unit = _unit(case)
    reach = np.maximum(np.abs(case.params), 1e-3)[:, :, None]
    # Differences divide the errors of prices by steps of about a thousandth.
    noise = 2e3 * case.tolerance * unit / reach
    tolerance = case.jacobian_tolerance * _greatest(expected, axis=2) + noise
    if case.pricer.output == "implied_vol":
        # A volatility is known no better than the price divided by its vega.
        vega = np.maximum(_vegas(case), 1e-6)[:, None, :]
        tolerance = tolerance + 2e3 * np.maximum(case.tolerance, 1e-15) / (vega * reach)
        found, expected = (np.where(vega > 1e-6, v, 0.0) for v in (found, expected))
    case.require_close("jacobian[row, parameter, quote]", found, expected, tolerance)


def _greeks_agree(case: _PricerContract) -> None:
    """Greeks, if there are any, are derivatives of the prices in currency."""
    try:
        greeks = case.fitted.greeks(case.params)
    except NotImplementedError:
        return
    n, m = greeks.price.shape
    for name, values in greeks.items():
        shape = (n, case.params.shape[1], m) if name == "vega" else (n, m)
        case.require_shape(name, values, shape, "f")
    in_currency = case.with_(output="price")
    surfaces, vega = in_currency.price_and_jacobian(case.params)
    noise = case.price_tolerance(case.grid)
    case.require_close("price", greeks.price, surfaces, noise)
    slack = case.jacobian_tolerance * _greatest(vega, axis=2) + 2e3 * noise
    slack = np.where(np.isnan(greeks.vega), np.inf, slack)
    case.require_close("vega", greeks.vega, vega, slack)
    spot, time = case.grid.spot, case.grid.maturity
    for name, of, variable, per in (
        ("delta", "price", "spot", spot),
        ("gamma", "delta", "spot", spot),
        ("theta", "price", "time", -time),
        ("rho", "price", "rate", 1.0),
    ):
        down, middle, up = (
            case.with_(grid=_moved(case.grid, **{variable: end})).greeks(case.params)
            for end in (-_GREEK_STEP, 0.0, _GREEK_STEP)
        )
        # A quotient of differences is the mean of the Greek in between, and tells nothing
        # where that has a peak or a gap.
        expected = (up[of] - down[of]) / (2 * _GREEK_STEP * per)
        slack = np.maximum(*(np.abs(end[name] - middle[name]) for end in (down, up)))
        slack[slack > 0.05 * np.abs(middle[name])] = np.inf
        slack = slack + case.jacobian_tolerance * _greatest(middle[name], axis=1)
        slack[np.isnan(middle[name] + expected)] = np.inf  # the method has no answer
        slack = slack + noise / (_GREEK_STEP * np.abs(per) * (spot if of == "delta" else 1.0))
        case.require_close(name, greeks[name], expected, slack)


def _error_estimate(case: _PricerContract) -> None:
    """An error estimate, if there is one, is a non-negative number for each price."""
    try:
        errors = case.fitted.error_estimate(case.params)
    except NotImplementedError:
        return
    surfaces = case.fitted.transform(case.params)
    case.require_shape("error_estimate", errors, surfaces.shape, "f")
    known = ~np.isnan(surfaces)
    case.require(np.all(errors[known] >= 0), "Some are negative or NaN.")


def _names(case: _PricerContract) -> None:
    """Columns have unique names, and set_output uses them."""
    names = case.fitted.get_feature_names_out()
    case.require(len(names) == case.grid.n_quotes, f"There are {len(names)} names.")
    pricer = clone(case.pricer).set_output(transform="pandas").fit(case.params, case.given[1])
    frame = pricer.transform(case.params)
    case.require(list(frame.columns) == list(names), f"The frame's columns are {frame.columns}.")
    case.require_close("frame", frame, case.fitted.transform(case.params), 0.0)


def _refuses(case: _PricerContract) -> None:
    """Wrong columns, NaN and values outside the domain are refused."""
    wide = np.column_stack([case.params, case.params[:, 0]])
    case.require_value_error(["features"], case.fitted.transform, wide)
    holed = case.params.copy()
    holed[1, 0] = np.nan
    case.require_value_error(["NaN"], case.fitted.transform, holed)
    for j, parameter in enumerate(case.fitted.parameters_):
        for end, way in zip(parameter.domain, (-0.5, 0.5), strict=True):
            if np.isfinite(end):
                bad = case.params.copy()
                bad[1, j] = end + way
                for call in (case.fitted.transform, case.fitted.price_and_jacobian):
                    case.require_value_error([parameter.name, "row 1"], call, bad)


def _is_copied(case: _PricerContract) -> None:
    """Clones, copies and pickles price the same, and the repr is stable."""
    expected = case.fitted.transform(case.params)
    for how, twin in case.copies(case.fitted):
        case.require_close(how, twin.transform(case.params), expected, 0.0)
    twin = clone(case.fitted).fit(case.params, case.given[1])
    case.require_close("clone", twin.transform(case.params), expected, 0.0)
    case.require(is_stable_repr(repr(case.pricer)), f"The repr is {case.pricer!r}.")


def _outputs_agree(case: _PricerContract) -> None:
    """Prices, forward prices and implied volatilities say the same."""
    grid = case.grid
    prices = case.with_(output="price").transform(case.params)
    forward = case.with_(output="forward_price").transform(case.params)
    tolerance = case.price_tolerance(grid)
    unit = grid.discount * grid.forward
    case.require_close("forward_price", forward * unit, prices, tolerance)
    volatility = case.with_(output="implied_vol").transform(case.params)
    known = np.isfinite(volatility)
    case.require(known.any(axis=1).all(), "A surface has no implied volatility at all.")
    again = black_price(
        grid.forward,
        grid.strike,
        grid.maturity,
        np.where(known, volatility, 1.0),
        grid.discount,
        grid.option_type,
    )
    case.require_close("implied_vol", np.where(known, again, prices), prices, tolerance)


def _parity(case: _PricerContract) -> None:
    """A call less a put is the discounted forward less the strike."""
    calls, puts = (
        case.with_(output="price", grid=_changed(case.grid, option_type=kind)).transform(
            case.params
        )
        for kind in ("call", "put")
    )
    grid = case.grid
    expected = grid.discount * (grid.forward - grid.strike) + 0 * calls
    case.require_close("call - put", calls - puts, expected, 2 * case.price_tolerance(grid))


def _bounds(case: _PricerContract) -> None:
    """A call costs between its intrinsic value and the discounted forward."""
    grid, calls = _calls(case)
    slack = case.price_tolerance(grid)
    low = grid.discount * np.maximum(grid.forward - grid.strike, 0.0)
    high = grid.discount * grid.forward
    _require_sign(case, "price - lower bound", calls - low, slack)
    _require_sign(case, "upper bound - price", high - calls, slack)


def _strikes(case: _PricerContract) -> None:
    """Calls fall with the strike, at most by its discounted difference, and are convex."""
    grid, calls = _calls(case)
    slack = case.tolerance
    for _, quotes in grid.slices:
        quotes = quotes[np.argsort(grid.strike[quotes], kind="stable")]
        quotes = quotes[np.diff(grid.strike[quotes], prepend=-np.inf) > 0]
        strike = grid.strike[quotes] / grid.forward[quotes]
        price = calls[:, quotes] / (grid.discount * grid.forward)[quotes]
        slope = np.diff(price) / np.diff(strike)
        error = 2 * slack * np.maximum(strike[1:], 1.0) / np.diff(strike)
        _require_sign(case, "-slope", -slope, error)
        _require_sign(case, "1 + slope", 1 + slope, error)
        if len(strike) > 2:
            _require_sign(case, "convexity", np.diff(slope), error[1:] + error[:-1])


def _scaling(case: _PricerContract) -> None:
    """Spot and strikes in another currency change prices in proportion, volatilities not."""
    factor = 2.5
    grid = _changed(case.grid, factor=factor)
    prices = case.with_(output="price").transform(case.params)
    scaled = case.with_(output="price", grid=grid).transform(case.params)
    case.require_close("prices", scaled / factor, prices, case.price_tolerance(case.grid))


_RULES_FOR_ONE_GRID = (
    _fits,
    _shapes,
    _prices_exist,
    _pricing_has_no_memory,
    _rows_are_independent,
    _jacobian_agrees,
    _error_estimate,
    _names,
    _refuses,
    _is_copied,
)
_RULES = (*_RULES_FOR_ONE_GRID, _outputs_agree, _parity, _bounds, _strikes, _scaling, _greeks_agree)


# -- helpers -------------------------------------------------------------------------


def _unit(case: _PricerContract) -> Floats:
    """Size of a price equal to the forward, in the output's unit."""
    grid = case.grid
    one = np.maximum(1.0, grid.strike / grid.forward)
    return one * grid.discount * grid.forward if case.pricer.output == "price" else one


def _slack(case: _PricerContract) -> Floats:
    """How far results may be off, of shape (n_samples, n_quotes)."""
    slack = case.tolerance * _unit(case) * np.ones((len(case.params), 1))
    if case.pricer.output != "implied_vol":
        return slack
    # A volatility is known no better than the price divided by its vega.
    vega = _vegas(case)
    return np.where(vega > 1e-6, slack / np.maximum(vega, 1e-6), np.inf)


def _greatest(values: Floats, axis: int) -> Floats:
    return np.abs(np.nan_to_num(values, posinf=0.0, neginf=0.0)).max(axis=axis, keepdims=True)


def _vegas(case: _PricerContract) -> Floats:
    """Derivative of normalised prices in volatility, by a difference."""
    grid, volatility = case.grid, case.fitted.transform(case.params)
    volatility = np.where(np.isfinite(volatility), volatility, 1e-9)
    ratio = grid.strike / grid.forward
    up, down = (black_price(1.0, ratio, grid.maturity, volatility * f) for f in (1.001, 0.999))
    return (up - down) / (0.002 * volatility)


def _calls(case: _PricerContract) -> tuple[OptionGrid, Floats]:
    grid = _changed(case.grid, option_type="call")
    return grid, case.with_(output="price", grid=grid).transform(case.params)


def _require_sign(case: _PricerContract, name: str, values: Floats, slack: Any) -> None:
    """Require values that are not negative, but for some slack."""
    case.require_close(name, np.minimum(values, 0.0), np.zeros_like(values), slack)


def _moved(grid: OptionGrid, spot: float = 0.0, time: float = 0.0, rate: float = 0.0) -> OptionGrid:
    """Return the grid with spot and maturities changed by a fraction, and rates by so much."""
    return OptionGrid.from_quotes(
        grid.strike,
        grid.maturity * (1 + time),
        spot=grid.spot * (1 + spot),
        rate=grid.rate + rate,
        dividend=grid.dividend,
        option_type=grid.option_type,
    )


def _changed(
    grid: OptionGrid, *, factor: float = 1.0, option_type: str | None = None
) -> OptionGrid:
    """Return the grid with spot and strikes multiplied, or with options of one type."""
    kinds = grid.option_type if option_type is None else option_type
    spot = grid.spot * factor
    if not grid.is_product:
        return OptionGrid.from_quotes(
            grid.strike * factor,
            grid.maturity,
            spot=spot,
            rate=grid.rate,
            dividend=grid.dividend,
            option_type=kinds,
        )
    strike, maturity, rate, dividend = (
        values.reshape(grid.shape)
        for values in (grid.strike, grid.maturity, grid.rate, grid.dividend)
    )
    return OptionGrid(
        strike[0] * factor,
        maturity[:, 0],
        spot=spot,
        rate=rate[:, 0],
        dividend=dividend[:, 0],
        option_type=kinds,
    )
