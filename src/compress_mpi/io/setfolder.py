"""Put a whole set into place at once, never half of it, never over someone else's.

The files are written into a hidden folder beside the target and reach the disk; then
the folder takes the target's name. A killed run leaves at most
``.<name>.writing.<host>.<pid>`` or ``.<name>.before.<host>.<pid>``, which the next run
sweeps or puts back.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from compress_mpi.errors import OutputError
from compress_mpi.io.draftfolder import named, new_folder, sync
from compress_mpi.io.infofile import parse_info

__all__ = ["MARK", "new_set", "require_replaceable"]

MARK = "CompressMPI"
"""Key of the ``.info`` file that says that this program wrote the set."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@contextlib.contextmanager
def new_set(folder: Path, name: str, keep_existing: bool = False) -> Iterator[Path]:
    """Folder to write the files of a set into; it takes its place when the block ends well.

    Parameters
    ----------
    folder : Path
        Where the set's folder goes; made if need be.
    name : str
        Of the set and of its folder.
    keep_existing : bool
        Let a set that is there already win, and throw the new one away: for several
        processes that build the same thing.

    Yields
    ------
    Path
        Empty folder.

    Raises
    ------
    OutputError
        If something is in the way that this program did not write, or it cannot be written.
    """
    final = Path(os.path.abspath(Path(folder).expanduser())) / name
    if not _NAME.fullmatch(name):
        raise OutputError(f"{final}: '{name}' cannot name a set; use letters, digits and . _ + -")
    if not keep_existing:
        require_replaceable(final)
    with new_folder(final, _guest(name), _sync_all, keep_existing) as draft:
        yield draft


def require_replaceable(final: Path) -> None:
    """Refuse a target that holds anything but a set of that name written by this program.

    Parameters
    ----------
    final : Path
        Folder of the set to be.

    Raises
    ------
    OutputError
        If so; nothing is touched.
    """
    if not os.path.lexists(final):
        return
    advice = "move it away or choose another name"
    if final.is_symlink() or not final.is_dir():
        raise OutputError(f"{final}: exists and is not a folder; {advice}")
    with named(final):
        entries = sorted(os.listdir(final))
        info = final / f"{final.name}.info"
        ours = info.is_file() and MARK in parse_info(info.read_text("utf-8", "replace"))
    entries = [entry for entry in entries if not _guest(final.name).fullmatch(entry)]
    if entries and not ours:
        raise OutputError(f"{final}: exists and was not written by compress-mpi; {advice}")
    expected = re.compile(rf"{re.escape(final.name)}(_\d{{4,}}\.dat|\.info)")
    foreign = [entry for entry in entries if not expected.fullmatch(entry)]
    if foreign:
        raise OutputError(f"{final}: holds other files ({', '.join(foreign[:5])}); {advice}")


def _guest(name: str) -> re.Pattern[str]:
    """pyCompressor's result about a prior lies in a folder of the prior's name, which may be this one."""
    return re.compile(rf"compress_{re.escape(name)}_\d+_output\.dat")


def _sync_all(draft: Path) -> None:
    for path in sorted(draft.iterdir()):
        sync(path)
    sync(draft)
