"""The picture of a fit: what is drawn where, and in which unit."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.inspection import SmileFitDisplay
from levylearn.market import OptionGrid, black_price
from levylearn.pricing import ContourPricer

GRID = OptionGrid.from_quotes([110, 90, 100, 95, 105], [1.0, 1.0, 1.0, 0.25, 0.25], rate=0.02)


def priced(volatility):
    return black_price(GRID.forward, GRID.strike, GRID.maturity, volatility, discount=GRID.discount)


def lines(panel):
    return {line.get_label(): line.get_xydata() for line in panel.lines}


def test_draws_each_maturity_in_its_panel():
    display = SmileFitDisplay.from_predictions(GRID, priced(0.2), {"a": priced(0.21)})
    assert display.plot(figure=Figure()) is display
    assert [panel.get_title() for panel in display.axes_] == ["0.25 years", "1 years"]
    later = lines(display.axes_[1])
    # In per cent, by increasing strike though the quotes were not.
    assert later["market"] == pytest.approx(np.array([[90, 20], [100, 20], [110, 20]]))
    assert later["a"] == pytest.approx(np.array([[90, 21], [100, 21], [110, 21]]))


def test_axes_and_legend_say_what_is_shown():
    models = {"one": priced(0.21), "two": priced(0.19)}
    figure = Figure()
    display = SmileFitDisplay.from_predictions(GRID, priced(0.2), models).plot(figure=figure)
    assert display.figure_ is figure
    assert figure.get_supxlabel() == "strike"
    assert figure.get_supylabel() == "implied volatility (%)"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["market", "one", "two"]


def test_missing_quotes_leave_gaps():
    market = priced(0.2)
    market[[1, 2]] = np.nan, 1e-9  # not quoted; below intrinsic value
    display = SmileFitDisplay.from_predictions(GRID, market, priced(0.2)).plot(figure=Figure())
    later = lines(display.axes_[1])
    assert np.isnan(later["market"][:, 1]).tolist() == [True, True, False]
    assert np.isfinite(later["model"]).all()


@pytest.mark.parametrize("unit", ["price", "forward_price", "implied_vol"])
def test_units(unit):
    surface = {
        "price": priced(0.2),
        "forward_price": priced(0.2) / (GRID.discount * GRID.forward),
        "implied_vol": np.full(5, 0.2),
    }[unit]
    display = SmileFitDisplay.from_predictions(GRID, surface, surface, unit=unit)
    assert display.market == pytest.approx(np.full(5, 0.2))
    assert display.models["model"] == pytest.approx(np.full(5, 0.2))


def test_from_estimator_draws_the_calibrated_model():
    calibrator = LeastSquaresCalibrator(ContourPricer("black_scholes", GRID), n_starts=1)
    X = priced(0.2)[None, :]
    display = SmileFitDisplay.from_estimator(calibrator.fit(X), X[0])
    assert display.models["black_scholes"] == pytest.approx(np.full(5, 0.2), abs=1e-8)
    with pytest.raises(ValueError, match="X must be one surface; got 2"):
        SmileFitDisplay.from_estimator(calibrator, np.vstack([X, X]))


def test_draws_into_axes_that_are_given():
    axes = Figure().subplots(1, 3)
    display = SmileFitDisplay.from_predictions(GRID, priced(0.2), priced(0.2)).plot(ax=axes)
    assert list(display.axes_) == list(axes[:2])
    with pytest.raises(ValueError, match="2 axes"):
        display.plot(ax=axes[0])


def test_refuses_a_surface_of_another_grid():
    with pytest.raises(ValueError, match=r"one entry per quote of the grid \(5\)"):
        SmileFitDisplay.from_predictions(GRID, priced(0.2), priced(0.2)[:3])
    with pytest.raises(ValueError, match="unit must be one of"):
        SmileFitDisplay.from_predictions(GRID, priced(0.2), priced(0.2), unit="vol")
