"""Complex functions in real arithmetic, where that is faster or more accurate.

NumPy's complex logarithm and square root cost several times their real parts;
``expm1`` and ``log1p`` keep the digits that cancel near the origin.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from levylearn.models._namespace import array_namespace

Array = Any


def join(real: Array, imag: Array) -> Array:
    """Complex array of the given parts."""
    xp = array_namespace(real, imag)
    if xp is not np:
        return real + 1j * imag
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), dtype=np.complex128)
    out.real = real
    out.imag = imag
    return out


def expm1(z: Array) -> Array:
    """Return ``exp(z) - 1``, accurate near zero."""
    xp = array_namespace(z)
    growth = xp.expm1(xp.real(z))
    half = xp.imag(z) / 2
    sine, cosine = xp.sin(half), xp.cos(half)
    twice = 2 * (growth + 1) * sine
    return join(growth - twice * sine, twice * cosine)


def log1p(z: Array) -> Array:
    """Return the principal ``log(1 + z)``, accurate near zero and near -1."""
    xp = array_namespace(z)
    x, y = xp.real(z), xp.imag(z)
    excess = x * (2 + x) + y * y  # |1 + z|^2 - 1
    if xp.min(excess) < -0.75:
        square = (1 + x) * (1 + x) + y * y
        small = square < 0.25
        log = xp.log1p(xp.where(small, 0.0, excess))
        log = xp.where(small, xp.log(xp.where(small, square, 1.0)), log)
    else:
        log = xp.log1p(excess)
    return join(log / 2, xp.atan2(y, 1 + x))


def sqrt(z: Array) -> Array:
    """Return the square root with non-negative real part."""
    xp = array_namespace(z)
    if xp is not np:
        return xp.sqrt(z)
    x, y = z.real, z.imag
    large = np.sqrt((np.abs(z) + np.abs(x)) / 2)
    small = np.divide(np.abs(y), 2 * large, out=np.zeros_like(large), where=large > 0)
    positive = x >= 0
    return join(np.where(positive, large, small), np.copysign(np.where(positive, small, large), y))
