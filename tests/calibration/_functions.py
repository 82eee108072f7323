"""Residuals whose minima are known, with their Jacobians."""

import numpy as np


def rosenbrock(z):
    r = np.stack([10 * (z[:, 1] - z[:, 0] ** 2), 1 - z[:, 0]], axis=1)
    jacobian = np.zeros((len(z), 2, 2))
    jacobian[:, 0, 0], jacobian[:, 0, 1], jacobian[:, 1, 0] = -20 * z[:, 0], 10, -1
    return r, jacobian


def logarithm(z):
    """Nothing at negative arguments."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(z) - 1, (1 / z)[:, :, None] * np.eye(1)
