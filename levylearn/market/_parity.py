r"""Forwards and discount factors: as given, or from put-call parity.

For European options of one strike and maturity, :math:`C - P = D (F - K)`. Over the strikes
at which both are quoted this is a straight line in K, whose slope is :math:`-D` and whose
root is :math:`F`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.market._quote_table import QuoteTable

__all__ = ["Market", "SliceMarket", "check_one_market", "infer_market"]

_Array = NDArray[np.float64]

# A column that gives one forward per quote may have been rounded differently.
_SAME = 1e-8


class SliceMarket(NamedTuple):
    """Forward and discount factor of one maturity, and where they come from."""

    maturity: float
    forward: float
    discount: float
    source: str
    rate_error: float  # standard error of the rate, NaN where it was given


class Market(NamedTuple):
    """Spot, and one :class:`SliceMarket` per maturity."""

    spot: float
    slices: list[SliceMarket]
    # Maturities at which the dividend was not known and was taken as zero.
    without_dividend: list[float]


class _Pairs(NamedTuple):
    """Strikes with a call and a put: their difference, and how well it is known."""

    strike: _Array
    difference: _Array
    spread: _Array  # half of the two spreads together, zero where unknown

    def __len__(self) -> int:
        return len(self.strike)


def infer_market(table: QuoteTable, spot: float | None) -> Market:
    """Find the forward and the discount factor of each maturity of a table."""
    slices, without_dividend = [], []
    for maturity in np.unique(table.maturity):
        quotes = table.take(table.maturity == maturity)
        slice_market, assumed = _slice_market(quotes, float(maturity), spot)
        slices.append(slice_market)
        if assumed:
            without_dividend.append(float(maturity))
    # Any spot with the right forwards gives the right prices; without one, the nearest
    # forward, discounted, is today's price of the underlying less its next dividends.
    near = slices[0]
    return Market(near.forward * near.discount if spot is None else spot, slices, without_dividend)


def _slice_market(
    quotes: QuoteTable, maturity: float, spot: float | None
) -> tuple[SliceMarket, bool]:
    forward = _one_value("forward", quotes.forward, maturity)
    discount = _one_value("discount", quotes.discount, maturity)
    dividend = _one_value("dividend", quotes.dividend, maturity)
    prepaid = None  # what the underlying costs today if delivered at maturity: D F
    if forward is None and dividend is not None and spot is not None:
        prepaid = spot * np.exp(-dividend * maturity)

    source, rate_error, assumed = "given", np.nan, False
    if discount is not None and forward is None:
        forward, source, assumed = _forward(quotes, maturity, discount, prepaid, spot)
    elif discount is None:
        pairs = _need_pairs(quotes, maturity, 2 if forward is None and prepaid is None else 1)
        forward, discount, rate_error = _line(pairs, maturity, forward, prepaid)
        source = f"put-call parity at {_strikes(pairs)}"
    assert forward is not None and discount is not None
    _check_plausible(forward, discount, maturity)
    return SliceMarket(maturity, forward, discount, source, rate_error), assumed


def check_one_market(table: QuoteTable) -> None:
    """Refuse a table whose quotes of one maturity have different forwards or rates."""
    for maturity in np.unique(table.maturity):
        quotes = table.maturity == maturity
        for name in ("forward", "discount", "dividend"):
            _one_value(name, getattr(table, name)[quotes], float(maturity))


def _one_value(name: str, values: _Array, maturity: float) -> float | None:
    """Return what the quotes of one maturity agree on, None if none of them says."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return None
    if np.ptp(known) > _SAME * max(1.0, np.abs(known).max()):
        raise ValueError(
            f"{name} must be the same for all quotes of one maturity; at maturity {maturity:g} "
            f"it runs from {known.min():g} to {known.max():g}."
        )
    return float(known[0])


def _forward(
    quotes: QuoteTable,
    maturity: float,
    discount: float,
    prepaid: float | None,
    spot: float | None,
) -> tuple[float, str, bool]:
    """Return the forward where the discount factor is known."""
    if prepaid is not None:
        return prepaid / discount, "spot, rate and dividend", False
    pairs = _pairs(quotes)
    if len(pairs):
        # F = K + (C - P) / D at each strike
        forwards = pairs.strike + pairs.difference / discount
        forward = _robust_line(np.ones((len(pairs), 1)), forwards, pairs.spread / discount)[0][0]
        return float(forward), f"rate, and put-call parity at {_strikes(pairs)}", False
    if spot is not None:
        return spot / discount, "spot and rate, no dividend", True
    raise ValueError(
        f"the forward at maturity {maturity:g} is unknown: no strike there has both a call and "
        f"a put, and there is no spot. Give spot= and dividend= (0 for none), or columns "
        f"'spot' and 'dividend', or a column 'forward'."
    )


def _strikes(pairs: _Pairs) -> str:
    return f"{len(pairs)} strike{'' if len(pairs) == 1 else 's'}"


def _need_pairs(quotes: QuoteTable, maturity: float, n_needed: int) -> _Pairs:
    pairs = _pairs(quotes)
    if len(pairs) >= n_needed:
        return pairs
    raise ValueError(
        f"the discount factor at maturity {maturity:g} is unknown: no rate is given, and "
        f"put-call parity needs a call and a put at {n_needed} or more strikes; they are quoted "
        f"together at {_strikes(pairs)}. Give rate= (and, if no strike has both types, spot= and "
        f"dividend=), or columns 'rate' or 'discount'."
    )


def _pairs(quotes: QuoteTable) -> _Pairs:
    call, put = quotes.option_type == "call", quotes.option_type == "put"
    quoted = ~np.isnan(quotes.mid)
    strike, i, j = np.intersect1d(
        quotes.strike[call & quoted], quotes.strike[put & quoted], return_indices=True
    )
    i, j = np.flatnonzero(call & quoted)[i], np.flatnonzero(put & quoted)[j]
    half_spread = (quotes.ask - quotes.bid) / 2
    return _Pairs(
        strike, quotes.mid[i] - quotes.mid[j], np.nan_to_num(half_spread[i] + half_spread[j])
    )


def _line(
    pairs: _Pairs, maturity: float, forward: float | None, prepaid: float | None
) -> tuple[float, float, float]:
    """Return forward, discount factor and the rate's standard error from the parity line."""
    strike, difference, spread = pairs
    if forward is not None:
        coefficients, error = _robust_line((forward - strike)[:, None], difference, spread)
        discount = coefficients[0]
    elif prepaid is not None:
        coefficients, error = _robust_line(-strike[:, None], difference - prepaid, spread)
        discount = coefficients[0]
        forward = prepaid / discount if discount > 0 else np.nan
    else:
        # Measured from the middle strike: the intercept and the slope do not mix.
        centre = np.mean(strike)
        design = np.column_stack([centre - strike, np.ones_like(strike)])
        coefficients, error = _robust_line(design, difference, spread)
        discount = coefficients[0]
        forward = centre + coefficients[1] / discount if discount > 0 else np.nan
    _check_plausible(forward, discount, maturity)
    return float(forward), float(discount), float(error / (discount * maturity))


def _robust_line(design: _Array, y: _Array, spread: _Array) -> tuple[_Array, float]:
    """Fit y = design @ coefficients, without the points that no such line explains.

    A first line from medians, which up to a quarter of stale pairs do not move, tells
    which pairs to trust; those are fitted by least squares, weighted by one over the
    squared spread. Returns the coefficients and the standard error of the first.
    """
    weight = 1 / _positive_spread(spread)
    residual = np.abs(y - design @ _median_line(design, y, weight))
    # Not an outlier: what lies within its own spread, or within the scatter of the rest.
    scatter = 4 * 1.4826 * np.median(residual)
    trusted = residual <= np.maximum(spread, scatter)
    return _weighted_line(design[trusted], y[trusted], weight[trusted])


def _median_line(design: _Array, y: _Array, weight: _Array) -> _Array:
    """Return a line of medians: of the slopes of all pairs of points, then of intercepts."""
    x = design[:, 0]
    if design.shape[1] == 1:
        # The least sum of absolute residuals of a line through the origin.
        away = x != 0
        return np.array([_weighted_median(y[away] / x[away], (weight * np.abs(x))[away])])
    i, j = np.triu_indices(len(x), 1)
    run = x[i] - x[j]
    slope = _weighted_median((y[i] - y[j]) / run, np.abs(run) / (1 / weight[i] + 1 / weight[j]))
    return np.array([slope, _weighted_median(y - slope * x, weight)])


def _weighted_median(values: _Array, weight: _Array) -> float:
    if not values.size:
        return 0.0
    order = np.argsort(values)
    cumulated = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])


def _weighted_line(design: _Array, y: _Array, weight: _Array) -> tuple[_Array, float]:
    A, b = design * weight[:, None], y * weight
    coefficients = np.asarray(np.linalg.lstsq(A, b, rcond=None)[0], dtype=np.float64)
    n_free = len(b) - len(coefficients)
    if n_free <= 0:
        return coefficients, np.nan
    variance = np.sum((b - A @ coefficients) ** 2) / n_free
    return coefficients, float(np.sqrt(variance * np.linalg.pinv(A.T @ A)[0, 0]))


def _positive_spread(spread: _Array) -> _Array:
    """Where bid equals ask, or one is missing, take the least spread that is known."""
    known = spread[spread > 0]
    return np.where(spread > 0, spread, known.min() if known.size else 1.0)


def _check_plausible(forward: float, discount: float, maturity: float) -> None:
    if forward > 0 and discount > 0 and np.isfinite(forward) and np.isfinite(discount):
        return
    raise ValueError(
        f"forward {forward:g} and discount factor {discount:g} at maturity {maturity:g}: both "
        f"must be positive. If they come from put-call parity, calls and puts do not belong to "
        f"one market; give rate= and dividend=, or columns 'discount' and 'forward'."
    )
