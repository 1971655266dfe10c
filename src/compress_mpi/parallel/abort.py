"""One failure ends the job: the top level of the program.

An uncaught exception on one rank leaves the others waiting for ever under both
common MPIs. Here it prints one message and aborts all, however Python was
started (plain, console script or ``-m mpi4py``).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Protocol

from compress_mpi.errors import CompressError
from compress_mpi.parallel.launcher import is_first_process, launched_ranks
from compress_mpi.parallel.outcome import RemoteError

__all__ = ["abort_job", "run_guarded"]

_PREFIX = "compress-mpi: error"
_FORWARDING = 0.25  # seconds, for a message to pass through the launcher
_INTERRUPTED = 130  # 128 + SIGINT, as shells count
# What a user or the machine can cause: the message says it all.
_PLAIN = (CompressError, MemoryError, KeyboardInterrupt, OSError)


class _Member(Protocol):
    rank: int
    size: int


def run_guarded(function: Callable[[], int], team: _Member | None = None) -> int:
    """Run the program; see that any failure ends all ranks with one message.

    Parameters
    ----------
    function : callable
        The program; returns its exit code, the same on every rank.
    team : MPITeam or SerialTeam, optional
        The team of the whole job, if it exists already; otherwise MPI is asked
        once something fails.

    Returns
    -------
    int
        The exit code. After an error that all ranks raised together
        (``collective``), MPI has been finalised and all ranks return its code.

    Raises
    ------
    SystemExit
        As it came, where no other rank could be left waiting. Any other failure
        on a rank of several does not return: it ends the job through MPI.
    """
    with _thread_failures_abort(team):
        try:
            code = function()
        except SystemExit as stop:
            if not stop.code or _job(team)[1] == 1:
                raise
            return _fail(stop, team)
        except BaseException as error:  # whatever it is, the other ranks must not wait for this one
            return _fail(error, team)
    if code:
        _finalise()
    return code


def abort_job(code: int) -> NoReturn:
    """End all ranks at once with exit code ``code``, or only this process where it is alone.

    The library's own announcement is silenced, as the reason has been printed.
    """
    _flush()
    mpi = _loaded_mpi()
    if mpi is None or mpi.COMM_WORLD.Get_size() == 1:
        raise SystemExit(code)
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    mpi.COMM_WORLD.Abort(code)
    raise SystemExit(code)  # not reached; an Abort never returns


def _fail(error: BaseException, team: _Member | None) -> int:
    """Report ``error`` once and give, or end all ranks with, its exit code."""
    rank, size = _job(team, needed=True)
    code = _exit_code(error)
    if size == 1:
        if is_first_process():  # of n unconnected ones, if the launcher is a foreign one
            _report(error, where="")
        return code
    if getattr(error, "collective", False):
        if rank == 0:
            _report(error, where=_origin(error))
        _finalise()
        return code
    # Ranks that fail together should not talk together: the first to speak ends the others.
    time.sleep(_grace(rank) + (0.0 if getattr(error, "speaker", True) else 1.0))
    _report(error, where=f" on rank {rank}")
    # An abort can overtake the text on its way through the launcher (seen with mpich: 1 in 12).
    time.sleep(_FORWARDING)
    abort_job(code)


def _grace(rank: int) -> float:
    return 0.0 if rank == 0 else 2 * _FORWARDING + 0.1 * min(rank - 1, 10)


def _job(team: _Member | None, needed: bool = False) -> tuple[int, int]:
    """Rank and size of the job; starts MPI where ``needed`` to reach the other ranks."""
    if team is not None and team.size > 1:
        return team.rank, team.size
    mpi = _loaded_mpi()
    if mpi is None and needed and launched_ranks() > 1:
        # The others may be waiting for this rank in MPI_Init already.
        with contextlib.suppress(ImportError, RuntimeError):
            from mpi4py import MPI

            mpi = MPI
    return (mpi.COMM_WORLD.Get_rank(), mpi.COMM_WORLD.Get_size()) if mpi else (0, 1)


def _loaded_mpi() -> Any:
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized() else None


def _finalise() -> None:
    """Leave MPI before the process exits with an error code, so that nobody reports an abort."""
    _flush()
    mpi = _loaded_mpi()
    if mpi is not None and mpi.COMM_WORLD.Get_size() > 1:
        mpi.Finalize()


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    return error.exit_code if isinstance(error, CompressError) else 1


def _origin(error: BaseException) -> str:
    """Where an unexpected error came from; for refused input that is of no interest."""
    origin = getattr(error, "raised_on", None)
    return f" on rank {origin}" if origin is not None and not isinstance(error, CompressError) else ""


def _report(error: BaseException, where: str) -> None:
    text = f"{_PREFIX}{where}: {_message(error)}\n"
    if os.environ.get("COMPRESS_MPI_TRACEBACK") == "1" or not isinstance(error, (*_PLAIN, SystemExit)):
        text = _trace(error) + text
    # One write: lines of several ranks must not mix. A closed stderr is no reason to hang.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _trace(error: BaseException) -> str:
    """The traceback; of an error that came from another rank, the one over there."""
    if hasattr(error, "raised_on"):
        return "\n".join(getattr(error, "__notes__", [])) + "\n"
    return "".join(traceback.format_exception(error))


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, SystemExit):
        return f"the program stopped with {error.code!r}"
    if isinstance(error, MemoryError):
        return f"out of memory: {error}" if str(error) else "out of memory"
    name = "" if isinstance(error, (CompressError, RemoteError)) else type(error).__name__
    return ": ".join(part for part in (name, str(error)) if part)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


@contextlib.contextmanager
def _thread_failures_abort(team: _Member | None) -> Iterator[None]:
    """A thread that dies must not leave its rank, and so all others, waiting for its work."""
    previous = threading.excepthook

    def hook(details: threading.ExceptHookArgs, /) -> None:
        alone = _job(team)[1] == 1
        if alone or details.exc_value is None or issubclass(details.exc_type, SystemExit):
            previous(details)
        else:
            _fail(details.exc_value, team)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = previous
