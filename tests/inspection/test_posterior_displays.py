"""Pictures of posteriors: what they hold against closed forms, and what is drawn."""

import arviz
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.path import Path
from numpy.testing import assert_allclose
from scipy import stats

from levylearn.calibration import LaplaceCalibrator, NUTSCalibrator
from levylearn.calibration._draws import highest_density
from levylearn.calibration._normal_points import normal_points
from levylearn.inspection import (
    ConvergenceDisplay,
    CornerDisplay,
    CredibleRegionDisplay,
    PosteriorDisplay,
    PredictiveFanDisplay,
    RankDisplay,
    TraceDisplay,
    posterior_diagnostics,
    simulation_based_ranks,
)
from levylearn.inspection._canvas import COLOURS
from levylearn.market import OptionGrid, black_price
from levylearn.pricing import ContourPricer
from tests.calibration._linear import DEVIATION, MEAN, NOISE, LinearPrices

COVARIANCE = np.array([[1.0, -1.2], [-1.2, 4.0]])
CENTRE = np.array([3.0, -1.0])


def inference_data(**draws):
    return arviz.from_dict(posterior=draws)


# Evenly spread, so that densities are told better than by as many random draws.
DRAWS = CENTRE + normal_points(8192, 2, 0) @ np.linalg.cholesky(COVARIANCE).T
A, B = DRAWS.T.reshape(2, 4, 2048)
POSTERIOR = inference_data(a=A, b=B)

QUOTES = np.array([[-1.0, 3.0, -4.0, -1.5, 4.0]])
LINEAR = LaplaceCalibrator(
    LinearPrices(), NOISE, noise_kind="absolute", bounds={"a": (0.9, 1.1)}
).fit(QUOTES)

GRID = OptionGrid.from_quotes([110, 90, 100, 95, 105], [1.0, 1.0, 1.0, 0.25, 0.25], rate=0.02)
PRICES = black_price(GRID.forward, GRID.strike, GRID.maturity, 0.2, discount=GRID.discount)
FLAT = LaplaceCalibrator(ContourPricer("black_scholes", GRID), n_draws=4096).fit(PRICES[None, :])


def labels(panel):
    return panel.get_legend_handles_labels()[1]


# -- traces ----------------------------------------------------------------------------


def test_traces_are_the_draws_of_every_chain():
    display = TraceDisplay.from_posterior(POSTERIOR, names=["b"]).plot(figure=Figure())
    (trace, marginal), *more = display.axes_
    assert not more
    assert trace.get_ylabel() == "b"
    assert len({line.get_color() for line in trace.lines}) == 4
    for chain, line, beside in zip(B, trace.lines, marginal.lines, strict=True):
        assert_allclose(line.get_ydata(), chain)
        assert beside.get_color() == line.get_color()
        density, value = beside.get_data()
        mean = np.trapezoid(value * density, value)
        assert mean == pytest.approx(chain.mean(), abs=0.05 * chain.std())
    assert marginal.get_ylim() == trace.get_ylim()


def test_traces_of_many_chains_and_of_one_that_is_stuck():
    draws = np.random.default_rng(0).standard_normal((9, 50))
    draws[3] = 0.5
    display = TraceDisplay.from_posterior(inference_data(a=draws)).plot(figure=Figure())
    trace, marginal = display.axes_[0]
    assert len({tuple(line.get_color()) for line in trace.lines}) == 9
    assert len(marginal.lines) == 8


def test_divergent_draws_are_ticks():
    diverging = np.zeros(A.shape, dtype=bool)
    diverging[[0, 2, 3], [7, 7, 30]] = True
    posterior = arviz.from_dict(posterior={"a": A}, sample_stats={"diverging": diverging})
    (trace, _), *_ = TraceDisplay.from_posterior(posterior).plot(figure=Figure()).axes_
    assert_allclose(trace.lines[-1].get_xdata(), [7, 30])
    assert len(trace.lines) == len(A) + 1
    assert trace.get_xlabel() == "draw (3 divergent: ticks)"


# -- densities -------------------------------------------------------------------------


def test_posterior_of_normal_draws():
    prior = stats.norm(0, 5)
    display = PosteriorDisplay.from_posterior(
        POSTERIOR, priors={"b": prior.pdf}, coverage=0.8, truth={"a": 3.5}
    )
    for name, draws, mean, variance in zip("ab", (A, B), CENTRE, np.diag(COVARIANCE), strict=True):
        exact = stats.norm(mean, np.sqrt(variance))
        table = display.densities[name].dropna()
        peak = exact.pdf(mean)
        assert_allclose(table["posterior"], exact.pdf(table["value"]), rtol=0, atol=0.03 * peak)
        assert_allclose(display.intervals[name], np.quantile(draws, [0.1, 0.9]))
    table = display.densities["b"]
    assert_allclose(table["prior"], prior.pdf(table["value"]))
    assert "prior" not in display.densities["a"]
    first, second = display.plot(figure=Figure()).axes_
    assert labels(first) == ["posterior", "80 % interval", "truth"]
    assert labels(second) == ["posterior", "prior", "80 % interval"]
    assert_allclose(first.lines[-1].get_xdata(), 3.5)
    shaded = second.collections[0].get_paths()[0].vertices[:, 0]
    step = np.diff(table["value"])[0]
    assert_allclose([shaded.min(), shaded.max()], display.intervals["b"], rtol=0, atol=step)
    assert second.get_xlabel() == "b"
    legend = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert set(legend) == {"posterior", "prior", "80 % interval", "truth"}


def test_intervals_of_highest_density():
    draws = np.random.default_rng(1).gamma(2.0, size=(1, 2000))
    display = PosteriorDisplay.from_posterior(inference_data(a=draws), kind="highest_density")
    assert_allclose(display.intervals["a"], highest_density(draws.ravel(), 0.95))


def test_prior_is_the_calibrators_own_cut_off_at_the_bounds():
    ends = (np.array([0.9, 1.1]) - MEAN[0]) / DEVIATION[0]
    exact = stats.truncnorm(*ends, loc=MEAN[0], scale=DEVIATION[0])
    for display in (
        PosteriorDisplay.from_estimator(LINEAR, QUOTES),
        CornerDisplay.from_estimator(LINEAR, QUOTES).marginals,
    ):
        table = display.densities["a"]
        assert table["value"].iloc[0] < 0.9  # there is something to cut off
        assert_allclose(table["prior"], exact.pdf(table["value"]), rtol=1e-9, atol=0)
        assert_allclose(
            display.intervals["b"], LINEAR.predict_interval(QUOTES)[0, 1], rtol=0, atol=1e-12
        )


# -- regions ---------------------------------------------------------------------------


def edges(panel):
    """Outlines of the regions, the widest first."""
    lines = panel.collections[1]
    return [Path(path.to_polygons()[0]) for path in lines.get_paths()]


def test_regions_of_normal_draws():
    display = CredibleRegionDisplay.from_posterior(POSTERIOR, "ab", truth={"b": 0.0})
    assert display.names == ("a", "b")
    panel = display.plot(figure=Figure()).ax_
    for coverage, edge in zip([0.95, 0.5], edges(panel), strict=True):
        assert edge.contains_points(DRAWS).mean() == pytest.approx(coverage, abs=0.01)
        off = edge.vertices - CENTRE
        square = np.einsum("ni,ij,nj->n", off, np.linalg.inv(COVARIANCE), off)
        # Ellipses; kernels make their edges uneven.
        assert square.mean() == pytest.approx(stats.chi2(2).ppf(coverage), rel=0.1)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("a", "b")
    assert_allclose(panel.lines[0].get_ydata(), 0)
    texts = [text.get_text() for text in panel.get_legend().get_texts()]
    assert texts == ["95 % region", "50 % region", "truth"]


def test_corner_is_made_of_regions_and_densities():
    draws = np.random.default_rng(2).standard_normal((2, 300, 3))
    posterior = inference_data(**{name: draws[..., j] for j, name in enumerate("xyz")})
    display = CornerDisplay.from_posterior(posterior, coverages=[0.9], truth={"y": 0.3})
    assert display.marginals.coverage == 0.9
    axes = display.plot(figure=Figure()).axes_
    for (i, j), panel in np.ndenumerate(axes):
        assert panel.axison == (i >= j)
        if i > j:
            region = display.regions["xyz"[j], "xyz"[i]]
            alone = CredibleRegionDisplay.from_posterior(
                posterior, ["xyz"[j], "xyz"[i]], coverages=[0.9]
            )
            assert_allclose(region.region.density, alone.region.density)
            assert region.region.levels == alone.region.levels
            assert len(edges(panel)) == 1
            assert panel.get_xlim() == axes[j, j].get_xlim()
    assert [panel.get_xlabel() for panel in axes[-1]] == ["x", "y", "z"]
    assert [panel.get_ylabel() for panel in axes[:, 0]] == ["", "y", "z"]
    assert_allclose(axes[1, 0].lines[0].get_ydata(), 0.3)
    assert_allclose(axes[2, 1].lines[0].get_xdata(), 0.3)


# -- convergence -----------------------------------------------------------------------


def test_convergence_bars():
    shifted = A + np.array([0.0, 0.0, 0.0, 2.0])[:, None] * A.std()
    posterior = inference_data(a=shifted, b=B)
    display = ConvergenceDisplay.from_posterior(posterior, min_ess=1000).plot(figure=Figure())
    table = posterior_diagnostics(posterior)
    rhat, sizes = display.axes_
    assert_allclose([1 + bar.get_width() for bar in rhat.patches], table.r_hat)
    widths = [bar.get_width() for bar in sizes.patches]
    assert_allclose(widths, [*table.ess_bulk, *table.ess_tail])
    assert [bar.get_facecolor() == to_rgba(COLOURS[0]) for bar in rhat.patches] == [True, False]
    failing = [bar.get_facecolor() == to_rgba(COLOURS[0]) for bar in sizes.patches]
    assert failing == [size < 1000 for size in widths]
    assert set(failing) == {False, True}
    assert (rhat.lines[0].get_xdata()[0], sizes.lines[0].get_xdata()[0]) == (1.01, 1000)
    assert [label.get_text() for label in rhat.get_yticklabels()] == ["a", "b"]


def test_convergence_of_calibrators():
    X = PRICES[None, :]
    options = {"n_chains": 4, "max_rhat": 1.02, "min_ess": 300}
    sampled = NUTSCalibrator(ContourPricer("black_scholes", GRID), **options).fit(X)
    display = ConvergenceDisplay.from_estimator(sampled, PRICES)
    assert (display.max_rhat, display.min_ess) == (1.02, 300)
    single = ConvergenceDisplay.from_estimator(FLAT, X)  # has neither threshold nor R-hat
    assert (single.max_rhat, single.min_ess) == (1.01, 400)
    panel = single.plot(figure=Figure()).axes_[0]
    assert panel.get_xlabel() == "R-hat: none of a single chain"


def test_ranks():
    ranks = pd.DataFrame({"a": np.r_[np.full(30, 0.05), np.linspace(0.1, 1, 70)]})
    display = RankDisplay(ranks, n_bins=5, coverage=0.9)
    panel = display.plot(figure=Figure()).axes_[0]
    assert_allclose([bar.get_height() for bar in panel.patches[:5]], display.counts["a"])
    assert display.counts["a"].sum() == 100
    # The band holds a count of 100 uniform ranks in one of 5 bins with 90 % and hardly more.
    low, high = display.band
    inside = stats.binom(100, 0.2).pmf(np.arange(low, high + 1)).sum()
    narrower = stats.binom(100, 0.2).pmf(np.arange(low + 1, high)).sum()
    assert narrower < 0.9 <= inside
    outside = [bar.get_facecolor() == to_rgba(COLOURS[0]) for bar in panel.patches[:5]]
    assert outside == [True, False, False, False, False]
    found = RankDisplay.from_estimator(LINEAR, 12, random_state=0)
    pd.testing.assert_frame_equal(found.ranks, simulation_based_ranks(LINEAR, 12, random_state=0))


# -- fans ------------------------------------------------------------------------------


def test_fan_of_a_flat_smile():
    display = PredictiveFanDisplay.from_estimator(FLAT, PRICES, coverages=[0.5, 0.9])
    volatility = FLAT.posterior_.posterior["sigma"].values.ravel()
    for coverage, band in display.bands.items():
        # The volatility of every option is the parameter.
        expected = np.quantile(volatility, [(1 - coverage) / 2, (1 + coverage) / 2])
        sd = volatility.std()
        assert_allclose(band["lower"], expected[0], rtol=0, atol=0.1 * sd)
        assert_allclose(band["upper"], expected[1], rtol=0, atol=0.1 * sd)
    grid = display.grid
    for (maturity, options), low, high in zip(grid.slices, (95, 90), (105, 110), strict=True):
        assert (grid.strike[options].min(), grid.strike[options].max()) == (low, high)
        forward = GRID.forward[np.isclose(GRID.maturity, maturity)][0]
        assert_allclose(grid.forward[options], forward)
    early, late = display.plot(figure=Figure()).axes_
    quotes = next(line for line in late.lines if line.get_label() == "quotes")
    assert_allclose(quotes.get_xydata(), [[110, 20], [90, 20], [100, 20]])
    assert early.get_title() == "0.25 years"
    assert labels(late) == ["quotes", "90 % band", "50 % band", "estimate"]
    wide = late.collections[0].get_paths()[0].vertices
    table = 100 * display.bands[0.9].iloc[-25:]
    assert_allclose(wide[:, 1].min(), table["lower"].min())
    assert_allclose(wide[:, 1].max(), table["upper"].max())
    assert display.figure_.get_supylabel() == "implied volatility (%)"


@pytest.mark.parametrize("output", ["price", "forward_price", "implied_vol"])
def test_fan_of_prices_whatever_was_quoted(output):
    pricer = ContourPricer("black_scholes", GRID, output=output)
    X = pricer.fit([[0.2]]).transform([[0.2]])
    calibrator = LaplaceCalibrator(pricer, n_draws=256).fit(X)
    other = OptionGrid([100.0], [1.0, 2.0], rate=0.02)
    display = PredictiveFanDisplay.from_estimator(calibrator, X, other, quantity="price")
    assert_allclose(display.quotes["value"], PRICES, rtol=1e-9)
    exact = black_price(other.forward, 100.0, other.maturity, 0.2, discount=other.discount)
    assert_allclose(display.bands[0.5]["estimate"], exact, rtol=2e-3)
    first, second = display.plot(figure=Figure()).axes_
    assert labels(first)[0] == "quotes"
    assert "quotes" not in labels(second)  # there are none of two years


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TraceDisplay, PosteriorDisplay, CornerDisplay])
def test_unknowns_that_cannot_be_shown(kind):
    with pytest.raises(ValueError, match="names must be some of a, b; got 'c'"):
        kind.from_posterior(POSTERIOR, names=["a", "c"])
    with pytest.raises(ValueError, match="names must not be empty"):
        kind.from_posterior(POSTERIOR, names=[])
    with pytest.raises(ValueError, match="posterior must be the InferenceData of one surface"):
        kind.from_posterior([POSTERIOR, POSTERIOR])
    with pytest.raises(ValueError, match="draws of a must be finite, and not all the same"):
        kind.from_posterior(inference_data(a=np.ones((2, 10))))
    with pytest.raises(ValueError, match="X must be one surface; got 2"):
        kind.from_estimator(LINEAR, np.vstack([QUOTES, QUOTES]))


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="coverage must be between 0 and 1; got 95"):
        PosteriorDisplay.from_posterior(POSTERIOR, coverage=95)
    with pytest.raises(ValueError, match="kind must be one of equal_tailed, highest_density"):
        PosteriorDisplay.from_posterior(POSTERIOR, kind="hdi")
    for coverages in ([0.5, 1.0], []):
        with pytest.raises(ValueError, match="coverages must be between 0 and 1"):
            CornerDisplay.from_posterior(POSTERIOR, coverages=coverages)
    with pytest.raises(ValueError, match="truth must be some of a, b; got 'c'"):
        CornerDisplay.from_posterior(POSTERIOR, truth={"c": 1.0})
    with pytest.raises(ValueError, match="truth must be a dict of values by name"):
        CredibleRegionDisplay.from_posterior(POSTERIOR, "ab", truth=[1.0, 2.0])
    with pytest.raises(ValueError, match="names must be two unknowns; got a"):
        CredibleRegionDisplay.from_posterior(POSTERIOR, ["a"])
    with pytest.raises(ValueError, match="lie on a line"):
        CredibleRegionDisplay.from_posterior(inference_data(a=A, b=2 * A), "ab")
    with pytest.raises(ValueError, match="quantity must be one of implied_vol, price"):
        PredictiveFanDisplay.from_estimator(FLAT, PRICES, quantity="delta")
    bands = {0.5: FLAT.posterior_predictive(PRICES[None, :])}
    with pytest.raises(ValueError, match=r"grid \(4\); those of 0.5 have 5"):
        PredictiveFanDisplay.from_predictions(GRID.take(slice(4)), bands)


@pytest.mark.filterwarnings("ignore::levylearn.exceptions.CalibrationWarning")
def test_surface_without_a_posterior():
    with pytest.raises(ValueError, match="X: LaplaceCalibrator finds no posterior"):
        TraceDisplay.from_estimator(LINEAR, np.full(5, np.nan))


def test_surfaces_with_names():
    X = pd.DataFrame(PRICES[None, :], columns=GRID.get_feature_names_out())
    calibrator = LaplaceCalibrator(ContourPricer("black_scholes", GRID), n_draws=64).fit(X)
    TraceDisplay.from_estimator(calibrator, X)
    display = PredictiveFanDisplay.from_estimator(calibrator, X, coverages=[0.5])
    assert_allclose(display.quotes["value"], 0.2)
