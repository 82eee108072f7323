"""Calm, normal and stressed markets."""

import numpy as np
import pytest

from levylearn.datasets import make_surfaces, market_regimes
from levylearn.market import OptionGrid
from levylearn.models import Parameter, VarianceGamma, get_model, list_models

ATM = OptionGrid([100], [0.25, 1.0])


@pytest.mark.parametrize("model", list_models())
def test_volatility_rises_with_stress(model):
    medians = []
    for regime in ("calm", "normal", "stressed"):
        arguments = {"n_samples": 128, "distribution": regime, "random_state": 0}
        X, _ = make_surfaces(model, ATM, output="implied_vol", **arguments)
        medians.append(np.median(X, axis=0))
    assert (np.diff(medians, axis=0) > 0.02).all(), medians


@pytest.mark.parametrize("model", list_models())
def test_regimes_are_parts_of_the_market_ranges(model):
    regimes = market_regimes(model)
    assert list(regimes) == ["calm", "normal", "stressed"]
    for parameter in get_model(model).parameters:
        low, high = parameter.market_range
        parts = [regimes[regime][parameter.name] for regime in regimes]
        starts, ends = np.array(parts).T
        assert np.isclose(starts.min(), low)
        assert np.isclose(ends.max(), high)
        assert (starts < ends).all()
        # Neighbours overlap, and one follows the other.
        rising = starts[0] < starts[2]
        middle = np.array(parts[1])
        before, after = (parts[0], parts[2]) if rising else (parts[2], parts[0])
        assert before[0] < middle[0] < before[1] < after[1]
        assert middle[0] < after[0] < middle[1]


def test_directions():
    """What everybody expects of a stressed market."""
    rising = {
        "heston": {"v0": 1, "kappa": -1, "theta": 1, "sigma": 1, "rho": -1},
        "kou": {"sigma": 1, "lam": 1, "p": -1, "eta1": -1, "eta2": -1},
        "nig": {"alpha": -1, "beta": -1, "delta": 1},
        "variance_gamma": {"sigma": 1, "nu": 1, "theta": -1},
        "cgmy": {"C": 1, "G": -1, "M": -1, "Y": 1},
        "merton": {"sigma": 1, "lam": 1, "muj": -1, "sigmaj": 1},
    }
    for model, expected in rising.items():
        regimes = market_regimes(model)
        for name, sign in expected.items():
            difference = np.subtract(regimes["stressed"][name], regimes["calm"][name])
            assert (np.sign(difference) == sign).all(), (model, name)


class WithLabel(VarianceGamma):
    """A model with a parameter that does nothing."""

    name = "with_label"
    parameters = (*VarianceGamma.parameters, Parameter("label", "l", (0.0, 9.0), (1.0, 2.0)))

    def cumulant_rates(self, params):
        return super().cumulant_rates(params[:, :3])

    def joint_constraint(self, params):
        return super().joint_constraint(params[:, :3])


def test_what_does_nothing_keeps_its_range():
    regimes = market_regimes(WithLabel())
    assert all(regimes[regime]["label"] == (1.0, 2.0) for regime in regimes)
    assert regimes["calm"]["sigma"] == market_regimes("variance_gamma")["calm"]["sigma"]


def test_regimes_serve_as_ranges():
    by_name = make_surfaces("nig", ATM, 50, distribution="stressed", random_state=0)
    by_range = make_surfaces(
        "nig", ATM, 50, ranges=market_regimes("nig")["stressed"], random_state=0
    )
    np.testing.assert_array_equal(by_name[1], by_range[1])
