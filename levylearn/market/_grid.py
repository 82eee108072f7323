"""The contracts on a surface and the market they live in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.market._check import chosen, increasing, per_entry, positive, positive_number
from levylearn.market._value import Value, frozen

__all__ = ["OptionGrid"]

_OPTION_TYPES = ("call", "put")


class OptionGrid(Value):
    r"""European options to be priced, and the market they are priced in.

    Either the product of maturities and strikes, or (see :meth:`from_quotes`)
    a ragged list of quotes. Quotes are flattened maturity-major: all strikes of
    the first maturity, then all strikes of the second, and so on. A ragged grid
    keeps the order in which its quotes came.

    The grid is an immutable value: it compares by content, hashes, pickles, and
    copies for free, so that estimators can take it as one hyper-parameter.

    Parameters
    ----------
    strikes : array-like of shape (n_strikes,)
        Strictly increasing strikes, in currency.
    maturities : array-like of shape (n_maturities,)
        Strictly increasing times to expiry, in years.
    spot : float, default=100.0
        Price of the underlying today, in currency.
    rate : float or array-like of shape (n_maturities,), default=0.0
        Continuously compounded interest rate, per year.
    dividend : float or array-like of shape (n_maturities,), default=0.0
        Continuously compounded dividend yield, per year.
    option_type : {"call", "put"} or array-like of shape (n_quotes,), default="call"
        One type for all quotes, or one for each in flattened order.

    Attributes
    ----------
    n_quotes : int
        Number of options.
    shape : tuple of int
        ``(n_maturities, n_strikes)``, or ``(n_quotes,)`` for a ragged grid.
    strike, maturity, forward, discount, log_moneyness : ndarray of shape (n_quotes,)
        One value per quote. ``forward`` is :math:`F = S e^{(r-q)T}`, ``discount``
        :math:`D = e^{-rT}`, ``log_moneyness`` :math:`\log(K/F)`.
    option_type : ndarray of str of shape (n_quotes,)
        ``"call"`` or ``"put"`` per quote.

    Raises
    ------
    ValueError
        If an argument is not finite, out of range, unsorted or of the wrong
        length; the message names the argument, the entry and its value.

    See Also
    --------
    levylearn.market.QuoteChain : Market quotes, from which a grid can be taken.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[0.5, 1.0], rate=0.02)
    >>> grid
    OptionGrid(n_maturities=2, n_strikes=3, spot=100)
    >>> grid.forward.round(3)
    array([101.005, 101.005, 101.005, 102.02 , 102.02 , 102.02 ])
    """

    def __init__(
        self,
        strikes: ArrayLike,
        maturities: ArrayLike,
        spot: float = 100.0,
        rate: ArrayLike = 0.0,
        dividend: ArrayLike = 0.0,
        option_type: str | Sequence[str] | NDArray[Any] = "call",
    ) -> None:
        strikes = increasing("strikes", strikes)
        maturities = increasing("maturities", maturities)
        n_maturities, n_strikes = len(maturities), len(strikes)
        self._shape: tuple[int, ...] = (n_maturities, n_strikes)
        self._set_quotes(
            np.tile(strikes, n_maturities),
            np.repeat(maturities, n_strikes),
            spot,
            np.repeat(per_entry("rate", rate, n_maturities, "maturity"), n_strikes),
            np.repeat(per_entry("dividend", dividend, n_maturities, "maturity"), n_strikes),
            option_type,
        )

    @classmethod
    def from_quotes(
        cls,
        strikes: ArrayLike,
        maturities: ArrayLike,
        *,
        spot: float = 100.0,
        rate: ArrayLike = 0.0,
        dividend: ArrayLike = 0.0,
        option_type: str | Sequence[str] | NDArray[Any] = "call",
    ) -> OptionGrid:
        """Build a ragged grid, one entry per quote.

        Parameters
        ----------
        strikes, maturities : array-like of shape (n_quotes,)
            Strike (currency) and time to expiry (years) of each quote.
        spot : float, default=100.0
            Price of the underlying today.
        rate, dividend : float or array-like of shape (n_quotes,), default=0.0
            Continuous interest rate and dividend yield of each quote.
        option_type : {"call", "put"} or array-like of shape (n_quotes,), default="call"
            One type for all quotes, or one for each.

        Returns
        -------
        grid : OptionGrid
            Its quotes are in the given order.

        Raises
        ------
        ValueError
            If an argument is not finite, out of range or of the wrong length, or
            if quotes of one maturity disagree about rate or dividend.

        Examples
        --------
        >>> from levylearn.market import OptionGrid
        >>> OptionGrid.from_quotes([95, 100, 105], [0.5, 0.5, 1.0], spot=101.0)
        OptionGrid(n_quotes=3, n_maturities=2, spot=101)
        """
        strikes = positive("strikes", strikes)
        maturities = positive("maturities", maturities)
        n_quotes = len(strikes)
        if len(maturities) != n_quotes:
            raise ValueError(
                f"strikes and maturities must have one entry per quote; "
                f"got {n_quotes} strikes and {len(maturities)} maturities."
            )
        grid = cls.__new__(cls)
        grid._shape = (n_quotes,)
        grid._set_quotes(
            strikes,
            maturities,
            spot,
            per_entry("rate", rate, n_quotes, "quote"),
            per_entry("dividend", dividend, n_quotes, "quote"),
            option_type,
        )
        for name, values in (("rate", grid.rate), ("dividend", grid.dividend)):
            for maturity, quotes in grid.slices:
                if np.ptp(values[quotes]) > 1e-12:
                    raise ValueError(
                        f"{name} must be the same for all quotes of one maturity; "
                        f"at maturity {maturity:g} it runs from {values[quotes].min()} "
                        f"to {values[quotes].max()}."
                    )
        return grid

    def _set_quotes(
        self,
        strike: NDArray[np.float64],
        maturity: NDArray[np.float64],
        spot: float,
        rate: NDArray[np.float64],
        dividend: NDArray[np.float64],
        option_type: str | Sequence[str] | NDArray[Any],
    ) -> None:
        self.spot = positive_number("spot", spot)
        self.strike = frozen(strike)
        self.maturity = frozen(maturity)
        self.rate = frozen(rate)
        self.dividend = frozen(dividend)
        with np.errstate(over="ignore", under="ignore"):
            self.forward = frozen(self.spot * np.exp((rate - dividend) * maturity))
            self.discount = frozen(np.exp(-rate * maturity))
        _check_market(self)
        self.log_moneyness = frozen(np.log(strike / self.forward))
        self.option_type = frozen(_option_types(option_type, len(strike)))
        self.is_call = frozen(self.option_type == "call")

    @property
    def n_quotes(self) -> int:
        """Number of options on the grid."""
        return len(self.strike)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_maturities, n_strikes)``, or ``(n_quotes,)`` if ragged."""
        return self._shape

    @property
    def is_product(self) -> bool:
        """Whether the grid is a product of maturities and strikes."""
        return len(self._shape) == 2

    @property
    def slices(self) -> list[tuple[float, NDArray[np.intp]]]:
        """Distinct maturities in increasing order, each with the indices of its quotes."""
        maturities, inverse = np.unique(self.maturity, return_inverse=True)
        return [(float(T), np.flatnonzero(inverse == i)) for i, T in enumerate(maturities)]

    def take(self, indices: ArrayLike | slice) -> OptionGrid:
        """Return the ragged grid of some of the quotes.

        Parameters
        ----------
        indices : array-like of int or bool, or slice
            Which quotes, as NumPy would index them.

        Returns
        -------
        grid : OptionGrid
            The quotes chosen, in the order of ``indices``.

        Raises
        ------
        ValueError
            If no quote is left.

        Examples
        --------
        >>> from levylearn.market import OptionGrid
        >>> OptionGrid([90, 100, 110], [0.5, 1.0]).take([0, 4]).strike
        array([ 90., 100.])
        """
        indices = chosen("indices", indices, self.n_quotes)
        return type(self).from_quotes(
            self.strike[indices],
            self.maturity[indices],
            spot=self.spot,
            rate=self.rate[indices],
            dividend=self.dividend[indices],
            option_type=self.option_type[indices],
        )

    def get_feature_names_out(self) -> NDArray[np.object_]:
        """Return one column name per quote, as ``"call_T0.5_K100"``.

        Returns
        -------
        names : ndarray of str of shape (n_quotes,)
            Type, maturity in years and strike of each quote.
        """
        return np.array(
            [
                f"{kind}_T{maturity:.10g}_K{strike:.10g}"
                for kind, maturity, strike in zip(
                    self.option_type, self.maturity, self.strike, strict=True
                )
            ],
            dtype=object,
        )

    def _content(self) -> tuple[Any, ...]:
        # Adding zero makes -0.0 and 0.0, which are equal, the same bytes.
        market = (self.rate + 0.0, self.dividend + 0.0)
        arrays = (self.strike, self.maturity, *market, self.is_call)
        return (self._shape, self.spot, *(array.tobytes() for array in arrays))

    def __repr__(self) -> str:
        if self.is_product:
            size = f"n_maturities={self._shape[0]}, n_strikes={self._shape[1]}"
        else:
            size = f"n_quotes={self.n_quotes}, n_maturities={len(np.unique(self.maturity))}"
        return f"OptionGrid({size}, spot={self.spot:g})"


def _check_market(grid: OptionGrid) -> None:
    for name, values in (("forward", grid.forward), ("discount", grid.discount)):
        bad = np.flatnonzero(~np.isfinite(values) | (values <= 0))
        if bad.size:
            i = bad[0]
            raise ValueError(
                f"rate and dividend must be continuous rates per year, as 0.05 for 5 %; "
                f"rate {grid.rate[i]:g} and dividend {grid.dividend[i]:g} over "
                f"{grid.maturity[i]:g} years make the {name} {values[i]}."
            )


def _option_types(option_type: Any, n_quotes: int) -> NDArray[Any]:
    types = np.atleast_1d(np.asarray(option_type, dtype=object))
    bad = [i for i, kind in enumerate(types.ravel()) if kind not in _OPTION_TYPES]
    if bad:
        raise ValueError(
            f"option_type must be 'call' or 'put'; entry {bad[0]} is {types.ravel()[bad[0]]!r}."
        )
    if types.ndim != 1 or types.size not in (1, n_quotes):
        raise ValueError(
            f"option_type must be one string or one per quote ({n_quotes}); "
            f"got shape {types.shape}."
        )
    return np.broadcast_to(types.astype("<U4"), n_quotes).copy()
