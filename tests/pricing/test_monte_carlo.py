"""MonteCarloPricer: reference prices, standard errors, derivatives, paths, refusals."""

import json
import tracemalloc
from collections import defaultdict

import numpy as np
import pytest

from levylearn.market import OptionGrid, black_price
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer, MonteCarloPricer, _sampling
from levylearn.pricing._averages import Averages, out_of_the_money
from levylearn.testing import check_pricer
from levylearn.testing._common import sample_parameters
from tests.models._meixner import Meixner
from tests.pricing.test_reference_prices import NAMES, ROWS

GRID = OptionGrid([80, 90, 100, 110, 125], [0.1, 0.5, 1.0], rate=0.03, dividend=0.01)
HESTON = np.array([[0.04, 1.5, 0.05, 0.6, -0.7]])
VG = np.array([[0.12, 0.2, -0.14]])


def sets(name, n=2, random_state=1):
    model = get_model(name)
    return sample_parameters(model.parameters, model.admissible, n, random_state)


def fitted(name, params, grid=GRID, **settings):
    return MonteCarloPricer(name, grid, **settings).fit(params)


# -- reference prices ----------------------------------------------------------------


def markets(longest):
    """Rows of the reference table that share a model, its parameters and a market."""
    found = defaultdict(list)
    for row in ROWS:
        if float(row["T"]) > longest:
            continue
        found[tuple(row[key] for key in ("model", "params", "S0", "r", "q"))].append(row)
    return found


def priced_once(pricer, params):
    """Prices and their estimated errors from one simulation, where time matters."""
    calls, errors = pricer._simulated(params)
    unit = pricer.grid.discount * pricer.grid.forward
    parity = np.where(pricer.grid.is_call, 0.0, pricer.grid.strike / pricer.grid.forward - 1)
    return ((calls + parity) * unit)[0], (errors * unit)[0]


def reference_errors(n_paths, longest=np.inf):
    """Errors over estimated errors, errors over prices, and which rows are at the money."""
    found = []
    for (name, given, spot, rate, dividend), rows in markets(longest).items():
        model = get_model(NAMES[name])
        values = json.loads(given)
        params = np.array([[float(values[key]) for key in model.parameter_names]])
        grid = OptionGrid.from_quotes(
            [float(row["K"]) for row in rows],
            [float(row["T"]) for row in rows],
            spot=float(spot),
            rate=float(rate),
            dividend=float(dividend),
            option_type=[row["option_type"] for row in rows],
        )
        pricer = fitted(model, params, grid, n_paths=n_paths)
        expected = np.array([float(row["price"]) for row in rows])
        price, estimate = priced_once(pricer, params)
        error = price - expected
        near = np.abs(grid.strike / grid.forward - 1) < 0.02
        found += list(zip(error / estimate, error / expected, near, strict=True))
    return (np.array(column) for column in zip(*found, strict=True))


def test_reference_prices():
    """Up to a year; the slow test has the rest, of up to thirty."""
    scores, relative, near = reference_errors(2**13, longest=1.0)
    assert len(scores) == 169
    assert np.abs(scores).max() < 3
    assert np.abs(relative[near]).max() < 5e-3


@pytest.mark.slow
def test_reference_prices_with_many_paths():
    scores, relative, near = reference_errors(2**17)
    assert len(scores) == 188
    assert np.abs(scores).max() < 3
    assert np.abs(relative[near]).max() < 1e-3


# -- contract ------------------------------------------------------------------------


# Derivatives are many prices: those of some models are left to the slow tests.
LONG = {"cgmy", "kou", "heston", "bates", "double_heston", "double_heston_jump"}
MODELS = [
    pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in list_models()
]


@pytest.mark.parametrize("name", MODELS)
def test_contract(name):
    # Errors of 32 paths: what is checked is that all prices have them in common.
    grid = OptionGrid([90, 100, 115], [0.5, 1.0], rate=0.02)
    check_pricer(MonteCarloPricer(name, grid, n_paths=32, n_steps=1), sets(name), tolerance=2e-2)


def test_contract_of_pseudo_random_numbers():
    pricer = MonteCarloPricer(
        "nig", GRID, "implied_vol", n_paths=2**6, sampling="antithetic", control_variate=False
    )
    check_pricer(pricer, tolerance=2e-2)


# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampling", "control_variate"), [("sobol", True), ("sobol", False), ("antithetic", True)]
)
@pytest.mark.parametrize("name", ["cgmy", "merton", "heston"])
def test_estimated_errors_are_honest(name, sampling, control_variate):
    params = sets(name, 3)
    expected = ContourPricer(name, GRID).fit(params).transform(params)
    scores = []
    for seed in range(4):
        pricer = fitted(
            name,
            params,
            n_paths=2**11,
            random_state=seed,
            sampling=sampling,
            control_variate=control_variate,
        )
        scores.append((pricer.transform(params) - expected) / pricer.error_estimate(params))
    assert np.mean(np.abs(scores) > 3) < 0.02
    assert np.abs(scores).max() < 10  # no estimate is below a tenth of the error
    # Parts of one Sobol sequence complete each other: their spread is more than their mean's error.
    assert np.sqrt(np.mean(np.square(scores))) > (0.05 if sampling == "sobol" else 0.3)


def test_black_scholes_is_exact():
    """Nothing but Brownian motion: nothing is left to chance."""
    params = np.array([[0.1], [0.4]])
    pricer = fitted("black_scholes", params)
    expected = black_price(GRID.forward, GRID.strike, GRID.maturity, params, GRID.discount)
    np.testing.assert_allclose(pricer.transform(params), expected, rtol=0, atol=1e-12)
    assert pricer.error_estimate(params).max() < 1e-11


@pytest.mark.parametrize("name", ["variance_gamma", "heston"])
def test_sobol_points_and_the_control_are_worth_it(name):
    params = sets(name)
    expected = ContourPricer(name, GRID).fit(params).transform(params)

    def rmse(**settings):
        pricers = [
            fitted(name, params, n_paths=2**10, random_state=seed, **settings) for seed in range(4)
        ]
        errors = [pricer.transform(params) - expected for pricer in pricers]
        return np.sqrt(np.mean(np.square(errors)))

    plain = rmse(sampling="pseudo", control_variate=False)
    assert rmse() < 0.5 * plain
    assert rmse(sampling="pseudo") < 0.9 * plain


def test_control_that_no_path_meets_is_left_alone():
    """Nearly all of the expectation lies on paths of probability 1e-6: the put is still right."""
    params = np.array([[1.0, 5.0, 5.0, 1.98]])
    grid = OptionGrid([90.0, 120.0], [1.0], option_type="put")
    pricer = fitted("cgmy", params, grid, n_paths=2**10)
    expected = ContourPricer("cgmy", grid).fit(params).transform(params)
    error = np.abs(pricer.transform(params) - expected)
    assert np.all(error < 1e-3)
    assert np.all(error < 3 * pricer.error_estimate(params))


def test_option_that_no_path_reaches_has_an_error():
    params = np.array([[0.15, 1.0, -0.3, 0.1]])
    grid = OptionGrid([45.0], [0.05], option_type="put")
    pricer = fitted("merton", params, grid, n_paths=2**8)
    expected = ContourPricer("merton", grid).fit(params).transform(params)
    error = np.abs(pricer.transform(params) - expected)
    assert error > 0.9 * expected
    assert error < 3 * pricer.error_estimate(params)


@pytest.mark.parametrize("strike", [0.7, 1.0, 1.4])
def test_out_of_the_money(strike):
    forward, variance = np.array([1.0, 0.8, 1.3]), np.array([0.04, 0.0, 0.3])
    kind = "call" if strike >= 1 else "put"
    found = out_of_the_money(forward, variance, np.array([strike]))[:, 0]
    expected = [
        black_price(f, strike, 1.0, np.sqrt(v), option_type=kind)
        for f, v in zip(forward, variance, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)
    # and the same where no forward has a variance
    sharp = out_of_the_money(forward, 0 * variance, np.array([strike]))[:, 0]
    payoff = (forward - strike) if kind == "call" else (strike - forward)
    np.testing.assert_allclose(sharp, np.maximum(payoff, 0.0))


def test_averages_of_blocks_add_up():
    rng = np.random.default_rng(0)
    forward, variance = np.exp(0.2 * rng.normal(size=(2, 16, 40))), np.full((2, 16, 40), 0.01)
    strike, quotes = np.array([0.9, 1.1]), np.arange(2)
    whole, parts = (Averages.none(2, 2, 1) for _ in range(2))
    whole.add(0, quotes, strike, forward, variance)
    for part in (slice(0, 15), slice(15, 40)):
        parts.add(0, quotes, strike, forward[:, :, part], variance[:, :, part])
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# -- derivatives ---------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_jacobian(name):
    """Differences of prices, within their spread over seeds."""
    params = sets(name, 1)
    grid = OptionGrid([90, 100, 115], [0.5])
    expected = ContourPricer(name, grid).fit(params).price_and_jacobian(params)[1][0]
    found = [
        fitted(name, params, grid, n_paths=2**10, random_state=seed).price_and_jacobian(params)
        for seed in range(6)
    ]
    slopes = np.array([jacobian[0] for _, jacobian in found])
    size = np.abs(expected).max(axis=1, keepdims=True)
    error = slopes.std(axis=0, ddof=1) / np.sqrt(6)
    assert np.all(np.abs(slopes.mean(axis=0) - expected) <= 5 * error + 1e-3 * size)
    assert np.median(error / size) < 0.1


def test_jacobian_next_to_where_the_model_ends():
    """NIG exists for alpha above 5: a wide step would leave it."""
    params, grid = np.array([[5.1, -5.0, 0.3], [15.0, -5.0, 0.3]]), OptionGrid([100], [0.5])
    found = fitted("nig", params, grid, n_paths=2**13).price_and_jacobian(params)[1]
    expected = ContourPricer("nig", grid).fit(params).price_and_jacobian(params)[1]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02 * np.abs(expected).max())


# -- paths ---------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["sobol", "antithetic", "pseudo"])
@pytest.mark.parametrize("name", list_models())
def test_paths_follow_the_forward(name, sampling):
    params = sets(name)
    grid = OptionGrid([100], [0.5, 1.0], spot=50, rate=[0.02, 0.05], dividend=0.01)
    pricer = fitted(name, params, grid, n_paths=2**11, sampling=sampling)
    paths = pricer.sample_paths(params, [0.25, 0.5, 1.0, 2.0])
    assert paths.shape == (2, 2**11, 4)
    forward = 50 * np.exp([0.01 * 0.25, 0.01 * 0.5, 0.04 * 1.0, 0.04 * 2.0])
    means = paths.reshape(2, 16, -1, 4).mean(axis=2) / forward
    # Consecutive sixteenths are independent: a mean may be five of their errors off.
    error = means.std(axis=1, ddof=1) / 4
    assert np.all(np.abs(means.mean(axis=1) - 1) < 5 * error)


def test_paths_price_what_the_pricer_prices():
    pricer = fitted("heston", HESTON, n_paths=2**14)
    paths = pricer.sample_paths(HESTON, [0.1, 0.5, 1.0])[0]
    payoff = np.maximum(paths[:, [0, 1, 2]].repeat(5, axis=1) - GRID.strike, 0.0) * GRID.discount
    replicates = payoff.reshape(16, -1, 15).mean(axis=1)
    expected = ContourPricer("heston", GRID).fit(HESTON).transform(HESTON)[0]
    error = replicates.std(axis=0, ddof=1) / 4
    assert np.all(np.abs(replicates.mean(axis=0) - expected) < 4 * error + 1e-4)


def test_geometric_average_of_black_scholes():
    """A path-dependent price in closed form: the average of logarithms is normal."""
    sigma, times = 0.3, np.arange(1, 13) / 12
    pricer = fitted("black_scholes", [[sigma]], OptionGrid([100], [1.0]), n_paths=2**13)
    average = np.exp(np.log(pricer.sample_paths([[sigma]], times)[0]).mean(axis=1))
    mean = np.log(100) - sigma**2 / 2 * times.mean()
    variance = sigma**2 * np.minimum.outer(times, times).mean()
    expected = black_price(np.exp(mean + variance / 2), 100.0, 1.0, np.sqrt(variance))
    assert np.maximum(average - 100, 0.0).mean() == pytest.approx(float(expected), rel=1e-3)


def test_paths_repeat_and_rows_share_them():
    params = sets("bates", 3)
    pricer = fitted("bates", params, n_paths=64)
    paths = pricer.sample_paths(params, [0.5, 1.0])
    np.testing.assert_array_equal(pricer.sample_paths(params, [0.5, 1.0]), paths)
    np.testing.assert_array_equal(pricer.sample_paths(params[1:2], [0.5, 1.0])[0], paths[1])
    other = fitted("bates", params, n_paths=64, random_state=1).sample_paths(params, [0.5, 1.0])
    assert not np.any(other == paths)


def test_blocks_are_the_same_paths(monkeypatch):
    params = sets("heston")
    for sampling in ("sobol", "pseudo"):
        pricer = fitted("heston", params, n_paths=2**9, sampling=sampling)
        prices, paths = pricer.transform(params), pricer.sample_paths(params, [0.5, 1.0])
        with monkeypatch.context() as patch:
            patch.setattr(_sampling, "_BLOCK_NUMBERS", 1000)
            again = fitted("heston", params, n_paths=2**9, sampling=sampling)
            np.testing.assert_allclose(again.transform(params), prices, atol=1e-10)
            np.testing.assert_array_equal(again.sample_paths(params, [0.5, 1.0]), paths)


def test_memory_does_not_grow_with_paths(monkeypatch):
    monkeypatch.setattr(_sampling, "_BLOCK_NUMBERS", 20_000)
    peaks = []
    for n_paths in (2**13, 2**15):
        pricer = fitted("merton", sets("merton"), n_paths=n_paths)
        tracemalloc.start()
        pricer.transform(sets("merton"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_seed_is_drawn_in_fit():
    rng = np.random.RandomState(0)
    pricer = fitted("variance_gamma", VG, n_paths=64, random_state=rng)
    first = pricer.transform(VG)
    np.testing.assert_array_equal(pricer.transform(VG), first)
    assert np.any(pricer.fit(VG).transform(VG) != first)
    fresh = fitted("variance_gamma", VG, n_paths=64, random_state=None).transform(VG)
    assert np.any(fresh != first)


def test_steps():
    grid = OptionGrid([100], [0.1, 1.0, 1.75])
    exact = fitted("variance_gamma", VG, grid, n_paths=64, n_steps=50)
    np.testing.assert_array_equal(exact.times_, [0.1, 1.0, 1.75])
    refined = fitted("heston", HESTON, grid, n_paths=64, n_steps=4)
    expected = [0.1, *(0.1 + 0.225 * np.arange(1, 5)), 1.25, 1.5, 1.75]
    np.testing.assert_allclose(refined.times_, expected, rtol=1e-14)


# -- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_paths": 100}, "n_paths=100 must be a multiple of 32"),
        ({"n_paths": 96}, "n_paths=96 must be a power of 2 for Sobol points"),
        ({"n_paths": 16}, "n_paths.*Got 16"),
        ({"n_steps": 0}, "n_steps.*Got 0"),
        ({"sampling": "halton"}, "sampling.*Got 'halton'"),
        ({"control_variate": "yes"}, "control_variate"),
    ],
)
def test_refuses_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        fitted("variance_gamma", VG, **settings)


def test_any_number_of_pseudo_random_paths():
    pricer = fitted("variance_gamma", VG, n_paths=96, sampling="antithetic")
    assert pricer.sample_paths(VG, [1.0]).shape == (1, 96, 1)


@pytest.mark.parametrize("times", [[0.5, 0.5], [-1.0], [0.0], [np.nan], [[0.5]], [np.inf]])
def test_refuses_times(times):
    with pytest.raises(ValueError, match="times must be"):
        fitted("variance_gamma", VG, n_paths=32).sample_paths(VG, times)


def test_refuses_more_steps_than_sobol_points_have():
    pricer = fitted("heston", HESTON, n_paths=32, n_steps=4000)
    with pytest.raises(ValueError, match="set sampling='pseudo'"):
        pricer.transform(HESTON)


def test_model_without_simulation():
    params = [[0.4, -1.5, 0.6]]
    with pytest.raises(NotImplementedError, match="implement simulate_mixture"):
        fitted(Meixner(), params, n_paths=32).transform(params)
