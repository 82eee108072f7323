"""Training a network: schedule, best weights, checkpoints."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import hash as content_hash
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from skorch.helper import predefined_split
from skorch.history import History
from skorch.utils import noop
from torch import Tensor, nn
from tqdm.auto import tqdm

from levylearn.calibration._torch.networks import weights_of
from levylearn.exceptions import CalibrationWarning

# The learning rate rises over this part of the training, then falls to nothing.
_WARM_UP = 0.1
_LONGEST_GRADIENT = 1.0
_HELD_BATCH = 4096
# What is told of every epoch, and what skorch calls it.
_HISTORY = [
    ("train_loss", "train_loss"),
    ("valid_loss", "valid_loss"),
    ("learning_rate", "learning_rate"),
    ("seconds", "dur"),
]

Renew = Callable[[int], Any]


class Recipe(NamedTuple):
    """How to train; the names are those of the calibrators' hyper-parameters."""

    loss: str
    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    mixed_precision: bool


class Examples(torch.utils.data.Dataset):
    """Inputs and targets in single precision, all of them on the device."""

    def __init__(self, inputs: Any, targets: Any, device: str) -> None:
        self.device = device
        self.targets = self._tensor(targets)
        self.renew(inputs)

    def renew(self, inputs: Any) -> None:
        """Take other inputs for the same targets."""
        self.inputs = self._tensor(inputs)

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows: Any) -> tuple[Tensor, Tensor]:
        return self.inputs[rows], self.targets[rows]


class NegativeLogDensity(nn.Module):
    """Of targets, under the distributions that a network answers with."""

    def forward(self, distribution: Any, targets: Tensor) -> Tensor:
        """Return its mean."""
        return -distribution.log_prob(targets).mean()


_LOSSES = {
    "squared_error": nn.MSELoss,
    "absolute_error": nn.L1Loss,
    "negative_log_density": NegativeLogDensity,
}


class Batches:
    """Batches cut out of whole tensors, where torch's loader would join single rows."""

    def __init__(self, examples: Examples, batch_size: int, shuffle: bool = False) -> None:
        self.examples, self.batch_size, self.shuffle = examples, batch_size, shuffle

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self.examples)
        # Drawn on the CPU: the order is the same on every device.
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for rows in order.to(self.examples.device).split(self.batch_size):
            yield self.examples[rows]


def train(
    module: nn.Module,
    learned: tuple[Any, Any],
    held: tuple[Any, Any],
    recipe: Recipe,
    seed: int,
    *,
    device: str = "auto",
    renew: Renew | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> dict[str, Any]:
    """Train a network in place; it ends with the weights that were best on held-out examples.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on the CPU.
    learned, held : tuple of (inputs, targets)
        Examples to learn from, and to judge by.
    recipe : Recipe
        How to train.
    seed : int
        Of the order of examples.
    device : str, default="auto"
        Where to train.
    renew : callable, default=None
        Returns other inputs of the examples to learn from for every epoch but the first.
    checkpoint : path-like, default=None
        File that keeps the state of the training. If it holds the state of this training, that
        goes on; it is deleted at the end.
    verbose : int, default=0
        Whether to show progress.

    Returns
    -------
    history : dict of str to ndarray
        One entry for each epoch in each of ``train_loss``, ``valid_loss``, ``learning_rate``
        and ``seconds``.

    Warns
    -----
    CalibrationWarning
        If training was interrupted from the keyboard.
    """
    stopping = EarlyStopping(patience=recipe.patience, threshold=0.0, load_best=True, sink=noop)
    callbacks: list[Callback] = [
        _Schedule(recipe, seed),
        GradientNormClipping(_LONGEST_GRADIENT),
        _Progress(recipe.max_epochs, verbose),
        stopping,
    ]
    if renew is not None:
        callbacks.append(_Renewal(renew))
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        key = content_hash((weights_of(module), learned, held, recipe, seed))
        callbacks.append(_Checkpoint(path, key, stopping))
    device = resolved(device)
    net = (_MixedNet if recipe.mixed_precision and device != "cpu" else NeuralNet)(
        module,
        criterion=_LOSSES[recipe.loss],
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=recipe.weight_decay,
        lr=recipe.learning_rate,
        max_epochs=recipe.max_epochs,
        batch_size=recipe.batch_size,
        iterator_train=Batches,
        iterator_train__shuffle=True,
        iterator_valid=Batches,
        iterator_valid__batch_size=_HELD_BATCH,
        train_split=predefined_split(Examples(*held, device)),
        callbacks=callbacks,
        callbacks__print_log=None,
        device=device,
        verbose=0,
    )
    net.partial_fit(Examples(*learned, device))
    module.to("cpu")
    epochs = [epoch for epoch in net.history if "learning_rate" in epoch]
    if len(epochs) < recipe.max_epochs and stopping.misses_ < recipe.patience:
        warnings.warn(
            f"training was interrupted after {len(epochs)} of {recipe.max_epochs} epochs; the "
            "best weights so far are kept.",
            CalibrationWarning,
            stacklevel=5,
        )
    elif path is not None:
        path.unlink(missing_ok=True)
    if stopping.best_model_weights_ is None:
        raise ValueError(
            "training has not come to any finite loss: lower learning_rate "
            f"(it is {recipe.learning_rate:g}), or let it run for longer than an epoch."
        )
    return {name: np.array([epoch[column] for epoch in epochs]) for name, column in _HISTORY}


def resolved(device: str) -> str:
    """Return the device that ``"auto"`` stands for."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


class _MixedNet(NeuralNet):
    """A net that computes in half precision what may be."""

    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:
        with torch.autocast(torch.device(self.device).type):
            return super().infer(x, **fit_params).float()


class _Schedule(Callback):
    """The learning rate of every step and the order of every epoch, from their numbers alone."""

    def __init__(self, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed = recipe, seed

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Examples, **kwargs: Any) -> None:
        self._n_batches = -(-len(dataset_train) // self.recipe.batch_size)
        torch.manual_seed(self.seed + len(net.history))

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        if not training:
            return
        done = len(net.history) - 1 + len(net.history[-1, "batches"]) / self._n_batches
        part = done / self.recipe.max_epochs
        fall = max((part - _WARM_UP) / (1 - _WARM_UP), 0.0)
        rate = self.recipe.learning_rate * min(part / _WARM_UP, (1 + np.cos(np.pi * fall)) / 2)
        for group in net.optimizer_.param_groups:
            group["lr"] = float(rate)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        net.history.record("learning_rate", net.optimizer_.param_groups[0]["lr"])


class _Renewal(Callback):
    """Other inputs for every epoch but the first."""

    def __init__(self, renew: Renew) -> None:
        self.renew = renew

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Examples, **kwargs: Any) -> None:
        epoch = len(net.history) - 1
        if epoch:
            dataset_train.renew(self.renew(epoch))


class _Progress(Callback):
    """A bar, one step for each epoch."""

    def __init__(self, max_epochs: int, verbose: int) -> None:
        self.max_epochs, self.verbose = max_epochs, verbose

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self._bar = tqdm(total=self.max_epochs, unit="epoch", disable=self.verbose <= 0)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self._bar.n = len(net.history)
        self._bar.set_postfix(valid_loss=f"{net.history[-1, 'valid_loss']:.3g}")

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self._bar.close()


class _Checkpoint(Callback):
    """The state of the training in a file, from one epoch to the next."""

    def __init__(self, path: Path, key: str, stopping: EarlyStopping) -> None:
        self.path, self.key, self.stopping = path, key, stopping

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if not self.path.exists():
            return
        state = torch.load(self.path, map_location=net.device, weights_only=True)
        if state["key"] != self.key:
            return
        net.module_.load_state_dict(state["module"])
        net.optimizer_.load_state_dict(state["optimizer"])
        history, numbers = state["numbers"]
        net.history_ = History(history)
        vars(self.stopping).update(numbers, best_model_weights_=state["weights"])
        net.max_epochs -= len(net.history)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        state = {
            "key": self.key,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "weights": self.stopping.best_model_weights_,
            # By way of text, NumPy's numbers become Python's: torch loads no others safely.
            "numbers": json.loads(json.dumps([net.history, self._numbers()])),
        }
        # Never half a file under the name of a whole one.
        partial = self.path.with_name(self.path.name + ".part")
        torch.save(state, partial)
        partial.replace(self.path)

    def _numbers(self) -> dict[str, float]:
        names = ("misses_", "dynamic_threshold_", "best_epoch_")
        return {name: getattr(self.stopping, name) for name in names}
