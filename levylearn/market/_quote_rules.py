"""Which quotes are used, which are left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.market._quote_table import QuoteTable

__all__ = ["DroppedQuote", "describe", "merge_duplicates", "usable_quotes"]

# A mid that was rounded, or computed in another order, is not outside its bid and ask.
_MID_SLACK = 1e-9


class DroppedQuote(NamedTuple):
    """A row of the table that is not a quote of the chain, and the rule it broke."""

    row: Any
    strike: float
    maturity: float
    option_type: str
    reason: str
    detail: str


def usable_quotes(table: QuoteTable) -> tuple[QuoteTable, list[DroppedQuote]]:
    """Leave out the quotes that cannot be used; settle the mid price of the others."""
    table = replace(table, mid=_mid(table))
    rules = _price_rules(table) if table.has_prices else _volatility_rules(table)
    rules = {"expired": table.maturity <= 0, **rules}
    # Each quote is reported once, for the first rule it breaks.
    reason = np.select(list(rules.values()), list(rules), default="")
    dropped = [_dropped(table, i, reason[i]) for i in np.flatnonzero(reason != "")]
    if len(dropped) == len(table):
        raise ValueError(f"no usable quote in the chain: {describe(dropped)}.")
    return table.take(reason == ""), dropped


def _mid(table: QuoteTable) -> NDArray[np.float64]:
    """Return the mid as given, or halfway between bid and ask, or the price as given."""
    with np.errstate(invalid="ignore"):  # infinite quotes are left out below
        quoted = (table.bid + table.ask) / 2
    mid = np.where(np.isnan(table.mid), quoted, table.mid)
    return np.where(np.isnan(mid), table.price, mid)


def _price_rules(table: QuoteTable) -> dict[str, NDArray[np.bool_]]:
    bid, ask, mid = table.bid, table.ask, table.mid
    slack = _MID_SLACK * np.abs(mid)
    return {
        "infinite": np.isinf(bid) | np.isinf(ask) | np.isinf(mid),
        "negative": (bid < 0) | (ask < 0) | (mid < 0),
        "crossed": bid > ask,
        "zero bid": bid == 0,
        "no price": np.isnan(mid),
        "zero price": mid == 0,
        "mid outside bid and ask": (mid < bid - slack) | (mid > ask + slack),
    }


def _volatility_rules(table: QuoteTable) -> dict[str, NDArray[np.bool_]]:
    volatility = table.implied_vol
    return {
        "infinite": np.isinf(volatility),
        "no price": np.isnan(volatility),
        "volatility not positive": volatility <= 0,
    }


def merge_duplicates(table: QuoteTable) -> tuple[QuoteTable, list[DroppedQuote]]:
    """Replace quotes of one contract by their average, in the place of the first."""
    contracts = np.column_stack([table.maturity, table.strike, table.option_type == "call"])
    _, first, group = np.unique(contracts, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    if len(first) == len(table):
        return table, []
    averaged: dict[str, Any] = {
        name: _group_means(getattr(table, name), group)[group]
        for name in ("bid", "ask", "mid", "implied_vol")
    }
    dropped = [
        _dropped(table, i, "duplicate", f"averaged into {table.row_word} {table.row[first[g]]}")
        for i, g in enumerate(group)
        if first[g] != i
    ]
    return replace(table, **averaged).take(np.sort(first)), dropped


def _group_means(values: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    count = np.bincount(group, weights=known)
    total = np.bincount(group, weights=np.where(known, values, 0.0))
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _dropped(
    table: QuoteTable, i: int | np.integer[Any], reason: str, detail: str = ""
) -> DroppedQuote:
    values = {
        "expired": f"maturity {table.maturity[i]:g}",
        "crossed": f"bid {table.bid[i]:g} > ask {table.ask[i]:g}",
        "mid outside bid and ask": (
            f"mid {table.mid[i]:g} not in [{table.bid[i]:g}, {table.ask[i]:g}]"
        ),
    }
    return DroppedQuote(
        table.row[i],
        float(table.strike[i]),
        float(table.maturity[i]),
        str(table.option_type[i]),
        str(reason),
        detail or values.get(str(reason), ""),
    )


def describe(dropped: Iterable[DroppedQuote]) -> str:
    """Return how many quotes broke which rule, as ``"2 crossed, 1 zero bid"``."""
    counts = Counter(quote.reason for quote in dropped)
    return ", ".join(f"{count} {reason}" for reason, count in counts.items())
