"""Errors a user can meet, and the exit code of each.

Every message says where, what was expected, what was found, and what to do
next. ``EXIT_CODES`` is the table printed in the manual.
"""

from __future__ import annotations

__all__ = [
    "EXIT_CODES",
    "EXIT_REQUEUE",
    "CompressError",
    "EnhanceError",
    "LaunchError",
    "OutputError",
    "PDFSetError",
    "RuncardError",
    "StoreError",
    "TableError",
    "TargetError",
]

EXIT_REQUEUE = 85
"""The run stopped early, its checkpoint is good: start the same command again."""


class CompressError(Exception):
    """Anything this package refuses or cannot do, with a message for a person."""

    exit_code = 1


class RuncardError(CompressError, ValueError):
    """A runcard, an override or a command-line argument that makes no sense."""

    exit_code = 2


class PDFSetError(CompressError, ValueError):
    """A PDF set that is missing, damaged or unfit for what was asked."""

    exit_code = 3


class StoreError(CompressError, ValueError):
    """A result file that is damaged, foreign, or belongs to another run."""

    exit_code = 4


class OutputError(CompressError, OSError):
    """An output that cannot be written."""

    exit_code = 5


class LaunchError(CompressError, RuntimeError):
    """Processes that were started in a way that cannot work, or a stage started elsewhere that failed."""

    exit_code = 6


class TargetError(CompressError):
    """A target of ``compressed: auto`` that no size meets."""

    exit_code = 7


class EnhanceError(CompressError, ValueError):
    """New replicas that failed a check of their generator."""

    exit_code = 8


class TableError(CompressError, ValueError):
    """An event table that is missing, damaged or unfit for what was asked."""

    exit_code = 9


EXIT_CODES: dict[int, str] = {
    0: "finished",
    1: "unexpected error (please report it)",
    2: "runcard, override or command line refused",
    3: "PDF set missing, damaged or unfit",
    4: "result file damaged, foreign, or of another run",
    5: "output cannot be written",
    6: "launcher and MPI library do not match, or a stage that was started elsewhere failed",
    7: "no size meets the target of compressed: auto",
    8: "enhancement refused: the generator failed a check",
    9: "event table missing, damaged or unfit",
    EXIT_REQUEUE: "stopped early with a good checkpoint; start the same command again",
}
