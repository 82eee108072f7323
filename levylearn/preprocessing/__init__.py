"""Transformers of surfaces: volatilities, features, noise, gridding of ragged quotes."""

from levylearn.preprocessing._arbitrage_filter import ArbitrageFilter
from levylearn.preprocessing._features import SurfaceFeatures
from levylearn.preprocessing._gridder import QuoteGridder
from levylearn.preprocessing._implied_vol import ImpliedVolTransformer
from levylearn.preprocessing._missing import MissingQuotes
from levylearn.preprocessing._noise import BidAskNoise, GaussianNoise, OutlierNoise
from levylearn.preprocessing._noise_injector import NoiseInjector
from levylearn.preprocessing._parameters import ParameterTransformer
from levylearn.preprocessing._parts import order_parts
from levylearn.preprocessing._tokens import quote_tokens

__all__ = [
    "ArbitrageFilter",
    "BidAskNoise",
    "GaussianNoise",
    "ImpliedVolTransformer",
    "MissingQuotes",
    "NoiseInjector",
    "OutlierNoise",
    "ParameterTransformer",
    "QuoteGridder",
    "SurfaceFeatures",
    "order_parts",
    "quote_tokens",
]
