"""The convolutional network."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from levylearn.calibration._neural import ComponentsCalibrator, NeuralCalibrator, checked_sizes

__all__ = ["CNNCalibrator"]

Floats = NDArray[np.float64]


class CNNCalibrator(ComponentsCalibrator):
    """Convolutional network on surfaces as pictures, maturities by strikes.

    Before they are seen as pictures, surfaces are rid of what they have in common: all their
    principal components are brought to one size, quote by quote.

    Parameters
    ----------
    surface_shape : (n_maturities, n_strikes), default=None
        Shape of the product grid, as :attr:`levylearn.market.OptionGrid.shape` gives it. None
        means that all quotes are of one maturity.
    channels : tuple of int, default=(16, 32, 32)
        Channels of each convolution; all but the first halve the picture.
    loss : {"squared_error", "absolute_error"}, default="squared_error"
        Of the parameters, each in units of its standard deviation: the answer to an ambiguous
        surface is the mean, or the median, of the parameters that it may come from.
    learning_rate : float, default=2e-3
        The greatest; it is reached after a tenth of the training and falls to zero.
    weight_decay : float, default=0.0
        By how much weights shrink in a step, in units of the learning rate.
    batch_size : int or None, default=None
        Examples in a step. None means at most 256, and at least 32 steps an epoch.
    max_epochs : int, default=40
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
    TransformerCalibrator : For grids that are not a product.

    References
    ----------
    Dimitroff, G., Roeder, D. and Fries, C. (2018). Volatility model calibration with
    convolutional neural networks. SSRN 3252432.

    Examples
    --------
    >>> from levylearn.calibration import CNNCalibrator
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
    >>> X, y = make_surfaces("variance_gamma", grid, n_samples=1000, random_state=0)
    >>> calibrator = CNNCalibrator(surface_shape=(2, 5), random_state=0).fit(X, y)
    >>> calibrator.score(X, y) > 0.95
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **NeuralCalibrator._parameter_constraints,
        "surface_shape": [tuple, list, None],
        "channels": [tuple, list],
    }

    def __init__(
        self,
        surface_shape: tuple[int, int] | None = None,
        *,
        channels: tuple[int, ...] = (16, 32, 32),
        loss: str = "squared_error",
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        max_epochs: int = 40,
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
        self.surface_shape = surface_shape
        self.channels = channels

    def _entry(self) -> dict[str, Any] | None:
        return {"directions": self._components.directions}

    def _network(self, n_in: int, n_out: int) -> tuple[str, dict[str, Any]]:
        n_quotes = self.n_features_in_
        shape: tuple[int, ...] = (1, n_quotes)
        if self.surface_shape is not None:
            shape = checked_sizes("surface_shape", self.surface_shape)
        if len(shape) != 2 or shape[0] * shape[1] != n_quotes:
            raise ValueError(
                "surface_shape must be (n_maturities, n_strikes) of a product grid with the "
                f"{n_quotes} quotes of X; got {self.surface_shape!r}."
            )
        channels = checked_sizes("channels", self.channels)
        return "ConvolutionalNet", {"shape": shape, "n_out": n_out, "channels": channels}
