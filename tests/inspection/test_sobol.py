"""Sobol indices, against closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import sobol_sensitivity
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer

PRICER = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))


def ishigami(x, a=7.0, b=0.1):
    return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_ishigami():
    """Ishigami and Homma (1990): the third input acts by its interaction with the first alone."""
    a, b = 7.0, 0.1
    one = 0.5 * (1 + b * np.pi**4 / 5) ** 2
    two, both = a**2 / 8, 8 * b**2 * np.pi**8 / 225
    total = one + two + both
    table = sobol_sensitivity(ishigami, [[-np.pi, np.pi]] * 3, n_samples=8192, random_state=0)
    assert_allclose(table.first_order, np.array([one, two, 0]) / total, atol=0.01)
    assert_allclose(table.total_order, np.array([one + both, two, both]) / total, atol=0.01)
    assert list(table.input) == ["x0", "x1", "x2"]
    # Half widths shrink with the root of the number of points, and hold the truth.
    rough = sobol_sensitivity(ishigami, [[-np.pi, np.pi]] * 3, n_samples=512, random_state=0)
    ratio = rough.total_order_error / table.total_order_error
    assert ((ratio > 2.5) & (ratio < 6)).all()  # 4


def test_linear_model():
    """Shares are squared slopes times widths, alone as with all others."""
    slopes, ranges = np.array([1.0, -2.0, 0.5]), np.array([[0, 1], [0, 2.0], [-3, 3]])
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = LinearRegression().fit(X, np.column_stack([X @ slopes, X[:, 0]]))
    table = sobol_sensitivity(model, ranges, n_samples=1024, random_state=0)
    effect = (slopes * np.ptp(ranges, axis=1)) ** 2
    first = table[table.output == "y0"]
    for column in ("first_order", "total_order"):
        assert_allclose(first[column], effect / effect.sum(), atol=5e-3)
        assert_allclose(table[table.output == "y1"][column], [1, 0, 0], atol=5e-3)


def test_aggregate_weighs_outputs_by_their_variance():
    # Outputs 3 x0 and x1 + x2: variances are as 9 and 2.
    def model(x):
        return np.column_stack([3 * x[:, 0], x[:, 1] + x[:, 2], np.ones(len(x))])

    options = {"n_samples": 1024, "random_state": 1, "aggregate": True}
    table = sobol_sensitivity(model, [[0, 1]] * 3, **options)
    assert_allclose(table.first_order, np.array([9, 1, 1]) / 11, atol=5e-3)
    assert list(table.output.unique()) == ["all"]


def test_of_a_pricer_are_of_its_parameters_over_their_market_ranges():
    table = sobol_sensitivity(PRICER, n_samples=128, random_state=0)
    assert list(table.output) == list(PRICER.grid.get_feature_names_out())
    assert list(table.input) == ["sigma"] * 6
    assert_allclose(table.total_order, 1, atol=0.02)  # it is all there is
    # A logarithmic scale is that of the draw: prices are those of the extreme volatilities.
    seen = []
    pricer = ContourPricer("heston", PRICER.grid)
    sobol_sensitivity(pricer, n_samples=2, random_state=0)
    parameters = {p.name: p for p in pricer.fit([[0.04, 1.5, 0.04, 0.5, -0.5]]).parameters_}

    class Spy(ContourPricer):
        def evaluate(self, params, gradient=False, **planned):
            seen.append(params)
            return super().evaluate(params, gradient, **planned)

    sobol_sensitivity(Spy("heston", PRICER.grid), n_samples=512, random_state=0)
    v0 = seen[0][:, 0]
    low, high = parameters["v0"].market_range
    middle = np.sqrt(low * high) if parameters["v0"].scale == "log" else (low + high) / 2
    assert np.mean(v0 < middle) == pytest.approx(0.5, abs=0.01)


def test_of_a_calibrator_are_of_its_quotes():
    X = PRICER.fit([[0.2]]).transform([[0.2]])
    calibrator = LeastSquaresCalibrator(PRICER).fit(X)
    ranges = np.column_stack([X[0] * 0.99, X[0] * 1.01])
    table = sobol_sensitivity(calibrator, ranges, n_samples=64, random_state=0)
    assert list(table.input) == list(PRICER.grid.get_feature_names_out())
    assert set(table.output) == {"sigma"}
    # Least squares is nearly linear over so small a range.
    weight = (calibrator.jacobian(X)[0, 0] * np.ptp(ranges, axis=1)) ** 2
    assert_allclose(table.total_order, weight / weight.sum(), atol=0.03)


def test_random_state():
    first, again, other = (
        sobol_sensitivity(PRICER, n_samples=16, random_state=seed) for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    sobol_sensitivity(PRICER, n_samples=16, random_state=0)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_leaves_out_what_is_not_finite_and_says_so():
    def broken(x):
        return np.where(x[:, 0] > 0.95, np.nan, x[:, 0] + x[:, 1])

    with pytest.warns(CalibrationWarning, match="base points are left out"):
        table = sobol_sensitivity(broken, [[0, 1]] * 2, n_samples=256, random_state=0)
    assert_allclose(table.first_order, [0.475, 0.525], atol=0.03)  # 0.95**2 against 1


def test_constant_outputs_have_no_indices():
    table = sobol_sensitivity(lambda x: np.full(len(x), 3.1), [[0, 1]] * 2, n_samples=8)
    assert table[["first_order", "total_order"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 100}, "power of two"),
        ({"ranges": None}, "ranges must be given"),
        ({"ranges": [[0, 1]]}, r"ranges must have shape \(6, 2\)"),
        ({"ranges": [[1, 0]] * 6}, r"entry 0 is \(1, 0\)"),
    ],
)
def test_refuses(options, message):
    X = PRICER.fit([[0.2]]).transform([[0.2], [0.3]])
    calibrator = LeastSquaresCalibrator(clone(PRICER)).fit(X)
    arguments = {"ranges": [[1, 2]] * 6, **options}
    with pytest.raises(ValueError, match=message):
        sobol_sensitivity(calibrator, **arguments)
