"""``levylearn price``: parameters to prices, with their error estimates."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from levylearn._commands._arguments import collected, refuse_unknown
from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import ContourPricer


def price(arguments: Namespace) -> dict[str, Any]:
    """Price a grid of options; the result is plain values."""
    grid = OptionGrid(
        sorted(set(arguments.strikes)),
        sorted(set(arguments.maturities)),
        spot=arguments.spot,
        rate=arguments.rate,
        dividend=arguments.dividend,
        option_type=arguments.type,
    )
    names = get_model(arguments.model).parameter_names
    given = collected("--params", arguments.params)
    refuse_unknown("--params", given, {arguments.model: names})
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"--params: {arguments.model} also needs {', '.join(missing)}.")
    params = [[given[name] for name in names]]
    pricer = ContourPricer(arguments.model, grid, output=arguments.output_unit).fit(params)
    values, errors = pricer.transform(params)[0], pricer.error_estimate(params)[0]
    columns = zip(
        grid.maturity.tolist(), grid.strike.tolist(), values.tolist(), errors.tolist(), strict=True
    )
    return {
        "model": arguments.model,
        "parameters": {name: given[name] for name in names},
        "type": arguments.type,
        "unit": arguments.output_unit,
        "prices": [
            {"maturity": maturity, "strike": strike, "value": value, "error_estimate": error}
            for maturity, strike, value, error in columns
        ],
    }
