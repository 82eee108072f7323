"""Ragged chains of quotes to product grids."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.market import OptionGrid, QuoteChain
from levylearn.preprocessing._base import SurfaceTransformer
from levylearn.preprocessing._smile_curve import total_variance_at
from levylearn.preprocessing._units import volatilities, with_volatilities
from levylearn.utils._sklearn import Interval

__all__ = ["QuoteGridder"]

Floats = NDArray[np.float64]

# Maturities that differ by so little, relatively, are one.
_SAME = 1e-9


class QuoteGridder(SurfaceTransformer):
    r"""Quotes of a ragged chain to a product of strikes and maturities.

    Whatever needs a fixed grid, such as a network, a set of features or a heat-map, can then be
    given real quotes. Nothing is extrapolated: where there are no quotes around a contract it
    is NaN.

    Parameters
    ----------
    grid : OptionGrid or QuoteChain
        The contracts that are quoted: one for each column.
    strikes : array-like of shape (n_strikes,), default=None
        Strikes of the product grid, in currency, increasing. None: all that are quoted, unless
        there is `moneyness`.
    maturities : array-like of shape (n_maturities,), default=None
        Its maturities, in years, increasing. None: all that are quoted.
    moneyness : array-like of shape (n_strikes,), default=None
        Its strikes over the spot, instead of `strikes`.
    option_type : {"call", "put"} or array-like of these, default="call"
        Its option types: one for all contracts, or one for each.
    tolerance : float, default=0.0
        How far beyond its outermost quotes a smile goes on, at the level of the outermost, in
        log-moneyness: 0.01 is one per cent of the strike.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`; the result holds the same.

    Attributes
    ----------
    grid_ : OptionGrid
        The product grid: one contract for each column that comes out. Rates and dividend yields
        are those of the quotes, so that :math:`\log D` and :math:`\log F` are linear between
        maturities.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    ArbitrageFilter : Leaves out quotes that make an arbitrage, before they are interpolated.
    levylearn.calibration.SurfaceRegressor : Needs no grid.

    Notes
    -----
    What is interpolated is total implied variance :math:`w = \sigma^2 T`, by two rules.

    *Across strikes* of one maturity, :math:`w` is a cubic in :math:`k = \log(K/F)` between two
    quotes, with slopes from parabolas through three. In intervals where that would make the
    density of the underlying negative the price is interpolated by a convex curve instead
    [1]_. So there is no butterfly arbitrage within a maturity that has none in its quotes.
    Where a strike has a call and a put, the one out of the money counts.

    *Across maturities*, :math:`w` is linear in :math:`T` at the same :math:`k`, between the
    two nearest maturities that have quotes; it is NaN where :math:`k` is beyond those of either. It
    rises with maturity wherever it does so from one of the two to the other, which is to say that
    there is no calendar arbitrage [2]_. A butterfly between maturities is not excluded.

    A quote that no volatility gives counts as missing.

    References
    ----------
    .. [1] Delbourgo, R. and Gregory, J. A. (1985). Shape preserving piecewise rational
       interpolation. SIAM Journal on Scientific and Statistical Computing 6, 967-976.
    .. [2] Gatheral, J. and Jacquier, A. (2014). Arbitrage-free SVI volatility surfaces.
       Quantitative Finance 14, 59-71.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.datasets import load_sp500_2002
    >>> from levylearn.preprocessing import QuoteGridder
    >>> data = load_sp500_2002()
    >>> gridder = QuoteGridder(
    ...     data.chain, moneyness=[0.9, 1.0, 1.1], maturities=[0.25, 0.5, 1.0], unit="implied_vol"
    ... )
    >>> surface = gridder.fit_transform(data.implied_vol.reshape(1, -1))
    >>> gridder.grid_
    OptionGrid(n_maturities=3, n_strikes=3, spot=1124.47)
    >>> surface.reshape(gridder.grid_.shape).round(3)
    array([[  nan, 0.163,   nan],
           [0.199, 0.171,   nan],
           [  nan, 0.186, 0.166]])
    """

    _parameter_constraints = {
        **SurfaceTransformer._parameter_constraints,
        "grid": [OptionGrid, QuoteChain],
        "strikes": ["array-like", None],
        "maturities": ["array-like", None],
        "moneyness": ["array-like", None],
        "option_type": [str, "array-like"],
        "tolerance": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        grid: OptionGrid | QuoteChain,
        strikes: ArrayLike | None = None,
        maturities: ArrayLike | None = None,
        *,
        moneyness: ArrayLike | None = None,
        option_type: str | Sequence[str] | NDArray[Any] = "call",
        tolerance: float = 0.0,
        unit: str = "price",
    ) -> None:
        self.grid = grid
        self.strikes = strikes
        self.maturities = maturities
        self.moneyness = moneyness
        self.option_type = option_type
        self.tolerance = tolerance
        self.unit = unit

    @property
    def _source(self) -> OptionGrid:
        return self.grid.grid if isinstance(self.grid, QuoteChain) else self.grid

    def _prepare(self) -> None:
        self.grid_ = self._target()
        self._smiles = [_Smile(self._source, quotes) for _, quotes in self._source.slices]
        # Variances of all contracts are held for every maturity.
        self._layers = 8 + len(self._smiles) * self.grid_.n_quotes // self._source.n_quotes

    def _target(self) -> OptionGrid:
        source = self._source
        quoted = source.slices
        strikes, maturities = self.strikes, self.maturities
        if strikes is not None and self.moneyness is not None:
            raise ValueError("strikes and moneyness say the same: give one of them.")
        if self.moneyness is not None:
            strikes = source.spot * np.asarray(self.moneyness, dtype=np.float64)
        if strikes is None:
            strikes = np.unique(source.strike)
        known = np.array([maturity for maturity, _ in quoted])
        maturities = known if maturities is None else np.asarray(maturities, dtype=np.float64)
        first = [quotes[0] for _, quotes in quoted]
        rate, dividend = (
            _mean_rate(maturities, known, values[first])
            for values in (source.rate, source.dividend)
        )
        return OptionGrid(
            strikes, maturities, source.spot, rate, dividend, option_type=self.option_type
        )

    def _transform(self, surfaces: Floats) -> Floats:
        source, target = self._source, self.grid_
        quotes = volatilities(surfaces, source, self.unit)
        quotes = np.where(quotes > 0, quotes, np.nan) ** 2 * source.maturity
        at = target.log_moneyness
        smiles = np.stack([smile(quotes, at, self.tolerance) for smile in self._smiles], axis=1)
        quoted = [~np.isnan(quotes[:, smile.quotes]).all(axis=1) for smile in self._smiles]
        maturities = np.array([smile.maturity for smile in self._smiles])
        variance = _at_maturity(smiles, np.stack(quoted, axis=1), maturities, target.maturity)
        return with_volatilities(np.sqrt(variance / target.maturity), target, self.unit)

    def _names_out(self) -> NDArray[np.object_]:
        return self.grid_.get_feature_names_out()


class _Smile:
    """Where the quotes of one maturity are, one for each strike."""

    def __init__(self, grid: OptionGrid, quotes: NDArray[np.intp]) -> None:
        self.quotes, self.maturity = quotes, grid.maturity[quotes[0]]
        in_the_money = grid.is_call[quotes] == (grid.strike[quotes] < grid.forward[quotes])
        self._k, place = np.unique(grid.log_moneyness[quotes], return_inverse=True)
        # The better ones last: they replace the others.
        self._sides = [(quotes[side], place[side]) for side in (in_the_money, ~in_the_money)]

    def __call__(self, variance: Floats, at: Floats, tolerance: float) -> Floats:
        """Interpolate total variances (n, n_quotes) at log-moneynesses (m,)."""
        w = np.full((len(variance), len(self._k)), np.nan)
        for quotes, place in self._sides:
            found = variance[:, quotes]
            w[:, place] = np.where(np.isnan(found), w[:, place], found)
        return total_variance_at(at, self._k, w, tolerance)


def _at_maturity(
    smiles: Floats, quoted: NDArray[np.bool_], maturities: Floats, at: Floats
) -> Floats:
    """Interpolate (n, m) between smiles (n, n_maturities, m) that are quoted (n, n_maturities).

    A maturity that has quotes is not passed over where they do not reach: the surface would
    tear there.
    """
    n_maturities = len(maturities)
    index = np.arange(n_maturities)[:, None]
    known = quoted[:, :, None]
    slack = _SAME * at
    before = np.where(known & (maturities[:, None] <= at + slack), index, -1).max(axis=1)
    after = np.where(known & (maturities[:, None] >= at - slack), index, n_maturities).min(axis=1)
    inside = (before >= 0) & (after < n_maturities)
    before, after = np.maximum(before, 0), np.minimum(after, n_maturities - 1)
    near, far = (
        np.take_along_axis(smiles, which[:, None], axis=1)[:, 0] for which in (before, after)
    )
    span = maturities[after] - maturities[before]
    weight = np.divide(at - maturities[before], span, out=np.zeros_like(near), where=span > 0)
    return np.where(inside, near + weight * (far - near), np.nan)


def _mean_rate(at: Floats, maturities: Floats, rates: Floats) -> Floats:
    """Rates per year of which the sums over time are linear between maturities."""
    total = np.interp(at, np.append(0.0, maturities), np.append(0.0, rates * maturities))
    return np.select([at < maturities[0], at > maturities[-1]], [rates[0], rates[-1]], total / at)
