"""Integrals whose nodes are laid side by side, so that few calls evaluate many of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from levylearn.pricing._lines import Complex, Ints, Line, nodes

# Filling up with superfluous terms costs less than one more call as long as they are fewer.
_WORTH_A_CALL = 2000


class Run(NamedTuple):
    """Consecutive integrals of a block on the same line, over the same band."""

    items: slice
    band: int
    line: Line
    n_nodes: int


@dataclass(frozen=True)
class Block:
    """Integrals evaluated together, perhaps again and again.

    Parameters
    ----------
    members : ndarray of int of shape (n,)
        Which integrals.
    runs : list of Run
        What they have in common, from the first to the last.
    """

    members: Ints
    runs: list[Run]

    @cached_property
    def n_nodes(self) -> int:
        """Number of nodes of the longest line."""
        return max(run.n_nodes for run in self.runs)

    @cached_property
    def u(self) -> Complex:
        """Nodes: (n, m), or (m,) if all are on one line; shorter lines end on the spot."""
        if len(self.runs) == 1:
            (run,) = self.runs
            return nodes(*run.line[:2])[0][: run.n_nodes]
        u = np.empty((len(self.members), self.n_nodes), dtype=np.complex128)
        for items, _, line, size in self.runs:
            own = nodes(*line[:2])[0]
            u[items, :size] = own[:size]
            u[items, size:] = own[size - 1]
        return u

    @cached_property
    def ends(self) -> tuple[Ints, Complex, Complex]:
        """Number of the last node of each line, the node and its weight."""
        last = [run.n_nodes - 1 for run in self.runs]
        ends = [
            [part[j] for part in nodes(*run.line[:2])]
            for run, j in zip(self.runs, last, strict=True)
        ]
        lengths = [run.items.stop - run.items.start for run in self.runs]
        u, weight = np.repeat(np.array(ends), lengths, axis=0).T
        return np.repeat(np.array(last), lengths), u, weight

    @cached_property
    def weights(self) -> Complex:
        """Trapezoid weights (n, m) at the nodes."""
        weights = np.zeros((len(self.members), self.n_nodes), dtype=np.complex128)
        for items, _, line, size in self.runs:
            weights[items, :size] = nodes(*line[:2])[1][:size]
        return weights


def blocks(codes: Ints, bands: Ints, n_times: Ints, most: int) -> Iterator[Block]:
    """Put integrals of similar length together.

    Parameters
    ----------
    codes : ndarray of int of shape (n,), n > 0
        Code of the line of each integral.
    bands : ndarray of int of shape (n,)
        Band of maturities of each.
    n_times : ndarray of int of shape (n_bands,)
        Number of maturities of each band.
    most : int
        Terms that a block is to have at most.

    Yields
    ------
    block : Block
        Integrals ordered by length, band and line.
    """
    line = Line.decode(codes)
    order = np.lexsort((codes, bands, line.n_nodes))
    codes, bands = codes[order], bands[order]
    line = Line(*(part[order] for part in line))
    n_nodes = line.n_nodes
    other_length = (n_nodes[1:] != n_nodes[:-1]) | (bands[1:] != bands[:-1])
    other_line = other_length | (codes[1:] != codes[:-1])
    groups = [0, *(1 + np.flatnonzero(other_length)).tolist()]
    starts = _starts(groups, n_times[bands], n_nodes, most)
    run_starts = sorted({*starts, *(1 + np.flatnonzero(other_line)).tolist()})
    for start, stop in pairwise([*starts, len(codes)]):
        first, last = bisect_left(run_starts, start), bisect_left(run_starts, stop)
        runs = [
            Run(
                slice(a - start, b - start),
                int(bands[a]),
                Line(*(int(part[a]) for part in line)),
                int(n_nodes[a]),
            )
            for a, b in pairwise([*run_starts[first:last], stop])
        ]
        yield Block(order[start:stop], runs)


def _starts(groups: list[int], n_times: Ints, n_nodes: Ints, most: int) -> list[int]:
    """Where blocks start: groups of equal shape, merged while that costs little, or cut.

    Parameters
    ----------
    groups : list of int
        Where the groups start.
    n_times, n_nodes : ndarray of int of shape (n,)
        Shapes of the integrals, ordered by the latter.
    most : int
        Terms that a block is to have at most.

    Returns
    -------
    starts : list of int
        In ascending order.
    """
    starts: list[int] = []
    n, height = 0, 0  # of the current block
    for a, b in pairwise([*groups, len(n_times)]):
        taller, width = max(height, int(n_times[a])), int(n_nodes[a])
        terms = (n + b - a) * taller * width
        own = (b - a) * int(n_times[a]) * width
        before = n * height * int(n_nodes[a - 1])
        if n and terms <= min(before + own + _WORTH_A_CALL, most):
            n, height = n + b - a, taller
            continue
        n_parts = min(-(-own // most), b - a)
        starts += [a + (b - a) * part // n_parts for part in range(n_parts)]
        n, height = b - starts[-1], int(n_times[a])
    return starts
