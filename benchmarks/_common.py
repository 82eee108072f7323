"""What the benchmarks share: the market, parameters, processor time, QuantLib's curves."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.stats import qmc

from levylearn.market import OptionGrid
from levylearn.models import get_model

SPOT, RATE, DIVIDEND = 100.0, 0.03, 0.01


def product_grid(strikes: np.ndarray, days: np.ndarray) -> OptionGrid:
    """Calls on all strikes at all maturities, in whole days as QuantLib wants them."""
    return OptionGrid(strikes, np.asarray(days) / 365, SPOT, RATE, DIVIDEND)


def large_grid() -> OptionGrid:
    """20 strikes from 80 to 120 by 10 maturities from 30 days to two years."""
    return product_grid(np.linspace(80, 120, 20), np.rint(np.linspace(30, 730, 10)))


def sobol_parameters(
    model: str, n: int, box: Mapping[str, tuple[float, float]] | None = None, seed: int = 0
) -> np.ndarray:
    """Admissible parameter sets that fill the market range on its scales, or a box evenly."""
    described = get_model(model)
    parameters = described.parameters
    ranges = np.array([(box or {}).get(p.name, p.market_range) for p in parameters])
    logarithmic = np.array([p.scale == "log" and box is None for p in parameters])
    ranges[logarithmic] = np.log(ranges[logarithmic])
    low, high = ranges.T
    # Some of the box may be inadmissible, so more points are drawn than are wanted.
    unit = qmc.Sobol(len(parameters), seed=seed).random_base2(int(np.ceil(np.log2(n))) + 2)
    params = low + unit * (high - low)
    params[:, logarithmic] = np.exp(params[:, logarithmic])
    return params[described.admissible(params)][:n]


def seconds(run: Callable[[], Any], rounds: int = 3) -> float:
    """Least processor time of some runs, after one to warm up if there are several."""
    times = []
    for _ in range(rounds + (rounds > 1)):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def in_turns(runs: Sequence[Callable[[], Any]], rounds: int) -> np.ndarray:
    """Processor times (rounds, n_runs) of runs that take turns, after a round to warm up.

    Where the machine slows down for a while it does so for all of them.
    """
    return np.array([[seconds(run, 1) for run in runs] for _ in range(rounds + 1)])[1:]


class Curves(NamedTuple):
    """A market of QuantLib: today, spot, rates and dividends."""

    today: Any
    spot: Any
    rate: Any
    dividend: Any


def quantlib_curves(
    spot: float = SPOT,
    rate: float | np.ndarray = RATE,
    dividend: float = DIVIDEND,
    days: np.ndarray | None = None,
) -> Curves:
    """Build the market, with a flat rate or, given `days`, one that is linear between them."""
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(5, 7, 2002)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    if days is None:
        curve = ql.FlatForward(today, rate, count)
    else:
        dates = [today, *(today + int(d) for d in days)]
        curve = ql.ZeroCurve(dates, [float(rate[0]), *map(float, rate)], count)
    curve.enableExtrapolation()
    flat = ql.FlatForward(today, dividend, count)
    return Curves(
        today,
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        ql.YieldTermStructureHandle(curve),
        ql.YieldTermStructureHandle(flat),
    )
