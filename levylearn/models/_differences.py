"""Finite differences, for whatever has no derivative written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from levylearn.models._parameter import Parameter

Array = Any

# A step of eps^(1/5) balances rounding against the truncation of fourth order.
RELATIVE_STEP = float(np.finfo(np.float64).eps) ** 0.2
_CENTRAL = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
_FORWARD = {0: -25 / 12, 1: 4.0, 2: -3.0, 3: 4 / 3, 4: -1 / 4}


def derivatives(
    function: Callable[[Array], Array],
    params: Array,
    parameters: Sequence[Parameter],
    relative_step: float = RELATIVE_STEP,
) -> Array:
    """Differentiate ``function(params)`` of shape (n, m): result of shape (n, p, m)."""
    params = np.asarray(params, dtype=np.float64)
    slopes = [_derivative(function, params, j, p, relative_step) for j, p in enumerate(parameters)]
    return np.stack(slopes, axis=1)


def slope_at(function: Callable[[Any], Array], point: Any) -> Array:
    """Differentiate ``function(point)`` at a positive number, or at an array of them."""
    step = RELATIVE_STEP * point
    return sum(weight * function(point + j * step) for j, weight in _CENTRAL.items()) / step


def _derivative(
    function: Callable[[Array], Array],
    params: Array,
    j: int,
    parameter: Parameter,
    relative_step: float,
) -> Array:
    """Differentiate in column j: centrally, or inwards where the domain ends too near."""
    values = params[:, j]
    low, high = parameter.domain
    width = parameter.market_range[1] - parameter.market_range[0]
    step = relative_step * np.maximum(np.abs(values), 0.1 * width)
    below, above = values - low, high - values
    room = np.minimum(below, above)
    central = room > 3e-2 * step
    step = np.where(central, np.minimum(step, room / 3), np.where(above > below, step, -step))
    slope = 0.0
    for offset in sorted(set(_CENTRAL) | set(_FORWARD)):
        weight = np.where(central, _CENTRAL.get(offset, 0.0), _FORWARD.get(offset, 0.0))
        if not weight.any():
            continue
        moved = params.copy()
        # Rows that do not use this offset stay at the point itself, inside the domain.
        moved[:, j] = values + np.where(weight != 0, offset * step, 0.0)
        slope = slope + weight[:, None] * function(moved)
    return slope / step[:, None]
