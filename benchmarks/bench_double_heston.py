"""Double Heston with jumps, 13 parameters from 15 quotes: networks, optimisers, and both.

    python benchmarks/bench_double_heston.py [--train 100000] [--tune 500] [--n 100] [--epochs 40]

Calls at 90 to 110 % of spot, a quarter, a half and one year from expiry, rate 3 %, of parameters
in the box of ``bench_calibration.py``. Networks see the prices, or ten features of them. They are
trained on surfaces of known parameters, then fine-tuned on the parameters that least squares finds
for a few surfaces of the kind to be met (or on the true ones of these), and judged on others of
that kind:

clean
    Exact prices, in training and after.
noisy
    Every quote has a relative error of 2 %, in training and after.
surprised
    The same noisy quotes, but exact prices in training.
moved
    Exact prices. Variances are from ranges as wide as those in training, half of them above.

The first table is of prices: how far those of the parameters found are from the exact ones and
from the quotes, in per cent, as a mean over the surface. It has the mean, the median and the 95 %
quantile over the surfaces, and the share of them that are within 0.05 % of the quotes. Times are of
one processor core, all surfaces in one batch; an evaluation prices a surface with its Jacobian.
The second table is of parameters: mean absolute errors in per cent of the range, of the two factors
in order of ``kappa``.

The optimisers minimise relative errors within the box, and what networks predict is moved into it;
L-BFGS has three starts, of 300 evaluations each. The hybrid starts from the fine-tuned network that
sees prices. The constant guess is the mean of the training.
"""

import argparse
import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from _common import seconds
from bench_calibration import DOUBLE_HESTON_BOX, DOUBLE_HESTON_GRID
from sklearn.dummy import DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from levylearn.calibration import (
    HybridCalibrator,
    LBFGSCalibrator,
    LeastSquaresCalibrator,
    MLPCalibrator,
)
from levylearn.datasets import make_surfaces
from levylearn.exceptions import ExtrapolationWarning
from levylearn.metrics import average_relative_percentage_error, parameter_mae
from levylearn.preprocessing import GaussianNoise, SurfaceFeatures
from levylearn.pricing import ContourPricer

MODEL, GRID, BOX = "double_heston_jump", DOUBLE_HESTON_GRID, DOUBLE_HESTON_BOX
PRICER = ContourPricer(MODEL, GRID)
INPUTS = {"features": SurfaceFeatures(GRID, kind="price"), "prices": FunctionTransformer()}
WIDTHS = (256, 256, 256)
TUNING_RATE, TUNING_EPOCHS = 2e-4, 30
GOOD = 5e-4


class Market(NamedTuple):
    """Where surfaces come from: a box of parameters, and the relative error of a quote."""

    box: Mapping[str, tuple[float, float]]
    noise: float


class Sample(NamedTuple):
    """Quotes, the prices that they are without errors, and the parameters."""

    quotes: np.ndarray
    exact: np.ndarray
    params: np.ndarray


class Answer(NamedTuple):
    """Parameters found, milliseconds for a surface, and evaluations, if there are any."""

    params: np.ndarray
    ms: float
    n_evaluations: str = ""


def half_above(low: float, high: float) -> tuple[float, float]:
    """A range as wide, of which the upper half is new."""
    return (low + high) / 2, high + (high - low) / 2


CLEAN, NOISY = Market(BOX, 0.0), Market(BOX, 0.02)
MOVED = Market(
    BOX | {name: half_above(*BOX[name]) for name in ("v10", "theta1", "v20", "theta2")}, 0.0
)
# The market that a network is trained in, and the one that it meets.
CASES = {
    "clean": (CLEAN, CLEAN),
    "noisy": (NOISY, NOISY),
    "surprised": (CLEAN, NOISY),
    "moved": (CLEAN, MOVED),
}


def drawn(market: Market, n: int, seed: int) -> Sample:
    """Draw surfaces of a market."""
    exact, params = make_surfaces(MODEL, GRID, n, ranges=market.box, random_state=seed)
    quotes = GaussianNoise(market.noise, random_state=seed).fit_transform(exact)
    return Sample(quotes, exact, params)


# -- networks ----------------------------------------------------------------------


def trained(market: Market, n: int, epochs: int) -> dict[str, Any]:
    """Train a network on each kind of input, and the constant guess."""
    sample = drawn(market, n, seed=1)
    known: dict[str, Any] = {"constant": DummyRegressor().fit(sample.quotes, sample.params)}
    for name, inputs in INPUTS.items():
        network = make_pipeline(inputs, MLPCalibrator(WIDTHS, max_epochs=epochs, random_state=0))
        taken = seconds(lambda net=network: net.fit(sample.quotes, sample.params), rounds=1)
        known[name] = network
        print(
            f"  ({name}, noise {market.noise:.0%}: trained in {taken / 60:.1f} minutes)", flush=True
        )
    return known


def tuned(network: Pipeline, quotes: np.ndarray, params: np.ndarray) -> Pipeline:
    """Train a copy of a network on, on few surfaces."""
    network = copy.deepcopy(network)
    network[-1].set_params(learning_rate=TUNING_RATE, max_epochs=TUNING_EPOCHS)
    network[-1].partial_fit(network[:-1].transform(quotes), params)
    return network


# -- one case ----------------------------------------------------------------------


def calibrators(known: dict[str, Any], market: Market, n_tune: int) -> dict[str, Any]:
    """All ways of calibrating surfaces of a market, by name; optimisers have yet to be fitted."""
    bounded = {"loss": "relative_price", "bounds": market.box}
    optimiser = LeastSquaresCalibrator(PRICER, **bounded)
    sample = drawn(market, n_tune, seed=2)
    optimum = optimiser.fit(sample.quotes).predict(sample.quotes)
    ways = dict(known)
    for name in INPUTS:
        ways[f"{name}, tuned"] = tuned(known[name], sample.quotes, optimum)
        ways[f"{name}, tuned on the truth"] = tuned(known[name], sample.quotes, sample.params)
    hybrid = HybridCalibrator(FrozenEstimator(ways["prices, tuned"]), optimiser)
    classical = LBFGSCalibrator(PRICER, **bounded, n_starts=3, max_evaluations=300)
    return ways | {"hybrid": hybrid, "least squares": optimiser, "L-BFGS": classical}


def answer(calibrator: Any, market: Market, sample: Sample) -> Answer:
    """Calibrate the quotes."""
    results: list[Any] = []

    def timed(run: Callable[[np.ndarray], Any]) -> float:
        return 1e3 * seconds(lambda: results.append(run(sample.quotes)), rounds=1) / len(sample[0])

    if hasattr(calibrator, "calibrate"):
        ms = timed(calibrator.fit(sample.quotes, sample.params).calibrate)
        return Answer(results[0].parameters, ms, f"{np.mean(results[0].n_evaluations):.1f}")
    ms = timed(calibrator.predict)
    low, high = np.array(list(market.box.values())).T
    return Answer(np.clip(results[0], low, high), ms)


def spread(errors: np.ndarray) -> str:
    """Mean, median and 95 % quantile of errors, in per cent."""
    return "".join(
        f"{100 * value:10.2g}"
        for value in (np.mean(errors), np.median(errors), np.quantile(errors, 0.95))
    )


def report(case: str, known: dict[str, Any], n: int, n_tune: int) -> None:
    """Print the tables of one case."""
    market = CASES[case][1]
    sample = drawn(market, n, seed=3)
    ways = calibrators(known, market, n_tune)
    answers = {name: answer(way, market, sample) for name, way in ways.items()}
    pricer = PRICER.fit(sample.params)
    print(
        f"\n{case:28s}{'exact prices: mean, median, 95 %':>34s}{'quotes: mean, median, 95 %':>30s}"
        f"{'<= 0.05 %':>11s}{'ms each':>10s}{'evaluations':>13s}"
    )
    for name, (params, ms, n_evaluations) in answers.items():
        prices = pricer.transform(params)
        exact, quotes = (
            np.asarray(average_relative_percentage_error(truth, prices))
            for truth in (sample.exact, sample.quotes)
        )
        print(
            f"{name:32s}{spread(exact)}{spread(quotes)}{np.mean(quotes <= GOOD):11.0%}"
            f"{ms:10.2f}{n_evaluations:>13s}"
        )
    names = list(market.box)
    print(f"{'':28s}{'mean':>8s}" + "".join(f"{name:>8s}" for name in names))
    options = {"model": MODEL, "ranges": list(market.box.values()), "order_by": "kappa"}
    for name, (params, *_) in answers.items():
        errors = 100 * parameter_mae(sample.params, params, multioutput="raw_values", **options)
        each = "".join(f"{error:8.1f}" for error in errors)
        print(f"{name:28s}{np.mean(errors):8.2f}{each}", flush=True)


def main() -> None:
    """Print the tables of the cases that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=100_000, help="surfaces to train on")
    parser.add_argument("--tune", type=int, default=500, help="surfaces to fine-tune on")
    parser.add_argument("--n", type=int, default=100, help="surfaces to be judged by")
    parser.add_argument("--epochs", type=int, default=40, help="of training")
    parser.add_argument("--case", choices=list(CASES), action="append")
    arguments = parser.parse_args()
    # Surfaces of another kind than those of the training are part of the question.
    warnings.simplefilter("ignore", ExtrapolationWarning)
    known: dict[float, dict[str, Any]] = {}
    for case in arguments.case or CASES:
        market = CASES[case][0]
        if market.noise not in known:
            known[market.noise] = trained(market, arguments.train, arguments.epochs)
        report(case, known[market.noise], arguments.n, arguments.tune)


if __name__ == "__main__":
    main()
