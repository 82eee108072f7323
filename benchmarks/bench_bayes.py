"""Posteriors: how long they take, and whether they are what they say.

    python benchmarks/bench_bayes.py speed [--model NAME]
    python benchmarks/bench_bayes.py coverage [--n 200] [--method NAME]

Speed is that of one surface of 20 strikes by 10 maturities with errors of 1 %, until R-hat is below
1.01 and the bulk effective sample size above 1000 for every parameter; wall and processor time,
without imports. What the flow learns beforehand, once for all surfaces, is timed apart. Coverage
draws parameters of Variance Gamma from their priors, prices 15 options with errors of 1 %, and
counts how often intervals of 95 % contain the parameters, and how evenly these rank among the
draws, of which 400 effective ones are enough for that.
"""

import argparse
import time
import warnings
from collections.abc import Iterable
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from levylearn.calibration import (
    AmortizedPosteriorCalibrator,
    EmceeCalibrator,
    LaplaceCalibrator,
    NUTSCalibrator,
    VariationalCalibrator,
)
from levylearn.inspection import posterior_diagnostics, rank_test, simulation_based_ranks
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer

METHODS = {
    "laplace": LaplaceCalibrator,
    "variational": VariationalCalibrator,
    "emcee": EmceeCalibrator,
    "nuts": NUTSCalibrator,
    "flow": AmortizedPosteriorCalibrator,
    "flow_alone": partial(AmortizedPosteriorCalibrator, refine=None),
}
TRUTH = {
    "variance_gamma": [0.2, 0.4, -0.2],
    "cgmy": [0.1, 4.0, 5.0, 1.0],
    "heston": [0.04, 2.0, 0.05, 0.4, -0.6],
}
NOISE = 0.01
# For the rank of one truth among draws.
ENOUGH = {"min_ess": 400, "max_rhat": 1.05, "max_draws": 500}
SURFACE = OptionGrid(np.linspace(80, 120, 20), np.linspace(0.1, 2, 10), rate=0.05)
SMALL = OptionGrid([85, 95, 100, 105, 115], [0.25, 0.5, 1.0], rate=0.05)


def speed(model: str, names: Iterable[str]) -> None:
    """Print one line for each method."""
    params = np.array([TRUTH[model]])
    pricer = ContourPricer(model, SURFACE).fit(params)
    X = pricer.transform(params)
    X = X * (1 + NOISE * np.random.default_rng(1).standard_normal(X.shape))
    for name in names:
        calibrator = METHODS[name](pricer, NOISE)
        begun = time.perf_counter()
        calibrator.fit(X, params)
        learning = time.perf_counter() - begun
        wall, processor = time.perf_counter(), time.process_time()
        posterior = calibrator.sample_posterior(X)[0]
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        table = posterior_diagnostics(posterior)
        print(
            f"{model:15s}{name:12s}{wall:7.2f} s wall{processor:7.2f} s processor, "
            f"bulk ESS from {table.ess_bulk.min():.0f}, R-hat up to {table.r_hat.max():.4f}"
            + (f", {learning:.0f} s of learning before" if learning > 1 else ""),
            flush=True,
        )


def coverage(name: str, n: int, seed: int) -> None:
    """Print the table of one method."""
    calibrator = METHODS[name](ContourPricer("variance_gamma", SMALL), NOISE)
    if name in ("emcee", "nuts"):
        calibrator.set_params(**ENOUGH)
    params = np.array([TRUTH["variance_gamma"]])
    X = ContourPricer("variance_gamma", SMALL).fit(params).transform(params)
    calibrator.fit(X, params)
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        ranks = simulation_based_ranks(calibrator, n, random_state=seed)
    print(f"{name}: {time.process_time() - start:.0f} s processor time")
    print(*(warning.message for warning in caught), sep="\n")
    print(rank_test(ranks).round(4).to_string(), flush=True)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "coverage"])
    parser.add_argument("--n", type=int, default=200, help="surfaces for coverage")
    parser.add_argument("--seed", type=int, default=0, help="of the surfaces for coverage")
    parser.add_argument("--model", choices=TRUTH, action="append")
    parser.add_argument("--method", choices=METHODS, action="append")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        import arviz  # noqa: F401
        import emcee  # noqa: F401

        for model in arguments.model or TRUTH:
            speed(model, arguments.method or METHODS)
    else:
        for method in arguments.method or METHODS:
            coverage(method, arguments.n, arguments.seed)


if __name__ == "__main__":
    main()
