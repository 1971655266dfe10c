"""Short notes between ranks that share no collective: parts of a job at work on different things.

A part has only its own collectives, so that what concerns all parts, such as a request
to stop, travels as point-to-point messages on a communicator of their own. Nobody
waits for a note: the sender goes on, the receiver looks now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compress_mpi.parallel.channel import Channel, rest

__all__ = ["NOTE_LENGTH", "Mailbox", "SerialMailbox"]

NOTE_LENGTH = 3
"""Whole numbers in a note."""

Note = tuple[int, ...]


class SerialMailbox:
    """The mailbox of a team of one: nobody writes, nobody answers."""

    def send(self, to: int, note: Sequence[int]) -> None:
        """Refuse: there is nobody else.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(f"note to rank {to}: expected the number of another rank, and there is none")

    def receive(self) -> list[Note]:
        """No notes."""
        return []

    def meet(self, meanwhile: Callable[[], None] | None = None) -> list[Note]:
        """Return at once, without notes."""
        return []

    def close(self) -> None:
        """Nothing to free."""


class Mailbox:
    """Notes of a few whole numbers between any two ranks of a team.

    Parameters
    ----------
    channel : Channel
        Owned by the mailbox: used by nothing else.
    """

    def __init__(self, channel: Channel) -> None:
        from mpi4py import MPI

        self._mpi, self._channel = MPI, channel
        self._sent = np.zeros(channel.size, dtype=np.int64)
        self._received = 0
        self._underway: list[tuple[Any, Any]] = []

    def send(self, to: int, note: Sequence[int]) -> None:
        """Post a note; not collective, does not wait.

        Parameters
        ----------
        to : int
            Another rank of the team.
        note : sequence of int
            ``NOTE_LENGTH`` whole numbers, or fewer: then followed by zeros.

        Raises
        ------
        ValueError
            If ``to`` is this rank or none, or the note is too long.
        """
        if to == self._channel.rank or not 0 <= to < self._channel.size:
            raise ValueError(f"note to rank {to}: expected the number of another rank")
        if len(note) > NOTE_LENGTH:
            raise ValueError(f"note: expected at most {NOTE_LENGTH} numbers, got {len(note)}")
        values = np.zeros(NOTE_LENGTH, dtype=np.int64)
        values[: len(note)] = note
        # the buffer must live until the message has left
        self._underway = [one for one in self._underway if not one[0].Test()]
        self._underway.append((self._channel.comm.Isend(values, dest=to), values))
        self._sent[to] += 1

    def receive(self) -> list[Note]:
        """Notes that have come since the last look; not collective, does not wait."""
        notes: list[Note] = []
        while self._channel.comm.Iprobe(source=self._mpi.ANY_SOURCE):
            notes.append(self._take())
        return notes

    def meet(self, meanwhile: Callable[[], None] | None = None) -> list[Note]:
        """Wait for all ranks, asleep; collective.

        Parameters
        ----------
        meanwhile : callable, optional
            Called between two looks; it may send and receive.

        Returns
        -------
        list of tuple of int
            Notes to this rank that were still underway. Afterwards there are none anywhere.
        """
        rest(self._channel.comm.Ibarrier(), meanwhile)
        # nobody sends any more: the counts tell who has to wait for how many
        expected = np.zeros(1, dtype=np.int64)
        rest(self._channel.comm.Ireduce_scatter_block(self._sent, expected, op=self._mpi.SUM))
        notes = [self._take() for _ in range(int(expected[0]) - self._received)]
        for request, _ in self._underway:
            rest(request)
        self._underway.clear()
        # or a note of what comes next could overtake one that is still awaited
        self._channel.barrier()
        return notes

    def close(self) -> None:
        """Collective: give the communicator back. Call :meth:`meet` before."""
        self._channel.free()

    def _take(self) -> Note:
        values = np.empty(NOTE_LENGTH, dtype=np.int64)
        rest(self._channel.comm.Irecv(values, source=self._mpi.ANY_SOURCE))
        self._received += 1
        return tuple(int(value) for value in values)
