"""Why a calibration ended."""

from enum import IntEnum

__all__ = ["CalibrationStatus"]


class CalibrationStatus(IntEnum):
    """Reason for which the calibration of one surface ended.

    Attributes
    ----------
    EXACT : int
        The quotes are reproduced to rounding error.
    CLOSE : int
        The quotes are reproduced to eight digits, and more would take long.
    CONVERGED : int
        No step improves the fit any further, within the tolerance.
    MAX_EVALUATIONS : int
        The budget of evaluations is used up.
    NO_QUOTES : int
        There are fewer quotes than free parameters.
    NO_START : int
        The surface cannot be compared with any starting point.
    """

    EXACT = 0
    CLOSE = 1
    CONVERGED = 2
    MAX_EVALUATIONS = 3
    NO_QUOTES = 4
    NO_START = 5

    @property
    def message(self) -> str:
        """One sentence that says it."""
        return _MESSAGES[self]

    @property
    def success(self) -> bool:
        """Whether the parameters are an optimum."""
        return self <= CalibrationStatus.CONVERGED


_MESSAGES = {
    CalibrationStatus.EXACT: "The quotes are reproduced to rounding error.",
    CalibrationStatus.CLOSE: "The quotes are reproduced to eight digits.",
    CalibrationStatus.CONVERGED: "No step improves the fit any further.",
    CalibrationStatus.MAX_EVALUATIONS: "The budget of evaluations is used up.",
    CalibrationStatus.NO_QUOTES: "There are fewer quotes than free parameters.",
    CalibrationStatus.NO_START: "The surface cannot be compared with any starting point.",
}
