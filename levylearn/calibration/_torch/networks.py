"""Networks from surfaces, prepared as they like them, to parameters."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Log-moneyness, maturity, and their product.
_N_COORDINATES = 3
# Of the layer after the convolutions.
_WIDTH = 128
# Standard deviations within which scores are brought.
_FARTHEST = 10.0


class Entry(nn.Module):
    """What networks make of the scores of principal components, before anything else.

    A few surfaces from a corner of the parameters' ranges are a hundred deviations away from all
    others, and a network that sees them so answers wildly: what is far out is brought within a
    bound. With `directions` (n_quotes, n_components), components are turned back to quotes.
    """

    def __init__(self, directions: Any = None) -> None:
        super().__init__()
        table = None
        if directions is not None:
            table = torch.tensor(directions.T, dtype=torch.get_default_dtype())
        self.register_buffer("directions", table, persistent=False)

    def forward(self, scores: Tensor) -> Tensor:
        """Map (n, n_components) to the same shape or (n, n_quotes)."""
        scores = scores / torch.sqrt(1 + (scores / _FARTHEST) ** 2)
        return scores if self.directions is None else scores @ self.directions


class DenseNet(nn.Module):
    """Fully connected layers."""

    def __init__(self, n_in: int, n_out: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        sizes = [n_in, *hidden]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        return self.layers(x)


class ResidualNet(nn.Module):
    """Blocks of two layers, each added to what comes in (He, Zhang, Ren and Sun, 2016)."""

    def __init__(self, n_in: int, n_out: int, width: int, n_blocks: int) -> None:
        super().__init__()
        self.entry = nn.Linear(n_in, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)
            )
            for _ in range(n_blocks)
        )
        self.exit = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, n_in) to (n, n_out)."""
        x = self.entry(x)
        for block in self.blocks:
            x = x + block(x)
        return self.exit(x)


class ConvolutionalNet(nn.Module):
    """Convolutions over maturities and strikes, each of them halving both, then two layers."""

    def __init__(self, shape: tuple[int, int], n_out: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = []
        before, rows, columns = 1, *shape
        for i, after in enumerate(channels):
            stride = 1 if i == 0 else 2
            layers += [nn.Conv2d(before, after, 3, stride, padding=1), nn.SiLU()]
            before = after
            rows, columns = -(-rows // stride), -(-columns // stride)
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.exit = DenseNet(before * rows * columns, n_out, (_WIDTH,))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, rows * columns) to (n, n_out)."""
        return self.exit(self.convolutions(x.reshape(len(x), 1, *self.shape)))


class QuoteTransformer(nn.Module):
    """Attention to quotes by where they are, then among what was gathered.

    A few queries gather the quotes: how much attention one pays to a quote depends on the
    quote's coordinates, and what it takes from there on its value too. Layers of self-attention
    among the queries follow (Vaswani and others, 2017; gathering by queries is that of Jaegle and
    others, 2021).

    With a table of coordinates (n_quotes, n_coordinates), inputs are values (n, n_quotes).
    Without, every row brings coordinates of its own: it holds log-moneynesses, maturities and
    values, as many of each, and what is NaN gets no attention.
    """

    def __init__(
        self,
        coordinates: Any,
        n_out: int,
        width: int,
        n_heads: int,
        n_queries: int,
        n_layers: int,
    ) -> None:
        super().__init__()
        self.n_heads, n_coordinates = n_heads, _N_COORDINATES
        table = None
        if coordinates is not None:
            table = torch.tensor(coordinates, dtype=torch.get_default_dtype())
            n_coordinates = table.shape[1]
        self.register_buffer("coordinates", table, persistent=False)
        self.place = DenseNet(n_coordinates, width, (width,))
        self.key, self.slope, self.level = (nn.Linear(width, width) for _ in range(3))
        self.query = nn.Parameter(torch.randn(n_queries, width))
        self.gathered = nn.Linear(width, width)
        self.layers = nn.ModuleList(SelfAttention(width, n_heads) for _ in range(n_layers))
        self.exit = nn.Sequential(
            nn.LayerNorm(n_queries * width), DenseNet(n_queries * width, n_out, (2 * width,))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map quotes to (n, n_out)."""
        if self.coordinates is None:
            z = self._gather_anywhere(*x.reshape(len(x), 3, -1).unbind(1))
        else:
            z = self._gather_in_place(x)
        z = self.gathered(z)
        for layer in self.layers:
            z = layer(z)
        return self.exit(z.flatten(1))

    def _gather_in_place(self, values: Tensor) -> Tensor:
        """Gather quotes (n, m) at known coordinates: their attention is one table of weights."""
        place = self.place(self.coordinates)
        attention = torch.softmax(self._attention(place), dim=2)  # (heads, queries, m)
        slope, level = (self._heads(part(place)) for part in (self.slope, self.level))
        weights = torch.einsum("hqm,mhj->mqhj", attention, slope)
        constant = torch.einsum("hqm,mhj->qhj", attention, level)
        return (values @ weights.flatten(1)).unflatten(1, constant.shape).add(constant).flatten(2)

    def _gather_anywhere(self, moneyness: Tensor, maturity: Tensor, values: Tensor) -> Tensor:
        """Gather quotes (n, m) that bring their coordinates."""
        present = ~torch.isnan(moneyness + maturity + values)
        values = torch.where(present, values, 0.0)
        where = torch.stack([moneyness, maturity, moneyness * maturity], dim=2)
        place = self.place(torch.where(present[..., None], where, 0.0))
        attention = self._attention(place).masked_fill(~present[:, None, None], -torch.inf)
        taken = values[..., None] * self.slope(place) + self.level(place)
        z = torch.softmax(attention, dim=3) @ self._heads(taken).transpose(1, 2)
        return z.transpose(1, 2).flatten(2)

    def _attention(self, place: Tensor) -> Tensor:
        """Logits (..., heads, queries, m) of the attention to places (..., m, width)."""
        key = self._heads(self.key(place)).transpose(-3, -2)
        query = self._heads(self.query).transpose(-3, -2)
        return query @ key.transpose(-2, -1) / key.shape[-1] ** 0.5

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1))


class SelfAttention(nn.Module):
    """Attention of all to all, then a layer for each; both are added to what comes in."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.each = DenseNet(width, width, (2 * width,))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, m, width) to the same shape."""
        parts = self.project(self.before(x)).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.join(seen.transpose(1, 2).flatten(2))
        return x + self.each(self.between(x))


def build(kind: str, spec: dict[str, Any], entry: dict[str, Any] | None = None) -> nn.Module:
    """Return a network of a kind, its weights drawn by torch's generator."""
    network = globals()[kind](**spec)
    return network if entry is None else nn.Sequential(Entry(**entry), network)


def weights_of(module: nn.Module) -> dict[str, Any]:
    """Return the weights as NumPy arrays of their own."""
    return {name: value.cpu().numpy().copy() for name, value in module.state_dict().items()}


def load_weights(module: nn.Module, weights: dict[str, Any]) -> nn.Module:
    """Give a network weights that are NumPy arrays."""
    module.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return module
