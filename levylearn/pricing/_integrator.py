r"""Normalised call prices of a batch of parameter sets, by the contour integral.

With :math:`k = \log(F/K)` and the characteristic function :math:`\varphi`,

.. math::
    \frac{C}{DF} = 1 - \frac{e^{-k/2}}{\pi} \int_0^\infty
    \mathrm{Re}\,\frac{e^{iuk}\varphi(u - i/2)}{u^2 + 1/4}\,du .

Each parameter set gets one line for all its quotes or, where that needs fewer nodes, one for
the strikes on either side of the point where the integrand stands still: bending a line
towards the side where :math:`e^{iuk}\varphi` decays kills its oscillation. Sets on the same
line are summed together, as one matrix product with a fixed table of weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel
from levylearn.pricing._lines import (
    ANGLES,
    FAN,
    LOG_TOLERANCE,
    PROBES,
    SIZES,
    STEPS,
    Choice,
    Complex,
    Floats,
    Profile,
    choose,
    last_true,
    line,
    nodes,
    profile,
)

Bools = NDArray[np.bool_]

# Logarithms of sizes above this are cut off before exp. A term so large is multiplied
# by one as small (or belongs to strikes on the other side, which are discarded).
_OVERFLOW = 600.0
# Rounding error of a sum, as a fraction of the sum of its terms' absolute values.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)
_TERMS_AT_ONCE = 2**16
# Maturities within this factor share a line.
_BAND = 8.0

_REAL_AXIS, _REAL_WEIGHT = line(PROBES, 0.0)
_LOG_REAL_WEIGHT = np.log(np.abs(_REAL_WEIGHT))
_FAN, _FAN_WEIGHT = line(PROBES, FAN[:, None])
_LOG_FAN_WEIGHT = np.log(np.abs(_FAN_WEIGHT))
_UPWARD = FAN > 0
_AXIS = len(FAN) // 2
_BENT = np.delete(np.arange(len(FAN)), _AXIS)
# Numbers of probes of bent lines, and how many more they get than the real axis needs.
_CUTS = np.array([14, 17, 20, 24, len(PROBES)])
_BEYOND = 4


class _Item(NamedTuple):
    """Parameter sets on one line, in one band of maturities, on one side of the strikes."""

    band: slice
    rows: NDArray[np.intp]
    line: list[int]
    side: Bools  # (n_maturities, n, n_strikes), of the whole batch


class Plan(NamedTuple):
    """Which lines to integrate along, and the strikes to be summed one by one."""

    items: list[_Item]
    near: Bools


class ContourIntegrator:
    """Normalised call prices C / (D F) on the contracts of a grid.

    Parameters
    ----------
    grid : OptionGrid
        The contracts.
    """

    def __init__(self, grid: OptionGrid) -> None:
        slices = grid.slices
        width = max(len(quotes) for _, quotes in slices)
        # Slices with fewer strikes are filled up with copies of their first.
        padded = np.array([np.resize(q, width) for _, q in slices])
        self.maturities = np.array([maturity for maturity, _ in slices])
        self.k = -grid.log_moneyness[padded]
        self.slots = np.empty(grid.n_quotes, dtype=np.intp)
        self.slots[padded.ravel()] = np.arange(padded.size)
        self.bands = _bands(self.maturities)
        starts = np.array([band.start for band in self.bands])
        self._ends = np.append(starts, [band.stop - 1 for band in self.bands])
        self._band_of = np.repeat(np.arange(len(starts)), [b.stop - b.start for b in self.bands])
        first, last = self.maturities[self._ends].reshape(2, -1)[:, self._band_of]
        self._share = (self.maturities - first) / np.where(last > first, last - first, 1.0)
        # Which maturities are as far from the last as that is from the one before.
        gaps = np.diff(self.maturities)
        self._even = np.zeros(len(self.maturities), dtype=bool)
        self._even[2:] = np.abs(gaps[1:] - gaps[:-1]) <= 1e-13 * gaps[1:]
        self._tables: dict[tuple[int, int, int, int], tuple[Complex, Floats]] = {}

    def plan(self, model: CharacteristicModel, params: Floats) -> Plan:
        """Choose the lines for a batch of parameter sets."""
        log_phi = self._on_real_axis(model, params)
        split, margin, reach = self._standstill(log_phi)
        distance = self.k[:, None, :] - split[..., None]
        near = np.abs(distance) < margin[..., None]
        right = (distance >= 0) & ~near
        left = (distance < 0) & ~near
        sizes = self._on_fan(model, params, log_phi, reach)
        choice = choose(self._profiles(sizes, split, distance, right, left))
        whole = choice.cost[0] <= choice.cost[1] + choice.cost[2]
        taken = np.stack([whole, ~whole, ~whole]) & (choice.cost > 0)
        masks = (~near, right, left)
        items = [
            _Item(self.bands[band], part, key, masks[side])
            for (side, band, *key), rows in _groups(choice, taken)
            for part in self._parts(rows, self.bands[band], SIZES[key[2]])
        ]
        return Plan(items, near)

    def _on_real_axis(self, model: CharacteristicModel, params: Floats) -> Complex:
        """Logarithm of phi on the probes of the real axis, at the ends of all bands."""
        with np.errstate(all="ignore"):
            kernel = model.kernel(_REAL_AXIS - 0.5j, params)
            return kernel(self.maturities[self._ends].reshape(-1, 1, 1))[0]

    def _standstill(self, log_phi: Complex) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Where in k the oscillation of the integrand's tail stands still.

        The point is read off the real axis, where the integrand becomes negligible, at the
        two ends of every band; between them it is nearly linear in maturity (and exactly so
        for Lévy processes). Also returns the distance from it within which strikes must be
        summed in logarithms, the integrand being still alive where exp(iuk) alone would
        overflow; both are of shape (n_maturities, n). And for every parameter set the
        number of probes up to where its integrand is negligible.
        """
        u = _REAL_AXIS.real
        log_size = log_phi.real + _LOG_REAL_WEIGHT
        last = np.maximum(last_true(log_size > LOG_TOLERANCE), 1)
        # One point for a band, so that the strikes of its maturities can be compared.
        n_bands = len(self.bands)
        last = np.tile(np.maximum(last[:n_bands], last[n_bands:]), (2, 1))
        row = np.indices(last.shape, sparse=True)
        split = -log_phi.imag[*row, last] / u[last]
        split[~np.isfinite(split)] = 0.0
        overflow = _OVERFLOW / np.maximum(np.abs(split), 1e-300)
        before = np.maximum(np.searchsorted(u, overflow) - 1, 0)
        left_to_decay = log_size[*row, before] - LOG_TOLERANCE
        margin = np.where(last > before, left_to_decay / overflow, 0.0)
        share = self._share[:, None]
        first, final = split[self._band_of], split[self._band_of + n_bands]
        margin = np.maximum(margin[self._band_of], margin[self._band_of + n_bands])
        return first + share * (final - first), margin, last.max(axis=0) + 1

    def _on_fan(
        self,
        model: CharacteristicModel,
        params: Floats,
        log_phi: Complex,
        reach: NDArray[np.intp],
    ) -> Floats:
        """Logarithm of |phi / (u^2 + 1/4)| on the fan, at the ends of all bands.

        Bent lines are probed a little farther than the real axis is alive; one that is
        still alive there is not to be used.
        """
        sizes = np.full((*log_phi.shape[:2], *_FAN.shape), -np.inf)
        sizes[:, :, _AXIS] = log_phi.real + _LOG_REAL_WEIGHT
        n_probes = _CUTS[np.minimum(np.searchsorted(_CUTS, reach + _BEYOND), len(_CUTS) - 1)]
        for cut in np.unique(n_probes):
            rows = np.flatnonzero(n_probes == cut)
            part = _log_sizes(model, params[rows], self.maturities[self._ends], _BENT, cut)
            if cut < len(PROBES):
                part[part[..., -1] > LOG_TOLERANCE] = np.inf
            sizes[:, rows[:, None], _BENT, :cut] = part
        sizes[np.isnan(sizes)] = np.inf
        return sizes

    def _parts(self, rows: NDArray[np.intp], band: slice, n_nodes: int) -> list[NDArray[np.intp]]:
        """Split rows so that the arrays of one part stay in the processor's cache."""
        n_terms = len(rows) * (band.stop - band.start) * n_nodes
        n_parts = min(len(rows), 1 + n_terms // _TERMS_AT_ONCE)
        return [rows] if n_parts == 1 else np.array_split(rows, n_parts)

    def _profiles(
        self, sizes: Floats, split: Floats, distance: Floats, right: Bools, left: Bools
    ) -> Profile:
        """Profiles (3, n_bands, n, n_fan): all strikes, those to the right, to the left.

        A line bent upwards is worst for the least k of its side, one bent downwards
        for the greatest. Each band is looked at from its two ends.
        """
        starts = self._ends[: len(self.bands)]
        ends = self._ends.reshape(2, -1)
        sizes = sizes.reshape(2, len(starts), *sizes.shape[1:])
        profiles, absent = [], []
        for side in (right, left):
            low = np.minimum.reduceat(np.where(side, distance, np.inf).min(axis=2), starts)
            high = np.maximum.reduceat(np.where(side, distance, -np.inf).max(axis=2), starts)
            nothing = (low > high)[..., None]
            low, high = (np.where(nothing, 0.0, d[..., None]) for d in (low, high))
            middle = split[ends][..., None]
            shift = np.where(_UPWARD, low, high)
            both_ends = profile(_tilted(sizes, middle + shift, middle + low))
            log_size = np.where(nothing, -np.inf, both_ends.log_size.max(axis=0))
            length = np.where(nothing, 0.0, both_ends.length.max(axis=0))
            profiles.append(Profile(log_size, length))
            absent.append(nothing)
        no_right, no_left = absent
        leftmost = np.where(_UPWARD, ~no_left, no_right)
        both = (np.where(leftmost, b, a) for a, b in zip(*profiles, strict=True))
        return Profile(*(np.stack(parts) for parts in zip(both, *profiles, strict=True)))

    def integrate(
        self,
        model: CharacteristicModel,
        params: Floats,
        plan: Plan,
        gradient: bool = False,
    ) -> tuple[Floats, Floats | None]:
        """Normalised calls (n, n_quotes) and their derivatives (n, n_params, n_quotes)."""
        n = len(params)
        layers = 1 + gradient * model.n_params
        # Where the integrand is negligible everywhere, no line is laid: the integral is 0.
        out = np.zeros((layers, len(self.k), n, self.k.shape[1]))
        for item in plan.items:
            phi, slopes, table = self._evaluate(model, params, item, gradient)
            mask = item.side[item.band][:, item.rows]
            for layer, factor in enumerate([None, *slopes]):
                with np.errstate(all="ignore"):  # strikes of the other side may overflow
                    integrand = phi if factor is None else phi * factor
                    value = integrand.view(np.float64) @ table
                _fill(out[layer, item.band], item.rows, mask, value)
        for t, rows, strikes in _near_strikes(plan):
            out[:, t, rows, strikes] = _pointwise(
                model, params[rows], self.maturities[t], self.k[t, strikes], gradient
            )
        flat = out.transpose(2, 0, 1, 3).reshape(n, layers, -1)[..., self.slots]
        return 1 - flat[:, 0], -flat[:, 1:] if gradient else None

    def error_estimate(self, model: CharacteristicModel, params: Floats, plan: Plan) -> Floats:
        """Estimated absolute error of normalised calls, of shape (n, n_quotes)."""
        n = len(params)
        out = np.full((len(self.k), n, self.k.shape[1]), np.exp(LOG_TOLERANCE))
        for item in plan.items:
            phi, _, table = self._evaluate(model, params, item, gradient=False)
            mask = item.side[item.band][:, item.rows]
            with np.errstate(all="ignore"):
                levels = _errors(phi, table, STEPS[item.line[1]])
                # Each can be small by accident at one strike, but not at all of them.
                worst = _extrapolated(
                    *(np.where(mask, level, 0.0).max(axis=-1, keepdims=True) for level in levels)
                )
            _fill(out[item.band], item.rows, mask, worst)
        for t, rows, strikes in _near_strikes(plan):
            out[t, rows, strikes] = _pointwise_errors(
                model, params[rows], self.maturities[t], self.k[t, strikes]
            )
        return out.transpose(1, 0, 2).reshape(n, -1)[:, self.slots]

    def _evaluate(
        self, model: CharacteristicModel, params: Floats, item: _Item, gradient: bool
    ) -> tuple[Complex, list[Complex], Floats]:
        u, table = self._table(item.band, item.line)
        times = self.maturities[item.band, None, None]
        with np.errstate(all="ignore"):
            log_phi, slopes = model.kernel(u - 0.5j, params[item.rows], gradient)(times)
            if model.has_stationary_increments:
                return _powers(log_phi, self._even[item.band]), slopes, table
            return np.exp(_clipped(log_phi)), slopes, table

    def _table(self, band: slice, key: list[int]) -> tuple[Complex, Floats]:
        """Nodes u, and weights exp(iuk - k/2) du / (u^2 + 1/4) as real matrices.

        Real and imaginary parts alternate along the nodes, as they do in the memory of
        a complex array, so that the real part of a complex sum is one real product.
        """
        if (band.start, *key) not in self._tables:
            u, weight = nodes(*key)
            k = self.k[band, None, :]
            exponent = (1j * u)[:, None] * k - 0.5 * k
            terms = weight[:, None] * np.exp(_clipped(exponent))
            pairs = np.stack([terms.real, -terms.imag], axis=2)
            self._tables[band.start, *key] = u, pairs.reshape(len(k), 2 * len(u), -1)
        return self._tables[band.start, *key]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_tables": {}}


def _fill(target: Floats, rows: NDArray[np.intp], mask: Bools, values: Floats) -> None:
    """Put values (t, rows, strikes) where the mask says so."""
    target[:, rows] = np.where(mask, values, target[:, rows])


def _powers(log_phi: Complex, even: Bools) -> Complex:
    """Return exp(T psi) at all maturities; equally spaced ones are a geometric progression."""
    even = even & (np.arange(len(even)) > 1)
    if not even.any() or log_phi[-1].real.max(initial=0.0) > _OVERFLOW:
        return np.exp(_clipped(log_phi))
    phi = np.empty_like(log_phi)
    for t, follows in enumerate(even):
        if not follows:
            np.exp(log_phi[t], out=phi[t])
            continue
        if not even[t - 1]:
            ratio = np.exp(log_phi[t] - log_phi[t - 1])
        np.multiply(phi[t - 1], ratio, out=phi[t])
    return phi


def _clipped(exponent: Complex) -> Complex:
    """Cut the real part off, in place, where exp would overflow."""
    np.minimum(exponent.real, _OVERFLOW, out=exponent.real)
    return exponent


def _bands(maturities: Floats) -> list[slice]:
    """Consecutive maturities of similar size, which can share a line."""
    starts = [0]
    for t, maturity in enumerate(maturities):
        if maturity > _BAND * maturities[starts[-1]]:
            starts.append(t)
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(maturities)], strict=True)]


def _log_sizes(
    model: CharacteristicModel,
    params: Floats,
    maturities: Floats,
    lines: NDArray[np.intp],
    n_probes: int,
) -> Floats:
    """Logarithm of |phi / (u^2 + 1/4)| on lines of the fan: (t, n, n_lines, n_probes)."""
    u = _FAN[lines, :n_probes]
    with np.errstate(all="ignore"):
        log_phi, _ = model.kernel(u.ravel() - 0.5j, params)(maturities[:, None, None])
    sizes = log_phi.real.reshape(len(maturities), len(params), *u.shape)
    return sizes + _LOG_FAN_WEIGHT[lines, :n_probes]


def _tilted(sizes: Floats, k: Floats, least: Floats) -> Floats:
    """Sizes with the factors exp(iuk), for k of shape (..., n_fan), and exp(-k/2) at its least."""
    return sizes - _FAN.imag * k[..., None] - 0.5 * least[..., None]


def _groups(choice: Choice, taken: Bools) -> Iterator[tuple[list[int], NDArray[np.intp]]]:
    """Rows (last axis) that chose the same line: the leading indices and the line, the rows."""
    where = np.nonzero(taken)
    labels = [*where[:-1], *(values[where] for values in choice[:3])]
    sizes = [*taken.shape[:-1], len(ANGLES), len(STEPS), len(SIZES)]
    keys = np.ravel_multi_index(labels, sizes)
    order = np.argsort(keys, kind="stable")
    cuts = np.flatnonzero(np.diff(keys[order])) + 1
    starts = [0, *cuts.tolist(), len(order)] if len(order) else []
    for start, stop in pairwise(starts):
        member = order[start:stop]
        yield [int(label[member[0]]) for label in labels], where[-1][member]


def _near_strikes(plan: Plan) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """Maturity by maturity, the sets and strikes that are to be summed in logarithms."""
    for t in np.flatnonzero(plan.near.any(axis=(1, 2))):
        rows, strikes = np.nonzero(plan.near[t])
        yield int(t), rows, strikes


def _pointwise_terms(
    model: CharacteristicModel,
    params: Floats,
    maturity: float,
    k: Floats,
    gradient: bool = False,
) -> Iterator[tuple[NDArray[np.intp], float, Complex, list[Complex]]]:
    """Terms of the sums for one strike k per parameter set, on a line of its own each.

    Yields rows that share a line, its step, their terms and the derivatives of log phi.
    """
    time = np.full((1, 1, 1), maturity)
    sizes = _log_sizes(model, params, time.ravel(), np.arange(len(FAN)), len(PROBES))[0]
    sizes[np.isnan(sizes)] = np.inf
    choice = choose(profile(_tilted(sizes, k[:, None], k[:, None])))
    for angle in np.unique(choice.angle):
        rows = np.flatnonzero(choice.angle == angle)
        step = choice.step[rows].max()
        length = (SIZES[choice.size[rows]] * STEPS[choice.step[rows]]).max()
        size = min(int(np.searchsorted(SIZES, length / STEPS[step])), len(SIZES) - 1)
        u, weight = nodes(int(angle), int(step), size)
        with np.errstate(all="ignore"):
            log_phi, slopes = model.kernel(u - 0.5j, params[rows], gradient)(time)
            terms = weight * np.exp(log_phi[0] + k[rows, None] * (1j * u - 0.5))
        yield rows, float(STEPS[step]), terms, slopes


def _pointwise(
    model: CharacteristicModel, params: Floats, maturity: float, k: Floats, gradient: bool
) -> Floats:
    """Integrals and their derivatives (layers, n) for one strike k per parameter set."""
    out = np.empty((1 + gradient * model.n_params, len(k)))
    for rows, _, terms, slopes in _pointwise_terms(model, params, maturity, k, gradient):
        out[0, rows] = terms.sum(axis=-1).real
        for layer, slope in enumerate(slopes, start=1):
            out[layer, rows] = (terms * slope).sum(axis=-1).real
    return out


def _pointwise_errors(
    model: CharacteristicModel, params: Floats, maturity: float, k: Floats
) -> Floats:
    """Estimated errors (n,) of the integrals of `_pointwise`."""
    out = np.empty(len(k))
    for rows, step, terms, _ in _pointwise_terms(model, params, maturity, k):
        sums = [every * terms[:, ::every].sum(axis=-1).real for every in (1, 2, 4)]
        size = np.abs(terms)
        levels = _error(sums, size.sum(axis=-1), size[:, -1] / step)
        out[rows] = _extrapolated(*levels)
    return out


def _errors(phi: Complex, table: Floats, step: float) -> tuple[Floats, Floats, Floats]:
    """What `_error` returns, for the sums over nodes of phi with a table of weights."""
    pairs = table.reshape(len(table), -1, 2, table.shape[-1])
    sums = [
        every
        * np.ascontiguousarray(phi[..., ::every]).view(np.float64)
        @ pairs[:, ::every].reshape(len(table), -1, table.shape[-1])
        for every in (1, 2, 4)
    ]
    size, weight = np.abs(phi), np.hypot(pairs[:, :, 0], pairs[:, :, 1])
    tail = size[..., -1:] * weight[:, None, -1] / step
    return _error(sums, size @ weight, tail)


def _error(sums: list[Floats], size: Floats, tail: Floats) -> tuple[Floats, Floats, Floats]:
    """Errors of the trapezoid sums with steps 2h and 4h; cut-off and rounding of that with h."""
    full, half, quarter = sums
    return np.abs(full - half), np.abs(half - quarter), tail + _ROUNDING * (1.0 + size)


def _extrapolated(coarse: Floats, coarser: Floats, rest: Floats) -> Floats:
    """Error of the sum with step h, from those of the coarser sums.

    For analytic integrands the error at step h is exp(-c/h): its decrease is continued. The
    factor covers what oscillates about that law.
    """
    decrease = np.minimum(coarse / np.maximum(coarser, 1e-300), 1.0)
    return 10 * coarse * decrease**2 + rest
