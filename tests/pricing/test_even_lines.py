"""Integrands that decay late: even nodes on the real axis, few of them, and to the last digit."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import poisson

from levylearn.base import ROUGH
from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import ContourPricer
from levylearn.pricing._even_lines import choose_even, probes
from levylearn.pricing._lines import EVEN, Line, even_line, nodes
from levylearn.testing._common import sample_parameters

GRID = OptionGrid([70, 90, 97, 100, 104, 120, 150], [0.1, 0.5, 1.5], rate=0.02, dividend=0.01)
# Jumps of nearly one size, often and seldom, small and large, up and down.
MERTON = np.array(
    [
        [0.05, 8.0, -0.08, 0.004],
        [0.03, 3.0, -0.15, 0.001],
        [0.04, 20.0, 0.04, 0.002],
        [0.02, 0.2, -0.6, 0.01],
        [0.04, 0.3, 0.4, 0.0],
        [0.01633, 46.706, -0.03315, 0.00107],
        [0.01, 1.0, -0.1, 0.02],
    ]
)
BATES = np.array(
    [
        [0.0158, 0.0813, 0.5, 0.3156, -0.98, 6.04, 0.0341, 0.005],
        [0.0175, 0.05, 0.5, 0.2827, -0.98, 1.33, 0.0573, 0.005],
        [0.04, 2.0, 0.04, 0.4, -0.7, 8.0, -0.15, 0.004],
        [0.0154, 2.13, 0.039, 0.6, -0.98, 10.0, -0.0214, 0.005],
    ]
)


def lines(pricer, params):
    plan = pricer.plan(params)["line"]
    return Line.decode(plan[plan >= 0])


def merton_series(params):
    """Calls over forward: Black's, given how many jumps there are."""
    sigma, lam, muj, sigmaj = params
    ratio, maturity = GRID.strike / GRID.forward, GRID.maturity
    total = np.zeros(GRID.n_quotes)
    drift = -lam * np.expm1(muj + sigmaj**2 / 2) * maturity
    for n in range(200):
        deviation = np.sqrt(sigma**2 * maturity + n * sigmaj**2)
        forward = np.exp(drift + n * (muj + sigmaj**2 / 2))
        d1 = np.log(forward / ratio) / deviation + deviation / 2
        call = forward * ndtr(d1) - ratio * ndtr(d1 - deviation)
        total += poisson.pmf(n, lam * maturity) * call
    return total


def on_the_real_axis(model, params, end=12_000.0):
    """Calls over forward by the plain trapezoid rule, with steps that the poles allow."""
    u = np.arange(0.0, end, 1 / 16)
    weight = np.where(u == 0, 0.5, 1.0) / 16 / np.pi / (u * u + 0.25)
    out = np.empty(GRID.n_quotes)
    for maturity in np.unique(GRID.maturity):
        phi = np.exp(get_model(model).log_cf(u - 0.5j, maturity, params[None])[0]) * weight
        own = maturity == GRID.maturity
        for i in np.flatnonzero(own):
            k = -GRID.log_moneyness[i]
            out[i] = 1 - np.exp(-k / 2) * np.sum((phi * np.exp(1j * u * k)).real)
    return out


def test_points_and_weights_belong_together():
    """The weight is du/dy / (u^2 + 1/4) also beside the axis; far out, nodes are equally far."""
    y = np.linspace(0.2, 30, 50) + 1j * np.linspace(-1.2, 1.2, 50)
    h = 1e-5
    (ahead, _), (behind, _), (u, weight) = even_line(y + h), even_line(y - h), even_line(y)
    np.testing.assert_allclose(weight * (u * u + 0.25), (ahead - behind) / (2 * h), rtol=1e-7)
    far, _ = even_line(np.arange(25.0, 40.0))
    np.testing.assert_allclose(np.diff(far.real), np.diff(far.real)[0], rtol=1e-8)


@pytest.mark.parametrize("step", [0, 9])
def test_nodes_integrate_a_lorentzian(step):
    """Weights alone sum to the integral of 1 / (u^2 + 1/4) up to the last node."""
    u, weight = nodes(EVEN, step)
    last = u[-1].real
    exact = 2 * np.arctan(2 * last) / np.pi
    assert np.sum(weight).real == pytest.approx(exact, abs=2 / last**2)


def test_merton_against_his_series():
    pricer = ContourPricer("merton", GRID, "forward_price").fit(MERTON)
    assert all((lines(pricer, params[None]).angle == EVEN).any() for params in MERTON[:-1])
    calls = np.array([merton_series(params) for params in MERTON])
    np.testing.assert_allclose(pricer.transform(MERTON), calls, rtol=0, atol=3e-14)


def test_bates_against_brute_force():
    pricer = ContourPricer("bates", GRID, "forward_price").fit(BATES)
    found = lines(pricer, BATES)
    assert (found.angle == EVEN).mean() > 0.5
    assert found.n_nodes.max() < 400  # 1,101 to 1,801 by the hyperbolic sine
    calls = np.array([on_the_real_axis("bates", params) for params in BATES])
    np.testing.assert_allclose(pricer.transform(BATES), calls, rtol=0, atol=3e-14)


def test_an_integrand_that_lives_long():
    """Variance and return nearly one: the best fit of the bundled calls within narrow bounds."""
    params = np.array([0.01527785, 0.0394924, 1.0, 0.314815, -0.999, 7.8786, 0.0311150, 0.0038636])
    pricer = ContourPricer("bates", GRID, "forward_price").fit(params[None])
    found = lines(pricer, params[None])
    assert (found.angle == EVEN).all()
    assert nodes(EVEN, found.step[0])[0][found.n_nodes[0] - 1].real > 4000
    assert found.n_nodes.max() < 1500  # 2,048 by the hyperbolic sine
    calls = on_the_real_axis("bates", params, 30_000.0)
    np.testing.assert_allclose(pricer.transform(params[None])[0], calls, rtol=0, atol=3e-14)


def test_the_company_does_not_matter():
    """How far one set is looked at must not tell in the lines of another."""
    params = np.tile(MERTON, (4, 1)) * np.linspace(1, 2, 28)[:, None]
    pricer = ContourPricer("merton", GRID).fit(params)
    alone = np.array([pricer.plan(row[None])[0] for row in params])
    assert len(set(Line.decode(alone["line"].max(axis=(1, 2))).length)) > 5
    np.testing.assert_array_equal(pricer.plan(params), alone)
    np.testing.assert_array_equal(pricer.plan(params[::-1]), alone[::-1])


def test_chunks_and_threads_make_no_difference():
    params = np.tile(MERTON, (90, 1)) * np.linspace(1, 1.5, 630)[:, None]
    pricer = ContourPricer("merton", GRID).fit(params)
    threaded = ContourPricer("merton", GRID, n_jobs=2).fit(params)
    np.testing.assert_array_equal(pricer.plan(params)[::45], pricer.plan(params[::45]))
    np.testing.assert_array_equal(pricer.plan(params), threaded.plan(params))


def test_they_serve_sets_close_by():
    pricer = ContourPricer("merton", GRID, "forward_price").fit(MERTON)
    plan, moved = pricer.plan(MERTON), MERTON * (1 + 1e-3 * np.arange(-3, 4)[:, None])
    values, slopes = pricer.evaluate(moved, True, plan, 1e-12)
    anew, own = pricer.evaluate(moved, True)
    np.testing.assert_allclose(values, anew, rtol=0, atol=2e-12)
    np.testing.assert_allclose(slopes, own, rtol=1e-8, atol=1e-8 * np.abs(own).max())


def test_out_of_reach_even_lines_are_not_taken_and_it_is_told():
    """The integrand is alive beyond all nodes: jumps of one size, and next to no diffusion."""
    params = np.array([[0.001, 8.0, -0.08, 0.0]])
    pricer = ContourPricer("merton", GRID, "forward_price").fit(params)
    assert (lines(pricer, params).angle != EVEN).any()
    error = np.abs(pricer.transform(params) - merton_series(params[0]))
    assert error.max() > 1e-12
    assert np.all(pricer.error_estimate(params) > 0.1 * error)


@pytest.mark.parametrize("where", ["moments", "edges", "axis"])
def test_no_even_line_where_something_is_unknown(where):
    """What is not a number must not pass for something small."""
    farthest = np.array([300.0])
    u = probes(farthest)
    at = {
        "moments": u == u[1],
        "edges": np.arange(len(u)) == 50,
        "axis": np.arange(len(u)) == len(u) - 9,
    }
    log_phi = get_model("merton").log_cf(u - 0.5j, 1.0, np.array([[0.05, 8.0, -0.08, 0.004]])).real
    k = np.array([0.0])
    _, known = choose_even(log_phi, k, k, farthest, np.log(1e-13))
    _, cost = choose_even(np.where(at[where], np.nan, log_phi), k, k, farthest, np.log(1e-13))
    assert np.isfinite(known)
    assert cost > known


@pytest.mark.parametrize("name", ["bates", "heston", "cgmy", "variance_gamma"])
def test_rough_plans_take_fewer_nodes(name):
    model = get_model(name)
    params = sample_parameters(model.parameters, model.admissible, 40, random_state=3)
    pricer = ContourPricer(model, GRID, "forward_price").fit(params)
    rough = pricer.plan(params, rough=True)
    error = np.abs(
        pricer.evaluate(params, plan=rough, negligible=ROUGH)[0] - pricer.transform(params)
    )
    assert 1e-13 < error.max() < 1e-7
    n_nodes = [
        Line.decode(p["line"][p["line"] >= 0]).n_nodes.sum() for p in (rough, pricer.plan(params))
    ]
    assert n_nodes[0] < 0.75 * n_nodes[1]
