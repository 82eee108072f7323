r"""How far a law reaches, and how far its characteristic function does.

The law: for :math:`K(s) = \log E[e^{sX}]`, Markov's inequality bounds
:math:`P(X \ge b) \le e^{K(s) - sb}` for every s > 0, and with it what a method loses beyond a
finite range. It needs no more than the characteristic function on the imaginary axis and, other
than a multiple of the standard deviation, holds for every tail.

The characteristic function: probed at frequencies an octave apart or half of one, with the
logarithm of its tail taken for a power of u between two of them. That is nearly right for the
Gaussian and for decay like :math:`e^{-cu^Y}`, and on the safe side for that of a power of u.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.models import CharacteristicModel

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Orders of moments beyond 0 and 1, denser where the moments of markets usually end.
ORDERS = 2.0 ** np.concatenate([np.arange(-6, 1), np.arange(1, 6, 0.5), np.arange(6, 15)])
# Of a moment's logarithm: a part not real, or a slope that falls, as large as this is no rounding.
_ROUNDING = 1e-7

# Denser where most characteristic functions become negligible, so as to see those that come back;
# next to whole octaves there, one that tells how the phase moves.
PROBES = np.unique(
    np.concatenate(
        [
            2.0 ** np.arange(-6, 37),
            2.0 ** np.arange(-0.5, 10),
            2.0 ** np.arange(13) + 1,
        ]
    )
)
FINE_PROBES = 2.0 ** np.arange(-6, 36, 1 / 8)
# Beyond this a logarithm is that of zero.
_LOG_ZERO = 700.0


class Moments(NamedTuple):
    """Logarithms (..., n_orders) of the moments 1 + s and -s for the orders s; inf without one."""

    up: Floats
    down: Floats


@np.errstate(all="ignore")
def log_moments(
    model: CharacteristicModel, params: Floats, times: Floats, orders: Floats = ORDERS
) -> Moments:
    """Logarithms of exponential moments, (t, n, n_orders), at maturities (t, 1, 1)."""
    u = np.concatenate([-1j * (1 + orders), 1j * orders])
    up, down = np.split(model.kernel(u, params)(times)[0], 2, axis=-1)
    low, high = model.moment_limits(params)
    return Moments(_existing(up, orders, high - 1), _existing(down, orders, -low))


def log_bound(log_moment: Floats, orders: Floats, distance: Floats) -> Floats:
    """Logarithms of Markov's bounds (..., s) on what lies beyond distances (..., s), at most 0."""
    bound = np.zeros(np.broadcast_shapes((*log_moment.shape[:-1], 1), distance.shape))
    for moment, order in zip(np.moveaxis(log_moment, -1, 0), orders.tolist(), strict=True):
        np.minimum(bound, moment[..., None] - order * distance, out=bound)
    return bound


def _existing(log_phi: Complex, orders: Floats, limit: Floats) -> Floats:
    """Real part up to where the moments end: there K is no longer real, finite and convex.

    A formula may well be evaluated beyond, and return anything.
    """
    K = log_phi.real
    slack = _ROUNDING * (1 + np.abs(K))
    real = np.isfinite(K) & (np.abs(log_phi.imag) <= slack) & (orders < limit[:, None])
    slope = np.diff(K, axis=-1, prepend=0.0) / np.diff(orders, prepend=0.0)
    # K vanishes at 0 and 1, so it does not fall beyond.
    convex = np.diff(slope, axis=-1, prepend=0.0) >= -slack / orders
    return np.where(np.logical_and.accumulate(real & convex, axis=-1), K, np.inf)


def log_tails(log_size: Floats, tail: Floats) -> Floats:
    """Logarithms of the integrals of exp(log_size) times a weight, from every probe on.

    Both are known at the probes (last axis); `tail` is the integral of the weight alone. The
    size is taken to fall between the probes, and a gap in it to be filled.
    """
    log_size = np.maximum.accumulate(log_size[..., ::-1], axis=-1)[..., ::-1]
    parts = np.exp(log_size) * -np.diff(tail, append=0.0, axis=-1)
    with np.errstate(divide="ignore"):
        return np.log(np.cumsum(parts[..., ::-1], axis=-1)[..., ::-1])


def frequency_at(log_tail: Floats, u: Floats, log_tolerance: float) -> Floats:
    """Frequency (...) from which on a tail (..., n_probes) is below a tolerance; inf if never."""
    depth = _depth(log_tail)
    wanted = -log_tolerance
    after = np.argmax(depth >= wanted, axis=-1)[..., None]
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(depth, j, axis=-1)[..., 0] for j in (before, after))
    rise = np.where(high > low, np.log(high / low), np.inf)
    share = np.clip(np.log(wanted / low) / rise, 0.0, 1.0)
    log_u = np.log(u)
    before, after = before[..., 0], after[..., 0]
    found = np.exp(log_u[before] + share * (log_u[after] - log_u[before]))
    return np.where(depth[..., -1] >= wanted, found, np.inf)


def log_tail_at(log_tail: Floats, u: Floats, frequency: Floats) -> Floats:
    """Logarithm of a tail (..., n_probes) from a frequency (...) on."""
    before = np.clip(np.searchsorted(u, frequency) - 1, 0, len(u) - 2)
    share = np.clip(np.log(frequency / u[before]) / np.log(u[before + 1] / u[before]), 0, 1)
    log_depth = np.log(_depth(log_tail))
    low, high = (
        np.take_along_axis(log_depth, j[..., None], axis=-1)[..., 0] for j in (before, before + 1)
    )
    return -np.exp(low + share * (high - low))


def _depth(log_tail: Floats) -> Any:
    """Minus the logarithm of a tail, between what has logarithms itself."""
    return np.clip(-log_tail, 0.1, _LOG_ZERO)
