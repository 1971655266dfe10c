"""Polite requests to stop, turned into a flag that the work loop reads."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["StopSignals"]


class StopSignals:
    """Catches SIGUSR1 and SIGTERM while open; the old handlers come back at the end.

    SIGINT stays as it is: Ctrl-C means now. A second, different signal does not
    replace the first. Outside the main thread Python allows no handlers, and
    this does nothing.

    Examples
    --------
    >>> with StopSignals() as stop:
    ...     stop.received is None
    True
    """

    SIGNALS = (signal.SIGUSR1, signal.SIGTERM)

    def __init__(self) -> None:
        self._received: str | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def received(self) -> str | None:
        """Name of the first signal that came to this rank, such as ``"SIGUSR1"``; not collective."""
        return self._received

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            # None means a handler that was not installed from Python; it cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is None:
            self._received = signal.Signals(number).name
