"""Small files that two programs share: written in one step, read as nothing where they are unfit."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress_mpi.errors import OutputError

__all__ = ["last_lines", "read_json", "write_atomic", "write_json"]

# Some network file systems cannot sync a folder; the rename itself is done by then.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_TAIL = 16_384  # bytes


def write_atomic(path: Path, text: str) -> None:
    """Write a whole text file in one step, on the disk before its name shows.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    text : str

    Raises
    ------
    OutputError
        If it cannot be written; an old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.absolute().parent)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; check the folder, its permissions and free space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as :func:`write_atomic` does."""
    write_atomic(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a file; None where there is no such file, or no mapping in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # ValueError: no JSON, or no UTF-8
        return None
    return content if isinstance(content, dict) else None


def last_lines(path: Path, count: int = 20) -> list[str]:
    """The last ``count`` lines of a log that are not empty; none where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)
