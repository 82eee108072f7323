"""
What noise does to smiles and to parameters
===========================================

A network that has only seen prices of a model is surprised by those of a market. So one trains it
on prices with errors: within the bid-ask spread, normal, gross, or with quotes missing. Here is
what each kind looks like on a smile, where a trader would see it, and how far it throws off a
calibration, which is the least that *any* method has to put up with.
"""

# %%
# One surface, many times
# -----------------------
#
# Heston's model under parameters that are usual for a stock index. The surface is repeated 400
# times: every copy of a row has noise of its own.
import matplotlib.pyplot as plt
import numpy as np

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.market import OptionGrid
from levylearn.preprocessing import (
    BidAskNoise,
    GaussianNoise,
    ImpliedVolTransformer,
    MissingQuotes,
    NoiseInjector,
    OutlierNoise,
)
from levylearn.pricing import ContourPricer

strikes = [75, 80, 85, 90, 95, 100, 105, 110, 115, 120]
maturities = [0.25, 0.5, 1.0, 2.0]
# Options out of the money, as they are traded.
types = np.where(np.tile(strikes, len(maturities)) < 100, "put", "call")
grid = OptionGrid(strikes, maturities, spot=100.0, rate=0.02, dividend=0.02, option_type=types)

names = ["v0", "kappa", "theta", "sigma", "rho"]
heston = np.array([[0.04, 2.0, 0.05, 0.5, -0.7]])
pricer = ContourPricer("heston", grid).fit(heston)
surface = pricer.transform(heston)
copies = np.repeat(surface, 400, axis=0)

# %%
# Six kinds
# ---------
#
# The size of an error can be a fraction of the price, an amount, or one of volatility. Mind the
# scales: a spread of half a per cent of the price, as in the literature, is at most a tenth of a
# volatility point, and less in the wings. Five cents are nothing at the money, and as much
# as the whole option in the wings, where it may be left without a volatility. An error of
# volatility is alike at all strikes.
noises = {
    "bid-ask, 0.5 % of the price": BidAskNoise(0.005),
    "normal, 0.5 % of the price": GaussianNoise(0.005),
    "bid-ask, 5 cents": BidAskNoise(0.05, kind="absolute"),
    "normal, 0.3 volatility points": GaussianNoise(0.003, kind="implied_vol", grid=grid),
    "outliers: 5 % of the quotes": OutlierNoise(0.05, 0.1, degrees_of_freedom=3),
    "missing: 30 %, in the wings": MissingQuotes(0.3, pattern="wings", grid=grid),
}
noisy = {
    title: noise.set_params(random_state=0).fit_transform(copies) for title, noise in noises.items()
}

to_volatility = ImpliedVolTransformer(grid).fit(copies)
truth = to_volatility.transform(surface)
_, quotes = grid.slices[0]
jitter = np.random.default_rng(0).uniform(-1.2, 1.2, (len(copies), len(quotes)))

figure, axes = plt.subplots(2, 3, figsize=(10, 6), sharex=True, layout="constrained")
for ax, (title, surfaces) in zip(axes.flat, noisy.items(), strict=True):
    errors = 100 * (to_volatility.transform(surfaces) - truth)[:, quotes]
    ax.set_title(title, fontsize="medium")
    ax.grid(alpha=0.3)
    if "missing" in title:
        ax.bar(strikes, 100 * np.isnan(errors).mean(axis=0), width=2.4, color="#9ecae1")
        ax.set_ylabel("missing (%)")
        continue
    ax.plot((strikes + jitter).ravel(), errors.ravel(), ".", color="#0072b2", alpha=0.2, ms=3)
    ax.plot(strikes, errors[0], "o-", color="#d55e00", ms=4, linewidth=0.8)
    limit = 1.2 * np.nanmax(np.nanquantile(np.abs(errors), 0.995, axis=0))
    ax.set(ylim=(-limit, limit), ylabel="error (volatility points)")
for ax in axes[1]:
    ax.set_xlabel("strike")
figure.suptitle("three-month smiles: 400 copies (blue), one of them (orange)")
plt.show()

# %%
# What it does to parameters
# --------------------------
#
# A hundred copies of each kind are calibrated by least squares on volatilities. Since they come
# from one set of parameters, what differs is the noise. Boxes hold the middle half of the
# results, whiskers 90 %.
fitted = {}
for title, surfaces in noisy.items():
    calibrator = LeastSquaresCalibrator(pricer, loss="implied_vol")
    fitted[title] = calibrator.fit(surfaces).predict(surfaces[:100])

figure, axes = plt.subplots(1, 5, figsize=(11, 3.6), sharey=True, layout="constrained")
for j, (ax, name) in enumerate(zip(axes, names, strict=True)):
    values = [params[:, j] for params in fitted.values()]
    boxes = ax.boxplot(
        values,
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        tick_labels=list(fitted),
        medianprops={"color": "#333333"},
    )
    for box in boxes["boxes"]:
        box.set(facecolor="#9ecae1", edgecolor="#0072b2")
    ax.axvline(heston[0, j], color="#d55e00", linewidth=1.0)
    ax.set_title(name, fontsize="medium")
    ax.grid(axis="x", alpha=0.3)
axes[0].invert_yaxis()
plt.show()

# %%
# Missing quotes alone do no harm: what is left determines the parameters, to the last digit.
# Errors of half a per cent of the price cost little. Errors in cents, as large in the wings as at
# the money, are what a calibration on volatilities suffers from; one on prices would not. A few
# outliers do as much harm as small errors everywhere, because squares give them so much weight.
# Of all parameters ``kappa`` is the first to go. Here is how wide the whiskers are:
spread = {
    title: np.diff(np.quantile(params, [0.05, 0.95], axis=0), axis=0)[0]
    for title, params in fitted.items()
}
for title, widths in spread.items():
    print(f"{title:30s}", "  ".join(f"{n} {w:.3g}" for n, w in zip(names, widths, strict=True)))

# %%
# In training only
# ----------------
#
# In a pipeline a noise adds its errors when the pipeline is fitted, and steps aside when it
# predicts. A mixture takes the place of a single one; here every second surface has errors within
# the spread, the others normal ones, as in the literature:
mixture = NoiseInjector(random_state=0)
print("fit_transform:", np.abs(mixture.fit_transform(copies) / copies - 1).max().round(4))
print("transform:    ", np.abs(mixture.transform(copies) / copies - 1).max())
