"""ParameterTransformer: there and back for every model, ends included."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import cross_val_score

from levylearn.exceptions import CalibrationWarning
from levylearn.market import OptionGrid
from levylearn.models import get_model, list_models
from levylearn.preprocessing import ParameterTransformer, order_parts
from levylearn.pricing import ContourPricer
from levylearn.testing._common import sample_parameters
from tests.models._meixner import Meixner

# Of the models that have one on several parameters.
CONDITIONS = {"nig": r"rows of coordinates.*alpha > max", "variance_gamma": r"nu \* \(theta"}
GRID = OptionGrid([85, 95, 100, 105, 115], [0.25, 1.0])


def sample(name, n_samples=200):
    model = get_model(name)
    return sample_parameters(model.parameters, model.admissible, n_samples, random_state=0)


@pytest.mark.parametrize("within", ["domain", "bounds"])
@pytest.mark.parametrize("model", [*list_models(), Meixner()], ids=str)
def test_there_and_back(model, within):
    params = sample(model)
    transformer = ParameterTransformer(model, within).fit(params)
    z = transformer.transform(params)
    assert np.isfinite(z).all()
    assert_allclose(transformer.inverse_transform(z), params, rtol=1e-12, atol=1e-14)
    # Larger parameters have larger coordinates.
    assert_array_equal(np.argsort(z, axis=0), np.argsort(params, axis=0))
    copy = pickle.loads(pickle.dumps(transformer))
    assert_array_equal(copy.transform(params), z)


@pytest.mark.parametrize("within", ["domain", "bounds"])
@pytest.mark.parametrize("model", list_models())
def test_everything_is_a_parameter(model, within):
    """Coordinates of any size come back as parameters, but for conditions on several."""
    transformer = ParameterTransformer(model, within).fit(sample(model, 2))
    rng = np.random.default_rng(0)
    names = transformer.model_.parameter_names
    z = rng.normal(size=(300, len(names))) * 10.0 ** rng.uniform(-1, 3.5, (300, 1))
    if model in CONDITIONS:
        with pytest.warns(CalibrationWarning, match=CONDITIONS[model]):
            params = transformer.inverse_transform(z)
        kept = ~np.isnan(params).any(axis=1)
        assert 0 < kept.sum() < 300
        params = params[kept]
    else:
        params = transformer.inverse_transform(z)
    assert transformer.model_.admissible(params).all()
    if within == "bounds":
        low, high = np.array([parameter.bounds for parameter in transformer.model_.parameters]).T
        assert ((params >= low) & (params <= high)).all()


def test_formulas():
    params = np.array([[0.09, 2.0, 0.04, 0.5, -0.5]])
    z = ParameterTransformer("heston").fit(params).transform(params)
    assert_allclose(z[0], [*np.log(params[0, :4]), np.log(0.5 / 1.5)], rtol=1e-14)
    params = np.array([[0.1, 5.0, 6.0, 1.5]])  # M > 1, Y < 2
    z = ParameterTransformer("cgmy").fit(params).transform(params)
    assert_allclose(z[0], np.log([0.1, 5.0, 5.0, 2.0]), rtol=1e-14)


def test_closed_ends():
    """An end that belongs to the domain has a finite coordinate, and hardly moves."""
    params = np.array([[0.0, 0.0, 0.0, 0.5, -1.0], [0.04, 1.0, 0.04, 0.5, 1.0]])
    transformer = ParameterTransformer("heston").fit(params)
    z = transformer.transform(params)
    assert np.isfinite(z).all()
    assert_allclose(transformer.inverse_transform(z), params, rtol=1e-11, atol=1e-11)
    width = np.ptp(transformer.model_.parameters[1].market_range)
    assert_allclose(z[0, 1], np.log(1e-12 * width), rtol=1e-12)


def test_small_parameters_of_an_open_domain_are_told_apart():
    params = np.array([[1e-200], [1e-100]])
    transformer = ParameterTransformer("black_scholes").fit(params)
    back = transformer.inverse_transform(transformer.transform(params))
    assert_allclose(back, params, rtol=1e-12)


# -- order -------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["double_heston", "double_heston_jump"])
def test_factors_are_put_into_order(model):
    params = sample(model)
    params[::2] = params[::2][:, [*range(5, 10), *range(5), *range(10, params.shape[1])]]
    transformer = ParameterTransformer(model, order_by="kappa").fit(params)
    ordered = transformer.inverse_transform(transformer.transform(params))
    kappa1, kappa2 = ordered[:, 1], ordered[:, 6]
    assert (kappa1 >= kappa2).all()
    # The same sets of parameters, with the same prices.
    assert_allclose(np.sort(ordered, axis=1), np.sort(params, axis=1), rtol=1e-12)
    pricer = ContourPricer(model, GRID).fit(params)
    assert_allclose(pricer.transform(ordered[:9]), pricer.transform(params[:9]), rtol=1e-11)
    # What a regressor says is put into order too.
    z = transformer.transform(params)
    swapped = z[:, [*range(5, 10), *range(5), *range(10, params.shape[1])]]
    assert_allclose(transformer.inverse_transform(swapped), ordered, rtol=1e-12)


@pytest.mark.parametrize(("model", "order_by"), [("heston", "kappa"), ("double_heston", "lam")])
def test_nothing_to_put_into_order(model, order_by):
    with pytest.raises(ValueError, match=f"order_by must name.*{model}.*{order_by}"):
        ParameterTransformer(model, order_by=order_by).fit(sample(model, 2))


# -- as the transformer of a target ------------------------------------------------


def test_in_a_transformed_target_regressor():
    params = sample("heston", 400)
    surfaces = ContourPricer("heston", GRID, "implied_vol").fit(params).transform(params)
    regressor = TransformedTargetRegressor(Ridge(1e-6), transformer=ParameterTransformer("heston"))
    regressor.fit(surfaces, params)
    far = surfaces + np.random.default_rng(0).normal(size=surfaces.shape)
    assert get_model("heston").admissible(regressor.predict(far)).all()
    plain = Ridge(1e-6).fit(surfaces, params)
    assert not get_model("heston").admissible(plain.predict(far)).all()
    assert cross_val_score(regressor, surfaces, params).min() > 0.5


def test_one_parameter():
    y = np.linspace(0.1, 0.4, 20)
    X = np.log(y)[:, None]
    regressor = TransformedTargetRegressor(
        LinearRegression(), transformer=ParameterTransformer("black_scholes")
    )
    assert_allclose(regressor.fit(X, y).predict(X), y, rtol=1e-12)


# -- refusals ----------------------------------------------------------------------


def test_refusals():
    params = sample("heston", 2)
    with pytest.raises(ValueError, match=r"n_features=4.*expects n_features=5: v0, kappa"):
        ParameterTransformer("heston").fit(params[:, :4])
    transformer = ParameterTransformer("heston").fit(params)
    with pytest.raises(ValueError, match=r"n_features=4.*expects n_features=5"):
        transformer.inverse_transform(params[:, :4])
    with pytest.raises(ValueError, match=r"rho=2 in row 1 is outside \[-1, 1\]"):
        transformer.transform(np.array([params[0], [0.04, 1, 0.04, 0.5, 2.0]]))
    with pytest.raises(
        ValueError, match=r"kappa=0.001 in row 0 is outside \[0.05, 50\], its bounds"
    ):
        ParameterTransformer("heston", "bounds").fit(params).transform([[0.04, 1e-3, 0.04, 0.5, 0]])
    with pytest.raises(ValueError, match="within"):
        ParameterTransformer("heston", "box").fit(params)


@pytest.mark.parametrize("model", ["double_heston", "double_heston_jump"])
def test_order_parts(model):
    """The same prices, in one order however the parts came; rows that are NaN stay so."""
    params = sample(model, 30)
    swapped = params[:, [*range(5, 10), *range(5), *range(10, params.shape[1])]]
    ordered = order_parts(params, model, order_by="kappa")
    assert (ordered[:, 1] >= ordered[:, 6]).all()
    assert_array_equal(order_parts(swapped, model, order_by="kappa"), ordered)
    assert_array_equal(order_parts(ordered, model, order_by="kappa"), ordered)
    pricer = ContourPricer(model, GRID).fit(params)
    assert_allclose(pricer.transform(ordered), pricer.transform(params), rtol=1e-11)
    params[3] = np.nan
    assert_array_equal(np.isnan(order_parts(params, model, order_by="sigma")), np.isnan(params))


def test_order_parts_refuses():
    with pytest.raises(ValueError, match="'heston' has none of which 'kappa' is one"):
        order_parts(np.ones((2, 5)), "heston", order_by="kappa")
    with pytest.raises(ValueError, match="params has 5 columns, but 'double_heston' has 10"):
        order_parts(np.ones((2, 5)), "double_heston", order_by="kappa")
