"""
Learned, searched, or both
==========================

A network that has seen enough surfaces answers in microseconds; least squares searches anew for
each surface, and is right to the last digit. Which is better depends on the quotes: on how
many there are, how exact, and how quickly an answer is needed. Here both compete with classical
global search and with each other: exact prices first, then noisy ones, then models in which a
search may end in the wrong valley.
"""

# %%
# A few seconds of training
# -------------------------
#
# Variance Gamma on 45 calls. The network is shown 10,000 surfaces from all over the market range,
# with their parameters.
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import differential_evolution
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from levylearn.calibration import (
    HybridCalibrator,
    LBFGSCalibrator,
    LeastSquaresCalibrator,
    MLPCalibrator,
)
from levylearn.datasets import make_surfaces
from levylearn.exceptions import ExtrapolationWarning
from levylearn.market import OptionGrid
from levylearn.metrics import parameter_mae
from levylearn.models import get_model
from levylearn.preprocessing import GaussianNoise
from levylearn.pricing import ContourPricer

# Of thousands of surfaces some are a little outside of those that were learned from.
warnings.simplefilter("ignore", ExtrapolationWarning)

model = "variance_gamma"
grid = OptionGrid(np.linspace(80, 120, 9), [0.1, 0.25, 0.5, 1.0, 2.0], spot=100.0, rate=0.05)
pricer = ContourPricer(model, grid)
X, y = make_surfaces(model, grid, 10_000, random_state=0)
X_test, y_test = make_surfaces(model, grid, 200, random_state=1)


def seconds(run):
    """Processor time of a call, and what it returns."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


network = MLPCalibrator(max_epochs=30, random_state=0)
taken, _ = seconds(lambda: network.fit(X, y))
error = 100 * parameter_mae(y_test, network.predict(X_test), model=model)
print(f"trained in {taken:.0f} s; parameters are off by {error:.2f} % of their market range")

# %%
# Speed and accuracy
# ------------------
#
# Ten surfaces are calibrated one at a time (discs), and two hundred in a batch where there is such
# a thing (triangles). What is done once for all is not counted: training, and the pricing of the
# points of a grid search. Grid search and differential evolution are given more and more to do.
pricer.fit(y)
optimiser = LeastSquaresCalibrator(pricer).fit(X)
hybrid = HybridCalibrator(FrozenEstimator(network), optimiser).fit(X, y)
classical = LBFGSCalibrator(pricer).fit(X)
bounds = [parameter.market_range for parameter in get_model(model).parameters]


def grid_search(n):
    """Nearest of n**3 surfaces."""
    points = np.stack(np.meshgrid(*(np.linspace(*ends, n) for ends in bounds)), -1).reshape(-1, 3)
    points = points[pricer.admissible(points)]
    surfaces = pricer.transform(points)
    return lambda rows: points[[np.argmin(np.sum((surfaces - row) ** 2, axis=1)) for row in rows]]


def evolution(n):
    """SciPy's differential evolution, n generations, each of them priced at once."""

    def fittest(row):
        def cost(params):
            return np.sum((pricer.transform(params.T) - row) ** 2, axis=1)

        options = {"vectorized": True, "updating": "deferred", "polish": False, "tol": 0}
        return differential_evolution(cost, bounds, maxiter=n, rng=0, **options).x

    return lambda rows: np.array([fittest(row) for row in rows])


def error_and_time(predict, n):
    """Error of the parameters (% of range) and milliseconds for a surface, n at a time."""
    rows, truth = (X_test[:10], y_test[:10]) if n == 1 else (X_test, y_test)
    predict(rows[:n])
    taken, found = seconds(
        lambda: np.concatenate([predict(rows[i : i + n]) for i in range(0, len(rows), n)])
    )
    error = 100 * parameter_mae(truth, found, model=model)
    return 1e3 * taken / len(rows), error


ways = {
    "grid search": ([grid_search(n) for n in (5, 10, 20)], False),
    "differential evolution": ([evolution(n) for n in (5, 15, 30)], False),
    "L-BFGS": ([classical.predict], False),
    "network": ([network.predict], True),
    "least squares": ([optimiser.predict], True),
    "hybrid": ([hybrid.predict], True),
}
figure, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
for j, (name, (series, batched)) in enumerate(ways.items()):
    for n, marker in (1, "o"), (len(X_test), "v"):
        if n == 1 or batched:
            times, errors = zip(*(error_and_time(predict, n) for predict in series), strict=True)
            ax.loglog(times, errors, marker + "-", color=f"C{j}", label=name * (n == 1))
            print(f"{name:24s}{n:4d} at once: {times[-1]:8.3f} ms, {errors[-1]:.0e} %")
ax.plot([], [], "kv", label="in a batch")
ax.set(xlabel="milliseconds for a surface", ylabel="error of the parameters (% of their range)")
ax.set_title("Variance Gamma, 45 exact prices")
ax.grid(alpha=0.3)
figure.legend(loc="outside right")
plt.show()

# %%
# On exact prices least squares leaves nothing to be desired but speed. The network is about a
# hundred times as fast in a batch, and right to a fraction of a per cent; a few steps of least
# squares make it right to the last digit, but from there they save little, because Variance Gamma
# has one valley, and least squares finds its way down from anywhere. Grid search needs eight times
# the points to halve its error at best; differential evolution takes many times as long as least
# squares for two or three digits.
#
# Quotes with errors
# ------------------
#
# Errors change that. Here are ten quotes, each wrong by some per cent. Least squares minimises
# relative errors, as it should, within the market ranges. A network is trained for each
# level with `augment`, which disturbs the surfaces anew in every epoch; it sees logarithms of
# prices, because the errors of these are all of one size.
few = OptionGrid([90, 95, 100, 105, 110], [0.25, 1.0], spot=100.0, rate=0.05)
X, y = make_surfaces(model, few, 6000, random_state=0)
X_test, y_test = make_surfaces(model, few, 200, random_state=1)
names = [parameter.name for parameter in get_model(model).parameters]
ranges = dict(zip(names, bounds, strict=True))
log, exp = FunctionTransformer(np.log), FunctionTransformer(np.exp)
levels = np.array([0.003, 0.01, 0.03, 0.1])
found = {"least squares": [], "network": []}
for level in levels:
    noisy = GaussianNoise(level, random_state=0).fit_transform(X_test)
    optimiser = LeastSquaresCalibrator(
        ContourPricer(model, few), "relative_to_model", bounds=ranges
    )
    augment = make_pipeline(exp, GaussianNoise(level), log)
    network = MLPCalibrator((64, 64), augment=augment, max_epochs=20, random_state=0)
    for name, calibrator in zip(found, [optimiser, make_pipeline(log, network)], strict=True):
        found[name].append(calibrator.fit(X, y).predict(noisy))

colours = {"least squares": "C4", "network": "C3"}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name, each in found.items():
    errors = [100 * parameter_mae(y_test, params, model=model) for params in each]
    left.loglog(100 * levels, errors, "o-", color=colours[name], label=name)
    print(f"{name:16s}", *(f"{error:6.1f} %" for error in errors))
    right.plot(y_test[:, 1], each[-1][:, 1], ".", color=colours[name], alpha=0.7)
guess = np.tile(y.mean(axis=0), (len(y_test), 1))
left.axhline(100 * parameter_mae(y_test, guess, model=model), color="0.3", linestyle=":")
left.text(0.3, 26, "always the same guess", color="0.3")
left.set(xlabel="error of a quote (%)", ylabel="error of the parameters (% of their range)")
left.set(ylim=(0.5, 40), title="Mean of sigma, nu and theta")
left.set_xticks(100 * levels, [f"{100 * level:g}" for level in levels])
left.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
left.minorticks_off()
right.plot(ranges["nu"], ranges["nu"], color="0.3", linewidth=1)
right.set(xlabel="true nu", ylabel="nu found", title="Quotes with errors of 10 %")
for ax in (left, right):
    ax.grid(alpha=0.3)
left.legend(loc="lower right")
plt.show()

# %%
# While errors are small, least squares wins: the network still has errors of its own, which more
# surfaces and longer training would make smaller. As soon as the quotes leave room for doubt, the
# network does. There is no magic in this. Asked about an ambiguous surface it answers with the mean
# of the parameters that such surfaces come from, so its answers lean to the middle of the market
# range, as the picture on the right shows. That is a prior, and as good as the ranges
# that it was trained on. Least squares has none, and ends at the ends of the ranges.
#
# A start for least squares
# -------------------------
#
# A network can also tell least squares where to begin. Does that pay? Here are four models, exact
# prices and prices with errors of 1 %, and a small network for each. Least squares finds its
# own starts among a few hundred Sobol points, which are priced once. Hatched is what comes of
# the first start alone, without any other. A valley is missed if another of the four ways
# found a sum of squares that is lower by 0.1 %, and the surface is not reproduced.
box = {
    "v10": (0.025, 0.08), "kappa1": (1.5, 4.5), "theta1": (0.025, 0.065),
    "sigma1": (0.2, 0.5), "rho1": (-0.85, -0.4),
    "v20": (0.02, 0.07), "kappa2": (0.3, 1.2), "theta2": (0.025, 0.07),
    "sigma2": (0.1, 0.35), "rho2": (-0.7, -0.2),
    "lam": (0.05, 0.25), "muj": (-0.08, -0.01), "sigmaj": (0.03, 0.12),
}  # fmt: skip
fifteen = OptionGrid([90, 95, 100, 105, 110], [0.25, 0.5, 1.0], spot=100.0, rate=0.03)
models = {
    "variance_gamma": (grid, None, "price"),
    "heston": (grid, None, "price"),
    "bates": (grid, None, "price"),
    "double_heston_jump": (fifteen, box, "relative_price"),
}
ways = ["least squares", "hybrid", "least squares, first start", "hybrid, first start"]


def starts(model, level, n):
    """Evaluations, milliseconds and valleys missed (%) of the four ways, on n surfaces."""
    grid, ranges, loss = models[model]
    noise = GaussianNoise(level)
    X, y = make_surfaces(model, grid, 3000 + n, ranges=ranges, noise=noise, random_state=0)
    network = MLPCalibrator(max_epochs=10, random_state=0).fit(X[n:], y[n:])
    fits = []
    for n_starts in (None, 1):
        refiner = LeastSquaresCalibrator(
            ContourPricer(model, grid), loss, bounds=ranges, n_starts=n_starts
        )
        for calibrator in refiner, HybridCalibrator(FrozenEstimator(network), refiner):
            calibrator.fit(X, y)
            fits.append(seconds(lambda chosen=calibrator: chosen.calibrate(X[:n])))
    least = np.min([fit.loss for _, fit in fits], axis=0)
    missed = [(fit.rmse > 1e-5) & (fit.loss > 1.001 * least) for _, fit in fits]
    return [
        (fit.n_evaluations.mean(), 1e3 * taken / n, 100 * lost.mean())
        for (taken, fit), lost in zip(fits, missed, strict=True)
    ]


figure, axes = plt.subplots(2, 3, figsize=(10, 5.6), sharex=True, layout="constrained")
for row, level, n in zip(axes, [0.0, 0.01], [50, 16], strict=True):
    figures = np.array([starts(name, level, n) for name in models])
    for k, ax in enumerate(row):
        for j, way in enumerate(ways):
            alone = {"alpha": 0.5, "hatch": "////"} if "first" in way else {}
            colour, places = ("C5" if "hybrid" in way else "C4"), np.arange(4) + 0.2 * (j - 1.5)
            ax.bar(places, figures[:, j, k], 0.2, label=way, color=colour, **alone)
        ax.grid(axis="y", alpha=0.3)
        ax.set(yscale="linear" if k == 2 else "log")
    for ax, limits in zip(row, [(1, 3000), (0.3, 1000), (0, 60)], strict=True):
        ax.set_ylim(limits)
    row[0].set_ylabel(f"{n} surfaces, " + (f"errors of {level:.0%}" if level else "exact"))
    print(f"errors of {level:.0%}: evaluations, ms, missed")
    for name, each in zip(models, figures, strict=True):
        print(f"{name:20s}", *(f"{e:7.1f} {t:6.1f} {m:3.0f} %" for e, t, m in each))
titles = ["evaluations for a surface", "milliseconds for a surface", "valleys missed (%)"]
labels = ["Variance\nGamma", "Heston", "Bates", "Double Heston\nwith jumps"]
for title, ax, below in zip(titles, *axes, strict=True):
    ax.set_title(title)
    below.set_xticks(range(4), labels, fontsize="small")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
plt.show()

# %%
# For Variance Gamma, and for Heston's model as long as prices are exact, there is nothing to gain:
# with a few hundred Sobol points to choose from, least squares starts as well as the network does.
# Elsewhere the network saves about half of the evaluations, and somewhat less of the time. From
# exact prices its first start misses fewer valleys, and a search from others finds all of
# them either way. With errors of 1 % the first start alone is not to be trusted in the larger
# models, whoever chose it: in Double Heston with jumps it misses four valleys in ten. The hybrid
# searches from fewer others than least squares does, and once in a while pays for it. Bars of
# sixteen surfaces say no more than that; the table of :doc:`/user_guide/hybrid` has two hundred.
