"""``postgans``: link the replicas of a run folder into an LHAPDF data directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compress_mpi.errors import PDFSetError, RuncardError
from compress_mpi.io.datadir import default_datadir, export_line, link_set, replicas_there, require_complete
from compress_mpi.io.enhancedtree import EnhancedTree, enhanced_name
from compress_mpi.io.infofile import read_info_text
from compress_mpi.io.pdfset import open_set
from compress_mpi.io.setfolder import require_replaceable
from compress_mpi.io.values import set_name

__all__ = ["postgans"]


def postgans(
    pdf: str,
    total: int | None = None,
    folder: Path | None = None,
    datadir: Path | None = None,
    folders: Sequence[Path] = (),
) -> str:
    """Make ``<PDF>_enhanced`` a set that LHAPDF finds.

    Parameters
    ----------
    pdf : str
        Name of the prior.
    total : int, optional
        Replicas of the enhanced set; by default all there are.
    folder : Path, optional
        Run folder; by default ``<PDF>_enhanced`` here.
    datadir : Path, optional
        Where sets lie; by default ``lhapdf`` beside the run folder.
    folders : sequence of Path
        Where to look for the prior first, if its ``.info`` file is needed.

    Returns
    -------
    str
        What was done, and how other programs find the set.

    Raises
    ------
    RuncardError
        If ``pdf`` cannot be the name of a set.
    PDFSetError
        If replicas are missing or damaged, or there is no ``.info`` file to start from.
    OutputError
        If something is in the way, or the folder cannot be written.
    """
    try:
        name = enhanced_name(set_name(pdf))
    except ValueError as error:
        raise RuncardError(f"--pdf: {error}") from None
    tree = EnhancedTree(Path(folder or name), name)
    if not tree.nnfit.is_dir():
        raise PDFSetError(
            f"{tree.nnfit}: no such folder; expected {name}/nnfit/replica_<i>/{name}.dat: give the run folder "
            "with --folder"
        )
    count = total or replicas_there(tree)
    if not count:
        raise PDFSetError(f"{tree.nnfit}: no folder replica_<i> there; give the run folder with --folder")
    where = datadir or default_datadir(tree)
    require_replaceable(Path(where).absolute() / name)
    require_complete(tree, count)
    final = link_set(tree, count, where, _info(tree, pdf, folders))
    lines = [f"{final}: {count} replicas linked, member 0 is their average"]
    line = export_line(where)
    return "\n".join([*lines, f"so that other programs find it: {line}"] if line else lines)


def _info(tree: EnhancedTree, pdf: str, folders: Sequence[Path]) -> str:
    """That of the run, which knows its own evolution; else that of the prior."""
    path = tree.info if tree.info.is_file() else open_set(pdf, folders).info_path
    return read_info_text(path)
