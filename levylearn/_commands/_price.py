"""``levylearn price`` and ``levylearn greeks``: parameters to prices, and what moves them."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from levylearn._commands._arguments import collected, refuse_unknown
from levylearn.market import OptionGrid
from levylearn.models import get_model
from levylearn.pricing import ContourPricer


def price(arguments: Namespace) -> dict[str, Any]:
    """Price a grid of options; the result is plain values."""
    pricer, params = _pricer(arguments, output=arguments.output_unit)
    values, errors = pricer.transform(params), pricer.error_estimate(params)
    found = {"value": values[0], "error_estimate": errors[0]}
    return {
        **_described(arguments, params),
        "unit": arguments.output_unit,
        "prices": _rows(pricer, found),
    }


def greeks(arguments: Namespace) -> dict[str, Any]:
    """Differentiate the prices of a grid of options; the result is plain values."""
    pricer, params = _pricer(arguments, output="price")
    found = pricer.greeks(params)
    names = pricer.model_.parameter_names
    vegas = {f"vega_{name}": slope for name, slope in zip(names, found.pop("vega")[0], strict=True)}
    columns = {**{name: values[0] for name, values in found.items()}, **vegas}
    return {**_described(arguments, params), "greeks": _rows(pricer, columns)}


def grid_of(arguments: Namespace) -> OptionGrid:
    """Return the options that were asked for."""
    return OptionGrid(
        sorted(set(arguments.strikes)),
        sorted(set(arguments.maturities)),
        spot=arguments.spot,
        rate=arguments.rate,
        dividend=arguments.dividend,
        option_type=arguments.type,
    )


def _pricer(arguments: Namespace, output: str) -> tuple[ContourPricer, list[list[float]]]:
    """Return a fitted pricer of what was asked for, and its parameters."""
    grid = grid_of(arguments)
    names = get_model(arguments.model).parameter_names
    given = collected("--params", arguments.params)
    refuse_unknown("--params", given, {arguments.model: names})
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"--params: {arguments.model} also needs {', '.join(missing)}.")
    params = [[given[name] for name in names]]
    return ContourPricer(arguments.model, grid, output=output).fit(params), params


def _described(arguments: Namespace, params: list[list[float]]) -> dict[str, Any]:
    names = get_model(arguments.model).parameter_names
    return {
        "model": arguments.model,
        "parameters": dict(zip(names, params[0], strict=True)),
        "type": arguments.type,
    }


def _rows(pricer: ContourPricer, columns: dict[str, Any]) -> list[dict[str, float]]:
    """One entry for each option."""
    grid = pricer.grid
    columns = {"maturity": grid.maturity, "strike": grid.strike, **columns}
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]
