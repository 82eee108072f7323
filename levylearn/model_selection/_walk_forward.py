"""Train on the past, test on what comes next, and walk on."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import indexable
from sklearn.utils.validation import _num_samples

__all__ = ["WalkForwardSplit"]

Indices = NDArray[np.intp]

WINDOWS = ("expanding", "rolling")


class WalkForwardSplit(BaseCrossValidator):
    """Train on the past, test on what comes next, and walk on.

    Sizes are numbers of periods, or durations. The times of the rows are `groups`, or else the
    index of `X` if that is a :class:`pandas.DatetimeIndex`; rows of equal time, as of several
    underlyings on one day, stay together, and rows may be in any order. Without times every row
    is a period of its own, and rows are in the order of time.

    Parameters
    ----------
    train_size : int or duration
        Length of the window to train on; of the first one, if it expands. A duration is a string
        that :class:`pandas.Timedelta` reads, such as ``"90D"``, a timedelta, or an offset such as
        ``pandas.DateOffset(months=3)``.
    test_size : int or duration
        Length of the window to test on.
    step : int or duration, default=None
        From one test window to the next. None: `test_size`, so that they adjoin.
    gap : int or duration, default=0
        Left out between the two windows.
    window : {"expanding", "rolling"}, default="expanding"
        Whether training keeps all of the past, or only the latest `train_size` of it.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : Given the number of folds, by rows.
    RegimeSplit : Train in some regimes, test in another.

    Notes
    -----
    A window includes its start and not its end. The first test window starts `train_size` and
    `gap` after the first time; the last one is the first that reaches the last time, and may be
    shorter. Where there is no row to train or to test on, in a hole of the data, there is no fold.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.model_selection import WalkForwardSplit
    >>> X = np.zeros((9, 3))
    >>> for train, test in WalkForwardSplit(4, 2, gap=1, window="rolling").split(X):
    ...     print(train, test)
    [0 1 2 3] [5 6]
    [2 3 4 5] [7 8]

    By the calendar:

    >>> days = np.arange("2024-01-01", "2024-07-01", dtype="datetime64[D]")
    >>> folds = WalkForwardSplit("90D", "30D")
    >>> for train, test in folds.split(days, groups=days):
    ...     print(len(train), days[test[0]], days[test[-1]])
    90 2024-03-31 2024-04-29
    120 2024-04-30 2024-05-29
    150 2024-05-30 2024-06-28
    180 2024-06-29 2024-06-30
    """

    # scikit-learn's way to ask for groups without being told to.
    __metadata_request__split = {"groups": True}

    def __init__(
        self,
        train_size: Any,
        test_size: Any,
        *,
        step: Any = None,
        gap: Any = 0,
        window: str = "expanding",
    ) -> None:
        self.train_size = train_size
        self.test_size = test_size
        self.step = step
        self.gap = gap
        self.window = window

    def split(
        self, X: Any, y: Any = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[Indices, Indices]]:
        """Yield the rows to train on and those to test on, in the order of time.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; their index may be the times.
        y : array-like of shape (n_samples, n_params), default=None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            The time of each surface.

        Yields
        ------
        train : ndarray
            Numbers of the rows to train on.
        test : ndarray
            Numbers of the rows to test on.

        Raises
        ------
        ValueError
            If an argument is not as described, or there is no time left to test on.
        """
        X, y, groups = indexable(X, y, groups)
        size = self._sizes()
        counted = isinstance(size["step"], int)
        time = _ordinals(X, groups) if counted else _timestamps(X, groups)
        last = time.max()
        start = time.min() + size["train_size"] + size["gap"]
        if start > last:
            raise ValueError(
                f"Nothing is left to test on: train_size={self.train_size} and gap={self.gap} "
                f"take up all of the {len(time)} rows, from {time.min()} to {last}."
            )
        while start <= last:
            train_end, test_end = start - size["gap"], start + size["test_size"]
            train, test = time < train_end, (time >= start) & (time < test_end)
            if self.window == "rolling":
                train &= time >= train_end - size["train_size"]
            if train.any() and test.any():
                yield np.flatnonzero(train), np.flatnonzero(test)
            if test_end > last:
                return
            start = start + size["step"]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: ArrayLike | None = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes), default=None
            Surfaces; may be left out if there are times.
        y : array-like, default=None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            The time of each surface.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        if X is None and groups is None:
            raise ValueError("The 'X' parameter should not be None, unless 'groups' is given.")
        return sum(1 for _ in self.split(X, y, groups))

    def _sizes(self) -> dict[str, Any]:
        """Sizes that can be added to times, be these numbers or timestamps."""
        if self.window not in WINDOWS:
            raise ValueError(f"window must be one of {', '.join(WINDOWS)}; got {self.window!r}.")
        sizes = {"train_size": self.train_size, "test_size": self.test_size}
        sizes["step"] = self.test_size if self.step is None else self.step
        if not (_is_count(self.gap) and self.gap == 0):
            sizes["gap"] = self.gap
        counted = {_is_count(size) for size in sizes.values()}
        if len(counted) > 1:
            raise ValueError(
                f"Sizes must be all numbers of periods or all durations; got "
                f"{', '.join(f'{name}={size!r}' for name, size in sizes.items())}."
            )
        read, nothing = (_count, 0) if True in counted else (_duration, datetime.timedelta(0))
        read_sizes = {name: read(name, size) for name, size in sizes.items()}
        return {"gap": nothing, **read_sizes}


def _is_count(size: Any) -> bool:
    # NumPy's timedeltas call themselves integers.
    return isinstance(size, Integral) and not isinstance(size, np.timedelta64)


def _count(name: str, size: Any) -> int:
    if isinstance(size, bool) or size < 1:
        raise ValueError(f"{name} must be an int of at least 1, or a duration; got {size!r}.")
    return int(size)


def _duration(name: str, size: Any) -> Any:
    """What, added to a time, gives a later one."""
    import pandas as pd

    if isinstance(size, (str, datetime.timedelta, np.timedelta64)):
        size = pd.Timedelta(size)
    elif not isinstance(size, pd.DateOffset):
        raise ValueError(
            f"{name} must be an int of at least 1, or a duration: a string or a timedelta that "
            f"pandas.Timedelta reads, or a pandas.DateOffset; got {size!r}."
        )
    now = pd.Timestamp("2000-01-01")
    if not now + size > now:
        raise ValueError(f"{name} must be a positive duration; got {size!r}.")
    return size


def _times(X: Any, groups: Any) -> Any:
    """Times of the rows, as they are given; None if they are not."""
    import pandas as pd

    if groups is None:
        index = getattr(X, "index", None)
        groups = index if isinstance(index, pd.DatetimeIndex) else None
    if groups is not None and pd.isna(groups).any():
        row = np.flatnonzero(pd.isna(groups))[0]
        raise ValueError(f"groups must have the time of every row; that of row {row} is missing.")
    return groups


def _ordinals(X: Any, groups: Any) -> Indices:
    """Number of the period of each row."""
    times = _times(X, groups)
    if times is None:
        return np.arange(_num_samples(X))
    return np.unique(np.asarray(times), return_inverse=True)[1]


def _timestamps(X: Any, groups: Any) -> Any:
    import pandas as pd

    times = _times(X, groups)
    if times is None:
        raise ValueError(
            "Durations need times: pass those of the rows as groups, or X as a frame with a "
            "DatetimeIndex."
        )
    if np.asarray(times).dtype.kind in "biufc":
        raise ValueError("groups must be times if sizes are durations; they are numbers.")
    return pd.DatetimeIndex(pd.to_datetime(times))
