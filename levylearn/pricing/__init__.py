"""Pricers: transformers from parameters to option surfaces."""

from levylearn.pricing._carr_madan import CarrMadanPricer
from levylearn.pricing._contour import ContourPricer
from levylearn.pricing._convergence import convergence_study
from levylearn.pricing._cos import COSPricer
from levylearn.pricing._greeks import GreeksTransformer
from levylearn.pricing._monte_carlo import MonteCarloPricer
from levylearn.pricing._pide import PIDEPricer
from levylearn.pricing._surrogate import SurrogatePricer

__all__ = [
    "COSPricer",
    "CarrMadanPricer",
    "ContourPricer",
    "GreeksTransformer",
    "MonteCarloPricer",
    "PIDEPricer",
    "SurrogatePricer",
    "convergence_study",
]
