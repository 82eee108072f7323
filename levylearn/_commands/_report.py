"""Results of commands as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ROWS_LISTED = 5


def calibration_report(result: dict[str, Any]) -> Iterator[str]:
    """Lines that say what was calibrated, what came out, and how well it fits."""
    yield from _data(result)
    for fit in result["fits"]:
        yield ""
        yield from _fit(fit)
    if len(result["fits"]) > 1:
        yield ""
        yield from _ranking(result)
    if result["picture"]:
        yield ""
        yield f"picture: {result['picture']}"
    if all(fit["loss"] is None for fit in result["fits"]):
        return
    yield ""
    yield "std. error: how far the quotes leave a parameter open, if the model is right and errors"
    yield "are independent and of equal size in the loss; none (-) for one fixed or at a bound"


def price_report(result: dict[str, Any]) -> Iterator[str]:
    """Lines with one option each."""
    yield f"{_model(result)}, {result['unit']}"
    rows = [
        (
            f"{row['maturity']:g}",
            f"{row['strike']:g}",
            f"{row['value']:.12g}",
            f"{row['error_estimate']:.1e}",
        )
        for row in result["prices"]
    ]
    yield from _table(("maturity", "strike", result["unit"], "error estimate"), rows)


def greeks_report(result: dict[str, Any]) -> Iterator[str]:
    """Lines with one option each."""
    yield f"{_model(result)}, theta per year"
    rows = [tuple(f"{value:.7g}" for value in row.values()) for row in result["greeks"]]
    yield from _table(tuple(result["greeks"][0]), rows)


def _model(result: dict[str, Any]) -> str:
    parameters = ", ".join(f"{name}={value:g}" for name, value in result["parameters"].items())
    return f"{result['model']} ({parameters}), {result['type']}s"


def dataset_report(result: dict[str, Any]) -> Iterator[str]:
    """Lines that say what was written, where, and how to read it."""
    yield (
        f"{_count(result['n_samples'], 'surface')} of {result['model']}, "
        f"{_count(result['n_quotes'], 'quote')} each ({result['unit']}): "
        f"{_count(result['n_files'], 'file')}, {result['bytes'] / 1e6:.1f} MB, in {result['path']}"
    )
    yield f"to read them: levylearn.datasets.SurfaceDataset({result['path']!r})"


def page_report(result: dict[str, Any]) -> Iterator[str]:
    """Lines that say what was written, and what to do with it."""
    known = "known" if result["parameters_known"] else "not known"
    yield (
        f"{result['path']}: {result['calibrator']} on {_count(result['n_samples'], 'surface')}, "
        f"whose parameters are {known} ({result['bytes'] / 1e6:.1f} MB)"
    )
    yield "to read it: open it in a browser, with or without a network"


def models_report(parameters: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Lines with one model each."""
    width = max(map(len, parameters))
    for name, names in parameters.items():
        yield f"{name:<{width}}  {', '.join(names)}"


def _data(result: dict[str, Any]) -> Iterator[str]:
    data = result["data"]
    kinds = [f"{data[f'n_{kind}']} {kind}" for kind in ("calls", "puts") if data[f"n_{kind}"]]
    maturities = data["maturities"]
    yield (
        f"{data['name']}: {_count(data['n_quotes'], 'quote')} ({', '.join(kinds)}), "
        f"{_count(len(maturities), 'maturity', 'maturities')} "
        f"({maturities[0]:.3g} to {maturities[-1]:.3g} years), "
        f"strikes {data['strikes'][0]:g} to {data['strikes'][1]:g}, spot {data['spot']:.6g}"
    )
    left_out = data["left_out"]
    for row in left_out[:_ROWS_LISTED]:
        detail = f": {row['detail']}" if row["detail"] else ""
        yield f"  left out: {row['where']}, {row['reason']}{detail}"
    if len(left_out) > _ROWS_LISTED:
        yield f"  left out: {len(left_out) - _ROWS_LISTED} more; --output json lists them all"
    for kind, found in data["arbitrage"].items():
        yield (
            f"  static arbitrage: {_count(found['count'], 'violation')} of {kind}, "
            f"the largest {found['largest']:.3g}"
        )
    without = data["n_without_implied_vol"]
    if without and result["loss"] in ("implied_vol", "vega_price"):
        yield (
            f"  {_count(without, 'quote')} without time value, and so without implied "
            f"volatility, left out of the loss; --loss price would use them"
        )
    weights = ", in half bid-ask spreads" if result["weights"] == "spread" else ""
    yield f"loss: {_LOSSES[result['loss']]}{weights}"


_LOSSES = {
    "implied_vol": "implied_vol, sum of squared differences of implied volatilities",
    "price": "price, sum of squared differences of prices",
    "vega_price": "vega_price, sum of squared differences of prices over vega",
    "relative_price": "relative_price, sum of squared differences of prices over price",
}


def _fit(fit: dict[str, Any]) -> Iterator[str]:
    yield fit["model"]
    if fit["loss"] is None:
        yield f"  not calibrated: {fit['message']}"
        return
    rows = [
        (name, f"{entry['value']:.5g}", _error(entry), _remark(entry))
        for name, entry in fit["parameters"].items()
    ]
    yield from _table(("parameter", "value", "std. error", ""), rows)
    measures = fit["measures"]
    yield f"  APE {_percent(measures['ape'])}, ARPE {_percent(measures['arpe'])}"
    yield (
        f"  AAE {_short(measures['aae'])}, RMSE {_short(measures['rmse_price'])} in price; "
        f"RMSE {_points(measures['rmse_implied_vol'])} in implied-vol points"
    )
    converged = "converged" if fit["converged"] else "NOT CONVERGED"
    yield (
        f"  {converged}: {fit['message']} ({fit['n_evaluations']} evaluations, "
        f"{fit['seconds']:.2f} s)"
    )


def _ranking(result: dict[str, Any]) -> Iterator[str]:
    header = ("", "model", "params", "loss", "APE", "AAE", "ARPE", "RMSE", "RMSE vol", "time", "")
    rows = []
    for rank, fit in enumerate(result["fits"], start=1):
        measures = fit["measures"]
        rows.append(
            (
                "-" if fit["loss"] is None else f"{rank}",
                fit["model"],
                f"{sum(not entry['fixed'] for entry in fit['parameters'].values())}",
                _short(fit["loss"]),
                _percent(measures["ape"]),
                _short(measures["aae"]),
                _percent(measures["arpe"]),
                _short(measures["rmse_price"]),
                _points(measures["rmse_implied_vol"]),
                f"{fit['seconds']:.2f} s",
                "" if fit["converged"] else "not converged",
            )
        )
    yield f"ranking by loss ({result['loss']})"
    yield from _table(header, rows, left=(1, 10))
    yield (
        "  APE, AAE, ARPE, RMSE: of prices; RMSE vol: in implied-vol points; params: those that "
        "were free"
    )


def _error(entry: dict[str, Any]) -> str:
    error = entry["standard_error"]
    return "-" if error is None else f"{error:.2g}"


def _remark(entry: dict[str, Any]) -> str:
    if entry["fixed"]:
        return "fixed"
    if entry["at_bound"]:
        return f"at its {entry['at_bound']} bound"
    return ""


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0, 3)
) -> Iterator[str]:
    """Lines of a table; columns are as wide as they need, numbers to the right."""
    lines = [header, *rows]
    widths = [max(len(line[j]) for line in lines) for j in range(len(header))]
    for line in lines:
        cells = (
            f"{cell:<{width}}" if j in left else f"{cell:>{width}}"
            for j, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield ("  " + "  ".join(cells)).rstrip()


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.3f}"
