"""Errors of surfaces that are priced again."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from levylearn.market import OptionGrid, black_price
from levylearn.metrics import (
    arbitrage_violations,
    average_relative_percentage_error,
    calibration_time,
    failure_rate,
    repricing_implied_vol_rmse,
    repricing_mape,
    repricing_rmse,
)
from levylearn.pricing import ContourPricer

GRID = OptionGrid([80, 100, 120], [0.25, 1.0], rate=0.03, dividend=0.01, option_type="put")
PRICER = ContourPricer("black_scholes", GRID)
TRUE = np.array([0.15, 0.2, 0.25, 0.3, 0.35])[:, None]
FOUND = TRUE + np.array([0.01, 0.0, -0.02, 0.03, 0.001])[:, None]
METRICS = [repricing_rmse, repricing_mape, repricing_implied_vol_rmse]
every = pytest.mark.parametrize("metric", METRICS)


def black(volatility):
    return black_price(
        GRID.forward, GRID.strike, GRID.maturity, volatility, GRID.discount, GRID.option_type
    )


def by_hand(metric):
    errors = black(FOUND) - black(TRUE)
    if metric is repricing_rmse:
        return np.sqrt((errors**2).mean(axis=1))
    if metric is repricing_mape:
        return np.abs(errors / black(TRUE)).mean(axis=1)
    return np.abs(FOUND - TRUE)[:, 0]


@every
@pytest.mark.parametrize("quantile", [None, 0.5, 0.95])
def test_black_scholes_by_hand(metric, quantile):
    each = by_hand(metric)
    expected = each.mean() if quantile is None else np.quantile(each, quantile)
    assert metric(TRUE, FOUND, pricer=PRICER, quantile=quantile) == pytest.approx(
        expected, rel=1e-7
    )


@every
def test_fitted_or_not(metric):
    fitted = ContourPricer("black_scholes", GRID).fit(TRUE)
    assert metric(TRUE, FOUND, pricer=fitted) == metric(TRUE, FOUND, pricer=PRICER)
    assert metric(TRUE[:, 0], FOUND[:, 0], pricer=fitted.set_output(transform="pandas")) == metric(
        TRUE, FOUND, pricer=PRICER
    )
    assert not hasattr(PRICER, "model_")


@pytest.mark.parametrize("output", ["forward_price", "implied_vol"])
def test_unit_of_the_pricer(output):
    pricer = ContourPricer("black_scholes", GRID, output=output)
    found = repricing_implied_vol_rmse(TRUE, FOUND, pricer=pricer)
    assert found == pytest.approx(by_hand(repricing_implied_vol_rmse).mean(), rel=1e-7)
    if output == "forward_price":
        relative = repricing_mape(TRUE, FOUND, pricer=pricer)
        assert relative == pytest.approx(repricing_mape(TRUE, FOUND, pricer=PRICER), rel=1e-9)
    else:
        rmse = repricing_rmse(TRUE, FOUND, pricer=pricer)
        assert rmse == pytest.approx(np.abs(FOUND - TRUE).mean(), rel=1e-7)


def test_mape_is_arpe():
    """Of one surface it is what the literature of calibrations reports."""
    surfaces = black(TRUE), black(FOUND)
    expected = np.mean(average_relative_percentage_error(*surfaces))
    assert repricing_mape(TRUE, FOUND, pricer=PRICER) == pytest.approx(expected, rel=1e-9)


def test_options_worth_nothing_have_no_relative_error():
    far = OptionGrid([100, 100000], [0.1])
    near = OptionGrid([100], [0.1])
    both, one = (ContourPricer("black_scholes", grid) for grid in (far, near))
    expected = repricing_mape(TRUE, FOUND, pricer=one)
    assert repricing_mape(TRUE, FOUND, pricer=both) == pytest.approx(expected, rel=1e-9)


@every
@pytest.mark.parametrize("bad", [np.nan, -0.2])
def test_what_has_no_price_is_not_hidden(metric, bad):
    """Neither NaN nor a negative volatility."""
    lost = FOUND.copy()
    lost[2] = bad
    assert np.isnan(metric(TRUE, lost, pricer=PRICER))
    assert np.isnan(metric(TRUE, lost, pricer=PRICER, quantile=0.5))
    kept = [0, 1, 3, 4]
    assert metric(TRUE, lost, pricer=PRICER, nan_policy="omit") == pytest.approx(
        by_hand(metric)[kept].mean(), rel=1e-7
    )
    assert failure_rate(TRUE, lost, pricer=PRICER) == 0.2
    assert failure_rate(TRUE, lost) == (0.2 if np.isnan(bad) else 0.0)
    none = np.full_like(TRUE, bad)
    assert np.isnan(metric(TRUE, none, pricer=PRICER, nan_policy="omit"))


@every
def test_refuses(metric):
    with pytest.raises(ValueError, match="y_true must be parameters that the pricer has a price"):
        metric(-TRUE, FOUND, pricer=PRICER)
    with pytest.raises(ValueError, match="There are 2 parameters, but the pricer has 1: sigma"):
        metric(np.ones((3, 2)), np.ones((3, 2)), pricer=PRICER)
    with pytest.raises(ValueError, match="quantile"):
        metric(TRUE, FOUND, pricer=PRICER, quantile=95)


class Bumpy(ContourPricer):
    """Prices with an error at one strike, as a learned map of prices might make it."""

    def evaluate(self, params, gradient=False, **planned):
        surfaces, slopes = super().evaluate(params, gradient, **planned)
        return surfaces + np.where(self.grid.strike == 100, 5.0, 0.0), slopes


def test_arbitrage():
    assert arbitrage_violations(TRUE, FOUND, pricer=PRICER) == 0
    calls = OptionGrid([90, 95, 100, 105, 110], [0.5])
    bumpy = Bumpy("black_scholes", calls).fit(TRUE)
    # At 100 the price is above the line from 95 to 105, it is above that at 95, and from there
    # to 105 it falls by more than 5: three for each surface.
    assert arbitrage_violations(TRUE, FOUND, pricer=bumpy) == 3
    lost = FOUND.copy()
    lost[0] = np.nan
    assert np.isnan(arbitrage_violations(TRUE, lost, pricer=bumpy))
    assert arbitrage_violations(TRUE, lost, pricer=bumpy, nan_policy="omit") == 3


class Sleepy:
    """Takes a hundredth of a second for each surface, by a clock that a test can turn."""

    def __init__(self, clock):
        self.clock = clock

    def predict(self, X):
        self.clock.now += 0.01 * len(X)
        return np.zeros((len(X), 1))


def test_calibration_time(monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr("levylearn.metrics._time.time", clock)
    assert_allclose(calibration_time(Sleepy(clock), np.ones((7, 2)), n_repeats=3), 0.01)
    assert clock.now == pytest.approx(0.21)
