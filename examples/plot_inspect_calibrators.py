"""
Is this calibrator good enough?
===============================

Three calibrators of Variance Gamma, on the surfaces of four years: a line, a network, and least
squares. Before one of them goes into production there are questions: has it learned, is it right,
what are its errors like, does it stay right as the market moves, what does it cost?
"""

# %%
# Learning
# --------
#
# Surfaces to learn from are drawn from the market range of the model; the network sees them with
# errors of half a per cent, other ones in every epoch. It holds a tenth of the surfaces out and
# keeps the weights that were best on these.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from levylearn.calibration import LeastSquaresCalibrator, MLPCalibrator
from levylearn.datasets import make_surface_series, make_surfaces
from levylearn.inspection import (
    CrossValidationDisplay,
    IntervalDisplay,
    ParameterCoverageDisplay,
    ParityDisplay,
    RepricingErrorDisplay,
    ResidualsDisplay,
    RobustnessDisplay,
    SpeedAccuracyDisplay,
    TrainingDisplay,
    WalkForwardDisplay,
    calibration_report,
    compare_calibrators,
)
from levylearn.market import OptionGrid
from levylearn.metrics import get_calibration_scorer
from levylearn.model_selection import WalkForwardSplit
from levylearn.preprocessing import GaussianNoise
from levylearn.pricing import ContourPricer

model = "variance_gamma"
grid = OptionGrid([80, 90, 95, 100, 105, 110, 120], [0.25, 0.5, 1.0], rate=0.02)
pricer = ContourPricer(model, grid, output="implied_vol")
options = {"output": "implied_vol", "as_frame": True}
X, y = make_surfaces(model, grid, 2000, random_state=0, **options)
X_test, y_test = make_surfaces(model, grid, 400, random_state=1, **options)

network = MLPCalibrator(max_epochs=25, augment=GaussianNoise(0.005), random_state=0).fit(X, y)
TrainingDisplay.from_estimator(network).plot()
plt.show()

# %%
# What it has seen, and what it finds on surfaces of a market that it has not seen:
series = make_surface_series(model, grid, 1000, random_state=3, **options)
ParameterCoverageDisplay.from_predictions(
    model, {"learned from": y, "the market's days": network.predict(series.X)}
).plot()
plt.show()

# %%
# Errors
# ------
#
# What is found against what is true, on surfaces that were not learned from:
ParityDisplay.from_estimator(network, X_test, y_test).plot()
plt.show()

# %%
# The errors are not normal: most are small, and a few are large.
ResidualsDisplay.from_estimator(network, X_test, y_test).plot()
plt.show()

# %%
# Where on the surface they are, once the parameters found are priced again:
RepricingErrorDisplay.from_estimator(network, X_test, pricer=pricer).plot()
plt.show()

# %%
# What the network says of its own errors. The intervals are those of surfaces with errors, which it
# was judged on; these have none, and so the intervals are wider than they would have to be.
IntervalDisplay.from_estimator(network, X_test, y_test, model=model).plot()
plt.show()

# %%
# Folds
# -----
#
# One test set may be a lucky one. Three simple regressions, on the same five folds:
line = make_pipeline(StandardScaler(), Ridge(1e-3))
parabola = make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(1e-3))
scorer = get_calibration_scorer("neg_parameter_mae", model=model)
CrossValidationDisplay.from_estimator(
    {"line": line, "parabola": parabola, "neighbours": KNeighborsRegressor()},
    X,
    y,
    scoring=scorer,
).plot()
plt.show()

# %%
# Through time
# ------------
#
# Train on the last year, test on the next quarter, walk on. The drift below is how far the quotes
# of the quarter are from those of the year. Errors of theta differ from quarter to quarter by a
# factor of twenty, and drift alone does not say when: that of 2001 does no harm, that of the last
# quarters does.
WalkForwardDisplay.from_estimator(
    parabola,
    series.X,
    series.y,
    WalkForwardSplit("365D", "91D", window="rolling"),
    model=model,
).plot()
plt.show()

# %%
# What it costs
# -------------
#
# Errors of prices, time, size, and what half a per cent of noise does to the errors:
calibrators = {
    "line": line.fit(X, y),
    "parabola": parabola.fit(X, y),
    "network": network,
    "least squares": LeastSquaresCalibrator(pricer).fit(X),
}
table = compare_calibrators(calibrators, X_test[:100], y_test[:100], pricer=pricer)
columns = ["parameter_mae", "repricing_rmse", "repricing_rmse_noisy", "failure_rate", "size"]
table[columns].round(5)

# %%
SpeedAccuracyDisplay(table, "repricing_rmse_noisy").plot()
plt.show()

# %%
# Least squares is exact on clean surfaces, and best under noise: it weighs all quotes. The network
# has seen errors of half a per cent and stands them; what has learned from clean surfaces alone
# does not.
#
# Noise is one way of being disturbed. Quotes may be missing, which the parabola does not take at
# all; and strikes may not be what they are taken for, an error that no average takes away: there
# least squares is hardly better than the network. The bands are of three draws.
options = {"pricer": pricer, "n_repeats": 3, "random_state": 0}
surfaces = X_test[:50], y_test[:50]
stand = {name: calibrators[name] for name in ("network", "least squares")}
missing = RobustnessDisplay.from_estimator(stand, *surfaces, kinds=["missing"], **options)
stand["parabola"] = calibrators["parabola"]
kinds = {"noise": [0, 0.002, 0.005, 0.01, 0.02], "shift": None}
others = RobustnessDisplay.from_estimator(stand, *surfaces, kinds=kinds, **options)
table = pd.concat([missing.table, others.table])
RobustnessDisplay(table, unit="volatility").plot().axes_[0].set_ylim(0, 0.03)
plt.show()

# %%
# On one page
# -----------
#
# Most of this, of one calibrator, is on a page of its own, with pictures to zoom into. It is one
# file, and opens in any browser, without a network. ``levylearn report`` writes it from a shell.
with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "network.html"
    calibration_report(network, X_test, y_test, pricer=pricer, path=page)
    print(f"{page.name}: {page.stat().st_size / 1e6:.1f} MB")
