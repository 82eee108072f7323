"""Distributions of parameters, given surfaces: conditional normalising flows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from zuko.flows import NSF, Flow
from zuko.lazy import LazyTransform
from zuko.transforms import AdditiveTransform, ComposedTransform, LULinearTransform

from levylearn.calibration._torch.networks import DenseNet, Entry

# Of the networks that say the splines.
_WIDTH = 64


class ConditionalFlow(nn.Module):
    """Standardise what is expected of a surface, then bend what is left into the normal.

    A posterior may be a hundredth as wide as the prior. A network of the surface alone says where
    it is, how wide and how correlated: an affine map. Splines (Durkan, Bekasov, Murray and
    Papamakarios, 2019), whose range is a few deviations, do the rest, which is small. Before
    training all are the identity, and the distribution is the standard normal: the prior.
    """

    def __init__(self, n_in: int, n_out: int, hidden: tuple[int, ...], n_transforms: int) -> None:
        super().__init__()
        *sizes, n_context = hidden
        self.surface = nn.Sequential(Entry(), DenseNet(n_in, n_context, tuple(sizes)), nn.SiLU())
        splines = NSF(
            n_out, n_context, transforms=n_transforms, hidden_features=(_WIDTH,), activation=nn.SiLU
        )
        for spline in splines.transform.transforms:
            _silence(spline.hyper[-1])
        affine = Standardisation(n_out, n_context)
        self.flow = Flow([affine, *splines.transform.transforms], splines.base)

    def forward(self, inputs: Tensor) -> Any:
        """Distributions (n,) of vectors (n_out,) for inputs (n, n_in)."""
        return self.flow(self.surface(inputs))

    def draws(self, inputs: Tensor, points: Tensor) -> Tensor:
        """Map points (k, n_out) of the standard normal to draws, for the inputs (n_in,) of one."""
        return self(inputs).transform.inv(points)


class Standardisation(LazyTransform):
    """Affine map of a vector that a context says: subtract a mean, multiply by a triangle."""

    def __init__(self, n_out: int, n_context: int) -> None:
        super().__init__()
        self.n_out = n_out
        self.head = nn.Linear(n_context, n_out + n_out**2)
        _silence(self.head)

    def forward(self, c: Tensor) -> Any:
        """Return the transform for contexts (n, n_context)."""
        mean, rest = self.head(c).split([self.n_out, self.n_out**2], dim=-1)
        square = rest.unflatten(-1, (self.n_out, self.n_out))
        scale = torch.diagonal(square, dim1=-2, dim2=-1).exp()
        unit = torch.tril(square, -1) + torch.eye(self.n_out, dtype=c.dtype, device=c.device)
        return ComposedTransform(
            AdditiveTransform(-mean), LULinearTransform(scale[..., None] * unit)
        )


def _silence(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
