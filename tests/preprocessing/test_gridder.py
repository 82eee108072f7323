"""QuoteGridder: exact at quotes, close to models, no arbitrage of its own, no extrapolation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import CubicHermiteSpline

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import load_dax_2002, load_sp500_2002
from levylearn.market import OptionGrid, check_arbitrage
from levylearn.models import get_model
from levylearn.preprocessing import ArbitrageFilter, QuoteGridder
from levylearn.preprocessing import _smile_curve as module
from levylearn.preprocessing._smile_curve import total_variance_at
from levylearn.preprocessing._units import with_volatilities
from levylearn.pricing import ContourPricer
from levylearn.testing._common import sample_parameters

STRIKES = [70, 80, 90, 95, 100, 105, 110, 120, 130]
MODELS = ["heston", "variance_gamma", "bates", "merton", "cgmy", "nig", "kou"]
LOADERS = [load_sp500_2002, load_dax_2002]


def surfaces(model, grid, n_samples=40, output="implied_vol"):
    model = get_model(model)
    params = sample_parameters(model.parameters, model.admissible, n_samples, random_state=0)
    return ContourPricer(model, grid, output).fit(params).transform(params)


def gridded(grid, X, *args, **options):
    gridder = QuoteGridder(grid, *args, **options).fit(X)
    return gridder.grid_, gridder.transform(X)


# -- exact at quotes ---------------------------------------------------------------


@pytest.mark.parametrize("unit", ["price", "forward_price", "implied_vol"])
@pytest.mark.parametrize("load", LOADERS)
def test_quotes_are_kept(load, unit):
    """At its own strikes and maturities a chain keeps its quotes, as calls."""
    data = load()
    grid = data.grid
    worth = grid.discount * grid.forward
    quotes = {
        "price": data.prices,
        "forward_price": data.prices / worth,
        "implied_vol": data.implied_vol,
    }[unit]
    target, found = gridded(data.chain, quotes[None], unit=unit)
    assert target.shape == (len(np.unique(grid.maturity)), len(np.unique(grid.strike)))
    at = [
        np.flatnonzero((target.maturity == T) & (target.strike == K))[0]
        for T, K in zip(grid.maturity, grid.strike, strict=True)
    ]
    assert_allclose(target.forward[at], grid.forward, rtol=1e-12)
    assert_allclose(target.discount[at], grid.discount, rtol=1e-12)
    if unit != "implied_vol":
        parity = np.where(grid.is_call, 0.0, grid.discount * (grid.forward - grid.strike))
        quotes = quotes + (parity if unit == "price" else parity / worth)
    assert_allclose(found[0, at], quotes, rtol=1e-9)


def test_between_quotes_it_is_a_cubic():
    k = np.array([-0.3, -0.1, 0.0, 0.05, 0.2])
    w = 0.04 - 0.01 * k + 0.05 * k**2
    at = np.linspace(-0.3, 0.2, 41)
    # A parabola is its own interpolant,
    assert_allclose(
        total_variance_at(at, k, w[None], 0.0)[0], 0.04 - 0.01 * at + 0.05 * at**2, rtol=1e-13
    )
    # and otherwise slopes are those of parabolas through three neighbours.
    w = w + np.array([0.0, 0.001, 0.0, 0.0004, 0.0])
    three = [[0, 1, 2], [0, 1, 2], [1, 2, 3], [2, 3, 4], [2, 3, 4]]
    slopes = [
        np.polyval(np.polyder(np.polyfit(k[i], w[i], 2)), x) for i, x in zip(three, k, strict=True)
    ]
    expected = CubicHermiteSpline(k, w, slopes)(at)
    assert_allclose(total_variance_at(at, k, w[None], 0.0)[0], expected, rtol=1e-11)


def test_few_quotes():
    at = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
    k = np.array([-0.05, 0.0, 0.05])
    w = [[np.nan, 0.04, np.nan], [0.05, np.nan, 0.03], [np.nan] * 3]
    found = total_variance_at(at, k, np.array(w), 0.0)
    expected = [
        [np.nan, np.nan, 0.04, np.nan, np.nan],
        [np.nan, 0.05, 0.04, 0.03, np.nan],
        [np.nan] * 5,
    ]
    assert_allclose(found, expected, rtol=1e-12)


def test_missing_quotes_are_as_if_never_there():
    grid = OptionGrid(STRIKES, [0.25, 1.0])
    X = surfaces("heston", grid)
    missing = np.random.default_rng(0).random(X.shape) < 0.3
    X[missing] = np.nan
    X[3, :9] = np.nan
    strikes, maturities = np.linspace(75, 125, 7), [0.25, 0.5]
    _, found = gridded(grid, X, strikes, maturities, unit="implied_vol")
    for row in (0, 3, 7):
        there = np.flatnonzero(~np.isnan(X[row]))
        _, alone = gridded(
            grid.take(there), X[[row]][:, there], strikes, maturities, unit="implied_vol"
        )
        assert_allclose(found[row], alone[0], rtol=1e-12)
    assert np.isnan(found[3, :7]).all()  # that maturity has no quotes in row 3


def test_out_of_the_money_quotes_come_first():
    grid = OptionGrid.from_quotes(
        [90, 100, 100, 110], [1.0] * 4, option_type=["put", "put", "call", "call"], rate=0.05
    )
    X = np.array([[0.25, 0.3, 0.2, 0.2], [0.25, 0.22, np.nan, 0.2]])
    _, found = gridded(grid, X, [100], [1.0], unit="implied_vol")
    # 100 is below the forward: the put counts, where there is one.
    assert_allclose(found[:, 0], [0.3, 0.22], rtol=1e-12)
    X[0, 1] = np.nan
    _, found = gridded(grid, X, [100], [1.0], unit="implied_vol")
    assert_allclose(found[0, 0], 0.2, rtol=1e-12)


# -- between maturities ------------------------------------------------------------


def test_total_variance_is_linear_in_time():
    grid = OptionGrid([100], [0.5, 1.0])
    target, found = gridded(
        grid, np.array([[0.2, 0.3]]), maturities=[0.25, 0.5, 0.6, 1.0, 1.1], unit="implied_vol"
    )
    w = 0.02 + 0.2 * (0.09 - 0.02)
    assert_allclose(found[0], [np.nan, 0.2, np.sqrt(w / 0.6), 0.3, np.nan], rtol=1e-12)
    assert_array_equal(target.maturity, [0.25, 0.5, 0.6, 1.0, 1.1])


def test_forwards_are_those_of_the_chain():
    rates = {"rate": [0.01, 0.03], "dividend": [0.0, 0.02]}
    grid = OptionGrid([100], [0.5, 1.0], **rates)
    target, _ = gridded(grid, np.array([[8.0, 9.0]]), maturities=[0.25, 0.5, 0.75, 1.0, 2.0])
    times, total = [0, 0.5, 1.0], [0, 0.005, 0.03]
    assert_allclose(-np.log(target.discount[:4]), np.interp([0.25, 0.5, 0.75, 1.0], times, total))
    assert_allclose(target.rate[[0, 4]], [0.01, 0.03])
    assert_allclose(target.dividend[[0, 1, 3, 4]], [0.0, 0.0, 0.02, 0.02])


# -- accuracy ----------------------------------------------------------------------


@pytest.mark.parametrize("model", ["heston", "bates", "double_heston"])
def test_close_to_the_model(model):
    """Between strikes 5 % apart, mostly to hundredths of a volatility point."""
    grid = OptionGrid(STRIKES, [0.25, 0.5, 1.0])
    target, found = gridded(
        grid, surfaces(model, grid), np.linspace(80, 120, 33), [0.25, 0.5, 1.0], unit="implied_vol"
    )
    error = np.abs(found - surfaces(model, target))
    assert np.median(error) < 1e-4
    assert np.median(error.max(axis=1)) < 1e-3


# -- arbitrage ---------------------------------------------------------------------


@pytest.mark.parametrize("maturity", [0.1, 1.0])
@pytest.mark.parametrize("model", MODELS)
def test_no_butterfly_between_quotes_without_one(model, maturity):
    grid = OptionGrid([80, 90, 95, 100, 105, 110, 120], [maturity])
    X = surfaces(model, grid, 60)
    X = X[np.isfinite(X).all(axis=1)]
    assert len(X) > 10
    X[::3, 3] = np.nan
    strikes = np.linspace(80, 120, 121)
    side = np.where(strikes < 100, "put", "call")
    target, found = gridded(grid, X, strikes, option_type=side, unit="implied_vol")
    assert np.isfinite(found).all()
    report = check_arbitrage(with_volatilities(found, target, "price"), target, tolerance=1e-11)
    assert report.n_violations == 0


def test_no_butterfly_whatever_the_density():
    """Densities of a few atoms make the roughest quotes that are free of arbitrage."""
    rng = np.random.default_rng(0)
    grid = OptionGrid([60, 75, 85, 92, 100, 104, 111, 125, 150], [0.5])
    atoms = rng.uniform(30, 200, (400, 12))
    atoms[:, 0], atoms[:, 1] = 20.0, 300.0
    weights = rng.exponential(size=(400, 12))
    # The outermost atoms get what makes the mean the forward, each a positive weight.
    weights[:, :2] = 0.0
    weights *= 0.8 / weights.sum(axis=1, keepdims=True)
    missing = 100 - (weights * atoms).sum(axis=1)
    weights[:, 1] = (missing - 0.2 * 20) / 280
    weights[:, 0] = 0.2 - weights[:, 1]
    possible = (weights >= 0).all(axis=1)
    assert possible.sum() > 50
    payoffs = np.maximum(atoms[possible, :, None] - grid.strike, 0)
    X = (weights[possible, :, None] * payoffs).sum(axis=1)
    assert check_arbitrage(X, grid).is_free.all()
    target, found = gridded(grid, X, np.linspace(60, 150, 181))
    assert np.isfinite(found).all()
    assert check_arbitrage(found, target, tolerance=1e-9).is_free.all()


def test_quotes_on_a_line():
    """Two values at maturity: calls are straight in between, and no curve can be but the line."""
    low, high, up = 70.0, 125.0, 30 / 55
    grid = OptionGrid([75, 80, 90, 100, 105, 120], [1.0], rate=0.0)
    X = up * np.maximum(high - grid.strike, 0) + (1 - up) * np.maximum(low - grid.strike, 0)
    target, found = gridded(grid, X[None], np.linspace(75, 120, 46))
    assert_allclose(found[0], up * (high - target.strike), rtol=1e-10)
    assert check_arbitrage(found, target).n_violations == 0


@pytest.mark.parametrize("model", ["heston", "variance_gamma", "merton"])
def test_no_arbitrage_between_maturities_either(model):
    """Which is not proved, for butterflies, and was true of each of 2,393 surfaces."""
    grid = OptionGrid(STRIKES, [0.25, 0.5, 1.0])
    strikes, maturities = np.linspace(70, 130, 41), np.linspace(0.25, 1.0, 11)
    side = np.tile(np.where(strikes < 100, "put", "call"), 11)
    X = surfaces(model, grid)
    target, found = gridded(grid, X, strikes, maturities, option_type=side, unit="implied_vol")
    prices = with_volatilities(found, target, "price")
    assert check_arbitrage(prices, target, tolerance=1e-9).n_violations == 0


def test_the_cubic_alone_has_butterflies():
    """The case that the convex curve is there for: Variance Gamma at short maturities."""
    grid = OptionGrid([80, 90, 95, 100, 105, 110, 120], [0.1])
    w = surfaces("variance_gamma", grid, 60) ** 2 * 0.1
    w = w[np.isfinite(w).all(axis=1)]
    knots = module._knots(np.broadcast_to(grid.log_moneyness, w.shape), w)
    assert not module._has_density(knots).all(axis=1).all()


@pytest.mark.parametrize("load", LOADERS)
def test_real_chains_without_arbitrage_stay_so(load):
    data = load()
    quotes = ArbitrageFilter(data.grid).fit_transform(data.prices[None])
    strikes = np.linspace(data.grid.strike.min(), data.grid.strike.max(), 60)
    known = np.unique(data.grid.maturity)
    for maturities in (known, np.linspace(known[0], known[-1], 25)):
        target, found = gridded(data.grid, quotes, strikes, maturities)
        assert np.isfinite(found).mean() > 0.4
        assert check_arbitrage(found, target, tolerance=1e-9 * target.spot).n_violations == 0


def test_quotes_with_arbitrage_are_interpolated_all_the_same():
    grid = OptionGrid([80, 90, 100, 110, 120], [0.5])
    X = np.array([[0.5, 0.1, 0.6, 0.1, 0.5]])
    _, found = gridded(grid, X, np.linspace(80, 120, 41), unit="implied_vol")
    assert (found > 0).all()
    assert_allclose(found[0, ::10], X[0], rtol=1e-10)


# -- edges -------------------------------------------------------------------------


def test_nothing_is_extrapolated():
    grid = OptionGrid([90, 100, 110], [0.5, 1.0])
    X = np.full((1, 6), 0.2)
    target, found = gridded(
        grid, X, [89, 90, 100, 110, 111], [0.4, 0.5, 0.75, 1.0, 1.2], unit="implied_vol"
    )
    expected = (target.strike >= 90) & (target.strike <= 110)
    expected &= (target.maturity >= 0.5) & (target.maturity <= 1.0)
    assert_array_equal(np.isfinite(found[0]), expected)


def test_tolerance():
    grid = OptionGrid([90, 100, 110], [0.5])
    X = np.array([[0.25, 0.2, 0.18]])
    options = {"strikes": [85, 89, 100, 111, 115], "unit": "implied_vol"}
    _, found = gridded(grid, X, tolerance=0.02, **options)
    assert_allclose(found[0], [np.nan, 0.25, 0.2, 0.18, np.nan], rtol=1e-12)


def test_a_maturity_is_not_passed_over_where_it_does_not_reach():
    grid = OptionGrid.from_quotes([90, 110, 100, 90, 110], [0.5, 0.5, 0.75, 1.0, 1.0])
    X = np.array([[0.2] * 5, [0.2, 0.2, np.nan, 0.2, 0.2]])
    _, found = gridded(grid, X, [95, 100, 105], [0.6, 0.75], unit="implied_vol")
    assert_array_equal(np.isfinite(found[0].reshape(2, 3)), [[False, True, False]] * 2)
    assert np.isfinite(found[1]).all()


# -- use ---------------------------------------------------------------------------


def test_a_calibrator_takes_the_grid():
    grid = OptionGrid.from_quotes(
        [85, 90, 97, 104, 112, 120, 80, 90, 100, 108, 118, 130],
        [0.25] * 6 + [1.0] * 6,
        rate=0.02,
    )
    params = np.array([[0.04, 2.0, 0.05, 0.4, -0.6]])
    quotes = ContourPricer("heston", grid).fit(params).transform(params)
    gridder = QuoteGridder(grid, strikes=[90, 95, 100, 105, 110], maturities=[0.25, 1.0])
    X = gridder.fit_transform(quotes)
    pricer = ContourPricer("heston", gridder.grid_)
    found = LeastSquaresCalibrator(pricer, loss="implied_vol").fit(X).predict(X)
    assert_allclose(found, params, rtol=0.05)
    assert_array_equal(gridder.get_feature_names_out(), gridder.grid_.get_feature_names_out())


def test_moneyness():
    grid = OptionGrid([90, 100, 110], [0.5], spot=50.0)
    gridder = QuoteGridder(grid, moneyness=[1.9, 2.0]).fit(np.ones((1, 3)))
    assert_allclose(gridder.grid_.strike, [95, 100])


def test_chunks_do_not_show(monkeypatch):
    grid = OptionGrid(STRIKES, [0.25, 1.0])
    X = surfaces("heston", grid)
    gridder = QuoteGridder(grid, np.linspace(75, 125, 7), [0.25, 0.5], unit="implied_vol").fit(X)
    whole = gridder.transform(X)
    monkeypatch.setattr("levylearn.preprocessing._base._CHUNK_NUMBERS", 1)
    assert_allclose(gridder.transform(X), whole, rtol=1e-13)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strikes": [90], "moneyness": [1.0]}, "strikes and moneyness say the same"),
        ({"strikes": [100, 90]}, "strikes must be strictly increasing"),
        ({"maturities": [-1.0]}, "maturities must be positive"),
        ({"option_type": "digital"}, "option_type must be 'call' or 'put'"),
        ({"tolerance": -1.0}, "tolerance"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        QuoteGridder(OptionGrid([90, 110], [0.5]), **options).fit(np.ones((1, 2)))
