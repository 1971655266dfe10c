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
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from compress_mpi.errors import OutputError
from compress_mpi.io.atomic import is_dead
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
    with _writing(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        _sweep(final)
        draft = _beside(final, "writing")
        draft.mkdir()
    try:
        with _writing(final):
            yield draft
            _keep_guests(final, draft)
            _sync_all(draft)
            _put(draft, final, keep_existing)
            _sync(final.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


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
    with _writing(final):
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


def _keep_guests(final: Path, draft: Path) -> None:
    for entry in sorted(os.listdir(final)) if final.is_dir() else ():
        if _guest(final.name).fullmatch(entry):
            shutil.copy2(final / entry, draft / entry)


def _beside(final: Path, role: str) -> Path:
    return final.with_name(f".{final.name}.{role}.{socket.gethostname()}.{os.getpid()}")


def _sweep(final: Path) -> None:
    for role in ("before", "writing"):
        for stray in sorted(final.parent.glob(f".{final.name}.{role}.*")):
            host, _, pid = stray.name.removeprefix(f".{final.name}.{role}.").rpartition(".")
            if host != socket.gethostname() or not is_dead(pid):
                continue
            if role == "before" and not final.exists():  # killed between the two renames
                stray.rename(final)
            else:
                shutil.rmtree(stray)


def _put(draft: Path, final: Path, keep_existing: bool) -> None:
    if not final.exists():
        try:
            draft.rename(final)
        except OSError:
            if not (keep_existing and final.is_dir()):  # else another process was faster
                raise
    elif not keep_existing:
        before = _beside(final, "before")
        final.rename(before)
        try:
            draft.rename(final)
        except OSError:
            before.rename(final)
            raise
        shutil.rmtree(before)


def _sync_all(draft: Path) -> None:
    for path in sorted(draft.iterdir()):
        _sync(path)
    _sync(draft)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(final: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "check the folder, its permissions and free space, or choose another place"
        raise OutputError(f"{final}: cannot be written ({reason}); {advice}") from error
