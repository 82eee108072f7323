"""Errors of parameters in units of their ranges."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from levylearn.datasets import make_surfaces
from levylearn.market import OptionGrid
from levylearn.metrics import failure_rate, parameter_mae, parameter_r2, parameter_rmse
from levylearn.models import get_model

GRID = OptionGrid([100], [0.5])
_, Y = make_surfaces("heston", GRID, 60, random_state=0)
FOUND = Y + np.random.default_rng(0).normal(scale=0.1 * Y.std(axis=0), size=Y.shape)
WIDTHS = np.array([np.ptp(p.market_range) for p in get_model("heston").parameters])
METRICS = [
    (parameter_mae, mean_absolute_error),
    (parameter_rmse, root_mean_squared_error),
    (parameter_r2, r2_score),
]
every = pytest.mark.parametrize(("ours", "theirs"), METRICS)


@every
@pytest.mark.parametrize("multioutput", ["raw_values", "uniform_average"])
def test_scikit_learn_on_scaled_parameters(ours, theirs, multioutput):
    expected = theirs(Y / WIDTHS, FOUND / WIDTHS, multioutput=multioutput)
    found = ours(Y, FOUND, model="heston", multioutput=multioutput)
    assert_allclose(found, expected, rtol=1e-12)
    frames = pd.DataFrame(Y), pd.DataFrame(FOUND)
    assert_allclose(ours(*frames, model="heston", multioutput=multioutput), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", [parameter_mae, parameter_rmse])
def test_ranges_replace_those_of_the_model(metric):
    ranges = [(0, 1), (1, 3), (0, 4), (-2, 6), (0, 16)]
    each = metric(Y, FOUND, ranges=[(0, 1)] * 5, multioutput="raw_values")
    found = metric(Y, FOUND, model="heston", ranges=ranges, multioutput="raw_values")
    assert_allclose(found, each / [1, 2, 4, 8, 16], rtol=1e-12)


@every
def test_one_parameter(ours, theirs):
    options = {} if ours is parameter_r2 else {"ranges": [(0.0, 2.0)]}
    expected = ours(Y[:, :1], FOUND[:, :1], **options)
    assert ours(Y[:, 0], FOUND[:, 0], **options) == expected
    assert isinstance(expected, float)


@every
def test_a_surface_that_was_not_calibrated_is_not_hidden(ours, theirs):
    lost = FOUND.copy()
    lost[[3, 7]] = np.nan
    assert np.isnan(ours(Y, lost, model="heston"))
    assert np.isnan(ours(Y, lost, model="heston", multioutput="raw_values")).all()
    kept = np.delete(np.arange(60), [3, 7])
    found = ours(Y, lost, model="heston", nan_policy="omit")
    assert found == ours(Y[kept], FOUND[kept], model="heston")
    assert np.isnan(ours(Y, np.full_like(Y, np.nan), model="heston", nan_policy="omit"))
    assert failure_rate(Y, lost) == pytest.approx(2 / 60)


@every
def test_equal_parts_may_be_exchanged(ours, theirs):
    _, y = make_surfaces("double_heston_jump", GRID, 40, random_state=0)
    swapped = y[:, [*range(5, 10), *range(5), *range(10, y.shape[1])]]
    swapped[1::2] = y[1::2]
    perfect = 1.0 if ours is parameter_r2 else 0.0
    assert ours(y, swapped, model="double_heston_jump", order_by="kappa") == perfect
    assert abs(ours(y, swapped, model="double_heston_jump") - perfect) > 0.05


@every
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (Y, FOUND[:5], r"same shape.*\(60, 5\) and \(5, 5\)"),
        (np.full_like(Y, np.nan), FOUND, "y_true contains NaN"),
        (Y, np.full_like(Y, np.inf), "y_pred contains infinity"),
    ],
)
def test_refuses_parameters(ours, theirs, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        ours(y_true, y_pred, model="heston")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give a model, or ranges"),
        ({"ranges": [(0, 1)]}, r"ranges must have shape \(5, 2\).*got \(1, 2\)"),
        ({"ranges": [(1, 1)] * 5}, "the upper end must be above the lower one; entry 0 is"),
        ({"model": "variance_gamma"}, r"ranges must have shape \(5, 2\)"),
        ({"model": "heston", "nan_policy": "skip"}, "nan_policy"),
        ({"ranges": [(0, 1)] * 5, "order_by": "kappa"}, "needs the model whose parts it orders"),
    ],
)
def test_refuses_options(options, message):
    with pytest.raises(ValueError, match=message):
        parameter_mae(Y, FOUND, **options)
