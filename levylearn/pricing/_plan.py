r"""Which lines to integrate along, for every parameter set.

Each set gets one line for all its strikes or, where that needs fewer nodes, one for those on
either side of the point where the integrand stands still: bending a line towards the side
where :math:`e^{iuk}\varphi` decays kills its oscillation. Strikes too near to that point get
a line of their own. Where no bent line will do, one of evenly spaced nodes on the real axis may.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.models import CharacteristicModel
from levylearn.pricing._even_lines import FARTHEST, choose_even
from levylearn.pricing._even_lines import probes as even_probes
from levylearn.pricing._layout import Layout
from levylearn.pricing._lines import (
    AXIS,
    FAN,
    PROBES,
    Complex,
    Floats,
    Ints,
    Profile,
    choose,
    last_true,
    line,
    profile,
)

Bools = NDArray[np.bool_]
Plan = NDArray[Any]

# Logarithms of sizes above this are cut off before exp. A term so large is multiplied
# by one as small (or belongs to strikes on the other side, which are discarded).
OVERFLOW = 600.0
# All strikes, those to the right of the standstill, those to the left.
WHOLE, RIGHT, LEFT = range(3)

_REAL_AXIS, _REAL_WEIGHT = line(PROBES, 0.0)
_LOG_REAL_WEIGHT = np.log(np.abs(_REAL_WEIGHT))
_FAN, _FAN_WEIGHT = line(PROBES, FAN[:, None])
_LOG_FAN_WEIGHT = np.log(np.abs(_FAN_WEIGHT))
_HEIGHT = _FAN.imag.astype(np.float32)
_UPWARD = FAN > 0
_BENT = np.delete(np.arange(len(FAN)), AXIS)
# Numbers of probes of bent lines, and how many more they get than the real axis needs.
_CUTS = np.array([14, 17, 20, 24, len(PROBES)])
_BEYOND = 4
# From what number of nodes on even lines are looked at, whose planning has its price, and for how
# many sets at once. Lines that are not fully accurate count as dearer than any.
_DEAR, _DEAR_AT_ONCE = 600, 16
# How much farther to look on the real axis than to where it is negligible at a probe.
_BEYOND_END = 1.6


class Planner:
    """Choose the lines for the contracts of a grid.

    A plan is a structured array with one entry for every parameter set: ``split``, where in
    k the integrand stands still, by maturity; ``line``, the code of the line by side and band,
    and ``near``, that of every strike with a line of its own. A negative code is no line.

    Parameters
    ----------
    layout : Layout
        The contracts.
    log_tolerance : float
        Logarithm of the error of a price that is aimed at, as a fraction of the forward.
    """

    def __init__(self, layout: Layout, log_tolerance: float) -> None:
        self.layout = layout
        self.log_tolerance = log_tolerance
        n_bands = len(layout.bands)
        self.dtype = np.dtype(
            [
                ("split", np.float64, layout.maturities.shape),
                ("line", np.int32, (3, n_bands)),
                ("near", np.int32, layout.k.shape),
            ]
        )
        # Every band is looked at from its two ends: between them all is nearly linear.
        self._ends = np.append(layout.starts, layout.starts + layout.counts - 1)
        self._times = layout.maturities[self._ends].reshape(-1, 1, 1)
        self._band = np.repeat(np.arange(n_bands), layout.counts)
        first, last = layout.maturities[self._ends].reshape(2, -1)[:, self._band]
        share = (layout.maturities - first) / np.where(last > first, last - first, 1.0)
        self._share = share[:, None]
        self._low = np.minimum.reduceat(layout.k.min(axis=1), layout.starts)[:, None]
        self._high = np.maximum.reduceat(layout.k.max(axis=1), layout.starts)[:, None]

    @np.errstate(all="ignore")
    def __call__(self, model: CharacteristicModel, params: Floats) -> Plan:
        """Choose the lines for a batch of parameter sets (n, p)."""
        k = self.layout.k[:, None, :]
        log_phi = model.kernel(_REAL_AXIS - 0.5j, params)(self._times)[0]
        split, margin, reach = self._standstill(log_phi)
        distance = k - split[..., None]
        near = np.abs(distance) < margin[..., None]
        sizes = self._on_fan(model, params, log_phi, split[self._ends], reach)
        chosen, cost = choose(self._profiles(sizes, split, distance, near), self.log_tolerance)
        whole = cost[WHOLE] <= cost[RIGHT] + cost[LEFT]
        taken = (cost > 0) & (whole == (np.arange(3) == WHOLE)[:, None, None])

        plan = np.empty(len(params), dtype=self.dtype)
        plan["split"] = split.T
        codes = np.where(taken, chosen.code(), -1)
        cost = np.where(taken, cost, 0.0).sum(axis=0)
        end = _REAL_AXIS.real[np.minimum(reach, len(PROBES) - 1)]
        dear = np.flatnonzero((cost > _DEAR).any(axis=0) & (end < FARTHEST))
        if dear.size:
            self._relieve(model, params, dear, codes, cost, _BEYOND_END * end)
        plan["line"] = codes.transpose(2, 0, 1)
        plan["near"] = -1
        if near.any():
            t, rows, strikes = np.nonzero(near)
            plan["near"][rows, t, strikes] = self._alone(model, params, rows, t, strikes)
        return plan

    def _standstill(self, log_phi: Complex) -> tuple[Floats, Floats, Ints]:
        """Where in k the oscillation of the integrand's tail stands still.

        The point is read off the real axis, beyond where the integrand becomes negligible
        (the tail of one that decays slowly settles late), at the two ends of every band;
        between them it is nearly linear in maturity (and exactly so for Lévy processes). Also
        returns the distance from it within which strikes must be summed in logarithms, the
        integrand being still alive where exp(iuk) alone would overflow; both are of shape
        (n_maturities, n). And for every parameter set the number of probes up to where its
        integrand is negligible.
        """
        u = _REAL_AXIS.real
        log_size = log_phi.real + _LOG_REAL_WEIGHT
        last = self._last_probe(log_size, self.log_tolerance)
        far = self._last_probe(log_size, 2 * self.log_tolerance)
        n_bands = len(self.layout.bands)
        row = np.indices(last.shape, sparse=True)
        split = -log_phi.imag[*row, far] / u[far]
        split[~np.isfinite(split)] = 0.0
        overflow = OVERFLOW / np.maximum(np.abs(split), 1e-300)
        before = np.maximum(np.searchsorted(u, overflow) - 1, 0)
        left_to_decay = log_size[*row, before] - self.log_tolerance
        margin = np.where(last > before, left_to_decay / overflow, 0.0)
        margin = np.maximum(margin[:n_bands], margin[n_bands:])[self._band]
        first, final = split[self._band], split[self._band + n_bands]
        return first + self._share * (final - first), margin, last.max(axis=0) + 1

    def _last_probe(self, log_size: Floats, threshold: float) -> Ints:
        """Last probe at which a size is above a threshold.

        It is common to both ends of a band, so that the strikes of its maturities can be compared.
        """
        last = np.maximum(last_true(log_size > threshold), 1)
        first, final = last.reshape(2, -1, last.shape[1])
        return np.tile(np.maximum(first, final), (2, 1))

    def _on_fan(
        self,
        model: CharacteristicModel,
        params: Floats,
        log_phi: Complex,
        split: Floats,
        reach: Ints,
    ) -> NDArray[np.float32]:
        """Logarithm of |phi / (u^2 + 1/4)| on the fan, at the ends of all bands.

        Bent lines are probed a little farther than the real axis is alive; one on which the
        integrand is still alive there, for a strike at the standstill, is not to be used.
        """
        sizes = np.full((*log_phi.shape[:2], *_FAN.shape), -np.inf, dtype=np.float32)
        sizes[:, :, AXIS] = log_phi.real + _LOG_REAL_WEIGHT
        n_probes = _CUTS[np.minimum(np.searchsorted(_CUTS, reach + _BEYOND), len(_CUTS) - 1)]
        for cut in np.unique(n_probes):
            rows = np.flatnonzero(n_probes == cut)
            part = _log_sizes(model, params[rows], self._times, _BENT, cut)
            if cut < len(PROBES):
                tail = part[..., -1] - _FAN.imag[_BENT, cut - 1] * split[:, rows, None]
                part[tail > self.log_tolerance] = np.inf
            sizes[:, rows[:, None], _BENT, :cut] = part
        sizes[np.isnan(sizes)] = np.inf
        return sizes

    def _profiles(
        self, sizes: NDArray[np.float32], split: Floats, distance: Floats, near: Bools
    ) -> Profile:
        """Profiles (3, n_bands, n, n_fan): all strikes, those to the right, to the left.

        A line bent upwards is worst for the least k of its side, one bent downwards
        for the greatest.
        """
        sides = np.stack(sides_of(distance, near)[1:])
        starts = self.layout.starts
        low = np.minimum.reduceat(np.where(sides, distance, np.inf).min(axis=3), starts, axis=1)
        high = np.maximum.reduceat(np.where(sides, distance, -np.inf).max(axis=3), starts, axis=1)
        nothing = low > high
        low, high = (np.where(nothing, 0.0, d)[:, None, ..., None] for d in (low, high))
        middle = split[self._ends].reshape(1, 2, len(starts), -1, 1)
        worst = (middle + np.where(_UPWARD, low, high)).astype(np.float32)
        half = (0.5 * (middle + low)).astype(np.float32)
        sizes = sizes.reshape(2, len(starts), *sizes.shape[1:])
        tilted = sizes - _HEIGHT * worst[..., None] - half[..., None]
        ends = profile(tilted, self.log_tolerance)
        nothing = nothing[..., None]
        log_size = np.where(nothing, -np.inf, ends.log_size.max(axis=1))
        length = np.where(nothing, 0.0, ends.length.max(axis=1))
        no_right, no_left = nothing
        leftmost = np.where(_UPWARD, ~no_left, no_right)
        return Profile(
            *(
                np.concatenate([np.where(leftmost, side[1], side[0])[None], side])
                for side in (log_size, length)
            )
        )

    def _relieve(
        self,
        model: CharacteristicModel,
        params: Floats,
        dear: Ints,
        codes: Ints,
        cost: Floats,
        farthest: Floats,
    ) -> None:
        """Put even lines in place of the lines (3, n_bands, n) of dear sets where they cost less.

        It takes what lines cost (n_bands, n), and how far to look on the real axis.
        """
        dear = dear[np.argsort(farthest[dear])]  # all of a part are looked at as far as any
        for rows in np.array_split(dear, 1 + len(dear) // _DEAR_AT_ONCE):
            u = even_probes(farthest[rows])
            log_phi, _ = model.kernel(u - 0.5j, params[rows])(self._times)
            worst = log_phi.real.reshape(2, -1, len(rows), len(u)).max(axis=0)
            low, high, far = np.broadcast_arrays(self._low, self._high, farthest[rows])
            even, own_cost = choose_even(worst, low, high, far, self.log_tolerance)
            band, row = np.nonzero((own_cost < cost[:, rows]) & (cost[:, rows] > 0))
            codes[:, band, rows[row]] = -1
            codes[WHOLE, band, rows[row]] = even.code()[band, row]

    def _alone(
        self, model: CharacteristicModel, params: Floats, rows: Ints, t: Ints, strikes: Ints
    ) -> Ints:
        """Codes of the lines for one strike of a maturity of a parameter set each."""
        times = self.layout.maturities[t][None, :, None]
        k = self.layout.k[t, strikes, None, None]
        sizes = _log_sizes(model, params[rows], times, np.arange(len(FAN)), len(PROBES))[0]
        sizes[np.isnan(sizes)] = np.inf
        found = profile(sizes - (_FAN.imag + 0.5) * k, self.log_tolerance)
        return choose(found, self.log_tolerance)[0].code()


def sides_of(distance: Floats, near: Bools) -> tuple[Bools, Bools, Bools]:
    """Masks of the strikes on each side, from k's distance to the standstill."""
    right = distance >= 0
    return ~near, right & ~near, ~right & ~near


def _log_sizes(
    model: CharacteristicModel, params: Floats, times: Floats, lines: Ints, n_probes: int
) -> Floats:
    """Logarithm of |phi / (u^2 + 1/4)| on lines of the fan: (t, n, n_lines, n_probes)."""
    u = _FAN[lines, :n_probes]
    log_phi, _ = model.kernel(u.ravel() - 0.5j, params)(times)
    sizes = log_phi.real.reshape(len(times), len(params), *u.shape)
    return sizes + _LOG_FAN_WEIGHT[lines, :n_probes]
