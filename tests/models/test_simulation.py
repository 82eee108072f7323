"""Simulated paths against laws that are known otherwise: cumulants, martingales, distributions."""

import mpmath as mp
import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr, ndtri

from levylearn.models import CharacteristicModel, get_model, list_models
from levylearn.models._bridge import bridged
from levylearn.models._inversion import quantile_function
from levylearn.models._quantiles import (
    gamma_quantile,
    inverse_gaussian_quantile,
    poisson_quantile,
)
from levylearn.models._square_root import SquareRootStep
from tests.models._meixner import Meixner

TIMES = np.array([0.1, 0.25, 1.0])
N_PATHS = 10_000
# Ordinary and extreme.
SETS = {
    "black_scholes": [[0.2]],
    "variance_gamma": [[0.12, 0.2, -0.14], [0.2, 0.5, -0.1]],
    "cgmy": [[0.1, 4.0, 8.0, 0.5], [0.05, 5.0, 6.0, 1.4]],
    "nig": [[15.0, -5.0, 0.5], [12.0, -4.0, 0.05]],
    "merton": [[0.15, 1.0, -0.1, 0.15], [0.1, 20.0, 0.0, 0.05]],
    "kou": [[0.15, 3.0, 0.2, 25.0, 10.0], [0.1, 0.5, 1.0, 12.0, 5.0]],
    "heston": [[0.04, 1.5, 0.04, 0.5, -0.7], [0.04, 0.5, 0.04, 1.0, -0.95]],
    "bates": [[0.04, 1.5, 0.04, 0.5, -0.7, 0.5, -0.1, 0.1]],
    "double_heston": [[0.02, 3, 0.02, 0.5, -0.9, 0.02, 0.3, 0.03, 0.3, -0.6]],
    "double_heston_jump": [
        [0.02, 3, 0.02, 0.5, -0.9, 0.02, 0.3, 0.03, 0.3, -0.6, 0.3, -0.12, 0.12]
    ],
}
CASES = [(name, np.array(row)) for name, rows in SETS.items() for row in rows]
every_case = pytest.mark.parametrize(("name", "row"), CASES, ids=lambda value: str(value))


class StationaryMeixner(Meixner):
    """A Lévy plug-in that says so."""

    has_stationary_increments = True


def paths(model, row, times=TIMES, n_paths=N_PATHS, seed=5):
    """Log-returns of shape (n_paths, n_times)."""
    width = len(times) * (1 + model.uniforms_per_step)
    uniforms = np.random.default_rng(seed).random((n_paths, width))
    return model.simulate(times, np.atleast_2d(row), uniforms)[0]


def distribution(model, row, maturity, x):
    """Distribution function by Gil-Pelaez's integral on the real line."""
    deviation = np.sqrt(model.cumulants(maturity, row[None])[0, 1])
    u = (np.arange(40_000) + 0.5) * 0.01 / deviation
    phi = np.exp(model.log_cf(u + 0j, maturity, row[None])[0])
    kernel = np.exp(-1j * np.outer(x, u)) * (phi / u)
    return 0.5 - kernel.imag.sum(axis=1) * 0.01 / (np.pi * deviation)


def within(sample, expected, errors=3.5):
    """Whether the mean over the first axis is what is expected."""
    error = sample.std(axis=0, ddof=1) / np.sqrt(len(sample))
    return np.all(np.abs(sample.mean(axis=0) - expected) <= errors * error + 1e-14)


# -- models --------------------------------------------------------------------------


def test_every_model_is_here():
    assert set(SETS) == set(list_models())


@every_case
def test_price_is_a_martingale(name, row):
    X = paths(get_model(name), row)
    assert within(np.exp(X), 1.0, errors=3.0)
    growth = np.exp(np.diff(X, axis=1))
    assert within(growth, 1.0, errors=3.0)
    # Expected growth does not depend on where the price stands.
    for t in range(growth.shape[1]):
        high = X[:, t] > np.median(X[:, t])
        assert within(growth[high, t], 1.0)
        assert within(growth[~high, t], 1.0)


@every_case
def test_cumulants(name, row):
    model = get_model(name)
    X = paths(model, row)
    for t, maturity in enumerate(TIMES):
        expected = model.cumulants(maturity, row[None])[0]
        y = (X[:, t] - expected[0]) / np.sqrt(expected[1])
        assert within(y, 0.0)
        assert within(y**2, 1.0)
        assert within(y**3, expected[2] / expected[1] ** 1.5)
        assert within(y**4, expected[3] / expected[1] ** 2 + 3)


@every_case
def test_marginal_law(name, row):
    model = get_model(name)
    x = paths(model, row)[:, -1]
    points = np.quantile(x, np.linspace(0.01, 0.99, 60))
    exact = distribution(model, row, TIMES[-1], points)
    found = np.searchsorted(np.sort(x), points, side="right") / len(x)
    # Kolmogorov's distance, exceeded by one sample in a thousand
    assert np.abs(found - exact).max() < stats.kstwobign.isf(1e-3) / np.sqrt(len(x))


@pytest.mark.parametrize(
    ("name", "row"), [case for case in CASES if get_model(case[0]).has_stationary_increments]
)
def test_increments_are_independent_and_stationary(name, row):
    times = np.array([0.2, 0.4, 0.6])
    increments = np.diff(paths(get_model(name), row, times), axis=1, prepend=0.0)
    ranks = stats.rankdata(increments, axis=0)
    for values in (ranks, np.abs(ranks - ranks.mean())):
        correlation = np.corrcoef(values.T)[np.triu_indices(3, 1)]
        assert np.abs(correlation).max() < 3.5 / np.sqrt(N_PATHS)
    assert stats.ks_2samp(increments[:, 0], increments[:, 2]).pvalue > 1e-3


@every_case
def test_coarse_steps_follow_the_law_of_fine_ones(name, row):
    model = get_model(name)
    fine = paths(model, row, np.linspace(0.125, 1.0, 8), 10_000, seed=6)[:, [3, 7]]
    # Heston's longer steps are good for prices, but not for every detail of the increments.
    n_steps = 4 if model.steps_per_year else 2
    coarse = paths(model, row, np.linspace(1 / n_steps, 1.0, n_steps), 10_000, seed=2)
    coarse = coarse[:, [n_steps // 2 - 1, -1]]
    # of the two times, and of both together
    for part in ([1.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [1.0, 1.0]):
        assert stats.ks_2samp(fine @ part, coarse @ part).pvalue > 1e-3


@every_case
def test_sets_share_uniforms_and_nothing_else(name, row):
    model = get_model(name)
    uniforms = np.random.default_rng(0).random((50, 2 * (1 + model.uniforms_per_step)))
    params = np.array(SETS[name])
    together = model.simulate([0.5, 1.0], params[::-1], uniforms)[::-1]
    for alone, expected in zip(params, together, strict=True):
        found = model.simulate([0.5, 1.0], alone[None], uniforms)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "row",
    [
        [0.0, 2.0, 0.04, 0.5, -0.7],  # starts at zero
        [0.04, 0.0, 0.04, 0.5, -0.7],  # no reversion
        [0.04, 2.0, 0.0, 0.5, -0.7],  # ends at zero, and is absorbed
        [0.04, 0.5, 0.04, 2.0, -0.95],  # mostly next to zero
        [0.04, 1.0, 0.09, 1e-4, -0.5],  # nearly deterministic
        [0.04, 1.0, 0.09, 0.3, 1.0],  # nothing but the variance
        [0.04, 40.0, 0.09, 2.0, -0.5],  # fast
    ],
    ids=str,
)
def test_heston_at_the_edges(row):
    model, row = get_model("heston"), np.array(row)
    X = paths(model, row, np.linspace(0.25, 1.0, 4))
    assert np.isfinite(X).all()
    assert within(np.exp(X), 1.0)
    expected = np.array([model.cumulants(T, row[None])[0] for T in np.linspace(0.25, 1.0, 4)])
    assert within(X, expected[:, 0])
    assert within((X - expected[:, 0]) ** 2, expected[:, 1])


# -- plug-ins ------------------------------------------------------------------------


def test_levy_plug_in_is_simulated_by_inversion():
    model, row = StationaryMeixner(), np.array([0.4, -1.5, 0.6])
    X = paths(model, row)
    assert within(np.exp(X), 1.0)
    for t, maturity in enumerate(TIMES):
        expected = model.cumulants(maturity, row[None])[0]
        assert within(X[:, t], expected[0])
        assert within((X[:, t] - expected[0]) ** 2, expected[1])


def test_model_without_simulation_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="'meixner' has no simulation: implement simul"):
        paths(Meixner(), [0.4, -1.5, 0.6])


class Lumpy(CharacteristicModel):
    """Two values only: a law whose distribution function no integral finds."""

    name = "lumpy"
    parameters = get_model("black_scholes").parameters
    has_stationary_increments = True

    def log_cf(self, u, maturity, params):
        return np.log(0.5 + 0.5 * np.exp(1j * u * params[:, :1])) + 0 * maturity


def test_law_that_cannot_be_inverted_is_refused():
    with pytest.raises(ArithmeticError, match="uncertain by"):
        paths(Lumpy(), [0.5])


@pytest.mark.parametrize(
    ("times", "width", "message"),
    [
        ([0.5, 0.5], 4, r"times must be positive, finite and ascending; times\[1\]=0.5"),
        ([0.0, 0.5], 4, r"times\[0\]=0"),
        ([0.5, np.nan], 4, r"times\[1\]=nan"),
        ([[0.5]], 4, r"times must have shape \(n_steps,\); got shape \(1, 1\)"),
        ([0.5, 1.0], 3, r"uniforms must have shape \(n_paths, 4\), for these times; .* \(10, 3\)"),
    ],
)
def test_refusals(times, width, message):
    with pytest.raises(ValueError, match=message):
        get_model("nig").simulate(times, [[15.0, -5.0, 0.5]], np.full((10, width), 0.5))


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_refuses_numbers_that_are_not_uniform(value):
    with pytest.raises(ValueError, match="uniforms must be between 0 and 1, exclusively"):
        get_model("nig").simulate([1.0], [[15.0, -5.0, 0.5]], np.array([[0.5, value]]))


# -- the parts they are made of ------------------------------------------------------

UNIFORMS = np.random.default_rng(3).permutation((np.arange(4000) + 0.5) / 4000)


@pytest.mark.parametrize("mean", [0.0, 1e-4, 0.3, 3.9, 4.1, 20.0])
def test_poisson_quantile(mean):
    expected = stats.poisson.ppf(UNIFORMS, mean)
    np.testing.assert_array_equal(poisson_quantile(mean, UNIFORMS), expected)


@pytest.mark.parametrize("mean", [31.0, 1e3, 1e6])
def test_poisson_quantile_of_large_means(mean):
    """By an expansion: a few counts in ten thousand are off by one."""
    error = poisson_quantile(mean, UNIFORMS) - stats.poisson.ppf(UNIFORMS, mean)
    assert np.abs(error).max() <= 1
    assert np.mean(error != 0) < 2e-3


def test_poisson_quantile_of_many_means():
    means = np.geomspace(1e-3, 25, 4000)
    expected = stats.poisson.ppf(UNIFORMS, means)
    np.testing.assert_array_equal(poisson_quantile(means, UNIFORMS), expected)


@pytest.mark.parametrize("shape", [1e-3, 0.5, 19.0])
def test_gamma_quantile(shape):
    np.testing.assert_allclose(
        gamma_quantile(shape, UNIFORMS), stats.gamma.ppf(UNIFORMS, shape), rtol=1e-12
    )


@pytest.mark.parametrize(("shape", "tolerance"), [(21.0, 1e-4), (100.0, 2e-6), (1e6, 1e-10)])
def test_gamma_quantile_of_large_shapes(shape, tolerance):
    error = gamma_quantile(shape, UNIFORMS) - stats.gamma.ppf(UNIFORMS, shape)
    assert np.abs(error).max() < tolerance * np.sqrt(shape)


def test_gamma_quantile_of_shape_zero():
    np.testing.assert_array_equal(gamma_quantile(np.array([0.0]), UNIFORMS), 0.0)


@pytest.mark.parametrize("shape", [1e-5, 1e-2, 1.0, 50.0, 1e6])
def test_inverse_gaussian_quantile(shape):
    found = inverse_gaussian_quantile(shape, UNIFORMS)
    np.testing.assert_allclose(
        stats.invgauss.cdf(found, 1 / shape, scale=shape), UNIFORMS, rtol=0, atol=1e-8
    )


@pytest.mark.parametrize("maturity", [1 / 365, 0.1, 1.0, 10.0])
def test_inversion(maturity):
    """Against distribution functions in closed form, or by SciPy's quadrature."""
    scores = ndtri(UNIFORMS[:200])
    sigma = 0.2
    model = get_model("black_scholes")
    quantile = quantile_function(lambda u: model.log_cf(u, maturity, np.array([[sigma]]))[0])
    exact = sigma * np.sqrt(maturity) * scores - sigma**2 * maturity / 2
    np.testing.assert_allclose(quantile(scores), exact, atol=1e-8)

    model, row = get_model("nig"), np.array([[6.0, -3.9, 0.16]])
    quantile = quantile_function(lambda u: model.log_cf(u, maturity, row)[0])
    alpha, beta, delta = 6.0, -3.9, 0.16 * maturity
    a, b = np.sqrt(alpha**2 - beta**2), np.sqrt(alpha**2 - (beta + 1) ** 2)
    law = stats.norminvgauss(alpha * delta, beta * delta, loc=delta * (b - a), scale=delta)
    np.testing.assert_allclose(law.cdf(quantile(scores)), UNIFORMS[:200], rtol=0, atol=1e-7)


def test_inversion_of_an_atom():
    """A compound Poisson law stays where it is with a probability of its own."""
    model, row = get_model("cgmy"), np.array([[5.0, 6.0, 9.0, -0.5]])
    quantile = quantile_function(lambda u: model.log_cf(u, 0.1, row)[0])
    x = quantile(ndtri((np.arange(100_000) + 0.5) / 100_000))
    drift = model.log_cf(np.array([1e9 + 0j]), 0.1, row)[0, 0].imag / 1e9
    rate = 5.0 * float(mp.gamma(0.5)) * (6.0**-0.5 + 9.0**-0.5)
    # And jumps up or down by less than 1e-7, whose density is 5 / sqrt(x), stay next to it.
    near = 0.1 * 2 * 5.0 * 2 * np.sqrt(1e-7)
    share = np.mean(np.abs(x - drift) < 1e-7)
    assert share == pytest.approx(np.exp(-0.1 * rate) * (1 + near), abs=2e-5)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 16])
def test_bridge_is_orthogonal(n_steps):
    matrix = bridged(np.eye(n_steps))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(n_steps), atol=1e-14)
    # The first number moves all increments alike.
    np.testing.assert_allclose(matrix[0], 1 / np.sqrt(n_steps))


@pytest.mark.parametrize("length", [0.01, 0.5, 3.0])
def test_square_root_step_against_the_joint_transform(length):
    """E exp(a v + b I) of Cox, Ingersoll and Ross, known in closed form."""
    v0, kappa, theta, sigma = 0.05, 1.2, 0.04, 0.7
    step = SquareRootStep(length, *(np.array([[p]]) for p in (kappa, theta, sigma)))
    uniforms = stats.qmc.Sobol(7, rng=4).random(2**15)[None] + 2.0**-31
    v, integral = step(np.full((1, 2**15), v0), uniforms)
    for a, b in ((-2.0, 0.0), (0.0, -2.0), (-5.0, -5.0), (3.0, -8.0)):
        g = np.sqrt(kappa**2 - 2 * sigma**2 * b)
        bottom = g * np.cosh(g * length / 2) + (kappa - sigma**2 * a) * np.sinh(g * length / 2)
        slope = (
            a * (g * np.cosh(g * length / 2) - kappa * np.sinh(g * length / 2))
            + 2 * b * np.sinh(g * length / 2)
        ) / bottom
        level = 2 * kappa * theta / sigma**2 * (np.log(g / bottom) + kappa * length / 2)
        found = np.exp(a * v + b * integral).mean()
        assert found == pytest.approx(np.exp(level + slope * v0), abs=2e-4)


def test_normal_scores_are_clipped_beyond_the_law():
    model = get_model("black_scholes")
    quantile = quantile_function(lambda u: model.log_cf(u, 1.0, np.array([[0.2]]))[0])
    far = quantile(np.array([-40.0, 40.0]))
    assert ndtr((far[1] + 0.02) / 0.2) == pytest.approx(1.0)
    assert far[0] < -1.3
