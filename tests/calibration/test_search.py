"""The choice between several starts, on searches whose ends are known."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from levylearn.calibration import CalibrationStatus
from levylearn.calibration._levenberg_marquardt import Minimum
from levylearn.calibration._search import best_of_starts

BUDGET = 200
N_STARTS = 12
STARTS = np.arange(N_STARTS)


class Landscape:
    """A basin for each start: what it costs to end there, NaN where no search can start."""

    def __init__(self, costs):
        self.costs = np.array(costs, dtype=float)
        self.spent = np.zeros(len(self.costs), dtype=int)
        self.calls = []

    def __call__(self, z, problems, effort):
        self.calls.append((z[:, 0].astype(int), problems, effort))
        basin = z[:, 0].astype(int)
        cost = self.costs[problems, basin]
        status = np.select(
            [np.isnan(cost), cost == 0],
            [CalibrationStatus.NO_START, CalibrationStatus.EXACT],
            CalibrationStatus.CONVERGED,
        )
        evaluations = 1 + (basin + problems) % 3
        np.add.at(self.spent, problems, evaluations)
        triangle = np.multiply.outer(steepness(basin, problems), np.ones((1, 1)))
        return Minimum(z, np.where(np.isnan(cost), np.inf, cost), triangle, status, evaluations)

    def search(self, n_starts=N_STARTS, width=1.0, spares=(0,), close=0.0):
        starts = np.tile(STARTS[:n_starts, None].astype(float), (len(self.costs), 1, 1))
        spares = np.reshape(spares, (-1, 1)).astype(float)
        close = np.full(len(self.costs), close)
        return best_of_starts(self, starts, spares, np.array([width]), close, BUDGET)


def steepness(basin, problems):
    """Different for each minimum; so much that every one is felt."""
    return 100.0 + basin + 20.0 * problems


def surface(first, others=9.0, **basins):
    """Costs of one surface: of its first start, of the others, and of some by number."""
    costs = np.full(N_STARTS, others)
    costs[0] = first
    for name, cost in basins.items():
        costs[int(name[1:])] = cost
    return costs


def assert_ends(minimum, landscape, basins):
    """Each surface's minimum is that of its basin, in every field."""
    rows = np.arange(len(basins))
    cost = landscape.costs[rows, basins]
    assert_array_equal(minimum.z[:, 0], basins)
    assert_array_equal(minimum.cost, np.where(np.isnan(cost), np.inf, cost))
    assert_array_equal(minimum.triangle[:, 0, 0], steepness(np.array(basins), rows))
    expected = np.where(cost == 0, CalibrationStatus.EXACT, CalibrationStatus.CONVERGED)
    expected[np.isnan(cost)] = CalibrationStatus.NO_START
    assert_array_equal(minimum.status, expected)
    assert_array_equal(minimum.n_evaluations, landscape.spent)


def test_exact_first_start_stops_the_search():
    landscape = Landscape([surface(0.0, others=0.0)] * 3)
    assert_ends(landscape.search(), landscape, [0, 0, 0])
    (starts, problems, effort), *others = landscape.calls
    assert_array_equal(starts, 0)
    assert_array_equal(problems, [0, 1, 2])
    assert effort.max_evaluations == BUDGET
    assert all(starts.size == 0 for starts, _, _ in others)


def test_fit_that_is_close_stops_the_search():
    landscape = Landscape([surface(1e-9, others=0.0), surface(1e-7, others=0.0, s3=1e-9)])
    minimum = landscape.search(close=1e-8)
    assert_array_equal(minimum.cost, [1e-9, 0.0])
    assert minimum.n_evaluations[0] == 1


def test_only_surfaces_that_need_it_are_searched_again():
    landscape = Landscape([surface(0.0), surface(2.0, s4=1.0), surface(0.0)])
    assert_ends(landscape.search(), landscape, [0, 4, 0])
    assert_array_equal(np.concatenate([problems for _, problems, _ in landscape.calls[1:]]), 1)


@pytest.mark.parametrize("best", STARTS[1:])
@pytest.mark.parametrize("cost", [0.0, 1.0])
def test_better_start_among_the_others_wins(best, cost):
    landscape = Landscape([surface(2.0, **{f"s{best}": cost}), surface(2.0, s3=1.5)])
    assert_ends(landscape.search(), landscape, [best, 3])


def test_first_start_stays_where_no_other_is_better():
    landscape = Landscape([surface(2.0), surface(2.0, others=2.0), surface(2.0, others=np.nan)])
    assert_ends(landscape.search(), landscape, [0, 0, 0])


def test_first_start_that_is_none_is_replaced():
    landscape = Landscape([surface(np.nan, s5=3.0), surface(np.nan, others=np.nan, s8=3.0)])
    assert_ends(landscape.search(), landscape, [5, 8])


def test_no_start_at_all():
    landscape = Landscape([surface(np.nan, others=np.nan), surface(2.0, s1=1.0)])
    assert_ends(landscape.search(), landscape, [0, 1])


def test_starts_that_agree_end_the_search():
    landscape = Landscape([surface(2.0, s1=2.0005, s2=1.9995), surface(2.0, s1=2.0005, s2=2.01)])
    minimum = landscape.search()
    assert_array_equal(minimum.z[:, 0], 0)
    searched = [np.concatenate([s[p == row] for s, p, _ in landscape.calls]) for row in (0, 1)]
    assert_array_equal(searched[0], [0, 1, 2])
    assert_array_equal(np.unique(searched[1]), STARTS)


def test_better_half_go_on_round_by_round():
    landscape = Landscape([surface(3.0, s3=2.5, s6=1.0, s7=0.5, s8=2.0, s9=2.2)])
    landscape.search()
    first, heat, others, second, last = (call for call in landscape.calls if call[0].size)
    assert_array_equal(heat[0], [1, 2])
    assert_array_equal(others[0], STARTS[3:])
    assert_array_equal(second[0][:5], [7, 6, 8, 9, 3])
    assert len(second[0]) == 6
    assert_array_equal(last[0], [7, 6, 8])
    assert first[2] == last[2]
    assert first[2].max_evaluations == BUDGET > heat[2].max_evaluations > others[2].max_evaluations
    assert others[2] == second[2]
    assert last[2].tolerance < second[2].tolerance


def test_what_is_not_felt_is_brought_back():
    # The spare values lead to starts 9 and 10, which the contest does not reach.
    costs = [surface(3.0, s1=2.0, s9=1.0), surface(3.0, s1=2.0, s9=2.5, s10=2.7), surface(0.0)]
    landscape = Landscape(costs)
    minimum = landscape.search(n_starts=5, width=1e-3, spares=[9, 10])
    assert_ends(minimum, landscape, [9, 1, 0])


@pytest.mark.parametrize("width", [1e-3, 1.0])
def test_only_what_is_not_felt_is_brought_back(width):
    landscape = Landscape([surface(3.0, s1=2.0, s9=1.0)])
    minimum = landscape.search(n_starts=5, width=width, spares=[9])
    assert_ends(minimum, landscape, [9 if width == 1e-3 else 1])


def test_one_start():
    landscape = Landscape([[2.0], [np.nan], [0.0]])
    assert_ends(landscape.search(n_starts=1), landscape, [0, 0, 0])
    assert sum(starts.size for starts, _, _ in landscape.calls) == 3


def test_surfaces_do_not_know_of_each_other():
    rng = np.random.default_rng(0)
    costs = rng.choice([0.0, 1.0, 2.0, 3.0, np.nan], size=(50, N_STARTS))
    together = Landscape(costs).search()
    alone = [Landscape(row[None]).search() for row in costs]
    for field in ("z", "cost", "status"):
        assert_array_equal(
            getattr(together, field), np.concatenate([getattr(found, field) for found in alone])
        )
