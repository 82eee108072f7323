"""The learned posterior against the exact one, and what corrects it."""

import pickle
import pickletools

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from levylearn.calibration import AmortizedPosteriorCalibrator
from levylearn.calibration._importance import Weighted, weighted
from levylearn.calibration._torch import flows, training
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import rank_test, simulation_based_ranks
from levylearn.preprocessing import MissingQuotes
from tests.calibration._linear import MEAN, NOISE, LinearPrices, exact_posterior, exact_with_level
from tests.calibration._variance_gamma import PRICER, TRUTH, noisy, quadrature

QUOTES = np.array([[-1.0, 3.0, -4.0, -1.5, 4.0], [0.5, 2.0, np.nan, -2.0, 4.0]])
NOTHING = np.zeros((2, 2))
KNOWN = {"noise": NOISE, "noise_kind": "absolute"}
LEARNED = AmortizedPosteriorCalibrator(
    LinearPrices(),
    **KNOWN,
    n_draws=512,
    n_simulations=3000,
    hidden_layer_sizes=(32, 32),
    n_transforms=1,
    max_epochs=8,
)
BRIEF = clone(LEARNED).set_params(n_simulations=200, max_epochs=2, min_efficiency=1e-6)


@pytest.fixture(scope="module")
def learned():
    """A calibrator that has learned the linear problem, without correction and with it."""
    corrected = clone(LEARNED).fit(QUOTES, NOTHING)
    own = pickle.loads(pickle.dumps(corrected))
    own.refine = None
    return own, corrected


# -- the flow ------------------------------------------------------------------------


def flow(n_out, n_transforms=2):
    torch.manual_seed(0)
    return flows.ConditionalFlow(3, n_out, (16, 8), n_transforms).double()


def stirred(module):
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return module.eval()


def test_flow_begins_as_the_prior():
    module, inputs = flow(2), torch.ones(3, dtype=torch.double)
    points = torch.randn(50, 2, dtype=torch.double)
    np.testing.assert_allclose(module.draws(inputs, points).detach(), points, atol=1e-12)
    expected = stats.norm.logpdf(points).sum(axis=1)
    np.testing.assert_allclose(module(inputs).log_prob(points).detach(), expected, rtol=1e-12)


@pytest.mark.parametrize("n_out", [1, 3])
def test_draws_are_from_the_density(n_out):
    """The density of a draw is that of its point over the volume that the map makes of one."""
    module, inputs = stirred(flow(n_out)), torch.tensor([0.3, -1.0, 2.0], dtype=torch.double)
    for point in torch.randn(20, n_out, dtype=torch.double):
        x = module.draws(inputs, point)
        slopes = torch.autograd.functional.jacobian(lambda z: module.draws(inputs, z), point)
        volume = torch.linalg.slogdet(slopes)[1]
        expected = stats.norm.logpdf(point).sum() - volume.item()
        np.testing.assert_allclose(module(inputs).log_prob(x).item(), expected, rtol=1e-8)


# -- importance sampling ---------------------------------------------------------------


def proposed(centre, spread, n=2048):
    z = np.random.default_rng(0).standard_normal((n, 2))
    return centre + spread * z, stats.norm.logpdf(z).sum(axis=1) - 2 * np.log(spread)


SHIFT, COVARIANCE = np.array([1.0, -2.0]), np.array([[0.04, 0.03], [0.03, 0.09]])


@pytest.mark.parametrize(("centre", "spread"), [(0.0, 1.0), (1.0, 0.02), (30.0, 5.0)])
def test_moved_draws_find_a_normal(centre, spread):
    """Its integral is 7; to a normal, an affine map of another is all that is wanted."""
    law = stats.multivariate_normal(SHIFT, COVARIANCE)
    draws = weighted(lambda x: law.logpdf(x) + np.log(7), *proposed(centre, spread))
    assert draws.ess > 0.7 * len(draws.x)
    np.testing.assert_allclose(draws.log_evidence, np.log(7), atol=0.03)
    x = draws.x[draws.resampled(np.random.default_rng(0))]
    sd = np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_allclose((x.mean(axis=0) - SHIFT) / sd, 0, atol=0.08)
    np.testing.assert_allclose(
        np.cov(x.T) / np.outer(sd, sd), COVARIANCE / np.outer(sd, sd), atol=0.08
    )


def test_good_draws_stay_where_they_are():
    x, log_proposed = proposed(0.0, 1.0)
    draws = weighted(lambda at: stats.norm.logpdf(at).sum(axis=1), x, log_proposed)
    np.testing.assert_array_equal(draws.x, x)
    assert draws.ess == pytest.approx(len(x))


def test_density_without_support_has_no_worth():
    draws = weighted(lambda at: np.full(len(at), -np.inf), *proposed(0.0, 1.0))
    assert draws.ess == 0


def test_support_that_few_draws_meet():
    """A density that is nothing where nearly all draws are."""
    law = stats.multivariate_normal(SHIFT, COVARIANCE)

    def cut(x):
        return np.where(x[:, 0] > 0.9, law.logpdf(x), -np.inf)

    draws = weighted(cut, *proposed(0.0, 0.6))
    expected = stats.norm(1.0, 0.2).sf(0.9)
    np.testing.assert_allclose(draws.log_evidence, np.log(expected), atol=0.05)


def test_resampling_is_in_proportion():
    weights = np.array([0.1, 0.0, 0.6, 0.3])
    with np.errstate(divide="ignore"):
        draws = Weighted(np.zeros((4, 1)), np.zeros(4), np.log(weights) + 5)
    random = np.random.default_rng(0)
    counts = sum(np.bincount(draws.resampled(random), minlength=4) for _ in range(4000))
    np.testing.assert_allclose(counts / 16_000, weights, atol=0.005)


# -- against the exact posterior ---------------------------------------------------------


def test_corrected_draws_of_a_linear_model(learned):
    result = learned[1].calibrate(QUOTES)
    assert (result.importance_efficiency > 0.5).all()
    np.testing.assert_allclose(result.importance_ess, 512 * result.importance_efficiency)
    for row, quotes in enumerate(QUOTES):
        mean, covariance, log_evidence = exact_posterior(quotes)
        sd = np.sqrt(np.diag(covariance))
        # Four standard errors of independent draws, which these, spread evenly, beat.
        slack = 4 / np.sqrt(result.importance_ess[row])
        np.testing.assert_allclose((result.parameters[row] - mean) / sd, 0, atol=slack)
        np.testing.assert_allclose(
            result.covariance[row] / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=slack
        )
        np.testing.assert_allclose(result.log_evidence[row], log_evidence, atol=slack)


def test_flow_of_a_linear_model(learned):
    """Without correction it is right on the whole: a likelihood was maximised."""
    table = rank_test(simulation_based_ranks(learned[0], 200, random_state=0))
    assert (np.abs(table.coverage - 0.95) < 4 * table.coverage_error).all()
    result = learned[0].calibrate(QUOTES[:1])
    mean, covariance, _ = exact_posterior(QUOTES[0])
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((result.parameters[0] - mean) / sd, 0, atol=0.5)
    np.testing.assert_allclose(result.standard_error[0], sd, rtol=0.3)


def test_simulation_based_calibration_of_corrected_draws(learned):
    table = rank_test(simulation_based_ranks(learned[1], 200, random_state=0))
    assert (table[["ks_p_value", "chi2_p_value"]] > 0.01).all(axis=None)
    assert (np.abs(table.coverage - 0.95) < 3 * table.coverage_error).all()


def test_unknown_level_of_the_noise():
    prior = stats.lognorm(0.4, scale=1.5)
    calibrator = clone(LEARNED).set_params(noise_prior=prior, max_epochs=4).fit(QUOTES, NOTHING)
    found = calibrator.calibrate(QUOTES[:1])
    mean, sd, level_mean, level_sd = exact_with_level(QUOTES[0], prior)
    slack = 4 / np.sqrt(found.importance_ess[0])
    np.testing.assert_allclose((found.parameters[0] - mean) / sd, 0, atol=slack)
    np.testing.assert_allclose(found.standard_error[0], sd, rtol=slack)
    assert abs(found.noise_level[0] - level_mean) < slack * level_sd


def test_variance_gamma_by_brute_force():
    """A flow that has learned little is corrected all the same."""
    X = noisy()
    calibrator = clone(LEARNED).set_params(
        pricer=PRICER, noise=0.01, noise_kind="relative", n_simulations=1000, max_epochs=6
    )
    result = calibrator.fit(X, TRUTH).calibrate(X)
    mean, sd = quadrature(X)
    slack = 4 / np.sqrt(result.importance_ess[0])
    np.testing.assert_allclose((result.parameters[0] - mean) / sd, 0, atol=slack)
    np.testing.assert_allclose(result.standard_error[0], sd, rtol=slack)


# -- manners -----------------------------------------------------------------------------


def test_same_seed_same_answer():
    one, other = (clone(BRIEF).fit(QUOTES, NOTHING) for _ in range(2))
    np.testing.assert_array_equal(one.predict(QUOTES), other.predict(QUOTES))
    third = clone(BRIEF).set_params(random_state=1).fit(QUOTES, NOTHING)
    assert (third.predict(QUOTES) != one.predict(QUOTES)).all()


def test_fit_leaves_the_callers_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    clone(BRIEF).fit(QUOTES)
    assert torch.equal(torch.rand(3), expected)


def test_pickle_holds_no_torch(learned):
    pickled = pickle.dumps(learned[1])
    modules = {a for _, a, _ in pickletools.genops(pickled) if isinstance(a, str)}
    assert not any("torch" in name.split(".")[0] for name in modules)
    np.testing.assert_array_equal(pickle.loads(pickled).predict(QUOTES), learned[1].predict(QUOTES))


def test_posterior_of_the_surfaces_of_fit():
    calibrator = clone(BRIEF).fit(QUOTES)
    posterior = calibrator.posterior_[1]
    assert posterior.posterior.sizes == {"chain": 1, "draw": 512}
    assert {"importance_ess", "importance_efficiency"} <= set(posterior.posterior.attrs)
    assert set(posterior.sample_stats) == {"lp"}


def test_hopeless_correction_leaves_the_flow(learned):
    own, corrected = learned
    calibrator = pickle.loads(pickle.dumps(corrected))
    calibrator.min_efficiency = 0.9999
    with pytest.warns(ConvergenceWarning, match="worth .* independent ones: the flow's own are"):
        result = calibrator.calibrate(QUOTES)
    assert not result.converged.any()
    assert (result.importance_efficiency < 0.9999).all()
    np.testing.assert_array_equal(result.parameters, own.predict(QUOTES))


def test_surface_from_elsewhere(learned):
    """The flow says that it knows nothing of it; correction finds it all the same."""
    own, corrected = learned
    X = QUOTES[:1] + np.array([20.0, 0.0, 0.0, 0.0, 0.0])
    with pytest.warns(ConvergenceWarning, match="far from those that were simulated"):
        own.predict(X)
    result = corrected.calibrate(X)
    mean, covariance, _ = exact_posterior(X[0])
    np.testing.assert_allclose(
        (result.parameters[0] - mean) / np.sqrt(np.diag(covariance)), 0, atol=0.2
    )


def test_surface_without_quotes_spoils_no_other(learned):
    X = np.insert(QUOTES, 1, np.nan, axis=0)
    with pytest.warns(CalibrationWarning, match="row 1: There are no quotes"):
        found = learned[1].predict(X)
    np.testing.assert_allclose(found[[0, 2]], learned[1].predict(QUOTES), rtol=1e-9)
    assert np.isnan(found[1]).all()


def test_missing_quotes_can_be_learned(learned):
    """A flow that was shown such surfaces knows how little it knows of them."""
    shown = clone(LEARNED).set_params(augment=MissingQuotes(0.5), refine=None)
    X, truth = learned[0].prior_predictive(200, random_state=0)
    X = MissingQuotes(0.5, random_state=0).fit_transform(X)
    quoted = np.isfinite(X).any(axis=1)
    covered = []
    for calibrator in (learned[0], shown.fit(QUOTES, NOTHING)):
        low, high = np.moveaxis(calibrator.predict_interval(X[quoted]), -1, 0)
        covered.append(((low < truth[quoted]) & (truth[quoted] < high)).mean())
    assert covered[0] < 0.85
    assert abs(covered[1] - 0.95) < 0.04


def test_interrupted_training_keeps_the_best(monkeypatch):
    def interrupt(self, net, dataset_train, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Renewal, "on_epoch_begin", interrupt)
    with pytest.warns(CalibrationWarning, match="interrupted after 1 of 5"):
        calibrator = clone(BRIEF).set_params(max_epochs=5).fit(QUOTES, NOTHING)
    assert calibrator.n_epochs_ == 1
    assert np.isfinite(calibrator.predict(QUOTES)).all()


def test_fixed_parameters():
    calibrator = clone(BRIEF).set_params(fixed={"b": MEAN[1]}).fit(QUOTES, NOTHING)
    result = calibrator.calibrate(QUOTES)
    assert (result.parameters[:, 1] == MEAN[1]).all()
    assert result.importance_efficiency.min() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden_layer_sizes": (16, 0)}, "hidden_layer_sizes must be positive integers"),
        ({"refine": "resampling"}, "refine"),
        ({"n_simulations": 1}, "n_simulations"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        clone(BRIEF).set_params(**arguments).fit(QUOTES)
