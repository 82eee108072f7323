"""Parameters: where they are drawn from, how evenly, and in which order."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.stats import qmc

from levylearn.datasets._distributions import parameter_distributions
from levylearn.datasets._sampling import ParameterSampler
from levylearn.models import get_model, list_models

# Variance Gamma does not exist in all of it.
PARTLY = {"sigma": (0.5, 1.5), "nu": (0.5, 3.0), "theta": (-0.5, 0.7)}


def sampler(
    model="heston", distribution="market", ranges=None, sampling="sobol", feller=False, seed=0
):
    model = get_model(model)
    laws = parameter_distributions(model, distribution, ranges)
    return ParameterSampler(model, laws, sampling, feller, seed)


def in_unit_cube(sampler, params):
    laws = zip(sampler.distributions, params.T, strict=True)
    return np.column_stack([law.cdf(column) for law, column in laws])


@pytest.mark.parametrize("model", list_models())
def test_market_ranges_are_filled_on_the_scale_of_each(model):
    drawn = sampler(model)
    params, _ = drawn.draw(2048)
    for parameter, values in zip(drawn.model.parameters, params.T, strict=True):
        low, high = parameter.market_range
        assert low <= values.min()
        assert values.max() <= high
        scale = np.log if parameter.scale == "log" else np.asarray
        position = (scale(values) - scale(low)) / (scale(high) - scale(low))
        if model not in ("nig", "cgmy", "variance_gamma"):  # they do not exist everywhere
            assert_allclose(np.sort(position), (np.arange(2048) + 0.5) / 2048, atol=1e-3)


@pytest.mark.parametrize("n", [256, 2000])
def test_sobol_is_more_even_than_chance(n):
    found = {}
    for sampling in ("sobol", "random"):
        samplers = [sampler(sampling=sampling, seed=seed) for seed in range(4)]
        found[sampling] = [qmc.discrepancy(in_unit_cube(s, s.draw(n)[0])) for s in samplers]
    assert max(found["sobol"]) < 0.2 * min(found["random"])


@pytest.mark.parametrize("n", [256, 2000])
def test_sobol_is_more_even_where_not_all_is_admissible(n):
    """Discrepancy is for the whole cube; over a part of it means converge faster, too."""

    def mean(n, **arguments):
        drawn = sampler("variance_gamma", ranges=PARTLY, **arguments)
        return in_unit_cube(drawn, drawn.draw(n)[0]).mean(axis=0)

    truth = mean(2**17)
    errors = {
        sampling: np.sqrt(
            np.mean([(mean(n, sampling=sampling, seed=s) - truth) ** 2 for s in range(1, 9)])
        )
        for sampling in ("sobol", "random")
    }
    assert errors["sobol"] < 0.5 * errors["random"]


@pytest.mark.parametrize("sampling", ["sobol", "random"])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"feller": True}, {"model": "variance_gamma", "ranges": PARTLY}],
    ids=["all", "feller", "partly"],
)
def test_a_longer_sample_begins_with_the_shorter(sampling, arguments):
    drawn = sampler(sampling=sampling, **arguments)
    whole, end = drawn.draw(9000)
    for n in (1, 7, 100, 5000):
        assert_array_equal(drawn.draw(n)[0], whole[:n])
    first, point = drawn.draw(4567)
    second, last = drawn.draw(9000 - 4567, point)
    assert_array_equal(np.concatenate([first, second]), whole)
    assert last == end


@pytest.mark.parametrize("step", [1, 100, 4096, 6000])
def test_any_part_can_be_drawn(step):
    drawn = sampler(feller=True)
    whole, _ = drawn.draw(20_000)
    starts = range(0, 20_000, step)
    for start, point in list(zip(starts, drawn.points(step), strict=False))[:: len(starts) // 3]:
        n = min(step, 20_000 - start, 500)
        assert_array_equal(drawn.draw(n, point)[0], whole[start : start + n])


def test_seed():
    one, same, other = (sampler(seed=seed).draw(64)[0] for seed in (1, 1, 2))
    assert_array_equal(one, same)
    assert not np.isin(one, other).any()


def test_only_where_the_model_exists():
    drawn = sampler("variance_gamma", ranges=PARTLY)
    params, end = drawn.draw(1000)
    assert end > 1500  # some were left out
    assert drawn.model.admissible(params).all()
    sigma, nu, theta = params.T
    assert (nu * (theta + sigma**2 / 2) < 1).all()


@pytest.mark.parametrize(
    ("model", "n_factors"), [("heston", 1), ("bates", 1), ("double_heston", 2)]
)
def test_feller(model, n_factors):
    free, bound = sampler(model).draw(1000)[0], sampler(model, feller=True).draw(1000)[0]
    for factor in range(n_factors):
        for params, holds in ((free, False), (bound, True)):
            _, kappa, theta, sigma, _ = params[:, 5 * factor : 5 * factor + 5].T
            assert (2 * kappa * theta >= sigma**2).all() == holds


def test_feller_is_for_models_with_variances():
    with pytest.raises(ValueError, match="'merton' has none"):
        sampler("merton", feller=True)


@pytest.mark.parametrize("model", ["black_scholes", "merton", "heston", "double_heston_jump"])
def test_priors(model):
    """Models that exist for all their parameters, so that nothing is left out."""
    drawn = sampler(model, "prior", sampling="random")
    params, _ = drawn.draw(2000)
    for parameter, values in zip(drawn.model.parameters, params.T, strict=True):
        name, keywords = parameter.prior
        assert (
            stats.kstest(values, name, **{"args": frozen_arguments(name, keywords)}).pvalue > 1e-3
        )
    even, _ = sampler(model, "prior").draw(2048)
    for parameter, values in zip(drawn.model.parameters, even.T, strict=True):
        name, keywords = parameter.prior
        assert stats.kstest(values, name, args=frozen_arguments(name, keywords)).statistic < 2e-3


def frozen_arguments(name, keywords):
    """Shape parameters, then loc and scale, in the order of SciPy."""
    shapes = (getattr(stats, name).shapes or "").replace(" ", "").split(",")
    values = [keywords[shape] for shape in shapes if shape]
    return (*values, keywords.get("loc", 0.0), keywords.get("scale", 1.0))


def test_distributions_of_ones_own():
    # As the variances and the correlation of a Double Heston study are drawn.
    laws = {"v10": stats.lognorm(0.5, scale=0.04), "rho1": stats.norm(-0.3, 0.2)}
    drawn = sampler("double_heston_jump", ranges={**laws, "lam": (0.1, 0.2)}, sampling="random")
    params, _ = drawn.draw(2000)
    names = drawn.model.parameter_names
    v10, rho1, lam, kappa1 = (params[:, names.index(n)] for n in ("v10", "rho1", "lam", "kappa1"))
    assert stats.kstest(np.log(v10), "norm", args=(np.log(0.04), 0.5)).pvalue > 1e-3
    assert stats.kstest(np.clip(rho1, -1, 1), stats.norm(-0.3, 0.2).cdf).pvalue > 1e-3
    assert (0.1 <= lam.min()) & (lam.max() <= 0.2)
    low, high = drawn.model.parameters[1].market_range
    assert stats.kstest(kappa1, stats.loguniform(low, high).cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"mu": (0, 1)}, "no parameter 'mu'; heston has v0, kappa"),
        ({"rho": 0.5}, r"rho must be \(low, high\), or a frozen continuous distribution"),
        ({"rho": (-0.5, "x")}, "rho must be"),
        ({"rho": stats.poisson(1.0)}, "rho must be"),
        ({"rho": (0.2, -0.2)}, "rho must be finite .* with low < high"),
        ({"rho": (0.2, 0.2)}, "low < high"),
        ({"kappa": (1.0, np.inf)}, "kappa must be finite"),
        ({"rho": (-1.5, 0.0)}, r"rho=-1.5:0 is not inside \[-1, 1\]"),
        ({"kappa": (0.0, 1.0)}, r"kappa=0:1 must be positive.*use scipy.stats.uniform\(0, 1\)"),
    ],
)
def test_bad_ranges(ranges, words):
    with pytest.raises(ValueError, match=words):
        sampler(ranges=ranges)


def test_hardly_anything_is_admissible():
    ranges = {"sigma": (1.0, 1.2), "kappa": (0.3, 0.31), "theta": (0.01, 0.011)}
    with pytest.raises(ValueError, match=r"only 0 of \d+ sets .* 'heston' under the Feller"):
        sampler(ranges=ranges, feller=True).draw(1)
