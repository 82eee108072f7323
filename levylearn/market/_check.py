"""Arguments of market values: checked, and refused with name, entry and value."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["chosen", "floats", "increasing", "per_entry", "positive", "positive_number", "vector"]


def floats(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a float64 copy."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers; got {values!r}.") from error


def vector(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a non-empty vector of finite numbers."""
    array = floats(name, values)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} must be a non-empty 1-D array; got shape {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ValueError(f"{name} must be finite; entry {bad[0]} is {array[bad[0]]}.")
    return array


def positive(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a non-empty vector of positive numbers."""
    array = vector(name, values)
    bad = np.flatnonzero(array <= 0)
    if bad.size:
        raise ValueError(f"{name} must be positive; entry {bad[0]} is {array[bad[0]]:g}.")
    return array


def positive_number(name: str, value: ArrayLike) -> float:
    """Return one positive, finite number."""
    array = floats(name, value)
    if array.ndim != 0:
        raise ValueError(f"{name} must be one positive number; got shape {array.shape}.")
    if not (np.isfinite(array) and array > 0):
        raise ValueError(f"{name} must be positive and finite; got {float(array):g}.")
    return float(array)


def increasing(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return a strictly increasing vector of positive numbers."""
    array = positive(name, values)
    bad = np.flatnonzero(np.diff(array) <= 0)
    if bad.size:
        i = bad[0]
        raise ValueError(
            f"{name} must be strictly increasing; entry {i + 1} ({array[i + 1]:g}) "
            f"follows {array[i]:g}. Use OptionGrid.from_quotes for a ragged list."
        )
    return array


def per_entry(name: str, values: ArrayLike, n: int, entry: str) -> NDArray[np.float64]:
    """Return one finite number per entry; one for all is repeated."""
    array = vector(name, np.atleast_1d(floats(name, values)))
    if array.size not in (1, n):
        raise ValueError(f"{name} must be a scalar or one per {entry} ({n}); got {array.size}.")
    return np.broadcast_to(array, n).copy()


def chosen(name: str, indices: ArrayLike | slice, n_quotes: int) -> NDArray[np.intp]:
    """Return the indices of the quotes that a mask, a slice or indices choose."""
    array = indices if isinstance(indices, slice | list) else np.asarray(indices)
    which = np.atleast_1d(np.arange(n_quotes)[array])
    if which.size == 0:
        raise ValueError(f"{name} must choose at least one of the {n_quotes} quotes.")
    return which
