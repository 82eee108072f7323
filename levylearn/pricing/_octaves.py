r"""Where terms decay slowly: high frequencies, octave by octave.

The characteristic function of a law that is not smooth at a point c (Variance Gamma's at
maturities not much longer than its `nu`) decays like a power, and a series in it would need
millions of terms. But what a filter lets pass of it between the frequencies U and 2U is felt
close to c only, within a multiple of 1/U. So on a range that short, and so short a series, it is
enough; those of one octave after the other add up to a series of any length, and a strike takes
part until c is too far away.

The filter :math:`\sigma(u/U) = e^{-36(u/U)^8}` has an order that makes what it leaves decay almost
exponentially with U times the distance. Where c is, the phase of the characteristic function
tells: it moves with velocity c. It need not have settled yet: a strike's distance is that from
all velocities to come.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.pricing._tails import PROBES, Complex, Floats

Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

_ORDER = 8
_LOG_LEAST = float(np.log(np.finfo(np.float64).eps))
# Of what the filter cuts off at U, at most exp(-EASE * U * d) is left at the distance d.
EASE = 0.2
# By so many nodes, in the part of an octave's range up to U, the series is longer than distances
# of strikes ask for. It lets the phase turn by 2 pi for each, off its velocity.
_SPARE_NODES = 16

CUTS = 2.0 ** np.arange(36)
_AT_CUTS = np.searchsorted(PROBES, CUTS)


class Octaves(NamedTuple):
    """Cuts (t, n), and extreme velocities (t, n, n_cuts) of the phase from each cut on."""

    first: Ints
    last: Ints
    ends: Bools  # whether nothing follows the last cut, so that there is no need of a filter
    least: Floats
    greatest: Floats


def low_pass(u: Floats, cut: float) -> Floats:
    """Weights of frequencies up to a cut."""
    return np.exp(np.maximum(_LOG_LEAST * (u / cut) ** _ORDER, -700.0))


def reach(log_tolerance: float) -> float:
    """Distance, in units of 1/U, from which on what a filter leaves is below a tolerance."""
    return -log_tolerance / EASE


def find_octaves(
    log_phi: Complex,
    tails: Floats,
    frequency: Floats,
    x: Floats,
    live: Bools,
    low: Floats,
    high: Floats,
    log_tolerance: float,
) -> Octaves:
    """Octaves that series on the ranges [low, high] (t, n) ask for.

    Known of phi are its logarithm at the probes, and that of its tail from each on.
    The first cut is high enough for the ends of the range to be out of reach; it is the number
    of cuts where there is none. From the last on, no strike (t, s) that is live (t, n, s) is
    within reach, or phi has become negligible, as it does at a frequency (t, n).
    """
    velocity = (np.diff(log_phi.imag, axis=-1) / np.diff(PROBES))[..., _AT_CUTS]
    least = np.minimum.accumulate(velocity[..., ::-1], axis=-1)[..., ::-1]
    greatest = np.maximum.accumulate(velocity[..., ::-1], axis=-1)[..., ::-1]
    farthest = np.where(live, x[:, None], low[..., None]).max(axis=-1)
    room = np.minimum(least - low[..., None], (2 * high - farthest)[..., None] - greatest)
    settled = _settled(velocity, tails[..., _AT_CUTS], log_tolerance)
    settled = np.logical_and.accumulate(settled[..., ::-1], axis=-1)[..., ::-1]
    fits = settled & (CUTS * room >= reach(log_tolerance))
    first = np.where(fits.any(axis=-1), fits.argmax(axis=-1), len(CUTS))
    end = np.minimum(np.searchsorted(CUTS, frequency), len(CUTS) - 1)
    found = Octaves(first, np.maximum(first, end), np.isfinite(frequency), least, greatest)
    wanted = np.stack(
        [
            (within_reach(found, j, x, log_tolerance) & live).any(axis=-1)
            for j in range(len(CUTS) - 1)
        ]
    )
    n_wanted = np.where(wanted.any(axis=0), len(wanted) - wanted[::-1].argmax(axis=0), 0)
    last = np.maximum(first, np.minimum(n_wanted, end))
    return found._replace(last=last, ends=found.ends & (last == end))


def _settled(velocity: Floats, tails: Floats, log_tolerance: float) -> Bools:
    """Whether a velocity (t, n, n_cuts) goes straight to its end, as far as that matters.

    Where it goes to and fro, the law has more than one singularity: jumps of nearly one size
    repeat that of a diffusion.
    """
    change = np.diff(velocity, axis=-1, append=velocity[..., -1:])
    turning = np.abs(change) * CUTS
    straight = change * np.append(change[..., 1:], change[..., -1:], axis=-1) >= 0
    slight = np.log(turning) + tails <= log_tolerance
    settled = (turning <= 2 * np.pi * _SPARE_NODES) & (straight | slight)
    return settled | (tails <= log_tolerance)


def within_reach(octaves: Octaves, j: int, x: Floats, log_tolerance: float) -> Bools:
    """Which strikes (t, n, s) feel what comes after a cut."""
    at = np.full((*octaves.first.shape, 1), j)
    return CUTS[j] * _distance(octaves, at, x) < reach(log_tolerance)


def log_left(octaves: Octaves, x: Floats, log_tolerance: float) -> tuple[Floats, Floats]:
    """Frequencies (t, n, s) up to which strikes are priced, and a bound on what they leave.

    The bound is the logarithm of a share of the terms beyond. A filter begins to change terms at
    about half of the cut.
    """
    at = np.repeat(np.minimum(octaves.first, len(CUTS) - 1)[..., None], x.shape[1], axis=-1)
    for j in range(len(CUTS) - 1):
        at += within_reach(octaves, j, x, log_tolerance) & (at == j) & (octaves.last > j)[..., None]
    left = -EASE * CUTS[at] * _distance(octaves, at, x)
    complete = octaves.ends[..., None] & (at == octaves.last[..., None])
    return np.where(complete, CUTS[at], CUTS[at] / 2), np.where(complete, 0.0, left)


def _distance(octaves: Octaves, at: Ints, x: Floats) -> Floats:
    """Distance (t, n, s) of log-strikes (t, s) from where the law is not smooth."""
    least, greatest = (
        np.take_along_axis(part, at, axis=-1) for part in (octaves.least, octaves.greatest)
    )
    found = np.maximum(np.maximum(least - x[:, None], x[:, None] - greatest), 0.0)
    return np.nan_to_num(found, nan=0.0)


def nodes(j: int, log_tolerance: float) -> Floats:
    """Frequencies of the series of an octave, evenly spaced."""
    n = n_nodes(log_tolerance) // 2
    return CUTS[j] / n * np.arange(1, 2 * n + 1)


def n_nodes(log_tolerance: float) -> int:
    """Number of terms of the series of an octave.

    Their spacing h makes the series periodic; what is felt up to the reach on either side of c
    must not be felt again a period 2 pi / h further.
    """
    return 2 * int(np.ceil(reach(log_tolerance) / np.pi + _SPARE_NODES))


def payoff(j: int, x: Floats, ends: bool, log_tolerance: float, order: int = 0) -> Floats:
    """Coefficients of puts (2 * n_nodes, n_strikes), for real and imaginary parts in turn.

    Of order 1 they are their derivatives by k = -x, of order 2 the sum of these and the second.
    """
    u = nodes(j, log_tolerance)
    passed = (1.0 if ends else low_pass(u, 2 * CUTS[j])) - low_pass(u, CUTS[j])
    factor = ((1j / u - 1) / (1 + u * u), -1j / u, np.ones_like(u))[order]
    weight = passed * (u[0] / np.pi) * factor
    terms = np.exp(-1j * u[:, None] * x) * weight[:, None] * np.exp(x)
    return np.stack([terms.real, -terms.imag], axis=1).reshape(2 * len(u), -1)
