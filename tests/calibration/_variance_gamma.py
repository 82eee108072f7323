"""A surface of Variance Gamma and its posterior by quadrature."""

import itertools

import numpy as np
from scipy.special import logsumexp

from levylearn.calibration._mode import find_modes
from levylearn.calibration._posterior import Noise, PosteriorDensity
from levylearn.calibration._prior import PriorSpace
from levylearn.calibration._ridge import climb
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer

GRID = OptionGrid([85, 95, 100, 105, 115], [0.25, 1.0], rate=0.03)
TRUTH = np.array([[0.2, 0.4, -0.2]])
PRICER = ContourPricer("variance_gamma", GRID).fit(TRUTH)


def noisy(scale=0.01, seed=0):
    """The surface, with relative errors."""
    X = PRICER.transform(TRUTH)
    return X * (1 + scale * np.random.default_rng(seed).standard_normal(X.shape))


def quadrature(X, scale=0.01, start=TRUTH):
    """Mean and deviation of the parameters, in the coordinates of the prior."""
    density, modes = posterior(X, scale, start)
    w = lattice(*[np.linspace(-6, 6, 25)] * 3)
    x = modes.x + w @ modes.factor[0].T
    return moments(density, x, np.zeros(len(x)))


def quadrature_along_the_ridge(X, scale=0.01, start=TRUTH):
    """The same for a posterior so bent that the normal at the mode misses most of it."""
    density, modes = posterior(X, scale, start)
    wide, widths, _ = np.linalg.svd(modes.factor[0])
    wide = wide * widths

    def around_mode(y):
        value, slopes = density(modes.x + y @ wide.T, np.zeros(len(y), dtype=int), slopes=True)
        return value, slopes.gradient @ wide, wide.T @ slopes.metric @ wide

    off = climb(around_mode, 3)(lattice(np.linspace(-8, 8, 81), *[np.linspace(-6, 6, 19)] * 2))
    return moments(density, modes.x + off.y @ wide.T, off.log_volume)


def posterior(X, scale, start):
    """Density of the coordinates, and its mode."""
    space = PriorSpace(PRICER.parameters_, None, None, None)
    density = PosteriorDensity(PRICER, space, X, Noise(np.full(GRID.n_quotes, scale), True))
    return density, find_modes(density, space.coordinates(start))


def lattice(*axes):
    """Return all points (n, d) with coordinates from the axes."""
    return np.array(list(itertools.product(*axes)))


def moments(density, x, log_volume):
    """Mean and deviation of the parameters, from points that stand for volumes."""
    log_weight = density(x, np.zeros(len(x), dtype=int))[0] + log_volume
    weight = np.exp(log_weight - logsumexp(log_weight))
    params = density.space.values(x)
    mean = weight @ params
    return mean, np.sqrt(weight @ (params - mean) ** 2)
