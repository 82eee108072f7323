"""Models by name, and parameter sets that are refused."""

import numpy as np
import pytest

from levylearn.models import (
    CGMY,
    NIG,
    Heston,
    Kou,
    VarianceGamma,
    _registry,
    get_model,
    list_models,
    register_model,
)
from tests.models._meixner import Meixner


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(_registry, "_REGISTRY", dict(_registry._REGISTRY))


def test_names():
    assert list_models() == [
        "black_scholes",
        "variance_gamma",
        "cgmy",
        "nig",
        "merton",
        "kou",
        "heston",
        "bates",
        "double_heston",
        "double_heston_jump",
    ]
    for name in list_models():
        assert get_model(name).name == name


def test_model_passes_through():
    model = Meixner()
    assert get_model(model) is model


@pytest.mark.usefixtures("registry")
def test_registered_model_is_found():
    assert register_model(Meixner) is Meixner
    assert get_model("meixner") == Meixner()
    assert list_models()[-1] == "meixner"
    register_model(Meixner)  # again: a reloaded module


@pytest.mark.usefixtures("registry")
def test_name_that_is_taken():
    class Impostor(Meixner):
        name = "heston"

    with pytest.raises(ValueError, match="model name 'heston' is taken by Heston"):
        register_model(Impostor)


@pytest.mark.parametrize("thing", [Meixner(), int, "heston"])
def test_only_model_classes_are_registered(thing):
    with pytest.raises(TypeError, match="must be a subclass of CharacteristicModel"):
        register_model(thing)


def test_unknown_name():
    with pytest.raises(
        ValueError, match=r"unknown model 'hestn'; choose from black_scholes, .*nig"
    ):
        get_model("hestn")


@pytest.mark.parametrize("thing", [None, 3, Heston])
def test_neither_name_nor_model(thing):
    with pytest.raises(TypeError, match="name or an instance of CharacteristicModel"):
        get_model(thing)


GOOD = {
    Heston: [0.04, 1.5, 0.04, 0.5, -0.7],
    VarianceGamma: [0.12, 0.2, -0.14],
    CGMY: [1.0, 5.0, 5.0, 0.5],
    NIG: [10.0, -3.0, 0.2],
    Kou: [0.2, 1.0, 0.4, 10.0, 5.0],
}


@pytest.mark.parametrize(
    ("model", "column", "value", "message"),
    [
        (Heston, 1, -1.0, r"kappa=-1 in row 1 is outside \[0, inf\), the domain of 'heston'"),
        (Heston, 3, 0.0, r"sigma=0 in row 1 is outside \(0, inf\)"),
        (Heston, 4, 1.5, r"rho=1.5 in row 1 is outside \[-1, 1\]"),
        (Heston, 0, np.nan, "v0=nan in row 1"),
        (Heston, 0, np.inf, "v0=inf in row 1"),
        (CGMY, 2, 1.0, r"M=1 in row 1 is outside \(1, inf\)"),
        (CGMY, 3, 2.0, r"Y=2 in row 1 is outside \(-inf, 2\)"),
        (Kou, 3, 0.9, r"eta1=0.9 in row 1"),
        (VarianceGamma, 1, 100.0, None),
        (VarianceGamma, 2, 6.0, r"row 1 \(sigma=0.12, .*\) .* must satisfy nu \* \(theta \+ "),
        (NIG, 1, -10.5, r"row 1 .*must satisfy alpha > max\(\|beta\|, \|beta \+ 1\|\)"),
        (NIG, 1, 9.5, r"row 1 .*must satisfy alpha > max"),
    ],
)
def test_validate(model, column, value, message):
    params = np.array([GOOD[model]] * 3)
    params[1, column] = value
    if message is None:
        assert model().admissible(params).all()
        return
    assert list(model().admissible(params)) == [True, False, True]
    with pytest.raises(ValueError, match=message):
        model().validate(params)


@pytest.mark.parametrize("params", [GOOD[Heston], [GOOD[Heston][:4]], [[GOOD[Heston]]], 0.2])
def test_validate_shape(params):
    with pytest.raises(ValueError, match=r"must have shape \(n_samples, 5\), columns v0, kappa"):
        Heston().validate(params)


def test_validate_gives_float64():
    validated = Heston().validate([[1, 2, 1, 1, 0]])
    assert validated.dtype == np.float64
    assert validated.shape == (1, 5)


def test_feller_is_not_required():
    assert Heston().admissible(np.array([[0.04, 0.5, 0.02, 2.0, -0.95]])).all()
