"""Surfaces of random parameters, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from levylearn.base import BasePricer
from levylearn.datasets._recipe import RECIPE_CONSTRAINTS, Recipe
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel, get_model
from levylearn.utils._sklearn import Interval, validate_params

__all__ = ["bunch_of_surfaces", "drawn_seed", "make_surfaces"]


@validate_params(
    {
        **RECIPE_CONSTRAINTS,
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_surfaces(
    model: str | CharacteristicModel,
    grid: OptionGrid,
    n_samples: int = 1000,
    *,
    distribution: str = "market",
    ranges: Mapping[str, Any] | None = None,
    sampling: str = "sobol",
    feller: bool = False,
    noise: Any = None,
    output: str = "price",
    pricer: BasePricer | None = None,
    random_state: Any = None,
    return_X_y: bool = True,
    as_frame: bool = False,
) -> Any:
    """Make option surfaces of random parameters, to learn from or to test with.

    The i-th parameter set is the i-th admissible one in a sequence of points, which depends
    on `random_state` and not on `n_samples`: a longer set begins with the shorter one.

    Parameters
    ----------
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    grid : OptionGrid
        The options and their market.
    n_samples : int, default=1000
        Number of surfaces.
    distribution : {"market", "prior", "calm", "normal", "stressed"}, default="market"
        Where parameters come from: spread over their market ranges, evenly on the scale of
        each; from their priors; or from a regime of :func:`market_regimes`.
    ranges : dict, default=None
        By name of the parameter what to draw it from instead: ``(low, high)``, spread on the
        scale of the parameter, or a frozen continuous distribution of :mod:`scipy.stats`.
    sampling : {"sobol", "random"}, default="sobol"
        Points of a scrambled Sobol sequence, which fill the space more evenly (it has
        2**30), or independent points.
    feller : bool, default=False
        Whether to keep only sets for which no variance can reach zero,
        ``2 * kappa * theta >= sigma**2`` for each square-root factor. Markets do not.
    noise : transformer, default=None
        Applied to the surfaces by its `fit_transform` (or else `transform`), some thousand
        at a time. It is copied, and each `random_state` it has is drawn from the one here.
    output : {"price", "forward_price", "implied_vol"}, default="price"
        Unit of the surfaces, as for :class:`~levylearn.pricing.ContourPricer`.
    pricer : BasePricer, default=None
        Who prices; a copy of it gets this model, grid and output. None means
        :class:`~levylearn.pricing.ContourPricer`.
    random_state : int, RandomState instance or None, default=None
        Decides everything; an int makes the call repeatable.
    return_X_y : bool, default=True
        Whether to return a tuple; False returns a Bunch.
    as_frame : bool, default=False
        Whether to return data frames, with the names of quotes and parameters.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_samples, n_quotes)
        The surfaces.
    y : ndarray or DataFrame of shape (n_samples, n_params)
        The parameters, in the order of the model.
    data : Bunch
        If not `return_X_y`: ``X`` and ``y``, ``feature_names`` and ``parameter_names``, the
        ``grid`` and the ``model``.

    Raises
    ------
    ValueError
        If an argument is not as described, or hardly any set of parameters admissible.

    See Also
    --------
    SurfaceDataset : The same on disk, of any size.
    make_surface_series : Surfaces over time.

    References
    ----------
    Sobol', I. (1967). On the distribution of points in a cube and the approximate evaluation
    of integrals. USSR Computational Mathematics and Mathematical Physics 7, 86-112.

    Matoušek, J. (1998). On the L2-discrepancy for anchored boxes. Journal of Complexity 14,
    527-556.

    Examples
    --------
    >>> from levylearn.datasets import make_surfaces
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[0.5, 1.0])
    >>> X, y = make_surfaces("heston", grid, n_samples=500, random_state=0)
    >>> X.shape, y.shape
    ((500, 6), (500, 5))

    Some parameters in ranges or of distributions of one's own:

    >>> from scipy.stats import lognorm
    >>> ranges = {"rho": (-0.8, -0.4), "v0": lognorm(0.5, scale=0.04)}
    >>> X, y = make_surfaces("heston", grid, ranges=ranges, random_state=0, as_frame=True)
    >>> y.rho.between(-0.8, -0.4).all()
    np.True_
    """
    recipe = Recipe.build(
        model,
        grid,
        drawn_seed(random_state),
        distribution=distribution,
        ranges=ranges,
        sampling=sampling,
        feller=feller,
        noise=noise,
        output=output,
        pricer=pricer,
    )
    parts = zip(*recipe.blocks(n_samples), strict=True)
    X, y = (np.concatenate(part) for part in parts)
    data = bunch_of_surfaces(X, y, model, grid, as_frame)
    return (data.X, data.y) if return_X_y else data


def drawn_seed(random_state: Any) -> int:
    """One number from which all randomness comes."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def bunch_of_surfaces(
    X: Any, y: Any, model: str | CharacteristicModel, grid: OptionGrid, as_frame: bool
) -> Bunch:
    """Surfaces and parameters with their names, as arrays or as data frames."""
    model = get_model(model)
    names, parameters = grid.get_feature_names_out(), list(model.parameter_names)
    if as_frame:
        X, y = pd.DataFrame(X, columns=names), pd.DataFrame(y, columns=parameters)
    return Bunch(X=X, y=y, feature_names=names, parameter_names=parameters, grid=grid, model=model)
