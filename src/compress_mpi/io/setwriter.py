"""Write some replicas of a set as a set of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.combinedset import PARENTS
from compress_mpi.io.gridfile import read_bytes, read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.infofile import read_info_text, updated_info
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.setfolder import MARK, new_set
from compress_mpi.types import FloatArray

__all__ = ["average", "write_replicas", "write_subset"]

_CENTRAL = "PdfType: central\nFormat: lhagrid1"
_DIGITS = 10
"""Of combinations: four more than priors usually have."""


def write_subset(
    pdfset: PDFSet,
    replicas: Sequence[int],
    folder: Path,
    name: str,
    description: str,
    files: Mapping[int, Path] | None = None,
) -> Path:
    """Write selected replicas as an LHAPDF set.

    Parameters
    ----------
    pdfset : PDFSet
        The prior.
    replicas : sequence of int
        Numbers in the prior; the k-th becomes member k, byte for byte. 0 is allowed.
    folder : Path
        The set goes to ``folder / name``.
    name : str
    description : str
        New ``SetDesc``.
    files : mapping of Path, optional
        Files that stand for some numbers in place of the prior's own.

    Returns
    -------
    Path
        Folder of the set, in which member 0 is the average of the others on every knot.

    Raises
    ------
    PDFSetError
        If a replica is missing, damaged, or on other knots than the first.
    OutputError
        If the target is not this program's to replace, or cannot be written.
    """
    numbers = _require_numbers(pdfset, replicas)
    _require_elsewhere(pdfset, Path(folder) / name)
    elsewhere = files or {}
    paths = [elsewhere.get(number, pdfset.member_path(number)) for number in numbers]
    central = GridFile(_CENTRAL, average(paths))
    info = _info(pdfset, len(numbers), description)
    with new_set(folder, name) as draft:
        write_grid(draft / f"{name}_0000.dat", central)
        for k, path in enumerate(paths, 1):
            (draft / f"{name}_{k:04d}.dat").write_bytes(read_bytes(path))
        (draft / f"{name}.info").write_text(info, encoding="utf-8", newline="\n")
    return Path(folder) / name


def write_replicas(
    pdfset: PDFSet, grids: Sequence[GridFile], folder: Path, name: str, description: str
) -> Path:
    """Write replicas made of those of a set as an LHAPDF set.

    Parameters
    ----------
    pdfset : PDFSet
        The prior, whose ``.info`` file says everything else.
    grids : sequence of GridFile
        Members 1, 2, ..., all on the same knots.
    folder, name, description
        As in ``write_subset``.

    Raises
    ------
    PDFSetError
        If a value is not finite.
    OutputError
        If the target is not this program's to replace, or cannot be written.
    """
    _require_elsewhere(pdfset, Path(folder) / name)
    info = _info(pdfset, len(grids), description)
    with new_set(folder, name) as draft:
        for k, grid in enumerate(grids, 1):
            write_grid(draft / f"{name}_{k:04d}.dat", grid, _DIGITS)
        paths = [draft / f"{name}_{k:04d}.dat" for k in range(1, len(grids) + 1)]
        write_grid(draft / f"{name}_0000.dat", GridFile(_CENTRAL, average(paths)))
        (draft / f"{name}.info").write_text(info, encoding="utf-8", newline="\n")
    return Path(folder) / name


def _require_numbers(pdfset: PDFSet, replicas: Sequence[int]) -> list[int]:
    numbers = [int(number) for number in replicas]
    wrong = [number for number in numbers if not 0 <= number <= pdfset.n_rep]
    if wrong or not numbers:
        found = f"got {wrong[:5]}" if wrong else "got none"
        raise PDFSetError(f"{pdfset.path}: replicas to write: expected numbers 1 to {pdfset.n_rep}, {found}")
    return numbers


def _require_elsewhere(pdfset: PDFSet, target: Path) -> None:
    if target.resolve() == pdfset.path.resolve():
        raise OutputError(f"{target}: is the prior itself; choose another folder or name")


def _info(pdfset: PDFSet, n_rep: int, description: str) -> str:
    changes: dict[str, str | int | None] = {
        "SetDesc": description,
        "SetIndex": 0,  # the prior's number in the LHAPDF index is not this set's; neopdf wants one
        "NumMembers": n_rep + 1,
        "ErrorType": "replicas",
        MARK: f"{n_rep} replicas of {pdfset.name}",
        PARENTS: None,  # its member numbers are those of the prior; the members say where they come from
    }
    return updated_info(read_info_text(pdfset.info_path), changes)


def average(paths: Sequence[Path]) -> tuple[Subgrid, ...]:
    """Average of member files on every knot of every subgrid.

    Parameters
    ----------
    paths : sequence of Path
        At least one; a file may occur more than once.

    Returns
    -------
    tuple of Subgrid
        Sums are compensated, so that the result is exact to a few units in the last place
        even where members nearly cancel.

    Raises
    ------
    PDFSetError
        If a file is damaged, or two differ in flavours or knots.
    """
    first = read_grid(paths[0]).subgrids
    totals = [np.zeros_like(subgrid.values) for subgrid in first]
    errors = [np.zeros_like(subgrid.values) for subgrid in first]
    for path in paths:
        subgrids = read_grid(path).subgrids
        _require_same(paths[0], first, path, subgrids)
        for i, subgrid in enumerate(subgrids):
            totals[i], lost = _two_sum(totals[i], subgrid.values)
            errors[i] += lost
    means = [(total + error) / len(paths) for total, error in zip(totals, errors, strict=True)]
    return tuple(Subgrid(s.x, s.q, s.pids, mean) for s, mean in zip(first, means, strict=True))


def _two_sum(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Sum and its rounding error, exactly (Knuth, TAOCP 2, 4.2.2, theorem B)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _require_same(a: Path, first: Sequence[Subgrid], b: Path, other: Sequence[Subgrid]) -> None:
    if len(first) != len(other):
        raise PDFSetError(f"{b}: {len(other)} subgrids, but {a} has {len(first)}; they cannot be averaged")
    for number, (one, two) in enumerate(zip(first, other, strict=True), 1):
        if not one.same_knots(two):
            raise PDFSetError(
                f"{b}: knots or flavours of subgrid {number} differ from {a}; cannot be averaged"
            )
