"""Prices and their derivatives by an integral in 40 digits, on textbook formulas."""

import mpmath as mp

from tests.models import _truth

_STEP, _LENGTH = 0.05, 10.0


def price_and_slopes(name, params, strike, maturity, forward=100.0, gradient=True):
    """An undiscounted call and its derivatives by the parameters.

    For smooth cases only, with angle and step as they are: a fixed bend towards the side on
    which the integrand decays, and a step for which the rule's error is below 1e-15.
    """
    with mp.workdps(_truth.DIGITS):
        k = mp.log(mp.mpf(forward) / mp.mpf(strike))
        angle = mp.mpf("0.2") * mp.sign(k)
        sums = [mp.mpf(0)] * (1 + gradient * len(params))
        for j in range(int(_LENGTH / _STEP)):
            s = j * mp.mpf(_STEP) + mp.mpc(0, 1) * angle
            u = mp.sinh(s) / 2
            # The formulas take a float: u is rounded first, the rest follows exactly.
            at = complex(u) - 0.5j
            u = mp.mpc(at) + mp.mpf("0.5") * mp.mpc(0, 1)
            weight = mp.cosh(s) / 2 / (u * u + mp.mpf("0.25")) * (0.5 if j == 0 else 1)
            term = weight * mp.exp(mp.mpc(0, 1) * u * k - k / 2)
            term *= mp.exp(_truth.log_cf(name, at, maturity, params))
            factors = [1]
            if gradient:
                factors += _truth.log_cf_gradient(name, at, maturity, params)
            sums = [total + (term * f).real for total, f in zip(sums, factors, strict=True)]
        scale = mp.mpf(forward) * mp.mpf(_STEP) / mp.pi
        return mp.mpf(forward) - scale * sums[0], [-scale * total for total in sums[1:]]


def greeks(name, params, strike, maturity, spot, rate, dividend):
    """Those of a call, by differences of prices in many digits: delta, gamma, theta, rho."""
    step = mp.mpf(10) ** -10

    def price(moved_spot=0, moved_time=0, moved_rate=0):
        T, r = mp.mpf(maturity) + moved_time * step, mp.mpf(rate) + moved_rate * step
        forward = (spot + moved_spot * step) * mp.exp((r - mp.mpf(dividend)) * T)
        call, _ = price_and_slopes(name, params, strike, T, forward, gradient=False)
        return mp.exp(-r * T) * call

    with mp.workdps(_truth.DIGITS):
        down, middle, up = (price(moved_spot=offset) for offset in (-1, 0, 1))
        return {
            "price": middle,
            "delta": (up - down) / (2 * step),
            "gamma": (up - 2 * middle + down) / step**2,
            "theta": (price(moved_time=-1) - price(moved_time=1)) / (2 * step),
            "rho": (price(moved_rate=1) - price(moved_rate=-1)) / (2 * step),
        }
