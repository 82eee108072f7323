"""A Lévy measure on the cells of a uniform grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from levylearn.models import LevyModel, SumModel

__all__ = ["JumpCells", "JumpModel"]

Floats = NDArray[np.float64]
JumpModel = LevyModel | SumModel

# Jumps up and jumps down.
SIGNS = np.array([1.0, -1.0])
# Beyond the grid, cells double in width this many times.
_DOUBLINGS = 12
# exp of more overflows.
_LARGEST = 700.0


def _gauss(n_nodes: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss's rule on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    return (nodes + 1) / 2, weights / 2


_CELL_NODES, _CELL_WEIGHTS = _gauss(4)
_FAR_NODES, _FAR_WEIGHTS = _gauss(12)


@dataclass(frozen=True)
class JumpCells:
    """What jumps up and jumps down are expected in each cell of a grid, per year.

    Jumps smaller than a step are left out: they are diffusion to the grid.

    Parameters
    ----------
    step : ndarray of shape (n_samples,)
        Width of the cells.
    near, far : ndarray of shape (n_samples, 2, n_cells)
        Share of a cell's mass that linear interpolation gives to the end of the cell that
        is nearer to zero, and to the other.
    beyond : ndarray of shape (3, n_samples, 2)
        Integrals of 1, of exp(y) and of y^2 over the jumps that are larger than the grid.
    unseen : ndarray of shape (n_samples,)
        The part of the fourth cumulant that the quadrature does not find: nearly one where
        all jumps are of nearly one size, which falls between the nodes.
    ungrown : ndarray of shape (n_samples,)
        Growth of the asset, per year, that it does not find: that of jumps so large that
        doubles do not hold the price.
    skew : ndarray of shape (n_samples,)
        Third moment of the jumps that are diffusion to the grid, which has none.
    """

    step: Floats
    near: Floats
    far: Floats
    beyond: Floats
    unseen: Floats
    ungrown: Floats
    skew: Floats

    @classmethod
    def measured(cls, model: JumpModel, params: Floats, step: Floats, n_cells: int) -> JumpCells:
        """Integrate the Lévy density of a model over cells.

        Parameters
        ----------
        model : LevyModel or SumModel
            A model that has a Lévy density.
        params : ndarray of shape (n_samples, n_params)
            Parameter sets.
        step : ndarray of shape (n_samples,)
            Width of the cells of each.
        n_cells : int
            Number of cells on either side of zero.

        Returns
        -------
        cells : JumpCells
            Their masses.
        """
        nodes, weights = _rule(n_cells)
        jumps = (SIGNS[:, None] * nodes).ravel() * step[:, None]
        mass = model.levy_density(jumps, params) * (np.tile(weights, 2) * step[:, None])
        jumps, mass = (values.reshape(len(params), 2, -1) for values in (jumps, mass))
        n_inner = n_cells * len(_CELL_NODES)
        inner = mass[..., :n_inner].reshape(len(params), 2, n_cells, -1)
        far = inner @ _CELL_NODES
        near = inner.sum(axis=3) - far
        near[..., 0] = far[..., 0] = 0.0
        size, rate = jumps[..., n_inner:], mass[..., n_inner:]
        moments = (np.ones_like(size), np.exp(np.minimum(size, _LARGEST)), size**2)
        beyond = np.stack([(rate * moment).sum(axis=2) for moment in moments])
        small = slice(len(_CELL_NODES))
        skew = np.abs((mass[..., small] * jumps[..., small] ** 3).sum(axis=(1, 2)))
        return cls(step, near, far, beyond, *_missed(model, params, jumps, mass), skew)

    def coarsened(self) -> JumpCells:
        """Join the cells in pairs.

        Returns
        -------
        cells : JumpCells
            The same measure on a grid of twice the step.
        """
        near, far = self.near, self.far
        shared = (far[..., ::2] + near[..., 1::2]) / 2
        near, far = near[..., ::2] + shared, shared + far[..., 1::2]
        near[..., 0] = far[..., 0] = 0.0
        return replace(self, step=2 * self.step, near=near, far=far)


@cache
def _rule(n_cells: int) -> tuple[Floats, Floats]:
    """Nodes and weights over so many cells of width one, and over the doubling ones beyond."""
    starts = np.arange(n_cells)[:, None]
    ends = n_cells * 2.0 ** np.arange(_DOUBLINGS)[:, None]
    nodes = np.concatenate([(starts + _CELL_NODES).ravel(), (ends * (1 + _FAR_NODES)).ravel()])
    weights = np.concatenate([np.tile(_CELL_WEIGHTS, n_cells), (ends * _FAR_WEIGHTS).ravel()])
    return nodes, weights


def _missed(model: JumpModel, params: Floats, jumps: Floats, mass: Floats) -> tuple[Floats, Floats]:
    """Compare quadratures with cumulants, of orders to which small jumps do not matter."""
    mean, variance, _, fourth = model.cumulants(1.0, params).T
    found = (mass * jumps**4).sum(axis=(1, 2))
    unseen = np.abs(found - fourth) / np.where(fourth > 0, fourth, 1.0)
    growth = np.expm1(np.minimum(jumps, _LARGEST)) - jumps - jumps**2 / 2
    # exp(X) is a martingale: all cumulants over their factorials add up to zero.
    expected = -mean - variance / 2
    return unseen, np.abs((mass * growth).sum(axis=(1, 2)) - expected)
