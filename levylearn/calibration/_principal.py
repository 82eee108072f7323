"""Surfaces by their principal components, missing quotes or not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Components whose deviation is less than this, over the greatest one, are left out.
_LEAST_DEVIATION = 1e-5
# When there are many, so are those below this: they tell a few surfaces apart from all others,
# and nothing of these, and networks learn their examples by heart from them.
_MANY, _LEAST_OF_MANY = 32, 1e-4
# The covariance of surfaces with missing quotes is found by iteration, from so many of them.
_ITERATIONS, _INCOMPLETE = 20, 4096
# Numbers in the arrays that surfaces with missing quotes take, at a time.
_NUMBERS = 2_000_000


class PrincipalComponents:
    r"""Uncorrelated coordinates of surfaces, each of unit variance.

    Quotes of one surface move together: what sets two parameter sets apart is often a hundredth
    of what they have in common, and a network that sees quotes as they are learns it last.
    Principal components bring all directions to one size.

    A surface with missing quotes has the components that are expected given the others, if
    surfaces are normally distributed: the model of Tipping and Bishop.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_quotes)
        Surfaces; NaN where there is no quote.

    References
    ----------
    Tipping, M. and Bishop, C. (1999). Probabilistic principal component analysis. Journal of
    the Royal Statistical Society B 61, 611-622.
    """

    def __init__(self, X: Floats) -> None:
        self.centre, self.unit = location_and_scale(X)
        Z = (X - self.centre) / self.unit
        if np.isnan(Z).any():
            Z = Z[:_INCOMPLETE]
            covariance = _moments(np.nan_to_num(Z))
            for _ in range(_ITERATIONS):
                self._decompose(covariance)
                covariance = self._expected_moments(Z)
        else:
            covariance = _moments(Z)
        self._decompose(covariance)

    @property
    def n_components(self) -> int:
        """Number of components."""
        return len(self.deviation)

    def scores(self, X: Floats) -> Floats:
        """Components (n, k) of surfaces (n, m), over their standard deviations."""
        scores = X @ self._whitening - self._origin
        incomplete = np.isnan(scores[:, 0])  # a missing quote is missed by every component
        if incomplete.any():
            scores[incomplete] = self._expected((X[incomplete] - self.centre) / self.unit)
        return scores

    def distances(self, X: Floats) -> Floats:
        """Squares (n,) of Mahalanobis' distances of surfaces (n, m), by the quotes there are."""
        scores = self.scores(X)
        Z = (X - self.centre) / self.unit
        # Row by row: last digits do not depend on the company.
        fitted = (scores[:, None, :] * (self.directions * self.deviation)).sum(axis=2)
        rest = np.where(np.isnan(Z), 0.0, Z - fitted) ** 2
        square: Floats = (scores**2).sum(axis=1) + rest.sum(axis=1) / self._rest
        return square

    def _decompose(self, covariance: Floats) -> None:
        """Keep the directions that matter, and the variance of what is left."""
        variance, directions = np.linalg.eigh(covariance)
        variance, directions = np.maximum(variance[::-1], 0.0), directions[:, ::-1]
        kept = variance > _LEAST_DEVIATION**2 * variance[0]
        kept[0] = True
        kept[_MANY:] &= variance[_MANY:] > _LEAST_OF_MANY**2 * variance[0]
        least = max(_LEAST_DEVIATION**2 * variance[0], np.finfo(float).tiny)
        self.deviation = np.sqrt(np.maximum(variance[kept], least))
        self.directions = directions[:, kept]
        self._rest = max(variance[~kept].mean() if not kept.all() else 0.0, least)
        self._whitening = self.directions / self.deviation / self.unit[:, None]
        self._origin = self.centre @ self._whitening

    def _expected(self, Z: Floats) -> Floats:
        """Scores of surfaces with missing quotes."""
        loadings = self.directions * self.deviation
        scores = np.empty((len(Z), self.n_components))
        for rows in _parts(len(Z), loadings.size):
            known = ~np.isnan(Z[rows])
            precision, pull = self._posterior(Z[rows], known, loadings)
            scores[rows] = np.linalg.solve(precision, pull)[..., 0]
        return scores

    def _posterior(
        self, Z: Floats, known: NDArray[np.bool_], loadings: Floats
    ) -> tuple[Floats, Floats]:
        """Precision (n, k, k) of the scores given the quotes there are, times their variance."""
        present = np.where(known[..., None], loadings, 0.0)
        transposed = np.swapaxes(present, 1, 2)
        precision = transposed @ present + self._rest * np.eye(self.n_components)
        # Products of one surface at a time: its last digits do not depend on its company.
        return precision, transposed @ np.where(known, Z, 0.0)[..., None]

    def _expected_moments(self, Z: Floats) -> Floats:
        """Second moments of surfaces, those of the missing quotes as the others suggest."""
        loadings = self.directions * self.deviation
        total = np.zeros((Z.shape[1], Z.shape[1]))
        for rows in _parts(len(Z), loadings.size):
            known = ~np.isnan(Z[rows])
            precision, pull = self._posterior(Z[rows], known, loadings)
            scores = np.linalg.solve(precision, pull)[..., 0]
            filled = np.where(known, Z[rows], scores @ loadings.T)
            total += filled.T @ filled
            # What is missing varies around its expectation.
            spread = np.linalg.inv(precision) * self._rest
            absent = np.where(known[..., None], 0.0, loadings)
            total += np.einsum("nik,nkl,njl->ij", absent, spread, absent, optimize=True)
            total[np.diag_indices(len(total))] += self._rest * (~known).sum(axis=0)
        return total / len(Z)


def location_and_scale(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column, 1 for one that is constant or empty."""
    known = ~np.isnan(values)
    n = np.maximum(known.sum(axis=0), 1)
    location = np.where(known, values, 0.0).sum(axis=0) / n
    square = np.where(known, (values - location) ** 2, 0.0).sum(axis=0) / n
    scale = np.sqrt(square)
    # A column that varies by its rounding only is constant.
    varies = scale > 1e-13 * np.abs(location)
    return location, np.where(varies, scale, 1.0)


def _moments(Z: Floats) -> Floats:
    return Z.T @ Z / len(Z)


def _parts(n: int, size: int) -> list[slice]:
    step = max(1, _NUMBERS // size)
    return [slice(start, start + step) for start in range(0, n, step)]
