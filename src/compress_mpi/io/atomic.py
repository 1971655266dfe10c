"""Files that are either the old one or the new one, never half of each.

The new content goes to a temporary beside the target, reaches the disk, and
takes the target's name in one step; the folder is synced last, so the new name
survives a crash too. A killed run leaves at most ``.<name>.tmp.<pid>``, which
:func:`sweep` removes at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from compress_mpi.errors import OutputError

__all__ = ["atomic_write", "is_dead", "replace_file", "sweep", "temporary_path"]

# Some network file systems cannot sync a folder; the rename itself is done by then.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


def temporary_path(path: Path | str) -> Path:
    """Name of this process's temporary for ``path``: ``.<name>.tmp.<pid>`` in the same folder."""
    path = Path(path)
    return path.with_name(f".{path.name}.tmp.{os.getpid()}")


def atomic_write(path: Path | str, data: bytes | str) -> None:
    """Write a whole file in one step.

    Parameters
    ----------
    path : Path or str
        Target; its folder must exist. An old file keeps its content until the new one is complete.
    data : bytes or str
        Text is written as UTF-8.

    Raises
    ------
    OutputError
        If the file cannot be written; the old file, if any, is untouched.
    """
    temporary = temporary_path(path)
    try:
        with _named(path):
            temporary.write_bytes(data.encode() if isinstance(data, str) else data)
        replace_file(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def replace_file(temporary: Path | str, path: Path | str) -> None:
    """Give a finished temporary its final name, durably.

    Parameters
    ----------
    temporary : Path or str
        A closed file in the folder of ``path``.
    path : Path or str
        Target, replaced if it exists.

    Raises
    ------
    OutputError
        If it cannot be done; the temporary is left to the caller or to :func:`sweep`.
    """
    with _named(path):
        _sync(temporary)
        os.replace(temporary, path)
        try:
            _sync(Path(path).absolute().parent)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise


def sweep(path: Path | str) -> list[Path]:
    """Remove the temporaries that dead runs left beside ``path``.

    A temporary whose process still lives on this machine is another run's and
    stays. One with this process's own number is an earlier owner's of that
    number: sweep before the first write.

    Parameters
    ----------
    path : Path or str
        The target whose temporaries are meant.

    Returns
    -------
    list of Path
        What was removed, in name order.

    Raises
    ------
    OutputError
        If a stray temporary cannot be removed.
    """
    path = Path(path)
    prefix = f".{path.name}.tmp."
    if not path.parent.is_dir():
        return []
    with _named(path):
        strays = [
            entry
            for entry in sorted(path.parent.iterdir())
            if entry.name.startswith(prefix) and is_dead(entry.name.removeprefix(prefix))
        ]
        for entry in strays:
            entry.unlink(missing_ok=True)
    return strays


def is_dead(pid: str) -> bool:
    """Whether the process that left a temporary has ended; its own number means an earlier owner."""
    if not (pid.isascii() and pid.isdigit()):
        return False
    if int(pid) == os.getpid():
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _sync(path: Path | str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written: {reason}; check the folder, its permissions and free space,"
            " or choose another place with 'output'"
        ) from error
