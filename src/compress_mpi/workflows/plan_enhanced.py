"""What an enhanced set will take: files, disk and memory, before any of it is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.io.commongrid import DIGITS
from compress_mpi.io.enhancedset import DIGITS as NEW_DIGITS
from compress_mpi.io.exportnodes import export_xgrid
from compress_mpi.io.knots import knot_layout
from compress_mpi.workflows.enhance_plan import EnhancePlan
from compress_mpi.workflows.prior import PriorPlan

__all__ = ["EnhancedCost", "enhanced_cost", "member_bytes"]

_VALUE = 6
"""Characters of a number beside its digits: sign, point, exponent, space, and half of a line's end."""
_EXPORTED = 15 * 14
"""Bytes of an export grid for every node: 14 flavours."""


@dataclass(frozen=True)
class EnhancedCost:
    """Files and memory of an enhancement.

    Attributes
    ----------
    pool : int
        Replicas that can be selected: those of the enhanced set, and member 0 where the definition counts it in.
    new : int
        Replicas that are made; 0 for a set that is there already.
    knots : int
        Values of one replica on its own knots.
    files, links : int
        Of the tree, and in the data folder of LHAPDF.
    disk_bytes : int
    knots_bytes, weights_bytes, pool_bytes : int
        Arrays that a node holds once: the prior's knots, weights and values of the new replicas, and the pool on the
        grid with its standardised copy.
    """

    pool: int
    new: int
    knots: int
    files: int
    links: int
    disk_bytes: int
    knots_bytes: int
    weights_bytes: int
    pool_bytes: int

    @property
    def node_bytes(self) -> int:
        """All arrays together."""
        return self.knots_bytes + self.weights_bytes + self.pool_bytes


def enhanced_cost(plan: PriorPlan, more: EnhancePlan, prior_bytes: int) -> EnhancedCost:
    """Count.

    Parameters
    ----------
    plan : PriorPlan
    more : EnhancePlan
    prior_bytes : int
        Of the prior on the grid with its standardised copy.

    Raises
    ------
    PDFSetError
        If replica 1 cannot be read.
    """
    n_rep, first = plan.pdfset.n_rep, 1 - plan.members[0]
    total = more.total if more.existing is None else more.existing.n_rep
    pool_bytes = prior_bytes * (first + total) // len(plan.members)
    if more.existing is not None:
        return EnhancedCost(first + total, 0, 0, 0, 0, 0, 0, 0, pool_bytes)
    (knots, nodes), new = _layout(plan), total - n_rep
    grid = 8 * plan.n_columns * len(plan.xgrid)
    return EnhancedCost(
        pool=first + total,
        new=new,
        knots=knots,
        files=2 * total + 5,
        links=total + 2,
        disk_bytes=n_rep * member_bytes(plan)
        + new * knots * (NEW_DIGITS + _VALUE)
        + total * nodes * _EXPORTED,
        knots_bytes=8 * n_rep * knots,
        weights_bytes=new * (8 * n_rep + grid),
        pool_bytes=pool_bytes,
    )


def _layout(plan: PriorPlan) -> tuple[int, int]:
    """Values of a replica on its own knots, and nodes of its export grid."""
    if plan.combination is None or plan.combination.ready:
        layout = knot_layout(plan.pdfset)
        size, x = layout.size, layout.x[0]
    else:
        size, x = plan.combination.grid.size, plan.combination.grid.layout.x[0]
    return size, len(export_xgrid("n3fit", np.array(x)))


def member_bytes(plan: PriorPlan) -> int:
    """Size of a member file; of a combined set that is not there yet, roughly, from its number of values."""
    if plan.combination is None or plan.combination.ready:
        return plan.pdfset.member_path(1).stat().st_size
    return plan.combination.grid.size * (DIGITS + 7)
