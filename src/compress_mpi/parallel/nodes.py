"""Which rank sits on which node, and with how many cores: arithmetic on a small table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from compress_mpi.errors import LaunchError

__all__ = ["Nodes", "blocks", "discover", "pretended_ranks_per_node"]

_ROWS_PER_FILLER = 32


@dataclass(frozen=True)
class Nodes:
    """The members of one team on their nodes.

    Attributes
    ----------
    of : tuple of int
        Node number of each rank; numbered by the lowest rank on each.
    cores : tuple of int
        Cores of each node that the job may use.
    """

    of: tuple[int, ...]
    cores: tuple[int, ...]

    def members(self, node: int) -> list[int]:
        """Ranks on ``node``, in order; the first is its leader."""
        return [rank for rank, place in enumerate(self.of) if place == node]

    def node_rank(self, rank: int) -> int:
        """Position of ``rank`` among the ranks on its node."""
        return self.of[:rank].count(self.of[rank])

    def among(self, ranks: range) -> Nodes:
        """The same for some of the ranks, which are numbered anew."""
        kept = list(dict.fromkeys(self.of[rank] for rank in ranks))
        return Nodes(
            tuple(kept.index(self.of[rank]) for rank in ranks), tuple(self.cores[node] for node in kept)
        )

    def share_rows(self, n_rows: int) -> list[range]:
        """Rows that each rank fills: disjoint, contiguous, in rank order.

        Reading needs heavy imports, so few ranks do it: at most one per 32 rows
        and per core, spread evenly over the nodes.

        Parameters
        ----------
        n_rows : int

        Returns
        -------
        list of range
            One per rank, empty for ranks that fill nothing.
        """
        places = [(self.node_rank(rank), node, rank) for rank, node in enumerate(self.of)]
        able = [rank for place, node, rank in sorted(places) if place < self.cores[node]]
        chosen = sorted(able[: max(1, n_rows // _ROWS_PER_FILLER)])
        parts = dict(zip(chosen, blocks(n_rows, len(chosen)), strict=True))
        return [parts.get(rank, range(0)) for rank in range(len(self.of))]


def blocks(n_items: int, n_parts: int) -> list[range]:
    """Contiguous ranges of ``n_items``; sizes differ by at most one, the larger come first."""
    size, extra = divmod(n_items, n_parts)
    starts = [part * size + min(part, extra) for part in range(n_parts + 1)]
    return [range(start, end) for start, end in pairwise(starts)]


def pretended_ranks_per_node(argument: int | None) -> int | None:
    """Ranks that make one node in a test, from the argument or ``COMPRESS_MPI_RANKS_PER_NODE``.

    Raises
    ------
    LaunchError
        If the variable is not a positive whole number.
    """
    text = os.environ.get("COMPRESS_MPI_RANKS_PER_NODE", "")
    if argument is None and not text:
        return None
    if argument is None and not text.isdigit():
        raise LaunchError(f"COMPRESS_MPI_RANKS_PER_NODE: expected a positive whole number, got {text!r}")
    ranks = int(text) if argument is None else argument
    if ranks < 1:
        raise LaunchError(f"ranks per node: expected a positive whole number, got {ranks}")
    return ranks


def discover(comm: Any, affinity: set[int], ranks_per_node: int | None) -> tuple[Nodes, int, bool]:
    """Find the nodes of all ranks; collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    affinity : set of int
        Cores that this rank may run on.
    ranks_per_node : int, optional
        Pretend that nodes end after so many ranks.

    Returns
    -------
    nodes : Nodes
    cores_share : int
        This rank's share of the cores it may run on, at least 1; ranks bound to
        cores of their own have them all.
    crowded : bool
        Some node has more ranks than cores.
    """
    from mpi4py import MPI

    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    everyone = node.allgather(affinity)
    place = node.Get_rank() // (ranks_per_node or node.Get_size())
    leader = node.bcast(comm.Get_rank(), root=0)
    node.Free()
    cores = len(set().union(*everyone))
    share = int(sum(1 / sum(core in other for other in everyone) for core in affinity) + 1e-9)
    table = comm.allgather(((leader, place), cores, len(everyone) > cores))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(row[0] for row in table))}
    cores_of = dict((row[0], row[1]) for row in table)
    nodes = Nodes(tuple(numbers[row[0]] for row in table), tuple(cores_of[key] for key in numbers))
    return nodes, max(1, share), any(row[2] for row in table)
