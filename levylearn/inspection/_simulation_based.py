"""Whether a calibrator's posteriors are what they say, on surfaces drawn from the prior."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from levylearn.utils._sklearn import HasMethods, Interval, validate_params

__all__ = ["rank_test", "simulation_based_ranks"]


@validate_params(
    {
        "calibrator": [HasMethods(["prior_predictive", "sample_posterior"])],
        "n_surfaces": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def simulation_based_ranks(
    calibrator: Any, n_surfaces: int = 200, *, random_state: Any = None
) -> pd.DataFrame:
    """Ranks of the truth among the draws, for surfaces simulated from the prior.

    If draws are from the posterior, and prior and noise those of the simulation, the rank of
    every unknown is uniform: in one histogram this tests prior, likelihood and sampler.

    Parameters
    ----------
    calibrator : calibrator
        A fitted one with a posterior, such as :class:`levylearn.calibration.NUTSCalibrator`.
    n_surfaces : int, default=200
        How many surfaces to simulate and to calibrate.
    random_state : int, RandomState instance or None, default=None
        Of the simulation.

    Returns
    -------
    ranks : DataFrame
        One row for each surface that could be calibrated, one column for each unknown: the
        share of the draws that are less than the truth, from 0 to 1.

    See Also
    --------
    rank_test : Whether ranks are uniform, and how often intervals contain the truth.

    References
    ----------
    Talts, S., Betancourt, M., Simpson, D., Vehtari, A. and Gelman, A. (2018). Validating
    Bayesian inference algorithms with simulation-based calibration. arXiv:1804.06788.

    Examples
    --------
    >>> from levylearn.calibration import LaplaceCalibrator
    >>> from levylearn.inspection import simulation_based_ranks
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> pricer = ContourPricer("black_scholes", OptionGrid([90, 100, 110], [0.5, 1.0]))
    >>> X = pricer.fit([[0.2]]).transform([[0.2]])
    >>> calibrator = LaplaceCalibrator(pricer).fit(X)
    >>> simulation_based_ranks(calibrator, 10, random_state=0).shape
    (10, 1)
    """
    X, truth = calibrator.prior_predictive(n_surfaces, random_state=random_state)
    rows = {}
    for row, posterior in enumerate(calibrator.sample_posterior(X)):
        if posterior is not None:
            draws = posterior.posterior.items()
            rows[row] = {
                name: float((values.values < value).mean())
                for (name, values), value in zip(draws, truth[row], strict=True)
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("surface")


@validate_params(
    {
        "ranks": [pd.DataFrame],
        "coverage": [Interval(Real, 0, 1, closed="neither")],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def rank_test(ranks: pd.DataFrame, *, coverage: float = 0.95, n_bins: int = 10) -> pd.DataFrame:
    """Test whether ranks are uniform, and count how often intervals contain the truth.

    Parameters
    ----------
    ranks : DataFrame
        From :func:`simulation_based_ranks`.
    coverage : float, default=0.95
        Of the equal-tailed intervals that are counted.
    n_bins : int, default=10
        Bins of equal width for the chi-squared test.

    Returns
    -------
    table : DataFrame
        One row for each unknown: ``n`` ranks; ``ks_p_value`` of Kolmogorov and Smirnov's
        test, which notices ranks that are shifted, and ``chi2_p_value`` of the chi-squared
        test, which notices too narrow and too wide posteriors as well; ``coverage``, the
        share of the intervals that contain the truth, and ``coverage_error``, its standard
        error by chance.

    See Also
    --------
    simulation_based_ranks : What makes the ranks.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from levylearn.inspection import rank_test
    >>> even = pd.DataFrame({"sigma": (np.arange(100) + 0.5) / 100})
    >>> rank_test(even).round(3)
               n  ks_p_value  chi2_p_value  coverage  coverage_error
    unknown
    sigma    100         1.0           1.0      0.94           0.022
    """
    n = len(ranks)
    table = {}
    for name, column in ranks.items():
        counts, _ = np.histogram(column, bins=n_bins, range=(0, 1))
        within = np.abs(column - 0.5) < coverage / 2
        table[name] = {
            "n": n,
            "ks_p_value": stats.kstest(column, "uniform").pvalue,
            "chi2_p_value": stats.chisquare(counts).pvalue,
            "coverage": within.mean(),
            "coverage_error": np.sqrt(coverage * (1 - coverage) / n),
        }
    frame = pd.DataFrame.from_dict(table, orient="index").rename_axis("unknown")
    return frame.astype({"n": int})
