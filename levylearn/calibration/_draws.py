"""Draws from a posterior, and what is told of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.utils._coverage import check_coverage
from levylearn.utils._optional import import_optional

__all__ = ["Draws", "check_interval", "highest_density", "inference_data", "intervals"]

Floats = NDArray[np.float64]

KINDS = ("equal_tailed", "highest_density")


class Draws(NamedTuple):
    """Draws from the posterior of one surface, in chains."""

    x: Floats  # (n_chains, n_draws, d): coordinates of the unknowns
    stats: dict[str, Floats]  # (n_chains, n_draws) each, by ArviZ's names
    summary: dict[str, Any]  # one number each
    converged: bool
    message: str
    interrupted: bool = False


def check_interval(coverage: float, kind: str) -> None:
    """Refuse a coverage or a kind of interval that there is not."""
    check_coverage(coverage)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")


def intervals(draws: Floats, coverage: float, kind: str) -> Floats:
    """Intervals (..., 2) that hold a share of the draws (n_draws, ...)."""
    if kind == "highest_density":
        return highest_density(draws, coverage)
    ends = np.quantile(draws, [(1 - coverage) / 2, (1 + coverage) / 2], axis=0)
    return np.moveaxis(ends, 0, -1)


def highest_density(draws: Floats, coverage: float) -> Floats:
    """Shortest intervals (..., 2) that hold a share of the draws (n_draws, ...)."""
    ordered = np.sort(draws, axis=0)
    within = min(max(int(np.ceil(coverage * len(ordered))), 1), len(ordered) - 1)
    width = ordered[within:] - ordered[: len(ordered) - within]
    first = width.argmin(axis=0)[None]
    low, high = (np.take_along_axis(ordered, first + i, axis=0)[0] for i in (0, within))
    return np.stack([low, high], axis=-1)


def inference_data(
    draws: Draws, values: Floats, names: Sequence[str], quotes: Floats, caller: str
) -> Any:
    """Draws as ArviZ's InferenceData.

    Parameters
    ----------
    draws : Draws
        Of one surface.
    values : ndarray of shape (n_chains, n_draws, n_names)
        What they are draws of, in the units of the user.
    names : sequence of str
        Of the values.
    quotes : ndarray of shape (m,)
        The surface.
    caller : str
        Who needs ArviZ.
    """
    arviz = import_optional("arviz", caller)
    with warnings.catch_warnings():
        # Many short chains are meant.
        warnings.filterwarnings("ignore", message="More chains", category=UserWarning)
        return arviz.from_dict(
            posterior={name: values[..., j] for j, name in enumerate(names)},
            sample_stats=dict(draws.stats),
            observed_data={"quotes": quotes},
            posterior_attrs={**draws.summary, "converged": int(draws.converged)},
        )
