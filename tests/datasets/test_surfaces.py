"""Surfaces in memory: right prices, no arbitrage, noise, and what is returned."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from levylearn.datasets import make_surfaces
from levylearn.market import OptionGrid, check_arbitrage
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer
from levylearn.utils._sklearn import InvalidParameterError
from tests.datasets._noise import Doubler, Multiplied

GRID = OptionGrid([80, 90, 100, 110, 120], [0.1, 0.5, 1.0], rate=0.03, dividend=0.01)
ATM = OptionGrid([100], [0.5])
# 30 days to two years.
LARGE = OptionGrid(np.linspace(80, 120, 20), np.linspace(30, 730, 10) / 365, rate=0.03)


@pytest.mark.parametrize("model", list_models())
def test_prices_without_arbitrage(model):
    X, y = make_surfaces(model, LARGE, 150, random_state=0)
    assert X.shape == (150, 200)
    # A portfolio has up to four legs, each with a tolerance: 1e-12 of spot together.
    report = check_arbitrage(X, LARGE, tolerance=0.25e-12 * LARGE.spot)
    assert report.n_violations == 0, report
    assert_allclose(X, ContourPricer(model, LARGE).fit(y).transform(y), atol=1e-11)
    assert get_model(model).admissible(y).all()


def test_a_longer_set_begins_with_the_shorter():
    X, y = make_surfaces("nig", ATM, 5000, random_state=3)  # two blocks
    for n in (1, 300, 4500):
        shorter, params = make_surfaces("nig", ATM, n, random_state=3)
        assert_array_equal(params, y[:n])
        assert_allclose(shorter, X[:n], atol=1e-11)


def test_random_state():
    def made(random_state):
        return make_surfaces("nig", GRID, 20, random_state=random_state)

    assert_array_equal(made(5)[1], made(5)[1])
    assert_array_equal(made(5)[1], made(np.random.RandomState(5))[1])
    stream = np.random.RandomState(5)
    assert not np.isin(made(stream)[1], made(stream)[1]).any()
    assert not np.isin(made(None)[1], made(None)[1]).any()


@pytest.mark.parametrize("output", ["price", "forward_price", "implied_vol"])
def test_output(output):
    puts = OptionGrid([90, 100], [0.5], rate=0.05, option_type="put")
    X, y = make_surfaces("merton", puts, 20, output=output, random_state=0)
    expected = ContourPricer("merton", puts, output=output).fit(y).transform(y)
    assert_allclose(X, expected, atol=1e-11)


def test_pricer_gets_model_grid_and_output():
    pricer = ContourPricer("heston", LARGE, output="implied_vol", n_jobs=2)
    X, _ = make_surfaces("nig", GRID, 20, random_state=0, pricer=pricer)
    assert_array_equal(X, make_surfaces("nig", GRID, 20, random_state=0)[0])
    assert pricer.get_params() == {
        "model": "heston",
        "grid": LARGE,
        "output": "implied_vol",
        "n_jobs": 2,
    }


def test_what_is_returned():
    X, y = make_surfaces("heston", GRID, 10, random_state=0)
    data = make_surfaces("heston", GRID, 10, random_state=0, return_X_y=False)
    assert set(data) == {"X", "y", "feature_names", "parameter_names", "grid", "model"}
    assert_array_equal(data.X, X)
    assert_array_equal(data.y, y)
    assert (data.grid, data.model) == (GRID, get_model("heston"))
    frame, params = make_surfaces("heston", GRID, 10, random_state=0, as_frame=True)
    assert isinstance(frame, pd.DataFrame)
    assert_array_equal(frame, X)
    assert_array_equal(params, y)
    assert list(frame.columns) == list(data.feature_names) == list(GRID.get_feature_names_out())
    assert list(params.columns) == data.parameter_names == ["v0", "kappa", "theta", "sigma", "rho"]


# -- noise --------------------------------------------------------------------


def test_noise():
    X, y = make_surfaces("nig", ATM, 5000, random_state=0)  # two blocks
    noise = Multiplied(scale=0.02)
    noisy, params = make_surfaces("nig", ATM, 5000, random_state=0, noise=noise)
    assert_array_equal(params, y)
    assert noise.random_state is None  # a copy was used
    errors = noisy / X - 1
    assert abs(errors.std() / 0.02 - 1) < 0.03
    # Neither blocks nor sets share their errors.
    assert len(np.unique(errors.round(14))) > 0.99 * errors.size
    assert_array_equal(make_surfaces("nig", ATM, 5000, random_state=0, noise=noise)[0], noisy)
    X, _ = make_surfaces("nig", ATM, 5000, random_state=1)
    other, _ = make_surfaces("nig", ATM, 5000, random_state=1, noise=noise)
    assert abs(np.corrcoef((other / X - 1)[:, 0], errors[:, 0])[0, 1]) < 0.06


def test_parts_of_noise_are_independent():
    noise = make_pipeline(Multiplied(), Multiplied())
    X = make_surfaces("nig", GRID, 200, random_state=0)[0]
    noisy = make_surfaces("nig", GRID, 200, random_state=0, noise=noise)[0]
    assert abs((noisy / X - 1).std() / (np.sqrt(2) * 0.01) - 1) < 0.05
    assert noise[0].random_state is None


def test_noise_by_its_method_alone():
    X = make_surfaces("nig", GRID, 20, random_state=0)[0]
    assert_array_equal(make_surfaces("nig", GRID, 20, random_state=0, noise=Doubler())[0], 2 * X)


def test_noise_must_keep_the_shape():
    noise = FunctionTransformer(lambda X: X[:, 1:])
    with pytest.raises(ValueError, match=r"noise must keep the shape .* \(20, 15\); .* \(20, 14\)"):
        make_surfaces("nig", GRID, 20, noise=noise)


def test_scikit_learn_set_to_pandas():
    expected = make_surfaces("nig", GRID, 20, random_state=0, noise=Multiplied())
    with sklearn.config_context(transform_output="pandas"):
        found = make_surfaces("nig", GRID, 20, random_state=0, noise=Multiplied())
    assert isinstance(found[0], np.ndarray)
    assert_array_equal(found[0], expected[0])


# -- bad input ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_samples": 0}, "'n_samples' .* must be an int in the range"),
        ({"grid": [100]}, "'grid' .* must be an instance of .*OptionGrid"),
        ({"model": "hestn"}, "unknown model 'hestn'"),
        ({"distribution": "uniform"}, "'distribution' .* must be a str among"),
        ({"ranges": [(0, 1)]}, "'ranges'"),
        ({"sampling": "halton"}, "'sampling'"),
        ({"noise": 0.01}, "'noise'"),
        ({"output": "volatility"}, "'output'"),
        ({"pricer": "contour"}, "'pricer'"),
        ({"random_state": "x"}, "'random_state'"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words) as error:
        make_surfaces(**{"model": "heston", "grid": GRID, **arguments})
    assert ("'" in words[:1]) == isinstance(error.value, InvalidParameterError)
