"""The characteristic functions again, as the textbooks have them, in 60 digits.

Nothing is shared with the library: the exponents are written in terms of the moment
generating function, as they are in the literature and in the reference prices' notes, without
any of the rearrangements that double precision needs. Cancellation is met with digits.
"""

import mpmath as mp

DIGITS = 60


def _compensated(exponent):
    """Turn an exponent before drift into that of a martingale."""

    def psi(z, *params):
        return exponent(z, *params) - z * exponent(mp.mpf(1), *params)

    return psi


@_compensated
def _black_scholes(z, sigma):
    return sigma**2 * z**2 / 2


@_compensated
def _variance_gamma(z, sigma, nu, theta):
    return -mp.log(1 - theta * nu * z - sigma**2 * nu * z**2 / 2) / nu


@_compensated
def _cgmy(z, C, G, M, Y):
    if Y == 0:
        return -C * (mp.log(1 - z / M) + mp.log(1 + z / G))
    if Y == 1:
        up = (M - z) * mp.log(M - z) - M * mp.log(M)
        return C * (up + (G + z) * mp.log(G + z) - G * mp.log(G))
    up = (M - z) ** Y - M**Y
    return C * mp.gamma(-Y) * (up + (G + z) ** Y - G**Y)


@_compensated
def _nig(z, alpha, beta, delta):
    return delta * (mp.sqrt(alpha**2 - beta**2) - mp.sqrt(alpha**2 - (beta + z) ** 2))


@_compensated
def _gaussian_jumps(z, lam, muj, sigmaj):
    return lam * (mp.exp(muj * z + sigmaj**2 * z**2 / 2) - 1)


@_compensated
def _kou_jumps(z, lam, p, eta1, eta2):
    return lam * (p * eta1 / (eta1 - z) + (1 - p) * eta2 / (eta2 + z) - 1)


def _heston(z, maturity, v0, kappa, theta, sigma, rho):
    xi = kappa - rho * sigma * z
    d = mp.sqrt(xi**2 + sigma**2 * (z - z**2))
    g = (xi - d) / (xi + d)
    decay = mp.exp(-d * maturity)
    per_v0 = (xi - d) / sigma**2 * (1 - decay) / (1 - g * decay)
    log = mp.log((1 - g * decay) / (1 - g))
    return v0 * per_v0 + kappa * theta / sigma**2 * ((xi - d) * maturity - 2 * log)


def _of_levy(psi):
    return lambda z, maturity, *params: maturity * psi(z, *params)


def _merton(z, maturity, sigma, *jumps):
    return maturity * (_black_scholes(z, sigma) + _gaussian_jumps(z, *jumps))


def _kou(z, maturity, sigma, *jumps):
    return maturity * (_black_scholes(z, sigma) + _kou_jumps(z, *jumps))


def _bates(z, maturity, *params):
    return _heston(z, maturity, *params[:5]) + maturity * _gaussian_jumps(z, *params[5:])


def _double_heston(z, maturity, *params):
    return _heston(z, maturity, *params[:5]) + _heston(z, maturity, *params[5:])


def _double_heston_jump(z, maturity, *params):
    return _double_heston(z, maturity, *params[:10]) + maturity * _gaussian_jumps(z, *params[10:])


_LOG_MOMENT = {
    "black_scholes": _of_levy(_black_scholes),
    "variance_gamma": _of_levy(_variance_gamma),
    "cgmy": _of_levy(_cgmy),
    "nig": _of_levy(_nig),
    "merton": _merton,
    "kou": _kou,
    "heston": _heston,
    "bates": _bates,
    "double_heston": _double_heston,
    "double_heston_jump": _double_heston_jump,
}


def log_cf(name, u, maturity, params):
    """The logarithm of the characteristic function at one point, as an mpc."""
    with mp.workdps(DIGITS):
        z = mp.mpc(0, 1) * mp.mpc(complex(u))
        return _LOG_MOMENT[name](z, mp.mpf(maturity), *map(_exact, params))


def log_cf_rate(name, u, maturity, params):
    """Its derivative by maturity, by central differences that keep nearly thirty digits."""
    with mp.workdps(DIGITS):
        step = mp.mpf(10) ** -15 * mp.mpf(maturity)
        ends = [log_cf(name, u, mp.mpf(maturity) + offset, params) for offset in (-step, step)]
        return (ends[1] - ends[0]) / (2 * step)


def log_cf_gradient(name, u, maturity, params):
    """Its derivatives, by central differences that keep nearly thirty digits."""
    with mp.workdps(DIGITS):
        z = mp.mpc(0, 1) * mp.mpc(complex(u))
        T = mp.mpf(float(maturity))
        params = [_exact(value) for value in params]

        def partial(j):
            step = mp.mpf(10) ** -15 * max(abs(params[j]), mp.mpf(10) ** -3)

            def moved(offset):
                return _LOG_MOMENT[name](
                    z, T, *(p + offset * step * (i == j) for i, p in enumerate(params))
                )

            return (moved(1) - moved(-1)) / (2 * step)

        return [partial(j) for j in range(len(params))]


def cumulants(name, maturity, params, n=4):
    """The first n cumulants, as Taylor coefficients of the log moment function at 0."""
    with mp.workdps(2 * DIGITS):
        T, params = mp.mpf(float(maturity)), [_exact(value) for value in params]
        # On a circle so small that the coefficients of higher order do not matter.
        radius, m = mp.mpf(10) ** -8, 8
        nodes = [radius * mp.expjpi(mp.mpf(2 * k + 1) / m) for k in range(m)]
        values = [_LOG_MOMENT[name](z, T, *params) for z in nodes]
        return [
            mp.factorial(j) * mp.re(sum(v / z**j for v, z in zip(values, nodes, strict=True))) / m
            for j in range(1, n + 1)
        ]


def _exact(value):
    return mp.mpf(float(value))
