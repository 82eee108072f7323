"""The batched minimiser, on problems whose minima are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.calibration import CalibrationStatus
from levylearn.calibration._levenberg_marquardt import (
    IN_KNOWN_VALLEY,
    Minimum,
    decomposed,
    minimise,
)
from tests.calibration._functions import logarithm, rosenbrock

MATRIX = np.random.default_rng(0).normal(size=(6, 3))


def powell(z):
    """Powell's singular function: the Jacobian loses rank at the minimum, 0."""
    a, b, c, d = z.T
    r = [a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2]
    jacobian = np.zeros((len(z), 4, 4))
    jacobian[:, 0, :2] = 1, 10
    jacobian[:, 1, 2:] = 5**0.5, -(5**0.5)
    jacobian[:, 2, 1], jacobian[:, 2, 2] = 2 * (b - 2 * c), -4 * (b - 2 * c)
    jacobian[:, 3, 0], jacobian[:, 3, 3] = 2 * 10**0.5 * (a - d), -2 * 10**0.5 * (a - d)
    return np.stack(r, axis=1), jacobian


def linear(z):
    return z @ MATRIX.T - 1, np.broadcast_to(MATRIX, (len(z), *MATRIX.shape)).copy()


def collinear(z):
    """Only the sum of the coordinates matters: there is a line of minima."""
    r = np.stack([z.sum(axis=1) - 2, 2 * z.sum(axis=1) - 4], axis=1)
    return r, np.tile(np.array([[1.0, 1.0], [2.0, 2.0]]), (len(z), 1, 1))


def search(
    function, z, low=-10.0, high=10.0, exact=1e-24, max_evaluations=200, tolerance=1e-11, known=None
):
    def residuals(z, points, gradient=True):
        r, jacobian = function(z)
        return r, jacobian if gradient else None

    z = np.atleast_2d(np.asarray(z, dtype=float))
    n, q = z.shape
    box = [np.broadcast_to(np.asarray(end, dtype=float), q) for end in (low, high)]
    return minimise(
        residuals,
        z,
        *box,
        width=np.full(q, 2.0),
        exact=np.full(n, exact),
        max_evaluations=max_evaluations,
        tolerance=tolerance,
        known=known,
    )


@pytest.mark.parametrize("start", [[-1.2, 1.0], [0.0, 0.0], [5.0, -5.0], [-9.0, 9.0]])
def test_rosenbrock(start):
    found = search(rosenbrock, start)
    assert_allclose(found.z, [[1, 1]], atol=1e-8)
    assert_array_equal(found.status, [CalibrationStatus.EXACT])
    assert found.n_evaluations[0] < 100


def test_rosenbrock_in_a_box():
    # With x <= 1/2 the minimum lies on the edge, at y = x^2.
    found = search(rosenbrock, [-1.2, 1.0], high=[0.5, 10.0])
    assert found.z[0, 0] == 0.5
    assert_allclose(found.z[0, 1], 0.25, atol=1e-6)
    assert_allclose(found.cost, 0.25, rtol=1e-9)
    assert_array_equal(found.status, [CalibrationStatus.CONVERGED])


def test_minimum_in_a_corner():
    found = search(linear, np.zeros(3), low=-0.01, high=0.01)
    gradient = 2 * MATRIX.T @ linear(found.z)[0][0]
    at_low, at_high = found.z[0] == -0.01, found.z[0] == 0.01
    assert (at_low | at_high).all()
    assert (gradient[at_low] > 0).all()
    assert (gradient[at_high] < 0).all()


def test_start_on_an_edge_that_it_has_to_leave():
    assert_allclose(search(rosenbrock, [-2.0, 3.0], low=-2.0, high=3.0).z, [[1, 1]], atol=1e-8)


def test_linear():
    found = search(linear, np.zeros(3))
    solution, residual, _, _ = np.linalg.lstsq(MATRIX, np.ones(6), rcond=None)
    assert_allclose(found.z[0], solution, rtol=1e-5)
    assert_allclose(found.cost, residual, rtol=1e-9)
    assert_array_equal(found.status, [CalibrationStatus.CONVERGED])
    triangle = found.triangle[0]
    assert_allclose(triangle.T @ triangle, MATRIX.T @ MATRIX, rtol=1e-12)


def test_slow_search_ends_at_eight_digits():
    # At a root of high order every step leaves most of the cost.
    def flat(z):
        return z[:, :1] ** 4, 4 * z[:, :, None] ** 3

    found = search(flat, [1.0], exact=1e-26)
    assert_array_equal(found.status, [CalibrationStatus.CLOSE])
    assert 1e-26 < found.cost[0] <= 1e-16
    # A quick one goes on to the end.
    quick = search(rosenbrock, [-1.2, 1.0], exact=1e-26)
    assert_array_equal(quick.status, [CalibrationStatus.EXACT])


def test_large_residuals():
    # Gauss-Newton steps halve here: the curvature of a residual that stays is half of the
    # square of the slope. A hundred evaluations would not be enough for their sum to 1e-12.
    def bent(z):
        x = z[:, 0]
        return np.stack([x, 1 + x**2 / 4], axis=1), np.stack([np.ones_like(x), x / 2], 1)[..., None]

    found = search(bent, [1.0])
    assert_allclose(found.z, 0, atol=1e-6)
    assert found.n_evaluations[0] < 12


def test_rank_deficient():
    found = search(collinear, [5.0, 1.0])
    assert_allclose(found.z.sum(), 2, atol=1e-10)
    assert_array_equal(found.status, [CalibrationStatus.EXACT])


def test_rank_lost_at_the_minimum():
    found = search(powell, [3.0, -1.0, 0.0, 1.0])
    assert_allclose(found.z, np.zeros((1, 4)), atol=1e-4)
    assert found.cost[0] < 1e-15


def test_steps_back_from_where_there_is_nothing():
    # The first full step from 9 leads to a negative argument.
    assert_allclose(search(logarithm, [9.0]).z, [[np.e]], rtol=1e-9)


def test_start_that_is_no_start():
    def nowhere(z):
        return np.full((len(z), 2), np.nan), np.full((len(z), 2, 2), np.nan)

    found = search(nowhere, [1.0, 2.0])
    assert_array_equal(found.status, [CalibrationStatus.NO_START])
    assert_array_equal(found.n_evaluations, [1])


def test_budget():
    found = search(rosenbrock, [-1.2, 1.0], max_evaluations=3)
    assert_array_equal(found.status, [CalibrationStatus.MAX_EVALUATIONS])
    assert_array_equal(found.n_evaluations, [3])
    assert found.cost[0] < 24.2


def test_tolerance():
    strict = search(rosenbrock, [-1.2, 1.0], high=[0.5, 10.0])
    loose = search(rosenbrock, [-1.2, 1.0], high=[0.5, 10.0], tolerance=1e-2)
    assert_array_equal(loose.status, [CalibrationStatus.CONVERGED])
    assert loose.n_evaluations[0] < strict.n_evaluations[0]
    assert_allclose(loose.cost, strict.cost, rtol=1e-2)


def test_batch_equals_one_by_one():
    starts = np.random.default_rng(1).uniform(-5, 5, size=(20, 2))
    starts[3] = 1.0  # ends at once
    together = search(rosenbrock, starts)
    alone = [search(rosenbrock, start) for start in starts]
    for field in ("z", "cost", "triangle", "status", "n_evaluations"):
        expected = np.concatenate([getattr(found, field) for found in alone])
        assert_array_equal(getattr(together, field), expected)


def test_decomposition():
    rng = np.random.default_rng(2)
    r, jacobian = rng.normal(size=(3, 7)), rng.normal(size=(3, 7, 4))
    r[1, 2] = np.inf
    cost, triangle, target = decomposed(r, jacobian)
    assert_array_equal(np.isinf(cost), [False, True, False])
    for i in (0, 2):
        assert_allclose(cost[i], r[i] @ r[i])
        assert_allclose(triangle[i].T @ triangle[i], jacobian[i].T @ jacobian[i])
        assert_allclose(triangle[i].T @ target[i], jacobian[i].T @ r[i])
    # Fewer residuals than coordinates: padded to the same shape.
    assert decomposed(r[:, :2], jacobian[:, :2])[1].shape == (3, 4, 4)


def flat_valley(z):
    """Along a wall of height 1, a cost that falls for ever, ever less."""
    with np.errstate(over="ignore"):
        fall = np.exp(-1e-6 * z[:, 0])
    r = np.stack([np.ones(len(z)), fall], axis=1)
    jacobian = np.stack([np.zeros(len(z)), -1e-6 * fall], axis=1)[..., None]
    return r, jacobian


def test_search_that_creeps_is_ended():
    found = search(flat_valley, [0.0], low=-1e9, high=1e9)
    assert found.status == CalibrationStatus.CONVERGED
    assert found.n_evaluations == 10
    assert_allclose(found.cost, 2, rtol=1e-3)


def two_valleys(z):
    """Valleys near -1 and, a little lower, near 1."""
    r = np.stack([z[:, 0] ** 2 - 1, 0.3 * (z[:, 0] - 2)], axis=1)
    jacobian = np.stack([2 * z[:, 0], np.full(len(z), 0.3)], axis=1)[..., None]
    return r, jacobian


def test_valley_that_is_known_is_left():
    known = search(two_valleys, [-1.0])
    assert_array_equal(known.status, [CalibrationStatus.CONVERGED])
    starts = [[-3.0], [-1.3], [3.0]]
    whole = search(two_valleys, starts)
    assert_allclose(whole.z[:2], np.repeat(known.z, 2, axis=0), atol=1e-6)
    found = search(
        two_valleys, starts, known=Minimum._make(np.repeat(part, 3, axis=0) for part in known)
    )
    assert_array_equal(
        found.status, [IN_KNOWN_VALLEY, IN_KNOWN_VALLEY, CalibrationStatus.CONVERGED]
    )
    assert (found.n_evaluations[:2] < whole.n_evaluations[:2]).all()
    assert (found.cost[:2] > known.cost).all()
    assert_array_equal(found.z[2], whole.z[2])
