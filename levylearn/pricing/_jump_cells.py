"""A Lévy measure on the cells of a uniform grid."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    step: Floats
    near: Floats
    far: Floats
    beyond: Floats
    unseen: Floats

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
        n = len(params)
        starts = np.arange(n_cells)[:, None]
        ends = n_cells * 2.0 ** np.arange(_DOUBLINGS)[:, None]
        nodes = np.concatenate([(starts + _CELL_NODES).ravel(), (ends * (1 + _FAR_NODES)).ravel()])
        weights = np.concatenate([np.tile(_CELL_WEIGHTS, n_cells), (ends * _FAR_WEIGHTS).ravel()])
        jumps = (SIGNS[:, None] * nodes).ravel() * step[:, None]
        mass = model.levy_density(jumps, params) * (np.tile(weights, 2) * step[:, None])
        mass, jumps = mass.reshape(n, 2, -1), jumps.reshape(n, 2, -1)
        within = np.s_[..., : n_cells * len(_CELL_NODES)]
        outside = np.s_[..., n_cells * len(_CELL_NODES) :]
        inner = mass[within].reshape(n, 2, n_cells, -1)
        far = inner @ _CELL_NODES
        near = inner.sum(axis=3) - far
        near[..., 0] = far[..., 0] = 0.0
        size, rate = jumps[outside], mass[outside]
        # Where exp(y) overflows, the measure of a price that exists has long underflowed.
        moments = (np.ones_like(size), np.exp(np.minimum(size, 700.0)), size**2)
        beyond = np.stack([(rate * moment).sum(axis=2) for moment in moments])
        fourth = model.cumulants(1.0, params)[:, 3]
        found = (mass * jumps**4).sum(axis=(1, 2))
        unseen = np.abs(found - fourth) / np.where(fourth > 0, fourth, 1.0)
        return cls(step, near, far, beyond, unseen)

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
        return JumpCells(2 * self.step, near, far, self.beyond, self.unseen)
