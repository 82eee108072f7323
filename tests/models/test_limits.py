"""Models that contain others reduce to them."""

import numpy as np
import pytest

from levylearn.models import (
    CGMY,
    Bates,
    BlackScholes,
    DoubleHeston,
    DoubleHestonJump,
    Heston,
    Kou,
    Merton,
    Parameter,
    SumModel,
    VarianceGamma,
)
from levylearn.models._jumps import GaussianJumps

U = np.array([0.5 - 0.5j, 2.0 - 0.5j, 10.0 + 3.0j, 40.0 - 10.0j])
HESTON = [0.04, 1.5, 0.06, 0.4, -0.7]
SECOND = [0.03, 0.5, 0.05, 0.2, -0.4]
JUMPS = [0.3, -0.1, 0.15]


def log_cf(model, params, maturity=0.7):
    return model.log_cf(U, maturity, np.array([params], dtype=float))[0]


def same(first, second, rtol=1e-13):
    np.testing.assert_allclose(first, second, rtol=rtol)


@pytest.mark.parametrize(
    ("model", "params", "jumps", "part"),
    [
        (DoubleHestonJump(), [*HESTON, *SECOND], [-0.1, 0.15], DoubleHeston()),
        (Bates(), HESTON, [-0.1, 0.15], Heston()),
        (Merton(), [0.2], [-0.1, 0.15], BlackScholes()),
        (Kou(), [0.2], [0.4, 10.0, 5.0], BlackScholes()),
    ],
    ids=["DoubleHestonJump", "Bates", "Merton", "Kou"],
)
def test_without_jumps(model, params, jumps, part):
    whole = log_cf(part, params)
    same(log_cf(model, [*params, 0.0, *jumps]), whole)
    rare = log_cf(model, [*params, 1e-9, *jumps]) - whole
    assert 0 < np.abs(rare).max() < 1e-7


@pytest.mark.parametrize("sigma", [1e-3, 1e-5, 1e-7, 1e-12])
def test_heston_without_volatility_of_variance(sigma):
    """With the variance at its long-run level it is Black-Scholes, to first order in sigma."""
    expected = log_cf(BlackScholes(), [0.2])
    found = log_cf(Heston(), [0.04, 1.5, 0.04, sigma, -0.7])
    assert np.all(np.abs(found - expected) <= 30 * sigma * np.abs(expected) + 1e-14)


def test_heston_without_volatility_of_variance_has_the_mean_variance():
    v0, kappa, theta, maturity = 0.09, 2.0, 0.04, 0.7
    mean = theta + (v0 - theta) * -np.expm1(-kappa * maturity) / (kappa * maturity)
    expected = log_cf(BlackScholes(), [np.sqrt(mean)], maturity)
    same(log_cf(Heston(), [v0, kappa, theta, 1e-11, -0.5], maturity), expected, rtol=1e-8)


def test_heston_is_a_martingale_beyond_its_explosion():
    """Where rho * sigma > kappa the textbook formula at -i is 0 / 0."""
    model, params = Heston(), np.array([[0.04, 1.0, 0.04, 2.0, 0.9]])
    assert abs(model.log_cf(np.array([-1j]), 1.0, params)[0, 0]) < 1e-14
    assert np.isfinite(model.log_cf_gradient(np.array([-1j]), 1.0, params)).all()


def test_cgmy_at_zero_is_variance_gamma():
    C, G, M = 2.0, 6.0, 9.0
    nu, theta = 1 / C, C * (1 / M - 1 / G)
    sigma = np.sqrt(2 * C / (G * M))
    same(log_cf(CGMY(), [C, G, M, 0.0]), log_cf(VarianceGamma(), [sigma, nu, theta]))


@pytest.mark.parametrize("Y", [5e-324, -1e-310, 1e-150])
def test_cgmy_next_to_zero(Y):
    """So near that dividing by Y overflows."""
    params = np.array([[2.0, 6.0, 9.0, Y], [2.0, 6.0, 9.0, 0.0]])
    same(*CGMY().log_cf(U, 0.7, params))
    same(*CGMY().log_cf_gradient(U, 0.7, params))


def test_variance_gamma_on_a_steady_clock_is_black_scholes():
    expected = log_cf(BlackScholes(), [0.2])
    same(log_cf(VarianceGamma(), [0.2, 1e-9, 0.0]), expected, rtol=1e-6)


def test_sums_add_their_parts():
    jumps = log_cf(GaussianJumps(), JUMPS)
    two = log_cf(Heston(), HESTON) + log_cf(Heston(), SECOND)
    same(log_cf(Bates(), [*HESTON, *JUMPS]), log_cf(Heston(), HESTON) + jumps)
    same(log_cf(Merton(), [0.2, *JUMPS]), log_cf(BlackScholes(), [0.2]) + jumps)
    same(log_cf(DoubleHeston(), [*HESTON, *SECOND]), two)
    same(log_cf(DoubleHestonJump(), [*HESTON, *SECOND, *JUMPS]), two + jumps)


def test_sum_of_ones_own():
    class VarianceGammaWithJumps(SumModel):
        name = "variance_gamma_with_jumps"
        parts = (VarianceGamma(), GaussianJumps())
        parameters = (*VarianceGamma.parameters, *GaussianJumps.parameters)

    model, params = VarianceGammaWithJumps(), [0.12, 0.2, -0.14, *JUMPS]
    same(
        log_cf(model, params), log_cf(VarianceGamma(), params[:3]) + log_cf(GaussianJumps(), JUMPS)
    )
    cumulants = model.cumulants(0.7, np.array([params]))
    parts = VarianceGamma().cumulants(0.7, np.array([params[:3]]))
    np.testing.assert_allclose(
        cumulants, parts + GaussianJumps().cumulants(0.7, np.array([JUMPS])), rtol=1e-14
    )
    with pytest.raises(ValueError, match=r"nu \* \(theta"):
        model.validate([[0.5, 10.0, 0.1, *JUMPS]])


def test_factors_may_change_places():
    same(log_cf(DoubleHeston(), [*HESTON, *SECOND]), log_cf(DoubleHeston(), [*SECOND, *HESTON]))


def test_parameters_without_calibration_range_are_calibrated_over_the_market():
    assert Parameter("a", "a", (0, 1), (0.2, 0.3)).bounds == (0.2, 0.3)
    assert Parameter("a", "a", (0, 1), (0.2, 0.3), calibration_range=(0.1, 0.9)).bounds[1] == 0.9
