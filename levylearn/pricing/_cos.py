"""The Fourier-cosine series as a pricer."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.base import ROUNDING, BasePricer
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel
from levylearn.pricing._greeks import LOG_GREEK, WithMarket
from levylearn.pricing._integrator import Integrand
from levylearn.pricing._layout import Layout
from levylearn.pricing._octaves import (
    CUTS,
    EASE,
    Octaves,
    find_octaves,
    log_left,
    low_pass,
    n_nodes,
    nodes,
    payoff,
    reach,
    within_reach,
)
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
from levylearn.utils._sklearn import Interval

__all__ = ["COSPricer"]

Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

# Ranges [a, a + w] are taken from a menu, so that parameter sets share the payoff's series:
# widths w in steps of a fourth of an octave, a at some eighths of -w.
_WIDTHS = 2.0 ** (np.arange(-28, 45) / 4)
_EIGHTHS = 8
# So are numbers of terms: two sizes an octave.
_SIZES = np.ravel(np.array([[16, 24]]) * 2 ** np.arange(13)[:, None])
# That a filter eases a series holds for laws with one singularity: with more, log |phi| ripples.
_SMOOTH = 0.5
# Complex numbers that stay in the processor's cache.
_TERMS_AT_ONCE = 2**15
_MOST_TERMS = 2**12
# The terms that an error estimate looks at, as a multiple of those of the series.
_FACTOR = 3
# With the logarithm of the tolerance times this, nodes of octaves are elsewhere.
_OTHER_NODES = 1.25


class _Plan(NamedTuple):
    """Of every maturity and parameter set (t, n): indices into the menus, and where calls end."""

    width: Ints
    start: Ints
    size: Ints  # -1 without a series
    filtered: Bools
    octaves: Octaves
    worthless: Floats  # calls with log-strikes from here on

    @property
    def low(self) -> Floats:
        """Left end of the range."""
        return -_WIDTHS[self.width] * self.start / _EIGHTHS

    @property
    def high(self) -> Floats:
        """Right end of the range."""
        return self.low + _WIDTHS[self.width]


class _Series(NamedTuple):
    """Series of the same range and number of terms, and what they price."""

    low: float
    width: float
    n_terms: int
    cut: float | None
    times: Ints
    rows: Ints


class _Wanted(NamedTuple):
    """What is summed: the model's derivatives, and which one of the payoff."""

    model: Integrand
    layers: int
    order: int = 0  # 1: by k = log(F/K); 2: the sum of the first and the second by k


class COSPricer(BasePricer):
    r"""European options by a Fourier-cosine series of the law of the log-return.

    On a range [a, b] of the log-return, of width w, the cosine coefficients of its density are
    values of the characteristic function, and those of a payoff have closed forms. With
    :math:`\kappa = K/F` and :math:`u_k = k\pi/w`,

    .. math::
        \frac{P}{DF} \approx {\sum_{k=0}^{N-1}}' \mathrm{Re}\left[\varphi(u_k)
        e^{-iu_ka}\right] V_k, \qquad
        V_k = \frac2w\,\frac{e^a - \kappa\,[\cos u_k\theta - \sin(u_k\theta)/u_k]}{1 + u_k^2},
        \quad \theta = \log\kappa - a .

    Puts are priced, which are bounded, and calls follow from parity; so the range may end soon
    on the right. All strikes of a maturity share the characteristic function.

    Both errors are bounded beforehand, and the defaults follow from `tolerance`. What lies
    outside the range is bounded by Markov's inequality for exponential moments, so the range
    suits heavy tails and short maturities as well. The number of terms, of which there are never
    more than 98304, follows from the decay of the characteristic function. Where it decays like
    a power, since the law is not smooth (Variance Gamma at maturities not much longer than its
    `nu`), the series is filtered, and strikes next to the singularity get what the filter cuts
    off octave by octave, by series on ever shorter ranges.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    grid : OptionGrid
        The options and their market.
    output : {"price", "forward_price", "implied_vol"}, default="price"
        Prices in currency, undiscounted prices over the forward, or Black volatilities
        (NaN where a price has no time value in double precision).
    n_terms : int, default=None
        Number of terms of a plain series; by default as many as `tolerance` asks for.
    truncation : float, default=None
        With a number L, the range ends at :math:`c_1 \pm L\sqrt{c_2 + \sqrt{c_4}}`, as usual,
        with the cumulants of the log-return. By default it ends where `tolerance` allows.
    tolerance : float, default=1e-10
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
    CarrMadanPricer : By the fast Fourier transform.

    References
    ----------
    Fang, F. and Oosterlee, C. (2008). A novel pricing method for European options based on
    Fourier-cosine series expansions. SIAM Journal on Scientific Computing 31, 826-848.

    Junike, G. and Pankrashkin, K. (2022). Precise option pricing by the COS method: how to
    choose the truncation range. Applied Mathematics and Computation 421.

    Ruijter, M., Versteegh, M. and Oosterlee, C. (2015). On the application of spectral filters
    in a Fourier option pricing technique. Journal of Computational Finance 19, 75-106.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import COSPricer
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[1.0], rate=0.1)
    >>> params = np.array([[0.12, 0.2, -0.14]])
    >>> pricer = COSPricer("variance_gamma", grid).fit(params)
    >>> pricer.transform(params)[0, :2]
    array([19.09935472, 11.37002781])
    >>> bool(np.all(pricer.error_estimate(params) < 1e-8))
    True
    """

    _parameter_constraints = {
        **BasePricer._parameter_constraints,
        "n_terms": [Interval(Integral, 2, None, closed="left"), None],
        "truncation": [Interval(Real, 0, None, closed="neither"), None],
        "tolerance": [Interval(Real, 1e-14, 0.1, closed="both")],
    }

    def __init__(
        self,
        model: str | CharacteristicModel,
        grid: OptionGrid,
        output: str = "price",
        *,
        n_terms: int | None = None,
        truncation: float | None = None,
        tolerance: float = 1e-10,
        n_jobs: int | None = None,
    ) -> None:
        self.model = model
        self.grid = grid
        self.output = output
        self.n_terms = n_terms
        self.truncation = truncation
        self.tolerance = tolerance
        self.n_jobs = n_jobs

    def _prepare(self) -> None:
        layout = Layout(self.grid)
        self._times = layout.maturities
        self._quotes = layout.quotes
        self._x = -layout.k
        # The errors of the range's two ends and of the series add up.
        self._log_tolerance = float(np.log(self.tolerance / 3))

    def _normalised(
        self, params: Floats, gradient: bool, *plan: NDArray[Any]
    ) -> tuple[Floats, Floats | None]:
        chosen = self._plan(params, log_moments(self.model_, params, self._times[:, None, None]))
        calls = self._calls(params, chosen, _Wanted(self.model_, 1 + gradient * params.shape[1]))
        return calls[:, 0], calls[:, 1:] if gradient else None

    def _normalised_greeks(self, params: Floats) -> tuple[Floats, Floats]:
        finer = copy(self)
        finer._log_tolerance += LOG_GREEK
        plan = finer._plan(params, log_moments(self.model_, params, self._times[:, None, None]))
        model = WithMarket(self.model_)
        calls = finer._calls(params, plan, _Wanted(model, 1 + model.n_params))
        # The series is reflected at its ends: in k only the payoff can be differentiated.
        for order in (1, 2):
            calls[:, order] = finer._calls(params, plan, _Wanted(self.model_, 1, order))[:, 0]
        return calls[:, 0], calls[:, 1:]

    def _calls(self, params: Floats, plan: _Plan, wanted: _Wanted) -> Floats:
        """Calls and their derivatives (n, layers, n_quotes)."""
        calls = self._puts(params, plan, wanted, self._log_tolerance)
        x = self._x[:, None, :]
        strike = np.exp(x)
        calls[:, :, 0] += (1 - strike, strike, 0.0)[wanted.order]
        calls = np.where(x[:, :, None] >= plan.worthless[..., None, None], 0.0, calls)
        out = np.empty((len(params), wanted.layers, self.grid.n_quotes))
        out[:, :, self._quotes] = calls.transpose(1, 2, 0, 3)
        return out

    @np.errstate(all="ignore")
    def _normalised_errors(self, params: Floats) -> Floats:
        moments = log_moments(self.model_, params, self._times[:, None, None])
        plan = self._plan(params, moments)
        errors = self._range_errors(moments, plan) + self._series_errors(params, plan)
        out = np.empty((len(params), self.grid.n_quotes))
        out[:, self._quotes] = errors.transpose(1, 0, 2)
        ratio = self.grid.strike / self.grid.forward
        return out * np.maximum(1, ratio) + ROUNDING * (1 + ratio)

    # -- choosing ranges and numbers of terms ------------------------------------------

    @np.errstate(all="ignore")
    def _plan(self, params: Floats, moments: Moments) -> _Plan:
        x = self._x[:, None, :]
        left = -((moments.down - self._log_tolerance) / ORDERS).min(axis=-1)
        worthless = ((moments.up - self._log_tolerance) / ORDERS).min(axis=-1)
        live = (x > left[..., None]) & (x < worthless[..., None])
        if self.truncation is None:
            low, high = left, self._right_end(moments, live)
        else:
            low, high = self._by_cumulants(params)
        width, start = _from_menu(low, high)
        low = -_WIDTHS[width] * start / _EIGHTHS
        high = low + _WIDTHS[width]
        size, filtered, octaves = self._frequencies(params, live, low, high)
        size = np.where(live.any(axis=-1), size, -1)
        return _Plan(width, start, size, filtered, octaves, np.minimum(worthless, high))

    def _right_end(self, moments: Moments, live: Bools) -> Floats:
        """Right end (t, n) of the range, for the strikes (t, n, s) that are in need of a series.

        The cosine series reflects what lies beyond, and a put is worth nothing for twice the
        distance from its strike to the end: only what lies beyond that is lost.
        """
        x = self._x[:, None, :]
        far = ((moments.up - self._log_tolerance) / (1 + ORDERS)).min(axis=-1)
        far = np.minimum(far, -self._log_tolerance)[..., None]
        return np.where(live, np.maximum(x, 0.5 * (far + x)), 0.0).max(axis=-1)

    def _by_cumulants(self, params: Floats) -> tuple[Floats, Floats]:
        """Ends (t, n) of the range as the literature takes them."""
        assert self.truncation is not None
        cumulants = [self.model_.cumulants(float(T), params) for T in self._times]
        c1, c2, _, c4 = np.moveaxis(np.stack(cumulants), -1, 0)
        reach = self.truncation * np.sqrt(c2 + np.sqrt(np.maximum(c4, 0)))
        return np.minimum(c1 - reach, 0), np.maximum(c1 + reach, 0)

    def _frequencies(
        self, params: Floats, live: Bools, low: Floats, high: Floats
    ) -> tuple[Ints, Bools, Octaves]:
        """Sizes of series (t, n); whether a filter and octaves need fewer terms, and which."""
        log_phi = self.model_.kernel(PROBES + 0j, params)(self._times[:, None, None])[0]
        tails = _log_tails(log_phi, PROBES)
        frequency = frequency_at(tails, PROBES, self._log_tolerance)
        octaves = find_octaves(
            log_phi, tails, frequency, self._x, live, low, high, self._log_tolerance
        )
        if self.n_terms is not None:
            return np.zeros_like(octaves.first), np.zeros(low.shape, dtype=bool), octaves
        per_frequency = (high - low) / np.pi
        n_terms = np.fmin(frequency * per_frequency + 1, _SIZES[-1])
        first = np.minimum(octaves.first, len(CUTS) - 1)
        n_filtered = CUTS[first] * per_frequency
        n_filtered += (octaves.last - octaves.first) * n_nodes(self._log_tolerance)
        needless = octaves.ends & (octaves.last == octaves.first)
        filtered = (n_filtered < n_terms) & (octaves.first < len(CUTS)) & ~needless
        size = np.where(filtered, first, np.searchsorted(_SIZES, n_terms))
        return size, filtered, octaves

    # -- summing -----------------------------------------------------------------------

    def _puts(self, params: Floats, plan: _Plan, wanted: _Wanted, log_tolerance: float) -> Floats:
        """Puts and their derivatives (t, n, layers, s); 0 where there is no series."""
        puts = np.zeros((*plan.size.shape, wanted.layers, self._x.shape[1]))
        for series in self._series(plan):
            self._add_series(params, series, wanted, puts)
        self._add_octaves(params, plan, wanted, puts, log_tolerance)
        return puts

    def _series(self, plan: _Plan) -> Iterator[_Series]:
        """Put together what has the same range and number of terms."""
        shape = (2, len(_WIDTHS), _EIGHTHS + 1, max(len(_SIZES), len(CUTS)))
        entries = (plan.filtered.astype(np.intp), plan.width, plan.start, np.maximum(plan.size, 0))
        codes = np.where(plan.size >= 0, np.ravel_multi_index(entries, shape), -1)
        order = np.argsort(codes, axis=None, kind="stable")
        found, starts = np.unique(codes.ravel()[order], return_index=True)
        for code, items in zip(found, np.split(order, starts[1:]), strict=True):
            if code < 0:
                continue
            filtered, width, start, size = (int(i) for i in np.unravel_index(code, shape))
            w, cut = float(_WIDTHS[width]), None
            if filtered:
                cut = float(CUTS[size])
                n_terms = int(cut * w / np.pi) + 2
            else:
                n_terms = self.n_terms or int(_SIZES[size])
            times, rows = np.unravel_index(items, codes.shape)
            yield _Series(-w * start / _EIGHTHS, w, n_terms, cut, times, rows)

    def _add_series(self, params: Floats, series: _Series, wanted: _Wanted, puts: Floats) -> None:
        """Add series to the puts and their derivatives (t, n, layers, s), a part at a time."""
        for first in range(0, series.n_terms, _MOST_TERMS):
            k = np.arange(first, min(first + _MOST_TERMS, series.n_terms), dtype=np.float64)
            tables = {
                t: _payoff(k, self._x[t], series, wanted.order)
                for t in np.unique(series.times).tolist()
            }
            at = (series.times, series.rows)
            puts[at] += self._sums(params, *at, k * (np.pi / series.width), tables, wanted)

    def _add_octaves(
        self, params: Floats, plan: _Plan, wanted: _Wanted, puts: Floats, log_tolerance: float
    ) -> None:
        """Add what filtered series leave out to those puts (t, n, layers, s) that feel it."""
        first, last = plan.octaves.first, plan.octaves.last
        present = plan.filtered & (plan.size >= 0)
        for j in range(first[present].min(initial=len(CUTS)), last[present].max(initial=0)):
            u = nodes(j, log_tolerance)
            asked = present & (first <= j) & (j < last)
            reached = within_reach(plan.octaves, j, self._x, log_tolerance)
            at_end = plan.octaves.ends & (last == j + 1)
            for ends in (False, True):
                times, rows = np.nonzero(asked & (at_end == ends))
                tables = {
                    t: payoff(j, self._x[t], ends, log_tolerance, wanted.order)
                    for t in np.unique(times).tolist()
                }
                sums = self._sums(params, times, rows, u, tables, wanted)
                puts[times, rows] += np.where(reached[times, rows, None], sums, 0.0)

    def _sums(
        self,
        params: Floats,
        times: Ints,
        rows: Ints,
        u: Floats,
        tables: dict[int, Floats],
        wanted: _Wanted,
    ) -> Floats:
        """Sums of phi times a table for each maturity; `times` are in ascending order."""
        layers = wanted.layers
        sums = np.empty((len(rows), layers, self._x.shape[1]))
        n_items = max(_TERMS_AT_ONCE // (len(u) * layers), 1)
        for start in range(0, len(rows), n_items):
            stop = min(start + n_items, len(rows))
            terms = self._terms(params[rows[start:stop]], times[start:stop], u, wanted)
            terms = terms.view(np.float64)
            own, starts = np.unique(times[start:stop], return_index=True)
            for t, a, b in zip(own.tolist(), starts, [*starts[1:], stop - start], strict=True):
                products = terms[a:b].reshape(-1, terms.shape[-1]) @ tables[t]
                sums[start + a : start + b] = products.reshape(b - a, layers, -1)
        return sums

    def _terms(self, params: Floats, times: Ints, u: Floats, wanted: _Wanted) -> Complex:
        """Characteristic functions and their derivatives (n, layers, m) at frequencies (m,)."""
        kernel = wanted.model.kernel(u + 0j, params, gradient=wanted.layers > 1)
        log_phi, slopes = kernel(self._times[times][None, :, None])
        terms = np.empty((len(params), wanted.layers, len(u)), dtype=np.complex128)
        np.exp(log_phi[0], out=terms[:, 0])
        for layer, slope in enumerate(slopes, start=1):
            slope = np.broadcast_to(slope, log_phi.shape)[0]
            np.multiply(terms[:, 0], slope, out=terms[:, layer])
        return terms

    # -- errors, as fractions of the larger of forward and strike ----------------------

    def _range_errors(self, moments: Moments, plan: _Plan) -> Floats:
        """Bounds (t, n, s) on what lies beyond the range, or on options that get no series."""
        x = self._x[:, None, :]
        low, high = plan.low[..., None], plan.high[..., None]
        beyond = 2 * high - x
        left = np.exp(log_bound(moments.down, ORDERS, -low))
        right = np.exp(np.minimum(log_bound(moments.up, 1 + ORDERS, beyond), -beyond))
        call = np.exp(log_bound(moments.up, ORDERS, x))
        put = np.exp(log_bound(moments.down, ORDERS, -x))
        errors = np.where((plan.size < 0)[..., None], put, np.minimum(left + right, 1.0))
        return np.where(x >= plan.worthless[..., None], call, errors)

    def _series_errors(self, params: Floats, plan: _Plan) -> Floats:
        """Bounds (t, n, s) on the terms left out, and on what the filter does to the others."""
        errors = np.zeros((*plan.size.shape, self._x.shape[1]))
        sizes = _SIZES[np.clip(plan.size, 0, len(_SIZES) - 1)]
        ends = np.pi / _WIDTHS[plan.width] * (sizes if self.n_terms is None else self.n_terms)
        cuts, left = log_left(plan.octaves, self._x, self._log_tolerance)
        beyond = -EASE * reach(self._log_tolerance)
        first = CUTS[np.minimum(plan.octaves.first, len(CUTS) - 1)]
        kernel = self.model_.kernel(FINE_PROBES + 0j, params)
        for t in range(len(self._times)):
            log_phi = kernel(self._times[t].reshape(1, 1, 1))[0][0]
            tails = _log_tails(log_phi, FINE_PROBES)
            eases = np.where(_ripple(log_phi) < _SMOOTH, 1.0, 0.0)[:, None]
            own = np.stack([log_tail_at(tails, FINE_PROBES, cut) for cut in cuts[t].T], axis=-1)
            others = log_tail_at(tails, FINE_PROBES, first[t] / 2)[:, None]
            filtered = np.exp(own + eases * left[t]) + np.exp(others + eases * beyond)
            plain = np.exp(log_tail_at(tails, FINE_PROBES, ends[t]))[:, None]
            errors[t] = np.where(plan.filtered[t, :, None], filtered, plain)
        errors = np.maximum(errors, self._next_terms(params, plan)[..., None])
        errors += self._effect_of_cut(params, plan)
        return np.where((plan.size < 0)[..., None], 0.0, errors)

    def _effect_of_cut(self, params: Floats, plan: _Plan) -> Floats:
        """What a filtered series (t, n, s) changes by if it is cut later, with other nodes.

        It changes by nothing, but for laws with more singularities than are known.
        """
        own = plan._replace(size=np.where(plan.filtered, plan.size, -1))
        if np.all(own.size < 0):
            return np.zeros((*plan.size.shape, self._x.shape[1]))
        first = np.minimum(plan.octaves.first + 1, len(CUTS) - 1)
        octaves = plan.octaves._replace(first=first, last=np.maximum(plan.octaves.last, first))
        later = own._replace(size=np.where(own.size >= 0, first, -1), octaves=octaves)
        change = self._puts(params, own, _Wanted(self.model_, 1), self._log_tolerance)
        change -= self._puts(
            params, later, _Wanted(self.model_, 1), _OTHER_NODES * self._log_tolerance
        )
        return np.abs(change[:, :, 0]) / np.maximum(1, np.exp(self._x[:, None]))

    def _next_terms(self, params: Floats, plan: _Plan) -> Floats:
        """Sizes (t, n) of the terms next to the last: peaks that are too narrow for probes."""
        sizes = np.zeros(plan.size.shape)
        for series in self._series(plan):
            n = series.n_terms
            k = np.arange(n, min((1 + _FACTOR) * n, n + 4 * _MOST_TERMS), dtype=np.float64)
            u = k * (np.pi / series.width)
            weight = 4 / series.width / (1 + u * u)
            n_items = max(_TERMS_AT_ONCE // len(u), 1)
            for start in range(0, len(series.rows), n_items):
                part = slice(start, start + n_items)
                at = (series.times[part], series.rows[part])
                if series.cut is None:
                    terms = self._terms(params[at[1]], at[0], u, _Wanted(self.model_, 1))[:, 0]
                    sizes[at] = np.abs(terms) @ weight
        return sizes


def _ripple(log_phi: Complex) -> Floats:
    """How much log |phi| (n, m) comes back to: it does where the law has several singularities."""
    log_size = log_phi.real
    envelope = np.maximum.accumulate(log_size[:, ::-1], axis=-1)[:, ::-1]
    return np.fmax.reduce(envelope - log_size, axis=-1)


def _from_menu(low: Floats, high: Floats) -> tuple[Ints, Ints]:
    """Indices of the least width and of the start that cover [low, high], around 0."""
    width = np.searchsorted(_WIDTHS, np.minimum(high - low, _WIDTHS[-2]))
    for _ in range(2):
        w = _WIDTHS[width]
        start = np.ceil(-low / w * _EIGHTHS)
        fits = w * (1 - start / _EIGHTHS) >= high
        width = np.where(fits, width, np.minimum(width + 1, len(_WIDTHS) - 1))
    w = _WIDTHS[width]
    start = np.clip(np.ceil(-low / w * _EIGHTHS), 1, _EIGHTHS - 1)
    return width, start.astype(np.intp)


def _log_tails(log_phi: Complex, u: Floats) -> Floats:
    """Bounds on the terms of a series of an option from every frequency on, as logarithms."""
    tail = 0.5 * np.pi - np.arctan(u) + 0.5 * np.log1p(u**-2)
    return log_tails(np.minimum(log_phi.real, 0.0), (4 / np.pi) * tail)


def _payoff(k: Floats, x: Floats, series: _Series, order: int) -> Floats:
    """Coefficients of puts (2 * n_terms, n_strikes), for real and imaginary parts in turn.

    Of order 1 they are their derivatives by k = -x, of order 2 the sum of these and the second.
    """
    unit = np.pi / series.width
    u = k * unit
    theta = np.clip(x - series.low, 0.0, series.width)
    rotation = _rotations(k, unit * theta)
    sine = rotation.imag / np.where(u > 0, u, 1.0)[:, None]
    sine[u == 0] = theta
    strike = np.exp(series.low + theta)
    payoff = (
        (np.exp(series.low) - strike * (rotation.real - sine)) / (1 + u * u)[:, None],
        -strike * sine,
        strike * rotation.real,
    )[order]
    weight = np.where(u > 0, 2.0, 1.0) / series.width
    if series.cut is not None:
        weight *= low_pass(u, series.cut)
    angle = u * series.low
    parts = np.stack([weight * np.cos(angle), weight * np.sin(angle)], axis=1)
    return (parts[:, :, None] * payoff[:, None, :]).reshape(2 * len(k), -1)


def _rotations(k: Floats, angle: Floats) -> Complex:
    """Return exp(i k angle) for consecutive k, with few exponentials."""
    n_fine = int(np.sqrt(len(k))) + 1
    fine = np.exp(1j * np.arange(n_fine)[:, None] * angle)
    coarse = np.exp(1j * k[::n_fine, None] * angle)
    return (coarse[:, None] * fine).reshape(-1, len(angle))[: len(k)]
