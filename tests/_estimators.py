"""Every public estimator once, small and fast, and the checks it cannot pass, with reasons.

Here too are the estimators that exist for tests only: `AnyWidth` and `AnySurface`, which let
scikit-learn's checks reach a pricer and a transformer of surfaces with matrices of any width, and
`LinearPricer`, which lets a calibrator learn to reproduce any matrix.
"""

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from levylearn.base import BasePricer
from levylearn.calibration import (
    AmortizedPosteriorCalibrator,
    CNNCalibrator,
    ConformalCalibrator,
    EmceeCalibrator,
    EnsembleCalibrator,
    GradientBoostingCalibrator,
    HybridCalibrator,
    LaplaceCalibrator,
    LBFGSCalibrator,
    LeastSquaresCalibrator,
    MLPCalibrator,
    NUTSCalibrator,
    ResNetCalibrator,
    SurfaceRegressor,
    TransformerCalibrator,
    VariationalCalibrator,
)
from levylearn.inspection import SurfaceNoveltyDetector
from levylearn.market import OptionGrid, black_price
from levylearn.models import Parameter, get_model
from levylearn.preprocessing import (
    ArbitrageFilter,
    BidAskNoise,
    GaussianNoise,
    ImpliedVolTransformer,
    MissingQuotes,
    NoiseInjector,
    OutlierNoise,
    ParameterTransformer,
    QuoteGridder,
    SurfaceFeatures,
)
from levylearn.pricing import (
    CarrMadanPricer,
    ContourPricer,
    COSPricer,
    GreeksTransformer,
    MonteCarloPricer,
    PIDEPricer,
    SurrogatePricer,
)

GRID = OptionGrid(strikes=[90, 100, 115], maturities=[0.5, 1.0], rate=0.02)
MARKET = OptionGrid(strikes=[80, 90, 100, 110, 125], maturities=[0.25, 1.0], rate=0.02)


class AnyWidth(TransformerMixin, BaseEstimator):
    """A pricer that takes any matrix for parameters, squashed row by row into its domain."""

    def __init__(self, pricer):
        self.pricer = pricer

    def fit(self, X, y=None):
        X = validate_data(self, X, dtype=np.float64)
        self.pricer_ = clone(self.pricer).set_output(transform="default").fit(self._box(X))
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.pricer_.transform(self._box(X))

    def get_feature_names_out(self, input_features=None):
        # The pricer would not know the names of these columns: they are checked here.
        self._check_names(input_features)
        return self.pricer_.get_feature_names_out()

    def _check_names(self, input_features):
        check_is_fitted(self)
        if input_features is None:
            return
        known = getattr(self, "feature_names_in_", None)
        if known is not None and not np.array_equal(known, input_features):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(input_features) != self.n_features_in_:
            raise ValueError("input_features should have length equal to number of features")

    def _box(self, X):
        # Some take a pricer for themselves.
        model = getattr(self.pricer, "pricer", self.pricer).model
        parameters = get_model(model).parameters
        low, high = np.array([parameter.market_range for parameter in parameters]).T
        unit = expit(np.column_stack([X[:, j % X.shape[1]] / (1 + j) for j in range(len(low))]))
        return low + unit * (high - low)


class AnySurface(AnyWidth):
    """A transformer of surfaces that takes any matrix for one, on a grid of as many quotes.

    Each number makes a volatility of its own, and that a price.
    """

    def fit(self, X, y=None):
        X = self._validated(X, reset=True)
        j = np.arange(X.shape[1])
        self.grid_ = OptionGrid.from_quotes(80 + 10 * (j % 5), 0.5 * (1 + j // 5), rate=0.02)
        transformer = clone(self.pricer).set_params(grid=self.grid_)
        self.pricer_ = transformer.set_output(transform="default").fit(self._box(X))
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self.pricer_.transform(self._box(self._validated(X, reset=False)))

    def _validated(self, X, reset):
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=reset)

    def _box(self, X):
        grid = self.grid_
        volatility = 0.1 + 0.3 * expit(X)
        return black_price(grid.forward, grid.strike, grid.maturity, volatility, grid.discount)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class LinearPricer(TransformerMixin, BaseEstimator):
    """A pricer that learns an affine map from parameters to surfaces, by ridge least squares."""

    def __init__(self, ridge=1e-6, output="price"):
        self.ridge = ridge
        self.output = output

    def fit(self, params, surfaces):
        params, surfaces = np.asarray(params, dtype=float), np.asarray(surfaces, dtype=float)
        low, high = params.min(axis=0), params.max(axis=0)
        width = np.where(high > low, high - low, 1.0)
        self.n_features_in_ = params.shape[1]
        self.parameters_ = tuple(
            Parameter(
                name=f"p{j}",
                symbol=f"p_{j}",
                domain=(-np.inf, np.inf),
                market_range=(low[j], low[j] + width[j]),
                calibration_range=(low[j] - 10 * width[j], low[j] + 11 * width[j]),
            )
            for j in range(params.shape[1])
        )
        centre = params.mean(axis=0)
        moved = (params - centre) / width
        design = np.column_stack([np.ones(len(moved)), moved])
        solve = [self._column(design, surface) for surface in surfaces.T]
        intercept, slopes = np.column_stack(solve)[0], np.column_stack(solve)[1:]
        self.slopes_ = slopes / width[:, None]
        self.intercept_ = intercept - centre @ self.slopes_
        return self

    def _column(self, design, surface):
        """Coefficients of one quote, from the rows that have it."""
        quoted = np.isfinite(surface)
        rows = design[quoted]
        penalty = self.ridge * np.eye(design.shape[1])
        penalty[0, 0] = 1e-12
        return np.linalg.solve(rows.T @ rows + penalty, rows.T @ surface[quoted])

    def evaluate(self, params, gradient=False):
        # Row by row: the company of other rows must not show in the last digit.
        values = (params[:, :, None] * self.slopes_).sum(axis=1) + self.intercept_
        slopes = np.broadcast_to(self.slopes_, (len(params), *self.slopes_.shape))
        return values, slopes if gradient else None

    def admissible(self, params):
        return np.isfinite(params).all(axis=1)

    def transform(self, params):
        return self.evaluate(np.asarray(params, dtype=float))[0]

    def get_feature_names_out(self, input_features=None):
        return np.array([f"quote{j}" for j in range(len(self.intercept_))], dtype=object)


PRICERS = [
    ContourPricer("black_scholes", GRID),
    ContourPricer("variance_gamma", GRID, "forward_price"),
    ContourPricer("cgmy", GRID),
    ContourPricer("heston", GRID),
    ContourPricer("bates", GRID, "implied_vol"),
    ContourPricer("double_heston_jump", GRID),
    COSPricer("nig", GRID),
    CarrMadanPricer("merton", GRID, tolerance=1e-7),
    PIDEPricer("kou", GRID, n_space=128, n_time=16),
    PIDEPricer("merton", GRID, exercise="american", n_space=128, n_time=16),
    MonteCarloPricer("variance_gamma", GRID, n_paths=64),
    MonteCarloPricer("bates", GRID, "forward_price", n_paths=64, n_steps=2),
]

GREEKS = [
    GreeksTransformer(ContourPricer("variance_gamma", GRID)),
    GreeksTransformer(ContourPricer("heston", GRID), greeks=["theta", "gamma"]),
]

PARAMETER_TRANSFORMERS = [
    ParameterTransformer("heston"),
    ParameterTransformer("double_heston_jump", order_by="kappa"),
]

# It learns both parameters and surfaces from the data: no fixture.
SURROGATES = [SurrogatePricer()]

# They learn the grid in a fixture: here it is any.
SURFACE_TRANSFORMERS = [
    ImpliedVolTransformer(GRID),
    SurfaceFeatures(GRID),
    SurfaceFeatures(GRID, kind="price"),
    QuoteGridder(GRID, strikes=[85, 100, 115], maturities=[0.5, 0.7]),
    ArbitrageFilter(GRID),
]

# Errors smaller than what the checks tell apart (0.01), so that nothing is to be excused; then
# as users have them.
SMALL_NOISES = [
    GaussianNoise(1e-3),
    BidAskNoise(1e-3),
    OutlierNoise(0.1, 1e-3, degrees_of_freedom=3),
    MissingQuotes(0.0),
    NoiseInjector([GaussianNoise(1e-3), BidAskNoise(1e-3)], per="quote"),
]
NOISES = [GaussianNoise(0.02), MissingQuotes(0.1), NoiseInjector()]

# One for each list of expected failures of ContourPricer, and one of each other class.
BARE_PRICERS = [*PRICERS[1:4], *PRICERS[6:9], PRICERS[10]]

_OPTIONS = {"n_candidates": 16, "n_starts": 2}
_NOISE = {"noise": 1.0, "noise_kind": "absolute"}
# The checks sample the posteriors of thousands of surfaces: whether they converge is not at issue.
_FEW_DRAWS = {"min_ess": 1e-6, "max_rhat": 1e6, "max_draws": 4, "warm_up": 0}
CALIBRATORS = [
    LeastSquaresCalibrator(LinearPricer(), **_OPTIONS),
    LBFGSCalibrator(LinearPricer(), max_evaluations=200, **_OPTIONS),
    LeastSquaresCalibrator(SurrogatePricer(), **_OPTIONS),
    HybridCalibrator(LinearRegression(), LeastSquaresCalibrator(LinearPricer(), **_OPTIONS)),
    LaplaceCalibrator(LinearPricer(), **_NOISE, n_draws=64),
    VariationalCalibrator(LinearPricer(), **_NOISE, n_draws=64),
    EmceeCalibrator(LinearPricer(), **_NOISE, n_walkers=22, min_times=0, **_FEW_DRAWS),
    NUTSCalibrator(LinearPricer(), **_NOISE, n_chains=2, **_FEW_DRAWS),
    AmortizedPosteriorCalibrator(
        LinearPricer(),
        **_NOISE,
        n_draws=64,
        min_efficiency=1e-6,
        n_simulations=128,
        hidden_layer_sizes=(16,),
        max_epochs=2,
    ),
]

# They learn from examples and have no pricer.
_BOOSTING = GradientBoostingCalibrator(n_estimators=60, max_depth=3, random_state=0)
_TREES = ExtraTreesRegressor(10, random_state=0)
_BRIEF = {"learning_rate": 0.02, "max_epochs": 10, "random_state": 0}
AMORTISED = [
    MLPCalibrator(hidden_layer_sizes=(16,), **_BRIEF),
    ResNetCalibrator(width=16, n_blocks=1, **_BRIEF),
    CNNCalibrator(channels=(4,), **_BRIEF),
    TransformerCalibrator(width=8, n_heads=2, n_queries=4, n_layers=1, **_BRIEF),
    _BOOSTING,
    clone(_BOOSTING).set_params(interval_method="quantile"),
    EnsembleCalibrator([("ridge", Ridge()), ("trees", _TREES)], random_state=0),
    EnsembleCalibrator([("boosting", _BOOSTING)], "weighted", n_copies=2, random_state=0),
    EnsembleCalibrator([("ridge", Ridge(30.0)), ("trees", _TREES)], "stacking", random_state=0),
    ConformalCalibrator(make_pipeline(StandardScaler(), Ridge(30.0)), random_state=0),
    ConformalCalibrator(_BOOSTING, random_state=0),
]

DETECTORS = [SurfaceNoveltyDetector()]

# What users construct: on market-like data, with a model.
ON_MARKETS = [
    *PRICERS,
    LeastSquaresCalibrator(ContourPricer("heston", MARKET), n_candidates=64),
    LBFGSCalibrator(
        ContourPricer("variance_gamma", MARKET), n_candidates=32, n_starts=2, max_evaluations=300
    ),
    LaplaceCalibrator(ContourPricer("heston", MARKET), noise=1e-5, n_draws=64),
    VariationalCalibrator(ContourPricer("variance_gamma", MARKET), noise=1e-5, n_draws=64),
    EmceeCalibrator(ContourPricer("black_scholes", MARKET), noise=1e-5, min_ess=100, max_rhat=1.1),
    NUTSCalibrator(ContourPricer("black_scholes", MARKET), noise=1e-5, min_ess=100, max_rhat=1.1),
]

# Estimators whose own test files run scikit-learn's checks, through a fixture of their own.
CHECKED_ELSEWHERE = {SurfaceRegressor: "tests/calibration/test_surface_regressor.py"}

_NEEDS_ITS_COLUMNS = (
    "the columns are the parameters of a model, each in its domain, or the quotes of a grid; the "
    "checks bring matrices of another width or values outside. AnyWidth and AnySurface pass all."
)
_FED_WITH_DATA = """
    array_api_input dict_unchanged dont_overwrite_parameters dtype_object estimators_dtypes
    estimators_fit_returns_self estimators_nan_inf estimators_overwrite_params estimators_pickle
    f_contiguous_array_estimator fit2d_1sample fit2d_predict1d fit_check_is_fitted fit_idempotent
    fit_score_takes_y methods_sample_order_invariance methods_subset_invariance n_features_in
    n_features_in_after_fitting pipeline_consistency positive_only_tag_during_fit
    readonly_memmap_input transformer_data_not_an_array transformer_general
    transformer_preserve_dtypes
""".split()
_FOR_TRAINING_ONLY = (
    "noise is for training: fit_transform, which a pipeline calls in fit, adds it; transform, "
    "which it calls in predict, does not. The checks want them to agree within 0.01, as they do "
    "for SMALL_NOISES, which pass all."
)
_COMPARED_WITH_TRANSFORM = ["check_transformer_general", "check_transformer_data_not_an_array"]
# Matrices of these widths happen to fit models of as many parameters.
_PASSED_BY_WIDTH = {
    3: "dont_overwrite_parameters estimators_nan_inf fit2d_predict1d".split(),
    4: "n_features_in_after_fitting positive_only_tag_during_fit".split(),
}


def expected_failures(estimator):
    """Names of scikit-learn's checks that an estimator fails, each with the reason."""
    if estimator in NOISES:
        return dict.fromkeys(_COMPARED_WITH_TRANSFORM, _FOR_TRAINING_ONLY)
    if estimator in SURFACE_TRANSFORMERS:
        passed = ["estimators_nan_inf"]  # NaN is allowed, and the check is not run
    elif isinstance(estimator, BasePricer | ParameterTransformer):
        passed = _PASSED_BY_WIDTH.get(get_model(estimator.model).n_params, [])
    else:
        return {}
    return {f"check_{name}": _NEEDS_ITS_COLUMNS for name in _FED_WITH_DATA if name not in passed}
