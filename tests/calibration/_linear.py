"""A problem whose posterior is known exactly: prices linear in parameters with normal priors."""

import numpy as np
from scipy.special import logsumexp
from sklearn.base import BaseEstimator

from levylearn.models import CharacteristicModel, Parameter

SLOPES = np.array([[1.0, 2.0, -1.0, 0.5, 3.0], [0.5, -1.0, 2.0, 1.0, 0.2]])
NOISE = np.array([0.5, 0.3, 0.4, 0.2, 0.6])
MEAN, DEVIATION = np.array([1.0, -2.0]), np.array([0.7, 1.5])


class _Linear(CharacteristicModel):
    """Only its parameters matter."""

    name = "linear"
    parameters = tuple(
        Parameter(
            name,
            name,
            (-np.inf, np.inf),
            (mean - 3 * sd, mean + 3 * sd),
            calibration_range=(mean - 30 * sd, mean + 30 * sd),
            prior=("norm", {"loc": mean, "scale": sd}),
        )
        for name, mean, sd in zip("ab", MEAN, DEVIATION, strict=True)
    )

    def log_cf(self, u, maturity, params):
        raise NotImplementedError


class LinearPrices(BaseEstimator):
    """Prices `params @ SLOPES`."""

    output = "price"
    model = _Linear()

    def fit(self, params, surfaces=None):
        self.parameters_ = self.model.parameters
        return self

    def set_output(self, *, transform=None):
        return self

    def evaluate(self, params, gradient=False):
        slopes = np.broadcast_to(SLOPES, (len(params), *SLOPES.shape))
        return (params[:, :, None] * SLOPES).sum(axis=1), slopes if gradient else None

    def admissible(self, params):
        return np.isfinite(params).all(axis=1)


def exact_posterior(quotes, noise=NOISE):
    """Mean, covariance and log evidence of the parameters of one surface."""
    quoted = np.isfinite(quotes)
    slopes, noise, quotes = SLOPES[:, quoted], noise[quoted], quotes[quoted]
    precision = (slopes / noise**2) @ slopes.T + np.diag(DEVIATION**-2.0)
    covariance = np.linalg.inv(precision)
    mean = covariance @ ((slopes / noise**2) @ quotes + MEAN / DEVIATION**2)
    marginal = (slopes.T * DEVIATION**2) @ slopes + np.diag(noise**2)
    left = quotes - MEAN @ slopes
    log_evidence = -0.5 * (
        left @ np.linalg.solve(marginal, left)
        + np.linalg.slogdet(marginal)[1]
        + len(quotes) * np.log(2 * np.pi)
    )
    return mean, covariance, log_evidence


def exact_with_level(quotes, prior):
    """Mean and deviation of the parameters, and of a level of the noise that is unknown.

    They are sums over a grid of levels, for each of which the posterior is exact.
    """
    levels = prior.ppf((np.arange(2000) + 0.5) / 2000)
    exact = [exact_posterior(quotes, level * NOISE) for level in levels]
    weight = np.exp([e[2] for e in exact] - logsumexp([e[2] for e in exact]))
    mean = sum(w * e[0] for w, e in zip(weight, exact, strict=True))
    second = sum(w * (np.diag(e[1]) + e[0] ** 2) for w, e in zip(weight, exact, strict=True))
    level_mean = weight @ levels
    level_sd = np.sqrt(weight @ levels**2 - level_mean**2)
    return mean, np.sqrt(second - mean**2), level_mean, level_sd
