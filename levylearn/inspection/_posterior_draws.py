"""Draws of a posterior, as pictures need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.inspection._frames import as_given
from levylearn.inspection._smile import one_surface
from levylearn.utils._optional import import_optional

__all__ = ["checked_truth", "density_of", "draws_of", "posterior_of", "priors_of", "spread"]

Floats = NDArray[np.float64]

# A picture leaves out the outermost draws, and is wider than the others by this part.
_OUTERMOST, _MARGIN = 0.002, 0.1


def posterior_of(calibrator: Any, X: ArrayLike) -> Any:
    """Return the posterior of a single surface, as InferenceData."""
    surface = one_surface(X)
    posterior = calibrator.sample_posterior(as_given(X, surface) if np.ndim(X) == 2 else surface)[0]
    if posterior is None:
        raise ValueError(f"X: {type(calibrator).__name__} finds no posterior for this surface.")
    return posterior


def draws_of(posterior: Any, names: Sequence[str] | None = None) -> dict[str, Floats]:
    """Draws (n_chains, n_draws) of the unknowns that are named, or of all."""
    if not hasattr(posterior, "posterior"):
        raise ValueError(
            f"posterior must be the InferenceData of one surface; got {type(posterior).__name__}."
        )
    group = posterior.posterior
    names = list(group.data_vars) if names is None else list(names)
    _check_names("names", names, group)
    if not names:
        raise ValueError("names must not be empty.")
    draws = {name: group[name].transpose("chain", "draw").values for name in names}
    for name, values in draws.items():
        if not np.ptp(values) > 0:  # NaN is not, either
            raise ValueError(
                f"posterior: the draws of {name} must be finite, and not all the same."
            )
    return draws


def checked_truth(truth: Mapping[str, float] | None, posterior: Any) -> dict[str, float]:
    """Return true values of some unknowns, by their names."""
    truth = {} if truth is None else truth
    if not isinstance(truth, Mapping):
        raise ValueError(f"truth must be a dict of values by name; got {truth!r}.")
    _check_names("truth", truth, posterior.posterior)
    return dict(truth)


def priors_of(calibrator: Any, posterior: Any) -> dict[str, Callable[[Floats], Floats]]:
    """Return the calibrator's prior density of every unknown."""
    return {name: partial(calibrator.prior_density, name) for name in posterior.posterior}


def spread(draws: Floats, n: int) -> Floats:
    """Values over the range of nearly all draws, and a little beyond."""
    low, high = np.quantile(draws, [_OUTERMOST, 1 - _OUTERMOST])
    margin = _MARGIN * (high - low)
    return np.linspace(low - margin, high + margin, n)


def density_of(draws: Floats, caller: str) -> tuple[Floats, Floats]:
    """Values over the range of draws, and the density of the draws there."""
    values, density = import_optional("arviz", caller).kde(draws.ravel())
    return values, density


def _check_names(what: str, names: Any, group: Any) -> None:
    for name in names:
        if name not in group.data_vars:
            raise ValueError(f"{what} must be some of {', '.join(group.data_vars)}; got {name!r}.")
