"""The card of a calibrator that has learned from examples."""

from __future__ import annotations

from typing import Any

import numpy as np

_CARD = """\
# {name}

    {estimator}

Learned the map from {n_quotes} quotes to {n_params} parameters from {n_learned} surfaces; \
{n_held_out} more were held out to judge it.

| parameter | learned from | mean absolute error | root mean squared error | R2 |
|---|---|---|---|---|
{rows}

Errors are those on the held-out surfaces, which are drawn like the others: on surfaces from \
elsewhere they are larger. A surface outside what was learned from is answered with an \
ExtrapolationWarning.

Versions: {versions}.
"""
_ROW = "| {name} | {low:.6g} to {high:.6g} | {mae:.3g} | {rmse:.3g} | {r2:.5f} |"


def card_of(calibrator: Any) -> str:
    """Return the card of a fitted calibrator, in Markdown."""
    appraisal = calibrator.appraisal_
    low, high = calibrator.training_range_.parameters
    rmse, deviation = appraisal["root_mean_squared_error"], appraisal["deviation"]
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - (rmse / deviation) ** 2
    mae = appraisal["mean_absolute_error"]
    rows = zip(calibrator.parameter_names_, low, high, mae, rmse, r2, strict=True)
    columns = ("name", "low", "high", "mae", "rmse", "r2")
    return _CARD.format(
        name=type(calibrator).__name__,
        estimator=" ".join(repr(calibrator).split()),
        n_quotes=calibrator.n_features_in_,
        n_params=len(calibrator.parameter_names_),
        n_learned=appraisal["n_learned"],
        n_held_out=appraisal["n_held_out"],
        rows="\n".join(_ROW.format(**dict(zip(columns, row, strict=True))) for row in rows),
        versions=", ".join(f"{name} {v}" for name, v in appraisal["versions"].items()),
    )
