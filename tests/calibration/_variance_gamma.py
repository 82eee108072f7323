"""A surface of Variance Gamma and its posterior by quadrature."""

import itertools

import numpy as np
from scipy.special import logsumexp

from levylearn.calibration._chains import Target
from levylearn.calibration._mode import find_modes
from levylearn.calibration._nuts import _Frame
from levylearn.calibration._posterior import Noise, PosteriorDensity
from levylearn.calibration._prior import PriorSpace
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
    return moments(density.space, x, density(x, np.zeros(len(x), dtype=int))[0])


def quadrature_along_the_ridge(X, scale=0.01, start=TRUTH):
    """The same for a posterior so bent that the normal at the mode misses most of it."""
    density, modes = posterior(X, scale, start)
    frame = _Frame.at_mode(Target(density, 0, modes.x[0], modes.factor[0]))
    point = frame.at(lattice(np.linspace(-8, 8, 81), *[np.linspace(-6, 6, 19)] * 2))
    return moments(density.space, frame.draws(point)[0], point.log_density)


def posterior(X, scale, start):
    """Density of the coordinates, and its mode."""
    space = PriorSpace(PRICER.parameters_, None, None, None)
    density = PosteriorDensity(PRICER, space, X, Noise(np.full(GRID.n_quotes, scale), True))
    return density, find_modes(density, space.coordinates(start))


def lattice(*axes):
    """Return all points (n, d) with coordinates from the axes."""
    return np.array(list(itertools.product(*axes)))


def moments(space, x, log_weight):
    """Mean and deviation of the parameters, from points that stand for so much of the posterior."""
    weight = np.exp(log_weight - logsumexp(log_weight))
    params = space.values(x)
    mean = weight @ params
    return mean, np.sqrt(weight @ (params - mean) ** 2)
