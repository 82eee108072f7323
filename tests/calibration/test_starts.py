"""Candidates, and the starts that are made of them."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.calibration._problem import CalibrationProblem
from levylearn.calibration._space import ParameterSpace
from levylearn.calibration._starts import Candidates
from levylearn.market import OptionGrid
from levylearn.models import Parameter
from levylearn.pricing import ContourPricer
from levylearn.testing._common import sample_parameters

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.02)
TRUTH = np.array([[0.04, 1.5, 0.06, 0.4, -0.6], [0.09, 3.0, 0.04, 0.8, -0.2]])


class Linear:
    """A pricer whose prices are a matrix product."""

    output = "price"
    parameters_ = tuple(
        Parameter(name, name, domain=(-10.0, 10.0), market_range=(-1.0, 1.0)) for name in "abc"
    )
    matrix = np.random.default_rng(0).normal(size=(3, 7))

    def admissible(self, params):
        return np.ones(len(params), dtype=bool)

    def evaluate(self, params, gradient=False):
        slopes = np.broadcast_to(self.matrix, (len(params), *self.matrix.shape))
        return params @ self.matrix, slopes if gradient else None


@pytest.fixture(scope="module")
def heston():
    pricer = ContourPricer("heston", GRID).fit(TRUTH)
    space = ParameterSpace(pricer.parameters_)
    return pricer, space, Candidates(pricer, space, 128, seed=0)


def problem_of(pricer, space, surfaces, **settings):
    return CalibrationProblem(pricer, space, surfaces, "price", **settings)


def test_linear_problem_is_solved_by_one_step():
    pricer = Linear()
    space = ParameterSpace(pricer.parameters_)
    truth = np.array([[0.3, -0.2, 0.5], [-0.4, 0.1, -0.6]])
    problem = problem_of(pricer, space, truth @ pricer.matrix)
    starts = Candidates(pricer, space, 64, seed=0).starts(problem, np.arange(2), 5)
    assert starts.shape == (2, 5, 3)
    # As near as the damping of the step lets it come.
    assert_allclose(starts[:, 0], truth, atol=1e-3)


def test_starts_are_in_the_box_and_the_first_is_good(heston):
    pricer, space, candidates = heston
    surfaces = pricer.transform(sample_parameters(pricer.parameters_, pricer.admissible, 50, 0))
    problem = problem_of(pricer, space, surfaces)
    starts = candidates.starts(problem, np.arange(50), 20)
    assert ((space.low <= starts) & (starts <= space.high)).all()
    errors = [
        np.linalg.norm(pricer.evaluate(space.parameters(z))[0] - surfaces, axis=1)
        for z in (starts[:, 0], candidates.z[problem.screen(candidates.surfaces).argmin(axis=1)])
    ]
    assert np.median(errors[0] / errors[1]) < 0.75


def test_jacobians_are_found_once_and_where_they_are_needed(heston):
    pricer, space, _ = heston

    class Spy(ContourPricer):
        n_differentiated = 0

        def evaluate(self, params, gradient=False, **planned):
            self.n_differentiated += gradient * len(params)
            return super().evaluate(params, gradient, **planned)

    spy = Spy("heston", GRID).fit(TRUTH)
    candidates = Candidates(spy, space, 128, seed=0)
    problem = problem_of(pricer, space, pricer.transform(TRUTH))
    assert spy.n_differentiated == 0
    one = candidates.starts(problem, np.arange(1), 4)
    assert spy.n_differentiated == 16
    both = candidates.starts(problem, np.arange(2), 4)
    assert 16 < spy.n_differentiated <= 32
    candidates.differentiate(np.arange(len(candidates.z)))
    assert spy.n_differentiated == len(candidates.z)
    assert_allclose(candidates.starts(problem, np.arange(2), 4), both, rtol=1e-6)
    assert_allclose(both[:1], one, rtol=1e-12)
    assert spy.n_differentiated == len(candidates.z)


def test_candidates_from_a_file_that_is_only_read(heston, tmp_path):
    pricer, space, _ = heston
    candidates = Candidates(pricer, space, 128, seed=0)
    problem = problem_of(pricer, space, pricer.transform(TRUTH))
    joblib.dump(candidates, tmp_path / "candidates")
    loaded = joblib.load(tmp_path / "candidates", mmap_mode="r")
    expected = candidates.starts(problem, np.arange(2), 4)
    assert_array_equal(loaded.starts(problem, np.arange(2), 4), expected)


def test_quotes_that_are_missing_play_no_part(heston):
    pricer, space, candidates = heston
    surfaces = pricer.transform(TRUTH)
    some = surfaces.copy()
    some[:, ::3] = np.nan
    wrong = np.where(np.isnan(some), 50.0, surfaces)
    weights = np.isfinite(some[0]) * 1.0
    expected = candidates.starts(problem_of(pricer, space, some), np.arange(2), 3)
    weighted = candidates.starts(problem_of(pricer, space, wrong, weights=weights), np.arange(2), 3)
    assert_allclose(weighted, expected, rtol=1e-12)


def test_rows_do_not_know_of_each_other(heston, monkeypatch):
    pricer, space, candidates = heston
    problem = problem_of(pricer, space, pricer.transform(np.repeat(TRUTH, 5, axis=0)))
    together = candidates.starts(problem, np.arange(10), 4)
    monkeypatch.setattr("levylearn.calibration._starts._NUMBERS", 1)
    assert_array_equal(candidates.starts(problem, np.arange(10), 4), together)
    assert_array_equal(candidates.starts(problem, np.array([7]), 4), together[[7]])
    assert candidates.starts(problem, np.arange(0), 4).shape == (0, 4, 5)
