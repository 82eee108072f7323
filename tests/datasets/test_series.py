"""Surfaces over time."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logit

from levylearn.datasets import make_surface_series
from levylearn.market import OptionGrid
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer
from tests.datasets._noise import Multiplied

GRID = OptionGrid([90, 100, 110], [0.25, 1.0])
ATM = OptionGrid([100], [0.25])


@pytest.fixture(scope="module")
def volatility():
    """Ten years of an at-the-money volatility."""
    return make_surface_series("heston", ATM, 2520, output="implied_vol", random_state=0)


def test_prices_of_the_parameters():
    data = make_surface_series("bates", GRID, 30, random_state=0)
    expected = ContourPricer("bates", GRID).fit(data.y).transform(data.y)
    assert_allclose(data.X, expected, atol=1e-11)
    assert set(data) == {
        *("X", "y", "regime", "dates", "feature_names", "parameter_names", "grid", "model")
    }


@pytest.mark.parametrize("model", list_models())
def test_parameters_stay_in_their_market_ranges(model):
    data = make_surface_series(model, ATM, 100, random_state=0)
    low, high = np.array([p.market_range for p in get_model(model).parameters]).T
    assert ((low <= data.y) & (data.y <= high)).all()
    assert get_model(model).admissible(data.y).all()


def test_one_day_is_like_the_last(volatility):
    levels = volatility.X[:, 0]
    assert np.corrcoef(levels[1:], levels[:-1])[0, 1] > 0.9


@pytest.mark.parametrize("speed", [5.0, 20.0, 1000.0])
def test_mean_reversion(speed):
    """In one regime positions are autoregressive, with the correlation that speed implies."""
    data = make_surface_series(
        "nig", ATM, 4000, transition=np.eye(3), mean_reversion=speed, random_state=0
    )
    low, high = get_model("nig").parameters[1].market_range
    position = logit((data.y[:, 1] - low) / (high - low))
    correlation = np.corrcoef(position[1:], position[:-1])[0, 1]
    assert_allclose(correlation, np.exp(-speed / 252), atol=0.04)


def test_regimes_come_and_go(volatility):
    regime = volatility.regime
    means = [volatility.X[regime == name].mean() for name in ("calm", "normal", "stressed")]
    assert means[0] + 0.03 < means[1] < means[2] - 0.03
    changes = np.count_nonzero(regime[1:] != regime[:-1])
    assert 30 < changes < 90  # 57 are expected of 2520 days
    # Nobody goes from calm to stressed in a day.
    jumps = set(zip(regime[:-1].tolist(), regime[1:].tolist(), strict=True))
    assert not jumps & {("calm", "stressed"), ("stressed", "calm")}


def test_transition():
    always = np.eye(3)
    data = make_surface_series("nig", ATM, 50, transition=always, random_state=0)
    assert set(data.regime) == {"normal"}
    cycle = np.roll(always, 1, axis=1)
    data = make_surface_series("nig", ATM, 6, transition=cycle, random_state=0)
    assert data.regime.tolist() == ["normal", "stressed", "calm"] * 2


def test_random_state_and_length():
    long = make_surface_series("nig", GRID, 80, random_state=1)
    short = make_surface_series("nig", GRID, 50, random_state=1)
    assert_array_equal(short.y, long.y[:50])
    assert_array_equal(short.regime, long.regime[:50])
    assert not np.isin(short.y, make_surface_series("nig", GRID, 50, random_state=2).y).any()


def test_dates_and_frames():
    data = make_surface_series("nig", GRID, 10, start="2024-06-01", random_state=0, as_frame=True)
    assert data.dates[0] == np.datetime64("2024-06-03")  # the first was a Saturday
    assert np.is_busday(data.dates).all()
    assert (np.diff(data.dates) > np.timedelta64(0, "D")).all()
    assert isinstance(data.X, pd.DataFrame)
    assert list(data.y.columns) == ["alpha", "beta", "delta"]
    assert_array_equal(data.X.index, data.dates)
    assert_array_equal(data.y.index, data.dates)


def test_noise():
    clean = make_surface_series("nig", GRID, 100, random_state=0)
    noisy = make_surface_series("nig", GRID, 100, random_state=0, noise=Multiplied(0.02))
    assert_array_equal(noisy.y, clean.y)
    assert abs((noisy.X / clean.X - 1).std() / 0.02 - 1) < 0.1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_dates": 0}, "'n_dates'"),
        ({"mean_reversion": 0.0}, "'mean_reversion'"),
        ({"transition": np.eye(2)}, r"transition must be a matrix of shape \(3, 3\)"),
        ({"transition": -np.eye(3)}, "without negative entries"),
        ({"transition": np.full((3, 3), 0.3)}, "row 0 must sum to 1; it sums to 0.9"),
        ({"start": "yesterday"}, "yesterday"),
        ({"output": "vol"}, "'output'"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        make_surface_series("nig", ATM, **{"n_dates": 5, **arguments})
