"""Warnings of levylearn."""

__all__ = ["ArbitrageWarning", "CalibrationWarning"]


class CalibrationWarning(UserWarning):
    """A surface could not be calibrated; its row of the result is NaN."""


class ArbitrageWarning(UserWarning):
    """Quotes violate a static no-arbitrage relation."""
