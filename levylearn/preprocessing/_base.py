"""What transformers of surfaces have in common: their columns are the quotes of a grid."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.market import OptionGrid
from levylearn.preprocessing._units import UNITS
from levylearn.utils._sklearn import StrOptions, check_feature_names_in, fit_context

__all__ = ["SurfaceTransformer", "by_rows", "check_width", "surfaces_of"]

Floats = NDArray[np.float64]

# Rows are worked on so many at a time as fill arrays of about this many numbers.
_CHUNK_NUMBERS = 500_000


def surfaces_of(estimator: BaseEstimator, X: ArrayLike, *, reset: bool = False) -> Floats:
    """Validate surfaces: numbers, or NaN where not quoted."""
    surfaces: Floats = validate_data(
        estimator, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=reset
    )
    return surfaces


def check_width(estimator: BaseEstimator, grid: OptionGrid, width: int) -> None:
    """Refuse surfaces of which the columns are not the quotes of the grid."""
    if width != grid.n_quotes:
        raise ValueError(
            f"X has n_features={width}, but {type(estimator).__name__} expects "
            f"n_features={grid.n_quotes}: one column for each quote of {grid!r}."
        )


def by_rows(
    function: Callable[[Any], NDArray[Any]], rows: NDArray[Any], width: int
) -> NDArray[Any]:
    """Apply a function to some rows at a time; it needs arrays of `width` numbers for each."""
    size = max(1, _CHUNK_NUMBERS // width)
    return np.concatenate([function(rows[i : i + size]) for i in range(0, len(rows), size)])


class SurfaceTransformer(TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the transformers of surfaces on a grid.

    A subclass has the hyper-parameters `grid` and `unit`, and implements `_transform`
    for a few surfaces and `_names_out`; in `_prepare` it may compute what depends on
    its hyper-parameters alone.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "grid": [OptionGrid],
        "unit": [StrOptions(UNITS)],
    }

    # How many numbers `_transform` holds at a time, for each of its input.
    _layers = 4

    @abstractmethod
    def _transform(self, surfaces: Floats) -> Floats:
        """Transform a few surfaces."""

    @abstractmethod
    def _names_out(self) -> NDArray[np.object_]:
        """Name the columns that come out."""

    def _prepare(self) -> None:
        """Compute, in `fit`, what depends on the hyper-parameters alone."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> SurfaceTransformer:
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
        surfaces_of(self, X, reset=True)
        check_width(self, self._source, self.n_features_in_)
        self._prepare()
        return self

    def transform(self, X: ArrayLike) -> Floats:
        """Transform surfaces, each by itself.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN = not quoted.

        Returns
        -------
        transformed : ndarray of shape (n_samples, n_columns)
            One row for each surface.

        Raises
        ------
        ValueError
            If `X` has another number of columns, or holds what is no number.
        """
        check_is_fitted(self)
        surfaces = surfaces_of(self, X)
        return by_rows(self._transform, surfaces, self._layers * surfaces.shape[1])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns that come out.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns that go in; only checked.

        Returns
        -------
        names : ndarray of str of shape (n_columns,)
            One for each column.
        """
        check_is_fitted(self)
        check_feature_names_in(self, input_features)
        return self._names_out()

    @property
    def _source(self) -> OptionGrid:
        """The grid of the surfaces that come in."""
        return self.grid

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
