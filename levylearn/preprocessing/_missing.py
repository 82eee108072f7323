"""Quotes that are not there."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.market import OptionGrid
from levylearn.preprocessing._noise import BaseNoise
from levylearn.preprocessing._streams import RowStreams
from levylearn.utils._sklearn import Interval, StrOptions

__all__ = ["MissingQuotes"]

Floats = NDArray[np.float64]


class MissingQuotes(BaseNoise):
    r"""Quotes that are missing (NaN), in training only.

    `fit_transform`, which a pipeline calls in its `fit`, takes quotes away; `transform`, which
    it calls in its `predict`, returns what it is given.

    Parameters
    ----------
    probability : float, default=0.1
        How likely a quote is missing, at the average distance from the money.
    pattern : {"random", "wings"}, default="random"
        Whether all quotes are missing alike, or those far from the money more often: see Notes.
    grid : OptionGrid, default=None
        The contracts; needed for the wings.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise.

    Attributes
    ----------
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    NoiseInjector : A mixture.

    Notes
    -----
    With the distance :math:`d = |\log(K/F)| / \sqrt{T}` and its average :math:`\bar d` over the
    grid, a quote in the wings is missing with probability :math:`1 - (1 - p)^{d/\bar d}`: never
    at the forward, and ever more surely away from it. A row may lose all of its quotes.

    Which are missing from a row depends on the seed, on the row, and on how many equal rows come
    before it.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.preprocessing import MissingQuotes
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 125], maturities=[0.5])
    >>> noise = MissingQuotes(0.2, pattern="wings", grid=grid, random_state=0)
    >>> noisy = noise.fit_transform(np.ones((10000, 5)))
    >>> np.isnan(noisy).mean(axis=0).round(2)
    array([0.32, 0.17, 0.  , 0.15, 0.32])
    """

    _parameter_constraints = {
        **BaseNoise._parameter_constraints,
        "probability": [Interval(Real, 0, 1, closed="left")],
        "pattern": [StrOptions({"random", "wings"})],
    }

    def __init__(
        self,
        probability: float = 0.1,
        pattern: str = "random",
        grid: OptionGrid | None = None,
        random_state: Any = None,
    ) -> None:
        self.probability = probability
        self.pattern = pattern
        self.grid = grid
        self.random_state = random_state

    def _prepare(self, surfaces: Floats) -> None:
        if self.pattern == "wings" and self.grid is None:
            raise ValueError(
                "MissingQuotes needs the grid to know the wings (pattern='wings'); grid is None."
            )

    def _noisy(self, surfaces: Floats, streams: RowStreams) -> Floats:
        return np.where(streams.uniform() < self._probabilities(), np.nan, surfaces)

    def _probabilities(self) -> Floats | float:
        if self.pattern == "random":
            return self.probability
        assert self.grid is not None
        distance = np.abs(self.grid.log_moneyness) / np.sqrt(self.grid.maturity)
        if not distance.any():  # all at the forward
            return 0.0
        return 1 - (1 - self.probability) ** (distance / distance.mean())
