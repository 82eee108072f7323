"""The quotes that a command works on: bundled, or from a file."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn import datasets
from levylearn._commands._arguments import collected
from levylearn.market import QuoteChain, check_arbitrage
from levylearn.market._quote_table import read_csv_frame

# What can be said about a file, and is already said of a bundled set.
_FILE_OPTIONS = (
    "spot",
    "rate",
    "dividend",
    "valuation_date",
    "option_type",
    "column",
    "sep",
    "decimal",
)
_MARKET_OPTIONS = _FILE_OPTIONS[:5]
# A price is beyond a bound if by more than this fraction of spot, which allows for rounding.
_SLACK = 1e-9


class Quotes(NamedTuple):
    """A chain, with what has to be said about it."""

    name: str
    chain: QuoteChain
    rows: NDArray[np.object_]  # where each quote came from
    row_word: str
    left_out: list[dict[str, Any]]


def load(arguments: Namespace) -> Quotes:
    """Read the quotes that ``--data`` names, and choose among them."""
    loader = _BUNDLED.get(arguments.data)
    quotes = _from_file(arguments) if loader is None else _bundled(loader, arguments)
    if arguments.otm:
        # As QuoteChain.out_of_the_money, which would not tell where the quotes came from.
        chain = quotes.chain
        is_call = chain.option_type == "call"
        quotes = _kept(quotes, is_call == (chain.strike >= chain.forward))
    return _within_bounds(quotes, arguments.drop_violations)


def summary(quotes: Quotes) -> dict[str, Any]:
    """Describe the quotes in plain values."""
    chain = quotes.chain
    calls = int((chain.option_type == "call").sum())
    spread = chain.half_spread
    tolerance = np.nan_to_num(spread) if np.isfinite(spread).any() else None
    report = check_arbitrage(chain.prices, chain.grid, tolerance=tolerance)
    return {
        "name": quotes.name,
        "n_quotes": chain.n_quotes,
        "n_calls": calls,
        "n_puts": chain.n_quotes - calls,
        "n_without_implied_vol": int((~(chain.implied_vol > 0)).sum()),
        "spot": chain.spot,
        "maturities": np.unique(chain.maturity).tolist(),
        "strikes": [float(chain.strike.min()), float(chain.strike.max())],
        "left_out": quotes.left_out,
        "arbitrage": {
            kind: {"count": int(count[0]), "largest": float(report.largest[kind][0])}
            for kind, count in report.counts.items()
            if count[0]
        },
    }


def _bundled(loader: Any, arguments: Namespace) -> Quotes:
    given = [name for name in _FILE_OPTIONS if getattr(arguments, name) is not None]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is for files; {arguments.data} is a bundled set, "
            f"with a market of its own."
        )
    chain = loader(as_frame=False).chain
    return Quotes(arguments.data, chain, np.arange(1, len(chain) + 1, dtype=object), "quote", [])


def _from_file(arguments: Namespace) -> Quotes:
    path = Path(arguments.data)
    if not path.exists():
        raise ValueError(
            f"--data: there is no file {arguments.data!r}, nor a bundled set of that name "
            f"({', '.join(_BUNDLED)})."
        )
    given = {name: getattr(arguments, name) for name in ("sep", "decimal")}
    try:
        frame = read_csv_frame(path, {name: text for name, text in given.items() if text})
        chain = QuoteChain.from_frame(
            frame,
            columns=collected("--column", arguments.column),
            **{name: getattr(arguments, name) for name in _MARKET_OPTIONS},
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    dropped = chain.dropped
    rows = frame.index.to_numpy(dtype=object)
    row_word = "line" if frame.index.name == "line" else "row"
    left_out = [
        {"where": f"{row_word} {row}", "reason": reason, "detail": detail}
        for row, reason, detail in dropped[["row", "reason", "detail"]].to_numpy().tolist()
    ]
    rows = rows[~np.isin(rows.astype(str), dropped["row"].astype(str))]
    return Quotes(str(path), chain, rows, row_word, left_out)


def _within_bounds(quotes: Quotes, drop: bool) -> Quotes:
    """Refuse prices that no model gives, or leave them out."""
    chain = quotes.chain
    sign = np.where(chain.option_type == "call", 1.0, -1.0)
    low = chain.discount * np.maximum(sign * (chain.forward - chain.strike), 0.0)
    high = chain.discount * np.where(sign > 0, chain.forward, chain.strike)
    slack = _SLACK * chain.spot
    outside = (chain.prices < low - slack) | (chain.prices > high + slack)
    if not outside.any():
        return quotes
    problems = [
        {
            "where": f"{quotes.row_word} {quotes.rows[i]}",
            "reason": "price beyond its bounds",
            "detail": (
                f"{chain.option_type[i]} of strike {chain.strike[i]:g} and maturity "
                f"{chain.maturity[i]:g}: price {chain.prices[i]:g} is not in "
                f"[{low[i]:g}, {high[i]:g}]"
            ),
        }
        for i in np.flatnonzero(outside)
    ]
    if not drop:
        first = problems[0]
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ValueError(
            f"{quotes.name}, {first['where']}, {first['detail']}{others}. No model "
            f"without arbitrage gives such prices; --drop-violations leaves them out."
        )
    if outside.all():
        raise ValueError(f"{quotes.name}: no price is within its bounds: no quote is left.")
    return _kept(quotes, ~outside)._replace(left_out=quotes.left_out + problems)


def _kept(quotes: Quotes, mask: NDArray[np.bool_]) -> Quotes:
    return quotes._replace(chain=quotes.chain.select(mask), rows=quotes.rows[mask])


_BUNDLED = {"sp500-2002": datasets.load_sp500_2002, "dax-2002": datasets.load_dax_2002}
