"""Pricers: transformers from parameters to option surfaces."""

from levylearn.pricing._contour import ContourPricer

__all__ = ["ContourPricer"]
