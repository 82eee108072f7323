"""Where moments end, and where a characteristic function becomes negligible."""

import numpy as np
import pytest
from scipy.special import erfc

from levylearn.models import get_model
from levylearn.pricing._tails import ORDERS, frequency_at, log_moments, log_tail_at, log_tails
from tests.pricing.test_contour import sets

ONE_YEAR = np.ones((1, 1, 1))


def ends(name, params):
    """Least and greatest orders among those looked at of which moments are found."""
    moments = log_moments(get_model(name), np.array([params]), ONE_YEAR)
    up, down = (ORDERS[np.isfinite(side[0, 0])].max() for side in moments)
    return -down, 1 + up


@pytest.mark.parametrize(
    ("name", "params", "low", "high"),
    [
        # A pole that a large variance hides, a branch point, an exponent that is a pole.
        ("kou", [0.8, 0.01, 0.4, 20.0, 7.0], -7.0, 20.0),
        ("nig", [15.0, -5.0, 0.5], -10.0, 20.0),
        ("cgmy", [1.0, 5.0, 9.0, 0.5], -5.0, 9.0),
        ("cgmy", [1.0, 5.0, 9.0, -1.0], -5.0, 9.0),
    ],
)
def test_moments_end(name, params, low, high):
    found_low, found_high = ends(name, params)
    assert low < found_low < 0.7 * low
    assert 1 + 0.7 * (high - 1) < found_high < high


def test_moments_of_the_gaussian_never_end():
    moments = log_moments(get_model("black_scholes"), np.array([[0.2]]), ONE_YEAR)
    np.testing.assert_allclose(moments.up[0, 0], 0.02 * ORDERS * (1 + ORDERS), rtol=1e-12)
    np.testing.assert_allclose(moments.down[0, 0], 0.02 * ORDERS * (1 + ORDERS), rtol=1e-12)


def test_moments_of_heston_explode_earlier_with_time():
    """The critical order of Andersen and Piterbarg's formula, here for rho = 0, kappa = 0."""
    sigma, times = 1.0, np.array([0.5, 1.0, 2.0, 5.0])
    params = np.array([[0.04, 0.0, 0.04, sigma, 0.0]])
    moments = log_moments(get_model("heston"), params, times[:, None, None])
    found = 1 + np.array([ORDERS[np.isfinite(row)].max() for row in moments.up[:, 0]])
    s = 1 + ORDERS
    explosion = np.pi / (sigma * np.sqrt(s * (s - 1)))
    expected = np.array([s[explosion > T].max() for T in times])
    np.testing.assert_array_equal(found, expected)


def test_moments_of_a_sum_end_where_the_first_part_does():
    params = sets("bates", 3)
    low, high = get_model("bates").moment_limits(params)
    assert np.all(np.isinf(low) & np.isinf(high))
    low, high = get_model("kou").moment_limits(sets("kou", 3))
    np.testing.assert_array_equal(low, -sets("kou", 3)[:, 4])
    np.testing.assert_array_equal(high, sets("kou", 3)[:, 3])


@pytest.mark.parametrize("scale", [0.01, 0.2, 3.0])
def test_tail_of_the_gaussian(scale):
    """Integrals of exp(-(scale u)^2) from u on: never too small, nor much too large."""
    u = 2.0 ** np.arange(-6, 14)
    tails = log_tails(-((scale * u) ** 2)[None], 1e4 - u)
    found = frequency_at(tails, u, np.log(1e-10))
    exact = np.sqrt(np.pi) / 2 * erfc(scale * found) / scale
    assert 1e-16 < exact[0] <= 1e-10
    assert log_tail_at(tails, u, found)[0] == pytest.approx(np.log(1e-10), rel=1e-6)


def test_tail_that_never_ends():
    u = 2.0 ** np.arange(-6, 14)
    assert frequency_at(log_tails(0 * u[None], 1 / u), u, np.log(1e-10))[0] == np.inf
