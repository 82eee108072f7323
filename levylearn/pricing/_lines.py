r"""Bent lines of integration, and the choice among them.

The line :math:`u(y) = \tfrac12\sinh(y + iw)` turns the price integral into one over y that
the trapezoid rule sums. For an integrand analytic in a strip around the line the error is

.. math::
    |\mathrm{error}| \lesssim \min_\delta S(w \pm \delta)\,e^{-2\pi\delta/h},
    \qquad S(v) = \max_y |f_v(y)|

(Trefethen and Weideman, 2014). So the size of the integrand on a fan of lines tells, before
any price is computed, which line needs the fewest nodes, and how many.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Complex = NDArray[np.complex128]

# With this scale the poles at u = +-i/2 sit on the edge of the strip |Im(y + iw)| < pi/2.
_SCALE = 0.5
# The sum of terms above exp(_LARGEST) would lose the digits aimed at to rounding.
_LARGEST = 4.0

# The fan on which the integrand is looked at, and the lines that may be taken: those
# of the fan, and one between each two, where the integrand is no larger than on both.
FAN = np.linspace(-1.4, 1.4, 9)
ANGLES = np.linspace(-1.4, 1.4, 17)
AXIS = len(FAN) // 2  # the real axis, which is not bent
STEPS = 0.32 * 2.0 ** (-np.arange(37) / 6)
PROBES = np.concatenate(
    [[0.0], np.arange(1.5, 12, 0.5), [12.0, 13.0, 14.0, 16.0, 20.0, 25.0, 36.0]]
)

# The probes that are half a unit apart; by which factor a logarithm may grow from one of these to
# the next, and what may have cancelled before.
_HALF_APART = slice(1, 23)
_PLUNGE, _CANCELLED = 4.0, 200.0

# Up to so many numbers, one call to NumPy is faster than a loop that saves memory.
_SMALL = 2000

# What stands for an angle where nodes on the real axis become evenly spaced, this far apart for a
# unit of y; and where such lines may end.
EVEN, _PACE = len(ANGLES), 32.0
EVEN_LENGTHS = 4.0 * 1.08 ** np.arange(64)
_LENGTHS = np.zeros((2, len(EVEN_LENGTHS)))
_LENGTHS[0, : len(PROBES)], _LENGTHS[1] = PROBES, EVEN_LENGTHS

_N_LINES = (len(ANGLES) + 1, len(STEPS), len(EVEN_LENGTHS))
MOST_NODES = 2048

# 2 pi (w - v) for every line w and every line v of the fan, on either side of it.
_GAPS = 2 * np.pi * (ANGLES[:, None] - FAN[None, :])
_GAPS_BELOW = np.maximum(_GAPS, 0).astype(np.float32)
_GAPS_ABOVE = np.maximum(-_GAPS, 0).astype(np.float32)


class Profile(NamedTuple):
    """What is known of the integrand on each line of the fan, in arrays (..., n_fan)."""

    log_size: Floats
    length: Floats  # in y, until it is negligible


class Line(NamedTuple):
    """Lines chosen: indices into ANGLES, STEPS and PROBES, as numbers or as arrays.

    A line ends at its last probe, and not a node later: beyond, the integrand may come back.
    Where the angle is EVEN the line is an even one, and its length an index into EVEN_LENGTHS.
    """

    angle: Any
    step: Any
    length: Any

    @property
    def n_nodes(self) -> Any:
        """Number of nodes."""
        length = _LENGTHS[np.equal(self.angle, EVEN).astype(np.intp), self.length]
        n_nodes = np.ceil(length / STEPS[self.step]).astype(np.intp) + 1
        return np.minimum(n_nodes, MOST_NODES)

    def code(self) -> Ints:
        """One number, not negative, for every line."""
        return np.ravel_multi_index(self, _N_LINES)

    @classmethod
    def decode(cls, code: Any) -> Line:
        """The lines behind the numbers."""
        return cls(*np.unravel_index(code, _N_LINES))


def line(y: Floats, angle: NDArray[Any] | float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points u(y) of bent lines, and the weight du/dy / (u^2 + 1/4) there."""
    s = y + 1j * np.asarray(angle)
    u = _SCALE * np.sinh(s)
    return u, _SCALE * np.cosh(s) / (u * u + 0.25)


def even_line(y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    r"""Points u(y) of the real axis, or beside it, and the weight du/dy / (u^2 + 1/4) there.

    .. math::
        u(y) = c \int_0^y \frac{a\cosh s}{1 + a\cosh s}\,ds
        = c \left[y - \frac{2}{\sqrt{1 - a^2}} \operatorname{artanh}\left(
        \sqrt{\tfrac{1 - a}{1 + a}}\tanh\tfrac{y}{2}\right)\right], \qquad a = \frac{1}{2c},

    begins as sinh does, with the poles out of its way, and goes on with the pace c: a strip around
    it in y is one of about the same width everywhere in u.
    """
    a = _SCALE / _PACE
    slow = 2 / np.sqrt(1 - a * a) * np.arctanh(np.sqrt((1 - a) / (1 + a)) * np.tanh(y / 2))
    u, growth = _PACE * (y - slow) + 0j, a * np.cosh(y)
    return u, _PACE * growth / (1 + growth) / (u * u + 0.25)


@cache
def nodes(angle: int, step: int) -> tuple[Complex, Complex]:
    """Nodes and trapezoid weights of one line, as many as can be asked for."""
    longest = len(EVEN_LENGTHS if angle == EVEN else PROBES) - 1
    y = STEPS[step] * np.arange(Line(angle, step, longest).n_nodes)
    u, weight = even_line(y) if angle == EVEN else line(y, ANGLES[angle])
    weight *= STEPS[step] / np.pi
    weight[0] *= 0.5
    return u, weight


def profile(log_size: Floats, log_tolerance: float) -> Profile:
    """Summarise log |f| on the probes of each line, given as (..., n_fan, n_probes).

    It is negligible below the tolerance. An integrand that was negligible and comes back is
    one whose logarithm turns in the complex plane faster than the probes can see: its line
    is not to be used, nor is one on which it is alive where the probes were ended (-inf), or
    one down which it plunges: its logarithm may be as large on the other side of zero. On
    the real axis, in the middle of the fan, a characteristic function is bounded; if it
    comes back there (frequent jumps of nearly one size make it periodic) it is alive that far.
    """
    alive = log_size > log_tolerance
    returns = (log_size[..., 1:] > log_size[..., :-1] + 1.0) & ~alive[..., :-1]
    unseen = alive[..., :-1] & (log_size[..., 1:] == -np.inf)
    bent = FAN != 0
    bad = (returns | unseen).any(axis=-1) | _plunges(log_size)
    largest = np.where(bad & bent, np.inf, log_size.max(axis=-1))
    # A line vouches for the strip up to it, and its probes may have missed what others have seen.
    for outwards in (largest[..., AXIS:], largest[..., AXIS::-1]):
        np.maximum.accumulate(outwards, axis=-1, out=outwards)
    alive[..., 1:] |= returns & ~bent[:, None]
    length = PROBES[np.minimum(last_true(alive) + 1, len(PROBES) - 1)]
    # Single precision is plenty for a choice, and halves its cost.
    return Profile(largest.astype(np.float32), length.astype(np.float32))


def _plunges(log_size: Floats) -> Any:
    """Whether the logarithm falls faster than that of any characteristic function that decays.

    Over half a unit of y the square of u grows by a factor of e, and no logarithm faster than
    that, but for what cancels before. One that does is exponential in u.
    """
    before, after = log_size[..., _HALF_APART][..., :-1], log_size[..., _HALF_APART][..., 1:]
    plunges = after < _PLUNGE * before - _CANCELLED
    plunges &= after > -np.inf
    return np.any(plunges, axis=-1)


def choose(profile: Profile, log_tolerance: float) -> tuple[Line, Floats]:
    """Find, for every integrand, the line that needs the fewest nodes, and their number.

    Where no line is fully accurate, it is the one that loses least to rounding. The
    number is 0 where there is nothing to integrate.
    """
    log_size, length = profile
    reach = 1 / np.maximum(log_size - np.float32(log_tolerance), 1)
    step = np.minimum(_widest(_GAPS_BELOW, reach), _widest(_GAPS_ABOVE, reach))
    log_size, length = _interleaved(log_size), _interleaved(length)
    cost = length / np.maximum(step, STEPS[-1])
    too_large = np.minimum(np.maximum(log_size - _LARGEST, 0.0), 1e3)
    cost += 1e3 * (too_large + (step < STEPS[-1]))

    angle = cost.argmin(axis=-1)
    best = (np.arange(angle.size) * len(ANGLES) + angle.ravel()).reshape(angle.shape)
    step, length, cost = (values.ravel()[best] for values in (step, length, cost))
    chosen = Line(angle, step_index(step), np.searchsorted(PROBES, length))
    return chosen, np.where(length > 0, cost, 0.0)


def step_index(widest: Floats) -> Ints:
    """Index into STEPS of the first that is not wider; of the last if all are."""
    index = np.ceil(6 * np.log2(STEPS[0] / np.maximum(widest, STEPS[-1]))).astype(np.intp)
    return np.maximum(index, 0)


def _widest(gaps: NDArray[Any], reach: NDArray[Any]) -> NDArray[Any]:
    """Largest product with one of the lines of the fan, for each line that may be taken."""
    if reach.size < _SMALL:
        return (gaps * reach[..., None, :]).max(axis=-1)
    widest = gaps[:, 0] * reach[..., :1]
    for j in range(1, len(FAN)):
        np.maximum(widest, gaps[:, j] * reach[..., j : j + 1], out=widest)
    return widest


def _interleaved(values: Floats) -> Floats:
    """Put between each two entries of the last axis the larger of both."""
    out = np.repeat(values, 2, axis=-1)[..., :-1]
    np.maximum(values[..., :-1], values[..., 1:], out=out[..., 1::2])
    return out


def last_true(values: NDArray[np.bool_]) -> Ints:
    """Index of the last True along the last axis; -1 without any."""
    position = values.shape[-1] - 1 - np.argmax(values[..., ::-1], axis=-1)
    return np.where(values.any(axis=-1), position, -1)
