"""The choice between several starts, on searches whose ends are known."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from levylearn.calibration import CalibrationStatus
from levylearn.calibration._levenberg_marquardt import IN_KNOWN_VALLEY, Minimum
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

    def search(self, **options):
        return self.best(**options).minimum

    def best(self, n_starts=N_STARTS, width=1.0, spares=(0,), close=0.0, trusted=False):
        starts = np.tile(STARTS[:n_starts, None].astype(float), (len(self.costs), 1, 1))
        spares = np.reshape(spares, (-1, 1)).astype(float)
        close = np.full(len(self.costs), close)
        return best_of_starts(self, starts, spares, np.array([width]), close, BUDGET, trusted)


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


@pytest.mark.parametrize("n_entered", [1, N_STARTS], ids=["one", "all"])
def test_start_that_comes_into_the_known_valley_is_left_there(n_entered):
    class Entered(Landscape):
        def __call__(self, z, problems, effort):
            found = super().__call__(z, problems, effort)
            if effort.known is not None:
                assert_array_equal(effort.known.z[:, 0], 0)
                found.status[(z[:, 0] > 0) & (z[:, 0] <= n_entered)] = IN_KNOWN_VALLEY
            return found

    landscape = Entered([surface(2.0, others=9.0)])
    assert_ends(landscape.search(), landscape, [0])
    tried = np.concatenate([starts for starts, _, _ in landscape.calls[1:]])
    if n_entered == 1:  # and the others race
        assert set(tried) == set(STARTS)
    else:
        assert len(tried) == len(set(tried)) < N_STARTS


def test_first_start_that_is_none_is_replaced():
    landscape = Landscape([surface(np.nan, s5=3.0), surface(np.nan, others=np.nan, s8=3.0)])
    assert_ends(landscape.search(), landscape, [5, 8])


def test_no_start_at_all():
    landscape = Landscape([surface(np.nan, others=np.nan), surface(2.0, s1=1.0)])
    assert_ends(landscape.search(), landscape, [0, 1])


def test_starts_that_agree_end_the_search():
    landscape = Landscape([surface(2.0, s1=2.0005, s2=1.9995), surface(2.0, s1=2.0005, s2=2.01)])
    assert_ends(landscape.search(), landscape, [2, 0])
    searched = [np.concatenate([s[p == row] for s, p, _ in landscape.calls]) for row in (0, 1)]
    assert_array_equal(searched[0], [0, 1, 2])
    assert_array_equal(np.unique(searched[1]), STARTS)


def test_what_rough_prices_promise_is_confirmed():
    class Rough(Landscape):
        def __call__(self, z, problems, effort):
            found = super().__call__(z, problems, effort)
            cheap = 0.5 * effort.rough * (z[:, 0] == 3)
            return found._replace(cost=found.cost * (1 - cheap))

    landscape = Rough([surface(2.0, s3=3.0), surface(2.0, s3=1.2), surface(2.0, s3=np.nan)])
    best = landscape.best()
    assert_array_equal(best.minimum.z[:, 0], [0, 3, 0])
    assert_array_equal(best.minimum.cost, [2.0, 1.2, 2.0])
    assert_array_equal(best.beaten, [False, True, False])
    assert_array_equal(best.minimum.n_evaluations, landscape.spent)


def starts_of(landscape, row):
    """All starts that one surface was searched from."""
    return np.unique(np.concatenate([s[p == row] for s, p, _ in landscape.calls]))


def test_first_start_that_is_trusted_is_replaced_by_a_lower_one_only():
    none = surface(np.nan, others=np.nan, s7=1.0)
    landscape = Landscape([surface(2.0, s8=1.0), surface(2.0, s1=1.5, s8=1.0), none])
    best = landscape.best(trusted=True)
    assert_ends(best.minimum, landscape, [0, 8, 7])
    assert_array_equal(starts_of(landscape, 0), [0, 1, 2])
    for row in (1, 2):
        assert_array_equal(starts_of(landscape, row), STARTS)


@pytest.mark.parametrize("trusted", [False, True])
def test_what_became_of_the_first_start_is_told(trusted):
    costs = [surface(0.0), surface(2.0), surface(2.0, s1=1.9995), surface(2.0, s1=1.0)]
    landscape = Landscape([*costs, surface(np.nan, s1=1.0), surface(np.nan, others=np.nan)])
    best = landscape.best(trusted=trusted)
    assert_array_equal(best.beaten, [False, False, False, True, True, False])
    assert_array_equal(best.n_first, [1, 2, 3, 1, 2, 3])
    assert (best.n_first[1:] < best.minimum.n_evaluations[1:]).all()


class Descents:
    """A way down from each start of one surface: its cost after each search."""

    def __init__(self, *ways):
        self.ways = ways
        self.rounds = []

    def __call__(self, z, problems, effort):
        start, searched = z.T.astype(int)
        ways = [self.ways[i] for i in start]
        cost = np.array([way[min(k, len(way) - 1)] for way, k in zip(ways, searched, strict=True)])
        self.rounds.append(list(start))
        triangle = np.full((len(z), 2, 2), 100.0)
        ones = np.ones(len(z), dtype=int)
        return Minimum(
            z + np.array([0, 1]), cost, triangle, CalibrationStatus.CONVERGED * ones, ones
        )

    def search(self):
        starts = np.array([[[i, 0.0] for i in range(len(self.ways))]])
        width, close = np.ones(2), np.zeros(1)
        return best_of_starts(self, starts, np.zeros((1, 2)), width, close, BUDGET).minimum


def test_who_descends_fast_stays_in_the_race():
    slow, fast = [4.0, 3.9, 3.8, 0.5], [50.0, 20.0, 6.0, 1.0]
    landscape = Descents([2.0], [2.1], [2.2], slow, fast)
    minimum = landscape.search()
    assert minimum.cost == 1.0
    assert minimum.z[0, 0] == 4
    first, heat, *rounds, last = (r for r in landscape.rounds if r)
    assert (first, heat, last) == ([0], [1, 2], [4])
    assert rounds == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [4], [4], [4]]


def test_who_arrives_where_another_is_leaves_the_race():
    landscape = Descents([2.0], [2.1], [2.2], [9.0, 2.5, 2.0, 0.1], [9.0, 1.0])
    assert landscape.search().cost == 1.0
    assert sum(r.count(3) for r in landscape.rounds) == 3


def test_race_ends_when_the_surface_is_reproduced():
    landscape = Descents([2.0], [2.1], [2.2], [9.0, 0.0], [9.0, 6.0, 4.0, 1.0])
    assert landscape.search().cost == 0.0
    assert sum(r.count(4) for r in landscape.rounds) == 2


def test_what_is_not_felt_is_brought_back():
    # The spare values lead to starts 9 and 10, which the race does not reach.
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
