"""Errors of quotes, for training on surfaces as markets give them."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from levylearn.market import OptionGrid
from levylearn.preprocessing._base import by_rows, check_width, surfaces_of
from levylearn.preprocessing._streams import RowStreams
from levylearn.preprocessing._units import UNITS, vegas
from levylearn.utils._sklearn import Interval, StrOptions, fit_context

__all__ = ["BaseNoise", "BidAskNoise", "GaussianNoise", "OutlierNoise"]

Floats = NDArray[np.float64]


class BaseNoise(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the noises: `fit_transform` adds noise, `transform` does not.

    A subclass has the hyper-parameter `random_state`, perhaps `grid`, and implements `_noisy`;
    in `_prepare` it may check more than the ranges of its hyper-parameters.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "grid": [OptionGrid, None],
        "random_state": ["random_state"],
    }

    grid: OptionGrid | None = None

    # How many numbers `_noisy` holds at a time, for each of its input.
    _layers = 8

    @abstractmethod
    def _noisy(self, surfaces: Floats, streams: RowStreams) -> Floats:
        """Return a few surfaces with noise, of numbers drawn from their streams."""

    def _prepare(self, surfaces: Floats) -> None:
        """Do what else there is to do in `fit`."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> BaseNoise:
        """Check the hyper-parameters and the columns; there is nothing to learn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN = not quoted.
        y : None
            Ignored.

        Returns
        -------
        self : transformer
            Ready to use.

        Raises
        ------
        ValueError
            If a hyper-parameter is out of range, or the columns are not the quotes.
        """
        surfaces = surfaces_of(self, X, reset=True)
        if self.grid is not None:
            check_width(self, self.grid, self.n_features_in_)
        self._prepare(surfaces)
        return self

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Floats:
        """Return the surfaces with noise: what a pipeline does in its `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN = not quoted.
        y : None
            Ignored.

        Returns
        -------
        noisy : ndarray of shape (n_samples, n_quotes)
            The noise of a row is a function of the seed, of the row, and of how many rows
            equal to it (in single precision) come before it: neither other rows nor their
            order have a part in it.

        Raises
        ------
        ValueError
            As `fit`.
        """
        self.fit(X, y)
        surfaces = surfaces_of(self, X)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        streams = RowStreams.of(surfaces, seed)

        def noisy(rows: NDArray[np.intp]) -> Floats:
            return self._noisy(surfaces[rows], streams.take(rows))

        return by_rows(noisy, np.arange(len(surfaces)), self._layers * surfaces.shape[1])

    def transform(self, X: ArrayLike) -> Floats:
        """Return the surfaces as they are: what a pipeline does in its `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN = not quoted.

        Returns
        -------
        surfaces : ndarray of shape (n_samples, n_quotes)
            The same.

        Raises
        ------
        ValueError
            If `X` has another number of columns, or holds what is no number.
        """
        check_is_fitted(self)
        return surfaces_of(self, X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _Errors(BaseNoise):
    """Noise that is added to each quote, of a size that the hyper-parameter `kind` measures."""

    _parameter_constraints = {
        **BaseNoise._parameter_constraints,
        "kind": [StrOptions({"relative", "absolute", "implied_vol"})],
        "unit": [StrOptions(UNITS)],
    }

    @abstractmethod
    def _draw(self, streams: RowStreams) -> Floats:
        """Draw the errors, in the measure that `kind` names."""

    def _prepare(self, surfaces: Floats) -> None:
        if self.kind == "implied_vol" and self.unit != "implied_vol" and self.grid is None:
            raise ValueError(
                f"{type(self).__name__} needs the grid to turn errors of implied volatility "
                f"(kind='implied_vol') into errors of prices (unit={self.unit!r}); grid is None."
            )

    def _noisy(self, surfaces: Floats, streams: RowStreams) -> Floats:
        return surfaces + self._measure(surfaces) * self._draw(streams)

    def _measure(self, surfaces: Floats) -> Floats | float:
        """How much an error of one is, in the unit of the surfaces."""
        if self.kind == "relative":
            return surfaces
        if self.kind == "absolute" or self.unit == "implied_vol":
            return 1.0
        assert self.grid is not None
        # At its bounds, and beyond, a price does not move with volatility.
        return np.nan_to_num(vegas(surfaces, self.grid, self.unit))


class GaussianNoise(_Errors):
    r"""Normal errors of all quotes, in training only.

    `fit_transform`, which a pipeline calls in its `fit`, adds noise; `transform`, which it
    calls in its `predict`, returns what it is given.

    Parameters
    ----------
    scale : float, default=0.005
        Standard deviation of the errors.
    kind : {"relative", "absolute", "implied_vol"}, default="relative"
        What the scale is measured in: a fraction of the quote, :math:`x (1 + s\varepsilon)`;
        the unit of the surface; or implied volatility (0.01 is one point), which Black's vega
        turns into a price.
    grid : OptionGrid, default=None
        The contracts; needed for errors of implied volatility.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`. Matters for errors of
        implied volatility only.
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
    BidAskNoise : Errors within the spread.
    OutlierNoise : Few and large errors.
    NoiseInjector : A mixture.

    Notes
    -----
    The noise of a row depends on the seed, on the row, and on how many equal rows come before it.
    Nothing is clipped: absolute errors can make cheap options cost less than nothing. A price
    that no volatility gives gets no error of implied volatility.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.preprocessing import GaussianNoise
    >>> surfaces = np.array([[13.6, 8.0, 4.3], [14.7, 9.4, 5.7]])
    >>> noise = GaussianNoise(0.01, random_state=0)
    >>> np.abs(noise.fit_transform(surfaces) / surfaces - 1).max() < 0.04
    np.True_
    >>> np.array_equal(noise.transform(surfaces), surfaces)
    True
    """

    _parameter_constraints = {
        **_Errors._parameter_constraints,
        "scale": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        scale: float = 0.005,
        kind: str = "relative",
        grid: OptionGrid | None = None,
        unit: str = "price",
        random_state: Any = None,
    ) -> None:
        self.scale = scale
        self.kind = kind
        self.grid = grid
        self.unit = unit
        self.random_state = random_state

    def _draw(self, streams: RowStreams) -> Floats:
        return self.scale * ndtri(streams.uniform())


class BidAskNoise(_Errors):
    r"""Quotes anywhere between bid and ask, in training only.

    Errors are uniform within a half spread to either side. `fit_transform`, which a pipeline
    calls in its `fit`, adds noise; `transform`, which it calls in its `predict`, returns what
    it is given.

    Parameters
    ----------
    half_spread : float, default=0.005
        Half of ask less bid.
    kind : {"relative", "absolute", "implied_vol"}, default="relative"
        What the half spread is measured in: a fraction of the quote,
        :math:`x (1 + U(-l, l))`; the unit of the surface; or implied volatility (0.01 is one
        point), which Black's vega turns into a price.
    grid : OptionGrid, default=None
        The contracts; needed for errors of implied volatility.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`. Matters for errors of
        implied volatility only.
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
    GaussianNoise : Normal errors; its notes are about this noise, too.
    NoiseInjector : A mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.preprocessing import BidAskNoise
    >>> surfaces = np.array([[13.6, 8.0, 4.3], [14.7, 9.4, 5.7]])
    >>> noisy = BidAskNoise(0.1, kind="absolute", random_state=0).fit_transform(surfaces)
    >>> np.abs(noisy - surfaces).max() < 0.1
    np.True_
    """

    _parameter_constraints = {
        **_Errors._parameter_constraints,
        "half_spread": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        half_spread: float = 0.005,
        kind: str = "relative",
        grid: OptionGrid | None = None,
        unit: str = "price",
        random_state: Any = None,
    ) -> None:
        self.half_spread = half_spread
        self.kind = kind
        self.grid = grid
        self.unit = unit
        self.random_state = random_state

    def _draw(self, streams: RowStreams) -> Floats:
        return self.half_spread * (2 * streams.uniform() - 1)


class OutlierNoise(_Errors):
    r"""Large errors of a few quotes, in training only.

    Stale prices and slips of the finger: each quote has one with some probability. `fit_transform`,
    which a pipeline calls in its `fit`, adds noise; `transform`, which it calls in its
    `predict`, returns what it is given.

    Parameters
    ----------
    probability : float, default=0.02
        How likely a quote is an outlier.
    scale : float, default=0.03
        Standard deviation of the errors, or scale of Student's distribution.
    degrees_of_freedom : float or None, default=None
        Those of Student's distribution: the fewer, the heavier its tails. None: the errors are
        normal.
    kind : {"relative", "absolute", "implied_vol"}, default="relative"
        What the scale is measured in: a fraction of the quote, :math:`x (1 + s\varepsilon)`;
        the unit of the surface; or implied volatility (0.01 is one point), which Black's vega
        turns into a price.
    grid : OptionGrid, default=None
        The contracts; needed for errors of implied volatility.
    unit : {"price", "forward_price", "implied_vol"}, default="price"
        What the surfaces hold, in the words of a pricer's `output`. Matters for errors of
        implied volatility only.
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
    GaussianNoise : Errors of all quotes; its notes are about this noise, too.
    NoiseInjector : A mixture.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.preprocessing import OutlierNoise
    >>> surfaces = np.full((1000, 10), 8.0)
    >>> noisy = OutlierNoise(degrees_of_freedom=3, random_state=0).fit_transform(surfaces)
    >>> round(float(np.mean(noisy != surfaces)), 2)
    0.02
    """

    _parameter_constraints = {
        **_Errors._parameter_constraints,
        "probability": [Interval(Real, 0, 1, closed="both")],
        "scale": [Interval(Real, 0, None, closed="left")],
        "degrees_of_freedom": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(
        self,
        probability: float = 0.02,
        scale: float = 0.03,
        degrees_of_freedom: float | None = None,
        kind: str = "relative",
        grid: OptionGrid | None = None,
        unit: str = "price",
        random_state: Any = None,
    ) -> None:
        self.probability = probability
        self.scale = scale
        self.degrees_of_freedom = degrees_of_freedom
        self.kind = kind
        self.grid = grid
        self.unit = unit
        self.random_state = random_state

    def _draw(self, streams: RowStreams) -> Floats:
        is_outlier = streams.uniform() < self.probability
        uniform = streams.uniform()
        if self.degrees_of_freedom is None:
            error = ndtri(uniform)
        else:
            error = stdtrit(self.degrees_of_freedom, uniform)
        return np.where(is_outlier, self.scale * error, 0.0)
