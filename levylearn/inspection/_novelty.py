"""Surfaces unlike those that were seen."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.calibration._principal import PrincipalComponents
from levylearn.exceptions import CalibrationWarning
from levylearn.utils._sklearn import HasMethods, Interval, fit_context

__all__ = ["SurfaceNoveltyDetector"]

Floats = NDArray[np.float64]

_ROWS_AT_ONCE = 1024


class SurfaceNoveltyDetector(OutlierMixin, BaseEstimator):
    r"""Tells surfaces that are unlike those it has seen.

    What a network predicts for such a surface is extrapolation: calibrate it by least squares,
    or look at the quotes.

    Parameters
    ----------
    calibrator : estimator, default=None
        Without one, surfaces are compared with those of `fit`, by Mahalanobis' distance. With
        one that has a `calibrate` method, as
        :class:`~levylearn.calibration.LeastSquaresCalibrator`, a surface is novel if its model
        does not fit it: scores are root mean squared errors of the best fits.
    contamination : float, default=0.01
        Share of the surfaces of `fit` that are to count as novel.

    Attributes
    ----------
    offset_ : float
        Score below which a surface is novel.
    calibrator_ : estimator or None
        The fitted calibrator.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    distribution_drift : Whether many surfaces together differ from others.
    sklearn.covariance.EllipticEnvelope : For data without missing values.

    Notes
    -----
    Surfaces are taken for normally distributed: a few principal components of their own variances,
    and of one variance whatever is left. Mahalanobis' distance is that of the quotes there are, so
    that a surface with missing quotes has one too. Its square has as many degrees of freedom as
    there are quotes; to be comparable it is brought to the normal scale by Wilson and Hilferty's
    transformation, and the score is minus that: -3 is three standard deviations.

    What is not to count as novel has to be seen in `fit`. Priced surfaces are smooth to many
    digits, and next to them any quote of a market is novel: fit to surfaces with the noise of
    quotes, as from :class:`~levylearn.preprocessing.NoiseInjector`. And there should be many more
    surfaces than quotes: what no surface of `fit` does counts as next to impossible.

    References
    ----------
    Mahalanobis, P. (1936). On the generalized distance in statistics. Proceedings of the
    National Institute of Sciences of India 2, 49-55.

    Tipping, M. and Bishop, C. (1999). Probabilistic principal component analysis. Journal of
    the Royal Statistical Society B 61, 611-622.

    Wilson, E. and Hilferty, M. (1931). The distribution of chi-square. Proceedings of the
    National Academy of Sciences 17, 684-688.

    Examples
    --------
    A slip in one quote, of three volatility points, among errors of a fifth of one:

    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.inspection import SurfaceNoveltyDetector
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.preprocessing import GaussianNoise
    >>> grid = OptionGrid(strikes=[90, 95, 100, 105, 110], maturities=[0.5])
    >>> noise = GaussianNoise(0.002, kind="absolute", random_state=0)
    >>> X, _ = make_surfaces(
    ...     "heston", grid, 500, noise=noise, output="implied_vol", random_state=0
    ... )
    >>> detector = SurfaceNoveltyDetector().fit(X)
    >>> today = X[:1].copy()
    >>> today[0, 2] += 0.03
    >>> detector.predict(X[:1]), detector.predict(today)
    (array([1]), array([-1]))
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "calibrator": [HasMethods(["fit", "calibrate"]), None],
        "contamination": [Interval(Real, 0, 0.5, closed="right")],
    }

    def __init__(self, calibrator: Any = None, contamination: float = 0.01) -> None:
        self.calibrator = calibrator
        self.contamination = contamination

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> SurfaceNoveltyDetector:
        """Learn what surfaces are like.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces that are not novel, but for the share `contamination`; NaN where there is
            no quote.
        y : array-like of shape (n_samples, n_params), default=None
            Their parameters: only a calibrator that learns needs them.

        Returns
        -------
        self : SurfaceNoveltyDetector
            Ready to tell.

        Raises
        ------
        ValueError
            If the surfaces are malformed, or none has an answer.
        """
        surfaces = self._surfaces(X, reset=True, ensure_min_samples=2)
        self.calibrator_ = None
        if self.calibrator is None:
            self._components = PrincipalComponents(surfaces)
        else:
            self.calibrator_ = clone(self.calibrator).fit(surfaces, y)
        scores = self._scores(surfaces)
        scores = scores[~np.isnan(scores)]
        if not len(scores):
            raise ValueError("X has no surface that can be scored: there is nothing to learn.")
        self.offset_ = float(np.quantile(scores, self.contamination))
        return self

    def score_samples(self, X: ArrayLike) -> Floats:
        """Score surfaces: the lower, the more novel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus Mahalanobis' distances on the normal scale, or minus the root mean squared
            errors of the best fits; NaN for a surface without quotes, or without a fit.

        Warns
        -----
        CalibrationWarning
            If a score is NaN.
        """
        check_is_fitted(self)
        surfaces = self._surfaces(X, reset=False)
        scores = self._scores(surfaces)
        # A calibrator warns itself.
        lost = np.isnan(scores)
        if lost.any() and self.calibrator_ is None:
            warnings.warn(
                f"{lost.sum()} of {len(lost)} surfaces have no quotes; the first is row "
                f"{np.argmax(lost)}. Their scores are NaN.",
                CalibrationWarning,
                stacklevel=2,
            )
        return scores

    def decision_function(self, X: ArrayLike) -> Floats:
        """Scores from the threshold on: negative ones are novel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        check_is_fitted(self)
        return self.score_samples(X) - self.offset_

    def predict(self, X: ArrayLike) -> NDArray[np.int_]:
        """Tell which surfaces are novel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_quotes)
            Surfaces; NaN where there is no quote.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
            -1 for what is novel, or has no score; 1 for the others.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # -- one step each ---------------------------------------------------------

    def _surfaces(self, X: ArrayLike, *, reset: bool, **options: Any) -> Floats:
        surfaces: Floats = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=reset, **options
        )
        return surfaces

    def _scores(self, surfaces: Floats) -> Floats:
        if self.calibrator_ is not None:
            return -np.asarray(self.calibrator_.calibrate(surfaces).rmse, dtype=np.float64)
        scores = np.full(len(surfaces), np.nan)
        quoted = np.flatnonzero(~np.isnan(surfaces).all(axis=1))
        for rows in np.split(quoted, range(_ROWS_AT_ONCE, len(quoted), _ROWS_AT_ONCE)):
            n_quotes = (~np.isnan(surfaces[rows])).sum(axis=1)
            scores[rows] = -_normal(self._components.distances(surfaces[rows]), n_quotes)
        return scores


def _normal(square: Floats, freedom: NDArray[np.int_]) -> Floats:
    """Values of chi-squared distributions as those of standard normal ones, nearly."""
    spread = 2 / (9 * freedom)
    return (np.cbrt(square / freedom) - (1 - spread)) / np.sqrt(spread)
