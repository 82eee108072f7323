"""Surfaces drawn from what is known before any is seen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._posterior import Noise
from levylearn.calibration._prior import PriorSpace

__all__ = ["Simulation", "simulate"]

Floats = NDArray[np.float64]

# Simulating gives up after so many times the draws that are wanted.
_MOST_TRIES = 100


class Simulation(NamedTuple):
    """Unknowns drawn from the prior, the model's prices for them, and errors of quotes."""

    x: Floats  # (n, d): coordinates of the unknowns
    prices: Floats  # (n, m)
    deviations: Floats  # (n, m): standard deviations of the quotes' errors
    errors: Floats  # (n, m): in units of those

    def quotes(self, random: np.random.Generator | None = None) -> Floats:
        """Prices with errors (n, m), fresh ones if there is something to draw them from."""
        errors = self.errors if random is None else random.standard_normal(self.prices.shape)
        return self.prices + self.deviations * errors


def simulate(
    pricer: Any, space: PriorSpace, noise: Noise, n_samples: int, random: np.random.Generator
) -> Simulation:
    """Draw unknowns that have a price, and errors.

    Raises
    ------
    ValueError
        If hardly any draw from the prior can be priced.
    """
    parts, n_found = [], 0
    for _ in range(_MOST_TRIES):
        x = random.standard_normal((n_samples, space.size))
        errors = random.standard_normal((n_samples, len(noise.sizes)))
        values = space.values(x)
        params = space.parameters(values)
        inside = np.flatnonzero(pricer.admissible(params))
        if inside.size:
            prices = pricer.evaluate(params[inside])[0]
            priced = np.isfinite(prices).any(axis=1)
            kept, prices = inside[priced], prices[priced]
            level = values[kept, -1:] if space.has_level else 1.0
            parts.append(
                Simulation(x[kept], prices, level * noise.deviations(prices), errors[kept])
            )
            n_found += len(kept)
        if n_found >= n_samples:
            return Simulation(*(np.concatenate(p)[:n_samples] for p in zip(*parts, strict=True)))
    raise ValueError(
        f"priors: {n_found} of {_MOST_TRIES * n_samples} draws can be priced; narrow them."
    )
