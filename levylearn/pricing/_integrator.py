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
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel
from levylearn.pricing._lines import (
    ANGLES,
    LOG_TOLERANCE,
    PROBES,
    Choice,
    Complex,
    Floats,
    last_true,
    choose,
    line,
    nodes,
)

Bools = NDArray[np.bool_]

# Logarithms of sizes above this are cut off before exp. A term so large is multiplied
# by one as small (or belongs to strikes on the other side, which are discarded).
_OVERFLOW = 600.0
# Strikes closer to the standstill point than this fraction of its distance from zero
# would need such terms: they are summed one by one, in logarithms.
_NEAR = 1 / 16
# Maturities within this factor share a line.
_BAND = 4.0

_REAL_AXIS, _REAL_WEIGHT = line(PROBES, 0.0)
_LOG_REAL_WEIGHT = np.log(np.abs(_REAL_WEIGHT))
_FAN, _FAN_WEIGHT = line(PROBES, ANGLES[:, None])
_LOG_FAN_WEIGHT = np.log(np.abs(_FAN_WEIGHT))


class _Item(NamedTuple):
    """Parameter sets on one line, in one band of maturities, on one side of the strikes."""

    band: slice
    rows: NDArray[np.intp]
    line: tuple[int, int, int]
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
        self._tables: dict[tuple[int, int, int, int], tuple[Complex, Floats]] = {}

    def plan(self, model: CharacteristicModel, params: Floats) -> Plan:
        """Choose the lines for a batch of parameter sets."""
        split, reach = self._standstill(model, params)
        distance = self.k[:, None, :] - split[..., None]
        near = np.abs(distance) < _NEAR * np.abs(split[..., None])
        near &= (reach * np.abs(split) > _OVERFLOW)[..., None]
        right = (distance >= 0) & ~near
        sides = (~near, right, ~(right | near))

        ends = np.array([end for band in self.bands for end in (band.start, band.stop - 1)])
        sizes = _log_sizes(model, params, self.maturities[ends])
        items: list[_Item] = []
        for b, band in enumerate(self.bands):
            pair = slice(2 * b, 2 * b + 2)
            choices = [
                choose(_worst(sizes[pair], split[ends[pair]], distance[band], side[band]))
                for side in sides
            ]
            whole = choices[0].cost <= choices[1].cost + choices[2].cost
            for choice, side, rows in zip(choices, sides, (whole, ~whole, ~whole), strict=True):
                rows = np.flatnonzero(rows & (choice.cost > 0))
                items += [_Item(band, group, key, side) for group, key in _groups(choice, rows)]
        return Plan(items, near)

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
        out = np.full((layers, len(self.k), n, self.k.shape[1]), np.nan)
        for item in plan.items:
            phi, slopes, table = self._evaluate(model, params, item, gradient)
            mask = item.side[item.band][:, item.rows]
            for layer, factor in enumerate([None, *slopes]):
                integrand = phi if factor is None else phi * factor
                target = out[layer, item.band]
                value = integrand.view(np.float64) @ table
                target[:, item.rows] = np.where(mask, value, target[:, item.rows])
        for t in np.flatnonzero(plan.near.any(axis=(1, 2))):
            rows, strikes = np.nonzero(plan.near[t])
            out[:, t, rows, strikes] = _pointwise(
                model, params[rows], self.maturities[t], self.k[t, strikes], gradient
            )
        flat = out.transpose(2, 0, 1, 3).reshape(n, layers, -1)[..., self.slots]
        return 1 - flat[:, 0], -flat[:, 1:] if gradient else None

    def error_estimate(self, model: CharacteristicModel, params: Floats, plan: Plan) -> Floats:
        """Estimated absolute error of normalised calls, of shape (n, n_quotes)."""
        n = len(params)
        out = np.full((len(self.k), n, self.k.shape[1]), np.finfo(float).eps)
        for item in plan.items:
            phi, _, table = self._evaluate(model, params, item, gradient=False)
            mask = item.side[item.band][:, item.rows]
            target = out[item.band]
            estimate = _estimate(phi, table, mask)
            target[:, item.rows] = np.where(mask, estimate, target[:, item.rows])
        for t in np.flatnonzero(plan.near.any(axis=(1, 2))):
            rows, strikes = np.nonzero(plan.near[t])
            out[t, rows, strikes] = _pointwise(
                model, params[rows], self.maturities[t], self.k[t, strikes], estimate=True
            )
        return out.transpose(1, 0, 2).reshape(n, -1)[:, self.slots]

    def _standstill(self, model: CharacteristicModel, params: Floats) -> tuple[Floats, Floats]:
        """Where in k the oscillation of the integrand's tail stands still, and its reach.

        Both are read off the real axis, at the last point where the integrand is not
        yet negligible; both are of shape (n_maturities, n).
        """
        with np.errstate(all="ignore"):
            log_phi, _ = model.kernel(_REAL_AXIS - 0.5j, params)(self.maturities[:, None, None])
            last = last_true(log_phi.real + _LOG_REAL_WEIGHT > LOG_TOLERANCE)
        last = np.maximum(last, 1)
        phase = np.take_along_axis(log_phi.imag, last[..., None], axis=-1)[..., 0]
        reach = _REAL_AXIS.real[last]
        return np.nan_to_num(-phase / reach, posinf=0.0, neginf=0.0), reach

    def _evaluate(
        self, model: CharacteristicModel, params: Floats, item: _Item, gradient: bool
    ) -> tuple[Complex, list[Complex], Floats]:
        u, table = self._table(item.band, item.line)
        times = self.maturities[item.band, None, None]
        with np.errstate(all="ignore"):
            log_phi, slopes = model.kernel(u - 0.5j, params[item.rows], gradient)(times)
            np.minimum(log_phi.real, _OVERFLOW, out=log_phi.real)
            return np.exp(log_phi), slopes, table

    def _table(self, band: slice, key: tuple[int, int, int]) -> tuple[Complex, Floats]:
        """Nodes u, and weights exp(iuk - k/2) du / (u^2 + 1/4) as real matrices.

        Real and imaginary parts alternate along the nodes, as they do in the memory of
        a complex array, so that the real part of a complex sum is one real product.
        """
        if (band.start, *key) not in self._tables:
            u, weight = nodes(*key)
            k = self.k[band, None, :]
            with np.errstate(all="ignore"):
                terms = weight[:, None] * np.exp((1j * u)[:, None] * k - 0.5 * k)
            pairs = np.stack([terms.real, -terms.imag], axis=2)
            self._tables[band.start, *key] = u, pairs.reshape(len(k), 2 * len(u), -1)
        return self._tables[band.start, *key]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_tables": {}}


def _bands(maturities: Floats) -> list[slice]:
    """Consecutive maturities of similar size, which can share a line."""
    starts = [0]
    for t, maturity in enumerate(maturities):
        if maturity > _BAND * maturities[starts[-1]]:
            starts.append(t)
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(maturities)], strict=True)]


def _log_sizes(model: CharacteristicModel, params: Floats, maturities: Floats) -> Floats:
    """Logarithm of |phi / (u^2 + 1/4)| on the fan, of shape (t, n, n_angles, n_probes)."""
    with np.errstate(all="ignore"):
        kernel = model.kernel(_FAN.ravel() - 0.5j, params)
        log_phi, _ = kernel(maturities[:, None, None])
    sizes = log_phi.real.reshape(len(maturities), len(params), *_FAN.shape) + _LOG_FAN_WEIGHT
    sizes[np.isnan(sizes)] = np.inf
    return sizes


def _worst(sizes: Floats, split: Floats, distance: Floats, side: Bools) -> Floats:
    """Largest integrand over the strikes of one side and the two ends of a band."""
    low = np.where(side, distance, np.inf).min(axis=(0, 2))
    high = np.where(side, distance, -np.inf).max(axis=(0, 2))
    nothing = low > high
    low, high = np.where(nothing, 0.0, low), np.where(nothing, 0.0, high)
    low_k, high_k = (split + low)[..., None, None], (split + high)[..., None, None]
    worst = (sizes - _FAN.imag * np.where(_FAN.imag > 0, low_k, high_k) - low_k / 2).max(axis=0)
    worst[nothing] = -np.inf
    return worst


def _groups(
    choice: Choice, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], tuple[int, int, int]]]:
    """Rows that chose the same line."""
    keys = np.column_stack([choice.angle[rows], choice.step[rows], choice.size[rows]])
    distinct, member = np.unique(keys, axis=0, return_inverse=True)
    for i, (angle, step, size) in enumerate(distinct.tolist()):
        yield rows[member.ravel() == i], (angle, step, size)


def _pointwise(
    model: CharacteristicModel,
    params: Floats,
    maturity: float,
    k: Floats,
    gradient: bool = False,
    estimate: bool = False,
) -> Floats:
    """Integrals (layers, n) for one strike k per parameter set, summed in logarithms."""
    time = np.full((1, 1, 1), maturity)
    sizes = _log_sizes(model, params, time.ravel())[0]
    choice = choose(sizes - _FAN.imag * k[:, None, None] - k[:, None, None] / 2)
    out = np.empty((1 + gradient * model.n_params, len(k)))
    for rows, key in _groups(choice, np.arange(len(k))):
        u, weight = nodes(*key)
        with np.errstate(all="ignore"):
            log_phi, slopes = model.kernel(u - 0.5j, params[rows], gradient)(time)
            terms = weight * np.exp(log_phi[0] + k[rows, None] * (1j * u - 0.5))
        if estimate:
            out[0, rows] = _from_levels(*(s * terms[:, ::s].sum(-1).real for s in (1, 2, 4)))
            continue
        for layer, factor in enumerate([1.0, *slopes]):
            out[layer, rows] = (terms * factor).sum(axis=-1).real
    return out


def _estimate(phi: Complex, table: Floats, mask: Bools) -> Floats:
    """A-posteriori error of the sums of one item: steps h, 2h, 4h, the tail, rounding."""
    full, half, quarter = (
        step * _real_product(phi[..., ::step], table.reshape(*table.shape[:1], -1, 2, table.shape[-1])[:, ::step])
        for step in (1, 2, 4)
    )
    return full
