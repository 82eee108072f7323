"""Pricers: transformers from parameters to option surfaces."""

from levylearn.pricing._contour import ContourPricer
from levylearn.pricing._greeks import GreeksTransformer

__all__ = ["ContourPricer", "GreeksTransformer"]
