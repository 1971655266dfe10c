"""From a runcard to a prior in the memory of every node."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, RuncardError
from compress_mpi.io.backends import choose_backend, knots_of, require_scale
from compress_mpi.io.gridfile import check_complete
from compress_mpi.io.gridtypes import Layout
from compress_mpi.io.pdfset import PDFSet, require_replicas
from compress_mpi.io.scales import read_at_scales
from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.selection.grid import correlation_nodes, flavour_ids, published_xgrid
from compress_mpi.types import FloatArray, IntArray
from compress_mpi.workflows.combine import Combination, build, find_set, plan_combination
from compress_mpi.workflows.outputs import plan_outputs

__all__ = ["Prior", "PriorPlan", "digest", "load_prior", "plan_prior", "read_grid_values"]

_PIECE = 256


@dataclass(frozen=True)
class PriorPlan:
    """What will be read, decided and checked before anything is.

    Attributes
    ----------
    pdfset : PDFSet
    members : range
        Member numbers that can be selected; row r of the prior is member ``members[r]``.
    flavours : tuple of int
        PDG ids at each scale.
    xgrid : float64 (x,)
    scales : tuple of float
        GeV; the flavour axis of the prior has all flavours at the first scale, then all at the next.
    nodes : int64 (5,)
        x positions of the correlation points.
    warnings : tuple of str
    combination : Combination or None
        What the set is made of, where it is combined from several.
    """

    pdfset: PDFSet
    members: range
    flavours: tuple[int, ...]
    xgrid: FloatArray
    scales: tuple[float, ...]
    nodes: IntArray
    backend: str
    warnings: tuple[str, ...]
    combination: Combination | None = None

    @property
    def q0(self) -> float | list[float]:
        """The scale in GeV, or the list of scales: as a runcard and a result say it."""
        return self.scales[0] if len(self.scales) == 1 else list(self.scales)

    @property
    def first_row(self) -> int:
        """Row of replica 1: in the definition of pyCompressor member 0 comes before it."""
        return 1 - self.members[0]

    @property
    def n_columns(self) -> int:
        """Length of the flavour axis of the prior."""
        return len(self.scales) * len(self.flavours)

    def column(self, f: int) -> tuple[float, int]:
        """Scale in GeV and PDG id of a position on the flavour axis."""
        return self.scales[f // len(self.flavours)], self.flavours[f % len(self.flavours)]

    def label(self, f: int) -> str:
        """A position on the flavour axis in words, such as ``21`` or, with several scales, ``21 at 10 GeV``."""
        scale, pid = self.column(f)
        return str(pid) if len(self.scales) == 1 else f"{pid} at {scale:g} GeV"

    @property
    def on_disk(self) -> tuple[PDFSet, list[int]]:
        """A set that is there already, with members that cost about as much to read as those of the prior."""
        if self.combination is None or self.combination.ready:
            return self.pdfset, [self.members[0], self.members[-1]]
        parent = self.combination.parents[0]
        return parent.pdfset, [parent.members[0], parent.members[-1]]


@dataclass(frozen=True)
class Prior:
    """The prior on the grid, one copy per node.

    Attributes
    ----------
    plan : PriorPlan
    values : float64 (replica, scale * flavour, x)
        x f(x, Q); read-only.
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
    library = choose_backend(backend)
    combination = None
    if isinstance(config.pdf, str):
        pdfset = find_set(config.pdf, folders)
        require_replicas(pdfset, _largest(config))  # before a file of an empty set is looked for
        layout = check_complete(pdfset.member_path(1))
    else:
        folder = plan_outputs(config.output, config.prior_name, (2,))[0].folder
        combination = plan_combination(config, folder, folders, library)
        pdfset, layout = combination.pdfset, combination.grid.layout
        require_replicas(pdfset, _largest(config))
    for q in config.scales:
        require_scale(pdfset, q, layout)
    flavours = flavour_ids(config.nf)
    xgrid, warnings = _xgrid(config, pdfset, layout)
    absent = [pid for pid in flavours if pid not in pdfset.flavours]
    if absent:
        warnings.append(f"{pdfset.name} has no flavours {absent}; they are zero and do not enter")
    try:
        nodes = correlation_nodes(len(xgrid), len(flavours), config.definition)
    except ValueError as error:
        raise RuncardError(f"xgrid: {error}") from error
    return PriorPlan(
        pdfset,
        range(0 if config.definition == "pycompressor" else 1, pdfset.n_rep + 1),
        flavours,
        xgrid,
        config.scales,
        nodes,
        library,
        (*(combination.warnings if combination else ()), *warnings),
        combination,
    )


def _largest(config: CompressConfig) -> int:
    return max(config.sizes)


def _xgrid(config: CompressConfig, pdfset: PDFSet, layout: Layout) -> tuple[FloatArray, list[str]]:
    own = [knots_of(pdfset, layout, q) for q in config.scales]
    # what the .info claims may be wider than the knots
    low, high = max(x[0] for x in own), min(x[-1] for x in own)
    if config.xgrid == "lhapdf":
        every = np.unique(np.concatenate(own))
        # at x = 1 every parton density is zero
        return every[(every >= low) & (every <= high) & (every < 1.0)], []
    wanted = published_xgrid() if config.xgrid == "published" else np.array(config.xgrid, dtype=np.float64)
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
    if plan.combination is not None:
        plan = replace(plan, pdfset=build(plan.combination, team))
    shared = team.shared((len(plan.members), plan.n_columns, len(plan.xgrid)))
    shared.fill(_reader(plan, shared.array))
    sha256 = team.on_root(lambda: _digest(shared.array))
    return Prior(plan, shared.array, sha256)


def read_grid_values(plan: PriorPlan, pdfset: PDFSet, members: Sequence[int]) -> FloatArray:
    """Members of a set on the grid of a prior.

    Parameters
    ----------
    plan : PriorPlan
    pdfset : PDFSet
        The prior or another set.
    members : sequence of int

    Returns
    -------
    float64 (len(members), scale * flavour, x)

    Raises
    ------
    PDFSetError
        As ``read_members``.
    """
    grids = [(q, plan.xgrid) for q in plan.scales]
    return np.concatenate(read_at_scales(pdfset, members, plan.flavours, grids, plan.backend), axis=1)


def _reader(plan: PriorPlan, out: FloatArray) -> Callable[[range], None]:
    def read(rows: range) -> None:
        # in pieces, so that the values of many replicas are not in memory twice
        for start in range(rows.start, rows.stop, _PIECE):
            part = range(start, min(start + _PIECE, rows.stop))
            out[part.start : part.stop] = read_grid_values(
                plan, plan.pdfset, [plan.members[row] for row in part]
            )

    return read


def _digest(values: FloatArray) -> str:
    if np.all(values.max(axis=0) == values.min(axis=0)):
        raise PDFSetError("all replicas of the prior are equal at every point; expected Monte Carlo replicas")
    return digest(values)


def digest(values: FloatArray) -> str:
    """sha256 of the bytes of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
