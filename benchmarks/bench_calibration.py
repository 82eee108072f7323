"""Calibration by levylearn, by QuantLib and by SciPy's L-BFGS-B, in the same run.

Run with ``pytest benchmarks/bench_calibration.py`` for the timings of one surface alone, or as a
script for all tables::

    python benchmarks/bench_calibration.py [clean] [dax] [double]

clean
    40 calls, 8 strikes by 5 maturities, of surfaces that fill the market range of Heston's and
    the Variance Gamma model. A surface is recovered if the fit comes within 1e-6 of spot in root
    mean square. Twenty are calibrated alone, one after the other, and 200 in a batch.
dax
    Heston's model on the 104 bundled DAX volatilities, maturities rounded to weeks as in
    QuantLib's test of the same data; errors are sums of squared volatility points.
double
    Double Heston with jumps, 13 parameters, from 15 clean calls, in the box in which it has been
    calibrated by L-BFGS-B. The figure is the mean absolute percentage error of the prices.

Times are of one processor core; only those of one run compare, and ratios are to levylearn's.
What does not depend on the surface is left out: levylearn's ``fit``, which prices the candidates
its starts are taken from, and QuantLib's helpers. levylearn is given no start. QuantLib and SciPy
start at a usual point, the same for all surfaces: QuantLib's Levenberg-Marquardt with settings of
its own test, L-BFGS-B with finite differences of levylearn's prices, in levylearn's bounds.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from _common import (
    SPOT,
    Curves,
    in_turns,
    product_grid,
    quantlib_curves,
    seconds,
    sobol_parameters,
)
from bench_optima import _in_weeks
from scipy.optimize import minimize

from levylearn.calibration import LeastSquaresCalibrator
from levylearn.datasets import load_dax_2002
from levylearn.market import OptionGrid, implied_volatility
from levylearn.models import get_model
from levylearn.pricing import ContourPricer

ql = pytest.importorskip("QuantLib")


GRID = product_grid(np.linspace(80, 120, 8), np.array([30, 91, 182, 365, 730]))
N_ALONE, N_BATCH = 20, 200
RECOVERED = 1e-6
# In which ways that are compared take turns.
_ROUNDS = 15
START = {
    "heston": (0.1, 1.0, 0.1, 0.5, -0.5),
    "variance_gamma": (0.25, 0.4, -0.1),
}
DOUBLE_HESTON_BOX = {
    "v10": (0.025, 0.08),
    "kappa1": (1.5, 4.5),
    "theta1": (0.025, 0.065),
    "sigma1": (0.2, 0.5),
    "rho1": (-0.85, -0.4),
    "v20": (0.02, 0.07),
    "kappa2": (0.3, 1.2),
    "theta2": (0.025, 0.07),
    "sigma2": (0.1, 0.35),
    "rho2": (-0.7, -0.2),
    "lam": (0.05, 0.25),
    "muj": (-0.08, -0.01),
    "sigmaj": (0.03, 0.12),
}
DOUBLE_HESTON_GRID = OptionGrid([90, 95, 100, 105, 110], [0.25, 0.5, 1.0], SPOT, rate=0.03)


class Way(NamedTuple):
    """A way of calibrating one surface, and what it wants instead of the surface."""

    calibrate: Callable[[Any], np.ndarray]
    prepare: Callable[[np.ndarray], Any] = np.asarray


# -- ways of calibrating one surface ---------------------------------------------


def levylearn(model: str) -> Way:
    """One surface at a time, from default settings."""
    calibrator = LeastSquaresCalibrator(ContourPricer(model, GRID))
    calibrator.fit(clean_surfaces(model, 1))
    return Way(lambda surface: calibrator.predict(surface[None])[0])


def scipy_lbfgs(model: str) -> Way:
    """SciPy's L-BFGS-B on squared price errors, with finite differences."""
    pricer = ContourPricer(model, GRID).fit(sobol_parameters(model, 1))
    bounds = [parameter.bounds for parameter in get_model(model).parameters]

    def calibrate(surface: np.ndarray) -> np.ndarray:
        def loss(params: np.ndarray) -> float:
            if not pricer.admissible(params[None])[0]:
                return 1e6
            return float(np.sum((pricer.evaluate(params[None])[0][0] - surface) ** 2))

        options = {"maxiter": 1000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-10}
        return minimize(loss, START[model], method="L-BFGS-B", bounds=bounds, options=options).x

    return Way(calibrate)


def quantlib(nodes: int) -> Way:
    """QuantLib's Levenberg-Marquardt on price errors of Heston's model."""
    curves = quantlib_curves()
    kind = ql.BlackCalibrationHelper.PriceError

    return Way(
        lambda helpers: by_quantlib(curves, helpers, nodes)[0],
        lambda prices: quantlib_helpers(curves, GRID, volatilities(GRID, prices), kind),
    )


def quantlib_helpers(curves: Curves, grid: OptionGrid, volatility: np.ndarray, kind: int) -> list:
    """The quotes."""
    days = np.rint(grid.maturity * 365).astype(int).tolist()
    return [
        ql.HestonModelHelper(
            ql.Period(day, ql.Days),
            ql.NullCalendar(),
            curves.spot.value(),
            strike,
            ql.QuoteHandle(ql.SimpleQuote(vol)),
            curves.rate,
            curves.dividend,
            kind,
        )
        for day, strike, vol in zip(days, grid.strike.tolist(), volatility.tolist(), strict=True)
    ]


def by_quantlib(curves: Curves, helpers: list, nodes: int) -> tuple[np.ndarray, list]:
    """Parameters in levylearn's order, and the errors of the helpers."""
    v0, kappa, theta, sigma, rho = START["heston"]
    process = ql.HestonProcess(
        curves.rate, curves.dividend, curves.spot, v0, kappa, theta, sigma, rho
    )
    model = ql.HestonModel(process)
    engine = ql.AnalyticHestonEngine(model, nodes)
    for helper in helpers:
        helper.setPricingEngine(engine)
    search = ql.LevenbergMarquardt(1e-8, 1e-8, 1e-8)
    model.calibrate(helpers, search, ql.EndCriteria(400, 40, 1e-8, 1e-8, 1e-8))
    found = [model.v0(), model.kappa(), model.theta(), model.sigma(), model.rho()]
    return np.array(found), [helper.calibrationError() for helper in helpers]


WAYS: dict[str, dict[str, Callable[[], Way]]] = {
    "heston": {
        "levylearn": lambda: levylearn("heston"),
        "QuantLib, 64 nodes": lambda: quantlib(64),
        "QuantLib, 144 nodes": lambda: quantlib(144),
        "L-BFGS-B": lambda: scipy_lbfgs("heston"),
    },
    "variance_gamma": {
        "levylearn": lambda: levylearn("variance_gamma"),
        "L-BFGS-B": lambda: scipy_lbfgs("variance_gamma"),
    },
}


# -- surfaces and errors -----------------------------------------------------------


def clean_surfaces(model: str, n: int) -> np.ndarray:
    """Surfaces that the model reproduces."""
    return ContourPricer(model, GRID).fit_transform(sobol_parameters(model, n))


def volatilities(grid: OptionGrid, prices: np.ndarray) -> np.ndarray:
    """Implied volatilities of prices on the grid."""
    return implied_volatility(
        prices, grid.forward, grid.strike, grid.maturity, grid.discount, grid.option_type
    )


def misses(model: str, params: np.ndarray, surfaces: np.ndarray) -> np.ndarray:
    """Root mean squared errors over spot; infinite where the model does not exist."""
    pricer = ContourPricer(model, GRID).fit(params)
    inside = pricer.admissible(params)
    rmse = np.full(len(params), np.inf)
    error = pricer.transform(params[inside]) - surfaces[inside]
    rmse[inside] = np.sqrt(np.mean(error**2, axis=1)) / SPOT
    return rmse


# -- timings and tables ------------------------------------------------------------


@pytest.mark.parametrize(("model", "way"), [(m, way) for m in WAYS for way in WAYS[m]])
def test_calibration(benchmark, model, way):
    benchmark.group = model
    surfaces = clean_surfaces(model, 4)
    calibrate, prepare = WAYS[model][way]()
    given = [prepare(surface) for surface in surfaces]
    found = benchmark.pedantic(lambda: [calibrate(one) for one in given], rounds=3)
    benchmark.extra_info["ms_per_surface"] = benchmark.stats["min"] / len(given) * 1e3
    rmse = misses(model, np.array(found), surfaces)
    benchmark.extra_info["recovered"] = int(np.sum(rmse < RECOVERED))


class Line(NamedTuple):
    """One way of calibrating some surfaces."""

    name: str
    n: int
    n_recovered: int
    seconds: float


def alone(model: str, way: str) -> Line:
    """Calibrate surfaces one after the other."""
    surfaces = clean_surfaces(model, N_ALONE)
    calibrate, prepare = WAYS[model][way]()
    given = [prepare(surface) for surface in surfaces]
    found = [calibrate(one) for one in given]
    taken = seconds(lambda: [calibrate(one) for one in given])
    rmse = misses(model, np.array(found), surfaces)
    return Line(f"{way}, alone", N_ALONE, int(np.sum(rmse < RECOVERED)), taken)


def batch(model: str) -> Line:
    """Calibrate surfaces at once."""
    surfaces = clean_surfaces(model, N_BATCH)
    calibrator = LeastSquaresCalibrator(ContourPricer(model, GRID)).fit(surfaces)
    taken = seconds(lambda: calibrator.predict(surfaces))
    rmse = misses(model, calibrator.predict(surfaces), surfaces)
    return Line("levylearn, batch", N_BATCH, int(np.sum(rmse < RECOVERED)), taken)


def report_clean() -> None:
    """Print what each way recovers, and how fast."""
    print(
        f"{'40 clean quotes':16s}{'calibration':28s}{'recovered':>10s}{'ms each':>10s}{'ratio':>8s}"
    )
    for model, ways in WAYS.items():
        lines = [alone(model, way) for way in ways] + [batch(model)]
        own = lines[0].seconds / lines[0].n
        for name, n, n_recovered, taken in lines:
            print(
                f"{model:16s}{name:28s}{f'{n_recovered}/{n}':>10s}{taken / n * 1e3:10.2f}"
                f"{taken / n / own:8.2f}",
                flush=True,
            )


def report_dax() -> None:
    """Print the errors of Heston's model on the DAX quotes, the times, and their ratio.

    Both are medians over rounds in which the ways take turns.
    """
    chain = load_dax_2002(as_frame=False).chain
    grid, prices = _in_weeks(chain)
    runs, errors = {}, []
    for loss in ("implied_vol", "vega_price"):
        calibrator = LeastSquaresCalibrator(ContourPricer("heston", grid), loss).fit(prices[None])
        surface = calibrator.calibrate(prices[None]).surfaces[0]
        errors.append(volatilities(grid, surface) - chain.implied_vol)
        runs[f"levylearn, {loss}"] = lambda c=calibrator: c.predict(prices[None])
    days, first = np.unique(np.rint(grid.maturity * 365), return_index=True)
    curves = quantlib_curves(grid.spot, grid.rate[first], 0.0, days)
    kind = ql.BlackCalibrationHelper.ImpliedVolError
    helpers = quantlib_helpers(curves, grid, chain.implied_vol, kind)
    errors.append(np.array(by_quantlib(curves, helpers, 64)[1]))
    runs["QuantLib, 64 nodes"] = lambda: by_quantlib(curves, helpers, 64)
    times = in_turns(list(runs.values()), _ROUNDS)
    ratios = np.median(times / times[:, :1], axis=0)
    print(f"\n{'DAX, 104 quotes':32s}{'SSE, vol points':>16s}{'ms':>10s}{'ratio':>8s}")
    for name, off, taken, ratio in zip(runs, errors, np.median(times, axis=0), ratios, strict=True):
        sse = np.sum((100 * off) ** 2)
        print(f"{name:32s}{sse:16.2f}{taken * 1e3:10.2f}{ratio:8.2f}")


def report_double(n: int = N_BATCH) -> None:
    """Print how well Double Heston with jumps comes back from 15 quotes."""
    model = "double_heston_jump"
    params = sobol_parameters(model, n, DOUBLE_HESTON_BOX)
    pricer = ContourPricer(model, DOUBLE_HESTON_GRID)
    surfaces = pricer.fit_transform(params)
    calibrator = LeastSquaresCalibrator(pricer, "relative_price", bounds=DOUBLE_HESTON_BOX)
    calibrator.fit(surfaces)
    fitted = calibrator.calibrate(surfaces).surfaces
    taken = seconds(lambda: calibrator.calibrate(surfaces))
    mape = np.mean(np.abs(fitted / surfaces - 1), axis=1)
    print("\nDouble Heston with jumps, 15 clean quotes, levylearn in a batch")
    print(f"{'surfaces':>10s}{'mean MAPE':>12s}{'median':>12s}{'<= 0.01 %':>11s}{'ms each':>10s}")
    print(
        f"{n:10d}{np.mean(mape) * 100:10.1e} %{np.median(mape) * 100:10.1e} %"
        f"{np.mean(mape <= 1e-4):11.1%}{taken / n * 1e3:10.2f}"
    )


TABLES = {"clean": report_clean, "dax": report_dax, "double": report_double}


def main() -> None:
    """Print the tables that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=", ".join(TABLES))
    arguments = parser.parse_args()
    unknown = set(arguments.tables) - set(TABLES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}.")
    for name in arguments.tables or TABLES:
        TABLES[name]()


if __name__ == "__main__":
    main()
