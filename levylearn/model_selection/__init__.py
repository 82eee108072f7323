"""Splitters: what a calibrator learns from, and what it is tested on."""

from levylearn.model_selection._parameter_stratified import ParameterStratifiedKFold
from levylearn.model_selection._regime import RegimeSplit
from levylearn.model_selection._walk_forward import WalkForwardSplit

__all__ = ["ParameterStratifiedKFold", "RegimeSplit", "WalkForwardSplit"]
