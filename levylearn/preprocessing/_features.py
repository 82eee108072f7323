"""A few numbers that say what a surface looks like."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.preprocessing._base import SurfaceTransformer
from levylearn.preprocessing._units import prices_from, volatilities
from levylearn.utils._sklearn import StrOptions

__all__ = ["SurfaceFeatures"]

Floats = NDArray[np.float64]

# How far from the forward a quote still counts: one deviation at this volatility.
_WIDTH = 0.2
_LEAST_WEIGHT = 1e-4
_COEFFICIENTS = 3  # of a parabola


class SurfaceFeatures(SurfaceTransformer):
    r"""Level, skew and convexity of each maturity, and the term structure.

    Parameters
    ----------
    grid : OptionGrid
        The contracts: one for each column.
    kind : {"smile", "price"}, default="smile"
        Features of implied volatility at the forward, or the price differences of the
        literature: see Notes.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`.

    Attributes
    ----------
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    ImpliedVolTransformer : All volatilities.

    Notes
    -----
    *Smile.* Through the implied volatilities of each maturity a parabola in
    :math:`k = \log(K/F)` is fitted by least squares, with weights
    :math:`\exp(-k^2 / (2h^2))`, :math:`h = 0.2\sqrt{T}`, so that it is right near the forward.
    Its value, slope and second derivative at the forward are level, skew and convexity. From one
    maturity to the next, the term slope is the change of the level per year.

    *Price.* From the calls (puts are turned into calls by parity) of the lowest strike of each
    maturity, of that nearest to the spot, and of the highest, in the money (i), at the money
    (a) and out of the money (o), all over the spot, come level :math:`a`, skew :math:`o - i`
    and convexity :math:`i + o - 2a`; and from last to first maturity the difference of levels.
    On a grid of 3 maturities and 5 strikes these are ten features.

    A feature is NaN where quotes are missing: for a parabola there must be quotes at three strikes
    near the forward, and the forward must be among them, not beyond; for the differences those
    that they are made of.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.preprocessing import SurfaceFeatures
    >>> grid = OptionGrid(strikes=[90, 95, 100, 105, 110], maturities=[0.25, 0.5])
    >>> k = grid.log_moneyness
    >>> smiles = (0.2 - 0.1 * k + 0.5 * k**2 + 0.02 * grid.maturity).reshape(1, -1)
    >>> features = SurfaceFeatures(grid, unit="implied_vol").fit(smiles)
    >>> features.get_feature_names_out()[:4]
    array(['level_T0.25', 'skew_T0.25', 'convexity_T0.25', 'level_T0.5'],
          dtype=object)
    >>> features.transform(smiles).round(3)
    array([[ 0.205, -0.1  ,  1.   ,  0.21 , -0.1  ,  1.   ,  0.02 ]])
    """

    _parameter_constraints = {
        **SurfaceTransformer._parameter_constraints,
        "kind": [StrOptions({"smile", "price"})],
    }

    def __init__(self, grid: OptionGrid, kind: str = "smile", unit: str = "price") -> None:
        self.grid = grid
        self.kind = kind
        self.unit = unit

    def _transform(self, surfaces: Floats) -> Floats:
        return self._of_smiles(surfaces) if self.kind == "smile" else self._of_prices(surfaces)

    def _of_smiles(self, surfaces: Floats) -> Floats:
        smiles = volatilities(surfaces, self.grid, self.unit)
        # Zero is the volatility of a price without time value.
        smiles = np.where(smiles > 0, smiles, np.nan)
        slices = self.grid.slices
        each = [_parabola(self.grid, quotes, smiles[:, quotes]) for _, quotes in slices]
        level = np.stack([features[:, 0] for features in each], axis=1)
        term = np.diff(level, axis=1) / np.diff([maturity for maturity, _ in slices])
        return np.hstack([*each, term])

    def _of_prices(self, surfaces: Floats) -> Floats:
        grid = self.grid
        calls = prices_from(surfaces, grid, self.unit)
        calls = calls + np.where(grid.is_call, 0.0, grid.discount * (grid.forward - grid.strike))
        each = []
        for _, quotes in grid.slices:
            strike = grid.strike[quotes]
            three = [strike.argmin(), np.abs(strike - grid.spot).argmin(), strike.argmax()]
            inside, at, outside = calls[:, quotes[three]].T / grid.spot
            each.append(np.column_stack([at, outside - inside, inside + outside - 2 * at]))
        if len(each) > 1:
            each.append(each[-1][:, :1] - each[0][:, :1])
        return np.hstack(each)

    def _names_out(self) -> NDArray[np.object_]:
        maturities = [f"T{maturity:.10g}" for maturity, _ in self.grid.slices]
        names = [f"{kind}_{T}" for T in maturities for kind in ("level", "skew", "convexity")]
        if self.kind == "smile":
            pairs = list(pairwise(maturities))
        else:
            pairs = [(maturities[0], maturities[-1])] if len(maturities) > 1 else []
        return np.array([*names, *(f"term_{a}_{b}" for a, b in pairs)], dtype=object)


def _parabola(grid: OptionGrid, quotes: NDArray[np.intp], smiles: Floats) -> Floats:
    """Value, slope and second derivative (n, 3) at the forward of smiles (n, n_quotes)."""
    width = _WIDTH * np.sqrt(grid.maturity[quotes[0]])
    x = grid.log_moneyness[quotes] / width
    weight = np.exp(-0.5 * x * x)
    design = np.stack([np.ones_like(x), x, 0.5 * x * x])
    quoted = ~np.isnan(smiles)
    weights = np.where(quoted, weight, 0.0)
    moments = np.einsum("nq,iq,jq->nij", weights, design, design)
    right = np.einsum("nq,iq->ni", weights * np.where(quoted, smiles, 0.0), design)
    known = _surrounded(x, quoted & (weight > _LEAST_WEIGHT))
    features = np.full((len(smiles), _COEFFICIENTS), np.nan)
    features[known] = np.linalg.solve(moments[known], right[known, :, None])[..., 0]
    return features / width ** np.arange(_COEFFICIENTS)


def _surrounded(x: Floats, near: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether there are three places among those near zero, and zero is between them."""
    places, of = np.unique(x, return_inverse=True)
    taken = np.stack([near[:, of == i].any(axis=1) for i in range(len(places))], axis=1)
    lowest = np.min(np.where(taken, places, np.inf), axis=1)
    highest = np.max(np.where(taken, places, -np.inf), axis=1)
    return (taken.sum(axis=1) >= _COEFFICIENTS) & (lowest <= 0) & (highest >= 0)
