"""What a model knows about one of its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Parameter"]


@dataclass(frozen=True)
class Parameter:
    r"""Name, symbol, admissible values and usual values of a model parameter.

    Parameters
    ----------
    name : str
        Identifier, also the column name of parameter arrays.
    symbol : str
        LaTeX symbol used in the literature.
    domain : tuple of float (low, high)
        Values for which the model exists.
    market_range : tuple of float (low, high)
        Values met on equity-index markets: the box that synthetic surfaces are
        drawn from, and where calibrations start.
    closed : {"left", "right", "both", "neither"}, default="neither"
        Which ends of `domain` belong to it.
    calibration_range : tuple of float (low, high) or None, default=None
        Box that a calibration stays in unless told otherwise; wider than
        `market_range`. ``None`` means `market_range`.
    scale : {"linear", "log"}, default="linear"
        Scale on which values spread evenly over `market_range`.
    prior : tuple of (str, dict) or None, default=None
        Name and keywords of a distribution in :mod:`scipy.stats`. ``None`` means
        uniform over `market_range`.
    unit : str, default=""
        Unit of measurement, empty where the parameter is a pure number.
    description : str, default=""
        One line on what the parameter does.

    Examples
    --------
    >>> from levylearn.models import Parameter
    >>> Parameter("sigma", r"\sigma", domain=(0, float("inf")), market_range=(0.1, 0.6)).name
    'sigma'
    """

    name: str
    symbol: str
    domain: tuple[float, float]
    market_range: tuple[float, float]
    closed: Literal["left", "right", "both", "neither"] = "neither"
    calibration_range: tuple[float, float] | None = None
    scale: Literal["linear", "log"] = "linear"
    prior: tuple[str, dict[str, float]] | None = None
    unit: str = ""
    description: str = ""

    def contains(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each value lies in the domain (NaN does not).

        Parameters
        ----------
        values : ndarray
            Values of the parameter.

        Returns
        -------
        inside : ndarray of bool
            Same shape as `values`.
        """
        low, high = self.limits
        return (values >= low) & (values <= high)

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest finite number in the domain."""
        low, high = self.domain
        if self.closed not in ("left", "both"):
            low = float(np.nextafter(low, np.inf))
        if self.closed not in ("right", "both"):
            high = float(np.nextafter(high, -np.inf))
        return low, high

    @property
    def domain_text(self) -> str:
        """The domain in interval notation, as ``(0, inf)``."""
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        return f"{left}{self.domain[0]:g}, {self.domain[1]:g}{right}"

    @property
    def bounds(self) -> tuple[float, float]:
        """The box of a calibration: `calibration_range`, or else `market_range`."""
        return self.calibration_range or self.market_range
