"""Calibration of real quotes against the best-known optima.

Run as a script with the folder that holds the quotes and ``calibration_optima.csv``::

    python benchmarks/bench_optima.py ../shared/reference

Every set is calibrated with every model from default settings: no start is given by hand.
The table shows the root mean squared error reached, that of the best-known optimum in the same
box, their ratio and the seconds taken, setting up included.
"""

import argparse
import csv
import json
import time
import warnings
from pathlib import Path

import numpy as np

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.exceptions import QuoteWarning
from levylearn.market import OptionGrid, QuoteChain
from levylearn.models import get_model
from levylearn.pricing import ContourPricer

MODELS = {
    "BlackScholes": "black_scholes",
    "VG": "variance_gamma",
    "CGMY": "cgmy",
    "NIG": "nig",
    "Merton": "merton",
    "Kou": "kou",
    "Heston": "heston",
    "Bates": "bates",
    "DoubleHeston": "double_heston",
    "DoubleHestonJump": "double_heston_jump",
}
_IN_WEEKS = "QuantLib week-rounded maturities"
LOSSES = {
    "price": "price",
    "vega-weighted price error, vol points": "vega_price",
    "implied-volatility error, vol points": "implied_vol",
}
_HESTON = {"v0": (1e-4, 0.5), "kappa": (0.05, 20), "theta": (1e-4, 0.5), "sigma": (0.05, 5)}
_WIDE_HESTON = {"v0": (1e-5, 1), "kappa": (0.01, 50), "theta": (1e-5, 1), "sigma": (0.01, 10)}
_JUMPS = {"muj": (-1, 0.5), "sigmaj": (0.005, 1)}
_WIDE_JUMPS = {"muj": (-2, 1), "sigmaj": (1e-4, 1.5)}


def box(model: str, name: str) -> dict[str, tuple[float, float]]:
    """Bounds of the optima: moderate (B) or wide (A)."""
    wide = name == "A"
    heston = {
        **(_WIDE_HESTON if wide else _HESTON),
        "rho": (-0.999, 0.999) if wide else (-0.98, 0.98),
    }
    jumps = {"lam": (1e-3, 50 if wide else 10), **(_WIDE_JUMPS if wide else _JUMPS)}
    factors = {_numbered(k, i): v for i in (1, 2) for k, v in heston.items()}
    return {
        "VG": {"sigma": (0.01, 2), "nu": (1e-3, 20), "theta": (-2, 1)},
        "CGMY": {"G": (1e-3 if wide else 0.1, 200), "M": (1.0001, 200), "Y": (-1, 1.95)},
        "Merton": {"sigma": (1e-3, 2), **jumps},
        "Kou": {
            "sigma": (1e-3, 2),
            "lam": (1e-3, 100 if wide else 20),
            "eta1": (1.0001, 301 if wide else 100),
            "eta2": (0.02, 301) if wide else (1, 100),
        },
        "Heston": heston,
        "Bates": {**heston, **jumps},
        "DoubleHeston": factors,
        "DoubleHestonJump": {**factors, **jumps},
    }.get(model, {})


def _numbered(name: str, factor: int) -> str:
    return f"v{factor}0" if name == "v0" else f"{name}{factor}"


def read(folder: Path, dataset: str) -> tuple[OptionGrid, np.ndarray]:
    """Grid and prices of a set, with QuantLib's rounding of maturities where it is named."""
    file, _, rounded = dataset.partition(" ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QuoteWarning)
        chain = QuoteChain.read_csv(folder / file)
    if not rounded:
        return chain.grid, np.asarray(chain.prices)
    return _in_weeks(chain)


def _in_weeks(chain: QuoteChain) -> tuple[OptionGrid, np.ndarray]:
    """Maturities in whole weeks, rates interpolated: how QuantLib's test reads the DAX set."""
    from levylearn.market import black_price

    grid = chain.grid
    days = np.unique(np.round(grid.maturity * 365))
    rates = np.array([grid.rate[np.isclose(grid.maturity * 365, d)][0] for d in days])
    weeks = (np.round(grid.maturity * 365) + 3) // 7
    rate = np.interp(weeks * 7, days, rates)
    moved = OptionGrid.from_quotes(
        grid.strike,
        weeks * 7 / 365,
        spot=grid.spot,
        rate=rate,
        option_type=grid.option_type,
    )
    prices = black_price(
        moved.forward,
        moved.strike,
        moved.maturity,
        chain.implied_vol,
        moved.discount,
        moved.option_type,
    )
    return moved, prices


def calibrate(
    grid: OptionGrid, prices: np.ndarray, model: str, box_name: str, loss: str
) -> tuple[float, float, dict[str, float]]:
    """Root mean squared error in units of the loss, seconds, and the parameters."""
    start = time.perf_counter()
    name = MODELS[model]
    pricer = ContourPricer(name, grid)
    bounds = box(model, box_name)
    calibrator = LeastSquaresCalibrator(pricer, loss, bounds=bounds).fit(prices[None])
    result = calibrator.calibrate(prices[None])
    seconds = time.perf_counter() - start
    parameters = dict(zip(get_model(name).parameter_names, result.parameters[0], strict=True))
    return float(np.sqrt(result.loss[0] / len(prices))), seconds, parameters


def main() -> None:
    """Print one line for each best-known optimum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=MODELS, default=None)
    parser.add_argument("--parameters", action="store_true", help="print the optimum too")
    arguments = parser.parse_args()
    with (arguments.folder / "calibration_optima.csv").open() as file:
        optima = list(csv.DictReader(file))
    print(f"{'set':24s} {'model':17s} box loss          rmse  best known   ratio  seconds")
    for row in optima:
        if arguments.model not in (None, row["model"]):
            continue
        grid, prices = read(arguments.folder, row["dataset"])
        loss = LOSSES[row["objective"]]
        rmse, seconds, parameters = calibrate(grid, prices, row["model"], row["box"], loss)
        rmse *= 1 if loss == "price" else 100
        name = row["dataset"].replace(".csv", "").replace(f" ({_IN_WEEKS})", "*")
        print(
            f"{name:24s} {row['model']:17s} {row['box']}   {loss:11s} {rmse:9.5f} "
            f"{float(row['rmse']):10.5f} {rmse / float(row['rmse']):8.4f} {seconds:7.2f}",
            flush=True,
        )
        if arguments.parameters:
            print(json.dumps({k: round(v, 6) for k, v in parameters.items()}), row["params"])


if __name__ == "__main__":
    main()
