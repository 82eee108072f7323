r"""Implied volatility: Black's formula solved for the volatility, to the last digit.

Every quote is first turned into ``b``, the share of the upper bound :math:`\min(F, K)` that its
time value makes up, and ``c``, the share that is missing, with :math:`a = |\log(F/K)|` (see
:mod:`levylearn.market._black` for the notation). Then

1. a guess. To leading order in ``a`` and ``s`` Black's formula is Bachelier's,
   :math:`b e^{-a/2} = s R(a/s)` with :math:`R(h) = \varphi(h) - h N(-h)`, which has one variable
   only: its inverse is a table. The next order in ``s`` corrects it. The guess is right to 1e-4
   at ``s = 0.4`` and to 1 % at ``s = 1.4``; beyond, a normal quantile does better.
2. Householder's method of order four on :math:`\log b`, or :math:`\log c` in the upper half.
   Typical quotes take one step, all others two or three.

The rows are worked through in pieces that fit into the processor's cache, those that need more
than one step together at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from levylearn.market._black import (
    NEAR_LOG_RATIO,
    NEAR_TOTAL_VOLATILITY,
    SQRT_2PI,
    Array,
    calls,
    common_shape,
    gap_over_vega,
    log_ratio,
    mills_ratio,
    non_negative,
    value_over_vega_far,
    value_over_vega_near,
)

__all__ = ["implied_volatility"]

_CHUNK = 8192
_TABLE_SIZE = 4096
_TABLE_END = 38.0  # no double is so small that it lies beyond
_MAX_STEPS = 12
# The error after a step is of the order of its relative size to the fourth power.
_LAST_STEP = 3e-5
# How far rounding can put the price of an in-the-money option below its intrinsic value.
_ROUNDING = 4.0 * np.finfo(np.float64).eps
_TINY = 1e-290


def implied_volatility(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    discount: ArrayLike = 1.0,
    option_type: str | ArrayLike = "call",
    *,
    on_error: str = "nan",
) -> Array:
    r"""Find the volatility at which Black's formula gives a price.

    All arguments broadcast against each other. The result is as exact as the price allows: an
    out-of-the-money price determines the volatility to nearly all digits however small it is,
    while one in the money leaves only the digits of its time value.

    Parameters
    ----------
    price : array-like
        Discounted option prices, in currency.
    forward : array-like
        Forward price of the underlying, in currency; positive.
    strike : array-like
        Strike, in currency; positive.
    maturity : array-like
        Time to expiry, in years; not negative.
    discount : array-like, default=1.0
        Discount factor to expiry; positive.
    option_type : {"call", "put"} or array-like of these, default="call"
        What was priced.
    on_error : {"nan", "raise"}, default="nan"
        What to do with a price that no volatility gives.

    Returns
    -------
    volatility : ndarray
        Black volatilities in the broadcast shape, a scalar if all arguments are. Zero where
        the price is the discounted intrinsic value (or, in the money, below it by no more than
        rounding). NaN where an argument is NaN, and where no finite volatility gives the price:
        below intrinsic value, at or above the discounted forward (call) or strike (put), or
        above intrinsic value with no time left.

    Raises
    ------
    ValueError
        If an argument other than the price is out of range, an option type or ``on_error`` is
        unknown, or the shapes do not broadcast; with ``on_error="raise"`` also for the first
        price that no volatility gives.

    See Also
    --------
    black_price : The inverse.

    References
    ----------
    .. [1] Jäckel, P. (2015). Let's be rational. Wilmott.
    .. [2] Jäckel, P. (2017). Implied normal volatility. Wilmott.
    .. [3] Householder, A. S. (1970). The numerical treatment of a single nonlinear equation.

    Examples
    --------
    >>> from levylearn.market import black_price, implied_volatility
    >>> prices = black_price(100.0, [80.0, 100.0, 120.0], 0.5, [0.3, 0.2, 0.25])
    >>> implied_volatility(prices, 100.0, [80.0, 100.0, 120.0], 0.5)
    array([0.3 , 0.2 , 0.25])

    A call cannot cost less than its intrinsic value:

    >>> float(implied_volatility(19.0, 100.0, 80.0, 0.5))
    nan
    >>> implied_volatility([21.0, 19.0], 100.0, 80.0, 0.5, on_error="raise")
    Traceback (most recent call last):
        ...
    ValueError: price must be at least the intrinsic value 20 and below 100; entry 1 is 19.0...
    """
    if on_error not in ("nan", "raise"):
        raise ValueError(f"on_error must be 'nan' or 'raise'; got {on_error!r}.")
    try:
        price = np.asarray(price, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"price must be numbers; got {price!r}.") from error
    arrays = {
        "forward": non_negative("forward", forward, strict=True),
        "strike": non_negative("strike", strike, strict=True),
        "maturity": non_negative("maturity", maturity),
        "discount": non_negative("discount", discount, strict=True),
        "option_type": calls(option_type),
    }
    shape = common_shape(price=price, **arrays)
    n_quotes = int(np.prod(shape))
    flat = [_flat(price, shape, force=True), *(_flat(x, shape) for x in arrays.values())]
    with np.errstate(all="ignore"):
        total = _total_volatility(flat, n_quotes)
        # no volatility is none over no time as well
        volatility = np.where(total == 0.0, 0.0, total / np.sqrt(flat[3]))
    if on_error == "raise":
        _refuse_unsolved(volatility, flat, shape)
    return volatility.reshape(shape)[()]


def _flat(array: NDArray[Any], shape: tuple[int, ...], force: bool = False) -> NDArray[Any]:
    """One entry per quote in a row, or a single entry that stands for all."""
    if array.size == 1 and not force:
        return array.reshape(())
    return np.broadcast_to(array, shape).reshape(-1)


class _Quotes(NamedTuple):
    """Normalised quotes: log ratio, share of the bound reached, share missing."""

    a: Array
    b: Array
    c: Array

    def take(self, rows: NDArray[np.intp] | slice) -> _Quotes:
        return _Quotes(*(x[rows] for x in self))


def _total_volatility(flat: list[NDArray[Any]], n_quotes: int) -> Array:
    """One step for all rows, chunk by chunk; more for those that it did not settle."""
    total = np.empty(n_quotes)
    late_rows, late_quotes = [], []
    for start in range(0, n_quotes, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        quotes, unsolvable = _normalise(*(x[chunk] if x.ndim else x for x in flat))
        s, settled = _first_step(quotes)
        if unsolvable is not None:
            rows, answers = unsolvable
            s[rows], settled[rows] = answers, True
        total[chunk] = s
        if not settled.all():
            late = np.flatnonzero(~settled)
            late_rows.append(late + start)
            late_quotes.append(quotes.take(late))
    if late_rows:
        rows = np.concatenate(late_rows)
        quotes = _Quotes(*map(np.concatenate, zip(*late_quotes, strict=True)))
        total[rows] = _further_steps(total[rows], quotes)
    return total


def _normalise(
    price: Array,
    forward: Array,
    strike: Array,
    maturity: Array,
    discount: Array,
    is_call: NDArray[np.bool_],
) -> tuple[_Quotes, tuple[NDArray[np.bool_], Array] | None]:
    """Quotes, and which of them have no positive volatility, if any: zero or NaN instead."""
    low = np.minimum(forward, strike)
    intrinsic = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
    value = price - discount * intrinsic
    gap = discount * np.where(is_call, forward, strike) - price
    solvable = (value > 0.0) & (gap > 0.0) & (maturity > 0.0)
    bound = discount * low
    quotes = _Quotes(*np.broadcast_arrays(log_ratio(forward, strike), value / bound, gap / bound))
    if solvable.all():
        return quotes, None
    slack = np.where(intrinsic > 0.0, discount * _ROUNDING * np.maximum(forward, strike), 0.0)
    worthless = (value <= 0.0) & (value >= -slack) & (maturity >= 0.0)
    # The arithmetic goes on in their rows too, on harmless numbers.
    quotes = _Quotes(*(np.where(solvable, x, 0.5) for x in quotes))
    return quotes, (~solvable, np.where(worthless, 0.0, np.nan)[~solvable])


def _first_step(quotes: _Quotes) -> tuple[Array, NDArray[np.bool_]]:
    """Guess, step where that is near, and tell which rows are done.

    Far rows are few: they step in vain here, and wait for their own branch.
    """
    s = _guess(quotes)
    near = _is_near(s, quotes.a)
    step = _householder_step(s, quotes.a, SQRT_2PI * quotes.b, value_over_vega_near, 1.0)
    settled = near & (np.abs(step) < _LAST_STEP)
    return np.where(near, _stepped(s, step), s), settled


def _further_steps(s: Array, quotes: _Quotes) -> Array:
    """Iterate each row on the branch it belongs to."""
    near = _is_near(s, quotes.a)
    upper = ~near & (quotes.b >= 0.5)
    for branch, over_vega, sign in (
        (near, value_over_vega_near, 1.0),
        (~(near | upper), value_over_vega_far, 1.0),
        (upper, gap_over_vega, -1.0),
    ):
        rows = np.flatnonzero(branch)
        goal = quotes.b if sign > 0.0 else quotes.c
        for chunk in (rows[i : i + _CHUNK] for i in range(0, rows.size, _CHUNK)):
            s[chunk] = _polish(s[chunk], quotes.a[chunk], goal[chunk], over_vega, sign)
    return s


def _is_near(s: Array, a: Array) -> NDArray[np.bool_]:
    return (s < NEAR_TOTAL_VOLATILITY) & (a < NEAR_LOG_RATIO)


def _guess(quotes: _Quotes) -> Array:
    """Bachelier's total volatility, corrected; a normal quantile where that is too large."""
    s = _bachelier_guess(quotes.a, quotes.b)
    large = np.flatnonzero((s > 1.0) & (quotes.b > 0.12))
    if large.size:
        s[large] = _quantile_guess(quotes.a[large], quotes.c[large])
    return s


def _bachelier_guess(a: Array, b: Array) -> Array:
    scale, correction = _bachelier_table()
    b = b * np.exp(-0.5 * a)
    z = np.sqrt(np.log1p(a / b))
    z *= np.sqrt(2.0) * _TABLE_SIZE / _TABLE_END
    np.minimum(z, _TABLE_SIZE - 1.0, out=z)
    cell = z.astype(np.intp)
    z -= cell
    s = SQRT_2PI * (b + 0.5 * a)
    s *= scale[0].take(cell) + z * scale[1].take(cell)
    # At the money s = u + u**3/24 + 7 u**5/1920 + ... with Bachelier's u; away from it both
    # terms fade.
    order = s * s
    order *= correction.take(cell)
    s *= 1.0 + order * (1.0 + 2.1 * order)
    return s


@cache
def _bachelier_table() -> tuple[tuple[Array, Array], Array]:
    r"""Bachelier's formula inverted, on an even grid of ``z = sqrt(2 log(1 + a/b))``.

    ``b`` is over ``sqrt(F K)`` here. The table gives the factor (and its differences) that turns
    ``sqrt(2 pi) (b + a/2)``, exact at the money, into the total volatility, and the relative
    second-order term of Black's formula, ``(1 - h**2 R / phi) / 24``. In the wing ``z`` is close
    to ``h``, so both are smooth.
    """
    h = np.concatenate([[0.0], np.geomspace(1e-8, 40.0, 20_000)])
    slope = 1.0 - h * mills_ratio(h)  # R over the density
    value = np.exp(-0.5 * h * h) * slope / SQRT_2PI
    with np.errstate(divide="ignore"):
        log_odds = np.log(h) + 0.5 * h * h - np.log(slope / SQRT_2PI)  # of a against b
    z = np.sqrt(2.0 * np.logaddexp(0.0, log_odds))
    grid = np.linspace(0.0, _TABLE_END, _TABLE_SIZE + 1)
    scale = np.interp(grid, z, 1.0 / (SQRT_2PI * (value + 0.5 * h)))
    correction = np.interp(grid, z, (1.0 - h * h * slope) / 24.0)
    return (scale, np.append(np.diff(scale), 0.0)), correction


def _quantile_guess(a: Array, c: Array) -> Array:
    r"""Exact at the money, and for large ``s`` or large ``a`` at the upper bound.

    ``N(-d1)`` is the missing share of the bound at large ``a``, and half of it at ``a = 0``.
    """
    weight = 1.0 - 0.5 / np.sqrt(1.0 + a)
    d1 = -ndtri(c * weight)
    return d1 + np.sqrt(d1 * d1 + 2.0 * a)


def _polish(
    s: Array, a: Array, goal: Array, over_vega: Callable[[Array, Array], Array], sign: float
) -> Array:
    """Iterate until the last step was so small that the next would change nothing."""
    rows: slice | NDArray[np.intp] = slice(None)
    result = s
    goal = SQRT_2PI * goal
    for _ in range(_MAX_STEPS):
        step = _householder_step(s, a, goal, over_vega, sign)
        s = _stepped(s, step)
        result[rows] = s
        pending = np.flatnonzero(~(np.abs(step) < _LAST_STEP))
        if not pending.size:
            return result
        rows = pending if isinstance(rows, slice) else rows[pending]
        s, a, goal = s[pending], a[pending], goal[pending]
    result[rows] = np.nan  # never seen, but a number that was not found must not pass for one
    return result


def _stepped(s: Array, step: Array) -> Array:
    """Take a relative step, but at most to half or twice."""
    return s + s * np.minimum(np.maximum(step, -0.5), 1.0)


def _householder_step(
    s: Array, a: Array, goal: Array, over_vega: Callable[[Array, Array], Array], sign: float
) -> Array:
    r"""Relative step on ``f(s) = log(g(s) / goal)`` with ``g' = sign * vega``.

    The derivatives of vega are polynomials in ``h`` and ``t`` times vega, so those of ``f`` cost
    next to nothing once ``g`` over vega is there. All are scaled by powers of ``s``.
    """
    h = a / s
    t = 0.5 * s
    ratio = over_vega(h, t)
    d1 = h - t
    miss = _log_quotient(ratio, goal) - 0.5 * (d1 * d1)
    h *= h
    t *= t
    first = (sign * s) / ratio  # s f'
    newton = -miss / first
    q = h - t  # s vega' / vega
    second = q - first  # s f'' / f'
    third = q * q - 3.0 * h - t - first * (3.0 * q - 2.0 * first)  # s**2 f''' / f'
    numerator = 1.0 + 0.5 * newton * second
    return newton * numerator / (1.0 + newton * (second + third * newton * (1.0 / 6.0)))


def _log_quotient(x: Array, y: Array) -> Array:
    """``log(x / y)``, also where the quotient would overflow."""
    quotient = np.log(x / y)
    tiny = y < _TINY
    if tiny.any():
        quotient[tiny] = np.log(x[tiny]) - np.log(y[tiny])
    return quotient


def _refuse_unsolved(volatility: Array, flat: list[NDArray[Any]], shape: tuple[int, ...]) -> None:
    """Say of the first price that no volatility gives which prices would do."""
    price, forward, strike, maturity, discount, is_call = (
        np.broadcast_to(x, volatility.shape) for x in flat
    )
    unsolved = np.isnan(volatility)
    for given in (price, forward, strike, maturity, discount):
        unsolved &= ~np.isnan(given)
    if not unsolved.any():
        return
    i = int(np.argmax(unsolved))
    index = tuple(int(k) for k in np.unravel_index(i, shape))
    entry = "it" if not shape else f"entry {index[0] if len(index) == 1 else index}"
    payoff = forward[i] - strike[i] if is_call[i] else strike[i] - forward[i]
    floor = discount[i] * max(payoff, 0.0)
    cap = discount[i] * (forward[i] if is_call[i] else strike[i])
    rule = f"be at least the intrinsic value {floor:g} and below {cap:g}"
    if maturity[i] == 0.0 and floor < price[i] < cap:
        rule = f"be the intrinsic value {floor:g} when no time is left"
    raise ValueError(
        f"price must {rule}; {entry} is {price[i]} ({'call' if is_call[i] else 'put'}, "
        f"forward {forward[i]:g}, strike {strike[i]:g}, maturity {maturity[i]:g}, "
        f"discount {discount[i]:g})."
    )
