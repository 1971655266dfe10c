"""One attempt at a stage: what is known of it, how to look at it, and how to end it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress_mpi.errors import LaunchError
from compress_mpi.launch.backend import AttemptState, Backend
from compress_mpi.launch.donefile import Done, read_done
from compress_mpi.launch.files import read_json, write_json
from compress_mpi.launch.process import ProcessBackend, in_batch_job
from compress_mpi.launch.scheduler import SchedulerBackend
from compress_mpi.launch.script import exit_code, script_path, started
from compress_mpi.launch.settings import PROCESS, LaunchSettings

__all__ = ["TICKET", "Status", "Ticket", "backend_for", "load_ticket"]

TICKET = "ticket.json"
"""Name of the file of the attempt that is under way, in the folder of a stage."""

_LOOK = 0.1  # seconds between two looks
_KILL_AFTER = 10.0  # seconds from SIGTERM to SIGKILL


@dataclass(frozen=True)
class Status:
    """What is known of an attempt.

    Attributes
    ----------
    state : AttemptState
        By the backend.
    exit_code : int or None
        Of the stage's program, noted by its script.
    done : Done or None
        The stage's own word, and the only one that counts as success.
    """

    state: AttemptState
    exit_code: int | None
    done: Done | None

    @property
    def ended(self) -> bool:
        """Whether nothing of the attempt is left."""
        return self.exit_code is not None or self.state is AttemptState.GONE


@dataclass
class Ticket:
    """One attempt at a stage.

    Attributes
    ----------
    folder : Path
        Of the stage; absolute.
    where : str
        Name of the backend.
    backend : Backend
    token : str
        Name of the attempt.
    digest : str
        Of the request.
    attempt : int
        Counted from 1.
    native_id : str or None
        Name at the backend; None until it is known.
    """

    folder: Path
    where: str
    backend: Backend
    token: str
    digest: str
    attempt: int
    native_id: str | None = None

    def poll(self) -> Status:
        """Look once, at what ends first at last: what an attempt that is gone has written is seen."""
        state = AttemptState.UNKNOWN if self.native_id is None else self.backend.state(self.native_id)
        code = exit_code(self.folder, self.token)
        if state is AttemptState.GONE or code is not None:
            _refresh(self.folder)
            code = exit_code(self.folder, self.token)
        return Status(state, code, read_done(self.folder, self.digest))

    def cancel(self) -> None:
        """End the attempt; returns once its processes have ended, or the scheduler has been told.

        Raises
        ------
        LaunchError
            If the scheduler does not listen.
        """
        status = self.poll()
        if self.native_id is None or status.exit_code is not None:
            self.forget()
            return
        self.save(cancelled=True)
        # gone, says a scheduler, which may err
        with contextlib.suppress(*[LaunchError] if status.state is AttemptState.GONE else []):
            self.backend.cancel(self.native_id)
        if isinstance(self.backend, ProcessBackend):
            if not self.ends_within(_KILL_AFTER):
                self.backend.signal(self.native_id, signal.SIGKILL)
            self.forget()

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end of the attempt; False if it has not come by then."""
        end = time.monotonic() + seconds
        while not self.poll().ended:
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK)
        return True

    def forget(self) -> None:
        """Remove the ticket file: there is nothing to attach to any more."""
        (self.folder / TICKET).unlink(missing_ok=True)

    def save(self, cancelled: bool = False) -> None:
        """Write the ticket file."""
        content = {
            "where": self.where,
            "native_id": self.native_id,
            "token": self.token,
            "digest": self.digest,
            "attempt": self.attempt,
            "host": socket.gethostname(),
            "batch_job": in_batch_job(),
            "cancelled": cancelled,
        }
        write_json(self.folder / TICKET, content)


def backend_for(settings: LaunchSettings, folder: Path, token: str) -> Backend:
    """The backend that ``settings.where`` names, for one attempt.

    Raises
    ------
    LaunchError
        If there is no such backend, or it is not installed.
    """
    if settings.where == PROCESS:
        return ProcessBackend(script_path(folder, token))
    return SchedulerBackend(settings, folder)


def load_ticket(settings: LaunchSettings, folder: Path) -> tuple[Ticket, bool] | None:
    """The attempt of a ticket file, and whether it was cancelled.

    Parameters
    ----------
    settings : LaunchSettings
        Now; where the attempt runs is in its file.
    folder : Path
        Absolute.

    Returns
    -------
    (Ticket, bool) or None
        None where there is no file, or nothing of the attempt can be left.

    Raises
    ------
    LaunchError
        If the attempt is a process of another machine that may still run.
    """
    content = read_json(folder / TICKET)
    if content is None or not all(isinstance(content.get(key), str) for key in ("token", "where", "digest")):
        return None
    where, token, native_id = content["where"], content["token"], content.get("native_id")
    if native_id is None:
        native_id = _noted_id(folder, token, where)
    if native_id is None or (where == PROCESS and not _is_of_this_machine(folder, content)):
        return None
    backend = backend_for(replace(settings, where=where), folder, token)
    attempt = int(content.get("attempt", 1))
    ticket = Ticket(folder, where, backend, token, content["digest"], attempt, str(native_id))
    return ticket, bool(content.get("cancelled"))


def _noted_id(folder: Path, token: str, where: str) -> str | int | None:
    """Who runs an attempt, by its own note: the driver died before it could write it down."""
    note = started(folder, token) or {}
    return note.get("pid" if where == PROCESS else "job") or None


def _is_of_this_machine(folder: Path, content: dict[str, Any]) -> bool:
    host = content.get("host")
    if host == socket.gethostname():
        return True
    if content.get("batch_job"):
        return False  # it has ended with its driver's job
    raise LaunchError(
        f"{folder}: an earlier run on {host} started this stage there (process {content.get('native_id')}), and nobody"
        f" here knows whether it still runs; start the same command on {host}, or see to it that the process has"
        f" ended and remove {folder / TICKET}"
    )


def _refresh(folder: Path) -> None:
    """Have a shared file system look again: it remembers for a while that a file was not there."""
    with os.scandir(folder) as entries:
        next(entries, None)
