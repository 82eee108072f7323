"""The generator of a Lévy process on a uniform periodic grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from levylearn.pricing._jump_cells import SIGNS, JumpCells

__all__ = ["Generator"]

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Generator:
    r"""Rates at which a walk on the grid jumps, and its drift.

    .. math::
        (L v)(x) = \sum_j \omega_j\,[v(x + jh) - v(x)] - \omega_\infty v(x)
        + b\,\frac{v(x + h) - v(x - h)}{2\sinh h}

    The sum holds the jumps, and the diffusion between neighbours; :math:`\omega_\infty` is
    the rate of jumps that leave the grid, where `v` is zero. The drift is that for which
    :math:`e^x` is a martingale, exactly, those that leave the grid included.

    Parameters
    ----------
    step : ndarray of shape (n_samples, 1)
        Step h of each grid.
    rates : ndarray of shape (n_samples, n_nodes)
        Rates of the jumps by -n_nodes/2, ..., n_nodes/2 - 1 steps.
    leaving : ndarray of shape (2, n_samples, 2)
        Integrals of 1 and of exp(y) over the jumps that leave the grid, up and down.
    """

    step: Floats
    rates: Floats
    leaving: Floats

    @classmethod
    def of(cls, cells: JumpCells, variance: Floats) -> Generator:
        """Build the generator of a measure, with the variance of the process.

        Whatever part of the variance the jumps of the grid do not carry is diffusion:
        Brownian motion, jumps smaller than a step, and what interpolation between nodes
        has changed. That keeps second order for every activity of the jumps.

        Parameters
        ----------
        cells : JumpCells
            The jumps.
        variance : ndarray of shape (n_samples,)
            Second cumulant of the process over one year.

        Returns
        -------
        generator : Generator
            Its jumps are linear interpolations between nodes.
        """
        step, half = cells.step[:, None], cells.near.shape[2]
        rates = cells.near.copy()
        rates[..., 1:] += cells.far[..., :-1]
        # The last node stands for jumps from either side, and is outside already.
        last = half * step * SIGNS
        moments = np.stack([np.ones_like(last), np.exp(last), last**2])
        leaving = cells.beyond + cells.far[..., -1] * moments
        carried = ((np.arange(half) * step) ** 2 * rates.sum(axis=1)).sum(axis=1)
        rest = variance - leaving[2].sum(axis=1) - carried
        rates = np.concatenate([np.zeros_like(step), rates[:, 1, :0:-1], rates[:, 0]], axis=1)
        rates[:, [half - 1, half + 1]] += (rest / (2 * cells.step**2))[:, None]
        return cls(step, rates, leaving[:2])

    @property
    def half(self) -> int:
        """Index of the node at zero."""
        return self.rates.shape[1] // 2

    @cached_property
    def x(self) -> Floats:
        """The nodes, of shape (n_samples, n_nodes)."""
        return (np.arange(2 * self.half) - self.half) * self.step

    @cached_property
    def drift(self) -> Floats:
        """Drift b that makes exp(x) a martingale, of shape (n_samples, 1)."""
        mass, growth = self.leaving
        inside = (self.rates * np.expm1(self.x)).sum(axis=1)
        return -(inside + (growth - mass).sum(axis=1))[:, None]

    def mirrored(self) -> Generator:
        """Return the generator of -X under the measure that has the asset for its unit.

        Returns
        -------
        generator : Generator
            What a call is to it, is a put to this one.
        """
        tilted = self.rates * np.exp(self.x)
        rates = np.concatenate([tilted[:, :1], tilted[:, :0:-1]], axis=1)
        return Generator(self.step, rates, self.leaving[::-1, :, ::-1])

    def symbol(self) -> Complex:
        """Eigenvalues of what jumps, of shape (n_samples, n_nodes / 2 + 1)."""
        total = self.rates.sum(axis=1) + self.leaving[0].sum(axis=1)
        # The jump by j steps takes a value from j nodes up: a correlation.
        return np.conj(fft.rfft(fft.ifftshift(self.rates, axes=1), axis=1)) - total[:, None]

    def symbol_of_drift(self) -> Complex:
        """Eigenvalues of a drift of one, of the same shape."""
        angle = np.pi * np.arange(self.half + 1) / self.half
        return 1j * np.sin(angle) / np.sinh(self.step)

    def source(self) -> Floats:
        """What jumps add to the payoff (1 - exp(x))^+ of a put, of shape (n_samples, n_nodes).

        Above zero that is the value of jumping below it; below zero, that of jumping above,
        and what the put loses by the growth of exp(x), which is the drift.
        """
        half, growth = self.half, np.exp(self.x)
        # Sums over the jumps from one edge, of their rates and of what they make of the asset.
        sums = list(zip((self.rates, self.rates * growth), self.leaving, strict=True))
        below = [np.cumsum(rates, axis=1) + leaving[:, 1:] for rates, leaving in sums]
        above = [np.cumsum(rates[:, ::-1], axis=1) + leaving[:, :1] for rates, leaving in sums]
        source = np.empty_like(growth)
        farther = slice(half - 1, None, -1)
        source[:, half:] = below[0][:, farther] - growth[:, half:] * below[1][:, farther]
        farther = slice(half - 1)
        source[:, 1:half] = growth[:, 1:half] * above[1][:, farther] - above[0][:, farther]
        source[:, 0] = growth[:, 0] * self.leaving[1, :, 0] - self.leaving[0, :, 0]
        source[:, :half] += self.drift * growth[:, :half]
        return source

    def source_of_drift(self) -> Floats:
        """What a drift of one adds to that payoff, of the same shape."""
        slope = -np.exp(self.x) * (self.x < 0)
        slope[:, self.half] = np.expm1(-self.step[:, 0]) / (2 * np.sinh(self.step[:, 0]))
        return slope
