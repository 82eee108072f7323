"""Pictures of surfaces, and of what models make of them."""

from levylearn.inspection._smile import SmileFitDisplay

__all__ = ["SmileFitDisplay"]
