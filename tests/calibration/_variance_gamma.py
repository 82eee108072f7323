"""A surface of Variance Gamma and its posterior by quadrature."""

import itertools

import numpy as np
from scipy.special import logsumexp

from levylearn.calibration._mode import find_modes
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


def quadrature(X, scale=0.01):
    """Mean and deviation of the parameters, in the coordinates of the prior."""
    space = PriorSpace(PRICER.parameters_, None, None, None)
    density = PosteriorDensity(PRICER, space, X, Noise(np.full(GRID.n_quotes, scale), True))
    modes = find_modes(density, space.coordinates(TRUTH))
    nodes = np.linspace(-6, 6, 25)
    w = np.array(list(itertools.product(nodes, repeat=3)))
    x = modes.x + w @ modes.factor[0].T
    log_density, _ = density(x, np.zeros(len(x), dtype=int))
    weight = np.exp(log_density - logsumexp(log_density))
    params = space.values(x)
    mean = weight @ params
    return mean, np.sqrt(weight @ (params - mean) ** 2)
