"""Models that are sums of independent parts."""

from __future__ import annotations

from dataclasses import replace

from levylearn.models._base import SumModel
from levylearn.models._black_scholes import BlackScholes
from levylearn.models._heston import Heston
from levylearn.models._jumps import DoubleExponentialJumps, GaussianJumps
from levylearn.models._parameter import Parameter

__all__ = ["Bates", "DoubleHeston", "DoubleHestonJump", "Kou", "Merton"]


def _numbered(factor: int, ranges: dict[str, tuple[float, float]]) -> tuple[Parameter, ...]:
    """Heston's parameters as those of the first or second factor."""
    return tuple(
        replace(
            parameter,
            name=f"{parameter.name.removesuffix('0')}{factor}" + "0" * (parameter.name == "v0"),
            symbol=f"{parameter.symbol.removesuffix('_0')}_{factor}",
            market_range=ranges[parameter.name],
        )
        for parameter in Heston.parameters
    )


# A fast and a slow factor, in the ranges of the Double Heston literature.
_TWO_FACTORS = _numbered(
    1,
    {
        "v0": (0.025, 0.08),
        "kappa": (1.5, 4.5),
        "theta": (0.025, 0.065),
        "sigma": (0.2, 0.5),
        "rho": (-0.85, -0.4),
    },
) + _numbered(
    2,
    {
        "v0": (0.02, 0.07),
        "kappa": (0.3, 1.2),
        "theta": (0.025, 0.07),
        "sigma": (0.1, 0.35),
        "rho": (-0.7, -0.2),
    },
)


class Merton(SumModel):
    r"""Merton's jump diffusion: Black-Scholes and Gaussian log-jumps.

    Parameters of the model: ``sigma``; ``lam``, the jumps' rate, ``muj`` and
    ``sigmaj``, mean and standard deviation of their log-size.

    References
    ----------
    Merton, R. (1976). Option pricing when underlying stock returns are
    discontinuous. Journal of Financial Economics 3, 125-144.

    Examples
    --------
    >>> from levylearn.models import Merton
    >>> Merton().parameter_names
    ('sigma', 'lam', 'muj', 'sigmaj')
    """

    name = "merton"
    parts = (BlackScholes(), GaussianJumps())
    parameters = BlackScholes.parameters + GaussianJumps.parameters


class Kou(SumModel):
    r"""Kou's jump diffusion: Black-Scholes and double-exponential log-jumps.

    Parameters of the model: ``sigma``; ``lam``, the jumps' rate, ``p``, the
    probability of a jump up, ``eta1`` and ``eta2``, inverse mean sizes up and down.

    References
    ----------
    Kou, S. (2002). A jump-diffusion model for option pricing. Management Science
    48, 1086-1101.

    Examples
    --------
    >>> from levylearn.models import Kou
    >>> Kou().parameter_names
    ('sigma', 'lam', 'p', 'eta1', 'eta2')
    """

    name = "kou"
    parts = (BlackScholes(), DoubleExponentialJumps())
    parameters = BlackScholes.parameters + DoubleExponentialJumps.parameters


class Bates(SumModel):
    r"""Bates: Heston's variance and Gaussian log-jumps.

    Parameters of the model: those of :class:`Heston`, and ``lam``, ``muj``,
    ``sigmaj`` of the jumps.

    References
    ----------
    Bates, D. (1996). Jumps and stochastic volatility: exchange rate processes
    implicit in Deutsche Mark options. Review of Financial Studies 9, 69-107.

    Examples
    --------
    >>> from levylearn.models import Bates
    >>> Bates().n_params
    8
    """

    name = "bates"
    parts = (Heston(), GaussianJumps())
    parameters = Heston.parameters + GaussianJumps.parameters


class DoubleHeston(SumModel):
    r"""Two independent Heston factors.

    Parameters of the model: those of :class:`Heston` twice, with 1 and 2 appended.
    Exchanging the factors changes nothing.

    References
    ----------
    Christoffersen, P., Heston, S. and Jacobs, K. (2009). The shape and term
    structure of the index option smirk. Management Science 55, 1914-1932.

    Examples
    --------
    >>> from levylearn.models import DoubleHeston
    >>> DoubleHeston().parameter_names[:5]
    ('v10', 'kappa1', 'theta1', 'sigma1', 'rho1')
    """

    name = "double_heston"
    parts = (Heston(), Heston())
    parameters = _TWO_FACTORS


class DoubleHestonJump(SumModel):
    r"""Two independent Heston factors and Gaussian log-jumps.

    Parameters of the model: those of :class:`DoubleHeston`, and ``lam``, ``muj``,
    ``sigmaj`` of the jumps.

    References
    ----------
    Christoffersen, P., Heston, S. and Jacobs, K. (2009). The shape and term
    structure of the index option smirk. Management Science 55, 1914-1932.

    Bates, D. (1996). Jumps and stochastic volatility. Review of Financial Studies
    9, 69-107.

    Examples
    --------
    >>> from levylearn.models import DoubleHestonJump
    >>> DoubleHestonJump().n_params
    13
    """

    name = "double_heston_jump"
    parts = (Heston(), Heston(), GaussianJumps())
    parameters = _TWO_FACTORS + tuple(
        replace(parameter, market_range=market_range)
        for parameter, market_range in zip(
            GaussianJumps.parameters, ((0.05, 0.25), (-0.08, -0.01), (0.03, 0.12)), strict=True
        )
    )
