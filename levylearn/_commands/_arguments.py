"""Arguments as they are typed: lists of numbers, name=value, name=low:high."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeVar

T = TypeVar("T")


def number(text: str) -> float:
    """Read one number."""
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None


def numbers(text: str) -> list[float]:
    """Read numbers separated by commas."""
    return [number(part) for part in _parts(text)]


def assignments(text: str) -> list[tuple[str, float]]:
    """Read ``name=value``, or several separated by commas."""
    return [(name, number(value)) for name, value in _named(text, "name=value")]


def intervals(text: str) -> list[tuple[str, tuple[float, float]]]:
    """Read ``name=low:high``, or several separated by commas."""
    found = []
    for name, value in _named(text, "name=low:high"):
        low, colon, high = value.partition(":")
        if not colon:
            raise ArgumentTypeError(f"{name}={value} is not of the form name=low:high")
        found.append((name, (number(low), number(high))))
    return found


def renamings(text: str) -> list[tuple[str, str]]:
    """Read ``strike=Basispreis``, or several separated by commas."""
    return list(_named(text, "meaning=name"))


def collected(option: str, given: Iterable[Iterable[tuple[str, T]]] | None) -> dict[str, T]:
    """Join the pairs of all occurrences of an option; none may be given twice."""
    pairs: dict[str, T] = {}
    for name, value in chain.from_iterable(given or []):
        if name in pairs:
            raise ValueError(f"{option} gives {name} twice.")
        pairs[name] = value
    return pairs


def refuse_unknown(option: str, given: Iterable[str], known: Mapping[str, Iterable[str]]) -> None:
    """Raise ValueError for a name that is a parameter of none of the models."""
    for name in given:
        if not any(name in names for names in known.values()):
            listed = "; ".join(f"{model} has {', '.join(names)}" for model, names in known.items())
            raise ValueError(f"{option}: there is no parameter {name!r}; {listed}.")


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ArgumentTypeError(f"{text!r} has an empty entry")
    return parts


def _named(text: str, form: str) -> Iterator[tuple[str, str]]:
    for part in _parts(text):
        name, sign, value = part.partition("=")
        if not (sign and name.strip() and value.strip()):
            raise ArgumentTypeError(f"{part!r} is not of the form {form}")
        yield name.strip(), value.strip()
