"""Pictures: what is drawn where, in which unit, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import proportion_confint

import levylearn.inspection
from levylearn.calibration import LaplaceCalibrator, LeastSquaresCalibrator, MLPCalibrator
from levylearn.datasets import make_surface_series, make_surfaces
from levylearn.inspection import (
    ConvergenceDisplay,
    CornerDisplay,
    CredibleRegionDisplay,
    CrossValidationDisplay,
    GreeksDisplay,
    IntervalDisplay,
    JacobianDisplay,
    ParameterCoverageDisplay,
    ParityDisplay,
    PerturbationDisplay,
    PosteriorDisplay,
    PredictiveFanDisplay,
    RankDisplay,
    RepricingErrorDisplay,
    ResidualsDisplay,
    RobustnessDisplay,
    SobolDisplay,
    SpeedAccuracyDisplay,
    SurfaceDisplay,
    TraceDisplay,
    TrainingDisplay,
    WalkForwardDisplay,
    distribution_drift,
    jacobian_sensitivity,
    robustness_curve,
    sobol_sensitivity,
)
from levylearn.market import OptionGrid, black_price
from levylearn.metrics import (
    get_calibration_scorer,
    interval_coverage,
    interval_width,
    parameter_mae,
    repricing_implied_vol_rmse,
)
from levylearn.model_selection import WalkForwardSplit
from levylearn.pricing import ContourPricer

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 0.5, 1.0], rate=0.02)
PRICER = ContourPricer("variance_gamma", GRID)
PARAMS = np.array([[0.2, 0.4, -0.2]])
X, Y = make_surfaces("variance_gamma", GRID, 60, random_state=0)
NAMES = ["sigma", "nu", "theta"]
LINE = LinearRegression().fit(X, Y)
SEARCH = LeastSquaresCalibrator(PRICER, n_candidates=16, n_starts=1).fit(X)
SURFACE = SEARCH.pricer_.transform(PARAMS)
POSTERIOR = LaplaceCalibrator(PRICER, n_draws=256).fit(SURFACE)


def points(collection):
    return np.asarray(collection.get_offsets())


# -- surfaces --------------------------------------------------------------------------


def test_surface_is_in_per_cent_over_strikes_and_maturities():
    price = black_price(GRID.forward, GRID.strike, GRID.maturity, 0.2, discount=GRID.discount)
    display = SurfaceDisplay.from_predictions(GRID, price, market=price).plot(figure=Figure())
    assert_allclose(display.volatility, 0.2)
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("strike", "maturity (years)")
    assert ax.get_zlabel() == "implied volatility (%)"
    x, y, z = ax.collections[-1]._offsets3d
    assert_allclose(np.column_stack([x, y]), np.column_stack([GRID.strike, GRID.maturity]))
    assert_allclose(z, 20)


@pytest.mark.parametrize(
    "grid",
    [
        OptionGrid.from_quotes([90, 100, 110, 95, 105], [0.5, 0.5, 0.5, 1.0, 1.0]),
        OptionGrid.from_quotes([90, 100, 110], [0.5, 0.5, 0.5]),
    ],
    ids=["ragged", "one maturity"],
)
def test_surfaces_of_any_quotes(grid):
    display = SurfaceDisplay.from_predictions(grid, np.full(grid.n_quotes, 0.2), unit="implied_vol")
    assert len(display.plot(figure=Figure()).ax_.collections) == 1


def test_triangles_are_between_neighbours():
    """As they look: a strike of a thousand is no further away than a maturity of one."""
    grid = OptionGrid([900, 1000, 1100], [0.5, 1.0]).take([0, 1, 2, 3, 4, 5])
    volatility = np.full(6, 0.2)
    volatility[5] = np.nan
    display = SurfaceDisplay.from_predictions(grid, volatility, unit="implied_vol")
    corners = [set(triangle) for triangle in display.triangles.tolist()]
    assert {1, 2, 4} in corners
    assert len(corners) == 3
    assert 5 not in set().union(*corners)
    display.plot(figure=Figure()).figure_.draw_without_rendering()


def test_surface_from_estimator():
    quotes = SURFACE[0].copy()
    quotes[3] = np.nan
    display = SurfaceDisplay.from_estimator(SEARCH, quotes)
    assert np.isfinite(display.volatility).all()
    assert np.flatnonzero(np.isnan(display.market)) == [3]
    with pytest.raises(ValueError, match="three-dimensional"):
        display.plot(Figure().subplots())


# -- errors ----------------------------------------------------------------------------


def test_parity():
    found = Y.copy()
    found[0] = np.nan
    found[1:, 1] += 0.1
    display = ParityDisplay.from_predictions(Y, found, names=NAMES).plot(figure=Figure())
    assert_allclose(
        points(display.axes_[1].collections[0])[1:], np.column_stack([Y, found])[1:, [1, 4]]
    )
    r2 = 1 - 59 * 0.01 / np.sum((Y[1:, 1] - Y[1:, 1].mean()) ** 2)
    titles = [panel.get_title() for panel in display.axes_]
    assert titles == [
        "sigma: R² = 1.000",
        f"nu: R² = {np.floor(1000 * r2) / 1000:.3f}",
        "theta: R² = 1.000",
    ]
    assert display.figure_.get_supxlabel() == "true"


def test_parity_never_rounds_up_to_one():
    found = Y[:, 0] + 1e-4
    title = (
        ParityDisplay.from_predictions(Y[:, 0], found).plot(figure=Figure()).axes_[0].get_title()
    )
    assert title == "y0: R² = 0.999"


def test_residuals():
    errors = np.random.default_rng(0).normal(scale=[0.01, 0.02, 0.03], size=Y.shape)
    display = ResidualsDisplay.from_predictions(Y, Y + errors, names=NAMES).plot(figure=Figure())
    assert display.axes_.shape == (3, 3)
    for row, name, error, truth in zip(display.axes_, NAMES, errors.T, Y.T, strict=True):
        quantiles, fitted = (points(panel.collections[0]) for panel in row[:2])
        assert_allclose(quantiles[:, 1], np.sort(error))
        assert_allclose(quantiles.mean(axis=0)[0], 0, atol=1e-12)
        assert_allclose(fitted, np.column_stack([truth + error, error]))
        assert row[0].get_ylabel() == row[2].get_xlabel() == f"error of {name}"
        area = sum(patch.get_width() * patch.get_height() for patch in row[2].patches)
        assert area == pytest.approx(1)


def test_errors_from_estimator():
    frame = pd.DataFrame(Y, columns=NAMES)
    for kind in (ParityDisplay, ResidualsDisplay):
        display = kind.from_estimator(LINE, X, frame)
        assert display.names == NAMES
        assert_allclose(display.y_pred, LINE.predict(X))
        assert list(kind.from_estimator(SEARCH, X[:3], Y[:3]).names) == NAMES
        with pytest.raises(ValueError, match="one per parameter"):
            kind.from_predictions(Y, Y, names=["sigma"])


# -- training --------------------------------------------------------------------------


def test_training():
    network = MLPCalibrator(max_epochs=3, random_state=0).fit(X, Y)
    display = TrainingDisplay.from_estimator(network).plot(figure=Figure())
    learned, held, best = display.ax_.lines
    assert_allclose(
        learned.get_xydata(), np.column_stack([[1, 2, 3], network.history_["train_loss"]])
    )
    assert_allclose(held.get_ydata(), network.history_["valid_loss"])
    assert best.get_xdata()[0] == network.best_epoch_ + 1
    assert display.ax_.get_title() == "MLPCalibrator"
    assert display.ax_.get_yscale() == "log"
    with pytest.raises(ValueError, match="LinearRegression has no history_"):
        TrainingDisplay.from_estimator(LINE)


# -- validation ------------------------------------------------------------------------


def test_cross_validation():
    scorer = get_calibration_scorer("neg_parameter_mae", model="variance_gamma")
    named = {
        "line": LinearRegression(),
        "scaled": make_pipeline(StandardScaler(), LinearRegression()),
    }
    folds = KFold(4, shuffle=True, random_state=0)
    display = CrossValidationDisplay.from_estimator(named, X, Y, cv=folds, scoring=scorer)
    for name, estimator in named.items():
        assert_allclose(
            display.scores[name], -cross_val_score(estimator, X, Y, cv=folds, scoring=scorer)
        )
    display.plot(figure=Figure())
    assert display.ax_.get_xlabel() == "parameter mae, one point per fold"
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["line", "scaled"]
    assert_allclose(points(display.ax_.collections[1])[:, 0], display.scores["scaled"])


def test_cross_validation_by_the_estimators_own_score():
    display = CrossValidationDisplay.from_estimator(LinearRegression(), X, Y)
    assert_allclose(display.scores["LinearRegression"], cross_val_score(LinearRegression(), X, Y))
    assert display.score_name == "score"


def test_walk_forward():
    data = make_surface_series("variance_gamma", GRID, 200, random_state=0, as_frame=True)
    folds = WalkForwardSplit(100, 40)
    display = WalkForwardDisplay.from_estimator(
        LinearRegression(), data.X, data.y, folds, model="variance_gamma"
    )
    train, test = list(folds.split(data.X))[1]
    row = display.table.iloc[1]
    assert row["time"] == data.dates[test[0]]
    model = LinearRegression().fit(data.X.iloc[train], data.y.iloc[train])
    options = {"model": "variance_gamma", "multioutput": "raw_values"}
    error = parameter_mae(data.y.iloc[test], model.predict(data.X.iloc[test]), **options)
    assert_allclose(row[NAMES].astype(float), error)
    drift = distribution_drift(data.X.iloc[train], data.X.iloc[test]).psi.mean()
    assert row["psi"] == pytest.approx(drift)
    errors, below = display.plot(figure=Figure()).axes_
    assert_allclose(errors.lines[1].get_ydata(), 100 * display.table.nu)
    assert_allclose(below.lines[0].get_ydata(), display.table.psi)
    assert errors.get_ylabel() == "MAE (% of range)"


def test_walk_forward_without_names_or_dates():
    options = {"ranges": [[0, 1]] * 3}
    display = WalkForwardDisplay.from_estimator(
        LinearRegression(), X, Y, WalkForwardSplit(30, 10), **options
    )
    assert list(display.table.columns) == ["time", "psi", "y0", "y1", "y2"]
    assert display.table.time.tolist() == [30, 40, 50]
    display.plot(figure=Figure())


# -- speed -----------------------------------------------------------------------------


def test_speed_against_accuracy():
    times, errors = [1e-3, 2e-3, 4e-3, 4e-3], [1.0, 0.1, 0.5, 0.1]
    table = pd.DataFrame({"calibration_time": times, "error": errors}, index=list("abcd"))
    display = SpeedAccuracyDisplay(table, "error").plot(figure=Figure())
    assert display.unbeaten.tolist() == [True, True, False, False]
    drawn = np.concatenate([points(each) for each in display.ax_.collections])
    assert_allclose(drawn, np.column_stack([1e3 * np.array(times), errors]))
    assert [text.get_text() for text in display.ax_.texts] == list("abcd")
    assert display.ax_.get_xlabel() == "time for a surface (ms)"


def test_speed_from_estimators():
    named = {"line": LINE, "search": SEARCH}
    display = SpeedAccuracyDisplay.from_estimator(named, X[:5], Y[:5], error="parameter_mae")
    assert list(display.table.index) == ["line", "search"]
    assert display.error in display.table


# -- robustness, intervals -------------------------------------------------------------


def test_robustness():
    kinds = {"noise": [0.0, 0.01], "shift": None}
    options = {"n_repeats": 3, "random_state": 0}
    named = {"line": LINE, "search": SEARCH}
    display = RobustnessDisplay.from_estimator(
        named, X[:20], Y[:20], kinds=kinds, pricer=PRICER, **options
    )
    table = display.table
    assert table.groupby(["kind", "calibrator"]).size().to_dict() == {
        ("noise", "line"): 6,
        ("noise", "search"): 6,
        ("shift", "line"): 6,
        ("shift", "search"): 6,
    }
    alone = robustness_curve(SEARCH, X[:20], Y[:20], "noise", [0.0, 0.01], **options)
    own = table[(table.kind == "noise") & (table.calibrator == "search")]
    assert_allclose(own.repricing_rmse, alone.repricing_rmse)
    noise, shift = display.plot(figure=Figure()).axes_
    assert (noise.get_xlabel(), shift.get_xlabel()) == (
        "noise (% of each quote)",
        "strikes off by (%)",
    )
    assert noise.get_ylabel() == "repricing rmse (currency)"
    drawn = noise.lines[1]
    assert drawn.get_label() == "search"
    means = alone.groupby("level").repricing_rmse.mean()
    assert_allclose(drawn.get_xydata(), np.column_stack([[0, 1], means]))
    band = noise.collections[1].get_paths()[0].vertices
    at_one = band[np.isclose(band[:, 0], 1), 1]
    assert at_one.min() == pytest.approx(alone.repricing_rmse[3:].min())
    assert at_one.max() == pytest.approx(alone.repricing_rmse[3:].max())
    assert [text.get_text() for text in display.figure_.legends[0].get_texts()] == list(named)


def test_robustness_of_one_calibrator():
    display = RobustnessDisplay.from_estimator(
        LINE, X[:5], Y[:5], kinds=["missing"], error="parameter_mae", pricer=PRICER, levels=[0]
    )
    assert display.table.calibrator.tolist() == ["LinearRegression"]
    assert display.plot(figure=Figure()).axes_[0].get_ylabel() == "parameter mae (of range)"
    with pytest.raises(ValueError, match="'kind'"):
        RobustnessDisplay.from_estimator(LINE, X, Y, kinds=["weather"], pricer=PRICER)


def test_robustness_of_calibrators_that_do_not_take_everything():
    """The one that is not in the second panel leaves its colour to none of the others."""
    table = pd.DataFrame(
        {
            "kind": ["noise"] * 4 + ["missing"] * 2,
            "calibrator": ["a", "a", "b", "b", "b", "b"],
            "level": [0.0, 0.1] * 3,
            "repricing_rmse": np.arange(6.0),
        }
    )
    first, second = RobustnessDisplay(table).plot(figure=Figure()).axes_
    assert len(second.lines) == 1
    assert first.lines[1].get_color() == second.lines[0].get_color() != first.lines[0].get_color()


@pytest.mark.filterwarnings("ignore::levylearn.exceptions.CalibrationWarning")
@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_intervals(coverage):
    noise = np.random.default_rng(0).normal(size=X.shape)
    noisy = X * (1 + 0.01 * noise)
    noisy[:3] = np.nan
    display = IntervalDisplay.from_estimator(SEARCH, noisy, Y, coverage=coverage)
    ends = SEARCH.predict_interval(noisy, coverage)
    options = {"nan_policy": "omit", "multioutput": "raw_values"}
    share = interval_coverage(Y, ends, **options)
    known = (~np.isnan(ends).any(axis=2)).sum(axis=0)
    assert (0 < known).all()
    assert (known <= 57).all()
    low, high = proportion_confint(share * known, known, method="wilson")
    assert_allclose(display.shares, np.column_stack([share, low, high]), rtol=1e-9)
    width = interval_width(Y, ends, model="variance_gamma", **options)
    assert_allclose(np.nanmean(display.widths, axis=0), width)
    shares, widths = display.plot(figure=Figure()).axes_
    assert_allclose(shares.lines[0].get_xydata(), np.column_stack([100 * share, range(3)]))
    assert shares.get_legend_handles_labels()[1] == [f"promised: {100 * coverage:g} %"]
    assert [label.get_text() for label in widths.get_yticklabels()] == NAMES
    assert widths.get_xlabel() == "width (% of range)"


def test_intervals_without_true_parameters():
    display = IntervalDisplay.from_estimator(SEARCH, X[:5])
    assert len(display.plot(figure=Figure()).axes_) == 1
    with pytest.raises(ValueError, match="no coverage"):
        _ = display.shares
    none = IntervalDisplay(np.full((2, 1, 2), np.nan), ["a"], np.ones(1), np.zeros((2, 1)))
    assert np.isnan(none.shares).all()
    none.plot(figure=Figure())


# -- sensitivities ---------------------------------------------------------------------


def test_sobol_bars():
    table = sobol_sensitivity(
        lambda x: np.column_stack([x[:, 0], x[:, 1]]), [[0, 1]] * 2, n_samples=64
    )
    display = SobolDisplay(table).plot(figure=Figure())
    for panel, (_, rows) in zip(display.axes_, table.groupby("output"), strict=True):
        widths = [bar.get_width() for bar in panel.patches]
        assert_allclose(widths, [*rows.first_order, *rows.total_order])
        assert panel.yaxis_inverted()  # the first input is on top
    assert display.figure_.get_supxlabel() == "share of the variance"
    one = SobolDisplay.from_estimator(PRICER, n_samples=8, aggregate=True, random_state=0)
    assert len(one.plot(figure=Figure()).axes_) == 1


def test_jacobian_map():
    display = JacobianDisplay.from_estimator(SEARCH, SURFACE).plot(figure=Figure())
    jacobian = jacobian_sensitivity(SEARCH, SURFACE)[0]
    for panel, values, name in zip(display.axes_, jacobian, NAMES, strict=True):
        image = panel.images[0]
        assert_allclose(image.get_array(), values.reshape(3, 5))
        assert image.norm.vmin == -image.norm.vmax  # white is zero
        assert panel.get_title() == f"d {name} / d quote"
        assert [label.get_text() for label in panel.get_yticklabels()] == ["0.25", "0.5", "1"]
    assert JacobianDisplay.from_estimator(LINE, SURFACE, grid=GRID).grid is GRID
    with pytest.raises(ValueError, match="give a grid"):
        JacobianDisplay.from_estimator(LINE, SURFACE)
    with pytest.raises(ValueError, match=r"grid \(2\); got 15"):
        JacobianDisplay.from_estimator(LINE, SURFACE, grid=GRID.take([0, 1]))


def test_repricing_errors_map():
    quotes = X[:8].copy()
    quotes[0, 3] = np.nan
    quotes[:, 14] = np.nan
    quotes[7] = np.nan  # no answer
    off = LinearRegression().fit(np.nan_to_num(X), Y + np.array([0.02, 0.05, 0.01]))
    display = RepricingErrorDisplay.from_predictions(GRID, quotes, PRICER.fit(Y).transform(Y[:8]))
    assert_allclose(display.values["RMSE (vol points)"][:14], 0, atol=1e-6)
    assert np.isnan(display.values["mean error (vol points)"][14])
    display.plot(figure=Figure()).figure_.draw_without_rendering()
    display = RepricingErrorDisplay.from_estimator(off, X, pricer=PRICER)
    rmse = display.values["RMSE (vol points)"]
    each = [
        repricing_implied_vol_rmse(Y[i : i + 1], off.predict(X[i : i + 1]), pricer=PRICER)
        for i in range(60)
    ]
    assert np.mean(rmse**2) == pytest.approx(np.mean(np.square(each)) * 1e4)
    mean = display.values["mean error (vol points)"]
    assert (mean > 0).all()  # sigma is too high
    assert (rmse >= mean).all()
    panel = display.plot(figure=Figure()).axes_[1]
    assert_allclose(panel.images[0].get_array(), rmse.reshape(3, 5))
    one = RepricingErrorDisplay.from_estimator(off, X[:1], pricer=PRICER)
    assert list(one.values) == ["error (vol points)"]
    with pytest.raises(ValueError, match="no pricer"):
        RepricingErrorDisplay.from_estimator(off, X)


def test_greeks_map_of_a_ragged_grid():
    pricer = ContourPricer("variance_gamma", GRID.take([0, 3, 7, 14]))
    display = GreeksDisplay.from_estimator(pricer, PARAMS[0], greeks=["gamma", "vega"])
    greeks = pricer.fit(PARAMS).greeks(PARAMS)
    assert_allclose(display.values["gamma"], greeks.gamma[0])
    assert_allclose(display.values[r"by $\nu$"], greeks.vega[0, 1])
    panel = display.plot(figure=Figure()).axes_[0]
    assert_allclose(panel.collections[0].get_array(), greeks.gamma[0])
    assert_allclose(points(panel.collections[0])[:, 0], pricer.grid.strike)
    with pytest.raises(ValueError, match="greeks must be some of"):
        GreeksDisplay.from_estimator(PRICER, PARAMS, greeks=["vanna"])
    with pytest.raises(ValueError, match="one parameter set; got 2"):
        GreeksDisplay.from_estimator(PRICER, Y[:2])


# -- parameters ------------------------------------------------------------------------


def test_perturbation():
    display = PerturbationDisplay.from_estimator(PRICER, PARAMS, step=0.2, maturity=0.5)
    low, high = SEARCH.pricer_.parameters_[1].market_range
    moved = PARAMS + np.array([0, 0.2 * (high - low), 0])
    smile = ContourPricer("variance_gamma", GRID, "implied_vol").fit(moved).transform(moved)
    assert_allclose(display.moved[1, 1], smile[0, 5:10], rtol=1e-9)
    panel = display.plot(figure=Figure()).axes_[1]
    assert_allclose(panel.lines[2].get_ydata(), 100 * smile[0, 5:10])
    assert [line.get_label() for line in panel.lines] == ["as is", "lower", "higher"]
    with pytest.raises(ValueError, match=r"one of 0.25, 0.5, 1; got 0.3"):
        PerturbationDisplay.from_estimator(PRICER, PARAMS, maturity=0.3)


def test_perturbation_out_of_the_domain_is_not_drawn():
    pricer = ContourPricer("heston", GRID)
    display = PerturbationDisplay.from_estimator(pricer, [0.04, 1.5, 0.04, 0.5, -0.95], step=0.2)
    assert np.isnan(display.moved[4, 0]).all()  # rho below -1
    assert np.isfinite(display.moved[4, 1]).all()


def test_coverage():
    sets = {"learned": Y, "found": np.where(np.arange(60)[:, None] < 3, np.nan, Y + 0.01)}
    display = ParameterCoverageDisplay.from_predictions("variance_gamma", sets).plot(
        figure=Figure()
    )
    panel = display.axes_[2, 1]
    assert_allclose(points(panel.collections[0]), Y[:, [1, 2]])
    assert (panel.get_xlabel(), display.axes_[2, 0].get_ylabel()) == (r"$\nu$", r"$\theta$")
    assert not display.axes_[0, 1].axison
    labels = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert labels == ["learned", "found"]
    found = ParameterCoverageDisplay.from_estimator(LINE, X, Y, model="variance_gamma")
    assert_allclose(found.sets["found"], LINE.predict(X))
    with pytest.raises(ValueError, match="give a model"):
        ParameterCoverageDisplay.from_estimator(LINE, X, Y)
    with pytest.raises(ValueError, match="must have 3 columns"):
        ParameterCoverageDisplay.from_predictions("variance_gamma", Y[:, :2])


# -- all of them -----------------------------------------------------------------------

EVERY = [
    SurfaceDisplay.from_estimator(SEARCH, SURFACE),
    ParityDisplay.from_predictions(Y, Y),
    ResidualsDisplay.from_predictions(Y[:, 0], 1.01 * Y[:, 0]),
    TrainingDisplay({"train_loss": [1, 0.5], "valid_loss": [1, 0.6]}),
    CrossValidationDisplay({"line": np.arange(3.0)}),
    WalkForwardDisplay(pd.DataFrame({"time": [0, 1], "psi": [0.1, 0.2], "nu": [0.0, 0.1]})),
    SpeedAccuracyDisplay(pd.DataFrame({"calibration_time": [1.0], "repricing_rmse": [1.0]})),
    SobolDisplay(sobol_sensitivity(PRICER, n_samples=4, aggregate=True, random_state=0)),
    JacobianDisplay.from_estimator(LINE, SURFACE, grid=GRID),
    RepricingErrorDisplay.from_predictions(GRID, X[:2], 1.01 * X[:2]),
    RobustnessDisplay(pd.DataFrame({"kind": ["noise"], "level": [0.1], "repricing_rmse": [1.0]})),
    IntervalDisplay.from_estimator(SEARCH, X[:2], Y[:2]),
    GreeksDisplay.from_estimator(PRICER, PARAMS, greeks=["delta", "theta"]),
    PerturbationDisplay.from_estimator(PRICER, PARAMS),
    ParameterCoverageDisplay.from_predictions("variance_gamma", Y),
    TraceDisplay.from_estimator(POSTERIOR, SURFACE),
    PosteriorDisplay.from_estimator(POSTERIOR, SURFACE),
    CredibleRegionDisplay.from_estimator(POSTERIOR, SURFACE, ["nu", "theta"]),
    CornerDisplay.from_estimator(POSTERIOR, SURFACE),
    ConvergenceDisplay.from_estimator(POSTERIOR, SURFACE),
    PredictiveFanDisplay.from_estimator(POSTERIOR, SURFACE),
    RankDisplay(pd.DataFrame(np.random.default_rng(0).random((50, 2)), columns=["a", "b"])),
]


def test_none_is_missing():
    kinds = {name for name in levylearn.inspection.__all__ if name.endswith("Display")}
    assert {type(display).__name__ for display in EVERY} == kinds - {"SmileFitDisplay"}


@pytest.mark.parametrize("display", EVERY, ids=lambda display: type(display).__name__)
def test_draws_into_a_figure_and_into_axes(display):
    figure = Figure()
    assert display.plot(figure=figure) is display
    assert display.figure_ is figure
    axes = np.ravel(display.axes_ if hasattr(display, "axes_") else [display.ax_])
    figure.draw_without_rendering()  # labels and layout
    own = Figure()
    solid = isinstance(display, SurfaceDisplay)
    n = int(np.ceil(np.sqrt(len(axes))))
    given = own.subplots(n, n, subplot_kw={"projection": "3d"} if solid else {})
    assert display.plot(given).figure_ is own
    if len(axes) > 1:
        with pytest.raises(ValueError, match=f"ax must be {len(axes)} axes; got 1"):
            display.plot(Figure().subplots())
