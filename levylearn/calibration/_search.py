"""Several starts for every surface, the best of which is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import Minimum

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Effort(NamedTuple):
    """How long to search from one start, and for what improvement it is worth going on."""

    max_evaluations: int
    tolerance: float


# local(z, problems, effort) -> Minimum; also for several starts of each problem.
LocalSearch = Callable[[Floats, Ints, Effort], Minimum]

# The first few starts tell whether they end in one valley: costs that differ by less are one.
_HEAT = Effort(max_evaluations=24, tolerance=1e-3)
_LEAST_HEAT, _SAME = 3, 1e-3
# In a round of the contest, every start left is searched from a little further.
_ROUND = Effort(max_evaluations=12, tolerance=1e-3)
_FINALISTS = 4
# Minima are only compared with each other: digits are for the best of them.
_COMPARED = 1e-4


def best_of_starts(
    local: LocalSearch,
    starts: Floats,
    spares: Floats,
    width: Floats,
    close: Floats,
    max_evaluations: int,
) -> Minimum:
    """Search from the first start of every surface, and from others where need be.

    Most surfaces that a model can reproduce are reproduced from their first start, and no
    other can do better. Of the rest, those whose next starts all end where the first did
    have one valley. The others hold a contest of all their starts. Its winner may have a part
    of the model switched off, too far from where that part would help for any slope to tell:
    from there the search is repeated with the part brought back.

    Parameters
    ----------
    local : callable
        Search from one start for each surface named.
    starts : ndarray of shape (n_surfaces, n_starts, q)
        Starting points, the most promising first.
    spares : ndarray of shape (n_spares, q)
        Usual values of the coordinates, for those that a minimum does not depend on.
    width : ndarray of shape (q,)
        Natural size of a change of each coordinate.
    close : ndarray of shape (n_surfaces,)
        Costs at which a surface counts as reproduced.
    max_evaluations : int
        Evaluations allowed for one start.

    Returns
    -------
    minimum : Minimum
        One row for each surface, to the few digits that a comparison takes; evaluations are
        summed over its starts.
    """
    spent = np.zeros(len(starts), dtype=np.intp)

    def search(z: Floats, rows: Ints, effort: Effort) -> Minimum:
        """Search from several starts each: arrays of shape (n_surfaces, n_starts, ...)."""
        n_starts = z.shape[1]
        found = local(z.reshape(-1, z.shape[2]), np.repeat(rows, n_starts), effort)
        minima = Minimum._make(part.reshape(*z.shape[:2], *part.shape[1:]) for part in found)
        spent[rows] += minima.n_evaluations.sum(axis=1)
        return minima

    def unsettled(rows: Ints, minima: Minimum) -> tuple[Ints, Minimum]:
        """Take what is better than the best; return what is still not reproduced."""
        if rows.size:
            _improve(best, rows, _lowest(minima))
        left = ~(best.cost[rows] <= close[rows])
        return rows[left], _take(minima, left)

    to_the_end = Effort(max_evaluations, _COMPARED)
    best = _lowest(search(starts[:, :1], np.arange(len(starts)), to_the_end))
    rows = np.flatnonzero(~(best.cost <= close))
    if not rows.size:
        return best

    # As many starts as there are parameters tell whether there are several valleys.
    n_heat = max(starts.shape[2], _LEAST_HEAT)
    heat = search(starts[rows, 1:n_heat], rows, _HEAT)
    first = best.cost[rows, None]
    with np.errstate(invalid="ignore"):
        same = np.abs(heat.cost - first) <= _SAME * np.minimum(heat.cost, first)
    several = ~same.all(axis=1)
    rows, heat = unsettled(rows[several], _take(heat, several))
    if rows.size:
        looks = search(starts[rows, n_heat:], rows, _ROUND)
        looks = Minimum._make(np.concatenate(p, axis=1) for p in zip(heat, looks, strict=True))
        rows, looks = unsettled(rows, looks)
    if rows.size:
        _improve(best, rows, _lowest(search(_finalists(search, looks, rows), rows, to_the_end)))

    unfelt = _unfelt(best, width)
    rows = rows[unfelt[rows].any(axis=1)]
    if rows.size:
        revived = np.where(unfelt[rows, None], spares, best.z[rows, None])
        look = _lowest(search(revived, rows, _ROUND))
        _improve(best, rows, _lowest(search(look.z[:, None], rows, to_the_end)))
    return best._replace(n_evaluations=spent)


def _finalists(search: LocalSearch, looks: Minimum, rows: Ints) -> Floats:
    """Where those starts are that are left after rounds in each of which half drop out."""
    while looks.cost.shape[1] > 2 * _FINALISTS:
        looks = search(_better_half(looks), rows, _ROUND)
    return _better_half(looks)


def _better_half(minima: Minimum) -> Floats:
    """Where the lower half of each surface's minima are."""
    order = np.argsort(minima.cost, axis=1)[:, : (minima.cost.shape[1] + 1) // 2]
    return np.take_along_axis(minima.z, order[..., None], axis=1)


def _unfelt(minima: Minimum, width: Floats) -> NDArray[np.bool_]:
    """Coordinates whose whole width would change the fit by less than it is wrong."""
    slope = np.linalg.norm(minima.triangle, axis=1)
    return slope * width <= np.sqrt(minima.cost)[:, None]


def _lowest(minima: Minimum) -> Minimum:
    """Of several minima for each surface, the lowest."""
    rows = np.arange(len(minima.cost))
    return _take(minima, (rows, minima.cost.argmin(axis=1)))


def _take(minima: Minimum, picked: Any) -> Minimum:
    return Minimum._make(part[picked] for part in minima)


def _improve(best: Minimum, rows: Ints, found: Minimum) -> None:
    """Put minima that are lower in the place of those of the rows named."""
    lower = found.cost < best.cost[rows]
    for whole, part in zip(best, found, strict=True):
        whole[rows[lower]] = part[lower]
