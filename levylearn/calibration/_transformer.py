"""The network that pays attention to quotes."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._neural import NeuralCalibrator
from levylearn.calibration._principal import PrincipalComponents, location_and_scale
from levylearn.market import OptionGrid
from levylearn.utils._sklearn import Interval

__all__ = ["TransformerCalibrator"]

Floats = NDArray[np.float64]


class TransformerCalibrator(NeuralCalibrator):
    """Attention to quotes, each a token: its place and its value.

    On one grid, ragged or not, surfaces are rid of what they have in common, as for
    :class:`CNNCalibrator`, and missing quotes are expected values given the others. With
    `tokens`, every surface brings contracts of its own, and what it lacks gets no attention.

    Parameters
    ----------
    grid : OptionGrid, default=None
        The contracts, one for each column, ragged or not: quotes are known by log-moneyness
        and maturity. None means that columns are known by their number.
    tokens : bool, default=False
        Whether every surface brings its own contracts. A row then has three parts of one
        length: log-moneynesses, maturities and values, as
        :func:`levylearn.preprocessing.quote_tokens` lays them out; `grid` must be None.
    width : int, default=64
        Numbers that stand for a quote or for a query.
    n_heads : int, default=4
        Kinds of attention; must divide `width`.
    n_queries : int, default=16
        Queries that gather the quotes.
    n_layers : int, default=2
        Layers of attention among what was gathered.
    loss : {"squared_error", "absolute_error"}, default="squared_error"
        Of the parameters, each in units of its standard deviation: the answer to an ambiguous
        surface is the mean, or the median, of the parameters that it may come from.
    learning_rate : float, default=2e-3
        The greatest; it is reached after a tenth of the training and falls to zero.
    weight_decay : float, default=0.0
        By how much weights shrink in a step, in units of the learning rate.
    batch_size : int or None, default=None
        Examples in a step. None means at most 256, and at least 32 steps an epoch.
    max_epochs : int, default=20
        How often all examples are learned from.
    patience : int, default=20
        Epochs without a better loss on the held-out examples after which training ends. The
        weights of the best epoch are kept in any case.
    validation_fraction : float, default=0.1
        Part of the examples that is held out.
    augment : transformer, default=None
        Its `fit_transform` disturbs the surfaces, anew in every epoch: a noise of
        :mod:`levylearn.preprocessing`, or a pipeline of several.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last `fit`.
    checkpoint : path-like, default=None
        File for the state of the training. If training was interrupted, the same `fit` goes on
        where it was; the file is deleted when it is done.
    device : str, default="auto"
        Where to train, in torch's words; ``"auto"`` is a graphics card, if there is any.
        Predictions are made on the CPU.
    mixed_precision : bool, default=False
        Whether a graphics card is to compute in half precision where it may.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, of the order of examples, of those held out, and of `augment`.
    verbose : int, default=0
        Whether to show progress.

    Attributes
    ----------
    history_ : dict of str to ndarray
        Of every epoch ``train_loss`` and ``valid_loss``, its last ``learning_rate``, and how many
        ``seconds`` it took.
    n_epochs_ : int
        Number of epochs.
    best_epoch_ : int
        Number of the epoch, from 0, whose weights were kept.
    appraisal_ : dict
        What the held-out examples tell: ``mean_absolute_error``, ``root_mean_squared_error``
        and ``deviation`` (standard deviation) of each parameter, how many examples were learned
        from and held out, and the versions of the packages.
    training_range_ : TrainingRange
        Least and greatest inputs and parameters that were learned from.
    parameter_names_ : tuple of str
        The columns of `y`, if it was a frame; else y0, y1 and so on.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    levylearn.preprocessing.quote_tokens : Rows for surfaces that bring their own contracts.
    levylearn.preprocessing.QuoteGridder : Brings ragged chains to a product grid instead.

    References
    ----------
    Vaswani, A., Shazeer, N., Parmar, N., Uszkoreit, J., Jones, L., Gomez, A., Kaiser, L. and
    Polosukhin, I. (2017). Attention is all you need. Advances in Neural Information Processing
    Systems 30.

    Jaegle, A., Gimeno, F., Brock, A., Zisserman, A., Vinyals, O. and Carreira, J. (2021).
    Perceiver: general perception with iterative attention. Proceedings of Machine Learning
    Research 139, 4651-4664.

    Examples
    --------
    >>> from levylearn.calibration import TransformerCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=1000, random_state=0)
    >>> calibrator = TransformerCalibrator(grid, max_epochs=10, random_state=0).fit(X, y)
    >>> calibrator.score(X, y) > 0.95
    True
    """

    _rows_at_once = 256  # attention holds many numbers for each quote
    _parameter_constraints: dict[str, list[Any]] = {
        **NeuralCalibrator._parameter_constraints,
        "grid": [OptionGrid, None],
        "tokens": ["boolean"],
        "width": [Interval(Integral, 1, None, closed="left")],
        "n_heads": [Interval(Integral, 1, None, closed="left")],
        "n_queries": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        grid: OptionGrid | None = None,
        *,
        tokens: bool = False,
        width: int = 64,
        n_heads: int = 4,
        n_queries: int = 16,
        n_layers: int = 2,
        loss: str = "squared_error",
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        max_epochs: int = 20,
        patience: int = 20,
        validation_fraction: float = 0.1,
        augment: Any = None,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        mixed_precision: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            loss=loss,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            validation_fraction=validation_fraction,
            augment=augment,
            warm_start=warm_start,
            checkpoint=checkpoint,
            device=device,
            mixed_precision=mixed_precision,
            random_state=random_state,
            verbose=verbose,
        )
        self.grid = grid
        self.tokens = tokens
        self.width = width
        self.n_heads = n_heads
        self.n_queries = n_queries
        self.n_layers = n_layers

    def _prepare(self, X: Floats) -> None:
        n_quotes = X.shape[1] // 3 if self.tokens else X.shape[1]
        if self.width % self.n_heads:
            raise ValueError(f"n_heads must divide width ({self.width}); got {self.n_heads!r}.")
        if self.tokens and (self.grid is not None or X.shape[1] % 3):
            raise ValueError(
                "with tokens=True, grid must be None and X must have three columns for each "
                f"quote; got grid={self.grid!r} and {X.shape[1]} columns."
            )
        if self.grid is not None and self.grid.n_quotes != n_quotes:
            raise ValueError(
                f"grid must have a quote for each of the {n_quotes} columns of X; it has "
                f"{self.grid.n_quotes}."
            )
        if self.tokens:
            # Quotes of one kind have one location and scale, wherever they stand.
            parts = [location_and_scale(part.reshape(-1, 1)) for part in np.split(X, 3, axis=1)]
            self._location, self._scale = np.repeat(parts, n_quotes, axis=0)[..., 0].T
        else:
            self._components = PrincipalComponents(X)

    def _inputs(self, X: Floats) -> Floats:
        if self.tokens:
            return (X - self._location) / self._scale
        return self._components.scores(X)

    def _entry(self) -> dict[str, Any] | None:
        return None if self.tokens else {"directions": self._components.directions}

    def _traits(self, inputs: Floats) -> Floats:
        if not self.tokens:
            return inputs
        # Of tokens, the least and the greatest of each kind.
        known = ~np.isnan(kinds := inputs.reshape(len(inputs), 3, -1))
        least = kinds.min(axis=2, where=known, initial=np.inf)
        return np.hstack([least, kinds.max(axis=2, where=known, initial=-np.inf)])

    def _quoted(self, X: Floats) -> NDArray[np.bool_]:
        return super()._quoted(X[:, -(X.shape[1] // 3) :] if self.tokens else X)

    def _network(self, n_in: int, n_out: int) -> tuple[str, dict[str, Any]]:
        return "QuoteTransformer", {
            "coordinates": None if self.tokens else _coordinates(self.grid, self.n_features_in_),
            "n_out": n_out,
            "width": self.width,
            "n_heads": self.n_heads,
            "n_queries": self.n_queries,
            "n_layers": self.n_layers,
        }


def _coordinates(grid: OptionGrid | None, n_quotes: int) -> Floats:
    """Where the columns are: moneyness in two scales, maturity and type; or just their numbers."""
    if grid is None:
        return np.eye(n_quotes)
    k, maturity = grid.log_moneyness, grid.maturity
    places = np.column_stack([k, k / np.sqrt(maturity), np.log(maturity), grid.is_call])
    location, scale = location_and_scale(places)
    return (places - location) / scale
