"""Warnings of levylearn."""

__all__ = ["ArbitrageWarning", "CalibrationWarning", "QuoteWarning"]


class CalibrationWarning(UserWarning):
    """A surface could not be calibrated; its row of the result is NaN."""


class ArbitrageWarning(UserWarning):
    """Quotes violate a static no-arbitrage relation."""


class QuoteWarning(UserWarning):
    """Quotes of a chain were left out or averaged, or something was assumed for them."""
