"""What each parameter of a model is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from levylearn.datasets._regimes import REGIMES, market_regimes
from levylearn.models import CharacteristicModel, Parameter

__all__ = ["DISTRIBUTIONS", "parameter_distributions"]

DISTRIBUTIONS = ("market", "prior", *REGIMES)


def parameter_distributions(
    model: CharacteristicModel, distribution: str, ranges: Mapping[str, Any] | None
) -> list[Any]:
    """Return one frozen distribution of :mod:`scipy.stats` for each parameter."""
    ranges = ranges or {}
    unknown = [name for name in ranges if name not in model.parameter_names]
    if unknown:
        raise ValueError(
            f"ranges: there is no parameter {unknown[0]!r}; {model.name} has "
            f"{', '.join(model.parameter_names)}."
        )
    usual = _usual(model, distribution)
    return [
        _given(parameter, ranges[parameter.name]) if parameter.name in ranges else law
        for parameter, law in zip(model.parameters, usual, strict=True)
    ]


def _usual(model: CharacteristicModel, distribution: str) -> list[Any]:
    if distribution in REGIMES:
        ranges = market_regimes(model)[distribution]
        return [_evenly(parameter, *ranges[parameter.name]) for parameter in model.parameters]
    laws = []
    for parameter in model.parameters:
        if distribution == "prior" and parameter.prior is not None:
            name, keywords = parameter.prior
            laws.append(getattr(stats, name)(**keywords))
        elif distribution == "prior":  # "uniform over market_range", says Parameter
            low, high = parameter.market_range
            laws.append(stats.uniform(low, high - low))
        else:
            laws.append(_evenly(parameter, *parameter.market_range))
    return laws


def _given(parameter: Parameter, given: Any) -> Any:
    if isinstance(getattr(given, "dist", None), stats.rv_continuous):
        return given
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise ValueError(
            f"ranges: {parameter.name} must be (low, high), or a frozen continuous distribution "
            f"as scipy.stats.norm(0, 1); got {given!r}."
        ) from None
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"ranges: {parameter.name} must be finite (low, high) with low < high; got {given!r}."
        )
    if not parameter.contains(np.array([low, high])).all():
        raise ValueError(
            f"ranges: {parameter.name}={low:g}:{high:g} is not inside {parameter.domain_text}, "
            f"the domain of the parameter."
        )
    return _evenly(parameter, low, high)


def _evenly(parameter: Parameter, low: float, high: float) -> Any:
    """Uniform on the scale of the parameter."""
    if parameter.scale == "linear":
        return stats.uniform(low, high - low)
    if low <= 0:
        raise ValueError(
            f"ranges: {parameter.name}={low:g}:{high:g} must be positive, since the parameter "
            f"spreads on a logarithmic scale; use scipy.stats.uniform({low:g}, {high - low:g})."
        )
    return stats.loguniform(low, high)
