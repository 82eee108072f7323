"""
Which model do the quotes support?
==================================

More parameters fit better. Whether they are worth having is another question: do they also price
quotes that they were not fitted to, and is the difference more than luck? Five models on 75 calls
on the S&P 500 of 18 April 2002.
"""

# %%
import matplotlib.pyplot as plt

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import load_sp500_2002
from levylearn.inspection import SurfaceDisplay, compare_models
from levylearn.pricing import ContourPricer

data = load_sp500_2002()
models = ["black_scholes", "variance_gamma", "nig", "cgmy", "heston"]
table = compare_models(models, data.chain, data.prices)
shown = table.copy()
shown[["rmse", "cv_rmse"]] *= 100  # volatility points
shown[["n_params", "rmse", "cv_rmse", "aic", "bic", "dm_statistic", "dm_p_value"]].round(3)

# %%
# Both criteria and the errors of quotes left out agree: Heston's model is worth its five
# parameters. The last two columns test whether a model prices left-out quotes worse than the best
# one, with p-values adjusted for the number of models.
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(100 * table.rmse, table.index, "o", label="fitted")
ax.plot(100 * table.cv_rmse, table.index, "x", label="left out")
ax.set(xlabel="error (volatility points)", xlim=(0, None))
ax.invert_yaxis()
ax.grid(alpha=0.3)
ax.legend(frameon=False)
plt.show()

# %%
# The best of them, and the quotes:
calibrator = LeastSquaresCalibrator(ContourPricer("heston", data.grid), loss="implied_vol")
X = data.prices.reshape(1, -1)
SurfaceDisplay.from_estimator(calibrator.fit(X), X).plot()
plt.show()
