"""Regressors inside a calibrator: they get what their user would give them."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from levylearn.exceptions import ExtrapolationWarning

Floats = NDArray[np.float64]


class Member:
    """A regressor, as part of a calibrator.

    Parameters
    ----------
    regressor : estimator
        It is fitted in place.
    columns : ndarray of str or None
        Names of the quotes, if they have any: a regressor may choose columns by them.
    """

    def __init__(self, regressor: BaseEstimator, columns: NDArray[np.object_] | None) -> None:
        self.regressor = regressor
        self._columns = columns

    def fit(self, X: Floats, y: Floats, y_ndim: int) -> Member:
        """Fit the regressor to parameters (n, p), of the dimension in which they were given."""
        self.regressor.fit(self._named(X), y if y_ndim == 2 else y[:, 0])
        return self

    def predict(self, X: Floats, n_params: int) -> Floats:
        """Parameters (n, p); that a surface is far away is for the whole calibrator to say."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            params = np.asarray(self.regressor.predict(self._named(X)), dtype=np.float64)
        params = params.reshape(len(X), -1)
        if params.shape[1] != n_params:
            raise ValueError(
                f"y has {n_params} parameters, but {type(self.regressor).__name__} predicts "
                f"{params.shape[1]}."
            )
        return params

    def _named(self, X: Floats) -> Floats | pd.DataFrame:
        return X if self._columns is None else pd.DataFrame(X, columns=self._columns)
