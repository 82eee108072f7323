"""Carr-Madan and COS next to the contour integral: errors at the reference prices, and times.

Run as a script, it prints the tables of the user guide::

    python benchmarks/bench_fourier.py [--n 1000]

Errors are fractions of the larger of spot and strike, at the prices of
``tests/pricing/data/prices.csv``: those with parameters from print, and corners of our own. A
surface has 20 strikes by 10 maturities, from 30 days to two years; parameters fill the market
range of each model. Times are of one processor core; only those of one run compare.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _common import large_grid, seconds, sobol_parameters

from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import CarrMadanPricer, ContourPricer, COSPricer

PRICES = Path(__file__).parents[1] / "tests" / "pricing" / "data" / "prices.csv"
METHODS = (COSPricer, CarrMadanPricer)
MODELS = {
    "VG": "variance_gamma",
    "CGMY": "cgmy",
    "NIG": "nig",
    "Merton": "merton",
    "Kou": "kou",
    "Heston": "heston",
    "Bates": "bates",
    "DoubleHestonJump": "double_heston_jump",
}


def rows() -> list[dict[str, str]]:
    """The reference prices."""
    with PRICES.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def error(method: type, row: dict[str, str]) -> tuple[float, float]:
    """Error of a price, and the estimate of it."""
    number = {name: float(row[name]) for name in ("S0", "K", "T", "r", "q", "price")}
    model = get_model(MODELS[row["model"]])
    given = json.loads(row["params"])
    params = np.array([[float(given[name]) for name in model.parameter_names]])
    grid = OptionGrid(
        [number["K"]], [number["T"]], number["S0"], number["r"], number["q"], row["option_type"]
    )
    pricer = method(model, grid).fit(params)
    unit = max(number["S0"], number["K"])
    true = abs(pricer.transform(params)[0, 0] - number["price"])
    return true / unit, pricer.error_estimate(params)[0, 0] / unit


def errors() -> Iterator[str]:
    """Largest errors by model and origin of the row, and the largest estimates."""
    yield f"{'model':18s}" + "".join(f"{m.__name__:>46s}" for m in METHODS)
    yield (
        " " * 18
        + len(METHODS) * f"{'print':>12s}{'estimate':>10s}{'corners':>14s}{'estimate':>10s}"
    )
    for name in MODELS:
        own = [row for row in rows() if row["model"] == name]
        line = f"{name:18s}"
        for method in METHODS:
            for corner in (False, True):
                part = [error(method, r) for r in own if r["id"].startswith("own_") == corner]
                true, estimate = np.max(part, axis=0)
                line += f"{true:13.1e}{estimate:10.1e}"
        yield line


def times(n: int) -> Iterator[str]:
    """Milliseconds a surface: in a batch, with its Jacobian, and alone."""
    grid = large_grid()
    for name in MODELS.values():
        params = sobol_parameters(name, n)
        for method in (ContourPricer, *METHODS):
            batch = params[: max(n // 5, 1)] if method is CarrMadanPricer else params
            pricer = method(name, grid).fit(params)
            price = seconds(lambda p=pricer, b=batch: p.transform(b), rounds=2) / len(batch)
            some = batch[: max(len(batch) // 5, 1)]
            both = seconds(lambda p=pricer, b=some: p.price_and_jacobian(b), rounds=1) / len(some)
            alone = seconds(lambda p=pricer, b=params[:1]: p.transform(b), rounds=3)
            ms = [1e3 * part for part in (price, both, alone)]
            yield f"{name:20s}{method.__name__:18s}{ms[0]:9.3f}{ms[1]:9.3f}{ms[2]:9.2f}"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    n = parser.parse_args().n
    for line in errors():
        print(line)
    print(f"\n{'ms a surface':38s}{'batch':>9s}{'Jacobian':>9s}{'alone':>9s}")
    for line in times(n):
        print(line, flush=True)


if __name__ == "__main__":
    main()
