"""Quotes as samples: one row of numbers for each contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid, QuoteChain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["QUOTE_FEATURES", "Quotes", "quote_features"]

Floats = NDArray[np.float64]

QUOTE_FEATURES = ("strike", "maturity", "forward", "discount", "option_type")
_CALL, _PUT = 1.0, -1.0


def quote_features(quotes: OptionGrid | QuoteChain | pd.DataFrame) -> pd.DataFrame:
    """Lay quotes out as scikit-learn wants them: one row each, numbers only.

    Parameters
    ----------
    quotes : OptionGrid, QuoteChain or DataFrame
        The contracts and their market. A frame, as from :meth:`QuoteChain.to_frame`, has
        the columns that are returned, in any order and among others; its option types are
        ``"call"`` and ``"put"``, or 1 and -1.

    Returns
    -------
    X : DataFrame of shape (n_quotes, 5)
        Columns, in this order: strike (currency), maturity (years), forward (currency),
        discount (discount factor), and option_type (1 for a call, -1 for a put).

    Raises
    ------
    ValueError
        If a column is missing, or an option type is none.

    See Also
    --------
    SurfaceRegressor : Learns from such quotes.

    Examples
    --------
    >>> from levylearn.calibration import quote_features
    >>> from levylearn.market import OptionGrid
    >>> quote_features(OptionGrid([90, 110], [0.5], option_type=["put", "call"]))
       strike  maturity  forward  discount  option_type
    0    90.0       0.5    100.0       1.0         -1.0
    1   110.0       0.5    100.0       1.0          1.0
    """
    import pandas as pd

    if isinstance(quotes, pd.DataFrame):
        missing = [name for name in QUOTE_FEATURES if name not in quotes.columns]
        if missing:
            raise ValueError(
                f"quotes must have the columns {', '.join(QUOTE_FEATURES)}; "
                f"{', '.join(missing)} is missing."
            )
        columns: dict[str, Any] = {name: quotes[name] for name in QUOTE_FEATURES}
        index = quotes.index
    else:
        columns = {name: getattr(quotes, name) for name in QUOTE_FEATURES}
        index = pd.RangeIndex(quotes.n_quotes)
    columns["option_type"] = _signs(np.asarray(columns["option_type"], dtype=object))
    return pd.DataFrame(columns, index=index).astype(np.float64)


def _signs(option_type: NDArray[Any]) -> Floats:
    known = {"call": _CALL, "put": _PUT, _CALL: _CALL, _PUT: _PUT}
    bad = [row for row, kind in enumerate(option_type) if kind not in known]
    if bad:
        raise ValueError(
            f"option_type must be 'call' or 'put', or 1 or -1; "
            f"row {bad[0]} has {option_type[bad[0]]!r}."
        )
    return np.array([known[kind] for kind in option_type])


class Quotes(NamedTuple):
    """Columns of a matrix of quotes."""

    strike: Floats
    maturity: Floats
    forward: Floats
    discount: Floats
    option_type: NDArray[Any]

    @classmethod
    def from_matrix(cls, X: Floats) -> Quotes:
        """Read the columns, refusing the first row that is no contract."""
        for name, values in zip(QUOTE_FEATURES[:-1], X.T, strict=False):
            bad = np.flatnonzero(~(values > 0))
            if bad.size:
                raise ValueError(f"{name} must be positive; row {bad[0]} has {values[bad[0]]:g}.")
        sign = X[:, -1]
        bad = np.flatnonzero((sign != _CALL) & (sign != _PUT))
        if bad.size:
            raise ValueError(
                f"option_type must be 1 for a call or -1 for a put; "
                f"row {bad[0]} has {sign[bad[0]]:g}."
            )
        strike, maturity, forward, discount = X[:, :4].T
        kind = np.where(sign == _CALL, "call", "put")
        return cls(strike, maturity, forward, discount, kind)

    def take(self, rows: NDArray[np.intp]) -> Quotes:
        """Return some of the quotes."""
        return Quotes(*(column[rows] for column in self))

    @property
    def unit(self) -> Floats:
        """Currency for one unit of `grid`."""
        return self.discount * self.forward

    @property
    def grid(self) -> OptionGrid:
        """The contracts in units of their own discounted forwards.

        Models are about the asset over its forward, so that every quote may have a market
        of its own, and quotes of several moments can be pooled.
        """
        return OptionGrid.from_quotes(
            self.strike / self.forward, self.maturity, spot=1.0, option_type=self.option_type
        )
