"""Noise: of the size that was asked for, in training only, and the same for a row anywhere."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from levylearn.market import OptionGrid, black_price, implied_volatility
from levylearn.preprocessing import (
    BidAskNoise,
    GaussianNoise,
    MissingQuotes,
    NoiseInjector,
    OutlierNoise,
)
from levylearn.preprocessing._streams import RowStreams

GRID = OptionGrid([80, 90, 100, 110, 125], [0.25, 1.0], rate=0.02)
NOISES = [
    GaussianNoise(0.01),
    GaussianNoise(0.01, kind="implied_vol", grid=GRID),
    BidAskNoise(0.05, kind="absolute"),
    OutlierNoise(0.3, degrees_of_freedom=3),
    MissingQuotes(0.3),
    MissingQuotes(0.3, pattern="wings", grid=GRID),
    NoiseInjector(),
    NoiseInjector([OutlierNoise(0.5), MissingQuotes(0.5)], per="quote"),
]
noises = pytest.mark.parametrize("noise", NOISES, ids=repr)


def black(volatility):
    return black_price(GRID.forward, GRID.strike, GRID.maturity, volatility, GRID.discount)


@pytest.fixture(scope="module")
def surfaces():
    """20,000 surfaces, no two alike."""
    return black(np.random.default_rng(0).uniform(0.1, 0.4, (20_000, 1)))


def errors(noise, surfaces):
    return noise.set_params(random_state=0).fit_transform(surfaces) - surfaces


# -- streams -----------------------------------------------------------------------


def test_streams_are_uniform_and_independent():
    rng = np.random.default_rng(0)
    streams = RowStreams.of(rng.normal(size=(20_000, 10)), seed=1)
    first, second = streams.uniform(), streams.uniform()
    assert first.min() > 0
    assert first.max() < 1
    for draw in (first, second, first[:, 3], first[7:200]):
        assert stats.kstest(draw.ravel(), "uniform").pvalue > 1e-3
    # Between columns, between draws, between neighbours in a column, between branches.
    other = streams.branch(0).uniform()
    pairs = [*zip(first[:, :-1].T, first[:, 1:].T, strict=True)]
    pairs += [*zip(first.T, second.T, strict=True), *zip(first.T, other.T, strict=True)]
    pairs += [(column[:-1], column[1:]) for column in first.T]
    correlations = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(20_000)


def test_streams_of_rows_that_hardly_differ():
    """One digit of one number makes another row, however many columns are the same."""
    X = np.tile(np.linspace(1, 2, 50), (2000, 1))
    X[:, 25] += 1e-5 * np.arange(2000)
    draws = RowStreams.of(X, seed=0).uniform()
    assert stats.kstest(draws[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1


def test_rounding_changes_nothing():
    X = np.random.default_rng(0).uniform(1, 2, (100, 5))
    assert_array_equal(
        RowStreams.of(X, 0).uniform(), RowStreams.of(np.nextafter(X, 3), 0).uniform()
    )


# -- rows --------------------------------------------------------------------------


@noises
def test_a_row_has_its_noise_anywhere(noise, surfaces):
    X = surfaces[:60]
    noisy = clone(noise).set_params(random_state=3).fit_transform(X)
    noise = clone(noise).set_params(random_state=3)
    order = np.random.default_rng(1).permutation(60)
    assert_array_equal(noise.fit_transform(X[order]), noisy[order])
    for part in (slice(0, 7), slice(7, 8), slice(8, 60)):
        assert_array_equal(noise.fit_transform(X[part]), noisy[part])
    assert not np.array_equal(noise.set_params(random_state=4).fit_transform(X), noisy)


@noises
def test_chunks_do_not_show(noise, surfaces, monkeypatch):
    X = surfaces[:50]
    noisy = clone(noise).set_params(random_state=0).fit_transform(X)
    monkeypatch.setattr("levylearn.preprocessing._base._CHUNK_NUMBERS", 300)
    assert_array_equal(clone(noise).set_params(random_state=0).fit_transform(X), noisy)


@noises
def test_copies_of_a_row_have_noise_of_their_own(noise, surfaces):
    """So that a set can be augmented by repeating it."""
    X = np.repeat(surfaces[:3], 40, axis=0)
    noisy = clone(noise).set_params(random_state=0).fit_transform(X)
    # Of the few sets of quotes that can be missing some come up twice.
    assert len(np.unique(noisy, axis=0)) > 0.9 * len(X)


@noises
def test_noise_is_for_training(noise, surfaces):
    X = surfaces[:200]
    noise = clone(noise).set_params(random_state=0)
    assert not np.array_equal(noise.fit_transform(X), X)
    assert_array_equal(noise.transform(X), X)
    before = X.copy()
    noise.fit_transform(X)
    assert_array_equal(X, before)


def test_in_a_pipeline(surfaces):
    X, y = surfaces[:300], np.linspace(0, 1, 300)
    noise = GaussianNoise(0.02, random_state=0)
    pipeline = make_pipeline(noise, LinearRegression()).fit(X, y)
    expected = LinearRegression().fit(clone(noise).fit_transform(X), y).predict(X)
    assert_array_equal(pipeline.predict(X), expected)


@noises
def test_missing_quotes_stay_missing(noise, surfaces):
    X = surfaces[:100].copy()
    X[::2, 3] = np.nan
    noisy = clone(noise).set_params(random_state=0).fit_transform(X)
    assert np.isnan(noisy[::2, 3]).all()


# -- sizes -------------------------------------------------------------------------


def test_gaussian(surfaces):
    relative = errors(GaussianNoise(0.005), surfaces) / surfaces
    assert stats.kstest(relative.ravel()[::7] / 0.005, "norm").pvalue > 1e-3
    assert_allclose(relative.std(axis=0), 0.005, rtol=0.03)
    absolute = errors(GaussianNoise(0.2, kind="absolute"), surfaces)
    assert_allclose(absolute.std(axis=0), 0.2, rtol=0.03)
    assert_allclose(absolute.mean(axis=0), 0, atol=4.5 * 0.2 / np.sqrt(len(surfaces)))


def test_bid_ask(surfaces):
    relative = errors(BidAskNoise(0.005), surfaces) / surfaces
    assert stats.kstest(relative.ravel()[::7], "uniform", args=(-0.005, 0.01)).pvalue > 1e-3


def test_outliers(surfaces):
    relative = errors(OutlierNoise(), surfaces) / surfaces
    hit = relative != 0
    assert_allclose(hit.mean(), 0.02, rtol=0.1)
    assert stats.kstest(relative[hit] / 0.03, "norm").pvalue > 1e-3
    heavy = errors(OutlierNoise(1.0, 0.03, degrees_of_freedom=3), surfaces) / surfaces
    assert stats.kstest(heavy.ravel()[::7] / 0.03, "t", args=(3,)).pvalue > 1e-3


@pytest.mark.parametrize("unit", ["price", "forward_price", "implied_vol"])
def test_errors_of_volatility(unit):
    volatility = np.random.default_rng(0).uniform(0.15, 0.4, (2000, 1)) * np.ones(10)
    price = black(volatility)
    worth = GRID.discount * GRID.forward
    X = {"price": price, "forward_price": price / worth, "implied_vol": volatility}[unit]
    noise = BidAskNoise(1e-4, kind="implied_vol", grid=GRID, unit=unit, random_state=0)
    noisy = noise.fit_transform(X)
    if unit != "implied_vol":
        noisy = noisy if unit == "price" else noisy * worth
        noisy = implied_volatility(noisy, GRID.forward, GRID.strike, GRID.maturity, GRID.discount)
    moved = noisy - volatility
    assert stats.kstest(moved.ravel() / 1e-4, "uniform", args=(-1, 2)).pvalue > 1e-3


def test_a_price_without_volatility_has_no_error_of_volatility():
    X = np.full((1, 10), 0.01)  # less than intrinsic value, in the money
    noisy = GaussianNoise(0.01, kind="implied_vol", grid=GRID, random_state=0).fit_transform(X)
    in_the_money = GRID.strike < 100
    assert_array_equal(noisy[:, in_the_money], 0.01)
    assert (noisy[:, ~in_the_money] != 0.01).any()


def test_missing(surfaces):
    share = np.isnan(errors(MissingQuotes(0.2), surfaces)).mean(axis=0)
    assert_allclose(share, 0.2, atol=4.5 * 0.4 / np.sqrt(len(surfaces)))
    noise = MissingQuotes(0.2, pattern="wings", grid=GRID)
    share = np.isnan(errors(noise, surfaces)).mean(axis=0)
    distance = np.abs(GRID.log_moneyness) / np.sqrt(GRID.maturity)
    expected = 1 - 0.8 ** (distance / distance.mean())
    assert_allclose(share, expected, atol=4.5 * 0.5 / np.sqrt(len(surfaces)))
    assert_array_equal(np.argsort(share[:3]), [2, 1, 0])


def test_at_the_forward_there_are_no_wings():
    noise = MissingQuotes(0.5, pattern="wings", grid=OptionGrid([100], [1.0]), random_state=0)
    assert not np.isnan(noise.fit_transform(np.ones((100, 1)))).any()


def test_mixture(surfaces):
    parts = [BidAskNoise(0.0), OutlierNoise(1.0, 0.03)]
    for per, axis in (("surface", 1), ("quote", None)):
        noise = NoiseInjector(parts, weights=[3, 1], per=per)
        changed = errors(noise, surfaces) != 0
        if per == "surface":
            assert_array_equal(changed.all(axis=axis), changed.any(axis=axis))
        assert_allclose(changed.mean(), 0.25, atol=0.02)
        assert_allclose(noise.weights_, [0.75, 0.25])
    default = errors(NoiseInjector(), surfaces) / surfaces
    uniform = np.abs(default).max(axis=1) < 0.005
    # Ten normal numbers are hardly ever all within a deviation.
    assert_allclose(uniform.mean(), 0.5 * (1 + 0.6827**10), atol=0.02)


def test_parts_of_a_mixture_are_not_touched(surfaces):
    parts = [GaussianNoise(random_state=0), BidAskNoise(random_state=0)]
    NoiseInjector(parts, random_state=1).fit_transform(surfaces[:5])
    assert not any(hasattr(part, "n_features_in_") for part in parts)


# -- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (GaussianNoise(kind="implied_vol"), "needs the grid.*grid is None"),
        (MissingQuotes(pattern="wings"), "needs the grid.*grid is None"),
        (GaussianNoise(grid=OptionGrid([100], [1.0])), "n_features=10.*expects n_features=1"),
        (NoiseInjector([LinearRegression()]), "noises must be.*LinearRegression"),
        (NoiseInjector([]), "noises must be"),
        (NoiseInjector(weights=[1]), r"weights must be 2 numbers.*\[1\]"),
        (NoiseInjector(weights=[1, -1]), "weights must be 2 numbers"),
        (NoiseInjector(weights=[0, 0]), "weights must be 2 numbers"),
        (NoiseInjector(weights=[1, np.nan]), "weights must be 2 numbers"),
        (GaussianNoise(-1.0), "scale"),
        (MissingQuotes(1.0), "probability"),
    ],
)
def test_refusals(noise, words, surfaces):
    with pytest.raises(ValueError, match=words):
        noise.fit(surfaces[:2])
