"""Tests of errors, against SciPy and statsmodels, and by how often they reject."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.multitest import multipletests

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import make_surfaces
from levylearn.market import OptionGrid
from levylearn.metrics import (
    adjust_p_values,
    autocorrelation_test,
    bias_tests,
    diebold_mariano_test,
    normality_tests,
    significance_tests,
)
from levylearn.pricing import ContourPricer

RNG = np.random.default_rng(0)
COLUMNS = ["test", "parameter", "statistic", "p_value", "p_adjusted", "reject"]


def moving(n, p=1, keep=0.6, seed=0):
    """Errors that depend on those before."""
    noise = np.random.default_rng(seed).normal(size=(n, p))
    errors = np.empty_like(noise)
    errors[0] = noise[0]
    for t in range(1, n):
        errors[t] = keep * errors[t - 1] + noise[t]
    return errors


ERRORS = pd.DataFrame(moving(80, 3) + np.array([0.0, 0.4, 0.1]), columns=["sigma", "nu", "theta"])
OTHERS = pd.DataFrame(0.8 * moving(80, 3, seed=1), columns=ERRORS.columns)


def found(table, test):
    rows = table[table["test"] == test]
    return rows[["statistic", "p_value"]].to_numpy()


# -- each test -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [12, 80])
@pytest.mark.parametrize(
    ("table", "name", "truth"),
    [
        (bias_tests, "t", lambda e: sm.stats.DescrStatsW(e).ttest_mean(0.0)[:2]),
        (bias_tests, "Wilcoxon", lambda e: stats.wilcoxon(e)),
        (normality_tests, "Shapiro-Wilk", lambda e: stats.shapiro(e)),
        (normality_tests, "Jarque-Bera", lambda e: sm.stats.stattools.jarque_bera(e)[:2]),
    ],
)
def test_tests_of_scipy_and_statsmodels(table, name, truth, n):
    errors = ERRORS.iloc[:n]
    expected = [tuple(truth(errors[column].to_numpy())) for column in errors]
    assert_allclose(found(table(errors), name), expected, rtol=1e-10)


@pytest.mark.parametrize("lags", [1, 5, 20, None])
@pytest.mark.parametrize("n", [25, 80])
def test_ljung_box_of_statsmodels(n, lags):
    errors = ERRORS.iloc[:n]
    expected = [
        acorr_ljungbox(errors[c], lags=[lags or min(10, n // 5)]).to_numpy()[0] for c in errors
    ]
    assert_allclose(found(autocorrelation_test(errors, lags=lags), "Ljung-Box"), expected)


@pytest.mark.parametrize("lags", [0, 1, 6, None])
@pytest.mark.parametrize("loss", ["squared", "absolute"])
def test_diebold_mariano_is_a_regression_on_a_constant(lags, loss):
    """Of the differences of the losses, with Newey and West's errors, times the correction."""
    table = diebold_mariano_test(ERRORS, OTHERS, lags=lags, loss=loss)
    n, power = len(ERRORS), 2 if loss == "squared" else 1
    last = int(np.floor(np.sqrt(n))) if lags is None else lags
    horizon = last + 1
    for j, (statistic, p_value) in enumerate(found(table, "Diebold-Mariano")):
        d = np.abs(ERRORS.iloc[:, j]) ** power - np.abs(OTHERS.iloc[:, j]) ** power
        kernel = {"maxlags": last, "use_correction": False}
        fit = sm.OLS(d.to_numpy(), np.ones(n)).fit(cov_type="HAC", cov_kwds=kernel)
        factor = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
        expected = float(fit.tvalues[0]) * factor**0.5
        assert statistic == pytest.approx(expected, rel=1e-10)
        assert p_value == pytest.approx(2 * stats.t(n - 1).cdf(-abs(expected)), rel=1e-9)


def test_diebold_mariano_without_lags_is_a_paired_t_test():
    """In all but the variance's divisor, which the correction makes up for."""
    table = diebold_mariano_test(ERRORS, OTHERS, lags=0)
    expected = stats.ttest_rel(ERRORS**2, OTHERS**2)
    assert_allclose(table["statistic"], expected.statistic, rtol=1e-12)
    assert_allclose(table["p_value"], expected.pvalue, rtol=1e-10)


def test_diebold_mariano_says_who_is_worse():
    there = diebold_mariano_test(ERRORS, OTHERS)
    back = diebold_mariano_test(OTHERS, ERRORS)
    assert_allclose(there["statistic"], -back["statistic"])
    assert_allclose(there["p_value"], back["p_value"])
    assert (diebold_mariano_test(2 * ERRORS, ERRORS)["statistic"] > 0).all()


def test_diebold_mariano_rejects_about_as_often_as_it_says():
    """Of equally good calibrators, whose errors stay for days."""
    one, other = moving(250, 2000, 0.7, seed=2), moving(250, 2000, 0.7, seed=3)
    rate, usual, naive = (
        diebold_mariano_test(one, other, correction=None, lags=lags)["reject"].mean()
        for lags in (None, 4, 0)
    )
    assert 0.04 < rate < 0.08
    assert rate < usual < naive
    assert naive > 0.2


def test_other_tests_reject_as_often_as_they_say():
    errors = np.random.default_rng(4).normal(size=(60, 600))
    table = significance_tests(errors, correction=None)
    rates = table.groupby("test")["reject"].mean()
    assert rates.between(0.025, 0.075).all(), rates
    assert len(rates) == 5


# -- p-values ------------------------------------------------------------------------


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_adjusted_as_in_statsmodels(correction, n):
    p = RNG.uniform(size=n) ** 3
    p[n // 2 :] = np.round(p[n // 2 :], 1)  # with ties
    expected = multipletests(p, method=correction)[1]
    assert_allclose(adjust_p_values(p, correction), expected, rtol=1e-14)
    assert_array_equal(adjust_p_values(p, None), p)


@pytest.mark.parametrize("correction", ["holm", "bonferroni"])
def test_what_was_not_tested_does_not_count(correction):
    p = np.array([0.01, np.nan, 0.04])
    adjusted = adjust_p_values(p, correction)
    assert_array_equal(np.isnan(adjusted), np.isnan(p))
    assert_array_equal(adjusted[[0, 2]], adjust_p_values(p[[0, 2]], correction))


@pytest.mark.parametrize("p", [[0.1, 1.2], [-0.1], [[0.1]]])
def test_refuses_p_values(p):
    with pytest.raises(ValueError, match="p_values must be in one dimension, from 0 to 1"):
        adjust_p_values(p)


# -- the table -----------------------------------------------------------------------


@pytest.mark.parametrize("correction", ["holm", "bonferroni", None])
def test_one_tidy_table(correction):
    table = significance_tests(ERRORS, OTHERS, correction=correction, level=0.1)
    assert list(table.columns) == COLUMNS
    assert list(table["test"].unique()) == [
        *("t", "Wilcoxon", "Shapiro-Wilk", "Jarque-Bera", "Ljung-Box", "Diebold-Mariano")
    ]
    assert list(table["parameter"]) == list(ERRORS.columns) * 6
    assert table["reject"].dtype == bool
    assert_array_equal(table["reject"], table["p_adjusted"] <= 0.1)
    for _, rows in table.groupby("test"):
        assert_allclose(rows["p_adjusted"], adjust_p_values(rows["p_value"], correction))
    by_hand = [
        bias_tests(ERRORS, correction=correction, level=0.1),
        normality_tests(ERRORS, correction=correction, level=0.1),
        autocorrelation_test(ERRORS, correction=correction, level=0.1),
        diebold_mariano_test(ERRORS, OTHERS, correction=correction, level=0.1),
    ]
    pd.testing.assert_frame_equal(table, pd.concat(by_hand, ignore_index=True))
    pd.testing.assert_frame_equal(
        significance_tests(ERRORS, correction=correction, level=0.1),
        table[table["test"] != "Diebold-Mariano"],
    )


def test_arrays_have_numbered_columns():
    table = bias_tests(ERRORS.to_numpy())
    assert list(table["parameter"]) == ["y0", "y1", "y2"] * 2
    one = bias_tests(ERRORS["nu"].to_numpy())
    assert_allclose(one["statistic"], table["statistic"][[1, 4]])


def test_errors_that_are_missing_or_all_equal():
    """A surface that was not calibrated, and a parameter that was held fixed."""
    errors = ERRORS.copy()
    errors.loc[5, "sigma"] = np.nan
    errors["theta"] = 0.0
    table = significance_tests(errors, OTHERS.assign(theta=0.0)).set_index("parameter")
    assert (
        table.loc[["sigma", "theta"], ["statistic", "p_value", "p_adjusted"]].isna().all(axis=None)
    )
    assert not table.loc[["sigma", "theta"], "reject"].any()
    # One parameter is left, and one p-value is none too many.
    assert_array_equal(table.loc["nu", "p_adjusted"], table.loc["nu", "p_value"])


def test_refuses_errors():
    with pytest.raises(ValueError, match="minimum of 3 is required"):
        significance_tests(ERRORS.iloc[:2])
    with pytest.raises(ValueError, match=r"same shape; got \(80, 3\) and \(79, 3\)"):
        diebold_mariano_test(ERRORS, OTHERS.iloc[1:])
    with pytest.raises(ValueError, match="more errors than lags; got 5 errors and 5 lags"):
        autocorrelation_test(ERRORS.iloc[:5], lags=5)
    with pytest.raises(ValueError, match="level"):
        bias_tests(ERRORS, level=5)


def test_least_squares_with_noise_is_without_bias():
    """A known truth through the whole chain: symmetric noise, and a calibrator that is right."""
    grid = OptionGrid([90, 95, 100, 105, 110], [0.25, 0.5, 1.0])
    pricer = ContourPricer("black_scholes", grid)
    X, y = make_surfaces("black_scholes", grid, 200, random_state=0)
    noise = np.random.default_rng(1).normal(scale=0.05, size=X.shape)
    errors = LeastSquaresCalibrator(pricer).fit(X).predict(X + noise) - y
    shifted = LeastSquaresCalibrator(pricer).fit(X).predict(X + noise + 0.02) - y
    assert not bias_tests(errors)["reject"].any()
    assert bias_tests(shifted)["reject"].all()
    assert diebold_mariano_test(shifted, errors, lags=0)["reject"].all()
