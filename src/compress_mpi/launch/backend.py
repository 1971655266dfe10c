"""What a place to run a stage in has to be able to do."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Protocol

__all__ = ["AttemptState", "Backend"]


class AttemptState(Enum):
    """Where an attempt is, as far as its backend knows; never proof that it succeeded."""

    UNKNOWN = "unknown"
    QUEUED = "queued"
    RUNNING = "running"
    GONE = "gone"


class Backend(Protocol):
    """Starts the script of an attempt, looks at it, ends it; none of it waits."""

    def submit(self, script: Path) -> str:
        """Start an attempt; returns the name by which the backend knows it.

        Raises
        ------
        LaunchError
            If it is refused.
        """
        ...

    def state(self, native_id: str) -> AttemptState:
        """Where an attempt is now."""
        ...

    def cancel(self, native_id: str) -> None:
        """Ask an attempt to end; no error if it has ended."""
        ...

    def checkpoint(self, native_id: str) -> bool:
        """Where the attempt cannot outlive the driver: ask it to stop with a checkpoint, and say True."""
        ...

    def was_cancelled(self, native_id: str) -> bool:
        """Whether somebody told the backend to end an attempt that is gone."""
        ...

    def reason(self, native_id: str) -> str:
        """What the backend says about the end of an attempt; empty if nothing."""
        ...
