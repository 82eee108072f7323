"""Which quotes matter, what is new about a surface, how calibrators compare, and pictures."""

from levylearn.inspection._drift import distribution_drift
from levylearn.inspection._jacobian import jacobian_sensitivity, worst_case_errors
from levylearn.inspection._novelty import SurfaceNoveltyDetector
from levylearn.inspection._smile import SmileFitDisplay
from levylearn.inspection._sobol import sobol_sensitivity

__all__ = [
    "SmileFitDisplay",
    "SurfaceNoveltyDetector",
    "distribution_drift",
    "jacobian_sensitivity",
    "sobol_sensitivity",
    "worst_case_errors",
]
