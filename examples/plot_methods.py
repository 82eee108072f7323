"""
All methods on one picture
==========================

Contour integral, Carr and Madan's transform, COS, finite differences and Monte Carlo are pricers
with one contract: to swap them is to swap a word. What does each cost, for how many
digits? And what happens at short maturities, where the textbook settings of the Fourier methods
fail without a word?
"""

# %%
# The truth, from a sixth method
# ------------------------------
#
# Given its clock, Variance Gamma's log-return is normal: the price is an average of Black
# and Scholes' prices over a gamma variable. In the logarithm of the clock the trapezoidal rule
# takes that average to nearly all digits, at every maturity.
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import gammaln

from levylearn.market import OptionGrid, black_price
from levylearn.pricing import (
    CarrMadanPricer,
    ContourPricer,
    COSPricer,
    MonteCarloPricer,
    PIDEPricer,
)

sigma, nu, theta = 0.12, 0.2, -0.14
params = np.array([[sigma, nu, theta]])
strikes = np.linspace(85, 115, 13)


def mixture(maturity):
    """Price calls on a spot of 100 as an average over the gamma clock."""
    shape = maturity / nu
    log_g, step = np.linspace(-60, 5, 4001, retstep=True)
    weight = step * np.exp(shape * log_g - np.exp(log_g) - gammaln(shape))
    clock = nu * np.exp(log_g)[:, None]
    drift = maturity / nu * np.log1p(-nu * (theta + sigma**2 / 2))
    forward = 100 * np.exp(drift + (theta + sigma**2 / 2) * clock)
    given_clock = black_price(forward, strikes, clock, sigma)
    on_a_still_clock = np.maximum(100 * np.exp(drift) - strikes, 0)
    return on_a_still_clock + weight @ (given_clock - on_a_still_clock)


# %%
# Error against time
# ------------------
#
# Each line follows one method as it is given more work: terms of the series, points of the
# transform, nodes, paths. The stars are the defaults. Times are of a batch of fifty parameter
# sets, per set, and include the error that is measured on the first of them.
batch = np.repeat(params, 50, axis=0) * np.linspace(1, 1.05, 50)[:, None]
batch[0] = params[0]


def measured(pricer, truth, rows):
    """Largest error, as a fraction of the spot, and milliseconds for one surface."""
    pricer.fit(rows)
    pricer.transform(rows)
    start = time.perf_counter()
    prices = pricer.transform(rows)[0]
    taken = 1e3 * (time.perf_counter() - start) / len(rows)
    return max(np.abs(prices - truth).max() / 100, 1e-16), taken


def methods(grid):
    """Pricers of every method, from little work to much, and with their defaults."""
    model = "variance_gamma"
    textbook = {"algorithm": "fft", "damping": 1.5, "spacing": 0.25}
    return {
        "COS": (
            [COSPricer(model, grid, n_terms=2**k, truncation=10) for k in range(4, 13)],
            COSPricer(model, grid),
        ),
        "Carr-Madan": (
            [CarrMadanPricer(model, grid, n_points=2**k, **textbook) for k in range(7, 16)],
            CarrMadanPricer(model, grid),
        ),
        "finite differences": (
            [PIDEPricer(model, grid, n_space=2**k, n_time=2 ** (k - 3)) for k in range(7, 13)],
            PIDEPricer(model, grid),
        ),
        "Monte Carlo": (
            [MonteCarloPricer(model, grid, n_paths=2**k) for k in range(7, 16, 2)],
            MonteCarloPricer(model, grid),
        ),
        "contour": ([], ContourPricer(model, grid)),
    }


def draw(ax, maturity, title):
    """Draw error against time for every method."""
    grid, truth = OptionGrid(strikes, [maturity], spot=100.0), mixture(maturity)
    for j, (label, (series, default)) in enumerate(methods(grid).items()):
        rows = batch if label not in ("finite differences", "Monte Carlo") else batch[:5]
        if series:
            errors, times = zip(*(measured(pricer, truth, rows) for pricer in series), strict=True)
            ax.loglog(times, errors, "o-", color=f"C{j}", markersize=4)
        error, taken = measured(default, truth, rows)
        ax.loglog(taken, error, "*", color=f"C{j}", markersize=15, label=label)
        estimate = default.error_estimate(params).max() / 100
        print(f"{label:20} {taken:8.2f} ms  error {error:.0e}  its own estimate {estimate:.0e}")
    ax.set(title=f"Variance Gamma, {title}", xlabel="milliseconds for a surface")
    ax.grid(alpha=0.3)


figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), sharey=True, layout="constrained")
for ax, maturity, title in zip(axes, [1.0, 1 / 365], ["one year", "one day"], strict=True):
    print(f"\n{title}")
    draw(ax, maturity, title)
axes[0].set_ylabel("largest error / spot")
handles, labels = axes[0].get_legend_handles_labels()
figure.legend(handles, labels, title="star: defaults", loc="outside right")
plt.show()

# %%
# On the left everything works, and the methods differ by what a digit costs. The contour
# integral and COS gain digits faster than any power of the work; finite differences, which are
# extrapolated, gain about four bits with each doubling of both grids; Monte Carlo with Sobol points
# about one with each doubling of the paths.
#
# On the right is one day, with a clock that has hardly begun to tick: the density has a
# pole. The characteristic function then decays like :math:`u^{-2T/\nu}`, hardly at all, and
# what the textbook settings leave out of the series or the transform is a share of the price that
# more terms hardly change. The bent line of the contour turns that decay into an exponential
# one. The defaults of :class:`~levylearn.pricing.COSPricer` reach the same by other means (see
# :doc:`/user_guide/fourier_methods`); those of :class:`~levylearn.pricing.CarrMadanPricer` take
# 32768 frequencies, and say that it may not be enough.
#
# What it looks like
# ------------------
#
# The errors of textbook settings are waves along the strikes, in the implied volatility of
# a week and a day.
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
fine = np.linspace(96, 104, 161)
for ax, days in zip(axes, [7, 1], strict=True):
    grid = OptionGrid(fine, [days / 365], spot=100.0)
    smile = {"output": "implied_vol"}
    for label, pricer, style in [
        ("COS, 256 terms", COSPricer(
            "variance_gamma", grid, **smile, n_terms=256, truncation=10), "C0"),
        ("Carr-Madan, 4096 points", CarrMadanPricer(
            "variance_gamma", grid, **smile,
            algorithm="fft", damping=1.5, n_points=4096, spacing=0.25), "C1"),
        ("contour", ContourPricer("variance_gamma", grid, **smile), "k"),
    ]:  # fmt: skip
        ax.plot(fine, 100 * pricer.fit(params).transform(params)[0], style, label=label, lw=1.2)
    ax.set(title=f"{days} days" if days > 1 else "1 day", xlabel="strike (spot = 100)")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("implied volatility (%)")
axes[0].legend()
plt.show()
