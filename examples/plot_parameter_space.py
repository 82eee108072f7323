"""
The space that surfaces are drawn from
======================================

A calibrator knows the surfaces it has been trained on, so what they are drawn from matters.
:func:`~levylearn.datasets.make_surfaces` fills the market range of a model with Sobol points. Here
is what that looks like, what it leaves out, and what comes of it: the smiles of calm, normal and
stressed markets, and five years of them in a row.
"""

# %%
# Sobol points and independent ones
# ---------------------------------
#
# 512 parameter sets of Heston's model, each way, two parameters at a time and on their scales.
# Independent points clump and leave holes. The more parameters there are, the more a network
# has to guess what happens in the holes.
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import qmc

from levylearn.datasets import make_surface_series, make_surfaces, market_regimes
from levylearn.market import OptionGrid
from levylearn.models import get_model

one_year = OptionGrid(strikes=[100], maturities=[1.0])
heston = get_model("heston")
drawn = {
    sampling: make_surfaces(
        heston, one_year, 512, sampling=sampling, random_state=2, as_frame=True
    )[1]
    for sampling in ("sobol", "random")
}

# %%
# Sobol points are above the diagonal, independent points below; on it are the numbers of points in
# 16 intervals of equal probability, which ought to be 32 each.
parameters = heston.parameters


def on_scale(parameter, values):
    """Positions in the market range, from 0 to 1."""
    scale = np.log if parameter.scale == "log" else np.asarray
    low, high = scale(parameter.market_range)
    return (scale(values) - low) / (high - low)


unit = {
    sampling: np.column_stack([on_scale(p, params[p.name]) for p in parameters])
    for sampling, params in drawn.items()
}
colours = {"sobol": "C0", "random": "C3"}
n = len(parameters)
figure, axes = plt.subplots(n, n, figsize=(8, 8), layout="constrained")
for (i, j), ax in np.ndenumerate(axes):
    ax.set(xticks=[], yticks=[])
    if i == j:
        for sampling, points in unit.items():
            counts, edges = np.histogram(points[:, i], 16, (0, 1))
            ax.stairs(counts, edges, color=colours[sampling], label=sampling)
        ax.set(ylim=(0, 60), xlim=(0, 1))
        ax.text(
            0.5, 0.06, f"${parameters[i].symbol}$", ha="center", fontsize=16, transform=ax.transAxes
        )
    else:
        sampling = "sobol" if i < j else "random"
        ax.scatter(unit[sampling][:, j], unit[sampling][:, i], s=2.5, color=colours[sampling])
        ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
plt.show()

# %%
# Discrepancy puts a number to the eye: how far the share of points in a box is, on average, from
# the share of the box in the whole.
for sampling, points in unit.items():
    print(f"{sampling}: discrepancy {qmc.discrepancy(points):.5f}")

# %%
# What is left out
# ----------------
#
# Not every point of the box is a model. Variance Gamma exists where
# :math:`\nu(\theta + \sigma^2/2) < 1`; here the ranges are wider than the usual ones, to show the
# edge. In Heston's model everything exists, but above the line the variance may reach zero,
# because :math:`2\kappa\theta < \sigma^2`. ``feller=True`` leaves these sets out. The default keeps
# them, because fits to index options end there, too.
wide = {"sigma": (0.1, 1.5), "nu": (0.1, 6.0), "theta": (-0.001, 0.001)}
gamma = make_surfaces("variance_gamma", one_year, 1024, ranges=wide, random_state=0, as_frame=True)[
    1
]
free = make_surfaces(heston, one_year, 1024, random_state=0, as_frame=True)[1]
feller = 2 * free.kappa * free.theta / free.sigma**2

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.scatter(gamma.sigma, gamma.nu, s=4)
sigma = np.linspace(0.1, 1.5, 200)
edge = 2 / sigma**2
left.fill_between(sigma, edge, 6, where=edge < 6, color="0.85")
left.plot(sigma, edge, color="0.3")
left.text(1.22, 3.4, "no such\nprocess", ha="center", color="0.3")
left.set(ylim=(0.1, 6), xlabel=r"$\sigma$", ylabel=r"$\nu$", title="Variance Gamma without drift")
kept = feller >= 1
level = 2 * free.kappa * free.theta
right.scatter(level[kept], free.sigma[kept], s=4, label="variance stays positive")
right.scatter(level[~kept], free.sigma[~kept], s=4, color="C1", label="it may reach zero")
x = np.geomspace(0.01, 1.44, 200)
right.plot(x, np.sqrt(x), color="0.3")
right.set(xscale="log", xlabel=r"$2\kappa\theta$", ylabel=r"$\sigma$")
right.set(yscale="log", ylim=(0.1, 1.2), title="Heston")
figure.legend(loc="outside lower right", ncols=2, fontsize="small", markerscale=3)
for ax, ticks in ((left, [0.1, 0.3, 1, 3]), (right, [0.1, 0.2, 0.4, 0.8])):
    ax.set(yscale="log")
    ax.set_yticks(ticks, map(str, ticks))
    ax.minorticks_off()
plt.show()

# %%
print(f"the Feller condition holds in {kept.mean():.0%} of Heston's market range")

# %%
# Smiles by regime
# ----------------
#
# :func:`~levylearn.datasets.market_regimes` divides the ranges of every model into calm, normal and
# stressed. Here are forty smiles of each, three months from expiry.
strikes = np.linspace(80, 120, 41)
smile = OptionGrid(strikes, maturities=[0.25])
regimes = {"calm": "C0", "normal": "C2", "stressed": "C3"}
models = {"heston": "Heston", "variance_gamma": "Variance Gamma", "merton": "Merton"}
figure, axes = plt.subplots(1, 3, figsize=(10, 4), sharey=True, layout="constrained")
for ax, (model, title) in zip(axes, models.items(), strict=True):
    for regime, colour in regimes.items():
        volatility, _ = make_surfaces(
            model, smile, 40, distribution=regime, output="implied_vol", random_state=0
        )
        ax.plot(strikes, 100 * volatility.T, color=colour, linewidth=0.6, alpha=0.6)
        ax.plot([], [], color=colour, label=regime)
    ax.set(title=title, xlabel="strike (spot = 100)")
    ax.grid(alpha=0.3)
axes[0].set(ylabel="implied volatility (%)", ylim=(0, 100))
axes[0].legend()
plt.show()

# %%
# What makes the regimes of Heston's model:
for regime, ranges in market_regimes("heston").items():
    print(regime, {name: f"{low:.2f} to {high:.2f}" for name, (low, high) in ranges.items()})

# %%
# Through time
# ------------
#
# :func:`~levylearn.datasets.make_surface_series` goes from one regime to another, with parameters
# that take days to follow. Whoever shuffles such days before splitting them into training and
# test tests a calibrator on what it has seen the day before.
terms = OptionGrid([90, 100, 110], [1 / 12, 1.0])
series = make_surface_series("heston", terms, 1260, output="implied_vol", random_state=4)
month, year = 100 * series.X[:, 1], 100 * series.X[:, 4]
skew = 100 * (series.X[:, 0] - series.X[:, 2])

figure, (top, bottom) = plt.subplots(
    2, 1, figsize=(9, 5), sharex=True, height_ratios=[2, 1], layout="constrained"
)
changes = np.flatnonzero(series.regime[1:] != series.regime[:-1]) + 1
spells = np.r_[0, changes, len(series.dates) - 1]
for ax in (top, bottom):
    for first, last in pairwise(spells):
        colour = regimes[series.regime[first]]
        ax.axvspan(series.dates[first], series.dates[last], color=colour, alpha=0.13, linewidth=0)
    ax.grid(alpha=0.3)
for regime, colour in regimes.items():
    top.fill_between([], [], color=colour, alpha=0.3, label=regime)
top.plot(series.dates, month, color="black", linewidth=0.9, label="one month")
top.plot(series.dates, year, color="C4", linewidth=0.9, label="one year")
top.set(ylabel="at-the-money volatility (%)", ylim=(0, None))
figure.legend(loc="outside upper center", ncols=5, fontsize="small")
bottom.plot(series.dates, skew, color="black", linewidth=0.9)
bottom.set(
    ylabel="skew, one month\n(points, 90 less 110)", xlim=(series.dates[0], series.dates[-1])
)
plt.show()
