"""Complex functions in real arithmetic, where that is faster or more accurate.

NumPy's complex functions cost several times their real parts, and its sine and cosine
several times the tangent of half the angle, which gives both. ``expm1`` and ``log1p``
keep the digits that cancel near the origin.
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
    return _turned(growth, growth + 1, xp.imag(z))


def exp(z: Array) -> Array:
    """Return ``exp(z)``, of numbers whose imaginary parts are finite."""
    xp = array_namespace(z)
    size = xp.exp(xp.real(z))
    return _turned(size, size, xp.imag(z))


def _turned(real: Array, size: Array, angle: Array) -> Array:
    """Return ``real + size (exp(i angle) - 1)``."""
    xp = array_namespace(size)
    tangent = xp.tan(0.5 * angle)
    imag = tangent * tangent
    if xp is not np:
        imag = 2 * size * tangent / (1 + imag)
        return join(real - tangent * imag, imag)
    # In place: most of the time would go into memory.
    imag += 1
    np.divide(size, imag, out=imag)
    imag *= tangent
    imag += imag
    out = np.empty(imag.shape, dtype=np.complex128)
    out.imag = imag
    imag *= tangent
    np.subtract(real, imag, out=out.real)
    return out


def log1p(z: Array) -> Array:
    """Return the principal ``log(1 + z)``, accurate near zero and near -1."""
    xp = array_namespace(z)
    x, y = xp.real(z), xp.imag(z)
    excess = x + 2
    excess *= x
    excess += y * y  # |1 + z|^2 - 1
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
    large = np.abs(z)
    large += np.abs(x)
    large *= 0.5
    np.sqrt(large, out=large)
    small = np.abs(y)
    np.divide(small, 2 * large, out=small, where=large > 0)  # it is 0 where the other is
    positive = x >= 0
    if not positive.all():
        large, small = np.where(positive, large, small), np.where(positive, small, large)
    return join(large, np.copysign(small, y, out=small))
