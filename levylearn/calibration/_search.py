"""Several starts for every surface, the best of which is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import Minimum
from levylearn.calibration._status import CalibrationStatus

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Effort(NamedTuple):
    """How long to search from one start, and for what improvement it is worth going on."""

    max_evaluations: int
    tolerance: float


# local(z, problems, effort) -> Minimum
LocalSearch = Callable[[Floats, Ints, Effort], Minimum]

# A first look tells which of many starts are worth going on from.
_LOOK = Effort(max_evaluations=12, tolerance=1e-3)
_KEPT, _LEAST_KEPT = 4, 3
# What is gone on from is only compared with its like: digits are for the best of them.
_COMPARED = 1e-4
FINAL_TOLERANCE = 1e-11


def best_of_starts(local: LocalSearch, starts: Floats, max_evaluations: int) -> Minimum:
    """Search from the first start of every surface, and from all others where need be.

    Most surfaces that a model can reproduce are reproduced from their first start, and
    nothing is better than exact. For the rest, all other starts are looked at, the better
    quarter of them (but no fewer than three) is searched, and the best minimum of all is polished.

    Parameters
    ----------
    local : callable
        Search from one start for each surface named.
    starts : ndarray of shape (n_surfaces, n_starts, q)
        Starting points, the most promising first.
    max_evaluations : int
        Evaluations allowed for one start.

    Returns
    -------
    minimum : Minimum
        One row for each surface; evaluations are summed over its starts.
    """
    final = Effort(max_evaluations, FINAL_TOLERANCE)
    best = local(starts[:, 0], np.arange(len(starts)), final)
    rows = np.flatnonzero(best.status != CalibrationStatus.EXACT)
    others = starts[rows, 1:]
    if others.size == 0:
        return best
    look = _searched(local, others, rows, _LOOK)
    n_kept = min(others.shape[1], max(_LEAST_KEPT, others.shape[1] // _KEPT))
    kept = _take(look, np.argsort(_comparable(look.cost), axis=1)[:, :n_kept])
    going = _searched(local, kept.z, rows, Effort(max_evaluations, _COMPARED))
    found = _take(going, _comparable(going.cost).argmin(axis=1)[:, None])
    candidate = Minimum._make(part[:, 0] for part in found)
    spent = best.n_evaluations[rows] + look.n_evaluations.sum(1) + going.n_evaluations.sum(1)

    better = ~(best.cost[rows] <= candidate.cost * (1 + _COMPARED))
    polished = local(candidate.z[better], rows[better], final)
    spent[better] += polished.n_evaluations
    lower = polished.cost < _comparable(best.cost[rows[better]])
    out = [np.array(part) for part in best]
    for whole, part in zip(out, polished, strict=True):
        whole[rows[better][lower]] = part[lower]
    out[-1][rows] = spent
    return Minimum._make(out)


def _searched(local: LocalSearch, z: Floats, rows: Ints, effort: Effort) -> Minimum:
    """Search from several starts each: arrays of shape (n_surfaces, n_starts, ...)."""
    n_starts = z.shape[1]
    minima = local(z.reshape(-1, z.shape[2]), np.repeat(rows, n_starts), effort)
    return Minimum._make(part.reshape(len(rows), n_starts, *part.shape[1:]) for part in minima)


def _take(minima: Minimum, picked: Ints) -> Minimum:
    """Of each surface's minima, those at the positions given."""
    row = np.arange(len(picked))[:, None]
    return Minimum._make(part[row, picked] for part in minima)


def _comparable(cost: Floats) -> Floats:
    """Costs, infinite where there is none."""
    return np.where(np.isnan(cost), np.inf, cost)
