"""Every model keeps the public contract, and the contract notices when one does not."""

import copy

import numpy as np
import pytest

from levylearn.models import (
    CharacteristicModel,
    Heston,
    Parameter,
    VarianceGamma,
    get_model,
    list_models,
)
from levylearn.testing import check_model
from tests.models._meixner import Meixner


@pytest.mark.parametrize("name", list_models())
def test_built_in_model(name):
    check_model(get_model(name))


def test_plug_in_with_one_method():
    check_model(Meixner())


class Circling(Meixner):
    """The logarithm of cosh, whose argument circles the origin."""

    @staticmethod
    def _log_cosh(w):
        return np.log(np.cosh(w))


class Drifting(Meixner):
    """Without the compensation that makes the forward a martingale."""

    def log_cf(self, u, maturity, params):
        return super().log_cf(u, maturity, params) + 0.01j * u * maturity


class Shifted(Meixner):
    """Probabilities that do not sum to one."""

    def log_cf(self, u, maturity, params):
        return super().log_cf(u, maturity, params) + 0.01 * (1 + 0j * u)


class Modulated(Meixner):
    """A modulus, which is not analytic, though exact on the real axis and at -i."""

    def log_cf(self, u, maturity, params):
        bump = 1e-3 * np.sin(np.abs(u) ** 2 * np.pi) * u.real
        return super().log_cf(u, maturity, params) + 1j * bump


class Unsymmetric(Meixner):
    """A complex return."""

    def log_cf(self, u, maturity, params):
        return super().log_cf(u, maturity, params) * (1 + 0.1j)


class Explosive(Meixner):
    """A variance below zero."""

    def log_cf(self, u, maturity, params):
        return -super().log_cf(u, maturity, params)


class Overflowing(Meixner):
    """cosh in place of its logarithm's own formula, which overflows."""

    @staticmethod
    def _log_cosh(w):
        log = Meixner._log_cosh(w)
        return np.where(np.isfinite(np.cosh(w)), log, np.nan)


class Careless(Meixner):
    """A gradient with a sign error."""

    def log_cf_gradient(self, u, maturity, params):
        return -super().log_cf_gradient(u, maturity, params)


class Sized(Meixner):
    """Cumulants of another maturity."""

    def cumulants(self, maturity, params):
        return super().cumulants(2 * maturity, params)


class Centred(Meixner):
    """Rows that know of each other."""

    def log_cf(self, u, maturity, params):
        return super().log_cf(u, maturity, params - params.mean(axis=0) + params.mean(axis=0)[0])


class Flat(Meixner):
    """One row only."""

    def log_cf(self, u, maturity, params):
        return super().log_cf(u, maturity, params)[0]


class Writing(Meixner):
    """Arguments written to."""

    def log_cf(self, u, maturity, params):
        value = super().log_cf(u, maturity, params)
        u += 0.0
        return value


class Uniform(Meixner):
    """The same arguments for all sets."""

    def log_cf(self, u, maturity, params):
        return super().log_cf(u[-1] if u.ndim == 2 else u, maturity, params)


class Timeless(Meixner):
    """The rate of another clock."""

    def log_cf_rate(self, u, maturity, params):
        return 252 / 365 * super().log_cf_rate(u, maturity, params)


class Twice(Meixner):
    """Two parameters of one name."""

    parameters = (Meixner.parameters[0], *Meixner.parameters[:2])


class Wide(Meixner):
    """A market range beyond the domain."""

    parameters = (
        Parameter("alpha", r"\alpha", domain=(0, 0.5), market_range=(0.1, 1.0)),
        *Meixner.parameters[1:],
    )


class Lenient(Meixner):
    """Nothing is refused."""

    def admissible(self, params):
        return np.ones(len(params), dtype=bool)


class Nameless(Meixner):
    """A repr with an address."""

    def __repr__(self):
        return object.__repr__(self)


class Jumpy(VarianceGamma):
    """A few jumps too many."""

    def levy_density(self, x, params):
        return 1.001 * super().levy_density(x, params)


class Diffuse(VarianceGamma):
    """A Brownian part that the exponent has not."""

    def gaussian_variance(self, params):
        return 2 * self.cumulants(1.0, params)[:, 1]


class Trapped(CharacteristicModel):
    """Heston as in the paper of 1993: the logarithm leaves its principal branch."""

    name = "trapped"
    parameters = Heston.parameters

    def log_cf(self, u, maturity, params):
        v0, kappa, theta, sigma, rho = params.T[:, :, None]
        xi = kappa - rho * sigma * 1j * u
        d = np.sqrt(xi**2 + sigma**2 * (u**2 + 1j * u))
        g = (xi + d) / (xi - d)
        growth = np.exp(d * maturity)
        log = np.log((1 - g * growth) / (1 - g))
        per_v0 = (xi + d) / sigma**2 * (1 - growth) / (1 - g * growth)
        return v0 * per_v0 + kappa * theta / sigma**2 * ((xi + d) * maturity - 2 * log)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (Circling(), "real part is -inf|analytic|jump"),
        (Drifting(), "martingale"),
        (Shifted(), r"log_cf\(0\) is 0"),
        (Modulated(), "analytic"),
        (Unsymmetric(), "conjugate"),
        (Explosive(), "exceeds 1"),
        (Overflowing(), "bent lines log_cf is finite"),
        (Careless(), "derivative of log_cf"),
        (Sized(), "derivatives of log_cf at 0"),
        (Centred(), "alone"),
        (Flat(), r"shapes.*expected shape \(1, 1\)"),
        (Writing(), "written to"),
        (Uniform(), "own arguments"),
        (Timeless(), "by maturity"),
        (Twice(), "names of their own"),
        (Wide(), "nested|Market ranges"),
        (Lenient(), "outside its domain"),
        (Nameless(), "repr"),
        (Jumpy(), "cumulants of the model.* moments of the density"),
        (Diffuse(), "cumulants of the model.* The Brownian part"),
        (Trapped(), "analytic|jump|exceeds 1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CharacteristicModel) else None,
)
def test_broken_model_is_noticed(model, rule):
    with pytest.raises(AssertionError, match=f"breaks the rule: .*({rule})"):
        check_model(model)


def test_wrong_branch_alone_is_noticed():
    """The greatest danger: right everywhere but beyond a branch cut."""

    class Jumping(Meixner):
        def log_cf(self, u, maturity, params):
            value = super().log_cf(u, maturity, params)
            return np.where(np.abs(u.real) > 50.3, value + 2j * np.pi * np.sign(u.real), value)

    with pytest.raises(AssertionError, match=r"it jumps by 6\.2831. at u=50\.3"):
        check_model(Jumping())


def test_refuses_what_is_no_model():
    with pytest.raises(TypeError, match="model must be an instance of CharacteristicModel"):
        check_model("heston")


@pytest.mark.parametrize("name", list_models())
def test_models_are_values(name):
    model = get_model(name)
    assert model == get_model(name)
    assert {model: 1}[copy.copy(model)] == 1
    assert model != Meixner()
