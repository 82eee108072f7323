"""Admissible parameter sets, as a sequence of which any part can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.models import CharacteristicModel, Heston, SumModel
from levylearn.utils._sobol import sobol_points

__all__ = ["ParameterSampler"]

Floats = NDArray[np.float64]

# Points drawn at a time: a power of two keeps the balance of Sobol points.
_CHUNK = 4096
# Points after which at least one in _RAREST must have been admissible.
_PATIENCE = 2**18
_RAREST = 10_000


class ParameterSampler:
    """A sequence of admissible parameter sets.

    Points of the unit cube, from a scrambled Sobol sequence or independent, are mapped to
    parameters by the inverse distribution functions. Those for which the model does not
    exist are left out. So the i-th set depends on the seed and on i alone, and a longer
    sample begins with a shorter one.

    Parameters
    ----------
    model : CharacteristicModel
        The model.
    distributions : list of frozen distribution
        One for each parameter.
    sampling : {"sobol", "random"}
        Which points.
    feller : bool
        Whether 2 kappa theta >= sigma**2 is demanded of each square-root factor.
    seed : int
        Of the scrambling, or of the points.
    """

    def __init__(
        self,
        model: CharacteristicModel,
        distributions: list[Any],
        sampling: str,
        feller: bool,
        seed: int,
    ) -> None:
        self.model = model
        self.distributions = distributions
        self.sampling = sampling
        self.feller = feller
        self.seed = seed
        self._factors = _square_root_factors(model) if feller else []
        if feller and not self._factors:
            raise ValueError(
                f"feller=True is for models with square-root factors; {model.name!r} has none."
            )

    def draw(self, n_samples: int, point: int = 0) -> tuple[Floats, int]:
        """Return as many sets from a point of the sequence on, and the point that follows."""
        parts: list[Floats] = []
        for points, params in self._admissible(point, n_samples):
            parts.append(params[:n_samples])
            n_samples -= len(parts[-1])
            if n_samples == 0:
                return np.concatenate(parts), int(points[len(parts[-1]) - 1]) + 1
        raise AssertionError("the sequence has no end")

    def points(self, step: int) -> Iterator[int]:
        """Yield the point of every `step`-th set, the first included."""
        n_seen = 0
        for points, _ in self._admissible(0, _CHUNK):
            yield from points[-n_seen % step :: step].tolist()
            n_seen += len(points)

    def _admissible(self, start: int, n_samples: int) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """Yield the points that give admissible sets, and the sets, without end."""
        n_seen = n_found = 0
        for unit in self._unit_points(start, min(_CHUNK, 1 << (n_samples - 1).bit_length())):
            columns = [
                law.ppf(column) for law, column in zip(self.distributions, unit.T, strict=True)
            ]
            params = np.column_stack(columns)
            found = np.flatnonzero(self._accepts(params))
            yield found + (start + n_seen), params[found]
            n_seen += len(unit)
            n_found += len(found)
            if n_seen >= _PATIENCE and n_found * _RAREST < n_seen:
                raise ValueError(
                    f"ranges: only {n_found} of {n_seen} sets of parameters drawn are admissible "
                    f"for {self.model.name!r}{' under the Feller condition' * self.feller}."
                )

    def _unit_points(self, start: int, chunk: int) -> Iterator[Floats]:
        """Yield the points of the sequence from `start` on, a growing number at a time."""
        draw = (sobol_points if self.sampling == "sobol" else _random)(
            self.model.n_params, self.seed, start
        )
        while True:
            yield draw(chunk)
            chunk = min(2 * chunk, _CHUNK)

    def _accepts(self, params: Floats) -> NDArray[np.bool_]:
        accepted = self.model.admissible(params)
        for kappa, theta, sigma in self._factors:
            accepted &= 2 * params[:, kappa] * params[:, theta] >= params[:, sigma] ** 2
        return accepted


def _random(n_params: int, seed: int, start: int) -> Callable[[int], Floats]:
    # One number of the stream for each coordinate.
    stream = np.random.Generator(np.random.PCG64(seed).advance(start * n_params))
    return lambda n: stream.random((n, n_params))


def _square_root_factors(model: CharacteristicModel) -> list[tuple[int, int, int]]:
    """Columns of kappa, theta and sigma of each factor."""
    factors, start = [], 0
    for part in model.parts if isinstance(model, SumModel) else (model,):
        if isinstance(part, Heston):
            kappa, theta, sigma = (
                start + part.parameter_names.index(name) for name in ("kappa", "theta", "sigma")
            )
            factors.append((kappa, theta, sigma))
        start += part.n_params
    return factors
