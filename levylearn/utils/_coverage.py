"""What is common to all intervals."""

from __future__ import annotations

__all__ = ["check_coverage"]


def check_coverage(coverage: float) -> None:
    """Refuse what is no probability."""
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be between 0 and 1; got {coverage!r}.")
