"""The fast Fourier transform as a pricer."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft
from scipy.interpolate import CubicSpline
from scipy.signal import ZoomFFT

from levylearn.base import ROUNDING, BasePricer
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel
from levylearn.pricing._greeks import LOG_GREEK, WithMarket
from levylearn.pricing._integrator import Integrand
from levylearn.pricing._layout import Layout
from levylearn.pricing._tails import (
    FINE_PROBES,
    ORDERS,
    PROBES,
    Complex,
    Floats,
    Moments,
    frequency_at,
    log_bound,
    log_moments,
    log_tail_at,
    log_tails,
)
from levylearn.utils._sklearn import Interval, StrOptions

__all__ = ["CarrMadanPricer"]

Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

# Spacings of frequencies and of log-strikes, and numbers of frequencies, are taken from menus, so
# that parameter sets are transformed together.
_STEPS_PER_OCTAVE, _SPACINGS_PER_OCTAVE = 4, 1
_SIZES = np.ravel(np.array([[16, 24]]) * 2 ** np.arange(12)[:, None])[:-1]
_MOST_LOG_STRIKES, _WIDEST = 2**14, 1.0
# Whatever the other moments are: E[S^(1/2)] exists.
_ALWAYS = -0.5
# Logarithm of the largest damped price that rounding is to be a fraction of.
_LARGEST = 8.0
# The error of a cubic spline is this, times the fourth power of the spacing and derivative.
_SPLINE = 5 / 384
# A cubic spline forgets its ends by a factor of four a point.
_MARGIN = 14
# Complex numbers transformed at a time.
_NUMBERS_AT_ONCE = 2**18


class _Side(NamedTuple):
    """Strikes of a maturity that are priced by one transform: all, or those of one side."""

    t: int
    strikes: Ints
    is_put: bool


class _Plan(NamedTuple):
    """Of parameter sets (n,) on a side, or on all sides (sides, n)."""

    damping: Floats
    step: Floats
    n_points: Ints
    spacing: Floats
    live: Bools  # (..., s): which strikes are on the side, and worth more than the tolerance
    cut_off: Bools  # whether more frequencies would be needed than there may be


class CarrMadanPricer(BasePricer):
    r"""European options by the fast Fourier transform of the damped price.

    The price of a call over the discounted forward, at the log-strike
    :math:`x = \log(K/F)`, times :math:`e^{\alpha x}` has a Fourier transform, so that

    .. math::
        \frac{C}{DF} = R_\alpha + \frac{e^{-\alpha x}}{\pi} \int_0^\infty \mathrm{Re}
        \frac{e^{-ivx}\,\varphi(v - i(1 + \alpha))}{(\alpha + iv)(1 + \alpha + iv)}\,dv,

    where :math:`R_\alpha` is 0 for positive :math:`\alpha`, 1 between -1 and 0, and
    :math:`1 - K/F` below. The integral is summed by Simpson's rule, for all log-strikes of a
    fine grid by one transform; a cubic spline leads from them to the strikes.

    By default, calls out of the money are priced with positive damping, puts with damping
    below -1, and the others follow from parity, so that nothing cancels. The damping is the one
    for which the frequencies may be spaced most widely, given which moments exist; spacings and
    the number of frequencies follow from `tolerance`. At most 32768 frequencies are
    used: where the characteristic function decays too slowly, :meth:`error_estimate` tells what
    that achieves, and Greeks are NaN.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    grid : OptionGrid
        The options and their market.
    output : {"price", "forward_price", "implied_vol"}, default="price"
        Prices in currency, undiscounted prices over the forward, or Black volatilities
        (NaN where a price has no time value in double precision).
    algorithm : {"fractional", "fft"}, default="fractional"
        The fractional transform spaces log-strikes as they are wanted. With the plain one their
        spacing times that of the frequencies is :math:`2\pi` over the number of points.
    damping : float, default=None
        One :math:`\alpha` for all strikes, other than -1 and 0; :math:`E[S^{1+\alpha}]` must
        exist. By default it is chosen for every parameter set, maturity and side.
    n_points : int, default=None
        Number of frequencies, and of the points of a plain transform.
    spacing : float, default=None
        Spacing of the frequencies.
    tolerance : float, default=1e-8
        Error aimed at, as a fraction of the larger of forward and strike.
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
    ContourPricer : To nearly all digits, for every maturity.
    COSPricer : By a cosine series, which needs fewer terms.

    References
    ----------
    Carr, P. and Madan, D. (1999). Option valuation using the fast Fourier transform. Journal of
    Computational Finance 2, 61-73.

    Chourdakis, K. (2004). Option pricing using the fractional FFT. Journal of Computational
    Finance 8, 1-18.

    Lee, R. (2004). Option pricing by transform methods: extensions, unification and error
    control. Journal of Computational Finance 7, 51-86.

    Lord, R. and Kahl, C. (2007). Optimal Fourier inversion in semi-analytical option pricing.
    Journal of Computational Finance 10, 1-30.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import CarrMadanPricer
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[1.0], rate=0.1)
    >>> params = np.array([[0.12, 0.2, -0.14]])
    >>> pricer = CarrMadanPricer("variance_gamma", grid).fit(params)
    >>> pricer.transform(params)[0, :2].round(6)
    array([19.099355, 11.370028])

    As in the original article:

    >>> original = CarrMadanPricer(
    ...     "variance_gamma", grid, algorithm="fft", damping=1.5, n_points=4096, spacing=0.25
    ... )
    >>> original.fit(params).transform(params)[0, :2].round(4)
    array([19.0994, 11.37  ])
    """

    _parameter_constraints = {
        **BasePricer._parameter_constraints,
        "algorithm": [StrOptions({"fractional", "fft"})],
        "damping": [Interval(Real, None, None, closed="neither"), None],
        "n_points": [Interval(Integral, 16, None, closed="left"), None],
        "spacing": [Interval(Real, 0, None, closed="neither"), None],
        "tolerance": [Interval(Real, 1e-12, 0.1, closed="both")],
    }

    def __init__(
        self,
        model: str | CharacteristicModel,
        grid: OptionGrid,
        output: str = "price",
        *,
        algorithm: str = "fractional",
        damping: float | None = None,
        n_points: int | None = None,
        spacing: float | None = None,
        tolerance: float = 1e-8,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.grid = grid
        self.output = output
        self.algorithm = algorithm
        self.damping = damping
        self.n_points = n_points
        self.spacing = spacing
        self.tolerance = tolerance
        self.n_jobs = n_jobs

    def _prepare(self) -> None:
        if self.damping in (-1, 0):
            raise ValueError(
                f"damping={self.damping} is a pole of the transform; it must be positive, below "
                "-1, or between the two."
            )
        layout = Layout(self.grid)
        self._times = layout.maturities
        self._quotes = layout.quotes
        self._x = -layout.k
        self._sides = list(self._all_sides())
        # Errors of spacing and number of frequencies and of interpolation add up.
        self._log_tolerance = float(np.log(self.tolerance / 4))

    def _all_sides(self) -> Iterator[_Side]:
        for t, x in enumerate(self._x):
            if self.damping is not None:
                yield _Side(t, np.arange(len(x)), self.damping < -1)
                continue
            for is_put in (False, True):
                strikes = np.flatnonzero((x < 0) == is_put)
                if strikes.size:
                    yield _Side(t, strikes, is_put)

    def admissible(self, params: Floats) -> Bools:
        """Tell for which parameter sets there is a price.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        admissible : ndarray of bool of shape (n_samples,)
            Whether each set is in the domain of the model, and has the moment that a given
            damping needs.
        """
        admissible = super().admissible(params)
        admissible[admissible] = self._is_damped(params[admissible])
        return admissible

    def _normalised(
        self, params: Floats, gradient: bool, *plan: NDArray[Any]
    ) -> tuple[Floats, Floats | None]:
        calls = self._calls(self.model_, params, 1 + gradient * params.shape[1])
        return calls[:, 0], calls[:, 1:] if gradient else None

    def _normalised_greeks(self, params: Floats) -> tuple[Floats, Floats]:
        finer = copy(self)
        finer._log_tolerance += LOG_GREEK
        model = WithMarket(self.model_)
        calls = finer._calls(model, params, 1 + model.n_params, by_k=1)
        unknown = np.isnan(calls[:, 1])
        if unknown.any():
            calls[:, 0][unknown] = self._normalised(params, gradient=False)[0][unknown]
        return calls[:, 0], calls[:, 1:]

    def _calls(
        self, model: Integrand, params: Floats, layers: int, by_k: int | None = None
    ) -> Floats:
        """Calls and derivatives (n, layers, n_quotes), one of them by k = log(F/K)."""
        self._check_damping(params)
        moments = log_moments(self.model_, params, self._times[:, None, None])
        plans = [self._plan(params, side, moments) for side in self._sides]
        plan = _Plan(*(np.stack(part) for part in zip(*plans, strict=True)))
        values = self._values(model, params, plan, layers)
        calls = np.zeros((len(params), layers, *self._x.shape))
        for i, side in enumerate(self._sides):
            damping = plan.damping[i, :, None]
            strike = np.where(damping < -1, np.exp(self._x[side.t]), 0.0)
            values[i, :, 0] += np.where(damping < 0, 1.0, 0.0) - strike
            if by_k is not None:
                values[i, :, by_k] += strike
                values[i, plan.cut_off[i], 1:] = np.nan
            calls[:, :, side.t, side.strikes] = values[i][..., side.strikes]
        out = np.empty((len(params), layers, self.grid.n_quotes))
        out[:, :, self._quotes] = calls
        return out

    def _is_damped(self, params: Floats) -> Bools:
        """Whether the moment exists that a given damping needs."""
        if self.damping is None or -1 < self.damping < 0:
            return np.ones(len(params), dtype=bool)
        excess = self.damping if self.damping > 0 else -1 - self.damping
        orders = np.append(ORDERS[excess > ORDERS], excess)
        moments = log_moments(self.model_, params, self._times[:, None, None], orders)
        needed = moments.up if self.damping > 0 else moments.down
        return np.logical_and.reduce(np.isfinite(needed[..., -1]), axis=0)

    def _check_damping(self, params: Floats) -> None:
        damped = self._is_damped(params)
        if damped.all():
            return
        assert self.damping is not None
        bad = params[np.argmin(damped)]
        values = ", ".join(
            f"{n}={v:g}" for n, v in zip(self.model_.parameter_names, bad, strict=True)
        )
        raise ValueError(
            f"damping={self.damping:g} needs E[S^{1 + self.damping:g}], which does not exist for "
            f"{values} at some maturity; it must be nearer to -0.5, or None."
        )

    # -- choosing dampings and spacings ------------------------------------------------

    @np.errstate(all="ignore")
    def _plan(self, params: Floats, side: _Side, moments: Moments) -> _Plan:
        x = self._x[side.t, side.strikes]
        log_moment = (moments.down if side.is_put else moments.up)[side.t]
        damping, period = self._damping(log_moment, side.is_put, x)
        if self.damping is None:
            farthest = ((log_moment - self._log_tolerance) / ORDERS).min(axis=-1)
            live = np.abs(x) < farthest[:, None]
        else:
            live = np.ones((len(params), len(x)), dtype=bool)
        # Simpson's rule takes every other frequency for a rule of its own.
        if self.spacing is None:
            step = _from_menu(np.pi / period, _STEPS_PER_OCTAVE)
        else:
            step = np.full_like(period, self.spacing)
        log_size, tails = self._decay(params, side, damping, PROBES)
        # Of all strikes, the most that damping has taken off.
        undamped = np.where(live, -damping[:, None] * x, -np.inf).max(axis=1, initial=-700.0)
        if self.n_points is None:
            end = frequency_at(tails + undamped[:, None], PROBES, self._log_tolerance)
            n_points = np.fmin(end / step + 1, _SIZES[-1])
            n_points = _SIZES[np.searchsorted(_SIZES, n_points)]
            cut_off = end > n_points * step
        else:
            n_points = np.full(len(params), self.n_points)
            cut_off = np.zeros(len(params), dtype=bool)
        curvature = self._curvature(log_size, PROBES, n_points * step) * np.exp(undamped)
        extent = np.where(live, x, -np.inf).max(axis=1) - np.where(live, x, np.inf).min(axis=1)
        on_side = np.zeros((len(params), self._x.shape[1]), dtype=bool)
        on_side[:, side.strikes] = live
        spacing = self._spacing(curvature, extent, step, n_points)
        return _Plan(damping, step, n_points, spacing, on_side, cut_off)

    def _spacing(self, curvature: Floats, extent: Floats, step: Floats, n_points: Ints) -> Floats:
        """Spacing (n,) of log-strikes, for splines with a bound on the fourth derivative."""
        wanted = (np.exp(self._log_tolerance) / (_SPLINE * curvature)) ** 0.25
        wanted = np.fmin(np.fmax(wanted, extent / _MOST_LOG_STRIKES), _WIDEST)
        wanted = _from_menu(wanted, _SPACINGS_PER_OCTAVE)
        if self.algorithm == "fractional":
            return wanted
        length = n_points
        if self.n_points is None:
            length = np.clip(2 * np.pi / (step * wanted), n_points, 2 * _SIZES[-1])
            length = 2 ** np.ceil(np.log2(length)).astype(np.intp)
        return 2 * np.pi / (step * length)

    def _damping(self, log_moment: Floats, is_put: bool, x: Floats) -> tuple[Floats, Floats]:
        """Damping (n,), and half of the period that it asks for.

        A sum over frequencies is periodic in the log-strike: to the damped price it adds that
        of strikes a period away. The price is no larger than exp(log_moment - order * distance)
        on the far side of the strikes, and 1 on the other.
        """
        deep = self._log_tolerance
        if self.damping is None:
            period = _periods(log_moment, ORDERS, deep, 0.0)
            largest = log_moment - np.log(ORDERS * (1 + ORDERS))
            period = np.where(largest < _LARGEST, period, np.inf)
            best = period.argmin(axis=-1)
            period = np.take_along_axis(period, best[:, None], axis=-1)[:, 0]
            excess = ORDERS[best]
            damping = -1 - excess if is_put else excess
            always = -deep / min(-_ALWAYS, 1 + _ALWAYS)
            return np.where(period < always, damping, _ALWAYS), np.minimum(period, always)
        damping = np.full(len(log_moment), float(self.damping))
        return damping, self._period(log_moment, x)

    def _period(self, log_moment: Floats, x: Floats) -> Floats:
        """Half of the period (n,) that a given damping asks for."""
        assert self.damping is not None
        deep = self._log_tolerance
        if -1 < self.damping < 0:
            period = max((x.max() - deep) / (1 + self.damping), deep / self.damping)
            return np.full(len(log_moment), period)
        excess = self.damping if self.damping > 0 else -1 - self.damping
        nearest = min(0.0, (x if self.damping > 0 else -x).min())
        return _periods(log_moment, np.array([excess]), deep, nearest)[:, 0]

    def _decay(
        self, params: Floats, side: _Side, damping: Floats, u: Floats
    ) -> tuple[Floats, Floats]:
        """Logarithms of phi on the damped line, and of its integral from every probe on."""
        line = u - 1j * (1 + damping[:, None])
        time = self._times[side.t].reshape(1, 1, 1)
        log_size = self.model_.kernel(line, params)(time)[0][0].real
        q = np.minimum(np.abs(damping), np.abs(1 + damping))[:, None]
        return log_size, log_tails(log_size, np.arctan(q / u) / (q * np.pi))

    def _curvature(self, log_size: Floats, u: Floats, end: Floats) -> Floats:
        """Bound (n,) on the fourth derivative of the damped price in the log-strike."""
        size = np.where(u <= 2 * end[:, None], np.exp(log_size) * u**2, 0.0)
        return np.asarray(np.trapezoid(size * u, np.log(u), axis=-1)) / np.pi

    # -- transforming ------------------------------------------------------------------

    def _values(self, model: Integrand, params: Floats, plan: _Plan, layers: int) -> Floats:
        """Prices less their residues, and derivatives (sides, n, layers, strikes)."""
        out = np.zeros((*plan.step.shape, layers, self._x.shape[1]))
        times = np.array([side.t for side in self._sides])
        codes = np.stack([plan.step, plan.n_points, plan.spacing], axis=-1)
        codes[~plan.live.any(axis=-1)] = 0.0
        found, group_of = np.unique(codes.reshape(-1, 3), axis=0, return_inverse=True)
        for group, (step, n_points, spacing) in enumerate(found):
            if not n_points:
                continue
            sides, rows = np.nonzero(group_of.reshape(plan.step.shape) == group)
            x, live = self._x[times[sides]], plan.live[sides, rows]
            # A lattice that is the same whatever strikes there are.
            first = int(np.floor(x[live].min() / spacing)) - _MARGIN
            n = int(np.ceil(x[live].max() / spacing)) + _MARGIN + 1 - first
            n_items = max(_NUMBERS_AT_ONCE // (layers * (int(n_points) + n)), 1)
            for start in range(0, len(rows), n_items):
                part = slice(start, start + n_items)
                damping = plan.damping[sides[part], rows[part], None]
                time = self._times[times[sides[part]], None]
                chosen = params[rows[part]], time, damping, step, int(n_points)
                terms = _terms(model, *chosen, layers)
                terms *= np.exp(-1j * step * spacing * first * np.arange(int(n_points)))
                damped = self._transformed(terms, step, spacing, n)
                at = np.where(live[part], x[part] / spacing - first, _MARGIN)
                undamped = np.exp(-damping * np.where(live[part], x[part], 0.0))
                values = _interpolated(damped, at) * undamped[:, None]
                out[sides[part], rows[part]] = np.where(live[part, None], values, 0.0)
        return out

    def _transformed(self, terms: Complex, step: float, spacing: float, n: int) -> Floats:
        """Real parts of sum_k terms_k exp(-i k m step spacing) for m < n, along the last axis."""
        if self.algorithm == "fft":
            length = int(np.rint(2 * np.pi / (step * spacing)))
            return fft(terms, length).real.take(np.arange(n), axis=-1, mode="wrap")
        zoom = ZoomFFT(terms.shape[-1], [0, n * step * spacing], n, fs=2 * np.pi)
        return zoom(terms).real

    # -- errors ------------------------------------------------------------------------

    @np.errstate(all="ignore")
    def _normalised_errors(self, params: Floats) -> Floats:
        self._check_damping(params)
        errors = np.empty((len(params), *self._x.shape))
        moments = log_moments(self.model_, params, self._times[:, None, None])
        for side in self._sides:
            errors[:, side.t, side.strikes] = self._errors(params, side, moments)
        out = np.empty((len(params), self.grid.n_quotes))
        out[:, self._quotes] = errors
        return out + ROUNDING * (1 + self.grid.strike / self.grid.forward)

    def _errors(self, params: Floats, side: _Side, moments: Moments) -> Floats:
        """Errors (n, s): of aliasing, of frequencies left out, of interpolation, of rounding."""
        x = self._x[side.t, side.strikes]
        plan = self._plan(params, side, moments)
        log_size, tails = self._decay(params, side, plan.damping, FINE_PROBES)
        end = plan.n_points * plan.step
        undamped = np.exp(-plan.damping[:, None] * x)
        left_out = np.exp(log_tail_at(tails, FINE_PROBES, end))
        curvature = self._curvature(log_size, FINE_PROBES, end)
        rough = _SPLINE * plan.spacing**4 * curvature
        lost = ROUNDING * np.exp(tails[:, 0])
        own = undamped * (left_out + rough + lost)[:, None]
        log_moment = (moments.down if side.is_put else moments.up)[side.t]
        own += self._aliasing(log_moment, side, plan, x)
        y = -x if side.is_put else x
        worth = np.exp(log_bound(log_moment, ORDERS, y)) * (np.exp(x) if side.is_put else 1.0)
        return np.where(plan.live[:, side.strikes], own, worth)

    def _aliasing(self, log_moment: Floats, side: _Side, plan: _Plan, x: Floats) -> Floats:
        """Bounds (n, s) on the prices of strikes a period away."""
        damping, period = plan.damping[:, None], np.pi / plan.step[:, None]
        between = (damping > -1) & (damping < 0)
        covered = np.exp(damping * period) + np.exp(x - (1 + damping) * period)
        excess = np.where(side.is_put, -1 - damping, damping)
        y = -x if side.is_put else x
        far = np.exp(log_bound(log_moment, ORDERS, y + period) + excess * period)
        beside = (np.exp(-excess * period) + far) * (np.exp(x) if side.is_put else 1.0)
        return np.where(between, covered, beside)


def _terms(
    model: Integrand,
    params: Floats,
    time: Floats,
    damping: Floats,
    step: float,
    n_points: int,
    layers: int,
) -> Complex:
    """Damped transforms and derivatives (n, layers, n_points), times Simpson's weights."""
    k = np.arange(n_points)
    v = step * k
    a = damping + 1j * v
    kernel = model.kernel(v - 1j * (1 + damping), params, gradient=layers > 1)
    log_phi, slopes = kernel(time[None])
    weight = (step / np.pi) * (1 - (-1.0) ** k / 3)
    weight[0] *= 0.5
    terms = np.empty((len(params), layers, n_points), dtype=np.complex128)
    terms[:, 0] = np.exp(log_phi[0]) * weight / (a * (1 + a))
    for layer, slope in enumerate(slopes, start=1):
        terms[:, layer] = terms[:, 0] * np.broadcast_to(slope, log_phi.shape)[0]
    return terms


def _interpolated(values: Floats, at: Floats) -> Floats:
    """Values (n, layers, m) at the positions 0, ..., m - 1, by cubic splines at others (n, s)."""
    spline = CubicSpline(np.arange(values.shape[-1]), values.reshape(-1, values.shape[-1]), axis=1)
    before = at.astype(np.intp)
    beyond = (at - before)[:, None]
    items, layers = np.ogrid[: len(values), : values.shape[1]]
    series = (items * values.shape[1] + layers)[..., None]
    total = np.zeros((*values.shape[:2], at.shape[1]))
    for coefficients in spline.c:
        total = total * beyond + coefficients[before[:, None], series]
    return total


def _periods(log_moment: Floats, excess: Floats, deep: float, nearest: float) -> Floats:
    """Half of the periods (n, n_excess) for which what is added is below a tolerance."""
    room = ORDERS - excess[:, None]
    needed = (log_moment[:, None] - deep - ORDERS * nearest) / np.where(room > 0, room, 1.0)
    return np.maximum(np.where(room > 0, needed, np.inf).min(axis=-1), -deep / excess)


def _from_menu(values: Floats, per_octave: int) -> Floats:
    """Spacings of a menu that are no larger."""
    return 2.0 ** (np.floor(np.log2(values) * per_octave) / per_octave)
