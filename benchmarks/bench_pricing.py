"""Surfaces priced by levylearn, by QuantLib and by adaptive quadrature, in the same run.

Run with ``pytest benchmarks/bench_pricing.py`` for the timings, or as a script for the ratios
and the errors::

    python benchmarks/bench_pricing.py [--model NAME] [--n 1000] [--large]

A surface has 20 strikes by 10 maturities; parameters fill the market range of each model. Times
are of one processor core, setting up left out; only those of one run compare. Ratios are to
levylearn's price in a batch. The error is the largest of a few surfaces, with spot 100, against
a fixed quadrature with thousands of nodes; ``--large`` prices 100,000 surfaces on two cores.

QuantLib's loop over options runs in Python, which costs it less than a microsecond an option.
It has no Python name for a pricer of Merton's model. Adaptive quadratures evaluate levylearn's
characteristic functions at one node at a time: an option at a time with SciPy's ``quad``, the
20 strikes of a maturity at a time with ``quad_vec``.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
from _common import Curves, large_grid, quantlib_curves, seconds, sobol_parameters
from scipy.integrate import quad, quad_vec

from levylearn.market import OptionGrid
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer

ql = pytest.importorskip("QuantLib")

Price = Callable[[np.ndarray], np.ndarray]

N_SURFACES, N_ALONE, N_QUANTLIB, N_ADAPTIVE, N_TRUTH = 1000, 50, 20, 1, 10
GRID = large_grid()
MODELS = ("variance_gamma", "cgmy", "nig", "merton", "heston", "bates", "double_heston_jump")
# Absolute tolerance of the adaptive quadratures, on an integral of order one.
TOLERANCE = 1e-10


class Job(NamedTuple):
    """A way of pricing, and how many surfaces it gets."""

    name: str
    price: Price
    n: int


# -- ways of pricing -----------------------------------------------------------


def levylearn_jobs(model: str, n: int) -> Iterator[Job]:
    """Surfaces in a batch, one at a time, and with their Jacobian."""
    pricer = ContourPricer(model, GRID).fit(sobol_parameters(model, 1))
    yield Job("levylearn, batch", pricer.transform, n)
    yield Job("levylearn, alone", one_by_one(lambda row: pricer.transform(row[None])[0]), N_ALONE)
    yield Job("levylearn, and Jacobian", lambda params: pricer.price_and_jacobian(params)[0], n)


def quantlib_jobs(model: str) -> Iterator[Job]:
    """Whatever engines QuantLib has for the model."""
    curves = quantlib_curves()
    options = quantlib_options(curves, GRID)
    for name, make in quantlib_engines(curves).get(model, {}).items():
        yield Job(
            name, one_by_one(lambda row, make=make: by_quantlib(options, make, row)), N_QUANTLIB
        )


def adaptive_jobs(model: str) -> Iterator[Job]:
    """Lewis's integral along the straight line."""
    yield Job("quad, per option", one_by_one(lambda row: by_quad(model, row)), N_ADAPTIVE)
    yield Job("quad_vec, per maturity", one_by_one(lambda row: by_quad_vec(model, row)), N_ADAPTIVE)


def one_by_one(price: Callable[[np.ndarray], np.ndarray]) -> Price:
    """Price many surfaces with what prices one."""
    return lambda params: np.array([price(row) for row in params])


def jobs(model: str, n: int = N_SURFACES) -> list[Job]:
    """All ways of pricing a model, levylearn's first."""
    return [*levylearn_jobs(model, n), *quantlib_jobs(model), *adaptive_jobs(model)]


# -- QuantLib --------------------------------------------------------------------


def quantlib_options(curves: Curves, grid: OptionGrid) -> list:
    """The contracts of the grid."""
    days = np.rint(grid.maturity * 365).astype(int)
    return [
        ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call, strike), ql.EuropeanExercise(curves.today + day)
        )
        for strike, day in zip(grid.strike.tolist(), days.tolist(), strict=True)
    ]


def quantlib_engines(curves: Curves) -> dict[str, dict[str, Callable]]:
    """By model and name, how to make an engine from parameters."""
    market = (curves.rate, curves.dividend, curves.spot)

    def heston(*params):
        return ql.HestonModel(ql.HestonProcess(*market, *params))

    def bates(*params):
        return ql.BatesModel(ql.BatesProcess(*market, *params))

    def variance_gamma(*params):
        return ql.VarianceGammaProcess(curves.spot, curves.dividend, curves.rate, *params)

    return {
        "heston": {
            "AnalyticHestonEngine": lambda p: ql.AnalyticHestonEngine(heston(*p)),
            "ExponentialFittingHestonEngine": (
                lambda p: ql.ExponentialFittingHestonEngine(heston(*p))
            ),
            "COSHestonEngine": lambda p: ql.COSHestonEngine(heston(*p)),
        },
        "bates": {"BatesEngine": lambda p: ql.BatesEngine(bates(*p))},
        "variance_gamma": {
            "VarianceGammaEngine": lambda p: ql.VarianceGammaEngine(variance_gamma(*p)),
            "FFTVarianceGammaEngine": lambda p: ql.FFTVarianceGammaEngine(variance_gamma(*p)),
        },
    }


def by_quantlib(options: list, make: Callable, params: np.ndarray) -> np.ndarray:
    """Price one surface with a new engine."""
    engine = make(params.tolist())
    if hasattr(engine, "precalculate"):
        engine.precalculate(ql.InstrumentVector(options))
    for option in options:
        option.setPricingEngine(engine)
    return np.array([option.NPV() for option in options])


# -- quadrature --------------------------------------------------------------------


def by_quad(model: str, params: np.ndarray) -> np.ndarray:
    """Price one surface, one adaptive quadrature an option."""
    log_cf = get_model(model).log_cf

    def integral(log_moneyness: float, maturity: float) -> float:
        def integrand(u: float) -> float:
            value = log_cf(np.array([u - 0.5j]), maturity, params[None])[0, 0]
            return np.exp(1j * u * log_moneyness + value).real / (u * u + 0.25)

        return quad(integrand, 0, np.inf, epsabs=TOLERANCE, epsrel=TOLERANCE, limit=200)[0]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quad says where it gives up: the error shows it
        values = [
            integral(-k, maturity)
            for k, maturity in zip(GRID.log_moneyness, GRID.maturity, strict=True)
        ]
    return in_currency(np.array(values))


def by_quad_vec(model: str, params: np.ndarray) -> np.ndarray:
    """Price one surface, one adaptive quadrature a maturity."""
    log_cf = get_model(model).log_cf
    values = np.empty(GRID.n_quotes)
    for maturity, quotes in GRID.slices:
        k = -GRID.log_moneyness[quotes]

        def integrand(u: float, maturity: float = maturity, k: np.ndarray = k) -> np.ndarray:
            value = log_cf(np.array([u - 0.5j]), maturity, params[None])[0, 0]
            return np.exp(1j * u * k + value).real / (u * u + 0.25)

        values[quotes] = quad_vec(
            integrand, 0, np.inf, epsabs=TOLERANCE, epsrel=TOLERANCE, norm="max", limit=2000
        )[0]
    return in_currency(values)


def truth(model: str, params: np.ndarray) -> np.ndarray:
    """Price one surface by Gauss-Legendre panels, on the tamest of some bent lines per option.

    It shares the characteristic function with levylearn, but neither line nor rule.
    """
    log_cf = get_model(model).log_cf
    y, weights = panels(0.0, 45.0, 90, 40)
    values = np.empty(GRID.n_quotes)
    for maturity, quotes in GRID.slices:
        k = -GRID.log_moneyness[quotes][:, None]
        best, size = np.zeros(len(k)), np.full(len(k), np.inf)
        for angle in (-0.6, -0.3, -0.1, 0.1, 0.3, 0.6):
            u = 0.5 * np.sinh(y + 1j * angle)
            with np.errstate(all="ignore"):
                exponent = 1j * u * k + log_cf(u - 0.5j, maturity, params[None])
                terms = np.exp(exponent) / (0.5 * np.cosh(y + 1j * angle)) * weights
                sizes = np.nan_to_num(np.abs(terms).sum(axis=1), nan=np.inf)
            better = sizes < size
            best = np.where(better, terms.real.sum(axis=1), best)
            size = np.where(better, sizes, size)
        values[quotes] = best
    return in_currency(values)


def panels(start: float, stop: float, n_panels: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a composite Gauss-Legendre rule."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = (stop - start) / n_panels / 2
    middles = start + half * (2 * np.arange(n_panels) + 1)
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, n_panels)


def in_currency(integrals: np.ndarray) -> np.ndarray:
    """Calls from Lewis's integral."""
    return GRID.discount * (GRID.forward - np.sqrt(GRID.forward * GRID.strike) / np.pi * integrals)


# -- timings -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "job"),
    [pytest.param(model, job, id=f"{model}-{job.name}") for model in MODELS for job in jobs(model)],
)
def test_pricing(benchmark, model, job):
    benchmark.group = model
    params = sobol_parameters(model, job.n)
    # Adaptive quadratures take seconds.
    rounds = 3 if job.n > N_ADAPTIVE else 1
    prices = benchmark.pedantic(job.price, args=(params,), rounds=rounds)
    benchmark.extra_info["ms_per_surface"] = benchmark.stats["min"] / job.n * 1e3
    benchmark.extra_info["largest_error"] = largest_error(prices, truths(model, params))


def truths(model: str, params: np.ndarray) -> np.ndarray:
    """The first surfaces as they should be."""
    return one_by_one(lambda row: truth(model, row))(params[:N_TRUTH])


def largest_error(prices: np.ndarray, true: np.ndarray) -> float:
    """Over the surfaces that both have."""
    n = min(len(prices), len(true))
    return float(np.max(np.abs(prices[:n] - true[:n])))


def report(model: str, n: int) -> None:
    """Print time, ratio to levylearn in a batch and largest error of each way of pricing."""
    own = None
    true = truths(model, sobol_parameters(model, n))
    for job in jobs(model, n):
        params = sobol_parameters(model, n)[: job.n]
        prices = []
        rounds = 3 if job.n > N_ADAPTIVE else 1
        taken = seconds(lambda p=params, j=job, kept=prices: kept.append(j.price(p)), rounds)
        taken /= len(params)
        own = own or taken
        error = largest_error(prices[0], true)
        print(
            f"{model:19s}{job.name:31s}{taken * 1e3:12.3f}{taken / own:10.1f}{error:11.1e}",
            flush=True,
        )


def report_large(n: int = 100_000) -> None:
    """Print the time that many Variance Gamma surfaces take on two cores."""
    params = sobol_parameters("variance_gamma", n)
    pricer = ContourPricer("variance_gamma", GRID, n_jobs=2).fit(params)
    start = time.perf_counter()
    pricer.transform(params)
    taken = time.perf_counter() - start
    print(f"{n} Variance Gamma surfaces, n_jobs=2: {taken:.1f} s on the clock")


def main() -> None:
    """Print one line for each way of pricing each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=list_models(), action="append")
    parser.add_argument("--n", type=int, default=N_SURFACES, help="surfaces in a batch")
    parser.add_argument("--large", action="store_true", help="100,000 surfaces on two cores")
    arguments = parser.parse_args()
    if arguments.large:
        report_large()
        return
    print(f"{'model':19s}{'pricer':31s}{'ms/surface':>12s}{'ratio':>10s}{'error':>11s}")
    for model in arguments.model or MODELS:
        report(model, arguments.n)


if __name__ == "__main__":
    main()
