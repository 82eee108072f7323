"""Pricers: transformers from parameters to option surfaces."""

from levylearn.pricing._contour import ContourPricer
from levylearn.pricing._monte_carlo import MonteCarloPricer

__all__ = ["ContourPricer", "MonteCarloPricer"]
