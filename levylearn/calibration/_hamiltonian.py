"""No-U-turn sampling, all chains in step.

Every chain doubles its trajectory until it turns back; the leapfrog steps of all chains that
still go are one batch of gradients. A doubling is stored whole, so that all its parts can be
examined for U-turns at once, without recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Point", "StepSize", "Transition", "no_u_turn"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
# From coordinates (k, d) to log-densities (k,) and their gradients (k, d).
LogDensity = Callable[[Floats], tuple[Floats, Floats]]

MAX_DEPTH = 8
# An energy wrong by more than this is that of a divergent trajectory.
_DIVERGENT = 1000.0


class Point(NamedTuple):
    """Where chains are."""

    w: Floats  # (n, d)
    log_density: Floats  # (n,)
    gradient: Floats  # (n, d)

    def take(self, rows: NDArray[np.intp]) -> Point:
        """Return the points of some chains."""
        return Point(*(part[rows] for part in self))

    def put(self, rows: NDArray[np.intp], other: Point) -> None:
        """Move some chains."""
        for whole, part in zip(self, other, strict=True):
            whole[rows] = part

    def copy(self) -> Point:
        """Return points that can be moved on their own."""
        return Point(*(part.copy() for part in self))


class Transition(NamedTuple):
    """One step of every chain, and how it went."""

    point: Point
    acceptance: Floats  # (n,): mean over the trajectory
    n_steps: NDArray[np.intp]
    depth: NDArray[np.intp]
    diverging: Bools
    energy: Floats


class _Branch(NamedTuple):
    """What a doubling adds to a trajectory, in the order in which it was computed."""

    points: Point  # (length, n, ...)
    momenta: Floats  # (length, n, d)


@np.errstate(over="ignore", invalid="ignore")  # on trajectories that diverge
def no_u_turn(
    log_density: LogDensity, point: Point, step_size: float, random: np.random.Generator
) -> Transition:
    """Move every chain once; the mass matrix is the identity.

    Parameters
    ----------
    log_density : callable
        Of the target, with its gradient.
    point : Point
        Where the chains are.
    step_size : float
        Of the leapfrog steps.
    random : numpy.random.Generator
        Of all chains together.
    """
    n, size = point.w.shape
    momentum = random.standard_normal((n, size))
    energy = 0.5 * (momentum**2).sum(axis=1) - point.log_density
    ends = {-1: (point.copy(), momentum.copy()), 1: (point.copy(), momentum.copy())}
    chosen, log_weight, total = point.copy(), np.zeros(n), momentum.copy()
    accepted, n_steps = np.zeros(n), np.zeros(n, dtype=np.intp)
    depth, diverging, going = np.zeros(n, dtype=np.intp), np.zeros(n, bool), np.ones(n, bool)
    for level in range(MAX_DEPTH):
        # All chains draw, whether they still go or not.
        side, uniform = random.random((2, n))
        gumbel = random.gumbel(size=(2**level, n))
        rows = np.flatnonzero(going)
        if not rows.size:
            break
        sign = np.where(side[rows] < 0.5, -1, 1)
        branch = _grown(log_density, ends, rows, sign, step_size, 2**level)
        kinetic = 0.5 * (branch.momenta**2).sum(axis=2)
        gain = energy[rows] - kinetic + branch.points.log_density
        gain[np.isnan(gain)] = -np.inf
        bad = (gain < -_DIVERGENT).any(axis=0)
        accepted[rows] += np.minimum(1.0, np.exp(np.minimum(gain, 0.0))).sum(axis=0)
        n_steps[rows] += 2**level
        depth[rows] += 1
        diverging[rows] |= bad
        whole = ~bad & ~_turns_within(branch.momenta)
        weight = np.logaddexp.reduce(gain, axis=0)
        # Progressively, the new half is preferred to the old one.
        moved = whole & (np.log(uniform[rows]) < weight - log_weight[rows])
        best = (gain + gumbel[:, rows]).argmax(axis=0)
        columns = np.flatnonzero(moved)
        chosen.put(rows[columns], Point(*(part[best[columns], columns] for part in branch.points)))
        log_weight[rows] = np.logaddexp(log_weight[rows], weight)
        total[rows] += branch.momenta.sum(axis=0)
        first, last = ends[-1][1][rows], ends[1][1][rows]
        going[rows] = whole & ~_turned(first, last, total[rows])
    return Transition(chosen, accepted / np.maximum(n_steps, 1), n_steps, depth, diverging, energy)


def _grown(
    log_density: LogDensity,
    ends: dict[int, tuple[Point, Floats]],
    rows: NDArray[np.intp],
    sign: NDArray[np.intp],
    step_size: float,
    length: int,
) -> _Branch:
    """Take leapfrog steps from the end of each trajectory that lies in its direction."""
    to_right = sign[:, None] > 0
    left, right = ends[-1][0].take(rows), ends[1][0].take(rows)
    w = np.where(to_right, right.w, left.w)
    gradient = np.where(to_right, right.gradient, left.gradient)
    momentum = np.where(to_right, ends[1][1][rows], ends[-1][1][rows])
    step = step_size * sign[:, None]
    points, momenta = [], []
    for _ in range(length):
        momentum = momentum + 0.5 * step * gradient
        w = w + step * momentum
        value, gradient = log_density(w)
        momentum = momentum + 0.5 * step * gradient
        points.append(Point(w, value, gradient))
        momenta.append(momentum)
    for direction in (-1, 1):
        own = sign == direction
        ends[direction][0].put(rows[own], Point(*(part[own] for part in points[-1])))
        ends[direction][1][rows[own]] = momentum[own]
    return _Branch(
        Point(*(np.stack(parts) for parts in zip(*points, strict=True))), np.stack(momenta)
    )


def _turns_within(momenta: Floats) -> Bools:
    """Whether a half, a quarter and so on of a branch (length, n, d) makes a U-turn."""
    length, n, size = momenta.shape
    turns = np.zeros(n, dtype=bool)
    part = 2
    while part <= length:
        parts = momenta.reshape(-1, part, n, size)
        turns |= _turned(parts[:, 0], parts[:, -1], parts.sum(axis=1)).any(axis=0)
        part *= 2
    return turns


def _turned(first: Floats, last: Floats, total: Floats) -> Bools:
    """Whether the ends of a trajectory have stopped moving apart."""
    return ((total * first).sum(axis=-1) <= 0) | ((total * last).sum(axis=-1) <= 0)


class StepSize:
    """Dual averaging of the step size, towards an acceptance that is wanted.

    Parameters
    ----------
    start : float
        To begin with.
    target : float
        The acceptance.
    """

    _GAMMA, _DELAY, _DECAY = 0.05, 10.0, 0.75

    def __init__(self, start: float, target: float) -> None:
        self.target = target
        self._centre = np.log(2 * start)
        self._n, self._error, self._log_mean = 0, 0.0, 0.0
        self.current = start

    def update(self, acceptance: float) -> None:
        """Learn from the acceptance of one transition."""
        self._n += 1
        share = 1 / (self._n + self._DELAY)
        self._error += share * (self.target - acceptance - self._error)
        log_step = self._centre - np.sqrt(self._n) / self._GAMMA * self._error
        weight = self._n**-self._DECAY
        self._log_mean += weight * (log_step - self._log_mean)
        self.current = float(np.exp(log_step))

    @property
    def average(self) -> float:
        """What to go on with."""
        return float(np.exp(self._log_mean)) if self._n else self.current
