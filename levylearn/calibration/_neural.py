"""What the calibrators that are networks have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from levylearn.calibration._amortised import AmortisedCalibrator
from levylearn.calibration._kept_network import KeepsNetwork
from levylearn.calibration._principal import PrincipalComponents, location_and_scale
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

Floats = NDArray[np.float64]

# With few examples batches are smaller: an epoch has at least so many.
_BATCHES = 32
_SMALLEST_BATCH, _LARGEST_BATCH = 16, 256


class NeuralCalibrator(KeepsNetwork, AmortisedCalibrator):
    """Base of the calibrators that are networks.

    A subclass implements `_prepare` and `_inputs`, what the network gets for a surface, and
    `_network`, its kind and sizes.
    """

    _libraries = ("torch", "skorch")
    _parameter_constraints: dict[str, list[Any]] = {
        "loss": [StrOptions({"squared_error", "absolute_error"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "augment": [HasMethods(["fit_transform"]), None],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "device": [str],
        "mixed_precision": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        loss: str = "squared_error",
        learning_rate: float = 2e-3,
        weight_decay: float = 0.0,
        batch_size: int | None = None,
        max_epochs: int = 60,
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
        self.loss = loss
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.augment = augment
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.device = device
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _prepare(self, X: Floats) -> None:
        """Learn from surfaces how to make inputs of them."""

    @abstractmethod
    def _inputs(self, X: Floats) -> Floats:
        """Return what the network gets for surfaces."""

    def _entry(self) -> dict[str, Any] | None:
        """Arguments of what comes before the network; None if nothing does."""
        return None

    @abstractmethod
    def _network(self, n_in: int, n_out: int) -> tuple[str, dict[str, Any]]:
        """Name the network's class and its arguments."""

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any) -> NeuralCalibrator:
        """Go on learning, from other examples: fine-tuning.

        Scales and weights are those that there are, and another `max_epochs` epochs follow,
        under the hyper-parameters of now: a smaller `learning_rate` forgets less. The first
        call is a `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.
        y : array-like of shape (n_samples,) or (n_samples, n_params)
            Their parameters.

        Returns
        -------
        self : calibrator
            Ready to predict parameters.

        Raises
        ------
        ValueError
            If the examples are malformed, or a hyper-parameter is out of range.
        """
        return self._fit(X, y, reset=not hasattr(self, "history_"))

    def jacobian(self, X: Any) -> Floats:
        """Derivatives of the parameters with respect to the quotes, through the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        jacobian : ndarray of shape (n_samples, n_params, n_quotes)
            NaN for quotes that are missing.

        Warns
        -----
        CalibrationWarning
            If a surface has no quotes.
        ExtrapolationWarning
            If a surface, or what is predicted for it, is far from all that was learned from.
        """
        X = self._surfaces(X)
        self._predicted(X)  # the same warnings
        jacobian = np.full((len(X), len(self.parameter_names_), X.shape[1]), np.nan)
        quoted = np.flatnonzero(self._quoted(X))
        for start in range(0, len(quoted), self._rows_at_once):
            rows = quoted[start : start + self._rows_at_once]
            jacobian[rows] = self._slopes(X[rows])
        return jacobian

    # -- one step each ---------------------------------------------------------

    def _fit(self, X: Any, y: Any, reset: bool) -> NeuralCalibrator:
        import_optional("skorch", type(self).__name__)
        reset = reset and not (self.warm_start and hasattr(self, "history_"))
        if reset:
            self._module = None
        super()._fit(X, y, reset)
        return self

    def _as_met(self, X: Floats, seed: int) -> Floats:
        return augmented(self.augment, X, seed)

    def _learn(self, X: Floats, y: Floats, X_held: Floats, y_held: Floats, seed: int) -> Floats:
        import torch

        from levylearn.calibration._torch.training import Recipe, train

        met = self._as_met(X, seed + 1)
        if self._module is None:
            self._prepare(met)
            self._centre, self._unit = location_and_scale(y)
        inputs = self._inputs(met)
        targets, targets_held = ((part - self._centre) / self._unit for part in (y, y_held))
        size = int(np.clip(len(X) // _BATCHES, _SMALLEST_BATCH, _LARGEST_BATCH))
        recipe = Recipe(
            self.loss,
            self.learning_rate,
            self.weight_decay,
            self.batch_size or size,
            self.max_epochs,
            self.patience,
            self.mixed_precision,
        )
        with torch.random.fork_rng():  # the caller's stream is left alone
            torch.manual_seed(seed)
            if self._module is None:
                self._kind, self._spec = self._network(inputs.shape[1], y.shape[1])
                self._before = self._entry()
                module = self._build()
            else:
                module = self._module.float()
            self.history_ = train(
                module,
                (inputs, targets),
                (self._inputs(X_held), targets_held),
                recipe,
                seed,
                device=self.device,
                renew=None if self.augment is None else self._renewal(X, seed),
                checkpoint=self.checkpoint,
                verbose=self.verbose,
            )
        self._module = module.double().eval()  # trained in single precision, it answers in double
        self.n_epochs_ = len(self.history_["valid_loss"])
        self.best_epoch_ = int(np.argmin(self.history_["valid_loss"]))
        return inputs

    def _renewal(self, X: Floats, seed: int) -> Any:
        return lambda epoch: self._inputs(self._as_met(X, seed + 1 + epoch))

    def _answer(self, inputs: Floats) -> Floats:
        import torch

        with torch.inference_mode():
            params = self._module(torch.tensor(inputs)).numpy()
        return self._centre + self._unit * params

    def _slopes(self, X: Floats) -> Floats:
        """Derivatives (n, p, m) of the parameters of surfaces (n, m), each with a quote."""
        inputs = self._inputs(X)
        by_input = self._unit[:, None] * self._network_slopes(inputs)
        slopes = np.empty((len(X), by_input.shape[1], X.shape[1]))
        # Inputs are affine in the quotes there are: differences of any size are derivatives.
        step = np.nanmax(np.abs(X), axis=1)
        for quote in range(X.shape[1]):
            moved = X.copy()
            moved[:, quote] += step
            change = np.nan_to_num(self._inputs(moved) - inputs) / step[:, None]
            slopes[:, :, quote] = (by_input @ change[..., None])[..., 0]
        return np.where(np.isnan(X)[:, None, :], np.nan, slopes)

    def _network_slopes(self, inputs: Floats) -> Floats:
        """Derivatives (n, p, k) of what the network answers by its inputs (n, k)."""
        import torch

        at = torch.tensor(inputs, requires_grad=True)
        with torch.enable_grad():
            # No row has a part in another's answer: the gradient of a sum is that of each.
            totals = self._module(at).sum(dim=0)
            each = [torch.autograd.grad(total, at, retain_graph=True)[0] for total in totals]
        return torch.stack(each, dim=1).numpy()

    def _build(self) -> Any:
        from levylearn.calibration._torch.networks import build

        return build(self._kind, self._spec, self._before)


class ComponentsCalibrator(NeuralCalibrator):
    """Base of the networks that see principal components."""

    def _prepare(self, X: Floats) -> None:
        self._components = PrincipalComponents(X)

    def _inputs(self, X: Floats) -> Floats:
        return self._components.scores(X)

    def _entry(self) -> dict[str, Any] | None:
        return {}


def checked_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Return positive whole numbers as a tuple, or refuse them."""
    sizes = tuple(sizes)
    if not sizes or not all(isinstance(size, int | np.integer) and size > 0 for size in sizes):
        raise ValueError(f"{name} must be positive integers, at least one; got {sizes!r}.")
    return tuple(map(int, sizes))


def augmented(augment: Any, X: Floats, seed: int) -> Floats:
    """Surfaces as a transformer leaves them that is for training; None leaves them alone."""
    if augment is None:
        return X
    augment = clone(augment)
    seeds = {name: seed for name in augment.get_params() if _is_random_state(name)}
    met = np.asarray(augment.set_params(**seeds).fit_transform(X), dtype=np.float64)
    if met.shape != X.shape:
        raise ValueError(f"augment must return surfaces like its own, {X.shape}; got {met.shape}.")
    return met


def _is_random_state(name: str) -> bool:
    return name == "random_state" or name.endswith("__random_state")
