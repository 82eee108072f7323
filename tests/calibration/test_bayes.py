"""Posteriors against closed forms, against brute force, and against each other."""

import pickle

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

from levylearn.calibration import (
    EmceeCalibrator,
    LaplaceCalibrator,
    NUTSCalibrator,
    VariationalCalibrator,
)
from levylearn.calibration import _chains as chains
from levylearn.calibration._draws import highest_density
from levylearn.calibration._hamiltonian import Point, no_u_turn
from levylearn.calibration._normal_points import normal_points
from levylearn.calibration._nuts import _Frame
from levylearn.calibration._posterior import Noise, PosteriorDensity
from levylearn.calibration._prior import PriorSpace
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import rank_test, simulation_based_ranks
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer
from tests.calibration._linear import (
    DEVIATION,
    MEAN,
    NOISE,
    SLOPES,
    LinearPrices,
    exact_posterior,
    exact_with_level,
)
from tests.calibration._variance_gamma import (
    GRID,
    PRICER,
    TRUTH,
    noisy,
    posterior,
    quadrature,
    quadrature_along_the_ridge,
)

KNOWN = {"noise": NOISE, "noise_kind": "absolute"}
ALL = [LaplaceCalibrator, VariationalCalibrator, EmceeCalibrator, NUTSCalibrator]
QUOTES = np.array([[-1.0, 3.0, -4.0, -1.5, 4.0], [0.5, 2.0, np.nan, -2.0, 4.0]])


@pytest.fixture(scope="module", params=ALL, ids=lambda method: method.__name__)
def on_linear(request):
    """Each method, fitted to two surfaces of the linear problem."""
    calibrator = request.param(LinearPrices(), **KNOWN)
    if "min_ess" in calibrator.get_params():  # so that chance is small against the slack
        calibrator.set_params(min_ess=2000)
    return calibrator.fit(QUOTES)


def chance(calibrator):
    """Standard error of a mean, in standard deviations, and then some."""
    sampled = isinstance(calibrator, EmceeCalibrator | NUTSCalibrator)
    return 4 / np.sqrt(calibrator.min_ess) if sampled else 1e-6


# -- against closed forms ------------------------------------------------------------


def test_mean_and_covariance_of_a_linear_model(on_linear):
    result = on_linear.calibrate(QUOTES)
    for row, quotes in enumerate(QUOTES):
        mean, covariance, _ = exact_posterior(quotes)
        sd = np.sqrt(np.diag(covariance))
        slack = chance(on_linear)
        np.testing.assert_allclose(result.parameters[row], mean, rtol=0, atol=slack * sd.min())
        scaled = result.covariance[row] / np.outer(sd, sd)
        # np.cov divides by one less than the number of draws.
        np.testing.assert_allclose(
            scaled, covariance / np.outer(sd, sd), rtol=0, atol=2 * slack + 1e-3
        )


@pytest.mark.parametrize("kind", ["equal_tailed", "highest_density"])
def test_intervals_of_a_linear_model(on_linear, kind):
    found = on_linear.predict_interval(QUOTES, coverage=0.8, kind=kind)
    mean, covariance, _ = exact_posterior(QUOTES[0])
    sd = np.sqrt(np.diag(covariance))
    expected = mean[:, None] + sd[:, None] * stats.norm.ppf([0.1, 0.9])
    # The ends of the shortest interval are told far less well than quantiles are.
    slack = 0.1 if kind == "equal_tailed" else 0.35
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=slack * sd.max())
    width = (found[0, :, 1] - found[0, :, 0]) / (expected[:, 1] - expected[:, 0])
    np.testing.assert_allclose(width, 1, atol=0.08)


@pytest.mark.parametrize(
    ("method", "name"), [(LaplaceCalibrator, "log_evidence"), (VariationalCalibrator, "elbo")]
)
def test_evidence_of_a_linear_model(method, name):
    found = method(LinearPrices(), **KNOWN).fit(QUOTES).calibrate(QUOTES)[name]
    expected = [exact_posterior(quotes)[2] for quotes in QUOTES]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_unknown_level_of_the_noise():
    prior = stats.lognorm(0.4, scale=1.5)
    mean, sd, level_mean, level_sd = exact_with_level(QUOTES[0], prior)
    for method in (EmceeCalibrator, NUTSCalibrator):
        calibrator = method(LinearPrices(), **KNOWN, noise_prior=prior, max_rhat=1.03)
        calibrator.fit(QUOTES[:1])
        result = calibrator.calibrate(QUOTES[:1])
        np.testing.assert_allclose(result.parameters[0], mean, rtol=0, atol=0.13 * sd.min())
        np.testing.assert_allclose(result.standard_error[0], sd, rtol=0.1)
        assert abs(result.noise_level[0] - level_mean) < 0.13 * level_sd
        assert set(calibrator.posterior_.posterior) == {"a", "b", "noise_level"}


def test_no_information_gives_the_prior():
    """With errors beyond all bounds the posterior of a quote is the prior."""
    calibrator = LaplaceCalibrator(LinearPrices(), 1e9, noise_kind="absolute").fit(QUOTES)
    result = calibrator.calibrate(QUOTES)
    np.testing.assert_allclose(result.parameters, [MEAN, MEAN], atol=1e-6)
    np.testing.assert_allclose(result.standard_error, [DEVIATION] * 2, rtol=1e-3)


def test_simulation_based_calibration_of_a_linear_model():
    calibrator = LaplaceCalibrator(LinearPrices(), **KNOWN).fit(QUOTES, np.zeros((2, 2)))
    table = rank_test(simulation_based_ranks(calibrator, 250, random_state=0))
    assert (table[["ks_p_value", "chi2_p_value"]] > 0.01).all(axis=None)
    assert (np.abs(table.coverage - 0.95) < 3 * table.coverage_error).all()


def test_simulation_based_calibration_notices_a_wrong_noise():
    calibrator = LaplaceCalibrator(LinearPrices(), **KNOWN).fit(QUOTES, np.zeros((2, 2)))
    X, truth = calibrator.prior_predictive(250, random_state=0)
    narrow = LaplaceCalibrator(LinearPrices(), NOISE / 2, noise_kind="absolute")
    narrow.fit(QUOTES, np.zeros((2, 2)))
    narrow.prior_predictive = lambda n, random_state: (X, truth)
    table = rank_test(simulation_based_ranks(narrow, 250, random_state=0))
    assert (table.chi2_p_value < 1e-4).all()
    assert (table.coverage < 0.8).all()


# -- the density ---------------------------------------------------------------------


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("noise_prior", [None, stats.gamma(3, scale=0.5)])
def test_gradient_of_the_density(relative, noise_prior):
    space = PriorSpace(PRICER.parameters_, None, None, None, noise_prior)
    sizes = np.full(GRID.n_quotes, 0.02 if relative else 0.1)
    X = noisy()
    X[0, 3] = np.nan
    density = PosteriorDensity(PRICER, space, X, Noise(sizes, relative, floor=0.1))
    x = space.coordinates(TRUTH) + 0.05 * np.arange(space.size)
    _, slopes = density(x, np.zeros(1, dtype=int), slopes=True)
    step = 1e-4
    for j in range(space.size):
        ends = x + step * np.array([[-2], [-1], [1], [2]]) * np.eye(space.size)[j]
        values = density(ends, np.zeros(4, dtype=int))[0]
        difference = values @ [1, -8, 8, -1] / (12 * step)
        np.testing.assert_allclose(slopes.gradient[0, j], difference, rtol=1e-7)


def test_metric_is_the_mean_of_squared_gradients():
    """Fisher's information, over simulated quotes, and the prior's own."""
    space = PriorSpace(PRICER.parameters_, None, None, None, stats.gamma(3, scale=0.5))
    noise = Noise(np.full(GRID.n_quotes, 0.02), True)
    x = np.repeat(np.append(space.coordinates(TRUTH)[:, :3], [[0.3]], axis=1), 4000, axis=0)
    level = space.values(x[:1])[0, -1]
    prices = PRICER.transform(TRUTH)
    errors = np.random.default_rng(0).standard_normal((len(x), GRID.n_quotes))
    density = PosteriorDensity(PRICER, space, prices * (1 + 0.02 * level * errors), noise)
    _, slopes = density(x, np.arange(len(x)), slopes=True)
    score = slopes.gradient + x
    mean = score.T @ score / len(x) + np.eye(space.size)
    size = np.sqrt(np.diag(mean))
    np.testing.assert_allclose(
        slopes.metric[0] / np.outer(size, size), mean / np.outer(size, size), atol=0.1
    )


def test_likelihood_is_that_of_scipy():
    space = PriorSpace(PRICER.parameters_, None, None, None)
    X = noisy()
    x = space.coordinates(TRUTH)
    for relative in (True, False):
        noise = Noise(np.linspace(0.01, 0.03, GRID.n_quotes), relative)
        found, _ = PosteriorDensity(PRICER, space, X, noise)(x, np.zeros(1, dtype=int))
        prices = PRICER.transform(space.parameters(space.values(x)))
        scale = noise.sizes * (prices if relative else 1)
        expected = stats.norm.logpdf(X, prices, scale).sum() + stats.norm.logpdf(x).sum()
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "prior",
    [
        stats.norm(-0.2, 0.2),
        stats.gamma(2, scale=0.5),
        stats.lognorm(0.5, scale=0.2),
        stats.uniform(-1, 2.5),
        stats.truncnorm(-3, 3, 0, 0.3),
    ],
    ids=lambda prior: prior.dist.name,
)
def test_coordinates_have_the_prior(prior):
    parameters = [p for p in PRICER.parameters_ if p.name == "theta"]
    space = PriorSpace(parameters, {"theta": prior}, {"theta": (-0.4, 0.9)}, None)
    x = np.linspace(-6, 6, 49)[:, None]
    values = space.values(x)
    low, high = prior.cdf([-0.4, 0.9])
    expected = low + stats.norm.cdf(x) * (high - low)
    np.testing.assert_allclose(prior.cdf(values), expected, rtol=1e-9)
    np.testing.assert_allclose(space.coordinates(values), x, rtol=0, atol=1e-5)
    step = 1e-5
    slopes = (space.values(x + step) - space.values(x - step)) / (2 * step)
    np.testing.assert_allclose(space.slopes(x, values), slopes, rtol=1e-6, atol=1e-8)


# -- against brute force -------------------------------------------------------------


@pytest.fixture(scope="module")
def brute_force():
    """A surface, and mean and deviation of the parameters by quadrature."""
    X = noisy()
    return X, *quadrature(X)


@pytest.mark.parametrize("method", [EmceeCalibrator, NUTSCalibrator])
@pytest.mark.parametrize(
    ("min_ess", "tolerance"), [(2000, 0.08), pytest.param(20_000, 0.02, marks=pytest.mark.slow)]
)
def test_variance_gamma_by_brute_force(brute_force, method, min_ess, tolerance):
    """Two per cent of the deviation take many draws; fewer tell as much as chance allows."""
    X, mean, sd = brute_force
    calibrator = method(PRICER, min_ess=min_ess, max_draws=5000)
    result = calibrator.fit(X).calibrate(X)
    assert (np.abs(result.parameters[0] - mean) < tolerance * sd).all()
    np.testing.assert_allclose(result.standard_error[0], sd, rtol=tolerance)


def test_bent_posterior_by_brute_force():
    """Ten exact quotes leave a valley hundreds of times as long as wide, which is not straight."""
    params = np.array([[0.16, 1.4, 0.26]])
    X = PRICER.transform(params)
    result = NUTSCalibrator(PRICER).fit(X).calibrate(X)
    assert result.converged.all()
    mean, sd = quadrature_along_the_ridge(X, start=params)
    assert (np.abs(result.parameters[0] - mean) < 0.1 * sd).all()
    np.testing.assert_allclose(result.standard_error[0], sd, rtol=0.1)


def test_coordinates_of_trajectories():
    """Their density is that of the unknowns, times the volume of the map to them."""
    density, modes = posterior(noisy(), 0.01, TRUTH)
    target = chains.Target(density, 0, modes.x[0], modes.factor[0])
    random = np.random.default_rng(0)
    frame = _Frame.at_mode(target).learned(random.standard_normal((20, 3)) * [2.0, 0.5, 1.0])
    w, h = random.standard_normal((10, 3)), 1e-5
    value, gradient = frame(w)
    for i, e in enumerate(np.eye(3)):
        difference = (frame(w + h * e)[0] - frame(w - h * e)[0]) / (2 * h)
        np.testing.assert_allclose(gradient[:, i], difference, rtol=1e-5, atol=1e-5)
    point = frame.at(frame.v(w))
    np.testing.assert_allclose(point.w, w)
    x, log_density = frame.draws(point)
    np.testing.assert_allclose(log_density, target(x), rtol=1e-10)
    steps = [frame.draws(frame.at(frame.v(w + h * e)))[0] for e in np.eye(3)]
    back = [frame.draws(frame.at(frame.v(w - h * e)))[0] for e in np.eye(3)]
    jacobian = np.stack([(a - b) / (2 * h) for a, b in zip(steps, back, strict=True)], axis=2)
    _, log_volume = np.linalg.slogdet(jacobian)
    # The volume of a frame is known up to a factor that is the same everywhere.
    np.testing.assert_allclose(np.ptp(value - log_density - log_volume), 0, atol=1e-6)


def test_trajectories_leave_a_known_density_alone():
    """Points from a skew density, moved, still are from it."""
    law = stats.gamma(3)

    def log_density(w):
        w = w[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = w > 0
            value = np.where(inside, law.logpdf(w), -np.inf)
            return value, np.where(inside, 2 / w - 1, 0.0)[:, None]

    random = np.random.default_rng(0)
    w = law.rvs((4000, 1), random_state=random)
    point = Point(w, *log_density(w))
    for _ in range(3):
        point = no_u_turn(log_density, point, 1.1, random).point
    assert stats.kstest(point.w[:, 0], law.cdf).pvalue > 0.01
    assert np.abs(np.corrcoef(point.w[:, 0], w[:, 0])[0, 1]) < 0.5


# -- manners -------------------------------------------------------------------------


def test_points_are_standard_normal():
    points = normal_points(100, 3, seed=0)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(points.T @ points / 100, np.eye(3), atol=1e-12)


def test_highest_density_is_the_shortest():
    draws = stats.expon.ppf((np.arange(10_000) + 0.5) / 10_000)
    np.testing.assert_allclose(highest_density(draws, 0.9), [0, stats.expon.ppf(0.9)], atol=1e-2)


def test_fit_and_predict_sample_once(monkeypatch):
    calibrator = NUTSCalibrator(LinearPrices(), **KNOWN, min_ess=50, max_rhat=1.2)
    fitted = calibrator.fit(QUOTES)
    before = fitted.predict(QUOTES)
    monkeypatch.setattr(NUTSCalibrator, "_sample", None)
    np.testing.assert_array_equal(fitted.predict(QUOTES[::-1]), before[::-1])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(QUOTES), before)
    assert [len(p.posterior.chain) for p in fitted.posterior_] == [8, 8]


def test_sampling_anew_gives_the_same():
    calibrator = EmceeCalibrator(LinearPrices(), **KNOWN, min_ess=50, max_rhat=1.2)
    kept = calibrator.fit(QUOTES).predict(QUOTES)
    new = calibrator.fit(QUOTES[:1], np.zeros((1, 2))).predict(QUOTES)
    np.testing.assert_allclose(new, kept, rtol=1e-9)
    with pytest.raises(AttributeError, match="fitted with y"):
        _ = calibrator.posterior_


@pytest.mark.parametrize("method", [EmceeCalibrator, NUTSCalibrator])
def test_interruption_keeps_the_draws(method, monkeypatch):
    judge = chains.convergence
    asked = []

    def impatient(x, caller):
        asked.append(x.shape[1])
        if len(asked) == 1:
            raise KeyboardInterrupt
        return judge(x, caller)

    calibrator = method(LinearPrices(), **KNOWN).fit(QUOTES, np.zeros((2, 2)))
    monkeypatch.setattr(chains, "convergence", impatient)
    with (
        pytest.warns(ConvergenceWarning, match="was interrupted after"),
        pytest.warns(CalibrationWarning, match="before it began"),
    ):
        first, second = calibrator.sample_posterior(QUOTES)
    assert first.posterior.sizes["draw"] == asked[0]
    assert second is None


def test_what_does_not_converge_is_told():
    calibrator = NUTSCalibrator(LinearPrices(), **KNOWN, max_draws=10)
    with pytest.warns(ConvergenceWarning, match="ended after 10 draws"):
        calibrator.fit(QUOTES)


@pytest.mark.parametrize("target_acceptance", [0.01, 0.1])
def test_trajectories_that_diverge_are_told(target_acceptance):
    """Steps that are hardly ever accepted are too long for leapfrog to be stable."""
    calibrator = NUTSCalibrator(
        LinearPrices(), **KNOWN, target_acceptance=target_acceptance, max_draws=50
    )
    with pytest.warns(ConvergenceWarning, match="diverged: raise target_acceptance"):
        result = calibrator.fit(QUOTES).calibrate(QUOTES)
    assert not result.converged.any()
    assert (result.n_divergences > 0).any()


def test_hopeless_surface_spoils_no_other():
    X = np.insert(QUOTES, 1, np.nan, axis=0)
    calibrator = LaplaceCalibrator(LinearPrices(), **KNOWN).fit(QUOTES)
    with pytest.warns(CalibrationWarning, match="row 1: There are no quotes"):
        found = calibrator.predict(X)
    np.testing.assert_allclose(found[[0, 2]], calibrator.predict(QUOTES), rtol=1e-9)
    assert np.isnan(found[1]).all()


def test_one_unknown():
    """Of a density with one coordinate the ridge is all there is."""
    calibrator = NUTSCalibrator(PRICER, fixed={"nu": 0.4, "theta": -0.2}, min_ess=400)
    result = calibrator.fit(noisy()).calibrate(noisy())
    assert result.converged.all()
    assert abs(result.parameters[0, 0] - 0.2) < 5 * result.standard_error[0, 0]


def test_fewer_quotes_than_parameters():
    """The prior says the rest."""
    X = np.array([[0.7, np.nan, np.nan, np.nan, np.nan]])
    found = LaplaceCalibrator(LinearPrices(), **KNOWN).fit(QUOTES).predict(X)
    np.testing.assert_allclose(found[0], exact_posterior(X[0])[0], rtol=1e-6)


def test_fixed_and_bounded_parameters():
    calibrator = LaplaceCalibrator(
        LinearPrices(), **KNOWN, fixed={"b": -1.0}, bounds={"a": (2.5, 3.0)}
    ).fit(QUOTES)
    result = calibrator.calibrate(QUOTES)
    assert (result.parameters[:, 1] == -1.0).all()
    assert (result.covariance[:, 1] == 0).all()
    intervals = calibrator.predict_interval(QUOTES)[:, 0]
    assert ((intervals >= 2.5) & (intervals <= 3.0)).all()
    assert set(calibrator.posterior_[0].posterior) == {"a"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": [0.1, 0.2]}, "one entry per quote"),
        ({"noise": [0.1, 0.2, 0.0, 0.1, 0.1]}, "entry 2 is 0"),
        ({"priors": {"c": stats.norm()}}, "names 'c'"),
        ({"priors": {"a": stats.poisson(3)}}, "frozen continuous"),
        ({"priors": {"a": stats.uniform(500, 1)}}, "no probability within its bounds"),
        ({"noise_kind": "vega"}, "noise_kind"),
        ({"fixed": {"c": 1.0}}, "fixed names 'c'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LaplaceCalibrator(LinearPrices(), **{**KNOWN, **arguments}).fit(QUOTES)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 95])
def test_coverage_is_a_probability(coverage):
    calibrator = LaplaceCalibrator(LinearPrices(), **KNOWN).fit(QUOTES)
    with pytest.raises(ValueError, match="coverage"):
        calibrator.predict_interval(QUOTES, coverage)
    with pytest.raises(ValueError, match="kind"):
        calibrator.predict_interval(QUOTES, kind="widest")


# -- prices from the posterior -------------------------------------------------------


def test_bands_of_prices_and_greeks():
    """To first order, the deviation of a price is its gradient times that of the parameters."""
    X = noisy()
    calibrator = LaplaceCalibrator(PRICER, noise=1e-5).fit(PRICER.transform(TRUTH))
    grid = OptionGrid([90, 110], [0.6], rate=0.03)
    result = calibrator.calibrate(PRICER.transform(TRUTH))
    bands = calibrator.posterior_predictive(
        PRICER.transform(TRUTH), grid, greeks=True, max_draws=4096
    )
    other = ContourPricer("variance_gamma", grid).fit(TRUTH)
    prices, jacobian = other.price_and_jacobian(TRUTH)
    sd = np.sqrt(np.einsum("pm,pq,qm->m", jacobian[0], result.covariance[0], jacobian[0]))
    price = bands["price"]
    np.testing.assert_allclose(price["estimate"], prices[0], rtol=1e-5)
    width = stats.norm.ppf(0.975) * sd
    np.testing.assert_allclose(price["upper"] - price["estimate"], width, rtol=0.05)
    np.testing.assert_allclose(price["estimate"] - price["lower"], width, rtol=0.05)
    greeks = other.greeks(TRUTH)
    for name in ("delta", "gamma", "theta", "rho"):
        np.testing.assert_allclose(bands[name]["estimate"], greeks[name][0], rtol=1e-3)
    np.testing.assert_allclose(bands["vega_nu"]["estimate"], greeks.vega[0, 1], rtol=1e-3)
    volatility = ContourPricer("variance_gamma", grid, "implied_vol").fit(TRUTH).transform(TRUTH)
    np.testing.assert_allclose(bands["implied_vol"]["estimate"], volatility[0], rtol=1e-4)
    assert calibrator.posterior_predictive(X)["price"].shape == (GRID.n_quotes, 3)


def test_bands_of_a_hopeless_surface():
    X = np.concatenate([np.full((1, GRID.n_quotes), np.nan), noisy()])
    calibrator = LaplaceCalibrator(PRICER).fit(X[1:])
    with pytest.warns(CalibrationWarning):
        bands = calibrator.posterior_predictive(X)
    assert bands.loc[0].isna().all(axis=None)
    assert np.isfinite(bands.loc[1]).all(axis=None)


def test_prior_density_is_cut_off_at_the_bounds():
    calibrator = LaplaceCalibrator(
        LinearPrices(), **KNOWN, noise_prior=stats.lognorm(0.5), bounds={"a": (0.5, 2.0)}
    ).fit(QUOTES[:1])
    values = np.array([[0.4, 0.5, 1.0], [1.9, 2.0, 2.1]])
    ends = (np.array([0.5, 2.0]) - MEAN[0]) / DEVIATION[0]
    cut_off = stats.truncnorm(*ends, loc=MEAN[0], scale=DEVIATION[0])
    np.testing.assert_allclose(calibrator.prior_density("a", values), cut_off.pdf(values))
    level = calibrator.prior_density("noise_level", [-1.0, 0.7])
    np.testing.assert_allclose(level, stats.lognorm(0.5).pdf([-1.0, 0.7]))
    with pytest.raises(ValueError, match="name must be one of a, b, noise_level; got 'c'"):
        calibrator.prior_density("c", 1.0)


def test_prior_predictive_is_prior_and_noise():
    calibrator = LaplaceCalibrator(LinearPrices(), **KNOWN).fit(QUOTES)
    X, unknowns = calibrator.prior_predictive(20_000, random_state=0)
    np.testing.assert_allclose(unknowns.mean(axis=0), MEAN, atol=0.04)
    np.testing.assert_allclose(unknowns.std(axis=0), DEVIATION, rtol=0.03)
    np.testing.assert_allclose((X - unknowns @ SLOPES).std(axis=0), NOISE, rtol=0.03)
