"""
Which quotes matter
===================

A calibrated parameter is a function of quotes. Here is how to ask which quotes it hangs on, which
parameters a smile hangs on, and what the most harmful errors of quotes would be: for Variance
Gamma and Heston's model, by least squares and by a network.
"""

# %%
# What parameters do to smiles
# ----------------------------
#
# Each parameter of Heston's model is moved by a tenth of its market range, down and up. The smile
# of three months answers to the initial variance first of all. Mean reversion :math:`\kappa` does
# least within so short a time.
import matplotlib.pyplot as plt
import numpy as np

from levylearn.calibration import LeastSquaresCalibrator, MLPCalibrator
from levylearn.datasets import make_surfaces
from levylearn.inspection import (
    GreeksDisplay,
    JacobianDisplay,
    PerturbationDisplay,
    SobolDisplay,
    SurfaceDisplay,
    jacobian_sensitivity,
    worst_case_errors,
)
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise
from levylearn.pricing import ContourPricer

grid = OptionGrid(np.arange(80, 121, 5.0), maturities=[0.25, 0.5, 1.0, 1.5, 2.0], rate=0.02)
heston = ContourPricer("heston", grid, output="implied_vol")
params = [0.04, 1.5, 0.06, 0.5, -0.7]
PerturbationDisplay.from_estimator(heston, params).plot()
plt.show()

# %%
# That was at one point. Sobol's indices are averages over the whole market range: which share of
# the variance of all volatilities is due to each parameter, alone and together with others?
SobolDisplay.from_estimator(heston, n_samples=256, aggregate=True, random_state=0).plot()
plt.show()

# %%
# The surface itself, and its Greeks.
SurfaceDisplay.from_predictions(
    grid, heston.fit([params]).transform([params])[0], unit="implied_vol"
).plot()
plt.show()

# %%
GreeksDisplay.from_estimator(heston, params).plot()
plt.show()

# %%
# What quotes do to parameters
# ----------------------------
#
# The derivative of a calibrated parameter by a quote says how much of the quote's error the
# parameter takes on. For least squares it follows from the implicit function theorem, without a
# second calibration.
gamma = ContourPricer("variance_gamma", grid, output="implied_vol")
X, y = make_surfaces(
    "variance_gamma", grid, 1500, output="implied_vol", random_state=0, as_frame=True
)
X = X.to_numpy()
surface = gamma.fit(y.to_numpy()).transform([[0.2, 0.4, -0.2]])
least_squares = LeastSquaresCalibrator(gamma).fit(X)
JacobianDisplay.from_estimator(least_squares, surface).plot()
plt.show()

# %%
# All three hang on the shortest smile, and on its wings most: an error of one volatility point at
# the strike of 120 moves :math:`\nu` by 0.02, which is more than most other quotes together. Errors
# that lift the wings and press the middle look like a heavier tail.
#
# A network that has learned from the same model has derivatives of its own, by automatic
# differentiation. One that saw quotes with errors of one per cent has learned to weigh them.
noise = GaussianNoise(0.01)
network = MLPCalibrator(max_epochs=25, augment=noise, random_state=0).fit(X, y)
JacobianDisplay.from_estimator(network, surface, grid=grid).plot()
plt.show()

# %%
# One that saw only surfaces as the model makes them, to the last digit, has not. Whatever tells a
# parameter on these is right to it, however small: differences between quotes that no market
# quotes, and that any error hides.
naive = MLPCalibrator(max_epochs=20, random_state=0).fit(X, y)
calibrators = {"least squares": least_squares, "network": network, "naive network": naive}
for title, calibrator in calibrators.items():
    jacobian = jacobian_sensitivity(calibrator, surface)[0]
    print(f"{title}: largest derivative of nu by a quote {np.abs(jacobian[1]).max():.3g}")

# %%
# The worst errors
# ----------------
#
# Errors of one per cent of the quotes, root mean square, that move the parameters most, against
# what independent errors of that size do on average: to first order, in units of the ranges.
for title, calibrator in calibrators.items():
    worst = worst_case_errors(calibrator, surface, size=0.01, model="variance_gamma")
    pairs = zip(least_squares.parameter_names_, worst.change[0], worst.usual[0], strict=True)
    text = ", ".join(f"{name} {change:+.0%} (usual {usual:.0%})" for name, change, usual in pairs)
    print(f"{title}: {text}")

# %%
# To see the direction, draw the surface with those errors: a tilt and a twist that look like
# nothing but another smile.
error = worst_case_errors(least_squares, surface, size=0.01).errors[0]
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for maturity, quotes in grid.slices:
    ax.plot(
        grid.strike[quotes], 100 * error[quotes], marker="o", markersize=3, label=f"{maturity:g}"
    )
ax.axhline(0, color="0.3", linewidth=0.8)
ax.set(xlabel="strike", ylabel="error (volatility points)")
ax.legend(title="years", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
ax.grid(alpha=0.3)
plt.show()
