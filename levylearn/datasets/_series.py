"""Surfaces over time: parameters that revert to the level of a regime, which changes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.utils import Bunch

from levylearn.base import BasePricer
from levylearn.datasets._recipe import RECIPE_CONSTRAINTS, disturbed, pricer_for
from levylearn.datasets._regimes import REGIMES, at_positions
from levylearn.datasets._surfaces import bunch_of_surfaces, drawn_seed
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel, get_model
from levylearn.utils._sklearn import Interval, validate_params

__all__ = ["make_surface_series"]

Floats = NDArray[np.float64]

_DAYS = 252.0  # trading days per year
# From calm, normal and stressed to each of them, in a day: a spell of calm or of normal days
# lasts 50 days on average, one of stress 20.
_TRANSITION = ((0.98, 0.02, 0.0), (0.01, 0.98, 0.01), (0.0, 0.05, 0.95))
# Standard deviation of a position around its level, as a logit: a regime's band is mostly
# within two of them.
_SPREAD = 0.5
# Steps drawn for a day, until one leads to parameters for which the model exists.
_MAX_DRAWS = 1000


@validate_params(
    {
        **{name: RECIPE_CONSTRAINTS[name] for name in ("model", "grid", "noise", "output")},
        "pricer": RECIPE_CONSTRAINTS["pricer"],
        "n_dates": [Interval(Integral, 1, None, closed="left")],
        "transition": ["array-like", None],
        "mean_reversion": [Interval(Real, 0, None, closed="neither")],
        "start": [str],
        "random_state": ["random_state"],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_surface_series(
    model: str | CharacteristicModel,
    grid: OptionGrid,
    n_dates: int = 1000,
    *,
    transition: ArrayLike | None = None,
    mean_reversion: float = 20.0,
    start: str = "2000-01-03",
    noise: Any = None,
    output: str = "price",
    pricer: BasePricer | None = None,
    random_state: Any = None,
    as_frame: bool = False,
) -> Bunch:
    r"""Make one option surface a day, with regimes that come and go.

    The regime, calm, normal or stressed, is a Markov chain. Each parameter has a position
    :math:`q` between the calm end of its market range and the other, see
    :func:`market_regimes`, and :math:`\log(q / (1 - q))` reverts to the middle of the
    regime's band as an Ornstein-Uhlenbeck process. So surfaces of neighbouring days are
    alike, the distribution changes with time, and validating on later days than one has
    trained on is a different test from validating on shuffled ones.

    The grid is the same on all days: think of strikes as in per cent of the spot.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    grid : OptionGrid
        The options and their market.
    n_dates : int, default=1000
        Number of days, and of surfaces.
    transition : array-like of shape (3, 3), default=None
        Probabilities to go, in a day, from the regime of the row, in the order calm, normal,
        stressed, to that of the column. None: spells of 50, 50 and 20 days on average.
    mean_reversion : float, default=20.0
        Speed, per year of 252 days, at which parameters revert: a distance halves within
        ``252 * log(2) / mean_reversion`` days, 9 days by default.
    start : str, default="2000-01-03"
        The first day; the others are the weekdays that follow.
    noise : transformer, default=None
        Applied to the surfaces, as in :func:`make_surfaces`.
    output : {"price", "forward_price", "implied_vol"}, default="price"
        Unit of the surfaces.
    pricer : BasePricer, default=None
        Who prices, as in :func:`make_surfaces`.
    random_state : int, RandomState instance or None, default=None
        Decides everything; an int makes the call repeatable.
    as_frame : bool, default=False
        Whether ``X`` and ``y`` are data frames, with the dates as their index.

    Returns
    -------
    data : Bunch
        With the attributes:

        X : ndarray or DataFrame of shape (n_dates, n_quotes)
            The surfaces, in the order of time.
        y : ndarray or DataFrame of shape (n_dates, n_params)
            The parameters.
        regime : ndarray of str of shape (n_dates,)
            ``"calm"``, ``"normal"`` or ``"stressed"``.
        dates : ndarray of datetime64 of shape (n_dates,)
            The days.
        feature_names, parameter_names, grid, model
            Names of the quotes and of the parameters, and the arguments.

    Raises
    ------
    ValueError
        If an argument is not as described.

    See Also
    --------
    make_surfaces : Surfaces that are independent of one another.

    References
    ----------
    Hamilton, J. (1989). A new approach to the economic analysis of nonstationary time series
    and the business cycle. Econometrica 57, 357-384.

    Examples
    --------
    >>> from levylearn.datasets import make_surface_series
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[0.5])
    >>> data = make_surface_series("variance_gamma", grid, n_dates=250, random_state=1)
    >>> data.X.shape, data.y.shape
    ((250, 3), (250, 3))
    >>> data.dates[[0, -1]]
    array(['2000-01-03', '2000-12-15'], dtype='datetime64[D]')
    """
    model = get_model(model)
    seed = drawn_seed(random_state)
    # A stream for each, so that a longer series begins with a shorter one.
    of_regime, of_params = np.random.default_rng(seed).spawn(2)
    regime = _regime_path(_transition(transition), n_dates, of_regime)
    params = _parameter_path(model, regime, mean_reversion / _DAYS, of_params)
    surfaces = pricer_for(model, grid, output, pricer, seed).fit_transform(params)
    X = disturbed(np.asarray(surfaces), noise, seed)
    data = bunch_of_surfaces(X, params, model, grid, as_frame)
    data.regime = np.array(list(REGIMES))[regime]
    data.dates = np.busday_offset(np.datetime64(start, "D"), np.arange(n_dates), roll="forward")
    if as_frame:
        data.X.index = data.y.index = data.dates
    return data


def _transition(given: ArrayLike | None) -> Floats:
    matrix = np.asarray(_TRANSITION if given is None else given, dtype=np.float64)
    n = len(REGIMES)
    if matrix.shape != (n, n) or not (matrix >= 0).all():
        raise ValueError(
            f"transition must be a matrix of shape ({n}, {n}) without negative entries, in the "
            f"order {', '.join(REGIMES)}; got {given!r}."
        )
    bad = np.flatnonzero(np.abs(matrix.sum(axis=1) - 1) > 1e-9)
    if bad.size:
        raise ValueError(
            f"transition: row {bad[0]} must sum to 1; it sums to {matrix[bad[0]].sum():g}."
        )
    return matrix


def _regime_path(transition: Floats, n_dates: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Numbers of the regimes, by day; the first is normal."""
    limits = np.cumsum(transition, axis=1)[:, :-1]
    path = np.empty(n_dates, dtype=np.intp)
    path[0] = list(REGIMES).index("normal")
    for day, uniform in enumerate(rng.random(n_dates - 1), start=1):
        path[day] = np.searchsorted(limits[path[day - 1]], uniform, side="right")
    return path


def _parameter_path(
    model: CharacteristicModel,
    regime: NDArray[np.intp],
    reversion: float,
    rng: np.random.Generator,
) -> Floats:
    """Parameter sets, by day; the first is drawn from the spread around its level."""
    levels = logit([np.mean(band) for band in REGIMES.values()])
    stay = np.exp(-reversion)
    state = np.full(model.n_params, levels[regime[0]])
    params = np.empty((len(regime), model.n_params))
    for day, level in enumerate(levels[regime]):
        keep = stay if day else 0.0
        centre, spread = level + keep * (state - level), _SPREAD * np.sqrt(1 - keep**2)
        state, params[day] = _step(model, centre, spread, rng)
    return params


def _step(
    model: CharacteristicModel, centre: Floats, spread: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """The next state and its parameters, drawn until the model exists for them."""
    for _ in range(_MAX_DRAWS):
        state = centre + spread * rng.standard_normal(model.n_params)
        params = at_positions(model, expit(state)[None])
        if model.admissible(params)[0]:
            return state, params[0]
    raise ValueError(
        f"{model.name!r} hardly exists on the path of its parameters: {_MAX_DRAWS} steps drawn."
    )
