"""Intervals by profile likelihood: against closed forms, and searches with a parameter held."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import least_squares, minimize_scalar
from scipy.stats import binom, f, t

from levylearn.calibration import HybridCalibrator, LeastSquaresCalibrator, _optimiser
from levylearn.calibration._profile import farthest
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise
from levylearn.pricing import ContourPricer
from tests.calibration._functions import logarithm, rosenbrock
from tests.calibration._linear import SLOPES, LinearPrices

GRID = OptionGrid(np.linspace(80, 120, 7), [0.1, 0.5, 1.0, 2.0], rate=0.05)
RANGES = {
    "variance_gamma": {"sigma": (0.1, 0.6), "nu": (0.1, 1.0), "theta": (-0.5, 0.3)},
    "cgmy": {"C": (0.01, 0.5), "G": (1.0, 10.0), "M": (1.01, 10.0), "Y": (0.1, 1.8)},
}
PARAMS = {
    "variance_gamma": [[0.25, 0.4, -0.2], [0.3, 0.15, 0.05], [0.15, 0.9, -0.1]],
    "cgmy": [[0.1, 4.0, 6.0, 0.8], [0.4, 8.0, 9.0, 0.5], [0.05, 2.0, 3.0, 1.4]],
}


def ends_of(function, z, growth, low=-10.0, high=10.0, max_evaluations=50):
    """Lower and upper ends (q, 2) of every coordinate, and which were found."""

    def residuals(z, points, gradient=True):
        r, jacobian = function(z)
        return r, jacobian if gradient else None

    q = len(z)
    index, side = (each.ravel() for each in np.indices((q, 2)))
    box = [np.broadcast_to(np.asarray(end, dtype=float), q) for end in (low, high)]
    values, found = farthest(
        residuals,
        np.tile(np.asarray(z, dtype=float), (2 * q, 1)),
        np.full(2 * q, growth),
        index,
        2.0 * side - 1,
        *box,
        np.full(q, 2.0),
        max_evaluations,
    )
    return values.reshape(q, 2), found.reshape(q, 2)


def noisy(model, level=0.05, seed=0, copies=1):
    """Surfaces with errors of a fraction of their prices, and their parameters."""
    params = np.repeat(PARAMS[model], copies, axis=0)
    clean = ContourPricer(model, GRID).fit_transform(params)
    return GaussianNoise(level, random_state=seed).fit_transform(clean), params


def calibrator_of(model, loss="relative_to_model", grid=GRID, **options):
    options = {"bounds": RANGES[model], "n_candidates": 64} | options
    pricer = ContourPricer(model, grid).fit(PARAMS[model])
    return LeastSquaresCalibrator(pricer, loss, **options)


# -- closed forms ------------------------------------------------------------------


@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_linear_prices(coverage):
    """Both methods give the intervals of ordinary least squares."""
    X = np.array([[1.0, -2.0]]) @ SLOPES
    X = X + np.random.default_rng(0).normal(0, 0.3, (20, X.shape[1]))
    calibrator = LeastSquaresCalibrator(LinearPrices(), n_candidates=8).fit(X)
    best, left, *_ = np.linalg.lstsq(SLOPES.T, X.T, rcond=None)
    freedom = X.shape[1] - len(SLOPES)
    deviation = np.sqrt(np.diag(np.linalg.inv(SLOPES @ SLOPES.T))[:, None] * left / freedom)
    reach = t.ppf(0.5 + coverage / 2, freedom) * deviation
    expected = np.stack([best - reach, best + reach], axis=2).swapaxes(0, 1)
    for method in ("wald", "profile"):
        found = calibrator.predict_interval(X, coverage, method=method)
        assert_allclose(found, expected, rtol=1e-9)


def test_one_parameter():
    """Whose exponential is linear: the ends are those of its interval."""
    x, y = np.array([1.0, 2.0, 0.5]), np.array([1.2, 1.7, 0.4])

    def exponential(z):
        model = np.exp(z) * x
        return model - y, model[..., None]

    slope = (x @ y) / (x @ x)
    for growth in (0.01, 1.0, 4.0):
        reach = np.sqrt(growth / (x @ x))
        (ends,), found = ends_of(exponential, [np.log(slope)], growth)
        assert found.all()
        assert_allclose(ends, np.log([slope - reach, slope + reach]), rtol=1e-4)


@pytest.mark.parametrize("growth", [1e-4, 0.1, 4.0])
def test_bent_valley(growth):
    """Rosenbrock's: for each x the best y is its square, and both ends of y are on the edge."""
    reach = np.sqrt(growth)

    def edge(x, side):
        return x**2 + side * np.sqrt(growth - (1 - x) ** 2) / 10

    ends, found = ends_of(rosenbrock, [1.0, 1.0], growth)
    assert found.all()
    assert_allclose(ends[0], [1 - reach, 1 + reach], atol=1e-5 * reach)
    options = {"bounds": (1 - reach, 1 + reach), "options": {"xatol": 1e-10}}
    highest = -minimize_scalar(lambda x: -edge(x, 1), method="bounded", **options).fun
    lowest = minimize_scalar(lambda x: edge(x, -1), method="bounded", **options).fun
    assert_allclose(ends[1], [lowest, highest], atol=2e-5 * (highest - lowest))


def test_bounds():
    """That of y is its end, and from there the end of x is a root of its polynomial."""
    ends, found = ends_of(rosenbrock, [1.0, 1.0], 1.0, low=[0.5, 0.9], high=[5.0, 1.5])
    assert found.all()
    assert_array_equal(ends[1], [0.9, 1.5])
    roots = [np.roots([100, 0, 1 - 200 * y, -2, 100 * y**2]) for y in (0.9, 1.5)]
    real = [each[each.imag == 0].real for each in roots]
    assert_allclose(ends[0], [real[0].min(), real[1].max()], atol=1e-5)


def test_start_at_a_bound():
    """Which presses: the least loss in the box is not that of all."""
    ends, found = ends_of(rosenbrock, [0.5, 0.25], 0.3, high=[0.5, 0.3])
    assert found.all()
    assert_allclose(ends[0], [1 - np.sqrt(0.55), 0.5], atol=1e-5)


def test_residuals_that_do_not_exist_everywhere():
    """Of a logarithm: a step leads where there is none."""
    (ends,), found = ends_of(logarithm, [np.e], 4.0, high=1e4)
    assert found.all()
    assert_allclose(ends, np.exp([-1, 3]), rtol=1e-4)


def test_coordinates_that_nothing_depends_on():
    """They reach from bound to bound, and the others' ends are as before."""

    def blind(z):
        r, jacobian = rosenbrock(z[:, :2])
        return r, np.concatenate([jacobian, np.zeros((len(z), 2, 1))], axis=2)

    ends, found = ends_of(blind, [1.0, 1.0, 0.3], 0.1)
    assert found.all()
    assert_allclose(ends[:2], ends_of(rosenbrock, [1.0, 1.0], 0.1)[0], atol=1e-5)
    assert_array_equal(ends[2], [-10, 10])


def test_budget():
    """What was reached is within the ends, and it is told that they were not found."""
    ends, _ = ends_of(rosenbrock, [1.0, 1.0], 4.0)
    short, found = ends_of(rosenbrock, [1.0, 1.0], 4.0, max_evaluations=3)
    assert not found.all()
    inside = (ends[:, 0] - 1e-4 <= short[:, 0]) & (short[:, 1] <= ends[:, 1] + 1e-4)
    assert inside.all()


# -- surfaces ----------------------------------------------------------------------


def least_with(pricer, quotes, unit, j, value, starts, bounds):
    """Least sum of squares with parameter j held, by SciPy from several starts."""
    others = np.arange(len(bounds)) != j
    low, high = bounds[others].T

    def priced(free):
        values, slopes = pricer.evaluate(np.insert(free, j, value)[None], gradient=True)
        return values[0], slopes[0]

    costs = []
    for start in starts[:, others]:
        found = least_squares(
            lambda free: (priced(free)[0] - quotes) / unit,
            np.clip(start, low + 1e-6, high - 1e-6),
            jac=lambda free: (priced(free)[1][others] / unit).T,
            bounds=(low, high),
            x_scale="jac",
            xtol=1e-12,
            ftol=1e-12,
            gtol=1e-12,
        )
        costs.append(2 * found.cost)
    return min(costs)


@pytest.mark.parametrize("model", RANGES)
def test_searches_with_a_parameter_held(model):
    """The least sum of squares at an end is what is allowed; beyond it is more."""
    X, params = noisy(model, 0.02)
    calibrator = calibrator_of(model).fit(X)
    result, intervals = calibrator.calibrate(X[:1]), calibrator.predict_interval(X[:1])
    quotes, fit, best = X[0], result.surfaces[0], result.parameters[0]
    bounds = np.array(list(RANGES[model].values()))
    least = (((quotes - fit) / fit) ** 2).sum()
    freedom = len(quotes) - (~result.at_bound).sum()
    growth = least * f.ppf(0.95, 1, freedom) / freedom
    starts = np.stack([best, params[0]])
    for j, side in np.ndindex(len(best), 2):
        end = intervals[0, j, side]

        def grown(value, j=j):
            held = least_with(calibrator.pricer_, quotes, fit, j, value, starts, bounds)
            return (held - least) / growth

        if abs(end - bounds[j, side]) < 1e-9:
            assert grown(end) <= 1 + 1e-4
        else:
            assert grown(end) == pytest.approx(1, abs=1e-3)
            assert grown(end + 0.03 * (end - best[j])) > 1.01


def test_parameters_at_a_bound():
    """One end is the bound; Wald's have neither."""
    X, _ = noisy("cgmy", copies=2)
    calibrator = calibrator_of("cgmy").fit(X)
    result, intervals = calibrator.calibrate(X), calibrator.predict_interval(X)
    assert result.at_bound.any()
    low, high = np.moveaxis(intervals, 2, 0)
    at_low = result.parameters < np.mean(list(RANGES["cgmy"].values()), axis=1)
    ends = np.where(at_low, low, high)[result.at_bound]
    assert_allclose(ends, result.parameters[result.at_bound], rtol=1e-5)
    assert (low < high).all()
    wald = calibrator.predict_interval(X, method="wald")
    assert_array_equal(np.isnan(wald).any(axis=2), result.at_bound)


def test_missing_quotes():
    X, _ = noisy("variance_gamma")
    holes = X.reshape(-1, *GRID.shape).copy()
    holes[:, :, [1, 5]] = np.nan
    found = calibrator_of("variance_gamma").fit(X).predict_interval(holes.reshape(len(X), -1))
    kept = np.delete(np.arange(7), [1, 5])
    grid = OptionGrid(np.linspace(80, 120, 7)[kept], [0.1, 0.5, 1.0, 2.0], rate=0.05)
    fewer = holes[:, :, kept].reshape(len(X), -1)
    expected = calibrator_of("variance_gamma", grid=grid).fit(fewer).predict_interval(fewer)
    assert_allclose(found, expected, rtol=1e-4)


def test_half_spreads():
    """Errors within them are none: with half of them, what exceeds them is twice as much."""
    X, _ = noisy("variance_gamma", 0.02)
    half_spread = np.full(X.shape[1], 0.02)
    calibrator = calibrator_of("variance_gamma", "price", half_spread=half_spread).fit(X)
    result, intervals = calibrator.calibrate(X), calibrator.predict_interval(X)
    low, high = np.moveaxis(intervals, 2, 0)
    assert ((low < result.parameters) & (result.parameters < high)).all()
    # The same in other units, of which the sum of squares knows nothing.
    free = calibrator_of("variance_gamma", "price", half_spread=1e-9 * half_spread).fit(X)
    expected = calibrator_of("variance_gamma", "price").fit(X).predict_interval(X)
    assert_allclose(free.predict_interval(X), expected, rtol=1e-3)


def test_hopeless_rows():
    X, _ = noisy("variance_gamma")
    calibrator = calibrator_of("variance_gamma").fit(X)
    expected = calibrator.predict_interval(X)
    bad = np.insert(X, 1, np.nan, axis=0)
    bad[1, :2] = 1.0
    # As many quotes as parameters: nothing tells the noise.
    exact = np.insert(bad, 4, np.nan, axis=0)
    exact[4, 3:20:6] = calibrator.pricer_.transform(PARAMS["variance_gamma"])[0, 3:20:6]
    with pytest.warns(CalibrationWarning, match="1 of 5 surfaces could not be calibrated"):
        found = calibrator.predict_interval(exact)
    assert np.isnan(found[[1, 4]]).all()
    assert_allclose(found[[0, 2, 3]], expected, rtol=1e-4)


def test_row_depends_on_itself_alone(monkeypatch):
    X, _ = noisy("cgmy")
    calibrator = calibrator_of("cgmy", n_starts=2).fit(X)
    together = calibrator.predict_interval(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(calibrator.predict_interval(X[order]), together[order], rtol=1e-4)
    monkeypatch.setattr(_optimiser, "_ROWS_AT_ONCE", 1)
    assert_allclose(calibrator.predict_interval(X), together, rtol=1e-4)


def test_fixed_parameters():
    X, _ = noisy("variance_gamma")
    held = calibrator_of("variance_gamma", fixed={"nu": 0.4}).fit(X)
    intervals = held.predict_interval(X)
    assert_array_equal(intervals[:, 1], 0.4)
    assert (intervals[:, [0, 2], 0] < intervals[:, [0, 2], 1]).all()


def test_reproduced_surfaces_get_walds():
    X, _ = make_surfaces("variance_gamma", GRID, n_samples=5, random_state=0)
    calibrator = calibrator_of("variance_gamma", "price").fit(X)
    found, wald = (calibrator.predict_interval(X, method=m) for m in ("profile", "wald"))
    assert_array_equal(found, wald)


def test_ends_that_are_not_found():
    """The wider of Wald's, within the bounds, and of what was reached."""
    X, _ = noisy("cgmy")
    calibrator = calibrator_of("cgmy", max_evaluations=3).fit(X)
    with pytest.warns(CalibrationWarning, match=r"\d+ of 24 ends of intervals were not found"):
        low, high = np.moveaxis(calibrator.predict_interval(X), 2, 0)
    bounds = np.array(list(RANGES["cgmy"].values())).T
    wald = calibrator.predict_interval(X, method="wald")
    within = np.clip(wald, *bounds[:, :, None])
    assert_allclose(np.fmin(low, within[..., 0]), low, rtol=1e-9)
    assert_allclose(np.fmax(high, within[..., 1]), high, rtol=1e-9)
    assert (bounds[0] <= low * (1 + 1e-9)).all()
    assert (high <= bounds[1] * (1 + 1e-9)).all()


def test_hybrid_passes_the_method_on():
    X, y = noisy("variance_gamma")
    refiner = calibrator_of("variance_gamma")
    hybrid = HybridCalibrator(LeastSquaresCalibrator(refiner.pricer), refiner).fit(X, y)
    for method in ("wald", "profile"):
        expected = hybrid.refiner_.predict_interval(X, 0.8, hybrid.initial_.predict(X), method)
        assert_allclose(hybrid.predict_interval(X, 0.8, method), expected, rtol=1e-4)


def test_unknown_method():
    X, _ = noisy("variance_gamma")
    with pytest.raises(ValueError, match=r"method must be one of .*'profile', 'wald'.*'normal'"):
        calibrator_of("variance_gamma").fit(X).predict_interval(X, method="normal")


@pytest.mark.parametrize(
    ("model", "copies"),
    [("variance_gamma", 50), pytest.param("cgmy", 200, marks=pytest.mark.slow)],
)
def test_coverage(model, copies):
    X, params = noisy(model, copies=copies)
    low, high = np.moveaxis(calibrator_of(model).fit(X).predict_interval(X), 2, 0)
    covered = (low <= params) & (params <= high)
    least, most = binom.interval(0.9999, len(X), 0.95)
    assert (covered.sum(axis=0) >= least).all()
    # Bounds that cut regions off may make them cover more often.
    assert (covered.sum(axis=0) <= most).all() or model == "cgmy"
