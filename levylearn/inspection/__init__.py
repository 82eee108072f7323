"""Which quotes matter, what is new about a surface, how calibrators compare, and pictures."""

from levylearn.inspection._compare import compare_calibrators, compare_models
from levylearn.inspection._drift import distribution_drift
from levylearn.inspection._jacobian import jacobian_sensitivity, worst_case_errors
from levylearn.inspection._novelty import SurfaceNoveltyDetector
from levylearn.inspection._robustness import robustness_curve
from levylearn.inspection._smile import SmileFitDisplay
from levylearn.inspection._sobol import sobol_sensitivity

__all__ = [
    "SmileFitDisplay",
    "SurfaceNoveltyDetector",
    "compare_calibrators",
    "compare_models",
    "distribution_drift",
    "jacobian_sensitivity",
    "robustness_curve",
    "sobol_sensitivity",
    "worst_case_errors",
]
