"""
Greeks under stochastic volatility
==================================

How does an option's value move when the spot, the clock or a parameter of the model does?
:meth:`ContourPricer.greeks <levylearn.pricing.ContourPricer.greeks>` answers for a whole
surface at once, by derivatives under the integral. Here are Heston's Greeks as heat-maps, and
the one that a hedger who thinks in Black and Scholes' terms gets wrong.
"""

# %%
# A surface of Greeks
# -------------------
#
# Calls over a range of strikes and maturities, under parameters that are usual for a stock
# index: a volatility of 20 % that reverts to 22 %, and moves against the index.
import matplotlib.pyplot as plt
import numpy as np

from levylearn.market import OptionGrid, black_greeks
from levylearn.pricing import ContourPricer

strikes = np.linspace(70, 135, 66)
maturities = np.geomspace(0.08, 2.0, 40)
grid = OptionGrid(strikes, maturities, spot=100.0, rate=0.02, dividend=0.01)

names = ["v0", "kappa", "theta", "sigma", "rho"]
heston = np.array([[0.04, 1.5, 0.048, 0.6, -0.7]])
greeks = ContourPricer("heston", grid).fit(heston).greeks(heston)

# %%
# Derivatives by parameters are in units of the parameter. A trader thinks in points: so
# much for one point of volatility today, for one of volatility in the long run, for 0.01 of
# the volatility of variance, for 0.01 of correlation.
v0, _, theta, _, _ = heston[0]
vega = dict(zip(names, greeks.vega[0], strict=True))
panels = {
    "delta": greeks.delta[0],
    "gamma": greeks.gamma[0],
    "theta, a day": greeks.theta[0] / 365,
    "volatility today, a point": vega["v0"] * 0.02 * np.sqrt(v0),
    "long-run volatility, a point": vega["theta"] * 0.02 * np.sqrt(theta),
    "vol of variance, 0.01": vega["sigma"] * 0.01,
    "correlation, 0.01": vega["rho"] * 0.01,
    "rate, a point": greeks.rho[0] * 0.01,
}

# %%
# Blue is what the owner of the call gains, red what he loses. The first row is familiar. The
# second is the model's own. The volatility of today matters for the short maturities, that of
# the long run for the long ones. The other two, vol of variance and correlation, hardly touch
# the level of the smile: they bend and tilt it, and so they change sign across the strikes.
figure, axes = plt.subplots(2, 4, figsize=(12, 6), sharex=True, sharey=True, layout="constrained")
for ax, (title, values) in zip(axes.flat, panels.items(), strict=True):
    limit = np.abs(values).max()
    image = ax.pcolormesh(
        strikes, maturities, values.reshape(grid.shape), cmap="RdBu", vmin=-limit, vmax=limit
    )
    ax.set(title=title, yscale="log")
    ax.set_yticks([0.1, 0.25, 0.5, 1.0, 2.0], ["0.1", "0.25", "0.5", "1", "2"])
    ax.minorticks_off()
    figure.colorbar(image, ax=ax, shrink=0.9)
for ax in axes[:, 0]:
    ax.set_ylabel("maturity (years)")
for ax in axes[1]:
    ax.set_xlabel("strike (spot = 100)")
plt.show()

# %%
# Which delta?
# ------------
#
# Black and Scholes' delta, with each option's own implied volatility put in, is what many
# screens show. Heston's is larger where the smile slopes down: the smile moves along with the
# spot, and so an option whose strike stays behind gets a higher volatility. But neither is the
# hedge of least variance, which counts on the variance to fall when the spot gains:
# :math:`\Delta + \rho\sigma\,\partial_{v_0}V / S`. It holds the fewest shares of the three.
short = OptionGrid(strikes, [0.25], spot=100.0, rate=0.02, dividend=0.01)
volatility = ContourPricer("heston", short, output="implied_vol").fit(heston).transform(heston)[0]
black = black_greeks(short.forward, strikes, 0.25, volatility, short.discount)
own = ContourPricer("heston", short).fit(heston).greeks(heston)
sigma, rho = heston[0, 3:]
deltas = {
    "Black-Scholes at the implied volatility": black.delta * short.forward / short.spot,
    "Heston": own.delta[0],
    "Heston, least variance": own.delta[0] + rho * sigma * own.vega[0, 0] / short.spot,
}

figure, (ax, gap) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for label, values in deltas.items():
    ax.plot(strikes, values, label=label)
    gap.plot(strikes, 100 * (values - deltas["Heston"]))
ax.set(title="delta of a three-month call", xlabel="strike (spot = 100)", ylabel="delta")
ax.legend(fontsize="small")
gap.set(title="against Heston's", xlabel="strike (spot = 100)", ylabel="difference (points)")
for panel in (ax, gap):
    panel.grid(alpha=0.3)
plt.show()

# %%
# So many of a hundred shares does a hedge with the delta of the screen hold too much at the
# money, if the model is right:
excess = deltas["Black-Scholes at the implied volatility"] - deltas["Heston, least variance"]
print(f"{100 * excess[strikes == 100.0][0]:.1f}")
