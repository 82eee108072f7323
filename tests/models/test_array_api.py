"""The formulas run on any array library that keeps to the array API standard."""

import numpy as np
import pytest

from levylearn.models import get_model, list_models
from levylearn.testing._common import sample_parameters

U = np.array([0.3 - 0.5j, 2.0 - 0.4j, 15.0 + 3.0j])


def library(name):
    return pytest.importorskip("array_api_strict" if name == "strict" else name)


@pytest.fixture(params=["strict", "torch"])
def xp(request):
    return library(request.param)


@pytest.mark.parametrize("name", list_models())
def test_same_numbers_as_with_numpy(name, xp):
    model = get_model(name)
    params = sample_parameters(model.parameters, model.admissible, 4, random_state=0)
    u, rows = xp.asarray(U), xp.asarray(params)
    for method in (model.log_cf, model.log_cf_gradient):
        expected, found = method(U, 0.5, params), method(u, 0.5, rows)
        assert type(found) is type(u)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-11)
