"""What holds for every model and any parameters within its calibration box."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levylearn.models import get_model, list_models


@st.composite
def parameter_sets(draw, model, box="calibration"):
    """One parameter set, anywhere in a box of the model, on the parameters' scales."""
    values = []
    for parameter in model.parameters:
        low, high = parameter.bounds if box == "calibration" else parameter.market_range
        if parameter.scale == "log":
            values.append(np.exp(draw(st.floats(np.log(low), np.log(high)))))
        else:
            values.append(draw(st.floats(low, high)))
    params = np.array([values])
    middle = np.mean([parameter.market_range for parameter in model.parameters], axis=1)
    # Where the model does not exist, move towards the middle of the market.
    while not model.admissible(params)[0]:
        params = 0.7 * params + 0.3 * middle
    return params


def explosion(model, params, maturity):
    """How fast the second moment grows where rho * sigma > kappa.

    There log_cf(-i) is a difference of terms as large: no price is computed so near to -i.
    """
    values = dict(zip(model.parameter_names, params[0], strict=True))
    rates = [
        values[f"rho{i}"] * values[f"sigma{i}"] - values[f"kappa{i}"]
        for i in ("", "1", "2")
        if f"rho{i}" in values
    ]
    return np.exp(max([0.0, *rates]) * maturity)


@pytest.mark.parametrize("name", list_models())
@settings(max_examples=25)
@given(data=st.data(), maturity=st.floats(1 / 365, 10.0))
def test_forward_is_a_martingale(name, data, maturity):
    model = get_model(name)
    params = data.draw(parameter_sets(model))
    at = model.log_cf(np.array([-1j, 0j, 1.0 + 0j]), maturity, params)[0]
    scale = (1 + np.abs(at[2])) * explosion(model, params, maturity)
    assert np.all(np.isfinite(at))
    assert np.abs(at[:2]).max() <= 1e-11 * scale


@pytest.mark.parametrize("name", list_models())
@settings(max_examples=25)
@given(
    data=st.data(),
    maturity=st.floats(1 / 365, 10.0),
    real=st.floats(1e-3, 1e3),
    angle=st.floats(-0.7, 0.7),
)
def test_return_is_real(name, data, maturity, real, angle):
    """phi(-conj u) = conj phi(u), and |phi| <= 1 on the real axis."""
    model = get_model(name)
    params = data.draw(parameter_sets(model))
    u = np.array([real * (1 + 1j * np.tan(angle)) - 0.5j, real + 0j])
    with np.errstate(all="ignore"):
        here, there = (model.log_cf(v, maturity, params)[0] for v in (u, -u.conj()))
    assert here[1].real <= 1e-12
    same = np.isclose(there, here.conj(), rtol=1e-12, atol=1e-13)
    assert np.all(same | ~np.isfinite(here))


@pytest.mark.parametrize("name", list_models())
@settings(max_examples=15)
@given(data=st.data(), maturity=st.floats(1 / 365, 10.0))
def test_cumulants_make_a_law(name, data, maturity):
    """Mean below zero, as the forward is a martingale; Pearson's bound on the kurtosis."""
    model = get_model(name)
    params = data.draw(parameter_sets(model))
    mean, variance, third, fourth = model.cumulants(maturity, params)[0]
    assert mean < 0
    assert variance > 0
    skewness, kurtosis = third / variance**1.5, fourth / variance**2 + 3
    assert kurtosis >= (1 + skewness**2) * (1 - 1e-9)
