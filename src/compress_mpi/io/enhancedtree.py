"""The folder of an enhanced set, as the published tools lay it out.

::

    <PDF>_enhanced/
        filter.yml  input-runcard.json  losses_info.json
        <PDF>_enhanced.h5                    weights, seeds, report
        compress_<PDF>_<N>_output.dat        selections made from it
        nnfit/
            <PDF>_enhanced.info
            replica_<i>/<PDF>_enhanced.dat, <PDF>_enhanced.exportgrid     i = 1, 2, ...
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compress_mpi.errors import OutputError
from compress_mpi.io.draftfolder import named, new_folder, sync
from compress_mpi.io.infofile import parse_info
from compress_mpi.io.setfolder import MARK

__all__ = ["EnhancedTree", "enhanced_name", "missing_replicas", "new_tree", "require_replaceable_tree"]

_TOP = ("filter.yml", "input-runcard.json", "losses_info.json", "evolution.json", "nnfit")
_SUFFIX = "_enhanced"
_SHOWN = 5


def enhanced_name(prior: str) -> str:
    """Name of the enhanced set of a prior."""
    return prior + _SUFFIX


@dataclass(frozen=True)
class EnhancedTree:
    """Where everything lies.

    Attributes
    ----------
    folder : Path
        Of the tree; hidden beside its place while it is written.
    name : str
        ``<PDF>_enhanced``.
    """

    folder: Path
    name: str

    @property
    def sidecar(self) -> Path:
        """HDF5 file with weights, seeds and report."""
        return self.folder / f"{self.name}.h5"

    @property
    def filter_yml(self) -> Path:
        """Runcard in the manner of n3fit."""
        return self.folder / "filter.yml"

    @property
    def runcard(self) -> Path:
        """Runcard of the enhancement; YAML, whatever its published name says."""
        return self.folder / "input-runcard.json"

    @property
    def losses(self) -> Path:
        """Losses of a training, JSON."""
        return self.folder / "losses_info.json"

    @property
    def nnfit(self) -> Path:
        """Folder of the replicas."""
        return self.folder / "nnfit"

    @property
    def info(self) -> Path:
        """The ``.info`` file of the set."""
        return self.nnfit / f"{self.name}.info"

    def member(self, replica: int) -> Path:
        """LHAPDF grid of a replica, numbered from 1."""
        return self.nnfit / f"replica_{replica}" / f"{self.name}.dat"

    def exportgrid(self, replica: int) -> Path:
        """Export grid of a replica."""
        return self.nnfit / f"replica_{replica}" / f"{self.name}.exportgrid"


def missing_replicas(tree: EnhancedTree, total: int) -> list[int]:
    """Numbers from 1 to ``total`` that have no LHAPDF grid, or an empty one."""

    def there(path: Path) -> bool:
        try:
            return path.stat().st_size > 0
        except OSError:
            return False

    return [replica for replica in range(1, total + 1) if not there(tree.member(replica))]


@contextlib.contextmanager
def new_tree(folder: Path, name: str) -> Iterator[EnhancedTree]:
    """Draft of a tree; it takes its place when the block ends well.

    The ranks that write files sync them; folders and the files of the top are synced here.
    What a killed run left is removed.

    Parameters
    ----------
    folder : Path
        The tree goes to ``folder / name``.
    name : str

    Yields
    ------
    EnhancedTree

    Raises
    ------
    OutputError
        If something is in the way that this program did not write, or it cannot be written.
    """
    final = Path(os.path.abspath(Path(folder).expanduser())) / name
    require_replaceable_tree(final)
    with new_folder(final, _guest(name), lambda draft: _sync_folders(EnhancedTree(draft, name))) as draft:
        tree = EnhancedTree(draft, name)
        tree.nnfit.mkdir()
        yield tree


def require_replaceable_tree(final: Path) -> None:
    """Refuse a target that holds anything but an enhanced set of that name written by this program.

    Parameters
    ----------
    final : Path
        Folder of the tree to be.

    Raises
    ------
    OutputError
        If so; nothing is touched.
    """
    if not os.path.lexists(final):
        return
    advice = "move it away or choose another 'output'"
    if final.is_symlink() or not final.is_dir():
        raise OutputError(f"{final}: exists and is not a folder; {advice}")
    tree = EnhancedTree(final, final.name)
    with named(final):
        entries = [entry for entry in sorted(os.listdir(final)) if not _guest(final.name).fullmatch(entry)]
        ours = tree.info.is_file() and MARK in parse_info(tree.info.read_text("utf-8", "replace"))
        if entries and not ours:
            raise OutputError(f"{final}: exists and was not written by compress-mpi; {advice}")
        foreign = list(_foreign(tree, entries))
    if foreign:
        raise OutputError(f"{final}: holds other files ({', '.join(foreign[:_SHOWN])}); {advice}")


def _foreign(tree: EnhancedTree, entries: list[str]) -> Iterator[str]:
    name = tree.name
    yield from (entry for entry in entries if entry not in (*_TOP, f"{name}.h5"))
    allowed = {f"{name}.dat", f"{name}.exportgrid"}
    for entry in sorted(os.listdir(tree.nnfit)) if tree.nnfit.is_dir() else ():
        if entry == f"{name}.info":
            continue
        if not re.fullmatch(r"replica_\d+", entry) or not (tree.nnfit / entry).is_dir():
            yield f"nnfit/{entry}"
        else:
            yield from (f"nnfit/{entry}/{file}" for file in {*os.listdir(tree.nnfit / entry)} - allowed)


def _guest(name: str) -> re.Pattern[str]:
    """Selections from the enhanced set lie in its folder, under the name of the prior or of the set."""
    prior = re.escape(name.removesuffix(_SUFFIX))
    return re.compile(rf"compress_{prior}({_SUFFIX})?_\d+_output\.dat")


def _sync_folders(tree: EnhancedTree) -> None:
    for path in sorted(tree.folder.iterdir()):
        if path.is_file():
            sync(path)
    sync(tree.info)
    for path in (*sorted(tree.nnfit.glob("replica_*")), tree.nnfit, tree.folder):
        sync(path)
