"""Implied volatility against QuantLib and SciPy's general root finders, on the same quotes.

Run with ``pytest benchmarks/bench_implied_volatility.py`` for the timings, or as a script for
the ratios: ``python benchmarks/bench_implied_volatility.py``. Only times of one run compare.

QuantLib solves one quote per call, so it pays for the Python loop; it also starts from a guess
of its own and stops at 1e-15 in total volatility. SciPy's Newton method is given the vega and the
point of inflection to start from (from anywhere else it leaves the positive numbers),
Chandrupatla's a bracket of 1 % to 200 %.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from scipy.optimize import elementwise, newton

from levylearn.market import black_price, black_vega, implied_volatility

ql = pytest.importorskip("QuantLib")

N_QUOTES = 200_000
FORWARD = 100.0


class Quotes(NamedTuple):
    """Out-of-the-money quotes within two standard deviations, and their volatilities."""

    price: np.ndarray
    strike: np.ndarray
    maturity: np.ndarray
    option_type: np.ndarray
    volatility: np.ndarray

    def head(self, n: int) -> "Quotes":
        """Return the first quotes only, for solvers that need minutes for all."""
        return Quotes(*(field[:n] for field in self))


def make_quotes(n: int = N_QUOTES, seed: int = 0) -> Quotes:
    """Draw quotes of one week to two years, at 10 % to 60 %."""
    rng = np.random.default_rng(seed)
    volatility = rng.uniform(0.1, 0.6, n)
    maturity = rng.uniform(0.02, 2.0, n)
    strike = FORWARD * np.exp(rng.uniform(-2.0, 2.0, n) * volatility * np.sqrt(maturity))
    option_type = np.where(strike >= FORWARD, "call", "put")
    price = black_price(FORWARD, strike, maturity, volatility, 1.0, option_type)
    return Quotes(price, strike, maturity, option_type, volatility)


def by_levylearn(quotes: Quotes) -> np.ndarray:
    """Solve with levylearn."""
    return implied_volatility(
        quotes.price, FORWARD, quotes.strike, quotes.maturity, 1.0, quotes.option_type
    )


def by_quantlib(quotes: Quotes) -> np.ndarray:
    """Solve with QuantLib, one quote after the other."""
    kinds = [ql.Option.Call if kind == "call" else ql.Option.Put for kind in quotes.option_type]
    total = [
        ql.blackFormulaImpliedStdDev(kind, strike, FORWARD, price, 1.0, 0.0, 0.3, 1e-15)
        for kind, strike, price in zip(
            kinds, quotes.strike.tolist(), quotes.price.tolist(), strict=True
        )
    ]
    return np.array(total) / np.sqrt(quotes.maturity)


def by_newton(quotes: Quotes) -> np.ndarray:
    """Solve with SciPy's vectorised Newton method."""
    inflection = np.sqrt(2.0 * np.abs(np.log(FORWARD / quotes.strike)) / quotes.maturity)
    return newton(
        lambda v: miss(v, quotes.price, quotes.strike, quotes.maturity, quotes.option_type),
        inflection,
        fprime=lambda v: black_vega(FORWARD, quotes.strike, quotes.maturity, v),
        tol=1e-14,
    )


def by_chandrupatla(quotes: Quotes) -> np.ndarray:
    """Solve with SciPy's vectorised bracketing method."""
    arguments = (quotes.price, quotes.strike, quotes.maturity, quotes.option_type == "call")
    return elementwise.find_root(
        lambda v, price, strike, maturity, is_call: miss(
            v, price, strike, maturity, np.where(is_call, "call", "put")
        ),
        (0.01, 2.0),
        args=arguments,
        tolerances={"xatol": 1e-14, "xrtol": 1e-14},
    ).x


def miss(volatility, price, strike, maturity, option_type) -> np.ndarray:
    """How far Black's formula is from the price."""
    return black_price(FORWARD, strike, maturity, volatility, 1.0, option_type) - price


# Solver and how many of the quotes it gets: per-quote times do not depend on it from here on.
SOLVERS: dict[str, tuple[Callable[[Quotes], np.ndarray], int]] = {
    "levylearn": (by_levylearn, N_QUOTES),
    "quantlib": (by_quantlib, 20_000),
    "newton": (by_newton, 20_000),
    "chandrupatla": (by_chandrupatla, 20_000),
}


@pytest.fixture(scope="module")
def quotes() -> Quotes:
    """The quotes all solvers see."""
    return make_quotes()


@pytest.mark.parametrize("name", SOLVERS)
def test_implied_volatility(benchmark, quotes, name):
    solve, n = SOLVERS[name]
    mine = quotes.head(n)
    found = benchmark.pedantic(solve, args=(mine,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["ns_per_quote"] = benchmark.stats["min"] / n * 1e9
    benchmark.extra_info["largest_error"] = float(np.max(np.abs(found / mine.volatility - 1.0)))
    assert benchmark.extra_info["largest_error"] < 1e-7


def seconds_per_quote(solve: Callable[[Quotes], np.ndarray], quotes: Quotes) -> float:
    """Least processor time of three runs after one to warm up."""
    times = []
    for _ in range(4):
        start = time.process_time()
        solve(quotes)
        times.append(time.process_time() - start)
    return min(times[1:]) / len(quotes.price)


def main() -> None:
    """Print time, ratio to levylearn and largest relative error of each solver."""
    quotes = make_quotes()
    own = None
    print(f"{'solver':14s}{'ns a quote':>12s}{'ratio':>8s}{'largest error':>16s}")
    for name, (solve, n) in SOLVERS.items():
        mine = quotes.head(n)
        taken = seconds_per_quote(solve, mine)
        own = own or taken
        error = np.max(np.abs(solve(mine) / mine.volatility - 1.0))
        print(f"{name:14s}{taken * 1e9:12.0f}{taken / own:8.1f}{error:16.1e}")


if __name__ == "__main__":
    main()
