"""Characteristic functions, gradients and cumulants against textbook formulas in 60 digits."""

from functools import partial

import numpy as np
import pytest

from levylearn.models import get_model, list_models
from levylearn.models._base import CharacteristicModel
from levylearn.testing._common import sample_parameters
from tests.models import _truth

MATURITIES = (1 / 365, 0.5, 10.0)
# On bent lines through -i/2, and near the origin, where values cancel.
POINTS = np.array(
    [1e-6, 0.3 - 0.5j, 0.01 - 0.9j, 3.0 - 0.2j, 8.0 + 4.0j, 20.0 - 11.0j, 150.0 + 40.0j]
)

# Corners at which textbook formulas lose their digits in double precision.
CORNERS = {
    "variance_gamma": [(0.2, 1e-6, -0.1), (0.01, 15.0, -0.3), (0.12, 0.2, -0.14)],
    "cgmy": [
        *((0.1, 2.0, 4.0, Y) for Y in (0.0, 1e-9, 1.0, 1 - 1e-8, 1 + 1e-8, 0.5, 1.7, -0.5, -3.0)),
        *((1.0, 5.0, 1.5, Y) for Y in (-1e-9, 1e-5, 0.49999, 0.99999, 1.00001, 1.99, -1.0)),
        (0.02, 1e-3, 150.0, 1.3),
    ],
    "nig": [(100.0, 99.0 - 0.5, 0.1), (0.7, -0.5, 1.0), (10.0, -9.9, 0.3)],
    "merton": [(0.2, 0.0, -0.1, 0.1), (0.2, 0.5, 0.0, 0.0), (0.2, 1e-8, -0.1, 0.1)],
    "kou": [(0.2, 0.0, 0.5, 10.0, 5.0), (0.2, 1.0, 1.0, 1.001, 0.02), (0.1, 1.0, 0.0, 5.0, 5.0)],
    "heston": [
        *((0.04, 1.5, 0.06, sigma, -0.7) for sigma in (1e-2, 1e-4, 1e-6, 1e-9)),
        (0.04, 1.5, 0.04, 2.0, -0.95),
        (0.01, 0.05, 0.5, 5.0, -0.999),
        (0.04, 20.0, 0.04, 0.5, 0.98),
        (0.0, 1.0, 0.04, 0.5, -0.5),
        (0.04, 1e-8, 0.04, 0.5, -0.5),
        (0.04, 1.5, 0.04, 0.5, -1.0),
        (0.04, 1.5, 0.04, 0.5, 0.0),
    ],
}


def cases(n=3):
    """Each model with random parameter sets of its market range, and with its corners."""
    for name in list_models():
        model = get_model(name)
        drawn = sample_parameters(model.parameters, model.admissible, n, random_state=7)
        for params in [*drawn, *CORNERS.get(name, [])]:
            yield pytest.param(
                name, np.array(params), id=f"{name}-{'-'.join(f'{v:.6g}' for v in params)}"
            )


@pytest.mark.parametrize(("name", "params"), [*cases()])
def test_log_cf(name, params):
    model = get_model(name)
    model.validate(params[None])
    for maturity in MATURITIES:
        found = model.log_cf(POINTS, maturity, params[None])[0]
        expected = np.array([complex(_truth.log_cf(name, u, maturity, params)) for u in POINTS])
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(("name", "params"), [*cases(n=2)])
def test_gradient(name, params):
    model, points = get_model(name), POINTS[[1, 3, 5, 6]]
    for maturity in MATURITIES:
        found = model.log_cf_gradient(points, maturity, params[None])[0]
        expected = np.array(
            [
                [complex(v) for v in _truth.log_cf_gradient(name, u, maturity, params)]
                for u in points
            ]
        ).T
        # A derivative by a parameter that has no effect is zero on the scale of log_cf.
        scale = 1e-14 * np.abs(model.log_cf(points, maturity, params[None])[0])
        assert np.all(np.abs(found - expected) <= 1e-8 * np.abs(expected) + scale)


@pytest.mark.parametrize(("name", "params"), [*cases(n=2)])
@pytest.mark.parametrize("method", ["own", "differences"])
def test_rate(name, params, method):
    model, points = get_model(name), POINTS[[1, 3, 5, 6]]
    rate = model.log_cf_rate if method == "own" else partial(CharacteristicModel.log_cf_rate, model)
    tolerance = 1e-12 if method == "own" else 1e-9
    for maturity in MATURITIES:
        expected = [complex(_truth.log_cf_rate(name, u, maturity, params)) for u in points]
        found = rate(points, maturity, params[None])[0]
        # What has decayed away with time is known on the scale of what it decayed from.
        scale = tolerance * np.abs(rate(points, 1e-6, params[None])[0])
        assert np.all(np.abs(found - expected) <= tolerance * np.abs(expected) + scale)


@pytest.mark.parametrize(("name", "params"), [*cases()])
@pytest.mark.parametrize("method", ["own", "from circles"])
def test_cumulants(name, params, method):
    model = get_model(name)
    for maturity in MATURITIES:
        if method == "own":
            found = model.cumulants(maturity, params[None])[0]
        else:
            found = CharacteristicModel.cumulants(model, maturity, params[None])[0]
        expected = np.array([float(v) for v in _truth.cumulants(name, maturity, params)])
        # Odd cumulants of a symmetric law are zero on the scale of its deviation.
        scale = 1e-3 * expected[1] ** (np.arange(1, 5) / 2)
        assert np.all(np.abs(found - expected) <= 1e-8 * (np.abs(expected) + scale))
