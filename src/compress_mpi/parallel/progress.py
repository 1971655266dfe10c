"""How far the job is: a live bar on a terminal, plain lines in a batch log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

__all__ = ["Progress"]

_REDRAW = 0.1  # seconds between two drawings of the bar
_FIRST = 1.0  # seconds to the first plain line: shows early that the job runs


class Progress:
    """Shows the state of a search; only rank 0 has one that is enabled.

    Parameters
    ----------
    total : int
        Iterations, or whatever ``unit`` says, of the whole job.
    label : str or callable
        Such as ``"compress N=100"``; a function is asked for it whenever something is shown.
    stream : text stream, optional
        Standard error by default.
    interval : float
        Seconds between two plain lines.
    unit : str
        What is counted.
    enabled : bool
        Without it nothing is shown.
    start, start_evaluations : int
        Where a resumed job went on, so that rate and time left are those of this run.
    clock : callable
        Seconds, for tests.

    Examples
    --------
    A line of a batch log::

        compress N=100  iteration 1200/15000  ERF 0.0712  81234 eval/s  left 00:12
    """

    def __init__(
        self,
        total: int,
        label: str | Callable[[], str],
        stream: TextIO | None = None,
        interval: float = 10.0,
        enabled: bool = True,
        *,
        unit: str = "iteration",
        start: int = 0,
        start_evaluations: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._unit, self._enabled = total, unit, enabled
        self._label = label if callable(label) else lambda: label
        self._stream = sys.stderr if stream is None else stream
        self._clock, self._began = clock, clock()
        self._start, self._start_evaluations = start, start_evaluations
        self._state: tuple[int, float, int] | None = None
        self._shown: tuple[int, float, int] | None = None
        self._bar: Any = None
        self._live = enabled and self._stream.isatty()
        self._interval = _REDRAW if self._live else interval
        self._due = self._began + (0.0 if self._live else min(_FIRST, interval))

    def update(self, done: int, *, erf: float, evaluations: int) -> None:
        """Tell the state; cheap enough for every iteration.

        Parameters
        ----------
        done : int
            Units finished, those before a restart included.
        erf : float
            Lowest error function so far.
        evaluations : int
            Error functions computed, those before a restart included.
        """
        self._state = (done, erf, evaluations)
        if self._enabled and self._clock() >= self._due:
            self._show()

    def close(self) -> None:
        """Show the last state, if it was not shown yet, and end the bar."""
        if self._enabled and self._state != self._shown:
            self._show()
        bar, self._bar, self._enabled = self._bar, None, False
        if bar is not None:
            with contextlib.suppress(OSError):
                bar.stop()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _show(self) -> None:
        now = self._clock()
        self._due = now + self._interval
        self._shown = self._state
        if self._state is None:
            return
        done, erf, evaluations = self._state
        numbers = self._numbers(now, done, erf, evaluations)
        try:
            if self._live:
                self._draw(done, numbers)
            else:
                print(
                    f"{self._label()}  {self._unit} {done}/{self._total}  {numbers}",
                    file=self._stream,
                    flush=True,
                )
        except OSError:  # a closed pipe or a full disk ends the display, not the job
            self._enabled = False

    def _numbers(self, now: float, done: int, erf: float, evaluations: int) -> str:
        seconds = max(now - self._began, 1e-9)
        rate = (evaluations - self._start_evaluations) / seconds
        steps = (done - self._start) / seconds
        left = _duration((self._total - done) / steps) if steps > 0 else "--:--"
        return f"ERF {erf:.4g}  {rate:.0f} eval/s  left {left}"

    def _draw(self, done: int, numbers: str) -> None:
        if self._bar is None:
            self._open()
        self._bar.update(self._task, description=self._label(), completed=done, numbers=numbers)
        self._bar.refresh()

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
        )
        # No refresh thread: it would compete with the kernels' own.
        self._bar = Bar(*columns, console=Console(file=self._stream), auto_refresh=False)
        self._task = self._bar.add_task(self._label(), total=self._total, numbers="")
        self._bar.start()


def _duration(seconds: float) -> str:
    """``MM:SS``, with hours (and days) in front where there are any."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = f"{minutes:02d}:{rest:02d}"
    if days:
        return f"{days}d {hours:02d}:{clock}"
    return f"{hours:02d}:{clock}" if hours else clock
