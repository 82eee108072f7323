"""How well a posterior was sampled, as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from levylearn.utils._optional import import_optional

__all__ = ["posterior_autocorrelation", "posterior_diagnostics", "sampler_statistics"]


def posterior_diagnostics(posterior: Any) -> pd.DataFrame:
    """Mean, deviation, and how well draws tell them, for every unknown.

    Parameters
    ----------
    posterior : InferenceData
        Of one surface, as from a calibrator's `sample_posterior`.

    Returns
    -------
    table : DataFrame
        One row for each unknown, with columns ``mean``, ``sd``, ``mcse_mean``, ``mcse_sd``
        (standard errors by chance of the draws), ``ess_bulk``, ``ess_tail`` (effective sample
        sizes) and ``r_hat``, which is NaN for a single chain.

    See Also
    --------
    sampler_statistics : Acceptance, divergences.
    posterior_autocorrelation : How long draws remember.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021).
    Rank-normalization, folding, and localization: an improved R-hat for assessing convergence
    of MCMC. Bayesian Analysis 16, 667-718.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import NUTSCalibrator
    >>> from levylearn.inspection import posterior_diagnostics
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> table = posterior_diagnostics(NUTSCalibrator(pricer).fit(X).posterior_)
    >>> bool(table.loc["sigma", "r_hat"] < 1.01)
    True
    """
    arviz = import_optional("arviz", "posterior_diagnostics")
    draws = posterior.posterior
    single = draws.sizes["chain"] == 1
    table = pd.DataFrame(
        {
            "mean": _by_name(draws.mean(("chain", "draw"))),
            "sd": _by_name(draws.std(("chain", "draw"), ddof=1)),
            "mcse_mean": _by_name(arviz.mcse(draws, method="mean")),
            "mcse_sd": _by_name(arviz.mcse(draws, method="sd")),
            "ess_bulk": _by_name(arviz.ess(draws, method="bulk")),
            "ess_tail": _by_name(arviz.ess(draws, method="tail")),
            "r_hat": np.nan if single else _by_name(arviz.rhat(draws, method="rank")),
        }
    )
    return table.rename_axis("unknown")


def sampler_statistics(posterior: Any) -> pd.DataFrame:
    """What a sampler reports of every chain: acceptance, divergences, lengths of trajectories.

    Parameters
    ----------
    posterior : InferenceData
        Of one surface, as from a calibrator's `sample_posterior`.

    Returns
    -------
    table : DataFrame
        One row for each chain; columns are means over its draws of what the method has in
        ``sample_stats``, such as ``lp``, the log-density, and ``acceptance_rate``;
        ``diverging`` is a number of draws.

    See Also
    --------
    posterior_diagnostics : How well the draws tell means and deviations.

    Examples
    --------
    >>> from levylearn.calibration import NUTSCalibrator
    >>> from levylearn.inspection import sampler_statistics
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> table = sampler_statistics(NUTSCalibrator(pricer).fit(X).posterior_)
    >>> int(table.diverging.sum())
    0
    """
    chains = pd.RangeIndex(posterior.posterior.sizes["chain"], name="chain")
    if "sample_stats" not in posterior.groups():
        return pd.DataFrame(index=chains)
    columns = {
        name: values.sum("draw") if name == "diverging" else values.mean("draw")
        for name, values in posterior.sample_stats.items()
    }
    return pd.DataFrame({name: values.values for name, values in columns.items()}, chains)


def posterior_autocorrelation(posterior: Any, max_lag: int = 50) -> pd.DataFrame:
    """Correlation of draws with later ones of the same chain.

    Parameters
    ----------
    posterior : InferenceData
        Of one surface, as from a calibrator's `sample_posterior`.
    max_lag : int, default=50
        Longest distance between draws.

    Returns
    -------
    table : DataFrame
        One row for each lag from 0 on, one column for each unknown: means over the chains.

    Raises
    ------
    ValueError
        If the chains are not longer than `max_lag`.

    See Also
    --------
    posterior_diagnostics : What it amounts to, as effective sample sizes.

    Examples
    --------
    >>> from levylearn.calibration import EmceeCalibrator
    >>> from levylearn.inspection import posterior_autocorrelation
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> table = posterior_autocorrelation(EmceeCalibrator(pricer).fit(X).posterior_, 20)
    >>> table.loc[0, "sigma"], bool(abs(table.loc[20, "sigma"]) < 0.1)
    (np.float64(1.0), True)
    """
    arviz = import_optional("arviz", "posterior_autocorrelation")
    n_draws = posterior.posterior.sizes["draw"]
    if not 0 <= max_lag < n_draws:
        raise ValueError(f"max_lag must be from 0 to {n_draws - 1}; got {max_lag!r}.")
    columns = {
        name: arviz.autocorr(values.values, axis=-1).mean(axis=0)[: max_lag + 1]
        for name, values in posterior.posterior.items()
    }
    return pd.DataFrame(columns).rename_axis("lag")


def _by_name(values: Any) -> pd.Series:
    return pd.Series({name: float(value) for name, value in values.items()})
