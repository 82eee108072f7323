"""``levylearn calibrate``: quotes to parameters, with the quality of the fit."""

from __future__ import annotations

import time
import warnings
from argparse import Namespace
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from levylearn._commands._arguments import collected, refuse_unknown
from levylearn._commands._quotes import Quotes, load, summary
from levylearn.calibration import LeastSquaresCalibrator
from levylearn.market import QuoteChain, black_vega
from levylearn.metrics import (
    average_absolute_error,
    average_percentage_error,
    average_relative_percentage_error,
    implied_vol_rmse,
)
from levylearn.models import get_model, list_models
from levylearn.pricing import ContourPricer
from levylearn.utils._optional import import_optional

Floats = NDArray[np.float64]

# Smiles that one picture can show and still be read.
_MAX_SMILES = 4
_NEEDS_VOLATILITY = ("implied_vol", "vega_price")


def calibrate(arguments: Namespace) -> dict[str, Any]:
    """Calibrate every model asked for; the result is plain values, the best fit first."""
    names = model_names(arguments.model)
    if arguments.plot:
        check_picture(arguments.plot)
    quotes, settings = prepared(arguments, names)
    fits = []
    # A bar on a terminal only, and gone when done.
    for name in tqdm(names, disable=None if len(names) > 1 else True, leave=False):
        fits.append(_fit(name, quotes.chain, settings[name]))
    fits.sort(key=lambda fit: np.inf if fit[0]["loss"] is None else fit[0]["loss"])
    if arguments.plot:
        draw(quotes.chain, fits, arguments.plot)
    return {
        "data": summary(quotes),
        "loss": arguments.loss,
        "weights": arguments.weights,
        "fits": [record for record, _ in fits],
        "picture": arguments.plot,
    }


def prepared(
    arguments: Namespace, names: Iterable[str]
) -> tuple[Quotes, dict[str, dict[str, Any]]]:
    """Quotes, and the settings of each model's calibrator, all of it checked."""
    parameters = {name: get_model(name).parameter_names for name in names}
    bounds = collected("--bounds", arguments.bounds)
    fixed = collected("--fix", arguments.fix)
    refuse_unknown("--bounds", bounds, parameters)
    refuse_unknown("--fix", fixed, parameters)
    refuse_outside(fixed, names)
    quotes = load(arguments)
    if arguments.loss in _NEEDS_VOLATILITY and not (quotes.chain.implied_vol > 0).any():
        raise ValueError(f"{quotes.name}: no quote has an implied volatility; use --loss price.")
    settings: dict[str, Any] = {
        "loss": arguments.loss,
        "weights": spread_weights(quotes, arguments.loss)
        if arguments.weights == "spread"
        else None,
        "random_state": arguments.seed,
    }
    if arguments.n_starts is not None:
        settings["n_starts"] = arguments.n_starts
    return quotes, {
        name: {
            **settings,
            "bounds": {key: value for key, value in bounds.items() if key in own},
            "fixed": {key: value for key, value in fixed.items() if key in own},
        }
        for name, own in parameters.items()
    }


def fitted(name: str, chain: QuoteChain, settings: dict[str, Any]) -> LeastSquaresCalibrator:
    """Return a calibrator of one model that is ready for the chain."""
    calibrator = LeastSquaresCalibrator(ContourPricer(name, chain.grid), **settings)
    calibrator.fit(chain.prices[None, :])
    return calibrator


def model_names(given: Iterable[str]) -> list[str]:
    """Names of the models asked for, each once."""
    names = list(dict.fromkeys(given))
    if "all" in names:
        return list_models()
    for name in names:
        get_model(name)  # refuses unknown names
    return names


def refuse_outside(fixed: Mapping[str, float], names: Iterable[str]) -> None:
    """Refuse a fixed value with which a model does not exist."""
    for name in names:
        for parameter in get_model(name).parameters:
            value = fixed.get(parameter.name)
            if value is not None and not parameter.contains(np.array(value)):
                raise ValueError(
                    f"--fix: {parameter.name}={value:g} is outside {parameter.domain_text}, "
                    f"the domain of {name}."
                )


def spread_weights(quotes: Quotes, loss: str) -> Floats:
    """Weights that turn squared errors of any loss into those in half spreads."""
    chain = quotes.chain
    if not np.isfinite(chain.half_spread).any():
        raise ValueError(f"--weights spread: {quotes.name} has no bids and asks.")
    price_of_one = np.nan_to_num(_price_of_one(chain, loss))
    return (price_of_one * chain.weights) ** 2


def _price_of_one(chain: QuoteChain, loss: str) -> Floats:
    """By how much a price changes with one unit of its loss."""
    if loss == "price":
        return np.ones(chain.n_quotes)
    if loss == "relative_price":
        return chain.prices
    return black_vega(
        chain.forward, chain.strike, chain.maturity, chain.implied_vol, discount=chain.discount
    )


def _fit(name: str, chain: QuoteChain, settings: dict[str, Any]) -> tuple[dict[str, Any], Floats]:
    """Calibrate one model; return its record and its surface."""
    X = chain.prices[None, :]
    start = time.perf_counter()
    # A warning speaks of rows: of several models it has to say which, and once.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        calibrator = fitted(name, chain, settings)
        result = calibrator.calibrate(X)
    seconds = time.perf_counter() - start
    for message, category in dict.fromkeys((str(w.message), w.category) for w in caught):
        warnings.warn(f"{name}: {message}", category, stacklevel=2)
    surface = result.surfaces[0]
    record = {
        "model": name,
        "parameters": _parameters(calibrator, result),
        "measures": measures(chain, surface),
        "loss": _plain(result.loss[0]),
        "converged": bool(result.converged[0]),
        "message": result.message[0],
        "n_evaluations": int(result.n_evaluations[0]),
        "seconds": round(seconds, 4),
    }
    return record, surface


def measures(chain: QuoteChain, surface: Floats) -> dict[str, float | None]:
    """Distances of a surface of prices from the market's."""
    prices = chain.prices
    return {
        "ape": _plain(average_percentage_error(prices, surface)),
        "aae": _plain(average_absolute_error(prices, surface)),
        "arpe": _plain(average_relative_percentage_error(prices, surface)),
        "rmse_price": _plain(np.sqrt(np.mean((surface - prices) ** 2))),
        "rmse_implied_vol": _plain(implied_vol_rmse(prices, surface, grid=chain.grid)),
    }


def _parameters(calibrator: LeastSquaresCalibrator, result: Any) -> dict[str, dict[str, Any]]:
    box, fixed = calibrator.bounds or {}, calibrator.fixed or {}
    found = {}
    for j, parameter in enumerate(calibrator.pricer_.parameters_):
        value = result.parameters[0, j]
        low, high = box.get(parameter.name, parameter.bounds)
        at_bound = None
        if result.at_bound[0, j]:
            at_bound = "lower" if value - low < high - value else "upper"
        is_fixed = parameter.name in fixed
        found[parameter.name] = {
            "value": _plain(value),
            "standard_error": None if is_fixed else _plain(result.standard_error[0, j]),
            "at_bound": at_bound,
            "fixed": is_fixed,
        }
    return found


def _plain(value: Any) -> float | None:
    """A number that JSON knows."""
    return float(value) if isfinite(value) else None


def check_picture(path: str) -> None:
    """Refuse, before the work, a picture that could not be written after it."""
    figure = import_optional("matplotlib.figure", "--plot").Figure()
    if not Path(path).absolute().parent.is_dir():
        raise ValueError(f"--plot: there is no folder {str(Path(path).parent)!r}.")
    kinds = figure.canvas.get_supported_filetypes()
    if Path(path).suffix.lstrip(".").lower() not in kinds:
        raise ValueError(f"--plot: {path!r} must end in one of .{', .'.join(sorted(kinds))}.")


def draw(chain: QuoteChain, fits: list[tuple[dict[str, Any], Floats]], path: str) -> None:
    """Draw the smiles of the best fits into a file."""
    from levylearn.inspection import SmileFitDisplay

    surfaces = {record["model"]: surface for record, surface in fits[:_MAX_SMILES]}
    # Without pyplot, which would look for a screen.
    figure = import_optional("matplotlib.figure", "--plot").Figure()
    SmileFitDisplay.from_predictions(chain.grid, chain.prices, surfaces).plot(figure=figure)
    figure.savefig(path, dpi=150)
