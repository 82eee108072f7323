"""What the posterior of the parameters says of prices, volatilities and Greeks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from levylearn.calibration._problem import volatilities
from levylearn.market import OptionGrid

__all__ = ["predictive_bands"]

Floats = NDArray[np.float64]

_ENDS = ["estimate", "lower", "upper"]


def predictive_bands(
    pricer: Any,
    sets: list[Floats | None],
    grid: OptionGrid | None,
    greeks: bool,
    band: Callable[[Floats], Floats],
) -> pd.DataFrame:
    """Bands of every quantity, for the options of a grid and the draws of each surface.

    Parameters
    ----------
    pricer : fitted pricer
        Of the surfaces.
    sets : list of ndarray of shape (n_draws, p), or None
        Parameter sets of each surface; None where there is no posterior.
    grid : OptionGrid or None
        What to price; None means the pricer's own grid.
    greeks : bool
        Whether to add the Greeks.
    band : callable
        From draws (n_draws, n_options) to estimates, lower and upper ends (n_options, 3).
    """
    grid = pricer.grid if grid is None else grid
    other = clone(pricer).set_params(grid=grid, output="price").set_output(transform="default")
    frames = []
    for params in sets:
        # Without a posterior, one set is priced for the names of the quantities.
        drawn = _usual(pricer) if params is None else params
        quantities = _quantities(other.fit(drawn), drawn, greeks)
        bands = {
            name: np.full((grid.n_quotes, len(_ENDS)), np.nan) if params is None else band(values)
            for name, values in quantities.items()
        }
        columns = pd.MultiIndex.from_product([bands, _ENDS], names=["quantity", "value"])
        options = pd.Index(grid.get_feature_names_out(), name="option")
        frames.append(pd.DataFrame(np.hstack(list(bands.values())), options, columns))
    return pd.concat(frames, keys=range(len(frames)), names=["surface"])


def _quantities(pricer: Any, params: Floats, greeks: bool) -> dict[str, Floats]:
    """All that is asked for, (n_draws, n_options) each."""
    if not greeks:
        prices = pricer.evaluate(params)[0]
        return {"price": prices, "implied_vol": volatilities(pricer, prices)}
    found = pricer.greeks(params)
    vegas = {
        f"vega_{parameter.name}": found.vega[:, j] for j, parameter in enumerate(pricer.parameters_)
    }
    others = {name: found[name] for name in ("delta", "gamma", "theta", "rho")}
    volatility = volatilities(pricer, found.price)
    return {"price": found.price, "implied_vol": volatility, **others, **vegas}


def _usual(pricer: Any) -> Floats:
    return np.array([[np.mean(p.market_range) for p in pricer.parameters_]])
