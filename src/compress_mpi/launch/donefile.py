"""The done-file: the last thing a stage writes, and the only proof that it is done.

What a scheduler says about a job is no proof: a job that it has forgotten is
"completed", and so is one whose batch script hid the exit code of its program.

The file carries the SHA-256 of ``stage.json``, the request: the done-file of
another request in the same folder never counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from compress_mpi.errors import LaunchError
from compress_mpi.launch.files import read_json, write_json

__all__ = ["DONE", "STAGE", "Done", "read_done", "stage_digest", "write_done"]

STAGE = "stage.json"
"""Name of the request in the folder of a stage."""

DONE = "done.json"
"""Name of the done-file in the folder of a stage."""


@dataclass(frozen=True)
class Done:
    """End of a stage, by its own words.

    Attributes
    ----------
    code : int
        Exit code; 0: the output is complete; 85: stopped with a good checkpoint.
    message : str
        For a person: what was made, or what went wrong.
    """

    code: int
    message: str


def stage_digest(folder: Path) -> str:
    """SHA-256 of a stage's request, as 64 hexadecimal digits.

    Parameters
    ----------
    folder : Path
        Folder of the stage, with its ``stage.json``.

    Raises
    ------
    LaunchError
        If there is no request to read.
    """
    try:
        return hashlib.sha256((folder / STAGE).read_bytes()).hexdigest()
    except OSError as error:
        raise LaunchError(
            f"{folder / STAGE}: cannot be read: {error.strerror or error}; expected the request of a stage"
            " there, which a run of compress-mpi writes"
        ) from error


def write_done(folder: Path, code: int, message: str, digest: str) -> None:
    """Say that the stage has ended; everything else has to be on the disk by then.

    Parameters
    ----------
    folder : Path
        Folder of the stage.
    code : int
        Exit code of the stage.
    message : str
        For a person.
    digest : str
        :func:`stage_digest` of the request that was worked on, taken when work began.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_json(folder / DONE, {"code": int(code), "message": message, "digest": digest})


def read_done(folder: Path, digest: str) -> Done | None:
    """The end of a stage, or None as long as there is none for this request.

    Parameters
    ----------
    folder : Path
    digest : str
        :func:`stage_digest` of the request that is meant.
    """
    content = read_json(folder / DONE)
    if content is None or content.get("digest") != digest:
        return None
    code, message = content.get("code"), content.get("message")
    if not isinstance(code, int) or not isinstance(message, str):
        return None
    return Done(code, message)
