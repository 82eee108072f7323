"""How many clean surfaces a calibration finds again, for every model, from default settings.

    python benchmarks/bench_recovery.py [--n 1000] [--model NAME]

Parameters fill the market range of the model, surfaces have 20 strikes by 10 maturities. A
surface is found again if the fit comes within 1e-7 of spot in root mean square. Times are of one
processor core, all surfaces in one batch; an evaluation prices a surface with its Jacobian.
"""

import argparse
from typing import NamedTuple

import numpy as np
from _common import SPOT, large_grid, seconds, sobol_parameters

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.models import list_models
from levylearn.pricing import ContourPricer

TOLERANCE = 1e-7


class Recovery(NamedTuple):
    """Of each surface: distance of the fit over spot, evaluations; and seconds of them all."""

    rmse: np.ndarray
    n_evaluations: np.ndarray
    seconds: float


def recover(model: str, n: int) -> Recovery:
    """Calibrate Sobol surfaces of the model."""
    params = sobol_parameters(model, n)
    pricer = ContourPricer(model, large_grid())
    surfaces = pricer.fit_transform(params)
    calibrator = LeastSquaresCalibrator(pricer).fit(surfaces)
    results = []
    taken = seconds(lambda: results.append(calibrator.calibrate(surfaces)), rounds=1)
    rmse = np.nan_to_num(results[0].rmse, nan=np.inf)
    return Recovery(rmse / SPOT, results[0].n_evaluations, taken)


def main() -> None:
    """Print one line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="surfaces of each model")
    parser.add_argument("--model", choices=list_models(), action="append")
    arguments = parser.parse_args()
    print(f"{'model':19s}{'found again':>12s}{'worst rmse':>12s}{'ms each':>9s}  evaluations")
    for model in arguments.model or list_models():
        rmse, evaluations, taken = recover(model, arguments.n)
        print(
            f"{model:19s}{np.mean(rmse < TOLERANCE):12.2%}{rmse.max():12.1e}"
            f"{taken / len(rmse) * 1e3:9.2f}  median {np.median(evaluations):.0f}, "
            f"mean {np.mean(evaluations):.1f}, most {np.max(evaluations)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
