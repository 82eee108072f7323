"""
When is an approximate posterior right?
=======================================

Laplace's approximation takes a few milliseconds where sampling takes seconds. It is a normal
distribution, in coordinates in which the prior is one, and posteriors need not be. Whether it may
be trusted on a market can be found out beforehand, without any quote.
"""

# %%
# Simulation-based calibration
# ----------------------------
#
# Draw parameters from the prior, quotes with errors for them, and the posterior of these quotes:
# if it is right, the rank of the parameters among its draws is uniform. Once with errors of two
# cents on options on an underlying of 100, once with errors ten times as large.
import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats

from levylearn.calibration import LaplaceCalibrator
from levylearn.inspection import RankDisplay, rank_test
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer

grid = OptionGrid([80, 90, 100, 110, 120], [0.25, 1.0], rate=0.02)
pricer = ContourPricer("variance_gamma", grid)
params = [[0.2, 0.5, -0.2]]
X = pricer.fit(params).transform(params)
priors = {
    "sigma": stats.lognorm(0.3, scale=0.2),
    "nu": stats.gamma(4.0, scale=0.125),
    "theta": stats.norm(-0.2, 0.1),
}
displays = {}
for size in (0.02, 0.2):
    calibrator = LaplaceCalibrator(pricer, size, noise_kind="absolute", priors=priors, n_draws=1024)
    calibrator.fit(X, params)
    displays[size] = RankDisplay.from_estimator(calibrator, 400, random_state=0)

# %%
# Errors of two cents
# -------------------
#
# The grey band is where 95 % of the counts are to be, and here all are. Quotes as exact as these
# leave so little room that every posterior is normal in it.
displays[0.02].plot()
plt.show()

# %%
# Errors of twenty cents
# ----------------------
#
# Of ``sigma`` and ``theta``, twice as many ranks as there should be are the very lowest: the truth
# is less than nearly all the draws. Quotes that hardly tell one parameter from another leave a
# posterior with a long tail to one side, and a normal distribution has none.
displays[0.2].plot()
plt.show()

# %%
# The same in numbers
# -------------------
#
# How often the intervals of 95 % hold the truth, and two tests of whether ranks are uniform. With
# the larger errors the intervals of ``sigma`` hold it in nine cases of ten, which may be good
# enough for a first look. For more there is :class:`~levylearn.calibration.NUTSCalibrator`, which
# assumes no shape.
pd.concat({size: rank_test(display.ranks) for size, display in displays.items()}).round(3)
