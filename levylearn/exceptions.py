"""Warnings of levylearn."""

__all__ = ["ArbitrageWarning", "CalibrationWarning", "ExtrapolationWarning", "QuoteWarning"]


class CalibrationWarning(UserWarning):
    """A surface could not be calibrated; its row of the result is NaN."""


class ExtrapolationWarning(UserWarning):
    """A surface is far from all that a calibrator has learned from."""


class ArbitrageWarning(UserWarning):
    """Quotes violate a static no-arbitrage relation."""


class QuoteWarning(UserWarning):
    """Quotes of a chain were left out or averaged, or something was assumed for them."""
