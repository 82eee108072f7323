"""The options of a grid as puts of strike one, and their prices on a periodic grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.pricing._generator import Generator
from levylearn.pricing._lagrange import interpolate
from levylearn.pricing._layout import Layout
from levylearn.pricing._march import march, march_above

__all__ = ["Puts", "american_puts", "european_puts"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Puts:
    """Options of similar maturities, of which each is a put of strike one.

    Parameters
    ----------
    maturity, rate, dividend : ndarray of shape (n_slices, 1)
        Of each slice.
    x : ndarray of shape (n_slices, n_strikes)
        Logarithm of the underlying over the strike.
    quotes : ndarray of int of shape (n_slices, n_strikes)
        Which option of the grid each one is.
    is_american : bool
        Whether they may be exercised at any time.
    is_mirrored : bool
        Whether they are calls: these are puts on the strike, in units of the asset.
    """

    maturity: Floats
    rate: Floats
    dividend: Floats
    x: Floats
    quotes: NDArray[np.intp]
    is_american: bool = False
    is_mirrored: bool = False

    def reach(self, deviation: Floats) -> Floats:
        """How far from zero options are read off.

        Parameters
        ----------
        deviation : ndarray of shape (n_samples,)
            Standard deviation of the log-return over a year.

        Returns
        -------
        reach : ndarray of shape (n_samples,)
            In log-moneyness, with the way that the frame goes and the drift of the rates.
        """
        drift = np.abs(self.maturity * (self.rate - self.dividend)).max()
        return np.abs(self.x).max() + drift + np.sqrt(self.maturity.max()) * deviation

    def values(
        self, generator: Generator, deviation: Floats, n_steps: int
    ) -> tuple[Floats, Floats]:
        r"""Price them.

        Solved for is the time value, over the payoff :math:`(1 - e^x)^+`, which falls to zero
        on either side. The frame moves with the drift of the process, so that the kink of
        the payoff stays on its node when few jumps smear it, but by no more than a standard
        deviation, which is all it takes to smear it.

        Parameters
        ----------
        generator : Generator
            The process, on a grid for each parameter set.
        deviation : ndarray of shape (n_samples,)
            Standard deviation of the log-return over a year.
        n_steps : int
            Time steps to each maturity.

        Returns
        -------
        values : ndarray of shape (n_samples, n_slices, n_strikes)
            In units of the strike.
        astray : ndarray of shape (n_samples, n_slices, 1)
            What is lost of them, about, by jumps that leave the grid.
        """
        generator = generator.mirrored() if self.is_mirrored else generator
        drift = generator.drift[:, None] + self.rate - self.dividend
        spread = deviation[:, None, None] * np.sqrt(self.maturity)
        way = spread * np.tanh(drift * self.maturity / spread)
        velocity = way / self.maturity
        rest = drift - velocity
        symbol = generator.symbol()[:, None] + rest * generator.symbol_of_drift()[:, None]
        growth = np.exp(generator.x)[:, None]
        payoff = np.maximum(1 - growth, 0.0)
        source = (
            generator.source()[:, None]
            + rest * generator.source_of_drift()[:, None]
            - self.rate * payoff
        )
        problem = symbol - self.rate, source, self.maturity, n_steps
        if self.is_american:
            rise = velocity * np.where(growth < 1, growth, 0.0)

            def obstacle(time: Floats) -> Floats:
                return np.maximum(1 - growth * np.exp(-velocity * time), 0.0) - payoff

            time_value = march_above(*problem, obstacle, rise)
        else:
            time_value = march(*problem)
        at = self.x + way
        positions = generator.half + at / generator.step[:, None]
        values = interpolate(time_value, positions, generator.half)
        edges = np.abs(time_value[..., [-1, 0]])
        leaving = generator.leaving[0][:, None]
        astray = self.maturity * (leaving * edges).sum(axis=2, keepdims=True)
        return values + np.maximum(-np.expm1(at), 0.0), astray


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
    layout = Layout(grid)
    return [
        Puts(layout.maturities[band, None], *_no_rates(band), layout.k[band], layout.quotes[band])
        for band in layout.bands
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
        The slices of each type.
    """
    return [
        puts
        for is_call in (False, True)
        if np.any(grid.is_call == is_call)
        for puts in _american_puts(grid, is_call)
    ]


def _no_rates(band: slice) -> tuple[Floats, Floats]:
    zero = np.zeros((band.stop - band.start, 1))
    return zero, zero


def _american_puts(grid: OptionGrid, is_call: bool) -> list[Puts]:
    options = np.flatnonzero(grid.is_call == is_call)
    part = grid.take(options)
    layout = Layout(part)
    result = []
    for band in layout.bands:
        quotes = layout.quotes[band]
        x = np.log(part.spot / part.strike[quotes])
        rate, dividend = part.rate[quotes[:, :1]], part.dividend[quotes[:, :1]]
        if is_call:
            x, rate, dividend = -x, dividend, rate
        maturity = layout.maturities[band, None]
        result.append(Puts(maturity, rate, dividend, x, options[quotes], True, is_call))
    return result
