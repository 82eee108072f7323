"""Warnings of levylearn."""

__all__ = ["AccuracyWarning", "ArbitrageWarning", "CalibrationWarning", "QuoteWarning"]


class CalibrationWarning(UserWarning):
    """A surface could not be calibrated; its row of the result is NaN."""


class AccuracyWarning(UserWarning):
    """A price cannot be computed to the accuracy that is usual; its error estimate is large."""


class ArbitrageWarning(UserWarning):
    """Quotes violate a static no-arbitrage relation."""


class QuoteWarning(UserWarning):
    """Quotes of a chain were left out or averaged, or something was assumed for them."""
