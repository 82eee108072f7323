"""Which inputs the variance of outputs comes from: Sobol's indices."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from levylearn.exceptions import CalibrationWarning
from levylearn.inspection._ranges import names_of
from levylearn.metrics._repricing import PRICER, ready
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import HasMethods, Interval, validate_params

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sobol_sensitivity"]

Floats = NDArray[np.float64]

_CALLER = "sobol_sensitivity"
_COLUMNS = {
    "S1": "first_order",
    "S1_conf": "first_order_error",
    "ST": "total_order",
    "ST_conf": "total_order_error",
}


@validate_params(
    {
        "estimator": [*PRICER, HasMethods(["predict"]), callable],
        "ranges": ["array-like", None],
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "aggregate": ["boolean"],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "n_resamples": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def sobol_sensitivity(
    estimator: Any,
    ranges: ArrayLike | None = None,
    *,
    n_samples: int = 1024,
    aggregate: bool = False,
    confidence: float = 0.95,
    n_resamples: int = 100,
    random_state: Any = None,
) -> pd.DataFrame:
    r"""Shares of the variance of outputs that inputs are responsible for.

    Inputs vary independently over their ranges. The first-order index of one is the share of an
    output's variance that it makes alone, :math:`\mathrm{Var}(E[Y|X_i]) / \mathrm{Var}(Y)`; the
    total index is the share that is left when all others are known, interactions included [1]_
    [2]_.

    Of a pricer the inputs are parameters and the outputs quotes; of a calibrator the inputs are
    quotes, between bid and ask say, and the outputs parameters.

    Parameters
    ----------
    estimator : pricer, calibrator or callable
        A pricer, fitted or not; a fitted calibrator or regressor; or a function from inputs of
        shape (n, n_inputs) to outputs of shape (n,) or (n, n_outputs). It is called once, with
        all points.
    ranges : array-like of shape (n_inputs, 2), default=None
        Ends ``(low, high)`` of the inputs, over which they are uniform. None: the market ranges
        of a pricer's parameters, on the parameters' own scales.
    n_samples : int, default=1024
        Number of base points, a power of two; there are ``n_inputs + 2`` times as many
        evaluations.
    aggregate : bool, default=False
        Whether to average the indices over the outputs, weighted by the outputs' variances
        [3]_.
    confidence : float, default=0.95
        Of the errors.
    n_resamples : int, default=100
        Number of bootstrap samples that the errors are estimated from.
    random_state : int, RandomState instance or None, default=None
        Scrambles the points, and draws the bootstrap samples.

    Returns
    -------
    table : DataFrame
        One row for each output and input, with the columns ``output``, ``input``,
        ``first_order``, ``first_order_error``, ``total_order``, ``total_order_error``: the errors
        are half widths of confidence intervals. Indices of an output that is constant are NaN.
        Errors of averages are upper bounds, the averages of the errors.

    Raises
    ------
    ValueError
        If the ranges are missing or malformed, or `n_samples` is not a power of two.

    Warns
    -----
    CalibrationWarning
        If an output is not finite at some points: the base points that they belong to are left
        out, and the indices are those of what is left.

    See Also
    --------
    jacobian_sensitivity : At one surface, not over ranges.

    References
    ----------
    .. [1] I. M. Sobol, "Global sensitivity indices for nonlinear mathematical models and their
       Monte Carlo estimates", Mathematics and Computers in Simulation 55 (2001), 271-280.
    .. [2] A. Saltelli and others, "Variance based sensitivity analysis of model output. Design
       and estimator for the total sensitivity index", Computer Physics Communications 181
       (2010), 259-270.
    .. [3] F. Gamboa, A. Janon, T. Klein and A. Lagnoux, "Sensitivity analysis for
       multidimensional and functional outputs", Electronic Journal of Statistics 8 (2014),
       575-603.

    Examples
    --------
    In the market range of Heston's model, what moves the volatilities of a smile:

    >>> from levylearn.inspection import sobol_sensitivity
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("heston", OptionGrid([90, 100, 110], [0.25]), output="implied_vol")
    >>> table = sobol_sensitivity(pricer, n_samples=256, aggregate=True, random_state=0)
    >>> table[["input", "first_order", "total_order"]].round(1)
       input  first_order  total_order
    0     v0          0.8          0.9
    1  kappa          0.0          0.0
    2  theta          0.1          0.1
    3  sigma          0.0          0.0
    4    rho          0.0          0.0
    """
    if n_samples & (n_samples - 1):
        raise ValueError(f"n_samples must be a power of two; got {n_samples}.")
    seed = int(check_random_state(random_state).randint(1, np.iinfo(np.int32).max))
    problem, evaluate = _problem(estimator, ranges)
    sample = import_optional("SALib.sample.sobol", _CALLER).sample
    points = sample(problem, n_samples, calc_second_order=False, seed=seed)
    values = np.asarray(evaluate(points), dtype=np.float64)
    outputs = _output_names(estimator, values)
    values = values.reshape(len(points), -1)
    options = {
        "num_resamples": n_resamples,
        "conf_level": confidence,
        "seed": seed,
    }
    table = _indices(problem, values, outputs, options)
    return _average(table, values, problem["names"]) if aggregate else table


# -- the problem -----------------------------------------------------------------------


def _problem(
    estimator: Any, ranges: ArrayLike | None
) -> tuple[dict[str, Any], Callable[[Floats], Any]]:
    """The inputs, as SALib describes them, and what is evaluated."""
    if _is_pricer(estimator):
        return _of_pricer(estimator, ranges)
    evaluate = estimator.predict if hasattr(estimator, "predict") else estimator
    if ranges is None:
        raise ValueError("ranges must be given, unless the estimator is a pricer.")
    ends = _checked(ranges, getattr(estimator, "n_features_in_", None))
    names = getattr(estimator, "feature_names_in_", None)
    if names is None and hasattr(estimator, "pricer_"):
        names = estimator.pricer_.get_feature_names_out()
    if names is None:
        names = [f"x{j}" for j in range(len(ends))]
    return _described(list(map(str, names)), ends), evaluate


def _of_pricer(pricer: Any, ranges: ArrayLike | None) -> tuple[dict[str, Any], Any]:
    pricer = ready(pricer)
    parameters = pricer.parameters_
    names = [parameter.name for parameter in parameters]

    def price(params: Floats) -> Floats:
        values = np.full((len(params), len(pricer.get_feature_names_out())), np.nan)
        exists = pricer.admissible(params)
        if exists.any():
            values[exists] = pricer.evaluate(params[exists])[0]
        return values

    if ranges is not None:
        return _described(names, _checked(ranges, len(names))), price
    problem = _described(names, _checked([p.market_range for p in parameters], len(names)))
    problem["dists"] = ["logunif" if p.scale == "log" else "unif" for p in parameters]
    return problem, price


def _described(names: Sequence[str], ends: Floats) -> dict[str, Any]:
    return {"num_vars": len(names), "names": list(names), "bounds": ends.tolist()}


def _checked(ranges: ArrayLike, n_inputs: int | None) -> Floats:
    ends = np.asarray(ranges, dtype=np.float64)
    if ends.ndim != 2 or ends.shape[1] != 2 or n_inputs not in (None, len(ends)):
        raise ValueError(
            f"ranges must have shape ({'n_inputs' if n_inputs is None else n_inputs}, 2), a lower "
            f"and an upper end for each input; got {ends.shape}."
        )
    bad = np.flatnonzero(~(ends[:, 0] < ends[:, 1]) | ~np.isfinite(ends).all(axis=1))
    if bad.size:
        low, high = ends[bad[0]]
        raise ValueError(
            f"ranges: the upper end must be above the lower one; entry {bad[0]} is "
            f"({low:g}, {high:g})."
        )
    return ends


def _output_names(estimator: Any, values: Floats) -> list[str]:
    if values.ndim == 1:
        return ["y"]
    if _is_pricer(estimator):
        return list(map(str, ready(estimator).get_feature_names_out()))
    return names_of(estimator, values.shape[1])


def _is_pricer(estimator: Any) -> bool:
    return hasattr(estimator, "admissible")


# -- the indices -----------------------------------------------------------------------


def _indices(
    problem: dict[str, Any], values: Floats, outputs: list[str], options: dict[str, Any]
) -> pd.DataFrame:
    """Indices of each output, from what is finite."""
    import pandas as pd

    analyze = import_optional("SALib.analyze.sobol", _CALLER).analyze
    finite = np.isfinite(values).reshape(-1, problem["num_vars"] + 2, values.shape[1])
    blocks: NDArray[np.bool_] = np.logical_and.reduce(finite, axis=1)
    _warn_of(~blocks)
    tables = []
    for output, column, kept in zip(outputs, values.T, blocks.T, strict=True):
        known = column[np.repeat(kept, problem["num_vars"] + 2)]
        found: dict[str, Any] = dict.fromkeys(_COLUMNS, np.nan)
        # What varies by rounding only is constant.
        if known.size and np.ptp(known) > 1e-13 * np.abs(known).max():
            found = analyze(problem, known, calc_second_order=False, **options)
        columns = {name: found[key] for key, name in _COLUMNS.items()}
        tables.append(pd.DataFrame({"output": output, "input": problem["names"], **columns}))
    return pd.concat(tables, ignore_index=True)


def _warn_of(lost: NDArray[np.bool_]) -> None:
    bad: NDArray[np.bool_] = np.logical_or.reduce(lost, axis=1)
    if bad.any():
        warnings.warn(
            f"{bad.sum()} of {len(bad)} base points are left out for some output, because that is "
            "not finite there; the indices are those of what is left. Narrow the ranges.",
            CalibrationWarning,
            stacklevel=4,
        )


def _average(table: pd.DataFrame, values: Floats, inputs: list[str]) -> pd.DataFrame:
    """Mean indices over the outputs that vary, weighted by their variances."""
    import pandas as pd

    columns = list(_COLUMNS.values())
    each = table[columns].to_numpy().reshape(values.shape[1], len(inputs), len(columns))
    known = ~np.isnan(each).any(axis=(1, 2))
    weight = np.nanvar(np.where(np.isfinite(values), values, np.nan)[:, known], axis=0)
    mean = np.tensordot(weight / weight.sum(), each[known], axes=1) if known.any() else np.nan
    frame = pd.DataFrame(np.broadcast_to(mean, each.shape[1:]), columns=columns)
    frame.insert(0, "input", inputs)
    frame.insert(0, "output", "all")
    return frame
