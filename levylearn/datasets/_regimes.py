"""Calm, normal and stressed markets, as parts of the ranges of a model's parameters."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from levylearn.models import CharacteristicModel, get_model

__all__ = ["REGIMES", "at_positions", "market_regimes"]

Floats = NDArray[np.float64]

# Positions in a market range, from its calm end (0) to the other (1).
REGIMES = {"calm": (0.0, 0.4), "normal": (0.3, 0.7), "stressed": (0.6, 1.0)}
# A parameter that changes the size of large moves by a smaller part has no calm end.
_NEGLIGIBLE = 1e-6


def market_regimes(
    model: str | CharacteristicModel,
) -> dict[str, dict[str, tuple[float, float]]]:
    """Ranges of a model's parameters in calm, normal and stressed markets.

    A regime is a part of the market range of every parameter, on the parameter's scale: the
    40 % at its calm end, the middle 40 %, or the 40 % at the other end. The calm end is the
    one where large moves are rarer: where the fourth central moment of the yearly log-return
    is smaller, all other parameters in the middle of their ranges. So in a stressed market
    variances and their volatility are high and revert slowly, jumps are frequent, large and
    mostly downwards, tails heavy, and the price falls when its variance rises. A parameter
    without influence on large moves keeps its range.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.

    Returns
    -------
    regimes : dict of dict
        For ``"calm"``, ``"normal"`` and ``"stressed"`` the range ``(low, high)`` of each
        parameter, as :func:`make_surfaces` takes them.

    See Also
    --------
    make_surfaces : Surfaces of one regime.
    make_surface_series : Surfaces over time, from one regime to another.

    Examples
    --------
    >>> from levylearn.datasets import market_regimes
    >>> for regime, ranges in market_regimes("heston").items():
    ...     low, high = ranges["v0"]
    ...     print(f"{regime}: volatility today from {low**0.5:.0%} to {high**0.5:.0%}")
    calm: volatility today from 10% to 19%
    normal: volatility today from 16% to 31%
    stressed: volatility today from 26% to 50%
    """
    model = get_model(model)
    neutral = _directions(model) == 0
    regimes = {}
    for regime, band in REGIMES.items():
        positions = np.where(neutral, [[0.0], [1.0]], np.reshape(band, (2, 1)))
        ends = np.sort(at_positions(model, positions), axis=0)
        regimes[regime] = {
            name: (float(low), float(high))
            for name, low, high in zip(model.parameter_names, *ends, strict=True)
        }
    return regimes


def at_positions(model: CharacteristicModel, positions: Floats) -> Floats:
    """Parameter sets (n, p) at positions between the calm ends (0) and the others (1)."""
    return _in_ranges(model, np.where(_directions(model) < 0, 1 - positions, positions))


def _in_ranges(model: CharacteristicModel, fractions: Floats) -> Floats:
    """Parameter sets so far up their market ranges."""
    params = np.empty(fractions.shape)
    for j, parameter in enumerate(model.parameters):
        low, high = parameter.market_range
        if parameter.scale == "log":
            params[:, j] = low * (high / low) ** fractions[:, j]
        else:
            params[:, j] = low + (high - low) * fractions[:, j]
    return params


@cache
def _directions(model: CharacteristicModel) -> NDArray[np.int_]:
    """1 where a parameter that grows makes large moves likelier, -1 where less likely, or 0."""
    p = model.n_params
    low, high = np.full((p, p), 0.5), np.full((p, p), 0.5)
    np.fill_diagonal(low, 0.0)
    np.fill_diagonal(high, 1.0)
    with np.errstate(all="ignore"):
        cumulants = model.cumulants(1.0, _in_ranges(model, np.concatenate([low, high])))
        at_low, at_high = (cumulants[:, 3] + 3 * cumulants[:, 1] ** 2).reshape(2, p)
        change = (at_high - at_low) / (at_high + at_low)
    # At the end of a range the model may not exist, and then its moments are NaN.
    return np.where(np.abs(change) > _NEGLIGIBLE, np.sign(change), 0).astype(int)
