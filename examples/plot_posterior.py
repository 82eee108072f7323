"""
How sure is a calibration?
==========================

Heston's model, calibrated to 75 calls on the S&P 500 of 18 April 2002: not one set of parameters,
but the distribution of all that the quotes, and what was known before, leave possible.
"""

# %%
# Errors of unknown size
# ----------------------
#
# A posterior needs to know how large the errors are: not only those of the quotes, but whatever
# the model cannot explain. There are no bid and ask prices in this set, so the level of the errors
# is one of the unknowns: about an index point, give or take a factor of seven.
#
# Trajectories are to be accepted more often than usual, that is, to take shorter steps. The reason
# is below: two of the parameters lie on a narrow, bent ridge, and of the usual steps four in a
# hundred trajectories leave it.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import lognorm

from levylearn.calibration import LaplaceCalibrator, NUTSCalibrator
from levylearn.datasets import load_sp500_2002
from levylearn.inspection import (
    ConvergenceDisplay,
    CornerDisplay,
    CredibleRegionDisplay,
    PosteriorDisplay,
    PredictiveFanDisplay,
    TraceDisplay,
    posterior_diagnostics,
)
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer

data = load_sp500_2002()
X = data.prices.reshape(1, -1)
pricer = ContourPricer("heston", data.grid)
errors = {"noise": 1.0, "noise_kind": "absolute", "noise_prior": lognorm(1.0)}
calibrator = NUTSCalibrator(pricer, **errors, n_chains=8, target_acceptance=0.95, min_ess=400)
calibrator.fit(X)
calibrator.calibrate(X).message[0]

# %%
# Was it sampled well?
# --------------------
#
# First things first. Eight chains, and nobody could tell which is which:
TraceDisplay.from_estimator(calibrator, X).plot()
plt.show()

# %%
# What eyes see, R-hat says in a number: it compares the chains with each other. The effective
# sample size is what the draws are worth, had they been independent.
ConvergenceDisplay.from_estimator(calibrator, X).plot()
plt.show()

# %%
# Intervals
# ---------
#
# Each parameter lies in its interval with a probability of 95 %. The last column is the width of
# the interval over the estimate.
posterior = calibrator.posterior_


def intervals(posterior):
    """Mean and interval of 95 % of each unknown."""
    draws = posterior.posterior
    ends = draws.quantile([0.025, 0.975], ("chain", "draw"))
    columns = {"mean": draws.mean(), "from": ends.isel(quantile=0), "to": ends.isel(quantile=1)}
    table = pd.DataFrame({name: part.to_pandas() for name, part in columns.items()})
    return table.assign(width=(table["to"] - table["from"]) / table["mean"].abs())


table = intervals(posterior)
table["standard error of the mean"] = posterior_diagnostics(posterior)["mcse_mean"]
table.round(4)

# %%
# What was known before, and after
# --------------------------------
#
# The dashed lines are the priors, which come with the model and say what is usual on equity
# markets.
PosteriorDisplay.from_estimator(calibrator, X).plot()
plt.show()

# %%
# Where the prior is flat over the whole panel the quotes have decided: so they have for ``v0``,
# ``sigma``, ``rho`` and the level of the errors. ``kappa`` and ``theta`` are another matter. Hardly
# anything that the prior holds possible is in these panels: of ``theta`` it has half a per cent
# above the lower end of the interval, of ``kappa`` about one below the upper end. Quotes and prior
# contradict each other, and what is drawn is a compromise.
#
# Two by two
# ----------
CornerDisplay.from_estimator(calibrator, X).plot()
plt.show()

# %%
# All regions are round or nearly so, but for two: ``sigma`` and ``rho`` make up for each other, a
# little, and ``kappa`` and ``theta`` nearly completely.
CredibleRegionDisplay.from_estimator(calibrator, X, ["kappa", "theta"]).plot()
plt.show()

# %%
# Along the ridge the product of both is constant, the rate at which variance rises from zero. It
# is known four times as well as each of the two:
kappa, theta = (posterior.posterior[name].to_numpy().ravel() for name in ("kappa", "theta"))
low, high = np.quantile(kappa * theta, [0.025, 0.975])
print(
    f"kappa * theta from {low:.4f} to {high:.4f}: width {(high - low) / np.mean(kappa * theta):.2f}"
)

# %%
# How much of this is the prior?
# ------------------------------
#
# Try another one. With priors of ``kappa`` and ``theta`` that are twice as wide on a logarithmic
# scale, by Laplace's approximation, which takes a second or two:
wide = {"kappa": lognorm(1.6, scale=2.0), "theta": lognorm(1.0, scale=0.04)}
tables = {
    "the model's priors": LaplaceCalibrator(pricer, **errors).fit(X),
    "wider ones": LaplaceCalibrator(pricer, **errors, priors=wide).fit(X),
}
columns = {name: intervals(each.posterior_)[["from", "to"]] for name, each in tables.items()}
pd.concat(columns, axis=1).round(4)

# %%
# The intervals of the other four move by less than a quarter of their widths. That of ``theta``
# becomes three times as wide, and that of ``kappa`` reaches down to the bound of 0.05: what the
# first table says of these two, the prior has said. (The first two columns are also a test of the
# approximation: it is close but for ``kappa`` and ``theta``, whose ridge is bent, and whose
# intervals it makes half again as wide.)
#
# Options that are not quoted
# ---------------------------
#
# Does it matter, if all that is wanted is a price? Where there are quotes it does not: the bands of
# 95 % are between an eighth and half of a volatility point wide, hardly wider than the line.
fan = PredictiveFanDisplay.from_estimator(calibrator, X).plot()
plt.show()

# %%
width = 100 * (fan.bands[0.95]["upper"] - fan.bands[0.95]["lower"])
print(f"widths: {width.min():.2f} to {width.max():.2f}, half of them below {width.median():.2f}")

# %%
# Beyond the quotes they open: towards strikes that nobody has quoted, and towards maturities after
# the last, of 1.7 years, where it matters to what level variance reverts.
beyond = OptionGrid(
    np.linspace(700, 1700, 26), [0.25, 1.0, 4.0, 8.0], spot=1124.47, rate=0.019, dividend=0.012
)
fan = PredictiveFanDisplay.from_estimator(calibrator, X, beyond).plot()
plt.show()

# %%
# Widths of the bands of 95 %, in volatility points; NaN where an option is worth next to nothing:
band = fan.bands[0.95]
widths = 100 * (band["upper"] - band["lower"]).to_numpy().reshape(beyond.shape)
pd.DataFrame(widths, beyond.maturity[::26], beyond.strike[:26]).iloc[:, ::5].round(2)

# %%
# What no band tells
# ------------------
#
# All this holds if the model is right, and if errors are independent. They are not. The smiles of
# the model are too straight at the first maturities, and miss the low strikes of the last, so that
# errors at neighbouring strikes are alike. Then quotes say less than as many independent ones
# would, and all the intervals above are too narrow.
left = X[0] - calibrator.calibrate(X).surfaces[0]
neighbours = np.concatenate(
    [np.column_stack([left[q[:-1]], left[q[1:]]]) for _, q in data.grid.slices]
)
print(f"correlation of errors at neighbouring strikes: {np.corrcoef(neighbours.T)[0, 1]:.2f}")
