"""Several starts for every surface, the best of which is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import IN_KNOWN_VALLEY, Minimum

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Best(NamedTuple):
    """The best minimum found for each surface, and what became of its first start."""

    minimum: Minimum
    n_first: Ints  # evaluations of the search from the first start
    beaten: NDArray[np.bool_]  # whether another start led lower


class Effort(NamedTuple):
    """How long to search from one start, and for what improvement it is worth going on.

    A search may end in the valley of the minimum that is known for its surface, and say so by
    the status ``IN_KNOWN_VALLEY``; only one that ends above that minimum does. What is only to be
    compared with it may be searched for with rough prices, where these make no difference.
    """

    max_evaluations: int
    tolerance: float
    known: Minimum | None = None
    rough: bool = False


# local(z, problems, effort) -> Minimum; also for several starts of each problem.
LocalSearch = Callable[[Floats, Ints, Effort], Minimum]

# The first few starts tell whether they end in one valley: costs that differ by less are one.
_HEAT = Effort(max_evaluations=24, tolerance=1e-3, rough=True)
_LEAST_HEAT, _SAME = 3, 1e-3
# In a round of a race, every start left is searched from a little further. It stays in the race
# while so many more rounds as good as its last would take it below the best.
_ROUND = Effort(max_evaluations=8, tolerance=1e-3, rough=True)
_AHEAD = 3
# Minima are only compared with each other: digits are for the best of them.
_COMPARED = 1e-4


def best_of_starts(
    local: LocalSearch,
    starts: Floats,
    spares: Floats,
    width: Floats,
    close: Floats,
    max_evaluations: int,
    trusted: bool = False,
) -> Best:
    """Search from the first start of every surface, and from others where need be.

    Most surfaces that a model can reproduce are reproduced from their first start, and no
    other can do better. Of the rest, those whose next starts all come to where the first did
    have one valley; or, if the first start has reasons of its own to be trusted, those whose
    next starts all end no lower. The others hold a race of all their starts. Its winner may
    have a part of the model switched off, too far from where that part would help for any
    slope to tell: another race is held from there, with the part brought back.

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
    trusted : bool, default=False
        Whether the first start comes from one who knows: that others end higher says nothing.

    Returns
    -------
    best : Best
        Its minimum has one row for each surface, to the few digits that a comparison takes;
        evaluations are summed over the starts.
    """
    rows = np.arange(len(starts))
    best = local(starts[:, 0], rows, Effort(max_evaluations, _COMPARED))
    n_first, first_cost = best.n_evaluations.copy(), best.cost.copy()
    search = _Search(local, best, close, max_evaluations)
    rows = rows[search.unsettled(rows)]
    if rows.size:
        first = best.take(rows)
        _search_others(search, starts, spares, width, rows, trusted)
        search.confirm(first, rows)
    return Best(best, n_first, best.cost < (1 - _SAME) * first_cost)


def _search_others(
    search: _Search, starts: Floats, spares: Floats, width: Floats, rows: Ints, trusted: bool
) -> None:
    """Search from other starts than the first, for the surfaces named."""
    best = search.best
    # As many starts as there are parameters tell whether there are several valleys.
    n_heat = max(starts.shape[2], _LEAST_HEAT)
    costs, ends = best.cost[rows, None], best.z[rows, None]
    heat = search(starts[rows, 1:n_heat], rows, _HEAT)
    with np.errstate(invalid="ignore"):
        above = costs - heat.cost
        same = (above if trusted else np.abs(above)) <= _SAME * np.minimum(heat.cost, costs)
    same |= heat.status == IN_KNOWN_VALLEY
    several = ~same.all(axis=1) & search.unsettled(rows)
    rows = rows[several]
    if not rows.size:
        return
    racing = ends[several], heat.z[several], starts[rows, n_heat:]
    search.race(np.concatenate(racing, axis=1), rows)

    unfelt = _unfelt(best, width)
    rows = rows[unfelt[rows].any(axis=1)]
    search.race(np.where(unfelt[rows, None], spares, best.z[rows, None]), rows)


class _Search:
    """Searches that keep the best minimum of every surface."""

    def __init__(
        self, local: LocalSearch, best: Minimum, close: Floats, max_evaluations: int
    ) -> None:
        self.local, self.best, self.close = local, best, close
        self.max_evaluations = max_evaluations

    def __call__(self, z: Floats, rows: Ints, effort: Effort) -> Minimum:
        """Search from several starts each: arrays of shape (n_surfaces, n_starts, ...)."""
        shape = z.shape[:2]
        found = self.each(z.reshape(-1, z.shape[2]), np.repeat(rows, shape[1]), effort)
        return Minimum._make(part.reshape(*shape, *part.shape[1:]) for part in found)

    def each(self, z: Floats, rows: Ints, effort: Effort) -> Minimum:
        """Search from one start for each surface named, some of which may be the same."""
        known = self.best.take(rows)
        found = self.local(z, rows, effort._replace(known=known))
        spent = self.best.n_evaluations
        np.add.at(spent, rows, found.n_evaluations)
        order = np.lexsort((found.cost, rows))
        owner, lowest = np.unique(rows[order], return_index=True)
        lowest = order[lowest]
        lower = found.cost[lowest] < self.best.cost[owner]
        for whole, part in zip(self.best[:-1], found[:-1], strict=True):
            whole[owner[lower]] = part[lowest[lower]]
        return found

    def unsettled(self, rows: Ints) -> NDArray[np.bool_]:
        """Whether surfaces are not reproduced yet."""
        return ~(self.best.cost[rows] <= self.close[rows])

    def race(self, starts: Floats, rows: Ints) -> None:
        """Search from several starts each, as long as they may win."""
        z, left = starts.reshape(-1, starts.shape[2]), np.repeat(rows, starts.shape[1])
        before = np.full(len(left), np.inf)
        for _ in range(0, self.max_evaluations, _ROUND.max_evaluations):
            found = self.each(z, left, _ROUND)
            cost = found.cost
            with np.errstate(invalid="ignore"):
                ahead = cost * (cost / before) ** _AHEAD
            going = (ahead < (1 - _SAME) * self.best.cost[left]) & self.unsettled(left)
            going &= found.status != IN_KNOWN_VALLEY
            z, before, left = found.z[going], cost[going], left[going]
            if not left.size:
                break

    def confirm(self, first: Minimum, rows: Ints) -> None:
        """Search on, without rough prices, from what others led to: it need not be lower."""
        beaten = self.best.cost[rows] < (1 - _SAME) * first.cost
        first, rows = first.take(beaten), rows[beaten]
        if not rows.size:
            return
        found = self.local(self.best.z[rows], rows, Effort(self.max_evaluations, _COMPARED))
        spent = self.best.n_evaluations[rows] + found.n_evaluations
        higher = ~(found.cost < first.cost)
        found.put(higher, first.take(higher))
        self.best.put(rows, found._replace(n_evaluations=spent))


def _unfelt(minima: Minimum, width: Floats) -> NDArray[np.bool_]:
    """Coordinates whose whole width would change the fit by less than it is wrong."""
    slope = np.linalg.norm(minima.triangle, axis=1)
    return slope * width <= np.sqrt(minima.cost)[:, None]
