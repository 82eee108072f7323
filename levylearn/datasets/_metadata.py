"""What a data set on disk says about itself, as plain values that JSON can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from levylearn import __version__
from levylearn.datasets._recipe import Recipe
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel

__all__ = ["described", "differences", "grid_from_plain"]


def described(recipe: Recipe) -> dict[str, Any]:
    """All that decides what the surfaces of a recipe are."""
    sampler, pricer = recipe.sampler, recipe.pricer
    laws = zip(sampler.model.parameter_names, sampler.distributions, strict=True)
    settings = pricer.get_params(deep=False)
    return {
        "levylearn": __version__,
        "model": sampler.model.name,
        "model_repr": repr(sampler.model),
        "grid": _plain(settings.pop("grid")),
        "output": settings.pop("output"),
        "distributions": {name: _law(law) for name, law in laws},
        "sampling": sampler.sampling,
        "feller": bool(sampler.feller),
        "pricer": {
            "class": _name_of(type(pricer)),
            "params": {k: _plain(v) for k, v in settings.items() if k not in ("model", "n_jobs")},
        },
        "noise": _plain(recipe.noise),
    }


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Name the entries in which two descriptions differ, with their values if these are short."""
    found = []
    for name in {**there, **here}:
        old, new = there.get(name), here.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{name} {difference}" for difference in differences(old, new)]
        elif isinstance(old, list) or isinstance(new, list):
            found.append(name)
        else:
            found.append(f"{name} is {old!r} there and {new!r} here")
    return found


def grid_from_plain(plain: dict[str, Any]) -> OptionGrid:
    """Build the grid that was described."""
    arguments = dict(plain)
    build = OptionGrid if arguments.pop("product") else OptionGrid.from_quotes
    return build(**arguments)


def _law(frozen: Any) -> str:
    """A frozen distribution as the call that makes it."""
    positional = [repr(float(value)) for value in frozen.args]
    named = [f"{name}={float(value)!r}" for name, value in frozen.kwds.items()]
    return f"{frozen.dist.name}({', '.join(positional + named)})"


def _plain(value: Any) -> Any:
    """Numbers, strings, lists and dicts that tell one value from another."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, OptionGrid):
        return _plain_grid(value)
    if isinstance(value, CharacteristicModel):
        return repr(value)
    if hasattr(value, "__qualname__"):
        return _name_of(value)
    settings = value.get_params(deep=False) if hasattr(value, "get_params") else vars(value)
    return {"class": _name_of(type(value)), "params": _plain(settings)}


def _plain_grid(grid: OptionGrid) -> dict[str, Any]:
    """The arguments that the grid is built from."""
    n_strikes = grid.shape[1] if grid.is_product else 1
    each, every = slice(None, None, n_strikes), slice(None, n_strikes if grid.is_product else None)
    return {
        "product": grid.is_product,
        "strikes": grid.strike[every].tolist(),
        "maturities": grid.maturity[each].tolist(),
        "spot": grid.spot,
        "rate": grid.rate[each].tolist(),
        "dividend": grid.dividend[each].tolist(),
        "option_type": grid.option_type.tolist(),
    }


def _name_of(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
