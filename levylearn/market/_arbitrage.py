"""Static arbitrage in surfaces of option prices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.market._check import floats
from levylearn.market._grid import OptionGrid

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ArbitrageReport", "check_arbitrage"]

_Array = NDArray[np.float64]

_KINDS = ("bounds", "monotonicity", "convexity", "calendar", "parity")

# Surfaces are checked so many at a time, to keep the intermediate arrays in the cache.
_CHUNK = 2048

# Prices per unit of spot are known to so much, where the caller does not say.
_DEFAULT_TOLERANCE = 1e-9


def check_arbitrage(
    prices: ArrayLike, grid: OptionGrid, *, tolerance: ArrayLike | None = None
) -> ArbitrageReport:
    r"""Look for static arbitrage in one surface of option prices or in many.

    Every violation reported is a portfolio of the quotes, the underlying and cash
    that costs less than nothing and never pays less than nothing, whatever the
    model. Nothing is changed, dropped or warned about.

    Parameters
    ----------
    prices : array-like of shape (n_quotes,) or (n_samples, n_quotes)
        Prices in currency, in the order of the grid; NaN = not quoted.
    grid : OptionGrid
        The contracts.
    tolerance : float or array-like of shape (n_quotes,), default=None
        By how much each price may be off, in currency. A portfolio has to gain more
        than the tolerances of its legs together. With the half spreads of a chain,
        what is reported can be traded at the bids and asks. None: 1e-9 of spot,
        which allows for rounding.

    Returns
    -------
    report : ArbitrageReport
        Counts and sizes per surface, and a table of all violations.

    Raises
    ------
    ValueError
        If shapes do not match, a price is infinite or the tolerance is negative.

    See Also
    --------
    QuoteChain : Its ``half_spread`` can serve as the tolerance.

    Notes
    -----
    Puts are turned into calls by put-call parity, :math:`C = P + D (F - K)`. Where a
    strike has several quotes, the out-of-the-money one stands for it. With the
    forward-normalised call :math:`c = C / (D F)` and :math:`k = K / F`, the kinds are:

    ``"bounds"``
        :math:`D \max(F - K, 0) \le C \le D F`; for puts the same after parity,
        :math:`D \max(K - F, 0) \le P \le D K`.
    ``"monotonicity"``
        From one quoted strike to the next, calls do not rise, and do not fall by
        more than the discounted difference of strikes (puts do not fall).
    ``"convexity"``
        No call is worth more than the straight line between its neighbours
        (butterflies of any spacing). The forward, a call of strike zero, is the
        left neighbour of the lowest strike.
    ``"calendar"``
        At equal k, c does not fall with maturity. Since strikes of different
        maturities rarely have equal k, an earlier quote is compared with the
        *upper bound* on c that the later maturity's quotes allow: the straight
        line between its neighbours there, or, beyond its highest strike, the quote
        at that strike. A quote above it is an arbitrage however the later smile
        runs in between, so that there are no false alarms; a breach that would only
        show in between strikes may be missed. Each quote is compared with all later
        maturities, and the worst is reported. The rule presumes that rates and
        dividend yields are deterministic.
    ``"parity"``
        Quotes of one strike and maturity, call or put, give the same call.

    With these, the strikes of one maturity are checked completely [1]_. One wrong
    price can be reported more than once, by several portfolios.

    References
    ----------
    .. [1] M. H. A. Davis and D. G. Hobson, "The range of traded option prices",
       Mathematical Finance 17 (2007), 1-14.

    Examples
    --------
    >>> from levylearn.market import OptionGrid, check_arbitrage
    >>> grid = OptionGrid([90, 100, 110], [0.5, 1.0])
    >>> report = check_arbitrage([13.0, 9.5, 3.0, 15.0, 9.2, 5.0], grid)
    >>> report
    ArbitrageReport(n_samples=1, n_violations=2: 1 convexity, 1 calendar)
    >>> report.to_frame()[["kind", "maturity", "strike", "size"]]
              kind  maturity  strike  size
    0    convexity       0.5   100.0   1.5
    1     calendar       0.5   100.0   0.3
    """
    array = floats("prices", prices)
    surfaces = np.atleast_2d(array)
    if array.ndim not in (1, 2) or surfaces.shape[1] != grid.n_quotes:
        raise ValueError(
            f"prices must have shape ({grid.n_quotes},) or (n_samples, {grid.n_quotes}), one "
            f"column per quote of the grid; got {array.shape}."
        )
    bad = np.argwhere(np.isinf(surfaces))
    if len(bad):
        i, j = bad[0]
        raise ValueError(f"prices must be finite, or NaN where not quoted; row {i}, column {j}.")
    return ArbitrageReport(surfaces, grid, _tolerance(tolerance, grid))


def _tolerance(tolerance: ArrayLike | None, grid: OptionGrid) -> _Array:
    if tolerance is None:
        tolerance = _DEFAULT_TOLERANCE * grid.spot
    array = floats("tolerance", tolerance)
    if array.shape not in ((), (grid.n_quotes,)):
        raise ValueError(
            f"tolerance must be a number or one per quote ({grid.n_quotes}); got {array.shape}."
        )
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        raise ValueError(
            f"tolerance must be finite and >= 0; entry {bad[0]} is {array.ravel()[bad[0]]}."
        )
    return np.broadcast_to(array, grid.n_quotes)


class ArbitrageReport:
    """What :func:`check_arbitrage` found.

    Attributes
    ----------
    n_samples : int
        Number of surfaces.
    kinds : tuple of str
        The kinds of violation looked for.
    counts : dict of str to ndarray of int of shape (n_samples,)
        Number of violations of each kind in each surface.
    largest : dict of str to ndarray of shape (n_samples,)
        Size of the largest violation of each kind, in currency; zero if none.
    is_free : ndarray of bool of shape (n_samples,)
        Which surfaces have no violation.
    n_violations : int
        Number of all violations together.
    """

    def __init__(self, prices: _Array, grid: OptionGrid, tolerance: _Array) -> None:
        self._prices, self._grid, self._tolerance = prices, grid, tolerance
        self.kinds = _KINDS
        self.n_samples = len(prices)
        self.counts = {kind: np.zeros(self.n_samples, dtype=np.int64) for kind in _KINDS}
        self.largest = {kind: np.zeros(self.n_samples) for kind in _KINDS}
        for start, breach in self._breaches():
            rows = slice(start, start + len(breach.size))
            self.counts[breach.kind][rows] += np.count_nonzero(breach.size, axis=1)
            largest = self.largest[breach.kind][rows]
            np.maximum(largest, breach.size.max(axis=1, initial=0.0), out=largest)
        self.is_free = np.sum(list(self.counts.values()), axis=0) == 0
        self.n_violations = int(sum(count.sum() for count in self.counts.values()))

    def _breaches(self) -> Iterator[tuple[int, _Breach]]:
        slices = [_Slice(self._grid, quotes) for _, quotes in self._grid.slices]
        for start in range(0, self.n_samples, _CHUNK):
            prices = self._prices[start : start + _CHUNK]
            for breach in _breaches(prices, self._grid, self._tolerance, slices):
                yield start, breach

    def to_frame(self) -> pd.DataFrame:
        """Return all violations, one per row, in the order of samples, kinds and quotes.

        Returns
        -------
        frame : DataFrame
            Columns: ``sample``; ``kind``; ``quote``, the index on the grid of the
            quote at fault; its ``maturity`` and ``strike``; ``later_maturity``, for
            calendar; ``strike_low`` and ``strike_high``, the neighbours it was
            compared with (strike_low = 0 is the forward; NaN = none); ``size``, what
            the portfolio earns per option ``quote`` that it trades, in currency.
        """
        import pandas as pd

        parts = [_rows(breach, start) for start, breach in self._breaches()]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        order = np.lexsort([columns[name] for name in ("quote", "kind", "sample")])
        columns = {name: values[order] for name, values in columns.items()}
        columns["kind"] = np.array(_KINDS, dtype=object)[columns["kind"]]
        columns["maturity"] = self._grid.maturity[columns["quote"]]
        columns["strike"] = self._grid.strike[columns["quote"]]
        return pd.DataFrame({name: columns[name] for name in _FRAME_COLUMNS})

    def __repr__(self) -> str:
        found = {kind: int(count.sum()) for kind, count in self.counts.items() if count.any()}
        each = ", ".join(f"{count} {kind}" for kind, count in found.items())
        return (
            f"ArbitrageReport(n_samples={self.n_samples}, n_violations={self.n_violations}"
            f"{': ' if each else ''}{each})"
        )


_FRAME_COLUMNS = (
    "sample",
    "kind",
    "quote",
    "maturity",
    "later_maturity",
    "strike_low",
    "strike",
    "strike_high",
    "size",
)


class _Breach(NamedTuple):
    """Portfolios of one kind that were looked at: samples in rows, one portfolio per column.

    All but the kind and the sizes broadcast against the sizes.
    """

    kind: str
    size: _Array  # (n_samples, m), zero where there is no arbitrage
    quote: NDArray[np.integer[Any]]
    strike_low: _Array | float = np.nan
    strike_high: _Array | float = np.nan
    later_maturity: _Array | float = np.nan


def _rows(breach: _Breach, start: int) -> dict[str, NDArray[Any]]:
    """Return the violations among the portfolios, one entry for each."""
    sample, column = np.nonzero(breach.size)
    rows = {
        name: np.broadcast_to(np.asarray(values), breach.size.shape)[sample, column]
        for name, values in breach._asdict().items()
        if name != "kind"
    }
    kind = np.full(len(sample), _KINDS.index(breach.kind))
    return {"sample": sample + start, "kind": kind, **rows}


def _gain(gain: _Array, allowance: _Array) -> _Array:
    """Return the gains that count; those of quotes that are missing are NaN, and do not."""
    return np.where(gain > allowance, gain, 0.0)


class _Slice:
    """The strikes of one maturity, and the quotes at each: out-of-the-money ones first."""

    def __init__(self, grid: OptionGrid, quotes: NDArray[np.intp]) -> None:
        first = quotes[0]
        self.maturity = grid.maturity[first]
        self.forward, self.discount = grid.forward[first], grid.discount[first]
        in_the_money = grid.is_call[quotes] == (grid.strike[quotes] < self.forward)
        quotes = quotes[np.lexsort([in_the_money, grid.strike[quotes]])]
        self.strikes, start, count = np.unique(
            grid.strike[quotes], return_index=True, return_counts=True
        )
        ranks = range(count.max())
        # The r-th quote at each strike, or the last one where there are fewer;
        self.ranked = [quotes[start + np.minimum(rank, count - 1)] for rank in ranks]
        # the strikes that have an r-th quote, and that quote, for r > 0.
        several = [np.flatnonzero(count > rank) for rank in ranks[1:]]
        self.others = [(at, quotes[start[at] + rank]) for rank, at in enumerate(several, start=1)]


class _Calls:
    """Call prices of one maturity, one per strike, for a batch of surfaces.

    Node 0 is the call of strike zero, which is the discounted forward and always known.
    """

    def __init__(self, slice_: _Slice, calls: _Array, tolerance: _Array) -> None:
        quote = np.broadcast_to(slice_.ranked[0], (len(calls), len(slice_.strikes)))
        price = calls[:, slice_.ranked[0]]
        for ranked in slice_.ranked[1:]:
            missing = np.isnan(price)
            price = np.where(missing, calls[:, ranked], price)
            quote = np.where(missing, ranked, quote)
        self.slice = slice_
        self.quote = quote
        self.strikes = np.concatenate([[0.0], slice_.strikes])
        self.price = _with_first(slice_.discount * slice_.forward, price)
        self.tolerance = _with_first(0.0, tolerance[quote])
        # Nearest node that is quoted, at each node or left of it; at it or right of it
        # (n_nodes where there is none).
        n_nodes = len(self.strikes)
        quoted, node = ~np.isnan(self.price), np.arange(n_nodes)
        self.left = np.maximum.accumulate(np.where(quoted, node, 0), axis=1)
        right = np.where(quoted, node, n_nodes)[:, ::-1]
        self.right = np.minimum.accumulate(right, axis=1)[:, ::-1]


def _with_first(value: float, array: _Array) -> _Array:
    return np.concatenate([np.full((len(array), 1), value), array], axis=1)


class _Chord(NamedTuple):
    """Highest price that convexity and monotonicity leave to a call between two others."""

    price: _Array
    tolerance: _Array
    strike_low: _Array
    strike_high: _Array  # NaN beyond the last strike, where the chord is flat


def _chord(calls: _Calls, strike: _Array, left: NDArray[Any], right: NDArray[Any]) -> _Chord:
    n_nodes = len(calls.strikes)
    beyond = right == n_nodes
    right = np.where(beyond, left, right)
    low, high = calls.strikes[left], calls.strikes[right]
    width = high - low
    # The left end has all the weight where both ends are one.
    weight = np.divide(high - strike, width, out=np.ones_like(width), where=width > 0)
    price, tolerance = (
        weight * np.take_along_axis(values, left, axis=1)
        + (1 - weight) * np.take_along_axis(values, right, axis=1)
        for values in (calls.price, calls.tolerance)
    )
    return _Chord(price, tolerance, low, np.where(beyond, np.nan, high))


def _breaches(
    prices: _Array, grid: OptionGrid, tolerance: _Array, slices: list[_Slice]
) -> Iterator[_Breach]:
    forward_value = grid.discount * (grid.forward - grid.strike)
    calls = np.where(grid.is_call, prices, prices + forward_value)
    yield _bounds(calls, grid, tolerance)
    by_maturity = [_Calls(slice_, calls, tolerance) for slice_ in slices]
    for i, at_maturity in enumerate(by_maturity):
        yield _monotonicity(at_maturity)
        yield _convexity(at_maturity)
        yield _calendar(at_maturity, by_maturity[i + 1 :])
        for strikes, quotes in at_maturity.slice.others:
            yield _parity(at_maturity, strikes, quotes, calls, tolerance)


def _bounds(calls: _Array, grid: OptionGrid, tolerance: _Array) -> _Breach:
    highest = grid.discount * grid.forward
    lowest = np.maximum(grid.discount * (grid.forward - grid.strike), 0.0)
    gain = np.maximum(lowest - calls, calls - highest)
    return _Breach("bounds", _gain(gain, tolerance), np.arange(grid.n_quotes))


def _monotonicity(calls: _Calls) -> _Breach:
    left = calls.left[:, :-1]
    price, tolerance = calls.price[:, 1:], calls.tolerance[:, 1:]
    low = calls.strikes[left]
    rise = price - np.take_along_axis(calls.price, left, axis=1)
    # What is left of a fall when the discounted difference of strikes is taken off.
    fall = -rise - calls.slice.discount * (calls.strikes[1:] - low)
    # Against the forward this is a question of bounds.
    gain = np.where(left > 0, np.maximum(rise, fall), np.nan)
    allowance = tolerance + np.take_along_axis(calls.tolerance, left, axis=1)
    return _Breach("monotonicity", _gain(gain, allowance), calls.quote, low)


def _convexity(calls: _Calls) -> _Breach:
    # The highest strike has no right neighbour.
    price, tolerance = calls.price[:, 1:-1], calls.tolerance[:, 1:-1]
    left, right = calls.left[:, :-2], calls.right[:, 2:]
    chord = _chord(calls, calls.strikes[1:-1], left, right)
    # Against a flat chord this is a question of monotonicity.
    gain = np.where(np.isnan(chord.strike_high), np.nan, price - chord.price)
    size = _gain(gain, tolerance + chord.tolerance)
    return _Breach("convexity", size, calls.quote[:, :-1], chord.strike_low, chord.strike_high)


def _calendar(calls: _Calls, later: list[_Calls]) -> _Breach:
    price, tolerance = calls.price[:, 1:], calls.tolerance[:, 1:]
    size, excess = np.zeros_like(price), np.zeros_like(price)
    details = [np.full_like(price, np.nan) for _ in range(3)]
    for other in later:
        chord, per_call = _later_chord(calls, other)
        # Against the forward alone, for want of later quotes, it is a question of bounds.
        quoted = (chord.strike_low > 0) | ~np.isnan(chord.strike_high)
        gain = np.where(quoted, price - per_call * chord.price, np.nan)
        over = gain - tolerance - per_call * chord.tolerance
        worse = over > excess
        excess = np.where(worse, over, excess)
        size = np.where(worse, gain, size)
        found = (chord.strike_low, chord.strike_high, other.slice.maturity)
        details = [np.where(worse, new, old) for new, old in zip(found, details, strict=True)]
    return _Breach("calendar", size, calls.quote, *details)


def _later_chord(calls: _Calls, other: _Calls) -> tuple[_Chord, float]:
    """Return the bound a later maturity sets at equal K / F, and its calls per call."""
    near, far = calls.slice, other.slice
    strike = calls.strikes[1:] * (far.forward / near.forward)
    n_nodes = len(other.strikes)
    left = other.left[:, np.searchsorted(other.strikes, strike, side="right") - 1]
    at_or_right = np.searchsorted(other.strikes, strike, side="left")
    right = np.where(
        at_or_right == n_nodes, n_nodes, other.right[:, np.minimum(at_or_right, n_nodes - 1)]
    )
    # exp(q (T2 - T1)) late calls pay at least as much as one early call of equal K / F.
    per_call = near.discount * near.forward / (far.discount * far.forward)
    return _chord(other, np.broadcast_to(strike, left.shape), left, right), per_call


def _parity(
    calls: _Calls,
    strikes: NDArray[np.intp],
    quotes: NDArray[np.intp],
    all_calls: _Array,
    tolerance: _Array,
) -> _Breach:
    gain = np.abs(all_calls[:, quotes] - calls.price[:, 1 + strikes])
    allowance = tolerance[quotes] + calls.tolerance[:, 1 + strikes]
    return _Breach("parity", _gain(gain, allowance), quotes)
