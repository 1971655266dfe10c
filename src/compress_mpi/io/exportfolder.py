"""A run folder of export grids, as n3fit and ganpdfs leave it: found, read, and compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.exportgrid import ExportGrid, read_exportgrid

__all__ = ["find_exportgrids", "read_alike"]

_REPLICA = re.compile(r"replica_(\d+)")


def find_exportgrids(folder: Path) -> dict[int, Path]:
    """Export grids of a run folder.

    Parameters
    ----------
    folder : Path
        Holds ``nnfit/replica_<i>/<any name>.exportgrid``.

    Returns
    -------
    dict of int to Path
        By replica number, in order.

    Raises
    ------
    PDFSetError
        If there is none, a replica has none or two, or the numbers are not 1, 2, ...
    """
    nnfit = Path(folder) / "nnfit"
    found: dict[int, Path] = {}
    for entry in sorted(nnfit.iterdir()) if nnfit.is_dir() else ():
        match = _REPLICA.fullmatch(entry.name)
        if match:
            found[int(match[1])] = _only_one(entry)
    if not found:
        raise PDFSetError(f"{nnfit}: no replica_<i>/*.exportgrid found; give the folder that holds 'nnfit'")
    missing = sorted(set(range(1, max(found) + 1)) - set(found))
    if missing:
        raise PDFSetError(
            f"{nnfit}: replicas {', '.join(map(str, missing[:5]))} are missing of {max(found)}; "
            "number the replica folders from 1 without gaps"
        )
    return dict(sorted(found.items()))


def _only_one(folder: Path) -> Path:
    grids = sorted(folder.glob("*.exportgrid"))
    if len(grids) != 1:
        raise PDFSetError(f"{folder}: expected one *.exportgrid, found {len(grids)}")
    return grids[0]


def read_alike(
    paths: Sequence[Path], q0: float | None = None, like: ExportGrid | None = None
) -> list[ExportGrid]:
    """Read export grids that have the same scale and x nodes.

    Parameters
    ----------
    paths : sequence of Path
    q0 : float, optional
        GeV; see `read_exportgrid`.
    like : ExportGrid, optional
        What all have to agree with; by default the first.

    Raises
    ------
    PDFSetError
        If one is damaged or disagrees.
    """
    grids = []
    for path in paths:
        grid = read_exportgrid(path, q0)
        like = grid if like is None else like
        if grid.q20 != like.q20:
            raise PDFSetError(
                f"{path}: q20 is {grid.q20!r} GeV^2, but {like.q20!r} in replica {like.replica}; "
                "only grids at one scale can be evolved together"
            )
        if not np.array_equal(grid.x, like.x):
            raise PDFSetError(
                f"{path}: its xgrid differs from that of replica {like.replica}; "
                "only grids on the same nodes can be evolved together"
            )
        grids.append(grid)
    return grids
