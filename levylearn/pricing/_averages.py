"""Averages of option values over paths, and how far they may be off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from levylearn.base import ROUNDING
from levylearn.pricing._sampling import N_REPLICATES

Floats = NDArray[np.float64]
# A control variate may be off by so many standard errors.
_MOST_ERRORS = 5.0

Slices = tuple[NDArray[np.intp], ...]


class Averages(NamedTuple):
    """What is kept of the paths of each parameter set."""

    puts: Floats  # sums of their values, (n_samples, n_replicates, n_quotes)
    excess: Floats  # of the asset over its mean, less one, (n_samples, n_replicates, n_maturities)
    least: Floats  # of forward and variance of all paths, (n_samples, n_maturities, 2)
    greatest: Floats

    @classmethod
    def none(cls, n_samples: int, n_quotes: int, n_maturities: int) -> Averages:
        """Of no paths."""
        return cls(
            np.zeros((n_samples, N_REPLICATES, n_quotes)),
            np.zeros((n_samples, N_REPLICATES, n_maturities)),
            np.full((n_samples, n_maturities, 2), np.inf),
            np.full((n_samples, n_maturities, 2), -np.inf),
        )

    def rows(self, rows: slice) -> Averages:
        """Those of some parameter sets, which share their memory."""
        return Averages(*(part[rows] for part in self))

    def add(
        self, t: int, quotes: NDArray[np.intp], strike: Floats, forward: Floats, variance: Floats
    ) -> None:
        """Add the paths of a block, (n_samples, n_replicates, n_paths), at one maturity.

        On each path the asset is lognormal, with a forward and a variance of its own.
        """
        axes = (1, 2)
        for i, values in enumerate((forward, variance)):
            self.least[:, t, i] = np.minimum(self.least[:, t, i], values.min(axis=axes))
            self.greatest[:, t, i] = np.maximum(self.greatest[:, t, i], values.max(axis=axes))
        # Puts are averaged, whose payoff is bounded; those in the money by parity.
        total = forward.sum(axis=2)[..., None]
        parity = np.where(strike >= 1, strike * forward.shape[2] - total, 0.0)
        self.puts[:, :, quotes] += out_of_the_money(forward, variance, strike).sum(axis=2) + parity
        self.excess[:, :, t] += (forward - 1).sum(axis=2)

    def calls(
        self, n_paths: int, slices: Slices, strike: Floats, control_variate: bool
    ) -> tuple[Floats, Floats]:
        """Calls and their errors, (n_samples, n_quotes), from so many paths a replicate."""
        puts, excess = self.puts / n_paths, self.excess / n_paths
        total = N_REPLICATES * n_paths
        error = np.empty((len(puts), len(strike)))
        for t, quotes in enumerate(slices):
            control = excess[:, :, t, None]
            met = _is_met(control)
            if control_variate:
                slope = np.where(met, _slope(puts[..., quotes], control), 0.0)
                puts[..., quotes] -= slope * control
            usual = puts[..., quotes].mean(axis=1) - np.maximum(strike[quotes] - 1, 0.0)
            unseen = np.abs(self._farther(t, strike[quotes]) - usual[..., None]).max(axis=2)
            # A put is lost, at most, on a path far above all others.
            error[:, quotes] = np.where(met[:, 0], unseen, strike[quotes]) / total
        error += puts.std(axis=1, ddof=1 + control_variate) / np.sqrt(N_REPLICATES)
        return puts.mean(axis=1) + 1 - strike, error + ROUNDING

    def _farther(self, t: int, strike: Floats) -> Floats:
        """Options out of the money on paths twice as far out as any, (n_samples, n_strikes, 2).

        What no path has met does not show in the spread of the replicates. Such a path is
        about as rare as one in all; so much would one more add.
        """
        low, high = self.least[:, t], self.greatest[:, t]
        variance = 2 * high[:, 1] - low[:, 1]
        ends = np.stack([2 * low[:, 0] - 1, 2 * high[:, 0] - 1], axis=1)
        forward = np.maximum(ends, 1e-300)
        values = out_of_the_money(forward, np.repeat(variance[:, None], 2, axis=1), strike)
        return values.transpose(0, 2, 1)


def _slope(values: Floats, control: Floats) -> Floats:
    """Slope of a regression on a control.

    Replicates are regressed, not paths: Sobol points have their own way with both.
    """
    centred = control - control.mean(axis=1, keepdims=True)
    square = np.sum(centred**2, axis=1, keepdims=True)
    return np.sum(centred * values, axis=1, keepdims=True) / np.where(square > 0, square, 1.0)


def _is_met(control: Floats) -> NDArray[np.bool_]:
    """Whether a control is as near to zero, its expectation, as its spread would have it.

    If not, it lives on paths that no one has met.
    """
    mean = control.mean(axis=1, keepdims=True)
    spread = control.std(axis=1, ddof=1, keepdims=True) / np.sqrt(N_REPLICATES)
    return np.abs(mean) <= _MOST_ERRORS * spread + ROUNDING


def out_of_the_money(forward: Floats, variance: Floats, strike: Floats) -> Floats:
    """Black's prices of calls with strikes of at least one, and of puts with lower ones.

    Parameters
    ----------
    forward, variance : ndarray of shape (...)
        Forwards, and variances up to expiry, zero allowed.
    strike : ndarray of shape (n_strikes,)
        Strikes.

    Returns
    -------
    values : ndarray of shape (..., n_strikes)
        Undiscounted.
    """
    sign = np.where(strike >= 1, 1.0, -1.0)
    if not variance.any():
        return np.maximum(sign * (forward[..., None] - strike), 0.0)
    deviation = np.maximum(np.sqrt(variance), 1e-150)
    moneyness = np.log(forward) / deviation + 0.5 * deviation
    upper = sign * (moneyness[..., None] - np.log(strike) / deviation[..., None])
    lower = upper - sign * deviation[..., None]
    return sign * (forward[..., None] * ndtr(upper) - strike * ndtr(lower))
