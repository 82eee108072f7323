r"""How far a parameter can be moved while the others make up for it: ends of profile likelihood.

A value of one coordinate is in the interval if the sum of squares, minimised over the others, has
grown by no more than is allowed. The end is therefore the farthest point of a region, and is
searched for as such: maximise :math:`\pm z_j` subject to :math:`|r(z)|^2 \le c` and the box. If
residuals are linear about a point, :math:`J = QR` and :math:`t = Q^\top r`, the region is a ball
about the origin of :math:`R\,d + t`, of radius :math:`\rho`, and its farthest point is at

.. math:: d = R^{-1} (\pm \rho\, u / |u| - t), \qquad u = R^{-\top} e_j.

From the optimum this step leads to the end of Student's interval. It is repeated until it is zero:
there the sum of squares is what is allowed, and its gradient has no component but the j-th.

Valleys are bent, and so are steps, as in the search for the optimum. A step is accepted if what it
gains is more than what its excess over the allowed sum costs, and damped if it gains much less than
it would with linear residuals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._levenberg_marquardt import (
    Residuals,
    State,
    bend,
    clipped,
    damped_system,
    decomposed,
    kept,
    pressed,
    shortened,
    started,
    with_jacobian,
)

__all__ = ["Ends", "farthest"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

_LEAST_DAMPING, _MOST_DAMPING = 1e-15, 1e10
# Damping falls if a step gains more than the first part of what it would with linear residuals; it
# grows, at once to no less than this, if it gains less than the second.
_GOOD, _POOR, _DAMPED = 0.5, 0.25, 1e-6
# At how much of its width less than a bound a coordinate is there.
_AT_BOUND = 1e-9
# An end is found if the step to it is this small against the way that led here, and the growth of
# the sum of squares is what is allowed but for this part of it.
_TOLERANCE, _ON_EDGE = 1e-5, 1e-5
# How many times more an excess costs than it gains, and by which part of the allowed growth a sum
# of squares differs from that of linear residuals if the way is bent.
_PENALTY, _STRAIGHT = 2.0, 0.02


class Ends(NamedTuple):
    """The farthest values of coordinates at which the sum of squares was found to be allowed."""

    values: Floats  # (n,)
    found: Bools  # (n,), whether there are none beyond


class _Goal(NamedTuple):
    """What is sought for each point."""

    coordinate: Ints
    sign: Floats
    origin: Floats  # the coordinate at the optimum
    allowed: Floats  # sum of squares
    growth: Floats  # how much of it there is to spend
    price: Floats  # what an excess costs, in units of the coordinate

    def take(self, rows: Bools | Ints) -> _Goal:
        return _Goal._make(part[rows] for part in self)

    @property
    def one(self) -> tuple[Ints, Ints]:
        """Index of the coordinate that is sought for, in arrays (n, q)."""
        return np.arange(len(self.sign)), self.coordinate

    def excess(self, cost: Floats) -> Floats:
        """How much more is spent than is allowed."""
        return np.maximum(cost - self.allowed, 0.0)


class _Box(NamedTuple):
    low: Floats
    high: Floats
    width: Floats


def farthest(
    residuals: Residuals,
    z: Floats,
    growth: Floats,
    coordinate: Ints,
    sign: Floats,
    low: Floats,
    high: Floats,
    width: Floats,
    max_evaluations: int,
) -> Ends:
    """Move coordinates from optima as far as sums of squared residuals allow.

    Parameters
    ----------
    residuals : callable
        Residuals of a batch of points, named by their numbers.
    z : ndarray of shape (n, q)
        Optima within the box, once for every end that is sought.
    growth : ndarray of shape (n,)
        By how much the sum of squares may grow; positive.
    coordinate : ndarray of int of shape (n,)
        Which coordinate to move.
    sign : ndarray of shape (n,)
        Which way: 1 or -1.
    low, high : ndarray of shape (q,)
        The box.
    width : ndarray of shape (q,)
        Natural size of a change of each coordinate.
    max_evaluations : int
        Evaluations allowed for each end.

    Returns
    -------
    ends : Ends
        Where the box is met first, the bound is the end.
    """
    box = _Box(low, high, width)
    state = started(residuals, z, width)
    state = state._replace(damping=np.full(len(z), _LEAST_DAMPING))
    values, found = z[np.arange(len(z)), coordinate], np.zeros(len(z), dtype=bool)
    goal = _Goal(coordinate, sign, values.copy(), state.cost + growth, growth, np.zeros(len(z)))
    rows = np.flatnonzero(np.isfinite(state.cost))
    state, goal = state.take(rows), goal.take(rows)
    for _ in range(max_evaluations):
        here = state.z[goal.one]
        ahead = goal.sign * (here - values[rows]) > 0
        ahead &= goal.excess(state.cost) <= _ON_EDGE * goal.growth
        values[rows] = np.where(ahead, here, values[rows])
        found[rows] = arrived = _arrived(state, goal, box)
        going = ~arrived & (state.damping < _MOST_DAMPING)
        rows, state, goal = rows[going], state.take(going), goal.take(going)
        if not rows.size:
            break
        state, goal = _iterate(residuals, state, goal, rows, box)
    return Ends(values, found)


def _arrived(state: State, goal: _Goal, box: _Box) -> Bools:
    """Whether the ends are reached, at a bound or where no step leads farther."""
    undamped = state._replace(damping=np.full(len(state.z), _LEAST_DAMPING))
    still = np.zeros_like(state.z)
    step, _, _ = _ideal(undamped, goal, _pressed(state, goal, box), still)
    here = state.z[goal.one]
    room = np.where(
        goal.sign > 0, box.high[goal.coordinate] - here, here - box.low[goal.coordinate]
    )
    at_bound = room <= _AT_BOUND * box.width[goal.coordinate]
    arrived = np.abs(step[goal.one]) <= _TOLERANCE * np.abs(here - goal.origin)
    arrived &= state.cost >= goal.allowed - _ON_EDGE * goal.growth
    return (arrived | at_bound) & (goal.excess(state.cost) <= _ON_EDGE * goal.growth)


def _iterate(
    residuals: Residuals, state: State, goal: _Goal, points: Ints, box: _Box
) -> tuple[State, _Goal]:
    """Try one step towards every end."""
    step, pinned, reduced, reach = _step_within(state, goal, box)
    linear = (state.triangle @ step[..., None])[..., 0] + state.target
    expected = state.cost - (state.target**2).sum(axis=1) + (linear**2).sum(axis=1)
    bent, _ = bend(residuals, state, points, reduced, pinned, step)
    z = clipped(state.z + step + bent, box.low, box.high)
    r, jacobian = with_jacobian(residuals, z, points)
    cost, triangle, target = decomposed(r, jacobian)

    # If residuals are linear, so much is gained by the last of what there is to spend.
    worth = reach / (2 * np.sqrt(goal.growth))
    goal = goal._replace(price=np.maximum(goal.price, _PENALTY * worth))
    owed = goal.excess(state.cost)
    promised = goal.sign * step[goal.one] + goal.price * (owed - goal.excess(expected))
    gain = goal.sign * (z - state.z)[goal.one] + goal.price * (owed - goal.excess(cost))
    accepted = gain > 0
    raised = np.maximum(state.damping, _DAMPED) * state.growth
    damping = np.where(~accepted | (gain < _POOR * promised), raised, state.damping)
    damping = np.where(accepted & (gain > _GOOD * promised), state.damping / 10, damping)
    damping = clipped(damping, _LEAST_DAMPING, _MOST_DAMPING)
    growth = np.where(accepted, 2.0, 2 * state.growth)
    curved = np.abs(cost - expected) > _STRAIGHT * goal.growth
    place = z, cost, triangle, target, r, jacobian
    tried = State(*place, state.scale, damping, growth, curved, state.last)
    return kept(accepted, tried, state), goal


def _step_within(state: State, goal: _Goal, box: _Box) -> tuple[Floats, Bools, Floats, Floats]:
    """Step within the box, what the box pins, the matrix it solved, and the reach before that.

    Coordinates are pinned to bounds in the order in which the step meets them.
    """
    pinned, moved = _pressed(state, goal, box), np.zeros_like(state.z)
    step, reduced, reach = _ideal(state, goal, pinned, moved)
    for _ in range(state.z.shape[1]):
        room = np.where(step > 0, box.high, box.low) - state.z
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(pinned | (step == 0), np.inf, room / step)
        first = part.argmin(axis=1)
        rows = np.flatnonzero(part.min(axis=1) < 1)
        if not rows.size:
            break
        pinned[rows, first[rows]] = True
        moved[rows, first[rows]] = room[rows, first[rows]]
        step, reduced, _ = _ideal(state, goal, pinned, moved)
    return shortened(step, box.width), pinned, reduced, reach


def _pressed(state: State, goal: _Goal, box: _Box) -> Bools:
    """Which of the other coordinates are at a bound that they press against."""
    others = pressed(state, box.low, box.high)
    others[goal.one] = False
    return others


def _ideal(
    state: State, goal: _Goal, pinned: Bools, moved: Floats
) -> tuple[Floats, Floats, Floats]:
    """Step to the farthest point if residuals are linear, R of its system, and its reach.

    The reach is how far a unit of the residuals' length moves the coordinate. What is pinned
    moves as given; if that is the coordinate itself, the others lower the sum of squares.
    """
    left, reduced, remote = damped_system(state, pinned, moved)
    least = state.cost - (state.target**2).sum(axis=1)
    least += (left**2).sum(axis=1) - (remote**2).sum(axis=1)
    unit = np.zeros_like(state.z)
    unit[goal.one] = 1.0
    u = np.linalg.solve(np.swapaxes(reduced, 1, 2), unit[..., None])[..., 0]
    reach = np.linalg.norm(u, axis=1)
    radius = np.where(pinned[goal.one], 0.0, np.sqrt(np.maximum(goal.allowed - least, 0.0)))
    edge = (goal.sign * radius / reach)[:, None] * u
    step = np.linalg.solve(reduced, (edge - remote)[..., None])[..., 0]
    return np.where(pinned, moved, step), reduced, reach
