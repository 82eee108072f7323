r"""The choice of evenly spaced nodes on the real axis, for integrands that decay late.

Jumps of nearly one size make a characteristic function nearly periodic: it lives on along the
real axis until its diffusion has decayed, and off it grows exponentially. No line may be bent
then, and around sinh's nodes on the axis there is only a narrow strip: in u it would widen with
the distance from the origin. Around even lines a strip is as wide everywhere far out.

How much a nearly periodic integrand may rise between two probes is bounded, too. The second
derivative of :math:`\log|\varphi|` along a line at height v is no larger, where it stems from
jumps, than that of :math:`\log\varphi(iv)` by v.
"""

from __future__ import annotations

import numpy as np

from levylearn.pricing._lines import (
    EVEN,
    EVEN_LENGTHS,
    MOST_NODES,
    STEPS,
    Complex,
    Floats,
    Ints,
    Line,
    even_line,
    last_true,
    step_index,
)

# Half of the widths of strips around the axis, in y, and how high they are far out, in u.
_WIDTHS = np.array([0.06, 0.12, 0.22, 0.4, 0.7, 1.2])
_HEIGHTS = even_line(50.0 + 1j * np.array([0.0, *_WIDTHS, 1.5]))[0].imag

_AXIS_PROBES = np.concatenate([np.arange(0, 16, 0.25), np.arange(16, EVEN_LENGTHS[-1], 0.5)])
# The edges of strips reach their height not before y = 8, and the first peaks may come later.
_EDGE_PROBES = np.concatenate(
    [np.arange(0, 4, 0.5), np.arange(4, 16, 0.25), np.arange(16, 40, 0.5)]
)

_AXIS, _AXIS_WEIGHT = even_line(_AXIS_PROBES)
_EDGES, _EDGE_WEIGHT = even_line(_EDGE_PROBES + 1j * np.stack([_WIDTHS, -_WIDTHS])[..., None])
_LOG_AXIS_WEIGHT, _LOG_EDGE_WEIGHT = np.log(np.abs(_AXIS_WEIGHT)), np.log(np.abs(_EDGE_WEIGHT))
# Rises between probes that are 8 apart in u, for a second derivative of one, and by how much those
# between the farthest probes are larger.
_RISE, _FAR_OUT = 8.0**2 / 8, 4.0

# An integrand that is alive here is out of reach.
FARTHEST = _AXIS[-1].real


def probes(farthest: Floats) -> Complex:
    """Points at which to look at integrands, up to the farthest that are given on the real axis."""
    up_and_down = np.concatenate([_HEIGHTS, -_HEIGHTS])
    n = _n_on_axis(farthest).max()
    return np.concatenate([1j * up_and_down, _EDGES.ravel(), _AXIS[:n]])


def choose_even(
    log_phi: Floats, low: Floats, high: Floats, farthest: Floats, log_tolerance: float
) -> tuple[Line, Floats]:
    """Find the even line for every integrand, and the number of its nodes.

    Parameters
    ----------
    log_phi : ndarray of shape (..., n_probes)
        Logarithms of the absolute characteristic function at the probes.
    low, high : ndarray of shape (...)
        Least and greatest k of the strikes.
    farthest : ndarray of shape (...)
        Where on the real axis an integrand seems to be negligible.
    log_tolerance : float
        Below which an integrand is negligible.

    Returns
    -------
    line : Line
        The choice.
    cost : ndarray of shape (...)
        Its number of nodes; infinite where no even line is fully accurate.
    """
    parts = np.cumsum([2 * len(_HEIGHTS), _EDGES.size])
    moments, edges, axis = np.split(log_phi - 0.5 * low[..., None], parts, axis=-1)
    rises = _rises(moments.reshape(*low.shape, 2, -1))
    edges = edges.reshape(*low.shape, *_EDGES.shape) + _LOG_EDGE_WEIGHT
    worst = np.stack([low, high], axis=-1)[..., None, None]
    edges = (edges - _EDGES.imag * worst).max(axis=-1)
    edges[np.isnan(edges)] = np.inf

    n_on_axis = _n_on_axis(farthest)
    own = np.arange(axis.shape[-1]) < n_on_axis[..., None]
    axis = np.where(own, axis + _LOG_AXIS_WEIGHT[: axis.shape[-1]], -np.inf)
    axis[np.isnan(axis)] = np.inf
    alive = own & (axis > log_tolerance - _FAR_OUT * rises[..., :1, 0])
    after = last_true(alive) + 1
    end = _AXIS_PROBES[np.minimum(after, n_on_axis - 1)]
    length = np.minimum(np.searchsorted(EVEN_LENGTHS, end), len(EVEN_LENGTHS) - 1)

    strips = np.maximum(edges + rises[..., 1:], axis.max(axis=-1)[..., None, None])
    reach = 1 / np.maximum(np.maximum.accumulate(strips, axis=-1) - log_tolerance, 1)
    widest = (2 * np.pi * _WIDTHS * reach).max(axis=-1).min(axis=-1)
    line = Line(np.full(length.shape, EVEN), step_index(widest), length)
    n_nodes = line.n_nodes
    fine = (after < n_on_axis) & (widest >= STEPS[-1]) & (n_nodes < MOST_NODES)
    return line, np.where(fine, n_nodes, np.inf)


def _n_on_axis(farthest: Floats) -> Ints:
    return np.minimum(np.searchsorted(_AXIS.real, farthest) + 1, len(_AXIS))


def _rises(moments: Floats) -> Floats:
    """Largest rises between probes, at the height 0 and on the edges: (..., 2, 1 + n_widths).

    They are taken from logarithms (..., 2, n_heights) of the characteristic function on the
    imaginary axis. Where a moment does not exist a formula gives NaN, which is ignored beyond the
    first two of them, or goes on beyond its pole, mostly with a negative second derivative.
    """
    slopes = np.diff(moments, axis=-1) / np.diff(_HEIGHTS)
    first = (slopes[..., :1, 0] + slopes[..., 1:, 0])[..., None] / _HEIGHTS[1]
    first = np.where(np.isnan(first), np.inf, first)
    others = 2 * np.diff(slopes, axis=-1) / (_HEIGHTS[2:] - _HEIGHTS[:-2])
    curvature = np.concatenate([np.broadcast_to(first, (*others.shape[:-1], 1)), others], axis=-1)
    return _RISE * np.fmax.accumulate(np.maximum(curvature, 0.0), axis=-1)
