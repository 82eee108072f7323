"""How surfaces are made: the one function behind data sets in memory and on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from levylearn.base import BasePricer
from levylearn.datasets._distributions import DISTRIBUTIONS, parameter_distributions
from levylearn.datasets._sampling import ParameterSampler
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel, get_model
from levylearn.pricing import ContourPricer
from levylearn.utils._sklearn import HasMethods, StrOptions

__all__ = ["RECIPE_CONSTRAINTS", "Recipe", "disturbed", "pricer_for"]

Floats = NDArray[np.float64]

# Surfaces made at a time are as many as have about this many prices: 32 MB.
_BLOCK_NUMBERS = 2**22
_MAX_BLOCK = 4096

# What the arguments of `Recipe.build` may be.
RECIPE_CONSTRAINTS: dict[str, list[Any]] = {
    "model": [str, CharacteristicModel],
    "grid": [OptionGrid],
    "distribution": [StrOptions(set(DISTRIBUTIONS))],
    "ranges": [Mapping, None],
    "sampling": [StrOptions({"sobol", "random"})],
    "feller": ["boolean"],
    "noise": [HasMethods("fit_transform"), HasMethods("transform"), None],
    "output": [StrOptions({"price", "forward_price", "implied_vol"})],
    "pricer": [BasePricer, None],
}


@dataclass(frozen=True)
class Recipe:
    """Sampler, pricer and noise: all that decides what the i-th surface is.

    Parameters
    ----------
    sampler : ParameterSampler
        The parameters.
    pricer : BasePricer
        For the model of the sampler, not fitted.
    noise : transformer or None
        Applied to the prices.
    seed : int
        Of the noise.
    """

    sampler: ParameterSampler
    pricer: BasePricer
    noise: Any
    seed: int

    @classmethod
    def build(
        cls,
        model: str | CharacteristicModel,
        grid: OptionGrid,
        seed: int,
        *,
        distribution: str,
        ranges: Mapping[str, Any] | None,
        sampling: str,
        feller: bool,
        noise: Any,
        output: str,
        pricer: BasePricer | None,
    ) -> Recipe:
        """Put together what is given as in :func:`make_surfaces`."""
        model = get_model(model)
        laws = parameter_distributions(model, distribution, ranges)
        sampler = ParameterSampler(model, laws, sampling, feller, seed)
        return cls(sampler, pricer_for(model, grid, output, pricer, seed), noise, seed)

    @property
    def block_size(self) -> int:
        """How many surfaces are made at a time: what bounds the memory."""
        return int(np.clip(_BLOCK_NUMBERS // self.pricer.grid.n_quotes, 1, _MAX_BLOCK))

    def blocks(
        self, n_samples: int, first: int = 0, point: int = 0
    ) -> Iterator[tuple[Floats, Floats]]:
        """Yield surfaces and parameters of samples from `first` on, which begin at `point`."""
        end = first + n_samples
        pricer = clone(self.pricer).fit(self.sampler.draw(1)[0])
        for start in range(first, end, self.block_size):
            params, point = self.sampler.draw(min(self.block_size, end - start), point)
            surfaces = np.asarray(pricer.transform(params))
            yield disturbed(surfaces, self.noise, self.seed, start), params


def pricer_for(
    model: CharacteristicModel,
    grid: OptionGrid,
    output: str,
    pricer: BasePricer | None,
    seed: int,
) -> BasePricer:
    """Return the pricer given, for a model and a grid; one that draws always draws the same."""
    if pricer is None:
        return ContourPricer(model, grid, output)
    return seeded(clone(pricer).set_params(model=model, grid=grid, output=output), seed)


def disturbed(surfaces: Floats, noise: Any, *entropy: int) -> Floats:
    """Return the surfaces with noise, if any, which is drawn from `entropy` alone."""
    if noise is None:
        return surfaces
    noise = seeded(clone(noise, safe=False), *entropy)
    method = noise.fit_transform if hasattr(noise, "fit_transform") else noise.transform
    result = np.asarray(method(surfaces), dtype=np.float64)
    if result.shape != surfaces.shape:
        raise ValueError(
            f"noise must keep the shape of the surfaces, {surfaces.shape}; it returned "
            f"{result.shape}."
        )
    return result


def seeded(estimator: Any, *entropy: int) -> Any:
    """Set every `random_state` of an estimator and of its parts; return it."""
    if not hasattr(estimator, "get_params"):
        return estimator
    names = sorted(
        name
        for name in estimator.get_params(deep=True)
        if name == "random_state" or name.endswith("__random_state")
    )
    states = np.random.SeedSequence(entropy).generate_state(max(len(names), 1))
    seeds = {name: int(state >> 1) for name, state in zip(names, states, strict=False)}
    return estimator.set_params(**seeds) if seeds else estimator
