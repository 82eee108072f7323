"""Lévy densities against the exponents that they must integrate to."""

import numpy as np
import pytest

from levylearn.models import BlackScholes, LevyModel, get_model, list_models
from levylearn.models._jumps import GaussianJumps
from levylearn.testing._common import sample_parameters

LEVY = ["black_scholes", "variance_gamma", "cgmy", "nig", "merton", "kou"]
POINTS = np.array([0.5 - 0.5j, 3.0, 12.0 - 0.3j, 40.0 + 0.5j])

# What is not of the market: decays far apart, finite activity, activity close to two.
CORNERS = {
    "variance_gamma": [(0.05, 2.0, 0.3), (0.3, 0.01, -0.5)],
    "cgmy": [(1.0, 2.0, 30.0, -0.5), (1.0, 5.0, 5.0, 0.0), (0.02, 2.0, 60.0, 1.9)],
    "nig": [(40.0, -35.0, 0.3)],
    "merton": [(0.2, 0.0, -0.1, 0.1), (0.01, 5.0, 0.3, 0.01)],
    "kou": [(0.2, 3.0, 1.0, 3.0, 5.0), (0.2, 3.0, 0.0, 3.0, 50.0)],
}


def cases():
    for name in LEVY:
        model = get_model(name)
        drawn = sample_parameters(model.parameters, model.admissible, 3, random_state=5)
        for params in [*drawn, *CORNERS.get(name, [])]:
            label = "-".join(f"{value:.4g}" for value in params)
            yield pytest.param(model, np.array([params]), id=f"{name}-{label}")


def integral(model, params, function):
    """Integral of a function over the measure, by the trapezoid rule in log|y|."""
    # As far down as a density of activity two stays below the largest double.
    t = np.arange(-230, 7, 1 / 256)
    size = np.exp(t)
    total = 0.0
    for sign in (1, -1):
        density = model.levy_density(sign * size, params)[0]
        # What underflows is nothing, however large the function is there.
        there = density > 0
        y = sign * size[there]
        total = total + function(y) @ (density[there] * size[there]) / 256
    return total


def compensated(u):
    """The integrand of Lévy and Khintchine, by its series near zero, where it cancels."""

    def function(y):
        y = y + 0j
        z = 1j * u
        series = sum((z**n - z) * y**n / np.prod(np.arange(1.0, n + 1)) for n in range(2, 9))
        with np.errstate(over="ignore"):
            closed = np.expm1(z * y) - z * np.expm1(y)
        return np.where(np.abs(y) * (1 + abs(u)) < 0.1, series, closed)

    return function


@pytest.mark.parametrize(("model", "params"), [*cases()])
def test_levy_khintchine(model, params):
    variance = model.gaussian_variance(params)[0]
    expected = model.log_cf(POINTS, 1.0, params)[0]
    found = [
        -0.5 * variance * (u**2 + 1j * u) + integral(model, params, compensated(u)) for u in POINTS
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-9)


@pytest.mark.parametrize(("model", "params"), [*cases()])
def test_cumulants(model, params):
    expected = model.cumulants(1.0, params)[0, 1:]
    found = [integral(model, params, lambda y, k=k: y**k) for k in (2, 3, 4)]
    found[0] += model.gaussian_variance(params)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", LEVY)
def test_rows_and_points_of_their_own(name):
    model = get_model(name)
    params = sample_parameters(model.parameters, model.admissible, 3, random_state=1)
    x = np.array([-0.4, -0.01, 0.02, 0.7])
    together = model.levy_density(x, params)
    assert together.shape == (3, 4)
    apart = [model.levy_density(x, row[None])[0] for row in params]
    np.testing.assert_allclose(together, apart, rtol=1e-14)
    own = model.levy_density(np.array([x, 2 * x, 3 * x]), params)
    np.testing.assert_allclose(own[2], model.levy_density(3 * x, params[2:])[0], rtol=1e-14)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("name", LEVY)
def test_same_numbers_on_other_arrays(name, library):
    xp = pytest.importorskip(library)
    model = get_model(name)
    params = sample_parameters(model.parameters, model.admissible, 3, random_state=1)
    x = np.array([-0.4, -0.01, 0.02, 0.7])
    found = model.levy_density(xp.asarray(x), xp.asarray(params))
    np.testing.assert_allclose(np.asarray(found), model.levy_density(x, params), rtol=1e-12)
    variance = model.gaussian_variance(xp.asarray(params))
    np.testing.assert_array_equal(np.asarray(variance), model.gaussian_variance(params))


def test_who_has_one():
    able = [name for name in list_models() if get_model(name).has_levy_density]
    assert sorted(able) == sorted(LEVY)


def test_sum_with_a_part_that_has_none():
    model = get_model("bates")
    params = np.ones((1, model.n_params))
    for method in (
        lambda: model.levy_density(np.ones(1), params),
        lambda: model.gaussian_variance(params),
    ):
        with pytest.raises(NotImplementedError, match="Bates is no sum of Lévy processes"):
            method()


def test_jumps_of_one_size_have_no_density():
    density = GaussianJumps().levy_density(np.array([-0.1, 0.1]), np.array([[1.0, -0.1, 0.0]]))
    np.testing.assert_array_equal(density, 0.0)


def test_plug_in():
    """A model of one's own: two methods more, and it is known by its jumps."""

    class Silent(LevyModel):
        exponent = BlackScholes.exponent
        cumulant_rates = BlackScholes.cumulant_rates

    assert not Silent().has_levy_density
    with pytest.raises(NotImplementedError, match="Silent has no levy_density"):
        Silent().levy_density(np.ones(1), np.ones((1, 1)))
    np.testing.assert_array_equal(Silent().gaussian_variance(np.ones((2, 1))), 0.0)
