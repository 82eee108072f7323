"""What the contract tests share: a failure that says enough, and parameter sets to try."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from levylearn.models import Parameter

Floats = NDArray[np.float64]

_MAX_DRAWS = 1000


class Contract:
    """Rules that are checked one after the other, on one subject.

    Parameters
    ----------
    check : str
        Name of the public function, for messages.
    subject : object
        What is checked, for messages.
    """

    def __init__(self, check: str, subject: object) -> None:
        self.title = f"{check}({subject!r})"
        self.rule = ""

    def run(self, rules: Sequence[Callable[[Any], None]]) -> None:
        """Check the rules; name the broken one in whatever error comes."""
        for rule in rules:
            self.rule = (rule.__doc__ or rule.__name__).strip().splitlines()[0].rstrip(".")
            try:
                rule(self)
            except AssertionError:
                raise
            except Exception as error:
                self.fail(f"{type(error).__name__}: {error}", error)

    def fail(self, found: str, cause: BaseException | None = None) -> None:
        """Report that the current rule is broken."""
        raise AssertionError(f"{self.title} breaks the rule: {self.rule}. {found}") from cause

    def require(self, condition: bool | np.bool_, found: str) -> None:
        """Report the current rule as broken unless a condition holds."""
        if not condition:
            self.fail(found)

    def require_shape(self, name: str, array: Any, shape: tuple[int, ...], kind: str) -> None:
        """Require an array of a shape and of a kind: "f" for real, "c" for complex."""
        given = f"{name} has shape {np.shape(array)} and dtype {np.asarray(array).dtype}"
        wanted = "float64" if kind == "f" else "complex128"
        fits = np.shape(array) == shape and np.asarray(array).dtype == wanted
        self.require(fits, f"{given}; expected shape {shape} and dtype {wanted}.")

    def require_close(
        self, name: str, found: ArrayLike, expected: ArrayLike, tolerance: ArrayLike
    ) -> None:
        """Require two arrays to agree, NaN with NaN, within an absolute tolerance.

        Where the tolerance is infinite anything goes.
        """
        found, expected = np.asarray(found), np.asarray(expected)
        with np.errstate(invalid="ignore"):
            excess = np.abs(found - expected) - tolerance
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        same |= np.asarray(tolerance) == np.inf
        excess = np.where(same, -np.inf, np.where(np.isnan(excess), np.inf, excess))
        if excess.size and excess.max() > 0:
            where = np.unravel_index(int(np.argmax(excess)), excess.shape)
            allowed = np.broadcast_to(tolerance, excess.shape)[where]
            self.fail(
                f"{name}{[int(i) for i in where]} is {found[where]}, expected "
                f"{expected[where]} to within {allowed:.2g}."
            )

    def require_value_error(
        self, words: Sequence[str], call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Require of a call a ValueError whose message contains all the words."""
        try:
            call(*args, **kwargs)
        except ValueError as error:
            missing = [word for word in words if word not in str(error)]
            self.require(not missing, f"The message {str(error)!r} does not say {missing}.")
        else:
            self.fail(f"Nothing was raised; a ValueError that says {list(words)} is due.")

    def copies(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield copies of a value, and how they were made."""
        yield "deepcopy", copy.deepcopy(value)
        yield "pickle", pickle.loads(pickle.dumps(value))


@contextmanager
def recorded_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect warnings instead of showing or raising them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def sample_parameters(
    parameters: Sequence[Parameter],
    admissible: Callable[[Floats], NDArray[np.bool_]],
    n_samples: int,
    random_state: Any,
) -> Floats:
    """Draw admissible parameter sets over the market ranges, on the parameters' scales."""
    random = check_random_state(random_state)
    ranges = np.array([parameter.market_range for parameter in parameters], dtype=float)
    low, high = ranges.T
    logarithmic = np.array([p.scale == "log" for p in parameters]) & (low > 0)
    low, high = (np.where(logarithmic, np.log(np.where(logarithmic, v, 1)), v) for v in (low, high))
    accepted: list[Floats] = []
    for _ in range(_MAX_DRAWS):
        draw = low + random.uniform(size=(n_samples, len(low))) * (high - low)
        params = np.where(logarithmic, np.exp(np.where(logarithmic, draw, 0)), draw)
        # exp(log(x)) may miss the end of the range by a rounding error.
        params = np.clip(params, *ranges.T)
        accepted.extend(params[admissible(params)])
        if len(accepted) >= n_samples:
            return np.array(accepted[:n_samples])
    raise AssertionError(
        f"{len(accepted)} of {_MAX_DRAWS * n_samples} parameter sets drawn over the market ranges "
        "are admissible: the ranges or the joint constraint are wrong."
    )


def is_stable_repr(text: str) -> bool:
    """Whether a repr is without a memory address, which differs from run to run."""
    return " at 0x" not in text
