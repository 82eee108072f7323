"""Models by name."""

from __future__ import annotations

from typing import TypeVar

from levylearn.models._base import CharacteristicModel
from levylearn.models._black_scholes import BlackScholes
from levylearn.models._cgmy import CGMY
from levylearn.models._heston import Heston
from levylearn.models._nig import NIG
from levylearn.models._sums import Bates, DoubleHeston, DoubleHestonJump, Kou, Merton
from levylearn.models._variance_gamma import VarianceGamma

__all__ = ["get_model", "list_models", "register_model"]

ModelClass = TypeVar("ModelClass", bound=type[CharacteristicModel])

_REGISTRY: dict[str, type[CharacteristicModel]] = {}


def register_model(model: ModelClass) -> ModelClass:
    """Make a model class known by its name; usable as a decorator.

    Parameters
    ----------
    model : subclass of CharacteristicModel
        A class that can be constructed without arguments.

    Returns
    -------
    model : subclass of CharacteristicModel
        The same class.

    Raises
    ------
    TypeError
        If it is not a subclass of :class:`CharacteristicModel`.
    ValueError
        If another class has taken the name.

    Examples
    --------
    >>> from levylearn.models import Heston, register_model
    >>> register_model(Heston) is Heston
    True
    """
    if not (isinstance(model, type) and issubclass(model, CharacteristicModel)):
        raise TypeError(f"model must be a subclass of CharacteristicModel; got {model!r}.")
    known = _REGISTRY.setdefault(model.name, model)
    # A class defined again under its own name (a reloaded module) replaces itself.
    if (known.__module__, known.__qualname__) != (model.__module__, model.__qualname__):
        raise ValueError(f"model name {model.name!r} is taken by {known.__qualname__}.")
    _REGISTRY[model.name] = model
    return model


def list_models() -> list[str]:
    """Names of all registered models.

    Returns
    -------
    names : list of str
        In the order of registration.

    Examples
    --------
    >>> from levylearn.models import list_models
    >>> list_models()[:3]
    ['black_scholes', 'variance_gamma', 'cgmy']
    """
    return list(_REGISTRY)


def get_model(model: str | CharacteristicModel) -> CharacteristicModel:
    """Look a model up by its name.

    Parameters
    ----------
    model : str or CharacteristicModel
        A registered name; a model is returned as it is.

    Returns
    -------
    model : CharacteristicModel
        The model.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If `model` is neither a string nor a model.

    Examples
    --------
    >>> from levylearn.models import get_model
    >>> get_model("heston")
    Heston()
    """
    if isinstance(model, CharacteristicModel):
        return model
    if not isinstance(model, str):
        raise TypeError(
            f"model must be a name or an instance of CharacteristicModel; got {model!r}."
        )
    if model not in _REGISTRY:
        raise ValueError(f"unknown model {model!r}; choose from {', '.join(_REGISTRY)}.")
    return _REGISTRY[model]()


for _model in (
    BlackScholes,
    VarianceGamma,
    CGMY,
    NIG,
    Merton,
    Kou,
    Heston,
    Bates,
    DoubleHeston,
    DoubleHestonJump,
):
    register_model(_model)
