"""
What the right to exercise early is worth
=========================================

Fourier methods price options that can be exercised at expiry only.
:class:`~levylearn.pricing.PIDEPricer` marches back in time on a grid and may compare, at every
step, what it holds with what exercise would pay. So it prices American options, under
every Lévy model. Here are puts under Variance Gamma, next to Black and Scholes' of the same
variance: what do jumps change about early exercise?
"""

# %%
# Two models of one variance
# --------------------------
import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import PIDEPricer, convergence_study

variance_gamma = [[0.12, 0.2, -0.14]]
variance = get_model("variance_gamma").cumulants(1.0, np.array(variance_gamma))[0, 1]
models = {
    "Variance Gamma": ("variance_gamma", variance_gamma, "C3"),
    "Black-Scholes": ("black_scholes", [[np.sqrt(variance)]], "C0"),
}
print(f"volatility of both: {np.sqrt(variance):.1%}")


def puts(model, params, strikes, maturities, rate=0.06, exercise="american", **settings):
    """Price puts on a spot of 100, one row for each maturity."""
    grid = OptionGrid(strikes, maturities, spot=100.0, rate=rate, option_type="put")
    prices = PIDEPricer(model, grid, exercise=exercise, **settings).fit(params).transform(params)
    return prices.reshape(grid.shape)


# %%
# The premium
# -----------
#
# An American put is worth its European twin and a premium, which is the interest on the
# strike that early exercise saves. It grows with the rate, and with how far the put is in the
# money. Variance Gamma's law has a higher peak than the normal one of the same variance: a put
# in the money has less to hope for, is exercised sooner, and so the right to do it is worth more.
strikes = np.linspace(85, 130, 91)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, maturity in zip(axes, [0.25, 1.0], strict=True):
    for label, (model, params, colour) in models.items():
        for rate, style in [(0.02, ":"), (0.06, "--"), (0.10, "-")]:
            american, european = (
                puts(model, params, strikes, [maturity], rate, exercise)[0]
                for exercise in ("american", "european")
            )
            text = f"{label}, rate {rate:.0%}"
            ax.plot(strikes, american - european, style, color=colour, label=text)
    ax.set(title=f"premium of a put over {maturity:g} years", xlabel="strike (spot = 100)")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("American less European price")
axes[0].legend(fontsize="small")
plt.show()

# %%
# When to exercise
# ----------------
#
# Exercise is right where the American put is worth no more than it pays. The border is the
# spot, as a fraction of the strike, below which that is so. Under Black and Scholes' model it
# comes up to the strike as expiry approaches. Under a process that jumps it need not: close to
# the strike the interest of a day is less than what a jump upwards across the strike would
# cost on average, had the option been exercised. The border ends where both are equal, at the
# spot :math:`S` that solves
#
# .. math:: rK = \int (Se^y - K)^+\,\nu(y)\,dy,
#
# the cross in the picture. Only :meth:`~levylearn.models.LevyModel.levy_density` is needed for
# it, no price.


def last_border(rate=0.06):
    """Border of exercise under Variance Gamma, just before expiry."""
    density = get_model("variance_gamma").levy_density

    def loss(spot):
        def integrand(y):
            rate_of_jumps = density(np.array([y]), np.array(variance_gamma))[0, 0]
            return (spot * np.exp(y) - 1) * rate_of_jumps

        return quad(integrand, -np.log(spot), 2.0)[0] - rate

    return brentq(loss, 0.9, 1 - 1e-6)


maturities = np.array([0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0])
dense = np.linspace(100, 150, 1001)


def border(model, params):
    """Greatest spot over strike, by maturity, at which exercise is right."""
    prices = puts(model, params, dense, maturities, n_space=4096, n_time=512)
    exercised = prices <= (dense - 100) * (1 + 1e-7) + 1e-7
    return 100 / dense[exercised.argmax(axis=1)]


figure, (ax, prices) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for label, (model, params, colour) in models.items():
    ax.plot(maturities, border(model, params), "o-", color=colour, label=label)
    american = puts(model, params, strikes, [0.5])[0]
    prices.plot(strikes, american - np.maximum(strikes - 100, 0), color=colour, label=label)
ax.plot(0, last_border(), "x", color="C3", markersize=10)
ax.set(
    title="where exercise is right: below",
    xlabel="time to expiry (years)",
    ylabel="spot over strike",
)
prices.set(
    title="American put over half a year, rate 6 %",
    xlabel="strike (spot = 100)",
    ylabel="price less what exercise pays",
)
for panel in (ax, prices):
    panel.grid(alpha=0.3)
    panel.legend()
plt.show()

# %%
# How sure is that?
# -----------------
#
# Every price comes with an estimate of its error, from grids of different fineness, and
# :func:`~levylearn.pricing.convergence_study` shows them.

grid = OptionGrid([95, 100, 105], [1.0], spot=100.0, rate=0.06, option_type="put")
pricer = PIDEPricer("variance_gamma", grid, exercise="american").fit(variance_gamma)
for price, error in zip(
    pricer.transform(variance_gamma)[0], pricer.error_estimate(variance_gamma)[0], strict=True
):
    print(f"{price:.5f} +- {error:.5f}")
study = convergence_study(pricer, variance_gamma, refinements=3)
print("nodes:", *study.n_space, " observed order:", *study.order.round(2))
