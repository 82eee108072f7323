"""Several starts for every surface, the best of which is kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import Minimum
from levylearn.calibration._status import CalibrationStatus

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
# local(z, problems) -> Minimum
LocalSearch = Callable[[Floats, Ints], Minimum]


def best_of_starts(local: LocalSearch, starts: Floats, n_surfaces: int) -> Minimum:
    """Search from the first start of every surface, and from all others where need be.

    Most surfaces that a model can reproduce are reproduced from their first start, and
    nothing is better than exact; only the rest are searched further.

    Parameters
    ----------
    local : callable
        ``local(z, problems)``.
    starts : ndarray of shape (n_surfaces, n_starts, q)
        Starting points, the most promising first.
    n_surfaces : int
        Number of surfaces.

    Returns
    -------
    minimum : Minimum
        One row for each surface; evaluations are summed over its starts.
    """
    best = local(starts[:, 0], np.arange(n_surfaces))
    open_ = np.flatnonzero(best.status != CalibrationStatus.EXACT)
    others = starts[open_, 1:]
    if others.size == 0:
        return best
    problems = np.repeat(open_, others.shape[1])
    return _better(best, local(others.reshape(-1, others.shape[2]), problems), open_)


def _better(first: Minimum, others: Minimum, rows: Ints) -> Minimum:
    """Replace rows by the best of several other minima each, where that is lower."""
    n_others = len(others.z) // len(rows)
    cost = np.where(np.isnan(others.cost), np.inf, others.cost).reshape(len(rows), n_others)
    pick = np.arange(len(rows)) * n_others + cost.argmin(axis=1)
    lower = others.cost[pick] < first.cost[rows]
    out = [np.array(part) for part in first]
    for whole, part in zip(out, others, strict=True):
        whole[rows[lower]] = part[pick[lower]]
    total = others.n_evaluations.reshape(len(rows), n_others).sum(axis=1)
    out[-1][rows] = first.n_evaluations[rows] + total
    return Minimum(*out)
