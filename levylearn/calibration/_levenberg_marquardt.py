"""Levenberg-Marquardt for many small problems at once.

All problems step together, each with its own damping. A problem that has ended leaves the
batch, and none knows of the others, so that an answer does not depend on the company it was
computed in.

Two things make it fit for calibration, whose valleys are long, narrow and bent. Damped steps
are least-squares solutions by QR, where normal equations would lose half of the digits. And
every step is bent along the valley by the second-order term of geodesic acceleration
(Transtrum and Sethna, 2012), which costs one more pricing without derivatives and saves most
of the steps. Where residuals stay large, Gauss-Newton steps shrink by a constant factor, for
what they leave out of the Hessian matrix; there it is estimated from how the last step turned
the gradient, as in the method of Dennis, Gay and Welsch (1981).
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._status import CalibrationStatus

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_RUNNING = -1
_FIRST_DAMPING = 1e-6
_LEAST_DAMPING, _MOST_DAMPING = 1e-15, 1e10
# How far along a step its bend is measured, how long the bend may be against the step, and
# how long the step may be against the widths of the coordinates.
_PROBE, _MOST_BEND, _LONGEST = 0.1, 0.375, 0.5
# Below so short a bend, and at steps that gain as much as predicted, none is looked for. Where
# linear residuals could lower the cost by no more than such a part, steps may gain less.
_LEAST_BEND, _STRAIGHT_GAIN = 0.01, 0.999
_SETTLING, _SETTLING_GAIN = 0.5, 0.95
# Residuals are large where linear ones could lower the cost by no more than this fraction. Their
# curvature cancels no more than this part of the Hessian matrix along a direction.
_LARGE, _MOST_TURN = 0.03, 0.8
# A fit is flat where linear residuals could lower the cost by no more than this fraction of the
# tolerance: curvature makes it up to five times more.
_FLAT = 0.2
# Below so many times the exact cost, a search goes on only while every step lowers it to that.
_CLOSE, _QUICK = 1e10, 0.25
# A search that has lowered the cost by less than this fraction in so many steps creeps along a
# valley in which the quotes tell next to nothing.
_PATIENCE, _LEAST_PROGRESS = 10, 1e-4

# How often a step is computed anew because it would leave the box.
_PASSES = 4

# Status of a search that has come into the valley of a minimum that was known before. It has if its
# cost is above the minimum's by no more than this part of it, and by as much as the minimum's
# quadratic says, within a factor: narrow enough to lose no lower minimum that lies close by.
IN_KNOWN_VALLEY = -2
_NEAR, _AS_SAID = 0.1, 4.0


class Residuals(Protocol):
    """Residuals (n, m) at coordinates (n, q) that the points named have; and their Jacobian."""

    def __call__(
        self, z: Floats, points: Ints, gradient: bool = True
    ) -> tuple[Floats, Floats | None]: ...


class Minimum(NamedTuple):
    """Where the search for one or many problems ended."""

    z: Floats  # (n, q)
    cost: Floats  # (n,), sum of squared residuals
    triangle: Floats  # (n, q, q), R of the QR decomposition of the Jacobian
    status: Ints
    n_evaluations: Ints

    def take(self, rows: NDArray[np.bool_] | Ints) -> Minimum:
        return Minimum._make(part[rows] for part in self)

    def put(self, rows: NDArray[np.bool_] | Ints, found: Minimum) -> None:
        for whole, part in zip(self, found, strict=True):
            whole[rows] = part


class State(NamedTuple):
    """Where searches are."""

    z: Floats
    cost: Floats
    triangle: Floats
    target: Floats  # Q^T r: the residuals that the Jacobian can change
    residuals: Floats
    jacobian: Floats
    scale: Floats
    damping: Floats
    growth: Floats
    curved: NDArray[np.bool_]  # whether the bend of the next step is worth looking at
    last: Floats  # (n, 2, q): the step here, and how it turned J^T r; zero if of no use

    def take(self, rows: NDArray[np.bool_] | Ints) -> State:
        return State._make(part[rows] for part in self)


def minimise(
    residuals: Residuals,
    z: Floats,
    low: Floats,
    high: Floats,
    width: Floats,
    exact: Floats,
    max_evaluations: int,
    tolerance: float,
    known: Minimum | None = None,
) -> Minimum:
    """Minimise sums of squared residuals within a box.

    Parameters
    ----------
    residuals : callable
        Residuals of a batch of points, named by their numbers; not finite where a point
        must not be used.
    z : ndarray of shape (n, q)
        Starting points, within the box.
    low, high : ndarray of shape (q,)
        The box.
    width : ndarray of shape (q,)
        Natural size of a change of each coordinate.
    exact : ndarray of shape (n,)
        Costs at which a fit counts as exact.
    max_evaluations : int
        Evaluations allowed for each point.
    tolerance : float
        Relative decrease of the cost below which a fit no longer improves.
    known : Minimum or None
        Where a search for each point ended before: in the valley of that, if it is a minimum,
        this one need not go on.

    Returns
    -------
    minimum : Minimum
        Status ``NO_START`` where the residuals at the start are not finite.
    """
    n = len(z)
    state = started(residuals, z, width)
    status = np.full(n, _RUNNING)
    status[~np.isfinite(state.cost)] = CalibrationStatus.NO_START
    flat = _reducible(state) <= _FLAT * tolerance * state.cost
    status[(status == _RUNNING) & flat] = CalibrationStatus.CONVERGED
    status[state.cost <= exact] = CalibrationStatus.EXACT
    evaluations = np.ones(n, dtype=np.intp)
    final = [np.array(part) for part in state[:3]]
    rows = np.flatnonzero(status == _RUNNING)
    state = state.take(rows)
    mark = state.cost
    while len(rows):
        before = state.cost
        state, ended = _iterate(residuals, state, rows, low, high, width, tolerance)
        evaluations[rows] += 1
        slow = state.cost > _QUICK * before
        ended[slow & (state.cost <= _CLOSE * exact[rows])] = CalibrationStatus.CLOSE
        ended[state.cost <= exact[rows]] = CalibrationStatus.EXACT
        due = evaluations[rows] % _PATIENCE == 0
        creeping = due & (state.cost > (1 - _LEAST_PROGRESS) * mark)
        ended[creeping & (ended == _RUNNING)] = CalibrationStatus.CONVERGED
        mark = np.where(due, state.cost, mark)
        if known is not None:
            ended[(ended == _RUNNING) & _in_valley(state, known, rows)] = IN_KNOWN_VALLEY
        spent = (ended == _RUNNING) & (evaluations[rows] >= max_evaluations)
        ended[spent] = CalibrationStatus.MAX_EVALUATIONS
        done = ended != _RUNNING
        if done.any():
            status[rows[done]] = ended[done]
            for whole, part in zip(final, state[:3], strict=True):
                whole[rows[done]] = part[done]
            rows, state, mark = rows[~done], state.take(~done), mark[~done]
    return Minimum._make([*final, status, evaluations])


def started(residuals: Residuals, z: Floats, width: Floats) -> State:
    r, jacobian = with_jacobian(residuals, z, np.arange(len(z)))
    cost, triangle, target = decomposed(r, jacobian)
    size = np.linalg.norm(triangle, axis=(1, 2))
    scale = np.where(size > 0, size, 1.0)[:, None] / width
    n = len(z)
    damping, growth = np.full(n, _FIRST_DAMPING), np.full(n, 2.0)
    curved = np.zeros(n, dtype=bool)
    last = np.zeros((n, 2, z.shape[1]))
    return State(z, cost, triangle, target, r, jacobian, scale, damping, growth, curved, last)


def with_jacobian(residuals: Residuals, z: Floats, points: Ints) -> tuple[Floats, Floats]:
    """Residuals and Jacobian."""
    r, jacobian = residuals(z, points)
    assert jacobian is not None
    return r, jacobian


def _iterate(
    residuals: Residuals,
    state: State,
    points: Ints,
    low: Floats,
    high: Floats,
    width: Floats,
    tolerance: float,
) -> tuple[State, Ints]:
    """Try one step of every problem; return the new state, and why those ended that did."""
    reduced, pinned, step = _damped_step(state, low, high, width)
    linear = (state.triangle @ step[..., None])[..., 0] + state.target
    predicted = (state.target**2).sum(axis=1) - (linear**2).sum(axis=1)
    more, curved = bend(residuals, state, points, reduced, pinned, step)
    step = _turned(step + more, state.last, reduced, pinned)
    z = clipped(state.z + step, low, high)

    r, jacobian = with_jacobian(residuals, z, points)
    cost, triangle, target = decomposed(r, jacobian)
    decrease = state.cost - cost
    accepted = decrease > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = clipped(decrease / np.maximum(predicted, 0.0), 0.0, 1.0)
        left = clipped(cost / state.cost, 1e-3, 1.0)
    # Nielsen's rule; faster where the residuals vanish, for quadratic convergence.
    eased = np.minimum(np.maximum(1 - (2 * gain - 1) ** 3, 1 / 3), left)
    damping = state.damping * np.where(accepted, eased, state.growth)
    damping = np.maximum(damping, _LEAST_DAMPING)
    growth = np.where(accepted, 2.0, 2 * state.growth)
    place = z, cost, triangle, target, r, jacobian
    tried = State(*place, state.scale, damping, growth, curved, np.zeros_like(state.last))
    reducible = _reducible(tried)
    large = accepted & (reducible <= _LARGE * cost)
    settling = accepted & (reducible <= _SETTLING * cost)
    curved |= (gain < np.where(settling, _SETTLING_GAIN, _STRAIGHT_GAIN)) & ~large
    if large.any():
        tried.last[large] = _last(state.take(large), tried.take(large))
    small = np.abs(predicted) <= tolerance * state.cost
    small &= ~accepted | (decrease <= tolerance * state.cost)
    small |= accepted & (reducible <= _FLAT * tolerance * cost)
    ended = np.where(small | (damping > _MOST_DAMPING), CalibrationStatus.CONVERGED, _RUNNING)
    return kept(accepted, tried, state), ended


def kept(accepted: NDArray[np.bool_], tried: State, before: State) -> State:
    """What was tried; where it was not accepted, from the place before."""
    if accepted.all():
        return tried
    n_place = State._fields.index("scale")
    place = (
        np.where(accepted.reshape(-1, *[1] * (a.ndim - 1)), a, b)
        for a, b in zip(tried[:n_place], before[:n_place], strict=True)
    )
    return State(*place, *tried[n_place:])


def _in_valley(state: State, known: Minimum, rows: Ints) -> NDArray[np.bool_]:
    """Whether points are where the quadratics of known minima hold, and above these."""
    cost, settled = known.cost[rows], known.status[rows] <= CalibrationStatus.CONVERGED
    above = state.cost - cost
    off = (known.triangle[rows] @ (state.z - known.z[rows])[..., None])[..., 0]
    said = (off**2).sum(axis=1)
    as_said = (said < _AS_SAID * above) & (above < _AS_SAID * said)
    return settled & (above <= _NEAR * cost) & as_said


def _reducible(state: State) -> Floats:
    """By how much linear residuals could lower the cost."""
    return (state.target**2).sum(axis=1)


def _last(before: State, now: State) -> Floats:
    """Steps, and how they turned the gradient by changes of the Jacobian."""
    change = np.swapaxes(now.jacobian - before.jacobian, 1, 2)
    return np.stack([now.z - before.z, (change @ now.residuals[..., None])[..., 0]], axis=1)


def _turned(step: Floats, last: Floats, reduced: Floats, pinned: NDArray[np.bool_]) -> Floats:
    """Steps with the curvature of the residuals that the last ones met.

    The last step s turned the gradient by y more than Gauss and Newton allow for: y y^T / (y^T s)
    is added to the matrix of the system, where that makes steps longer.
    """
    if not last.any():
        return step
    moved, turn = last[:, 0], np.where(pinned, 0.0, last[:, 1])
    half = np.linalg.solve(np.swapaxes(reduced, 1, 2), turn[..., None])
    way = np.linalg.solve(reduced, half)[..., 0]
    size, met = (half[..., 0] ** 2).sum(axis=1), -(turn * moved).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = np.minimum(size / met, _MOST_TURN)
        more = part / (1 - part) * (turn * step).sum(axis=1) / size
        return np.where((met > 0)[:, None], step + more[:, None] * way, step)


def _damped_step(
    state: State, low: Floats, high: Floats, width: Floats
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Step within the box, the parameters that it pins to a bound, and the matrix it solved.

    Parameters at a bound that they press against stay there; those that the step would take
    beyond one go up to it, and the step of the others is computed anew.
    """
    pinned = pressed(state, low, high)
    step = np.zeros_like(state.z)
    for _ in range(_PASSES):
        _, reduced, remote = damped_system(state, pinned, np.where(pinned, step, 0.0))
        free = np.asarray(np.linalg.solve(reduced, -remote[..., None])[..., 0], dtype=np.float64)
        step = np.where(pinned, step, shortened(free, width))
        z = state.z + step
        beyond = ~pinned & ((z < low) | (z > high))
        step = clipped(z, low, high) - state.z
        if not beyond.any():
            break
        pinned = pinned | beyond
    return reduced, pinned, step


def pressed(state: State, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Which coordinates are at a bound that they press against."""
    gradient = (np.swapaxes(state.triangle, 1, 2) @ state.target[..., None])[..., 0]
    return ((state.z <= low) & (gradient > 0)) | ((state.z >= high) & (gradient < 0))


def shortened(step: Floats, width: Floats) -> Floats:
    """Steps whose coordinates are no longer than is allowed against their widths."""
    length = np.abs(step / width).max(axis=1, keepdims=True)
    return step * np.minimum(1.0, _LONGEST / np.maximum(length, _LONGEST))


def damped_system(
    state: State, pinned: NDArray[np.bool_], moved: Floats
) -> tuple[Floats, Floats, Floats]:
    """Q^T r once the pinned coordinates have moved; the free ones' damped system: R, and its r."""
    n, q = state.z.shape
    left = state.target + (state.triangle @ moved[..., None])[..., 0]
    stacked = np.zeros((n, 2 * q, q + 1))
    stacked[:, :q, :q] = np.where(pinned[:, None, :], 0.0, state.triangle)
    stacked[:, :q, q] = left
    stacked[:, np.arange(q, 2 * q), np.arange(q)] = np.sqrt(state.damping)[:, None] * state.scale
    system = _upper_triangle(stacked)
    return left, system[:, :q, :q], system[:, :q, q]


def bend(
    residuals: Residuals,
    state: State,
    points: Ints,
    reduced: Floats,
    pinned: NDArray[np.bool_],
    step: Floats,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Second-order correction of steps, from the residuals' curvature along them.

    Also whether it was long enough to be looked at again; it is zero where the way was
    straight before.
    """
    bent, curved = np.zeros_like(step), np.zeros(len(step), dtype=bool)
    rows = np.flatnonzero(state.curved)
    if not rows.size:
        return bent, curved
    state, reduced, step = state.take(rows), reduced[rows], step[rows]
    ahead, _ = residuals(state.z + _PROBE * step, points[rows], gradient=False)
    slope = (state.jacobian @ step[..., None])[..., 0]
    curvature = 2 / _PROBE * ((ahead - state.residuals) / _PROBE - slope)
    curvature[~np.isfinite(curvature).all(axis=1)] = 0.0
    force = -0.5 * (np.swapaxes(state.jacobian, 1, 2) @ curvature[..., None])
    force[pinned[rows]] = 0.0
    found = np.linalg.solve(reduced, np.linalg.solve(np.swapaxes(reduced, 1, 2), force))[..., 0]
    with np.errstate(over="ignore"):
        length = np.linalg.norm(found * state.scale, axis=1)
    against = np.linalg.norm(step * state.scale, axis=1)
    bent[rows] = np.where((length > _MOST_BEND * against)[:, None], 0.0, found)
    curved[rows] = length > _LEAST_BEND * against
    return bent, curved


def decomposed(r: Floats, jacobian: Floats) -> tuple[Floats, Floats, Floats]:
    """Cost, and R and Q^T r of the Jacobian's QR; an infinite cost where not finite.

    A Jacobian whose square overflows counts as not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        cost = (r * r).sum(axis=1)
        size = (jacobian * jacobian).sum(axis=(1, 2))
    bad = ~(np.isfinite(cost) & np.isfinite(size))
    system = np.concatenate([jacobian, r[..., None]], axis=2)
    system[bad] = 0.0
    reduced = _upper_triangle(system)
    q = jacobian.shape[2]
    if reduced.shape[1] < q:  # fewer quotes than parameters
        reduced = np.pad(reduced, ((0, 0), (0, q - reduced.shape[1]), (0, 0)))
    return np.where(bad, np.inf, cost), reduced[:, :q, :q], reduced[:, :q, q]


def clipped(values: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """What np.clip does, at a third of its price for a few numbers."""
    return np.minimum(np.maximum(values, low), high)


def _upper_triangle(system: Floats) -> NDArray[Any]:
    """R of QR decompositions: what NumPy returns in a mode that its type hints ignore."""
    return np.asarray(np.linalg.qr(system, mode="r"))
