"""ParameterSpace: coordinates, bounds, fixed parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from levylearn.calibration._space import ParameterSpace
from levylearn.models import get_model, list_models


@pytest.fixture
def heston():
    return get_model("heston").parameters


@pytest.mark.parametrize("name", list_models())
def test_coordinates_and_back(name):
    parameters = get_model(name).parameters
    space = ParameterSpace(parameters)
    z = space.sample(16, seed=0)
    assert z.shape == (32, len(parameters)) == (32, space.size)
    assert (z >= space.low).all()
    assert (z <= space.high).all()
    assert_allclose(space.coordinates(space.parameters(z)), z, rtol=1e-12, atol=1e-12)
    ends = space.parameters(np.stack([space.low, space.high]))
    assert_allclose(ends.T, [p.bounds for p in parameters], rtol=1e-12)


@pytest.mark.parametrize("name", list_models())
def test_slopes(name):
    space = ParameterSpace(get_model(name).parameters)
    z = space.sample(2, seed=1)
    h = 1e-6
    for j in range(space.size):
        step = np.zeros(space.size)
        step[j] = h
        difference = (space.parameters(z + step) - space.parameters(z - step))[:, j] / (2 * h)
        assert_allclose(space.slopes(space.parameters(z))[:, j], difference, rtol=1e-6)


def test_sample_repeats_itself(heston):
    space = ParameterSpace(heston)
    assert_array_equal(space.sample(8, seed=3), space.sample(8, seed=3))
    assert (space.sample(8, seed=3) != space.sample(8, seed=4)).any()


def test_first_half_of_the_sample_is_the_market_range(heston):
    market = ParameterSpace(heston).parameters(ParameterSpace(heston).sample(64, seed=0))[:64]
    low, high = np.array([p.market_range for p in heston]).T
    assert (market >= low * (1 - 1e-12)).all() or (market >= low - 1e-12).all()
    assert (market <= high + 1e-12).all()


def test_given_bounds_replace_those_of_the_model(heston):
    space = ParameterSpace(heston, bounds={"kappa": (1.0, 3.0), "rho": (-1, 0)})
    ends = space.parameters(np.stack([space.low, space.high]))
    assert_allclose(ends[:, 1], [1, 3])
    assert_allclose(ends[:, 4], [-1, 0])
    assert_allclose(ends[:, 0], heston[0].bounds)


def test_coordinates_move_into_the_box(heston):
    space = ParameterSpace(heston, bounds={"rho": (-0.5, 0.5)})
    z = space.coordinates(np.array([[0.04, 1e6, 0.04, 0.5, -0.9]]))
    assert_allclose(space.parameters(z), [[0.04, heston[1].bounds[1], 0.04, 0.5, -0.5]])


def test_bound_of_zero_is_no_logarithm(heston):
    space = ParameterSpace(heston, bounds={"v0": (0.0, 0.3)})
    assert_array_equal(space.logarithmic, [False, True, True, True, False])
    assert space.low[0] == 0


def test_fixed_parameters(heston):
    space = ParameterSpace(heston, fixed={"rho": -0.7, "kappa": 2.0})
    assert space.size == 3
    assert_array_equal(space.free, [0, 2, 3])
    params = space.parameters(space.sample(4, seed=0))
    assert_array_equal(params[:, 4], -0.7)
    assert_array_equal(params[:, 1], 2.0)
    assert space.coordinates(params).shape == space.slopes(params).shape == (8, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": {"vol": (0, 1)}}, "bounds names 'vol'; the parameters are v0, kappa"),
        ({"fixed": {"vol": 0.2}}, "fixed names 'vol'; the parameters are v0, kappa"),
        ({"bounds": {"kappa": (3, 1)}}, r"bounds of kappa .*\[0, inf\); got \(3, 1\)"),
        ({"bounds": {"rho": (-2, 0)}}, r"bounds of rho .*\[-1, 1\]; got \(-2, 0\)"),
        ({"bounds": {"kappa": (1, np.nan)}}, "bounds of kappa"),
        ({"fixed": {"rho": -1.5}}, r"fixed rho must be in its domain \[-1, 1\]; got -1.5"),
        ({"fixed": {"kappa": -2}}, r"fixed kappa must be .*\[0, inf\); got -2"),
        ({"fixed": {"v0": np.nan}}, "fixed v0 must be in its domain"),
    ],
)
def test_refused(heston, options, message):
    with pytest.raises(ValueError, match=message):
        ParameterSpace(heston, **options)


def test_nothing_left_to_calibrate():
    with pytest.raises(ValueError, match="fixed holds every parameter"):
        ParameterSpace(get_model("black_scholes").parameters, fixed={"sigma": 0.2})
