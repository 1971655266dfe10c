"""A folder that appears whole: written beside its place, then renamed.

A killed run leaves at most ``.<name>.writing.<host>.<pid>`` or
``.<name>.before.<host>.<pid>``, which the next run sweeps or puts back.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from compress_mpi.errors import OutputError
from compress_mpi.io.atomic import is_dead

__all__ = ["beside", "named", "new_folder", "put", "sweep_drafts", "sync"]

_ABANDONED = 86400.0
"""Seconds without a change after which a draft of another machine, whose processes cannot be seen, is litter."""


@contextlib.contextmanager
def new_folder(
    final: Path, guest: re.Pattern[str], settle: Callable[[Path], None], keep_existing: bool = False
) -> Iterator[Path]:
    """Draft of a folder; it takes its place when the block ends well, else it goes.

    Parameters
    ----------
    final : Path
        Its place; folders above it are made. What a killed run left there is removed.
    guest : pattern
        Files of others in the old folder that move into the new one.
    settle : callable
        Waits until the files of the draft have reached the disk.
    keep_existing : bool
        As in :func:`put`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with named(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        sweep_drafts(final)
        draft = beside(final, "writing")
        draft.mkdir()
    try:
        with named(final):
            yield draft
            for entry in sorted(os.listdir(final)) if final.is_dir() else ():
                if guest.fullmatch(entry):
                    shutil.copy2(final / entry, draft / entry)
            settle(draft)
            put(draft, final, keep_existing)
            sync(final.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def beside(final: Path, role: str) -> Path:
    """Hidden name of this process beside ``final``; ``role`` is ``writing`` or ``before``."""
    return final.with_name(f".{final.name}.{role}.{socket.gethostname()}.{os.getpid()}")


def sweep_drafts(final: Path) -> None:
    """Remove the drafts of dead runs, and put back what one had set aside.

    Parameters
    ----------
    final : Path
        The place that the drafts were for.

    Raises
    ------
    OSError
        If litter cannot be removed.
    """
    for role in ("before", "writing"):
        for stray in sorted(final.parent.glob(f".{final.name}.{role}.*")):
            host, _, pid = stray.name.removeprefix(f".{final.name}.{role}.").rpartition(".")
            if not (is_dead(pid) if host == socket.gethostname() else _is_abandoned(host, pid, stray)):
                continue
            if role == "before" and not final.exists():  # killed between the two renames
                stray.rename(final)
            else:
                shutil.rmtree(stray)


def _is_abandoned(host: str, pid: str, stray: Path) -> bool:
    if not (host and pid.isascii() and pid.isdigit()):
        return False
    newest = max(path.stat().st_mtime for path in (stray, *stray.iterdir()))
    return time.time() - newest > _ABANDONED


def put(draft: Path, final: Path, keep_existing: bool = False) -> None:
    """Give a finished draft its name.

    Parameters
    ----------
    draft : Path
        Beside ``final``.
    final : Path
        Replaced if it exists; where the renaming fails it is put back.
    keep_existing : bool
        Leave what is there in place instead, and the draft to the caller.

    Raises
    ------
    OSError
    """
    if not final.exists():
        try:
            draft.rename(final)
        except OSError:
            if not (keep_existing and final.is_dir()):  # else another process was faster
                raise
    elif not keep_existing:
        before = beside(final, "before")
        final.rename(before)
        try:
            draft.rename(final)
        except OSError:
            before.rename(final)
            raise
        shutil.rmtree(before)


def sync(path: Path) -> None:
    """Wait until a file or folder has reached the disk.

    Raises
    ------
    OSError
        Of a file; some network file systems cannot sync a folder.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named(final: Path) -> Iterator[None]:
    """Turn what the system says into an error about ``final``.

    Raises
    ------
    OutputError
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "check the folder, its permissions and free space, or choose another place"
        raise OutputError(f"{final}: cannot be written ({reason}); {advice}") from error
