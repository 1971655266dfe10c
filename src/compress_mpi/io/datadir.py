"""Make the replicas of a run folder a set that LHAPDF finds: links, an ``.info`` file and the average.

Links are relative where the data directory lies beside the run folder or below its parent,
so that both can be moved together, and absolute anywhere else.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from compress_mpi.errors import PDFSetError
from compress_mpi.io.combinedset import CENTRAL
from compress_mpi.io.draftfolder import named
from compress_mpi.io.enhancedtree import EnhancedTree, missing_replicas
from compress_mpi.io.gridfile import write_grid
from compress_mpi.io.gridtypes import GridFile
from compress_mpi.io.infofile import parse_info, read_info, updated_info
from compress_mpi.io.pdfset import PDFSet, open_set, search_paths
from compress_mpi.io.setfolder import MARK, new_set
from compress_mpi.io.setwriter import average

__all__ = [
    "default_datadir",
    "export_line",
    "is_linked",
    "link_set",
    "replicas_there",
    "require_complete",
    "tree_of",
]

_SHOWN = 10


def default_datadir(tree: EnhancedTree) -> Path:
    """``lhapdf`` beside the run folder: needs no right to write elsewhere."""
    return tree.folder.parent / "lhapdf"


def replicas_there(tree: EnhancedTree) -> int:
    """Highest number among the folders ``replica_<i>``, 0 without any."""
    try:
        names = [path.name for path in tree.nnfit.iterdir()]
    except OSError:
        return 0
    numbers = [name.removeprefix("replica_") for name in names if name.startswith("replica_")]
    return max((int(number) for number in numbers if number.isascii() and number.isdigit()), default=0)


def tree_of(pdfset: PDFSet) -> EnhancedTree | None:
    """The tree that the links of a set point to; None where its members are no links."""
    member = pdfset.member_path(1)
    if not member.is_symlink():
        return None
    # <tree>/nnfit/replica_1/<name>.dat
    return EnhancedTree(member.resolve().parent.parent.parent, pdfset.name)


def require_complete(tree: EnhancedTree, total: int) -> None:
    """Refuse a run folder that lacks replicas.

    Parameters
    ----------
    tree : EnhancedTree
    total : int
        Replicas that the set is to have, numbered from 1.

    Raises
    ------
    PDFSetError
        Naming those that are missing.
    """
    missing = missing_replicas(tree, total)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        shown = ", ".join(map(str, missing[:_SHOWN])) + more
        where = tree.nnfit / "replica_<i>" / f"{tree.name}.dat"
        raise PDFSetError(
            f"{where}: missing or empty for i = {shown}; {total} replicas were expected: evolve the export "
            "grids first, or give the number there is with --nenhanced"
        )


def is_linked(tree: EnhancedTree, total: int, datadir: Path) -> bool:
    """Whether a data directory holds the links to a tree of this program, as it is now.

    Parameters
    ----------
    tree : EnhancedTree
    total : int
    datadir : Path
    """
    try:
        there, own = open_set(str(Path(datadir).absolute() / tree.name)), read_info(tree.info)
        same_place = there.member_path(total).samefile(tree.member(total))
    except (PDFSetError, OSError):
        return False
    return there.n_rep == total and same_place and MARK in own and there.info.get(MARK) == own[MARK]


def link_set(
    tree: EnhancedTree, total: int, datadir: Path, info: str, central: GridFile | None = None
) -> Path:
    """Link a run folder into a data directory, in one step.

    Parameters
    ----------
    tree : EnhancedTree
        Complete.
    total : int
        Replicas 1 to ``total`` become members of these numbers.
    datadir : Path
        Made if need be; the set goes to ``datadir / tree.name``.
    info : str
        Text of the ``.info`` file; the number of members in it is put right.
    central : GridFile, optional
        Member 0; by default the average of the replicas is formed from their files.

    Returns
    -------
    Path
        Folder of the set.

    Raises
    ------
    PDFSetError
        If a replica is missing, or cannot be averaged with the others.
    OutputError
        If something is in the way that this program did not write, or it cannot be written.
    """
    require_complete(tree, total)
    if central is None:
        subgrids = average([tree.member(replica) for replica in range(1, total + 1)])
        central = GridFile(f"{CENTRAL}\nFormat: lhagrid1", subgrids)
    with new_set(datadir, tree.name) as draft:
        final = draft.parent / tree.name
        for replica in range(1, total + 1):
            link = f"{tree.name}_{replica:04d}.dat"
            os.symlink(_target(tree, replica, final), draft / link)
        write_grid(draft / f"{tree.name}_0000.dat", central)
        with named(final):
            text = _info(info, total, f"links to {tree.folder.name}")
            (draft / f"{tree.name}.info").write_text(text, encoding="utf-8", newline="\n")
    return final


def _target(tree: EnhancedTree, replica: int, final: Path) -> str:
    # real paths: '..' through a link would lead elsewhere
    member, beside = tree.member(replica).resolve(), tree.folder.resolve().parent
    folder = final.parent.resolve() / final.name
    return os.path.relpath(member, folder) if folder.is_relative_to(beside) else str(member)


def _info(text: str, total: int, mark: str) -> str:
    known = parse_info(text).get(MARK)
    changes: dict[str, str | int | None] = {
        "NumMembers": total + 1,
        "SetIndex": 0,
        "ErrorType": "replicas",
        MARK: str(known) if known else mark,
    }
    return updated_info(text, changes)


def export_line(datadir: Path) -> str | None:
    """What to type so that every program finds sets in a folder; None where LHAPDF looks there anyway."""
    folder = Path(os.path.abspath(datadir))
    if folder in search_paths():
        return None
    return f'export LHAPDF_DATA_PATH={shlex.quote(str(folder))}"${{LHAPDF_DATA_PATH:+:$LHAPDF_DATA_PATH}}"'
