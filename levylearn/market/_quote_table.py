"""A table of quotes as it comes: which column means what, and what its cells say."""

from __future__ import annotations

import io
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from os import PathLike
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMN_NAMES", "QuoteTable", "parse_frame", "read_csv_frame"]

# The names a column may have, compared without case, blanks or punctuation: "Time to
# expiry" is time_to_expiry. Where a table has several, the first listed here is read.
COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "strike": ("strike", "K", "strike_price", "exercise_price"),
    "maturity": (
        "maturity",
        "T",
        "tau",
        "ttm",
        "time_to_expiry",
        "time_to_expiration",
        "time_to_maturity",
        "years",
        "year_fraction",
    ),
    "days": ("days", "dte", "days_to_expiry", "days_to_expiration", "days_to_maturity"),
    "expiry": (
        "expiry",
        "expiration",
        "expiry_date",
        "expiration_date",
        "exdate",
        "maturity_date",
    ),
    "valuation_date": ("valuation_date", "quote_date", "trade_date", "date"),
    "option_type": ("option_type", "type", "cp", "cp_flag", "call_put", "put_call", "right"),
    "bid": ("bid", "bid_price", "best_bid"),
    "ask": ("ask", "ask_price", "best_ask", "offer", "best_offer"),
    "mid": ("mid", "mid_price", "mark"),
    "price": (
        "price",
        "option_price",
        "premium",
        "settlement",
        "settle",
        "close",
        "last",
        "last_price",
    ),
    "implied_vol": ("implied_vol", "iv", "implied_volatility", "volatility", "vol"),
    "spot": ("spot", "S", "S0", "spot_price", "underlying", "underlying_price"),
    "forward": ("forward", "F", "forward_price"),
    "discount": ("discount", "df", "discount_factor"),
    "rate": ("rate", "r", "risk_free_rate", "interest_rate"),
    "dividend": ("dividend", "q", "dividend_yield"),
    "net_rate": ("net_rate", "carry", "cost_of_carry"),
}

_OPTION_TYPES = {"call": "call", "calls": "call", "c": "call"}
_OPTION_TYPES |= {"put": "put", "puts": "put", "p": "put"}
_MISSING = {"", "-", "--", "na", "n/a", "nan", "none", "null"}
_DAYS_PER_YEAR = 365.0


@dataclass(frozen=True)
class QuoteTable:
    """Columns of a chain, one entry per row; NaN where a cell is blank or a column absent."""

    row: NDArray[np.object_]
    strike: NDArray[np.float64]
    maturity: NDArray[np.float64]
    option_type: NDArray[Any]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]
    mid: NDArray[np.float64]
    price: NDArray[np.float64]
    implied_vol: NDArray[np.float64]
    forward: NDArray[np.float64]
    discount: NDArray[np.float64]
    dividend: NDArray[np.float64]
    # Whether the table says what quotes cost, or only their volatility.
    has_prices: bool
    row_word: str

    def __len__(self) -> int:
        return len(self.strike)

    def take(self, indices: ArrayLike) -> QuoteTable:
        """Return some of the rows."""
        chosen = {
            field.name: getattr(self, field.name)[indices]
            for field in fields(self)
            if isinstance(getattr(self, field.name), np.ndarray)
        }
        return replace(self, **chosen)


def read_csv_frame(
    path: str | PathLike[str] | IO[str], csv_options: Mapping[str, Any]
) -> pd.DataFrame:
    """Read a CSV file into a frame whose index counts the lines of the file."""
    import pandas as pd

    options = {"comment": "#", "skipinitialspace": True, "index_col": False, **csv_options}
    text = _text_of(path)
    try:
        with warnings.catch_warnings():
            # pandas would go on, and lose what stands beyond the last column.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(io.StringIO(text), **options)
    except pd.errors.EmptyDataError as error:
        raise ValueError("the chain is empty: the file has no header and no rows.") from error
    except pd.errors.ParserWarning as error:
        raise ValueError(
            "rows of the file have more cells than its header: is a comma used for decimals? "
            "Pass sep= and decimal= as to pandas.read_csv."
        ) from error
    lines = _lines_with_data(text, options["comment"])
    # Only then is it certain which line is which row: quoted line breaks, a skipped or
    # a second header line would shift them.
    if len(lines) == len(frame) + 1:
        frame.index = pd.Index(lines[1:], name="line")
    return frame


def _text_of(path: str | PathLike[str] | IO[str]) -> str:
    if not isinstance(path, str | PathLike):
        return path.read()
    # utf-8-sig: spreadsheets put a byte-order mark before the first column's name.
    with open(path, encoding="utf-8-sig") as file:
        return file.read()


def _lines_with_data(text: str, comment: str | None) -> list[int]:
    return [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not (comment and line.startswith(comment))
    ]


def parse_frame(
    frame: pd.DataFrame,
    *,
    columns: Mapping[str, Hashable | None] | None = None,
    option_type: str | None = None,
    valuation_date: Any = None,
    rate: float | None = None,
    dividend: float | None = None,
) -> tuple[QuoteTable, NDArray[np.float64]]:
    """Return the table of a frame, and its column of spot prices (NaN if absent)."""
    if len(frame) == 0:
        raise ValueError(f"the chain is empty: no rows under the columns {list(frame.columns)}.")
    cells = _Cells(frame, _match_columns(frame, columns or {}))
    _refuse_several_dates(cells)
    maturity = _maturity(cells, valuation_date)
    discount, yields = _rates(cells, maturity, rate, dividend)
    table = QuoteTable(
        row=cells.labels(),
        strike=_strike(cells),
        maturity=maturity,
        option_type=_type(cells, option_type),
        bid=cells.numbers("bid"),
        ask=cells.numbers("ask"),
        mid=cells.numbers("mid"),
        price=cells.numbers("price"),
        implied_vol=cells.numbers("implied_vol"),
        # An explicit dividend takes the place of the column that says the same.
        forward=cells.blank() if dividend is not None else cells.numbers("forward"),
        discount=discount,
        dividend=yields,
        has_prices=_has_prices(cells),
        row_word=cells.row_word,
    )
    return table, cells.numbers("spot")


class _Cells:
    """The cells of a frame by what their column means, with errors that say where."""

    def __init__(self, frame: pd.DataFrame, column_of: Mapping[str, int]) -> None:
        self.frame = frame
        self.column_of = column_of
        self.row_word = "line" if frame.index.name == "line" else "row"

    def __contains__(self, key: str) -> bool:
        return key in self.column_of

    def __len__(self) -> int:
        return len(self.frame)

    def series(self, key: str) -> pd.Series:
        return self.frame.iloc[:, self.column_of[key]]

    def labels(self) -> NDArray[np.object_]:
        labels = np.empty(len(self), dtype=object)
        # One by one: the labels of a MultiIndex are tuples, which NumPy would unpack.
        for i, label in enumerate(self.frame.index.tolist()):
            labels[i] = label
        return labels

    def blank(self) -> NDArray[np.float64]:
        return np.full(len(self), np.nan)

    def numbers(self, key: str) -> NDArray[np.float64]:
        """Return a column of numbers, NaN where a cell is blank."""
        import pandas as pd

        if key not in self:
            return self.blank()
        series = self.series(key)
        values = pd.to_numeric(series, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        unread = np.flatnonzero(np.isnan(values))
        for i in unread:
            if not _is_missing(series.iloc[i]):
                hint = " (dates belong in a column 'expiry')" if key == "maturity" else ""
                raise self.bad_cell(key, i, f"is not a number{hint}")
        return values

    def bad_cell(self, key: str, i: int | np.integer[Any], problem: str) -> ValueError:
        series = self.series(key)
        return ValueError(
            f"{self.row_word} {self.frame.index[i]}, column {series.name!r}: "
            f"{series.iloc[i]!s} {problem}."
        )

    def missing_column(self, what: str, *keys: str) -> ValueError:
        accepted = "; ".join(f"{key}: {', '.join(COLUMN_NAMES[key])}" for key in keys)
        return ValueError(
            f"no column for {what}. Accepted names, whatever their case: {accepted}. "
            f"Columns present: {[str(name) for name in self.frame.columns]}. "
            f"Other names can be given as columns={{{keys[0]!r}: ...}}."
        )


def _is_missing(cell: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(cell)) or str(cell).strip().casefold() in _MISSING


def _match_columns(frame: pd.DataFrame, columns: Mapping[str, Hashable | None]) -> dict[str, int]:
    """Return the position of the column that holds each quantity."""
    for key, name in columns.items():
        if key not in COLUMN_NAMES:
            raise ValueError(f"columns: {key!r} is not one of {list(COLUMN_NAMES)}.")
        if name is not None and name not in frame.columns:
            raise ValueError(
                f"columns: there is no column {name!r} for {key!r}; "
                f"columns present: {[str(name) for name in frame.columns]}."
            )
    position: dict[str, int] = {}
    for i, name in enumerate(frame.columns):
        position.setdefault(_plain(name), i)
    found = {}
    for key, names in COLUMN_NAMES.items():
        if key in columns:
            if columns[key] is not None:
                found[key] = list(frame.columns).index(columns[key])
            continue
        matches = [position[_plain(name)] for name in names if _plain(name) in position]
        if matches:
            found[key] = matches[0]
    return found


def _plain(name: Hashable) -> str:
    return "".join(letter for letter in str(name).casefold() if letter.isalnum())


def _strike(cells: _Cells) -> NDArray[np.float64]:
    if "strike" not in cells:
        raise cells.missing_column("the strike", "strike")
    strike = cells.numbers("strike")
    bad = np.flatnonzero(~(np.isfinite(strike) & (strike > 0)))
    if bad.size:
        raise cells.bad_cell("strike", bad[0], "is not a positive strike")
    return strike


def _type(cells: _Cells, option_type: str | None) -> NDArray[Any]:
    if option_type is not None and "option_type" in cells:
        raise ValueError(
            f"option_type={option_type!r} was passed, but column "
            f"{cells.series('option_type').name!r} gives a type for each quote. "
            f"Pass columns={{'option_type': None}} if it means something else."
        )
    if option_type is not None:
        plain = _OPTION_TYPES.get(str(option_type).strip().casefold())
        if plain is None:
            raise ValueError(f"option_type must be 'call' or 'put'; got {option_type!r}.")
        return np.full(len(cells), plain)
    if "option_type" not in cells:
        error = cells.missing_column("the option type", "option_type")
        raise ValueError(f"{error} If all are of one type, pass option_type='call' or 'put'.")
    types = [
        _OPTION_TYPES.get(str(cell).strip().casefold()) for cell in cells.series("option_type")
    ]
    for i, kind in enumerate(types):
        if kind is None:
            raise cells.bad_cell("option_type", i, "is neither call nor put (nor C, P)")
    return np.array(types, dtype="<U4")


def _maturity(cells: _Cells, valuation_date: Any) -> NDArray[np.float64]:
    """Return times to expiry in years: as they stand, or from days, or from dates."""
    for key, per_year in (("maturity", 1.0), ("days", _DAYS_PER_YEAR)):
        if key in cells:
            values = cells.numbers(key)
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise cells.bad_cell(key, bad[0], "is not a time to expiry")
            return values / per_year
    if "expiry" not in cells:
        raise cells.missing_column(
            "the maturity (in years, in days, or as a date)", "maturity", "days", "expiry"
        )
    return _years_to_expiry(cells, valuation_date)


def _years_to_expiry(cells: _Cells, valuation_date: Any) -> NDArray[np.float64]:
    import pandas as pd

    if valuation_date is None and "valuation_date" in cells:
        valuation_date = cells.series("valuation_date").iloc[0]
    if valuation_date is None:
        raise ValueError(
            f"column {cells.series('expiry').name!r} holds dates: pass valuation_date=, the day "
            f"of the quotes, so that a maturity is (expiry - valuation_date) in days / 365."
        )
    today = _dates(pd.Series([valuation_date]))
    if today.isna().any():
        raise ValueError(
            f"valuation_date must be a date such as '2024-04-12'; got {valuation_date!r}."
        )
    expiry = _dates(cells.series("expiry"))
    bad = np.flatnonzero(expiry.isna())
    if bad.size:
        raise cells.bad_cell("expiry", bad[0], "is not a date such as 2024-04-12")
    days = (expiry - today.iloc[0]) / pd.Timedelta(days=1)
    return days.to_numpy(np.float64) / _DAYS_PER_YEAR


def _dates(series: pd.Series) -> pd.Series:
    import pandas as pd

    # Year first only: 05/07/2002 is May in one country and July in another. Numbers such
    # as 20240412 go through text, lest they be read as nanoseconds.
    return pd.to_datetime(series.astype(str), format="ISO8601", errors="coerce", utc=True)


def _refuse_several_dates(cells: _Cells) -> None:
    if "valuation_date" not in cells:
        return
    series = cells.series("valuation_date")
    days = series.dropna().unique()
    if len(days) > 1:
        raise ValueError(
            f"a chain holds the quotes of one moment; column {series.name!r} has {len(days)} "
            f"dates, from {min(map(str, days))} to {max(map(str, days))}. Build one chain per "
            f"date, or pass columns={{'valuation_date': None}} if it means something else."
        )


def _rates(
    cells: _Cells, maturity: NDArray[np.float64], rate: float | None, dividend: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return discount factors and dividend yields as far as they are given.

    A net rate is the rate less the dividend: two of the three give the third, and alone it
    stands for the rate, with no dividend.
    """
    rates, net = cells.numbers("rate"), cells.numbers("net_rate")
    if rate is not None:
        rates = np.full(len(cells), _number("rate", rate))
    yields = cells.numbers("dividend")
    if dividend is not None:
        yields = np.full(len(cells), _number("dividend", dividend))
    rates = np.where(np.isnan(rates), net + np.nan_to_num(yields), rates)
    yields = np.where(np.isnan(yields), rates - net, yields)
    discount = np.exp(-rates * maturity)
    if rate is None and "discount" in cells:
        given = cells.numbers("discount")
        discount = np.where(np.isnan(given), discount, given)
    return discount, yields


def _number(name: str, value: Any) -> float:
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        raise ValueError(
            f"{name} must be one finite number; got {value!r}. "
            f"For one per maturity, give the table a column {name!r}."
        )
    return float(value)


def _has_prices(cells: _Cells) -> bool:
    if "mid" in cells or "price" in cells or ("bid" in cells and "ask" in cells):
        return True
    if "implied_vol" in cells:
        return False
    keys = ("mid", "price", "bid", "ask", "implied_vol")
    raise cells.missing_column("the price (a mid, a bid and an ask, or an implied_vol)", *keys)
