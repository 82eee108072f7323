"""The options of a grid as puts of strike one, and their prices on a periodic grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.pricing._generator import Generator
from levylearn.pricing._lagrange import interpolate
from levylearn.pricing._march import march, march_above

__all__ = ["Puts", "american_puts", "european_puts"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Puts:
    """Options of one maturity, of which each is a put of strike one.

    Parameters
    ----------
    maturity, rate, dividend : float
        What they have in common.
    x : ndarray of shape (n_strikes,)
        Logarithm of the underlying over the strike.
    quotes : ndarray of int of shape (n_strikes,)
        Which option of the grid each one is.
    is_american : bool
        Whether they may be exercised at any time.
    is_mirrored : bool
        Whether they are calls: these are puts on the strike, in units of the asset.
    """

    maturity: float
    rate: float
    dividend: float
    x: Floats
    quotes: NDArray[np.intp]
    is_american: bool = False
    is_mirrored: bool = False

    def reach(self, spread: Floats) -> Floats:
        """How far from zero options are read off.

        Parameters
        ----------
        spread : ndarray of shape (n_samples,)
            Standard deviation of the log-return.

        Returns
        -------
        reach : ndarray of shape (n_samples,)
            In log-moneyness, with the way that the frame goes and the drift of the rates.
        """
        drift = abs(self.rate - self.dividend) * self.maturity
        return np.abs(self.x).max() + drift + spread

    def values(self, generator: Generator, spread: Floats, n_steps: int) -> tuple[Floats, Floats]:
        r"""Price them.

        Solved for is the time value, over the payoff :math:`(1 - e^x)^+`, which falls to zero
        on either side. The frame moves with the drift of the process, so that the kink of
        the payoff stays on its node when few jumps smear it, but by no more than a standard
        deviation, which is all it takes to smear it.

        Parameters
        ----------
        generator : Generator
            The process, on a grid for each parameter set.
        spread : ndarray of shape (n_samples,)
            Standard deviation of the log-return.
        n_steps : int
            Time steps to maturity.

        Returns
        -------
        values : ndarray of shape (n_samples, n_strikes)
            In units of the strike.
        astray : ndarray of shape (n_samples, 1)
            What is lost of them, about, by jumps that leave the grid.
        """
        generator = generator.mirrored() if self.is_mirrored else generator
        drift = generator.drift + (self.rate - self.dividend)
        way = spread[:, None] * np.tanh(drift * self.maturity / spread[:, None])
        velocity = way / self.maturity
        rest = drift - velocity
        growth = np.exp(generator.x)
        payoff = np.maximum(1 - growth, 0.0)
        symbol = generator.symbol() + rest * generator.symbol_of_drift() - self.rate
        source = generator.source() + rest * generator.source_of_drift() - self.rate * payoff
        problem = symbol, source, self.maturity, n_steps
        if self.is_american:
            rise = velocity * np.where(growth < 1, growth, 0.0)

            def obstacle(time: float) -> Floats:
                return np.maximum(1 - growth * np.exp(-velocity * time), 0.0) - payoff

            time_value = march_above(*problem, obstacle, rise)
        else:
            time_value = march(*problem)
        at = self.x + way
        values = interpolate(time_value, generator.half + at / generator.step, generator.half)
        room = -generator.x[:, :1] - np.abs(at).max(axis=1, keepdims=True)
        astray = self.maturity * _loss_rate(generator, time_value, room)
        return values + np.maximum(-np.expm1(at), 0.0), astray


def _loss_rate(generator: Generator, time_value: Floats, room: Floats) -> Floats:
    """Time value per year that jumps longer than the room to the edges can lose, or gain.

    What jumps across an edge is lost, or comes back from the other side.
    """
    far = np.abs(generator.x) >= room
    rate = (generator.rates * far).sum(axis=1) + generator.leaving[0].sum(axis=1)
    return (rate * np.abs(time_value * far).max(axis=1))[:, None]


def european_puts(grid: OptionGrid) -> list[Puts]:
    """Options on the forward, which has no drift.

    Parameters
    ----------
    grid : OptionGrid
        The options.

    Returns
    -------
    puts : list of Puts
        Calls too: their time value is that of the put.
    """
    return [
        Puts(maturity, 0.0, 0.0, -grid.log_moneyness[quotes], quotes)
        for maturity, quotes in grid.slices
    ]


def american_puts(grid: OptionGrid) -> list[Puts]:
    """Options on the asset, calls and puts apart.

    Parameters
    ----------
    grid : OptionGrid
        The options.

    Returns
    -------
    puts : list of Puts
        One for each maturity and type.
    """
    result = []
    for maturity, quotes in grid.slices:
        for is_call in (False, True):
            chosen = quotes[grid.is_call[quotes] == is_call]
            if chosen.size:
                x = np.log(grid.spot / grid.strike[chosen])
                rate, dividend = grid.rate[chosen[0]], grid.dividend[chosen[0]]
                if is_call:
                    x, rate, dividend = -x, dividend, rate
                result.append(Puts(maturity, rate, dividend, x, chosen, True, is_call))
    return result
