"""The reported error is no smaller than a tenth of the true one, where that matters."""

import numpy as np
import pytest

from levylearn.market import OptionGrid
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer, COSPricer, _contour, _integrator
from levylearn.testing._common import sample_parameters

GRID = OptionGrid(
    strikes=[50, 80, 90, 97, 100, 103, 110, 125, 160],
    maturities=[1 / 365, 1 / 52, 0.1, 0.5, 2.0, 10.0],
    rate=0.03,
    dividend=0.01,
)

# Corners of the calibration boxes, at which lines are hard to find.
CORNERS = {
    "variance_gamma": [(0.05, 1e-3, -1.0), (0.4, 15.0, -0.5), (0.02, 1.0, 0.0)],
    "cgmy": [(0.01, 0.5, 100.0, 1.9), (5.0, 30.0, 60.0, -0.9), (1.0, 5.0, 5.0, 0.02)],
    "nig": [(200.0, -150.0, 0.01), (1.0, -0.5, 5.0)],
    "merton": [(0.01, 20.0, -0.02, 0.001), (0.2, 1.0, -1.5, 1.2)],
    "kou": [(0.01, 30.0, 0.5, 250.0, 200.0), (0.1, 2.0, 0.9, 1.01, 0.1)],
    "heston": [(0.04, 0.1, 0.04, 5.0, -0.99), (1.0, 40.0, 1.0, 0.06, 0.9), (1e-4, 1, 1e-4, 1, 0)],
    "bates": [(0.01, 0.1, 0.02, 3.0, -0.98, 5.0, -0.5, 0.01)],
}


def parameter_sets(name, n):
    model = get_model(name)
    drawn = sample_parameters(model.parameters, model.admissible, n, random_state=11)
    return np.array([*drawn, *CORNERS.get(name, [])])


@pytest.fixture
def aiming_at(monkeypatch):
    """Make the rule aim at another error; a coarse one has true errors that can be seen."""

    def aim(tolerance):
        for module in (_contour, _integrator):
            monkeypatch.setattr(module, "LOG_TOLERANCE", float(np.log(tolerance)))

    return aim


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
def test_coarse_rules_know_their_error(tolerance, aiming_at):
    """The estimate is an extrapolation, so a few in a hundred may be missed by a coarse rule."""
    ratios = []
    for name in list_models():
        aiming_at(1e-13)
        params = parameter_sets(name, 12)
        exact = ContourPricer(name, GRID, "forward_price").fit(params).transform(params)
        aiming_at(tolerance)
        pricer = ContourPricer(name, GRID, "forward_price").fit(params)
        true, estimate = np.abs(pricer.transform(params) - exact), pricer.error_estimate(params)
        ratios.append((estimate / np.maximum(true, 1e-300))[true > 1e-12])
    ratios = np.concatenate(ratios)
    assert len(ratios) > 1000
    assert np.mean(ratios >= 0.1) > 0.95
    # Lines end where the integrand does: of a rule for three digits, what is left out there is
    # most of the estimate, and hardly any of the error.
    assert np.median(ratios) < (300 if tolerance == 1e-3 else 100)


@pytest.mark.parametrize("name", list_models())
def test_rule_in_use_knows_its_error(name, aiming_at):
    """Against the same integral with far more nodes."""
    params = parameter_sets(name, 40)
    pricer = ContourPricer(name, GRID, "forward_price").fit(params)
    prices, estimate = pricer.transform(params), pricer.error_estimate(params)
    aiming_at(1e-17)
    exact = ContourPricer(name, GRID, "forward_price").fit(params).transform(params)
    true = np.abs(prices - exact)
    visible = true > 1e-12
    assert np.all(estimate[visible] >= 0.1 * true[visible])
    assert np.all(true <= 1e-11)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", ["variance_gamma", "nig", "merton", "heston", "bates"])
def test_few_options(name, seed, aiming_at):
    """Strikes of one maturity share a line, on which some of them may decay late, if at all."""
    model = get_model(name)
    params = sample_parameters(model.parameters, model.admissible, 1500, seed)
    grid = OptionGrid([0.8, 0.95, 1.0, 1.05, 1.2], [1.0], spot=1.0)
    prices = ContourPricer(name, grid).fit(params).transform(params)
    aiming_at(1e-19)
    exact = ContourPricer(name, grid).fit(params).transform(params)
    assert np.abs(prices - exact).max() < 1e-9


def test_units():
    params = parameter_sets("heston", 3)
    errors = {
        output: ContourPricer("heston", GRID, output).fit(params).error_estimate(params)
        for output in ("price", "forward_price", "implied_vol")
    }
    assert all(error.shape == (len(params), GRID.n_quotes) for error in errors.values())
    unit = GRID.discount * GRID.forward
    np.testing.assert_allclose(errors["price"], errors["forward_price"] * unit, rtol=1e-12)
    # An error of a price is a larger one of a volatility, the more the smaller the vega.
    at_the_money = np.flatnonzero((GRID.strike == 100) & (GRID.maturity == 0.5))[0]
    ratio = errors["implied_vol"][:3] / errors["forward_price"][:3]
    assert np.all((ratio[:, at_the_money] > 1) & (ratio[:, at_the_money] < 10))


def on_the_real_axis(name, params, strike):
    """A call over forward by brute force, for integrands that do not oscillate much."""
    y = np.linspace(-18, 18, 200_001)
    u, weight = 1e-3 * np.sinh(y), 1e-3 * np.cosh(y) * (y[1] - y[0]) / (2 * np.pi)
    k = -np.log(strike)
    with np.errstate(all="ignore"):
        phi = np.exp(get_model(name).log_cf(u - 0.5j, 2.0, np.array([params]))[0])
    terms = phi * np.exp(1j * u * k - k / 2) * weight / (u * u + 0.25)
    return 1 - np.nansum(terms).real


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("cgmy", (14.55239475, 0.43982393, 2.99245019, -0.46842851)),
        ("merton", (0.54313996, 20.88762066, -1.53234504, 0.04380661)),
        ("kou", (0.04377502, 14.91073423, 0.20775266, 3.19636622, 0.262878)),
        ("bates", (0.104, 1.045, 0.00105, 0.503, 0.758, 17.35, 0.6214, 0.018)),
    ],
)
def test_enormous_variance(name, params):
    grid = OptionGrid([1.6], [2.0, 10.0], spot=1.0)
    pricer = ContourPricer(name, grid, "forward_price").fit([params])
    true = abs(pricer.transform([params])[0, 0] - on_the_real_axis(name, params, 1.6))
    assert true < 1e-12  # the brute force itself is no better than 1e-13


def test_jumps_of_nearly_one_size():
    """Off the real axis their characteristic function is the exponential of an exponential.

    On some lines every probe fell where that is tiny, and the nodes between where it is huge.
    """
    grid = OptionGrid([80, 100, 120], [0.25, 1.0], rate=0.03)
    params = np.array(
        [
            [0.186, 0.394, 1e-4, 0.66, -0.865, 0.136, -0.2265, 0.00308],
            [0.04, 2.0, 0.04, 0.4, -0.7, 0.14, -0.2265, 0.003],
        ]
    )
    pricer = ContourPricer("bates", grid).fit(params)
    np.testing.assert_allclose(
        pricer.transform(params), COSPricer("bates", grid).fit_transform(params), atol=1e-8
    )
    assert pricer.error_estimate(params).max() < 1e-8
