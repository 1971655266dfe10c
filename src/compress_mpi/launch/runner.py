"""Start a stage elsewhere, find it again after a restart, and wait for it.

Everything about a stage is in its folder, so that a driver that comes later knows
what an earlier one has started:

======================  ====================================================
``stage.json``          the request (the driver writes it)
``ticket.json``         the attempt that is under way, and who runs it
``launch-TOKEN.sh``     its script
``started-TOKEN``       noted by the script: it has begun
``exit-TOKEN``          noted by the script: exit code of the program
``stage.log``           output of all attempts
``progress.json``       how far the stage is (the stage writes it)
``done.json``           the stage has ended (the stage writes it last)
======================  ====================================================
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress_mpi.errors import EXIT_REQUEUE, LaunchError
from compress_mpi.launch.backend import AttemptState
from compress_mpi.launch.donefile import DONE, STAGE, Done, read_done, stage_digest
from compress_mpi.launch.files import last_lines, read_json, write_atomic
from compress_mpi.launch.script import LOG, forget_attempts, script_path, script_text
from compress_mpi.launch.settings import PROCESS, LaunchSettings
from compress_mpi.launch.ticket import TICKET, Status, Ticket, backend_for, load_ticket

__all__ = ["CANCELS", "PROGRESS", "Progress", "attach", "run", "submit", "wait"]

PROGRESS = "progress.json"
"""Name of the file in which a stage says how far it is: ``done``, ``total`` and ``text``."""

CANCELS = frozenset({"SIGTERM", "SIGINT"})
"""Reasons to stop that end the stage too; with any other one it goes on without its driver."""

_LOOK = 0.25  # seconds between two looks
_ENDS_WITHIN = 60.0  # seconds for a cancelled attempt, or one that makes a checkpoint


@dataclass(frozen=True)
class Progress:
    """How far a stage is: ``done`` of ``total`` steps, and a few words."""

    done: int
    total: int
    text: str


def run(
    settings: LaunchSettings,
    folder: Path,
    command: Sequence[str],
    stop: Callable[[], str | None],
    on_progress: Callable[[Progress], None] | None = None,
) -> Done | None:
    """Bring a stage to its end: take its result, attach to it, or start it.

    On the main thread of one rank; the others wait in ``team.on_root``.

    Parameters
    ----------
    settings : LaunchSettings
    folder : Path
        Of the stage, with its request.
    command : sequence of str
        Program that runs the stage and writes its done-file; absolute paths.
    stop : callable
        Asked a few times a second for the name of a reason to stop, such as ``"SIGUSR1"``, or None. One
        of :data:`CANCELS` ends the stage; with any other it goes on, and the next launch attaches to it.
        A process that would end with the driver's batch job is asked to stop with a checkpoint instead.
    on_progress : callable, optional
        Gets every change.

    Returns
    -------
    Done or None
        None where ``stop`` said so.

    Raises
    ------
    LaunchError
        If the stage cannot be started, fails, or is lost; with the last lines of its log.
    """
    done = read_done(folder, stage_digest(folder))
    if done is not None and done.code == 0:
        return done
    ticket = attach(settings, folder)
    if ticket is not None:
        return wait(ticket, settings, command, stop, on_progress, attached=True)
    return wait(submit(settings, folder, command), settings, command, stop, on_progress)


def submit(settings: LaunchSettings, folder: Path, command: Sequence[str], attempt: int = 1) -> Ticket:
    """Start a stage, in place of whatever attempt there was before.

    An attempt that still runs is ended first. One that an earlier driver put into a
    queue but could not note any more ends by itself when its turn comes.

    Parameters
    ----------
    settings : LaunchSettings
    folder : Path
    command : sequence of str
    attempt : int
        Counted from 1.

    Raises
    ------
    LaunchError
        If the attempt before does not end, or the new one is refused.
    """
    folder = folder.absolute()
    digest, token = stage_digest(folder), secrets.token_hex(8)
    text = script_text(folder, token, attempt, command, settings)
    backend = backend_for(settings, folder, token)
    _end_previous(settings, folder)
    forget_attempts(folder)
    for name in (DONE, PROGRESS, TICKET):
        (folder / name).unlink(missing_ok=True)
    write_atomic(script_path(folder, token), text)
    ticket = Ticket(folder, settings.where, backend, token, digest, attempt)
    # If this process dies right after the submission, the note of the script tells the rest.
    ticket.save()
    ticket.native_id = backend.submit(script_path(folder, token))
    ticket.save()
    return ticket


def attach(settings: LaunchSettings, folder: Path) -> Ticket | None:
    """The attempt that an earlier driver started, if it can still lead to a result.

    Parameters
    ----------
    settings : LaunchSettings
    folder : Path

    Returns
    -------
    Ticket or None
        None where there is no attempt, or one of another request, cancelled, or ended without result.

    Raises
    ------
    LaunchError
        If the attempt is a process of another machine that may still run.
    """
    folder = folder.absolute()
    digest = stage_digest(folder)
    loaded = load_ticket(settings, folder)
    if loaded is None or loaded[1] or loaded[0].digest != digest:
        return None
    ticket, _ = loaded
    status = ticket.poll()
    succeeded = status.done is not None and status.done.code == 0
    return ticket if succeeded or not status.ended else None


def wait(
    ticket: Ticket,
    settings: LaunchSettings,
    command: Sequence[str],
    stop: Callable[[], str | None],
    on_progress: Callable[[Progress], None] | None = None,
    attached: bool = False,
) -> Done | None:
    """Wait for the end of a stage, asleep; start it again where it stopped with a checkpoint.

    Parameters
    ----------
    ticket : Ticket
    settings, command, stop, on_progress
        As in :func:`run`.
    attached : bool
        An earlier driver started the attempt: if it was lost meanwhile, that is no failure.

    Returns
    -------
    Done or None
        None where ``stop`` said so.

    Raises
    ------
    LaunchError
        If the stage failed, or is gone without a done-file. Any other exception that leaves this
        function, KeyboardInterrupt too, ends the stage.
    """
    watch = _Watch(settings, on_progress, excused=attached)
    with _cancelled_on_error(lambda: ticket):
        while (reason := stop()) is None:
            status = ticket.poll()
            if status.done is not None and status.done.code == 0:
                ticket.forget()
                return status.done
            if watch.is_over(ticket, status):
                _check_continues(ticket, status, settings, watch.excused)
                ticket = submit(settings, ticket.folder, command, ticket.attempt + 1)
                watch = _Watch(settings, on_progress, excused=False)
            time.sleep(_LOOK)
        _leave(ticket, reason)
        return None


class _Watch:
    """Follows one attempt: says what changes, and when there is nothing left to wait for."""

    def __init__(
        self, settings: LaunchSettings, on_progress: Callable[[Progress], None] | None, excused: bool
    ) -> None:
        self._settings, self._on_progress = settings, on_progress
        self._shown: Progress | None = None
        self._gone_since: float | None = None
        self.excused = excused
        """Nobody here has seen it alive: it may have been lost together with an earlier driver."""

    def is_over(self, ticket: Ticket, status: Status) -> bool:
        self._show(_progress(ticket, status))
        if status.state in (AttemptState.QUEUED, AttemptState.RUNNING):
            self.excused = False
        if status.exit_code is not None and (ticket.where == PROCESS or status.state is AttemptState.GONE):
            return True
        # With an exit code too the scheduler's word is waited for: it knows whether the job was cancelled.
        if status.state is not AttemptState.GONE and status.exit_code is None:
            self._gone_since = None
            return False
        self._gone_since = self._gone_since or time.monotonic()
        # here the exit code is noted before the process ends; elsewhere a new file shows late
        grace = 0.0 if ticket.where == PROCESS else self._settings.grace_s
        return time.monotonic() - self._gone_since >= grace

    def _show(self, progress: Progress | None) -> None:
        if progress is not None and progress != self._shown and self._on_progress is not None:
            self._on_progress(progress)
        self._shown = progress or self._shown


def _progress(ticket: Ticket, status: Status) -> Progress | None:
    content = read_json(ticket.folder / PROGRESS)
    if content is not None:
        done, total = content.get("done"), content.get("total")
        if isinstance(done, int) and isinstance(total, int):
            return Progress(done, total, str(content.get("text", "")))
    if status.state is AttemptState.QUEUED:
        return Progress(0, 0, f"job {ticket.native_id} waits in the queue of {ticket.where}")
    return None


def _check_continues(ticket: Ticket, status: Status, settings: LaunchSettings, excused: bool) -> None:
    """Refuse a further attempt, unless the last one made a checkpoint or was lost with an earlier driver."""
    code = status.done.code if status.done is not None else status.exit_code
    cancelled = ticket.native_id is not None and ticket.backend.was_cancelled(ticket.native_id)
    if cancelled or (code != EXIT_REQUEUE and not (code is None and excused)):
        message = _failure(ticket, status)
        ticket.forget()
        raise LaunchError(message)
    if ticket.attempt > settings.restarts:
        ticket.forget()
        raise LaunchError(
            f"{ticket.folder}: the stage stopped with a checkpoint {ticket.attempt} times and is not done; start the"
            " same command again to go on, with a longer 'time' in 'launch' if need be"
        )


def _failure(ticket: Ticket, status: Status) -> str:
    request = read_json(ticket.folder / STAGE) or {}
    name = f"stage {request['stage']}" if "stage" in request else "the stage"
    if status.done is not None:
        what = f"failed with exit code {status.done.code}: {status.done.message}"
        if status.done.code == EXIT_REQUEUE:
            what = f"was ended from outside: {status.done.message}"
    elif status.exit_code is not None:
        what = f"ended with exit code {status.exit_code} and without {DONE}"
    else:
        what = f"is gone and left no {DONE}: it was killed, or never began"
    said = ticket.backend.reason(ticket.native_id) if ticket.native_id is not None else ""
    log = "".join(f"\n  {line}" for line in last_lines(ticket.folder / LOG)) or "\n  (there are none)"
    return (
        f"{ticket.folder}: {name} {what}{f' ({said})' if said else ''}; once the cause is removed, the same command"
        f" goes on from the last checkpoint. Last lines of {LOG}:{log}"
    )


def _leave(ticket: Ticket, reason: str) -> None:
    if reason in CANCELS:
        ticket.cancel()
    elif ticket.native_id is not None and ticket.backend.checkpoint(ticket.native_id):
        ticket.ends_within(_ENDS_WITHIN)


@contextlib.contextmanager
def _cancelled_on_error(ticket: Callable[[], Ticket]) -> Iterator[None]:
    over = False
    try:
        yield
        over = True
    except LaunchError:
        over = True  # raised where the attempt has ended
        raise
    finally:
        if not over:
            ticket().cancel()


def _end_previous(settings: LaunchSettings, folder: Path) -> None:
    """End the attempt that a ticket names, if it may still run."""
    loaded = load_ticket(settings, folder)
    if loaded is None or loaded[0].poll().ended:
        return
    ticket, _ = loaded
    ticket.cancel()
    if not ticket.ends_within(_ENDS_WITHIN):
        raise LaunchError(
            f"{folder}: an earlier attempt at this stage ({ticket.where} {ticket.native_id}) does not end; end it by"
            f" hand, remove {TICKET}, and start the same command again"
        )
