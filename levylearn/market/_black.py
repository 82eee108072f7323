r"""Black's formula, arranged so that it keeps its digits in the wings.

With :math:`a = |\log(F/K)|`, total volatility :math:`s = \sigma\sqrt{T}`, :math:`h = a/s` and
:math:`t = s/2`, the undiscounted out-of-the-money price divided by its upper bound
:math:`\min(F, K)` is

.. math:: b(a, s) = v \, B, \quad v = \varphi(h - t), \quad B = M(h - t) - M(h + t),

where :math:`\varphi` is the normal density, :math:`M(z) = N(-z)/\varphi(z)` is Mills' ratio and
:math:`v = \partial b/\partial s`. The exponentially small factor stands outside of the
difference, so a price of 1e-250 is as good, relatively, as its inputs allow. What is missing to
the bound is

.. math:: c(a, s) = 1 - b(a, s) = v \, C, \quad C = M(t - h) + M(h + t).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, ndtr

__all__ = ["BlackGreeks", "black_greeks", "black_price", "black_vega"]

Array = NDArray[np.float64]

SQRT_2PI = np.sqrt(2.0 * np.pi)
_SQRT_HALF = np.sqrt(0.5)
_SQRT_HALF_PI = np.sqrt(0.5 * np.pi)

# Below these, B is a small difference of large Mills ratios and is summed as a series instead.
# Twelve terms reach double precision at the corner.
NEAR_TOTAL_VOLATILITY = 1.0
NEAR_LOG_RATIO = 2.0
_SERIES_TERMS = 12


class BlackGreeks(NamedTuple):
    """Derivatives of Black's formula, see :func:`black_greeks`.

    Attributes
    ----------
    delta : ndarray
        Per unit of the forward.
    gamma : ndarray
        Second derivative with respect to the forward.
    vega : ndarray
        Per unit of volatility.
    theta : ndarray
        Per year of calendar time.
    rho : ndarray
        Per unit of the continuously compounded rate, at a fixed forward.
    """

    delta: Array
    gamma: Array
    vega: Array
    theta: Array
    rho: Array


def black_price(
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    volatility: ArrayLike,
    discount: ArrayLike = 1.0,
    option_type: str | ArrayLike = "call",
) -> Array:
    r"""Price European options by Black's formula.

    All arguments broadcast against each other. Out-of-the-money prices keep their relative
    accuracy however small they are: the error is a few units in the last place times
    :math:`1 + (\log(F/K) / (\sigma\sqrt{T}))^2`, which is what rounding the inputs alone would
    do. In-the-money prices are intrinsic value plus the out-of-the-money price.

    Parameters
    ----------
    forward : array-like
        Forward price of the underlying, in currency; not negative.
    strike : array-like
        Strike, in currency; not negative.
    maturity : array-like
        Time to expiry, in years; not negative.
    volatility : array-like
        Black volatility, per square root of a year; not negative. 0.2 is 20 %.
    discount : array-like, default=1.0
        Discount factor to expiry; not negative.
    option_type : {"call", "put"} or array-like of these, default="call"
        What is priced.

    Returns
    -------
    price : ndarray
        Discounted prices in the broadcast shape, a scalar if all arguments are. Without
        volatility or time left it is the discounted intrinsic value. A NaN in any argument
        gives NaN there.

    Raises
    ------
    ValueError
        If an argument is negative or infinite, an option type is unknown, or the shapes do not
        broadcast; the message names the argument, the entry and its value.

    See Also
    --------
    black_greeks : Derivatives of the price.
    implied_volatility : The inverse.

    References
    ----------
    .. [1] Black, F. (1976). The pricing of commodity contracts. Journal of Financial Economics.
    .. [2] Jäckel, P. (2015). Let's be rational. Wilmott.

    Examples
    --------
    >>> from levylearn.market import black_price
    >>> black_price(100.0, [90.0, 100.0, 110.0], 1.0, 0.2).round(6)
    array([13.589108,  7.965567,  4.292011])
    >>> float(black_price(1.0, 1.2, 0.01, 0.06)) < 1e-200
    True
    """
    forward, strike, maturity, volatility, discount, is_call = _arguments(
        forward, strike, maturity, volatility, discount, option_type
    )
    total = volatility * np.sqrt(maturity)
    with np.errstate(all="ignore"):
        intrinsic = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
        price = discount * (intrinsic + out_of_the_money_value(forward, strike, total))
    return price[()]


def black_vega(
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    volatility: ArrayLike,
    discount: ArrayLike = 1.0,
) -> Array:
    r"""Differentiate Black's formula with respect to volatility.

    Calls and puts have the same vega.

    Parameters
    ----------
    forward, strike, maturity, volatility, discount : array-like
        As in :func:`black_price`.

    Returns
    -------
    vega : ndarray
        Currency per unit of volatility (divide by 100 for "per point"), in the broadcast shape.

    Raises
    ------
    ValueError
        As in :func:`black_price`.

    Examples
    --------
    >>> from levylearn.market import black_vega
    >>> black_vega(100.0, [90.0, 100.0, 110.0], 1.0, 0.2).round(6)
    array([32.779093, 39.695255, 37.163844])
    """
    forward, strike, maturity, volatility, discount, _ = _arguments(
        forward, strike, maturity, volatility, discount, "call"
    )
    root_time = np.sqrt(maturity)
    with np.errstate(all="ignore"):
        h, t = _h_and_t(log_ratio(forward, strike), volatility * root_time)
        low = np.minimum(forward, strike)
        return (discount * low * root_time * density(h - t))[()]


def black_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    volatility: ArrayLike,
    discount: ArrayLike = 1.0,
    option_type: str | ArrayLike = "call",
) -> BlackGreeks:
    r"""Differentiate Black's formula.

    The forward is the underlying here. With a spot :math:`S` and :math:`F = S e^{(r-q)T}`, the
    spot delta is ``delta * forward / spot`` and the spot gamma ``gamma * (forward / spot)**2``.

    Parameters
    ----------
    forward, strike, maturity, volatility, discount, option_type : array-like
        As in :func:`black_price`, but with a positive forward and discount factor.

    Returns
    -------
    greeks : BlackGreeks
        Named tuple of arrays in the broadcast shape. ``delta``, ``gamma``: first and second
        derivative with respect to the forward. ``vega``: per unit of volatility. ``theta``:
        price change per year of calendar time, with the forward, the volatility and the rate
        :math:`r = -\log(D)/T` held (divide by 365 for a day). ``rho``: derivative with respect
        to that rate with the forward held, :math:`-T` times the price. Without volatility or
        time left, gamma at the money is infinite, and without time left theta there is minus
        infinity.

    Raises
    ------
    ValueError
        As in :func:`black_price`, and for a zero forward or discount factor.

    Examples
    --------
    >>> from levylearn.market import black_greeks
    >>> greeks = black_greeks(100.0, 105.0, 0.5, 0.2, discount=0.99, option_type="put")
    >>> [round(float(value), 6) for value in greeks]
    [-0.601988, 0.026896, 26.896356, -5.207776, -4.265897]
    """
    forward, strike, maturity, volatility, discount, is_call = _arguments(
        forward,
        strike,
        maturity,
        volatility,
        discount,
        option_type,
        positive=("forward", "discount"),
    )
    root_time = np.sqrt(maturity)
    total = volatility * root_time
    with np.errstate(all="ignore"):
        ratio = log_ratio(forward, strike)
        h, t = _h_and_t(ratio, total)
        # vega per unit of total volatility, from which vega, gamma and theta differ by factors
        kernel = discount * np.minimum(forward, strike) * density(h - t)
        d1 = np.where(forward >= strike, h, -h) + t
        delta = discount * np.where(is_call, ndtr(d1), -ndtr(-d1))
        gamma = np.where(kernel == 0.0, 0.0, kernel / (forward * forward * total))
        intrinsic = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
        price = discount * (intrinsic + out_of_the_money_value(forward, strike, total))
        rate = np.where(maturity > 0.0, -np.log(discount) / maturity, 0.0)
        decay = kernel * volatility / (2.0 * root_time)
        theta = rate * price - np.where(kernel * volatility == 0.0, 0.0, decay)
        rho = -maturity * price
    missing = np.isnan(price)
    fields = (delta, gamma, kernel * root_time, theta, rho)
    return BlackGreeks(*(np.where(missing, np.nan, field)[()] for field in fields))


def log_ratio(forward: Array, strike: Array) -> Array:
    """``|log(forward / strike)|``, to relative accuracy also near the money."""
    low = np.minimum(forward, strike)
    excess = np.abs(forward - strike) / low
    ratio = np.where(forward == strike, 0.0, np.log1p(excess))
    huge = excess == np.inf
    if huge.any():
        return np.where(huge, np.log(np.maximum(forward, strike)) - np.log(low), ratio)
    return ratio


def out_of_the_money_value(forward: Array, strike: Array, total: Array) -> Array:
    """Undiscounted price of the out-of-the-money option; call under ``errstate(all="ignore")``."""
    ratio, total, low = np.broadcast_arrays(
        log_ratio(forward, strike), total, np.minimum(forward, strike)
    )
    h, t = _h_and_t(ratio, total)
    vega = low * density(h - t)
    near = (total < NEAR_TOTAL_VOLATILITY) & (ratio < NEAR_LOG_RATIO) & (h < np.inf)
    high = ~near & (t > h)
    far = ~(near | high)
    value = np.empty(ratio.shape)
    value[near] = vega[near] * value_over_vega_near(h[near], t[near])
    value[far] = vega[far] * value_over_vega_far(h[far], t[far])
    value[high] = low[high] - vega[high] * gap_over_vega(h[high], t[high])
    # Far out, the series is rounding noise of either sign times a vega of zero.
    return np.maximum(value, 0.0)


def value_over_vega_near(h: Array, t: Array) -> Array:
    r"""``B(h, t)`` for small ``t`` and ``h t``, as a series in ``t``.

    ``B`` is twice the sum of ``t**(2k+1) / (2k+1)!`` times the odd derivatives of Mills' ratio
    (up to sign), which obey a three-term recurrence.
    """
    t2 = t * t
    t4 = t2 * t2
    before = 1.0 - h * mills_ratio(h)
    total = before.copy()
    weight = (h * t) ** 2 + 3.0 * t2
    term = (weight * before - t2) / 6.0
    total += term
    t2 *= 4.0
    for k in range(1, _SERIES_TERMS):
        weight += t2
        before *= t4
        before -= weight * term
        before *= -1.0 / ((2 * k + 2) * (2 * k + 3))
        total += before
        before, term = term, before
    total *= 2.0 * t
    return total


def value_over_vega_far(h: Array, t: Array) -> Array:
    """``B(h, t)`` as a difference of Mills ratios; cancels where both are near one value."""
    return mills_ratio(h - t) - mills_ratio(h + t)


def gap_over_vega(h: Array, t: Array) -> Array:
    """``C(h, t)``, a sum of positive terms."""
    return mills_ratio(t - h) + mills_ratio(t + h)


def mills_ratio(z: Array) -> Array:
    """``N(-z)`` over the normal density at ``z``."""
    ratio = erfcx(z * _SQRT_HALF)
    ratio *= _SQRT_HALF_PI
    return ratio


def density(z: Array) -> Array:
    """Normal density at ``z``."""
    return np.exp(-0.5 * (z * z)) / SQRT_2PI


def _h_and_t(ratio: Array, total: Array) -> tuple[Array, Array]:
    """``h`` and ``t``, with ``h = 0`` at the money also when there is no volatility."""
    return np.where(ratio == 0.0, 0.0 * total, ratio / total), 0.5 * total


def _arguments(
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    volatility: ArrayLike,
    discount: ArrayLike,
    option_type: str | ArrayLike,
    positive: Iterable[str] = (),
) -> tuple[Array, Array, Array, Array, Array, NDArray[np.bool_]]:
    """Checked arguments of Black's formula, and whether the option is a call."""
    arrays = {
        name: non_negative(name, values, strict=name in positive)
        for name, values in (
            ("forward", forward),
            ("strike", strike),
            ("maturity", maturity),
            ("volatility", volatility),
            ("discount", discount),
        )
    }
    is_call = calls(option_type)
    common_shape(option_type=is_call, **arrays)
    return (*arrays.values(), is_call)  # type: ignore[return-value]


def non_negative(name: str, values: ArrayLike, strict: bool = False) -> Array:
    """Convert to float64 and refuse infinite and negative entries; NaN passes."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers; got {values!r}.") from error
    bad = (array <= 0.0 if strict else array < 0.0) | (array == np.inf)
    if bad.any():
        rule = "positive" if strict else "non-negative"
        entry, value = _first(bad, array)
        raise ValueError(f"{name} must be {rule} and finite; {entry} is {value}.")
    return array


def calls(option_type: str | ArrayLike) -> NDArray[np.bool_]:
    """Whether each option is a call; refuse what is neither call nor put."""
    types = np.asarray(option_type)
    is_call = np.asarray(types == "call", dtype=bool)
    bad = ~(is_call | np.asarray(types == "put", dtype=bool))
    if bad.any():
        entry, value = _first(bad, types)
        raise ValueError(f"option_type must be 'call' or 'put'; {entry} is {value!r}.")
    return is_call


def common_shape(**arrays: NDArray[Any]) -> tuple[int, ...]:
    """Shape to which the arrays broadcast."""
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"arguments must broadcast to one shape; got {shapes}.") from None


def _first(bad: NDArray[np.bool_], array: NDArray[Any]) -> tuple[str, Any]:
    """Name and value of the first bad entry."""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    if not index:
        return "it", array[()].item() if array.dtype != object else array[()]
    entry = index[0] if len(index) == 1 else index
    value = array[index]
    return f"entry {entry}", value.item() if isinstance(value, np.generic) else value
