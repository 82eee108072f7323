"""The page about a calibrator: complete, right, in one file, and safe to open."""

import json
import sys
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.offline
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression

from levylearn.calibration import LeastSquaresCalibrator, MLPCalibrator
from levylearn.datasets import load_sp500_2002, make_surfaces
from levylearn.exceptions import CalibrationWarning
from levylearn.inspection import (
    IntervalDisplay,
    ParityDisplay,
    RepricingErrorDisplay,
    ResidualsDisplay,
    SmileFitDisplay,
    SurfaceDisplay,
    TrainingDisplay,
    calibration_report,
)
from levylearn.inspection._interactive import MOST_POINTS, interactive
from levylearn.market import OptionGrid
from levylearn.metrics import (
    parameter_mae,
    parameter_r2,
    parameter_rmse,
    repricing_implied_vol_rmse,
    repricing_mape,
    repricing_rmse,
)
from levylearn.pricing import ContourPricer

GRID = OptionGrid([80, 90, 100, 110, 120], [0.25, 0.5, 1.0], rate=0.02)
RAGGED = GRID.take([0, 2, 4, 5, 8, 9, 11, 14])
PRICER = ContourPricer("variance_gamma", GRID)
NAMES = ["sigma", "nu", "theta"]
X, Y = make_surfaces("variance_gamma", GRID, 60, random_state=0)
NOISY = X * (1 + 0.002 * np.random.default_rng(0).normal(size=X.shape))
LINE = LinearRegression().fit(X, Y)
SEARCH = LeastSquaresCalibrator(PRICER, n_candidates=16, n_starts=1).fit(X)
VOID = {"meta", "br", "hr", "img", "input", "link", "path", "circle", "line", "rect"}


class Page(HTMLParser):
    """What a browser finds: sections, tables, pictures, and whatever it would have to fetch."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tables, self.headings, self.pictures, self.fetched = [], [], [], [], []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "h2":
            self.headings.append("")
        elif tag == "div" and "plotly-graph-div" in attributes.get("class", ""):
            self.pictures.append(attributes["id"])
        self.fetched += [
            attributes[name] for name in ("src", "data", "srcset") if name in attributes
        ]
        if tag == "link":
            self.fetched.append(attributes.get("href"))

    def handle_startendtag(self, tag, attributes):
        pass  # of SVG, in scikit-learn's diagram

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            return
        self.text += data
        if "h2" in self.open:
            self.headings[-1] += data
        elif {"td", "th"} & set(self.open) and self.tables[-1]:
            self.tables[-1][-1][-1] += data

    def table(self, *columns):
        """Numbers of the tables that have these columns, by the name of the row."""
        return [
            {row[0]: [float(cell) for cell in row[1:]] for row in rows[1:]}
            for rows in self.tables
            if rows and [cell.strip() for cell in rows[0][1:]] == list(columns)
        ]


def page(*arguments, **options):
    return Page(calibration_report(*arguments, **options))


@pytest.fixture(scope="module")
def network():
    names = {"columns": NAMES}
    calibrator = MLPCalibrator(hidden_layer_sizes=(8,), max_epochs=3, random_state=0)
    return calibrator.fit(X, pd.DataFrame(Y, **names))


# -- what is on it ---------------------------------------------------------------------


def test_sections_of_surfaces_whose_parameters_are_known(network):
    found = page(network, X, Y, pricer=PRICER)
    assert found.headings == [
        "Calibrator",
        "Model card",
        "Parameters",
        "Residuals",
        "Repricing",
        "Errors over strikes and maturities",
        "Smiles",
        "The worst smiles",
        "Intervals",
        "Training",
        "Time",
    ]
    assert len(found.pictures) == len(set(found.pictures)) == 8
    assert "60 surfaces of 15 quotes, 0.0% of these missing" in found.text
    assert network.model_card() in found.text
    assert "60 of 60 surfaces have an answer" in found.text


def test_errors_are_the_metrics():
    found = page(LINE, NOISY, Y, pricer=PRICER)
    answer, each = LINE.predict(NOISY), {"multioutput": "raw_values"}
    unit = {"model": "variance_gamma", **each}
    (errors,) = found.table("R²", "MAE (% of range)", "RMSE (% of range)")
    expected = np.column_stack(
        [
            parameter_r2(Y, answer, **each),
            100 * parameter_mae(Y, answer, **unit),
            100 * parameter_rmse(Y, answer, **unit),
        ]
    )
    assert list(errors) == [*NAMES, "mean"]
    assert_allclose(list(errors.values()), [*expected, expected.mean(axis=0)], rtol=1e-3)


def test_repricing_is_the_metrics():
    """Against quotes with noise, and against those of the true parameters."""
    noisy = page(SEARCH, NOISY, Y)
    answer = SEARCH.predict(NOISY)
    quoted, clean = noisy.table("mean", "median", "95th percentile")
    for name, metric, unit in (
        ("RMSE (currency)", repricing_rmse, 1),
        ("MAPE (%)", repricing_mape, 100),
        ("implied-vol RMSE (points)", repricing_implied_vol_rmse, 100),
    ):
        expected = [unit * metric(Y, answer, pricer=PRICER, quantile=q) for q in (None, 0.5, 0.95)]
        assert_allclose(clean[name], expected, rtol=1e-3)
        assert quoted[name][0] > clean[name][0]  # the noise itself
    error = np.sqrt(np.mean((SEARCH.pricer_.transform(answer) - NOISY) ** 2, axis=1))
    assert quoted["RMSE (currency)"][0] == pytest.approx(error.mean(), rel=1e-3)
    assert f"Surface {np.argmax(error)}, whose error is the largest" in noisy.text
    assert f"Surface {np.argsort(error)[29]}, whose error is the median" in noisy.text
    assert len(page(SEARCH, X, Y).table("mean", "median", "95th percentile")) == 1


def test_intervals_of_known_parameters():
    found = page(SEARCH, NOISY, Y, coverage=0.8)
    (intervals,) = found.table("coverage (%)", "mean width (% of range)", "score (% of range)")
    ends = SEARCH.predict_interval(NOISY, 0.8)
    inside = (ends[..., 0] <= Y) & (Y <= ends[..., 1])
    known = ~np.isnan(ends).any(axis=2)
    share = 100 * (inside & known).sum(axis=0) / known.sum(axis=0)
    assert_allclose([row[0] for row in intervals.values()], share, rtol=1e-3)


def test_one_surface_of_a_market():
    data = load_sp500_2002()
    quotes = np.array(data.prices)[None]
    quotes[0, 7] = np.nan
    calibrator = LeastSquaresCalibrator(ContourPricer("nig", data.grid)).fit(quotes)
    found = page(calibrator, quotes)
    assert found.headings == [
        "Calibrator",
        "Parameters",
        "Repricing",
        "Errors over strikes and maturities",
        "Smiles",
        "Time",
    ]
    (parameters,) = found.table("found", "from", "to")
    expected = np.column_stack(
        [calibrator.predict(quotes)[0], calibrator.predict_interval(quotes)[0]]
    )
    assert_allclose(list(parameters.values()), expected, rtol=1e-3)
    assert "1.3% of these missing" in found.text


def test_surfaces_whose_parameters_are_not_known():
    found = page(SEARCH, NOISY[:20])
    (spread,) = found.table("mean", "std", "min", "5%", "50%", "95%", "max")
    answer = SEARCH.predict(NOISY[:20])
    assert_allclose([row[4] for row in spread.values()], np.median(answer, axis=0), rtol=1e-3)
    assert "Residuals" not in found.headings
    assert "Intervals" in found.headings


def test_without_a_pricer():
    """The range of the true parameters is the unit, and there is nothing to reprice."""
    found = page(LINE, X, pd.DataFrame(Y, columns=["a", "b", "c"]))
    assert found.headings == ["Calibrator", "Parameters", "Residuals", "Time"]
    (errors,) = found.table("R²", "MAE (% of range)", "RMSE (% of range)")
    error = np.abs(LINE.predict(X) - Y).mean(axis=0) / np.ptp(Y, axis=0)
    assert_allclose([errors[name][1] for name in "abc"], 100 * error, rtol=1e-3)
    assert "the range of the true values" in found.text


def test_surfaces_without_an_answer_are_counted():
    surfaces = NOISY.copy()
    surfaces[:2] = np.nan
    found = page(SEARCH, surfaces, Y)
    assert "58 of 60 surfaces have an answer" in found.text
    assert "over 58 of 60 surfaces" in found.text
    assert found.headings[-1] == "Warnings"
    assert "2 of 60 surfaces could not be calibrated; the first is row 0" in found.text
    assert found.text.count("could not be calibrated") == 1
    only_lost = page(SEARCH, surfaces[:2], Y[:2])
    assert "0 of 2 surfaces have an answer" in only_lost.text
    assert not [name for name in only_lost.headings if "mile" in name]


def test_one_maturity_is_no_surface():
    grid = OptionGrid([90, 100, 110], [0.5])
    surfaces, params = make_surfaces("black_scholes", grid, 5, random_state=0)
    calibrator = LeastSquaresCalibrator(ContourPricer("black_scholes", grid)).fit(surfaces)
    found = page(calibrator, surfaces, params)
    number = found.headings.index("Smiles") + 1
    assert [name for name in found.pictures if name.startswith(f"part-{number}-")] == [
        f"part-{number}-1"
    ]


def test_frames_stay_frames():
    """A calibrator that has learned names would complain of arrays."""
    frame, params = make_surfaces("variance_gamma", GRID, 20, random_state=0, as_frame=True)
    line = LinearRegression().fit(frame, params)
    assert page(line, frame, params, pricer=PRICER).headings[-1] == "Time"


# -- one file, safe to open ------------------------------------------------------------


def test_needs_no_network_and_sends_nothing():
    html = calibration_report(SEARCH, X[:5], Y[:5])
    assert Page(html).fetched == []
    script = plotly.offline.get_plotlyjs()
    assert html.count(script) == 1
    rest = html.replace(script, "")
    assert len(rest) < 3e5
    assert rest.count('"showSendToCloud": false') == rest.count("Plotly.newPlot(") == 7
    assert "plot.ly" not in rest
    assert "@import" not in rest
    assert f"{len(script.encode()) / 1e6:.1f} MB" in rest


def test_written_as_it_is_returned(tmp_path):
    path = tmp_path / "page.html"
    html = calibration_report(LINE, X, Y, path=path)
    assert path.read_text(encoding="utf-8") == html
    assert html.startswith("<!DOCTYPE html>")


ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


class Named(RegressorMixin, BaseEstimator):
    """A line with a note that it gives as its parameter, its card and its warning."""

    def __init__(self, note=""):
        self.note = note

    def fit(self, X, y):
        self.line_ = LinearRegression().fit(X, y)
        return self

    def predict(self, X):
        warnings.warn(self.note, CalibrationWarning, stacklevel=2)
        return self.line_.predict(X)

    def model_card(self):
        return self.note


def test_names_are_text_not_markup():
    y = pd.DataFrame(Y, columns=[ATTACK, "b", "<b>c</b>"])
    html = calibration_report(Named(ATTACK).fit(X, Y), X, y)
    found = Page(html)
    assert found.fetched == []
    assert "alert(1)</script>" not in html
    assert "<img" not in html
    assert ATTACK in found.text  # in the card, in a table
    (errors,) = found.table("R²", "MAE (% of range)", "RMSE (% of range)")
    assert list(errors) == [ATTACK, "b", "<b>c</b>", "mean"]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((LINE, X), {}, "give y, or a pricer"),
        ((LINE, X[:, :4], Y), {"pricer": PRICER}, r"pricer's grid \(15\); got 4"),
        ((LINE, X, Y[:, :2]), {}, "must have the same shape"),
        ((LINE, X, Y), {"coverage": 1.5}, "'coverage'"),
        ((LINE, X, Y), {"pricer": "heston"}, "'pricer'"),
        ((object(), X, Y), {}, "'calibrator'"),
    ],
)
def test_refuses(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        calibration_report(*arguments, **options)


def test_without_plotly(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    message = r"calibration_report requires plotly: pip install 'levylearn\[report\]'"
    with pytest.raises(ImportError, match=message):
        calibration_report(LINE, X, Y)


# -- pictures --------------------------------------------------------------------------

VOLATILITY = np.linspace(0.2, 0.3, GRID.n_quotes)
OF_VOLATILITY = {"unit": "implied_vol"}
DISPLAYS = {
    "parity": ParityDisplay.from_predictions(Y, Y + 0.01, names=NAMES),
    "residuals": ResidualsDisplay.from_predictions(Y, LINE.predict(NOISY), names=NAMES),
    "smiles": SmileFitDisplay.from_predictions(
        GRID, VOLATILITY, {"heston": VOLATILITY + 0.01}, **OF_VOLATILITY
    ),
    "surface": SurfaceDisplay.from_predictions(
        GRID, VOLATILITY, market=VOLATILITY + 0.01, **OF_VOLATILITY
    ),
    "ragged surface": SurfaceDisplay.from_predictions(RAGGED, VOLATILITY[:8], **OF_VOLATILITY),
    "one maturity": SurfaceDisplay.from_predictions(
        GRID.take(range(5)), VOLATILITY[:5], **OF_VOLATILITY
    ),
    "errors": RepricingErrorDisplay.from_estimator(SEARCH, NOISY),
    "ragged errors": RepricingErrorDisplay.from_predictions(
        RAGGED, X[:3, :8], 1.01 * X[:3, :8], unit="price"
    ),
    "intervals": IntervalDisplay.from_estimator(SEARCH, NOISY, Y),
    "widths": IntervalDisplay.from_estimator(SEARCH, NOISY),
    "training": TrainingDisplay({"train_loss": [1, 0.5, 0.4], "valid_loss": [1, 0.6, 0.7]}),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_axes_have_titles(name):
    layout = interactive(DISPLAYS[name]).to_dict()["layout"]
    scene = layout.get("scene", {})
    axes = {key: axis for key, axis in [*layout.items(), *scene.items()] if key[1:5] == "axis"}
    assert axes
    first_of_row = [key for key, axis in axes.items() if not (key[0] == "y" and "matches" in axis)]
    untitled = [key for key in first_of_row if not axes[key].get("title", {}).get("text")]
    assert not untitled
    json.loads(interactive(DISPLAYS[name]).to_json())


def test_every_kind_has_a_picture():
    kinds = {type(display) for display in DISPLAYS.values()}
    assert kinds == set(interactive.registry) - {object}
    with pytest.raises(NotImplementedError, match="of list"):
        interactive([])


def test_parity_and_residuals_hold_what_the_displays_hold():
    display = DISPLAYS["parity"]
    figure = interactive(display)
    assert [note.text for note in figure.layout.annotations] == display.titles
    assert_allclose(figure.data[2].x, Y[:, 1])
    assert_allclose(figure.data[2].y, Y[:, 1] + 0.01)
    error = LINE.predict(NOISY) - Y
    line, quantiles, _, fitted, bars, _ = interactive(DISPLAYS["residuals"]).data[6:12]
    assert_allclose(quantiles.y, np.sort(error[:, 1]))
    assert_allclose(error[quantiles.customdata, 1], quantiles.y)
    assert_allclose(fitted.x, (Y + error)[:, 1])
    assert_allclose(fitted.y, error[:, 1])
    assert np.sum(np.multiply(bars.y, bars.width)) == pytest.approx(1)
    slope = np.diff(line.y) / np.diff(line.x)
    assert_allclose(slope, error[:, 1].std())


def test_smiles_and_surface_are_in_per_cent():
    smile = interactive(DISPLAYS["smiles"])
    model, market = smile.data[2:4]  # of the second maturity
    assert_allclose(market.y, 100 * VOLATILITY[5:10])
    assert_allclose(model.y, 100 * VOLATILITY[5:10] + 1)
    assert [trace.name for trace in smile.data if trace.showlegend] == ["heston", "market"]
    surface, quotes = interactive(DISPLAYS["surface"]).data
    assert_allclose(surface.z, 100 * VOLATILITY.reshape(3, 5))
    assert_allclose(quotes.z, 100 * VOLATILITY + 1)
    (mesh,) = interactive(DISPLAYS["ragged surface"]).data
    assert {*mesh.i, *mesh.j, *mesh.k} == set(range(8))
    (points,) = interactive(DISPLAYS["one maturity"]).data
    assert points.type == "scatter3d"


def test_errors_over_contracts():
    display = DISPLAYS["errors"]
    mean, rmse = interactive(display).data
    assert_allclose(mean.z, display.values["mean error (vol points)"].reshape(3, 5))
    assert mean.zmin == -mean.zmax  # white is zero
    assert mean.x == ("80", "90", "100", "110", "120")
    assert rmse.zmin is None
    quotes = interactive(DISPLAYS["ragged errors"]).data[0]
    assert_allclose(quotes.x, RAGGED.strike)


def test_intervals_and_training():
    display = DISPLAYS["intervals"]
    shares, *boxes = interactive(display).data
    assert_allclose(shares.x, 100 * display.shares[:, 0])
    assert [box.name for box in boxes] == NAMES
    finite = display.widths[np.isfinite(display.widths[:, 2]), 2]
    assert_allclose(boxes[2].x, 100 * finite)
    learned, held = interactive(DISPLAYS["training"]).data
    assert (learned.name, held.name) == ("learned from", "held out")
    assert_allclose(held.x, [1, 2, 3])


def test_many_surfaces_are_thinned():
    y = np.random.default_rng(0).normal(size=(3 * MOST_POINTS, 1))
    points = interactive(ParityDisplay.from_predictions(y, y)).data[0]
    assert len(points.x) == MOST_POINTS
    assert_allclose(points.x, y[points.customdata, 0])
    assert {points.customdata[0], points.customdata[-1]} == {0, len(y) - 1}
