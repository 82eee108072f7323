"""Noise for tests."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Multiplied(TransformerMixin, BaseEstimator):
    """Prices times 1 + N(0, scale), when fitted."""

    def __init__(self, scale=0.01, random_state=None):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def fit_transform(self, X, y=None):
        errors = np.random.default_rng(self.random_state).normal(size=X.shape)
        return X * (1 + self.scale * errors)


class Doubler:
    """A transformer by its method alone."""

    factor = 2.0

    def transform(self, X):
        return self.factor * X
