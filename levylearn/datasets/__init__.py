"""Surfaces to learn from, and market quotes that come with the package."""

from levylearn.datasets._quotes import load_dax_2002, load_sp500_2002
from levylearn.datasets._regimes import market_regimes
from levylearn.datasets._series import make_surface_series
from levylearn.datasets._surface_dataset import SurfaceDataset
from levylearn.datasets._surfaces import make_surfaces

__all__ = [
    "SurfaceDataset",
    "load_dax_2002",
    "load_sp500_2002",
    "make_surface_series",
    "make_surfaces",
    "market_regimes",
]
