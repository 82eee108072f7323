r"""Smooth curves through smiles, without butterfly arbitrage where the quotes have none.

Between quotes, total variance :math:`w = \sigma^2 T` is a cubic in :math:`k = \log(K/F)` whose
slopes at the quotes are those of parabolas through three neighbours. That is precise, but the
density of the underlying that it implies may be negative in some interval between two quotes.
There the *price* is interpolated instead, by the rational cubic of Delbourgo and Gregory (1985,
"Shape preserving piecewise rational interpolation"), which is convex if its slopes at both ends
lie on either side of the chord's. They are those of the cubic, moved in between the chords next
to the quote where they have to be; and a cubic stays only where they had not to be. So slopes
agree at the quotes, and the curve as a whole is convex in the strike. Where the quotes
themselves have a butterfly arbitrage no convex curve goes through them, and the cubic stays.

All smiles of one maturity are worked on together, each with quotes of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from levylearn.market import black_price, black_vega, implied_volatility

__all__ = ["total_variance_at"]

Floats = NDArray[np.float64]

# Where in an interval the density is looked at: a cubic is most bent at its ends.
_PROBES = np.linspace(0.0, 1.0, 9)
# Slopes keep so much of the room between two chords as their distance from either.
_ROOM = 1e-3
# Places, and slopes of calls over forward, are known to so much.
_ROUNDING = 1e-12


class _Knots(NamedTuple):
    """Quotes of smiles (n, q), moved to the left of their rows; NaN beyond the last."""

    k: Floats
    w: Floats
    slope: Floats  # of w


def total_variance_at(at: Floats, k: Floats, w: Floats, tolerance: float) -> Floats:
    """Interpolate total variances of smiles; NaN beyond the quotes.

    Parameters
    ----------
    at : ndarray of shape (m,)
        Log-moneynesses where it is wanted.
    k : ndarray of shape (q,)
        Log-moneynesses of the quotes, increasing.
    w : ndarray of shape (n, q)
        Total variances of the quotes, positive; NaN where there is no quote.
    tolerance : float
        How far beyond its outermost quotes a smile goes on, at the level of the quote.

    Returns
    -------
    variance : ndarray of shape (n, m)
        Total variances.
    """
    quoted = ~np.isnan(w)
    order = np.argsort(~quoted, axis=1, kind="stable")
    w = np.take_along_axis(w, order, axis=1)
    knots = _knots(np.where(np.isnan(w), np.nan, k[order]), w)
    last = np.maximum(quoted.sum(axis=1, keepdims=True) - 1, 0)
    place = np.clip(at, knots.k[:, :1], np.take_along_axis(knots.k, last, axis=1))
    # As many quotes are at or left of a place; the last of them starts its interval.
    passed = np.pad(quoted.cumsum(axis=1), ((0, 0), (1, 0)))
    interval = passed[:, np.searchsorted(k, at, side="right")] - 1
    interval = np.clip(interval, 0, np.maximum(last - 1, 0))
    variance = _between(knots, interval, place)
    return np.where(np.abs(place - at) <= tolerance + _ROUNDING, variance, np.nan)


def _knots(k: Floats, w: Floats) -> _Knots:
    """Take slopes from parabolas through three neighbours; at the ends those of the nearest."""
    step = np.diff(k, axis=1)
    chord = np.diff(w, axis=1) / step
    left, right = _shifted(chord, 1), _shifted(chord, 0)
    step_left, step_right = _shifted(step, 1), _shifted(step, 0)
    bend = (right - left) / (step_left + step_right)
    at_end = np.isnan(bend)
    neighbour = np.fmax(_shifted(bend[:, 1:], 0), _shifted(bend[:, :-1], 1))
    bend = np.where(at_end, np.nan_to_num(neighbour), bend)
    slope = np.where(np.isnan(left), right - step_right * bend, left + step_left * bend)
    return _Knots(k, w, slope)


def _shifted(intervals: Floats, by: int) -> Floats:
    """What the interval left (1) or right (0) of each knot has; NaN where there is none."""
    return np.pad(intervals, ((0, 0), (by, 1 - by)), constant_values=np.nan)


def _between(knots: _Knots, interval: NDArray[np.intp], place: Floats) -> Floats:
    """Total variances at places (n, m), each in an interval of its row."""
    with np.errstate(all="ignore"):  # NaN where there is no quote, or no second one
        variance = _cubic(knots, interval, place)
        if knots.k.shape[1] == 1:
            return variance
        calls = _calls(knots)
        torn = calls.are_convex & ~(calls.keep_slopes & _has_density(knots))
        row, column = np.nonzero(np.take_along_axis(torn, interval, axis=1))
        if len(row):
            at = row, interval[row, column]
            found = _rational(knots, calls, at, place[row, column])
            # Where a price is rounding error the cubic is as good.
            variance[row, column] = np.where(found > 0, found, variance[row, column])
    return variance


def _cubic(knots: _Knots, interval: NDArray[np.intp], place: Floats) -> Floats:
    beyond = np.minimum(interval + 1, knots.k.shape[1] - 1)
    k, w, slope = (np.take_along_axis(values, interval, axis=1) for values in knots)
    k_next, w_next, slope_next = (np.take_along_axis(values, beyond, axis=1) for values in knots)
    step = k_next - k
    t = (place - k) / step
    value = _hermite(t, w, w_next, step * slope, step * slope_next)[0]
    # Two neighbours can be so far apart in slope that the cubic dips below zero.
    value = np.where(value > 0, value, w + t * (w_next - w))
    return np.where(place == k, w, value)


def _hermite(
    t: Floats, left: Floats, right: Floats, slope_left: Floats, slope_right: Floats
) -> tuple[Floats, Floats, Floats]:
    """A cubic on [0, 1], and its first two derivatives, from values and slopes at the ends."""
    rise = right - left
    third = slope_left + slope_right - 2 * rise
    second = rise - slope_left - third
    value = left + t * (slope_left + t * (second + t * third))
    return value, slope_left + t * (2 * second + 3 * t * third), 2 * second + 6 * t * third


def _has_density(knots: _Knots) -> NDArray[np.bool_]:
    """Whether the density that the cubics imply is positive, in each interval (n, q - 1)."""
    k, w, slope = (values[:, :-1, None] for values in knots)
    k_next, w_next, slope_next = (values[:, 1:, None] for values in knots)
    step = k_next - k
    w, first, second = _hermite(_PROBES, w, w_next, step * slope, step * slope_next)
    k, first, second = k + _PROBES * step, first / step, second / step**2
    density = (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 1 / 4) + second / 2
    return np.all((density >= 0) & (w > 0), axis=2)


class _Calls(NamedTuple):
    """Calls over forward at the knots (n, q), and what convexity asks of the intervals."""

    strike: Floats  # over forward
    chord: Floats  # (n, q - 1)
    slope: Floats  # by strike, in between the chords
    keep_slopes: NDArray[np.bool_]  # of the cubic, at both ends (n, q - 1)
    are_convex: NDArray[np.bool_]  # the quotes around (n, q - 1)


def _calls(knots: _Knots) -> _Calls:
    k, w, slope = knots
    strike, deviation = np.exp(k), np.sqrt(w)
    price = black_price(1.0, strike, 1.0, deviation)
    chord = np.diff(price, axis=1) / np.diff(strike, axis=1)
    # The forward is a call of strike zero; beyond the last strike calls may be worth as much.
    low, high = _shifted(chord, 1), _shifted(chord, 0)
    low[:, 0] = (price[:, 0] - 1) / strike[:, 0]
    high = np.where(np.isnan(high), 0.0, high)
    by_strike = -ndtr(-k / deviation - deviation / 2) + black_vega(
        1.0, strike, 1.0, deviation
    ) * slope / (2 * deviation * strike)
    room = high - low
    moved = np.clip(by_strike, low + _ROOM * room, high - _ROOM * room)
    kept, convex = np.abs(moved - by_strike) < _ROUNDING, room > -_ROUNDING
    return _Calls(strike, chord, moved, kept[:, :-1] & kept[:, 1:], convex[:, :-1] & convex[:, 1:])


def _rational(
    knots: _Knots, calls: _Calls, at: tuple[NDArray[np.intp], NDArray[np.intp]], place: Floats
) -> Floats:
    """Total variances at places (m,), each in one interval, from a convex curve of prices."""
    row, i = at
    # The out-of-the-money side: parity adds a line, which the curve reproduces.
    side = np.where(knots.k[at] < 0, "put", "call")
    left, right = (
        black_price(1.0, calls.strike[row, j], 1.0, np.sqrt(knots.w[row, j]), option_type=side)
        for j in (i, i + 1)
    )
    strike, width = np.exp(place), calls.strike[row, i + 1] - calls.strike[at]
    t = (strike - calls.strike[at]) / width
    # How much the chord is steeper than the curve where it starts, and less where it ends.
    start = width * (calls.chord[at] - calls.slope[at])
    end = width * (calls.slope[row, i + 1] - calls.chord[at])
    weight = t * (1 - t)
    sag = weight * (start * (1 - t) + end * t) / (1 + weight * (start - end) ** 2 / (start * end))
    # Through quotes on a line there is no convex curve but the line.
    sag = np.where(np.minimum(start, end) > _ROUNDING, sag, 0.0)
    price = left + t * (right - left) - sag
    return implied_volatility(price, 1.0, strike, 1.0, option_type=side) ** 2
