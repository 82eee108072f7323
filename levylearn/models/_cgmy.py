"""CGMY: tempered stable jumps."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, gamma

from levylearn.models._base import LevyModel, Slice, columns
from levylearn.models._complex import expm1, log1p
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter

__all__ = ["CGMY"]

Array = Any


class CGMY(LevyModel):
    r"""Tempered stable process of Carr, Geman, Madan and Yor, for every :math:`Y < 2`.

    Up to the linear term that makes it a martingale, and with :math:`z = iu`,

    .. math::
        \psi(u) = C\,\Gamma(2-Y)\,[M^Y q(z/M) + G^Y q(-z/G)], \qquad
        q(x) = \frac{(1-x)^Y - 1 + Yx}{Y(Y-1)},

    which is the usual form rearranged so that the singularities of
    :math:`\Gamma(-Y)` at :math:`Y = 0` and :math:`Y = 1` are gone. At
    :math:`Y = 0` it is Variance Gamma.

    Parameters of the model: ``C``, ``G``, ``M``, ``Y``.

    References
    ----------
    Carr, P., Geman, H., Madan, D. and Yor, M. (2002). The fine structure of asset
    returns: an empirical investigation. Journal of Business 75, 305-332.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.models import CGMY
    >>> CGMY().cumulants(1.0, np.array([[1.0, 5.0, 5.0, 0.0]]))[0, 1].round(6)
    np.float64(0.08)
    """

    name = "cgmy"
    parameters = (
        Parameter(
            "C",
            "C",
            domain=(0.0, float("inf")),
            market_range=(0.01, 0.5),
            calibration_range=(1e-5, 100.0),
            scale="log",
            prior=("lognorm", {"s": 0.5, "scale": 0.1}),
            unit="per year",
            description="overall level of jump activity",
        ),
        Parameter(
            "G",
            "G",
            domain=(0.0, float("inf")),
            market_range=(1.0, 10.0),
            calibration_range=(1e-3, 200.0),
            scale="log",
            prior=("gamma", {"a": 2.0, "scale": 2.0}),
            description="exponential decay of the jumps down",
        ),
        Parameter(
            "M",
            "M",
            domain=(1.0, float("inf")),
            market_range=(1.5, 10.0),
            calibration_range=(1.001, 200.0),
            scale="log",
            prior=("gamma", {"a": 2.0, "scale": 2.0}),
            description="exponential decay of the jumps up",
        ),
        Parameter(
            "Y",
            "Y",
            domain=(-float("inf"), 2.0),
            market_range=(0.1, 1.8),
            calibration_range=(-1.0, 1.95),
            prior=("truncnorm", {"a": -3.0, "b": 3.0, "loc": 1.0, "scale": 0.3}),
            description="fine structure: jump activity (0) and variation (1)",
        ),
    )

    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        C, G, M, Y = columns(params)
        z = 1j * u
        level = C * _elementwise(gamma, 2 - Y)
        up, d_M, up_Y = _one_side(z, 1, M, Y, gradient)
        down, d_G, down_Y = _one_side(z, -1, G, Y, gradient)
        psi = level * (up + down)
        if not gradient:
            return psi, []
        d_Y = level * (up_Y + down_Y) - _elementwise(digamma, 2 - Y) * psi
        return psi, [psi / C, level * d_G, level * d_M, d_Y]

    def cumulant_rates(self, params: Array) -> list[Array]:
        xp = array_namespace(params)
        C, G, M, Y = columns(params)
        mean = M**Y * xp.real(_power_remainder(1 / M + 0j, Y)[0]) + G**Y * xp.real(
            _power_remainder(-1 / G + 0j, Y)[0]
        )
        rates = [-C * _elementwise(gamma, 2 - Y) * mean]
        for k in (2, 3, 4):
            tails = M ** (Y - k) + (-1) ** k * G ** (Y - k)
            rates.append(C * _elementwise(gamma, k - Y) * tails)
        return [rate[:, 0] for rate in rates]

    def levy_density(self, x: Array, params: Array) -> Array:
        xp = array_namespace(x, params)
        C, G, M, Y = columns(params)
        size = xp.abs(x)
        return C * xp.exp(-xp.where(x > 0, M, G) * size - (1 + Y) * xp.log(size))

    def moment_limits(self, params: Array) -> tuple[Array, Array]:
        return -params[:, 1], params[:, 2]


def _one_side(
    z: Array, sign: int, decay: Array, Y: Array, gradient: bool
) -> tuple[Array, Array, Array]:
    r"""Jumps of one sign: :math:`f = a^Y[q(\pm z/a) - z\,q(\pm1/a)]`, df/da and df/dY."""
    xp = array_namespace(z, decay)
    scale = decay**Y
    x, x1 = (sign / decay) * z, sign / decay + 0j
    q, d_a, d_Y = _power_remainder(x, Y, gradient)
    q1, d_a1, d_Y1 = _power_remainder(x1, Y, gradient)
    value = scale * (q - z * q1)
    if not gradient:
        return value, None, None
    return (
        value,
        (scale / decay) * (d_a - z * d_a1),
        xp.log(decay) * value + scale * (d_Y - z * d_Y1),
    )


def _power_remainder(x: Array, Y: Array, gradient: bool = False) -> tuple[Array, Array, Array]:
    r"""Return q(x), the bracket of d(a^Y q(z/a))/da = a^{Y-1}[...], and dq/dY.

    With :math:`e_w = [(1-x)^w - 1]/w`, which is smooth in w at 0,
    :math:`q = (e_Y + x)/(Y-1) = ((1-x)e_{Y-1} + x)/Y`. The first form is used for
    Y < 1/2 and the second above, so that neither divides by a small number.
    """
    xp = array_namespace(x, Y)
    low = Y < 0.5
    w = xp.where(low, Y, Y - 1)
    w = xp.where(xp.abs(w) < 1e-200, 0.0, w)  # dividing by less would overflow
    divisor = xp.where(low, Y - 1, Y)
    factor = xp.where(low, 1.0 + 0j, 1 - x)
    log = log1p(-x)
    power = expm1(w * log)
    e_w = xp.where(w == 0, log, power / xp.where(w == 0, 1.0, w))
    q = (factor * e_w + x) / divisor
    if not gradient:
        return q, None, None
    e_1 = xp.where(low, (Y * e_w + x) / ((1 - x) * xp.where(low, divisor, 1.0)), e_w)
    return q, e_1 + x, (factor * _slope_in_exponent(w, log, power, e_w) - q) / divisor


def _slope_in_exponent(w: Array, log: Array, power: Array, e_w: Array) -> Array:
    """Derivative of e_w in w; by its series where the closed form would cancel."""
    xp = array_namespace(log)
    t = w * log
    near = xp.abs(t) < 0.03
    series = 1 / 2 + t * (1 / 3 + t * (1 / 8 + t * (1 / 30 + t * (1 / 144 + t / 840))))
    closed = (log * (1 + power) - e_w) / xp.where(w == 0, 1.0, w)
    return xp.where(near, log**2 * series, closed)


def _elementwise(function: Any, values: Array) -> Array:
    """Apply a SciPy function to a real array of any library."""
    xp = array_namespace(values)
    return xp.asarray(function(np.asarray(values)), dtype=values.dtype)
