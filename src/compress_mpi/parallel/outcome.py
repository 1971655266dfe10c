"""An exception as a value: caught on one rank, raised on all."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import NoReturn

__all__ = ["Attempt", "RemoteError", "raise_together", "with_origin"]


class RemoteError(RuntimeError):
    """Stands for an error of another rank whose own type cannot travel between processes."""


class Attempt:
    """Keeps the error of its block instead of letting it out.

    Only for :class:`Exception`: a ``SystemExit`` or ``KeyboardInterrupt`` goes on.

    Examples
    --------
    >>> with Attempt() as attempt:
    ...     int("x")
    >>> type(attempt.error).__name__
    'ValueError'
    """

    error: Exception | None = None

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self.error = error
            return True
        return False


def with_origin(error: Exception, rank: int) -> Exception:
    """Note on ``error`` where it came from, once: a traceback does not travel."""
    if not hasattr(error, "raised_on"):
        trace = "".join(traceback.format_exception(error)).rstrip()
        error.raised_on = rank  # type: ignore[attr-defined]
        error.add_note(f"raised on rank {rank}:\n{trace}")
    return error


def raise_together(error: Exception, everybody: bool, speaker: bool) -> NoReturn:
    """Raise ``error``, marked for the top level of the program.

    Parameters
    ----------
    error : Exception
    everybody : bool
        All ranks of the job raise it now, so that all can end in good order.
    speaker : bool
        This rank is the first of those that raise it.
    """
    error.collective = everybody  # type: ignore[attr-defined]
    error.speaker = speaker  # type: ignore[attr-defined]
    raise error
