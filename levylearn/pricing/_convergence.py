"""How prices by finite differences converge."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import Bunch

from levylearn.pricing._pide import PIDEPricer, extrapolated

__all__ = ["convergence_study"]


class _OnOneGrid(PIDEPricer):
    """Prices that are not extrapolated."""

    _parameter_constraints: dict[str, list[Any]] = {
        **PIDEPricer._parameter_constraints,
        "n_space": [Integral],
        "n_time": [Integral],
    }
    _n_grids = 1
    _multiples: ClassVar[dict[str, int]] = {}


def convergence_study(pricer: PIDEPricer, params: ArrayLike, refinements: int = 4) -> Bunch:
    """Price on grids of which each has half the steps of the one before.

    Parameters
    ----------
    pricer : PIDEPricer
        A pricer, fitted or not. Its own grids are the first two.
    params : array-like of shape (n_samples, n_params)
        Parameter sets.
    refinements : int, default=4
        How many times the steps, in space and in time, are halved; 2 at least.

    Returns
    -------
    study : Bunch
        With attributes

        - n_space, n_time : ndarray of int of shape (n_grids,), nodes and time steps of
          the ``refinements + 1`` grids;
        - prices : ndarray of shape (n_grids, n_samples, n_quotes), on each grid, in the
          unit that the pricer's `output` names;
        - differences : ndarray of shape (n_grids - 1, n_samples, n_quotes), of prices on
          consecutive grids;
        - order : ndarray of shape (n_grids - 2,), the observed order, which is the binary
          logarithm of the ratio of the largest differences;
        - extrapolated : ndarray of shape (n_grids - 1, n_samples, n_quotes), the error of
          second order removed. The first is what the pricer itself answers, if that is no
          less than exercise pays.

    Raises
    ------
    ValueError
        If `refinements` is less than 2.

    See Also
    --------
    PIDEPricer.error_estimate : From the two grids of the pricer and one that is coarser.

    Examples
    --------
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import PIDEPricer, convergence_study
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[1.0])
    >>> pricer = PIDEPricer("merton", grid, n_space=256, n_time=32)
    >>> study = convergence_study(pricer, [[0.15, 1.0, -0.05, 0.1]])
    >>> study.n_space
    array([ 128,  256,  512, 1024, 2048])
    >>> study.order.round(1)
    array([2., 2., 2.])
    """
    if refinements < 2:
        raise ValueError(f"refinements must be 2 or more; got {refinements}.")
    settings: dict[str, Any] = clone(pricer).fit(params).get_params(deep=False)
    n_space, n_time = (
        settings[name] // 2 * 2 ** np.arange(refinements + 1) for name in ("n_space", "n_time")
    )
    sizes = zip(n_space.tolist(), n_time.tolist(), strict=True)
    prices = np.stack(
        [
            _OnOneGrid(**{**settings, "n_space": space, "n_time": time})
            .fit(params)
            .transform(params)
            for space, time in sizes
        ]
    )
    differences = np.diff(prices, axis=0)
    largest = np.abs(differences).max(axis=(1, 2))
    return Bunch(
        n_space=n_space,
        n_time=n_time,
        prices=prices,
        differences=differences,
        order=np.log2(largest[:-1] / largest[1:]),
        extrapolated=extrapolated(prices),
    )
