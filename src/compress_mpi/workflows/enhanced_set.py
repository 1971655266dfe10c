"""Write an enhanced set: the published tree, and its links where LHAPDF finds them. All ranks write.

What is there already is used again if it is the same set; an unfinished one is made anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, StoreError
from compress_mpi.io.datadir import is_linked, link_set
from compress_mpi.io.enhancedfile import EnhancedRecord, read_enhanced, write_enhanced
from compress_mpi.io.enhancedset import (
    central_grid,
    copy_replicas,
    enhanced_info,
    sync_replicas,
    write_combinations,
    write_exportgrids,
    write_top,
)
from compress_mpi.io.enhancedtree import EnhancedTree, missing_replicas, new_tree
from compress_mpi.io.exportgrid import read_exportgrid
from compress_mpi.io.gridtypes import GridFile
from compress_mpi.io.infofile import read_info_text
from compress_mpi.io.knots import KnotLayout
from compress_mpi.io.pdfset import PDFSet, open_set
from compress_mpi.io.setfolder import require_replaceable
from compress_mpi.methods.enhancement.linear import ROWS, combine
from compress_mpi.types import FloatArray

__all__ = ["EnhancedContents", "central_member", "is_written", "linked_set", "write_enhanced_set"]


@dataclass(frozen=True, eq=False)
class EnhancedContents:
    """All that goes into an enhanced set; the same on all ranks.

    Attributes
    ----------
    prior : PDFSet
    layout : KnotLayout
    knots : float64 (R, P)
        The prior's replicas on their knots; one copy per node will do.
    evolved : float64 (R, P)
        What new replicas are sums of: the same, or the prior's replicas evolved anew.
    record : EnhancedRecord
        With the weights; its settings hold all that decides them.
    q0 : float
        Scale of the export grids, GeV.
    x : float64 (nx,)
        Nodes of the export grids.
    grids : float64 (R, 14, nx)
        The prior's x f(x, q0), flavours as in `exportgrid.PIDS`.
    description : str
        ``SetDesc``.
    filter_yml, runcard : str
        Texts of the files.
    """

    prior: PDFSet
    layout: KnotLayout
    knots: FloatArray
    evolved: FloatArray
    record: EnhancedRecord
    q0: float
    x: FloatArray
    grids: FloatArray
    description: str
    filter_yml: str
    runcard: str


def write_enhanced_set(contents: EnhancedContents, folder: Path, datadir: Path, team: Any) -> PDFSet:
    """Write tree and links unless the same set is there; collective.

    Parameters
    ----------
    contents : EnhancedContents
    folder : Path
        The tree goes to ``folder / record.name``.
    datadir : Path
        The set of links goes to ``datadir / record.name``.
    team : MPITeam or SerialTeam

    Returns
    -------
    PDFSet
        That of the links.

    Raises
    ------
    PDFSetError, OutputError
        On all ranks.
    """
    tree = EnhancedTree(Path(folder).absolute() / contents.record.name, contents.record.name)
    team.on_root(lambda: require_replaceable(Path(datadir).absolute() / tree.name))
    if not team.on_root(lambda: is_written(tree, contents)):
        with contextlib.ExitStack() as on_root:
            draft = team.on_root(lambda: on_root.enter_context(new_tree(tree.folder.parent, tree.name)))
            team.map(lambda block: _write_block(contents, draft, block), _blocks(contents.record.weights))
            team.on_root(lambda: _write_rest(contents, draft))
            team.on_root(on_root.close)
    return team.on_root(lambda: _linked(contents, tree, datadir))


def is_written(tree: EnhancedTree, contents: EnhancedContents) -> bool:
    """Whether the tree is there, whole, and of the same weights, prior, settings and export grids."""
    try:
        there = read_enhanced(tree.sidecar)
        first = read_exportgrid(tree.exportgrid(1))
    except (StoreError, PDFSetError):  # missing or damaged: made again
        return False
    same = there.fingerprint == contents.record.fingerprint
    same_grids = first.q20 == contents.q0 * contents.q0 and np.array_equal(first.x, contents.x)
    return same and same_grids and not missing_replicas(tree, there.total) and tree.info.is_file()


def _blocks(weights: FloatArray) -> list[range]:
    """Replica numbers that are written together: those of the prior, then the new ones, never mixed."""
    new, old = weights.shape
    starts = [(first, old) for first in range(1, old + 1, ROWS)]
    starts += [(first, old + new) for first in range(old + 1, old + new + 1, ROWS)]
    return [range(first, min(first + ROWS, last + 1)) for first, last in starts]


def _write_block(contents: EnhancedContents, draft: EnhancedTree, replicas: range) -> None:
    old = contents.prior.n_rep
    if replicas[0] <= old:
        copy_replicas(draft, contents.prior, replicas)
        grids = contents.grids[replicas[0] - 1 : replicas[-1]]
    else:
        weights = contents.record.weights[replicas[0] - 1 - old : replicas[-1] - old]
        rows = combine(weights, contents.evolved)
        write_combinations(draft, contents.prior, contents.layout, replicas, rows)
        grids = combine(weights, contents.grids)
    write_exportgrids(draft, replicas, contents.x, grids, contents.q0)
    sync_replicas(draft, replicas)


def _write_rest(contents: EnhancedContents, draft: EnhancedTree) -> None:
    record = contents.record
    info = enhanced_info(contents.prior, record.total, contents.description, record.fingerprint)
    losses: dict[str, Sequence[float]] = {name: np.ravel(v).tolist() for name, v in record.losses.items()}
    write_top(draft, info, contents.filter_yml, contents.runcard, losses)
    write_enhanced(draft.sidecar, record)


def _linked(contents: EnhancedContents, tree: EnhancedTree, datadir: Path) -> PDFSet:
    record = contents.record
    central = central_member(contents.layout, contents.knots, contents.evolved, record.weights)
    return linked_set(tree, record.total, datadir, central)


def central_member(
    layout: KnotLayout, knots: FloatArray, evolved: FloatArray, weights: FloatArray
) -> GridFile:
    """Member 0 of an enhanced set: the average of its replicas; serial.

    From the files of the replicas it would come out with other last digits.

    Parameters
    ----------
    layout : KnotLayout
    knots, evolved : float64 (R, P)
        The prior's replicas on their knots, and what new ones are sums of.
    weights : float64 (new, R)
    """
    total, shares = len(knots) + len(weights), weights.sum(axis=0)
    if evolved is knots:
        return central_grid(layout, combine((1.0 + shares)[None, :] / total, knots)[0])
    old, new = np.full((1, len(knots)), 1.0 / total), shares[None, :] / total
    return central_grid(layout, combine(old, knots)[0] + combine(new, evolved)[0])


def linked_set(tree: EnhancedTree, total: int, datadir: Path, central: GridFile | None = None) -> PDFSet:
    """The set of links to a tree; made if a killed run left it unmade. Serial.

    Parameters
    ----------
    tree : EnhancedTree
        Complete.
    total : int
        Its replicas.
    datadir : Path
    central : GridFile, optional
        Member 0; by default the average is formed from the files, which takes 5 ms a replica.

    Raises
    ------
    PDFSetError, OutputError
    """
    if not is_linked(tree, total, datadir):
        link_set(tree, total, datadir, read_info_text(tree.info), central)
    return open_set(str(Path(datadir).absolute() / tree.name))
