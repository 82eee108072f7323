"""A mixture of noises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from levylearn.preprocessing._noise import BaseNoise, BidAskNoise, GaussianNoise
from levylearn.preprocessing._streams import RowStreams
from levylearn.utils._sklearn import StrOptions

__all__ = ["NoiseInjector"]

Floats = NDArray[np.float64]


class NoiseInjector(BaseNoise):
    """One noise or another, in training only.

    Each surface, or each quote, takes its noise from one of several. `fit_transform`, which a
    pipeline calls in its `fit`, adds noise; `transform`, which it calls in its `predict`,
    returns what it is given.

    For noise upon noise, put one after the other into a pipeline.

    Parameters
    ----------
    noises : list of noise transformers, default=None
        What to choose from; their own `random_state` is not used. None: errors within a
        bid-ask spread, and normal ones, both of the default size.
    weights : list of float, default=None
        How often each is chosen; what counts is their ratio. None: equally often.
    per : {"surface", "quote"}, default="surface"
        Whether all quotes of a surface have noise of one kind, or each chooses for itself.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice and of the noise.

    Attributes
    ----------
    noises_ : list of noise transformers
        The fitted noises.
    weights_ : ndarray of shape (n_noises,)
        The weights, which sum to one.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the columns, if `fit` saw any.

    See Also
    --------
    BidAskNoise : Errors within the spread.
    GaussianNoise : Normal errors.
    OutlierNoise : Few and large errors.
    MissingQuotes : Quotes that are not there.

    Examples
    --------
    Most surfaces with errors of half a per cent, one in ten with outliers besides:

    >>> import numpy as np
    >>> from levylearn.preprocessing import GaussianNoise, NoiseInjector, OutlierNoise
    >>> surfaces = np.full((1000, 10), 8.0)
    >>> noise = NoiseInjector(
    ...     [GaussianNoise(0.005), OutlierNoise(0.1)], weights=[9, 1], random_state=0
    ... )
    >>> noisy = noise.fit_transform(surfaces)
    >>> round(float(np.mean((noisy == surfaces).any(axis=1))), 1)
    0.1
    """

    _parameter_constraints = {
        "noises": [list, tuple, None],
        "weights": ["array-like", None],
        "per": [StrOptions({"surface", "quote"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        noises: Sequence[BaseNoise] | None = None,
        weights: Sequence[float] | None = None,
        per: str = "surface",
        random_state: Any = None,
    ) -> None:
        self.noises = noises
        self.weights = weights
        self.per = per
        self.random_state = random_state

    def _prepare(self, surfaces: Floats) -> None:
        noises = [BidAskNoise(), GaussianNoise()] if self.noises is None else self.noises
        if not noises or not all(isinstance(noise, BaseNoise) for noise in noises):
            raise ValueError(f"noises must be noise transformers, one or more; got {noises!r}.")
        self.noises_ = [clone(noise).fit(surfaces) for noise in noises]
        self.weights_ = self._normalised_weights()

    def _normalised_weights(self) -> Floats:
        n_noises = len(self.noises_)
        weights = np.ones(n_noises) if self.weights is None else np.asarray(self.weights, float)
        finite = weights.shape == (n_noises,) and np.isfinite(weights).all()
        if not finite or weights.min() < 0 or weights.sum() == 0:
            raise ValueError(
                f"weights must be {n_noises} numbers, one for each noise, none of them negative "
                f"and not all zero; got {self.weights!r}."
            )
        return weights / weights.sum()

    def _noisy(self, surfaces: Floats, streams: RowStreams) -> Floats:
        uniform = streams.uniform()
        if self.per == "surface":
            uniform = uniform[:, :1]
        # The last step up is to one, but may miss it by a rounding error.
        choice = np.searchsorted(self.weights_.cumsum()[:-1], uniform, side="right")
        mixed = surfaces
        for number, noise in enumerate(self.noises_):
            mixed = np.where(
                choice == number, noise._noisy(surfaces, streams.branch(number)), mixed
            )
        return mixed
