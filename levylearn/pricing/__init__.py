"""Pricers: transformers from parameters to option surfaces."""

from levylearn.pricing._carr_madan import CarrMadanPricer
from levylearn.pricing._contour import ContourPricer
from levylearn.pricing._cos import COSPricer

__all__ = ["COSPricer", "CarrMadanPricer", "ContourPricer"]
