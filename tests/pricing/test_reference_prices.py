"""Published and recomputed prices, in data/prices.csv: what they are is said there."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import ContourPricer

# No price may be off by more than this, as a fraction of the larger of spot and strike,
REQUIRED = 1e-11
# and none is by more than this.
HELD = 1e-13

NAMES = {
    "VG": "variance_gamma",
    "CGMY": "cgmy",
    "NIG": "nig",
    "Merton": "merton",
    "Kou": "kou",
    "Heston": "heston",
    "Bates": "bates",
    "DoubleHestonJump": "double_heston_jump",
}


def read():
    with (Path(__file__).parent / "data" / "prices.csv").open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


ROWS = read()


def option(row):
    """The one option of a row, its model and parameters."""
    grid = OptionGrid(
        [float(row["K"])],
        [float(row["T"])],
        spot=float(row["S0"]),
        rate=float(row["r"]),
        dividend=float(row["q"]),
        option_type=row["option_type"],
    )
    model = get_model(NAMES[row["model"]])
    given = json.loads(row["params"])
    return grid, model, np.array([[float(given[name]) for name in model.parameter_names]])


def priced(row, pricer=ContourPricer, **settings):
    """A pricer of the one option of a row, fitted, and its parameters."""
    grid, model, params = option(row)
    return pricer(model, grid, **settings).fit(params), params


def error(row, pricer=ContourPricer, **settings):
    """Error as a fraction of the larger of spot and strike, and the estimate of it."""
    pricer, params = priced(row, pricer, **settings)
    unit = max(float(row["S0"]), float(row["K"]))
    found = pricer.transform(params)[0, 0]
    return abs(found - float(row["price"])) / unit, pricer.error_estimate(params)[0, 0] / unit


def test_table_is_complete():
    assert len(ROWS) == 188
    assert len({row["id"] for row in ROWS}) == 188
    assert {row["model"] for row in ROWS} == set(NAMES)


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_price(row):
    true, estimate = error(row)
    assert true <= REQUIRED
    assert true <= HELD
    assert true <= 1e-12 or estimate >= 0.1 * true


@pytest.mark.parametrize("model", NAMES)
def test_estimate_is_not_pessimistic(model):
    """An estimate that were always large would be honest, and useless."""
    estimates = [error(row)[1] for row in ROWS if row["model"] == model]
    assert np.median(estimates) < 1e-12


@pytest.mark.parametrize("model", NAMES)
def test_price_in_the_company_of_others(model):
    """Rows of one market as one ragged grid: what shares a line is still right."""
    rows = [row for row in ROWS if row["model"] == model]
    markets = {(row["S0"], row["r"], row["q"], row["params"]) for row in rows}
    for market in markets:
        chain = [row for row in rows if (row["S0"], row["r"], row["q"], row["params"]) == market]
        columns = {name: [float(row[name]) for row in chain] for name in ("K", "T", "price")}
        grid = OptionGrid.from_quotes(
            columns["K"],
            columns["T"],
            spot=float(market[0]),
            rate=float(market[1]),
            dividend=float(market[2]),
            option_type=[row["option_type"] for row in chain],
        )
        _, params = priced(chain[0])
        prices = ContourPricer(NAMES[model], grid).fit(params).transform(params)[0]
        unit = np.maximum(grid.spot, grid.strike)
        assert np.all(np.abs(prices - columns["price"]) <= HELD * unit)
