"""
Every model on the S&P 500
==========================

75 calls on the S&P 500, quoted on 18 April 2002, are the set on which Lévy models have been
compared since Schoutens' book of 2003. Ten models are calibrated to them here. The question
is not only which of them comes closest, but where the others fail, and how much the quotes
say about each parameter.
"""

# %%
# The quotes
# ----------
#
# Seven maturities, from a month to a year and a half. Implied volatility falls with the strike
# at all of them: what a model has to reproduce is this skew *and* how slowly it flattens as the
# maturity grows.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import load_sp500_2002
from levylearn.inspection import SmileFitDisplay
from levylearn.market import OptionGrid
from levylearn.metrics import (
    average_absolute_error,
    average_percentage_error,
    average_relative_percentage_error,
    implied_vol_rmse,
)
from levylearn.models import list_models
from levylearn.pricing import ContourPricer

data = load_sp500_2002()
data.chain.term_structure[["maturity", "n_quotes", "forward"]].round(3)

# %%
# One calibration for each model
# ------------------------------
#
# A pricer knows a model and the contracts; a calibrator turns it round. The loss is the
# squared difference of implied volatilities, so that a quote counts as much at one strike as
# at another. One surface is one row of ``X``.
X = data.prices.reshape(1, -1)
calibrators, fits, rows = {}, {}, []
for name in list_models():
    pricer = ContourPricer(name, data.grid)
    calibrator = LeastSquaresCalibrator(pricer, loss="implied_vol").fit(X)
    fit = calibrator.calibrate(X)
    calibrators[name], fits[name] = calibrator, fit
    model_prices = fit.surfaces[0]
    at_bound = np.array(calibrator.parameter_names_)[fit.at_bound[0]]
    rows.append(
        {
            "model": name,
            "parameters": fit.parameters.shape[1],
            "APE %": 100 * average_percentage_error(data.prices, model_prices),
            "AAE": average_absolute_error(data.prices, model_prices),
            "ARPE %": 100 * average_relative_percentage_error(data.prices, model_prices),
            "RMSE": fit.rmse[0],
            "RMSE, vol points": 100 * implied_vol_rmse(data.prices, model_prices, grid=data.grid),
            "at a bound": ", ".join(at_bound),
        }
    )
table = pd.DataFrame(rows).sort_values("RMSE, vol points")
table.round(3)

# %%
# AAE is the mean absolute error of the prices, in index points; APE divides it by the mean
# price; ARPE is the mean of the relative errors.
#
# There are two classes. Black and Scholes' model and the Lévy models (Variance Gamma, NIG,
# CGMY, Merton, Kou) are off by most of a volatility point or more; the models with stochastic
# volatility by a fraction of one. More parameters are not the reason: Kou's and Heston's
# models have five each.
#
# Best and worst
# --------------
levy = ["variance_gamma", "cgmy", "nig", "merton", "kou"]
ranked = list(table["model"])
best, worst_levy = ranked[0], [name for name in ranked if name in levy][-1]
surfaces = {name: fits[name].surfaces[0] for name in (best, worst_levy, "black_scholes")}
display = SmileFitDisplay.from_predictions(data.grid, data.prices, surfaces)
display = display.plot(figure=plt.figure())

# %%
# Black and Scholes' model has one volatility for everything. Variance Gamma has a skew, but
# one that is far too steep at the first maturities and too flat at the last.
#
# Level and slope by maturity
# ---------------------------
#
# Two numbers sum a smile up: its level at the forward, and its slope there. The market's come
# from a parabola through the quotes of each maturity.
maturities = np.unique(data.grid.maturity)
forwards = [data.grid.forward[quotes[0]] for _, quotes in data.grid.slices]


def market_smile(quotes):
    """Level (vol points) and slope (vol points per 10 % of strike) at the forward."""
    _, slope, level = np.polyfit(data.grid.log_moneyness[quotes], data.implied_vol[quotes], 2)
    return 100 * level, 10 * slope


def model_smile(name, maturity, forward):
    """The same for a model, from prices at 95, 100 and 105 % of the forward."""
    strikes = forward * np.exp([-0.05, 0.0, 0.05])
    grid = OptionGrid(strikes, [maturity], spot=forward)
    pricer = ContourPricer(name, grid, output="implied_vol").fit(fits[name].parameters)
    low, middle, high = pricer.transform(fits[name].parameters)[0]
    return 100 * middle, 100 * (high - low)


market = np.array([market_smile(quotes) for _, quotes in data.grid.slices])
figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
for ax, column in zip(axes, market.T, strict=True):
    ax.plot(maturities, column, "o", color="#333333", label="market")
    ax.grid(alpha=0.3)
for name, style in {"variance_gamma": "-", "merton": ":", "heston": "--", "bates": "-."}.items():
    pairs = zip(maturities, forwards, strict=True)
    smiles = np.array([model_smile(name, *pair) for pair in pairs])
    for ax, column in zip(axes, smiles.T, strict=True):
        ax.plot(maturities, column, style, label=name)
axes[0].set(xlabel="maturity (years)", ylabel="level (vol points)")
axes[1].set(xlabel="maturity (years)", ylabel="slope (vol points per 10 %)")
axes[1].legend(fontsize="small")
figure.suptitle("The smile at the forward")
plt.show()

# %%
# Returns of a Lévy process over disjoint periods are independent and alike. Skewness then falls
# with the square root of time, and excess kurtosis with time itself; the market's slope hardly
# falls at all. Merton's model evades that law with a single rare crash, so large that its
# skewness has not begun to fade after a year and a half. That buys the slope, but not the level:
# the variance of a Lévy process grows in proportion to time, so that volatility at the forward
# flattens, while the market's rises by more than a third. Volatility that moves, and moves
# against the index, makes returns dependent, and gives both.
#
# What a standard error means
# ---------------------------
#
# Heston's parameters once more, with more room for the two that need it, and with standard
# errors and intervals of 95 %:
room = {"kappa": (0.001, 50.0), "theta": (1e-4, 20.0)}
pricer = ContourPricer("heston", data.grid)
calibrator = LeastSquaresCalibrator(pricer, loss="implied_vol", bounds=room).fit(X)
heston = calibrator.calibrate(X)
low, high = calibrator.predict_interval(X, coverage=0.95)[0].T
columns = {
    "value": heston.parameters[0],
    "standard error": heston.standard_error[0],
    "95 %: from": low,
    "to": high,
}
pd.DataFrame(columns, index=calibrator.parameter_names_).round(4)

# %%
# The quotes determine ``v0``, ``sigma`` and ``rho`` to a few per cent, ``kappa`` and ``theta``
# hardly at all: the interval of ``theta`` goes up to its bound. But the errors of these two are
# not independent. Far from the mean, variance drifts by ``kappa * theta`` a year, whichever of
# the two is the larger, and this product is determined as the other three are. Its standard error
# comes from the covariance of the parameters:
kappa, theta = heston.parameters[0, 1:3]
gradient = np.array([0.0, theta, kappa, 0.0, 0.0])  # of the product
product_error = np.sqrt(gradient @ heston.covariance[0] @ gradient)
print(f"kappa * theta = {kappa * theta:.4f}, standard error {product_error:.4f}")

# %%
# A standard error says how far a parameter would move if the quotes were drawn again, with
# errors of the size that the fit has left, *if the model is right and these errors are
# independent*. A small one means that the quotes leave little room. It does not mean that the
# model is right: errors that stick together, all positive at one end of a smile, as Variance
# Gamma's in the first picture, are not independent, and its intervals are too narrow.
#
# A parameter at a bound has no standard error (NaN): the fit would improve beyond the bound, and
# what the quotes say about it is cut off there. The errors of the others then take it as given.
# In the first calibration of Heston's model ``kappa`` ran into its usual bound of 0.05, and
# ``theta`` seems to be known to two per cent. It is not, as we have seen: look at ``at_bound``
# before you believe a standard error.
first = fits["heston"]
columns = {
    "value": first.parameters[0],
    "standard error": first.standard_error[0],
    "at a bound": first.at_bound[0],
}
pd.DataFrame(columns, index=calibrator.parameter_names_).round(4)
