"""Surfaces to learn from, and market quotes that come with the package."""

from levylearn.datasets._quotes import load_dax_2002, load_sp500_2002

__all__ = ["load_dax_2002", "load_sp500_2002"]
