"""CarrMadanPricer: prices to its tolerance, errors known beforehand, dampings of every kind."""

import tracemalloc

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_param_validation

from levylearn import base
from levylearn.market import OptionGrid, black_price
from levylearn.models import list_models
from levylearn.pricing import CarrMadanPricer, ContourPricer
from levylearn.testing import check_pricer
from tests.models._meixner import Meixner
from tests.pricing.test_contour import sets
from tests.pricing.test_cos import SUMS, each_model, normalised
from tests.pricing.test_error_estimate import parameter_sets
from tests.pricing.test_reference_prices import ROWS, error

SMALL = OptionGrid([80, 97, 100, 110, 125], [0.5, 1.0, 3.0], rate=0.03, dividend=0.01)
# Where corners of the calibration boxes are looked at: few quotes, since some take long.
CORNER = OptionGrid([50, 90, 100, 125], [1 / 52, 0.5, 10.0], rate=0.03, dividend=0.01)
TOLERANCE = CarrMadanPricer("heston", SMALL).tolerance
ORIGINAL = {"algorithm": "fft", "damping": 1.5, "n_points": 4096, "spacing": 0.25}


# -- prices --------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_reference_price(row):
    """Those from print to the tolerance; of hard corners the error is known."""
    true, estimate = error(row, CarrMadanPricer)
    hard = row["id"].startswith("own_")
    assert true <= TOLERANCE or (hard and estimate > TOLERANCE)
    assert true <= 1e-13 or estimate >= 0.1 * true


@pytest.mark.parametrize("algorithm", ["fft", "fractional"])
@pytest.mark.parametrize("tolerance", [1e-5, 1e-10])
def test_tolerance(tolerance, algorithm):
    for name in ("black_scholes", "nig", "merton", "heston"):
        params = sets(name, 5)
        exact, _ = normalised(ContourPricer, name, params, SMALL)
        settings = {"tolerance": tolerance, "algorithm": algorithm}
        found, estimate = normalised(CarrMadanPricer, name, params, SMALL, **settings)
        assert np.abs(found - exact).max() <= tolerance
        assert np.median(estimate) <= 2 * tolerance


def test_black_scholes():
    params = np.array([[0.05], [0.2], [0.8]])
    grid = OptionGrid([50, 90, 100, 120, 200], [1 / 365, 0.5, 10.0], rate=0.03)
    expected = black_price(grid.forward, grid.strike, grid.maturity, params, grid.discount)
    prices = CarrMadanPricer("black_scholes", grid).fit(params).transform(params)
    assert np.all(np.abs(prices - expected) <= TOLERANCE * np.maximum(grid.spot, grid.strike))


@pytest.mark.parametrize("damping", [0.5, 2.0, -0.3, -0.5, -1.5, -3.0])
def test_any_damping(damping):
    """Calls, covered calls and puts lead to the same prices."""
    params = sets("black_scholes", 5)
    exact, _ = normalised(ContourPricer, "black_scholes", params, SMALL)
    found, estimate = normalised(CarrMadanPricer, "black_scholes", params, SMALL, damping=damping)
    assert np.abs(found - exact).max() <= TOLERANCE
    assert np.all(estimate >= 0.1 * np.abs(found - exact))


def test_original_article():
    """Its numbers of 1999: four digits, where the damping is not too much for the variance."""
    rows = [row for row in ROWS if row["id"].startswith("vg_cm1999")]
    assert len(rows) == 2
    for row in rows:
        true, estimate = error(row, CarrMadanPricer, **ORIGINAL)
        assert 1e-9 < true < 1e-5
        assert estimate >= 0.1 * true
        assert error(row, CarrMadanPricer)[0] <= TOLERANCE


def test_plug_in():
    grid = OptionGrid([80, 100, 120], [0.5, 1.0])
    check_pricer(CarrMadanPricer(Meixner(), grid), tolerance=TOLERANCE)


# -- errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tolerance": 1e-4, "algorithm": "fft"},
        {"damping": -0.5, "tolerance": 1e-5},
        {"n_points": 128},
        {"algorithm": "fft", "n_points": 1024, "spacing": 0.25},
        {"spacing": 1.0},
    ],
    ids=str,
)
def test_errors_are_known(settings):
    for name in list_models():
        params = parameter_sets(name, 3)
        exact, uncertain = normalised(ContourPricer, name, params, CORNER)
        found, estimate = normalised(CarrMadanPricer, name, params, CORNER, **settings)
        true = np.abs(found - exact)
        visible = true > 1e-12 + 10 * uncertain
        assert np.all(estimate[visible] >= 0.1 * true[visible])


def test_price_of_a_period_away_is_seen():
    """A spacing that is too wide adds the price of another strike, and the estimate says so."""
    params = [[0.8]]
    grid = OptionGrid([50.0, 100.0, 200.0], [5.0])
    exact, _ = normalised(ContourPricer, "black_scholes", params, grid)
    found, estimate = normalised(CarrMadanPricer, "black_scholes", params, grid, **ORIGINAL)
    true = np.abs(found - exact)
    assert true.max() > 1e-3
    assert np.all(estimate >= 0.1 * true)


# -- derivatives ---------------------------------------------------------------------


@each_model
@pytest.mark.parametrize("algorithm", ["fft", "fractional"])
def test_jacobian(name, algorithm):
    # Of laws with a kink, derivatives next to it are as rough as splines allow.
    grid = OptionGrid([80, 100, 125], [2.0], rate=0.03)
    params = sets(name, 3)
    expected = ContourPricer(name, grid).fit(params).price_and_jacobian(params)[1]
    pricer = CarrMadanPricer(name, grid, algorithm=algorithm).fit(params)
    found = pricer.price_and_jacobian(params)[1]
    size = np.abs(expected).max(axis=2, keepdims=True)
    assert np.all(np.abs(found - expected) <= 1e-5 * size)


# -- contract ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SUMS else []) for n in list_models()],
)
def test_contract(name):
    grid = OptionGrid([80, 100, 125], [2.0], rate=0.03, dividend=0.02)
    check_pricer(CarrMadanPricer(name, grid, tolerance=1e-7), tolerance=1e-7)


@pytest.mark.parametrize("settings", [{"algorithm": "fft"}, {"damping": -0.5}], ids=str)
def test_contract_of_settings(settings):
    kinds = ["call", "put", "put", "call"]
    grid = OptionGrid.from_quotes([90, 90, 110, 100], [0.5, 0.5, 0.5, 1.0], option_type=kinds)
    check_pricer(CarrMadanPricer("heston", grid, **settings), tolerance=TOLERANCE)


def test_chunks_and_threads_do_not_show(monkeypatch):
    """Sets that are transformed together share a lattice of log-strikes, whatever the others."""
    params = sets("nig", 30)
    whole = CarrMadanPricer("nig", SMALL).fit(params).price_and_jacobian(params)
    monkeypatch.setattr(base, "_MAX_CHUNK", 7)
    parts = CarrMadanPricer("nig", SMALL, n_jobs=2).fit(params).price_and_jacobian(params)
    np.testing.assert_allclose(parts[0], whole[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(parts[1], whole[1], rtol=1e-9, atol=1e-9)


def test_memory_is_bounded():
    params = np.resize(sets("variance_gamma", 50), (200, 3))
    grid = OptionGrid([90, 100, 110], [1.0])
    pricer = CarrMadanPricer("variance_gamma", grid, n_points=20_000).fit(params)
    tracemalloc.start()
    pricer.transform(params)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 96 * 2**20


# -- refusals ------------------------------------------------------------------------


def test_parameters_are_validated():
    check_param_validation("CarrMadanPricer", CarrMadanPricer("heston", SMALL))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "dft"}, "The 'algorithm' parameter of CarrMadanPricer must be"),
        ({"n_points": 3}, "The 'n_points' parameter of CarrMadanPricer must be"),
        ({"spacing": 0.0}, "The 'spacing' parameter of CarrMadanPricer must be"),
        ({"damping": np.inf}, "The 'damping' parameter of CarrMadanPricer must be"),
        ({"tolerance": 1.0}, "The 'tolerance' parameter of CarrMadanPricer must be"),
        ({"damping": 0.0}, r"damping=0.0 is a pole of the transform; it must be positive"),
        ({"damping": -1}, r"damping=-1 is a pole of the transform; it must be positive"),
    ],
    ids=str,
)
def test_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        CarrMadanPricer("heston", SMALL, **settings).fit(sets("heston", 1))


@pytest.mark.parametrize(("damping", "eta"), [(5.0, (4.0, 50.0)), (-6.0, (50.0, 4.0))])
def test_damping_beyond_the_moments(damping, eta):
    """Jumps too large for the damping: no price, and a search is told so."""
    mild, wild = [0.1, 1.0, 0.4, 50.0, 50.0], [0.1, 1.0, 0.4, *eta]
    params = np.array([mild, wild])
    pricer = CarrMadanPricer("kou", SMALL, damping=damping).fit(params)
    np.testing.assert_array_equal(pricer.admissible(params), [True, False])
    assert np.all(np.isfinite(pricer.transform([mild])))
    message = rf"damping={damping:g} needs E\[S\^{1 + damping:g}\], which does not exist for sigma"
    for method in (pricer.transform, pricer.price_and_jacobian, pricer.error_estimate):
        with pytest.raises(ValueError, match=message):
            method(params)
