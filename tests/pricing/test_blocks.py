"""How integrals are put together: none is lost, none is done twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levylearn.pricing._blocks import blocks
from levylearn.pricing._lines import ANGLES, STEPS, Line, nodes

LINES = st.tuples(
    st.integers(0, len(ANGLES) - 1), st.integers(0, len(STEPS) - 1), st.integers(0, 20)
)


@given(
    lines=st.lists(st.tuples(LINES, st.integers(0, 2)), min_size=1, max_size=60),
    n_times=st.tuples(*[st.integers(1, 6)] * 3),
    most=st.sampled_from([100, 3000, 10**5]),
)
def test_every_integral_is_in_one_block(lines, n_times, most):
    codes = np.array([Line(*line).code() for line, _ in lines])
    bands, n_times = np.array([band for _, band in lines]), np.array(n_times)
    found = []
    for block in blocks(codes, bands, n_times, most):
        found += block.members.tolist()
        stop = 0
        for run in block.runs:
            assert run.items.start == stop < run.items.stop
            stop = run.items.stop
            members = block.members[run.items]
            assert (codes[members] == run.line.code()).all()
            assert (bands[members] == run.band).all()
            assert run.n_nodes == run.line.n_nodes
        assert stop == len(block.members)
        height = max(n_times[run.band] for run in block.runs)
        assert len(block.members) == 1 or len(block.members) * height * block.n_nodes <= 2 * most
    assert sorted(found) == list(range(len(lines)))


def test_nodes_of_a_block():
    lines = [Line(4, 8, 5), Line(12, 8, 5), Line(12, 9, 3)]
    codes = np.array([line.code() for line in lines])
    (block,) = blocks(codes, np.zeros(3, dtype=int), np.ones(1, dtype=int), 10**5)
    u, weights, (last, end, end_weight) = block.u, block.weights, block.ends
    for row, member in enumerate(block.members):
        own, own_weights = nodes(*lines[member][:2])
        n_nodes = lines[member].n_nodes
        np.testing.assert_array_equal(u[row, :n_nodes], own[:n_nodes])
        assert (u[row, n_nodes:] == own[n_nodes - 1]).all()
        np.testing.assert_array_equal(weights[row, :n_nodes], own_weights[:n_nodes])
        assert (weights[row, n_nodes:] == 0).all()
        assert last[row] == n_nodes - 1
        assert end[row] == own[n_nodes - 1]
        assert end_weight[row] == own_weights[n_nodes - 1]


@pytest.mark.parametrize("step", [0, 10, len(STEPS) - 1])
def test_weights_integrate(step):
    # The integral of 1 / (u^2 + 1/4) / pi over half of the real axis is one.
    _, weights = nodes(len(ANGLES) // 2, step)
    np.testing.assert_allclose(weights.sum().real, 1.0, rtol=1e-3)
