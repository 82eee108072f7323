"""Surfaces to parameters in one pass: every architecture against the least-squares optimum.

    python benchmarks/bench_amortised.py clean [--model cgmy] [--n 100000] [--only MLP ...]
    python benchmarks/bench_amortised.py noise [--model cgmy] [--n 100000] [--only MLP ...]
    python benchmarks/bench_amortised.py search [--model cgmy]

Variance Gamma (or CGMY) surfaces of 20 strikes from 80 to 120 by 10 maturities from 0.1 to 2
years, spot 100, rate 5 %: of `n`, four fifths are learned from and the rest are judged.

`clean` prints errors of the parameters (R2, mean absolute and root mean square error in per cent
of their range), of the surfaces they price, coverage of 95 % intervals, and times. `noise` does the
same under relative errors of 1, 2, 5 and 10 % and with a fifth of the quotes missing, trained
alike; least squares and the hybrid also with intervals learned from 2,000 further surfaces.
`search` sets SciPy's differential evolution and a grid search on the same plane of time and
accuracy. The ensemble and the hybrid are made of what `--only` leaves.
"""

import argparse
import pickle
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _common import seconds
from scipy.optimize import differential_evolution
from scipy.stats import qmc
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from levylearn.calibration import (
    CNNCalibrator,
    ConformalCalibrator,
    EnsembleCalibrator,
    GradientBoostingCalibrator,
    HybridCalibrator,
    LeastSquaresCalibrator,
    MLPCalibrator,
    ResNetCalibrator,
    TransformerCalibrator,
)
from levylearn.exceptions import ExtrapolationWarning
from levylearn.market import OptionGrid
from levylearn.metrics import (
    parameter_mae,
    parameter_r2,
    parameter_rmse,
    repricing_mape,
    repricing_rmse,
)
from levylearn.preprocessing import GaussianNoise, MissingQuotes
from levylearn.pricing import ContourPricer

GRID = OptionGrid(np.linspace(80, 120, 20), np.linspace(0.1, 2.0, 10), spot=100.0, rate=0.05)
RANGES = {
    "variance_gamma": {"sigma": (0.1, 0.6), "nu": (0.1, 1.0), "theta": (-0.5, 0.0)},
    "cgmy": {"C": (0.01, 0.5), "G": (1.0, 10.0), "M": (1.0, 10.0), "Y": (0.1, 1.8)},
}
LEVELS = (0.01, 0.02, 0.05, 0.1)
MISSING = 0.2
# Surfaces that the slower methods are judged by, and that are priced again.
FEW = 1000
LEARNING = {
    "MLP": MLPCalibrator(random_state=0),
    "ResNet": ResNetCalibrator(random_state=0),
    "CNN": CNNCalibrator(surface_shape=GRID.shape, random_state=0),
    "Transformer": TransformerCalibrator(GRID, max_epochs=10, random_state=0),
    "boosting": GradientBoostingCalibrator(random_state=0),
}


class Data(NamedTuple):
    """Surfaces and parameters, to learn from and to judge by."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    pricer: ContourPricer


def surfaces(model: str, n: int) -> Data:
    """Sobol points of the ranges, priced; a random fifth of them to judge by."""
    low, high = np.array(list(RANGES[model].values())).T
    points = qmc.Sobol(len(low), seed=0).random_base2(int(np.ceil(np.log2(n))))[:n]
    y = low + (high - low) * points
    # One end of a range may be the end of the model's domain.
    pricer = ContourPricer(model, GRID, n_jobs=2)
    y = y[pricer.fit(y[:1]).admissible(y)]
    X = pricer.fit_transform(y)
    order = np.random.default_rng(0).permutation(len(y))
    train, test = order[: len(y) * 4 // 5], order[len(y) * 4 // 5 :]
    return Data(X[train], y[train], X[test], y[test], ContourPricer(model, GRID).fit(y[:1]))


def least_squares(data: Data, loss: str = "price") -> LeastSquaresCalibrator:
    """Return the optimiser, kept to the ranges that networks know by their examples."""
    bounds = {
        p.name: (max(low, np.nextafter(p.domain[0], np.inf)), high)
        for p, (low, high) in zip(
            data.pricer.parameters_, RANGES[data.pricer.model].values(), strict=True
        )
    }
    return LeastSquaresCalibrator(clone(data.pricer), loss, bounds=bounds)


def amortised(only: list[str] | None) -> dict[str, Any]:
    """Return the calibrators that learn, by name: those that are wanted."""
    return {name: clone(LEARNING[name]) for name in only or LEARNING}


def judge(name: str, calibrator: Any, data: Data, few: bool = False, rounds: int = 3) -> None:
    """Print one line: errors, coverage, times, size."""
    X, y = (data.X_test[:FEW], data.y_test[:FEW]) if few else (data.X_test, data.y_test)
    ranges = list(RANGES[data.pricer.model].values())
    predicted = calibrator.predict(X)
    r2 = parameter_r2(y, predicted, multioutput="raw_values")
    mae = parameter_mae(y, predicted, ranges=ranges, multioutput="raw_values")
    rmse_each = parameter_rmse(y, predicted, ranges=ranges, multioutput="raw_values")
    some = y[:FEW], predicted[:FEW]
    rmse = repricing_rmse(*some, pricer=data.pricer, nan_policy="omit")
    mape = repricing_mape(*some, pricer=data.pricer, nan_policy="omit")
    intervals = calibrator.predict_interval(X)
    covered = (intervals[..., 0] <= y) & (y <= intervals[..., 1])
    alone = seconds(lambda: [calibrator.predict(row[None]) for row in X[:10]], rounds) / 10
    batch = seconds(lambda: calibrator.predict(X[:FEW]), rounds) / FEW
    print(
        f"{name:14s}"
        + " ".join(f"{value:8.5f}" for value in r2)
        + "  "
        + " ".join(f"{100 * value:7.4f}" for value in (*mae, *rmse_each))
        + f"{rmse:10.2e}{100 * mape:10.4f}"
        + f"{100 * covered.mean():7.1f}{1e3 * alone:9.2f}{1e6 * batch:10.1f}"
        + f"{len(pickle.dumps(calibrator)) / 1e3:9.0f}",
        flush=True,
    )


def heading(data: Data) -> None:
    """Print what the columns are."""
    names = list(RANGES[data.pricer.model])
    print(
        f"{'':14s}{'R2 of ' + ', '.join(names):{9 * len(names)}s} "
        f"{'MAE, % of range':{8 * len(names)}s}{'RMSE, % of range':{8 * len(names)}s}"
        f"{'RMSE':>9s}{'MAPE %':>10s}{'cover':>7s}"
        f"{'one, ms':>9s}{'batch, us':>10s}{'kB':>9s}"
    )


def trained(name: str, calibrator: Any, data: Data) -> Any:
    """Train, and print how long it took."""
    start = time.perf_counter()
    calibrator.fit(data.X, data.y)
    print(f"  ({name}: trained in {(time.perf_counter() - start) / 60:.1f} minutes)", flush=True)
    return calibrator


def clean(data: Data, only: list[str] | None) -> None:
    """Every architecture on surfaces without errors."""
    heading(data)
    known = {}
    for name, calibrator in amortised(only).items():
        known[name] = trained(name, calibrator, data)
        judge(name, calibrator, data)
    together(known, data, lambda calibrator: calibrator)
    optimum = least_squares(data).fit(data.X_test)
    judge("least squares", optimum, data, few=True, rounds=1)
    first = FrozenEstimator(next(iter(known.values())))
    hybrid = HybridCalibrator(first, least_squares(data))
    judge("hybrid", hybrid.fit(data.X_test, data.y_test), data, few=True, rounds=1)


def together(
    known: dict[str, Any], data: Data, wrapped: Callable[[Any], Any], few: bool = False
) -> None:
    """Judge the ensemble of the networks that see all quotes at once, if there are several."""
    members = [(k, FrozenEstimator(v)) for k, v in known.items() if k in ("MLP", "ResNet", "CNN")]
    if len(members) > 1:
        ensemble = wrapped(EnsembleCalibrator(members, method="weighted", random_state=0))
        judge("ensemble", ensemble.fit(data.X, data.y), data, few)


def under_noise(data: Data, only: list[str] | None) -> None:
    """Calibrators trained alike, and least squares, on surfaces with errors or holes."""
    noises = {f"noise {level:.0%}": GaussianNoise(level) for level in LEVELS}
    for what, noise in (noises | {f"{MISSING:.0%} missing": MissingQuotes(MISSING)}).items():
        print(f"-- {what}")
        heading(data)
        met = clone(noise).set_params(random_state=1).fit_transform(data.X_test)
        seen = clone(noise).set_params(random_state=2).fit_transform(data.X)
        noisy = data._replace(X=seen, X_test=met)
        # The logarithm of a price has errors of one size; it takes a network two steps more.
        log, exp = FunctionTransformer(np.log), FunctionTransformer(np.exp)
        known = {}
        for name, calibrator in amortised(only).items():
            anew = "augment" in calibrator.get_params()
            if anew:  # disturbed in every epoch, not once for all
                augment = make_pipeline(exp, clone(noise), log)
                calibrator.set_params(loss="absolute_error", augment=augment)
            known[name] = calibrator
            on_logarithms = trained(name, OnLogarithms(calibrator), data if anew else noisy)
            judge(name, on_logarithms, noisy, few=True)
        together(known, noisy, OnLogarithms, few=True)
        optimum = least_squares(data, "relative_to_model")
        judge("least squares", optimum.fit(met), noisy, few=True, rounds=1)
        appraised("- conformal", optimum, noisy)
        first = make_pipeline(log, FrozenEstimator(next(iter(known.values()))))
        hybrid = HybridCalibrator(first, optimum).fit(met, data.y_test)
        judge("hybrid", hybrid, noisy, few=True, rounds=1)
        appraised("- conformal", hybrid, noisy)


def appraised(name: str, calibrator: Any, data: Data) -> None:
    """Judge it with intervals learned from other surfaces than those it is judged by."""
    others = slice(FEW, 3 * FEW)
    conformal = ConformalCalibrator(FrozenEstimator(calibrator), random_state=0)
    conformal.fit(data.X_test[others], data.y_test[others])
    judge(name, conformal, data, few=True, rounds=1)


class OnLogarithms:
    """A calibrator that gets logarithms; a pipeline would not have its intervals."""

    def __init__(self, calibrator: Any) -> None:
        self.calibrator = calibrator

    def fit(self, X: np.ndarray, y: np.ndarray) -> "OnLogarithms":
        """Learn from the logarithms."""
        self.calibrator.fit(np.log(X), y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict from them."""
        return self.calibrator.predict(np.log(X))

    def predict_interval(self, X: np.ndarray) -> np.ndarray:
        """Intervals from them."""
        return self.calibrator.predict_interval(np.log(X))


def search(data: Data, only: list[str] | None) -> None:
    """Classical global search, one surface at a time, and the calibrators beside it."""
    low, high = np.array(list(RANGES[data.pricer.model].values())).T
    ranges = list(RANGES[data.pricer.model].values())
    some = slice(0, 20)
    X, y = data.X_test[some], data.y_test[some]
    name, network = next(iter(amortised(only).items()))
    network.fit(data.X, data.y)
    hybrid = HybridCalibrator(FrozenEstimator(network), least_squares(data)).fit(X, y)

    def line(name: str, answer: Callable[[np.ndarray], np.ndarray]) -> None:
        start = time.perf_counter()
        found = np.concatenate([answer(row[None]) for row in X])
        taken = (time.perf_counter() - start) / len(X)
        error = parameter_mae(y, found, ranges=ranges)
        rmse = repricing_rmse(y, found, pricer=data.pricer)
        print(f"{name:24s}{1e3 * taken:12.2f}{100 * error:12.2e}{rmse:12.2e}", flush=True)

    def evolve(row: np.ndarray) -> np.ndarray:
        def cost(params: np.ndarray) -> np.ndarray:
            params = np.atleast_2d(params.T)
            return ((data.pricer.evaluate(params)[0] - row) ** 2).sum(axis=1)

        bounds = np.column_stack([np.maximum(low, low + 1e-9), high])
        return differential_evolution(
            cost, bounds, rng=0, vectorized=True, updating="deferred", polish=False
        ).x[None]

    def on_grid(n: int) -> Callable[[np.ndarray], np.ndarray]:
        axes = [np.linspace(lo, hi, n + 2)[1:-1] for lo, hi in zip(low, high, strict=True)]
        points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(low))

        def nearest(row: np.ndarray) -> np.ndarray:
            cost = ((data.pricer.evaluate(points)[0] - row) ** 2).sum(axis=1)
            return points[[np.argmin(cost)]]

        return nearest

    print(f"{'':24s}{'one, ms':>12s}{'MAE, %':>12s}{'RMSE':>12s}")
    line("grid search, 10 a side", on_grid(10))
    line("differential evolution", evolve)
    line(name, network.predict)
    line("hybrid", hybrid.predict)
    line("least squares", least_squares(data).fit(X).predict)


def main() -> None:
    """Run one of the three."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["clean", "noise", "search"])
    parser.add_argument("--model", choices=list(RANGES), default="variance_gamma")
    parser.add_argument("--n", type=int, default=100_000, help="surfaces in all")
    parser.add_argument("--only", nargs="+", choices=list(LEARNING), help="what learns")
    arguments = parser.parse_args()
    if arguments.what == "noise" and arguments.n < 15 * FEW:
        parser.error(f"--n must be at least {15 * FEW} for noise; got {arguments.n}")
    # With so many surfaces a few are always a little outside of what was learned from.
    warnings.simplefilter("ignore", ExtrapolationWarning)
    data = surfaces(arguments.model, arguments.n)
    run = {"clean": clean, "noise": under_noise, "search": search}[arguments.what]
    run(data, arguments.only)


if __name__ == "__main__":
    main()
