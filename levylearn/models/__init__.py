"""Characteristic functions and their gradients; nothing else."""

from levylearn.models._base import CharacteristicModel, LevyModel, SumModel
from levylearn.models._black_scholes import BlackScholes
from levylearn.models._cgmy import CGMY
from levylearn.models._heston import Heston
from levylearn.models._nig import NIG
from levylearn.models._parameter import Parameter
from levylearn.models._registry import get_model, list_models, register_model
from levylearn.models._sums import Bates, DoubleHeston, DoubleHestonJump, Kou, Merton
from levylearn.models._variance_gamma import VarianceGamma

__all__ = [
    "CGMY",
    "NIG",
    "Bates",
    "BlackScholes",
    "CharacteristicModel",
    "DoubleHeston",
    "DoubleHestonJump",
    "Heston",
    "Kou",
    "LevyModel",
    "Merton",
    "Parameter",
    "SumModel",
    "VarianceGamma",
    "get_model",
    "list_models",
    "register_model",
]
