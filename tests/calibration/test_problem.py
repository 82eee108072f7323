"""Residuals along searches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from levylearn.calibration._problem import CalibrationProblem
from levylearn.calibration._space import ParameterSpace
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.02)
TRUTH = np.array([[0.04, 1.5, 0.06, 0.4, -0.6], [0.09, 3.0, 0.04, 0.8, -0.2]])


class CountingPricer(ContourPricer):
    """It counts what is planned."""

    n_planned = 0

    def plan(self, params, rough=False):
        self.n_planned += len(params)
        return super().plan(params, rough)


def posed():
    pricer = CountingPricer("heston", GRID).fit(TRUTH)
    space = ParameterSpace(pricer.parameters_)
    return CalibrationProblem(pricer, space, pricer.transform(TRUTH), "price")


@pytest.fixture
def search():
    problem = posed()
    return problem.pricer, problem.space, problem.residuals(np.array([0, 1, 1]))


def test_lines_are_kept_while_a_search_moves_little(search):
    pricer, space, residuals = search
    points = np.arange(3)
    z = space.coordinates(TRUTH[[0, 1, 1]])
    pricer.n_planned = 0
    r, jacobian = residuals(z, points)
    assert_allclose(r, 0, atol=1e-11)
    assert jacobian.shape == (3, GRID.n_quotes, 5)
    assert pricer.n_planned == 3
    residuals(z + 0.1 * space.width, points, gradient=False)  # a look ahead
    residuals(z + 1e-3 * space.width, points)
    assert pricer.n_planned == 3
    far = z.copy()
    far[1] = np.clip(far[1] - 0.6 * space.width, space.low, space.high)
    residuals(far, points)
    assert pricer.n_planned == 4
    # Near the end of a search, lines are those of a point much nearer than its last steps.
    residuals(far + 0.02 * space.width, points)
    residuals(far + 0.0201 * space.width, points)
    assert pricer.n_planned == 7


def test_kept_lines_price_as_new_ones_do(search):
    _, space, residuals = search
    z = space.coordinates(TRUTH[[0, 1, 1]])
    residuals(z, np.arange(3))
    moved = z + 0.02 * space.width
    kept = residuals(moved, np.arange(3))
    anew = posed().residuals(residuals.problems)(moved, np.arange(3))
    assert_allclose(kept[0], anew[0], rtol=0, atol=1e-9)
    assert_allclose(kept[1], anew[1], rtol=1e-6, atol=1e-6)


def test_points_without_a_price(search):
    _, space, residuals = search
    z = space.coordinates(TRUTH[[0, 1, 1]])
    z[1, 4] = 2.0  # a correlation
    r, jacobian = residuals(z, np.arange(3))
    assert np.isnan(r[1]).all()
    assert np.isnan(jacobian[1]).all()
    assert np.isfinite(r[[0, 2]]).all()
    assert np.isfinite(jacobian[[0, 2]]).all()


@pytest.mark.parametrize("loss", ["price", "vega_price"])
def test_searches_go_on_where_others_ended(search, loss):
    pricer, space, residuals = search
    z = space.coordinates(TRUTH[[0, 1, 1]])
    z[2] += 0.1 * space.width
    residuals(z, np.arange(3))
    pricer.n_planned = 0
    # Of two points for one surface, the plan of the last is remembered.
    problem = residuals.problem.with_loss(loss)
    found = problem.residuals(np.arange(2))(z[[0, 2]], np.arange(2))
    assert pricer.n_planned == 0
    values = problem.surfaces(z[[0, 2]] + 1e-3 * space.width, np.arange(2))
    assert pricer.n_planned == 0
    params = space.parameters(z[[0, 2]] + 1e-3 * space.width)
    assert_allclose(values, pricer.transform(params), rtol=0, atol=1e-10)
    problem.surfaces(z[:2], np.arange(2))
    assert pricer.n_planned == 1
    anew = CalibrationProblem(pricer, space, pricer.transform(TRUTH), loss)
    other = anew.residuals(np.arange(2))(z[[0, 2]], np.arange(2))
    for one, another in zip(found, other, strict=True):
        assert_allclose(one, another, rtol=0, atol=1e-12)


def test_rough_plans_are_not_passed_on(search):
    pricer, space, residuals = search
    problem, z = residuals.problem, space.coordinates(TRUTH)
    problem.residuals(np.arange(2), compared_with=np.full(2, 1e9))(z, np.arange(2))
    pricer.n_planned = 0
    problem.residuals(np.arange(2))(z, np.arange(2))
    assert pricer.n_planned == 2
