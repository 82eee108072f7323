"""What a regressor's start is worth to least squares, model by model.

    python benchmarks/bench_hybrid.py [--n 200] [--train 20000] [--noise 0.01] [--model NAME]

Clean surfaces and noisy ones, every quote times one plus a normal error, are calibrated from the
starts that least squares finds itself, from a network's (two hidden layers of 128, whitened
surfaces, trained on as many others, with the same noise) and from the parameters of the nearest
of the network's training surfaces; "alone" means from the first start only, whatever comes of it.
Double Heston with jumps has 15 quotes in the box of ``bench_calibration.py`` and relative errors,
the others 40 quotes over their market ranges and errors of price.

A valley is missed where the cost is more than 1.001 times the least of all the ways, and the
surface is not reproduced to 1e-7 of spot in root mean square. Times are of one processor core, all
surfaces in one batch; an evaluation prices a surface with its Jacobian. Fallback: the share of
surfaces for which another start than the first led lower. Where errors are relative, percentages
are their mean absolute values for a surface: the mean over the surfaces, and the 99 % quantile.
"""

import argparse
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from _common import SPOT, seconds
from bench_calibration import DOUBLE_HESTON_BOX, DOUBLE_HESTON_GRID, GRID
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from levylearn.calibration import HybridCalibrator, LeastSquaresCalibrator
from levylearn.datasets import make_surfaces
from levylearn.pricing import ContourPricer

MODELS = ["variance_gamma", "cgmy", "heston", "bates", "double_heston_jump"]
EPOCHS = 60
REPRODUCED, SAME = 1e-7, 1.001


class Case(NamedTuple):
    """A model's surfaces, to learn from and to calibrate, and the optimiser for them."""

    refiner: LeastSquaresCalibrator
    X_train: np.ndarray
    y_train: np.ndarray
    X: np.ndarray
    y: np.ndarray


def case_of(model: str, n: int, n_train: int, noise: float) -> Case:
    """Draw surfaces; what is calibrated is none that is learned from."""
    double = model == "double_heston_jump"
    grid, box = (DOUBLE_HESTON_GRID, DOUBLE_HESTON_BOX) if double else (GRID, None)
    loss = "relative_price" if double else "price"
    refiner = LeastSquaresCalibrator(ContourPricer(model, grid), loss, bounds=box)
    parts = []
    for seed, size in ((1, n_train), (2, n)):
        X, y = make_surfaces(model, grid, n_samples=size, ranges=box, random_state=seed)
        errors = np.random.default_rng(seed).standard_normal(X.shape)
        parts += [X * (1 + noise * errors), y]
    return Case(refiner, *parts)


def trained(case: Case) -> tuple[Any, float]:
    """A network, and the seconds that it took to train."""
    layers = MLPRegressor(
        hidden_layer_sizes=(128, 128),
        activation="tanh",
        learning_rate_init=2e-3,
        batch_size=256,
        max_iter=EPOCHS,
        tol=0,
        n_iter_no_change=EPOCHS,
        random_state=0,
    )
    whitened = make_pipeline(StandardScaler(), PCA(whiten=True), layers)
    network = TransformedTargetRegressor(whitened, transformer=StandardScaler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it has no more epochs than these
        taken = seconds(lambda: network.fit(case.X_train, case.y_train), rounds=1)
    return network, taken


def ways(case: Case, network: Any) -> dict[str, Callable[[], Any]]:
    """Calibrators by name."""
    alone = clone(case.refiner).set_params(n_starts=1)
    nearest = make_pipeline(StandardScaler(), PCA(whiten=True), KNeighborsRegressor(1))
    nearest.fit(case.X_train, case.y_train)
    return {
        "least squares": case.refiner,
        "least squares, alone": alone,
        "network": HybridCalibrator(FrozenEstimator(network), case.refiner),
        "network, alone": HybridCalibrator(FrozenEstimator(network), alone),
        "nearest surface": HybridCalibrator(FrozenEstimator(nearest), case.refiner),
        "nearest surface, alone": HybridCalibrator(FrozenEstimator(nearest), alone),
    }


def calibrated(calibrator: Any, case: Case) -> tuple[Bunch, float]:
    """The fits, and the seconds of a surface."""
    calibrator.fit(case.X, case.y)
    results: list[Bunch] = []
    taken = seconds(lambda: results.append(calibrator.calibrate(case.X)), rounds=1)
    return results[0], taken / len(case.X)


def report(model: str, case: Case, kind: str) -> None:
    """Print one line for each way of calibrating the surfaces of a case."""
    network, taken = trained(case)
    print(f"{model}, {kind} (network trained in {taken:.0f} s)")
    fits = {name: calibrated(way, case) for name, way in ways(case, network).items()}
    least = np.nanmin([result.loss for result, _ in fits.values()], axis=0)
    for name, (result, each) in fits.items():
        # Of a surface without a fit both are NaN.
        reproduced = result.rmse <= REPRODUCED * SPOT
        missed = np.sum(~reproduced & ~(result.loss <= SAME * least))
        line = (
            f"  {name:24s}{np.mean(result.n_evaluations):12.1f}{each * 1e3:10.2f}{missed:8d}"
            f"{np.mean(result.fallback):10.1%}"
        )
        if case.refiner.loss == "relative_price":
            mape = 100 * np.mean(np.abs(result.surfaces / case.X - 1), axis=1)
            line += f"{np.mean(mape):12.1e}{np.quantile(mape, 0.99):10.1e}"
        print(line, flush=True)


def main() -> None:
    """Print the tables of the models that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="surfaces of each kind")
    parser.add_argument("--train", type=int, default=20_000, help="surfaces to learn from")
    parser.add_argument("--noise", type=float, default=0.01, help="relative error of a quote")
    parser.add_argument("--model", choices=MODELS, action="append")
    arguments = parser.parse_args()
    print(
        f"{'':26s}{'evaluations':>12s}{'ms each':>10s}{'missed':>8s}{'fallback':>10s}"
        f"{'mean, %':>12s}{'99 %':>10s}"
    )
    for model in arguments.model or MODELS:
        for noise in (0.0, arguments.noise):
            case = case_of(model, arguments.n, arguments.train, noise)
            report(model, case, f"{noise:.0%} noise" if noise else "clean")


if __name__ == "__main__":
    main()
