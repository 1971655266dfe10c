"""The files of an enhanced set: replicas of the prior as they are, and combinations of them.

Any rank may write any replica; files do not depend on who writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.combinedset import CENTRAL, PARENTS
from compress_mpi.io.draftfolder import sync
from compress_mpi.io.enhancedtree import EnhancedTree
from compress_mpi.io.exportgrid import ExportGrid, write_exportgrid
from compress_mpi.io.gridfile import read_bytes, write_grid
from compress_mpi.io.gridtypes import GridFile
from compress_mpi.io.infofile import read_info_text, updated_info
from compress_mpi.io.knots import KnotLayout, grid_of
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.setfolder import MARK
from compress_mpi.types import FloatArray

__all__ = [
    "DIGITS",
    "central_grid",
    "combination_header",
    "copy_replicas",
    "default_filter",
    "enhanced_info",
    "sync_replicas",
    "write_combinations",
    "write_exportgrids",
    "write_top",
]

DIGITS = 10
"""Significant digits of new replicas: rounding stays far below the five or six digits of published files."""

_THEORY = (
    *("OrderQCD", "FlavorScheme", "NumFlavors", "AlphaS_MZ", "AlphaS_OrderQCD", "MZ"),
    *("MCharm", "MBottom", "MTop"),
)


def copy_replicas(tree: EnhancedTree, prior: PDFSet, replicas: Sequence[int]) -> None:
    """Copy replicas of the prior byte for byte, under the same numbers.

    Parameters
    ----------
    tree : EnhancedTree
        A draft.
    prior : PDFSet
    replicas : sequence of int

    Raises
    ------
    PDFSetError
        If one cannot be read.
    OutputError
        If one cannot be written.
    """
    for replica in replicas:
        data = read_bytes(prior.member_path(replica))
        path = _ready(tree.member(replica))
        try:
            path.write_bytes(data)
        except OSError as error:
            raise _unwritten(path, error) from error


def write_combinations(
    tree: EnhancedTree, prior: PDFSet, layout: KnotLayout, replicas: Sequence[int], rows: FloatArray
) -> None:
    """Write new replicas.

    Parameters
    ----------
    tree : EnhancedTree
        A draft.
    prior : PDFSet
        Its replicas come first, so that the first combination has the number ``prior.n_rep + 1``.
    layout : KnotLayout
    replicas : sequence of int
        Numbers in the enhanced set, each above ``prior.n_rep``.
    rows : float64 (len(replicas), layout.size)
        Combinations of the prior's knots.

    Raises
    ------
    PDFSetError
        If a value is not finite; the message names subgrid, flavour, x and Q.
    OutputError
        If a file cannot be written.
    """
    for replica, row in zip(replicas, rows, strict=True):
        _require_finite(tree, layout, replica, row)
        header = combination_header(prior.name, replica - prior.n_rep, tree.sidecar.name)
        write_grid(_ready(tree.member(replica)), grid_of(layout, row, header), DIGITS)


def _require_finite(tree: EnhancedTree, layout: KnotLayout, replica: int, row: FloatArray) -> None:
    if not np.isfinite(row).all():
        first = next(s for s in layout.subgrids(row) if not np.isfinite(s.values).all())
        i, j, k = np.argwhere(~np.isfinite(first.values))[0]
        raise PDFSetError(
            f"{tree.name}: new replica {replica}: the value at flavour {first.pids[k]}, x = {first.x[i]:g}, "
            f"Q = {first.q[j]:g} GeV is {first.values[i, j, k]}; expected finite weights and a finite prior"
        )


def combination_header(prior: str, number: int, sidecar: str) -> str:
    """Lines before the first ``---`` of a combination.

    Parameters
    ----------
    prior : str
    number : int
        Which combination it is, from 1.
    sidecar : str
        Name of the file with the weights.
    """
    origin = f"row {number} (from 1) of /weights in {sidecar}"
    return (
        f"PdfType: replica\nFormat: lhagrid1\nParentSet: {json.dumps(prior)}\n"
        f"ParentCombination: {json.dumps(f'linear combination of its replicas, {origin}')}"
    )


def write_exportgrids(
    tree: EnhancedTree, replicas: Sequence[int], x: FloatArray, values: FloatArray, q0: float
) -> None:
    """Write export grids.

    Parameters
    ----------
    tree : EnhancedTree
        A draft.
    replicas : sequence of int
        Numbers in the enhanced set.
    x : float64 (nx,)
    values : float64 (len(replicas), 14, nx)
        x f(x, q0), flavours as in `exportgrid.PIDS`.
    q0 : float
        GeV.

    Raises
    ------
    PDFSetError
        If a value is not finite.
    OutputError
        If a file cannot be written.
    """
    for replica, columns in zip(replicas, values, strict=True):
        write_exportgrid(_ready(tree.exportgrid(replica)), ExportGrid(replica, q0 * q0, x, columns))


def sync_replicas(tree: EnhancedTree, replicas: Sequence[int]) -> None:
    """Wait until the files of some replicas have reached the disk: by the rank that wrote them.

    Raises
    ------
    OutputError
        If the disk refuses.
    """
    for replica in replicas:
        for path in (tree.member(replica), tree.exportgrid(replica)):
            if path.exists():
                try:
                    sync(path)
                except OSError as error:
                    raise _unwritten(path, error) from error


def _ready(path: Path) -> Path:
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise _unwritten(path, error) from error
    return path


def _unwritten(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({error.strerror}); check free space and permissions")


def central_grid(layout: KnotLayout, mean: FloatArray) -> GridFile:
    """Member 0 of a set.

    Parameters
    ----------
    layout : KnotLayout
    mean : float64 (layout.size,)
        Average over all replicas.
    """
    return grid_of(layout, mean, f"{CENTRAL}\nFormat: lhagrid1")


def enhanced_info(prior: PDFSet, total: int, description: str, fingerprint: str) -> str:
    """Text of the ``.info`` file: that of the prior with what is different.

    Parameters
    ----------
    prior : PDFSet
    total : int
        Replicas of the enhanced set, those of the prior among them.
    description : str
        New ``SetDesc``.
    fingerprint : str
        Of the sidecar, by which links know the set that they belong to.

    Raises
    ------
    PDFSetError
        If there would be nothing new.
    """
    new = total - prior.n_rep
    if new < 1:
        raise PDFSetError(
            f"{prior.info_path}: the set has {prior.n_rep} replicas, so that an enhanced set of {total} holds "
            "nothing new; raise gans.total_replicas"
        )
    changes: dict[str, str | int | None] = {
        "SetDesc": description,
        "SetIndex": 0,
        "NumMembers": total + 1,
        "ErrorType": "replicas",
        MARK: f"{prior.n_rep} replicas of {prior.name} and {new} linear combinations of them, {fingerprint}",
        PARENTS: None,  # member numbers there say nothing about combinations
    }
    return updated_info(read_info_text(prior.info_path), changes)


def default_filter(prior: PDFSet, q0: float) -> str:
    """A ``filter.yml`` made of what the prior says about its theory.

    An ``.info`` file does not fix a theory, so that there is no ``theoryid``: evolven3fit wants one written
    in by hand.

    Parameters
    ----------
    prior : PDFSet
    q0 : float
        Scale of the export grids, GeV.
    """
    theory = {key: prior.info[key] for key in _THEORY if key in prior.info}
    lines = [
        f"description: {json.dumps(f'enhanced replicas of {prior.name}, written by compress-mpi')}",
        f"pdf: {json.dumps(prior.name)}",
        f"q20: {q0 * q0!r}",
        "theory:",
        *(f"  {key}: {json.dumps(value)}" for key, value in theory.items()),
    ]
    return "\n".join([*lines, ""]) if theory else "\n".join([*lines[:-1], ""])


def write_top(
    tree: EnhancedTree,
    info: str,
    filter_yml: str,
    runcard: str,
    losses: Mapping[str, Sequence[float]],
) -> None:
    """Write what is there once: by the root, after the replicas.

    Parameters
    ----------
    tree : EnhancedTree
        A draft.
    info, filter_yml, runcard : str
        Texts of the files of these names.
    losses : mapping of str to sequence of float
        By name, one value per epoch; empty where nothing was trained. ganpdfs calls them rdloss, fdloss
        and advloss.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    listed: list[dict[str, Any]] = [{name: [float(v) for v in values] for name, values in losses.items()}]
    texts = {
        tree.info: info,
        tree.filter_yml: filter_yml,
        tree.runcard: runcard,
        tree.losses: json.dumps(listed if losses else [], indent=2) + "\n",
    }
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise _unwritten(path, error) from error
