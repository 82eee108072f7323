"""Immutable values: compared by content, hashed, pickled, copied for free."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Value", "frozen"]


class Value:
    """Base of the objects that never change once built.

    A subclass sets its attributes once, in its constructor, and says in ``_content``
    what makes two of its values equal.
    """

    def _content(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            raise AttributeError(f"{type(self).__name__} is immutable: cannot set {name!r}.")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name!r}.")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Pickling forgets that an array is read-only.
        for name, value in state.items():
            super().__setattr__(name, frozen(value) if isinstance(value, np.ndarray) else value)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, contiguous and read-only; the caller gives it away."""
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
