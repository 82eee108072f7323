"""
Prices that know their error
============================

:class:`~levylearn.pricing.ContourPricer` returns an error estimate with every price. Here
two models for which another formula exists, Black and Scholes' and Merton's, show what the
estimate is worth: where prices are right to the last digits, and where they are not.
"""

# %%
# A surface
# ---------
#
# Options at seven maturities, from one day to ten years, under Merton's model: a diffusion of
# 12 % volatility, and 0.8 jumps a year, downwards on average.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import poisson

from levylearn.market import OptionGrid, black_price
from levylearn.pricing import ContourPricer

maturities = np.array([1 / 365, 7 / 365, 1 / 12, 0.25, 1.0, 3.0, 10.0])
strikes = np.linspace(70, 140, 36)
grid = OptionGrid(strikes, maturities, spot=100.0, rate=0.03, dividend=0.01)

merton = {"sigma": 0.12, "lam": 0.8, "muj": -0.1, "sigmaj": 0.12}
params = [list(merton.values())]
pricer = ContourPricer("merton", grid).fit(params)
prices = pricer.transform(params)[0]
errors = pricer.error_estimate(params)[0]

table = pd.DataFrame(
    {"maturity": grid.maturity, "strike": grid.strike, "price": prices, "error": errors}
)
print(table[3::30].to_string(index=False, formatters={"error": "{:.1e}".format}))

# %%
# The estimate is an *absolute* error, in the unit of the price: 1e-12 here means 1e-14 of the
# spot, which is nearly as far as double precision goes.
#
# Against other formulas
# ----------------------
#
# With constant volatility the price is Black and Scholes'. Under Merton's model it is a sum
# of such prices, one for each number of jumps until expiry.


def merton_series(grid, sigma, lam, muj, sigmaj, n_terms=400):
    """Price calls by Merton's series over the number of jumps."""
    n, T = np.arange(n_terms)[:, None], grid.maturity
    compensation = lam * np.expm1(muj + sigmaj**2 / 2) * T
    forward = grid.forward * np.exp(n * (muj + sigmaj**2 / 2) - compensation)
    volatility = np.sqrt(sigma**2 + n * sigmaj**2 / T)
    given_n = black_price(forward, grid.strike, T, volatility, discount=grid.discount)
    return np.sum(poisson.pmf(n, lam * T) * given_n, axis=0)


black_scholes = ContourPricer("black_scholes", grid).fit([[0.2]])
closed_form = black_price(grid.forward, grid.strike, grid.maturity, 0.2, discount=grid.discount)
comparison = {
    "Black-Scholes": (black_scholes.transform([[0.2]])[0] - closed_form, black_scholes, [[0.2]]),
    "Merton": (prices - merton_series(grid, **merton), pricer, params),
}
for name, (difference, used, row) in comparison.items():
    estimate = used.error_estimate(row).max()
    print(f"{name:14} largest difference {np.abs(difference).max():.1e}, estimate {estimate:.1e}")

# %%
# A price below its own error estimate says no more than "nearly nothing": so it is with Black
# and Scholes' prices far out of the money, shortly before expiry.
nearly_nothing = black_scholes.transform([[0.2]]) < black_scholes.error_estimate([[0.2]])
print(f"{nearly_nothing.sum()} of {nearly_nothing.size} prices are below their error estimate")

# %%
# Where it gets hard
# ------------------
#
# With a diffusion of half a per cent, and one day to go, what is left of the price is the
# kink of the payoff and a rare jump. The integrand then decays so slowly that the sum over
# its nodes cannot follow it. No formula that adds up a characteristic function likes
# this corner; what matters is to be told. The picture has one line for each of four
# maturities, the estimate, and one dot for each strike, the true error.
hard = {"sigma": 0.005, "lam": 10.0, "muj": -0.05, "sigmaj": 0.005}


def compare(ax, parameters, title):
    """Draw true errors and estimates over the strikes."""
    row = [list(parameters.values())]
    estimate = pricer.error_estimate(row).reshape(grid.shape)
    error = np.abs(pricer.transform(row)[0] - merton_series(grid, **parameters))
    error = np.maximum(error.reshape(grid.shape), 1e-15)  # a zero has no logarithm
    for t, colour in zip([0, 1, 2, 4], ["C3", "C1", "C2", "C0"], strict=True):
        ax.semilogy(strikes, estimate[t], color=colour, label=f"{maturities[t]:.3g} years")
        ax.semilogy(strikes, error[t], ".", color=colour, markersize=5)
    ax.set(title=title, xlabel="strike", ylim=(5e-16, 1e-1))
    ax.grid(alpha=0.3)


figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
compare(axes[0], merton, "diffusion of 12 %")
compare(axes[1], hard, "diffusion of 0.5 %")
axes[0].set_ylabel("error of the price (spot = 100)")
axes[0].legend(title="estimate (line), true (dots)", fontsize="small")
plt.show()

# %%
# On the left the errors are hardly more than rounding, and the estimates lie above. On the
# right the shortest maturities are wrong in the fourth decimal, and the estimate says so. It is
# meant to be on the safe side: of the two mistakes an estimate can make, a false alarm is the
# cheaper one.
#
# In implied volatility
# ---------------------
#
# The same error weighs more where a volatility hardly moves the price.
# With ``output="implied_vol"`` both the surface and its error estimate are volatilities.
smile = ContourPricer("merton", grid, output="implied_vol").fit(params)
volatility = smile.transform(params).reshape(grid.shape)
error = smile.error_estimate(params).reshape(grid.shape)
columns = {"strike": strikes[::5]}
for t, label in {0: "1 day", 4: "1 year"}.items():
    columns[f"volatility, {label}"] = volatility[t, ::5].round(6)
    columns[f"error, {label}"] = [f"{value:.1e}" for value in error[t, ::5]]
pd.DataFrame(columns)
