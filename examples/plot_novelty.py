"""
Surfaces that were never seen
=============================

A network answers every surface, also one unlike all that it has learned from. Two questions help:
is *this* surface unlike the others, and are the surfaces of *this month* unlike those before?
"""

# %%
# One surface
# -----------
#
# A detector sees what a network sees: surfaces drawn from the market range of Heston's model, with
# the noise of quotes. It is then shown new ones of that kind, surfaces with a slip in one quote,
# with a third of the quotes missing, and of Variance Gamma, a model with other smiles.
import matplotlib.pyplot as plt
import numpy as np

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import make_surface_series, make_surfaces
from levylearn.inspection import SurfaceNoveltyDetector, distribution_drift
from levylearn.market import OptionGrid
from levylearn.preprocessing import GaussianNoise, MissingQuotes
from levylearn.pricing import ContourPricer

grid = OptionGrid([80, 90, 95, 100, 105, 110, 120], [0.25, 0.5, 1.0, 2.0], rate=0.02)
noise = GaussianNoise(0.002, kind="absolute", random_state=0)
options = {"output": "implied_vol", "noise": noise}
seen, _ = make_surfaces("heston", grid, 3000, random_state=0, **options)
detector = SurfaceNoveltyDetector(contamination=0.01).fit(seen)

new, _ = make_surfaces("heston", grid, 300, random_state=1, **options)
slip = new.copy()
slip[:, 3] += 0.03
other, _ = make_surfaces("variance_gamma", grid, 300, random_state=1, **options)
kinds = {
    "of the same kind": new,
    "a third of the quotes missing": MissingQuotes(0.33, random_state=0).fit_transform(new),
    "a slip of three points in one quote": slip,
    "Variance Gamma": other,
}
for kind, surfaces in kinds.items():
    print(f"{kind}: {np.mean(detector.predict(surfaces) == -1):.0%} novel")

# %%
# Scores are distances in standard deviations, upside down. Missing quotes do not make a surface
# novel, because only the others are compared.
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for kind, surfaces in kinds.items():
    scores = np.clip(detector.score_samples(surfaces), -30, None)
    ax.hist(scores, np.linspace(-30, 5, 71), histtype="step", linewidth=1.5, label=kind)
ax.axvline(detector.offset_, color="0.3", linestyle="--", linewidth=1, label="threshold")
ax.set(xlabel="score, the lower the more novel; -30 or less at the left", ylabel="surfaces")
ax.legend(frameon=False, fontsize="small", loc="upper left")
ax.grid(alpha=0.3)
plt.show()

# %%
# There is another way to be novel: that the model does not fit. With a calibrator the score is the
# error of the best fit. The errors that `fit` has seen are a fifth of a point; two thirds of the
# surfaces of Variance Gamma are further from any that Heston's model has.
fit = SurfaceNoveltyDetector(
    LeastSquaresCalibrator(ContourPricer("heston", grid, output="implied_vol"), n_starts=2)
).fit(seen[:200])
for kind in ("of the same kind", "Variance Gamma"):
    print(f"{kind}: {np.mean(fit.predict(kinds[kind][:60]) == -1):.0%} not fitted")

# %%
# A market that moves
# -------------------
#
# Four years of surfaces. The first is the reference; each quarter after it is compared with
# that, quote by quote.
series = make_surface_series(
    "heston", grid, 1000, output="implied_vol", random_state=5, as_frame=True
)
first = series.dates < np.datetime64("2001-01-01")
after = series.X[~first]
drift = distribution_drift(series.X[first], after, after.index.to_period("Q"))
by_quarter = drift.groupby("period")[["psi", "ks"]].mean()
print(by_quarter.round(2).T.to_string())

# %%
# A quarter has some sixty days that resemble each other, so that the index is never small. The
# year of high volatility stands out all the same.
figure, (top, bottom) = plt.subplots(2, 1, figsize=(7, 4), sharex=True, layout="constrained")
top.plot(series.dates, 100 * series.X.iloc[:, 3], color="0.3", linewidth=0.8)
top.axvspan(series.dates[0], series.dates[first][-1], color="C0", alpha=0.12, label="reference")
top.set(ylabel="volatility at the money,\nthree months (%)")
top.legend(frameon=False)
start = by_quarter.index.to_timestamp()
bottom.bar(start, by_quarter.psi, width=80, align="edge", color="C1")
bottom.set(ylabel="drift (PSI),\nmean over quotes")
for ax in (top, bottom):
    ax.grid(alpha=0.3)
plt.show()
