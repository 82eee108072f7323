"""
A ragged chain on a grid
========================

Quotes come where somebody traded: other strikes at every maturity, holes, now and then a price
that contradicts its neighbours. Networks, features and heat-maps want a rectangle. Between the two
stands :class:`~levylearn.preprocessing.QuoteGridder`, which interpolates and does not extrapolate,
and :class:`~levylearn.preprocessing.ArbitrageFilter`, which takes out the quotes that cannot
all be right.
"""

# %%
# 75 quotes, 7 maturities
# -----------------------
#
# The S&P 500 calls of 18 April 2002. No strike is quoted at all maturities.
import matplotlib.pyplot as plt
import numpy as np

from levylearn.datasets import load_dax_2002, load_sp500_2002
from levylearn.market import check_arbitrage
from levylearn.preprocessing import ArbitrageFilter, ImpliedVolTransformer, QuoteGridder

data = load_sp500_2002()
strikes = np.linspace(data.grid.strike.min(), data.grid.strike.max(), 241)
quoted_maturities = np.unique(data.grid.maturity)
maturities = np.linspace(quoted_maturities[0], quoted_maturities[-1], 120)

gridder = QuoteGridder(data.chain, strikes, maturities, unit="implied_vol")
surface = gridder.fit_transform(data.implied_vol.reshape(1, -1))

# %%
# Colour is where the chain says something, grey where it does not: beyond the lowest or highest
# strike of one of the two maturities around, that is. Half of the rectangle is grey. Whatever is
# put there is an assumption, which should be made by a model, and not by an interpolation.
figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
volatility = 100 * surface.reshape(gridder.grid_.shape)
mesh = ax.pcolormesh(strikes, maturities, volatility, cmap="viridis", shading="nearest")
ax.scatter(
    data.grid.strike,
    data.grid.maturity,
    c=100 * data.implied_vol,
    norm=mesh.norm,
    edgecolors="white",
    linewidths=0.8,
    s=36,
    zorder=3,
)
ax.set(xlabel="strike", ylabel="maturity (years)", title="S&P 500, 18 April 2002: 75 quotes")
ax.set_facecolor("#f4f4f4")
figure.colorbar(mesh, ax=ax, label="implied volatility (%)")
plt.show()
print(f"{np.isnan(surface).mean():.0%} of the grid are not covered by quotes")

# %%
# Smiles through quotes
# ---------------------
#
# Within a maturity the curve is a cubic in log-moneyness, and goes through every quote. Across
# maturities total variance, :math:`\sigma^2 T`, is linear at the same moneyness: the dashed
# curves are for maturities halfway between those that are quoted.
halfway = (quoted_maturities[:-1] + quoted_maturities[1:]) / 2
figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
colours = plt.colormaps["viridis"](np.linspace(0, 0.9, len(quoted_maturities)))
for times, style in ((quoted_maturities, "-"), (halfway, "--")):
    smiles = QuoteGridder(data.chain, strikes, times, unit="implied_vol").fit_transform(
        data.implied_vol.reshape(1, -1)
    )
    for smile, colour in zip(100 * smiles.reshape(len(times), -1), colours, strict=False):
        ax.plot(strikes, smile, style, color=colour, linewidth=1.0 if style == "--" else 1.6)
for (maturity, quotes), colour in zip(data.grid.slices, colours, strict=True):
    label = f"{maturity:.2f} years"
    ax.plot(
        data.grid.strike[quotes], 100 * data.implied_vol[quotes], "o", color=colour, label=label
    )
ax.set(xlabel="strike", ylabel="implied volatility (%)", title="quotes, and curves through them")
ax.legend(fontsize="small", ncols=2)
ax.grid(alpha=0.3)
plt.show()

# %%
# The curves add no arbitrage to quotes that have none. There is none between the 241 strikes of
# any maturity, nor between the 120 maturities:
pricing = QuoteGridder(data.chain, strikes, maturities)
prices = pricing.fit_transform(data.prices.reshape(1, -1))
check_arbitrage(prices, pricing.grid_)

# %%
# Quotes that cannot all be right
# -------------------------------
#
# The DAX volatilities of 5 July 2002 look smooth, and yet they allow six butterflies of a negative
# price. Five quotes are enough to be rid of all of them:
dax = load_dax_2002()
quotes = dax.prices.reshape(1, -1)
print(check_arbitrage(quotes, dax.grid))
arbitrage_filter = ArbitrageFilter(dax.grid).fit(quotes)
left = arbitrage_filter.transform(quotes)
dropped = arbitrage_filter.dropped(quotes)[0]
print(check_arbitrage(left, dax.grid))

# %%
# A butterfly is the price of a bet on where the index will be. So it shows best in the density of
# the index at maturity, the second derivative of the price by the strike. Take the longest
# maturity, with three of the six. Through all quotes the density is negative at some places;
# through those that are left it is nowhere. What one hardly sees in the smile is hard to miss in
# the density.
maturity, at = dax.grid.slices[-1]
strikes = np.linspace(dax.grid.strike.min(), dax.grid.strike.max(), 441)
gridder = QuoteGridder(dax.grid, strikes, [maturity]).fit(quotes)
curves = {"all quotes": gridder.transform(quotes)[0], "five left out": gridder.transform(left)[0]}

figure, (smile, density) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for (label, calls), colour, style in zip(
    curves.items(), ("#d55e00", "#0072b2"), ("--", "-"), strict=True
):
    volatility = ImpliedVolTransformer(gridder.grid_).fit_transform(calls.reshape(1, -1))[0]
    smile.plot(strikes, 100 * volatility, style, color=colour, label=label)
    bets = np.diff(calls, 2) / np.diff(strikes)[0] ** 2 / gridder.grid_.discount[0]
    density.plot(strikes[1:-1], 1000 * bets, style, color=colour, label=label)
kept, gone = at[~dropped[at]], at[dropped[at]]
smile.plot(dax.grid.strike[kept], 100 * dax.implied_vol[kept], "o", color="#333333", ms=5)
smile.plot(dax.grid.strike[gone], 100 * dax.implied_vol[gone], "X", color="#d55e00", ms=9)
smile.set(xlabel="strike", ylabel="implied volatility (%)", title=f"DAX, {maturity:.2f} years")
density.axhline(0, color="#333333", linewidth=0.8)
density.set(xlabel="DAX at maturity", ylabel="density (per 1000 points)", title="what it implies")
density.legend()
for ax in (smile, density):
    ax.grid(alpha=0.3)
plt.show()

# %%
# The spikes that remain say something about the quotes, too. Between some of them prices are all
# but straight, so that next to no density is left for the intervals, and it piles up at the
# ends. There is no arbitrage in that, but nobody would believe it. For a density to believe in one
# needs a model, which need not go through each quote.
