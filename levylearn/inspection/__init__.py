"""Which quotes matter, what is new about a surface, how calibrators compare, and pictures."""

from levylearn.inspection._compare import compare_calibrators, compare_models
from levylearn.inspection._convergence_displays import ConvergenceDisplay, RankDisplay
from levylearn.inspection._drift import distribution_drift
from levylearn.inspection._error_displays import ParityDisplay, ResidualsDisplay
from levylearn.inspection._fan_display import PredictiveFanDisplay
from levylearn.inspection._heat_maps import GreeksDisplay, JacobianDisplay, RepricingErrorDisplay
from levylearn.inspection._interval_display import IntervalDisplay
from levylearn.inspection._jacobian import jacobian_sensitivity, worst_case_errors
from levylearn.inspection._novelty import SurfaceNoveltyDetector
from levylearn.inspection._parameter_displays import ParameterCoverageDisplay, PerturbationDisplay
from levylearn.inspection._posterior import (
    posterior_autocorrelation,
    posterior_diagnostics,
    sampler_statistics,
)
from levylearn.inspection._posterior_displays import PosteriorDisplay, TraceDisplay
from levylearn.inspection._region_displays import CornerDisplay, CredibleRegionDisplay
from levylearn.inspection._report import calibration_report
from levylearn.inspection._robustness import robustness_curve
from levylearn.inspection._robustness_display import RobustnessDisplay
from levylearn.inspection._simulation_based import rank_test, simulation_based_ranks
from levylearn.inspection._smile import SmileFitDisplay
from levylearn.inspection._sobol import sobol_sensitivity
from levylearn.inspection._sobol_display import SobolDisplay
from levylearn.inspection._surface_display import SurfaceDisplay
from levylearn.inspection._tradeoff_display import SpeedAccuracyDisplay
from levylearn.inspection._training_display import TrainingDisplay
from levylearn.inspection._validation_displays import CrossValidationDisplay, WalkForwardDisplay

__all__ = [
    "ConvergenceDisplay",
    "CornerDisplay",
    "CredibleRegionDisplay",
    "CrossValidationDisplay",
    "GreeksDisplay",
    "IntervalDisplay",
    "JacobianDisplay",
    "ParameterCoverageDisplay",
    "ParityDisplay",
    "PerturbationDisplay",
    "PosteriorDisplay",
    "PredictiveFanDisplay",
    "RankDisplay",
    "RepricingErrorDisplay",
    "ResidualsDisplay",
    "RobustnessDisplay",
    "SmileFitDisplay",
    "SobolDisplay",
    "SpeedAccuracyDisplay",
    "SurfaceDisplay",
    "SurfaceNoveltyDetector",
    "TraceDisplay",
    "TrainingDisplay",
    "WalkForwardDisplay",
    "calibration_report",
    "compare_calibrators",
    "compare_models",
    "distribution_drift",
    "jacobian_sensitivity",
    "posterior_autocorrelation",
    "posterior_diagnostics",
    "rank_test",
    "robustness_curve",
    "sampler_statistics",
    "simulation_based_ranks",
    "sobol_sensitivity",
    "worst_case_errors",
]
