"""Pictures of surfaces and of what models make of them, and tables of posteriors."""

from levylearn.inspection._posterior import (
    posterior_autocorrelation,
    posterior_diagnostics,
    sampler_statistics,
)
from levylearn.inspection._simulation_based import rank_test, simulation_based_ranks
from levylearn.inspection._smile import SmileFitDisplay

__all__ = [
    "SmileFitDisplay",
    "posterior_autocorrelation",
    "posterior_diagnostics",
    "rank_test",
    "sampler_statistics",
    "simulation_based_ranks",
]
