"""A model that levylearn does not have, as a plug-in author would write it."""

import numpy as np

from levylearn.models import CharacteristicModel, Parameter


class Meixner(CharacteristicModel):
    """Meixner's process: one method and a list of parameters, as in the user guide."""

    name = "meixner"
    parameters = (
        Parameter("alpha", r"\alpha", domain=(0, np.inf), market_range=(0.1, 1.0)),
        Parameter("beta", r"\beta", domain=(-np.pi, np.pi), market_range=(-2.0, 0.5)),
        Parameter("delta", r"\delta", domain=(0, np.inf), market_range=(0.1, 2.0)),
    )

    def log_cf(self, u, maturity, params):
        alpha, beta, delta = params.T[:, :, np.newaxis]
        drift = self._exponent(np.array([-1j]), alpha, beta, delta)
        return maturity * (self._exponent(u, alpha, beta, delta) - 1j * u * drift)

    def joint_constraint(self, params):
        return np.pi - params[:, 0] - params[:, 1], "alpha + beta < pi"

    @classmethod
    def _exponent(cls, u, alpha, beta, delta):
        w = (alpha * u - 1j * beta) / 2
        return 2 * delta * (np.log(np.cos(beta / 2)) - cls._log_cosh(w))

    @staticmethod
    def _log_cosh(w):
        w = np.where(w.real < 0, -w, w)  # cosh is even
        return w + np.log1p(np.exp(-2 * w)) - np.log(2)
