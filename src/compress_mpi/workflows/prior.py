"""From a runcard to a prior in the memory of every node."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, RuncardError
from compress_mpi.io.backends import choose_backend, knots, read_members, require_scale
from compress_mpi.io.pdfset import PDFSet, open_set, require_replicas
from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.selection.grid import correlation_nodes, flavour_ids, published_xgrid
from compress_mpi.types import FloatArray, IntArray

__all__ = ["Prior", "PriorPlan", "load_prior", "plan_prior"]


@dataclass(frozen=True)
class PriorPlan:
    """What will be read, decided and checked before anything is.

    Attributes
    ----------
    members : range
        Member numbers that can be selected; row r of the prior is member ``members[r]``.
    flavours : tuple of int
        PDG ids of the flavour axis.
    xgrid : float64 (x,)
    nodes : int64 (5,)
        x positions of the correlation points.
    warnings : tuple of str
    """

    pdfset: PDFSet
    members: range
    flavours: tuple[int, ...]
    xgrid: FloatArray
    q0: float
    nodes: IntArray
    backend: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Prior:
    """The prior on the grid, one copy per node.

    Attributes
    ----------
    plan : PriorPlan
    values : float64 (replica, flavour, x)
        x f(x, q0); read-only.
    sha256 : str
        Digest of ``values``.
    """

    plan: PriorPlan
    values: FloatArray
    sha256: str


def plan_prior(config: CompressConfig, folders: Sequence[Path], backend: str) -> PriorPlan:
    """Find the set and check that it can serve; serial.

    Raises
    ------
    PDFSetError, RuncardError
    """
    if config.pdf == "demo":
        from compress_mpi.io.demo import cached_demo_set

        folders = [cached_demo_set(), *folders]
    pdfset = open_set(config.pdf, folders)
    first = 0 if config.definition == "pycompressor" else 1
    require_replicas(pdfset, max(config.compressed))
    require_scale(pdfset, config.q0)
    flavours = flavour_ids(config.nf)
    xgrid, warnings = _xgrid(config, pdfset)
    absent = [pid for pid in flavours if pid not in pdfset.flavours]
    if absent:
        warnings.append(f"{pdfset.name} has no flavours {absent}; they are zero and do not enter")
    try:
        nodes = correlation_nodes(len(xgrid), len(flavours), config.definition)
    except ValueError as error:
        raise RuncardError(f"xgrid: {error}") from error
    return PriorPlan(
        pdfset,
        range(first, pdfset.n_rep + 1),
        flavours,
        xgrid,
        config.q0,
        nodes,
        choose_backend(backend),
        tuple(warnings),
    )


def _xgrid(config: CompressConfig, pdfset: PDFSet) -> tuple[FloatArray, list[str]]:
    if config.xgrid == "lhapdf":
        own = knots(pdfset, config.q0)
        # at x = 1 every parton density is zero
        return own[own < 1.0], []
    wanted = published_xgrid() if config.xgrid == "published" else np.array(config.xgrid, dtype=np.float64)
    # what the .info claims may be wider than the knots
    low, high = knots(pdfset, config.q0)[[0, -1]]
    inside = (wanted >= low) & (wanted <= high)
    if inside.all():
        return wanted, []
    outside = ", ".join(f"{x:.4g}" for x in wanted[~inside][:5])
    found = (
        f"{int((~inside).sum())} of {len(wanted)} nodes ({outside}{', ...' if (~inside).sum() > 5 else ''})"
    )
    limits = f"outside the range of {pdfset.name}, {low:g} to {high:g}"
    if config.xgrid != "published" or not inside.any():
        raise RuncardError(
            f"xgrid: {found} lie {limits}; give nodes inside it, or 'lhapdf' for the set's own"
        )
    return wanted[inside], [f"xgrid: {found} lie {limits} and are left out"]


def load_prior(plan: PriorPlan, team: Any) -> Prior:
    """Read all members into memory shared by the ranks of a node; collective.

    Parameters
    ----------
    plan : PriorPlan
    team : MPITeam or SerialTeam

    Raises
    ------
    PDFSetError
        On all ranks, if any member is unfit.
    """
    shape = (len(plan.members), len(plan.flavours), len(plan.xgrid))
    shared = team.shared(shape)
    shared.fill(_reader(plan, shared.array))
    digest = team.on_root(lambda: _digest(shared.array))
    return Prior(plan, shared.array, digest)


def _reader(plan: PriorPlan, out: FloatArray) -> Callable[[range], None]:
    def read(rows: range) -> None:
        members = [plan.members[row] for row in rows]
        out[rows.start : rows.stop] = read_members(
            plan.pdfset, members, plan.flavours, plan.xgrid, plan.q0, plan.backend
        )

    return read


def _digest(values: FloatArray) -> str:
    if np.all(values.max(axis=0) == values.min(axis=0)):
        raise PDFSetError("all replicas of the prior are equal at every point; expected Monte Carlo replicas")
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
