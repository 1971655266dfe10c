from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import LaunchError
from compress_mpi.parallel.nodes import Nodes, blocks, pretended_ranks_per_node

layouts = st.lists(st.integers(0, 5), min_size=1, max_size=40).map(
    lambda places: [sorted(set(places), key=places.index).index(place) for place in places]
)


@given(st.integers(0, 300), st.integers(1, 60))
def test_blocks_cut_evenly(n_items, n_parts):
    parts = blocks(n_items, n_parts)
    assert [item for part in parts for item in part] == list(range(n_items))
    sizes = [len(part) for part in parts]
    assert len(sizes) == n_parts
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(layouts, st.integers(0, 2000), st.integers(1, 8))
def test_rows_are_shared_without_gap_by_few(of, n_rows, cores):
    nodes = Nodes(tuple(of), (cores,) * (max(of) + 1))
    shares = nodes.share_rows(n_rows)
    assert [row for rows in shares for row in rows] == list(range(n_rows))
    fillers = [rank for rank, rows in enumerate(shares) if rows]
    assert len(fillers) <= max(1, n_rows // 32)
    per_node = [sum(of[rank] == node for rank in fillers) for node in set(of)]
    assert max(per_node) <= cores


def test_fillers_are_spread_over_nodes():
    nodes = Nodes((0, 0, 0, 0, 1, 1, 1, 1), (4, 4))
    fillers = [rank for rank, rows in enumerate(nodes.share_rows(4 * 32)) if rows]
    assert fillers == [0, 1, 4, 5]


@given(layouts)
def test_node_ranks_count_up(of):
    nodes = Nodes(tuple(of), (1,) * (max(of) + 1))
    for rank, node in enumerate(of):
        assert nodes.members(node)[nodes.node_rank(rank)] == rank


def test_part_of_a_team_keeps_its_nodes():
    nodes = Nodes((0, 0, 1, 1, 2), (2, 4, 8))
    assert nodes.among(range(3, 5)) == Nodes((0, 1), (4, 8))


def test_pretended_nodes(monkeypatch):
    monkeypatch.delenv("COMPRESS_MPI_RANKS_PER_NODE", raising=False)
    assert pretended_ranks_per_node(None) is None
    monkeypatch.setenv("COMPRESS_MPI_RANKS_PER_NODE", "2")
    assert pretended_ranks_per_node(None) == 2
    assert pretended_ranks_per_node(3) == 3


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_impossible_pretence_is_refused(monkeypatch, text):
    monkeypatch.setenv("COMPRESS_MPI_RANKS_PER_NODE", text)
    with pytest.raises(LaunchError, match="positive whole number"):
        pretended_ranks_per_node(None)
